import type { Depths, StreamState } from '../../parsers/text-layout.js';
import { Observation, type PackedObservation } from '../aggregate/observation.js';
import type { Thinning } from '../aggregate/rows.js';
import { MeshtailError } from '../errors.js';
import type { Filter } from '../filter/filter.js';
import type { SelectionTexts } from '../filter/selection.js';
import { count, parseSource, type Reading } from '../pipeline.js';
import { chunksOf, type Part } from './parts.js';

/** How lines are read and which count, as another thread can be told. */
export interface BulkJob {
  readonly maxLine: number;
  readonly envelopeKeys: readonly string[];
  /** `--format` as given. */
  readonly format: string | undefined;
  readonly selection: SelectionTexts;
  /** ms since the Unix epoch. */
  readonly since: number | null;
  readonly until: number | null;
  /** Of a request whose lines are all kept. */
  readonly requestId: string | undefined;
}

/** The same, compiled. */
export interface Compiled {
  readonly reading: Reading;
  readonly filter: Pick<Filter, 'matches'> | undefined;
  readonly requestId: string | undefined;
}

export async function compileJob(job: BulkJob): Promise<Compiled> {
  const { maxLine, envelopeKeys, requestId } = job;
  const [{ compileSelection }, { within }] = await Promise.all([
    import('../filter/selection.js'),
    import('../filter/within.js'),
  ]);
  const filter = within(compileSelection(job.selection), job.since, job.until);
  const format =
    job.format === undefined
      ? undefined
      : (await import('../../parsers/compile.js')).compileFormat(job.format);
  return { reading: { maxLine, envelopeKeys, format }, filter, requestId };
}

/** What is known of the parts before when one is begun. */
export interface Before {
  readonly depths: Depths | undefined;
  readonly thinned: readonly Thinning[];
}

/** What one part held. */
export interface PartRead {
  readonly observation: PackedObservation;
  /** Physical lines. */
  readonly lines: number;
  /** A line was waiting for its other pieces. */
  readonly midLine: boolean;
  readonly parser: StreamState | undefined;
  /** Why it could not be read on. */
  readonly failed:
    { readonly code: string; readonly message: string; readonly hint: string | undefined } | undefined;
}

/** Reads one part as if it were all there is. @param observation whose memory is used again */
export async function readPart(
  part: Part,
  { reading, filter, requestId }: Compiled,
  before: Before,
  observation = new Observation(undefined, requestId),
): Promise<PartRead> {
  const { source } = part;
  observation.clear(before.thinned);
  observation.open(source.name, source.origin);
  try {
    const { lines, midLine, parser } = await parseSource(
      { ...source, open: () => chunksOf(part) },
      reading,
      (parsed) => count(observation, parsed, filter),
      undefined,
      before.depths,
    );
    return { observation: observation.pack(), lines, midLine, parser, failed: undefined };
  } catch (error) {
    if (!(error instanceof MeshtailError)) throw error;
    const { code, message, hint } = error;
    const failed = { code, message, hint };
    return { observation: observation.pack(), lines: 0, midLine: false, parser: undefined, failed };
  }
}

/** The error that ended a part's reading, as it was thrown. */
export function errorOf({ code, message, hint }: NonNullable<PartRead['failed']>): MeshtailError {
  return new MeshtailError(code, message, hint === undefined ? {} : { hint });
}
