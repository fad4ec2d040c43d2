import type { Row } from '../../aggregate/row.js';
import type { Cause } from '../cause.js';
import type { Hypothesis } from '../hypothesis.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { claim, top, type Study } from '../study.js';
import { distinct, groupBy, LinesInTime, weigh } from '../stats.js';
import { isIp } from '../../record/address.js';
import { bareAuthority } from '../traits.js';
import { clock, plural, shellWord } from '../words.js';
import { isScannerRequest, routeMisses, type RouteMiss } from './route-misses.js';

/** Fewer requests than this to a host that nobody serves are somebody's try, not a customer. */
const STEADY = 8;

/** Of each proxy some authorities that it found a cluster for. */
const someServed = perScene((scene: Scene): ReadonlyMap<string, readonly string[]> => {
  const byProxy = groupBy(
    scene.rowsOf((kind) => kind.cluster !== null),
    (row) => row.proxy,
  );
  return new Map(
    [...byProxy].map(([proxy, rows]) => [proxy, distinct(rows, (row) => row.authority).slice(0, NAMED)]),
  );
});
/** Of hosts that are served so many are named. */
const NAMED = 2;

function judge(scene: Scene): Hypothesis[] {
  return routeMisses(scene).flatMap((miss) => {
    const found = hypothesis(scene, miss);
    return found ? [found] : [];
  });
}

function hypothesis(scene: Scene, { study, authority, routed, isEdge }: RouteMiss): Hypothesis | null {
  const wanted = study.rows.filter((row) => !isScannerRequest(row));
  if (isIp(bareAuthority(authority)) || authority === '' || wanted.length < STEADY) return null;
  if (wanted.length < study.rows.length / 2) return null;
  // A host that some of its requests reach has routes: then a rule is missing, not the host.
  const during = routed.filter((row) => row.start >= study.first && row.start <= study.last);
  if (during.length > 0 || !isEdge) return null;
  const before = routed.filter((row) => row.start < study.first);
  const after = routed.filter((row) => row.start > study.last);
  const others = new Set(study.proxies.flatMap((proxy) => someServed(scene).get(proxy) ?? []));
  const clients = distinct(study.rows, (row) => row.peer).length;
  const sustained = study.spanMs > 5_000;
  return claim(study, {
    cause: 'gateway-host-unknown',
    title: `The gateway has no route for host ${authority}`,
    story:
      `every request for ${authority} got 404 with NR from the gateway itself, whatever its path (${top(study.rows, (row) => row.pathTemplate)}), from ${plural(clients, 'client')}. ` +
      (before.length > 0
        ? `It was routed until ${clock(study.first)}, so its route was taken away. `
        : 'It was never routed in these logs. ') +
      (others.size > 0
        ? `Other hosts on the same gateway (${[...others].slice(0, NAMED).join(', ')}) are served.`
        : ''),
    at: { services: [bareAuthority(authority)], pods: study.proxies, upstreamClusters: [] },
    evidence: [
      study.fact(`requests for ${authority} without a route`, study.rows, [...study.rows, ...during]),
      { text: 'requests for it that were routed before', count: weigh(before), of: weigh(before) },
      { text: 'requests for it that were routed afterwards', count: weigh(after), of: weigh(after) },
      {
        text: 'requests for other hosts of the same gateway that found a route in the same time',
        ...routedElsewhere(scene, study, authority),
      },
    ],
    confidence: sustained && study.rows.length >= 20 ? 'high' : 'likely',
    why: sustained
      ? 'no path of this host is routed while other hosts are, and the traffic is steady'
      : 'no path of this host is routed, but the traffic is short',
    next: [
      {
        purpose: 'see which hosts the gateway serves',
        command: `kubectl get gateway,virtualservice,httproute -A -o yaml | grep -n -B2 -A6 ${shellWord(bareAuthority(authority))}`,
      },
    ],
    fix: [
      'Name the host in a VirtualService or HTTPRoute that is bound to this gateway (and in the Gateway’s own hosts).',
      'Across namespaces, check that the Gateway allows routes from there.',
    ],
  });
}

/** What was asked for, by proxy, and by proxy and authority: all of it, and what found a route. */
const askedFor = perScene((scene: Scene) => {
  const asked = scene.rowsOf((kind) => kind.http).filter((row) => !isScannerRequest(row));
  const inTime = (keyOf: (row: Row) => string | null) =>
    new Map(
      [...groupBy(asked, keyOf)].map(([key, rows]) => [
        key,
        { all: new LinesInTime(rows), routed: new LinesInTime(rows.filter((row) => row.cluster !== null)) },
      ]),
    );
  return {
    at: inTime((row) => row.proxy),
    of: inTime((row) => row.authority && `${row.proxy}\n${row.authority}`),
  };
});

/** Of what was asked for meanwhile, but for one authority, how much found a route. */
function routedElsewhere(scene: Scene, { proxies, first, last }: Study, authority: string) {
  const { at, of } = askedFor(scene);
  const elsewhere = (which: 'all' | 'routed'): number =>
    proxies.reduce((sum, proxy) => {
      const own = of.get(`${proxy}\n${authority}`)?.[which].weightBetween(first, last) ?? 0;
      return sum + (at.get(proxy)?.[which].weightBetween(first, last) ?? 0) - own;
    }, 0);
  return { count: elsewhere('routed'), of: elsewhere('all') };
}

export const gatewayHostUnknown: Cause = {
  id: 'gateway-host-unknown',
  reference: 'https://github.com/envoyproxy/envoy/issues/15698',
  mechanism: 'The gateway serves the port, but no VirtualService or HTTPRoute is attached for this host.',
  signs: [
    '404 NR route_not_found for every path of one authority, on the gateway',
    'other hosts of the gateway work',
  ],
  against: [
    'the authority is an address or nobody’s name and the clients are many: scanners',
    'some paths of the host work',
  ],
  judge,
};
