import {
  client,
  gateway,
  healthy,
  hop,
  moments,
  NO_CLUSTER,
  NO_HOST,
  rejected,
  requestId,
  RESET,
  server,
  tcp,
  ztunnel,
  type Line,
  type Logged,
  type Pod,
} from '../traffic.js';
import { background, caller, service, type CauseCase, type Lines } from './case.js';

const web = caller('portal', '172.16.1.15');
const app = caller('android', '172.16.4.70');
const edge = caller('ingress', '172.16.9.2');
const orders = service('orders', 'sales', 8443, '172.16.6.21', '172.16.7.33', '172.16.8.45');
const stock = service('stock', 'sales', 9001, '172.16.6.24');
const grpc = service('rates', 'fx', 50051, '172.16.2.5');
const [one, two, three] = orders.pods as [Pod, Pod, Pod];
const mail = service('mail', 'out', 443, '203.0.113.10');
const MAIL = 'outbound|443||api.mail.example';

const answer = (code: number, sent: number): Partial<Line> => ({
  code,
  sent,
  details: 'via_upstream',
  flags: '-',
});
const denial = (code: number, details: string, sent: number, flags = '-'): Partial<Line> => ({
  ...NO_HOST,
  code,
  flags,
  details,
  sent,
  ms: 0,
});
/** Requests that the server's own proxy ends, as both proxies log them. */
const at = (
  of: readonly number[],
  line: Partial<Line>,
  more: Partial<Line> = {},
  pods: readonly Pod[] = orders.pods,
): readonly Logged[] =>
  of.flatMap((moment, i) =>
    hop(i % 2 ? app : web, orders, pods[i % pods.length]!, { at: moment, ...more }, line, {
      ...answer(line.code ?? 503, line.sent ?? 0),
      ms: (line.ms ?? 8) + 1,
    }),
  );
/** Requests that never get past one proxy. */
const here = (of: readonly number[], line: Partial<Line>): readonly Logged[] =>
  of.map((moment, i) => client(web, orders, orders.pods[i % 3]!, { at: moment, ...line }));
const some = moments(9_000, 1_300, 30);
const calm = (): readonly Logged[] => background([web, app], orders);
const both = (line: Partial<Line>, more?: Partial<Line>): Lines => [calm(), at(some, line, more)];
const alone = (line: Partial<Line>): Lines => [calm(), here(some, line)];
/** What only a gateway's log shows: no cluster, clients from outside. */
const garbage = (line: Partial<Line>): Lines => [
  moments(0, 400, 150).map((moment, i) => gateway(edge, orders, orders.pods[i % 3]!, { at: moment })),
  moments(7_000, 2_300, 20).map((moment, i) =>
    gateway(edge, orders, one, {
      at: moment,
      ...NO_CLUSTER,
      ms: 0,
      route: null,
      ...line,
      peer: `198.51.100.7:${52_000 + i}`,
    }),
  ),
];
/** The caller's proxy ended it after `ms`; its server goes on and loses its client. */
const cutByCaller = (
  of: readonly number[],
  ms: number,
  outside: Partial<Line>,
  inside: Partial<Line> = {},
): readonly Logged[] =>
  of.flatMap((moment, i) =>
    hop(
      web,
      orders,
      orders.pods[i % 3]!,
      { at: moment, ms, path: '/v1/export' },
      { code: 0, flags: 'DC', details: 'downstream_remote_disconnect', sent: 0, service: null, ...inside },
      { service: null, ms, ...outside },
    ),
  );
