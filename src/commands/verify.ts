import { checksFor, findingsFor } from '../check/for-causes.js';
import { configSync } from '../check/foundation/config-sync.js';
import { runChecks } from '../check/run.js';
import { serviceName, servicesOf } from '../check/services.js';
import { proxiesToAsk } from '../check/target.js';
import { answerFinding, askRoutes } from '../check/traffic/ask.js';
import { isProxyOnly, workloads } from '../check/workloads.js';
import { readSettled } from '../check/settled.js';
import { perWorld, type World } from '../check/world.js';
import { ApiError, type ClusterClient } from '../cluster/client.js';
import { liveCluster } from '../cluster/live-cluster.js';
import { applyChecks, causesInQuestion, decidingProxies, failedRequests } from '../diagnosis/checked.js';
import type { Diagnosis, Incident } from '../diagnosis/diagnose.js';
import type { Finding } from '../diagnosis/finding.js';
import { MeshtailError } from '../errors.js';

/** Holds every incident against the cluster: asks for the checks that its hypotheses need, and lets them decide. */
export function verified(diagnosis: Diagnosis, world: World): Diagnosis {
  return {
    ...diagnosis,
    incidents: diagnosis.incidents.flatMap((incident) => {
      const causes = causesInQuestion(incident);
      return applyChecks([incident], [...known(world, causes), ...routesOf(world, incident, causes)]);
    }),
  };
}

/** Incidents as a cluster that is there says of them. */
export interface LiveVerdict {
  readonly diagnosis: Diagnosis;
  /** Checks that the causes in question need and that could not be made, each with the reason. */
  readonly notMade: readonly string[];
}

/** Asks a cluster for exactly what the incidents' causes need. A cluster that is gone meanwhile leaves the logs' word. */
export async function verifiedLive(
  diagnosis: Diagnosis,
  client: ClusterClient,
  signal?: AbortSignal,
): Promise<LiveVerdict> {
  try {
    const world = await worldFor(diagnosis.incidents, client, signal);
    return { diagnosis: verified(diagnosis, world), notMade: notMade(world, diagnosis.incidents) };
  } catch (error) {
    if (!(error instanceof MeshtailError || error instanceof ApiError)) throw error;
    return { diagnosis, notMade: [error.message] };
  }
}

/** The objects, and of proxies those whose lines decided and those of the services at fault: where a check asks for them. */
export function worldFor(
  incidents: readonly Incident[],
  client: ClusterClient,
  signal?: AbortSignal,
): Promise<World> {
  const checks = checksFor(incidents.flatMap(causesInQuestion));
  const deciders = new Set(incidents.flatMap((incident) => [...decidingProxies(incident)]));
  const faulty = new Set(incidents.flatMap(({ hypothesis }) => hypothesis.at.services ?? []));
  const cluster = liveCluster(client, {
    namespaces: [client.connection.namespace],
    ...(signal && { signal }),
  });
  return readSettled(cluster, (objects) => ({
    pods: checks.some(({ phase }) => phase === 'envoy')
      ? proxiesToAsk(
          workloads(objects).filter(({ pods }) =>
            pods.some(
              (pod) =>
                deciders.has(pod.name) ||
                servicesOf(objects, pod).some((service) => faulty.has(serviceName(service))),
            ),
          ),
          deciders,
        )
      : [],
    sync: checks.includes(configSync),
  }));
}

/** Checks that the incidents' causes need and that could not be made, each with the reason. */
export function notMade(world: World, incidents: readonly Incident[]): readonly string[] {
  const checks = checksFor(incidents.flatMap(causesInQuestion));
  const unknown = runChecks(world, null, checks).filter(({ status }) => status === 'unknown');
  return [...new Set(unknown.flatMap(({ read }) => read.split('; ')))];
}

const findings = perWorld((): Map<string, readonly Finding[]> => new Map());

/** What checks find of causes; a screen asks it of the same world many times. */
function known(world: World, causes: readonly string[]): readonly Finding[] {
  const key = causes.join();
  let found = findings(world).get(key);
  if (!found) findings(world).set(key, (found = findingsFor(world, causes)));
  return found;
}

/** Where routes are in question, the failed requests themselves are asked. */
function routesOf(world: World, incident: Incident, causes: readonly string[]): readonly Finding[] {
  if (!causes.includes('vs-route-no-match')) return [];
  const proxies = decidingProxies(incident);
  const deciders = workloads(world).filter(({ pods }) => pods.some(({ name }) => proxies.has(name)));
  const atGateway = deciders.some(({ spec }) => isProxyOnly(spec));
  if (deciders.length === 0) return [];
  const answers = failedRequests(incident).flatMap((request) =>
    askRoutes(world, { ...request, headers: new Map(), port: null }, deciders).filter(
      ({ vantage }) => (vantage.kind === 'sidecar') !== atGateway,
    ),
  );
  // Lines do not hold the headers that rules may ask for: only what fails whatever they are is told.
  const lost = answers.filter(
    ({ decision }) => decision.outcome === 'no-route' || decision.outcome === 'no-host',
  );
  const told = lost.length > 0 ? lost : answers.length > 0 ? [answers[0]!] : [];
  const about = { services: incident.hypothesis.at.services ?? [] };
  return told.map((answer) => ({ ...answerFinding(answer), about }));
}
