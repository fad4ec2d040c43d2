import type { ServerResponse } from 'node:http';

/*
 * The body of one answer on its way out: cut at any byte, held up, or broken off, as a test asks.
 */

/** `reset`: RST. `fin`: the connection is closed before the body's end. `end`: a clean end. `stall`: open, and silent. */
export type Cut = 'reset' | 'fin' | 'end' | 'stall';

/** Pieces of 1 to `max` bytes, each a chunk of its own on the wire; the same ones for the same seed. */
export interface Chunks {
  readonly seed: number;
  readonly max: number;
}

/** Numbers in [0, 1): mulberry32. */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Body {
  readonly #response: ServerResponse;
  readonly #pieces: (() => number) | null;
  #queue: Buffer[] = [];
  #queued = 0;
  #blocked = false;
  #ending = false;
  #stalled = false;
  #cutAt: { readonly byte: number; readonly how: Cut } | null = null;
  #cutNextLine: Cut | null = null;
  /** Bytes handed to the socket. */
  sent = 0;
  /** Nothing more goes out: ended, broken off, or left by the client. */
  over = false;
  /** Called when there is room again, after `isFull`. */
  onRoom: () => void = () => {};
  readonly closed: Promise<void>;

  constructor(response: ServerResponse, chunks: Chunks | null) {
    this.#response = response;
    if (chunks) {
      const next = random(chunks.seed);
      this.#pieces = () => 1 + Math.floor(next() * chunks.max);
    } else this.#pieces = null;
    this.closed = new Promise((resolve) => {
      response.once('close', () => {
        this.over = true;
        resolve();
      });
    });
    response.on('drain', () => {
      this.#blocked = false;
      this.#pump();
      if (!this.isFull) this.onRoom();
    });
  }

  /** The socket takes no more for now: back-pressure from the client, or a stall. */
  get isFull(): boolean {
    return this.over || this.#blocked || this.#stalled;
  }

  get isStalled(): boolean {
    return this.#stalled;
  }

  write(bytes: Buffer): void {
    if (this.over || this.#ending || bytes.length === 0) return;
    if (this.#cutNextLine) {
      const newline = bytes.indexOf(10);
      const half = Math.ceil((newline < 0 ? bytes.length : newline) / 2);
      this.#cutAt = { byte: this.sent + this.#queued + half, how: this.#cutNextLine };
      this.#cutNextLine = null;
    }
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    this.#pump();
  }

  end(): void {
    this.#ending = true;
    this.#pump();
  }

  /** After so many bytes of the body; 0: before the answer's head, too. */
  cutAfter(byte: number, how: Cut): void {
    this.#cutAt = { byte, how };
    this.#pump();
  }

  /** Now, behind what is on its way. */
  cut(how: Cut): void {
    this.cutAfter(this.sent + this.#queued, how);
  }

  /** In the middle of the line that is written next. */
  cutInNextLine(how: Cut): void {
    this.#cutNextLine = how;
  }

  stall(): void {
    this.#stalled = true;
  }

  resume(): void {
    this.#stalled = false;
    this.#pump();
    if (!this.isFull) this.onRoom();
  }

  #pump(): void {
    while (!this.over && !this.#stalled) {
      if (this.#cutAt && this.sent >= this.#cutAt.byte) return this.#break(this.#cutAt.how);
      const first = this.#queue[0];
      if (!first) break;
      // A body that is broken off, or cut up, goes out whatever the socket says: it is small.
      if (this.#blocked && !this.#cutAt && !this.#pieces) return;
      const most = Math.min(this.#pieces?.() ?? first.length, (this.#cutAt?.byte ?? Infinity) - this.sent);
      const piece = first.subarray(0, most);
      if (piece.length < first.length) this.#queue[0] = first.subarray(most);
      else this.#queue.shift();
      this.sent += piece.length;
      this.#queued -= piece.length;
      if (!this.#response.write(piece)) this.#blocked = true;
    }
    if (this.#ending && !this.over && !this.#stalled && this.#queue.length === 0) {
      this.over = true;
      this.#response.end();
    }
  }

  #break(how: Cut): void {
    this.#cutAt = null;
    if (how === 'stall') return this.stall();
    this.over = true;
    if (how === 'end') return void this.#response.end();
    const { socket } = this.#response;
    if (!socket) return;
    const close = () => (how === 'reset' ? socket.resetAndDestroy() : socket.end());
    // What was written before goes out first, unless the client does not take it.
    if (this.#blocked) close();
    else setImmediate(() => socket.write('', close));
  }
}
