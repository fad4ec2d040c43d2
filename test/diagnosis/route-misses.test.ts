import { describe, expect, it } from 'vitest';
import { caller, service } from './cases/case.js';
import { diagnosed, gateway, moments, NO_ROUTE, type Line, type Logged, type Pod } from './traffic.js';

const edge = caller('edge', '10.75.1.2');
const keys = service('keys', 'ops', 8080, '10.75.2.20', '10.75.2.21');

const requests = (of: readonly number[], line: (i: number) => Partial<Line>, to = keys): readonly Logged[] =>
  of.map((at, i) => gateway(edge, to, to.pods[i % to.pods.length] as Pod, { at, ...line(i) }));

/** Six characters, of which some have no digit. */
const ids = ['5jl2p6', 'cvt9sr', 'lccrrx', 'g9pvh2', 'scrtvn', '86n6pz', 'zddqkf', '9zgm7g'];
const path = (i: number): string => `/v1/keys/${ids[i % ids.length]}`;

describe('what no route matches', () => {
  it('is told by its shape, however short its ids are, and by the method that alone decides', () => {
    const { incidents } = diagnosed(
      requests(moments(0, 3_000, 60), (i) => ({ method: 'GET', path: path(i) })),
      requests(moments(500, 6_000, 10), (i) => ({ method: 'DELETE', path: path(i) })),
      requests(moments(90_000, 6_000, 12), (i) => ({ method: 'DELETE', path: path(i), ...NO_ROUTE })),
    );
    const [first] = incidents;
    expect(first?.hypothesis).toMatchObject({
      cause: 'vs-route-no-match',
      title: 'No route of shop.example.com matches DELETE /v1/keys/{id}',
    });
    expect(first?.hypothesis.summary).toContain('With other methods the same is routed');
    expect(first?.hypothesis.summary).toContain('The same requests were routed before');
  });

  it('is told of three services, and of more by their names', () => {
    const many = ['bank', 'cart', 'mail', 'maps', 'tags', 'user'].map((name, i) =>
      service(name, 'ops', 8080, `10.75.3.${20 + i}`),
    );
    const { incidents } = diagnosed(
      many.flatMap((to, i) => {
        const authority = `${to.name}.example.com`;
        return [
          requests(moments(i * 7, 2_000, 60), () => ({ authority, path: '/v1/items' }), to),
          requests(
            moments(30_000 + i * 11, 5_000, 8),
            () => ({ authority, path: '/v2/items', ...NO_ROUTE }),
            to,
          ),
        ].flat();
      }),
    );
    expect(incidents.map(({ hypothesis, failures }) => [hypothesis.cause, failures])).toEqual([
      ['vs-route-no-match', 48],
    ]);
    const { summary, at, evidence } = incidents[0]!.hypothesis;
    expect(at.services).toHaveLength(6);
    expect(summary.match(/The same holds for/g)).toHaveLength(3);
    expect(summary).toMatch(/The same holds for \w+\.ops, \w+\.ops and \w+\.ops\.$/);
    expect(evidence.length).toBeLessThan(10);
  });
});
