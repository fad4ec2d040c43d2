import { once } from 'node:events';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { packageRoot } from '../../src/paths.js';
import type { EngineJob, FromEngine, ToEngine } from '../../src/replay/protocol.js';
import { WHOLE } from '../replay/spec.js';
import { line } from './run.js';

/* The built thread that reads for the screen. */

const JOB: EngineJob = {
  live: null,
  inputs: ['-'],
  maxLine: 65_536,
  format: undefined,
  envelopeKeys: [],
  selection: { filter: [], include: [], exclude: [] },
};
const SPEC: ToEngine = { kind: 'spec', spec: WHOLE };
const PIECES = 400;
/** With times in microseconds, which are read one by one: it takes a while. */
const piece = Buffer.from(
  Array.from(
    { length: 200 },
    (_, i) => `${line({ second: i % 60, code: i % 20 ? 200 : 503 }).replace('Z]', '123Z]')}\n`,
  ).join(''),
);

it('shows what it has, and hears what is asked, while more comes than it can read', async () => {
  const engine = new Worker(join(packageRoot, 'dist', 'program', 'screen-engine.cjs'), { workerData: JOB });
  const tell = (message: ToEngine): void => engine.postMessage(message, []);
  // All at once: between two pieces nothing else gets its turn.
  for (let i = 0; i < PIECES; i++) tell({ kind: 'chunk', bytes: new Uint8Array(piece) });
  tell(SPEC);
  tell({ kind: 'chunk', bytes: null });
  const shown: number[] = [];
  let whole = 0;
  engine.on('message', (message: FromEngine) => {
    if (message.kind === 'snapshot' && !message.snapshot.reading.done) shown.push(message.snapshot.lines);
    if (message.kind === 'snapshot' && message.snapshot.reading.done) whole = message.snapshot.lines;
    if (message.kind === 'progress' && message.reading.done) void engine.terminate();
  });
  await once(engine, 'exit');
  expect(whole).toBe(PIECES * 200);
  expect(shown.length).toBeGreaterThan(0);
  expect(shown[0]).toBeGreaterThan(0);
  expect(shown[0]).toBeLessThan(whole);
});
