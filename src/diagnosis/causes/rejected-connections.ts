import { isRejectedConnection } from '../../aggregate/ends.js';
import { isRefusedBetweenNetworks, meantBy, type Case } from '../../aggregate/joins.js';
import type { Kind, Row } from '../../aggregate/row.js';
import { hostOf } from '../../record/address.js';
import { causesNamedIn, type Cause } from '../cause.js';
import type { Hypothesis } from '../hypothesis.js';
import { isPod, namespaceOf, podAtCommand, podCommand, proxyName } from '../kubectl.js';
import { askFor, hasProxy } from '../missing-side.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { distinct, groupBy, median, weigh } from '../stats.js';
import { claim, FEWEST_BEFORE, Study } from '../study.js';
import { fromMeshClient } from '../traits.js';
import { covers } from '../vantage.js';
import { clock, listed, ofWords, plural, shellWord, span } from '../words.js';

/** Connections without a filter chain, by what name they asked for; in front of an app by who called which service. */
const rejectedConnections = perScene((scene: Scene): Hypothesis[] => {
  const cases = scene.casesOf(isRejectedConnection).filter(({ decider }) => decider.peer !== null);
  const unnamed = cases.filter(({ decider }) => !isRefusedBetweenNetworks(decider));
  const atApps = unnamed.filter(({ decider }) => scene.servesApp(decider.proxy));
  const atGateways = unnamed.filter(({ decider }) => !scene.servesApp(decider.proxy));
  const byName = ({ decider }: Case): string => `${decider.proxy}\n${decider.serverName ?? ''}`;
  return [
    ...betweenNetworks(scene),
    ...[...groupBy(atGateways, byName).values()].flatMap(
      (group) => gatewaySni(atListener(scene, group)) ?? [],
    ),
    ...[...groupBy(atApps, ({ decider }) => scene.placeOf(decider)).values()].flatMap((group) => {
      const series = [...groupBy(group, ({ decider }) => `${decider.proxy}\n${decider.peer}`).values()];
      const probes = series.filter((some) => isProbe(scene, some));
      const others = series.filter((some) => !probes.includes(some)).flat();
      return [
        ...(probes.length > 0 ? [probe(new Study(scene, probes.flat()), probes)] : []),
        ...[...groupBy(others, ({ decider }) => decider.peer).values()].map((some) =>
          plaintextFrom(scene, new Study(scene, some)),
        ),
      ];
    }),
  ];
});

/** Against all else that came to the same listener. */
const atListener = (scene: Scene, cases: readonly Case[]): Study =>
  new Study(
    scene,
    cases,
    scene.rowsOf((kind) => kind.downstreamLocal === cases[0]!.decider.downstreamLocal),
  );

/**
 * Plaintext from an address. With its proxy's log there and silent, the traffic goes around that proxy. Where only the
 * servers' lines show that it has one, its own log would tell why it spoke plaintext. Else it has none.
 */
function plaintextFrom(scene: Scene, study: Study): Hypothesis {
  const peer = study.sample.peer!;
  const pod = scene.podOf(peer);
  const told = notInMesh(scene, study, peer, pod);
  if (pod !== null)
    return covers(scene, pod, study.first, study.last) ? around(scene, told, pod, study) : told;
  return hasProxy(scene, peer) ? notToldHere(told, peer) : told;
}

function around(scene: Scene, told: Hypothesis, pod: string, study: Study): Hypothesis {
  const own = scene.linesOfProxy(pod).filter((line) => line.start >= study.first && line.start <= study.last);
  return {
    ...told,
    cause: 'traffic-capture-bypassed',
    title: `${pod} reaches ${told.at.services?.[0] ?? study.place} around its own proxy, in plaintext`,
    summary: `${study.extent()}: they come from the address of ${pod} without TLS and match no filter chain. Its own proxy logged ${plural(own.length, 'line')} in that time and none of these connections: they are not captured, by excluded ports or ranges, another user of iptables, or an app that runs as the proxy’s user.`,
    evidence: [
      ...told.evidence,
      {
        text: `lines of ${pod} in that time that are the other end of these connections`,
        count: 0,
        of: weigh(own),
      },
    ].filter(({ of }) => of > 0),
    confidence: own.length >= MOST_SILENT ? 'high' : 'likely',
    why: 'the proxy of that pod logs its other traffic and nothing of this',
    next: [
      {
        purpose: 'look for annotations that leave ports or ranges out',
        command: `kubectl get pods -A -o yaml --field-selector ${isPod(pod) ? `metadata.name=${pod}` : `status.podIP=${shellWord(pod)}`} | grep -n traffic.sidecar.istio.io`,
      },
    ],
    fix: ['Remove the exclusion, or repair the redirection (CNI), and restart the pod.'],
  };
}

