import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nthOf } from '../../src/aggregate/sorted.js';

describe('nthOf', () => {
  it('is what stands there when all are sorted', () => {
    const number = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ noNaN: true }));
    fc.assert(
      fc.property(fc.array(number, { minLength: 1, maxLength: 60 }), fc.nat(), (numbers, any) => {
        const place = any % numbers.length;
        const sorted = Float64Array.from(numbers).toSorted();
        expect(nthOf(Float64Array.from(numbers), place) === sorted[place]).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
