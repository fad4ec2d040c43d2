import { SLOT } from '../record/access-record.js';
import { hostOf } from '../record/address.js';
import { proxyOf, type Origin, type StreamOrigin } from '../record/origin.js';
import type { RecordView } from '../record/record-view.js';
import { maskedRequestId, TRACE_CHARACTER } from '../record/request-id.js';
import { detailsClass } from '../record/response-code-details.js';
import { flagSetKey, parseFlags, type FlagSet } from '../record/response-flags.js';
import { parseUpstreamCluster, type Direction, type UpstreamCluster } from '../record/upstream-cluster.js';
import { Dictionary, hashBytes, mixed, type PackedDictionary } from '../record/dictionary.js';
import { ABSENT, NULL, Span } from '../record/span.js';
import type { AnsweredBy, Outcome } from './failure.js';
import { AGREED, clocksOf, type Clocks } from './clocks.js';
import { directionOf, groupKeyText } from './group-key.js';
import { KeptLines, type KeptLine } from './kept-lines.js';
import { pathTemplate } from './path-template.js';
import { Table } from './table.js';

/*
 * The lines themselves, in columns, for what counters cannot answer: gaps, equal ends, joins, partitions nobody thought
 * of before. Every line is kept until there are too many; then an even sample of the healthy ones is (and, far later, of
 * the failing ones). Which lines stay depends on their request id (or connection, or place) alone: the lines that several
 * proxies wrote of one request stay or go together, and halves of an input merge to the same rows.
 */

/** Columns of text; the first ones are fields as they were logged. */
const enum Text {
  method,
  path,
  protocol,
  flags,
  details,
  termination,
  transportFailure,
  userAgent,
  authority,
  upstreamHost,
  upstreamLocal,
  downstreamLocal,
  downstreamRemote,
  serverName,
  route,
  requestId,
  format,
  proxy,
  pod,
  file,
  cluster,
  direction,
  error,
  service,
  sourceWorkload,
  targetWorkload,
  sourceIdentity,
}
const TEXT_COLUMNS = 27;
const FIELD_SLOTS = [
  SLOT.method,
  SLOT.path,
  SLOT.protocol,
  SLOT.response_flags,
  SLOT.response_code_details,
  SLOT.connection_termination_details,
  SLOT.upstream_transport_failure_reason,
  SLOT.user_agent,
  SLOT.authority,
  SLOT.upstream_host,
  SLOT.upstream_local_address,
  SLOT.downstream_local_address,
  SLOT.downstream_remote_address,
  SLOT.requested_server_name,
  SLOT.route_name,
  SLOT.request_id,
];

const enum Figure {
  time,
  duration,
  serviceTime,
  received,
  sent,
  code,
  line,
  bits,
  hash,
  share,
}
const FIGURE_COLUMNS = 10;

const ANSWERERS = ['peer', 'proxy', 'unknown'] as const satisfies readonly AnsweredBy[];
const FAILURE = 4;
const HTTP = 8;
const APP_4XX = 16;
const TUNNEL = 32;
/** ztunnel stamps a line when the connection is over (ztunnel src/proxy/metrics.rs: it is written as the result is recorded). */
const STAMPED_AT_END = 64;

/** Texts of one column; what is derived of a text is worked out once, not once for each row that has it. */
class TextColumn {
  ids = new Int32Array(FEWEST_ROWS);
  dictionary = new Dictionary();
  #derived: unknown[] = [];
  /** The text that was put in last, and its id: streams seldom change. */
  #last: string | null | undefined;
  #lastId = ABSENT;

  put(row: number, text: string | null | undefined): void {
    if (text !== this.#last) {
      this.#last = text;
      this.#lastId = text === null ? NULL : text === undefined ? ABSENT : this.dictionary.idOfText(text);
    }
    this.ids[row] = this.#lastId;
  }

  text(row: number): string | null {
    return this.dictionary.text(this.ids[row]!);
  }

  /** Every text of the column, and maybe some that were there. */
  all(): (string | null)[] {
    return Array.from({ length: this.dictionary.size }, (_, id) => this.dictionary.text(id));
  }

