import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Counter } from '../../src/aggregate/counter.js';

const values = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k'), {
  maxLength: 200,
});

function counted(list: readonly string[], limit: number): Counter {
  const counter = new Counter(limit);
  for (const value of list) counter.add(value);
  return counter;
}

const total = (counter: Counter): number => counter.entries().reduce((sum, [, n]) => sum + n, counter.others);

describe('Counter', () => {
  it('is exact below its limit, heaviest first, then by value', () => {
    expect(counted(['b', 'a', 'c', 'c'], 8).entries()).toEqual([
      ['c', 2],
      ['a', 1],
      ['b', 1],
    ]);
  });

  it('loses no count, whatever the limit and wherever it is cut', () => {
    fc.assert(
      fc.property(values, fc.nat(200), fc.integer({ min: 1, max: 6 }), (list, cut, limit) => {
        const half = counted(list.slice(0, cut), limit);
        half.merge(counted(list.slice(cut), limit));
        expect(total(half)).toBe(list.length);
        expect(total(counted(list, limit))).toBe(list.length);
        expect(half.size).toBeLessThanOrEqual(2 * limit);
      }),
    );
  });

  it('merges to the same as the whole below its limit', () => {
    fc.assert(
      fc.property(values, fc.nat(200), (list, cut) => {
        const half = counted(list.slice(0, cut), 16);
        half.merge(counted(list.slice(cut), 16));
        expect(half.entries()).toEqual(counted(list, 16).entries());
      }),
    );
  });

  it('keeps a heavy value through any number of others', () => {
    const counter = new Counter(4);
    for (let i = 0; i < 1000; i++) {
      counter.add('heavy');
      counter.add(`light-${i}`);
    }
    expect(counter.entries()[0]).toEqual(['heavy', 1000]);
    expect(counter.size).toBeLessThanOrEqual(8);
    expect(total(counter)).toBe(2000);
  });
});
