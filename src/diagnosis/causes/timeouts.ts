import { deepestWait } from '../deepest.js';
import type { Row } from '../../aggregate/rows.js';
import { causesNamedIn, type Cause } from '../cause.js';
import type { Hypothesis } from '../hypothesis.js';
import { logsCommand, namespaceFlag, namespaceOf, proxyName } from '../kubectl.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { distinct, groupBy, median, quantile } from '../stats.js';
import { claim, Study, studies, top } from '../study.js';
import { isGrpc } from '../traits.js';
import { clock, listed, ofWords, plural, shellWord, span } from '../words.js';
import { replyCause } from './reply-cause.js';

const details = (row: Row): string => row.details ?? '';
const routeCommand = (study: Study, what: string): string =>
  `istioctl proxy-config route ${proxyName(null, study.proxies[0]!)} -o json | grep -n -i ${what}`;

/** The value that most durations share, and how many do: a timer, not chance. */
export function wallOf(rows: readonly Row[], tolerance = 0.03): { ms: number; count: number } {
  const durations = rows.map((row) => row.duration).toSorted((a, b) => a - b);
  let best = { ms: durations[0] ?? 0, count: 0 };
  for (let from = 0, to = 0; from < durations.length; from++) {
    const limit = durations[from]! + Math.max(30, durations[from]! * tolerance);
    while (to < durations.length && durations[to]! <= limit) to++;
    if (to - from > best.count) best = { ms: durations[from]!, count: to - from };
  }
  return best;
}

const isRouteTimeout = (row: Row): boolean =>
  row.has('UT') && !/per_try/.test(details(row)) && row.code !== 408;

/** Durations of answered requests to a place, before the timeouts began and while they last. */
function slowing(study: Study): { before: number | null; during: number | null; grew: boolean } {
  const served = (rows: readonly Row[]): number[] =>
    rows.filter((row) => !row.failure && row.answeredBy === 'peer' && !row.app4xx).map((row) => row.duration);
  const before = median(served(study.before));
  // A request that timed out would have taken longer: it counts as slow at its own duration.
  const during = median([...served(study.during), ...study.rows.map((row) => row.duration)]);
  const tail = quantile(served(study.before), 0.9);
  const slowNow = served(study.during).filter((ms) => tail !== null && ms > 2 * tail).length;
  const grew =
    before !== null &&
    during !== null &&
    ((during > 2 * before && during - before > 50) ||
      slowNow >= Math.max(3, served(study.during).length * 0.3));
  return { before, during: median(served(study.during)), grew };
}

