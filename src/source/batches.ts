import type { Readable } from 'node:stream';

/** What comes within this time of the first bytes is taken together: an API server sends nearly every line by itself. */
const GATHER_MS = 40;
/** With so many bytes that nobody took, the sender is made to wait. */
const MOST_BYTES = 64 * 1024;

/** The bytes of a stream in batches, with back-pressure to its sender. */
export class Batches {
  readonly #stream: Readable;
  #chunks: Buffer[] = [];
  #bytes = 0;
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
    return this.#bytes;
  }

  /** The next batch; `null` at the end. @throws the stream's error, once all that came before it was taken */
  async next(): Promise<Buffer | null> {
    while (!this.#due) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#bytes === 0) {
      if (this.#state instanceof Error) throw this.#state;
      return null;
    }
    const batch = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks, this.#bytes);
    this.#chunks = [];
    this.#bytes = 0;
    this.#due = this.#state !== 'open';
    if (this.#stream.isPaused()) this.#stream.resume();
    return batch;
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= MOST_BYTES) {
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
