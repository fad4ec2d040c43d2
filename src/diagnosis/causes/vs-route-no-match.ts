import type { Case } from '../../aggregate/joins.js';
import type { Row } from '../../aggregate/row.js';
import { isPodName } from '../../record/origin.js';
import { causesNamedIn, type Cause } from '../cause.js';
import type { Fact, Hypothesis } from '../hypothesis.js';
import { proxyName, proxyOf } from '../kubectl.js';
import type { Scene } from '../scene.js';
import { claim, Study } from '../study.js';
import { perScene } from '../per-scene.js';
import { byFrequency, distinct, least, most, weigh } from '../stats.js';
import { isRequest, isRouted, pathShapes, sentBetween, sentTo } from './lines-sent.js';
import { isRouteMiss, isScannerRequest, routeMisses } from './route-misses.js';
import { seeWhetherStale, UPDATE_AGAIN } from './stale-config.js';
import { clock, listed, plural, shellWord, span, thousands } from '../words.js';

const missed = perScene((scene: Scene): Hypothesis[] =>
  routeMisses(scene).flatMap(({ study, authority }) => {
    const cases = study.cases.filter(({ decider }) => !isScannerRequest(decider));
    const found = cases.length > 0 ? noMatch(scene, authority, cases) : null;
    if (!found) return [];
    const stale = staleRoutes(scene, authority, cases);
    return stale ? [stale, { ...found, confidence: 'possible', why: TWINS_ROUTE }] : [found];
  }),
);

const TWINS_ROUTE = 'other pods of the same workload route the same requests at the same time';