const timeouts = perScene((scene: Scene): Hypothesis[] => {
  return studies(scene, isRouteTimeout).flatMap((study) => {
    const wall = wallOf(study.rows);
    const { before, during, grew } = slowing(study);
    const waiting = study.rows.filter(
      (row) => row.upstreamLocal === null && row.upstreamHost !== null,
    ).length;
    if (waiting > study.rows.length / 2) return neverLeft(study);
    const sized = bySize(study);
    if (sized) return [sized];
    const paths = study.concentration((row) => row.pathTemplate);
    const hosts = study.concentration((row) => row.upstreamIp);
    const pod = study.hosts.map((ip) => scene.podOf(ip)).find((name) => name !== null) ?? null;
    const deep = deepestWait(scene, study.cases);
    const common = {
      at: {
        services: deep ? [deep.place, study.place] : [study.place],
        ...(deep ? { pods: deep.pods.slice(0, 4) } : {}),
        ...(hosts && !deep
          ? {
              endpoints: hosts.bad.map(({ value }) => value),
              pods: hosts.bad.flatMap(({ value }) => scene.podOf(value) ?? []),
            }
          : {}),
      },
      evidence: [
        ...(deep
          ? [
              {
                text: `of them, followed hop by hop, that were waiting for ${deep.place}`,
                count: deep.count,
                of: deep.of,
              },
            ]
          : []),
        { text: `timeouts at ${span(wall.ms)}, the route’s limit`, count: wall.count, of: study.rows.length },
        study.fact('requests in that time that ran into it', study.rows, study.during),
        ...(before !== null && during !== null
          ? [
              {
                text: `answered requests in that time that took longer than the median of before (${span(before)}; now ${span(during)})`,
                count: study.during.filter((row) => !row.failure && row.duration > before).length,
                of: study.during.filter((row) => !row.failure).length,
              },
            ]
          : []),
        ...study.contrast('upstream host', (row) => row.upstreamIp),
        ...study.contrast('path', (row) => row.pathTemplate),
      ],
      next: [
        {
          purpose: 'read what the app was doing',
          command: pod
            ? logsCommand(namespaceOf(study.place), pod, study.first)
            : `kubectl ${namespaceFlag(study.place)}top pod`,
        },
        { purpose: 'see the timeout', command: routeCommand(study, 'timeout') },
      ],
    };
    const slow = claim(study, {
      ...common,
      cause: 'upstream-slow',
      title: `${deep?.place ?? study.place} has become slow, and ${deep ? `timeouts of ${span(wall.ms)} in front of ${study.place}` : `callers’ timeouts of ${span(wall.ms)}`} fire`,
      story: `the callers’ proxies gave up after ${span(wall.ms)} (504 UT) on ${
        paths
          ? listed(
              paths.bad.map(({ value }) => value),
              2,
            )
          : 'all its paths'
      }; ${before !== null && during !== null ? `answered requests take a median of ${span(during)} instead of ${span(before)}. ` : ''}The timeout is the messenger: ${deep ? `the time is spent ${ofWords(deep.count, deep.of)} times in ${deep.place}, further down, and every hop above hung up in turn.` : 'the service is slow.'}`,
      confidence: grew ? 'high' : 'possible',
      why: grew
        ? 'answers were quick before and are slow while the timeouts fire'
        : 'the lines do not show that it became slower',
      fix: [
        'Find what the app waits for (saturation, locks, its database); scale it out meanwhile.',
        'Keep timeouts decreasing inward.',
      ],
    });
    const timer = claim(study, {
      ...common,
      cause: 'route-timeout',
      title: `A route timeout of ${span(wall.ms)} cuts requests to ${study.place}`,
      story: `${ofWords(wall.count, study.rows.length)} end at ${span(wall.ms)} with 504 UT from the caller’s proxy, on ${top(study.rows, (row) => row.pathTemplate)}. ${grew ? '' : 'The service is not slower than before: these requests need longer than the route allows.'}`,
      confidence: grew
        ? 'possible'
        : wall.count >= 3 && wall.count >= study.rows.length * 0.8
          ? 'high'
          : 'likely',
      why: grew
        ? 'the timer is the messenger of a slow service'
        : 'one common duration, and no sign that the service became slower',
      fix: ['Raise the route’s timeout to what this call needs, or make the call quicker.'],
    });
    return grew ? [slow, timer] : [timer, slow];
  });
});

/** Timed out while still connecting: the request never left. */
function neverLeft(study: Study): Hypothesis[] {
  const pooled = study.population.filter(
    (row) => row.start >= study.first && !row.failure && row.upstreamLocal !== null,
  );
  const known = new Set(
    study.population.filter((row) => row.start < study.first).map((row) => row.upstreamLocal),
  );
  const onOld = pooled.filter((row) => known.has(row.upstreamLocal)).length;
  return [
    claim(study, {
      cause: 'mtu-blackhole',
      title: `New connections to ${study.place} stall, old ones work`,
      story: `the requests timed out while their connection was still being made (no local address), although ${onOld} others went well over connections opened before. Packets of the handshake that are too large for the path are lost, as with a wrong MTU: today’s TLS hello alone needs a full packet.`,
      evidence: [
        study.fact(
          'timeouts while still connecting',
          study.rows.filter((row) => row.upstreamLocal === null),
          study.rows.length,
        ),
        {
          text: 'healthy requests in that time that used a connection opened before',
          count: onOld,
          of: pooled.length,
        },
      ],
      at: { services: [study.place], endpoints: study.hosts.slice(0, 3) },
      confidence: onOld > 0 ? 'likely' : 'possible',
      why: 'only new connections stall',
      next: [
        {
          purpose: 'measure the path',
          command: `kubectl debug -it ${shellWord(study.proxies[0]!)} --image=nicolaka/netshoot -- ping -M do -c 3 -s 1472 ${shellWord(study.hosts[0] ?? '')}`,
        },
      ],
      fix: ['One MTU on all nodes and overlays; let ICMP fragmentation-needed pass; clamp the MSS.'],
    }),
    claim(study, {
      cause: 'connect-timeout-network-blocked',
      title: `Connections to ${study.place} get no answer`,
      story: 'the route’s timeout fired before a connection was made.',
      evidence: [],
      confidence: onOld > 0 ? 'possible' : 'likely',
      why: 'the request never left, as when packets are dropped',
      next: [{ purpose: 'look for a policy', command: 'kubectl get networkpolicy -A' }],
      fix: ['Allow the flow.'],
    }),
  ];
}

