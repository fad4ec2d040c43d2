import type { Cause } from '../cause.js';
import type { Hypothesis } from '../hypothesis.js';
import { proxyOf } from '../kubectl.js';
import { claim } from '../study.js';
import { distinct, weigh } from '../stats.js';
import { bareAuthority } from '../traits.js';
import { listed } from '../words.js';
import { routeMisses, type RouteMiss } from './route-misses.js';

/** The host is known by its bare name, and missed with a port or a trailing dot. */
function spelling({ study, authority, routed }: RouteMiss): Hypothesis | null {
  const bare = bareAuthority(authority);
  if (authority === bare) return null;
  const asSpelled = routed.filter((row) => row.authority === authority);
  const otherwise = routed.filter((row) => row.authority !== authority);
  if (asSpelled.length > 0 || otherwise.length === 0) return null;
  const dot = /\.(?::\d+)?$/.test(authority);
  const agents = distinct(study.rows, (row) => row.userAgent);
  return claim(study, {
    cause: 'host-header-port-or-trailing-dot',
    title: `Requests for ${authority} find no route; for ${bare} they do`,
    story:
      `clients send the host as ${authority}, with a ${dot ? 'trailing dot' : 'port'}, and no virtual host is named so; ` +
      `the same host spelled ${listed(
        distinct(otherwise, (row) => row.authority),
        2,
      )} is routed.`,
    at: { services: [bare], clients: agents.slice(0, 3), upstreamClusters: [] },
    evidence: [
      study.fact(`requests for ${authority} that found a route`, asSpelled, study.rows),
      {
        text: `requests for the host without it that found one`,
        count: weigh(otherwise),
        of: weigh(otherwise),
      },
    ],
    confidence: study.rows.length >= 3 && otherwise.length >= 3 ? 'high' : 'likely',
    why: 'the two spellings differ in nothing else, and one of them always fails',
    next: [
      {
        purpose: 'see the names that the proxy matches',
        command: `istioctl proxy-config route ${proxyOf(study)} -o json | grep -n -A4 domains`,
      },
    ],
    fix: [
      'Correct the URL that these clients use.',
      dot
        ? `Add the name with the dot to the hosts of its route.`
        : 'Ports in the authority are ignored by default since Istio 1.16: upgrade, or strip it.',
    ],
  });
}

export const hostHeader: Cause = {
  id: 'host-header-port-or-trailing-dot',
  reference: 'https://github.com/istio/istio/issues/21384',
  mechanism: 'Clients send `Host: name:port` or `name.`, which no virtual host matches literally.',
  signs: [
    '404 NR only where the authority carries a port or a trailing dot',
    'the bare name is routed on the same proxy',
  ],
  against: ['the bare name fails as well'],
  judge: (scene) => routeMisses(scene).flatMap((miss) => spelling(miss) ?? []),
};

/** The same authority is routed on connections whose server name is its own. */
function coalesced({ study, authority, routed }: RouteMiss): Hypothesis | null {
  const bare = bareAuthority(authority);
  const foreign = study.rows.filter(
    (row) => row.serverName !== null && row.serverName !== bare && row.protocol !== 'HTTP/1.1',
  );
  const own = routed.filter((row) => row.serverName === bare);
  if (foreign.length < study.rows.length * 0.8 || foreign.length === 0 || own.length === 0) return null;
  return claim(study, {
    cause: 'http2-connection-coalescing',
    title: `Browsers send ${bare} over connections opened for ${listed(
      distinct(foreign, (row) => row.serverName),
      2,
    )}`,
    story:
      `the connection was opened for ${listed(
        distinct(foreign, (row) => row.serverName),
        2,
      )} and reused for ${bare}, since one certificate covers both; ` +
      `the gateway looks for the route under the connection’s own host and finds none. On connections of its own the host is served.`,
    at: { services: [bare], pods: study.proxies, upstreamClusters: [] },
    evidence: [
      study.fact('misses on a connection whose server name is another host', foreign, study.rows),
      {
        text: 'requests for the host on its own connections that were routed',
        count: weigh(own),
        of: weigh(own),
      },
      {
        text: 'misses over HTTP/1.1, which never shares a connection between hosts',
        count: weigh(study.rows.filter((row) => row.protocol === 'HTTP/1.1')),
        of: weigh(study.rows),
      },
    ],
    confidence: foreign.length === study.rows.length && foreign.length >= 3 ? 'high' : 'likely',
    why: 'the server name and the authority differ on every miss and agree on every success',
    next: [
      { purpose: 'look for gateways that share a certificate (IST0138)', command: 'istioctl analyze -A' },
    ],
    fix: [
      'Serve both hosts from one Gateway server block, or give them separate certificates; or answer 421 so that browsers open a new connection.',
    ],
  });
}

export const connectionCoalescing: Cause = {
  id: 'http2-connection-coalescing',
  reference:
    'https://istio.io/v1.28/docs/ops/common-problems/network-issues/#404-errors-occur-when-multiple-gateways-configured-with-same-tls-certificate',
  mechanism:
    'A browser reuses one HTTP/2 connection for another host that the same certificate covers, and the gateway has no route for it there.',
  signs: [
    '404 NR over HTTP/2 with a server name other than the authority',
    'the same authority works with its own server name',
  ],
  against: ['misses over HTTP/1.1, or with the right server name'],
  judge: (scene) => routeMisses(scene).flatMap((miss) => coalesced(miss) ?? []),
};
