import type { Observation } from '../aggregate/observation.js';
import { observeAll } from '../bulk/observe-all.js';
import type { Options } from '../cli/options.js';
import type { ClusterClient } from '../cluster/client.js';
import type { MeshtailError } from '../errors.js';
import type { ReportGap } from '../output/report.js';
import type { Reading } from '../pipeline.js';
import { asksCluster } from './asks-cluster.js';
import type { Environment } from './environment.js';
import type { LiveFacts } from './facts.js';
import type { Source } from '../source/source.js';
import { inputsOf } from './inputs.js';
import { progressOf } from './progress.js';

/** What inputs held, and what could not be read of them. */
export interface Read {
  /** `null`: there was nothing to read. */
  readonly observation: Observation | null;
  readonly failed: readonly MeshtailError[];
  /** The same, of which a person was told while reading. */
  readonly told: readonly MeshtailError[];
  readonly gaps: readonly ReportGap[];
  /** The files that were read. */
  readonly files: readonly Source[];
  /** The way to the cluster that was read; `null`: files were. */
  readonly client: ClusterClient | null;
  /** What a cluster tells beside the lines. */
  readonly live?: LiveFacts;
}

/**
 * Reads files, or what the cluster holds of targets, to their end. Lines of `requestId` are kept, however many there are
 * of others.
 */
export async function readInputs(
  args: readonly string[],
  options: Options,
  reading: Reading,
  environment: Environment,
  requestId?: string,
): Promise<Read> {
  if (!asksCluster(args, options, environment)) return readFiles(args, options, environment, requestId);
  // Loaded only where a cluster is asked: it takes HTTP and TLS along.
  const { readCluster } = await import('./read-cluster.js');
  return readCluster(args, options, reading, environment, requestId);
}

async function readFiles(
  args: readonly string[],
  options: Options,
  environment: Environment,
  requestId: string | undefined,
): Promise<Read> {
  const { sources, failed: missing } = await inputsOf(args, environment);
  environment.log.debug({ inputs: sources.map(({ name }) => name) }, 'reading');
  const { maxLine, envelopeKeys, format, selection, since, until } = options;
  const job = { maxLine, envelopeKeys, format, selection, since, until, requestId };
  const progress = progressOf(environment);
  const { observation, failed: broken } = await observeAll(sources, job, {
    log: environment.log,
    onProgress: progress.onProgress,
  }).finally(progress.end);
  const failed = [...missing, ...broken];
  return {
    observation: sources.length === 0 ? null : observation,
    failed,
    told: [],
    gaps: failed.map(({ message }) => ({ origin: message.split(':')[0] ?? '', reason: message })),
    files: sources,
    client: null,
  };
}
