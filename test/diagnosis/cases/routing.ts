import {
  clusterOf,
  client,
  gateway,
  healthy,
  hop,
  moments,
  NO_CLUSTER,
  NO_CONNECTION,
  NO_ROUTE,
  NO_HOST,
  rejected,
  RESET,
  server,
  tcp,
  type Line,
} from '../traffic.js';
import { background, caller, service, type CauseCase } from './case.js';

const web = caller('web', '10.42.3.15');
const mobile = caller('mobile', '10.42.5.70');
const edge = caller('edge', '10.42.9.2');
const reviews = service('reviews', 'shop', 9080, '10.42.6.21', '10.42.7.33');
const ratings = service('ratings', 'shop', 9090, '10.42.6.24');
const cache = service('cache', 'data', 7000, '10.42.6.51', '10.42.7.52');

const NO_SUCH_CLUSTER: Partial<Line> = {
  ...NO_CLUSTER,
  code: 503,
  flags: 'NC',
  details: 'cluster_not_found',
  sent: 0,
  ms: 0,
  route: 'reviews-canary',
};
const BLOCKED: Partial<Line> = {
  ...NO_CLUSTER,
  code: 502,
  details: 'direct_response',
  sent: 0,
  ms: 0,
  route: 'block_all',
};
const NOT_HTTP: Partial<Line> = {
  ...NO_CLUSTER,
  method: null,
  path: null,
  authority: null,
  id: '0',
  code: 400,
  flags: 'DPE',
  details: 'http1.codec_error',
  sent: 11,
  ms: 0,
  agent: null,
  route: null,
};

const atEdge = (line: Partial<Line> = {}) =>
  moments(0, 400, 150).map((at, i) => gateway(edge, reviews, reviews.pods[i % 2]!, { at, ...line }));
const unknownHost = (authority: string, line: Partial<Line> = {}) =>
  moments(5_000, 1_500, 30).map((at, i) =>
    gateway(edge, reviews, reviews.pods[0]!, {
      at,
      ...NO_ROUTE,
      authority,
      sni: authority,
      path: ['/', '/login', '/api/v1/me'][i % 3]!,
      ...line,
    }),
  );
const misses = (line: Partial<Line>) =>
  moments(20_000, 1_800, 12).map((at) =>
    client(web, reviews, reviews.pods[0]!, { at, ...NO_ROUTE, ...line }),
  );
const canaryMissing = (from: number, every: number, of: number) =>
  moments(from, every, of).map((at) => client(web, reviews, reviews.pods[0]!, { at, ...NO_SUCH_CLUSTER }));
const canaryServes = (from: number) =>
  moments(from, 900, 30).flatMap((at) =>
    hop(
      web,
      reviews,
      reviews.pods[1]!,
      { at },
      {},
      { cluster: clusterOf(reviews, 'v2'), route: 'reviews-canary' },
    ),
  );
const blocked = (authority: string) =>
  moments(8_000, 2_500, 12).map((at) =>
    client(web, ratings, ratings.pods[0]!, { at, ...BLOCKED, authority }),
  );
const notHttp = (port: number) =>
  moments(4_000, 3_700, 10).map((at, i) =>
    server(reviews.pods[0]!, reviews, null, {
      at,
      ...NOT_HTTP,
      dialled: `${reviews.pods[0]!.ip}:${port}`,
      peer: `10.42.3.88:${41_000 + i * 13}`,
    }),
  );
const plaintext = (cluster: string) =>
  moments(3_000, 2_100, 14).flatMap((at, i) => {
    const port = 42_000 + i * 7;
    const pod = cache.pods[i % 2]!;
    return [
      client(web, cache, pod, {
        at,
        port,
        code: 503,
        flags: 'UC',
        details: RESET('connection_termination'),
        sent: 95,
        ms: 2,
        service: null,
        cluster,
        dialled: `${pod.ip}:${cache.port}`,
      }),
      rejected(pod, cache.port, `${web.ip}:${port}`, { at: at + 1 }),
    ];
  });
const refusedInside = (cluster: string, host?: string) =>
  moments(10_000, 1_300, 14).map((at, i) =>
    server(reviews.pods[0]!, reviews, null, {
      at,
      ...NO_CONNECTION,
      method: null,
      path: null,
      protocol: null,
      agent: null,
      authority: null,
      code: 0,
      flags: 'UF,URX',
      details: null,
      reason: 'delayed_connect_error:_Connection_refused',
      sent: 0,
      ms: 0,
      cluster,
      route: null,
      dialled: `${reviews.pods[0]!.ip}:9999`,
      host: host ?? `${reviews.pods[0]!.ip}:9999`,
      peer: `${web.ip}:${44_000 + i}`,
    }),
  );
