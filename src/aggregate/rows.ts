import { hostOf } from '../record/address.js';
import { proxyOf, type Origin } from '../record/origin.js';
import type { RecordView } from '../record/record-view.js';
import { maskedRequestId } from '../record/request-id.js';
import { detailsClass } from '../record/response-code-details.js';
import { flagSetKey, parseFlags, type FlagSet } from '../record/response-flags.js';
import { parseUpstreamCluster, type Direction, type UpstreamCluster } from '../record/upstream-cluster.js';
import { boundedCache } from '../record/bounded-cache.js';
import type { AnsweredBy } from './failure.js';
import { AGREED, clocksOf, type Clocks } from './clocks.js';

import { groupKeyText } from './group-key.js';
import { pathTemplate } from './path-template.js';
import type { Told } from './tally.js';

/*
 * The lines themselves, in columns, for what counters cannot answer: gaps, equal ends, joins, partitions nobody thought
 * of before. Every line is kept until there are too many; then an even sample of the healthy ones is (and, far later, of
 * the failing ones). Which lines stay depends on their request id (or connection, or place) alone: the lines that several
 * proxies wrote of one request stay or go together, and halves of an input merge to the same rows.
 */

const TEXT_COLUMNS = [
  'format',
  'proxy',
  'pod',
  'file',
  'method',
  'path',
  'protocol',
  'flags',
  'details',
  'termination',
  'transportFailure',
  'userAgent',
  'authority',
  'upstreamHost',
  'cluster',
  'upstreamLocal',
  'downstreamLocal',
  'downstreamRemote',
  'serverName',
  'route',
  'direction',
  'requestId',
  'error',
  'service',
  'sourceWorkload',
  'targetWorkload',
  'sourceIdentity',
] as const;
type TextColumn = (typeof TEXT_COLUMNS)[number];

const NUMBER_COLUMNS = [
  'time',
  'duration',
  'serviceTime',
  'received',
  'sent',
  'code',
  'line',
  'bits',
  'hash',
  'share',
] as const;
type NumberColumn = (typeof NUMBER_COLUMNS)[number];

const NULL = -1;
const ABSENT = -2;
const ANSWERERS = ['peer', 'proxy', 'unknown'] as const satisfies readonly AnsweredBy[];
const FAILURE = 4;
const HTTP = 8;
const APP_4XX = 16;
const TUNNEL = 32;
/** ztunnel stamps a line when the connection is over (ztunnel src/proxy/metrics.rs: it is written as the result is recorded). */
const STAMPED_AT_END = 64;

const clusterOf = boundedCache(parseUpstreamCluster);

class Interner {
  readonly texts: string[] = [];
  readonly #ids = new Map<string, number>();

  id(text: string | null | undefined): number {
    if (text === null) return NULL;
    if (text === undefined) return ABSENT;
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    this.#ids.set(text, this.texts.length);
    return this.texts.push(text) - 1;
  }
}

/** Growing columns; a row is an index. */
class Columns {
  length = 0;
  #capacity = 1024;
  readonly text = Object.fromEntries(TEXT_COLUMNS.map((name) => [name, new Int32Array(1024)])) as Record<
    TextColumn,
    Int32Array
  >;
  readonly number = Object.fromEntries(
    NUMBER_COLUMNS.map((name) => [name, new Float64Array(1024)]),
  ) as Record<NumberColumn, Float64Array>;
  readonly interned = Object.fromEntries(TEXT_COLUMNS.map((name) => [name, new Interner()])) as Record<
    TextColumn,
    Interner
  >;

