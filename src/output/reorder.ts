import { ByteWriter } from '../record/byte-writer.js';

/** Lines as bytes, with the time of each. */
class Lines {
  readonly out = new ByteWriter();
  readonly at: number[] = [];
  readonly ends: number[] = [];

  startOf(index: number): number {
    return index === 0 ? 0 : this.ends[index - 1]!;
  }

  clear(): void {
    this.out.clear();
    this.at.length = 0;
    this.ends.length = 0;
  }
}

/** More bytes than this do not wait for the window's end: a burst must not fill the memory. A batch more fits into 4 MiB. */
const MOST_BYTES = (4 << 20) - (512 << 10);
const PIECE_BYTES = 128 << 10;
/** With the line that makes it full. */
const PIECE_ROOM = PIECE_BYTES + (32 << 10);
/** Pieces that are kept to be filled again: about what goes out at once when lines come fast. */
const MOST_PIECES = 16;
const LF = 10;

/** Takes lines; calls `done` when it needs their memory no longer. */
export type WriteLines = (lines: Buffer, done: () => void) => void;

/**
 * Puts lines of several streams in the order of their times, as far as they come within a window of each other: a line
 * waits at least that long for one that is older, unless there are too many. What comes later than that goes out when it
 * comes.
 */
export class ReorderWindow {
  #fresh = new Lines();
  #aged = new Lines();
  /** Those of the aged lines that have not gone out. */
  #waiting: number[] = [];
  #at = 0;
  #sorted = new ByteWriter(PIECE_ROOM);
  /** Pieces that went out: memory that is given back soon is asked for again soon. */
  readonly #free: ByteWriter[] = [];

  /** Where the next line is written to, without its newline. */
  get out(): ByteWriter {
    return this.#fresh.out;
  }

  /** There is so much that `turn` should be called at once. */
  get isFull(): boolean {
    return this.#fresh.out.length >= MOST_BYTES;
  }

  /** What was written to `out` since the last call is one line, of this time; NaN: of that of the line before. */
  push(at: number): void {
    const { out, at: times, ends } = this.#fresh;
    if (!Number.isNaN(at)) this.#at = at;
    out.byte(LF);
    times.push(this.#at);
    ends.push(out.length);
  }

  /** Called once per window: hands out lines that waited a whole one, and those that are older than these, in order. */
  turn(write: WriteLines): void {
    const aged = this.#aged;
    const fresh = this.#fresh;
    let due = -Infinity;
    for (const index of this.#waiting) due = Math.max(due, aged.at[index]!);
    const going = this.#waiting;
    const staying: number[] = [];
    // Those of the fresh lines are told from the others by their sign.
    for (let index = 0; index < fresh.at.length; index++) {
      if (fresh.at[index]! <= due) going.push(~index);
      else staying.push(index);
    }
    const timeOf = (index: number): number => (index < 0 ? fresh.at[~index]! : aged.at[index]!);
    going.sort((a, b) => timeOf(a) - timeOf(b));
    for (const index of going) {
      const lines = index < 0 ? fresh : aged;
      const line = index < 0 ? ~index : index;
      this.#sorted.append(lines.out.bytes, lines.startOf(line), lines.ends[line]!);
      if (this.#sorted.length >= PIECE_BYTES) this.#handOut(write);
    }
    if (this.#sorted.length > 0) this.#handOut(write);
    aged.clear();
    this.#aged = fresh;
    this.#fresh = aged;
    this.#waiting = staying;
  }

  #handOut(write: WriteLines): void {
    const piece = this.#sorted;
    this.#sorted = this.#free.pop() ?? new ByteWriter(PIECE_ROOM);
    write(piece.written, () => {
      piece.clear();
      if (this.#free.length < MOST_PIECES) this.#free.push(piece);
    });
  }
}