const UT: Partial<Line> = { code: 504, flags: 'UT', details: 'response_timeout', sent: 24 };
const slow = (): Lines => [
  healthy(web, orders, { to: 20_000 }),
  healthy(web, orders, { from: 20_000, line: { ms: 1_400, service: 1_398 } }),
  cutByCaller(moments(21_000, 1_700, 20), 2_500, UT),
];
/** Each try is ended by the proxy; some that nobody times go on behind it. */
const slowInTries = (): Lines => [
  healthy(web, orders, { to: 20_000 }),
  healthy(web, orders, { from: 20_000, line: { ms: 380, service: 378 } }),
  cutByCaller(
    moments(21_000, 1_700, 20),
    1_223,
    { ...UT, flags: 'URX,UT', details: 'upstream_per_try_timeout' },
    { ms: 400 },
  ),
];
/** As with a leak: each answer takes a little longer than the last, and the first timeouts change nothing. */
const slowerAndSlower = (): Lines => [
  moments(0, 250, 160).flatMap((moment, i) =>
    hop(web, orders, orders.pods[i % 3]!, { at: moment, ms: 40 + 12 * i, service: 39 + 12 * i }),
  ),
  cutByCaller(moments(40_000, 900, 12), 2_500, UT),
  healthy(web, orders, { from: 40_000, every: 300 }),
];
/** What most ask for is as quick as ever. */
const oneSlowPath = (): Lines => [
  healthy(web, orders, { every: 200 }),
  moments(0, 400, 40).flatMap((moment) =>
    hop(web, orders, one, { at: moment, path: '/v1/export', ms: 30, service: 29 }),
  ),
  cutByCaller(moments(21_000, 1_700, 20), 2_500, UT),
];
/** Who is given up on waits for another, to whom nobody sets a time. */
export const slowBehind = (): Lines => [
  moments(0, 500, 50).flatMap((at) => relayedBy(one, stock, at, 40)),
  moments(25_000, 900, 30).flatMap((at) => relayedBy(one, stock, at, 3_000, 800)),
];
/** A request that a pod answers by a call of its own, under the same id. @param givenUp its caller waits no longer, ms */
const relayedBy = (
  pod: Pod,
  behind: typeof stock,
  at: number,
  ms: number,
  givenUp?: number,
): readonly Logged[] => {
  const id = requestId();
  const gone: Partial<Line> = {
    code: 0,
    flags: 'DC',
    details: 'downstream_remote_disconnect',
    sent: 0,
    service: null,
  };
  return [
    ...hop(web, orders, pod, { at, id, ms: ms + 20, ...(givenUp && { ...gone, ms: givenUp }) }),
    ...hop(pod, behind, behind.pods[0]!, { at: at + 10, id, ms, service: ms - 1 }),
  ];
};
const tooShort = (): Lines => [healthy(web, orders), cutByCaller(moments(9_000, 2_500, 18), 2_500, UT)];
const givenUp = (ms: (i: number) => number, when = moments(6_000, 2_100, 24)): readonly Logged[] =>
  when.flatMap((moment, i) =>
    hop(app, orders, orders.pods[i % 3]!, {
      at: moment,
      ms: ms(i),
      code: 0,
      flags: 'DC',
      details: 'downstream_remote_disconnect',
      sent: 0,
      service: null,
      agent: 'shop-android/7.3',
    }),
  );
const capped = (): Lines => [
  healthy(web, orders),
  cutByCaller(
    moments(5_000, 2_900, 16),
    15_000,
    { code: 200, flags: 'UMSDR', details: 'upstream_max_stream_duration_reached', sent: 90_000 },
    { code: 200 },
  ),
];
const idle = (): Lines => [
  healthy(web, orders),
  cutByCaller(moments(5_000, 2_900, 16), 30_001, {
    code: 504,
    flags: 'SI',
    details: 'stream_idle_timeout',
    sent: 14,
  }),
];
const call = (line: Partial<Line>): readonly Logged[] =>
  moments(0, 700, 60).flatMap((moment) =>
    hop(
      web,
      grpc,
      grpc.pods[0]!,
      { at: moment, method: 'POST', path: '/fx.v1.Rates/Get', protocol: 'HTTP/2' },
      {},
      moment % 2_100 === 0 ? line : {},
    ),
  );
const busy = (): readonly Logged[] =>
  moments(0, 1_000, 600).map((moment, i) => gateway(edge, orders, orders.pods[i % 3]!, { at: moment }));
const whenever = (i: number): number => 21_000 + ((i * 104_729) % 900_000);
/** Streams of events that their readers leave. */
const streams = (
  ms: (i: number) => number,
  of: readonly number[],
  path = '/events/quotes',
  agents = ['Mozilla/5.0', 'okhttp/4.12.0', 'shop-ios/9.1', 'curl/8.5.0'],
): readonly Logged[] =>
  of.map((moment, i) =>
    gateway(edge, orders, orders.pods[i % 3]!, {
      at: moment,
      ...answer(200, 40_000),
      flags: 'DC',
      details: 'downstream_remote_disconnect',
      path,
      agent: agents[i % agents.length]!,
      ms: ms(i),
    }),
  );
