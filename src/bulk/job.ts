import { ROW_LIMITS, type RowLimits } from '../aggregate/rows.js';
import type { Filter } from '../filter/filter.js';
import type { SelectionTexts } from '../filter/selection.js';
import type { Reading } from '../pipeline.js';

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
  /** How many lines are kept; `ROW_LIMITS` where nobody said. */
  readonly limits?: RowLimits;
}

/** The same, compiled. */
export interface Compiled {
  readonly reading: Reading;
  readonly filter: Pick<Filter, 'matches'> | undefined;
  readonly requestId: string | undefined;
  readonly limits: RowLimits;
}

export async function compileJob(job: BulkJob): Promise<Compiled> {
  const { maxLine, envelopeKeys, requestId, limits = ROW_LIMITS } = job;
  const [{ compileSelection }, { within }] = await Promise.all([
    import('../filter/selection.js'),
    import('../filter/within.js'),
  ]);
  const filter = within(compileSelection(job.selection), job.since, job.until);
  const format =
    job.format === undefined
      ? undefined
      : (await import('../../parsers/compile.js')).compileFormat(job.format);
  return { reading: { maxLine, envelopeKeys, format }, filter, requestId, limits };
}
