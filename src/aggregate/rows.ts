import { SLOT } from '../record/access-record.js';
import { proxyOf, type Origin } from '../record/origin.js';
import type { RecordView } from '../record/record-view.js';
import { maskedRequestId } from '../record/request-id.js';
import { Span } from '../record/span.js';
import { AGREED, clocksOf, type Clocks } from './clocks.js';
import {
  bitsOf,
  Figure,
  FIELDS,
  Text,
  type Columns,
  type Place,
  type RowRead,
  type RowsKind,
  type Said,
} from './columns.js';
import { directionOf } from './group-key.js';
import { hashOfLine } from './line-hash.js';
import type { Row } from './row.js';
import { Sample, type PackedSample } from './sample.js';
import type { CellLines, LineCounts, Strata } from './strata.js';
import { proxyNamesOf } from './unnamed-pods.js';

/*
 * The lines themselves, in columns, for what counters cannot answer: gaps, equal ends, joins, partitions nobody thought
 * of before. Every line is kept until there are too many; then a sample of the healthy ones is, and one of the failing
 * ones, in which what is rare is not lost (strata.ts). Which lines stay depends on their request id (or connection, or
 * place) and on how many others there are like them: the lines that several proxies wrote of one request stay or go
 * together, and halves of an input merge to the same rows.
 */

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
  /** For how long the connections of some had been idle before, ms (`null`: not used before), where somebody looked it up. */
  readonly idleTimes?: ReadonlyMap<Row, number | null>;
}

/** What several who keep lines have to know of each other to keep no more than one would, by sample. */
export interface Weights {
  /** The lines that are kept, by what the tally calls their cell. */
  readonly lines: readonly CellLines<string>[];
  /** `all` of their strata. */
  readonly zeros: readonly number[];
  /** Hashes of ids that are on too many lines to be kept or dropped at once. */
  readonly shared: readonly (readonly number[])[];
}

/** Rows as they cross to another thread. */
export interface PackedRows {
  readonly seen: number;
  readonly samples: readonly PackedSample[];
}

export interface RowLimits {
  readonly healthy: number;
  readonly failing: number;
}

/** Lines of one request; with more it is nobody's. */
const MOST_PINNED = 5_000;

export const ROW_LIMITS: RowLimits = { healthy: 80_000, failing: 60_000 };
/** Where lines are sampled in any case, many tell no more than some: the same causes, places and onsets come out. */
const SAMPLE_LIMITS: RowLimits = { healthy: 2_000, failing: 2_000 };
/** Of a live target, which may run for days: what is kept is explained anew every few seconds. */
export const LIVE_LIMITS: RowLimits = { healthy: 8_000, failing: 12_000 };
/** Of many saved lines that somebody looks through: a line may be any of these, and a picture is to come soon. */
const EXPLORED_LIMITS: RowLimits = { healthy: 20_000, failing: 20_000 };
/** Bytes that hold more lines than are kept, even of JSON. */
const MANY_BYTES = 64 * 1024 * 1024;

/** How many lines of an input are kept. @param bytes unpacked, about */
export const rowLimitsFor = (bytes: number): RowLimits => (bytes < MANY_BYTES ? ROW_LIMITS : SAMPLE_LIMITS);
/** The same where lines are looked through. */
export const exploredLimitsFor = (bytes: number): RowLimits =>
  bytes < MANY_BYTES ? ROW_LIMITS : EXPLORED_LIMITS;

/** Keeps the lines that diagnosis reasons about. */
export class Rows {
  readonly #healthy: Sample;
  readonly #failing: Sample;
  /** Lines of the one request that somebody asked for: kept however many others are not. */
  readonly #pinned: Sample;
  readonly #pin: string | undefined;
  readonly #span = new Span();
  #seen = 0;
  #forgot = false;

