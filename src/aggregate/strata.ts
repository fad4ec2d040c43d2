/*
 * Which lines of a sample stay where there are too many. A line stays by its hash: one with `n` leading zeros is one of 2^n.
 * Lines of cells that have many stay by one number of zeros; of a cell that has few more do, so that what befell few requests
 * is not lost among millions of others. How many zeros a cell needs follows from all its lines, in whatever order they came:
 * halves of an input come to the same lines as the whole.
 */

/** Of a cell so many lines stay, where there are as many and the cells are not too many. */
const FEW = 64;
/** Bits of a hash. */
const BITS = 32;

/** Numbers that a hash may have of leading zeros. */
const WIDTH = BITS + 1;

/** The lines of some cells that are kept. */
export interface CellLines<Name> {
  readonly names: readonly Name[];
  /** By name, `WIDTH` each: how many, by leading zeros of their hashes. */
  readonly counts: Uint32Array;
  /** By name: lines with fewer zeros were let go, since the cell had more than few. */
  readonly zeros: Uint8Array;
}

/**
 * How many leading zeros lines need, at most and by cell, for no more than `limit` to stay.
 * @param known they need as many at least
 * @param gone cells that had more than few lines of which none is kept: as many as of others are to be kept of them
 */
function needed(
  { counts, zeros }: CellLines<unknown>,
  limit: number,
  known: number,
  gone: number,
): { all: number; of: Uint8Array } {
  const sums = fromZerosOn(counts);
  const cells = zeros.length;
  let few = FEW;
  const fewOf = (cell: number): number => (zeros[cell]! > 0 ? few : Math.min(sums[cell * WIDTH]!, few));
  const total = (of: (cell: number) => number): number => {
    let sum = gone * few;
    for (let cell = 0; cell < cells; cell++) sum += of(cell);
    return sum;
  };
  while (few > 0 && total(fewOf) > limit / 2) few >>= 1;
  let all = known;
  const lines = (cell: number): number => Math.max(sums[cell * WIDTH + all]!, fewOf(cell));
  while (all < BITS && total(lines) > limit) all++;
  const of = new Uint8Array(cells);
  for (let cell = 0; cell < cells; cell++) {
    let need = 0;
    while (need < all && sums[cell * WIDTH + need]! > few) need++;
    of[cell] = need;
  }
  return { all, of };
}

/** How many there are with at least so many zeros. */
function fromZerosOn(counts: Uint32Array): Uint32Array {
  const sums = counts.slice();
  for (let at = sums.length - 2; at >= 0; at--) if (at % WIDTH < BITS) sums[at]! += sums[at + 1]!;
  return sums;
}

/** Counts lines by cell and leading zeros. */
export class LineCounts<Name> {
  readonly #places = new Map<Name, number>();
  #counts = new Uint32Array(WIDTH * 16);

  add(name: Name, hash: number): void {
    // The counts may be elsewhere behind it.
    const place = this.placeOf(name);
    this.#counts[place + Math.clz32(hash)]!++;
  }

  /** Adds what others counted; returns all, with the most zeros that anybody asks for. */
  static sumOf<Name>(some: readonly CellLines<Name>[]): CellLines<Name> {
    const sums = new LineCounts<Name>();
    const zeros = new Map<Name, number>();
    for (const { names, counts, zeros: asked } of some) {
      for (const [i, name] of names.entries()) {
        const to = sums.placeOf(name);
        for (let at = 0; at < WIDTH; at++) sums.#counts[to + at]! += counts[i * WIDTH + at]!;
        if (asked[i]! > 0) zeros.set(name, Math.max(asked[i]!, zeros.get(name) ?? 0));
      }
    }
    return sums.told((name) => zeros.get(name) ?? 0);
  }

