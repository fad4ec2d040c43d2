import type { Case } from '../../aggregate/joins.js';
import type { Kind, Row } from '../../aggregate/row.js';
import type { Cause } from '../cause.js';
import type { Hypothesis } from '../hypothesis.js';
import { proxyName } from '../kubectl.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { byFrequency, distinct, groupBy, weigh } from '../stats.js';
import { claim, Study } from '../study.js';
import { standsOut, wallOf } from '../walls.js';
import { listed, ofWords, shellWord, span } from '../words.js';

/*
 * Failures that no flag shows: lines that look well one by one, and are a fault as a pattern.
 */

const asCases = (rows: readonly Row[]): Case[] =>
  rows.map((row) => ({ root: row, decider: row, rows: [row], masked: false }));
const isQuietTcp = (row: Row): boolean =>
  !row.http &&
  row.flags.length === 0 &&
  row.termination === null &&
  !row.tunnel &&
  (row.direction === 'outbound' || row.direction === 'passthrough') &&
  row.upstreamHost !== null;

/** One TLS hello of this size, and a reply too short for a handshake. */
const HELLO = { least: 180, most: 2_000 };
const SHORT_REPLY = 700;

const doubleTls: Cause = {
  id: 'tls-origination-double-tls',
  reference: 'https://istio.io/v1.28/docs/ops/common-problems/network-issues/#double-tls',
  mechanism: 'The app speaks HTTPS and the proxy wraps it in TLS again; the server receives TLS inside TLS.',
  signs: [
    'TCP lines to port 443 without a flag, all with the same few bytes both ways',
    'no transfer ever gets longer',
  ],
  against: ['byte counts vary: TLS that is passed through'],
  judge(scene: Scene): Hypothesis[] {
    const lines = scene
      .rowsOf((kind) => !kind.http)
      .filter((row) => isQuietTcp(row) && /:(?:443|8443|9443)$/.test(row.upstreamHost ?? ''));
    return [...groupBy(lines, (row) => `${row.proxy}\n${scene.placeOf(row)}`).values()].flatMap((rows) => {
      const [usual] = byFrequency(rows, (row) => String(row.sent));
      const same = rows.filter(
        (row) =>
          String(row.sent) === usual?.[0] &&
          (row.received ?? 0) >= HELLO.least &&
          (row.received ?? 0) <= HELLO.most,
      );
      const short = Number(usual?.[0]) > 0 && Number(usual?.[0]) <= SHORT_REPLY;
      if (same.length < 8 || !short || same.length < rows.length * 0.5) return [];
      const during = rows.filter((row) => row.start >= same[0]!.start && row.start <= same.at(-1)!.start);
      if (same.length < during.length * 0.9) return [];
      const study = new Study(scene, asCases(same), rows);
      return [
        claim(study, {
          cause: 'tls-origination-double-tls',
          title: `TLS to ${study.place} is wrapped in TLS a second time`,
          story: `every connection sends one hello and gets the same ${usual![0]} bytes back, then ends: ${ofWords(weigh(same), weigh(during))} alike, without a flag. The app already speaks HTTPS, and a DestinationRule originates TLS on top; the app reports a wrong version number.`,
          at: { services: [study.place], clients: study.proxies, endpoints: study.hosts.slice(0, 3) },
          evidence: [
            study.fact(`connections with exactly ${usual![0]} bytes back and no more`, same, during),
          ],
          confidence: 'likely',
          why: 'healthy TLS shows varied sizes; these are all one refusal',
          next: [
            {
              purpose: 'look for TLS origination on that port',
              command: `kubectl get serviceentry,destinationrule -A -o yaml | grep -n -A25 ${shellWord(study.place)}`,
            },
          ],
          fix: [
            'Let the app speak plain HTTP to the origination port, or remove tls.mode from the DestinationRule.',
          ],
        }),
      ];
    });
  },
};

