import type { Kind, Row } from '../../aggregate/row.js';
import { triedAgain } from '../attempts.js';
import { causesNamedIn, type Cause } from '../cause.js';
import { deepestWait, type Deepest } from '../deepest.js';
import type { Hypothesis, NextStep } from '../hypothesis.js';
import { logsCommand, namespaceFlag, namespaceOf, podAtCommand, proxyName } from '../kubectl.js';
import { perScene } from '../per-scene.js';
import { isPrivate } from '../../record/address.js';
import type { Scene } from '../scene.js';
import { slowingBehind, type Slowing } from '../slowing.js';
import { distinct, groupBy, median, weigh } from '../stats.js';
import { claim, FEWEST_BEFORE, Study } from '../study.js';
import { streamsCut } from './silent.js';
import { standsOut, wallOf } from '../walls.js';
import { listed, ofWords, plural, shellWord, span } from '../words.js';

const details = (row: Kind): string => row.details ?? '';

/** Nobody waited for the answer. */
export const isGivenUp = (row: Kind): boolean =>
  row.http && row.code !== 101 && (row.has('DC') || row.has('DR')) && !row.has('UT') && !row.has('UMSDR');
const isLocalDisconnect = (row: Kind): boolean => details(row).startsWith('downstream_local_disconnect');

/** Give-ups by place: at one pod that became slow, at one common duration, or at random. */
const givenUp = perScene((scene: Scene): Hypothesis[] => {
  const cases = scene
    .casesOf((kind) => isGivenUp(kind) && !isLocalDisconnect(kind))
    .filter(({ decider }) => triedAgain(scene, decider) === null && !streamsCut(scene).has(decider));
  return [...groupBy(cases, ({ decider }) => scene.placeOf(decider)).values()].flatMap((group) => {
    const study = new Study(scene, group);
    const slow = slowHost(study);
    if (slow) return [slow];
    const patient = walls(study);
    const claimed = new Set(patient.flatMap(({ cases: some }) => some));
    const rest = group.filter((one) => !claimed.has(one));
    return rest.length > 0 ? [...patient, scattered(new Study(scene, rest))] : patient;
  });
});

const SLOWER = 3;

/** Callers lose patience with one pod, whose answers take far longer than its peers': not they are at fault. */
function slowHost(study: Study): Hypothesis | null {
  const hosts = study.by((row) => row.upstreamIp, study.during);
  const [worst, ...peers] = hosts;
  if (!worst || peers.length === 0 || worst.failures < FEWEST_AT_A_WALL) return null;
  const elsewhere = peers.reduce((n, { failures }) => n + failures, 0);
  if (elsewhere > worst.failures * 0.1) return null;
  const usual = (there: boolean): number | null =>
    median(
      study.during
        .filter(
          (row) => !row.failure && row.upstreamIp !== null && (row.upstreamIp === worst.value) === there,
        )
        .map((row) => row.duration),
    );
  const elsewhereMs = usual(false);
  // Where nobody waited for its answers, what they waited for is the least that they take.
  const thereMs = usual(true) ?? median(study.rows.map((row) => row.duration));
  if (elsewhereMs === null || thereMs === null || thereMs < SLOWER * elsewhereMs) return null;
  const pod = study.scene.podOf(worst.value);
  const wall = wallOf(study.rows, 0.02);
  return claim(study, {
    cause: 'single-bad-endpoint',
    title: `One of ${hosts.length} pods of ${study.place} is slow, and its callers give up`,
    story:
      `${ofWords(worst.failures, weigh(study.rows))} fell on ${pod ?? worst.value}. What it still answers takes a median of ${span(thereMs)}, its peers take ${span(elsewhereMs)}. ` +
      (wall.count * 2 > study.rows.length
        ? `Callers waited ${span(wall.ms)} (${ofWords(wall.count, study.rows.length)}): their own timer, which is the messenger.`
        : 'Callers gave up after various times.'),
    at: { services: [study.place], endpoints: [worst.value], pods: pod ? [pod] : [], clients: [] },
    evidence: [
      {
        text: `requests to ${worst.value} in that time that were given up`,
        count: worst.failures,
        of: worst.requests,
      },
      {
        text: 'requests to its peers in that time that were given up',
        count: elsewhere,
        of: peers.reduce((n, { requests }) => n + requests, 0),
      },
    ],
    confidence: 'high',
    why: 'one address alone is given up, and it alone is slow',
    next: [
      pod
        ? {
            purpose: 'read what it is doing',
            command: logsCommand(namespaceOf(study.place), pod, study.first),
          }
        : { purpose: 'find the pod of that address', command: podAtCommand(worst.value) },
    ],
    fix: ['Keep its log, then replace the pod; outlier detection or least-request balancing.'],
  });
}

