import { mixed } from '../record/dictionary.js';

const FEWEST_PLACES = 64;

/**
 * Counts by pairs of whole numbers, in no order. Numbers and count of a pair lie side by side, since there are many, and
 * most are looked at where no cache has them.
 */
export class Pairs {
  size = 0;
  /** Four numbers a place: the pair, and its count as a float; a count of 0 is a free place. */
  #keys = new Int32Array(4 * FEWEST_PLACES);
  #counts = new Float64Array(this.#keys.buffer);

  add(first: number, second: number, times: number): void {
    const place = this.#placeOf(first, second);
    if (this.#counts[2 * place + 1] === 0) {
      if (times === 0) return;
      this.#keys[4 * place] = first;
      this.#keys[4 * place + 1] = second;
      this.size++;
      this.#counts[2 * place + 1] = times;
      if (this.size * 16 > this.#keys.length * 3) this.#widen(this.#keys.length / 2);
      return;
    }
    this.#counts[2 * place + 1]! += times;
  }

  /** All pairs by their first number. */
  byFirst(): ReadonlyMap<number, { readonly seconds: Int32Array; readonly counts: Float64Array }> {
    const lists = new Map<number, { seconds: number[]; counts: number[] }>();
    const keys = this.#keys;
    for (let place = 0; 4 * place < keys.length; place++) {
      const count = this.#counts[2 * place + 1]!;
      if (count === 0) continue;
      const first = keys[4 * place]!;
      let list = lists.get(first);
      if (!list) lists.set(first, (list = { seconds: [], counts: [] }));
      list.seconds.push(keys[4 * place + 1]!);
      list.counts.push(count);
    }
    return new Map(
      Array.from(lists, ([first, { seconds, counts }]) => [
        first,
        { seconds: Int32Array.from(seconds), counts: Float64Array.from(counts) },
      ]),
    );
  }

  #placeOf(first: number, second: number): number {
    const keys = this.#keys;
    const counts = this.#counts;
    const mask = keys.length / 4 - 1;
    let place = mixed(Math.imul(first, 0x9e3779b1) ^ second) & mask;
    while (counts[2 * place + 1] !== 0 && (keys[4 * place] !== first || keys[4 * place + 1] !== second)) {
      place = (place + 1) & mask;
    }
    return place;
  }

  #widen(places: number): void {
    const old = this.#keys;
    const oldCounts = this.#counts;
    this.#keys = new Int32Array(4 * places);
    this.#counts = new Float64Array(this.#keys.buffer);
    for (let from = 0; 4 * from < old.length; from++) {
      const count = oldCounts[2 * from + 1]!;
      if (count === 0) continue;
      const place = this.#placeOf(old[4 * from]!, old[4 * from + 1]!);
      this.#keys[4 * place] = old[4 * from]!;
      this.#keys[4 * place + 1] = old[4 * from + 1]!;
      this.#counts[2 * place + 1] = count;
    }
  }
}