  push(): number {
    if (this.length === this.#capacity) this.#grow();
    return this.length++;
  }

  /** Takes over one row of another table. */
  pushFrom(other: Columns, row: number): void {
    const mine = this.push();
    for (const name of NUMBER_COLUMNS) this.number[name][mine] = other.number[name][row]!;
    for (const name of TEXT_COLUMNS) {
      const id = other.text[name][row]!;
      this.text[name][mine] = id < 0 ? id : this.interned[name].id(other.interned[name].texts[id]!);
    }
  }

  #grow(): void {
    this.#capacity *= 2;
    for (const name of NUMBER_COLUMNS) {
      const wider = new Float64Array(this.#capacity);
      wider.set(this.number[name]);
      this.number[name] = wider;
    }
    for (const name of TEXT_COLUMNS) {
      const wider = new Int32Array(this.#capacity);
      wider.set(this.text[name]);
      this.text[name] = wider;
    }
  }
}

/** One kept line. Times in ms since the Unix epoch, durations in ms, sizes in bytes; `null` is Envoy's `-` or an absent field. */
export class Row {
  constructor(
    readonly columns: Columns,
    readonly index: number,
    /** How many lines of the input this one stands for: 1 while all are kept. */
    readonly weight: number,
    /** How far the clock of its proxy is ahead of the others', ms. */
    readonly ahead = 0,
  ) {}

  #text(name: TextColumn): string | null {
    const id = this.columns.text[name][this.index]!;
    return id < 0 ? null : this.columns.interned[name].texts[id]!;
  }
  #number(name: NumberColumn): number {
    return this.columns.number[name][this.index]!;
  }
  #nullable(name: NumberColumn): number | null {
    const value = this.#number(name);
    return Number.isNaN(value) ? null : value;
  }
  #bit(bit: number): boolean {
    return (this.#number('bits') & bit) !== 0;
  }

  /** When the request began, by the time that the proxies agree on. */
  get start(): number {
    const time = this.#number('time') - this.ahead;
    return this.#bit(STAMPED_AT_END) ? time - this.duration : time;
  }
  /** The same as its proxy logged it. */
  get loggedStart(): number {
    return this.#number('time');
  }
  get duration(): number {
    return this.#nullable('duration') ?? 0;
  }
  /** When the request ended: start and duration. Crashes and connect timeouts align here. */
  get end(): number {
    return this.start + this.duration;
  }
  get serviceTime(): number | null {
    return this.#nullable('serviceTime');
  }
  get received(): number | null {
    return this.#nullable('received');
  }
  get sent(): number | null {
    return this.#nullable('sent');
  }
  get code(): number | null {
    return this.#nullable('code');
  }
  get line(): number {
    return this.#number('line');
  }
  get format(): string {
    return this.#text('format') ?? '';
  }
  /** Whose log it stands in: pod, else file. */
  get proxy(): string {
    return this.#text('proxy') ?? '';
  }
  get pod(): string | null {
    return this.#text('pod');
  }
  get file(): string | null {
    return this.#text('file');
  }
  get method(): string | null {
    return this.#text('method');
  }
  get path(): string | null {
    return this.#text('path');
  }
  get pathTemplate(): string | null {
    const path = this.path;
    return path === null ? null : pathTemplate(path);
  }
  get protocol(): string | null {
    return this.#text('protocol');
  }
  get flags(): FlagSet {
    return parseFlags(this.#text('flags') ?? '-');
  }
  /** The set of flags as one text, sorted; `""` for none. */
  get flagSet(): string {
    return flagSetKey(this.flags);
  }
  has(flag: string): boolean {
    return this.flags.includes(flag);
  }
  get details(): string | null {
    return this.#text('details');
  }
  /** Whether the layout has response code details at all. */
  get hasDetails(): boolean {
    return this.columns.text.details[this.index] !== ABSENT;
  }
  get detailsClass(): string | null {
    const details = this.details;
    return details ? detailsClass(details) : details;
  }
  get termination(): string | null {
    return this.#text('termination');
  }
  get transportFailure(): string | null {
    return this.#text('transportFailure');
  }
  get userAgent(): string | null {
    return this.#text('userAgent');
  }
  get authority(): string | null {
    return this.#text('authority');
  }
  get upstreamHost(): string | null {
    return this.#text('upstreamHost');
  }
  /** The upstream host without its port. */
  get upstreamIp(): string | null {
    const host = this.upstreamHost;
    return host === null ? null : hostOf(host);
  }
  get cluster(): UpstreamCluster | null {
    const name = this.#text('cluster');
    return name ? clusterOf(name) : null;
  }
  get upstreamLocal(): string | null {
    return this.#text('upstreamLocal');
  }
  get downstreamLocal(): string | null {
    return this.#text('downstreamLocal');
  }
  get downstreamRemote(): string | null {
    return this.#text('downstreamRemote');
  }
  /** The downstream peer without its port: the caller's pod, or a client from X-Forwarded-For. */
  get peer(): string | null {
    const remote = this.downstreamRemote;
    return remote === null ? null : hostOf(remote);
  }
  get serverName(): string | null {
    return this.#text('serverName');
  }
  get route(): string | null {
    return this.#text('route');
  }
  get direction(): Direction {
    return this.#text('direction') as Direction;
  }
  get requestId(): string | null {
    return this.#text('requestId');
  }
  /** ztunnel: the sentence that says what failed. */
  get error(): string | null {
    return this.#text('error');
  }
  /** ztunnel: the host of the service that was meant. */
  get service(): string | null {
    return this.#text('service');
  }
  /** ztunnel: the pods at both ends. */
  get sourceWorkload(): string | null {
    return this.#text('sourceWorkload');
  }
  get targetWorkload(): string | null {
    return this.#text('targetWorkload');
  }
  /** ztunnel: the caller's SPIFFE identity. */
  get sourceIdentity(): string | null {
    return this.#text('sourceIdentity');
  }
  get answeredBy(): AnsweredBy {
    return ANSWERERS[this.#number('bits') & 3]!;
  }
  get failure(): boolean {
    return this.#bit(FAILURE);
  }
  get http(): boolean {
    return this.#bit(HTTP);
  }
  get app4xx(): boolean {
    return this.#bit(APP_4XX);
  }
  get tunnel(): boolean {
    return this.#bit(TUNNEL);
  }
  /** The failure group that the line belongs to. */
  get groupKey(): string {
    return groupKeyText({
      direction: this.direction,
      upstreamCluster: this.cluster?.name ?? null,
      responseCode: this.code,
      responseFlags: this.flags,
      detailsClass: this.detailsClass,
    });
  }
}

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

/** FNV-1a, then a finaliser: a text and a number as 32 well-mixed bits. */
function hashOf(text: string, number = 0): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ number, 0x01000193);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** An id that more kept lines carry is nobody's request: its lines are sampled one by one. */
const MOST_OF_ONE_ID = 500;

