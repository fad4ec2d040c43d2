import {
  clusterOf,
  client,
  gateway,
  healthy,
  hop,
  moments,
  NO_CLUSTER,
  NO_CONNECTION,
  NO_HOST,
  rejected,
  RESET,
  server,
  tcp,
  type Line,
  type Logged,
  type Pod,
  type Service,
} from '../traffic.js';
import { background, caller, service, type CauseCase, type Lines } from './case.js';

const web = caller('web', '10.60.1.15');
const job = caller('job', '10.60.4.70');
const edge = caller('edge', '10.60.9.2');
const cart = service('cart', 'store', 8080, '10.60.6.21', '10.60.7.33', '10.60.8.45');
const stock = service('stock', 'store', 8088, '10.60.7.34', '10.60.8.46');
const books = service('books', 'back', 7070, '10.60.7.35', '10.60.2.47');
const [one, two, three] = cart.pods as [Pod, Pod, Pod];
const bank = { name: 'api', namespace: 'bank', port: 443, pods: [{ name: 'bank', ip: '203.0.113.80' }] };
const BANK = 'outbound|443||api.bank.example';

const NOBODY: Partial<Line> = {
  ...NO_HOST,
  code: 503,
  flags: 'UH',
  details: 'no_healthy_upstream',
  sent: 19,
  ms: 0,
};
const OVERFLOW: Partial<Line> = {
  ...NO_HOST,
  code: 503,
  flags: 'UO',
  details: RESET('overflow'),
  sent: 81,
  ms: 0,
};
const REFUSED: Readonly<Record<'older' | 'Envoy 1.40', Partial<Line>>> = {
  older: {
    ...NO_CONNECTION,
    code: 503,
    flags: 'UF',
    details: RESET('connection_failure,delayed_connect_error:_111'),
    reason: 'delayed_connect_error:_111',
    sent: 145,
    ms: 1,
  },
  'Envoy 1.40': {
    ...NO_CONNECTION,
    code: 503,
    flags: 'URX,UF',
    details: RESET('remote_connection_failure|delayed_connect_error:_Connection_refused'),
    reason: 'delayed_connect_error:_Connection_refused',
    sent: 121,
    ms: 44,
  },
};
const NO_ANSWER: Partial<Line> = {
  ...NO_CONNECTION,
  code: 503,
  flags: 'URX,UF',
  details: RESET('connection_timeout'),
  sent: 114,
};
const CUT: Partial<Line> = {
  code: 503,
  flags: 'UC',
  details: RESET('connection_termination'),
  sent: 95,
  service: null,
};
const GIVEN_UP: Partial<Line> = {
  code: 0,
  flags: 'DC',
  details: 'downstream_remote_disconnect',
  sent: 0,
  ms: 2_004,
  service: null,
};
const relayed = (line: Partial<Line>): Partial<Line> => ({
  code: line.code ?? 503,
  flags: '-',
  details: 'via_upstream',
  reason: null,
  sent: line.sent ?? 312,
});

/** Several callers, the same failing line from a moment on. */
const all = (
  callers: readonly Pod[],
  from: number,
  every: number,
  of: number,
  line: Partial<Line>,
  pods: readonly Pod[] = cart.pods,
  to = cart,
): readonly Logged[] =>
  callers.flatMap((who, k) =>
    moments(from + 53 * k, every, of).map((at, i) =>
      client(who, to, pods[i % pods.length]!, { at, ...line }),
    ),
  );
/** Requests that a pod's own sidecar failed, with the callers' lines. */
const inside = (
  pod: Pod,
  from: number,
  every: number,
  of: number,
  line: Partial<Line>,
  method = 'GET',
): readonly Logged[] =>
  moments(from, every, of).flatMap((at) =>
    hop(
      web,
      cart,
      pod,
      { at, method, ...(line.ms === undefined ? {} : { ms: line.ms }) },
      { ...line, host: `${pod.ip}:${cart.port}` },
      relayed(line),
    ),
  );
/** Waits for one host that end together, as Envoy 1.40 ends them; older proxies wait 10 s each. */
const waits = (
  who: Pod,
  to: typeof cart,
  pod: Pod,
  from: number,
  of: number,
  line: Partial<Line> = {},
): readonly Logged[] =>
  moments(from, 1_700, of).map((at, i) =>
    client(who, to, pod, { at, ...NO_ANSWER, ms: 10_000 - (i % 5) * 1_700, ...line }),
  );
/** In flight on one pod: different ages, one end. */
const dying = (
  pod: Pod,
  end: number,
  line: Partial<Line>,
  ages: readonly number[] = [1_900, 1_210, 640, 130],
): readonly Logged[] =>
  ages.flatMap((ms) =>
    hop(
      web,
      cart,
      pod,
      { at: end - ms, ms },
      { ...line, ms, at: end - ms },
      { ...relayed(line), ms: ms + 1 },
    ),
  );

/** One pod behind which the app closes what was idle for `idle` ms, and its sidecar takes such a connection once in a while. */
const idleCuts = (
  make: (line: Line & { readonly port: number }) => Logged,
  idle: number,
): readonly Logged[] =>
  moments(0, 40, 6).flatMap((start, connection) => {
    const port = 45_100 + connection;
    let at = start;
    const lines: Logged[] = [];
    for (let i = 0; i < 22; i++) {
      const cut = i % 11 === 9;
      lines.push(make({ at, port, ...(cut ? { ...CUT, ms: 1 } : { ms: 9 }) }));
      at += (i % 11 === 8 ? idle : 900 + 80 * (i % 7)) + (cut ? 1 : 9);
    }
    return lines;
  });

