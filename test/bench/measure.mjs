// What the benchmarks share: their arguments, whole processes with their time and memory, and tables in Markdown.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { KINDS } from './traffic.mjs';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const launcher = join(root, 'bin', 'meshtail.js');

/**
 * `[LINES] [--kinds text,json,mixed] [--keep FOLDER] [--runs N]`; `done` removes what was written, unless a folder to keep was
 * named.
 */
export function benchArguments() {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      kinds: { type: 'string', default: KINDS.join() },
      keep: { type: 'string' },
      runs: { type: 'string', default: '3' },
    },
  });
  const { keep } = values;
  if (keep !== undefined) mkdirSync(keep, { recursive: true });
  const folder = keep ?? mkdtempSync(join(tmpdir(), 'meshtail-bench-'));
  return {
    count: Number(positionals[0] ?? 1_000_000),
    kinds: values.kinds.split(','),
    runs: Number(values.runs),
    folder,
    done: () => {
      if (keep === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Where and when figures were made. */
export function circumstances() {
  const commit = spawnSync('git', ['describe', '--always', '--dirty'], { cwd: root })
    .stdout.toString()
    .trim();
  const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GB`;
  const load = `load before the first run ${loadavg()[0].toFixed(1)}`;
  return `${new Date().toISOString().slice(0, 10)}, ${availableParallelism()} cores of ${cpus()[0].model}, ${memory}, ${type()}, Node ${process.versions.node}, commit ${commit}, ${load}`;
}

export const installed = (command, args = ['--version']) =>
  spawnSync(command, args, { stdio: 'ignore' }).status === 0;

/**
 * Runs a command to its end: its output, wall and CPU seconds, and the most memory it held, in MB.
 * @param output `ignore` where it is more than a string can hold
 */
export function measured(command, args, { output = 'pipe', env = {} } = {}) {
  const { status, stdout, stderr, error } = spawnSync(
    '/usr/bin/env',
    ['time', '-f', '%e %U %S %M', command, ...args],
    { maxBuffer: 1 << 29, stdio: ['ignore', output, 'pipe'], env: { ...process.env, ...env } },
  );
  const lines = String(stderr).trimEnd().split('\n');
  const [wall, user, system, kilobytes] = lines.pop().split(' ').map(Number);
  if (error || status !== 0) {
    const why = lines.find((line) => /error|fatal/i.test(line)) ?? lines[0];
    throw new Error(`aborts with status ${status}: ${error?.message ?? why}`);
  }
  return { stdout: String(stdout), wall, cpu: user + system, memory: kilobytes / 1024 };
}

/** Seconds after which a command is not run once more. */
const ENOUGH = 60;

/** The run that took the least wall time; of slow commands there are fewer. */
export function best(runs, command, args, options) {
  let least;
  for (let run = 0, spent = 0; run < runs && spent < ENOUGH; run++) {
    const one = measured(command, args, options);
    spent += one.wall;
    if (!least || one.wall < least.wall) least = one;
  }
  return least;
}

export const say = (text = '') => process.stdout.write(`${text}\n`);

/** Prints the head of a table; returns what prints a row. */
export function table(what, ...columns) {
  const row = (first, ...cells) =>
    say(`| ${[first.padEnd(36), ...cells.map((cell, i) => cell.padStart(columns[i].length))].join(' | ')} |`);
  row(what, ...columns);
  say(`| ${['-'.repeat(36), ...columns.map(({ length }) => `${'-'.repeat(length - 1)}:`)].join(' | ')} |`);
  return row;
}