/** Lines of its own that make a pod's silence about a connection mean something. */
const MOST_SILENT = 5;

function notToldHere(told: Hypothesis, peer: string): Hypothesis {
  return {
    ...told,
    cause: 'insufficient-vantage',
    severity: 'high',
    verdict: 'mesh',
    title: `${peer} has a proxy, and yet speaks plaintext to ${told.at.services?.[0] ?? 'a server'} that demands mutual TLS`,
    summary: `${told.summary} The same address spoke mutual TLS as mesh proxies do: whether a TLS mode of its configuration, a destination that it does not know, or a way around its proxy is to blame, its own log tells.`,
    confidence: 'likely',
    why: `the log of the pod at ${peer} is not given`,
    next: [askFor(`the pod at ${peer}`)],
    fix: ['None yet: read that log first.'],
  };
}

function notInMesh(scene: Scene, study: Study, peer: string, pod: string | null): Hypothesis {
  const { place } = study;
  const inbound = study.proxies
    .flatMap((proxy) => scene.linesOfProxy(proxy))
    .filter((line) => line.direction === 'inbound');
  const served = inbound.filter((line) => line.start >= study.first && line.start <= study.last);
  const mesh = served.filter(fromMeshClient).length;
  const before = inbound.filter(
    (line) => line.end < study.first && line.peer === peer && !line.failure && !fromMeshClient(line),
  );
  const isNew = weigh(before) >= FEWEST_BEFORE;
  return claim(study, {
    cause: 'peer-not-in-mesh-plaintext',
    title: `${pod ?? peer} speaks plaintext to ${place}, which demands mutual TLS${isNew ? ` since ${clock(study.first)}` : ''}`,
    story: `its connections carry no TLS (no server name) and match no filter chain, so the sidecar closes them. ${isNew ? `Until then the same sidecars served it without TLS (${plural(weigh(before), 'request')}): what they demand was changed, not the caller. ` : ''}${pod ? 'It has a proxy, but this traffic does not pass it.' : 'No log shows a proxy of its own: it is not in the mesh.'} Callers with mutual TLS are served in the same time (${ofWords(mesh, served.length)}).`,
    at: { services: [place], clients: pod ? [pod, peer] : [peer], pods: study.proxies, upstreamClusters: [] },
    evidence: [
      study.fact('connections without TLS that the listener refused', study.rows, study.rows),
      {
        text: `requests over mutual TLS that ${study.proxies.length === 1 ? 'the same sidecar' : 'the same sidecars'} served in that time`,
        count: mesh,
        of: served.length,
      },
      ...(isNew
        ? [
            {
              text: 'requests of the same caller that were served without TLS before',
              count: weigh(before),
              of: weigh(before),
            },
          ]
        : []),
    ],
    confidence: study.rows.length >= 3 ? 'high' : 'likely',
    why: 'a listener refuses plaintext and serves mutual TLS',
    next: [
      ...(isNew
        ? [
            {
              purpose: 'see which policy was changed then',
              command: `kubectl get peerauthentication -A -o yaml --show-managed-fields | grep -E ' (namespace|name|mode|time):'`,
            },
          ]
        : []),
      {
        purpose: 'see who has that address, and whether it has a sidecar',
        command: podAtCommand(peer),
      },
    ],
    fix: ['Inject the caller, or allow plaintext for it (PERMISSIVE, or a port-level exception).'],
  });
}

const FEWEST_PROBES = 4;
/** Kubernetes counts a probe's period in seconds; what comes closer together is no probe. */
const SHORTEST_PERIOD_MS = 900;

/** The interval that most of one caller's connections to one pod keep, and how many do; a line that is missing leaves twice of it. */
function periodOf(rows: readonly Row[]): { period: number; regular: number; gaps: number } {
  const gaps = rows.slice(1).map((row, i) => row.start - rows[i]!.start);
  const period = median(gaps) ?? 0;
  const regular = gaps.filter((gap) => {
    const times = Math.min(3, Math.max(1, Math.round(gap / period)));
    return Math.abs(gap - times * period) < Math.max(80, period * 0.05);
  }).length;
  return { period, regular, gaps: gaps.length };
}