  /** One thing that follows from a text, `null` where there is none; always the same of one column. */
  derived<T>(row: number, compute: (text: string) => T): T | null {
    const id = this.ids[row]!;
    if (id < 0) return null;
    return ((this.#derived[id] as T | undefined) ??= compute(this.dictionary.text(id)!));
  }

  #forget(): void {
    this.#derived = [];
    this.#last = undefined;
    this.#lastId = ABSENT;
  }

  /** Forgets texts that no row has, where they are too many. */
  sweep(rows: number): void {
    const old = this.dictionary;
    if (old.size <= 2 * rows + FEWEST_ROWS) return;
    this.dictionary = new Dictionary();
    this.#forget();
    for (let row = 0; row < rows; row++) this.ids[row] = this.dictionary.idFrom(old, this.ids[row]!);
  }
}

const FEWEST_ROWS = 1024;

/** What a line's number in a part is in its whole source. */
export type Place = (line: number) => number;

/** Parses a line that was kept. Record and origin are valid until the next one. */
export type ReadKept = (line: KeptLine) => {
  readonly record: RecordView;
  readonly outcome: Outcome;
  readonly origin: Origin;
};

/** Columns as they cross to another thread. */
interface PackedColumns {
  readonly figures: readonly Float64Array[];
  readonly ids: readonly Int32Array[];
  readonly dictionaries: readonly PackedDictionary[];
}

/** Growing columns; a row is an index. */
class Columns {
  length = 0;
  #capacity = FEWEST_ROWS;
  readonly texts: readonly TextColumn[] = Array.from({ length: TEXT_COLUMNS }, () => new TextColumn());
  readonly figures: Float64Array[] = Array.from(
    { length: FIGURE_COLUMNS },
    () => new Float64Array(FEWEST_ROWS),
  );

