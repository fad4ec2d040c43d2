/**
 * Counts by value in bounded memory: exact, and the same however an input is cut and merged, until there are more than
 * twice `limit` values; then the heaviest `limit` stay and the rest goes to `others`. A value that comes back later is
 * counted from then on, so that beyond the limit counts are lower bounds and depend on the order of the input.
 */
export class Counter {
  readonly #limit: number;
  #counts = new Map<string, number>();
  others = 0;

  constructor(limit = 2048) {
    this.#limit = limit;
  }

  add(value: string, count = 1): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + count);
    if (this.#counts.size > 2 * this.#limit) this.#compact();
  }

  merge(other: Counter): void {
    for (const [value, count] of other.#counts)
      this.#counts.set(value, (this.#counts.get(value) ?? 0) + count);
    this.others += other.others;
    if (this.#counts.size > 2 * this.#limit) this.#compact();
  }

  get(value: string): number {
    return this.#counts.get(value) ?? 0;
  }

  /** All that was counted. */
  get total(): number {
    let total = this.others;
    for (const count of this.#counts.values()) total += count;
    return total;
  }

  /** In no order. */
  values(): IterableIterator<string> {
    return this.#counts.keys();
  }

  get size(): number {
    return this.#counts.size;
  }

  /** Heaviest first, then by value. */
  entries(): [string, number][] {
    return [...this.#counts].toSorted(([a, n], [b, m]) => m - n || (a < b ? -1 : a > b ? 1 : 0));
  }

  #compact(): void {
    const entries = this.entries();
    this.#counts = new Map(entries.slice(0, this.#limit));
    for (const [, count] of entries.slice(this.#limit)) this.others += count;
  }
}
