import type { Row } from '../aggregate/row.js';

/** The value that most durations share, and how many do: a timer, not chance. */
export function wallOf(rows: readonly Row[], tolerance = 0.03): { ms: number; count: number } {
  const durations = rows.map((row) => row.duration).toSorted((a, b) => a - b);
  let best = { ms: durations[0] ?? 0, count: 0 };
  for (let from = 0, to = 0; from < durations.length; from++) {
    const limit = durations[from]! + Math.max(30, durations[from]! * tolerance);
    while (to < durations.length && durations[to]! <= limit) to++;
    if (to - from > best.count) best = { ms: durations[from]!, count: to - from };
  }
  return best;
}

/** How far around a wall others are looked at. */
const AROUND = 1.5;
/** The best of all windows holds several by chance. */
const FAR_MORE = 20;
const FEWEST_TO_STAND_OUT = 10;

/** Whether far more durations share one value than lie around it: a timer ends some, whatever ends the others. */
export function standsOut(
  rows: readonly Row[],
  { ms, count }: { ms: number; count: number },
  tolerance = 0.03,
): boolean {
  const width = Math.max(30, ms * tolerance);
  const [from, to] = [ms / AROUND, ms * AROUND];
  const near = rows.filter(({ duration }) => duration >= from && duration <= to).length - count;
  const expected = (near * width) / (to - from - width);
  return count >= FEWEST_TO_STAND_OUT && count >= FAR_MORE * expected;
}
