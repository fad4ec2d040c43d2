import { describe, expect, it } from 'vitest';
import { caller, service } from './cases/case.js';
import {
  diagnosed,
  gateway,
  healthy,
  hop,
  moments,
  requestId,
  server,
  type Logged,
  type Pod,
} from './traffic.js';

const edge = caller('edge', '10.73.1.2');
const shop = service('shop', 'front', 8080, '10.73.2.21');
const bank = service('bank', 'back', 9090, '10.73.3.41');
const [front] = shop.pods as [Pod];
const [teller] = bank.pods as [Pod];

/** A gateway's request and the server's line of it; the gateway names its client, so that no connection joins them. */
function fromOutside(at: number, code: number, ms: number, ids: boolean): readonly Logged[] {
  const id = ids ? requestId() : '-';
  const line = { at, id, code, ms, path: `/v1/items/${at}`, sent: 71 };
  return [
    gateway(edge, shop, front, { ...line, ms: ms + 2 }),
    server(front, shop, null, { ...line, at: at + 1, peer: '198.51.100.7:0' }),
  ];
}

describe('an app that forwards no id and serves several requests at once', () => {
  /** Three requests overlap; in one of them the app's own call fails. */
  const busy = (failing: 'with the call' | 'by itself'): readonly Logged[] =>
    moments(0, 150, 300).flatMap((at, i) => {
      const down = i > 60 && i % 3 === 0;
      const code = (failing === 'with the call' ? down : i > 60 && i % 3 === 1) ? 502 : 200;
      const call = { at: at + 40, ms: 9, path: '/v1/balance', ...(down && { code: 503, sent: 43 }) };
      return [...fromOutside(at, code, 120, true), ...hop(front, bank, teller, call)];
    });

  it('passes on what its calls fail with: one story, where these were decided', () => {
    const { incidents } = diagnosed(busy('with the call'));
    expect(incidents.map(({ hypothesis }) => hypothesis.at.services?.[0])).toEqual(['bank.back']);
  });

  it('is told apart where its errors come without a failing call', () => {
    const { incidents } = diagnosed(busy('by itself'));
    expect(incidents.map(({ hypothesis }) => hypothesis.at.services?.[0]).toSorted()).toEqual([
      'bank.back',
      'shop.front',
    ]);
  });
});

describe('requests without an id behind a gateway', () => {
  it('are joined by host, path and time, and by nothing less', () => {
    const lines = [
      healthy(edge, bank),
      ...moments(70_000, 400, 20).map((at) => fromOutside(at, 500, 30, false)),
    ];
    const { incidents } = diagnosed(lines.flat());
    expect(incidents.map(({ failures, hypothesis }) => [failures, hypothesis.cases.length])).toEqual([
      [20, 20],
    ]);
    const twice = moments(70_000, 400, 20).flatMap((at) => [
      ...fromOutside(at, 500, 30, false),
      ...fromOutside(at, 500, 31, false),
    ]);
    expect(diagnosed(twice).incidents.flatMap(({ hypothesis }) => hypothesis.cases)).toHaveLength(80);
  });
});