const halfOpen: Cause = {
  id: 'tcp-proxy-half-open-or-hang',
  reference: 'https://github.com/istio/istio/issues/44248',
  mechanism:
    'Through a sidecar every TCP connect seems to succeed; the real failure shows later, as silence or an early close.',
  signs: ['TCP lines with bytes up and none back, a few ms', 'the app believes it was connected'],
  against: ['the callee’s own log says why: refused there'],
  judge(scene: Scene): Hypothesis[] {
    const lines = scene
      .rowsOf((kind) => !kind.http && kind.direction !== 'inbound')
      .filter((row) => isQuietTcp(row) || row.has('UR'));
    return [...groupBy(lines, (row) => `${scene.placeOf(row)}\n${row.cluster?.port ?? ''}`).values()].flatMap(
      (rows) => {
        const empty = rows.filter((row) => (row.received ?? 0) > 0 && row.sent === 0);
        if (empty.length < 5) return [];
        const known = new Map(
          scene.cases.flatMap((one) => one.rows.concat(one.root).map((row) => [row, one])),
        );
        const during = rows.filter((row) => row.start >= empty[0]!.start && row.start <= empty.at(-1)!.start);
        if (empty.length < during.length * 0.5) return [];
        const study = new Study(
          scene,
          empty.map((row) => known.get(row) ?? asCases([row])[0]!),
          rows,
        );
        const talked = rows.filter((row) => (row.sent ?? 0) > 0).length;
        return [
          claim(study, {
            cause: 'tcp-proxy-half-open-or-hang',
            title: `${study.place} takes connections and never answers on them`,
            story: `${ofWords(weigh(empty), weigh(during))} connections sent bytes and got none back; ${talked} at other times did. The connect itself says nothing: a proxy makes it.`,
            at: {
              services: [study.place],
              endpoints: study.hosts.slice(0, 3),
              ...(study.proxies.length === 1 ? { clients: study.proxies } : {}),
            },
            evidence: [study.fact('connections with bytes up and none back', empty, during)],
            confidence: talked > 0 ? 'likely' : 'possible',
            why: 'the pattern is clear, what closed them stands in the server’s log',
            next: [
              {
                purpose: 'see what the proxy thinks of the endpoint',
                command: `istioctl proxy-config endpoint ${proxyName(null, study.proxies[0]!)} --cluster ${shellWord(study.clusters[0] ?? '')}`,
              },
            ],
            fix: ['What the server’s side says; read timeouts and keepalive in the app.'],
          }),
        ];
      },
    );
  },
};

/** Sessions this long that end at one value were ended by a timer. */
const LONG_SESSION_MS = 20_000;

const isSession = (kind: Kind): boolean =>
  kind.code === 101 || (!kind.http && !kind.has('UF') && !kind.has('DT'));

/** An answer that had begun, as streams of events do, and that its caller left. */
const isStreamLeft = (kind: Kind): boolean => kind.http && kind.code === 200 && kind.has('DC');
/** Programs that have nothing in common do not share a timer of their own. */
const FEWEST_PROGRAMS = 3;

/** Sessions and streams that one timer cut, by place. */
const cutByTimer = perScene((scene: Scene): Hypothesis[] => {
  const sessions = scene
    .rowsOf((kind) => !kind.tunnel && (isSession(kind) || isStreamLeft(kind)) && !kind.has('SI'))
    .filter((row) => row.duration >= LONG_SESSION_MS && scene.joins.parent(row) === undefined);
  const known = new Map(scene.cases.map((one) => [one.decider, one]));
  return [...groupBy(sessions, (row) => `${scene.placeOf(row)}\n${isStreamLeft(row)}`).values()].flatMap(
    (rows) => {
      const wall = wallOf(rows, 0.01);
      const at = rows.filter((row) => row.duration >= wall.ms - 1 && row.duration <= wall.ms * 1.01 + 30);
      if (at.length < 5 || (at.length < rows.length * 0.4 && !standsOut(rows, wall))) return [];
      const areStreams = isStreamLeft(rows[0]!);
      if (areStreams && distinct(at, (row) => row.userAgent).length < FEWEST_PROGRAMS) return [];
      const longer = rows.filter((row) => row.duration > wall.ms * 1.02 + 50).length;
      const study = new Study(
        scene,
        at.map((row) => known.get(row) ?? asCases([row])[0]!),
        areStreams ? undefined : rows,
      );
      const what = areStreams ? 'Streams' : 'Sessions';
      return [
        claim(study, {
          cause: 'long-lived-connection-idle-cut',
          title: `${what} to ${study.place} are cut after ${span(wall.ms)}`,
          story:
            `${ofWords(weigh(at), weigh(rows))} long ${what.toLowerCase()} end at ${span(wall.ms)}, which no user does; ${longer > 0 ? `${longer} lived longer, as busy ones do under an idle timer` : 'none lived longer'}. ` +
            (areStreams
              ? 'They were closed from the callers’ side, whichever program called: the timer is that of something in front of the proxy.'
              : 'No flag marks them: the timer is not this proxy’s.'),
          at: { services: [study.place], endpoints: areStreams ? [] : study.hosts.slice(0, 3), clients: [] },
          evidence: [
            {
              text: `${what.toLowerCase()} that end at ${span(wall.ms)}, give or take 1%`,
              count: weigh(at),
              of: weigh(rows),
            },
            { text: 'that lived longer', count: longer, of: rows.length },
            ...(areStreams ? study.contrast('path', (row) => row.pathTemplate) : []),
          ],
          confidence: at.length >= 8 ? 'high' : 'likely',
          why: `one common duration for ${what.toLowerCase()} of different users`,
          next: [
            {
              purpose: 'compare with the idle timers of proxy and load balancer',
              command: `istioctl proxy-config listener ${proxyName(null, study.proxies[0]!)} -o json | grep -n -i idle`,
            },
          ],
          fix: [
            'Heartbeats or TCP keepalive more often than that, or a longer timer at the load balancer or NAT.',
          ],
        }),
      ];
    },
  );
});

