import type { Case } from '../../aggregate/joins.js';
import type { Kind, Row } from '../../aggregate/row.js';
import { attemptsOf } from '../attempts.js';
import { causesNamedIn, type Cause } from '../cause.js';
import { deepestWait } from '../deepest.js';
import type { Hypothesis } from '../hypothesis.js';
import { logsCommand, namespaceFlag, namespaceOf, proxyName } from '../kubectl.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { answeredIn, durationsOf, roseTo, slowingBehind, type Slowing } from '../slowing.js';
import { median, quantile, weightedMedian } from '../stats.js';
import { claim, Study, studies, top, type Claim } from '../study.js';
import { wallOf } from '../walls.js';
import { listed, ofWords, plural, span } from '../words.js';
import { bySize, neverLeft } from './mtu.js';

const details = (row: Kind): string => row.details ?? '';
const routeCommand = (study: Study, what: string): string =>
  `istioctl proxy-config route ${proxyName(null, study.proxies[0]!)} -o json | grep -n -i ${what}`;

const isPerTry = (row: Kind): boolean => /upstream_per_try/.test(details(row));
const isTimeout = (row: Kind): boolean => row.has('UT') && row.code !== 408;

/**
 * Of what timed out: those that were answered before, and all while the timeouts last, where one that timed out took as long
 * at least. What is still answered may be quicker than before: the slow ones are not among it.
 * @param paths of what timed out, where others did not
 */
function slowing(study: Study, paths: readonly string[] | null): Slowing {
  const isLike = (row: Row): boolean => paths === null || paths.includes(row.pathTemplate ?? '');
  const earlier = study.before.filter(isLike);
  if (paths !== null && answeredIn(earlier).length < FEWEST_TO_COMPARE) return slowing(study, null);
  const climb = climbing(earlier);
  const before = climb ?? median(durationsOf(earlier));
  const now = study.during.filter(isLike);
  // A request that timed out would have taken longer: it counts as slow at its own duration.
  const during = weightedMedian(
    [...answeredIn(now), ...study.rows].map(({ duration, weight }) => ({ value: duration, weight })),
  );
  const tail = quantile(durationsOf(earlier), 0.9);
  const slowNow = durationsOf(now).filter((ms) => tail !== null && ms > 2 * tail).length;
  // What was tried again took longer by the tries that were cut.
  const some = !isPerTry(study.sample) && slowNow >= Math.max(3, durationsOf(now).length * 0.3);
  const grew = climb !== null || roseTo(before, during) || (before !== null && during !== null && some);
  return { before, during, grew };
}

/** Answers on some paths that tell how long those took before. */
const FEWEST_TO_COMPARE = 10;

const PARTS = 4;
const FEWEST_OF_A_PART = 10;

/** The median at the beginning of answers that took longer and longer, as with a leak; `null` where they did not. */
function climbing(rows: readonly Row[]): number | null {
  const inOrder = durationsOf(rows.toSorted((a, b) => a.start - b.start));
  const size = Math.floor(inOrder.length / PARTS);
  if (size < FEWEST_OF_A_PART) return null;
  const medians = Array.from({ length: PARTS }, (_, i) => median(inOrder.slice(i * size, (i + 1) * size))!);
  const rises = medians.every((ms, i) => i === 0 || ms > medians[i - 1]!);
  return rises && roseTo(medians[0]!, medians.at(-1)!) ? medians[0]! : null;
}

/** A request that was tried again waited in each of its tries: the last one stands for it. */
const lastTry =
  (scene: Scene) =>
  (one: Case): Case => {
    const tries = attemptsOf(scene, one.decider);
    return tries.length > 1 ? { ...one, decider: tries.at(-1)! } : one;
  };