function noMatch(scene: Scene, authority: string, cases: readonly Case[]): Hypothesis | null {
  const misses = cases.map(({ decider }) => decider);
  const { path: pathShape, whole: shape } = pathShapes(scene);
  const preflights = misses.filter((row) => row.method === 'OPTIONS').length;
  if (preflights === misses.length) return null;
  const proxies = new Set(misses.map((row) => row.proxy));
  const place = scene.placeOf(misses[0]!);
  const first = least(misses.map((row) => row.start));
  const last = most(misses.map((row) => row.start));
  // The same route table: all that the same proxies sent to the same authority or service.
  const sent = sentTo(scene, authority, place);
  const isAlike = (row: Row): boolean => proxies.has(row.proxy) && isRequest(row);
  const namedRouted = sent.named.filter((row) => isAlike(row) && isRouted(row));
  // Other proxies hold the same routes: what they could send tells that the host itself has some.
  const elsewhere = sent.there.routedElsewhere(proxies);
  const isRoutedThere = [...proxies].some((proxy) => sent.there.isRouted(proxy));
  if (namedRouted.length === 0 && !isRoutedThere && elsewhere === 0) return null;
  const failingShapes = new Set(misses.map(shape));
  const failingPaths = new Set(misses.map(pathShape));
  const since = sentBetween(sent, first, last).filter(isAlike);
  const otherRouted = since.filter((row) => isRouted(row) && !failingShapes.has(shape(row)));
  const sameShape = since.filter((row) => failingShapes.has(shape(row)));
  const missed = sameShape.filter(isRouteMiss).length;
  const sameRouted = [
    ...namedRouted.filter((row) => failingShapes.has(shape(row))),
    ...[...failingShapes].flatMap((of) => [...proxies].flatMap((proxy) => sent.there.routed(proxy, of))),
  ];
  const before = sameRouted.filter((row) => row.end < first);
  const after = sameRouted.filter((row) => row.start > last);
  const shapes = byFrequency(misses, shape);
  const clients = distinct(misses, (row) => row.proxy);
  const gateway = [...proxies].some((proxy) => scene.roleOf(proxy) === 'gateway');

  const evidence: Fact[] = [
    {
      text: `requests for ${listed(shapes.map(([text]) => text))} that found no route`,
      count: missed,
      of: sameShape.length,
    },
  ];
  if (otherRouted.length > 0) {
    evidence.push({
      text: `other requests to ${authority} from the same proxy in the same time that found one: ${listed(
        byFrequency(otherRouted, shape).map(([text]) => text),
      )}`,
      count: weigh(otherRouted),
      of: weigh(otherRouted),
    });
  }
  if (before.length > 0) {
    evidence.push({
      text: 'the same requests that were routed before',
      count: weigh(before),
      of: weigh(before),
    });
  }
  if (after.length > 0) {
    evidence.push({
      text: 'the same requests that were routed after the last miss',
      count: weigh(after),
      of: weigh(after),
    });
  }
  if (elsewhere > 0) {
    evidence.push({
      text: `requests of other proxies to ${place} that were routed`,
      count: elsewhere,
      of: elsewhere,
    });
  }
  const against: Fact[] = [];
  const mixed = sameShape.length - missed;
  if (mixed > 0) {
    against.push({
      text: 'requests of the same method and path that were routed in between',
      count: mixed,
      of: sameShape.length,
    });
  }
  const brief = after.length > 0 && last - first < 10_000;
  if (brief)
    against.push({
      text: 'the misses last seconds only, as while configuration is pushed',
      count: weigh(misses),
      of: weigh(misses),
    });
  const otherMethods = otherRouted.filter((row) => failingPaths.has(pathShape(row)));
  const isByMethod = mixed === 0 && distinct(otherMethods, pathShape).length === failingPaths.size;
  if (isByMethod)
    evidence.push({
      text: `requests for the same ${failingPaths.size === 1 ? 'path' : 'paths'} with other methods (${listed(distinct(otherMethods, (row) => row.method))}) that found one`,
      count: weigh(otherMethods),
      of: weigh(otherMethods),
    });
  const decisive = otherRouted.length > 0 || elsewhere > 0;
  const confidence =
    mixed > missed || brief ? 'possible' : decisive && mixed === 0 && misses.length >= 5 ? 'high' : 'likely';
  return {
    cause: 'vs-route-no-match',
    title: `No route of ${authority} matches ${listed(
      shapes.map(([text]) => text),
      2,
    )}`,
    summary:
      `${listed(clients)} ${clients.length === 1 ? 'has' : 'have'} routes for ${authority}, but none matches ` +
      `${listed(shapes.map(([text]) => text))}: ${plural(weigh(misses), 'request')} got 404 with NR from the proxy itself, ` +
      `between ${clock(first)} and ${clock(last)}, and no server saw them. ` +
      (otherRouted.length > 0
        ? `${thousands(weigh(otherRouted))} other requests to the same host were routed meanwhile. `
        : '') +
      (isByMethod ? 'With other methods the same is routed: the match asks for one. ' : '') +
      (before.length > 0 ? `The same requests were routed before, so a rule changed. ` : '') +
      `The app is not at fault: its own 404s come back through the route and carry no flag.`,
    at: {
      services: [place],
      clients: gateway ? [] : clients,
      ...(gateway ? { pods: clients } : {}),
    },
    cases,
    evidence,
    against,
    confidence,
    why:
      confidence === 'high'
        ? 'every request of these paths misses while others of the same host are routed'
        : confidence === 'likely'
          ? 'the misses are clear, but few, or requests like them were routed in between'
          : 'the misses come and go, which a change under way does as well',
    next: [
      {
        purpose: 'see which matches the proxy holds for this host',
        command: `istioctl proxy-config route ${proxyName(null, clients[0]!)} -o json | grep -n -A8 '"match"'`,
      },
      {
        purpose: 'find the rule',
        command: `kubectl get virtualservice,httproute -A -o yaml | grep -n -B3 -A30 ${shellWord(place.split('.')[0] ?? place)}`,
      },
    ],
    fix: [
      'Widen the match (a prefix instead of an exact path), or add a last rule without a match that catches the rest.',
      'If the path is new or withdrawn on purpose, change the caller.',
    ],
  };
}