const rollout = (): Lines => {
  const fresh: readonly Pod[] = [
    { name: 'cart-7b4d6c9f77-mm2xk', ip: '10.60.6.91' },
    { name: 'cart-7b4d6c9f77-w8d4c', ip: '10.60.7.92' },
  ];
  return [
    healthy(web, cart, { to: 20_000, every: 250, pods: [one, two] }),
    all([web], 20_000, 300, 8, REFUSED['Envoy 1.40'], [one]),
    healthy(web, cart, { from: 20_000, to: 30_000, every: 300, pods: [two, fresh[0]!] }),
    all([web], 30_000, 300, 8, REFUSED['Envoy 1.40'], [two]),
    healthy(web, cart, { from: 30_000, every: 300, pods: fresh }),
  ];
};
const badRelease = (): Lines => [
  healthy(web, cart, { every: 250, pods: [one, two] }),
  inside(three, 25_000, 600, 40, { code: 500, sent: 41 }),
];
const failing = (from: number, times: number): Lines =>
  cart.pods.map((pod, i) => inside(pod, from + 90 * i, 400, times, { code: 500, sent: 41 }));
export const ejected = (failingOn = 0): Lines => [
  healthy(web, cart, { to: 20_000 }),
  ...failing(20_000, 6),
  all([web], 22_600, 400, 60, NOBODY),
  ...failing(46_800, failingOn),
  healthy(web, cart, { from: 48_000 }),
];
const emptied = (): Lines => [
  background([web, job], cart, { to: 20_000 }),
  all([web, job], 20_200, 400, 60, NOBODY),
];
const crash = (line: Partial<Line> = CUT): Lines => [
  healthy(web, cart),
  dying(one, 30_000, line),
  inside(one, 30_400, 500, 12, REFUSED['Envoy 1.40']),
];
/** An app that dies, comes back, and is away again. @param ages of what broke the first time, where more did the second */
export const crashedTwice = (ages?: readonly number[]): Lines => [
  healthy(web, cart, { pods: [two, three] }),
  healthy(web, cart, { to: 28_000, pods: [one] }),
  dying(one, 30_000, CUT, ages),
  inside(one, 30_400, 500, 12, REFUSED['Envoy 1.40']),
  healthy(web, cart, { from: 37_000, to: 47_000, pods: [one] }),
  ages ? dying(one, 49_800, CUT) : [],
  inside(one, 50_000, 500, 8, REFUSED['Envoy 1.40']),
  healthy(web, cart, { from: 55_000, pods: [one] }),
];
const proxyGone = (form: keyof typeof REFUSED): Lines => [
  healthy(web, cart, { to: 28_000 }),
  all([web], 30_000, 450, 14, REFUSED[form], [one]),
  healthy(web, cart, { from: 28_200, to: 38_000, pods: [two, three] }),
  healthy(web, cart, { from: 38_000 }),
];
const nodeGone = (): Lines => [
  healthy(web, cart, { pods: [one, three] }),
  healthy(web, stock, { pods: [stock.pods[1]!] }),
  healthy(web, books, { pods: [books.pods[1]!] }),
  waits(web, cart, two, 20_000, 8),
  waits(web, stock, stock.pods[0]!, 20_300, 8),
  waits(web, books, books.pods[0]!, 20_600, 8),
];
const CUT_OFF: Partial<Line> = {
  code: 0,
  flags: 'DC',
  details: 'downstream_remote_disconnect',
  sent: 0,
  service: null,
  ms: 2_000,
};
/** Callers that give up before their proxies do: no connect is said to have failed. */
const givenUpOn = (service: Service, pod: Pod, from: number, ms = 4_000): readonly Logged[] =>
  moments(from, 3_700, 8).map((at, i) =>
    client(web, service, pod, {
      at,
      ...(i % 2 === 0 ? NO_CONNECTION : { host: `${pod.ip}:${service.port}` }),
      code: 0,
      flags: 'DC',
      details: 'downstream_remote_disconnect',
      sent: 0,
      service: null,
      ms: ms + (i % 3),
    }),
  );
const nodeGivenUpOn = (ms?: number): Lines => [
  healthy(web, cart, { pods: [one, three] }),
  healthy(web, stock, { pods: [stock.pods[1]!] }),
  givenUpOn(cart, two, 20_000, ms),
  givenUpOn(stock, stock.pods[0]!, 20_300, ms),
];
/** One request breaks seconds before the app dies, which answers until then. */
export const crashedAfterRace = (): Lines => [
  healthy(web, cart, { pods: [two, three] }),
  healthy(web, cart, { to: 29_500, pods: [one], every: 200 }),
  dying(one, 22_000, CUT, [1]),
  dying(one, 30_000, CUT),
  inside(one, 30_400, 500, 12, REFUSED['Envoy 1.40']),
  healthy(web, cart, { from: 37_000, pods: [one] }),
];
/** Two pods whose apps die one after the other, one of them twice. */
export const crashedInTurn = (): Lines => [
  healthy(web, cart, { pods: [three] }),
  healthy(web, cart, { to: 12_000, pods: [one] }),
  dying(one, 14_000, CUT),
  inside(one, 14_400, 500, 8, REFUSED['Envoy 1.40']),
  healthy(web, cart, { from: 20_000, to: 43_000, pods: [one] }),
  dying(one, 45_000, CUT),
  inside(one, 45_400, 500, 8, REFUSED['Envoy 1.40']),
  healthy(web, cart, { to: 28_000, pods: [two] }),
  dying(two, 30_000, CUT),
  inside(two, 30_400, 500, 12, REFUSED['Envoy 1.40']),
  healthy(web, cart, { from: 37_000, pods: [two] }),
];
const timedOut = (line: (i: number) => Partial<Line>, more: Partial<Line> = {}): readonly Logged[] =>
  moments(8_000, 2_300, 16).flatMap((at, i) =>
    hop(
      web,
      cart,
      cart.pods[i % 3]!,
      { at, ms: 3_000, path: '/v1/export', ...line(i) },
      { code: 0, flags: 'DC', details: 'downstream_remote_disconnect', sent: 0, service: null },
      { code: 504, flags: 'UT', details: 'response_timeout', sent: 24, ms: 3_000, service: null, ...more },
    ),
  );