const givenUpCause = causesNamedIn(givenUp);

export const clientCancel: Cause = givenUpCause(
  'client-timeout-or-cancel',
  'https://github.com/istio/istio/issues/39037',
  'The caller gave up before the answer: its own timeout, a closed page, a load balancer.',
  ['outermost line 0 DC or DR', 'durations that cluster at the client’s limit, or at random for users'],
  [
    'a UT above it, or another attempt after it: the proxy’s timeout',
    'one pod alone is given up, and it is slow',
    '101 DC: a websocket’s normal end',
  ],
);

/** A look of a cause that others' lines show as well. */
export const GIVEN_UP_LOOKS: readonly Cause[] = [
  givenUpCause(
    'upstream-slow',
    'https://github.com/istio/istio/issues/49469',
    'The app, or what it waits for, is slow.',
    ['callers give up after one common time, and answers take far longer than before'],
    [],
  ),
  givenUpCause(
    'single-bad-endpoint',
    'https://github.com/istio/istio/issues/8846',
    'One pod of many misbehaves.',
    ['callers give up on one upstream host, whose answers take far longer than its peers’'],
    [],
  ),
];

const FEWEST_AT_A_WALL = 5;

/** Give-ups at one common duration: somebody's timer. */
function walls(study: Study): Hypothesis[] {
  const wall = wallOf(study.rows, 0.02);
  // A timer waits; what is given up at once is a click.
  if (wall.count < FEWEST_AT_A_WALL || wall.ms < 200) return [];
  if (wall.count < study.rows.length * 0.4 && !standsOut(study.rows, wall)) return [];
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
  const deep = deepestWait(part.scene, part.cases);
  const slowing = slowingOf(part, deep);
  const { before, during: now, grew: slower } = slowing;
  // A timer that never ended a call while these were quick is the messenger.
  const isMessenger = slower && part.healthyBefore >= FEWEST_BEFORE;
  const peers = distinct(part.rows, (row) => row.peer);
  const clients = [...(peers.length <= 3 ? peers : []), ...agents.slice(0, 2).map(({ value }) => value)];
  return [
    ...(isMessenger ? [becameSlow(part, wall.ms, slowing, deep)] : []),
    claim(part, {
      cause: 'client-timeout-or-cancel',
      title: `A client of ${part.place} always gives up after ${span(wall.ms)}`,
      story:
        `the caller closed the connection at ${span(wall.ms)} before any answer (${ofWords(weigh(members), weigh(study.rows))} of all give-ups): its own timer, no proxy’s. ` +
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
          count: weigh(members),
          of: weigh(study.rows),
        },
        {
          text: 'requests of other clients that took longer and were answered',
          count: weigh(others),
          of: weigh(others),
        },
        ...part.contrast('user agent', (row) => row.userAgent),
      ],
      against:
        ownLonger.length > 0
          ? [
              {
                text: 'requests of the same client that took longer and were answered',
                count: weigh(ownLonger),
                of: weigh(part.population),
              },
            ]
          : [],
      severity: part.shareDuring > 0.3 ? 'high' : 'medium',
      confidence: isMessenger ? 'possible' : slower ? 'likely' : 'high',
      why: slower
        ? 'one common duration; but the service became slower as well'
        : 'one common duration, and other clients wait longer',
      next: [whoIs(part, peers[0] ?? null)],
      fix: ['Raise that client’s timeout above what the service needs, or make these calls quicker.'],
    }),
  ];
}

