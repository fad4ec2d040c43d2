import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CellValues, DURATION } from '../../src/aggregate/cell-values.js';
import { hashBytes } from '../../src/record/dictionary.js';
import { Span } from '../../src/record/span.js';

const AGENT = 3;

function idOf(values: CellValues, kind: number, text: string): number {
  const bytes = Buffer.from(text);
  return values.idOf(kind, bytes, 0, bytes.length, hashBytes(bytes, 0, bytes.length));
}

/** How often each value was met, by cell and kind; without what was not kept by `''`. */
function countsOf(values: CellValues, whole = false): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  values.forEachRun((cell, kind, ids, times) => {
    for (const [i, id] of ids.entries()) {
      const value = whole ? '' : kind === DURATION ? String(id) : values.text(kind, id);
      const key = `${cell} ${kind} ${value}`;
      counts.set(key, (counts.get(key) ?? 0) + times[i]!);
    }
  });
  return counts;
}

interface Counted {
  readonly cell: number;
  readonly kind: number;
  readonly values: readonly number[];
}

const counted: fc.Arbitrary<Counted> = fc.record({
  cell: fc.nat(3),
  kind: fc.constantFrom(0, AGENT, DURATION),
  values: fc.uniqueArray(fc.nat(40), { minLength: 1, maxLength: 30 }),
});

/** Values one by one, as a run, or as a run of another tally. */
type Step = 'one by one' | 'run' | 'merged';

function add(values: CellValues, step: Step, { cell, kind, values: some }: Counted): void {
  if (step === 'merged') {
    const others = new CellValues();
    add(others, 'run', { cell: 0, kind, values: some });
    return values.merge(structuredClone(others.pack()), Int32Array.of(cell));
  }
  if (step === 'run') {
    const ids = Int32Array.from(some, (value) =>
      kind === DURATION ? value : idOf(values, kind, `v${value}`),
    );
    values.expect(some.length);
    values.addRun(cell, kind, ids, new Float64Array(some.length).fill(1));
    return values.shed();
  }
  const span = new Span();
  for (const value of some) {
    if (kind === DURATION) values.addDuration(cell, value);
    else {
      span.set(`v${value}`);
      values.add(cell, kind, span);
    }
  }
}

describe('the values of cells', () => {
  it('are counted alike one by one, in runs, and in another tally', () => {
    const steps = fc.array(fc.tuple(fc.constantFrom<Step>('one by one', 'run', 'merged'), counted), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(steps, (all) => {
        const values = new CellValues();
        const expected = new Map<string, number>();
        for (const [step, some] of all) {
          add(values, step, some);
          for (const value of some.values) {
            const key = `${some.cell} ${some.kind} ${some.kind === DURATION ? value : `v${value}`}`;
            expected.set(key, (expected.get(key) ?? 0) + 1);
          }
        }
        expect(countsOf(values)).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });

  it('lose none where they are too many, nor hold the texts of those that do not stay', () => {
    const values = new CellValues();
    const many = 610_000;
    let next = 0;
    for (let take = 0; take < 4; take++) {
      const ids = Int32Array.from({ length: many }, () => idOf(values, AGENT, `agent ${next++}`));
      values.expect(many + 1);
      values.addRun(1, AGENT, ids, new Float64Array(many).fill(1));
      values.addRun(1, DURATION, Int32Array.of(take), Float64Array.of(7));
      values.shed();
    }
    expect([...countsOf(values, true)]).toEqual([
      [`1 ${AGENT} `, 4 * many],
      [`1 ${DURATION} `, 28],
    ]);
    expect(values.size(AGENT)).toBeLessThan(2 * many);
  });

  it('are few again once they were too many, durations too, so that it is seldom done', () => {
    const values = new CellValues();
    for (let i = 0; i < 650_000; i++) {
      values.addDuration(1 + (i % 8_000), Math.floor(i / 8_000));
      values.shed();
    }
    const counts = [...countsOf(values)].map(([, count]) => count);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(650_000);
    expect(counts.length).toBeLessThan(400_000);
  });
});
