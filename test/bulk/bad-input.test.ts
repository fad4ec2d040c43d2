import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { observeAll } from '../../dist/src/bulk/observe-all.js';
import { observe } from '../../dist/src/pipeline.js';
import { fileSource } from '../../dist/src/source/file.js';
import { stdinSource } from '../../dist/src/source/stdin.js';
import type { OnProgress } from '../../src/bulk/observe-all.js';
import type { Observed } from '../../src/pipeline.js';
import { ENVELOPE_KEYS } from '../../src/record/line.js';
import type { Source } from '../../src/source/source.js';
import { launcher, line, run, scratch } from '../e2e/run.js';
import { mutated, randomOf, sampleLines } from '../lines.js';
import { reportJson } from '../logs.js';
import { job as usual } from './job.js';

/*
 * What logs hold when something went wrong with them, read in small parts by the built program, with and without threads.
 * The plain reading, one line after the other in one thread, says what is right; how many lines are what is stated besides.
 */

const { file } = scratch();
const MAX_LINE = 2_000;
const reading = { maxLine: MAX_LINE, envelopeKeys: ENVELOPE_KEYS };
const job = { ...usual, ...reading };

interface Cut {
  readonly size: number;
  readonly threads?: number;
  readonly onProgress?: OnProgress;
}

/** Parts of less than a line, of some lines and of many. */
const CUTS: readonly Cut[] = [{ size: 1 }, { size: 700 }, { size: 60_000 }, { size: 5_000, threads: 2 }];

const inParts = (sources: readonly Source[], { threads = 0, ...cut }: Cut): Promise<Observed> =>
  observeAll(sources, job, { threads, ...cut });

/** The report, and what could not be read. */
function told({ observation, failed }: Observed): { report: string; failed: string[] } {
  return { report: reportJson(observation), failed: failed.map(({ message }) => message) };
}

/** Holds readings of files in parts against the plain one. */
async function sameInParts(paths: readonly string[], cuts: readonly Cut[] = CUTS): Promise<Observed> {
  const sources: readonly Source[] = paths.map((path) => fileSource(path) as Source);
  const plain = await observe(sources, reading);
  for (const cut of cuts) expect(told(await inParts(sources, cut))).toEqual(told(plain));
  return plain;
}

function counted({ observation }: Observed) {
  const { lines, records, foreign, malformed, overlong, unterminated } = observation.snapshot().coverage;
  return [lines, records, foreign, malformed, overlong, unterminated];
}

/** Healthy and failing ones of one minute, each with what ends it. */
const lines = (count: number, end = '\n'): string =>
  Array.from(
    { length: count },
    (_, i) =>
      line(i % 7 === 0 ? { second: i % 60, code: 503, flags: 'UF', details: 'x' } : { second: i % 60 }) + end,
  ).join('');
const half = line().slice(0, 120);
const long = `${line().replace('/a', `/${'a'.repeat(9_000)}`)}\n`;
const exactly = (length: number): string => line({ agent: 'x'.repeat(length - line({ agent: '' }).length) });

