// What people wait for, measured on the built program: start-up as a ratio to bare Node, a small report, then lines and
// megabytes per second and peak memory by format and command on generated logs. `npm run bench [LINES]`, 1,000,000 unless
// told otherwise. Figures of one machine in one run; nothing here passes or fails.
import { spawnSync } from 'node:child_process';
import {
  createReadStream,
  createWriteStream,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip, gunzipSync } from 'node:zlib';
import { launcher, measured, root, say } from './measure.mjs';
import { KINDS, writeTraffic } from './traffic.mjs';

const count = Number(process.argv[2] ?? 1_000_000);
const folder = mkdtempSync(join(tmpdir(), 'meshtail-bench-'));

/** Lines of real recordings, healthy and failing, repeated until there are enough of them. */
function recorded(count) {
  const incidents = join(root, 'samples', 'incidents');
  const lines = [];
  for (const incident of readdirSync(incidents).toSorted()) {
    for (const name of readdirSync(join(incidents, incident)).toSorted()) {
      if (!name.endsWith('.log.gz')) continue;
      const text = gunzipSync(readFileSync(join(incidents, incident, name))).toString();
      lines.push(...text.trimEnd().split('\n'));
    }
  }
  return Array.from({ length: count }, (_, i) => lines[i % lines.length]);
}

function file(lines) {
  const path = join(folder, `${lines}.log`);
  writeFileSync(path, `${recorded(lines).join('\n')}\n`);
  return path;
}

/** Wall time in ms of whole processes: median of some, after one that warms the disk. */
function median(runs, args) {
  const times = [];
  for (let i = 0; i <= runs; i++) {
    const begun = process.hrtime.bigint();
    const { status, stderr } = spawnSync(process.execPath, args, {
      maxBuffer: 1 << 30,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`);
    times.push(Number(process.hrtime.bigint() - begun) / 1e6);
  }
  return times.slice(1).toSorted((a, b) => a - b)[Math.floor(runs / 2)];
}

const ms = (value) => `${value.toFixed(0)} ms`;

function speed(what, args, bytes) {
  const { wall, cpu, memory } = measured(process.execPath, [launcher, ...args]);
  const figures = [
    (count / wall).toFixed(0),
    (bytes / 1e6 / wall).toFixed(0),
    wall.toFixed(2),
    cpu.toFixed(2),
  ];
  say(what, ...figures, memory.toFixed(0));
}

try {
  const small = file(1_000);
  const bare = median(15, ['-e', '0']);
  const version = median(15, [launcher, '--version']);
  say('node -e 0', ms(bare));
  say('--version', `${ms(version)}, ${(version / bare).toFixed(2)}x`, 'aim: under 2x');
  say('--help', ms(median(9, [launcher, '--help'])));
  say('report, 1,000 lines', ms(median(9, [launcher, 'report', small])), 'aim: under 250 ms');
  say('', 'lines/s', 'MB/s', 'wall s', 'CPU s', 'peak MB');
  for (const kind of KINDS) {
    const path = join(folder, `${kind}.log`);
    writeTraffic(path, kind, count);
    speed(`report -o json, ${kind}`, ['report', '-o', 'json', path], statSync(path).size);
    if (kind === 'text') {
      speed('parse, text', ['parse', path], statSync(path).size);
      await pipeline(createReadStream(path), createGzip({ level: 6 }), createWriteStream(`${path}.gz`));
      speed('report -o json, text.gz', ['report', '-o', 'json', `${path}.gz`], statSync(path).size);
    }
    rmSync(path);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
