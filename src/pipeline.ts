import { ENVELOPE_KEYS } from './record/line.js';
import { isAccessObject, LineParser } from '../parsers/index.js';
import type { Depths, StreamState } from '../parsers/text-layout.js';
import { malformed, type Format, type ParseResult } from '../parsers/format.js';
import { Observation } from './aggregate/observation.js';
import { MeshtailError } from './errors.js';
import type { Filter } from './filter/filter.js';
import { scanLines, splitLines, type Framed } from './framing/lines.js';
import { Unwrapper, type OnUnwrapped } from './framing/wrappers.js';
import type { Logger } from './logger.js';
import { isTimeAlone, originWithin, type Origin } from './record/origin.js';
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

/** Runs one source through framing and parsing; `onParsed` may ask to wait by returning a promise. */
export async function parseSource(
  source: Source,
  reading: Reading,
  onParsed: (parsed: Parsed) => void,
  pause: () => Promise<void> | undefined = () => undefined,
  depths?: Depths,
): Promise<Ended> {
  const { maxLine, format, envelopeKeys = ENVELOPE_KEYS, log } = reading;
  const input = source.name;
  const parser = new LineParser(format, depths);
  const record = new RecordCursor();
  // Most lines have no wrapper: one origin serves them all.
  const plain: { -readonly [K in keyof Origin]: Origin[K] } = { ...source.origin, line: 0 };
  // And one serves all those of which a wrapper tells the time alone, as the log API does.
  const stamped = { ...plain, time: '' };
  const met = new Set<string>();
  let last = '';
  let changes = -1;
  const onLine: OnUnwrapped = (framed, names, line) => {
    let origin: Origin = plain;
    if (names === undefined) plain.line = line;
    else if (isTimeAlone(names)) {
      stamped.line = line;
      stamped.time = names.time;
      origin = stamped;
    } else origin = originWithin(source.origin, names, line);
    const result = framed.overlong
      ? malformed(framed.line, framed.line.end, `a line of at most ${maxLine} bytes (--max-line)`)
      : parser.parse(framed.line, record);
    if (result === 'record' && record.format !== last) {
      last = record.format;
      changes++;
      // A mixed stream changes with every line: each format is told of once.
      if (!met.has(last)) {
        met.add(last);
        log?.info({ input, line, format: last, sign: parser.signOf(last) }, 'format detected');
      }
    }
    onParsed({ input, framed, result, record, origin });
  };
  const unwrapper = new Unwrapper(onLine, {
    maxLine,
    envelopeKeys,
    isAccess: isAccessObject,
    onWrapper: (wrapper, line) => log?.info({ input, line, wrapper }, 'wrapper peeled'),
  });
  const frame = source.kind === 'pipe' ? splitLines : scanLines;
  let midLine = false;
  try {
    await frame(paced(source.open(), pause), (framed) => unwrapper.push(framed), maxLine);
  } finally {
    midLine = unwrapper.holds;
    unwrapper.end();
    log?.info({ input, formats: [...met], changes: Math.max(0, changes) }, 'read to its end');
  }
  return { lines: unwrapper.lines, midLine, parser: parser.state };
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
): Promise<Observed> {
  const observation = new Observation(undefined, requestId);
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
