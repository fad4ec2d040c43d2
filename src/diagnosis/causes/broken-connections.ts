import type { Row } from '../../aggregate/row.js';
import { causesNamedIn, type Cause } from '../cause.js';
import { idleTimesOf } from '../connections.js';
import type { Hypothesis } from '../hypothesis.js';
import { logsCommand, namespaceOf, podAtCommand } from '../kubectl.js';
import { perScene } from '../per-scene.js';
import { missingLogs } from '../missing-side.js';
import type { Scene } from '../scene.js';
import { distinct, median, weigh } from '../stats.js';
import { claim, Study, studies } from '../study.js';
import { isCut } from '../traits.js';
import { listed, ofWords, span } from '../words.js';
import { togetherEnding } from './app-crash.js';

/** A cut after at least this long is no race. */
const LONG_MS = 900;

export const appOwnTimeout: Cause = {
  id: 'app-closes-at-own-timeout',
  reference: 'https://github.com/istio/istio/issues/51619',
  mechanism: 'The app’s server cuts the connection at its own request timeout, without an answer.',
  signs: ['UC on the server side with durations that cluster at one large value'],
  against: ['504 UT: the proxy’s timeout', 'equal ends: the process died'],
  judge: (scene) =>
    studies(scene, isCut, {
      fits: (row) => row.duration >= LONG_MS && !throughTunnel(row),
    }).flatMap((study) => {
      const durations = study.rows.map((row) => row.duration);
      const wall = median(durations)!;
      const at = durations.filter((ms) => Math.abs(ms - wall) <= Math.max(60, wall * 0.02)).length;
      const together = togetherEnding(study.rows).length;
      if (at < 3 || at < durations.length * 0.7 || together > Math.max(2, study.rows.length * 0.5)) return [];
      const longer = study.population.filter((row) => !row.failure && row.duration > wall + 100).length;
      const paths = distinct(study.rows, (row) => row.pathTemplate);
      return [
        claim(study, {
          cause: 'app-closes-at-own-timeout',
          title: `${study.place} cuts requests at its own limit of ${span(wall)}`,
          story: `the app closes the connection without an answer after ${span(wall)} (${ofWords(at, study.rows.length)} within 2%), on ${listed(paths, 2)}; no proxy’s timer fired (that would be 504 UT).`,
          at: { endpoints: study.hosts.length <= 3 ? study.hosts : [] },
          evidence: [
            { text: `cut at ${span(wall)}, give or take 2%`, count: at, of: study.rows.length },
            {
              text: 'requests that took longer and were answered',
              count: longer,
              of: study.population.length,
            },
          ],
          against:
            longer > 0
              ? [
                  {
                    text: 'requests that took longer and were answered',
                    count: longer,
                    of: study.population.length,
                  },
                ]
              : [],
          confidence: longer === 0 && at >= 5 ? 'high' : 'likely',
          why: 'the durations are one value, and nothing lives longer',
          next: [
            {
              purpose: `look for a worker or request timeout of ${span(wall)}`,
              command: logsCommand(
                namespaceOf(study.place),
                study.inbound ? study.proxies[0]! : (serverOf(scene, study) ?? study.proxies[0]!),
                study.first,
              ),
            },
          ],
          fix: [
            'Raise or remove that timeout, or make the work asynchronous; set a shorter route timeout, so that callers get an answer.',
            'No retries for what may not run twice.',
          ],
        }),
      ];
    }),
};

const serverOf = (scene: Scene, study: Study): string | null =>
  study.hosts.map((ip) => scene.podOf(ip)).find((pod) => pod !== null) ?? null;

const throughTunnel = (row: Row): boolean => row.upstreamHost?.startsWith('envoy://') === true;

