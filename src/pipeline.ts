import { LineParser } from '../parsers/index.js';
import { malformed, type ParseResult } from '../parsers/format.js';
import { Observation } from './aggregate/observation.js';
import { MeshtailError } from './errors.js';
import type { Filter } from './filter/filter.js';
import { scanLines, splitLines, type Framed, type OnLine } from './framing/lines.js';
import type { Origin } from './record/origin.js';
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

/** Runs one source through framing and parsing; `onParsed` may ask to wait by returning a promise. */
export async function parseSource(
  source: Source,
  maxLine: number,
  onParsed: (parsed: Parsed) => void,
  pause: () => Promise<void> | undefined = () => undefined,
): Promise<void> {
  const parser = new LineParser();
  const record = new RecordCursor();
  let line = 0;
  const onLine: OnLine = (framed) => {
    line++;
    const origin: Origin = { ...source.origin, line };
    const result = framed.overlong
      ? malformed(framed.line, framed.line.end, `a line of at most ${maxLine} bytes (--max-line)`)
      : parser.parse(framed.line, record);
    onParsed({ input: source.name, framed, result, record, origin });
  };
  const frame = source.kind === 'file' ? scanLines : splitLines;
  await frame(paced(source.open(), pause), onLine, maxLine);
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

/** Reads every source into one observation. A source that fails keeps what it gave before. What a filter leaves out is read, not counted. */
export async function observe(
  sources: readonly Source[],
  maxLine: number,
  filter?: Filter,
): Promise<Observed> {
  const observation = new Observation();
  const failed: MeshtailError[] = [];
  for (const source of sources) {
    observation.open(source.name, source.origin);
    try {
      await parseSource(source, maxLine, ({ input, framed, result, record, origin }) => {
        if (result === 'record') {
          if (filter && !filter.matches(record, origin)) observation.leftOut(input, record, origin, framed);
          else observation.record(input, record, origin, framed);
        } else if (result === 'foreign') observation.foreign(input, framed.line, origin, framed);
        else observation.malformed(input, result, origin, framed);
      });
    } catch (error) {
      if (!(error instanceof MeshtailError)) throw error;
      failed.push(error);
    }
  }
  return { observation, failed };
}
