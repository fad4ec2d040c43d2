import { DDSketch } from '@datadog/sketches-js';

export interface Quantiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

const EXACT_LIMIT = 4096;

/** Durations in ms: exact while they are few, then a sketch with 1% relative error. */
export class Durations {
  #exact: number[] | undefined = [];
  readonly #sketch = new DDSketch({ relativeAccuracy: 0.01 });
  #max = 0;
  count = 0;

  add(ms: number, count = 1): void {
    this.count += count;
    if (ms > this.#max) this.#max = ms;
    this.#sketch.accept(ms, count);
    if (this.count > EXACT_LIMIT) this.#exact = undefined;
    if (this.#exact) for (let i = 0; i < count; i++) this.#exact.push(ms);
  }

  /** The longest is known to be this, whatever was rounded. */
  reaches(ms: number): void {
    if (ms > this.#max) this.#max = ms;
  }

  merge(other: Durations): void {
    this.count += other.count;
    this.#max = Math.max(this.#max, other.#max);
    this.#sketch.merge(other.#sketch);
    const together = this.#exact && other.#exact && [...this.#exact, ...other.#exact];
    this.#exact = together && together.length <= EXACT_LIMIT ? together : undefined;
  }

  /** `null` where nothing was added. */
  quantiles(): Quantiles | null {
    if (this.count === 0) return null;
    const sorted = this.#exact?.toSorted((a, b) => a - b);
    const at = (q: number): number =>
      sorted ? sorted[Math.ceil(q * sorted.length) - 1]! : Math.round(this.#sketch.getValueAtQuantile(q));
    return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: this.#max };
  }
}
