import type { Case } from '../../aggregate/joins.js';
import type { Row } from '../../aggregate/row.js';
import type { Cause } from '../cause.js';
import { idleTimesOf, isCutAtOnce, isCutUnanswered } from '../connections.js';
import type { Fact, Hypothesis } from '../hypothesis.js';
import { namespaceOf, podCommand } from '../kubectl.js';
import type { Scene } from '../scene.js';
import { distinct, groupBy, least, median, most, weigh } from '../stats.js';
import { clock, listed, ofWords, percent, range, span } from '../words.js';

/** A race is rare by nature: what breaks most requests is something else. */
const LARGEST_SHARE = 0.2;

function judge(scene: Scene): Hypothesis[] {
  const cut = scene.casesOf(isCutUnanswered).filter(({ decider }) => isCutAtOnce(decider));
  return [...groupBy(cut, ({ decider }) => `${decider.direction}\n${scene.placeOf(decider)}`)].flatMap(
    ([, cases]) => {
      const found = hypothesis(scene, cases);
      return found ? [found] : [];
    },
  );
}

function hypothesis(scene: Scene, cases: readonly Case[]): Hypothesis | null {
  const cut = cases.map(({ decider }) => decider);
  const sample = cut[0]!;
  const service = scene.placeOf(sample);
  const inbound = sample.direction === 'inbound';
  const proxies = new Set(cut.map((row) => row.proxy));
  const served = scene.linesOf(sample).filter((row) => row.direction === sample.direction);
  const onProxies = served.filter((row) => proxies.has(row.proxy));
  const share = weigh(cut) / weigh(onProxies);
  const idleTimes = idleTimesOf(scene, onProxies);
  // Of a sample of lines some were looked up.
  const known = cut.filter((row) => idleTimes.has(row)).length;
  const gaps = cut.flatMap((row) => idleTimes.get(row) ?? []);
  const reused = gaps.length;
  // Without a single earlier use there is no idle connection to race for.
  if (reused === 0 || reused < known / 2 || share > LARGEST_SHARE) return null;
  const smallest = least(gaps);
  const largest = most(gaps);
  const healthy = onProxies.filter((row) => !row.failure).flatMap((row) => idleTimes.get(row) ?? []);
  const shorter = healthy.filter((gap) => gap < smallest).length;
  const typical = median(gaps)!;
  // Others were still under way on it.
  if (typical <= 0) return null;
  const tight = largest - smallest <= Math.max(0.2 * typical, 50);
  const longerGood = healthy.filter((gap) => gap > largest * 1.1 + 20).length;
  const first = least(cut.map((row) => row.start));
  const last = most(cut.map((row) => row.start));
  const together = endTogether(cut, scene.lastEnd - scene.first);
  const pods = distinct(cut, (row) => (inbound ? row.proxy : row.upstreamIp));
  const allPods = distinct(served, (row) => (inbound ? row.proxy : row.upstreamIp));

  const evidence: Fact[] = [
    {
      text: `cut ${span(most(cut.map((row) => row.duration)))} at most after they were sent, before any answer`,
      count: weigh(cut),
      of: weigh(cut),
    },
    {
      text: `of these${known < cut.length ? ' that were looked up' : ''}, on a connection that had been idle for ${range(smallest, largest)}`,
      count: reused,
      of: known,
    },
    {
      text: `healthy requests on connections idle for less than ${span(smallest)}`,
      count: shorter,
      of: healthy.length,
    },
  ];
  const against: Fact[] = [];
  if (together)
    against.push({
      text: 'several broke in the same instant, as when a process dies',
      count: weigh(cut),
      of: weigh(cut),
    });
  if (longerGood > 0) {
    against.push({
      text: `healthy requests on connections that had been idle for longer than ${span(largest)}`,
      count: longerGood,
      of: healthy.length,
    });
  }
  const idle = smallest > 200;
  const confidence =
    together || !idle ? 'possible' : tight && reused === known && known >= 3 ? 'high' : 'likely';
  return {
    cause: 'keepalive-idle-race',
    title: `${service} closes idle connections about ${span(typical)} after use, while the proxy still reuses them`,
    summary:
      `${ofWords(weigh(cut), weigh(onProxies))} requests (${percent(weigh(cut), weigh(onProxies))}) to ${service} broke at once ` +
      `(503 UC) between ${clock(first)} and ${clock(last)}, on connections that had been idle for ${range(smallest, largest)}; ` +
      `${shorter} of ${healthy.length} healthy reuses came sooner. The server ends idle keep-alive connections at about that age; ` +
      `a request that is sent in the same instant is lost. Its ${pods.length === allPods.length ? 'pods are all' : 'pods are partly'} concerned, and none crashed: they serve on.`,
    at: {
      services: [service],
      upstreamClusters: distinct(cut, (row) => row.cluster?.name ?? null),
      endpoints: distinct(cut, (row) => row.upstreamIp),
    },
    cases,
    evidence,
    against,
    confidence,
    why:
      confidence === 'high'
        ? `all failing requests took a connection idle for one and the same time (${range(smallest, largest)})`
        : confidence === 'likely'
          ? 'the failing requests follow idle gaps, but these are few or spread wide'
          : 'the requests break as in a race, but not after a pause or several at once',
    next: [
      {
        purpose: `look up the keep-alive or idle timeout that the app of ${listed([service])} sets: about ${span(typical)}`,
        command: inbound
          ? podCommand(namespaceOf(service), 'describe pod', pods[0]!)
          : `kubectl get destinationrule -A -o yaml | grep -n -B12 -A12 idleTimeout`,
      },
    ],
    fix: [
      `Let the app keep idle connections longer than its callers do, or set connectionPool.http.idleTimeout in a DestinationRule below ${span(smallest)}.`,
      'Retry on reset for calls that may be repeated safely.',
    ],
  };
}

/** So close together several hardly end by chance, unless there are very many. */
const INSTANT_MS = 20;

/** Whether more of them ended in one instant than would by chance, spread over all the time. */
function endTogether(rows: readonly Row[], spanMs: number): boolean {
  const ends = rows.map((row) => row.end).toSorted((a, b) => a - b);
  const usual = (rows.length * INSTANT_MS) / Math.max(spanMs, INSTANT_MS);
  const most = Math.floor(usual + 4 * Math.sqrt(usual) + 2);
  return ends.some((end, i) => i >= most && end - ends[i - most]! < INSTANT_MS);
}

export const keepaliveIdleRace: Cause = {
  id: 'keepalive-idle-race',
  reference: 'https://github.com/istio/istio/issues/55138',
  mechanism:
    'The server closes an idle keep-alive connection in the very moment in which the proxy sends the next request on it.',
  signs: [
    '503 UC {connection_termination} within a few ms, 95 bytes, with an upstream local address',
    'rare, on every replica, any path; the connection had been idle for about the server’s idle timeout',
  ],
  against: [
    'several requests of different age end in the same instant: the process died',
    'all new connections of one caller break: its certificate is refused, or plaintext meets TLS',
  ],
  judge,
};
