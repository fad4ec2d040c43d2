import type { Row } from '../aggregate/row.js';
import { groupBy } from './stats.js';
import { wasAnswered } from './traits.js';

/** A time in which one pod refused, from its first refusal to its last. */
export interface Bout {
  readonly pod: string;
  readonly first: number;
  readonly last: number;
}

/** What lies further apart, with answers in between, is another time: the app came back, and went again. */
const BETWEEN_BOUTS_MS = 2_000;

export function boutsOf(refusals: readonly Row[], served: readonly Row[]): readonly Bout[] {
  return [...groupBy(refusals, (row) => row.proxy)].flatMap(([pod, rows]) => {
    const answers = served.filter((row) => row.proxy === pod && wasAnswered(row)).map((row) => row.start);
    const bouts: { pod: string; first: number; last: number }[] = [];
    for (const { start } of rows.toSorted((a, b) => a.start - b.start)) {
      const open = bouts.at(-1);
      const isNew =
        !open || (start - open.last > BETWEEN_BOUTS_MS && answers.some((at) => at > open.last && at < start));
      if (isNew) bouts.push({ pod, first: start, last: start });
      else open.last = start;
    }
    return bouts;
  });
}
