import { isRejectedConnection } from '../../aggregate/ends.js';
import type { Cause } from '../cause.js';
import type { Hypothesis } from '../hypothesis.js';
import { namespaceOf, proxyAt, proxyName } from '../kubectl.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { distinct, groupBy, most, weigh } from '../stats.js';
import { claim, FEWEST_BEFORE, Study } from '../study.js';
import { isCut, isExternal } from '../traits.js';
import { listed, ofWords, shellWord, span } from '../words.js';

/** One of the servers, as istioctl names it. */
export function serverProxy({ scene, hosts, place }: Study): string {
  const pod = hosts.map((ip) => scene.podOf(ip)).find((name) => name !== null);
  return pod ? proxyName(namespaceOf(place), pod) : proxyAt(hosts[0]!);
}

/**
 * Every new connection of one caller is closed before a server line exists: under TLS 1.3 that is how a refused client
 * certificate looks, whatever is wrong with it.
 */
const clientCertRefused = perScene((scene: Scene): Hypothesis[] => {
  const rejected = new Set(scene.rowsOf(isRejectedConnection).map((row) => row.downstreamRemote));
  const cut = scene
    .casesOf((kind) => kind.direction === 'outbound' && kind.http && isCut(kind))
    .filter(
      ({ decider }) =>
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
    const others = scene
      .rowsOf(
        (kind) =>
          kind.direction === 'outbound' && kind.proxy !== proxy && places.includes(scene.placeOf(kind)),
      )
      .filter((row) => row.start >= study.first && row.start <= study.last);
    const hosts = distinct(study.rows, (row) => row.upstreamIp).length;
    // Connections that are open live on when a certificate is refused; a rule that takes their TLS away replaces them all.
    const isRule = logged === 0 && study.healthyBefore >= FEWEST_BEFORE && study.isConstant;
    const common = {
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
          count: weigh(others.filter((row) => !row.failure)),
          of: weigh(others),
        },
        { text: `servers concerned, all alike`, count: hosts, of: hosts },
      ],
      against: study.isOver
        ? [
            {
              text: 'good requests of the same caller afterwards: it ended by itself, which a certificate does only when it is replaced',
              count: weigh(study.after.filter((row) => !row.failure)),
              of: weigh(study.after),
            },
          ]
        : [],
    };
    const what =
      `its connections to ${listed(places)} are made and then closed within ${span(most(study.rows.map((row) => row.duration)))}, each on a port of its own that never carried a good answer, and no server logged the requests (${logged > 0 ? `the logs of the pods that were asked are here, for ${ofWords(logged, study.rows.length)}` : 'their logs are not here'}). ` +
      (others.length > 0
        ? `Other callers of the same pods are fine (${ofWords(weigh(others.filter((row) => !row.failure)), weigh(others))}). `
        : '');
    const secret = {
      purpose:
        'read VALID CERT, NOT BEFORE (replaced when it ended?) and NOT AFTER of the caller’s certificate',
      command: `istioctl proxy-config secret ${proxyName(null, proxy)}`,
    };
    const rules = {
      purpose: 'see whether a rule takes the mesh’s TLS away (mode DISABLE or SIMPLE)',
      command: `kubectl get destinationrule -A -o yaml | grep -n -B6 -A12 ${shellWord(places[0]!.split('.')[0]!)}`,
    };
    return [
      claim(study, {
        ...common,
        cause: 'mesh-ca-mismatch',
        title: `The servers seem to refuse the client certificate of ${proxy}`,
        story: `${what}Another root, an expired certificate and none at all look alike here.`,
        confidence: logged > 0 ? 'likely' : 'possible',
        why:
          logged > 0
            ? 'no server line and no reason is how TLS 1.3 shows a refused client certificate; which defect it has, logs cannot tell'
            : 'the servers’ logs are missing: plaintext to a STRICT server would look the same from here',
        next: [
          secret,
          {
            purpose:
              'compare its root with a server’s: they differ, or look at expiry and at mode SIMPLE in destination rules',
            command: `istioctl proxy-config rootca-compare ${proxyName(null, proxy)} ${serverProxy(study)}`,
          },
        ],
        fix: [
          'Issue it from the mesh’s CA, trust both roots during a rotation, and restart the caller; if it sends none, remove mode SIMPLE from the DestinationRule.',
        ],
      }),
      claim(study, {
        ...common,
        cause: 'destinationrule-tls-conflict',
        title: `${proxy} seems to call ${listed(places)} without the mesh’s TLS`,
        story: isRule
          ? `${what}It went well until then, and not one request since, on no connection: a certificate that is refused leaves open ones alone, a rule that takes the mesh’s TLS away does not.`
          : `${what}A rule of mode SIMPLE sends no certificate, one of mode DISABLE no TLS: both look the same.`,
        confidence: 'possible',
        why: isRule
          ? 'all connections of one caller fail from one moment on, those that were open too'
          : 'the lines of a refused client certificate do not tell why it was refused',
        next: [rules, secret],
        fix: ['Remove the tls block of the DestinationRule, or set mode ISTIO_MUTUAL.'],
      }),
      claim(study, {
        ...common,
        cause: 'workload-cert-expired',
        title: `The client certificate of ${proxy} may have expired`,
        story: `${what}Another root, and a rule that takes the mesh’s TLS away, look alike here.`,
        confidence: 'possible',
        why: 'the lines of a refused client certificate do not tell why it was refused',
        next: [secret, rules],
        fix: ['Restore its connection to istiod, which renews it, and restart the caller.'],
      }),
    ];
  });
});

/** A client certificate has one look for three defects, and each of them other looks of its own. */
export const orRefusedClient = (cause: Cause): Cause => ({
  ...cause,
  judge: (scene) => [
    ...cause.judge(scene),
    ...clientCertRefused(scene).filter(({ cause: id }) => id === cause.id),
  ],
});
