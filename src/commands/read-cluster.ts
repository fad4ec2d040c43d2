import { Observation } from '../aggregate/observation.js';
import { rowLimitsFor } from '../aggregate/rows.js';
import type { Options } from '../cli/options.js';
import { whyNoProxy } from '../cluster/pods.js';
import { within } from '../filter/within.js';
import { count, type Reading } from '../pipeline.js';
import type { Environment } from './environment.js';
import { besideOf, openLive, readSession } from './live.js';
import type { Read } from './read-inputs.js';

/** What the cluster holds of a target's logs; with `-f` until the run is told to stop. */
export async function readCluster(
  args: readonly string[],
  options: Options,
  reading: Reading,
  environment: Environment,
  requestId: string | undefined,
): Promise<Read> {
  const session = await openLive(args, options, false, environment);
  const observation = new Observation(undefined, requestId);
  const filter = within(options.filter, null, options.until);
  let bytes = 0;
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
        bytes += parsed.framed.line.end - parsed.framed.line.start + 1;
        // How much comes nobody knows beforehand.
        observation.rows.limitTo(rowLimitsFor(bytes));
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
    files: [],
    client: session.client,
    live,
  };
}