const listenerPlaintext = (peer: string, at: readonly number[]): readonly Logged[] =>
  at.map((moment, i) => rejected(one, cart.port, `${peer}:${40_000 + i * 17}`, { at: moment }));
/** Two callers without TLS. @param later how much later the other one begins, ms */
export const plaintextOfTwo = (later: number): Lines => [
  healthy(web, cart, { to: 200_000 }),
  listenerPlaintext('10.60.3.99', [2_100, 5_700, 6_100, 14_300, 22_000, 22_900, 40_100]),
  listenerPlaintext(
    '10.60.3.71',
    [2_900, 3_300, 9_500, 15_100, 20_700, 29_000].map((at) => at + later),
  ),
];
/** HTTP/2 to servers that read HTTP/1.1; `read` adds what they say of it. */
const http2Caller = (read: boolean): readonly Logged[] =>
  moments(3_000, 1_900, 16).flatMap((at, i) => {
    const pod = cart.pods[i % 3]!;
    const port = 45_000 + i * 13;
    const broken = client(web, cart, pod, {
      at,
      port,
      method: 'POST',
      protocol: 'HTTP/2',
      code: 502,
      flags: 'UPE',
      details: RESET('protocol_error'),
      service: null,
      sent: 87,
      ms: 2,
    });
    const unread = rejected(pod, cart.port, `${web.ip}:${port}`, {
      at: at + 1,
      protocol: 'HTTP/1.1',
      code: 400,
      flags: 'DPE',
      details: 'http1.codec_error',
      sent: 11,
    });
    return read ? [broken, unread] : [broken];
  });
const plaintextCaller = (listener: boolean): Lines => [
  healthy(job, cart),
  moments(3_000, 1_900, 16).flatMap((at, i) => {
    const port = 46_000 + i * 3;
    const pod = cart.pods[i % 3]!;
    return [
      client(web, cart, pod, { at, port, ...CUT, ms: 2 }),
      ...(listener ? [rejected(pod, cart.port, `${web.ip}:${port}`, { at: at + 1 })] : []),
    ];
  }),
];
const TLS = (text: string): string =>
  `TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:${text}:TLS_error_end`;
const tlsFailure = (reason: string, sent: number): Partial<Line> => ({
  ...NO_CONNECTION,
  code: 503,
  flags: sent === 121 ? 'URX,UF' : 'UF',
  details: RESET(`remote_connection_failure|${reason}`),
  reason,
  sent,
  ms: sent === 121 ? 58 : 6,
});
const EXPIRED = TLS(
  'verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired',
);
const ISSUER = TLS(
  'verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_unable_to_get_local_issuer_certificate',
);
const SAN = TLS(
  'verify_cert_failed:_SAN_matcher,_certificate_SANs_are_[spiffe://cluster.local/ns/store/sa/default]',
);
const ALERT_EXPIRED =
  'TLS_error:|268436501:SSL_routines:OPENSSL_internal:SSLV3_ALERT_CERTIFICATE_EXPIRED:TLS_error_end';
const WRONG_VERSION = 'TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end';
const untrusted = (reason: string, sent = 121): Lines => [
  background([web, job], cart, { pods: [two, three] }),
  all([web, job], 15_000, 900, 20, tlsFailure(reason, sent), [one]),
];
const stray = (names: readonly string[]): readonly Logged[] =>
  moments(2_000, 1_500, 30).map((at, i) =>
    rejected(edge, 8443, `198.51.100.${30 + i}:${51_000 + i}`, { at, sni: names[i % names.length]! }),
  );
const atEdge = (line: Partial<Line> = {}): readonly Logged[] =>
  moments(0, 400, 150).map((at, i) => gateway(edge, cart, cart.pods[i % 3]!, { at, ...line }));
const sessions = (sizes: (i: number) => Partial<Line>): readonly Logged[] =>
  moments(0, 2_500, 24).map((at, i) =>
    tcp(web, bank, bank.pods[0]!, {
      at,
      cluster: BANK,
      dialled: '203.0.113.80:443',
      sni: 'api.bank.example',
      ms: 60,
      ...sizes(i),
    }),
  );