  push(): number {
    if (this.length === this.#capacity) this.#grow();
    return this.length++;
  }

  pack(): PackedColumns {
    return {
      figures: this.figures.map((figures) => figures.slice(0, this.length)),
      ids: this.texts.map(({ ids }) => ids.slice(0, this.length)),
      dictionaries: this.texts.map(({ dictionary }) => dictionary.pack()),
    };
  }

  /** Takes over rows of another table. */
  append(other: PackedColumns, keeps: (row: number) => boolean, place: Place): void {
    const from = this.length;
    const rows = other.figures[0]!.length;
    const kept: number[] = [];
    for (let row = 0; row < rows; row++) if (keeps(row)) kept.push(row);
    for (let i = 0; i < kept.length; i++) this.push();
    for (let i = 0; i < FIGURE_COLUMNS; i++) {
      const moved = i === Number(Figure.line) ? place : (figure: number): number => figure;
      kept.forEach((row, at) => (this.figures[i]![from + at] = moved(other.figures[i]![row]!)));
    }
    for (let i = 0; i < TEXT_COLUMNS; i++) {
      const theirs = Dictionary.unpack(other.dictionaries[i]!);
      const { ids, dictionary } = this.texts[i]!;
      kept.forEach((row, at) => (ids[from + at] = dictionary.idFrom(theirs, other.ids[i]![row]!)));
    }
  }

  /** Keeps only those rows, in their order. */
  retain(keeps: (row: number) => boolean): void {
    let kept = 0;
    for (let row = 0; row < this.length; row++) {
      if (!keeps(row)) continue;
      if (kept < row) {
        for (const figures of this.figures) figures[kept] = figures[row]!;
        for (const { ids } of this.texts) ids[kept] = ids[row]!;
      }
      kept++;
    }
    this.length = kept;
    for (const column of this.texts) column.sweep(kept);
  }

  #grow(): void {
    this.#capacity *= 2;
    for (let i = 0; i < FIGURE_COLUMNS; i++) {
      const wider = new Float64Array(this.#capacity);
      wider.set(this.figures[i]!);
      this.figures[i] = wider;
    }
    for (const column of this.texts) {
      const wider = new Int32Array(this.#capacity);
      wider.set(column.ids);
      column.ids = wider;
    }
  }
}

const NO_FLAGS = parseFlags('-');
const classOf = (details: string): string => (details ? detailsClass(details) : details);

/** What many lines have in common, beside code and bits: columns of few values. What follows from them is worked out once. */
const KIND_TEXTS = [
  Text.method,
  Text.protocol,
  Text.flags,
  Text.details,
  Text.termination,
  Text.transportFailure,
  Text.authority,
  Text.downstreamLocal,
  Text.serverName,
  Text.route,
  Text.format,
  Text.proxy,
  Text.pod,
  Text.file,
  Text.cluster,
  Text.direction,
  Text.service,
] as const;

/** What may be asked of a line without asking which one of its kind it is. */
export interface Kind {
  /** One object for all lines of a kind. */
  readonly kind: Kind;
  readonly format: string;
  /** Whose log it stands in: pod, else file. */
  readonly proxy: string;
  readonly pod: string | null;
  readonly file: string | null;
  readonly method: string | null;
  readonly protocol: string | null;
  readonly code: number | null;
  readonly flags: FlagSet;
  readonly details: string | null;
  /** Whether the layout has response code details at all. */
  readonly hasDetails: boolean;
  readonly detailsClass: string | null;
  readonly termination: string | null;
  readonly transportFailure: string | null;
  readonly authority: string | null;
  readonly cluster: UpstreamCluster | null;
  readonly downstreamLocal: string | null;
  readonly serverName: string | null;
  readonly route: string | null;
  readonly direction: Direction;
  /** ztunnel: the host of the service that was meant. */
  readonly service: string | null;
  readonly answeredBy: AnsweredBy;
  readonly failure: boolean;
  readonly http: boolean;
  readonly app4xx: boolean;
  readonly tunnel: boolean;
  /** The failure group that the line belongs to. */
  readonly groupKey: string;
  has(flag: string): boolean;
}

/** The kind of one row, and of all rows that have the same texts and figures there. */
class SharedKind implements Kind {
  readonly format: string;
  readonly proxy: string;
  readonly pod: string | null;
  readonly file: string | null;
  readonly method: string | null;
  readonly protocol: string | null;
  readonly code: number | null;
  readonly flags: FlagSet;
  readonly details: string | null;
  readonly hasDetails: boolean;
  readonly detailsClass: string | null;
  readonly termination: string | null;
  readonly transportFailure: string | null;
  readonly authority: string | null;
  readonly cluster: UpstreamCluster | null;
  readonly downstreamLocal: string | null;
  readonly serverName: string | null;
  readonly route: string | null;
  readonly direction: Direction;
  readonly service: string | null;
  readonly answeredBy: AnsweredBy;
  readonly failure: boolean;
  readonly http: boolean;
  readonly app4xx: boolean;
  readonly tunnel: boolean;
  readonly stampedAtEnd: boolean;
  /** How far the clock of its proxy is ahead of the others', ms. */
  readonly ahead: number;
  #groupKey: string | undefined;

  constructor(
    readonly columns: Columns,
    row: number,
    clocks: Clocks,
  ) {
    const { texts, figures } = columns;
    const text = (column: Text): string | null => texts[column]!.text(row);
    const bits = figures[Figure.bits]![row]!;
    const code = figures[Figure.code]![row]!;
    this.format = text(Text.format) ?? '';
    this.proxy = text(Text.proxy) ?? '';
    this.pod = text(Text.pod);
    this.file = text(Text.file);
    this.method = text(Text.method);
    this.protocol = text(Text.protocol);
    this.code = Number.isNaN(code) ? null : code;
    this.flags = texts[Text.flags]!.derived(row, parseFlags) ?? NO_FLAGS;
    this.details = text(Text.details);
    this.hasDetails = texts[Text.details]!.ids[row] !== ABSENT;
    this.detailsClass = texts[Text.details]!.derived(row, classOf);
    this.termination = text(Text.termination);
    this.transportFailure = text(Text.transportFailure);
    this.authority = text(Text.authority);
    this.cluster = texts[Text.cluster]!.derived(row, parseUpstreamCluster);
    this.downstreamLocal = text(Text.downstreamLocal);
    this.serverName = text(Text.serverName);
    this.route = text(Text.route);
    this.direction = text(Text.direction) as Direction;
    this.service = text(Text.service);
    this.answeredBy = ANSWERERS[bits & 3]!;
    this.failure = (bits & FAILURE) !== 0;
    this.http = (bits & HTTP) !== 0;
    this.app4xx = (bits & APP_4XX) !== 0;
    this.tunnel = (bits & TUNNEL) !== 0;
    this.stampedAtEnd = (bits & STAMPED_AT_END) !== 0;
    this.ahead = clocks.aheadOf(this.proxy);
  }

  get kind(): Kind {
    return this;
  }

  has(flag: string): boolean {
    return this.flags.includes(flag);
  }

  get groupKey(): string {
    return (this.#groupKey ??= groupKeyText({
      direction: this.direction,
      upstreamCluster: this.cluster?.name ?? null,
      responseCode: this.code,
      responseFlags: this.flags,
      detailsClass: this.detailsClass,
    }));
  }
}

/** One kept line. Times in ms since the Unix epoch, durations in ms, sizes in bytes; `null` is Envoy's `-` or an absent field. */
export class Row implements Kind {
  readonly #columns: Columns;
  readonly #index: number;
  readonly #kind: SharedKind;
  /** When the request began, by the time that the proxies agree on. */
  readonly start: number;
  readonly duration: number;
  /** Its own among all that are kept, from 0 without a gap, in the order of time. */
  ordinal = -1;

  constructor(
    kind: SharedKind,
    index: number,
    /** How many lines of the input this one stands for: 1 while all are kept. */
    readonly weight: number,
  ) {
    this.#columns = kind.columns;
    this.#index = index;
    this.#kind = kind;
    const time = this.#figure(Figure.time) - kind.ahead;
    this.duration = this.#nullable(Figure.duration) ?? 0;
    this.start = kind.stampedAtEnd ? time - this.duration : time;
  }

