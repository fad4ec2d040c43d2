import { parentPort, workerData } from 'node:worker_threads';
import type { Asked } from './crew.js';
import { compileJob, readPart, type BulkJob } from './read-part.js';

/* A thread that reads parts, one at a time, and answers with what they held as numbers in tables. */

const port = parentPort!;
const compiled = compileJob(workerData as BulkJob);

port.on('message', (message: Asked) => {
  const { part, before } = message;
  void compiled.then(async (job) => {
    const source = { ...part.source, open: (): never => fail() };
    const read = await readPart({ ...part, source }, job, before);
    port.postMessage(read);
  });
});

function fail(): never {
  throw new Error('a part is read from its own bytes');
}