/** Large bodies fail and small ones pass, to the same hosts. */
function bySize(study: Study): Hypothesis | null {
  const failing = study.rows.flatMap((row) => row.received ?? []);
  const smallest = quantile(failing, 0.05);
  const sameHosts = study.during.filter((row) => study.hosts.includes(row.upstreamIp ?? '') && !row.failure);
  const large = sameHosts.filter((row) => smallest !== null && (row.received ?? 0) >= smallest).length;
  const small = sameHosts.filter((row) => smallest !== null && (row.received ?? 0) < smallest).length;
  if (
    smallest === null ||
    smallest < 1_200 ||
    failing.length < 5 ||
    large > failing.length * 0.05 ||
    small < 5
  )
    return null;
  return claim(study, {
    cause: 'mtu-blackhole',
    title: `Requests larger than about ${smallest} bytes to ${study.place} never arrive`,
    story: `bodies of ${smallest} bytes and more hang until a timeout, smaller ones to the same pods go through (${small}): full-size packets are lost on the way.`,
    at: { services: [study.place], endpoints: study.hosts.slice(0, 3) },
    evidence: [
      {
        text: `requests of ${smallest} bytes or more to these hosts that failed`,
        count: failing.length,
        of: failing.length + large,
      },
      {
        text: 'smaller ones that failed',
        count: study.during.filter((row) => study.has(row) && (row.received ?? 0) < smallest).length,
        of: small,
      },
    ],
    confidence: 'high',
    why: 'size alone sets the failing requests apart',
    next: [
      {
        purpose: 'measure the path',
        command: `kubectl debug -it ${shellWord(study.proxies[0]!)} --image=nicolaka/netshoot -- ping -M do -c 3 -s 1472 ${shellWord(study.hosts[0] ?? '')}`,
      },
    ],
    fix: ['One MTU on all nodes and overlays; let ICMP fragmentation-needed pass; clamp the MSS.'],
  });
}

const timeoutCause = causesNamedIn((scene) => timeouts(scene));

const perTry: Cause = replyCause({
  id: 'per-try-timeout',
  reference: 'https://github.com/istio/istio/issues/39097',
  mechanism: 'Each attempt is cut at perTryTimeout and repeated, until all are used.',
  signs: [
    '504 UT or URX,UT upstream_per_try_timeout',
    'durations at a multiple of one value; the callee logs each attempt as 0 DC',
  ],
  against: [],
  matches: (row) => /upstream_per_try/.test(details(row)),
  tell: (study) => {
    const wall = wallOf(study.rows);
    const attempts = median(study.cases.map(({ root }) => study.scene.joins.children(root).length)) ?? 0;
    return {
      title: `Attempts to reach ${study.place} are cut at perTryTimeout`,
      story: `each attempt is ended after the per-try limit and repeated${attempts > 1 ? ` (${attempts} attempts per request in the servers’ logs)` : ''}; the request ends after ${span(wall.ms)}.`,
      evidence: [
        study.fact('requests in that time whose last attempt was cut so', study.rows, study.during),
        { text: `that ended at about ${span(wall.ms)}`, count: wall.count, of: study.rows.length },
      ],
      next: [
        {
          purpose: 'see attempts and perTryTimeout',
          command: routeCommand(study, "'perTryTimeout\\|numRetries'"),
        },
      ],
      fix: [
        'Raise perTryTimeout to what one attempt needs, or drop the retries: they multiply the load on a slow service.',
      ],
    };
  },
});

