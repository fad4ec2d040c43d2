import type { Row } from '../aggregate/row.js';
import type { Deepest } from './deepest.js';
import { median } from './stats.js';
import type { Study } from './study.js';

/* Whether answers take longer than they did. */

/** Median durations of requests to a place, ms, before some failures began and while they last. */
export interface Slowing {
  readonly before: number | null;
  readonly during: number | null;
  readonly grew: boolean;
}

export const answeredIn = (rows: readonly Row[]): readonly Row[] =>
  rows.filter((row) => !row.failure && row.answeredBy === 'peer' && !row.app4xx);
export const durationsOf = (rows: readonly Row[]): number[] => answeredIn(rows).map((row) => row.duration);

export const roseTo = (before: number | null, during: number | null): boolean =>
  before !== null && during !== null && during > 2 * before && during - before > 50;

/** Of those further down that the failed requests waited for, where nobody gave up: their answers tell. */
export function slowingBehind({ scene, first, last }: Study, { rows }: Deepest): Slowing {
  const lines = scene.linesOf(rows[0]!);
  const before = median(durationsOf(lines.filter((row) => row.end < first)));
  const during = median(durationsOf(lines.filter((row) => row.start >= first && row.start <= last)));
  return { before, during, grew: roseTo(before, during) };
}
