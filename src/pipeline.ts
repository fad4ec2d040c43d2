import { ENVELOPE_KEYS, type Line } from './record/line.js';
import { isAccessObject, LineParser } from '../parsers/index.js';
import type { Depths, StreamState } from '../parsers/text-layout.js';
import { malformed, type Format, type ParseResult } from '../parsers/format.js';
import { Observation } from './aggregate/observation.js';
import type { RowLimits } from './aggregate/rows.js';
import { MeshtailError } from './errors.js';
import type { Filter } from './filter/filter.js';
import { scanLines, splitLines, type Framed } from './framing/lines.js';
import { Unwrapper } from './framing/wrappers.js';
import type { Logger } from './logger.js';
import { isTimeAlone, originWithin, type Names, type Origin } from './record/origin.js';
import { RecordCursor } from './record/record-view.js';
import type { Source } from './source/source.js';

/** One line, parsed. Cursor, line and origin are reused for the next. */
export interface Parsed {
  readonly input: string;
  readonly framed: Framed;
  readonly result: ParseResult;
  /** Filled in where the result is a record. */
  readonly record: RecordCursor;
  readonly origin: Origin;
}

/** How lines are read. */
export interface Reading {
  readonly maxLine: number;
  /** A format that was given; the others are read as well. */
  readonly format?: Format | undefined;
  /** Keys of log shippers under which a line may stand. */
  readonly envelopeKeys?: readonly string[];
  readonly log?: Logger;
}

/** How a source stood at its end: what matters where it is a part of a longer one. */
export interface Ended {
  /** Physical lines. */
  readonly lines: number;
  /** A line was waiting for its other pieces. */
  readonly midLine: boolean;
  readonly parser: StreamState;
}

/** What is known of a source of which only a part is read. */
export interface PartOf {
  /** Of the lines before. */
  readonly depths?: Depths | undefined;
  /** Added to the number of every line. */
  readonly linesBefore?: number;
}

/** Unwraps and parses the lines of one source, one after the other. */
export class LineReader {
  /** Filled in where the last line was a record. */
  readonly record = new RecordCursor();
  readonly #source: Source;
  readonly #reading: Reading;
  readonly #onParsed: (parsed: Parsed) => void;
  readonly #linesBefore: number;
  readonly #parser: LineParser;
  readonly #unwrapper: Unwrapper;
  // Most lines have no wrapper: one origin serves them all.
  readonly #plain: { -readonly [K in keyof Origin]: Origin[K] };
  // And one serves all those of which a wrapper tells the time alone, as the log API does.
  readonly #stamped: { -readonly [K in keyof Origin]: Origin[K] };
  readonly #met = new Set<string>();
  #last = '';
  #changes = -1;

