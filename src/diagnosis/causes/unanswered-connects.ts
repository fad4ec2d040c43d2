import type { Case } from '../../aggregate/joins.js';
import type { Row } from '../../aggregate/row.js';
import { causesNamedIn, type Cause } from '../cause.js';
import { connectErrorOf } from '../connect-error.js';
import type { Hypothesis } from '../hypothesis.js';
import { connectCommand } from '../kubectl.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { groupBy, most } from '../stats.js';
import { claim, Study } from '../study.js';
import { isConnectFailure, isConnectTimeout, isExternal, isPassthrough } from '../traits.js';
import { listed, ofWords, shellWord, span } from '../words.js';

/** A share of the waits ends in one instant: the oldest connect attempt takes all that wait for its host with it. */
function alignedEnds(rows: readonly Row[]): number {
  const ends = rows.map((row) => row.end).toSorted((a, b) => a - b);
  return ends.filter(
    (end, i) =>
      (ends[i + 1] ?? Infinity) - end < TOGETHER_MS || end - (ends[i - 1] ?? -Infinity) < TOGETHER_MS,
  ).length;
}

/**
 * Connects that nobody answered. With the oldest attempt all that wait for its host fail, however short they waited: a TCP
 * line then has nothing to tell it by but the proxy, the host and the moment.
 */
function unanswered(cases: readonly Case[]): readonly Case[] {
  const toHost = ({ decider }: Case): string => `${decider.proxy}\n${decider.upstreamHost}`;
  const ends = groupBy(
    cases.filter(({ decider }) => isConnectTimeout(decider)),
    toHost,
  );
  return cases.filter(
    (one) =>
      isConnectTimeout(one.decider) ||
      (connectErrorOf(one.decider) === null &&
        one.decider.upstreamLocal === null &&
        ends.get(toHost(one))?.some(({ decider }) => Math.abs(decider.end - one.decider.end) < TOGETHER_MS)),
  );
}

const TOGETHER_MS = 20;

/** Connects that nobody answered, one story per set of callers and destinations. */
const timedOut = perScene((scene: Scene): Hypothesis[] => {
  const failed = scene.casesOf((kind) => kind.direction !== 'inbound' && isConnectFailure(kind));
  const waited = unanswered(failed);
  if (waited.length === 0) return [];
  const found: Hypothesis[] = [];
  for (const [place, group] of groupBy(waited, ({ decider }) => scene.placeOf(decider))) {
    const study = new Study(scene, group);
    const port = study.sample.upstreamHost?.match(/:(\d+)$/)?.[1];
    found.push(
      port === '15443'
        ? eastWest(study)
        : isExternal(study.sample) || (isPassthrough(study.sample) && isExternal(study.sample))
          ? egressBlocked(study, place)
          : blocked(scene, study, place),
    );
  }
  return found;
});

function blocked(scene: Scene, study: Study, place: string): Hypothesis {
  const callers = study.affectedCallers;
  const whose = callers.length > 0 ? ` of ${listed(callers)}` : '';
  const hosts = study.by((row) => row.upstreamIp, study.during);
  const one = hosts.length > 1 && hosts.filter(({ failures }) => failures > 0).length === 1;
  const longest = most(study.rows.map((row) => row.duration));
  const aligned = alignedEnds(study.rows);
  const lines = scene.callersLines(place);
  const otherCallers = lines.filter(
    (row) => row.start >= study.first && row.start <= study.last + 1 && !study.proxies.includes(row.proxy),
  );
  const otherGood = otherCallers.filter((row) => !row.failure).length;
  const used = otherCallers.filter((row) => study.hosts.includes(row.upstreamIp ?? '')).length;
  const alone = otherCallers.length >= 5 && used === 0;
  const noRoute = scene.cases.filter(
    ({ decider }) => connectErrorOf(decider) === 'no-route' && scene.placeOf(decider) === place,
  );
  return claim(study, {
    cause: 'connect-timeout-network-blocked',
    title: `Connections ${callers.length > 0 ? `from ${listed(callers)} ` : ''}to ${place} get no answer`,
    story:
      `their connection was never made, and after ${span(longest)} at most the proxy gave up. ${aligned} of ${study.rows.length} failed together with another: all that wait for one connect fail with it. ` +
      (otherCallers.length > 0
        ? `Other callers of the same service reach it (${ofWords(otherGood, otherCallers.length)}). `
        : '') +
      'Something on the way drops packets: a refusal would come at once.',
    at: {
      services: [place],
      endpoints: one ? [hosts[0]!.value] : study.hosts.slice(0, 4),
      ...(callers.length > 0 ? {} : { clients: study.proxies.length === 1 ? study.proxies : [] }),
    },
    cases: [...study.cases, ...noRoute],
    evidence: [
      study.fact(
        `requests and connections${whose} in that time whose connect nobody answered`,
        study.rows,
        study.theirsDuring.length > study.rows.length ? study.theirsDuring : study.rows,
      ),
      { text: 'of these, that failed within 20 ms of another', count: aligned, of: study.rows.length },
      {
        text: 'requests of other callers to it in the same time that went well',
        count: otherGood,
        of: otherCallers.length,
      },
    ],
    confidence: alone
      ? 'possible'
      : one
        ? 'likely'
        : otherGood > 0 || study.rows.length >= 5
          ? 'high'
          : 'likely',
    why: alone
      ? 'the other callers do not use these addresses at all, so the addresses are wrong rather than the way'
      : otherGood > 0
        ? 'no answer at all, and only for some callers'
        : one
          ? 'no answer from one address only, whose pod may be gone'
          : 'no answer at all, no refusal',
    next: [
      { purpose: 'look for a policy that selects either side', command: 'kubectl get networkpolicy -A' },
      {
        purpose:
          'try the connection past the sidecar: a time-out means blocked, connected means it is open again',
        command: connectCommand(study.proxies[0]!, study.sample.upstreamHost ?? place),
      },
    ],
    fix: [
      'Allow the flow in the NetworkPolicy, security group or firewall; a shorter connectTimeout makes it fail sooner.',
    ],
  });
}

