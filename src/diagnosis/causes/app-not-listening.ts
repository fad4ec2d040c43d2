import type { Case } from '../../aggregate/joins.js';
import type { Kind, Row } from '../../aggregate/row.js';
import { boutsOf } from '../bouts.js';
import type { Cause } from '../cause.js';
import { connectErrorOf } from '../connect-error.js';
import { turnover } from '../hosts.js';
import type { Fact, Hypothesis } from '../hypothesis.js';
import { logsCommand, namespaceOf, podCommand } from '../kubectl.js';
import type { Scene } from '../scene.js';
import { distinct, groupBy, least, most, weigh } from '../stats.js';
import { isCut, wasAnswered } from '../traits.js';
import { clock, listed, plural, range, span } from '../words.js';

/** A refused connect on the server side: the sidecar lives, its app's port is closed. */
function mayBeRefusedByApp(kind: Kind): boolean {
  if (kind.direction !== 'inbound' || !kind.has('UF') || kind.cluster?.kind === 'inbound-vip') return false;
  if (kind.cluster?.name.startsWith('InboundPassthrough')) return false;
  const error = connectErrorOf(kind);
  return error === 'refused' || (error === null && kind.transportFailure === null);
}
/** Old proxies and layouts without details give no reason: a failed connect to the own pod in no time is a refusal. */
const isRefusal = ({ decider }: Case): boolean =>
  decider.duration < 100 || connectErrorOf(decider) === 'refused';

function judge(scene: Scene): Hypothesis[] {
  const refused = scene.casesOf(mayBeRefusedByApp).filter(isRefusal);
  return [
    ...groupBy(refused, ({ decider }) => `${scene.placeOf(decider)}\n${decider.cluster?.port ?? ''}`),
  ].map(([, cases]) => {
    const found = hypothesis(scene, cases);
    return { ...found, cases: [...found.cases, ...lastRequests(scene, cases)] };
  });
}

/** How long before its port refuses an app may drop what it still held. */
const CLOSING_MS = 1_500;

/**
 * A request that broke on the pod right before its port refused belongs to the same event. One for each pod: several
 * that break together are a process that died, which is another story.
 */
function lastRequests(scene: Scene, refused: readonly Case[]): readonly Case[] {
  const firstByPod = new Map(
    [...groupBy(refused, ({ decider }) => decider.proxy)].map(([pod, cases]) => [
      pod,
      least(cases.map(({ decider }) => decider.start)),
    ]),
  );
  const cut = scene
    .casesOf((kind) => kind.direction === 'inbound' && firstByPod.has(kind.proxy) && isCut(kind))
    .filter(({ decider }) => Math.abs(decider.end - firstByPod.get(decider.proxy)!) <= CLOSING_MS);
  return [...groupBy(cut, ({ decider }) => decider.proxy).values()].flatMap((cases) =>
    cases.length === 1 ? cases : [],
  );
}

