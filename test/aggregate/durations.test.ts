import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Durations } from '../../src/aggregate/durations.js';

function of(list: readonly number[]): Durations {
  const durations = new Durations();
  for (const ms of list) durations.add(ms);
  return durations;
}

const ms = fc.array(fc.nat(100_000), { minLength: 1, maxLength: 300 });

describe('Durations', () => {
  it('says nothing of nothing', () => {
    expect(of([]).quantiles()).toBeNull();
  });

  it.each([
    ['one', [7], { p50: 7, p90: 7, p99: 7, max: 7 }],
    ['zeros', [0, 0, 0], { p50: 0, p90: 0, p99: 0, max: 0 }],
    ['1 to 100', Array.from({ length: 100 }, (_, i) => i + 1), { p50: 50, p90: 90, p99: 99, max: 100 }],
  ])('is exact for %s', (_, list, expected) => {
    expect(of(list).quantiles()).toEqual(expected);
  });

  it('merges to the same as the whole', () => {
    fc.assert(
      fc.property(ms, fc.nat(300), (list, cut) => {
        const half = of(list.slice(0, cut));
        half.merge(of(list.slice(cut)));
        expect(half.quantiles()).toEqual(of(list).quantiles());
        expect(half.count).toBe(list.length);
      }),
    );
  });

  it.each([1, 3000, 4095, 4096, 4097, 9999])(
    'merges to the same where the whole no longer is exact, cut at %i',
    (cut) => {
      const list = Array.from({ length: 10_000 }, (_, i) => (i * 7919) % 5003);
      const half = of(list.slice(0, cut));
      half.merge(of(list.slice(cut)));
      expect(half.quantiles()).toEqual(of(list).quantiles());
    },
  );

  it('stays within one in a hundred of the truth where it no longer is exact', () => {
    const list = Array.from({ length: 20_000 }, (_, i) => i + 1);
    const { p50, p90, p99, max } = of(list).quantiles()!;
    for (const [seen, truth] of [
      [p50, 10_000],
      [p90, 18_000],
      [p99, 19_800],
    ] as const)
      expect(Math.abs(seen - truth) / truth).toBeLessThan(0.011);
    expect(max).toBe(20_000);
  });
});