/** With so many times the room that is taken, more may be kept. */
const ROOM = 4;

/** Rows of one kind: all while they are few, then those whose hash lies under a threshold that halves. */
class Sample {
  columns = new Columns();
  /** Of what comes now, 1 keeps every row, 1/2 every second, and so on; a row knows the share that it was kept of. */
  share = 1;

  /** Ids that turned out to be on too many lines. */
  readonly shared = new Set<string>();

  constructor(readonly limit: number) {}

  /** What decides whether a line stays: its request where it names one, else its connection, else its place. */
  hashOf(
    id: string | null | undefined,
    connection: string | null | undefined,
    place: string,
    line: number,
  ): number {
    if (id) {
      const key = maskedRequestId(id);
      return this.shared.has(key) ? hashOf(place, line) : hashOf(key);
    }
    return connection ? hashOf(connection) : hashOf(place, line);
  }

  keeps(hash: number): boolean {
    return hash < this.share * 0x1_0000_0000;
  }

  /** Halves the share until the rows fit. */
  trim(): void {
    if (this.columns.length > this.limit) this.#scatter();
    while (this.columns.length > this.limit) {
      this.share /= 2;
      this.#drop();
    }
  }

  merge(other: Sample): void {
    this.share = Math.min(this.share, other.share);
    for (const id of other.shared) this.shared.add(id);
    this.#scatter();
    this.#drop();
    for (let row = 0; row < other.columns.length; row++) {
      if (this.keeps(other.columns.number.hash[row]!)) this.#keep(this.columns, other.columns, row);
    }
    this.trim();
  }

  /**
   * Lets go of what ended before a time, ms since the epoch. Where much room came free by it, a larger share of what comes
   * is kept again.
   */
  forget(before: number): void {
    const { number } = this.columns;
    const kept = new Columns();
    for (let row = 0; row < this.columns.length; row++) {
      const end = number.time[row]! + (number.duration[row]! || 0);
      if (!(end < before)) kept.pushFrom(this.columns, row);
    }
    this.columns = kept;
    if (this.share < 1 && kept.length * ROOM < this.limit) this.share *= 2;
  }

