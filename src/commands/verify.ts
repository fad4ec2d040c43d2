import { checksFor, findingsFor } from '../check/for-causes.js';
import { configSync } from '../check/foundation/config-sync.js';
import { runChecks } from '../check/run.js';
import { serviceName, servicesOf } from '../check/services.js';
import { proxiesToAsk } from '../check/target.js';
import { answerFinding, askRoutes } from '../check/traffic/ask.js';
import { isProxyOnly, workloads } from '../check/workloads.js';
import { readSettled } from '../check/settled.js';
import type { World } from '../check/world.js';
import { ApiError, type ClusterClient } from '../cluster/client.js';
import { liveCluster } from '../cluster/live-cluster.js';
import {
  applyChecks,
  causesInQuestion,
  decidingProxies,
  failedRequests,
  type FailedRequest,
} from '../diagnosis/checked.js';
import type { Diagnosis, Incident } from '../diagnosis/diagnose.js';
import type { Finding } from '../diagnosis/finding.js';
import type { CauseId } from '../diagnosis/hypothesis.js';
import { MeshtailError } from '../errors.js';

/** What an incident wants to know of a cluster, as plain data: another thread may ask. */
export interface Question {
  readonly causes: readonly CauseId[];
  /** Pods whose proxies decided. */
  readonly deciders: readonly string[];
  /** Those at fault, `name.namespace`. */
  readonly services: readonly string[];
  readonly requests: readonly FailedRequest[];
}

/** What a cluster says to it. */
export interface Verdict {
  readonly findings: readonly Finding[];
  /** Checks that the causes need and that could not be made, each with the reason. */
  readonly notMade: readonly string[];
}

export const questionOf = (incident: Incident): Question => ({
  causes: causesInQuestion(incident),
  deciders: [...decidingProxies(incident)],
  services: incident.hypothesis.at.services ?? [],
  requests: failedRequests(incident),
});

/** Holds every incident against what was saved: asks for the checks that its hypotheses need, and lets them decide. */
export function verified({ incidents, ...diagnosis }: Diagnosis, world: World): Diagnosis {
  return {
    ...diagnosis,
    incidents: incidents.flatMap((one) => applyChecks([one], answerTo(world, questionOf(one)))),
  };
}

/** The same of a cluster that is there. */
export async function verifiedLive(
  { incidents, ...diagnosis }: Diagnosis,
  client: ClusterClient,
): Promise<{ readonly diagnosis: Diagnosis; readonly notMade: readonly string[] }> {
  const verdicts = await askCluster(client, incidents.map(questionOf));
  return {
    diagnosis: {
      ...diagnosis,
      incidents: incidents.flatMap((one, i) => applyChecks([one], verdicts[i]!.findings)),
    },
    notMade: [...new Set(verdicts.flatMap(({ notMade }) => notMade))],
  };
}

/** Reads a cluster for exactly what is asked. One that is gone meanwhile has nothing to say, and why. */
export async function askCluster(
  client: ClusterClient,
  questions: readonly Question[],
): Promise<readonly Verdict[]> {
  try {
    const world = await worldFor(client, questions);
    return questions.map((question) => ({
      findings: answerTo(world, question),
      notMade: notMade(world, question),
    }));
  } catch (error) {
    if (!(error instanceof MeshtailError || error instanceof ApiError)) throw error;
    return questions.map(() => ({ findings: [], notMade: [error.message] }));
  }
}

/** The objects, and of proxies those whose lines decided and those of the services at fault: where a check asks for them. */
function worldFor(client: ClusterClient, questions: readonly Question[]): Promise<World> {
  const checks = checksFor(questions.flatMap(({ causes }) => causes));
  const deciders = new Set(questions.flatMap((one) => one.deciders));
  const faulty = new Set(questions.flatMap(({ services }) => services));
  const cluster = liveCluster(client, { namespaces: [client.connection.namespace] });
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

function notMade(world: World, { causes }: Question): readonly string[] {
  const unknown = runChecks(world, null, checksFor(causes)).filter(({ status }) => status === 'unknown');
  return [...new Set(unknown.flatMap(({ read }) => read.split('; ')))];
}

const answerTo = (world: World, question: Question): readonly Finding[] => [
  ...findingsFor(world, question.causes),
  ...routesOf(world, question),
];

/** Where routes are in question, the failed requests themselves are asked. */
function routesOf(world: World, { causes, deciders, services, requests }: Question): readonly Finding[] {
  if (!causes.includes('vs-route-no-match')) return [];
  const proxies = workloads(world).filter(({ pods }) => pods.some(({ name }) => deciders.includes(name)));
  const atGateway = proxies.some(({ spec }) => isProxyOnly(spec));
  if (proxies.length === 0) return [];
  const answers = requests.flatMap((request) =>
    askRoutes(world, { ...request, headers: new Map(), port: null }, proxies).filter(
      ({ vantage }) => (vantage.kind === 'sidecar') !== atGateway,
    ),
  );
  // Lines do not hold the headers that rules may ask for: only what fails whatever they are is told.
  const lost = answers.filter(
    ({ decision }) => decision.outcome === 'no-route' || decision.outcome === 'no-host',
  );
  const told = lost.length > 0 ? lost : answers.length > 0 ? [answers[0]!] : [];
  return told.map((answer) => ({ ...answerFinding(answer), about: { services } }));
}
