import { describe, expect, it } from 'vitest';
import { timeShape } from '../../src/aggregate/time-shape.js';

const every = (ms: number, from: number, to: number): number[] =>
  Array.from({ length: Math.floor((to - from) / ms) }, (_, i) => from + i * ms);
/** Busy traffic over ten minutes; failing times are a part of it, off the beat of the rest. */
const minute = 60_000;
const all = every(250, 0, 10 * minute);
/** Taken from the traffic at uneven distances, so that nothing looks periodic. */
const some = (from: number, to: number, share: number): number[] =>
  all.filter((time, i) => time >= from && time < to && (i * 7919) % 1000 < share * 1000);

describe('the shape of failures in time', () => {
  it.each([
    ['three failures', [1, 2, 3], 'once'],
    ['all the time', some(0, 10 * minute, 0.3), 'always'],
    ['from the fifth minute on', some(5 * minute, 10 * minute, 0.5), 'step'],
    ['from the fourth to the sixth', some(4 * minute, 6 * minute, 0.5), 'window'],
    [
      'more and more',
      [
        ...some(2 * minute, 5 * minute, 0.05),
        ...some(5 * minute, 8 * minute, 0.2),
        ...some(8 * minute, 10 * minute, 0.8),
      ],
      'ramp',
    ],
    ['every thirty seconds', every(30_000, minute, 9 * minute), 'periodic'],
    ['now and then', [20_000, 21_500, 190_000, 193_000, 410_000, 417_000, 590_000], 'scattered'],
  ])('%s: %s', (_, failing, shape) => {
    expect(timeShape(failing, all, 0, 10 * minute)).toBe(shape);
  });

  it('tells a lull from a recovery: no traffic is no success', () => {
    const early = all.filter((time) => time < 6 * minute);
    expect(timeShape(some(3 * minute, 6 * minute, 0.5), early, 0, 10 * minute)).toBe('step');
  });
});
