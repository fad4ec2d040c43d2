import type { Readable } from 'node:stream';
import { ByteWriter } from '../record/byte-writer.js';

/** What comes within this time of the first bytes is taken together: an API server sends nearly every line by itself. */
const GATHER_MS = 40;
/** With so many bytes that nobody took, the sender is made to wait. */
const MOST_BYTES = 8 * 1024;
const FIRST_BYTES = 2 * 1024;
/** Memory of which a batch fills less than this share is given back. */
const ROOMY = 8;

/**
 * The bytes of a stream in batches, with back-pressure to its sender. They are copied as they come: thousands of small
 * chunks that wait would outlive a young collection, and then be memory until an old one.
 */
export class Batches {
  readonly #stream: Readable;
  /** What comes, and what was handed out last. */
  #coming = new ByteWriter(FIRST_BYTES);
  #taken = new ByteWriter(FIRST_BYTES);
  #state: 'open' | 'ended' | Error = 'open';
  #due = false;
  #timer: NodeJS.Timeout | undefined;
  #wake: (() => void) | undefined;

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    stream.on('end', () => this.#close('ended'));
    stream.on('error', (error: Error) => this.#close(error));
    stream.on('close', () => this.#close(new Error('the connection was cut')));
  }

  /** Bytes that came and were not taken. */
  get waiting(): number {
    return this.#coming.length;
  }

  /** The next batch, valid until the one after it is asked for; `null` at the end. @throws the stream's error, once all that came before it was taken */
  async next(): Promise<Buffer | null> {
    while (!this.#due) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#coming.length === 0) {
      if (this.#state instanceof Error) throw this.#state;
      return null;
    }
    const batch = this.#coming;
    const roomy = this.#taken.bytes.length > Math.max(FIRST_BYTES, batch.length * ROOMY);
    this.#coming = roomy ? new ByteWriter(FIRST_BYTES) : this.#taken;
    this.#coming.clear();
    this.#taken = batch;
    this.#due = this.#state !== 'open';
    if (this.#stream.isPaused()) this.#stream.resume();
    return batch.written;
  }

  #take(chunk: Buffer): void {
    this.#coming.append(chunk, 0, chunk.length);
    if (this.#coming.length >= MOST_BYTES) {
      this.#stream.pause();
      this.#ready();
    } else this.#timer ??= setTimeout(() => this.#ready(), GATHER_MS);
  }

  #close(state: 'ended' | Error): void {
    if (this.#state !== 'open') return;
    this.#state = state;
    this.#ready();
  }

  #ready(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due = true;
    this.#wake?.();
    this.#wake = undefined;
  }
}
