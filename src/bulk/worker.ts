import { availableParallelism } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { parentPort, workerData } from 'node:worker_threads';
import type { BulkJob } from './job.js';
import { compileJob } from './job.js';
import { Lane } from './lane.js';
import type { Answer, Asked, PartAsked } from './lanes.js';
import type { Part } from './parts.js';

/* A thread that reads the parts of its lanes, one at a time, and at the end answers with what they held as numbers in tables. */

/** With the calling one. */
const BUSY_THREADS = 2;
/**
 * Where there are no more cores than busy threads, what V8 does beside them only takes their time: the little that is
 * collected is soon done by the thread itself, and most functions run too seldom to be worth optimizing.
 */
const FLAGS = ['--no-parallel-scavenge', '--interrupt-budget=540000'];

// They are the whole process's. Kept bytecode is only taken under the flags it was made with: by now all of it is loaded.
if (availableParallelism() <= BUSY_THREADS) FLAGS.forEach((flag) => setFlagsFromString(flag));

const port = parentPort!;
const compiled = compileJob(workerData as BulkJob);
const lanes = new Map<number, Lane>();
/** The part that is being read, behind those before. */
let reading: Promise<unknown> = compiled;

port.on('message', (asked: Asked) => {
  reading = reading.then(() => answer(asked));
});

async function answer(asked: Asked): Promise<void> {
  const { lane } = asked;
  let here = lanes.get(lane);
  if (!here) lanes.set(lane, (here = new Lane(await compiled)));
  switch (asked.kind) {
    case 'part': {
      const { bytes } = asked.part;
      await here.read(whole(asked.part));
      const memory = bytes.kind === 'held' ? bytes.memory : undefined;
      port.postMessage({ lane, kind: 'read', memory } satisfies Answer, memory ? [memory] : []);
      break;
    }
    case 'weigh':
      port.postMessage({ lane, kind: 'weights', weights: here.weigh(asked.known) } satisfies Answer, []);
      break;
    case 'finish': {
      here.finish(asked.weights);
      const held = { observation: here.observation.pack(), ends: here.ends };
      port.postMessage({ lane, kind: 'held', held } satisfies Answer, buffersIn(held));
      break;
    }
    default:
      asked satisfies never;
  }
}

/** A part, whose functions are wherever it was cut. */
function whole({ source, bytes, ...part }: PartAsked): Part {
  return {
    ...part,
    source: { ...source, open: () => fail() },
    bytes: bytes.kind === 'file' ? bytes : { ...bytes, release: () => undefined },
  };
}

/** Memory that is handed over, not copied. */
function buffersIn(value: unknown): ArrayBuffer[] {
  if (ArrayBuffer.isView(value)) return [value.buffer as ArrayBuffer];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(buffersIn);
}

function fail(): never {
  throw new Error('a part is read from its own bytes');
}
