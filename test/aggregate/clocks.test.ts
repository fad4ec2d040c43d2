import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { caller, service } from '../diagnosis/cases/case.js';
import { healthy, observe, requestId, type Logged } from '../diagnosis/traffic.js';

const web = caller('web', '10.71.1.15');
const shop = service('shop', 'front', 8080, '10.71.2.21', '10.71.2.33');
const [one, two] = shop.pods as [(typeof shop.pods)[0], (typeof shop.pods)[0]];

/** The same lines, with the clock of one pod wrong by so much. */
function off(lines: readonly Logged[], pod: string, ms: number): Logged[] {
  return lines.map((line) =>
    line.pod === pod
      ? {
          ...line,
          at: line.at + ms,
          text: line.text.replace(
            /^\[([^\]]+)\]/,
            (_, time: string) => `[${new Date(Date.parse(time) + ms).toISOString()}]`,
          ),
        }
      : line,
  );
}

const rowsOf = (lines: readonly Logged[]) => observe(lines).snapshot().rows;

describe('the clocks of proxies', () => {
  it('are left alone where the lines allow them to agree', () => {
    expect(rowsOf(healthy(web, shop)).clocks.skewed).toEqual([]);
  });

  it('are measured by what both ends logged, and taken out of all times', () => {
    fc.assert(
      fc.property(fc.integer({ min: 60, max: 86_400_000 }), fc.boolean(), (ms, behind) => {
        const apart = behind ? -ms : ms;
        const { clocks, rows } = rowsOf(off(healthy(web, shop), one.name, apart));
        expect(clocks.skewed.map(({ proxy }) => proxy)).toEqual([one.name]);
        expect(Math.abs(clocks.aheadOf(one.name) - apart)).toBeLessThanOrEqual(2);
        for (const row of rows.filter(({ proxy }) => proxy === one.name)) {
          expect(row.loggedStart - row.start).toBe(clocks.aheadOf(one.name));
        }
      }),
      { numRuns: 25 },
    );
  });

  it('count as right where most agree', () => {
    const lines = off(off(healthy(web, shop), web.name, 3_000), 'nobody', 0);
    expect(
      rowsOf(lines).clocks.skewed.map(({ proxy, aheadMs }) => [proxy, Math.round(aheadMs / 100)]),
    ).toEqual([[web.name, 30]]);
  });

  it('are not measured by two hops', () => {
    const lines = healthy(web, shop, { to: 1_000, every: 500, pods: [two] });
    expect(rowsOf(off(lines, two.name, 9_000)).clocks.skewed).toEqual([]);
  });

  it('are not measured by ids that two days share by chance', () => {
    const ids = Array.from({ length: 40 }, requestId);
    const day = healthy(web, shop, { pods: [two] });
    const withIds = (lines: readonly Logged[]): Logged[] =>
      lines.map((line, i) => ({
        ...line,
        text: line.text.replace(/5f0c3a1e-77d2-9b41-8a6e-\w{12}/, ids[(i * 7) % 40]!),
      }));
    const callers = withIds(day.filter(({ pod }) => pod === web.name));
    const servers = off(
      withIds(day.filter(({ pod }) => pod === two.name).toReversed()),
      two.name,
      86_400_000,
    );
    const { clocks } = rowsOf([...callers, ...servers]);
    expect(clocks.skewed).toEqual([]);
  });
});