  #text(column: Text): string | null {
    return this.#columns.texts[column]!.text(this.#index);
  }
  #derived<T>(column: Text, compute: (text: string) => T): T | null {
    return this.#columns.texts[column]!.derived(this.#index, compute);
  }
  #figure(column: Figure): number {
    return this.#columns.figures[column]![this.#index]!;
  }
  #nullable(column: Figure): number | null {
    const value = this.#figure(column);
    return Number.isNaN(value) ? null : value;
  }

  get kind(): Kind {
    return this.#kind;
  }
  /** How far the clock of its proxy is ahead of the others', ms. */
  get ahead(): number {
    return this.#kind.ahead;
  }
  /** The start as its proxy logged it. */
  get loggedStart(): number {
    return this.#figure(Figure.time);
  }
  /** When the request ended: start and duration. Crashes and connect timeouts align here. */
  get end(): number {
    return this.start + this.duration;
  }
  get serviceTime(): number | null {
    return this.#nullable(Figure.serviceTime);
  }
  get received(): number | null {
    return this.#nullable(Figure.received);
  }
  get sent(): number | null {
    return this.#nullable(Figure.sent);
  }
  get code(): number | null {
    return this.#kind.code;
  }
  get line(): number {
    return this.#figure(Figure.line);
  }
  get format(): string {
    return this.#kind.format;
  }
  get proxy(): string {
    return this.#kind.proxy;
  }
  get pod(): string | null {
    return this.#kind.pod;
  }
  get file(): string | null {
    return this.#kind.file;
  }
  get method(): string | null {
    return this.#kind.method;
  }
  get path(): string | null {
    return this.#text(Text.path);
  }
  get pathTemplate(): string | null {
    return this.#derived(Text.path, pathTemplate);
  }
  get protocol(): string | null {
    return this.#kind.protocol;
  }
  get flags(): FlagSet {
    return this.#kind.flags;
  }
  /** The set of flags as one text, sorted; `""` for none. */
  get flagSet(): string {
    return flagSetKey(this.flags);
  }
  has(flag: string): boolean {
    return this.#kind.flags.includes(flag);
  }
  get details(): string | null {
    return this.#kind.details;
  }
  get hasDetails(): boolean {
    return this.#kind.hasDetails;
  }
  get detailsClass(): string | null {
    return this.#kind.detailsClass;
  }
  get termination(): string | null {
    return this.#kind.termination;
  }
  get transportFailure(): string | null {
    return this.#kind.transportFailure;
  }
  get userAgent(): string | null {
    return this.#text(Text.userAgent);
  }
  get authority(): string | null {
    return this.#kind.authority;
  }
  get upstreamHost(): string | null {
    return this.#text(Text.upstreamHost);
  }
  /** The upstream host without its port. */
  get upstreamIp(): string | null {
    return this.#derived(Text.upstreamHost, hostOf);
  }
  get cluster(): UpstreamCluster | null {
    return this.#kind.cluster;
  }
  get upstreamLocal(): string | null {
    return this.#text(Text.upstreamLocal);
  }
  get downstreamLocal(): string | null {
    return this.#kind.downstreamLocal;
  }
  get downstreamRemote(): string | null {
    return this.#text(Text.downstreamRemote);
  }
  /** The downstream peer without its port: the caller's pod, or a client from X-Forwarded-For. */
  get peer(): string | null {
    return this.#derived(Text.downstreamRemote, hostOf);
  }
  get serverName(): string | null {
    return this.#kind.serverName;
  }
  get route(): string | null {
    return this.#kind.route;
  }
  get direction(): Direction {
    return this.#kind.direction;
  }
  get requestId(): string | null {
    return this.#text(Text.requestId);
  }
  /** ztunnel: the sentence that says what failed. */
  get error(): string | null {
    return this.#text(Text.error);
  }
  get service(): string | null {
    return this.#kind.service;
  }
  /** ztunnel: the pods at both ends. */
  get sourceWorkload(): string | null {
    return this.#text(Text.sourceWorkload);
  }
  get targetWorkload(): string | null {
    return this.#text(Text.targetWorkload);
  }
  /** ztunnel: the caller's SPIFFE identity. */
  get sourceIdentity(): string | null {
    return this.#text(Text.sourceIdentity);
  }
  get answeredBy(): AnsweredBy {
    return this.#kind.answeredBy;
  }
  get failure(): boolean {
    return this.#kind.failure;
  }
  get http(): boolean {
    return this.#kind.http;
  }
  get app4xx(): boolean {
    return this.#kind.app4xx;
  }
  get tunnel(): boolean {
    return this.#kind.tunnel;
  }
  get groupKey(): string {
    return this.#kind.groupKey;
  }
  /** All that tells one line from another; `null` for a line that names no connection. */
  get wholeText(): string | null {
    if (this.downstreamRemote === null || this.file === null) return null;
    const texts = TELLING.map((column) => this.#text(column) ?? '');
    return [...texts, this.duration, this.code, this.received, this.sent].join('\n');
  }
}

const TELLING = [
  Text.requestId,
  Text.path,
  Text.flags,
  Text.upstreamHost,
  Text.upstreamLocal,
  Text.downstreamLocal,
  Text.downstreamRemote,
  Text.direction,
] as const;

