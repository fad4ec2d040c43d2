import { isRejectedConnection } from '../../aggregate/ends.js';
import type { Case } from '../../aggregate/joins.js';
import type { Row } from '../../aggregate/rows.js';
import { hostOf } from '../../record/address.js';
import { parseMeshServerName, type UpstreamCluster } from '../../record/upstream-cluster.js';
import { causesNamedIn, type Cause } from '../cause.js';
import type { Hypothesis } from '../hypothesis.js';
import { namespaceFlag, namespaceOf, proxyName } from '../kubectl.js';
import { askFor, hasProxy } from '../missing-side.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { distinct, groupBy, most } from '../stats.js';
import { claim, Study } from '../study.js';
import { fromMeshClient, isCut, isExternal, isIp, isTlsFailure } from '../traits.js';
import { covers } from '../vantage.js';
import { listed, ofWords, plural, shellWord, span } from '../words.js';
import { replyCause } from './reply-cause.js';

const reason = (row: Row): string => `${row.transportFailure ?? ''} ${row.details ?? ''}`;
/** BoringSSL: 268435456 + n; from n = 1000 on the peer sent alert n - 1000, so it rejected us. */
const has = (row: Row, ...patterns: RegExp[]): boolean =>
  isTlsFailure(row) && patterns.some((pattern) => pattern.test(reason(row)));
const isExpired = (row: Row): boolean => has(row, /certificate_has_expired/i);
const isAlertExpired = (row: Row): boolean => has(row, /268436501|CERTIFICATE_EXPIRED/);
const isIssuer = (row: Row): boolean =>
  has(row, /unable_to_get_(?:local_)?issuer|self_signed|268436504|UNKNOWN_CA/i);
const isSan = (row: Row): boolean => has(row, /SAN_matcher|SANs_are/i);
const isVerify = (row: Row): boolean => has(row, /268435581|CERTIFICATE_VERIFY_FAILED/);
const isWrongVersion = (row: Row): boolean =>
  has(row, /268435703|WRONG_VERSION_NUMBER|268435612|HTTP_REQUEST/);
const isAlert = (row: Row): boolean => has(row, /26843649[0-9]|2684365[0-9]{2}|ALERT/);

const secretCommand = (study: Study, ip: string): string => {
  const pod = study.scene.podOf(ip);
  return pod
    ? `istioctl proxy-config secret ${proxyName(namespaceOf(study.place), pod)}`
    : `kubectl get pods -A -o wide --field-selector status.podIP=${shellWord(ip)}`;
};
const serverPods = (study: Study): readonly string[] =>
  study.hosts.flatMap((ip) => study.scene.podOf(ip) ?? []);
/** The servers that fail, where others of the same service do not. */
const badHosts = (study: Study): readonly string[] =>
  study.concentration((row) => row.upstreamIp)?.bad.map(({ value }) => value) ?? study.hosts;

export const certExpired: Cause = replyCause({
  id: 'workload-cert-expired',
  reference: 'https://github.com/istio/istio/issues/38235',
  mechanism: 'The certificate of one proxy has expired, since it could not renew it.',
  signs: [
    'as server: every caller logs UF with certificate_has_expired to that host',
    'as client: UC without reason under TLS 1.3, alert certificate_expired (268436501) under 1.2, to every destination',
  ],
  against: ['an issuer that is not known: other roots'],
  matches: (row) => (isExpired(row) || isAlertExpired(row)) && !isExternal(row),
  tell(study) {
    const ours = study.rows.filter(isAlertExpired).length > study.rows.length / 2;
    const hosts = badHosts(study);
    return {
      title: ours
        ? `The certificate of ${listed(study.proxies)} has expired`
        : `${study.place} serves with an expired certificate`,
      story: ours
        ? 'the servers reject the caller’s certificate as expired: not they, the caller is to be repaired.'
        : `the callers’ proxies refuse the certificate of ${listed(hosts)}: expired. ${listed(study.proxies)} see it alike, so it is the server’s.`,
      at: ours
        ? { pods: study.proxies, clients: study.proxies }
        : { endpoints: hosts, pods: hosts.flatMap((ip) => study.scene.podOf(ip) ?? []) },
      next: [
        {
          purpose: 'read VALID CERT and NOT AFTER',
          command: ours
            ? `istioctl proxy-config secret ${proxyName(null, study.proxies[0]!)}`
            : secretCommand(study, hosts[0]!),
        },
      ],
      fix: [
        'Restore its way to the CA (istiod, port 15012), then restart the pod.',
        'Check that node’s clock.',
      ],
    };
  },
});

