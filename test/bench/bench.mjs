// What people wait for, measured on the built program: start-up as a ratio to bare Node, a small report, and lines per
// second of a large file. Figures of one machine in one run; nothing here passes or fails.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const root = fileURLToPath(new URL('../..', import.meta.url));
const launcher = join(root, 'bin', 'meshtail.js');
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

function file(count) {
  const path = join(folder, `${count}.log`);
  writeFileSync(path, `${recorded(count).join('\n')}\n`);
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

const say = (what, figure, aim = '') =>
  process.stdout.write(`${what.padEnd(34)}${figure.padStart(16)}  ${aim}\n`);
const ms = (value) => `${value.toFixed(0)} ms`;

try {
  const small = file(1_000);
  const large = file(100_000);
  const megabytes = statSync(large).size / 1e6;
  const bare = median(15, ['-e', '0']);
  const version = median(15, [launcher, '--version']);
  say('node -e 0', ms(bare));
  say('--version', `${ms(version)}, ${(version / bare).toFixed(2)}x`, 'aim: under 2x');
  say('--help', ms(median(9, [launcher, '--help'])));
  say('report, 1,000 lines', ms(median(9, [launcher, 'report', small])), 'aim: under 250 ms');
  for (const args of [['report'], ['report', '-o', 'json'], ['parse']]) {
    const time = median(3, [launcher, ...args, large]);
    const rate = `${Math.round(100_000 / time)} k lines/s`;
    say(
      `${args.join(' ')}, 100,000 lines`,
      rate,
      `${ms(time)}, ${((megabytes / time) * 1000).toFixed(0)} MB/s`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