export interface RowsSnapshot {
  /** By start time, then by place. */
  readonly rows: readonly Row[];
  /** Whether every line is there: else rows carry a weight. */
  readonly complete: boolean;
  /** What was measured of the proxies' clocks; the rows' times are corrected by it. */
  readonly clocks: Clocks;
  /** Lines that were left out because another input holds them too: a log that was given twice. */
  readonly repeated: number;
  /** Lines that were counted elsewhere and not kept. */
  readonly evicted: number;
}

const hashOf = ({ bytes, start, end }: Span): number => hashBytes(bytes, start, end) >>> 0;

/** Of a line that names neither request nor connection: its stream and its figures, not its number, which a part of a file does not know. */
function hashOfLone(place: Span, time: number, duration: number, sent: number): number {
  let hash = hashOf(place);
  for (let i = 0; i < 3; i++) {
    hash = Math.imul(hash ^ (i === 0 ? time : i === 1 ? duration : sent), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return mixed(hash) >>> 0;
}

const UUID_LENGTH = 36;
const LOWER_X = 120;
const maskedId = new Uint8Array(UUID_LENGTH);

/** The same of a request's id, whatever Envoy keeps of its trace decision in it (`maskedRequestId`). */
function hashOfId(id: Span): number {
  if (id.end - id.start !== UUID_LENGTH) return hashOf(id);
  for (let i = 0; i < UUID_LENGTH; i++) maskedId[i] = id.bytes[id.start + i]!;
  maskedId[TRACE_CHARACTER] = LOWER_X;
  return hashBytes(maskedId, 0, UUID_LENGTH) >>> 0;
}

/** By which the lines of a stream that name neither request nor connection are told from those of another. */
export const placeHash = ({ file, pod }: StreamOrigin): number => {
  PLACE.set(file ?? pod ?? '');
  return hashOf(PLACE);
};

/** An id that more kept lines carry is nobody's request: its lines are sampled one by one. */
const MOST_OF_ONE_ID = 500;

const HASH_BITS = 32;

/** With so many times the room that is taken, more may be kept. */
const ROOM = 4;
interface PackedSample {
  readonly share: number;
  readonly shared: readonly number[];
  readonly columns: PackedColumns;
}

/** Rows as they cross to another thread. */
export interface PackedRows {
  readonly seen: number;
  readonly samples: readonly PackedSample[];
}

/** Rows of one kind: all while they are few, then those whose hash lies under a threshold that halves. */
class Sample {
  readonly columns = new Columns();
  /** Kept and not parsed yet. */
  readonly lines = new KeptLines();
  /** Of what comes now, 1 keeps every row, 1/2 every second, and so on; a row knows the share that it was kept of. */
  share = 1;

  /** Ids that turned out to be on too many lines, by their hash. */
  readonly shared = new Set<number>();

  /** @param read makes a row of a line that was kept. */
  constructor(
    readonly limit: number,
    readonly read: (line: KeptLine) => void,
  ) {}

  keeps(hash: number): boolean {
    return hash < this.share * 0x1_0000_0000;
  }

  /** Halves the share until the rows fit. */
  trim(): void {
    if (this.#size <= this.limit) return;
    this.#part();
    while (this.#size > this.limit) {
      this.share /= 2;
      this.#drop();
    }
  }

  /** Lines that would stay or go all at once are told apart from now on. */
  #part(): void {
    if (this.lines.hasCrowd(MOST_OF_ONE_ID)) this.readAll();
    this.#scatter();
  }

  get #size(): number {
    return this.columns.length + this.lines.size;
  }

  readAll(): void {
    this.lines.takeEach(this.read);
  }

  /** How many are kept, at `k` those with `k` leading zeros in their hash. */
  weigh(): Float64Array {
    this.#part();
    const weights = new Float64Array(HASH_BITS + 1);
    const add = (hash: number): void => void weights[Math.clz32(hash)]!++;
    this.lines.forEachHash(add);
    const hashes = this.columns.figures[Figure.hash]!;
    for (let row = 0; row < this.columns.length; row++) add(hashes[row]!);
    return weights;
  }

  /** Keeps no more than that share. */
  thin(share: number): void {
    if (share >= this.share) return;
    this.share = share;
    this.#drop();
  }

  pack(): PackedSample {
    return { share: this.share, shared: [...this.shared], columns: this.columns.pack() };
  }

  merge({ share, shared, columns }: PackedSample, place: Place): void {
    this.readAll();
    this.share = Math.min(this.share, share);
    for (const id of shared) this.shared.add(id);
    this.#scatter();
    this.#drop();
    const hashes = columns.figures[Figure.hash]!;
    this.columns.append(columns, (row) => this.keeps(hashes[row]!), place);
    this.#thin();
    this.trim();
  }

  /**
   * Lets go of what ended before a time, ms since the epoch. Where much room came free by it, a larger share of what comes
   * is kept again.
   */
  forget(before: number): void {
    const [times, durations] = [Figure.time, Figure.duration].map((figure) => this.columns.figures[figure]!);
    this.columns.retain((row) => !(times![row]! + (durations![row]! || 0) < before));
    if (this.share < 1 && this.columns.length * ROOM < this.limit) this.share *= 2;
  }

  /** Lines of an id that far too many carry would stay or go all at once: from now on each for itself. */
  #scatter(): void {
    const { columns } = this;
    const { ids, dictionary } = columns.texts[Text.requestId]!;
    const counts = new Int32Array(dictionary.size);
    for (let row = 0; row < columns.length; row++) if (ids[row]! >= 0) counts[ids[row]!]!++;
    if (this.shared.size === 0 && !counts.some((count) => count > MOST_OF_ONE_ID)) return;
    const many = new Set<number>();
    for (const [id, count] of counts.entries()) {
      if (count === 0) continue;
      PLACE.set(dictionary.text(id)!);
      const key = hashOfId(PLACE);
      if (count > MOST_OF_ONE_ID) this.shared.add(key);
      if (this.shared.has(key)) many.add(id);
    }
    if (many.size === 0) return;
    const hashes = columns.figures[Figure.hash]!;
    for (let row = 0; row < columns.length; row++) {
      if (!many.has(ids[row]!)) continue;
      PLACE.set(placeAt(columns, row));
      const [time, duration, sent] = LONE.map((figure) => columns.figures[figure]![row]!);
      hashes[row] = hashOfLone(PLACE, time!, duration!, sent!);
    }
  }

  #drop(): void {
    const hashes = this.columns.figures[Figure.hash]!;
    this.columns.retain((row) => this.keeps(hashes[row]!));
    this.lines.retain((hash) => this.keeps(hash));
    this.#thin();
  }

  #thin(from = 0): void {
    const shares = this.columns.figures[Figure.share]!;
    for (let row = from; row < this.columns.length; row++) shares[row] = Math.min(shares[row]!, this.share);
  }

  addRowsTo(rows: Row[], clocks: Clocks): void {
    const { columns } = this;
    const texts = KIND_TEXTS.map((column) => columns.texts[column]!.ids);
    const codes = columns.figures[Figure.code]!;
    const bits = columns.figures[Figure.bits]!;
    const shares = columns.figures[Figure.share]!;
    const key = new Int32Array(KIND_TEXTS.length + 2);
    const table = new Table(key.length);
    const kinds: SharedKind[] = [];
    for (let row = 0; row < columns.length; row++) {
      let place = 0;
      for (const ids of texts) key[place++] = ids[row]!;
      // A code that was not logged is not 0.
      key[place++] = codes[row]! >= 0 ? codes[row]! : -1;
      key[place] = bits[row]!;
      const kind = table.add(key, 1);
      if (kind === kinds.length) kinds.push(new SharedKind(columns, row, clocks));
      rows.push(new Row(kinds[kind]!, row, 1 / shares[row]!));
    }
  }
}

