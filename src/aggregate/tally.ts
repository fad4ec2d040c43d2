import { SLOT, type FieldName } from '../record/access-record.js';
import { hostOf } from '../record/address.js';
import { Dictionary, OTHERS, OTHERS_TEXT, Translated, type PackedDictionary } from '../record/dictionary.js';
import type { Origin } from '../record/origin.js';
import type { RecordView } from '../record/record-view.js';
import { boundedCache } from '../record/bounded-cache.js';
import { detailsClass } from '../record/response-code-details.js';
import { parseFlags, type FlagSet } from '../record/response-flags.js';
import { ABSENT, NULL, Span } from '../record/span.js';
import { parseUpstreamCluster, type UpstreamCluster } from '../record/upstream-cluster.js';
import { CellValues, type PackedCellValues } from './cell-values.js';
import { judge, type AnsweredBy, type Judged, type Outcome } from './failure.js';
import { directionOf, groupKeyText, type GroupKey } from './group-key.js';
import { FROM_ELSEWHERE, FROM_OWN_POD, fromOwnPodIn } from './role.js';
import { Table, type PackedTable } from './table.js';

/*
 * Lines by what they have in common. Of each line the fields that take few values make one tuple of small numbers, counted
 * once; what is said of a line (failure, direction, population, group) follows from its tuple and is worked out when the
 * tuple is met first. Fields that take many values are counted in pairs with the tuple's cell, its population and group.
 * Nothing is made for a line: all are numbers in tables, which merge and cross to another thread as they are.
 */

/** Fields of a tuple, in the order of its numbers, behind origin, format, signs and code. */
const TUPLE_FIELDS = [
  'method',
  'protocol',
  'response_flags',
  'response_code_details',
  'connection_termination_details',
  'upstream_transport_failure_reason',
  'authority',
  'upstream_cluster',
  'requested_server_name',
  'route_name',
] as const;
const TUPLE_SLOTS = TUPLE_FIELDS.map((field) => SLOT[field]);
type TupleField = (typeof TUPLE_FIELDS)[number];

const ORIGIN = 0;
const FORMAT = 1;
const SIGNS = 2;
const CODE = 3;
const FIRST_FIELD = 4;
const METHOD = TUPLE_FIELDS.indexOf('method');
const PROTOCOL = TUPLE_FIELDS.indexOf('protocol');
const AUTHORITY = TUPLE_FIELDS.indexOf('authority');
/** Texts that clients choose, so that there may be any number. */
const CHOSEN = ['authority', 'requested_server_name'] as const;
/** With it clients of a mesh name what they mean: one for each of its ports, whoever asks. */
const MESH_SERVER_NAME = 'outbound_';
/** The downstream local address, only where nothing else tells what was meant: it would split the rest by port. */
const LOCAL = FIRST_FIELD + TUPLE_FIELDS.length;
const WIDTH = LOCAL + 1;
const PLACE = Object.fromEntries(TUPLE_FIELDS.map((name, i) => [name, FIRST_FIELD + i])) as Record<
  TupleField,
  number
>;

/** What else a tuple tells of its lines, one bit each. */
const HAS_PATH = 1;
const NO_SERVICE_TIME = 2;
/** 127.0.0.6 is the address from which a sidecar calls its own app. */
const CALLS_OWN_APP = 4;
const BROKEN = 8;
const ZTUNNEL_INBOUND = 16;
const ZTUNNEL_OUTBOUND = 32;
/** Read, and left out by a filter. */
const LEFT_OUT = 256;
/** The tuple stands for many that there was no room for: its outcome is in the bits above. */
const CROWD = 512;
const CROWD_FAILURE = 1024;
const CROWD_HTTP = 2048;
const CROWD_APP_4XX = 4096;
const CROWD_TUNNEL = 8192;
const CROWD_ANSWERER = 14;
const ANSWERERS = ['peer', 'proxy', 'unknown'] as const satisfies readonly AnsweredBy[];