  constructor(
    source: Source,
    reading: Reading,
    onParsed: (parsed: Parsed) => void,
    { depths, linesBefore = 0 }: PartOf = {},
  ) {
    const { maxLine, format, envelopeKeys = ENVELOPE_KEYS, log } = reading;
    this.#source = source;
    this.#reading = reading;
    this.#onParsed = onParsed;
    this.#linesBefore = linesBefore;
    this.#parser = new LineParser(format, depths);
    this.#plain = { ...source.origin, line: 0 };
    this.#stamped = { ...this.#plain, time: '' };
    this.#unwrapper = new Unwrapper((framed, names, line) => this.#unwrapped(framed, names, line), {
      maxLine,
      envelopeKeys,
      isAccess: isAccessObject,
      onWrapper: (wrapper, line) => log?.info({ input: source.name, line, wrapper }, 'wrapper peeled'),
    });
  }

  push(framed: Framed): void {
    this.#unwrapper.push(framed);
  }

  /** Physical lines so far. */
  get lines(): number {
    return this.#unwrapper.lines;
  }

  /** Whether a line in pieces waits for the rest of it. */
  get holds(): boolean {
    return this.#unwrapper.holds;
  }

  /** So many lines were read by somebody else since the last one. */
  pass(lines: number): void {
    this.#unwrapper.pass(lines);
  }

  /** Parses the line behind those that came so far, its wrappers aside, and does nothing more with it. @returns its number too */
  peek(line: Line): { readonly result: ParseResult; readonly number: number } {
    const number = this.#linesBefore + this.#unwrapper.lines + 1;
    const result = this.#parser.parse(line, this.record);
    this.#tellFormat(result, number);
    return { result, number };
  }

  end(): Ended {
    const midLine = this.#unwrapper.holds;
    this.#unwrapper.end();
    const formats = [...this.#met];
    const { name: input } = this.#source;
    this.#reading.log?.info({ input, formats, changes: Math.max(0, this.#changes) }, 'read to its end');
    return { lines: this.#unwrapper.lines, midLine, parser: this.#parser.state };
  }

  #unwrapped(framed: Framed, names: Names | undefined, at: number): void {
    const { maxLine } = this.#reading;
    const line = at + this.#linesBefore;
    let origin: Origin = this.#plain;
    if (names === undefined) this.#plain.line = line;
    else if (isTimeAlone(names)) {
      this.#stamped.line = line;
      this.#stamped.time = names.time;
      origin = this.#stamped;
    } else origin = originWithin(this.#source.origin, names, line);
    const result = framed.overlong
      ? malformed(framed.line, framed.line.end, `a line of at most ${maxLine} bytes (--max-line)`)
      : this.#parser.parse(framed.line, this.record);
    this.#tellFormat(result, line);
    this.#onParsed({ input: this.#source.name, framed, result, record: this.record, origin });
  }

  #tellFormat(result: ParseResult, line: number): void {
    const { format } = this.record;
    if (result !== 'record' || format === this.#last) return;
    this.#last = format;
    this.#changes++;
    // A mixed stream changes with every line: each format is told of once.
    if (this.#met.has(format)) return;
    this.#met.add(format);
    const sign = this.#parser.signOf(format);
    this.#reading.log?.info({ input: this.#source.name, line, format, sign }, 'format detected');
  }
}

/** Runs one source through framing and parsing; `onParsed` may ask to wait by returning a promise. */
export async function parseSource(
  source: Source,
  reading: Reading,
  onParsed: (parsed: Parsed) => void,
  pause: () => Promise<void> | undefined = () => undefined,
  part: PartOf = {},
): Promise<Ended> {
  const reader = new LineReader(source, reading, onParsed, part);
  const frame = source.kind === 'pipe' ? splitLines : scanLines;
  let ended: Ended | undefined;
  try {
    await frame(paced(source.open(), pause), (framed) => reader.push(framed), reading.maxLine);
  } finally {
    ended = reader.end();
  }
  return ended;
}

/** What becomes of sources that are read together. */
export interface Together {
  /** Before a source's first line. */
  readonly onSource?: (source: Source) => void;
  readonly onParsed: (parsed: Parsed) => void;
  readonly pause?: () => Promise<void> | undefined;
  readonly onFailed: (error: MeshtailError) => void;
}

/**
 * Reads sources as they appear, all at once; resolves when there are no more and each has ended. A source that fails is
 * told, the others go on.
 */
export async function parseTogether(
  sources: AsyncIterable<Source>,
  reading: Reading,
  { onSource, onParsed, pause, onFailed }: Together,
): Promise<void> {
  const running = new Set<Promise<unknown>>();
  for await (const source of sources) {
    onSource?.(source);
    const run = parseSource(source, reading, onParsed, pause)
      .catch((error: unknown) => {
        if (!(error instanceof MeshtailError)) throw error;
        onFailed(error);
      })
      .finally(() => running.delete(run));
    running.add(run);
  }
  await Promise.all(running);
}

/** Between chunks, waits for whoever takes the results. */
async function* paced(
  chunks: AsyncIterable<Buffer>,
  pause: () => Promise<void> | undefined,
): AsyncIterable<Buffer> {
  for await (const chunk of chunks) {
    yield chunk;
    const wait = pause();
    if (wait) await wait;
  }
}

export interface Observed {
  readonly observation: Observation;
  readonly failed: readonly MeshtailError[];
}

/** Counts one line. What a filter leaves out is read, not counted. */
export function count(
  observation: Observation,
  { input, framed, result, record, origin }: Parsed,
  filter?: Pick<Filter, 'matches'>,
): void {
  if (result === 'record') {
    if (filter && !filter.matches(record, origin)) observation.leftOut(input, record, origin, framed);
    else observation.record(input, record, origin, framed);
  } else if (result === 'foreign') observation.foreign(input, framed.line, origin, framed);
  else observation.malformed(input, result, origin, framed);
}

/**
 * Reads every source into one observation. A source that fails keeps what it gave before. What a filter leaves out is
 * read, not counted. Lines of a request that is asked for are kept, however many there are of others.
 */
export async function observe(
  sources: readonly Source[],
  reading: Reading,
  filter?: Pick<Filter, 'matches'>,
  requestId?: string,
  limits?: RowLimits,
): Promise<Observed> {
  const observation = new Observation(limits, requestId);
  const failed: MeshtailError[] = [];
  for (const source of sources) {
    observation.open(source.name, source.origin);
    try {
      await parseSource(source, reading, (parsed) => count(observation, parsed, filter));
    } catch (error) {
      if (!(error instanceof MeshtailError)) throw error;
      failed.push(error);
    }
  }
  return { observation, failed };
}