function egressBlocked(study: Study, place: string): Hypothesis {
  return claim(study, {
    cause: 'egress-firewall-blocked',
    title: `Nothing outside answers connects to ${study.sample.serverName ?? place}`,
    story: `the mesh lets the connections out (${study.sample.cluster?.name ?? 'no cluster'}), but ${listed(study.hosts)} never answers; they end after ${span(most(study.rows.map((row) => row.duration)))} at most. A firewall or NAT on the way out drops them.`,
    at: { services: [study.sample.serverName ?? place], endpoints: study.hosts, clients: study.proxies },
    evidence: [
      study.fact('connects to it that nobody answered', study.rows, study.during),
      ...study.contrast('upstream host', (row) => row.upstreamIp),
    ],
    confidence: study.rows.length >= 3 ? 'high' : 'likely',
    why: 'an address outside the cluster, no answer and no refusal',
    next: [
      {
        purpose: 'try it from a debug pod',
        command: `kubectl run egress-test --rm -it --restart=Never --image=curlimages/curl -- curl -sv --connect-timeout 5 ${shellWord(`https://${study.sample.serverName ?? study.hosts[0]}`)}`,
      },
    ],
    fix: ['Open the way in the firewall, NAT or egress policy.'],
  });
}

function eastWest(study: Study): Hypothesis {
  return claim(study, {
    cause: 'eastwest-gateway-unreachable',
    title: `The gateway to the other network, ${listed(study.hosts)}, does not answer`,
    story: `requests for ${study.place} that are balanced to the remote network go to port 15443 of ${listed(study.hosts)} and get no answer; local pods serve.`,
    at: { services: [study.place], endpoints: study.hosts },
    evidence: [
      study.fact('connects to the remote gateway without an answer', study.rows, study.rows),
      ...study.contrast('upstream host', (row) => row.upstreamIp),
    ],
    confidence: 'high',
    why: 'port 15443 is the gateway between networks, and only it fails',
    next: [
      { purpose: 'see how the remote cluster is reached', command: 'istioctl remote-clusters' },
      { purpose: 'see its address', command: 'kubectl -n istio-system get svc -o wide | grep -i eastwest' },
    ],
    fix: ['Expose that gateway and open 15443; check the network labels.'],
  });
}

const waiting = causesNamedIn((scene) => timedOut(scene));

export const UNANSWERED_CAUSES: readonly Cause[] = [
  waiting(
    'connect-timeout-network-blocked',
    'https://github.com/istio/istio/issues/48649',
    'The network drops the first packets of a connection.',
    [
      'UF with {connection_timeout} or an empty reason and seconds of waiting, no local address',
      'equal ends of what waits for one host',
    ],
    ['refused at once: something answers there'],
  ),
  waiting(
    'egress-firewall-blocked',
    'https://github.com/istio/istio/issues/56356',
    'A firewall or NAT on the way out drops connections that the mesh lets through.',
    ['0 UF,URX after up to 10 s to a public address'],
    ['BlackHoleCluster: the mesh blocks'],
  ),
  waiting(
    'eastwest-gateway-unreachable',
    'https://github.com/istio/istio/issues/39930',
    'The gateway of another network cannot be reached.',
    ['UF to an address with port 15443, for the share that is balanced there'],
    [],
  ),
];
