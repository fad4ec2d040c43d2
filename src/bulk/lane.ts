import type { Depths, StreamState } from '../../parsers/text-layout.js';
import { Observation, type PackedObservation } from '../aggregate/observation.js';
import { placeHash } from '../aggregate/line-hash.js';
import { rowLimitsFor, type RowLimits, type Weights } from '../aggregate/rows.js';
import { MOST_OF_ONE_ID } from '../aggregate/sample.js';
import { LineCounts } from '../aggregate/strata.js';
import { MeshtailError } from '../errors.js';
import { LineScanner, type Framed } from '../framing/lines.js';
import { namesInFront } from '../framing/wrappers.js';
import { count, LineReader, parseSource, type Parsed, type Reading } from '../pipeline.js';
import { istioJson } from '../../parsers/istio-json.js';
import { istioText } from '../../parsers/istio-text.js';
import { deeper } from '../../parsers/text-layout.js';
import { originWithin, type StreamOrigin } from '../record/origin.js';
import { parseTime } from '../record/time.js';
import type { Source } from '../source/source.js';
import type { Compiled } from './job.js';
import { KeptRows } from './kept-rows.js';
import { chunksOf, openPart, type Part } from './parts.js';
import { membersOf } from './scanner/members.js';
import { MOST_CELLS, Scanner, type KindOfLine, type Stream } from './scanner/scanner.js';

/** Numbers of lines are told apart by their part until it is known how many lines the parts before had. */
export const LINES_OF_A_PART = 2 ** 32;
/** What the scanner knows. */
const SCANNED: ReadonlySet<string> = new Set([istioText.name, istioJson.name]);
/** Healthy, and failing. */
const BOTH = [false, true];
const LF = 10;
const CR = 13;

/** How a part stood at its end. */
export interface PartEnd {
  readonly part: number;
  /** Physical lines. */
  readonly lines: number;
  /** A line was waiting for its other pieces. */
  readonly midLine: boolean;
  /** `undefined` where it could not be read on. */
  readonly parser: StreamState | undefined;
  readonly failed:
    { readonly code: string; readonly message: string; readonly hint: string | undefined } | undefined;
}

/** Told of the bytes that were read since it was told the last time, and how many lines the part has so far. */
export type OnChunk = (bytes: number, lines: number) => Promise<void> | undefined;

/** What one lane held. */
export interface LaneRead {
  readonly observation: Observation | PackedObservation;
  readonly ends: readonly PartEnd[];
}

/**
 * Reads some of the parts, in their order, into one observation. Lines are counted by a scanner where nothing is asked of
 * each; else they are read one by one.
 */
export class Lane {
  readonly observation: Observation;
  readonly ends: PartEnd[] = [];
  readonly #compiled: Compiled;
  #scanner: Scanner | undefined;
  /** What the scanner knows by a number: sources, and those whose names stand in front of their lines. */
  readonly #streams: StreamOrigin[] = [];
  readonly #streamNumbers = new Map<string, number>();
  /** The source being read, and what its lines so far make of those to come. */
  #source: Part['source'] | undefined;
  #depths: Depths | undefined;
  // Of the part that the scanner reads.
  #reader!: LineReader;
  #part!: Part;
  /** Lines of it that were told to whoever counts lines. */
  #accounted = 0;
  readonly #kept: KeptRows | undefined;
  /** The tally's tuple of each kind of line that the scanner met. */
  #tuples: number[] = [];
  /** Which state of the strata of healthy and failing lines the scanner was told. */
  readonly #told = [0, 0];