const maxDuration: Cause = replyCause({
  id: 'max-stream-duration',
  reference: 'https://github.com/istio/istio/issues/55831',
  mechanism: 'A limit on the whole duration of a stream or connection ends it, active or not.',
  signs: [
    '504 or 200 UMSDR; 504 or 200 max_duration_timeout without a flag; DT on connections',
    'one exact duration',
  ],
  against: ['SI: it was idle'],
  matches: (row) =>
    row.has('UMSDR') ||
    details(row) === 'max_duration_timeout' ||
    row.has('DT') ||
    details(row) === 'duration_timeout',
  tell: (study) => {
    const wall = wallOf(study.rows);
    const cut = study.rows.filter((row) => row.code === 200).length;
    const longer = study.population.filter((row) => !row.failure && row.duration > wall.ms + 200).length;
    return {
      title: `Streams to ${study.place} are cut after ${span(wall.ms)}`,
      story: `a limit on the total duration ended them (${ofWords(wall.count, study.rows.length)} at ${span(wall.ms)})${cut > 0 ? `; ${cut} had status 200 already, so that only the body is cut` : ''}. Shorter ones are fine.`,
      evidence: [
        { text: `ended at ${span(wall.ms)}`, count: wall.count, of: study.rows.length },
        { text: 'streams that lived longer', count: longer, of: study.population.length },
      ],
      next: [
        {
          purpose: 'find the limit',
          command: `kubectl get envoyfilter,destinationrule,virtualservice -A -o yaml | grep -n -i -B12 'max.*duration'`,
        },
      ],
      fix: ['Raise the limit where streams are meant to be long.'],
    };
  },
});

const streamIdle: Cause = replyCause({
  id: 'stream-idle-timeout',
  reference: 'https://github.com/istio/istio/issues/7428',
  mechanism: 'No byte moved for the stream idle timeout of this proxy.',
  signs: ['408 or 504 SI stream_idle_timeout, 14 bytes; 101 SI on websockets'],
  against: ['a fixed total duration: a limit on the whole stream'],
  matches: (row) => row.has('SI') || details(row) === 'stream_idle_timeout',
  tell: (study) => {
    const wall = wallOf(study.rows);
    return {
      title: `Idle streams to ${study.place} are cut by the proxy${wall.count >= study.rows.length / 2 ? ` after ${span(wall.ms)}` : ''}`,
      story: `nothing moved for the idle timeout of ${listed(study.proxies, 2)}; ${study.sample.code === 408 ? 'the requests had not arrived completely' : study.sample.code === 101 ? 'these are websockets' : 'the server was silent'}.`,
      evidence: [
        study.fact('streams cut as idle', study.rows, study.during),
        { text: `that ended at about ${span(wall.ms)}`, count: wall.count, of: study.rows.length },
      ],
      next: [
        {
          purpose: 'find the timer',
          command: `istioctl proxy-config listener ${proxyName(null, study.proxies[0]!)} -o json | grep -n -i idle`,
        },
      ],
      fix: ['Send heartbeats more often than the timer, or raise it.'],
    };
  },
});

const slowClient: Cause = replyCause({
  id: 'slow-client-request-timeout',
  reference: 'https://github.com/envoyproxy/envoy/issues/13341',
  mechanism: 'The client did not deliver its headers or body in time.',
  signs: ['408 request_header_timeout (22 bytes) or request_overall_timeout (15 bytes), no flag'],
  against: ['SI: idle'],
  matches: (row) => /^request_(?:header|overall)_timeout$/.test(details(row)),
  keyOf: (row) => row.proxy,
  tell: (study) => {
    const clients = distinct(study.rows, (row) => row.peer);
    return {
      title: `${plural(clients.length, 'client')} deliver${clients.length === 1 ? 's' : ''} requests too slowly for the limit of ${span(wallOf(study.rows).ms)}`,
      story: `${listed(study.proxies, 2)} ended them with 408: the request was not complete in time.`,
      at: {
        services: study.sample.cluster ? [study.place] : [],
        clients: clients.slice(0, 3),
        pods: study.proxies,
      },
      next: [
        {
          purpose: 'find the timer',
          command: `istioctl proxy-config listener ${proxyName(null, study.proxies[0]!)} -o json | grep -n -i 'request.*timeout'`,
        },
      ],
      fix: ['Raise it for uploads that are meant to be slow; nothing for attackers.'],
    };
  },
});

/** Nobody waited for the answer. */
export const isGivenUp = (row: Row): boolean =>
  row.http && row.code !== 101 && (row.has('DC') || row.has('DR')) && !row.has('UT') && !row.has('UMSDR');
