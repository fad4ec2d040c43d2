import { truncateSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LaneThread, ThreadLane } from '../../dist/src/bulk/lanes.js';
import { observeAll } from '../../dist/src/bulk/observe-all.js';
import { chunksOf, partsOf } from '../../dist/src/bulk/parts.js';
import { observe } from '../../dist/src/pipeline.js';
import { fileSource } from '../../dist/src/source/file.js';
import type { Logger } from '../../src/logger.js';
import { DEFAULT_MAX_LINE } from '../../src/record/line.js';
import { scratch } from '../e2e/run.js';
import { job } from './job.js';
import { incidents, logsOf, reportJson, sampleLines } from '../logs.js';

/*
 * Reading in parts, on the built program: threads need it. What is said of an input must not depend on how it was cut, nor
 * on how many threads read it.
 */

const { file } = scratch();
const CUT = { size: 1 << 20, maxLine: DEFAULT_MAX_LINE };
async function inOne(paths: readonly string[], maxLine = job.maxLine): Promise<string> {
  const { observation } = await observe(paths.map(fileSource), { maxLine, envelopeKeys: job.envelopeKeys });
  return reportJson(observation);
}

async function inParts(
  paths: readonly string[],
  size: number,
  { threads = 0, maxLine = job.maxLine } = {},
): Promise<string> {
  const { observation, failed } = await observeAll(
    paths.map(fileSource),
    { ...job, maxLine },
    { threads, size },
  );
  expect(failed).toEqual([]);
  return reportJson(observation);
}

const lines = sampleLines().map((line) =>
  line.at(-1) === 10 ? line : Buffer.concat([line, Buffer.from('\n')]),
);

describe('an input in parts', () => {
  it.each(incidents.filter((_, i) => i % 16 === 0))(
    '%s is the same report, cut small and by two threads',
    async (incident) => {
      const paths = logsOf(incident).map(({ name, bytes }) => file(name.replace(/\.gz$/, ''), bytes));
      const whole = await inOne(paths);
      expect(await inParts(paths, 20_000)).toBe(whole);
      expect(await inParts(paths, 50_000, { threads: 2 })).toBe(whole);
    },
  );

  it('is the same whatever the lines and wherever they are cut', async () => {
    const part = fc.array(fc.constantFrom(...lines), { minLength: 1, maxLength: 150 });
    await fc.assert(
      fc.asyncProperty(
        part,
        fc.integer({ min: 1, max: 20_000 }),
        fc.constantFrom(0, 1, 90),
        async (some, size, cut) => {
          const bytes = Buffer.concat(some);
          const path = file('some.log', bytes.subarray(0, bytes.length - Math.min(cut, bytes.length - 1)));
          expect(await inParts([path], size)).toBe(await inOne([path]));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is the same packed', async () => {
    const plain = Buffer.concat(Array.from({ length: 3 }, () => lines).flat());
    const path = file('packed.log.gz', gzipSync(plain));
    for (const threads of [1, 2])
      expect(await inParts([path], 30_000, { threads })).toBe(await inOne([path]));
  });

  it('may hold a line that is longer than many parts', async () => {
    const long = Buffer.concat([lines[0]!, Buffer.alloc(3_000_000, 120), Buffer.from('\n'), lines[1]!]);
    for (const path of [file('long.log', long), file('long.log.gz', gzipSync(long))]) {
      expect(await inParts([path], 64_000, { maxLine: 5_000 })).toBe(await inOne([path], 5_000));
    }
  });

  it('may begin a part with a line that was cut, behind lines that were not', async () => {
    const whole = lines.find((line) => line.toString('utf8', 0, 3) === '[20' && line.includes('outbound|'))!;
    const text = whole.toString().trimEnd();
    const short = `${text.slice(0, text.lastIndexOf(' outbound|'))}\n`;
    const path = file('cut.log', `${`${text}\n`.repeat(400)}${short.repeat(50)}${`${text}\n`.repeat(30)}`);
    for (const size of [1_000, 5_000, 40_000]) expect(await inParts([path], size)).toBe(await inOne([path]));
  });

  it('is told from another file with the same content', async () => {
    const bytes = Buffer.concat(lines);
    const paths = [file('one.log', bytes), file('two.log', bytes)];
    expect(await inParts(paths, 9_000, { threads: 2 })).toBe(await inOne(paths));
  });
});

describe('what goes wrong', () => {
  it('a file that becomes shorter is said to, and what was read counts', async () => {
    const path = file('shorter.log', Buffer.concat(lines));
    const parts = [];
    for await (const part of partsOf(fileSource(path), CUT)) parts.push(part);
    truncateSync(path, 1_000);
    await expect(async () => {
      for await (const _ of chunksOf(parts[0]!)) void _;
    }).rejects.toThrow(/became shorter while it was read/);
  });

  it('a file that is gone is told, the others count', async () => {
    const path = file('there.log', lines[0]!);
    const { observation, failed } = await observeAll([`${path}.gone`, path].map(fileSource), job, {
      threads: 2,
    });
    expect(failed.map(({ code }) => code)).toEqual(['file-not-found']);
    expect(observation.snapshot().coverage.lines).toBe(1);
  });

  it('a thread that dies is told of by its lane', async () => {
    const path = file('dies.log', Buffer.concat(lines));
    const dying = () =>
      new Worker('require("node:worker_threads").parentPort.on("message", () => process.exit(3))', {
        eval: true,
      });
    const lane = new ThreadLane(new LaneThread(job, dying), 1, () => undefined);
    let index = 0;
    for await (const part of partsOf(fileSource(path), CUT)) await lane.read({ ...part, index: index++ });
    await expect(lane.weigh([])).rejects.toThrow('ended with status 3');
  });

  it('what a thread that dies was to read is read again', async () => {
    const path = file('again.log', Buffer.concat([...lines, ...lines]));
    const told: unknown[] = [];
    const log = { info: () => undefined, warn: (_: unknown, text: string) => told.push(text) };
    const { observation, failed } = await observeAll([fileSource(path)], job, {
      threads: 2,
      size: 20_000,
      log: log as unknown as Logger,
      startWorker: () => new Worker('setTimeout(() => process.exit(3), 50)', { eval: true }),
    });
    expect(failed).toEqual([]);
    expect(told).toEqual(['a thread ended early; all is read again without it']);
    expect(reportJson(observation)).toBe(await inOne([path]));
  });
});