  /** @param limitsFor how many lines are kept of a stream that turns out to have so many bytes */
  constructor(
    compiled: Compiled,
    readonly limitsFor = rowLimitsFor,
  ) {
    this.#compiled = compiled;
    const { reading, filter, requestId, limits } = compiled;
    this.observation = new Observation(limits, requestId);
    if (filter !== undefined || requestId !== undefined || reading.format !== undefined) return;
    this.#scanner = new Scanner(
      {
        met: (start, end, stream) => this.#met(start, end, stream),
        prefix: (start, end) => this.#prefix(start, end),
        layout: (start, end) => membersOf(this.#scanner!.input, start, end, reading.envelopeKeys ?? []),
        other: (start, end) => this.#other(start, end),
        keep: (start, end, hash, cell, stream) => this.#keep(start, end, hash, cell, stream),
        full: (failing) => this.#thin(failing),
        timeOf: (start, end) => parseTime(this.#scanner!.input, start, end),
      },
      reading.maxLine,
      limits,
    );
    this.#kept = new KeptRows(this.observation, (stream) => this.#streams[stream]!);
  }

  /** Whether lines are counted by a scanner, which asks nothing of each. */
  get scans(): boolean {
    return this.#scanner !== undefined;
  }

  /**
   * Reads one part as far as it can be read; what hinders it is among its end.
   * @param onChunk called now and then, where there is a scanner, before it goes on
   */
  async read(part: Part, onChunk?: OnChunk): Promise<void> {
    const { source } = part;
    if (this.#source?.name !== source.name) this.#depths = undefined;
    this.#source = source;
    const depths = this.#depths && part.depths ? deeper(this.#depths, part.depths) : part.depths;
    this.observation.open(source.name, source.origin);
    try {
      const read = await (this.#scanner ? this.#scan(part, depths, onChunk) : this.#parse(part, depths));
      this.#depths = read.parser?.depths;
      this.ends.push({ part: part.index, ...read, failed: undefined });
    } catch (error) {
      if (!(error instanceof MeshtailError)) throw error;
      const { code, message, hint } = error;
      const failed = { code, message, hint };
      this.ends.push({ part: part.index, lines: 0, midLine: false, parser: undefined, failed });
    }
  }

  /**
   * Takes over what the scanner counted; answers what is kept.
   * @param known what all lanes answered before
   */
  weigh(known: readonly Weights[]): Weights {
    this.#take();
    const { rows, tally } = this.observation;
    rows.share(known);
    const lines = BOTH.map((failing) => {
      if (this.#hasCrowd(failing) || this.#keepsShared(failing)) this.#takeOver(failing);
      const counts = rows.weigh(failing);
      this.#scanner?.forEachKept(failing, (cell, hash) => counts.add(cell, hash));
      const { names, ...kept } = rows.strata(failing).linesOf(counts);
      return { names: names.map((cell) => tally.nameOf(cell)), ...kept };
    });
    return { lines, zeros: BOTH.map((failing) => rows.strata(failing).all), shared: rows.allShared };
  }

  /** Ends reading, with no more lines kept than are among those of all lanes. */
  finish(weights: readonly Weights[]): void {
    const { rows, tally } = this.observation;
    const scanner = this.#scanner;
    for (const failing of BOTH) {
      rows.thin(failing, weights, (name) => tally.cellNamed(name));
      if (!scanner) continue;
      scanner.thin(failing, rows.strata(failing).zeros, []);
      scanner.takeKept(failing, (line) => this.#kept!.add(line, failing));
    }
    // Its memory may be needed by then.
    this.#scanner = undefined;
  }

  /** The scanner keeps too many lines: says which are to go, or takes over those whose ids have to be told apart. */
  #thin(failing: boolean): void {
    if (this.#hasCrowd(failing)) return this.#takeOver(failing);
    const counts = new LineCounts<number>();
    this.#scanner!.forEachKept(failing, (cell, hash) => counts.add(cell, hash));
    this.observation.rows.fit(failing, counts);
    this.#tellKept();
  }

  /** Keeps no more lines than these from now on: nobody knows beforehand how much a stream brings. */
  #limitKept(limits: RowLimits): void {
    if (!this.observation.rows.limitTo(limits)) return;
    const most = this.observation.rows.limits;
    this.#scanner!.limitKept(most);
    for (const failing of BOTH) {
      if (this.#scanner!.keptCount(failing) > (failing ? most.failing : most.healthy)) this.#thin(failing);
    }
  }

  /** Takes over lines that the scanner kept, whose ids have to be told apart. */
  #takeOver(failing: boolean): void {
    this.#takeKept(failing);
    this.#tellKept();
  }

  #takeKept(failing: boolean): void {
    this.#scanner!.takeKept(failing, (line) => this.#kept!.parse(line));
  }

  /** Whether too many of the lines that the scanner keeps have one hash. */
  #hasCrowd(failing: boolean): boolean {
    const kept = this.#scanner?.keptHashes(failing) ?? [];
    if (kept.length - new Set(kept).size < MOST_OF_ONE_ID) return false;
    const hashes = kept.toSorted();
    for (let i = MOST_OF_ONE_ID; i < hashes.length; i++) {
      if (hashes[i] === hashes[i - MOST_OF_ONE_ID]) return true;
    }
    return false;
  }

  #onParsed = (parsed: Parsed): void => count(this.observation, parsed, this.#compiled.filter);

  #parse(part: Part, depths: Depths | undefined): ReturnType<typeof parseSource> {
    const linesBefore = part.index * LINES_OF_A_PART;
    const source: Source = { ...part.source, open: () => chunksOf(part) };
    return parseSource(source, this.#readingOf(part), this.#onParsed, undefined, { depths, linesBefore });
  }

  /** What is met in a source that is read in one is told as it is met. */
  #readingOf({ first, last }: Part): Reading {
    const { log, ...reading } = this.#compiled.reading;
    return first && last && log ? { ...reading, log } : reading;
  }

  /** What was read so far, also of the part that is being read. */
  settled(): Observation {
    if (!this.#scanner || this.#streams.length === 0) return this.observation;
    this.#take();
    this.#account();
    const { rows } = this.observation;
    for (const failing of BOTH) {
      this.#scanner.takeKept(failing, (line) => this.#kept!.add(line, failing));
      rows.trim(failing);
    }
    this.#tellKept();
    return this.observation;
  }

  /** Tells of the lines that the scanner read since it was told of some. */
  #account(): void {
    const scanner = this.#scanner!;
    const { name, origin } = this.#part.source;
    const { lines, first, last } = scanner.counted;
    const { coverage, rows } = this.observation;
    coverage.records(name, origin, lines - this.#accounted, first, last);
    rows.pass(lines - this.#accounted);
    this.#accounted = lines;
    this.#reader.pass(scanner.lines - this.#reader.lines);
  }

  async #scan(
    part: Part,
    depths: Depths | undefined,
    onChunk: OnChunk | undefined,
  ): ReturnType<typeof parseSource> {
    const { source } = part;
    const scanner = this.#scanner!;
    const linesBefore = part.index * LINES_OF_A_PART;
    this.#part = part;
    const reader = new LineReader(source, this.#readingOf(part), this.#onParsed, { depths, linesBefore });
    this.#reader = reader;
    scanner.begin(this.#streamOf(source.name, '', source.origin));
    this.#kept!.begin(linesBefore);
    this.#accounted = 0;
    const bytes = openPart(part);
    let long: LineScanner | undefined;
    const pieces = (): LineScanner =>
      new LineScanner((framed) => {
        scanner.skipLines(1);
        this.#push(framed);
      }, this.#compiled.reading.maxLine);
    let held = 0;
    let total = 0;
    let failure: unknown;
    const next = async (): Promise<number> => {
      try {
        return await bytes.read(() => scanner.input, held);
      } catch (error) {
        // What came of a stream before it ended early counts, the last line too.
        if (part.bytes.kind !== 'stream') throw error;
        failure = error;
        return 0;
      }
    };
    try {
      for (;;) {
        const length = await next();
        if (length === 0) break;
        total += length;
        if (part.bytes.kind === 'stream') this.#limitKept(this.limitsFor(total));
        scanner.refill();
        let from = 0;
        const to = held + length;
        if (long) {
          const newline = scanner.input.subarray(0, to).indexOf(LF);
          long.push(scanner.input.subarray(0, newline < 0 ? to : newline + 1));
          from = newline < 0 ? to : newline + 1;
          if (newline >= 0) long = undefined;
        }
        let at = scanner.scan(from, to);
        while (at < to && scanner.isFull) {
          this.#take();
          at = scanner.scan(at, to);
        }
        held = to - at;
        if (held === scanner.input.length) {
          long = pieces();
          long.push(scanner.input.subarray(0, held));
          held = 0;
        } else scanner.input.copyWithin(0, at, to);
        await onChunk?.(length, scanner.lines);
      }
      if (held > 0) {
        long = pieces();
        long.push(scanner.input.subarray(0, held));
      }
      long?.end();
    } finally {
      bytes.close();
      this.#account();
    }
    const end = await reader.end();
    if (failure !== undefined) throw failure;
    return end;
  }

  /** @param prefix of lines that have one */
  #streamOf(source: string, prefix: string, origin: StreamOrigin): Stream {
    const key = `${source}\n${prefix}`;
    let number = this.#streamNumbers.get(key);
    if (number === undefined) {
      number = this.#streams.push(origin) - 1;
      this.#streamNumbers.set(key, number);
    }
    return { number, hash: placeHash(origin) };
  }

  #prefix(start: number, end: number): Stream | null {
    const { name, origin } = this.#part.source;
    const prefix = this.#scanner!.input.subarray(start, end);
    const names = namesInFront(prefix);
    return names ? this.#streamOf(name, prefix.toString('latin1'), originWithin(origin, names, 0)) : null;
  }

  /** Tells the reader how many lines there were before the one that the scanner just came to. */
  #catchUp(): LineReader {
    const reader = this.#reader;
    reader.pass(this.#scanner!.lines - 1 - reader.lines);
    return reader;
  }

  #met(start: number, end: number, stream: number): KindOfLine | null {
    const reader = this.#catchUp();
    const { name } = this.#part.source;
    const { result, number } = reader.peek({ bytes: this.#scanner!.input, start, end });
    // The same line is handed over then, and read again.
    this.#tuples.push(-1);
    if (result !== 'record' || !SCANNED.has(reader.record.format)) return null;
    const { tally } = this.observation;
    const tuple = tally.admit(reader.record, { ...this.#streams[stream]!, line: number }, name);
    this.#tuples[this.#tuples.length - 1] = tuple;
    const { outcome, group, cell } = tally.told(tuple);
    if (cell >= MOST_CELLS) return null;
    return {
      name: tuple,
      cell,
      failing: outcome.failure,
      answers: outcome.http && group.responseCode !== 101,
      counts: !outcome.tunnel,
      downstream: group.direction === 'inbound' || group.direction === 'unknown',
      forAll: tally.isForAll(tuple),
    };
  }

  #other(start: number, end: number): void {
    const bytes = this.#scanner!.input;
    const { maxLine } = this.#compiled.reading;
    const content = end > start && bytes[end - 1] === CR ? end - 1 : end;
    const overlong = content - start > maxLine;
    const line = { bytes, start, end: overlong ? start + maxLine : content };
    this.#push({ line, overlong, unterminated: false });
    this.#tellKept();
  }

  /** Reads the line that the scanner just came to, whatever its wrappers. */
  #push(framed: Framed): void {
    const reader = this.#catchUp();
    reader.push(framed);
    this.#scanner!.hold(reader.holds);
  }

  #keep(start: number, end: number, hash: number, cell: number, stream: number): void {
    const scanner = this.#scanner!;
    const kept = this.#kept!;
    const { part } = kept;
    kept.parse({ bytes: scanner.input, start, end, hash, cell, part, line: scanner.lines, stream });
    this.#tellKept();
  }

  /** Tells the scanner where fewer lines are kept than before. */
  #tellKept(): void {
    const { rows } = this.observation;
    for (const failing of BOTH) {
      const strata = rows.strata(failing);
      if (strata.version === this.#told[Number(failing)]!) continue;
      if (this.#keepsShared(failing)) this.#takeKept(failing);
      this.#scanner!.thin(failing, strata.zeros, rows.shared(failing));
      this.#told[Number(failing)] = strata.version;
    }
  }

  /** Whether the scanner keeps lines of an id that turned out to be on too many, all of them by the hash of that id. */
  #keepsShared(failing: boolean): boolean {
    const shared = this.observation.rows.shared(failing);
    if (shared.size === 0) return false;
    let found = false;
    this.#scanner?.forEachKept(failing, (_, hash) => void (found ||= shared.has(hash)));
    return found;
  }

  /** Takes over what the scanner counted. */
  #take(): void {
    const scanner = this.#scanner;
    if (!scanner) return;
    const { tally } = this.observation;
    scanner.settle();
    let kind = 0;
    scanner.forEachKind((times, first, last) => {
      const tuple = this.#tuples[kind++]!;
      if (times === 0) return;
      tally.addTimes(tuple, times);
      const { cell, outcome } = tally.told(tuple);
      if (outcome.failure && !outcome.tunnel) tally.extend(cell, first, last);
    });
    const { values } = tally;
    const ids = scanner.idsOfValues((of, bytes, start, end, hash) =>
      values.idOf(of, bytes, start, end, hash),
    );
    values.expect(scanner.countValues());
    scanner.forEachCell((cell, of, numbers, counts) => {
      const texts = ids[of];
      if (texts) for (let i = 0; i < numbers.length; i++) numbers[i] = texts[numbers[i]!]!;
      else tally.reaches(cell, numbers.at(-1)!);
      values.addRun(cell, of, numbers, counts);
    });
    values.shed();
    scanner.clear();
  }
}
