const FEWEST_LINES = 256;

/** Where a kept line came from: its source's number, and its place there. */
export interface KeptLine {
  readonly bytes: Buffer;
  readonly stream: number;
  readonly number: number;
  readonly hash: number;
}

/** Lines as bytes, to be parsed when all are there and most of them are dropped again. */
export class KeptLines {
  size = 0;
  #arena = Buffer.allocUnsafeSlow(1 << 16);
  /** One past each line's last byte in the arena. */
  #ends = new Int32Array(FEWEST_LINES);
  #hashes = new Uint32Array(FEWEST_LINES);
  #numbers = new Float64Array(FEWEST_LINES);
  #streams = new Int32Array(FEWEST_LINES);

  push(bytes: Buffer, start: number, end: number, hash: number, stream: number, number: number): void {
    const row = this.size++;
    if (row === this.#ends.length) this.#widen();
    const from = this.#endOf(row - 1);
    const to = from + end - start;
    if (to > this.#arena.length) {
      const wider = Buffer.allocUnsafeSlow(Math.max(2 * this.#arena.length, to));
      this.#arena.copy(wider, 0, 0, from);
      this.#arena = wider;
    }
    bytes.copy(this.#arena, from, start, end);
    this.#ends[row] = to;
    this.#hashes[row] = hash;
    this.#numbers[row] = number;
    this.#streams[row] = stream;
  }

  /** Lets go of all lines but those. */
  retain(keeps: (hash: number) => boolean): void {
    let kept = 0;
    let used = 0;
    let from = 0;
    for (let row = 0; row < this.size; row++) {
      const to = this.#ends[row]!;
      if (keeps(this.#hashes[row]!)) {
        this.#arena.copyWithin(used, from, to);
        used += to - from;
        this.#ends[kept] = used;
        this.#hashes[kept] = this.#hashes[row]!;
        this.#numbers[kept] = this.#numbers[row]!;
        this.#streams[kept] = this.#streams[row]!;
        kept++;
      }
      from = to;
    }
    this.size = kept;
  }

  forEachHash(visit: (hash: number) => void): void {
    for (let row = 0; row < this.size; row++) visit(this.#hashes[row]!);
  }

  /** Whether some hash is on more lines than that. */
  hasCrowd(limit: number): boolean {
    if (this.size <= limit) return false;
    const sorted = this.#hashes.subarray(0, this.size).toSorted();
    for (let i = limit; i < sorted.length; i++) if (sorted[i] === sorted[i - limit]) return true;
    return false;
  }

  /** Hands over all lines in the order in which they came, and forgets them. */
  takeEach(take: (line: KeptLine) => void): void {
    const { size } = this;
    this.size = 0;
    for (let row = 0; row < size; row++) {
      take({
        bytes: this.#arena.subarray(this.#endOf(row - 1), this.#ends[row]),
        stream: this.#streams[row]!,
        number: this.#numbers[row]!,
        hash: this.#hashes[row]!,
      });
    }
  }

  #endOf(row: number): number {
    return row < 0 ? 0 : this.#ends[row]!;
  }

  #widen(): void {
    const wider = <T extends Int32Array | Uint32Array | Float64Array>(old: T, into: T): T => {
      into.set(old);
      return into;
    };
    const length = 2 * this.#ends.length;
    this.#ends = wider(this.#ends, new Int32Array(length));
    this.#hashes = wider(this.#hashes, new Uint32Array(length));
    this.#numbers = wider(this.#numbers, new Float64Array(length));
    this.#streams = wider(this.#streams, new Int32Array(length));
  }
}