export const caMismatch: Cause = replyCause({
  id: 'mesh-ca-mismatch',
  reference: 'https://github.com/istio/istio/issues/45739',
  mechanism: 'Two proxies hold certificates of different roots.',
  signs: [
    'UF with unable_to_get_local_issuer_certificate, or alert unknown_ca (268436504)',
    'between old and new pods, not within each group',
  ],
  against: ['expired: one certificate', 'a SAN mismatch: same root, other identity'],
  matches: (row) => !isExternal(row) && (isIssuer(row) || (isVerify(row) && !isExpired(row) && !isSan(row))),
  tell(study) {
    const named = study.rows.filter(isIssuer).length;
    const hosts = badHosts(study);
    return {
      title: `The callers do not trust the issuer of ${study.place}’s certificates`,
      story: `the proxy of ${listed(study.proxies, 2)} cannot verify the certificate of ${listed(hosts)}: the roots differ. ${study.concentration((row) => row.upstreamIp) ? 'Other pods of the same service are trusted.' : ''}`,
      at: { endpoints: hosts, pods: hosts.flatMap((ip) => study.scene.podOf(ip) ?? []) },
      confidence: named > 0 ? 'high' : 'likely',
      why:
        named > 0
          ? 'the reason names the issuer'
          : 'the certificate is refused without a named reason, as older proxies log it; expired or another identity look the same there',
      next: [
        {
          purpose: 'compare the roots',
          command:
            `istioctl proxy-config rootca-compare ${proxyName(null, study.proxies[0]!)} ${proxyName(namespaceOf(study.place), serverPods(study)[0] ?? 'SERVER-POD')}`.replace(
              'SERVER-POD',
              `$(kubectl get pods -A -o wide | awk '/${hosts[0]}/{print $2"."$1}')`,
            ),
        },
      ],
      fix: ['Trust both roots first, then rotate, then restart what still holds the old one.'],
    };
  },
});

export const sanMismatch: Cause = replyCause({
  id: 'san-mismatch',
  reference: 'https://github.com/istio/istio/issues/49874',
  mechanism: 'The certificate is good, but its identity is not the one that the caller expects.',
  signs: ['UF with SAN_matcher, certificate_SANs_are_[identity that the server has]'],
  against: ['the issuer is not known: roots differ'],
  matches: (row) => isSan(row) && !isExternal(row),
  tell(study) {
    const identity = /SANs_are_?\[([^\]]*)\]/i.exec(reason(study.sample))?.[1] ?? null;
    const hosts = badHosts(study);
    return {
      title: `${study.place} has another identity than its callers expect`,
      story: `the certificate of ${listed(hosts)} is valid${identity ? ` and says ${identity}` : ''}, which is not the service account that the callers’ configuration names.`,
      at: { endpoints: hosts, pods: hosts.flatMap((ip) => study.scene.podOf(ip) ?? []) },
      next: [
        {
          purpose: 'compare with the service account of its pods',
          command: `kubectl ${namespaceFlag(study.place, '-A ')}get pods -o custom-columns=NAME:.metadata.name,IP:.status.podIP,SA:.spec.serviceAccountName`,
        },
      ],
      fix: ['Align the service account with subjectAltNames, or add trust-domain aliases.'],
    };
  },
});

export const plaintextServer: Cause = replyCause({
  id: 'mtls-to-plaintext-server',
  reference: 'https://github.com/istio/istio/issues/33208',
  mechanism: 'The caller speaks TLS to an endpoint that does not.',
  signs: ['UF with WRONG_VERSION_NUMBER (268435703), no server line'],
  against: ['only some hosts of the service: these lack a sidecar'],
  matches: (row) => isWrongVersion(row) && !isExternal(row),
  tell(study) {
    const some = study.concentration((row) => row.upstreamIp);
    const hosts = badHosts(study);
    return {
      title: some
        ? `${plural(hosts.length, 'pod')} of ${study.place} do not speak TLS, the others do`
        : `TLS is spoken to ${study.place}, which does not speak it`,
      story: `${listed(study.proxies, 2)} is told to use (mutual) TLS, and ${listed(hosts)} answers with something else. ${some ? 'The other pods of the service work: these were started without a sidecar.' : 'All its pods do: an explicit TLS mode in a DestinationRule contradicts the server.'}`,
      at: { endpoints: hosts, pods: hosts.flatMap((ip) => study.scene.podOf(ip) ?? []) },
      next: [
        {
          purpose: 'see which endpoints are marked for TLS',
          command: `istioctl proxy-config endpoint ${proxyName(null, study.proxies[0]!)} --cluster ${shellWord(study.clusters[0] ?? '')} -o json | grep -n tlsMode`,
        },
        {
          purpose: 'find the mode',
          command: 'kubectl get destinationrule -A -o yaml | grep -n -B12 -A4 "tls:"',
        },
      ],
      fix: [
        some
          ? 'Inject and restart these pods.'
          : 'Remove the explicit TLS mode (auto mutual TLS decides by endpoint), or inject the server.',
      ],
    };
  },
});

