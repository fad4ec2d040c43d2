import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { BulkJob, Compiled } from './job.js';
import { Lane, type LaneRead } from './lane.js';
import type { Part } from './parts.js';

/** Who reads the parts of one lane, in the order in which they are given. */
export interface LaneReader {
  /** Takes a part; resolves when the next one may come. */
  readonly read: (part: Part) => Promise<void>;
  /** What all of them held. */
  readonly finish: () => Promise<LaneRead>;
  readonly dismiss: () => Promise<unknown>;
}

/** What a thread is asked: to read a part, without its source's functions, or to say what all of them held. */
export type Asked =
  'finish' | (Omit<Part, 'source'> & { readonly source: Pick<Part['source'], 'name' | 'origin' | 'kind'> });
export type Answer = 'read' | LaneRead;

/** Why a thread did not answer. */
export class ThreadEnded extends Error {}

/** Parts of files that a thread is told of before it has read them: enough never to wait. */
const AHEAD = 64;
/** The same of parts that are held in memory. */
const HELD_AHEAD = 2;
const YOUNG_MB = 4;

/** Reads in the calling thread; lets others have their turn between two parts. */
export class OwnLane implements LaneReader {
  readonly lane: Lane;

  constructor(compiled: Compiled) {
    this.lane = new Lane(compiled);
  }

  async read(part: Part): Promise<void> {
    await this.lane.read(part);
    await new Promise(setImmediate);
  }

  async finish(): Promise<LaneRead> {
    return this.lane.pack();
  }

  async dismiss(): Promise<void> {}
}

/** Reads in a thread of its own. */
export class WorkerLane implements LaneReader {
  readonly #worker: Worker;
  readonly #ended: Promise<never>;
  /** Told to it and not read yet. */
  #ahead = 0;
  #wake: (() => void) | undefined;

  constructor(job: BulkJob, start: () => Worker = () => startWorker(job)) {
    this.#worker = start();
    this.#ended = once(this.#worker, 'exit').then(([status]) => {
      throw new ThreadEnded(`it ended with status ${status}`);
    });
    // Whoever waits will hear of it.
    this.#ended.catch(() => this.#wake?.());
    this.#worker.on('error', () => undefined);
    this.#worker.on('message', (answer: Answer) => {
      if (answer !== 'read') return;
      this.#ahead--;
      this.#wake?.();
    });
  }

  async read(part: Part): Promise<void> {
    const { name, origin, kind } = part.source;
    this.#worker.postMessage({ ...part, source: { name, origin, kind } } satisfies Asked, []);
    this.#ahead++;
    const most = part.bytes.kind === 'held' ? HELD_AHEAD : AHEAD;
    while (this.#ahead >= most) {
      await Promise.race([new Promise<void>((resolve) => (this.#wake = resolve)), this.#ended]);
    }
  }

  async finish(): Promise<LaneRead> {
    const answered = new Promise<LaneRead>((resolve) => {
      this.#worker.on('message', (answer: Answer) => {
        if (answer !== 'read') resolve(answer);
      });
    });
    this.#worker.postMessage('finish' satisfies Asked, []);
    return Promise.race([answered, this.#ended]);
  }

  dismiss(): Promise<unknown> {
    return this.#worker.terminate();
  }
}

function startWorker(job: BulkJob): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), {
    workerData: job,
    // Nearly nothing that it makes lives long.
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
  });
}