const PLACE = new Span();
const LONE = [Figure.time, Figure.duration, Figure.sent] as const;

/** The stream that a kept line stands in. */
const placeAt = (columns: Columns, row: number): string =>
  columns.texts[Text.file]!.text(row) || (columns.texts[Text.proxy]!.text(row) ?? '');

export interface RowLimits {
  readonly healthy: number;
  readonly failing: number;
}

/** Lines of one request; with more it is nobody's. */
const MOST_PINNED = 5_000;

export const ROW_LIMITS: RowLimits = { healthy: 80_000, failing: 60_000 };
/** Where lines are sampled in any case, many tell no more than some: the same causes, places and onsets come out. */
const SAMPLE_LIMITS: RowLimits = { healthy: 8_000, failing: 8_000 };
/** Bytes that hold more lines than are kept, even of JSON. */
const MANY_BYTES = 64 * 1024 * 1024;

/** How many lines of an input are kept. @param bytes unpacked, about */
export const rowLimitsFor = (bytes: number): RowLimits => (bytes < MANY_BYTES ? ROW_LIMITS : SAMPLE_LIMITS);

/** Keeps the lines that diagnosis reasons about. */
export class Rows {
  readonly #healthy: Sample;
  readonly #failing: Sample;
  /** Lines of the one request that somebody asked for: kept however many others are not. */
  readonly #pinned: Sample;
  readonly #pin: string | undefined;
  #readLine: ReadKept | undefined;
  readonly #span = new Span();
  #seen = 0;

  /** @param requestId of a request whose lines are kept in any case. */
  constructor(limits: RowLimits = ROW_LIMITS, requestId?: string) {
    const read = (line: KeptLine): void => this.#readKept(line);
    this.#healthy = new Sample(limits.healthy, read);
    this.#failing = new Sample(limits.failing, read);
    this.#pinned = new Sample(MOST_PINNED, read);
    this.#pin = requestId && maskedRequestId(requestId);
  }