/** Strangers choose some of these texts: beyond so many, one stands for the rest. */
const MOST_TEXTS = 20_000;
const MOST_TUPLES = 40_000;
/**
 * Tuples that are like others but for what clients chose: where there are more of one kind, or in all, new ones are counted
 * together; but for a few of each kind, since somebody who tries hosts must not hide those that come after.
 */
const MOST_ALIKE = 2_000;
const MOST_OF_A_KIND = 200;
const FEW_OF_A_KIND = 4;

/** The cell of the durations of all answers. */
const ALL = 0;

/** What is said of all lines of a tuple. */
export interface Told {
  readonly outcome: Outcome;
  readonly group: GroupKey;
  readonly cluster: UpstreamCluster | null;
  readonly cell: number;
  /** Whether the calls came from the address that the proxy calls on from; `null` where the lines do not say, or not all alike. */
  readonly fromOwnPod: boolean | null;
}

export interface StreamKey {
  readonly input: string;
  readonly pod: string | null;
  readonly file: string | null;
}

/** Lines that share what they are counted against: a proxy with an authority, and a cluster where there is one. */
export interface Cell {
  readonly ofAuthority: string;
  readonly ofCluster: string | null;
  /** Of failing lines. */
  readonly group: GroupKey | null;
  first: number;
  last: number;
  longest: number;
}

/** A tally as it crosses to another thread. */
export interface PackedTally {
  readonly streams: readonly StreamKey[];
  readonly tables: readonly PackedDictionary[];
  readonly values: PackedCellValues;
  readonly tuples: PackedTable;
  /** By tuple: its cell, and its outcome as a crowd's signs. */
  readonly cellOf: Int32Array;
  readonly outcomes: Int32Array;
  /** Of each cell the first and last start and the longest duration. */
  readonly extents: Float64Array;
}

const CELL_OF_ALL: Cell = {
  ofAuthority: '',
  ofCluster: null,
  group: null,
  first: Infinity,
  last: -Infinity,
  longest: 0,
};

export class Tally {
  #streams: StreamKey[] = [];
  readonly #streamIds = new Map<string, number>();
  #stream: StreamKey | undefined;
  #streamId = -1;

  readonly #formats = new Dictionary(MOST_TEXTS);
  readonly #codes = new Dictionary(MOST_TEXTS);
  readonly #locals = new Dictionary(MOST_TEXTS);
  readonly #texts: readonly Dictionary[] = TUPLE_FIELDS.map(() => new Dictionary(MOST_TEXTS));
  /** What takes many values, by cell. */
  readonly values = new CellValues();
  #format = '';
  #formatId = -1;

  readonly #tuples = new Table(WIDTH);
  /** Tuples without what clients chose, with how many others there are of each; and of all. */
  readonly #bare = new Table(WIDTH);
  readonly #bareKey = new Int32Array(WIDTH);
  #alike = 0;
  #told: Told[] = [];
  #cells: Cell[] = [{ ...CELL_OF_ALL }];
  readonly #cellIds = new Map<string, number>();

  // Of the line being counted.
  readonly #key = new Int32Array(WIDTH);
  readonly #span = new Span();
  readonly #other = new Span();
  readonly #view = new TupleView();

  /** Counts one line and tells what is said of it. */
  add(record: RecordView, origin: Origin, input = '', leftOut = false): Told {
    const told = this.#told[this.#admit(record, origin, input, leftOut, 1)]!;
    if (!leftOut && !told.outcome.tunnel) this.#addValues(record, told, record.responseCode());
    return told;
  }

  /** The tuple of a line that is not counted: `addTimes` and those that follow it count for it. */
  admit(record: RecordView, origin: Origin, input: string): number {
    return this.#admit(record, origin, input, false, 0);
  }

  addTimes(tuple: number, times: number): void {
    this.#tuples.addTo(tuple, times);
  }

