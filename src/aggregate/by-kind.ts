import type { Kind } from './row.js';

/** Things in an order, by the kind of line that each stands on: what is asked of a kind is asked once, not of each. */
export class ByKind<T> {
  readonly #kinds: Kind[] = [];
  readonly #counts: number[] = [];
  /** Of each thing, which kind it is of. */
  readonly #kindOf: Int32Array;

  constructor(
    readonly all: readonly T[],
    kindOf: (one: T) => Kind,
  ) {
    const numbers = new Map<Kind, number>();
    this.#kindOf = new Int32Array(all.length);
    for (let place = 0; place < all.length; place++) {
      const kind = kindOf(all[place]!);
      let number = numbers.get(kind);
      if (number === undefined) {
        numbers.set(kind, (number = this.#kinds.push(kind) - 1));
        this.#counts.push(0);
      }
      this.#counts[number]!++;
      this.#kindOf[place] = number;
    }
  }

  /** Each kind with how many there are of it, as they come first. */
  *counts(): Iterable<readonly [Kind, number]> {
    for (let number = 0; number < this.#kinds.length; number++)
      yield [this.#kinds[number]!, this.#counts[number]!];
  }

  some(matches: (kind: Kind) => boolean): boolean {
    return this.#kinds.some(matches);
  }

  /** All of the kinds that match, in their order. */
  where(matches: (kind: Kind) => boolean): readonly T[] {
    const { all } = this;
    const found = new Uint8Array(this.#kinds.length);
    let count = 0;
    for (let number = 0; number < found.length; number++) {
      if (!matches(this.#kinds[number]!)) continue;
      found[number] = 1;
      count += this.#counts[number]!;
    }
    if (count === all.length) return all;
    const some: T[] = [];
    for (let place = 0; some.length < count; place++)
      if (found[this.#kindOf[place]!] === 1) some.push(all[place]!);
    return some;
  }
}

/** Remembers what a function said of each kind of line. */
export function perKind<T>(compute: (kind: Kind) => T): (kind: Kind) => T {
  const known = new WeakMap<Kind, { readonly value: T }>();
  return ({ kind }) => {
    let found = known.get(kind);
    if (!found) known.set(kind, (found = { value: compute(kind) }));
    return found.value;
  };
}
