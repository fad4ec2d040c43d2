import { isRejectedConnection } from '../../aggregate/ends.js';
import type { Case } from '../../aggregate/joins.js';
import type { Row } from '../../aggregate/rows.js';
import { hostOf } from '../../record/address.js';
import { parseMeshServerName, type UpstreamCluster } from '../../record/upstream-cluster.js';
import { causesNamedIn, type Cause } from '../cause.js';
import type { Hypothesis } from '../hypothesis.js';
import { namespaceFlag, podAtCommand, proxyName } from '../kubectl.js';
import { askFor, hasProxy } from '../missing-side.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { distinct, groupBy } from '../stats.js';
import { claim, Study } from '../study.js';
import { fromMeshClient } from '../traits.js';
import { covers } from '../vantage.js';
import { listed, ofWords, plural, shellWord, span } from '../words.js';

/** Connections without a filter chain, by who called and what name they asked for. */
const rejectedConnections = perScene((scene: Scene): Hypothesis[] => {
  const cases = scene.cases.filter(({ decider }) => isRejectedConnection(decider) && decider.peer !== null);
  const found: Hypothesis[] = [];
  for (const [, group] of groupBy(
    cases,
    ({ decider }) =>
      `${decider.proxy}\n${decider.serverName ?? ''}\n${decider.serverName ? '' : (decider.peer ?? '')}`,
  )) {
    const study = new Study(
      scene,
      group,
      scene.rows.filter((row) => row.downstreamLocal === group[0]!.decider.downstreamLocal),
    );
    const row = study.sample;
    if (row.serverName && parseMeshServerName(row.serverName)) found.push(eastWestSni(study, row.serverName));
    else if (!servesApp(scene, row)) {
      const hypothesis = gatewaySni(study);
      if (hypothesis) found.push(hypothesis);
    } else {
      const byPeriod = probe(study);
      found.push(byPeriod ?? plaintextFrom(scene, study));
    }
  }
  return found;
});

/** A sidecar in front of an app: its log has inbound lines. */
const servesApp = (scene: Scene, row: Row): boolean =>
  scene.linesOfProxy(row.proxy).some((line) => line.direction === 'inbound');

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
        of: own.length,
      },
    ].filter(({ of }) => of > 0),
    confidence: own.length >= MOST_SILENT ? 'high' : 'likely',
    why: 'the proxy of that pod logs its other traffic and nothing of this',
    next: [
      {
        purpose: 'look for annotations that leave ports or ranges out',
        command: `kubectl get pods -A -o yaml --field-selector metadata.name=${shellWord(pod)} | grep -n traffic.sidecar.istio.io`,
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
  const row = study.sample;
  const served = scene
    .linesOfProxy(row.proxy)
    .filter((line) => line.direction === 'inbound' && line.start >= study.first && line.start <= study.last);
  const mesh = served.filter(fromMeshClient).length;
  const anyServed = served[0] ?? scene.linesOfProxy(row.proxy).find((line) => line.direction === 'inbound');
  const place = anyServed ? scene.placeOf(anyServed) : study.place;
  return claim(study, {
    cause: 'peer-not-in-mesh-plaintext',
    title: `${pod ?? peer} speaks plaintext to ${place}, which demands mutual TLS`,
    story: `its connections carry no TLS (no server name) and match no filter chain, so the sidecar closes them. ${pod ? 'It has a proxy, but this traffic does not pass it.' : 'No log shows a proxy of its own: it is not in the mesh.'} Callers with mutual TLS are served in the same time (${ofWords(mesh, served.length)}).`,
    at: { services: [place], clients: pod ? [pod, peer] : [peer], pods: study.proxies, upstreamClusters: [] },
    evidence: [
      study.fact('connections without TLS that the listener refused', study.rows, study.rows.length),
      {
        text: 'requests over mutual TLS served by the same sidecar in that time',
        count: mesh,
        of: served.length,
      },
    ],
    confidence: study.rows.length >= 3 ? 'high' : 'likely',
    why: 'a listener refuses plaintext and serves mutual TLS',
    next: [
      {
        purpose: 'see who has that address, and whether it has a sidecar',
        command: podAtCommand(peer),
      },
    ],
    fix: ['Inject the caller, or allow plaintext for it (PERMISSIVE, or a port-level exception).'],
  });
}

/** Fixed intervals from one address: a kubelet's or load balancer's probe. */
function probe(study: Study): Hypothesis | null {
  const rows = study.rows;
  if (rows.length < 4) return null;
  const gaps = rows.slice(1).map((row, i) => row.start - rows[i]!.start);
  const period = gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 2)]!;
  const regular = gaps.filter((gap) => Math.abs(gap - period) < Math.max(80, period * 0.05)).length;
  const isNode = /\.(?:0\.)?1$/.test(study.sample.peer ?? '') || !study.scene.podOf(study.sample.peer ?? '');
  if (period < 900 || regular < gaps.length * 0.8 || !isNode) return null;
  const served = study.scene.linesOfProxy(study.sample.proxy).find((row) => row.direction === 'inbound');
  const place = served ? study.scene.placeOf(served) : study.place;
  const unhealthy = study.scene.cases.filter(
    ({ decider }) =>
      decider.has('UH') && study.scene.placeOf(decider) === place && decider.start > study.first,
  );
  return claim(study, {
    cause: 'probe-misrouted-or-rejected',
    title: `Probes of ${place} are refused by its sidecar`,
    story: `${study.sample.peer} connects every ${span(period)} without TLS, as a kubelet’s probe does, and the listener refuses it. ${unhealthy.length > 0 ? `The pods then lose their readiness: ${plural(unhealthy.length, 'request')} found no healthy endpoint.` : 'The pods may lose their readiness by it.'}`,
    at: {
      services: [place],
      pods: study.proxies,
      upstreamClusters: [],
      clients: study.sample.peer ? [study.sample.peer] : [],
    },
    cases: [...study.cases, ...unhealthy],
    evidence: [
      { text: `intervals between its connections of about ${span(period)}`, count: regular, of: gaps.length },
      study.fact('of these connections, refused', rows, rows.length),
    ],
    confidence: 'high',
    why: 'a fixed period from one address outside the pods',
    next: [
      {
        purpose: 'look for Unhealthy events and the probe’s port',
        command: `kubectl ${namespaceFlag(place)}describe pod ${shellWord(study.proxies[0]!)}`,
      },
    ],
    fix: [
      'Let Istio rewrite the probes (rewriteAppHTTPProbers), use an exec probe, or exclude the probe’s port.',
    ],
  });
}