export const externalTls: Cause = replyCause({
  id: 'external-tls-verification-failed',
  reference: 'https://github.com/istio/istio/issues/34920',
  mechanism: 'The proxy originates TLS to an external server and cannot verify it, or is refused by it.',
  signs: ['UF with CERTIFICATE_VERIFY_FAILED or an alert on an external host'],
  against: ['hosts inside the mesh fail as well'],
  matches: (row) =>
    isExternal(row) &&
    (isVerify(row) || isAlert(row) || isExpired(row) || isSan(row) || isIssuer(row) || isWrongVersion(row)),
  tell: (study) => ({
    title: `The certificate of ${study.place} cannot be verified`,
    story: `the proxy originates TLS to this external host and fails: ${(study.sample.transportFailure ?? reason(study.sample)).replaceAll('_', ' ').slice(0, 160)}.`,
    at: { clients: study.proxies, endpoints: study.hosts.slice(0, 3) },
    next: [
      {
        purpose: 'look at the certificate that it really has',
        command: `openssl s_client -connect ${shellWord(`${study.place}:${study.sample.cluster?.port ?? 443}`)} -servername ${shellWord(study.place)} </dev/null | openssl x509 -noout -dates -issuer -ext subjectAltName`,
      },
    ],
    fix: [
      'Set caCertificates, sni and subjectAltNames in the DestinationRule to what the server has; or have it renewed.',
    ],
  }),
});

/** Cut connections of callers whose plaintext the server rejected: both ends of one connection. */
const rejectedPlaintext = perScene((scene: Scene): Hypothesis[] => {
  const rejected = new Map(
    scene.rows
      .filter(isRejectedConnection)
      .flatMap((row): [string, Row][] => (row.downstreamRemote ? [[row.downstreamRemote, row]] : [])),
  );
  const cut = scene.cases.filter(
    ({ decider }) =>
      decider.direction !== 'inbound' &&
      decider.upstreamLocal !== null &&
      (isCut(decider) || (!decider.http && decider.failure)),
  );
  const pairs = cut.filter(({ decider }) => rejected.has(decider.upstreamLocal!));
  const found: Hypothesis[] = [];
  for (const [, cases] of groupBy(pairs, ({ decider }) => `${decider.proxy}\n${scene.placeOf(decider)}`)) {
    const place = scene.placeOf(cases[0]!.decider);
    const proxy = cases[0]!.decider.proxy;
    const all = cut.filter(({ decider }) => decider.proxy === proxy && scene.placeOf(decider) === place);
    const listener = scene.cases.filter(
      ({ decider }) =>
        isRejectedConnection(decider) &&
        all.some((one) => one.decider.upstreamLocal === decider.downstreamRemote),
    );
    const study = new Study(scene, all);
    const others = study.population.filter(
      (row) =>
        row.proxy !== proxy &&
        row.direction === 'outbound' &&
        row.start >= study.first &&
        row.start <= study.last,
    );
    const passthrough = cases.every(({ decider }) => decider.cluster?.direction === 'passthrough');
    const hidden = passthrough ? servicesAt(scene, cases) : [];
    if (hidden.length > 0) {
      found.push(outOfScope(study, proxy, hidden, [...all, ...listener], pairs.length));
      continue;
    }
    found.push(
      claim(study, {
        cause: passthrough ? 'headless-or-direct-pod-addressing' : 'destinationrule-tls-conflict',
        title: passthrough
          ? `${proxy} dials pods of ${place} directly, in plaintext`
          : `${proxy} speaks plaintext to ${place}, which demands mutual TLS`,
        story:
          `its connections are made and then closed by the server, whose listener found no filter chain for plaintext (NR) on the very same ports (${ofWords(pairs.filter(({ decider }) => decider.proxy === proxy).length, all.length)} pairs). ` +
          (others.length > 0
            ? `Other callers of the same pods are fine (${ofWords(others.filter((row) => !row.failure).length, others.length)}), so the servers are as they should be. `
            : '') +
          (passthrough
            ? 'It dials pod addresses, which the mesh passes through without TLS.'
            : 'A DestinationRule with an explicit TLS mode applies to this caller.'),
        at: {
          // Where pods are dialled directly, what was meant is an address.
          services: isIp(hostOf(place)) ? [] : [place],
          clients: [proxy, ...scene.addressesOf(proxy)],
          endpoints: study.hosts.slice(0, 4),
        },
        cases: [...all, ...listener],
        evidence: [
          {
            text: `failures of ${proxy} whose connection the server rejected at its listener`,
            count: cases.length,
            of: all.length,
          },
          {
            text: 'requests of other callers to it in the same time that went well',
            count: others.filter((row) => !row.failure).length,
            of: others.length,
          },
        ],
        confidence: 'high',
        why: 'both ends of the same connections were logged: closed here, no filter chain there',
        next: [
          {
            purpose: 'find the mode: for this host, DISABLE or SIMPLE',
            command: 'kubectl get destinationrule -A -o yaml | grep -n -B14 -A4 "tls:"',
          },
        ],
        fix: [
          passthrough
            ? 'Declare the ports of the headless Service with their protocols, so that the mesh knows the pods.'
            : 'Remove the explicit TLS mode (auto mutual TLS), or set ISTIO_MUTUAL.',
        ],
      }),
    );
  }
  return found;
});