/** Configuration reaches all proxies within seconds. */
const PUSHED_WITHIN_MS = 10_000;
const FEWEST_OF_TWINS = 5;

/** Pods of one ReplicaSet share all of their name but its last word; `null` for a name that no controller made. */
const replicasOf = (proxy: string): string | null =>
  isPodName(proxy) ? proxy.slice(0, proxy.lastIndexOf('-')) : null;

/** Some pods of a workload have no route for what its other pods go on routing: theirs are old. */
function staleRoutes(scene: Scene, authority: string, cases: readonly Case[]): Hypothesis | null {
  const study = new Study(scene, cases);
  const { rows, proxies, place, first, last } = study;
  const replicas = new Set(proxies.map(replicasOf));
  if (last - first < PUSHED_WITHIN_MS || replicas.has(null)) return null;
  const shape = pathShapes(scene).whole;
  const shapes = new Set(rows.map(shape));
  const same = sentBetween(sentTo(scene, authority, place), first, last).filter(
    (row) => row.http && shapes.has(shape(row)),
  );
  const routed = same.filter((row) => row.cluster !== null);
  const twins = routed.filter((row) => !proxies.includes(row.proxy) && replicas.has(replicasOf(row.proxy)));
  if (weigh(twins) < FEWEST_OF_TWINS || routed.some((row) => proxies.includes(row.proxy))) return null;
  const others = distinct(twins, (row) => row.proxy);
  const what = byFrequency(rows, shape).map(([text]) => text);
  return claim(study, {
    cause: 'stale-proxy-config',
    title: `${listed(proxies)} ${proxies.length === 1 ? 'lacks' : 'lack'} a route of ${authority} that ${plural(others.length, 'pod')} beside ${proxies.length === 1 ? 'it' : 'them'} ${others.length === 1 ? 'has' : 'have'}`,
    story:
      `${listed(what)} found no route at ${listed(proxies)} for ${span(last - first)}, while ${listed(others)}, of the same workload and with the same configuration, routed ${thousands(weigh(twins))} of them. ` +
      `Routes reach all proxies within seconds, so ${proxies.length === 1 ? 'this one is' : 'these are'} no longer updated.`,
    at: { services: [place], pods: proxies, clients: [] },
    evidence: [
      study.fact(`requests for ${listed(what)} at ${listed(proxies)} that found no route`, rows, rows),
      {
        text: `the same requests at ${listed(others)} in the same time that found one`,
        count: weigh(twins),
        of: weigh(twins),
      },
    ],
    confidence: 'high',
    why: TWINS_ROUTE,
    next: [
      seeWhetherStale(proxies[0]!),
      {
        purpose: 'see which matches it holds for this host',
        command: `istioctl proxy-config route ${proxyOf(study)} -o json | grep -n -A8 '"match"'`,
      },
    ],
    fix: UPDATE_AGAIN,
  });
}

const missCause = causesNamedIn(missed);

export const vsRouteNoMatch: Cause = missCause(
  'vs-route-no-match',
  'https://istio.io/v1.28/docs/ops/common-problems/network-issues/#route-rules-have-no-effect-on-ingress-gateway-requests',
  'The proxy has routes for the host, but none matches the request: an exact match where clients send sub-paths, a condition on method, header or query, an order that hides a rule.',
  [
    '404 NR route_not_found with 0 bytes, no cluster and no host, logged by the gateway or the caller, never by the server',
    'other paths of the same authority succeed on the same proxy',
  ],
  [
    'a 404 via_upstream: that one is the app’s own',
    'no path of the authority succeeds: the host is unknown, or somebody scans',
  ],
);

/** A look of a cause that refused connects show as well. */
export const ROUTE_MISS_LOOKS: readonly Cause[] = [
  missCause(
    'stale-proxy-config',
    'https://github.com/istio/istio/issues/54539',
    'One proxy no longer gets configuration.',
    ['404 NR at some pods of a workload, for minutes, for what its other pods route'],
    [],
  ),
];