/** A pod by its address; of a client from elsewhere there are only its lines. */
function whoIs({ rows, proxies }: Study, peer: string | null): NextStep {
  return peer !== null && isPrivate(peer)
    ? { purpose: 'find who that is', command: podAtCommand(peer) }
    : {
        purpose: 'see what else that client asks for',
        command: `${logsCommand(null, proxies[0]!, rows[0]!.start, '-c istio-proxy')} | grep -F ${shellWord(rows[0]!.userAgent ?? peer ?? '')}`,
      };
}

/** How long answers take, and whose: of what is given up on, or of what that waits for. */
interface SlowingOf extends Slowing {
  readonly place: string;
}

function slowingOf(part: Study, deep: Deepest | null): SlowingOf {
  const answered = (rows: readonly Row[]): number[] =>
    rows.filter((row) => !row.failure).map((row) => row.duration);
  const before = median(answered(part.before));
  const during = median(answered(part.during));
  const grew = before !== null && during !== null && during > 2 * before;
  const behind = deep && slowingBehind(part, deep);
  return behind?.grew ? { ...behind, place: deep!.place } : { before, during, grew, place: part.place };
}

/** Callers give up on what they used to wait for: who became slow is at fault. */
function becameSlow(
  part: Study,
  wallMs: number,
  { before, during, place: slow }: SlowingOf,
  deep: Deepest | null,
): Hypothesis {
  const pods = deep ? deep.pods : part.hosts.flatMap((ip) => part.scene.podOf(ip) ?? []);
  const healthy = part.before.filter((row) => !row.failure);
  const place = deep?.place ?? part.place;
  return claim(part, {
    cause: 'upstream-slow',
    title: `${place} has become slow, and callers${deep ? ` of ${part.place}` : ''} give up after ${span(wallMs)}`,
    story:
      (deep
        ? `followed hop by hop the time is spent ${ofWords(deep.count, deep.of)} times in ${place}, further down. `
        : '') +
      `What ${slow} still answers takes a median of ${span(during!)} instead of ${span(before!)}. Callers closed the connection at ${span(wallMs)}: their own timer, which is the messenger. ` +
      `Among ${plural(weigh(healthy), 'request')} before it ended none.`,
    at: { services: [place], endpoints: [], pods: pods.slice(0, 4) },
    evidence: [
      part.fact('requests in that time that their callers gave up', part.rows, part.during),
      ...(slow !== part.place ? [] : [part.slowerThan(before!, span(during!))]),
      ...part.contrast('upstream host', (row) => row.upstreamIp),
      ...part.contrast('path', (row) => row.pathTemplate),
    ],
    severity: part.shareDuring > 0.3 ? 'high' : 'medium',
    confidence: 'high',
    why: 'answers were quick before and are slow while callers give up, who never did before',
    next: [
      pods[0]
        ? {
            purpose: 'read what the app was doing',
            command: logsCommand(namespaceOf(place), pods[0], part.first),
          }
        : { purpose: 'see what its pods use', command: `kubectl ${namespaceFlag(place)}top pod` },
    ],
    fix: ['Find what the app waits for (saturation, locks, its database); scale it out meanwhile.'],
  });
}

/** Give-ups at random moments are what users do. */
function scattered(study: Study): Hypothesis {
  const share = weigh(study.rows) / Math.max(1, weigh(study.population));
  return claim(study, {
    cause: 'client-timeout-or-cancel',
    title: `${plural(weigh(study.rows), 'caller')} of ${study.place} did not wait for the answer`,
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
    harmless: share <= 0.3,
  });
}
