/*
 * How failures lie in time. Told on start times alone, against what else was sent, so that a busy minute is no burst.
 */

/**
 * `always`: from the first part of the input to the last; `step`: from some moment on; `window`: between two moments;
 * `ramp`: growing; `periodic`: at equal intervals; `scattered`: now and then; `once`: too few to tell.
 */
export type TimeShape = 'always' | 'step' | 'window' | 'ramp' | 'periodic' | 'scattered' | 'once';

const BINS = 24;
/** Fewer failures than this have no shape. */
const FEWEST = 4;

/** @param failing and `all` start times in ms; `first` and `last` bound the input. */
export function timeShape(
  failing: readonly number[],
  all: readonly number[],
  first: number,
  last: number,
): TimeShape {
  if (failing.length < FEWEST || last <= first) return 'once';
  if (isPeriodic(failing)) return 'periodic';
  const width = (last - first) / BINS;
  const binOf = (time: number): number => Math.min(BINS - 1, Math.max(0, Math.floor((time - first) / width)));
  const failures = new Float64Array(BINS);
  const requests = new Float64Array(BINS);
  for (const time of failing) failures[binOf(time)]!++;
  for (const time of all) requests[binOf(time)]!++;
  const from = failures.findIndex((count) => count > 0);
  const to = failures.findLastIndex((count) => count > 0);
  const busy = (lo: number, hi: number): number[] =>
    Array.from({ length: hi - lo + 1 }, (_, i) => lo + i).filter((bin) => requests[bin]! > 0);
  const inside = busy(from, to);
  const filled = inside.filter((bin) => failures[bin]! > 0).length;
  if (filled < inside.length * 0.6) return 'scattered';
  const share = (bins: readonly number[]): number => {
    const sent = bins.reduce((sum, bin) => sum + requests[bin]!, 0);
    return sent === 0 ? 0 : bins.reduce((sum, bin) => sum + failures[bin]!, 0) / sent;
  };
  const third = Math.floor(inside.length / 3);
  if (third >= 2 && share(inside.slice(0, third)) * 3 < share(inside.slice(-third))) return 'ramp';
  const begins = busy(0, from - 1).length === 0;
  const ends = busy(to + 1, BINS - 1).length <= 1;
  if (begins && ends) return 'always';
  return ends ? 'step' : 'window';
}

/** Equal gaps between single failures, with little spread. */
function isPeriodic(failing: readonly number[]): boolean {
  const times = failing.toSorted((a, b) => a - b);
  const gaps = times.slice(1).map((time, i) => time - times[i]!);
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  if (gaps.length < 5 || mean < 500) return false;
  const spread = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length);
  return spread < mean * 0.1;
}