const sockets = (ms: (i: number) => number, flags = 'DC'): readonly Logged[] =>
  moments(0, 4_000, 24).map((moment, i) =>
    client(web, orders, orders.pods[i % 3]!, {
      at: moment,
      code: 101,
      flags,
      details: flags === 'DC' ? 'downstream_remote_disconnect' : 'stream_idle_timeout',
      path: '/ws',
      ms: ms(i),
    }),
  );
/** `hidden`: what the other pod answered the second attempt with; `null`: there was none. */
const masked = (hidden: Partial<Line> | null): Lines => [
  healthy(web, orders, { to: 9_000 }),
  healthy(web, orders, { pods: [two, three] }),
  moments(9_000, 1_300, 25).flatMap((moment) => {
    const [outer, failing] = hop(
      web,
      orders,
      one,
      { at: moment, id: `0d0d0d0d-0000-9000-8000-${String(moment).padStart(12, '0')}` },
      answer(503, 41),
      answer(503, 41),
    ) as [Logged, Logged];
    if (!hidden) return [outer, failing];
    return [
      failing,
      ...hop(web, orders, two, {
        at: moment - 2,
        id: `0d0d0d0d-0000-9000-8000-${String(moment).padStart(12, '0')}`,
        ms: 22,
        ...hidden,
      }),
    ];
  }),
];
const outerOnly = (code: number, sent: number): Lines => [
  healthy(web, orders, { logged: false }),
  moments(9_000, 1_300, 30).map((moment, i) =>
    client(web, orders, orders.pods[i % 3]!, { at: moment, ...answer(code, sent), ms: 49 }),
  ),
];
/** Requests that wait for a call of the same pod. */
export const behind = (callFails: boolean): Lines => [
  calm(),
  moments(12_000, 1_700, 25).flatMap((moment) => [
    ...hop(web, orders, one, { at: moment, ms: 240, ...answer(500, 58) }),
    client(one, stock, stock.pods[0]!, {
      at: moment + 20,
      ms: 200,
      ...(callFails ? { ...NO_HOST, code: 503, flags: 'UH', details: 'no_healthy_upstream', sent: 19 } : {}),
    }),
  ]),
];
const external = (line: Partial<Line>): readonly Logged[] =>
  moments(3_000, 900, 30).map((moment) =>
    client(web, mail, mail.pods[0]!, { at: moment, cluster: MAIL, authority: 'api.mail.example', ...line }),
  );
const mesh = (
  node: string,
  direction: 'inbound' | 'outbound',
  error: string | null,
  ms = 2,
): readonly Logged[] =>
  moments(0, 1_100, 30).map((moment) =>
    ztunnel(node, direction, web, orders, one, { at: moment, ms, error }),
  );
const served = (): readonly Logged[] =>
  moments(0, 700, 60).map((moment) =>
    ztunnel('ztunnel-q9x7c', 'outbound', app, stock, stock.pods[0]!, { at: moment, error: null }),
  );
const POLICY = 'connection closed due to policy rejection: allow policies exist, but none allowed';
const RESET_BY_PEER = 'io error: Connection reset by peer (os error 104)';
const REFUSED_BY_APP = 'io error: Connection refused (os error 111)';
const BLOCKED =
  'connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008: deadline has elapsed';