describe('a log with', () => {
  //                                    lines, records, foreign, malformed, overlong, unterminated
  it.each<readonly [string, string | Buffer, readonly number[]]>([
    ['nothing', '', [0, 0, 0, 0, 0, 0]],
    ['one newline', '\n', [1, 0, 1, 0, 0, 0]],
    ['only newlines', '\n'.repeat(300), [300, 0, 300, 0, 0, 0]],
    ['newlines between', `\n\n${lines(60, '\n\n')}\n`, [123, 60, 63, 0, 0, 0]],
    ['no newline at its end', lines(60).trimEnd(), [60, 60, 0, 0, 0, 1]],
    ['half a line at its end', lines(60) + half, [61, 60, 0, 1, 0, 1]],
    ['half a line in its midst', `${lines(30)}${half}\n${lines(30)}`, [61, 60, 0, 1, 0, 0]],
    ['CRLF', lines(60, '\r\n'), [60, 60, 0, 0, 0, 0]],
    ['CRLF and LF', lines(30, '\r\n') + lines(30), [60, 60, 0, 0, 0, 0]],
    ['CRLF cut before its last LF', lines(60, '\r\n').slice(0, -1), [60, 60, 0, 0, 0, 1]],
    ['a byte order mark', `\ufeff${lines(60)}`, [60, 60, 0, 0, 0, 0]],
    ['a byte order mark alone', '\ufeff', [1, 0, 1, 0, 0, 1]],
    ['NUL bytes between lines', `${lines(30)}${'\0'.repeat(6_000)}\n${lines(30)}`, [61, 60, 0, 1, 1, 0]],
    ['NUL bytes before a line', lines(30) + '\0'.repeat(500) + lines(30), [60, 59, 0, 1, 0, 0]],
    ['NUL bytes at its end', lines(60) + '\0'.repeat(500), [61, 60, 1, 0, 0, 1]],
    ['NUL bytes within a field', lines(60).replaceAll('curl/8', 'cu\0rl'), [60, 60, 0, 0, 0, 0]],
    ['bytes that are no UTF-8', Buffer.from(lines(60).replaceAll('curl/8', 'curl\xff\xc3'), 'latin1'), [60, 60, 0, 0, 0, 0]],
    ['lines longer than parts', `${lines(30)}${long}${lines(30)}${long}`, [62, 60, 0, 2, 2, 0]],
    ['a long line at its beginning', long + lines(30), [31, 30, 0, 1, 1, 0]],
    ['a long line alone, without end', long.trimEnd(), [1, 0, 0, 1, 1, 1]],
    ['lines as long as may be', `${exactly(MAX_LINE)}\r\n${exactly(MAX_LINE)}\n${exactly(MAX_LINE + 1)}\n`, [3, 2, 0, 1, 1, 0]],
  ])('%s', async (name, content, expected) => {
    const path = file(`${name}.log`, content);
    expect(counted(await sameInParts([path]))).toEqual(expected);
    const packed = file(`${name}.log.gz`, gzipSync(content));
    expect(counted(await sameInParts([packed], [{ size: 700 }]))).toEqual(expected);
    // A pipe is read in one, whatever comes first.
    const chunks = [...(readFileSync(path).toString('latin1').match(/[^]{1,999}/g) ?? [])];
    const pipe = stdinSource(Readable.from(chunks.map((chunk) => Buffer.from(chunk, 'latin1'))));
    expect(counted(await inParts([pipe], { size: 700 }))).toEqual(expected);
  }); // prettier-ignore

  it('whatever is not to be expected between and within lines', async () => {
    const samples = sampleLines();
    const piece = fc
      .tuple(
        fc.nat(samples.length - 1),
        fc.nat(samples.length - 1),
        fc.option(fc.integer(), { freq: 3 }),
        fc.constantFrom('\n', '\n', '\r\n', '\n\n', '\r\r\n', '\0\n', '\n\ufeff', '', '"\n', '\\\n'),
      )
      .map(([one, other, seed, end]) => {
        const whole = samples[one]!;
        const bytes = seed === null ? whole : mutated(whole, samples[other]!, randomOf(seed));
        return Buffer.concat([bytes, Buffer.from(end)]);
      });
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { minLength: 1, maxLength: 120 }),
        fc.integer({ min: 1, max: 20_000 }),
        fc.boolean(),
        async (pieces, size, packed) => {
          const bytes = Buffer.concat(pieces);
          const path = file('any.log', packed ? gzipSync(bytes) : bytes);
          const plain = await observe([fileSource(path)], reading);
          expect(told(await inParts([fileSource(path)], { size }))).toEqual(told(plain));
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('several logs', () => {
  it('with nothing, without an end, and with the same lines twice', async () => {
    const paths = ['', lines(40).trimEnd(), lines(40), '\n', lines(40)].map((content, i) =>
      file(`several-${i}.log`, content),
    );
    expect(counted(await sameInParts(paths))).toEqual([121, 120, 1, 0, 0, 1]);
  });

  it('of which one cannot be read', async () => {
    const paths = [file('before.log', lines(40)), `${file('x', '')}.gone`, file('after.log', lines(40))];
    const plain = await sameInParts(paths);
    expect(plain.failed.map(({ code }) => code)).toEqual(['file-not-found']);
    expect(counted(plain)).toEqual([80, 80, 0, 0, 0, 0]);
  });
});

describe('a packed log', () => {
  const packed = gzipSync(Buffer.concat([...sampleLines()].flatMap((bytes) => [bytes, Buffer.from('\n')])));

  it.each([10, 500, 3_000, packed.length - 9, packed.length - 1])(
    'that ends behind %i bytes',
    async (length) => {
      const path = file('cut.log.gz', packed.subarray(0, length));
      expect(
        (await sameInParts([path], [{ size: 900 }, { size: 30_000 }])).failed.map(({ code }) => code),
      ).toEqual(['gzip-truncated']);
    },
  );

  it('that is damaged', async () => {
    const damaged = Buffer.from(packed);
    damaged.fill(0xff, packed.length >> 1, (packed.length >> 1) + 50);
    const path = file('damaged.log.gz', damaged);
    expect(
      (await sameInParts([path], [{ size: 900 }, { size: 30_000 }])).failed.map(({ code }) => code),
    ).toEqual(['gzip-damaged']);
  });

  it('of several members, cut within lines', async () => {
    const content = Buffer.from(lines(90));
    const members = [0, 5_000, 5_001, 17_000].map((start, i, starts) =>
      gzipSync(content.subarray(start, starts[i + 1])),
    );
    expect(counted(await sameInParts([file('members.log.gz', Buffer.concat(members))]))).toEqual([
      90, 90, 0, 0, 0, 0,
    ]);
  });
});

describe.each([0, 2])('by %i threads, a log that', (threads) => {
  it('grows while it is read is read as far as it was written, to the end of a line', async () => {
    const path = file('grows.log', lines(300));
    const { observation, failed } = await inParts([fileSource(path)], {
      size: 5_000,
      threads,
      onProgress: () => appendFileSync(path, lines(3)),
    });
    expect(failed).toEqual([]);
    const read = observation.snapshot().coverage.lines;
    expect(read).toBeGreaterThanOrEqual(300);
    const all = readFileSync(path, 'latin1').split('\n');
    // A file of this name that held these lines.
    const as = fileSource(file('grows.log', all.slice(0, read).join('\n') + '\n'));
    expect(reportJson(observation)).toBe(reportJson((await observe([as], reading)).observation));
  });

  it('ended within a line that is written meanwhile is read to the end of that', async () => {
    // So many parts that the first is read long before the last.
    const path = file('half.log', lines(6_000) + half);
    let more = `${line().slice(half.length)}\n${lines(3)}${half}`;
    const read = await inParts([fileSource(path)], {
      size: 5_000,
      threads,
      onProgress: () => {
        appendFileSync(path, more);
        more = '';
      },
    });
    expect(counted(read)).toEqual([6_001, 6_001, 0, 0, 0, 0]);
  });

  it('becomes shorter is said to once, and what was read counts', async () => {
    const path = file('shrinks.log', lines(6_000));
    let shorter = false;
    const { observation, failed } = await inParts([fileSource(path)], {
      size: 5_000,
      threads,
      onProgress: () => {
        if (!shorter) truncateSync(path, lines(20).length);
        shorter = true;
      },
    });
    expect(failed.map(({ code, message }) => `${code} ${message}`)).toEqual([
      `file-changed ${path}: became shorter while it was read`,
    ]);
    const { lines: read, records } = observation.snapshot().coverage;
    expect(read).toBeLessThan(6_000);
    expect(records).toBe(read);
  });
});

/** Of a report, what its lines were and what they counted as. */
interface Counts {
  readonly coverage: Readonly<Record<string, number>>;
  readonly totals: unknown;
}

/** What the built command counted, and the most memory it held, in MB. */
async function countsWithin(args: readonly string[], stdin: number | 'ignore' = 'ignore') {
  const tell = 'process.on("exit", () => console.error(process.resourceUsage().maxRSS))';
  const child = spawn(
    process.execPath,
    [`--import=data:text/javascript,${encodeURIComponent(tell)}`, launcher, 'report', '-o', 'json', ...args],
    { stdio: [stdin, 'pipe', 'pipe'] },
  );
  const [out, err] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'close')]);
  const { lines: read, records, overlong } = (JSON.parse(out) as Counts).coverage;
  return { read, records, overlong, memory: Number(err.trim().split('\n').at(-1)) / 1024 };
}

describe('the command', () => {
  it('counts the same in a file as in a pipe', async () => {
    const path = file('same.log', `\ufeff${lines(90, '\r\n')}\0\0\n\n${long}${half}`);
    const [named, piped] = await Promise.all([
      run(['report', '-o', 'json', path]),
      run(['report', '-o', 'json'], { stdin: readFileSync(path) }),
    ]);
    expect(named.status).toBe(0);
    const [ofFile, ofPipe] = [named, piped].map(({ stdout }) => JSON.parse(stdout) as Counts);
    expect(ofPipe!.totals).toEqual(ofFile!.totals);
    const { inputs: _, malformed_examples: __, ...counts } = ofFile!.coverage;
    expect(ofPipe!.coverage).toMatchObject(counts);
  });

  it('holds little of a line of 400 MB', async () => {
    const path = file('huge.log', lines(90));
    const log = openSync(path, 'r+');
    ftruncateSync(log, 400 << 20);
    writeSync(log, `\n${lines(90)}`, 400 << 20);
    closeSync(log);
    const stdin = openSync(path, 'r');
    for (const about of [await countsWithin([path]), await countsWithin([], stdin)]) {
      expect(about).toMatchObject({ read: 181, records: 180, overlong: 1 });
      expect(about.memory).toBeLessThan(250);
    }
    closeSync(stdin);
  });

  it('reads a log to which lines are added all the time', async () => {
    const path = file('busy.log', lines(5_000));
    const writer = setInterval(() => appendFileSync(path, lines(50)), 2);
    const { status, stdout, stderr } = await run(['report', '-o', 'json', path]);
    clearInterval(writer);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { coverage } = JSON.parse(stdout) as Counts;
    expect(coverage['records']).toBeGreaterThanOrEqual(5_000);
    expect(coverage).toMatchObject({ lines: coverage['records'], malformed: 0, unterminated: 0 });
  });
});
