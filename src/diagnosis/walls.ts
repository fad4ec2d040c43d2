import type { Row } from '../aggregate/row.js';

/** A value that durations share, and how many do. ms */
interface Wall {
  readonly ms: number;
  readonly count: number;
  /** How far above it they may be. */
  readonly width: number;
}

/** The value that most durations share, and how many do: a timer, not chance. */
export function wallOf(rows: readonly Row[], tolerance = 0.03): Wall {
  const durations = rows.map((row) => row.duration).toSorted((a, b) => a - b);
  const widthAt = (ms: number): number => Math.max(30, ms * tolerance);
  let best = { ms: durations[0] ?? 0, count: 0 };
  for (let from = 0, to = 0; from < durations.length; from++) {
    const limit = durations[from]! + widthAt(durations[from]!);
    while (to < durations.length && durations[to]! <= limit) to++;
    if (to - from > best.count) best = { ms: durations[from]!, count: to - from };
  }
  return { ...best, width: widthAt(best.ms) };
}

/** How far around a wall others are looked at. */
const AROUND = 1.5;
/** The best of all windows holds several by chance. */
const FAR_MORE = 20;
const FEWEST_TO_STAND_OUT = 10;

/** Whether far more durations share one value than lie around it: a timer ends some, whatever ends the others. */
export function standsOut(rows: readonly Row[], { ms, count, width }: Wall): boolean {
  const [from, to] = [ms / AROUND, ms * AROUND];
  const near = rows.filter(({ duration }) => duration >= from && duration <= to).length - count;
  const expected = (near * width) / (to - from - width);
  return count >= FEWEST_TO_STAND_OUT && count >= FAR_MORE * expected;
}