  add(record: RecordView, outcome: Outcome, origin: Origin): void {
    this.#seen++;
    const sample = this.#isPinned(record) ? this.#pinned : outcome.failure ? this.#failing : this.#healthy;
    const hash = this.#hashOf(record, origin, sample.shared);
    if (!sample.keeps(hash)) return;
    this.#put(sample, hash, record, outcome, origin);
    sample.trim();
  }

  /**
   * Keeps a line that somebody else has counted, where its hash is under the threshold.
   * @param stream by which `readWith` tells where it stood
   */
  keep(
    bytes: Buffer,
    start: number,
    end: number,
    hash: number,
    failing: boolean,
    stream: number,
    number: number,
  ): void {
    const sample = failing ? this.#failing : this.#healthy;
    if (!sample.keeps(hash)) return;
    sample.lines.push(bytes, start, end, hash, stream, number);
    sample.trim();
  }

  /** So many lines were counted by somebody else, who keeps those that are to be kept. */
  pass(lines: number): void {
    this.#seen += lines;
  }

  /** Who parses the lines that were kept as bytes. */
  readWith(read: ReadKept): void {
    this.#readLine = read;
  }

  /** Lines whose hash (of 32 bits) is below are kept. */
  threshold(failing: boolean): number {
    return (failing ? this.#failing : this.#healthy).share * 0x1_0000_0000;
  }

  /** Hashes of ids that are on too many lines to be kept or dropped at once. */
  shared(failing: boolean): ReadonlySet<number> {
    return (failing ? this.#failing : this.#healthy).shared;
  }

  #readKept(line: KeptLine): void {
    const { record, outcome, origin } = this.#readLine!(line);
    const sample = outcome.failure ? this.#failing : this.#healthy;
    this.#put(sample, line.hash, record, outcome, origin);
  }

  #put(sample: Sample, hash: number, record: RecordView, outcome: Outcome, origin: Origin): void {
    const { columns } = sample;
    const row = columns.push();
    const { figures, texts } = columns;
    figures[Figure.time]![row] = record.startTime();
    figures[Figure.duration]![row] = record.durationMs() ?? NaN;
    figures[Figure.serviceTime]![row] = record.upstreamServiceTimeMs() ?? NaN;
    figures[Figure.received]![row] = record.bytesReceived() ?? NaN;
    figures[Figure.sent]![row] = record.bytesSent() ?? NaN;
    figures[Figure.code]![row] = record.responseCode() ?? NaN;
    figures[Figure.line]![row] = origin.line;
    figures[Figure.hash]![row] = hash;
    figures[Figure.share]![row] = sample.share;
    figures[Figure.bits]![row] =
      ANSWERERS.indexOf(outcome.answeredBy) |
      (outcome.failure ? FAILURE : 0) |
      (outcome.http ? HTTP : 0) |
      (outcome.app4xx ? APP_4XX : 0) |
      (outcome.tunnel ? TUNNEL : 0) |
      (record.format.startsWith('ztunnel') ? STAMPED_AT_END : 0);
    const span = this.#span;
    for (let i = 0; i < FIELD_SLOTS.length; i++) {
      const found = record.locate(FIELD_SLOTS[i]!, span);
      texts[i]!.ids[row] = found < 0 ? found : texts[i]!.dictionary.idOf(span);
    }
    const put = (column: Text, text: string | null | undefined): void => texts[column]!.put(row, text);
    put(Text.format, record.format);
    put(Text.proxy, proxyOf(origin));
    put(Text.pod, origin.pod);
    put(Text.file, origin.file);
    put(Text.cluster, record.upstreamCluster()?.name ?? null);
    put(Text.direction, directionOf(record));
    put(Text.error, record.ztunnelPair('error'));
    put(Text.service, record.ztunnelPair('dst.service'));
    put(Text.sourceWorkload, record.ztunnelPair('src.workload'));
    put(Text.targetWorkload, record.ztunnelPair('dst.workload'));
    put(Text.sourceIdentity, record.ztunnelPair('src.identity'));
    if (texts[Text.upstreamHost]!.ids[row]! < 0) {
      put(Text.upstreamHost, record.ztunnelPair('dst.hbone_addr') ?? record.ztunnelPair('dst.addr'));
    }
    if (texts[Text.downstreamRemote]!.ids[row]! < 0) {
      put(Text.downstreamRemote, record.ztunnelPair('src.addr'));
    }
  }

  #isPinned(record: RecordView): boolean {
    if (this.#pin === undefined) return false;
    const id = record.text('request_id');
    return !!id && maskedRequestId(id) === this.#pin;
  }