/** Requests whose answers one timer cut, whoever called: nobody gave them up. */
export const streamsCut = perScene(
  (scene: Scene): ReadonlySet<Row> =>
    new Set(
      cutByTimer(scene).flatMap(({ cases }) => cases.map(({ decider }) => decider).filter(isStreamLeft)),
    ),
);

const idleCut: Cause = {
  id: 'long-lived-connection-idle-cut',
  reference: 'https://github.com/istio/istio/issues/24387',
  mechanism: 'An idle timer on the way (load balancer, NAT, proxy) ends websockets, streams or TCP sessions.',
  signs: ['101 DC, 200 DC, 200 UC or TCP lines with durations at one large value, whatever the load'],
  against: ['durations vary: they end normally', 'one program alone is cut so: its own timer'],
  judge: cutByTimer,
};

/** A proxy that falls silent while its callers go on being served by it. */
const loggingOff: Cause = {
  id: 'access-logs-disabled',
  reference: 'https://istio.io/v1.28/docs/tasks/observability/logs/access-log/',
  mechanism: 'Access logging is off, or filtered, for some proxies or some time.',
  signs: ['callers go on being answered by a pod whose own log has stopped', 'only failures are logged'],
  against: ['its callers fail as well: the pod is gone'],
  judge(scene: Scene): Hypothesis[] {
    const proxies = new Set(scene.rows.map((row) => row.proxy));
    const answered = scene.rowsOf(
      (kind) => kind.direction === 'outbound' && kind.answeredBy === 'peer' && !kind.failure,
    );
    const silent: Row[] = [];
    for (const proxy of proxies) {
      const lastOwn = scene.linesOfProxy(proxy).findLast((row) => row.direction === 'inbound')?.start;
      if (lastOwn === undefined || lastOwn + 3_000 >= scene.last) continue;
      const ips = new Set(scene.addressesOf(proxy));
      const served = answered.filter((row) => row.start > lastOwn + 3_000 && ips.has(row.upstreamIp ?? ''));
      if (served.length >= 5) silent.push(...served);
    }
    if (silent.length === 0) return [];
    const study = new Study(
      scene,
      asCases(silent).map((one) => ({ ...one, masked: true })),
      silent,
    );
    const pods = distinct(silent, (row) => row.upstreamIp && scene.podOf(row.upstreamIp));
    return [
      claim(study, {
        cause: 'access-logs-disabled',
        title: `The access logs of ${listed(pods)} stop while the pods go on serving`,
        story: `their callers got ${silent.length} good answers from them after their own last line: logging was switched off or filtered there. This is no outage, and from then on only one side of each hop is known.`,
        at: { services: [study.place], pods },
        evidence: [
          {
            text: 'good answers of these pods that they did not log',
            count: weigh(silent),
            of: weigh(silent),
          },
        ],
        confidence: 'high',
        why: 'the callers’ lines show that they serve',
        next: [{ purpose: 'see what switches logging', command: 'kubectl get telemetry -A -o yaml' }],
        fix: ['A Telemetry resource with provider envoy for these workloads.'],
      }),
    ];
  },
};

export const SILENT_CAUSES: readonly Cause[] = [doubleTls, halfOpen, idleCut, loggingOff];