  /** @param requestId of a request whose lines are kept in any case. */
  constructor(limits: RowLimits = ROW_LIMITS, requestId?: string) {
    this.#healthy = new Sample(limits.healthy);
    this.#failing = new Sample(limits.failing);
    this.#pinned = new Sample(MOST_PINNED);
    this.#pin = requestId && maskedRequestId(requestId);
  }

  add(record: RecordView, said: Said, origin: Origin): void {
    this.#seen++;
    const sample = this.#isPinned(record) ? this.#pinned : this.#sampleOf(said.outcome.failure);
    this.#offer(sample, hashOfLine(record, origin, sample.shared), record, said, origin);
  }

  /**
   * Keeps a line that somebody else has counted, where its strata keep it.
   * @param asked as it was made there: maybe before its id turned out to be on too many lines
   */
  keep(record: RecordView, said: Said, origin: Origin, asked: number): void {
    const sample = this.#sampleOf(said.outcome.failure);
    const hash = sample.shared.has(asked) ? hashOfLine(record, origin, sample.shared) : asked;
    this.#offer(sample, hash, record, said, origin);
  }

  #offer(sample: Sample, hash: number, record: RecordView, said: Said, origin: Origin): void {
    if (!sample.strata.keeps(said.cell, hash)) return;
    this.#put(sample, hash, record, said, origin);
    sample.trim();
  }

  /** Keeps a line that somebody else has counted and read. @param kind of `columnsOf`, until lines are dropped */
  keepRead(failing: boolean, kind: RowsKind, line: RowRead, number: number, own: readonly Text[]): void {
    const { columns, strata } = this.#sampleOf(failing);
    columns.pushRead(kind, line, number, own, strata.shareOf(line.cell));
  }

  /** Columns of the healthy, or of the failing lines. */
  columnsOf(failing: boolean): Columns {
    return this.#sampleOf(failing).columns;
  }

  #sampleOf(failing: boolean): Sample {
    return failing ? this.#failing : this.#healthy;
  }

  get limits(): RowLimits {
    return { healthy: this.#healthy.limit, failing: this.#failing.limit };
  }

  /** Keeps no more rows than these from now on; whether that is less than before. */
  limitTo({ healthy, failing }: RowLimits): boolean {
    if (healthy >= this.#healthy.limit && failing >= this.#failing.limit) return false;
    this.#healthy.limit = Math.min(healthy, this.#healthy.limit);
    this.#failing.limit = Math.min(failing, this.#failing.limit);
    for (const sample of [this.#healthy, this.#failing]) sample.trim();
    return true;
  }

  /** Where there are too many lets some go. */
  trim(failing: boolean): void {
    this.#sampleOf(failing).trim();
  }

  /** So many lines were counted by somebody else, who keeps those that are to be kept. */
  pass(lines: number): void {
    this.#seen += lines;
  }

  /** Which lines are kept, here and by who keeps some of them elsewhere. */
  strata(failing: boolean): Strata {
    return this.#sampleOf(failing).strata;
  }

  /** Asks for as many zeros as it takes for no more than may be of some lines, kept elsewhere, to stay. */
  fit(failing: boolean, counts: LineCounts<number>): void {
    this.#sampleOf(failing).fit(counts);
  }

  /** Hashes of ids that are on too many lines to be kept or dropped at once. */
  shared(failing: boolean): ReadonlySet<number> {
    return this.#sampleOf(failing).shared;
  }

  #put(sample: Sample, hash: number, record: RecordView, said: Said, origin: Origin): void {
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
    figures[Figure.share]![row] = sample.strata.shareOf(said.cell);
    figures[Figure.cell]![row] = said.cell;
    figures[Figure.bits]![row] = bitsOf(said, record.format);
    const span = this.#span;
    for (let i = 0; i < FIELDS.length; i++) {
      const found = record.locate(SLOT[FIELDS[i]!], span);
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

  /** The lines of a sample that are kept. */
  weigh(failing: boolean): LineCounts<number> {
    return this.#sampleOf(failing).weigh();
  }

  /** Hashes of ids that are on too many lines, by sample. */
  get allShared(): readonly (readonly number[])[] {
    return this.#samples.map(({ shared }) => [...shared]);
  }

  /** Takes over which ids others found to be on too many lines. */
  share(weights: readonly Weights[]): void {
    for (const { shared } of weights) {
      for (const [i, ids] of shared.entries()) for (const id of ids) this.#samples[i]!.shared.add(id);
    }
  }

  /** Keeps of a sample no more than what it may keep together with others. @param cellOf where it has lines of that cell */
  thin(failing: boolean, weights: readonly Weights[], cellOf: (name: string) => number | undefined): void {
    const sample = Number(failing);
    const lines = weights.map((one) => one.lines[sample]!);
    const known = Math.max(...weights.map(({ zeros }) => zeros[sample]!));
    this.#sampleOf(failing).thin(lines, known, cellOf);
  }

  /** Moves the rows' numbers to where they stand in their whole source. */
  relocate(place: Place): void {
    for (const { columns } of this.#samples) {
      const numbers = columns.figures[Figure.line]!;
      for (let row = 0; row < columns.length; row++) numbers[row] = place(numbers[row]!);
    }
  }

  pack(): PackedRows {
    return { seen: this.#seen, samples: this.#samples.map((sample) => sample.pack()) };
  }

  /** @param cells what the other's cells are here */
  merge({ seen, samples }: PackedRows, place: Place, cells: Int32Array): void {
    this.#seen += seen;
    this.#samples.forEach((sample, i) => sample.merge(samples[i]!, place, cells));
  }

  /** Lets go of what ended before a time, ms since the epoch. */
  forget(before: number): void {
    this.#forgot = true;
    for (const sample of this.#samples) sample.forget(before);
  }

  #rowsBy(clocks: Clocks, weights: readonly Float64Array[]): Row[] {
    const rows: Row[] = [];
    this.#samples.forEach((sample, i) => sample.addRowsTo(rows, clocks, weights[i]!));
    return rows;
  }

  /** The same rows, where some stand in the log of a pod that is not named. */
  #named(rows: Row[], weights: readonly Float64Array[]): Row[] {
    const names = proxyNamesOf(rows);
    if (names === null) return rows;
    let at = 0;
    for (const sample of this.#samples) {
      sample.callProxies(names, at);
      at += sample.columns.length;
    }
    return this.#rowsBy(AGREED, weights);
  }

  /** How many lines of each cell are none that are kept in any case. */
  #unpinned(counted: Float64Array): Float64Array {
    const { figures, length } = this.#pinned.columns;
    const lines = counted.slice();
    for (let row = 0; row < length; row++) lines[figures[Figure.cell]![row]!]!--;
    return lines;
  }

  get #samples(): readonly Sample[] {
    return [this.#healthy, this.#failing, this.#pinned];
  }

  /** @param counted how many lines each cell counts */
  snapshot(counted: Float64Array): RowsSnapshot {
    // What was let go for its age stays counted.
    const lines = this.#forgot ? new Float64Array() : this.#unpinned(counted);
    for (const sample of this.#samples) if (!sample.strata.isWhole) sample.settle();
    const weights = this.#samples.map((sample) => sample.weights(lines));
    const logged = this.#named(this.#rowsBy(AGREED, weights), weights);
    const clocks = haveSeveral(logged, (row) => row.proxy) ? clocksOf(logged) : AGREED;
    const all = (clocks === AGREED ? logged : this.#rowsBy(clocks, weights)).toSorted(byTimeAndPlace);
    const rows = haveSeveral(all, (row) => row.file) ? withoutRepeats(all) : all;
    for (let at = 0; at < rows.length; at++) rows[at]!.ordinal = at;
    const isWhole = this.#healthy.strata.isWhole && this.#failing.strata.isWhole;
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

const haveSeveral = (rows: readonly Row[], of: (row: Row) => string | null): boolean =>
  rows.some((row) => of(row) !== of(rows[0]!));

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