  /** What decides whether a line stays: its request where it names one, else its connection, else itself. */
  #hashOf(record: RecordView, { file, pod }: Origin, shared: ReadonlySet<number>): number {
    const span = this.#span;
    if (record.locate(SLOT.request_id, span) > 0) {
      const hash = hashOfId(span);
      if (!shared.has(hash)) return hash;
    } else {
      const direction = directionOf(record);
      const near = direction === 'inbound' || direction === 'unknown';
      const connection = near ? SLOT.downstream_remote_address : SLOT.upstream_local_address;
      if (record.locate(connection, span) > 0) return hashOf(span);
    }
    span.set(file ?? pod ?? '');
    return hashOfLone(span, record.startTime(), record.durationMs() ?? NaN, record.bytesSent() ?? NaN);
  }

  /** How many lines are kept, by sample and leading zeros of their hash. */
  weigh(): readonly Float64Array[] {
    return this.#samples.map((sample) => sample.weigh());
  }

  /** Keeps of each sample no more than what it may keep together with others, whose weights are given too. */
  thin(weights: readonly (readonly Float64Array[])[]): void {
    for (const [i, sample] of this.#samples.entries()) {
      let kept = 0;
      for (const weight of weights) for (const count of weight[i]!) kept += count;
      let zeros = 0;
      for (; kept > sample.limit && zeros < HASH_BITS; zeros++) {
        for (const weight of weights) kept -= weight[i]![zeros]!;
      }
      sample.thin(2 ** -zeros);
    }
  }

  /** Moves the rows' numbers to where they stand in their whole source. */
  relocate(place: Place): void {
    for (const { columns } of this.#samples) {
      const numbers = columns.figures[Figure.line]!;
      for (let row = 0; row < columns.length; row++) numbers[row] = place(numbers[row]!);
    }
  }

  /** Parses all lines that were kept as bytes. */
  readAll(): void {
    for (const sample of this.#samples) sample.readAll();
  }

  pack(): PackedRows {
    this.readAll();
    return { seen: this.#seen, samples: this.#samples.map((sample) => sample.pack()) };
  }

  merge({ seen, samples }: PackedRows, place: Place): void {
    this.#seen += seen;
    this.#samples.forEach((sample, i) => sample.merge(samples[i]!, place));
  }

  /** Lets go of what ended before a time, ms since the epoch. */
  forget(before: number): void {
    for (const sample of this.#samples) sample.forget(before);
  }

  #rowsBy(clocks: Clocks): Row[] {
    const rows: Row[] = [];
    for (const sample of this.#samples) sample.addRowsTo(rows, clocks);
    return rows;
  }

  get #samples(): readonly Sample[] {
    return [this.#healthy, this.#failing, this.#pinned];
  }

  snapshot(): RowsSnapshot {
    for (const sample of this.#samples) {
      sample.readAll();
      sample.trim();
    }
    const several = (column: Text): boolean =>
      new Set(this.#samples.flatMap((sample) => sample.columns.texts[column]!.all())).size > 1;
    const logged = this.#rowsBy(AGREED);
    const clocks = several(Text.proxy) ? clocksOf(logged) : AGREED;
    const all = (clocks === AGREED ? logged : this.#rowsBy(clocks)).toSorted(byTimeAndPlace);
    const rows = several(Text.file) ? withoutRepeats(all) : all;
    for (let at = 0; at < rows.length; at++) rows[at]!.ordinal = at;
    const isWhole = this.#healthy.share === 1 && this.#failing.share === 1;
    const complete = isWhole && all.every(({ weight }) => weight === 1);
    return {
      rows,
      complete,
      clocks,
      repeated: all.length - rows.length,
      evicted: this.#seen - all.length,
    };
  }
}

/** Leaves out what another file holds word for word: no two proxies log the same addresses, id and times. */
function withoutRepeats(rows: readonly Row[]): readonly Row[] {
  const repeated = new Set<Row>();
  for (let from = 0; from < rows.length;) {
    let to = from + 1;
    while (to < rows.length && rows[to]!.start === rows[from]!.start) to++;
    if (to - from > 1) {
      const first = new Map<string, Row>();
      for (const row of rows.slice(from, to)) {
        const key = row.wholeText;
        const other = key === null ? undefined : first.get(key);
        if (other && other.file !== row.file) repeated.add(row);
        else if (key !== null) first.set(key, row);
      }
    }
    from = to;
  }
  return repeated.size === 0 ? rows : rows.filter((row) => !repeated.has(row));
}

function byTimeAndPlace(a: Row, b: Row): number {
  return (
    compareNumbers(a.start, b.start) ||
    (a.proxy < b.proxy ? -1 : a.proxy > b.proxy ? 1 : 0) ||
    ((a.file ?? '') < (b.file ?? '') ? -1 : (a.file ?? '') > (b.file ?? '') ? 1 : 0) ||
    a.line - b.line
  );
}

/** Lines without a time come last. */
function compareNumbers(a: number, b: number): number {
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : 1;
  return Number.isNaN(b) ? -1 : a - b;
}