const vanished = '10.42.7.199';
const gone = (from: typeof web, start: number, every: number, of: number, line: Partial<Line>) =>
  moments(start, every, of).map((at) =>
    client(from, reviews, { name: 'gone', ip: vanished }, { at, ...NO_CONNECTION, code: 503, ...line }),
  );
const OLD_REFUSAL: Partial<Line> = {
  flags: 'UF',
  details: RESET('connection_failure,delayed_connect_error:_113'),
  reason: 'delayed_connect_error:_113',
  sent: 145,
  ms: 3,
};
const NEW_REFUSAL: Partial<Line> = {
  flags: 'URX,UF',
  details: RESET('remote_connection_failure|delayed_connect_error:_No_route_to_host'),
  reason: 'delayed_connect_error:_No_route_to_host',
  sent: 121,
  ms: 60,
};

export const ROUTING: readonly CauseCase[] = [
  {
    cause: 'vs-route-no-match',
    incident: { 'one path': () => [healthy(web, reviews), misses({ path: '/v2/items' })] },
    at: { services: ['reviews.shop'], clients: [web.name] },
    but: [
      {
        differs: 'another pod of the same workload routes the same path',
        lines: () => [
          healthy(web, reviews),
          misses({ path: '/v2/items' }),
          healthy({ ...web, name: web.name.replace(/.{5}$/, 'x9k4d') }, reviews, {
            line: { path: '/v2/items' },
          }),
        ],
        named: 'stale-proxy-config',
      },
      {
        differs: 'every path of the host misses',
        lines: () => [atEdge(), unknownHost('old.example.com')],
        named: 'gateway-host-unknown',
      },
      {
        differs: 'the app answers 404 itself',
        lines: () => [
          healthy(web, reviews),
          moments(20_000, 1_800, 12).flatMap((at) =>
            hop(web, reviews, reviews.pods[0]!, { at, code: 404, path: '/v2/items' }),
          ),
        ],
        named: null,
      },
    ],
  },
  {
    cause: 'gateway-host-unknown',
    incident: { 'one host': () => [atEdge(), unknownHost('partners.example.net')] },
    at: { services: ['partners.example.net'], pods: [edge.name] },
    but: [
      {
        differs: 'addresses as hosts and paths that only scanners ask for',
        lines: () => [
          atEdge(),
          unknownHost('203.0.113.9', { sni: null }),
          moments(9_000, 5_000, 9).map((at, i) =>
            gateway(edge, reviews, reviews.pods[0]!, {
              at,
              ...NO_ROUTE,
              authority: `h${i}.example.org`,
              path: ['/.env', '/wp-login.php', '/actuator/env'][i % 3]!,
            }),
          ),
        ],
        named: null,
      },
    ],
  },
  {
    cause: 'host-header-port-or-trailing-dot',
    incident: {
      'trailing dot': () => [
        healthy(web, reviews, { line: { authority: 'reviews.shop.svc.cluster.local' } }),
        misses({ authority: 'reviews.shop.svc.cluster.local.' }),
      ],
    },
    at: { services: ['reviews.shop.svc.cluster.local'] },
    but: [
      {
        differs: 'the bare name fails as well',
        lines: () => [atEdge(), unknownHost('old.example.com'), unknownHost('old.example.com.')],
        named: 'gateway-host-unknown',
      },
    ],
  },
  {
    cause: 'http2-connection-coalescing',
    incident: {
      'foreign server name': () => [
        atEdge({ protocol: 'HTTP/2', authority: 'api.example.com', sni: 'api.example.com' }),
        unknownHost('api.example.com', { protocol: 'HTTP/2', sni: 'www.example.com' }),
      ],
    },
    at: { services: ['api.example.com'], pods: [edge.name] },
    but: [
      {
        differs: 'the server name is the host’s own',
        lines: () => [atEdge({ protocol: 'HTTP/2' }), unknownHost('api.example.com', { protocol: 'HTTP/2' })],
        named: 'gateway-host-unknown',
      },
    ],
  },
  {
    cause: 'subset-undefined-cluster-not-found',
    incident: { lasting: () => [healthy(web, reviews), canaryMissing(15_000, 1_100, 40)] },
    at: { services: ['reviews.shop'] },
    but: [
      {
        differs: 'over within seconds',
        lines: () => [healthy(web, reviews), canaryMissing(20_000, 150, 12), canaryServes(22_500)],
        named: 'config-push-race',
      },
    ],
  },
  {
    cause: 'config-push-race',
    incident: {
      'route before cluster': () => [
        healthy(web, reviews),
        canaryMissing(20_000, 150, 12),
        canaryServes(22_500),
      ],
    },
    at: { services: ['reviews.shop'] },
    but: [
      {
        differs: 'it lasts',
        lines: () => [healthy(web, reviews), canaryMissing(15_000, 1_100, 40)],
        named: 'subset-undefined-cluster-not-found',
      },
    ],
  },
  {
    cause: 'stale-proxy-config',
    incident: {
      older: () => [
        background([web, mobile], reviews, { to: 150_000 }),
        gone(web, 20_000, 3_000, 40, OLD_REFUSAL),
      ],
      'Envoy 1.40': () => [
        background([web, mobile], reviews, { to: 150_000 }),
        gone(web, 20_000, 3_000, 40, NEW_REFUSAL),
      ],
    },
    at: { services: ['reviews.shop'], clients: [web.name], endpoints: [vanished] },
    but: [
      {
        differs: 'all callers, for seconds, after the address had served them',
        lines: () => [
          background([web, mobile], reviews, { to: 150_000 }),
          background([web, mobile], reviews, {
            to: 40_000,
            every: 700,
            pods: [{ name: 'reviews-6d9c7b5f48-tm8hf', ip: vanished }],
            logged: false,
          }),
          gone(web, 40_800, 500, 6, NEW_REFUSAL),
          gone(mobile, 40_900, 500, 6, NEW_REFUSAL),
        ],
        named: 'pod-terminated-endpoint-lag',
      },
    ],
  },
  {
    cause: 'sidecar-egress-scope',
    incident: {
      'blocked by name': () => [
        healthy(web, reviews),
        healthy(mobile, ratings),
        blocked('ratings.shop.svc.cluster.local:9090'),
      ],
    },
    at: { services: ['ratings.shop.svc.cluster.local'], clients: [web.name] },
    but: [
      {
        differs: 'the host is outside the cluster',
        lines: () => [healthy(web, reviews), healthy(mobile, ratings), blocked('api.payments.example')],
        named: 'egress-registry-only-blocked',
      },
    ],
  },
  {
    cause: 'protocol-selection-wrong',
    incident: { 'nothing on the port is HTTP': () => [healthy(web, reviews), notHttp(3306)] },
    at: { pods: [reviews.pods[0]!.name] },
    but: [
      {
        differs: 'others speak HTTP on the port',
        lines: () => [healthy(web, reviews), notHttp(reviews.port)],
        named: 'tls-to-http-port',
      },
    ],
  },
  {
    cause: 'headless-or-direct-pod-addressing',
    incident: {
      'pod dialled through the passthrough': () => [healthy(mobile, cache), plaintext('PassthroughCluster')],
    },
    at: { clients: [web.name], endpoints: [cache.pods[0]!.ip] },
    but: [
      {
        differs: 'the line names a cluster of the registry',
        lines: () => [healthy(mobile, cache), plaintext(clusterOf(cache))],
        named: 'destinationrule-tls-conflict',
      },
    ],
  },
  {
    cause: 'undeclared-inbound-port',
    incident: { 'passed through': () => [healthy(web, reviews), refusedInside('InboundPassthroughCluster')] },
    at: { pods: [reviews.pods[0]!.name] },
    but: [
      {
        differs: 'the port is declared',
        lines: () => [healthy(web, reviews), refusedInside('inbound|9999||')],
        named: 'app-not-listening',
      },
    ],
  },
  {
    cause: 'request-headers-strict-check',
    incident: {
      'refused header': () => [
        healthy(web, reviews),
        misses({
          code: 400,
          flags: 'IH',
          details: 'request_headers_failed_strict_check',
          agent: 'legacy-sync/1.2',
        }),
      ],
    },
    at: { clients: ['legacy-sync/1.2'] },
    but: [
      {
        differs: 'the app answers 400 itself',
        lines: () => [
          healthy(web, reviews),
          moments(20_000, 1_800, 12).flatMap((at) =>
            hop(web, reviews, reviews.pods[0]!, { at, code: 400, agent: 'legacy-sync/1.2' }),
          ),
        ],
        named: null,
      },
    ],
  },
  {
    cause: 'gateway-api-backend-invalid',
    incident: {
      'no backend': () => [
        atEdge(),
        unknownHost('pay.example.com', {
          code: 500,
          flags: '-',
          details: 'direct_response',
          route: 'shop.checkout.0',
        }),
      ],
      'unknown backend': () => [
        atEdge(),
        unknownHost('pay.example.com', {
          code: 500,
          flags: 'NC',
          details: 'cluster_not_found',
          route: 'shop.checkout.0',
        }),
      ],
    },
    at: { services: ['pay.example.com'], pods: [edge.name] },
    but: [
      {
        differs: '503, as for a route of another kind',
        lines: () => [
          atEdge(),
          unknownHost('pay.example.com', {
            code: 503,
            flags: 'NC',
            details: 'cluster_not_found',
            route: 'checkout',
          }),
        ],
        named: 'subset-undefined-cluster-not-found',
      },
    ],
  },
  {
    cause: 'filter-config-missing',
    incident: {
      lasting: () => [
        healthy(web, ratings),
        moments(9_000, 700, 60).map((at) =>
          server(reviews.pods[0]!, reviews, web, {
            at,
            ...NO_HOST,
            code: 500,
            flags: 'NFCF',
            details: '',
            sent: 0,
            ms: 0,
          }),
        ),
      ],
    },
    at: { services: ['reviews.shop'], pods: [reviews.pods[0]!.name] },
    but: [
      {
        differs: 'over within seconds',
        lines: () => [
          healthy(web, reviews, { pods: [reviews.pods[0]!] }),
          moments(20_000, 100, 12).map((at) =>
            client(web, reviews, reviews.pods[0]!, {
              at,
              ...NO_HOST,
              code: 500,
              flags: 'NFCF',
              details: '',
              sent: 0,
              ms: 0,
            }),
          ),
        ],
        named: 'config-push-race',
      },
    ],
  },
  {
    cause: 'cors-preflight-rejected',
    incident: {
      'OPTIONS alone': () => [
        healthy(web, reviews),
        moments(5_000, 1_500, 15).flatMap((at) =>
          hop(
            web,
            reviews,
            reviews.pods[0]!,
            { at, method: 'OPTIONS', code: 403, sent: 19 },
            { ...NO_HOST, details: 'rbac_access_denied_matched_policy[none]', ms: 0 },
          ),
        ),
      ],
    },
    at: { services: ['reviews.shop'] },
    but: [
      {
        differs: 'other methods are refused as well',
        lines: () => [
          healthy(web, reviews, { to: 20_000 }),
          moments(20_000, 700, 40).flatMap((at, i) =>
            hop(
              web,
              reviews,
              reviews.pods[0]!,
              { at, method: i % 4 === 0 ? 'OPTIONS' : 'GET', code: 403, sent: 19 },
              { ...NO_HOST, details: 'rbac_access_denied_matched_policy[none]', ms: 0 },
            ),
          ),
        ],
        named: 'rbac-denied',
      },
    ],
  },
  {
    cause: 'egress-registry-only-blocked',
    incident: {
      HTTP: () => [healthy(web, reviews), blocked('api.payments.example')],
      TLS: () => [
        healthy(web, reviews),
        moments(8_000, 2_500, 12).map((at) =>
          tcp(web, ratings, ratings.pods[0]!, {
            at,
            ...NO_HOST,
            flags: 'UH',
            cluster: 'BlackHoleCluster',
            sni: 'api.payments.example',
            dialled: '203.0.113.44:443',
            sent: 0,
            ms: 1,
          }),
        ),
      ],
    },
    at: { services: ['api.payments.example'], clients: [web.name] },
    but: [
      {
        differs: 'the host is one of the cluster’s',
        lines: () => [
          healthy(web, reviews),
          healthy(mobile, ratings),
          blocked('ratings.shop.svc.cluster.local:9090'),
        ],
        named: 'sidecar-egress-scope',
      },
    ],
  },
  {
    cause: 'internet-scanner-noise',
    incident: {
      'many strangers': () => [atEdge(), unknownHost('203.0.113.9', { sni: null, path: '/wp-login.php' })],
    },
    at: {},
    dismissed: true,
    but: [
      {
        differs: 'one real host, steadily',
        lines: () => [atEdge(), unknownHost('partners.example.net')],
        named: 'gateway-host-unknown',
      },
    ],
  },
];
