import { findingsFor } from '../check/for-causes.js';
import { answerFinding, askRoutes } from '../check/traffic/ask.js';
import { isProxyOnly, workloads } from '../check/workloads.js';
import type { World } from '../check/world.js';
import { applyChecks, causesInQuestion, decidingProxies, failedRequests } from '../diagnosis/checked.js';
import type { Diagnosis, Incident } from '../diagnosis/diagnose.js';
import type { Finding } from '../diagnosis/finding.js';

/** Holds every incident against the cluster: asks for the checks that its hypotheses need, and lets them decide. */
export function verified(diagnosis: Diagnosis, world: World): Diagnosis {
  return {
    ...diagnosis,
    incidents: diagnosis.incidents.flatMap((incident) => {
      const causes = causesInQuestion(incident);
      return applyChecks([incident], [...findingsFor(world, causes), ...routesOf(world, incident, causes)]);
    }),
  };
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
