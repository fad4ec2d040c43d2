import { parentPort, workerData } from 'node:worker_threads';
import { Observation } from '../aggregate/observation.js';
import type { Asked } from './crew.js';
import { compileJob, readPart, type BulkJob } from './read-part.js';

/* A thread that reads parts, one at a time, and answers with what they held as numbers in tables. */

const port = parentPort!;
const job = workerData as BulkJob;
const compiled = compileJob(job);
const observation = new Observation(undefined, job.requestId);

port.on('message', ({ part, before }: Asked) => {
  void compiled.then(async (how) => {
    const source = { ...part.source, open: (): never => fail() };
    const read = await readPart({ ...part, source }, how, before, observation);
    port.postMessage(read, buffersIn(read));
  });
});

/** Memory that is handed over, not copied. */
function buffersIn(value: unknown): ArrayBuffer[] {
  if (ArrayBuffer.isView(value)) return [value.buffer as ArrayBuffer];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(buffersIn);
}

function fail(): never {
  throw new Error('a part is read from its own bytes');
}