  /** Where the counts of a cell begin. */
  placeOf(name: Name): number {
    let place = this.#places.get(name);
    if (place === undefined) {
      this.#places.set(name, (place = this.#places.size * WIDTH));
      if (place === this.#counts.length) {
        const wider = new Uint32Array(2 * place);
        wider.set(this.#counts);
        this.#counts = wider;
      }
    }
    return place;
  }

  /** What was counted. @param zerosOf what is asked of the lines of a cell */
  told(zerosOf: (name: Name) => number): CellLines<Name> {
    const names = [...this.#places.keys()];
    const zeros = new Uint8Array(names.length);
    for (let i = 0; i < names.length; i++) zeros[i] = zerosOf(names[i]!);
    return { names, counts: this.#counts.slice(0, names.length * WIDTH), zeros };
  }
}

/** Strata as they cross to another thread. */
export interface PackedStrata {
  readonly all: number;
  readonly zeros: Uint8Array;
}

/** How many leading zeros the hash of a line needs to stay, by its cell. */
export class Strata {
  #all = 0;
  #zeros = new Uint8Array(64);
  /** Cells that need some zeros. */
  #thinned = 0;
  /** Counts changes. */
  version = 0;

  keeps(cell: number, hash: number): boolean {
    return Math.clz32(hash) >= this.zerosOf(cell);
  }

  zerosOf(cell: number): number {
    return this.#zeros[cell] ?? 0;
  }

  /** Of the lines of a cell the share that stays. */
  shareOf(cell: number): number {
    return 2 ** -this.zerosOf(cell);
  }

  /** Whether all lines stayed so far. */
  get isWhole(): boolean {
    return this.#all === 0;
  }

  /** By cell; those that are not there need none. */
  get zeros(): Uint8Array {
    return this.#zeros;
  }

  /** The lines that are kept, and the cells of which none is any more: they had more than few all the same. */
  linesOf(counts: LineCounts<number>): CellLines<number> {
    for (let cell = 0; cell < this.#zeros.length; cell++) if (this.#zeros[cell]! > 0) counts.placeOf(cell);
    return counts.told((cell) => this.zerosOf(cell));
  }

  /** The most zeros that any cell needs. */
  get all(): number {
    return this.#all;
  }

  /**
   * Asks as many zeros as it takes for no more than `limit` of the lines to stay.
   * @param lines by whichever names `cellOf` knows
   * @param known the most zeros that anybody asks who keeps some of them
   */
  fit<Name>(
    lines: CellLines<Name>,
    limit: number,
    cellOf: (name: Name) => number | undefined,
    known = this.#all,
    gone = 0,
  ): void {
    const { all, of } = needed(lines, limit, known, gone);
    this.#all = all;
    const { names } = lines;
    for (let i = 0; i < names.length; i++) {
      const cell = of[i]! > 0 ? cellOf(names[i]!) : undefined;
      if (cell !== undefined) this.#raise(cell, of[i]!);
    }
  }

  /** The same of lines that were counted by the cells' numbers, cell by cell where some are kept. */
  fitCounts(counts: LineCounts<number>, limit: number): void {
    const lines = counts.told((cell) => this.zerosOf(cell));
    const gone = this.#thinned - lines.zeros.reduce((some, zeros) => some + Number(zeros > 0), 0);
    this.fit(lines, limit, (cell) => cell, this.#all, gone);
  }

  /** Of what comes now twice as much may stay. */
  relax(): void {
    this.#all = Math.max(0, this.#all - 1);
    for (let cell = 0; cell < this.#zeros.length; cell++) {
      if (this.#zeros[cell]! > 0 && --this.#zeros[cell]! === 0) this.#thinned--;
    }
    this.version++;
  }

  pack(): PackedStrata {
    return { all: this.#all, zeros: this.#zeros.slice() };
  }

  /** @param cells what the other's are here */
  merge({ all, zeros }: PackedStrata, cells: Int32Array): void {
    this.#all = Math.max(this.#all, all);
    for (let cell = 0; cell < Math.min(cells.length, zeros.length); cell++) {
      if (zeros[cell]! > 0) this.#raise(cells[cell]!, zeros[cell]!);
    }
  }

  #raise(cell: number, zeros: number): void {
    if (this.zerosOf(cell) >= zeros) return;
    if (cell >= this.#zeros.length) {
      const wider = new Uint8Array(2 * cell);
      wider.set(this.#zeros);
      this.#zeros = wider;
    }
    if (this.zerosOf(cell) === 0) this.#thinned++;
    this.#zeros[cell] = zeros;
    this.version++;
  }
}
