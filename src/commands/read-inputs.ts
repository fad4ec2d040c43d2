import { Observation } from '../aggregate/observation.js';
import { observeAll } from '../bulk/observe-all.js';
import type { Options } from '../cli/options.js';
import type { ClusterClient } from '../cluster/client.js';
import { whyNoProxy } from '../cluster/pods.js';
import type { MeshtailError } from '../errors.js';
import { within } from '../filter/within.js';
import type { ReportGap } from '../output/report.js';
import { count, type Reading } from '../pipeline.js';
import type { Environment } from './environment.js';
import type { LiveFacts } from './facts.js';
import { inputsOf } from './inputs.js';
import { asksCluster, besideOf, openLive, readSession } from './live.js';
import { progressOf } from './progress.js';

/** What inputs held, and what could not be read of them. */
export interface Read {
  /** `null`: there was nothing to read. */
  readonly observation: Observation | null;
  readonly failed: readonly MeshtailError[];
  /** The same, of which a person was told while reading. */
  readonly told: readonly MeshtailError[];
  readonly gaps: readonly ReportGap[];
  /** The way to the cluster that was read; `null`: files were. */
  readonly client: ClusterClient | null;
  /** What a cluster tells beside the lines. */
  readonly live?: LiveFacts;
}

/**
 * Reads files, or what the cluster holds of targets, to their end. Lines of `requestId` are kept, however many there are
 * of others.
 */
export function readInputs(
  args: readonly string[],
  options: Options,
  reading: Reading,
  environment: Environment,
  requestId?: string,
): Promise<Read> {
  return asksCluster(args, options, environment)
    ? readCluster(args, options, reading, environment, requestId)
    : readFiles(args, options, environment, requestId);
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
    client: null,
  };
}

/** What the cluster holds of a target's logs; with `-f` until the run is told to stop. */
async function readCluster(
  args: readonly string[],
  options: Options,
  reading: Reading,
  environment: Environment,
  requestId: string | undefined,
): Promise<Read> {
  const session = await openLive(args, options, false, environment);
  const observation = new Observation(undefined, requestId);
  const filter = within(options.filter, null, options.until);
  const { live, widening } = await besideOf(session, options.cluster.with, environment.warn);
  const { failed } = await readSession(
    session,
    reading,
    environment,
    {
      onSource: (source) => observation.open(source.name, source.origin),
      onParsed: (parsed) => {
        live.parsed(parsed);
        count(observation, parsed, filter);
      },
    },
    widening,
  );
  const { gaps, refused, withoutProxy } = session.status();
  const unseen = withoutProxy.map((pod) => {
    const origin = `${pod.namespace}/${pod.name}`;
    return { origin, reason: `pod ${origin} has no proxy, and its traffic is not seen: ${whyNoProxy(pod)}` };
  });
  return {
    observation,
    failed,
    told: refused,
    gaps: [...gaps, ...unseen],
    client: session.client,
    live,
  };
}