  /** Lines of an id that far too many carry would stay or go all at once: from now on each for itself. */
  #scatter(): void {
    const { columns } = this;
    const ids = columns.text.requestId;
    const counts = new Map<number, number>();
    for (let row = 0; row < columns.length; row++) {
      const id = ids[row]!;
      if (id >= 0) counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    const { texts } = columns.interned.requestId;
    const many = new Set<number>();
    for (const [id, count] of counts) {
      const key = maskedRequestId(texts[id]!);
      if (count > MOST_OF_ONE_ID) this.shared.add(key);
      if (this.shared.has(key)) many.add(id);
    }
    if (many.size === 0) return;
    for (let row = 0; row < columns.length; row++) {
      if (many.has(ids[row]!))
        columns.number.hash[row] = hashOf(placeAt(columns, row), columns.number.line[row]!);
    }
  }

  #drop(): void {
    const kept = new Columns();
    for (let row = 0; row < this.columns.length; row++) {
      if (this.keeps(this.columns.number.hash[row]!)) this.#keep(kept, this.columns, row);
    }
    this.columns = kept;
  }

  #keep(to: Columns, from: Columns, row: number): void {
    to.pushFrom(from, row);
    const shares = to.number.share;
    shares[to.length - 1] = Math.min(shares[to.length - 1]!, this.share);
  }

  rows(clocks: Clocks): Row[] {
    const { columns } = this;
    const rows: Row[] = [];
    for (let row = 0; row < columns.length; row++) {
      const ahead = clocks === AGREED ? 0 : clocks.aheadOf(textAt(columns, 'proxy', row));
      rows.push(new Row(columns, row, 1 / columns.number.share[row]!, ahead));
    }
    return rows;
  }
}

const textAt = (columns: Columns, name: TextColumn, row: number): string =>
  columns.interned[name].texts[columns.text[name][row]!] ?? '';

/** The stream that a kept line stands in. */
const placeAt = (columns: Columns, row: number): string =>
  textAt(columns, 'file', row) || textAt(columns, 'proxy', row);

export interface RowLimits {
  readonly healthy: number;
  readonly failing: number;
}

/** Lines of one request; with more it is nobody's. */
const MOST_PINNED = 5_000;

export const ROW_LIMITS: RowLimits = { healthy: 80_000, failing: 60_000 };

/** Keeps the lines that diagnosis reasons about. */
export class Rows {
  readonly #healthy: Sample;
  readonly #failing: Sample;

  /** Lines of the one request that somebody asked for: kept however many others are not. */
  readonly #pinned = new Sample(MOST_PINNED);
  readonly #pin: string | undefined;
  #seen = 0;

  /** @param requestId of a request whose lines are kept in any case. */
  constructor(limits: RowLimits = ROW_LIMITS, requestId?: string) {
    this.#healthy = new Sample(limits.healthy);
    this.#failing = new Sample(limits.failing);
    this.#pin = requestId && maskedRequestId(requestId);
  }

