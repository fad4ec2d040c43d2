import type { Kind } from '../aggregate/rows.js';

/** Things in an order, by the kind of line that each stands on: what is asked of a kind is asked once, not of each. */
export class ByKind<T> {
  readonly #places = new Map<Kind, number[]>();

  constructor(
    readonly all: readonly T[],
    kindOf: (one: T) => Kind,
  ) {
    for (let place = 0; place < all.length; place++) {
      const kind = kindOf(all[place]!);
      const list = this.#places.get(kind);
      if (list) list.push(place);
      else this.#places.set(kind, [place]);
    }
  }

  /** Each kind with how many there are of it, as they come first. */
  *counts(): Iterable<readonly [Kind, number]> {
    for (const [kind, { length }] of this.#places) yield [kind, length];
  }

  /** All of the kinds that match, in their order. */
  where(matches: (kind: Kind) => boolean): readonly T[] {
    const found: number[][] = [];
    for (const [kind, places] of this.#places) if (matches(kind)) found.push(places);
    if (found.length === this.#places.size) return this.all;
    const places = found.length === 1 ? found[0]! : Int32Array.from(found.flat()).toSorted();
    return Array.from(places, (place) => this.all[place]!);
  }
}
