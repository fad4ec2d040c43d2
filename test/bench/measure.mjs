// What the benchmarks share: whole processes, their time and their memory.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const launcher = join(root, 'bin', 'meshtail.js');

/** Runs a command to its end: its output, wall and CPU seconds, and the most memory it held, in MB. */
export function measured(command, args) {
  const { status, stdout, stderr, error } = spawnSync(
    '/usr/bin/env',
    ['time', '-f', '%e %U %S %M', command, ...args],
    { maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const lines = String(stderr).trimEnd().split('\n');
  const [wall, user, system, kilobytes] = lines.pop().split(' ').map(Number);
  if (error || status !== 0) throw new Error(`${command} ended with ${status}: ${error ?? lines.join('\n')}`);
  return { stdout: String(stdout), wall, cpu: user + system, memory: kilobytes / 1024 };
}

export const say = (what, ...figures) =>
  process.stdout.write(`${what.padEnd(40)}${figures.map((figure) => figure.padStart(14)).join('')}\n`);
