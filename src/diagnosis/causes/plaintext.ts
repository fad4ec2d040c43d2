import { isRejectedConnection } from '../../aggregate/ends.js';
import type { Case } from '../../aggregate/joins.js';
import type { Row } from '../../aggregate/row.js';
import { hostOf, isIp } from '../../record/address.js';
import type { Cause } from '../cause.js';
import type { Hypothesis } from '../hypothesis.js';
import { proxyName } from '../kubectl.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { distinct, groupBy, weigh } from '../stats.js';
import { claim, Study } from '../study.js';
import { isCut } from '../traits.js';
import { listed, ofWords, plural, shellWord } from '../words.js';
import { orRefusedClient } from './client-certificate.js';

/** Cut connections of callers whose plaintext the server rejected: both ends of one connection. */
const rejectedPlaintext = perScene((scene: Scene): Hypothesis[] => {
  const rejected = new Map(
    scene
      .rowsOf(isRejectedConnection)
      .flatMap((row): [string, Row][] => (row.downstreamRemote ? [[row.downstreamRemote, row]] : [])),
  );
  if (rejected.size === 0) return [];
  const cut = scene
    .casesOf((kind) => kind.direction !== 'inbound' && (isCut(kind) || (!kind.http && kind.failure)))
    .filter(({ decider }) => decider.upstreamLocal !== null);
  const pairs = cut.filter(({ decider }) => rejected.has(decider.upstreamLocal!));
  const found: Hypothesis[] = [];
  for (const [, cases] of groupBy(pairs, ({ decider }) => `${decider.proxy}\n${scene.placeOf(decider)}`)) {
    const place = scene.placeOf(cases[0]!.decider);
    const proxy = cases[0]!.decider.proxy;
    const all = cut.filter(({ decider }) => decider.proxy === proxy && scene.placeOf(decider) === place);
    const ends = new Set(all.map((one) => one.decider.upstreamLocal));
    const listener = scene
      .casesOf(isRejectedConnection)
      .filter(({ decider }) => ends.has(decider.downstreamRemote));
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
          `its connections are made and then closed by the server, whose listener found no filter chain for plaintext (NR) on the very same ports (${ofWords(weigh(pairs.filter(({ decider }) => decider.proxy === proxy)), weigh(all))} pairs). ` +
          (others.length > 0
            ? `Other callers of the same pods are fine (${ofWords(weigh(others.filter((row) => !row.failure)), weigh(others))}), so the servers are as they should be. `
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
            count: weigh(cases),
            of: weigh(all),
          },
          {
            text: 'requests of other callers to it in the same time that went well',
            count: weigh(others.filter((row) => !row.failure)),
            of: weigh(others),
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
      scene
        .rowsOf(
          ({ cluster, downstreamLocal, proxy }) =>
            cluster?.kind === 'outbound' &&
            !!cluster.service &&
            !!downstreamLocal &&
            scene.roleOf(proxy) === 'sidecar',
        )
        .flatMap((row): [string, string][] =>
          row.downstreamLocal !== row.upstreamHost ? [[row.downstreamLocal!, row.cluster!.service!]] : [],
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
  const known = study.scene.rowsOf(
    ({ cluster }) => cluster?.kind === 'outbound' && services.includes(cluster.service ?? ''),
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
        count: weigh(study.rows),
        of: weigh(study.rows),
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
  const rejected = new Set(scene.rowsOf(isRejectedConnection).map((row) => row.downstreamRemote));
  const cut = scene
    .casesOf(
      (kind) => kind.cluster?.direction === 'passthrough' && (isCut(kind) || (!kind.http && kind.failure)),
    )
    .filter(
      ({ decider }) =>
        !rejected.has(decider.upstreamLocal) && addressesOfServices(scene).has(decider.downstreamLocal ?? ''),
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

export const PLAINTEXT_CAUSES: readonly Cause[] = [orRefusedClient(tlsConflict), directPods];