const timeouts = perScene((scene: Scene): Hypothesis[] => {
  const keyOf = (row: Row): string =>
    `${row.direction}\n${scene.placeOf(row)}\n${row.cluster?.port ?? ''}\n${isPerTry(row)}`;
  return studies(scene, isTimeout, { keyOf }).flatMap((study) => {
    const wall = wallOf(study.rows);
    const waiting = study.rows.filter(
      (row) => row.upstreamLocal === null && row.upstreamHost !== null,
    ).length;
    if (waiting > study.rows.length / 2) return neverLeft(study);
    const sized = bySize(study);
    if (sized) return [sized];
    const paths = study.concentration((row) => row.pathTemplate);
    const hosts = study.concentration((row) => row.upstreamIp);
    const deep = deepestWait(scene, study.cases.map(lastTry(scene)));
    const onPaths = slowing(study, paths?.bad.map(({ value }) => value) ?? null);
    const own = onPaths.grew ? onPaths : slowing(study, null);
    const there = deep && slowingBehind(study, deep);
    const isBehind = there?.grew === true && !own.grew;
    const { before, during, grew: slower } = isBehind ? there : own;
    const rose = before !== null && during !== null && during > before;
    const [pod = null] = deep ? deep.pods : study.hosts.flatMap((ip) => scene.podOf(ip) ?? []);
    // Its peers serve the same requests in time: not the limit is too short, these pods are slow.
    const slowPods = deep ? null : hosts;
    const grew = slower || slowPods !== null;
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
        {
          text: isPerTry(study.sample)
            ? `timeouts at ${span(wall.ms)}, when all attempts were used`
            : `timeouts at ${span(wall.ms)}, the route’s limit`,
          count: wall.count,
          of: study.rows.length,
        },
        study.fact('requests in that time that ran into it', study.rows, study.during),
        ...(rose && !isBehind && (grew || !isPerTry(study.sample))
          ? [study.slowerThan(before, `${span(during)} or more`)]
          : []),
        ...study.contrast('upstream host', (row) => row.upstreamIp),
        ...study.contrast('path', (row) => row.pathTemplate),
      ],
      next: [
        {
          purpose: 'read what the app was doing',
          command: pod
            ? logsCommand(namespaceOf(deep?.place ?? study.place), pod, study.first)
            : `kubectl ${namespaceFlag(deep?.place ?? study.place)}top pod`,
        },
        { purpose: 'see the timeout', command: routeCommand(study, 'timeout') },
      ],
    };
    const slow = claim(study, {
      ...common,
      cause: 'upstream-slow',
      title: `${slowPods ? `${plural(slowPods.bad.length, 'pod')} of ${study.place} ${slowPods.bad.length === 1 ? 'is' : 'are'} slow` : `${deep?.place ?? study.place} has become slow`}, and ${deep ? `timeouts of ${span(wall.ms)} in front of ${study.place}` : `callers’ timeouts of ${span(wall.ms)}`} fire`,
      story: `the callers’ proxies gave up after ${span(wall.ms)} (${study.sample.code ?? 0} UT) on ${
        paths
          ? listed(
              paths.bad.map(({ value }) => value),
              2,
            )
          : 'all its paths'
      }; ${rose ? `${isBehind ? `those to ${deep!.place}` : 'requests'} take a median of ${span(during!)} or more instead of ${span(before!)}. ` : ''}The timeout is the messenger: ${deep ? `the time is spent ${ofWords(deep.count, deep.of)} times in ${deep.place}, further down, and every hop above hung up in turn.` : slowPods ? `${listed(slowPods.bad.map(({ value }) => scene.podOf(value) ?? value))} ${slowPods.bad.length === 1 ? 'is' : 'are'} slow, the other pods answer in time.` : 'the service is slow.'}`,
      confidence: grew ? 'high' : 'possible',
      why: slower
        ? deep && !rose
          ? 'some answers take far longer than before, and who waits was followed hop by hop'
          : 'answers were quick before and are slow while the timeouts fire'
        : slowPods
          ? 'its peers answer the same requests in the same time'
          : 'the lines do not show that it became slower',
      fix: [
        slowPods
          ? 'Keep its log, then delete the pod; outlier detection for the next time.'
          : 'Find what the app waits for (saturation, locks, its database); scale it out meanwhile.',
        'Keep timeouts decreasing inward.',
      ],
    });
    const timer = claim(
      study,
      isPerTry(study.sample) ? perTry(study, common, grew) : byRoute(study, common, grew),
    );
    return grew ? [slow, timer] : [timer, slow];
  });
});

type Common = Pick<Claim, 'at' | 'evidence' | 'next'>;

const MESSENGER = 'the timer is the messenger of a slow service';

/** @param grew the service became slower: that is the cause */
function byRoute(study: Study, common: Common, grew: boolean): Claim {
  const wall = wallOf(study.rows);
  const isSure = wall.count >= 3 && wall.count >= study.rows.length * 0.8;
  return {
    ...common,
    cause: 'route-timeout',
    title: `A route timeout of ${span(wall.ms)} cuts requests to ${study.place}`,
    story: `${ofWords(wall.count, study.rows.length)} end at ${span(wall.ms)} with ${study.sample.code ?? 0} UT from the caller’s proxy, on ${top(study.rows, (row) => row.pathTemplate)}. ${grew ? '' : 'The service is not slower than before: these requests need longer than the route allows.'}`,
    confidence: grew ? 'possible' : isSure ? 'high' : 'likely',
    why: grew ? MESSENGER : 'one common duration, and no sign that the service became slower',
    fix: ['Raise the route’s timeout to what this call needs, or make the call quicker.'],
  };
}

/** @param grew the service became slower: that is the cause */
function perTry(study: Study, common: Common, grew: boolean): Claim {
  const wall = wallOf(study.rows);
  const attempts = median(study.rows.map((row) => study.scene.joins.children(row).length)) ?? 0;
  return {
    ...common,
    at: { services: [study.place], pods: study.proxies.slice(0, MOST_PROXIES) },
    cause: 'per-try-timeout',
    title: `Attempts to reach ${study.place} are cut at perTryTimeout`,
    story: `each attempt is ended after the per-try limit and repeated${attempts > 1 ? ` (${attempts} attempts per request in the servers’ logs)` : ''}; the request ends after ${span(wall.ms)}.`,
    next: [
      {
        purpose: 'see attempts and perTryTimeout',
        command: routeCommand(study, "'perTryTimeout\\|numRetries'"),
      },
    ],
    confidence: grew ? 'possible' : 'high',
    why: grew ? MESSENGER : 'the proxy that made the reply names the reason itself',
    fix: [
      'Raise perTryTimeout to what one attempt needs, or drop the retries: they multiply the load on a slow service.',
    ],
  };
}

const MOST_PROXIES = 4;

const timeoutCause = causesNamedIn((scene) => timeouts(scene));

export const ROUTE_TIMEOUT_CAUSES: readonly Cause[] = [
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
  timeoutCause(
    'per-try-timeout',
    'https://github.com/istio/istio/issues/39097',
    'Each attempt is cut at perTryTimeout and repeated, until all are used.',
    [
      '504 UT or URX,UT upstream_per_try_timeout',
      'durations at a multiple of one value; the callee logs each attempt as 0 DC',
    ],
    ['the service became slower: that is the cause'],
  ),
];
