import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { Observation } from '../aggregate/observation.js';
import type { Logger } from '../logger.js';
import type { Part } from './parts.js';
import { readPart, type Before, type BulkJob, type Compiled, type PartRead } from './read-part.js';

/** What a worker is asked: a part without its source's functions. */
export interface Asked {
  readonly part: Omit<Part, 'source'> & { readonly source: Pick<Part['source'], 'name' | 'origin' | 'kind'> };
  readonly before: Before;
}

const YOUNG_MB = 4;

/** Reads parts, as many at once as there are threads; with none of its own in the calling one. */
export class Crew {
  readonly #idle: Worker[] = [];
  readonly #waiting: ((worker: Worker) => void)[] = [];
  readonly #workers = new Set<Worker>();
  readonly #observation: Observation;
  #last: Promise<PartRead | undefined> = Promise.resolve(undefined);

  /** @param threads 0: all is read where it is asked for. */
  constructor(
    readonly threads: number,
    readonly job: BulkJob,
    readonly compiled: Compiled,
    readonly log: Logger | undefined,
    readonly start: () => Worker = () => startWorker(job),
  ) {
    this.#observation = new Observation(undefined, job.requestId);
  }

  async read(part: Part, before: Before): Promise<PartRead> {
    if (this.threads === 0) return this.#readNext(part, before);
    if (part.bytes.kind === 'stream') return this.readHere(part, before);
    const worker = await this.#take();
    const { name, origin, kind } = part.source;
    const asked: Asked = { part: { ...part, source: { name, origin, kind } }, before };
    try {
      worker.postMessage(asked, []);
      const read = await answerOf(worker);
      this.#give(worker);
      return read;
    } catch (error) {
      // Its memory may have been too small for this part, or somebody ended it: what it read is read again.
      this.log?.warn({ input: name, error: String(error) }, 'a thread ended early; its part is read again');
      this.#workers.delete(worker);
      void worker.terminate();
      return this.readHere(part, before);
    }
  }

  /** In the calling thread, one after the other: each would only wait for the others. */
  #readNext(part: Part, before: Before): Promise<PartRead> {
    const read = this.#last.then(() => readPart(part, this.#toldOf(part), before, this.#observation));
    this.#last = read;
    return read;
  }

  readHere(part: Part, before: Before): Promise<PartRead> {
    return readPart(part, this.#toldOf(part), before);
  }

  /** What is met in a source that is read in one is told as it is met. */
  #toldOf({ first, last }: Part): Compiled {
    const { compiled, log } = this;
    return first && last && log ? { ...compiled, reading: { ...compiled.reading, log } } : compiled;
  }

  async #take(): Promise<Worker> {
    const idle = this.#idle.pop();
    if (idle) return idle;
    if (this.#workers.size < this.threads) {
      const worker = this.start();
      this.#workers.add(worker);
      return worker;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #give(worker: Worker): void {
    const next = this.#waiting.shift();
    if (next) next(worker);
    else this.#idle.push(worker);
  }

  async dismiss(): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => worker.terminate()));
  }
}

/** Rejects where the worker throws, and where it was ended from outside. */
async function answerOf(worker: Worker): Promise<PartRead> {
  const done = new AbortController();
  const { signal } = done;
  const exit = once(worker, 'exit', { signal }).then(([status]) => {
    throw new Error(`it ended with status ${status}`);
  });
  // Given up below.
  exit.catch(() => undefined);
  try {
    const [read] = (await Promise.race([once(worker, 'message', { signal }), exit])) as [PartRead];
    return read;
  } finally {
    done.abort();
  }
}

function startWorker(job: BulkJob): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), {
    workerData: job,
    // Nearly nothing that it makes lives long.
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
  });
}
