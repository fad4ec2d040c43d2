import type { Case } from '../../aggregate/joins.js';
import type { Kind, Row } from '../../aggregate/row.js';
import { countBefore } from '../../aggregate/sorted.js';
import { boutsOf } from '../bouts.js';
import { causesNamedIn, type Cause } from '../cause.js';
import { connectErrorOf } from '../connect-error.js';
import { idleTimesOf } from '../connections.js';
import type { Hypothesis } from '../hypothesis.js';
import { logsCommand, namespaceOf, podAtCommand, podCommand, previousLogsCommand } from '../kubectl.js';
import { perScene } from '../per-scene.js';
import { missingLogs } from '../missing-side.js';
import type { Scene } from '../scene.js';
import { distinct, groupBy, least, median, most, union, weigh } from '../stats.js';
import { claim, Study, studies } from '../study.js';
import { isCut, resetReason, wasAnswered } from '../traits.js';
import { clock, listed, ofWords, range, span } from '../words.js';

/** Ends this close together are one event: a process that dies takes all its connections in one go. */
const TOGETHER_MS = 60;

const brokenByApp = (row: Kind): boolean =>
  row.direction === 'inbound' &&
  (isCut(row) ||
    (row.code === 200 &&
      (row.has('UPE') || row.has('UC')) &&
      (resetReason(row) !== null || !row.hasDetails)));

/** The largest set of rows whose ends lie within a moment. */
function togetherEnding(rows: readonly Row[]): readonly Row[] {
  const sorted = rows.toSorted((a, b) => a.end - b.end);
  let best: readonly Row[] = [];
  for (let i = 0, from = 0; i < sorted.length; i++) {
    while (sorted[i]!.end - sorted[from]!.end > TOGETHER_MS) from++;
    if (i - from + 1 > best.length) best = sorted.slice(from, i + 1);
  }
  return best;
}

/**
 * When an app died first: it may die again and again, the first time with fewer requests in flight. What broke before its
 * port refused, and nothing was answered in between, broke by it.
 */
function firstDeath(cut: readonly Row[], refused: readonly Row[], ofPod: readonly Row[]): number {
  const moment = least(togetherEnding(cut).map((row) => row.end));
  const inOrder = (rows: readonly Row[]): number[] =>
    rows.map(({ start }) => start).toSorted((a, b) => a - b);
  const refusals = inOrder(refused);
  const answers = inOrder(ofPod.filter(wasAnswered));
  const deaths = cut.filter(({ end }) => {
    if (end >= moment - AROUND_MS) return false;
    const refusal = refusals[countBefore(refusals.length, (i) => refusals[i]! < end - TOGETHER_MS)];
    if (refusal === undefined || refusal > end + REFUSES_WITHIN_MS) return false;
    const answer = answers[countBefore(answers.length, (i) => answers[i]! <= end)];
    return answer === undefined || answer > refusal;
  });
  return Math.min(moment, least(deaths.map((row) => row.end)));
}

/** A process that died is started again after this, or later: until then its port refuses. */
const REFUSES_WITHIN_MS = 10_000;

export const appCrash: Cause = {
  id: 'app-crash-oom',
  reference: 'https://github.com/istio/istio/issues/24196',
  mechanism: 'The app’s process dies with requests in flight, and refuses until it is back.',
  signs: [
    'several UC of different age on one pod that end in the same instant',
    'then its port refuses (UF, Connection refused) for the time of a restart',
    'bodies cut in the middle: 200 UPE',
  ],
  against: ['equal durations: the app’s own timeout', 'one after another on pods that leave: a rollout'],
  judge(scene: Scene): Hypothesis[] {
    const broken = scene.casesOf(brokenByApp);
    const found = [
      ...groupBy(broken, ({ decider }) => `${decider.proxy}\n${decider.cluster?.port ?? ''}`).values(),
    ].flatMap((cases) => crash(scene, cases) ?? []);
    return [...groupBy(found, ({ at }) => at.services?.[0] ?? null).values()].flatMap(oneAfterAnother);
  },
};

/** Pods that lost their app at different times, for what all of them have in common: load, a leak, a poisoned request. */
function oneAfterAnother(crashes: readonly Hypothesis[]): readonly Hypothesis[] {
  const [first, ...more] = crashes.filter(({ confidence }) => confidence === 'high');
  if (!first || more.length === 0) return crashes;
  const all = [first, ...more];
  const pods = union(all.map(({ at }) => at.pods ?? []));
  // One pod may serve on several ports.
  if (pods.length < 2) return crashes;
  const told = all.slice(0, MOST_TOLD);
  return [
    ...crashes.filter((one) => !all.includes(one)),
    {
      ...first,
      title: `${pods.length} pods of ${listed(first.at.services ?? [])} lost their app, one after another`,
      summary: told.map(({ summary }) => summary).join(' '),
      at: { ...first.at, pods, endpoints: union(all.map(({ at }) => at.endpoints ?? [])) },
      cases: all.flatMap(({ cases }) => cases),
      evidence: told.flatMap(({ evidence, at }) =>
        evidence.map((fact) => ({ ...fact, text: `${fact.text} (${listed(at.pods ?? [])})` })),
      ),
    },
  ];
}

const MOST_TOLD = 3;