  add(record: RecordView, { outcome, group }: Told, origin: Origin): void {
    this.#seen++;
    const id = record.text('request_id');
    const pinned = this.#pin !== undefined && !!id && maskedRequestId(id) === this.#pin;
    const sample = pinned ? this.#pinned : outcome.failure ? this.#failing : this.#healthy;
    const proxy = proxyOf(origin);
    const { direction } = group;
    const near = direction === 'inbound' || direction === 'unknown';
    const connection = record.text(near ? 'downstream_remote_address' : 'upstream_local_address');
    const hash = sample.hashOf(id, connection, origin.file ?? proxy, origin.line);
    if (!sample.keeps(hash)) return;
    const { columns } = sample;
    const row = columns.push();
    const number = (name: NumberColumn, value: number | null): void => {
      columns.number[name][row] = value ?? NaN;
    };
    const text = (name: TextColumn, value: string | null | undefined): void => {
      columns.text[name][row] = columns.interned[name].id(value);
    };
    number('time', record.startTime());
    number('duration', record.durationMs());
    number('serviceTime', record.upstreamServiceTimeMs());
    number('received', record.bytesReceived());
    number('sent', record.bytesSent());
    number('code', record.responseCode());
    number('line', origin.line);
    number('hash', hash);
    number('share', sample.share);
    number(
      'bits',
      ANSWERERS.indexOf(outcome.answeredBy) |
        (outcome.failure ? FAILURE : 0) |
        (outcome.http ? HTTP : 0) |
        (outcome.app4xx ? APP_4XX : 0) |
        (outcome.tunnel ? TUNNEL : 0) |
        (record.format.startsWith('ztunnel') ? STAMPED_AT_END : 0),
    );
    text('format', record.format);
    text('proxy', proxy);
    text('pod', origin.pod);
    text('file', origin.file);
    text('method', record.text('method'));
    text('path', record.text('path'));
    text('protocol', record.text('protocol'));
    text('flags', record.text('response_flags'));
    text('details', record.text('response_code_details'));
    text('termination', record.text('connection_termination_details'));
    text('transportFailure', record.text('upstream_transport_failure_reason'));
    text('userAgent', record.text('user_agent'));
    text('authority', record.text('authority'));
    text(
      'upstreamHost',
      record.text('upstream_host') ?? record.ztunnelPair('dst.hbone_addr') ?? record.ztunnelPair('dst.addr'),
    );
    text('error', record.ztunnelPair('error'));
    text('service', record.ztunnelPair('dst.service'));
    text('sourceWorkload', record.ztunnelPair('src.workload'));
    text('targetWorkload', record.ztunnelPair('dst.workload'));
    text('sourceIdentity', record.ztunnelPair('src.identity'));
    text('cluster', record.upstreamCluster()?.name ?? null);
    text('upstreamLocal', record.text('upstream_local_address'));
    text('downstreamLocal', record.text('downstream_local_address'));
    text('downstreamRemote', record.text('downstream_remote_address') ?? record.ztunnelPair('src.addr'));
    text('serverName', record.text('requested_server_name'));
    text('route', record.text('route_name'));
    text('direction', direction);
    text('requestId', id);
    if (columns.length > sample.limit) sample.trim();
  }

  merge(other: this): void {
    this.#seen += other.#seen;
    this.#healthy.merge(other.#healthy);
    this.#failing.merge(other.#failing);
    this.#pinned.merge(other.#pinned);
  }

  /** Lets go of what ended before a time, ms since the epoch. */
  forget(before: number): void {
    for (const sample of [this.#healthy, this.#failing, this.#pinned]) sample.forget(before);
  }

  #rowsBy(clocks: Clocks): Row[] {
    return [this.#healthy, this.#failing, this.#pinned].flatMap((sample) => sample.rows(clocks));
  }

  snapshot(): RowsSnapshot {
    this.#healthy.trim();
    this.#failing.trim();
    this.#pinned.trim();
    const clocks = clocksOf(this.#rowsBy(AGREED));
    const all = this.#rowsBy(clocks).toSorted(byTimeAndPlace);
    const rows = withoutRepeats(all);
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
        const key = wholeText(row);
        const other = key === null ? undefined : first.get(key);
        if (other && other.file !== row.file) repeated.add(row);
        else if (key !== null) first.set(key, row);
      }
    }
    from = to;
  }
  return repeated.size === 0 ? rows : rows.filter((row) => !repeated.has(row));
}

/** All that tells one line from another; `null` for a line that names no connection. */
function wholeText(row: Row): string | null {
  if (row.downstreamRemote === null || row.file === null) return null;
  const { columns, index } = row;
  const texts = TELLING.map((name) => (columns.text[name][index]! < 0 ? '' : textAt(columns, name, index)));
  return [...texts, row.duration, row.code, row.received, row.sent].join('\n');
}

const TELLING = [
  'requestId',
  'path',
  'flags',
  'upstreamHost',
  'upstreamLocal',
  'downstreamLocal',
  'downstreamRemote',
  'direction',
] as const satisfies readonly TextColumn[];

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
