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