function hypothesis(scene: Scene, cases: readonly Case[]): Hypothesis {
  const deciders = cases.map(({ decider }) => decider);
  const sample = deciders[0]!;
  const service = scene.placeOf(sample);
  const port = sample.cluster?.port ?? null;
  const served = scene.rowsOf(
    (kind) =>
      kind.direction === 'inbound' &&
      !kind.tunnel &&
      scene.placeOf(kind) === service &&
      kind.cluster?.port === sample.cluster?.port,
  );
  const pods = distinct(deciders, (row) => row.proxy);
  const allPods = distinct(served, (row) => row.proxy);
  const peers = served.filter((row) => !pods.includes(row.proxy));
  const first = least(deciders.map((row) => row.start));
  const last = most(deciders.map((row) => row.start));
  const ofPods = served.filter((row) => pods.includes(row.proxy));
  const before = ofPods.filter((row) => row.end < first);
  const bouts = boutsOf(deciders, ofPods);
  const during = ofPods.filter((row) =>
    bouts.some((bout) => bout.pod === row.proxy && row.start >= bout.first && row.start <= bout.last),
  );
  const after = ofPods.filter((row) => row.start > last);
  const answered = (rows: readonly Row[]): number => rows.filter(wasAnswered).length;
  const quickest = least(deciders.map((row) => row.duration));
  const slowest = most(deciders.map((row) => row.duration));
  const where = port === null ? 'its port' : `port ${port}`;
  const took = range(quickest, slowest);

  const evidence: Fact[] = [
    {
      text: `connects from the sidecar to the app on ${where} of ${listed(pods)} refused, within ${took}`,
      count: weigh(deciders),
      of: weigh(during),
    },
  ];
  if (before.length > 0) {
    evidence.push({
      text: 'requests that the app answered on the same pods before',
      count: answered(before),
      of: before.length,
    });
  }
  if (after.length > 0) {
    evidence.push({
      text: 'requests that it answered on them after the last refusal',
      count: answered(after),
      of: after.length,
    });
  }
  if (peers.length > 0) {
    evidence.push({
      text: `requests to the other ${allPods.length - pods.length === 1 ? 'pod' : `${allPods.length - pods.length} pods`} that were refused`,
      count: 0,
      of: weigh(peers),
    });
  }
  const against: Fact[] = [];
  const inside = answered(during);
  if (inside > 0) {
    against.push({
      text: 'requests that the app on these pods answered in between',
      count: inside,
      of: during.length,
    });
  }
  const neverWorked = answered(ofPods) === 0;
  const named = deciders.every((row) => connectErrorOf(row) === 'refused');
  const confidence =
    !named || inside > during.length / 2 ? 'possible' : neverWorked || inside > 0 ? 'likely' : 'high';
  // Pods that serve well have no line in a log of errors.
  const everyPod = pods.length === allPods.length && !scene.errorsOnly;
  const addresses = new Set(deciders.map((row) => row.upstreamIp));
  const { arrived } = turnover(scene.callersLines(service));
  const firstOf = new Map(bouts.toReversed().map((bout) => [bout.pod, bout.first]));
  const workedBefore = ofPods.some((row) => wasAnswered(row) && row.end < firstOf.get(row.proxy)!);
  const arrivedLate = !workedBefore && [...addresses].every((ip) => arrived.some((life) => life.ip === ip));
  const ongoing = after.length === 0;
  const times = Math.max(...[...groupBy(bouts, ({ pod }) => pod).values()].map(({ length }) => length));
  const longest = most(bouts.map((bout) => bout.last - bout.first));
  const howLong =
    times > 1 ? ` ${times} times, for up to ${span(longest)}` : ongoing ? '' : ` for ${span(last - first)}`;
  const title = everyPod
    ? `The app of ${service} does not listen on ${where}${howLong}`
    : `The app in ${scene.errorsOnly ? plural(pods.length, 'pod') : `${pods.length} of ${allPods.length} pods`} of ${service} does not listen on ${where}${times > 1 ? howLong : ''}`;
  return {
    cause: 'app-not-listening',
    title,
    summary:
      `The sidecar of ${listed(pods)} is up, but nothing accepts its connections on ${where}: ` +
      `${plural(deciders.length, 'connect')} refused between ${clock(first)} and ${clock(last)}. ` +
      (before.length > 0
        ? `The same pods answered ${answered(before)} of ${before.length} requests before. `
        : '') +
      (times > 1 ? 'In between it listened again, as an app that is restarted over and over. ' : '') +
      (arrivedLate
        ? `${pods.length === 1 ? 'This pod is' : 'These pods are'} new: no line names ${pods.length === 1 ? 'it' : 'them'} before ${clock(least(ofPods.map((row) => row.start)))}. ${answered(after) > 0 ? 'Requests came before anything listened there. ' : ''}`
        : '') +
      (peers.length > 0 ? `The other pods of the service serve. ` : '') +
      `The network and the mesh between the pods are not at fault: the requests reached the pod.`,
    severity: everyPod ? 'critical' : 'high',
    at: {
      services: [service],
      upstreamClusters: distinct(deciders, (row) => row.cluster?.name ?? null),
      // Where every replica fails it is the service, not a pod.
      ...(everyPod && pods.length > 1 ? {} : { pods }),
      endpoints: distinct(deciders, (row) => row.upstreamIp),
    },
    cases,
    evidence,
    against,
    confidence,
    why:
      confidence === 'high'
        ? `refused by the own pod, named so by the server side itself, ${workedBefore ? 'after' : 'before'} a time when it answered`
        : !named
          ? 'the lines do not name the connect error, so a refusal is inferred'
          : neverWorked
            ? 'it never answered in these logs, so that an app bound to another address looks the same'
            : 'the app answered some requests in between',
    next: [
      {
        purpose: `see whether the app's container restarts, and what listens`,
        command: podCommand(namespaceOf(service), 'describe pod', pods[0]!),
      },
      {
        purpose: 'read what the app said when it stopped',
        command: logsCommand(namespaceOf(service), pods[0]!, first),
      },
    ],
    fix: [
      `Let the app listen on ${where} on all addresses (0.0.0.0), or align the Service's targetPort with where it listens.`,
      'Let a readiness probe cover that port, so that a pod is no endpoint before it listens.',
      ...(arrivedLate ? ['Roll back, if these pods are a new version.'] : []),
    ],
  };
}

export const appNotListening: Cause = {
  id: 'app-not-listening',
  reference: 'https://github.com/istio/istio/issues/51267',
  mechanism:
    'The sidecar accepted the request and dials its own app, whose port is closed: the app crashed, is starting, or listens elsewhere.',
  signs: [
    'the server side (inbound|port||) logs UF with Connection refused (111), often with URX from its built-in retry',
    'the host is the own pod, and there is no upstream local address',
    'callers see 503 via_upstream with the same byte count',
  ],
  against: [
    'a refused connect on the outbound side: no proxy answers there, so the pod itself is gone',
    'a timeout instead of a refusal: the network',
  ],
  judge,
};