export const REPLIES: readonly CauseCase[] = [
  {
    cause: 'rbac-denied',
    incident: {
      'no rule allows': () => both(denial(403, 'rbac_access_denied_matched_policy[none]', 19)),
      'a rule denies': () =>
        both(denial(403, 'rbac_access_denied_matched_policy[ns[sales]-policy[no-export]-rule[0]]', 19)),
      TCP: () => [
        calm(),
        some.map((moment) =>
          server(one, orders, web, {
            at: moment,
            ...NO_HOST,
            method: null,
            path: null,
            protocol: null,
            authority: null,
            agent: null,
            code: 0,
            details: null,
            termination: 'rbac_access_denied_matched_policy[none]',
            sent: 0,
            ms: 0,
          }),
        ),
      ],
    },
    at: { services: ['orders.sales'] },
    but: [{ differs: 'the app answers 403 itself', lines: () => both(answer(403, 88)), named: null }],
  },
  {
    cause: 'jwt-rejected',
    incident: {
      expired: () => both(denial(401, 'jwt_authn_access_denied{Jwt_is_expired}', 14), { agent: 'batch/0.9' }),
    },
    at: { services: ['orders.sales'], clients: ['batch/0.9'] },
    but: [
      {
        differs: 'the keys are missing, for everybody',
        lines: () =>
          both(
            denial(401, "jwt_authn_access_denied{Jwks_doesn't_have_key_to_match_kid_or_alg_from_Jwt}", 50),
          ),
        named: 'jwks-rotation-or-fetch',
      },
    ],
  },
  {
    cause: 'jwks-rotation-or-fetch',
    incident: {
      'no such key': () =>
        both(denial(401, "jwt_authn_access_denied{Jwks_doesn't_have_key_to_match_kid_or_alg_from_Jwt}", 50)),
      'no keys at all': () => both(denial(401, 'jwt_authn_access_denied{Jwks_remote_fetch_is_failed}', 27)),
    },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'one token is too old',
        lines: () => both(denial(401, 'jwt_authn_access_denied{Jwt_is_expired}', 14)),
        named: 'jwt-rejected',
      },
    ],
  },
  {
    cause: 'ext-authz-denied',
    incident: { 'it said no': () => both({ ...denial(403, 'ext_authz_denied', 62, 'UAEX'), service: 0 }) },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'it did not answer',
        lines: () => both(denial(403, 'ext_authz_error', 0, 'UAEX')),
        named: 'ext-authz-unavailable',
      },
    ],
  },
  {
    cause: 'ext-authz-unavailable',
    incident: {
      'no answer': () => both(denial(403, 'ext_authz_error', 0, 'UAEX')),
      'wrong provider': () =>
        both(denial(403, 'rbac_access_denied_matched_policy[default-deny-all-due-to-bad-CUSTOM-action]', 19)),
    },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'it said no',
        lines: () => both(denial(403, 'ext_authz_denied', 62, 'UAEX')),
        named: 'ext-authz-denied',
      },
    ],
  },
  {
    cause: 'ext-authz-invalid-response',
    incident: { 'what Envoy refuses': () => both(denial(500, 'ext_authz_invalid', 0, 'UAEX')) },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'it did not answer',
        lines: () => both(denial(403, 'ext_authz_error', 0, 'UAEX')),
        named: 'ext-authz-unavailable',
      },
    ],
  },
  {
    cause: 'rate-limited-local',
    incident: { 'own bucket': () => both(denial(429, 'local_rate_limited', 18, 'RL')) },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'a service counts for all',
        lines: () => both(denial(429, 'request_rate_limited', 0, 'RL')),
        named: 'rate-limited-global',
      },
    ],
  },
  {
    cause: 'rate-limited-global',
    incident: {
      'too many': () => both(denial(429, 'request_rate_limited', 0, 'RL')),
      'the service fails': () => both(denial(500, 'rate_limiter_error', 0, 'RLSE')),
    },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'the proxy’s own bucket',
        lines: () => both(denial(429, 'local_rate_limited', 18, 'RL')),
        named: 'rate-limited-local',
      },
      { differs: 'the app answers 429 itself', lines: () => both(answer(429, 40)), named: null },
    ],
  },
  {
    cause: 'fault-injected',
    incident: {
      aborted: () => alone(denial(503, 'fault_filter_abort', 18, 'FI')),
      'aborted and delayed': () => [
        calm(),
        here(some, denial(500, 'fault_filter_abort', 18, 'FI')),
        here(moments(9_500, 1_300, 30), { flags: 'DI', ms: 2_009, service: 8 }),
      ],
    },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'the proxy sheds load',
        lines: () => both(denial(503, 'overload', 16)),
        named: 'proxy-overload',
      },
    ],
  },
  {
    cause: 'proxy-overload',
    incident: {
      'without a flag, Envoy 1.40': () => [calm(), at(some, denial(503, 'overload', 16), {}, [one])],
      flagged: () => [calm(), at(some, denial(503, 'overload', 16, 'OM'), {}, [one])],
    },
    at: { pods: [one.name] },
    but: [
      {
        differs: 'the control plane orders it',
        lines: () => alone(denial(503, 'drop_overload', 13, 'DO')),
        named: 'drop-overload-configured',
      },
    ],
  },
  {
    cause: 'header-too-large',
    incident: {
      'HTTP/1': () => garbage({ code: 431, flags: 'DPE', details: 'http1.headers_too_large', sent: 31 }),
      'HTTP/2': () =>
        garbage({ code: 0, flags: 'DPE', details: 'http2.too_many_headers', sent: 0, protocol: 'HTTP/2' }),
    },
    at: { pods: [edge.name] },
    but: [
      {
        differs: 'too many headers in the reply',
        lines: () =>
          both({ code: 502, flags: 'UPE', details: RESET('protocol_error'), sent: 87, service: null }),
        named: 'upstream-protocol-error',
      },
    ],
  },
  {
    cause: 'http10-upgrade-required',
    incident: {
      older: () => garbage({ code: 426, details: 'low_version', protocol: 'HTTP/1.0', sent: 0 }),
      'Envoy 1.40': () =>
        garbage({
          code: 426,
          flags: 'DPE',
          details: 'low_version',
          method: null,
          path: null,
          authority: null,
          id: '-',
          sent: 16,
        }),
    },
    at: { clients: ['198.51.100.7'], pods: [edge.name] },
    but: [
      {
        differs: 'it is no HTTP at all',
        lines: () => [
          calm(),
          moments(4_000, 3_100, 12).map((moment, i) =>
            server(one, orders, null, {
              at: moment,
              ...NO_CLUSTER,
              method: null,
              path: null,
              authority: null,
              agent: null,
              code: 400,
              flags: 'DPE',
              details: 'http1.codec_error',
              sent: 11,
              ms: 0,
              route: null,
              dialled: `${one.ip}:3306`,
              peer: `172.16.3.3:${41_000 + i}`,
            }),
          ),
        ],
        named: 'protocol-selection-wrong',
      },
    ],
  },
  {
    cause: 'payload-too-large-buffering',
    incident: {
      'by a filter': () =>
        both(denial(413, 'request_payload_too_large', 17), { method: 'POST', received: 1_050_000 }),
    },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'the app says so',
        lines: () => both(answer(413, 91), { method: 'POST', received: 1_050_000 }),
        named: null,
      },
    ],
  },
  {
    cause: 'retry-buffer-exceeded',
    incident: {
      'a large upload': () =>
        alone({
          code: 507,
          details: 'request_payload_exceeded_retry_buffer_limit',
          received: 2_000_000,
          sent: 0,
          method: 'PUT',
        }),
    },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'the app says so',
        lines: () => both(answer(507, 91), { method: 'PUT', received: 2_000_000 }),
        named: 'app-error-via-upstream',
      },
    ],
  },
  {
    cause: 'websocket-upgrade-refused',
    incident: {
      'by the proxy': () =>
        alone({ ...NO_HOST, code: 403, details: 'upgrade_failed', path: '/ws', sent: 0, ms: 0 }),
    },
    at: { services: ['orders.sales'] },
    but: [{ differs: 'the app refuses', lines: () => both(answer(400, 30), { path: '/ws' }), named: null }],
  },
  {
    cause: 'health-check-filter-failing',
    incident: {
      'the probe’s path only': () =>
        garbage({ code: 503, flags: 'LH', details: 'health_check_failed', path: '/healthz', sent: 0 }),
    },
    at: { pods: [edge.name] },
    but: [
      {
        differs: 'real requests find no host',
        lines: () => alone(denial(503, 'no_healthy_upstream', 19, 'UH')),
        named: 'no-endpoints',
      },
    ],
  },
  {
    cause: 'upstream-protocol-error',
    incident: {
      'broken headers': () =>
        both(
          { code: 502, flags: 'UPE', details: RESET('protocol_error'), sent: 87, service: null },
          { path: '/v1/quote' },
        ),
      'a body cut short': () =>
        both(
          {
            code: 200,
            flags: 'UPE',
            details: 'upstream_reset_after_response_started{protocol_error}',
            sent: 700,
          },
          { path: '/v1/quote' },
        ),
    },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'the proxy itself ended the stream',
        lines: () => both({ code: 503, flags: 'LR', details: RESET('local_reset'), sent: 84, service: null }),
        named: 'local-stream-reset',
      },
    ],
  },
  {
    cause: 'upstream-stream-reset',
    incident: {
      reset: () => both({ code: 503, flags: 'UR', details: RESET('remote_reset'), sent: 85, service: null }),
      refused: () =>
        both({
          code: 503,
          flags: 'UR',
          details: RESET('remote_refused_stream_reset'),
          sent: 85,
          service: null,
        }),
    },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'the proxy itself ended the stream',
        lines: () => both({ code: 503, flags: 'LR', details: RESET('local_reset'), sent: 84, service: null }),
        named: 'local-stream-reset',
      },
    ],
  },
  {
    cause: 'local-stream-reset',
    incident: {
      'by this proxy': () =>
        both({ code: 503, flags: 'LR', details: RESET('local_reset'), sent: 84, service: null }),
    },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'the peer reset it',
        lines: () =>
          both({ code: 503, flags: 'UR', details: RESET('remote_reset'), sent: 85, service: null }),
        named: 'upstream-stream-reset',
      },
    ],
  },
  {
    cause: 'route-timeout',
    incident: {
      'a short timer': tooShort,
      'as older proxies word it': () => [
        healthy(web, orders),
        cutByCaller(moments(9_000, 2_500, 18), 2_500, { ...UT, details: 'upstream_response_timeout' }),
      ],
    },
    at: { services: ['orders.sales'] },
    but: [{ differs: 'the service became slow first', lines: slow, named: 'upstream-slow' }],
  },
  {
    cause: 'upstream-slow',
    incident: {
      'answers take longer': slow,
      'and each attempt is timed': slowInTries,
      'longer and longer, until timeouts fire': slowerAndSlower,
      'on one path': oneSlowPath,
      'its callers give up, who never did before': () => [
        background([web, app], orders, { to: 25_000 }),
        background([web, app], orders, { from: 25_000, line: { ms: 1_100, service: 1_098 } }),
        givenUp((i) => 2_000 + (i % 5), moments(26_000, 1_400, 24)),
      ],
    },
    at: { services: ['orders.sales'] },
    but: [
      { differs: 'the rest is as quick as ever', lines: tooShort, named: 'route-timeout' },
      {
        differs: 'callers give up, and nothing became slower',
        lines: () => [
          background([web, app], orders),
          givenUp((i) => 2_000 + (i % 5), moments(26_000, 1_400, 24)),
        ],
        named: 'client-timeout-or-cancel',
      },
    ],
  },
  {
    cause: 'per-try-timeout',
    incident: {
      'three attempts': () => [
        healthy(web, orders),
        cutByCaller(
          moments(9_000, 2_500, 18),
          1_223,
          { ...UT, flags: 'URX,UT', details: 'upstream_per_try_timeout' },
          { ms: 400 },
        ),
      ],
      older: () => [
        healthy(web, orders),
        cutByCaller(
          moments(9_000, 2_500, 18),
          1_205,
          { ...UT, details: 'upstream_per_try_timeout' },
          { ms: 400 },
        ),
      ],
    },
    at: { services: ['orders.sales'] },
    but: [
      { differs: 'one timer for the whole request', lines: tooShort, named: 'route-timeout' },
      { differs: 'the service became slow first', lines: slowInTries, named: 'upstream-slow' },
    ],
  },
  {
    cause: 'client-timeout-or-cancel',
    incident: {
      'one client’s own timer': () => [
        calm(),
        givenUp((i) => 2_000 + (i % 5)),
        moments(0, 3_000, 18).flatMap((moment) =>
          hop(web, orders, two, { at: moment, ms: 2_600, service: 2_598 }),
        ),
      ],
    },
    at: { services: ['orders.sales'], clients: ['shop-android/7.3'] },
    but: [
      { differs: 'a proxy above gave up', lines: tooShort, named: 'route-timeout' },
      {
        differs: 'a few, at random',
        lines: () => [calm(), givenUp((i) => 40 + ((i * 7_919) % 3_000)).slice(0, 12)],
        named: null,
      },
    ],
  },
  {
    cause: 'max-stream-duration',
    incident: {
      'on the cluster': capped,
      'on the route, no flag': () => [
        healthy(web, orders),
        cutByCaller(moments(5_000, 2_900, 16), 15_000, {
          code: 504,
          details: 'max_duration_timeout',
          sent: 27,
        }),
      ],
      'behind 200, no flag': () => [
        healthy(web, orders),
        cutByCaller(
          moments(5_000, 2_900, 16),
          15_000,
          { code: 200, details: 'max_duration_timeout', sent: 9_000 },
          { code: 200 },
        ),
      ],
    },
    at: { services: ['orders.sales'] },
    but: [{ differs: 'nothing moved', lines: idle, named: 'stream-idle-timeout' }],
  },
  {
    cause: 'stream-idle-timeout',
    incident: {
      'a silent server': idle,
      'a quiet websocket': () => [healthy(web, orders), sockets(() => 6_005, 'SI')],
    },
    at: { services: ['orders.sales'] },
    but: [{ differs: 'a limit for active streams too', lines: capped, named: 'max-stream-duration' }],
  },
  {
    cause: 'long-lived-connection-idle-cut',
    incident: {
      websockets: () => [healthy(web, orders), sockets(() => 60_004)],
      TCP: () => [
        healthy(web, stock),
        moments(0, 4_000, 20).map((moment) => tcp(web, orders, one, { at: moment, ms: 350_010 })),
      ],
      'streams of one path, from a moment on, among others that users leave': () => [
        busy(),
        streams(whenever, moments(0, 9_000, 60)),
        streams((i) => 60_000 + ((i * 7) % 40), moments(300_000, 9_000, 16), '/events/alerts'),
      ],
    },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'streams end whenever users leave',
        lines: () => [busy(), streams(whenever, moments(0, 4_000, 120))],
        named: null,
      },
      {
        differs: 'one program alone leaves then',
        lines: () => [
          busy(),
          streams(whenever, moments(0, 9_000, 60)),
          streams((i) => 60_000 + ((i * 7) % 40), moments(300_000, 9_000, 16), '/events/alerts', [
            'ticker/2',
          ]),
        ],
        named: 'client-timeout-or-cancel',
      },
      {
        differs: 'they end whenever users leave',
        lines: () => [healthy(web, orders), sockets(whenever)],
        named: null,
      },
      { differs: 'the proxy’s own limit', lines: capped, named: 'max-stream-duration' },
    ],
  },
  {
    cause: 'slow-client-request-timeout',
    incident: {
      headers: () =>
        garbage({
          code: 408,
          details: 'request_header_timeout',
          method: null,
          path: null,
          sent: 22,
          ms: 10_001,
        }),
      body: () =>
        alone({ code: 408, details: 'request_overall_timeout', sent: 15, ms: 30_001, received: 4_000 }),
    },
    at: {},
    but: [
      {
        differs: 'idle, says the flag',
        lines: () => alone({ code: 408, flags: 'SI', details: 'stream_idle_timeout', sent: 14, ms: 30_001 }),
        named: 'stream-idle-timeout',
      },
    ],
  },
  {
    cause: 'grpc-failure-behind-200',
    incident: { 'only URX is left': () => [call({ flags: 'URX', sent: 0 })] },
    at: { services: ['rates.fx'] },
    but: [{ differs: 'no flag', lines: () => [call({})], named: null }],
  },
  {
    cause: 'app-error-via-upstream',
    incident: {
      'every pod': () => both(answer(500, 63), { path: '/v1/total' }),
      'as long as a text of a proxy, while what it calls goes well': () => [
        both(answer(503, 95)).flat(),
        some.map((moment) => client(one, stock, stock.pods[0]!, { at: moment + 2, ms: 3 })),
      ],
    },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'the size is that of a proxy’s text, and no server’s log is here',
        lines: () => outerOnly(503, 121),
        named: 'insufficient-vantage',
      },
    ],
  },
  {
    cause: 'insufficient-vantage',
    incident: { 'Envoy 1.40': () => outerOnly(503, 121), older: () => outerOnly(503, 152) },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'the size is no text of Envoy’s',
        lines: () => outerOnly(500, 63),
        named: 'app-error-via-upstream',
      },
    ],
  },
  {
    cause: 'dependency-failure-in-app',
    incident: {
      'it passes a proxy’s text on': () => [calm(), at(some, answer(503, 95))],
    },
    at: { services: ['orders.sales'] },
    but: [{ differs: 'its own calls go well', lines: () => behind(false), named: 'single-bad-endpoint' }],
  },
  {
    cause: 'external-service-failure',
    incident: { 'via upstream': () => [calm(), external(answer(502, 150))] },
    at: { services: ['api.mail.example'] },
    but: [
      {
        differs: 'a service of the mesh',
        lines: () => both(answer(502, 150)),
        named: 'app-error-via-upstream',
      },
    ],
  },
  {
    cause: 'retry-masked-failure',
    incident: {
      'saved elsewhere': () => masked({}),
      'saved by an answer that there is no such thing': () => masked(answer(404, 21)),
    },
    at: { services: ['orders.sales'], endpoints: [one.ip] },
    but: [{ differs: 'no retry saves it', lines: () => masked(null), named: 'single-bad-endpoint' }],
  },
  {
    cause: 'access-logs-disabled',
    incident: {
      'one log stops': () => [
        healthy(web, orders, { to: 25_000 }),
        healthy(web, orders, { from: 25_000, pods: [one], logged: false }),
        healthy(web, orders, { from: 25_000, pods: [two, three] }),
      ],
    },
    at: { pods: [one.name] },
    but: [
      {
        differs: 'its callers fail as well',
        lines: () => [
          healthy(web, orders, { to: 25_000 }),
          here(moments(25_000, 700, 40), denial(503, 'no_healthy_upstream', 19, 'UH')),
        ],
        named: 'no-endpoints',
      },
    ],
  },
  {
    cause: 'ztunnel-authz-denied',
    incident: {
      'policy at the server': () => [served(), mesh('ztunnel-q9x7c', 'inbound', POLICY)],
      'seen by the caller': () => [
        served(),
        mesh('ztunnel-q9x7c', 'outbound', 'http status: 401 Unauthorized'),
      ],
    },
    at: { services: ['orders.sales'], clients: [web.name] },
    but: [
      {
        differs: 'the app refuses',
        lines: () => [served(), mesh('ztunnel-q9x7c', 'inbound', REFUSED_BY_APP)],
        named: 'ztunnel-backend-failure',
      },
    ],
  },
  {
    cause: 'ztunnel-backend-failure',
    incident: { refused: () => [served(), mesh('ztunnel-q9x7c', 'inbound', REFUSED_BY_APP)] },
    at: { services: ['orders.sales'], pods: [one.name] },
    but: [
      {
        differs: 'the tunnel gets no answer',
        lines: () => [served(), mesh('ztunnel-q9x7c', 'outbound', BLOCKED, 10_001)],
        named: 'hbone-connect-blocked',
      },
    ],
  },
  {
    cause: 'ambient-sidecar-interop',
    incident: {
      'the tunnel’s protocol': () => [
        served(),
        mesh('ztunnel-q9x7c', 'outbound', 'h2 failed: connection error: frame with invalid size'),
      ],
      'plaintext to a sidecar': () => [
        served(),
        mesh('ztunnel-q9x7c', 'outbound', RESET_BY_PEER),
        moments(1, 1_100, 30).map((moment, i) =>
          rejected(one, orders.port, `${web.ip}:${43_000 + i}`, { at: moment }),
        ),
      ],
    },
    at: { services: ['orders.sales'] },
    but: [
      {
        differs: 'the tunnel gets no answer',
        lines: () => [served(), mesh('ztunnel-q9x7c', 'outbound', BLOCKED, 10_001)],
        named: 'hbone-connect-blocked',
      },
    ],
  },
];
