// What people wait for, measured on the built program: start-up as a ratio to bare Node, a small report, then lines and
// megabytes per second and peak memory by format and command on generated logs, with all cores and with one.
// `npm run bench -- [LINES] [--kinds text,json,mixed] [--keep FOLDER] [--runs N]`: 1,000,000 lines of each kind, written anew,
// and the best of 3 runs, unless told otherwise. Figures of one machine in one run; nothing here passes or fails.
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { benchArguments, best, circumstances, installed, launcher, root, say, table } from './measure.mjs';
import { settle, trafficIn } from './traffic.mjs';

const { count, kinds, runs, folder, done } = benchArguments();
const INFLATE =
  "require('fs').createReadStream(process.argv[1], { highWaterMark: 1 << 18 }).pipe(require('zlib').createGunzip({ chunkSize: 1 << 18 })).resume()";
const million = (value) => (value / 1e6).toFixed(2);
const megabytes = (bytes) => (bytes / 1e6).toFixed(0);

/** Lines of real recordings, healthy and failing, repeated until there are enough of them. */
function recorded(lines) {
  const incidents = join(root, 'samples', 'incidents');
  const all = [];
  for (const incident of readdirSync(incidents).toSorted()) {
    for (const name of readdirSync(join(incidents, incident)).toSorted()) {
      if (!name.endsWith('.log.gz')) continue;
      const text = gunzipSync(readFileSync(join(incidents, incident, name))).toString();
      all.push(...text.trimEnd().split('\n'));
    }
  }
  return Array.from({ length: lines }, (_, i) => all[i % all.length]);
}

/** Wall time in ms of whole processes: median of some, after one that warms the disk. */
function median(times, args) {
  const walls = [];
  for (let i = 0; i <= times; i++) {
    const begun = process.hrtime.bigint();
    const { status, stderr } = spawnSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`);
    walls.push(Number(process.hrtime.bigint() - begun) / 1e6);
  }
  return walls.slice(1).toSorted((a, b) => a - b)[Math.floor(times / 2)];
}

/** A request's id, out of the middle of a log. */
function idWithin(path) {
  const file = openSync(path, 'r');
  const bytes = Buffer.alloc(1 << 14);
  const length = readSync(file, bytes, 0, bytes.length, Math.floor(statSync(path).size / 2));
  closeSync(file);
  return /"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"/.exec(bytes.toString('latin1', 0, length))[1];
}

/** The log packed beside itself; `undefined` where the program for that is not installed. */
function packed(path, [command, ...args], suffix) {
  if (!installed(command)) return undefined;
  if (!existsSync(`${path}${suffix}`)) {
    spawnSync(command, [...args, path], { stdio: 'inherit' });
    settle(`${path}${suffix}`);
  }
  return `${path}${suffix}`;
}

function startUp() {
  const small = join(folder, 'small.log');
  writeFileSync(small, `${recorded(1_000).join('\n')}\n`);
  const bare = median(15, ['-e', '0']);
  const row = table('start-up, median', '    ms', 'of bare Node’s');
  const tell = (what, ms) => row(what, ms.toFixed(0), (ms / bare).toFixed(2));
  tell('node -e 0', bare);
  tell('--version', median(15, [launcher, '--version']));
  tell('--help', median(9, [launcher, '--help']));
  tell('report of 1,000 lines', median(9, [launcher, 'report', small]));
}

function commandsOn(kind) {
  const { path } = trafficIn(folder, kind, count);
  const { size } = statSync(path);
  say();
  const row = table(
    `${kind}, ${count.toLocaleString('en')} lines, ${megabytes(size)} MB`,
    'M lines/s',
    ' MB/s',
    ' wall s',
    '  CPU s',
    'peak MB',
    'the same report',
  );
  const measure = (what, command, args, options, whole) => {
    const { stdout, wall, cpu, memory } = best(runs, command, args, options);
    const report = stdout.replaceAll(args.at(-1), path);
    const verdict = whole === undefined ? '' : report === whole ? 'yes' : 'NO';
    row(what, million(count / wall), megabytes(size / wall), wall.toFixed(2), cpu.toFixed(2), memory.toFixed(0), verdict); // prettier-ignore
    return report;
  };
  const node = (what, args, options, whole) =>
    measure(what, process.execPath, [launcher, ...args], options, whole);

  const whole = node('report -o json', ['report', '-o', 'json', path]);
  if (installed('taskset')) {
    const args = ['-c', '0', process.execPath, launcher, 'report', '-o', 'json', path];
    measure('report -o json, on one core', 'taskset', args, {}, whole);
  } else row('report -o json, on one core', 'taskset is not installed');
  if (kind === 'text') {
    const gzip = packed(path, ['gzip', '-k6'], '.gz');
    const zstd = packed(path, ['zstd', '-qk'], '.zst');
    if (gzip) {
      measure('Node’s own inflate of the gzip', process.execPath, ['-e', INFLATE, gzip]);
      node('report -o json, gzip', ['report', '-o', 'json', gzip], {}, whole);
    } else row('report -o json, gzip', 'gzip is not installed');
    if (zstd) node('report -o json, zstd', ['report', '-o', 'json', zstd], {}, whole);
    else row('report -o json, zstd', 'zstd is not installed');
  }
  node('report', ['report', path]);
  node('trace -o json ID', ['trace', '-o', 'json', idWithin(path), path]);
  // A few gigabytes.
  const unread = { output: 'ignore' };
  node('parse -o jsonl', ['parse', path], unread);
  if (kind === 'text') {
    node('parse -o table', ['parse', '-o', 'table', path], unread);
    node('parse --filter code>=500', ['parse', '--filter', 'code>=500', path], unread);
  }
}

try {
  say(`${circumstances()}\n`);
  startUp();
  for (const kind of kinds) commandsOn(kind);
} finally {
  done();
}
