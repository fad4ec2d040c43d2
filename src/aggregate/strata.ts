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

/** The lines of a cell that are kept. */
export interface CellLines {
  /** How many, by leading zeros of their hashes. */
  readonly counts: Uint32Array;
  /** Those with fewer zeros were let go: it had more than few. */
  readonly zeros: number;
}

/** How many leading zeros lines need, at most and by cell, for no more than `limit` to stay. @param known they need as many at least */
function needed(
  cells: readonly CellLines[],
  limit: number,
  known: number,
): { all: number; of: readonly number[] } {
  const sums = cells.map(({ counts }) => fromZerosOn(counts));
  let few = FEW;
  const fewOf = (i: number): number => (cells[i]!.zeros > 0 ? few : Math.min(sums[i]![0]!, few));
  const total = (of: (i: number) => number): number => cells.reduce((sum, _, i) => sum + of(i), 0);
  while (few > 0 && total(fewOf) > limit / 2) few >>= 1;
  let all = known;
  while (all < BITS && total((i) => Math.max(sums[i]![all]!, fewOf(i))) > limit) all++;
  return {
    all,
    of: sums.map((sum) =>
      Math.min(
        all,
        sum.findIndex((count) => count <= few),
      ),
    ),
  };
}

/** How many there are with at least so many zeros; none with one more than there can be. */
function fromZerosOn(counts: Uint32Array): Uint32Array {
  const sums = new Uint32Array(BITS + 2);
  for (let zeros = BITS; zeros >= 0; zeros--) sums[zeros] = sums[zeros + 1]! + counts[zeros]!;
  return sums;
}

const NONE = new Uint32Array(BITS + 1);

/** Counts lines by cell and leading zeros. */
export class LineCounts {
  readonly byCell = new Map<number, Uint32Array>();

  add(cell: number, hash: number): void {
    let counts = this.byCell.get(cell);
    if (!counts) this.byCell.set(cell, (counts = new Uint32Array(BITS + 1)));
    counts[Math.clz32(hash)]!++;
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
  linesOf({ byCell }: LineCounts): Map<number, CellLines> {
    const lines = new Map<number, CellLines>();
    for (const [cell, counts] of byCell) lines.set(cell, { counts, zeros: this.zerosOf(cell) });
    for (const [cell, zeros] of this.#zeros.entries()) {
      if (zeros > 0 && !lines.has(cell)) lines.set(cell, { counts: NONE, zeros });
    }
    return lines;
  }

  /** The most zeros that any cell needs. */
  get all(): number {
    return this.#all;
  }

  /**
   * Asks as many zeros as it takes for no more than `limit` of the lines to stay.
   * @param cells by whichever names `cellOf` knows
   * @param known the most zeros that anybody asks who keeps some of them
   */
  fit<K>(
    cells: ReadonlyMap<K, CellLines>,
    limit: number,
    cellOf: (name: K) => number | undefined,
    known = this.#all,
  ): void {
    const { all, of } = needed([...cells.values()], limit, known);
    this.#all = all;
    let i = 0;
    for (const name of cells.keys()) {
      const zeros = of[i++]!;
      const cell = zeros > 0 ? cellOf(name) : undefined;
      if (cell !== undefined) this.#raise(cell, zeros);
    }
  }

  /** Of what comes now twice as much may stay. */
  relax(): void {
    this.#all = Math.max(0, this.#all - 1);
    for (let cell = 0; cell < this.#zeros.length; cell++) {
      if (this.#zeros[cell]! > 0) this.#zeros[cell]!--;
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
    this.#zeros[cell] = zeros;
    this.version++;
  }
}
