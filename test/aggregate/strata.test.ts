import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mixed } from '../../src/record/dictionary.js';
import { LineCounts, Strata } from '../../src/aggregate/strata.js';

interface Line {
  readonly cell: number;
  readonly hash: number;
}

const hash = fc.integer({ min: 0, max: 2 ** 32 - 1 });
/** Few cells have many lines, and many have few. */
const lines = fc.array(fc.record({ cell: fc.oneof(fc.nat(2), fc.nat(40)), hash }), { maxLength: 400 });

/** Who keeps lines, and lets some go where there are more than it may hold. */
function keep(all: readonly Line[], limit: number, strata = new Strata(), held: Line[] = []): Line[] {
  let kept = held;
  const settle = (): void => {
    const counts = new LineCounts<number>();
    for (const line of kept) counts.add(line.cell, line.hash);
    strata.fitCounts(counts, limit);
    kept = kept.filter((line) => strata.keeps(line.cell, line.hash));
  };
  for (const line of all) {
    if (!strata.keeps(line.cell, line.hash)) continue;
    kept.push(line);
    if (kept.length > limit) settle();
  }
  if (!strata.isWhole) settle();
  return kept;
}

/** Hashes as even as those of lines are. */
const even = (count: number, seed = 0): number[] =>
  Array.from({ length: count }, (_, i) => mixed(Math.imul(i + 1, 0x9e3779b1) + seed) >>> 0);

const inOrder = (some: readonly Line[]): string[] =>
  some.map(({ cell, hash: of }) => `${cell} ${of}`).toSorted();

describe('the lines that stay', () => {
  it('are no more than may, and the same in whatever order they come', () => {
    fc.assert(
      fc.property(lines, fc.integer({ min: 1, max: 120 }), fc.nat(), (all, limit, turn) => {
        const kept = keep(all, limit);
        expect(kept.length).toBeLessThanOrEqual(limit);
        const at = turn % (all.length + 1);
        const other = keep([...all.slice(at), ...all.slice(0, at).toReversed()], limit);
        expect(inOrder(other)).toEqual(inOrder(kept));
      }),
      { numRuns: 400 },
    );
  });

  it('of a cell that has few are all of them, however many another one has', () => {
    const of = (cell: number, count: number): Line[] => even(count, cell).map((one) => ({ cell, hash: one }));
    const [few, many] = [of(1, 60), of(2, 50_000)];
    const kept = keep([...many.slice(0, 30_000), ...few, ...many.slice(30_000)], 1_000);
    expect(kept.filter(({ cell }) => cell === 1)).toHaveLength(60);
    expect(kept.length).toBeGreaterThan(450);
  });

  it('of many cells are still some of each that is not rare', () => {
    const all = fc.sample(hash, { seed: 7, numRuns: 40_000 }).map((one, i) => ({ cell: i % 100, hash: one }));
    const cells = new Set(keep(all, 500).map(({ cell }) => cell));
    expect(cells.size).toBeGreaterThan(90);
  });

  it('say for how many others they stand', () => {
    const strata = new Strata();
    const all = even(20_000).map((one) => ({ cell: 1, hash: one }));
    const kept = keep(all, 1_000, strata);
    const told = kept.length / strata.shareOf(1);
    expect(Math.abs(told - all.length)).toBeLessThan(0.1 * all.length);
  });
});