/** Fixed intervals from one address: a kubelet's or load balancer's probe. */
function isProbe(scene: Scene, series: readonly Case[]): boolean {
  if (series.length < FEWEST_PROBES) return false;
  const { period, regular, gaps } = periodOf(series.map(({ decider }) => decider));
  const { peer } = series[0]!.decider;
  const isNode = /\.(?:0\.)?1$/.test(peer ?? '') || !scene.podOf(peer ?? '');
  return period >= SHORTEST_PERIOD_MS && regular >= gaps * 0.8 && isNode;
}

function probe(study: Study, series: readonly (readonly Case[])[]): Hypothesis {
  const { place } = study;
  const periods = series.map((cases) => periodOf(cases.map(({ decider }) => decider)));
  const period = median(periods.map((one) => one.period))!;
  const from = distinct(study.rows, (row) => row.peer);
  const sum = (of: 'regular' | 'gaps'): number => periods.reduce((n, one) => n + one[of], 0);
  const unhealthy = study.scene.cases.filter(
    ({ decider }) =>
      decider.has('UH') && study.scene.placeOf(decider) === place && decider.start > study.first,
  );
  return claim(study, {
    cause: 'probe-misrouted-or-rejected',
    title: `Probes of ${place} are refused by its ${study.proxies.length === 1 ? 'sidecar' : 'sidecars'}`,
    story: `${listed(from)} ${from.length === 1 ? 'connects' : 'connect'} every ${span(period)} without TLS, as a kubelet’s probe does, and the listener refuses it. ${unhealthy.length > 0 ? `The pods then lose their readiness: ${plural(weigh(unhealthy), 'request')} found no healthy endpoint.` : 'The pods may lose their readiness by it.'}`,
    at: {
      services: [place],
      pods: study.proxies,
      upstreamClusters: [],
      clients: from.slice(0, 3),
    },
    cases: [...study.cases, ...unhealthy],
    evidence: [
      {
        text: `intervals between connections from one address to one pod of about ${span(period)}`,
        count: sum('regular'),
        of: sum('gaps'),
      },
      study.fact('of these connections, refused', study.rows, study.rows),
    ],
    confidence: 'high',
    why: 'a fixed period from one address outside the pods',
    next: [
      {
        purpose: 'look for Unhealthy events and the probe’s port',
        command: podCommand(namespaceOf(place), 'describe pod', study.proxies[0]!),
      },
    ],
    fix: [
      'Let Istio rewrite the probes (rewriteAppHTTPProbers), use an exec probe, or exclude the probe’s port.',
    ],
  });
}

/** What a gateway between networks refused: one story for each name, with the requests that it failed. */
function betweenNetworks(scene: Scene): Hypothesis[] {
  const cases = scene.casesOf(isRefusedBetweenNetworks);
  return [...groupBy(cases, ({ decider }) => `${decider.proxy}\n${nameAsked(decider)}`).values()].map(
    (group) => eastWestSni(new Study(scene, group)),
  );
}

const nameAsked = (row: Kind): string => row.serverName ?? row.cluster?.name ?? '';

function eastWestSni(study: Study): Hypothesis {
  const { service, subset } = meantBy(study.sample)!;
  const name = nameAsked(study.sample);
  const empty = study.sample.has('UH');
  const callers = study.cases.filter(({ root }) => root.cluster?.kind === 'outbound');
  const gateways = distinct(callers, ({ root }) => root.upstreamHost);
  return claim(study, {
    cause: 'eastwest-sni-or-subset-missing',
    title: `The gateway between networks ${empty ? 'has no pod of' : 'does not know'} ${service}${empty && subset ? `, subset ${subset}` : ''}`,
    story: `it is reached, but has no ${empty ? 'endpoint' : 'chain'} for ${name}: the service${subset ? ` or its subset ${subset}` : ''} ${empty ? 'has no pod there' : 'is not exposed there'}.${callers.length > 0 ? ` ${plural(weigh(callers), 'request')} of ${listed(distinct(callers, ({ root }) => root.proxy))} to ${listed(gateways)} failed with it.` : ''}`,
    at: {
      services: [service ?? name],
      pods: study.proxies,
      upstreamClusters: [],
      endpoints: gateways.map(hostOf),
    },
    evidence: [
      study.fact(
        `connections for that name without ${empty ? 'an endpoint' : 'a chain'}`,
        study.rows,
        study.rows,
      ),
      {
        text: 'of these, with the request of a caller that failed with it',
        count: weigh(callers),
        of: weigh(study.rows),
      },
    ],
    confidence: 'high',
    why:
      callers.length > 0
        ? 'both sides are logged: the callers’ connections break at the gateway, which has nothing for that name'
        : 'the server name is a mesh client’s and names what it wanted',
    next: [
      {
        purpose: 'see whether it has the cluster',
        command: `istioctl proxy-config cluster ${proxyName(null, study.proxies[0]!)} | grep ${shellWord(service?.split('.')[0] ?? '')}`,
      },
    ],
    fix: [
      'Expose the service through that gateway (AUTO_PASSTHROUGH hosts); define the subset in both clusters.',
    ],
  });
}

