import { expect, it } from 'vitest';
import { bench, isTold, type Bench } from './rig.js';

/** 20 pods, 5,000 lines a second, for 15 seconds; ended when nothing has come for 8 seconds. */
const LOAD = ['--pods', '20', '--rate', '5000', '--seconds', '15', '--quiet', '8'];

function expectRun({ row, written, stderr }: Bench): void {
  expect(written).toBe(row.written);
  expect(written).toBeGreaterThan(70_000);
  expect({ ended: row.ended_early, repeated: row.repeated }, stderr).toEqual({ ended: null, repeated: 0 });
}

it('parse reads every line once during a rollout', async () => {
  const run = await bench(...LOAD, '--roll');
  expectRun(run);
  expect(run.lost.slice(0, 5), run.stderr).toEqual([]);
});

it('parse reads every line once or tells a gap while files are rotated and connections reset', async () => {
  const run = await bench(...LOAD, '--rotate', '5s', '--chaos', '--reset-every 5s --seed 7');
  expectRun(run);
  const untold = run.lost.filter((line) => !isTold(line, run.gaps));
  expect(untold.slice(0, 5), run.stderr).toEqual([]);
  // What was rotated away while a connection was down can be had no more; that is little.
  expect(run.lost.length, run.stderr).toBeLessThan(run.written / 100);
});

it('parse repeats nothing and tells what it missed where connections stall over rotations', async () => {
  const load = ['--pods', '4', '--rate', '24000', '--seconds', '20', '--quiet', '8'];
  const run = await bench(...load, '--rotate', '1s', '--chaos', '--stall-every 7s --stall-for 6s');
  const { row, gaps, stderr } = run;
  expect({ ended: row.ended_early, repeated: row.repeated }, stderr).toEqual({ ended: null, repeated: 0 });
  // Not all that was written still lies in the files.
  expect(run.lost.filter((line) => !isTold(line, gaps)).slice(0, 5), stderr).toEqual([]);
  expect(row.lost === 0 || gaps.length > 0, stderr).toBe(true);
});
