import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { packageRoot } from '../../src/paths.js';

export const launcher = join(packageRoot, 'bin', 'meshtail.js');

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface How {
  readonly stdin?: string | Buffer;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Another launcher than the repository's own. */
  readonly program?: string;
}

/** Runs the built program to its end. Whatever it was asked, no stack trace may come out. */
export function run(args: readonly string[], how: How = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      process.execPath,
      [how.program ?? launcher, ...args],
      { env: { ...process.env, ...how.env }, cwd: how.cwd, maxBuffer: 64 << 20, timeout: 25_000 },
      (error, stdout, stderr) => {
        if (error && typeof error.code !== 'number') return reject(error);
        if (/^\s+at .+:\d+/m.test(stderr + stdout)) return reject(new Error(`a stack trace:\n${stderr}`));
        resolve({ status: error ? Number(error.code) : 0, stdout, stderr });
      },
    );
    // A program that ends before it has read everything is no fault of the test.
    child.stdin?.on('error', () => {});
    child.stdin?.end(how.stdin ?? '');
  });
}

/** Starts it and leaves it running. */
export function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, [launcher, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
}

/** A folder of its own for a test file, gone afterwards. */
export function scratch(): { folder: string; file: (name: string, content: string | Buffer) => string } {
  const folder = mkdtempSync(join(tmpdir(), 'meshtail-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return {
    folder,
    file: (name, content) => {
      const path = join(folder, name);
      writeFileSync(path, content);
      return path;
    },
  };
}

/** A line of Istio's default layout. */
export function line(
  about: { code?: number; flags?: string; details?: string; agent?: string; second?: number } = {},
): string {
  const { code = 200, flags = '-', details = 'via_upstream', agent = 'curl/8', second = 0 } = about;
  const time = new Date(Date.UTC(2026, 0, 2, 3, 4, second)).toISOString();
  return (
    `[${time}] "GET /a HTTP/1.1" ${code} ${flags} ${details} - "-" 0 5 7 6 "-" "${agent}" ` +
    '"0d8b2c1e-7a54-9f3e-9b1c-2d3e4f5a6b7c" "orders:8080" "10.1.0.9:8080" ' +
    'outbound|8080||orders.shop.svc.cluster.local 10.1.0.4:40000 10.96.0.1:8080 10.1.0.4:39000 - default'
  );
}
