import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { BulkJob, Compiled } from './job.js';
import type { Weights } from '../aggregate/rows.js';
import { Lane, type LaneRead } from './lane.js';
import type { FileBytes, HeldBytes, Part } from './parts.js';

/** Who reads the parts of one lane, in the order in which they are given. */
export interface LaneReader {
  /** Takes a part; resolves when the next one may come. */
  readonly read: (part: Part) => Promise<void>;
  /** All parts were given: how many lines it keeps. @param known what all lanes answered before */
  readonly weigh: (known: readonly Weights[]) => Promise<Weights>;
  /** What all parts held. @param weights of all lanes, which keep no more lines together than one would */
  readonly finish: (weights: readonly Weights[]) => Promise<LaneRead>;
  /** Reads no more than it is reading. */
  readonly dismiss: () => unknown;
}

/** A part without its functions. */
export interface PartAsked extends Omit<Part, 'source' | 'bytes'> {
  readonly source: Pick<Part['source'], 'name' | 'origin' | 'kind'>;
  readonly bytes: FileBytes | Omit<HeldBytes, 'release'>;
}

/** Told of each part when it was read. */
export type OnRead = (part: Part) => void;

/** What a thread is asked, of one of its lanes. */
export type Asked = { readonly lane: number } & (
  | { readonly kind: 'part'; readonly part: PartAsked }
  | { readonly kind: 'weigh'; readonly known: readonly Weights[] }
  | { readonly kind: 'finish'; readonly weights: readonly Weights[] }
);
/** What it answers. The memory of a part that was held comes back. */
export type Answer = { readonly lane: number } & (
  | { readonly kind: 'read'; readonly memory: ArrayBuffer | undefined }
  | { readonly kind: 'weights'; readonly weights: Weights }
  | { readonly kind: 'held'; readonly held: LaneRead }
);

/** Why a thread did not answer. */
export class ThreadEnded extends Error {}

/** Parts of files that a lane is told of before it has read them: enough for no lane to wait. */
const AHEAD = 64;
/** The same of parts that are held in memory. */
const HELD_AHEAD = 2;
const YOUNG_MB = 4;

/** Reads in the calling thread; lets others have their turn between two parts. */
export class OwnLane implements LaneReader {
  readonly lane: Lane;
  /** Given and not read yet: who gives parts must come to those of the other lanes. */
  readonly #ahead: Part[] = [];

  constructor(
    compiled: Compiled,
    readonly onRead: OnRead,
  ) {
    this.lane = new Lane(compiled);
  }

  async read(part: Part): Promise<void> {
    this.#ahead.push(part);
    await this.#readUpTo(mostAhead(part) - 1);
  }

  async #readUpTo(left: number): Promise<void> {
    while (this.#ahead.length > left) {
      const part = this.#ahead.shift()!;
      await this.lane.read(part);
      this.onRead(part);
      if (part.bytes.kind === 'held') part.bytes.release(part.bytes.memory);
      await new Promise(setImmediate);
    }
  }

  async weigh(known: readonly Weights[]): Promise<Weights> {
    await this.#readUpTo(0);
    return this.lane.weigh(known);
  }

  async finish(weights: readonly Weights[]): Promise<LaneRead> {
    this.lane.finish(weights);
    return this.lane;
  }

  dismiss(): void {
    this.#ahead.length = 0;
  }
}

/** A thread that reads some lanes. */
export class LaneThread {
  readonly worker: Worker;
  /** Fails when it ends. */
  readonly ended: Promise<never>;

  constructor(job: BulkJob, start: () => Worker = () => startWorker(job)) {
    this.worker = start();
    let why = '';
    this.worker.on('error', (error) => (why = `: ${error}`));
    this.ended = once(this.worker, 'exit').then(([status]) => {
      throw new ThreadEnded(`it ended with status ${status}${why}`);
    });
    // Whoever waits will hear of it.
    this.ended.catch(() => undefined);
  }

  dismiss(): Promise<unknown> {
    return this.worker.terminate();
  }
}

/** Reads in a thread. */
export class ThreadLane implements LaneReader {
  /** Told to it and not read yet. */
  readonly #ahead: Part[] = [];
  #answered: (answer: Answer) => void = () => undefined;

  /** @param lane its number, by which the thread knows it */
  constructor(
    readonly thread: LaneThread,
    readonly lane: number,
    onRead: OnRead,
  ) {
    thread.worker.on('message', (answer: Answer) => {
      if (answer.lane !== lane) return;
      if (answer.kind === 'read') {
        const part = this.#ahead.shift()!;
        onRead(part);
        if (part.bytes.kind === 'held' && answer.memory) part.bytes.release(answer.memory);
      }
      this.#answered(answer);
    });
  }

  async read(part: Part): Promise<void> {
    const { name, origin, kind } = part.source;
    const { bytes } = part;
    if (bytes.kind === 'stream') throw new Error('a stream is read where it was opened');
    const bare =
      bytes.kind === 'file' ? bytes : { kind: bytes.kind, memory: bytes.memory, length: bytes.length };
    this.#ahead.push(part);
    const source = { name, origin, kind };
    const moved = bytes.kind === 'held' ? [bytes.memory] : [];
    this.#ask({ lane: this.lane, kind: 'part', part: { ...part, bytes: bare, source } }, moved);
    while (this.#ahead.length >= mostAhead(part)) await this.#answer();
  }

  async weigh(known: readonly Weights[]): Promise<Weights> {
    this.#ask({ lane: this.lane, kind: 'weigh', known });
    for (;;) {
      const answer = await this.#answer();
      if (answer.kind === 'weights') return answer.weights;
    }
  }

  async finish(weights: readonly Weights[]): Promise<LaneRead> {
    this.#ask({ lane: this.lane, kind: 'finish', weights });
    for (;;) {
      const answer = await this.#answer();
      if (answer.kind === 'held') return answer.held;
    }
  }

  dismiss(): Promise<unknown> {
    return this.thread.dismiss();
  }

  #ask(asked: Asked, moved: readonly ArrayBuffer[] = []): void {
    this.thread.worker.postMessage(asked, [...moved]);
  }

  /** The next answer. */
  #answer(): Promise<Answer> {
    return Promise.race([new Promise<Answer>((resolve) => (this.#answered = resolve)), this.thread.ended]);
  }
}

function mostAhead({ bytes }: Part): number {
  if (bytes.kind === 'stream') return 1;
  return bytes.kind === 'held' ? HELD_AHEAD : AHEAD;
}

function startWorker(job: BulkJob): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), {
    workerData: job,
    // Nearly nothing that it makes lives long.
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
  });
}