function eastWestSni(study: Study, serverName: string): Hypothesis {
  const meant = parseMeshServerName(serverName)!;
  const callers = callersThrough(study, meant);
  const gateways = distinct(callers, ({ decider }) => decider.upstreamHost);
  return claim(study, {
    cause: 'eastwest-sni-or-subset-missing',
    title: `The gateway between networks does not know ${meant.service}`,
    story: `it is reached, but has no chain for ${serverName}: the service${meant.subset ? ` or its subset ${meant.subset}` : ''} is not exposed there.${callers.length > 0 ? ` ${plural(callers.length, 'request')} of ${listed(distinct(callers, ({ decider }) => decider.proxy))} to ${listed(gateways)} failed with it.` : ''}`,
    at: {
      services: [meant.service ?? serverName],
      pods: study.proxies,
      upstreamClusters: [],
      endpoints: gateways.map(hostOf),
    },
    cases: [...study.cases, ...callers],
    evidence: [
      study.fact('connections for that name without a chain', study.rows, study.rows.length),
      {
        text: 'failed requests to that service that went to the gateway at the same time',
        count: callers.length,
        of: callers.length,
      },
    ],
    confidence: 'high',
    why:
      callers.length > 0
        ? 'both sides are logged: the callers’ connections break at the gateway, which has no chain for that name'
        : 'the server name is a mesh client’s and names what it wanted',
    next: [
      {
        purpose: 'see whether it has the cluster',
        command: `istioctl proxy-config cluster ${proxyName(null, study.proxies[0]!)} | grep ${shellWord(meant.service?.split('.')[0] ?? '')}`,
      },
    ],
    fix: [
      'Expose the service through that gateway (AUTO_PASSTHROUGH hosts); define the subset in both clusters.',
    ],
  });
}

/** How long a caller's line may lie from the gateway's: retries, with their back-off. */
const RETRIES_MS = 2_000;

/**
 * Failed requests whose proxies would have sent that server name, to an address that is no pod of these logs, while the
 * gateway refused it. Networks translate addresses between the two: name and time join them.
 */
function callersThrough(
  study: Study,
  meant: Pick<UpstreamCluster, 'host' | 'port' | 'subset'>,
): readonly Case[] {
  const refused = study.rows.map((row) => row.start);
  return study.scene.cases.filter(
    ({ decider }) =>
      decider.cluster?.kind === 'outbound' &&
      decider.cluster.host === meant.host &&
      decider.cluster.port === meant.port &&
      decider.cluster.subset === meant.subset &&
      (decider.has('UF') || decider.has('UC')) &&
      decider.upstreamIp !== null &&
      study.scene.podOf(decider.upstreamIp) === null &&
      refused.some((at) => at >= decider.start - RETRIES_MS && at <= decider.end + RETRIES_MS),
  );
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
      study.fact(
        `connections for ${name} without a matching server`,
        study.rows,
        study.rows.length +
          served.filter((row) => row.start >= study.first && row.start <= study.last).length,
      ),
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
    ['0 NR with an outbound_ server name, by the gateway between networks'],
    [],
  ),
];