  /** That some line of a cell took so long. */
  reaches(cell: number, ms: number): void {
    const held = this.#cells[cell]!;
    held.longest = Math.max(held.longest, ms);
  }

  /** When a cell's lines began. ms since the epoch */
  extend(cell: number, first: number, last: number): void {
    const held = this.#cells[cell]!;
    held.first = Math.min(held.first, first);
    held.last = Math.max(held.last, last);
  }

  #admit(record: RecordView, origin: Origin, input: string, leftOut: boolean, times: number): number {
    const key = this.#key;
    const span = this.#span;
    const signs = this.#signsOf(record) | (leftOut ? LEFT_OUT : 0);
    key[ORIGIN] = this.#idOfStream(origin, input);
    key[FORMAT] = this.#idOfFormat(record.format);
    key[SIGNS] = signs;
    const code = record.responseCode();
    key[CODE] = code === null ? NULL : this.#idOfCode(code);
    let http = (signs & HAS_PATH) !== 0;
    for (let i = 0; i < TUPLE_FIELDS.length; i++) {
      const found = record.locate(TUPLE_SLOTS[i]!, span);
      key[FIRST_FIELD + i] = found < 0 ? found : this.#texts[i]!.idOf(span);
      if (found > 0 && (i === METHOD || i === PROTOCOL || i === AUTHORITY)) http = true;
    }
    key[LOCAL] = http ? ABSENT : this.#idOfLocal(record);
    return this.#tupleOf(key, times, true) ?? this.#crowdOf(judge(record), times);
  }

  /**
   * Counts a tuple; `undefined` where there is no more room for it.
   * @param limited as one of those that are alike: where tuples are merged all are, so that a cell's stay in one
   */
  #tupleOf(key: Int32Array, times: number, limited: boolean): number | undefined {
    const known = this.#tuples.find(key);
    if (known >= 0) {
      this.#tuples.addTo(known, times);
      return known;
    }
    if (limited) this.#limitAlike(key);
    if (this.#tuples.size >= MOST_TUPLES && this.#tuples.find(key) < 0) return undefined;
    const tuple = this.#tuples.add(key, times);
    if (tuple === this.#told.length) this.#told.push(this.#tell(tuple));
    return tuple;
  }

  /** Where too many tuples are alike, takes from a new one what makes it differ. */
  #limitAlike(key: Int32Array): void {
    const bare = this.#bareOf(key);
    const kind = this.#bare.find(bare);
    if (kind < 0) this.#bare.add(bare, 0);
    else if (this.#hasEnough(kind)) key.set(bare);
    else {
      this.#bare.addTo(kind, 1);
      this.#alike++;
    }
  }

  #hasEnough(kind: number): boolean {
    const some = this.#bare.count(kind);
    return some >= MOST_OF_A_KIND || (this.#alike >= MOST_ALIKE && some >= FEW_OF_A_KIND);
  }

  /** A key without what clients chose; valid until the next one. */
  #bareOf(key: Int32Array): Int32Array {
    const bare = this.#bareKey;
    bare.set(key);
    for (const name of CHOSEN) {
      const place = PLACE[name];
      const text = key[place]! < 0 ? '' : this.#texts[place - FIRST_FIELD]!.text(key[place]!)!;
      const isMesh = name === 'requested_server_name' && text.startsWith(MESH_SERVER_NAME);
      if (text !== '' && !isMesh) bare[place] = OTHERS;
    }
    return bare;
  }

  /** Whether from now on all new tuples that differ from it only by what clients chose are this one. */
  isForAll(tuple: number): boolean {
    const key = this.#key;
    for (let place = 0; place < WIDTH; place++) key[place] = this.#tuples.number(tuple, place);
    const bare = this.#bareOf(key);
    if (!CHOSEN.some((name) => key[PLACE[name]] === OTHERS) || bare.some((id, i) => id !== key[i]))
      return false;
    const kind = this.#bare.find(bare);
    return kind >= 0 && this.#hasEnough(kind);
  }

  /** There are too many kinds of line: this one is counted with those of its stream that ended like it. */
  #crowdOf(outcome: Outcome, times: number): number {
    const key = this.#key;
    key[SIGNS] = (key[SIGNS]! & LEFT_OUT) | signsOfOutcome(outcome);
    if (this.#tuples.size >= 2 * MOST_TUPLES) key[CODE] = OTHERS;
    key.fill(ABSENT, FIRST_FIELD);
    const tuple = this.#tuples.add(key, times);
    if (tuple === this.#told.length) this.#told.push(this.#tell(tuple));
    return tuple;
  }

  #idOfFormat(format: string): number {
    if (format === this.#format) return this.#formatId;
    this.#format = format;
    this.#span.set(format);
    return (this.#formatId = this.#formats.idOf(this.#span));
  }

  #idOfLocal(record: RecordView): number {
    const found = record.locate(SLOT.downstream_local_address, this.#span);
    return found < 0 ? found : this.#locals.idOf(this.#span);
  }

  #idOfStream(origin: Origin, input: string): number {
    const last = this.#stream;
    const pod = origin.pod ?? null;
    const file = origin.file ?? null;
    if (last && last.pod === pod && last.file === file && last.input === input) return this.#streamId;
    this.#streamId = this.#addStream({ input, pod, file });
    this.#stream = this.#streams[this.#streamId]!;
    return this.#streamId;
  }

  #addStream(stream: StreamKey): number {
    const key = JSON.stringify([stream.input, stream.pod, stream.file]);
    const known = this.#streamIds.get(key);
    if (known !== undefined) return known;
    if (this.#streams.length >= MOST_TEXTS && stream.pod !== OTHERS_TEXT) {
      return this.#addStream({ ...stream, pod: OTHERS_TEXT });
    }
    this.#streamIds.set(key, this.#streams.length);
    return this.#streams.push(stream) - 1;
  }

  #idOfCode(code: number): number {
    this.#span.set(String(code));
    return this.#codes.idOf(this.#span);
  }

  #signsOf(record: RecordView): number {
    const local = this.#span;
    const remote = this.#other;
    let signs = record.upstreamServiceTimeMs() === null ? NO_SERVICE_TIME : 0;
    if (record.locate(SLOT.path, local) > 0) signs |= HAS_PATH;
    if (record.ztunnelPair('error') !== null) signs |= BROKEN;
    const side = record.ztunnelPair('direction');
    if (side === 'inbound') signs |= ZTUNNEL_INBOUND;
    if (side === 'outbound') signs |= ZTUNNEL_OUTBOUND;
    if (record.locate(SLOT.upstream_local_address, local) < 0) return signs;
    if (beginsWith(local, OWN_APP_V4) || beginsWith(local, OWN_APP_V6)) signs |= CALLS_OWN_APP;
    if (record.locate(SLOT.downstream_remote_address, remote) < 0) return signs;
    toHost(local);
    toHost(remote);
    return signs | (sameBytes(local, remote) ? FROM_OWN_POD : FROM_ELSEWHERE);
  }

  #addValues(record: RecordView, told: Told, code: number | null): void {
    const span = this.#span;
    const { values } = this;
    const { cell } = told;
    if (record.locate(SLOT.upstream_host, span) >= 0) values.add(cell, 0, span);
    if (record.locate(SLOT.downstream_remote_address, span) > 0) {
      toHost(span);
      values.add(cell, 1, span);
    }
    if (record.locate(SLOT.path, span) > 0) values.addPath(cell, span);
    if (record.locate(SLOT.user_agent, span) >= 0) values.add(cell, 3, span);
    const { failure, http } = told.outcome;
    const duration = record.durationMs();
    if (duration !== null) {
      // The length of a session is no latency: websockets and TCP would drown the rest.
      if (http && code !== 101) this.#addDuration(ALL, duration);
      if (failure) this.#addDuration(cell, duration);
    }
    if (failure) {
      const held = this.#cells[cell]!;
      const start = record.startTime();
      if (start < held.first) held.first = start;
      if (start > held.last) held.last = start;
    }
    values.shed();
  }

  #addDuration(cell: number, ms: number): void {
    this.values.addDuration(cell, ms);
    this.reaches(cell, ms);
  }

  #tell(tuple: number): Told {
    const view = this.#view.of(this, tuple);
    const signs = this.signs(tuple);
    const outcome = (signs & CROWD) === 0 ? judge(view) : outcomeOfSigns(signs);
    const counts = (signs & LEFT_OUT) === 0 && !outcome.tunnel;
    const cluster = view.upstreamCluster();
    const proxy = proxyOfStream(this.streamOf(tuple));
    const scope = outcome.http ? 'authority' : 'address';
    const meant = outcome.http ? view.text('authority') : this.local(tuple);
    // Of names that are not told apart, those without a cluster are mostly nobody's: the routed ones are not theirs.
    const isUnrouted = !cluster && this.#tuples.number(tuple, PLACE.authority) === OTHERS;
    const details = view.text('response_code_details');
    const group: GroupKey = {
      direction: directionOf(view),
      upstreamCluster: cluster?.name ?? null,
      responseCode: view.responseCode(),
      responseFlags: view.responseFlags(),
      detailsClass: details ? detailsClass(details) : (details ?? null),
    };
    const cell = this.#cellOf(
      `${proxy}\n${scope}\n${meant ?? ''}${isUnrouted ? '\nunrouted' : ''}`,
      cluster ? `${proxy}\ncluster\n${cluster.name}` : null,
      counts && outcome.failure ? group : null,
    );
    return { outcome, group, cluster, cell, fromOwnPod: fromOwnPodIn(signs) };
  }

  #cellOf(ofAuthority: string, ofCluster: string | null, group: GroupKey | null): number {
    const key = nameOfCell(ofAuthority, ofCluster, group);
    const known = this.#cellIds.get(key);
    if (known !== undefined) return known;
    this.#cellIds.set(key, this.#cells.length);
    return (
      this.#cells.push({ ofAuthority, ofCluster, group, first: Infinity, last: -Infinity, longest: 0 }) - 1
    );
  }

  get #tables(): readonly Dictionary[] {
    return [this.#formats, this.#codes, this.#locals, ...this.#texts];
  }

  pack(): PackedTally {
    return {
      streams: this.#streams,
      tables: this.#tables.map((table) => table.pack()),
      values: this.values.pack(),
      tuples: this.#tuples.pack(),
      cellOf: Int32Array.from(this.#told, ({ cell }) => cell),
      outcomes: Int32Array.from(this.#told, ({ outcome }) => signsOfOutcome(outcome)),
      extents: Float64Array.from(this.#cells.flatMap(({ first, last, longest }) => [first, last, longest])),
    };
  }

  /** Takes over what another one counted; returns for each of the other's cells which one it is here. */
  merge(other: PackedTally): Int32Array {
    const cells = this.#mergeTuples(other);
    for (let cell = 0; cell < cells.length; cell++) {
      const mine = this.#cells[cells[cell]!]!;
      mine.first = Math.min(mine.first, other.extents[3 * cell]!);
      mine.last = Math.max(mine.last, other.extents[3 * cell + 1]!);
      mine.longest = Math.max(mine.longest, other.extents[3 * cell + 2]!);
    }
    this.values.merge(other.values, cells);
    return cells;
  }

  /** Returns for each of the other's cells which one it is here. */
  #mergeTuples({ streams, tables, tuples, cellOf, outcomes, extents }: PackedTally): Int32Array {
    const mine = streams.map((stream) => this.#addStream(stream));
    const from = tables.map((packed) => new Translated(packed));
    const places = [FORMAT, CODE, LOCAL, ...TUPLE_FIELDS.map((name) => PLACE[name])];
    const into = this.#tables;
    const cells = new Int32Array(extents.length / 3);
    const key = this.#key;
    for (let tuple = 0; tuple < cellOf.length; tuple++) {
      key[ORIGIN] = mine[tuples.keys[tuple * WIDTH + ORIGIN]!]!;
      key[SIGNS] = tuples.keys[tuple * WIDTH + SIGNS]!;
      for (let i = 0; i < places.length; i++) {
        const place = places[i]!;
        key[place] = from[i]!.idIn(into[i]!, tuples.keys[tuple * WIDTH + place]!);
      }
      const times = tuples.counts[tuple]!;
      const here = this.#tupleOf(key, times, false) ?? this.#crowdOf(outcomeOfSigns(outcomes[tuple]!), times);
      cells[cellOf[tuple]!] = this.#told[here]!.cell;
    }
    return cells;
  }

  /** How many tuples there are; they are asked for by their number. */
  get size(): number {
    return this.#tuples.size;
  }
  count(tuple: number): number {
    return this.#tuples.count(tuple);
  }
  told(tuple: number): Told {
    return this.#told[tuple]!;
  }
  streamOf(tuple: number): StreamKey {
    return this.#streams[this.#tuples.number(tuple, ORIGIN)]!;
  }
  isLeftOut(tuple: number): boolean {
    return (this.signs(tuple) & LEFT_OUT) !== 0;
  }
  /** Whether a tuple has its fields as they were logged: some stand for many that there was no room for. */
  isWhole(tuple: number): boolean {
    if ((this.signs(tuple) & CROWD) !== 0) return false;
    for (let place = FORMAT; place < WIDTH; place++) {
      if (this.#tuples.number(tuple, place) === OTHERS) return false;
    }
    return true;
  }
  signs(tuple: number): number {
    return this.#tuples.number(tuple, SIGNS);
  }
  format(tuple: number): string {
    return this.#formats.text(this.#tuples.number(tuple, FORMAT)) ?? '';
  }
  code(tuple: number): string | null {
    return this.#codes.text(this.#tuples.number(tuple, CODE));
  }
  local(tuple: number): string | null {
    return this.#locals.text(this.#tuples.number(tuple, LOCAL));
  }
  text(tuple: number, field: TupleField): string | null | undefined {
    const place = PLACE[field];
    const id = this.#tuples.number(tuple, place);
    return id === ABSENT ? undefined : this.#texts[place - FIRST_FIELD]!.text(id);
  }
  /** How many lines each cell counts. */
  linesByCell(): Float64Array {
    const lines = new Float64Array(this.#cells.length);
    for (let tuple = 0; tuple < this.size; tuple++) {
      if (!this.isLeftOut(tuple)) lines[this.told(tuple).cell]! += this.count(tuple);
    }
    return lines;
  }
  get cells(): readonly Cell[] {
    return this.#cells;
  }
  /** What every tally calls a cell, whatever its number there. */
  nameOf(cell: number): string {
    const { ofAuthority, ofCluster, group } = this.#cells[cell]!;
    return nameOfCell(ofAuthority, ofCluster, group);
  }
  cellNamed(name: string): number | undefined {
    return this.#cellIds.get(name);
  }
}

const nameOfCell = (ofAuthority: string, ofCluster: string | null, group: GroupKey | null): string =>
  JSON.stringify([ofAuthority, ofCluster, group && groupKeyText(group)]);

const clusterOf = boundedCache(parseUpstreamCluster);

/** A tuple looked at as a line, as far as its outcome depends on it. */
class TupleView implements Judged {
  #tally!: Tally;
  #tuple = 0;
  #signs = 0;

  of(tally: Tally, tuple: number): this {
    this.#tally = tally;
    this.#tuple = tuple;
    this.#signs = tally.signs(tuple);
    return this;
  }

  responseCode(): number | null {
    const code = this.#tally.code(this.#tuple);
    return code === null || code === OTHERS_TEXT ? null : Number(code);
  }
  responseFlags(): FlagSet {
    return parseFlags(this.text('response_flags') ?? '-');
  }
  upstreamServiceTimeMs(): number | null {
    return (this.#signs & NO_SERVICE_TIME) === 0 ? 0 : null;
  }
  upstreamCluster(): UpstreamCluster | null {
    const name = this.text('upstream_cluster');
    return name ? clusterOf(name) : null;
  }
  text(field: FieldName): string | null | undefined {
    if (isTupleField(field)) return this.#tally.text(this.#tuple, field);
    if (field === 'path') return (this.#signs & HAS_PATH) === 0 ? null : '/';
    return field === 'upstream_local_address' && (this.#signs & CALLS_OWN_APP) !== 0 ? '127.0.0.6:0' : null;
  }
  ztunnelPair(key: string): string | null {
    if (key === 'error') return (this.#signs & BROKEN) === 0 ? null : '';
    if (key !== 'direction') return null;
    if ((this.#signs & ZTUNNEL_INBOUND) !== 0) return 'inbound';
    return (this.#signs & ZTUNNEL_OUTBOUND) === 0 ? null : 'outbound';
  }
}

const isTupleField = (field: FieldName): field is TupleField => Object.hasOwn(PLACE, field);

const OWN_APP_V4 = Buffer.from('127.0.0.6:');
const OWN_APP_V6 = Buffer.from('[::6]:');
const COLON = 58;

function beginsWith({ bytes, start, end }: Span, head: Uint8Array): boolean {
  if (end - start < head.length) return false;
  for (let i = 0; i < head.length; i++) if (bytes[start + i] !== head[i]) return false;
  return true;
}

function sameBytes(a: Span, b: Span): boolean {
  const length = a.end - a.start;
  if (length !== b.end - b.start) return false;
  for (let i = 0; i < length; i++) if (a.bytes[a.start + i] !== b.bytes[b.start + i]) return false;
  return true;
}

/** Narrows an address to its host, as `hostOf` does: `10.0.0.1:80` and `[fd00::1]:80` without a string. */
function toHost(span: Span): void {
  const { bytes, start, end } = span;
  const first = bytes[start]!;
  if (first >= 48 && first <= 57) {
    let colon = -1;
    for (let at = start; at < end; at++) {
      if (bytes[at] !== COLON) continue;
      if (colon >= 0) return;
      colon = at;
    }
    if (colon >= 0) span.end = colon;
    return;
  }
  if (first === 91) {
    let close = start + 1;
    while (close < end && bytes[close] !== 93) close++;
    if (close < end) {
      span.start = start + 1;
      span.end = close;
      return;
    }
  }
  span.set(hostOf(Buffer.from(bytes.subarray(start, end)).toString()));
}

function signsOfOutcome({ failure, http, app4xx, tunnel, answeredBy }: Outcome): number {
  return (
    CROWD |
    (failure ? CROWD_FAILURE : 0) |
    (http ? CROWD_HTTP : 0) |
    (app4xx ? CROWD_APP_4XX : 0) |
    (tunnel ? CROWD_TUNNEL : 0) |
    (ANSWERERS.indexOf(answeredBy) << CROWD_ANSWERER)
  );
}

function outcomeOfSigns(signs: number): Outcome {
  return {
    failure: (signs & CROWD_FAILURE) !== 0,
    http: (signs & CROWD_HTTP) !== 0,
    app4xx: (signs & CROWD_APP_4XX) !== 0,
    tunnel: (signs & CROWD_TUNNEL) !== 0,
    answeredBy: ANSWERERS[(signs >> CROWD_ANSWERER) & 3]!,
  };
}

export const proxyOfStream = ({ pod, file }: StreamKey): string => pod ?? file ?? '';