const isLocalDisconnect = (row: Row): boolean => details(row).startsWith('downstream_local_disconnect');

const clientCancel: Cause = {
  id: 'client-timeout-or-cancel',
  reference: 'https://github.com/istio/istio/issues/39037',
  mechanism: 'The caller gave up before the answer: its own timeout, a closed page, a load balancer.',
  signs: [
    'outermost line 0 DC or DR',
    'durations that cluster at the client’s limit, or at random for users',
  ],
  against: ['an inner line of a UT above it: the proxy’s timeout', '101 DC: a websocket’s normal end'],
  judge(scene: Scene): Hypothesis[] {
    const cases = scene.cases.filter(({ decider }) => isGivenUp(decider) && !isLocalDisconnect(decider));
    const found: Hypothesis[] = [];
    for (const [, group] of groupBy(cases, ({ decider }) => scene.placeOf(decider))) {
      const study = new Study(scene, group);
      const patient = walls(study);
      for (const part of patient) found.push(part);
      const claimed = new Set(patient.flatMap(({ cases: some }) => some));
      const rest = group.filter((one) => !claimed.has(one));
      if (rest.length > 0) found.push(scattered(new Study(scene, rest)));
    }
    return found;
  },
};

/** Give-ups at one common duration: somebody's timer. */
function walls(study: Study): Hypothesis[] {
  const wall = wallOf(study.rows, 0.02);
  // A timer waits; what is given up at once is a click.
  if (wall.count < 5 || wall.count < study.rows.length * 0.4 || wall.ms < 200) return [];
  const members = study.cases.filter(
    ({ decider }) => decider.duration >= wall.ms - 1 && decider.duration <= wall.ms * 1.02 + 30,
  );
  const part = new Study(study.scene, members, study.population);
  const agents = part.by((row) => row.userAgent, part.during).filter(({ failures }) => failures > 0);
  const others = part.population.filter(
    (row) =>
      !row.failure && row.duration > wall.ms + 30 && !agents.some(({ value }) => value === row.userAgent),
  );
  const ownLonger = part.population.filter(
    (row) =>
      !row.failure &&
      row.duration > wall.ms * 1.05 + 50 &&
      agents.some(({ value }) => value === row.userAgent) &&
      part.callers.includes(row.direction === 'inbound' ? (row.peer ?? '') : row.proxy),
  );
  const before = median(part.before.filter((row) => !row.failure).map((row) => row.duration));
  const now = median(part.during.filter((row) => !row.failure).map((row) => row.duration));
  const slower = before !== null && now !== null && now > 2 * before;
  const peers = distinct(part.rows, (row) => row.peer);
  const clients = [...(peers.length <= 3 ? peers : []), ...agents.slice(0, 2).map(({ value }) => value)];
  return [
    claim(part, {
      cause: 'client-timeout-or-cancel',
      title: `A client of ${part.place} always gives up after ${span(wall.ms)}`,
      story:
        `the caller closed the connection at ${span(wall.ms)} before any answer (${ofWords(members.length, study.rows.length)} of all give-ups): its own timer, no proxy’s. ` +
        `${
          agents[0]
            ? `User agent ${listed(
                agents.map(({ value }) => value),
                2,
              )}. `
            : ''
        }` +
        (others.length > 0 ? `Others waited longer and got an answer ${others.length} times. ` : '') +
        (slower
          ? `The service also became slower (median ${span(now!)} instead of ${span(before!)}).`
          : 'The service itself is no slower than before.'),
      at: { services: [part.place], clients, endpoints: [] },
      evidence: [
        {
          text: `give-ups at ${span(wall.ms)}, give or take 2%`,
          count: members.length,
          of: study.rows.length,
        },
        {
          text: 'requests of other clients that took longer and were answered',
          count: others.length,
          of: others.length,
        },
        ...part.contrast('user agent', (row) => row.userAgent),
      ],
      against:
        ownLonger.length > 0
          ? [
              {
                text: 'requests of the same client that took longer and were answered',
                count: ownLonger.length,
                of: part.population.length,
              },
            ]
          : [],
      severity: part.shareDuring > 0.3 ? 'high' : 'medium',
      confidence: slower ? 'likely' : 'high',
      why: slower
        ? 'one common duration; but the service became slower as well'
        : 'one common duration, and other clients wait longer',
      next: [
        {
          purpose: 'find who that is',
          command: `kubectl get pods -A -o wide | grep -w ${shellWord(peers[0] ?? '')}`,
        },
      ],
      fix: ['Raise that client’s timeout above what the service needs, or make these calls quicker.'],
    }),
  ];
}