function gatewaySni(study: Study): Hypothesis | null {
  const name = study.sample.serverName;
  const clients = distinct(study.rows, (row) => row.peer);
  const served = study.scene
    .linesOfProxy(study.sample.proxy)
    .filter((row) => row.serverName === name && row.serverName !== null && !row.failure);
  if (!name || study.rows.length < 8) return null;
  return claim(study, {
    cause: 'gateway-sni-no-match',
    title: `The gateway has no server for TLS name ${name}`,
    story: `connections that ask for ${name} match no server block and are closed before HTTP, from ${plural(clients.length, 'address', 'addresses')}. ${served.length > 0 ? 'The same name was served at other times.' : 'The name was never served in these logs.'}`,
    at: { services: [name], pods: study.proxies, upstreamClusters: [] },
    evidence: [
      study.fact(`connections for ${name} without a matching server`, study.rows, [
        ...study.rows,
        ...served.filter((row) => row.start >= study.first && row.start <= study.last),
      ]),
    ],
    confidence: study.spanMs > 5_000 && study.rows.length >= 12 ? 'high' : 'likely',
    why: 'the name is real and steadily asked for, and nothing on the gateway matches it',
    next: [
      {
        purpose: 'see hosts and credentials of its servers',
        command: `kubectl get gateway -A -o yaml | grep -n -B4 -A10 ${shellWord(name)}`,
      },
      {
        purpose: 'see whether the certificate was loaded',
        command: `istioctl proxy-config secret ${proxyName(null, study.proxies[0]!)}`,
      },
    ],
    fix: ['Add the host to a Gateway server with TLS, and its secret to the gateway’s namespace.'],
  });
}

const listener = causesNamedIn((scene) => rejectedConnections(scene));

export const REJECTED_CAUSES: readonly Cause[] = [
  listener(
    'peer-not-in-mesh-plaintext',
    'https://github.com/istio/istio/issues/51982',
    'A caller without a sidecar speaks plaintext to a server that demands mutual TLS.',
    ['0 NR filter_chain_not_found, no server name, by a sidecar; the caller has no line of its own'],
    ['a caller that has an outbound line: its TLS mode', 'a fixed period: probes'],
  ),
  listener(
    'traffic-capture-bypassed',
    'https://github.com/istio/istio/issues/23802',
    'Traffic of a pod that has a proxy goes around it: excluded ports or ranges, redirection that was lost.',
    ['0 NR without server name from a pod whose proxy logs its other traffic and nothing of this'],
    ['its proxy logged the connection: its TLS mode'],
  ),
  listener(
    'probe-misrouted-or-rejected',
    'https://github.com/istio/istio/issues/41010',
    'Probes hit the sidecar in a way that it refuses, and pods lose their readiness.',
    ['0 NR from a node address at a fixed period, or kube-probe failing'],
    [],
  ),
  listener(
    'gateway-sni-no-match',
    'https://github.com/istio/istio/issues/30819',
    'A TLS connection to the gateway asks for a name that no server block has.',
    ['0 NR filter_chain_not_found with a server name, by a gateway'],
    ['many names from many addresses: scanners'],
  ),
  listener(
    'eastwest-sni-or-subset-missing',
    'https://github.com/istio/istio/issues/40624',
    'The remote gateway has no chain for a service or subset.',
    [
      '0 NR with an outbound_ server name, by the gateway between networks',
      '0 UH on its cluster outbound_.port_.subset_.host',
    ],
    [],
  ),
];