/** The tunnel of ambient mode hides the transport error; duration and regularity give it away. */
const tunnelStudies = perScene((scene: Scene): Hypothesis[] => {
  return studies(scene, isCut, { fits: throughTunnel }).flatMap((study) => {
    const slow = study.rows.filter((row) => row.duration > 5_000).length;
    const legs = scene
      .rowsOf((kind) => kind.tunnel && kind.failure)
      .filter((row) => row.start >= study.first - 100 && row.start <= study.last + 30_000);
    const hosts =
      study.concentration((row) => row.upstreamHost)?.bad.map(({ value }) => value) ?? study.hosts;
    const perHost = study.by((row) => row.upstreamHost, study.during).filter(({ failures }) => failures > 0);
    const always = perHost.every(({ failures, requests }) => failures >= requests * 0.9);
    const told = slow >= study.rows.length / 2 || legs.length >= study.rows.length / 2;
    const isBlocked = told || (always && study.rows.length >= 5);
    // At once and every time: the port, a policy or the app behind it, which only the ztunnel on that node tells apart.
    if (isBlocked && !told && missingLogs(scene, study.cases).length > 0) return [];
    const endpoints = distinct(study.rows, (row) => row.upstreamIp);
    return [
      claim(study, {
        cause: isBlocked ? 'hbone-connect-blocked' : 'hbone-pool-race',
        title: isBlocked
          ? `The tunnel (port 15008) to pods of ${study.place} cannot be made`
          : `Tunnels to pods of ${study.place} break while they are reused`,
        story: isBlocked
          ? `the proxy reaches ${listed(hosts)} through an HBONE tunnel, and the tunnel’s own connect fails${slow > 0 ? ` after ${span(median(study.rows.map((row) => row.duration))!)}` : ''}: UC here does not mean that the app closed anything. ${legs.length > 0 ? `${legs.length} tunnel lines say so.` : ''}`
          : 'single requests broke at once on a tunnel that had carried others: it was closed as it was reused.',
        at: { services: [study.place], endpoints },
        evidence: [
          study.fact('requests whose tunnel broke', study.rows, study.during),
          { text: 'of these that waited for more than 5 s', count: slow, of: study.rows.length },
          { text: 'failed tunnel legs logged in that time', count: weigh(legs), of: weigh(legs) },
        ],
        confidence: isBlocked ? 'high' : 'likely',
        why: isBlocked
          ? 'every attempt to these pods fails, or waits for the connect timeout, behind an internal listener'
          : 'short, sporadic and on reuse',
        next: [
          {
            purpose: isBlocked ? 'look for policies that do not allow 15008' : 'look for restarts',
            command: isBlocked
              ? 'kubectl get networkpolicy -A -o yaml | grep -n -B4 -A12 port'
              : 'kubectl -n istio-system get pods -l app=ztunnel -o wide',
          },
        ],
        fix: [
          isBlocked
            ? 'Allow TCP 15008 from mesh sources.'
            : 'Retries on reset at the gateway or waypoint; upgrade.',
        ],
      }),
    ];
  });
});

const tunnel = causesNamedIn(tunnelStudies);

export const gatewayReset: Cause = {
  id: 'gateway-upstream-not-meshed-reset',
  reference: 'https://github.com/istio/istio/issues/45802',
  mechanism:
    'A gateway talks directly to a backend without a sidecar, which closes idle connections as they are reused.',
  signs: [
    'UC on the gateway’s outbound line, 0 to 3 ms, 95 bytes, no inbound line',
    'the backend’s other requests show no sidecar of its own',
  ],
  against: ['the backend has a sidecar: then the race is one hop further'],
  judge: (scene) =>
    studies(scene, (kind) => kind.direction === 'outbound' && isCut(kind), {
      fits: (row) => row.duration <= 15 && row.upstreamLocal !== null && !throughTunnel(row),
    }).flatMap((study) => {
      const meshed = study.hosts.some((ip) => scene.podOf(ip) !== null);
      const isGateway = study.proxies.every((proxy) => scene.roleOf(proxy) === 'gateway');
      const idleTimes = idleTimesOf(scene, study.population);
      const known = study.rows.filter((row) => idleTimes.has(row));
      const reused = known.filter((row) => idleTimes.get(row) !== null).length;
      if (meshed || !isGateway || reused === 0 || reused < known.length / 2 || study.shareDuring > 0.2)
        return [];
      return [
        claim(study, {
          cause: 'gateway-upstream-not-meshed-reset',
          title: `${study.place} closes idle connections while the gateway reuses them`,
          story:
            'the gateway’s own connections break at once on reuse, and no sidecar of the backend logged them.',
          evidence: [
            {
              text: 'failures on a connection that had been used before',
              count: reused,
              of: known.length,
            },
          ],
          confidence: 'possible',
          why: 'whether the backend has no sidecar, or its log is only missing, the lines do not tell',
          next: [
            {
              purpose: 'see whether the backend has a sidecar',
              command: podAtCommand(study.hosts[0]!),
            },
          ],
          fix: ['idleTimeout in a DestinationRule below the backend’s, or retries on reset.'],
        }),
      ];
    }),
};

export const BROKEN_CAUSES: readonly Cause[] = [
  appOwnTimeout,
  gatewayReset,
  tunnel(
    'hbone-connect-blocked',
    'https://github.com/istio/istio/issues/59584',
    'The tunnel port 15008 of the destination is blocked or not served.',
    ['503 UC with host envoy://connect_originate/…, after about 10 s, or at once every time'],
    [],
  ),
  tunnel(
    'hbone-pool-race',
    'https://github.com/istio/ztunnel/issues/1662',
    'A pooled tunnel was closed as it was reused.',
    ['503 UC with host envoy://connect_originate/…, 0 to a few ms, sporadic'],
    [],
  ),
];