/** Give-ups at random moments are what users do. */
function scattered(study: Study): Hypothesis {
  const share = study.rows.length / Math.max(1, study.population.length);
  return {
    ...claim(study, {
      cause: 'client-timeout-or-cancel',
      title: `${plural(study.rows.length, 'caller')} of ${study.place} did not wait for the answer`,
      story: `given up anywhere from ${span(Math.min(...study.rows.map((row) => row.duration)))} to ${span(Math.max(...study.rows.map((row) => row.duration)))}, so no timer.`,
      evidence: [study.fact('requests given up by the caller', study.rows)],
      confidence: share > 0.3 ? 'possible' : 'likely',
      why: 'no common duration: users and programs cancel, and nothing else fails with them',
      next: [
        {
          purpose: 'look at the longest of them',
          command: `istioctl proxy-config log ${proxyName(null, study.proxies[0]!)}`,
        },
      ],
      fix: ['None, unless it grows.'],
    }),
    harmless: share <= 0.3,
  };
}

export const TIMEOUT_CAUSES: readonly Cause[] = [
  timeoutCause(
    'upstream-slow',
    'https://github.com/istio/istio/issues/49469',
    'The app, or what it waits for, is slow.',
    ['durations and service times rise together, before or while timeouts fire'],
    ['durations at one value and the rest as quick as ever: the timer is too short'],
  ),
  timeoutCause(
    'route-timeout',
    'https://github.com/envoyproxy/envoy/issues/9242',
    'The timeout of the route is shorter than what the upstream needs.',
    ['504 UT response_timeout, 24 bytes, at the configured value; the callee logs 0 DC'],
    ['the service became slower: that is the cause'],
  ),
  timeoutCause(
    'mtu-blackhole',
    'https://github.com/projectcalico/calico/issues/7651',
    'Packets of full size are lost on the path.',
    [
      'large bodies hang and small ones pass, to the same hosts',
      'with post-quantum TLS: every new connection stalls',
    ],
    [],
  ),
  perTry,
  maxDuration,
  streamIdle,
  slowClient,
  clientCancel,
];

/** gRPC keeps status 200 whatever happened: the flag alone shows it. */
export const grpcBehind200: Cause = {
  id: 'grpc-failure-behind-200',
  reference: 'https://github.com/istio/istio/issues/39758',
  mechanism: 'gRPC carries its status in trailers, so that failures have HTTP status 200.',
  signs: [
    'POST /package.Service/Method HTTP/2 with 200 and a flag or details other than via_upstream',
    '200 URX via_upstream may be the only trace',
  ],
  against: [],
  judge: (scene) =>
    studies(
      scene,
      (row) =>
        row.code === 200 &&
        isGrpc(row) &&
        (row.flags.length > 0 || (row.details !== null && row.details !== 'via_upstream')),
    ).map((study) =>
      claim(study, {
        cause: 'grpc-failure-behind-200',
        title: `gRPC calls to ${study.place} fail behind status 200`,
        story: `the lines say 200 and carry ${top(study.rows, (row) => row.flags.join(',') || row.details)}; dashboards that count status codes see nothing. ${study.sample.answeredBy === 'peer' ? 'What failed the attempts stands in the servers’ lines.' : ''}`,
        at: { endpoints: study.concentration((row) => row.upstreamIp)?.bad.map(({ value }) => value) ?? [] },
        evidence: [
          study.fact('gRPC calls with status 200 that failed', study.rows, study.during),
          ...study.contrast('upstream host', (row) => row.upstreamIp),
        ],
        confidence: 'likely',
        why: `the flag tells that it failed from ${clock(study.first)} on, and not why`,
        next: [
          {
            purpose: 'add %GRPC_STATUS% to the access log format',
            command: 'kubectl get telemetry -A -o yaml',
          },
        ],
        fix: ['What the flag stands for; and log the gRPC status.'],
      }),
    ),
};