export const CONNECTIONS: readonly CauseCase[] = [
  {
    cause: 'no-endpoints',
    incident: { 'every caller at once': emptied },
    at: { services: ['cart.store'] },
    but: [
      { differs: 'the hosts failed before and serve again', lines: ejected, named: 'outlier-all-ejected' },
    ],
  },
  {
    cause: 'subset-selects-no-pods',
    incident: {
      'one subset': () => [
        healthy(web, cart),
        all([web], 9_000, 900, 30, { ...NOBODY, cluster: clusterOf(cart, 'canary') }),
      ],
    },
    at: { services: ['cart.store'], upstreamClusters: [clusterOf(cart, 'canary')] },
    but: [{ differs: 'the whole service is empty', lines: emptied, named: 'no-endpoints' }],
  },
  {
    cause: 'outlier-all-ejected',
    incident: { 'failures, then nobody, then the same hosts': () => ejected() },
    at: { services: ['cart.store'], endpoints: [one.ip] },
    but: [{ differs: 'no host failed before', lines: emptied, named: 'no-endpoints' }],
  },
  {
    cause: 'dns-cluster-unresolved',
    incident: {
      'an external host': () => [
        healthy(web, cart),
        moments(5_000, 1_000, 20).map((at) =>
          client(web, bank, bank.pods[0]!, { at, ...NOBODY, cluster: BANK, authority: 'api.bank.example' }),
        ),
      ],
    },
    at: { services: ['api.bank.example'] },
    but: [{ differs: 'the host is a service of the cluster', lines: emptied, named: 'no-endpoints' }],
  },
  {
    cause: 'single-bad-endpoint',
    incident: {
      'one of three': () => [
        healthy(web, cart, { every: 300, pods: [two, three] }),
        healthy(web, cart, { to: 10_000, every: 900, pods: [one] }),
        inside(one, 10_000, 900, 50, { code: 500, sent: 41 }),
      ],
      'one of three refuses, by a caller’s lines alone': () => [
        healthy(web, cart, { every: 300, pods: [two, three], logged: false }),
        all([web], 10_000, 900, 55, REFUSED['Envoy 1.40'], [one]),
      ],
      'one of three is slow, and given up': () => [
        healthy(web, cart, { every: 300, pods: [two, three] }),
        healthy(web, cart, { every: 2_500, pods: [one], line: { ms: 900, service: 890 } }),
        all([web], 10_000, 1_300, 30, GIVEN_UP, [one]),
      ],
    },
    at: { services: ['cart.store'], endpoints: [one.ip] },
    but: [
      { differs: 'the bad address is new', lines: badRelease, named: 'bad-rollout' },
      {
        differs: 'all three are given up alike',
        lines: () => [healthy(web, cart, { every: 300 }), all([web], 10_000, 1_300, 30, GIVEN_UP)],
        named: 'client-timeout-or-cancel',
      },
      {
        differs: 'all three refuse, by a caller’s lines alone',
        lines: () => [
          healthy(web, cart, { to: 9_000, logged: false }),
          all([web], 10_000, 400, 400, REFUSED['Envoy 1.40']),
        ],
        named: 'insufficient-vantage',
      },
    ],
  },
  {
    cause: 'bad-rollout',
    incident: { 'a new address fails': badRelease },
    at: { services: ['cart.store'], endpoints: [three.ip] },
    but: [
      {
        differs: 'the addresses that leave fail, the new ones do not',
        lines: rollout,
        named: 'rollout-drain',
      },
    ],
  },
  {
    cause: 'upstream-overflow',
    incident: {
      'a full pool': () => [healthy(web, cart, { every: 200 }), all([web], 20_000, 250, 60, OVERFLOW)],
    },
    at: { services: ['cart.store'] },
    but: [
      {
        differs: '429 by a rate limit',
        lines: () => [
          healthy(web, cart, { every: 200 }),
          inside(one, 20_000, 250, 60, {
            ...NO_HOST,
            code: 429,
            flags: 'RL',
            details: 'local_rate_limited',
            sent: 18,
            ms: 0,
          }).map((line) => line),
        ],
        named: 'rate-limited-local',
      },
    ],
  },
  {
    cause: 'drop-overload-configured',
    incident: {
      share: () => [
        healthy(web, cart),
        all([web], 0, 900, 60, {
          ...NO_HOST,
          code: 503,
          flags: 'DO',
          details: 'drop_overload',
          sent: 13,
          ms: 0,
        }),
      ],
      all: () => [
        all([web], 0, 900, 60, {
          ...NO_HOST,
          code: 503,
          flags: 'UDO',
          details: 'unconditional_drop_overload',
          sent: 27,
          ms: 0,
        }),
      ],
    },
    at: { services: ['cart.store'] },
    but: [
      {
        differs: 'a limit under load',
        lines: () => [healthy(web, cart, { every: 200 }), all([web], 20_000, 250, 60, OVERFLOW)],
        named: 'upstream-overflow',
      },
    ],
  },
  {
    cause: 'app-not-listening',
    incident: {
      older: () => [
        healthy(web, cart, { to: 20_000 }),
        healthy(web, cart, { from: 20_000, pods: [two, three] }),
        inside(one, 20_000, 900, 20, REFUSED.older),
      ],
      'Envoy 1.40': () => [
        healthy(web, cart, { to: 20_000 }),
        healthy(web, cart, { from: 20_000, pods: [two, three] }),
        inside(one, 20_000, 900, 20, REFUSED['Envoy 1.40']),
      ],
    },
    at: { services: ['cart.store'], pods: [one.name] },
    but: [
      {
        differs: 'refused on the callers’ side, and never used again',
        lines: () => [
          background([web, job], cart, { to: 20_000 }),
          background([web, job], cart, { from: 20_000, pods: [two, three] }),
          all([web, job], 20_100, 500, 8, REFUSED['Envoy 1.40'], [one]),
        ],
        named: 'pod-terminated-endpoint-lag',
      },
    ],
  },
  {
    cause: 'app-bound-to-localhost',
    incident: {
      'never answered': () => cart.pods.map((pod, i) => inside(pod, 300 * i, 900, 40, REFUSED['Envoy 1.40'])),
    },
    at: { services: ['cart.store'] },
    behind: {
      cause: 'app-not-listening',
      why: 'a closed port and one on another address have the same line',
    },
    but: [
      {
        differs: 'it answered before',
        lines: () => [
          healthy(web, cart, { to: 20_000 }),
          inside(one, 20_000, 900, 20, REFUSED['Envoy 1.40']),
        ],
        named: 'app-not-listening',
      },
    ],
  },
  {
    cause: 'app-bound-to-pod-ip-only',
    incident: {
      'loopback, from the first request': () => [
        healthy(web, stock),
        moments(0, 1_100, 40).flatMap((at) =>
          hop(web, cart, one, { at }, { ...REFUSED.older, host: '127.0.0.1:8080' }, relayed(REFUSED.older)),
        ),
      ],
    },
    at: { services: ['cart.store'], pods: [one.name] },
    but: [
      {
        differs: 'it answered there before',
        lines: () => [
          moments(0, 700, 25).flatMap((at) => hop(web, cart, one, { at }, { host: '127.0.0.1:8080' })),
          moments(20_000, 1_100, 30).flatMap((at) =>
            hop(web, cart, one, { at }, { ...REFUSED.older, host: '127.0.0.1:8080' }, relayed(REFUSED.older)),
          ),
        ],
        named: 'app-not-listening',
      },
    ],
  },
  {
    cause: 'pod-terminated-endpoint-lag',
    incident: {
      older: () => [
        background([web, job], cart, { to: 20_000 }),
        background([web, job], cart, { from: 20_000, pods: [two, three] }),
        all([web, job], 20_100, 500, 8, REFUSED.older, [one]),
      ],
      'Envoy 1.40': () => [
        background([web, job], cart, { to: 20_000 }),
        background([web, job], cart, { from: 20_000, pods: [two, three] }),
        all([web, job], 20_100, 500, 8, REFUSED['Envoy 1.40'], [one]),
      ],
    },
    at: { services: ['cart.store'], endpoints: [one.ip] },
    but: [
      {
        differs: 'one address after another leaves, and new ones serve',
        lines: rollout,
        named: 'rollout-drain',
      },
    ],
  },
  {
    cause: 'rollout-drain',
    incident: { 'two leave, two come': rollout },
    at: { services: ['cart.store'], endpoints: [one.ip, two.ip] },
    but: [{ differs: 'the new address fails', lines: badRelease, named: 'bad-rollout' }],
  },
  {
    cause: 'connect-timeout-network-blocked',
    incident: {
      older: () => [
        healthy(job, cart),
        cart.pods.flatMap((pod, i) =>
          waits(web, cart, pod, 20_000 + 211 * i, 6, {
            flags: 'UF',
            details: RESET('connection_failure'),
            sent: 91,
            ms: 10_001,
          }),
        ),
      ],
      'Envoy 1.40': () => [
        healthy(job, cart),
        cart.pods.flatMap((pod, i) => waits(web, cart, pod, 20_000 + 211 * i, 6)),
      ],
    },
    at: { services: ['cart.store'], clients: [web.name] },
    but: [
      { differs: 'several services, all in one network of pods', lines: nodeGone, named: 'node-unreachable' },
    ],
  },
  {
    cause: 'node-unreachable',
    incident: { 'three services': nodeGone, 'callers that give up sooner': () => nodeGivenUpOn() },
    at: { services: ['cart.store', 'stock.store'], networks: ['10.60.7.0/24'] },
    but: [
      {
        differs: 'callers that give up on what answers others there',
        lines: () => [
          ...nodeGivenUpOn(),
          healthy(job, cart, { every: 400, pods: [two] }),
          healthy(job, stock, { every: 400, pods: [stock.pods[0]!] }),
        ],
        named: 'client-timeout-or-cancel',
      },
      {
        differs: 'pods whose logs go on, though nobody waits for their answers',
        lines: () => [
          ...nodeGivenUpOn(),
          moments(21_000, 1_300, 20).map((at) => server(two, cart, job, { at, ...CUT_OFF })),
          moments(21_000, 1_300, 20).map((at) => server(stock.pods[0]!, stock, job, { at, ...CUT_OFF })),
        ],
        named: 'single-bad-endpoint',
      },
      {
        differs: 'nothing but failures, so that nobody knows how long answers take',
        lines: () => [givenUpOn(cart, two, 20_000), givenUpOn(stock, stock.pods[0]!, 20_300)],
        named: 'client-timeout-or-cancel',
      },
      {
        differs: 'callers that hardly wait',
        lines: () => nodeGivenUpOn(40),
        named: 'single-bad-endpoint',
      },
      {
        differs: 'one service, on every host',
        lines: () => [
          healthy(web, stock),
          cart.pods.flatMap((pod, i) => waits(web, cart, pod, 20_000 + 211 * i, 6)),
        ],
        named: 'connect-timeout-network-blocked',
      },
    ],
  },
  {
    cause: 'mtu-blackhole',
    incident: {
      'large bodies': () => [
        healthy(web, cart, { line: { received: 300 } }),
        timedOut(() => ({ received: 1_900, method: 'POST' })),
      ],
      'Envoy 1.40: new connections': () => [
        moments(0, 500, 120).map((at, i) =>
          client(web, cart, cart.pods[i % 3]!, { at, port: 41_000 + (i % 3) }),
        ),
        moments(20_000, 2_000, 15).map((at, i) =>
          client(web, cart, cart.pods[i % 3]!, {
            at,
            ...NO_CONNECTION,
            code: 504,
            flags: 'UT',
            details: 'response_timeout',
            sent: 24,
            ms: 5_000,
          }),
        ),
      ],
    },
    at: { services: ['cart.store'] },
    but: [
      {
        differs: 'bodies of any size',
        lines: () => [
          healthy(web, cart, { line: { received: 300 } }),
          timedOut((i) => ({ received: 100 * (i % 5) })),
        ],
        named: 'route-timeout',
      },
    ],
  },
  {
    cause: 'conntrack-or-port-exhaustion',
    incident: {
      '1.40': () => [
        healthy(web, cart),
        all(
          [web],
          20_000,
          90,
          60,
          tlsFailure(
            'immediate_connect_error:_Cannot_assign_requested_address|remote_address:10.60.6.21:8080',
            121,
          ),
        ),
        all([web], 20_040, 90, 60, tlsFailure('immediate_connect_error:_99', 98), stock.pods, stock),
      ],
    },
    at: { services: ['cart.store', 'stock.store'], pods: [web.name] },
    but: [
      {
        differs: 'nobody answers',
        lines: () => [
          healthy(job, cart),
          cart.pods.flatMap((pod, i) => waits(web, cart, pod, 20_000 + 211 * i, 6)),
        ],
        named: 'connect-timeout-network-blocked',
      },
    ],
  },
  {
    cause: 'keepalive-idle-race',
    incident: { 'at the server’s sidecar': () => [idleCuts((line) => server(one, cart, job, line), 5_000)] },
    at: { services: ['cart.store'], endpoints: [one.ip] },
    but: [
      {
        differs: 'different ages end in one instant, then it refuses',
        lines: () => crash(),
        named: 'app-crash-oom',
      },
    ],
  },
  {
    cause: 'gateway-upstream-not-meshed-reset',
    incident: { 'no server’s log': () => [idleCuts((line) => gateway(edge, cart, one, line), 5_000)] },
    at: { services: ['cart.store'] },
    behind: {
      cause: 'keepalive-idle-race',
      why: 'whether the backend has a sidecar, or only its log is missing, no line tells',
    },
    but: [
      {
        differs: 'the server’s sidecar logged it',
        lines: () => [idleCuts((line) => server(one, cart, job, line), 5_000)],
        named: 'keepalive-idle-race',
      },
    ],
  },
  {
    cause: 'app-closes-at-own-timeout',
    incident: {
      '30 s': () => [
        healthy(web, cart, { to: 120_000 }),
        inside(one, 5_000, 9_100, 8, { ...CUT, ms: 30_004 }, 'POST'),
      ],
    },
    at: { services: ['cart.store'] },
    but: [
      {
        differs: '504 by the caller’s proxy',
        lines: () => [healthy(web, cart), timedOut(() => ({}))],
        named: 'route-timeout',
      },
    ],
  },
  {
    cause: 'app-crash-oom',
    incident: {
      'equal ends, then refused': () => crash(),
      'bodies cut, Envoy 1.40': () =>
        crash({
          code: 200,
          flags: 'UPE',
          details: 'upstream_reset_after_response_started{protocol_error}',
          sent: 9_000,
        }),
    },
    at: { services: ['cart.store'], pods: [one.name] },
    but: [
      {
        differs: 'refused on the callers’ side',
        lines: () => proxyGone('Envoy 1.40'),
        named: 'proxy-crash-or-oom',
      },
    ],
  },
  {
    cause: 'kernel-or-host-firewall',
    incident: {
      'older, and Envoy 1.40': () => [
        background([web, job], cart, { logged: false, to: 10_000 }),
        background([job], cart, { logged: false, from: 10_000 }),
        all([web], 10_000, 700, 60, REFUSED.older),
        all([web], 12_000, 900, 40, REFUSED['Envoy 1.40']),
      ],
    },
    at: { clients: [web.name] },
    but: [
      {
        differs: 'nobody reaches these addresses',
        lines: () => [
          background([web, job], cart, { logged: false, to: 10_000 }),
          all([web, job], 10_000, 700, 60, REFUSED['Envoy 1.40']),
        ],
        named: 'insufficient-vantage',
      },
    ],
  },
  {
    cause: 'proxy-crash-or-oom',
    incident: { older: () => proxyGone('older'), 'Envoy 1.40': () => proxyGone('Envoy 1.40') },
    at: { services: ['cart.store'], endpoints: [one.ip] },
    but: [
      { differs: 'refused by the pod itself', lines: () => crash(), named: 'app-crash-oom' },
      {
        differs: 'TCP, to an address of which no line shows a sidecar',
        lines: () =>
          moments(0, 600, 100).map((at, i) =>
            tcp(web, stock, stock.pods[0]!, {
              at,
              ...(i >= 40 &&
                i < 65 && { ...REFUSED['Envoy 1.40'], code: 0, details: null, received: 0, sent: 0 }),
            }),
          ),
        named: 'app-not-listening',
      },
    ],
  },
  {
    cause: 'hbone-connect-blocked',
    incident: {
      '10 s': () => [
        atEdge(),
        moments(5_000, 2_000, 14).map((at, i) =>
          gateway(edge, stock, stock.pods[0]!, {
            at,
            ...CUT,
            ms: 10_001 + (i % 4),
            host: 'envoy://connect_originate/10.60.7.34:8088',
            from: `envoy://internal_client_address/`,
            dialled: '10.60.9.2:8080',
            authority: 'stock.example.com',
          }),
        ),
      ],
    },
    at: { services: ['stock.store'], endpoints: ['10.60.7.34'] },
    but: [
      {
        differs: 'at once, now and then, on reuse',
        lines: () => [
          moments(0, 300, 200).map((at, i) =>
            gateway(edge, stock, stock.pods[0]!, {
              at,
              ...(i % 40 === 7 ? { ...CUT, ms: 1 } : {}),
              host: 'envoy://connect_originate/10.60.7.34:8088',
            }),
          ),
        ],
        named: 'hbone-pool-race',
      },
    ],
  },
  {
    cause: 'hbone-pool-race',
    incident: {
      sporadic: () => [
        moments(0, 300, 200).map((at, i) =>
          gateway(edge, stock, stock.pods[0]!, {
            at,
            ...(i % 40 === 7 ? { ...CUT, ms: 1 } : {}),
            host: 'envoy://connect_originate/10.60.7.34:8088',
          }),
        ),
      ],
    },
    at: { services: ['stock.store'] },
    but: [
      {
        differs: 'every attempt waits for 10 s',
        lines: () => [
          moments(5_000, 2_000, 14).map((at) =>
            gateway(edge, stock, stock.pods[0]!, {
              at,
              ...CUT,
              ms: 10_002,
              host: 'envoy://connect_originate/10.60.7.34:8088',
            }),
          ),
        ],
        named: 'hbone-connect-blocked',
      },
    ],
  },
  {
    cause: 'peer-not-in-mesh-plaintext',
    incident: {
      'no line of its own': () => [
        healthy(web, cart),
        listenerPlaintext('10.60.3.99', [2_100, 5_700, 6_100, 14_300, 22_000, 22_900, 40_100]),
      ],
    },
    at: { services: ['cart.store'], clients: ['10.60.3.99'] },
    but: [
      {
        differs: 'the caller has a line for the same connection',
        lines: () => plaintextCaller(true),
        named: 'destinationrule-tls-conflict',
      },
    ],
  },
  {
    cause: 'traffic-capture-bypassed',
    incident: {
      'its proxy logs its other calls': () => [
        healthy(job, cart),
        healthy(web, stock),
        listenerPlaintext(web.ip, [2_100, 5_700, 6_100, 14_300, 22_000, 22_900, 40_100]),
      ],
    },
    at: { services: ['cart.store'], clients: [web.name, web.ip] },
    but: [
      {
        differs: 'its proxy has the other end of these connections',
        lines: () => plaintextCaller(true),
        named: 'destinationrule-tls-conflict',
      },
      {
        differs: 'no log of its own, though the servers saw its mutual TLS',
        lines: () => [
          healthy(job, cart),
          healthy(web, stock).filter(({ pod }) => pod !== web.name),
          listenerPlaintext(web.ip, [2_100, 5_700, 6_100, 14_300, 22_000, 22_900, 40_100]),
        ],
        named: 'insufficient-vantage',
      },
    ],
  },
  {
    cause: 'h2-to-h1-mismatch',
    incident: { 'both ends logged': () => [healthy(job, cart), http2Caller(true)] },
    at: { services: ['cart.store'], clients: [web.name] },
    but: [
      {
        differs: 'no server says that it could not read it',
        lines: () => [healthy(job, cart), http2Caller(false)],
        named: 'upstream-protocol-error',
      },
    ],
  },
  {
    cause: 'probe-misrouted-or-rejected',
    incident: {
      'every 5 s': () => [healthy(web, cart), listenerPlaintext('10.60.6.1', moments(1_000, 5_000, 11))],
    },
    at: { services: ['cart.store'], pods: [one.name], clients: ['10.60.6.1'] },
    but: [
      {
        differs: 'no period',
        lines: () => [
          healthy(web, cart),
          listenerPlaintext('10.60.3.99', [2_100, 5_700, 6_100, 14_300, 22_000, 22_900, 40_100]),
        ],
        named: 'peer-not-in-mesh-plaintext',
      },
    ],
  },
  {
    cause: 'destinationrule-tls-conflict',
    incident: { 'both ends logged': () => plaintextCaller(true) },
    at: { services: ['cart.store'], clients: [web.name] },
    but: [
      {
        differs: 'no server says that it found no filter chain',
        lines: () => plaintextCaller(false),
        named: 'mesh-ca-mismatch',
      },
    ],
  },
  {
    cause: 'mtls-to-plaintext-server',
    incident: { older: () => untrusted(WRONG_VERSION, 211), 'Envoy 1.40': () => untrusted(WRONG_VERSION) },
    at: { services: ['cart.store'], endpoints: [one.ip] },
    but: [
      {
        differs: 'nobody answers',
        lines: () => [
          healthy(job, cart),
          cart.pods.flatMap((pod, i) => waits(web, cart, pod, 20_000 + 211 * i, 6)),
        ],
        named: 'connect-timeout-network-blocked',
      },
    ],
  },
  {
    cause: 'mesh-ca-mismatch',
    incident: {
      'we refuse them': () => untrusted(ISSUER),
      'they refuse us, TLS 1.3': () => plaintextCaller(false),
    },
    at: { services: ['cart.store'] },
    but: [
      {
        differs: 'the identity is printed: the root is trusted',
        lines: () => untrusted(SAN),
        named: 'san-mismatch',
      },
    ],
  },
  {
    cause: 'workload-cert-expired',
    incident: {
      'as server': () => untrusted(EXPIRED),
      'as client, TLS 1.2': () => [
        healthy(job, cart),
        all([web], 15_000, 900, 20, tlsFailure(ALERT_EXPIRED, 98)),
      ],
    },
    at: { services: ['cart.store'] },
    but: [{ differs: 'the issuer is named', lines: () => untrusted(ISSUER), named: 'mesh-ca-mismatch' }],
  },
  {
    cause: 'san-mismatch',
    incident: { 'another service account': () => untrusted(SAN) },
    at: { services: ['cart.store'], endpoints: [one.ip] },
    but: [{ differs: 'the issuer is named', lines: () => untrusted(ISSUER), named: 'mesh-ca-mismatch' }],
  },
  {
    cause: 'external-tls-verification-failed',
    incident: {
      'an external host': () => [
        healthy(web, cart),
        moments(4_000, 1_200, 25).map((at) =>
          client(web, bank, bank.pods[0]!, {
            at,
            ...tlsFailure(ISSUER, 121),
            cluster: BANK,
            authority: 'api.bank.example',
          }),
        ),
      ],
    },
    at: { services: ['api.bank.example'], clients: [web.name] },
    but: [{ differs: 'the host is in the mesh', lines: () => untrusted(SAN), named: 'san-mismatch' }],
  },
  {
    cause: 'gateway-sni-no-match',
    incident: { 'one name, steadily': () => [atEdge(), stray(['login.example.com'])] },
    at: { services: ['login.example.com'], pods: [edge.name] },
    but: [
      {
        differs: 'a name of its own for each',
        lines: () => [atEdge(), stray(Array.from({ length: 30 }, (_, i) => `x${i}.example.org`))],
        named: null,
      },
    ],
  },
  {
    cause: 'eastwest-sni-or-subset-missing',
    incident: {
      'a mesh client’s name': () => [atEdge(), stray(['outbound_.8088_._.stock.store.svc.cluster.local'])],
    },
    at: { services: ['stock.store'], pods: [edge.name] },
    but: [
      {
        differs: 'a name of the outside',
        lines: () => [atEdge(), stray(['login.example.com'])],
        named: 'gateway-sni-no-match',
      },
    ],
  },
  {
    cause: 'eastwest-gateway-unreachable',
    incident: {
      'port 15443': () => [
        healthy(web, cart),
        waits(web, cart, { name: 'east', ip: '172.20.9.9' }, 15_000, 10, { host: '172.20.9.9:15443' }),
      ],
    },
    at: { services: ['cart.store'], endpoints: ['172.20.9.9'] },
    but: [
      {
        differs: 'the pods themselves do not answer',
        lines: () => [
          healthy(job, cart),
          cart.pods.flatMap((pod, i) => waits(web, cart, pod, 20_000 + 211 * i, 6)),
        ],
        named: 'connect-timeout-network-blocked',
      },
    ],
  },
  {
    cause: 'egress-firewall-blocked',
    incident: {
      TCP: () => [
        healthy(web, cart),
        moments(9_000, 1_900, 14).map((at, i) =>
          tcp(web, bank, bank.pods[0]!, {
            at,
            ...NO_CONNECTION,
            flags: 'UF,URX',
            cluster: 'PassthroughCluster',
            dialled: '203.0.113.80:443',
            sni: 'api.bank.example',
            ms: 10_000 - (i % 4) * 1_900,
            sent: 0,
          }),
        ),
      ],
    },
    at: { services: ['api.bank.example'], endpoints: ['203.0.113.80'] },
    but: [
      {
        differs: 'the address is a pod’s',
        lines: () => [
          healthy(job, cart),
          cart.pods.flatMap((pod, i) => waits(web, cart, pod, 20_000 + 211 * i, 6)),
        ],
        named: 'connect-timeout-network-blocked',
      },
    ],
  },
  {
    cause: 'tls-origination-double-tls',
    incident: {
      'every connection alike': () => [
        healthy(web, cart),
        sessions(() => ({ received: 517, sent: 66, ms: 21 })),
      ],
    },
    at: { clients: [web.name], endpoints: ['203.0.113.80'] },
    but: [
      {
        differs: 'sizes vary, as those of TLS do',
        lines: () => [
          healthy(web, cart),
          sessions((i) => ({ received: 900 + 37 * i, sent: 4_100 + 911 * i })),
        ],
        named: null,
      },
    ],
  },
  {
    cause: 'tcp-proxy-half-open-or-hang',
    incident: {
      'nothing back': () => [
        healthy(web, stock),
        moments(0, 1_500, 20).map((at) => tcp(web, cart, one, { at, ms: 40 })),
        moments(30_000, 1_500, 20).map((at) => tcp(web, cart, one, { at, received: 44, sent: 0, ms: 3 })),
      ],
    },
    at: { services: ['cart.store'], clients: [web.name] },
    but: [
      {
        differs: 'the callee’s own log says that its app refused',
        lines: () => [
          moments(0, 1_500, 20).flatMap((at) => [
            tcp(web, cart, one, { at, ms: 40 }),
            server(one, cart, web, {
              at,
              method: null,
              path: null,
              protocol: null,
              agent: null,
              authority: null,
              details: null,
              code: 0,
              ms: 40,
              service: null,
            }),
          ]),
          moments(30_000, 1_500, 20).map((at) =>
            server(one, cart, web, {
              at,
              ...NO_CONNECTION,
              method: null,
              path: null,
              protocol: null,
              agent: null,
              authority: null,
              details: null,
              code: 0,
              flags: 'UF,URX',
              reason: 'delayed_connect_error:_Connection_refused',
              sent: 0,
              ms: 0,
            }),
          ),
        ],
        named: 'app-not-listening',
      },
    ],
  },
  {
    cause: 'waypoint-misrouting',
    incident: {
      'no endpoint behind it': () => [
        atEdge(),
        moments(5_000, 900, 30).map((at) =>
          client(edge, stock, stock.pods[0]!, {
            at,
            ...NOBODY,
            cluster: 'inbound-vip|8088|http|stock.store.svc.cluster.local',
          }),
        ),
      ],
    },
    at: { services: ['stock.store'], pods: [edge.name] },
    but: [{ differs: 'a caller of the service says so', lines: emptied, named: 'no-endpoints' }],
  },
  {
    cause: 'tls-to-http-port',
    incident: {
      'one client among many': () => [
        healthy(web, cart),
        moments(4_000, 3_700, 10).map((at, i) =>
          server(one, cart, null, {
            at,
            ...NO_CLUSTER,
            method: null,
            path: null,
            authority: null,
            id: '0',
            agent: null,
            code: 400,
            flags: 'DPE',
            details: 'http1.codec_error',
            sent: 11,
            ms: 0,
            route: null,
            peer: `10.60.3.88:${41_000 + i}`,
          }),
        ),
      ],
    },
    at: { services: ['cart.store'], clients: ['10.60.3.88'] },
    but: [
      {
        differs: 'nothing on the port is HTTP',
        lines: () => [
          healthy(web, cart),
          moments(4_000, 3_700, 10).map((at, i) =>
            server(one, cart, null, {
              at,
              ...NO_CLUSTER,
              method: null,
              path: null,
              authority: null,
              id: '0',
              agent: null,
              code: 400,
              flags: 'DPE',
              details: 'http1.codec_error',
              sent: 11,
              ms: 0,
              route: null,
              dialled: `${one.ip}:5432`,
              peer: `10.60.3.88:${41_000 + i}`,
            }),
          ),
        ],
        named: 'protocol-selection-wrong',
      },
    ],
  },
];