/** Services of the mesh at an address that a caller's proxy passed through: others reach them there by name. */
function servicesAt(scene: Scene, cases: readonly Case[]): readonly string[] {
  const services = addressesOfServices(scene);
  return distinct(cases, ({ decider }) => services.get(decider.downstreamLocal ?? '') ?? null);
}

const addressesOfServices = perScene(
  (scene: Scene): ReadonlyMap<string, string> =>
    new Map(
      scene.rows.flatMap((row): [string, string][] =>
        row.cluster?.kind === 'outbound' &&
        row.cluster.service &&
        row.downstreamLocal &&
        row.downstreamLocal !== row.upstreamHost &&
        scene.roleOf(row.proxy) === 'sidecar'
          ? [[row.downstreamLocal, row.cluster.service]]
          : [],
      ),
    ),
);

function outOfScope(
  study: Study,
  proxy: string,
  services: readonly string[],
  cases: readonly Case[],
  paired: number,
): Hypothesis {
  const known = study.scene.rows.filter(
    (row) => row.cluster?.kind === 'outbound' && services.includes(row.cluster.service ?? ''),
  );
  return claim(study, {
    cause: 'sidecar-egress-scope',
    title: `${listed(services)} is hidden from ${proxy}, which passes it through in plaintext`,
    story:
      `the address dialled is that of ${listed(services)}, which ${plural(known.length, 'line')} reach by name; the proxy of ${proxy} does not know it (${study.clusters[0]}) and passes the connection through, without mutual TLS. ` +
      (paired > 0
        ? `The servers refuse it as plaintext (NR) on the very same ports, ${ofWords(paired, study.rows.length)}.`
        : 'It is closed at the other end.'),
    at: {
      services,
      clients: [proxy, ...study.scene.addressesOf(proxy)],
    },
    cases,
    evidence: [
      {
        text: 'failures that the proxy passed through to an address of the service',
        count: study.rows.length,
        of: study.rows.length,
      },
      {
        text: 'of these whose connection the server rejected at its listener',
        count: paired,
        of: study.rows.length,
      },
    ],
    confidence: paired > 0 ? 'high' : 'likely',
    why: 'the address belongs to a service of the mesh that this proxy, and no other, does not know',
    next: [
      { purpose: 'see what narrows its view', command: 'kubectl get sidecar -A -o yaml' },
      {
        purpose: 'see whether it knows the service',
        command: `istioctl proxy-config cluster ${proxyName(null, proxy)} | grep ${shellWord(services[0]!.split('.')[0]!)}`,
      },
    ],
    fix: ['Add the namespace to the egress hosts of that Sidecar, or widen exportTo.'],
  });
}

