import type { Case } from '../aggregate/joins.js';
import type { Row } from '../aggregate/row.js';
import { countBefore } from '../aggregate/sorted.js';

/** Counting helpers over rows; all keep the order of first appearance unless they say otherwise. */

export function groupBy<T>(items: Iterable<T>, keyOf: (item: T) => string | null): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    if (key === null) continue;
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/** What is in any of some lists, each thing once. Often they are one and the same. */
export function union<T>(lists: Iterable<readonly T[]>): readonly T[] {
  const different = [...new Set(lists)];
  return different.length === 1 ? different[0]! : [...new Set(different.flat())];
}

/** How many lines, or requests that failed, some stand for: as many as they are, unless lines were sampled. */
export function weigh(some: Iterable<Row | Case>): number {
  let sum = 0;
  for (const one of some) sum += 'rows' in one ? one.rows[0]!.weight : one.weight;
  return sum;
}

/** Distinct values, most frequent first. */
export function byFrequency<T>(
  items: Iterable<T>,
  valueOf: (item: T) => string | null,
  weightOf: (item: T) => number = () => 1,
): [string, number][] {
  const counts = new Map<string, number>();
  for (const item of items) {
    const value = valueOf(item);
    if (value !== null) counts.set(value, (counts.get(value) ?? 0) + weightOf(item));
  }
  return [...counts].toSorted(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
}

export function distinct<T>(items: Iterable<T>, valueOf: (item: T) => string | null): string[] {
  const values = new Set<string>();
  for (const item of items) {
    const value = valueOf(item);
    if (value !== null) values.add(value);
  }
  return [...values];
}

/** `null` for no values. */
export function median(values: readonly number[]): number | null {
  return quantile(values, 0.5);
}

/** The median of all the values that some stand for; `null` for none. */
export function weightedMedian(
  some: readonly { readonly value: number; readonly weight: number }[],
): number | null {
  const byValue = some.toSorted((a, b) => a.value - b.value);
  const half = byValue.reduce((sum, { weight }) => sum + weight, 0) / 2;
  let below = 0;
  return byValue.find(({ weight }) => (below += weight) >= half)?.value ?? null;
}

/** Nearest rank; `null` for no values. */
export function quantile(values: readonly number[], q: number): number | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!;
}

export function least(values: Iterable<number>): number {
  let result = Infinity;
  for (const value of values) if (value < result) result = value;
  return result;
}

export function most(values: Iterable<number>): number {
  let result = -Infinity;
  for (const value of values) if (value > result) result = value;
  return result;
}

/** Lines in the order of their starts: which lie between two times is looked up, not searched. */
export class LinesInTime {
  readonly #rows: readonly Row[];
  /** What the first so many stand for. */
  readonly #weights: Float64Array;

  constructor(rows: readonly Row[]) {
    this.#rows = rows.filter((row) => Number.isFinite(row.start)).toSorted((a, b) => a.start - b.start);
    this.#weights = new Float64Array(this.#rows.length + 1);
    for (const [i, { weight }] of this.#rows.entries()) this.#weights[i + 1] = this.#weights[i]! + weight;
  }

  /** The lines that began from `first` to `last`, ms since the Unix epoch. */
  between(first: number, last: number): readonly Row[] {
    return this.#rows.slice(...this.#range(first, last));
  }

  /** What they stand for. */
  weightBetween(first: number, last: number): number {
    const [from, to] = this.#range(first, last);
    return this.#weights[to]! - this.#weights[from]!;
  }

  #range(first: number, last: number): [number, number] {
    const rows = this.#rows;
    const from = countBefore(rows.length, (i) => rows[i]!.start < first);
    return [
      from,
      Math.max(
        from,
        countBefore(rows.length, (i) => rows[i]!.start <= last),
      ),
    ];
  }
}