function crash(scene: Scene, cut: readonly Case[]): Hypothesis | null {
  const { proxy, cluster } = cut[0]!.decider;
  const refused = scene.casesOf(
    (kind) =>
      kind.proxy === proxy &&
      kind.direction === 'inbound' &&
      kind.has('UF') &&
      connectErrorOf(kind) !== 'tls' &&
      kind.cluster?.port === cluster?.port,
  );
  const together = togetherEnding(cut.map(({ decider }) => decider));
  const broke = least(together.map((row) => row.end));
  const linesThere = scene.linesOf(cut[0]!.decider).filter((row) => row.proxy === proxy);
  const moment = firstDeath(
    cut.map(({ decider }) => decider),
    refused.map(({ decider }) => decider),
    linesThere,
  );
  const then = refused.filter(({ decider }) => decider.end >= moment - 200);
  const ages = together.map((row) => row.duration);
  const spread = most(ages) - least(ages);
  // Without a refusal, several broken requests of different age must tell it alone.
  if (together.length < 2 || (then.length === 0 && (together.length < 3 || spread < 30))) return null;
  const members = new Set(together);
  const [bout, ...more] = boutsOf(
    then.map(({ decider }) => decider),
    linesThere,
  );
  const outages = [{ first: moment, last: bout?.last ?? moment }, ...more];
  const near = cut.filter(
    ({ decider }) =>
      members.has(decider) || outages.some(({ first }) => Math.abs(decider.end - first) < AROUND_MS),
  );
  const study = new Study(scene, [...near, ...then]);
  const place = study.place;
  const pods = distinct(study.population, (row) => row.proxy);
  const last = most(study.rows.map((row) => row.end));
  const ofPod = study.population.filter((row) => row.proxy === proxy);
  const inFlight = ofPod.filter((row) => row.start <= broke && row.end >= broke);
  const answeredAfter = ofPod.filter((row) => row.start > last && row.answeredBy === 'peer');
  const isOut = (row: Row): boolean => outages.some((out) => row.start >= out.first && row.start <= out.last);
  const duringOutage = ofPod.filter(isOut);
  const outMs = outages.reduce((sum, out) => sum + out.last - out.first, 0);
  const howLong =
    outages.length > 1
      ? ` ${outages.length} times${answeredAfter.length > 0 ? `, for ${span(outMs)} in all` : ''}`
      : answeredAfter.length > 0
        ? ` for ${span(outMs)}`
        : '';
  const peers = study.population.filter((row) => row.proxy !== proxy);
  const others = peers.filter(isOut);
  const peersFailing = others.filter((row) => row.failure).length;
  const everyPod = scene.cases.some(
    ({ decider }) =>
      decider.proxy !== proxy &&
      decider.direction === 'inbound' &&
      decider.has('UF') &&
      scene.placeOf(decider) === place &&
      Math.abs(decider.start - moment) < 3_000,
  );
  return claim(study, {
    cause: 'app-crash-oom',
    title: `${pods.length > 1 ? `One of ${pods.length} pods` : 'The pod'} of ${place} lost its app${howLong}`,
    story:
      `${together.length} requests in flight on ${proxy} broke in the same instant (${clock(broke)}), aged ${range(least(ages), most(ages))}` +
      (then.length > 0 ? `; its port then refused the next ${then.length}` : '') +
      (outages.length > 1
        ? `, again from ${listed(
            more.map(({ first }) => clock(first)),
            3,
          )} on`
        : '') +
      (answeredAfter.length > 0
        ? `, and ${answeredAfter.length} were answered after ${clock(last)}. `
        : '. ') +
      `The sidecar lived through it: it wrote all of these lines. Why the process went (memory, crash, liveness) logs of a proxy cannot tell.`,
    at: {
      services: [place],
      pods: [proxy],
      endpoints: scene.addressesOf(proxy).length > 0 ? scene.addressesOf(proxy).slice(0, 1) : study.hosts,
      clients: [],
    },
    evidence: [
      {
        text: `requests in flight on the pod at ${clock(broke)} that broke within ${TOGETHER_MS} ms`,
        count: weigh(together),
        of: Math.max(weigh(inFlight), weigh(together)),
      },
      {
        text: 'requests begun there while it was away that its own port refused',
        count: weigh(then),
        of: weigh(duringOutage),
      },
      {
        text: 'requests that the same pod answered afterwards',
        count: weigh(answeredAfter),
        of: weigh(ofPod.filter((row) => row.start > last)),
      },
      { text: 'requests that the other pods failed in that time', count: peersFailing, of: others.length },
    ],
    against: everyPod
      ? [
          {
            text: 'its peers began to refuse in the same moment, which one process dying does not explain',
            count: peersFailing,
            of: others.length,
          },
        ]
      : [],
    confidence: everyPod ? 'possible' : then.length > 0 ? 'high' : 'likely',
    why:
      then.length > 0
        ? 'both halves stand on one pod: requests in flight end together, then the port refuses'
        : 'requests of different age end together, but no refusal follows',
    next: [
      {
        purpose: `see whether a container terminated about ${clock(moment).slice(0, 8)}, and with what reason`,
        command: podCommand(namespaceOf(place), 'describe pod', proxy),
      },
      { purpose: 'read what the process said last', command: previousLogsCommand(namespaceOf(place), proxy) },
    ],
    fix: [
      'What its last state names: OOMKilled, raise the limit or find the leak; Error, read its previous log; killed by liveness, look at the probe.',
      'Take a dead pod out sooner: readiness, outlier detection.',
    ],
  });
}

/** Cuts belong to an outage that begins within so long. */
const AROUND_MS = 3_000;

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
  appCrash,
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