/** Passed through to a service of the mesh and closed: also where the servers' logs are not there. */
const passedThrough = perScene((scene: Scene): Hypothesis[] => {
  const rejected = new Set(scene.rows.filter(isRejectedConnection).map((row) => row.downstreamRemote));
  const cut = scene.cases.filter(
    ({ decider }) =>
      decider.cluster?.direction === 'passthrough' &&
      (isCut(decider) || (!decider.http && decider.failure)) &&
      !rejected.has(decider.upstreamLocal) &&
      addressesOfServices(scene).has(decider.downstreamLocal ?? ''),
  );
  return [...groupBy(cut, ({ decider }) => `${decider.proxy}\n${decider.downstreamLocal}`).values()].flatMap(
    (cases) => {
      if (cases.length < FEWEST_PASSED) return [];
      const study = new Study(scene, cases);
      return [outOfScope(study, cases[0]!.decider.proxy, servicesAt(scene, cases), cases, 0)];
    },
  );
});

const FEWEST_PASSED = 3;

/** Destinations that a caller's proxy does not know, as plaintext that was refused shows them. */
export const hiddenServices = (scene: Scene): readonly Hypothesis[] =>
  [...rejectedPlaintext(scene), ...passedThrough(scene)].filter(
    ({ cause }) => cause === 'sidecar-egress-scope',
  );

const tlsConflict: Cause = {
  id: 'destinationrule-tls-conflict',
  reference:
    'https://istio.io/v1.28/docs/ops/common-problems/network-issues/#503-errors-after-setting-destination-rule',
  mechanism:
    'An explicit TLS mode of the client contradicts the server: plaintext (DISABLE) or TLS without client certificate (SIMPLE) to a STRICT server.',
  signs: [
    'client: 503 UC, 95 bytes, a few ms, all requests of one caller',
    'server: 0 NR filter_chain_not_found from the same address and port, no server name',
  ],
  against: [
    'no NR on the server: its client certificate is refused',
    'the caller has no outbound line: it is not in the mesh',
  ],
  judge: (scene) => rejectedPlaintext(scene).filter(({ cause }) => cause === 'destinationrule-tls-conflict'),
};

const directPods: Cause = {
  id: 'headless-or-direct-pod-addressing',
  reference: 'https://github.com/istio/istio/issues/10659',
  mechanism:
    'A caller dials pods directly (headless Service, clustering software), so that the mesh passes the connection through without mutual TLS.',
  signs: ['UC or an empty TCP connection on PassthroughCluster, and NR on the server for the same port'],
  against: ['the caller’s line names an outbound cluster: its TLS mode'],
  judge: (scene) =>
    rejectedPlaintext(scene).filter(({ cause }) => cause === 'headless-or-direct-pod-addressing'),
};

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
        command: `kubectl get pods -A -o wide --field-selector status.podIP=${shellWord(peer)}`,
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

/**
 * Every new connection of one caller is closed before a server line exists: under TLS 1.3 that is how a refused client
 * certificate looks, whatever is wrong with it.
 */
