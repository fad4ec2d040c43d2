import {
  client,
  healthy,
  moments,
  requestId,
  RESET,
  server,
  type Line,
  type Logged,
  type Pod,
} from '../traffic.js';
import { caller, service, type CauseCase, type Lines } from './case.js';

const desk = caller('desk', '172.18.1.15');
const ledger = service('ledger', 'books', 7443, '172.18.6.21', '172.18.7.33', '172.18.8.45');
const [one, two, three] = ledger.pods as [Pod, Pod, Pod];

const some = moments(9_000, 2_300, 20);
const CUT: Partial<Line> = {
  code: 503,
  flags: 'UC',
  details: RESET('connection_termination'),
  sent: 95,
  service: null,
};
const LEFT: Partial<Line> = {
  code: 0,
  flags: 'DC',
  details: 'downstream_remote_disconnect',
  sent: 0,
  service: null,
};

/** One request, its attempts at the servers, and what its caller's proxy says at the end. */
function repeated(
  at: number,
  method: string,
  attempts: readonly (readonly [pod: Pod, ms: number, line: Partial<Line>])[],
  outside: Partial<Line> = {},
): readonly Logged[] {
  const id = requestId();
  let begun = at + 1;
  const inside = attempts.map(([pod, ms, line]) => {
    const logged = server(pod, ledger, desk, { at: begun, id, method, path: '/v1/entries', ms, ...line });
    begun += ms + 20;
    return logged;
  });
  const [last] = attempts.at(-1)!;
  return [
    client(desk, ledger, last, { at, id, method, path: '/v1/entries', ms: begun - at, ...outside }),
    ...inside,
  ];
}

const again = (method: string, ms: number, line: Partial<Line>, apart = 0): Lines => [
  healthy(desk, ledger),
  some.flatMap((at, i) =>
    repeated(at, method, [
      [i % 2 ? one : three, ms + i * apart, line],
      [two, 41, {}],
    ]),
  ),
];
const ANSWER_503: Partial<Line> = { code: 503, sent: 41, service: 6 };
const thrice = (ids: 'one' | 'many'): Lines => [
  healthy(desk, ledger),
  moments(9_000, 400, 60).flatMap((at, i) =>
    ids === 'one'
      ? repeated(
          at,
          'GET',
          [one, two, three].map((pod) => [pod, 7, ANSWER_503] as const),
          { ...ANSWER_503, flags: 'URX' },
        )
      : [one, two, three].flatMap((pod, k) =>
          repeated(at + k * 60, 'GET', [[ledger.pods[(i + k) % 3] ?? pod, 7, ANSWER_503]], ANSWER_503),
        ),
  ),
];

export const RETRIES: readonly CauseCase[] = [
  {
    cause: 'unsafe-retry-duplicates',
    incident: {
      'the limit for one try': () => again('POST', 800, LEFT),
      'cut while the app was at work': () => again('POST', 1_100, CUT, 137),
    },
    at: { services: ['ledger.books'], clients: [desk.name] },
    but: [
      {
        differs: 'a method that may run twice',
        lines: () => again('GET', 800, LEFT),
        named: 'per-try-timeout',
      },
      {
        differs: 'the app refused the first one itself',
        lines: () => again('POST', 9, ANSWER_503),
        named: 'retry-masked-failure',
      },
      {
        differs: 'closed as it was sent: the app never had it',
        lines: () => again('POST', 1, CUT),
        named: 'retry-masked-failure',
      },
    ],
  },
  {
    cause: 'retry-overflow-or-storm',
    incident: { 'three attempts each, all failing': () => thrice('one') },
    at: { services: ['ledger.books'] },
    behind: {
      cause: 'app-error-via-upstream',
      why: 'retries multiply what another cause began, and that one is to be mended first',
    },
    but: [
      {
        differs: 'new ids: the app itself tries again',
        lines: () => thrice('many'),
        named: 'app-error-via-upstream',
      },
    ],
  },
];