const clientCertRefused = perScene((scene: Scene): Hypothesis[] => {
  const rejected = new Set(scene.rows.filter(isRejectedConnection).map((row) => row.downstreamRemote));
  const cut = scene.cases.filter(
    ({ decider }) =>
      decider.direction === 'outbound' &&
      decider.http &&
      isCut(decider) &&
      decider.duration <= 100 &&
      decider.upstreamLocal !== null &&
      !rejected.has(decider.upstreamLocal) &&
      !decider.upstreamHost?.startsWith('envoy://') &&
      !isExternal(decider),
  );
  return [...groupBy(cut, ({ decider }) => decider.proxy)].flatMap(([proxy, cases]) => {
    const called = new Set(cases.map(({ decider }) => scene.placeOf(decider)));
    const study = new Study(
      scene,
      cases,
      scene
        .linesOfProxy(proxy)
        .filter((row) => row.direction === 'outbound' && called.has(scene.placeOf(row))),
    );
    const failing = new Set(study.rows.map((row) => row.upstreamLocal));
    // A port may be taken again later; what counts is whether this connection had worked before it broke.
    const good = groupBy(
      scene.linesOfProxy(proxy).filter((row) => !row.failure && failing.has(row.upstreamLocal)),
      (row) => row.upstreamLocal,
    );
    const reusedGood = study.rows.filter((row) =>
      good.get(row.upstreamLocal ?? '')?.some((earlier) => earlier.end <= row.start),
    ).length;
    const fresh = failing.size >= study.rows.length * 0.9;
    if (cases.length < 5 || !fresh || reusedGood > cases.length * 0.1 || study.shareDuring < 0.5) return [];
    const logged = study.rows.filter((row) => row.upstreamIp && scene.podOf(row.upstreamIp) !== null).length;
    const seen = study.rows.filter((row) => scene.joins.children(row).length > 0).length;
    if (seen > study.rows.length * 0.1) return [];
    const places = distinct(study.rows, (row) => scene.placeOf(row));
    const others = scene.rows.filter(
      (row) =>
        row.direction === 'outbound' &&
        row.proxy !== proxy &&
        places.includes(scene.placeOf(row)) &&
        row.start >= study.first &&
        row.start <= study.last,
    );
    const hosts = distinct(study.rows, (row) => row.upstreamIp).length;
    return [
      claim(study, {
        cause: 'mesh-ca-mismatch',
        title: `The servers seem to refuse the client certificate of ${proxy}`,
        story:
          `its connections to ${listed(places)} are made and then closed within ${span(most(study.rows.map((row) => row.duration)))}, each on a port of its own that never carried a good answer, and no server logged the requests (${logged > 0 ? `the logs of the pods that were asked are here, for ${ofWords(logged, study.rows.length)}` : 'their logs are not here'}). ` +
          (others.length > 0
            ? `Other callers of the same pods are fine (${ofWords(others.filter((row) => !row.failure).length, others.length)}). `
            : '') +
          'Another root, an expired certificate and none at all look alike here.',
        at: {
          services: places,
          pods: [proxy],
          clients: [proxy, ...scene.addressesOf(proxy)],
          upstreamClusters: study.clusters,
        },
        evidence: [
          {
            text: 'failures on a connection that never carried a good answer',
            count: study.rows.length - reusedGood,
            of: study.rows.length,
          },
          { text: 'failing requests that a server logged', count: seen, of: logged },
          {
            text: 'requests of other callers to the same services in that time that went well',
            count: others.filter((row) => !row.failure).length,
            of: others.length,
          },
          { text: `servers concerned, all alike`, count: hosts, of: hosts },
        ],
        against: study.isOver
          ? [
              {
                text: 'good requests of the same caller afterwards: it ended by itself, which a certificate does only when it is replaced',
                count: study.after.filter((row) => !row.failure).length,
                of: study.after.length,
              },
            ]
          : [],
        confidence: logged > 0 ? 'likely' : 'possible',
        why:
          logged > 0
            ? 'no server line and no reason is how TLS 1.3 shows a refused client certificate; which defect it has, logs cannot tell'
            : 'the servers’ logs are missing: plaintext to a STRICT server would look the same from here',
        next: [
          {
            purpose:
              'read VALID CERT, NOT BEFORE (replaced when it ended?) and NOT AFTER of the caller’s certificate',
            command: `istioctl proxy-config secret "$(kubectl get pods -A --no-headers | awk '$2=="${proxy.replaceAll(/[^A-Za-z0-9.-]/g, '')}"{print $2"."$1}')"`,
          },
          {
            purpose:
              'compare its root with a server’s: they differ, or look at expiry and at mode SIMPLE in destination rules',
            command: `istioctl proxy-config rootca-compare ${proxyName(null, proxy)} ${proxyName(namespaceOf(places[0]!), study.hosts.map((ip) => scene.podOf(ip)).find((pod) => pod !== null) ?? 'POD')}`,
          },
        ],
        fix: [
          'Issue it from the mesh’s CA, trust both roots during a rotation, and restart the caller; if it sends none, remove mode SIMPLE from the DestinationRule.',
        ],
      }),
      ...(['workload-cert-expired', 'destinationrule-tls-conflict'] as const).map((cause): Hypothesis =>
        claim(study, {
          cause,
          title: `The client certificate of ${proxy} is ${cause === 'workload-cert-expired' ? 'expired' : 'not sent (mode SIMPLE)'}`,
          story: 'it would look the same.',
          at: { services: places, pods: [proxy], clients: [proxy] },
          evidence: [],
          confidence: 'possible',
          why: 'the lines of a refused client certificate do not tell why it was refused',
          next: [],
          fix: [],
        }),
      ),
    ];
  });
});

/** A client certificate has one look for three defects, and each of them other looks of its own. */
const orRefusedClient = (cause: Cause): Cause => ({
  ...cause,
  judge: (scene) => [
    ...cause.judge(scene),
    ...clientCertRefused(scene).filter(({ cause: id }) => id === cause.id),
  ],
});

export const TLS_CAUSES: readonly Cause[] = [
  orRefusedClient(certExpired),
  orRefusedClient(caMismatch),
  sanMismatch,
  plaintextServer,
  externalTls,
  orRefusedClient(tlsConflict),
  directPods,
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
