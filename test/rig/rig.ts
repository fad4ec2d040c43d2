import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { request, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageRoot } from '../../src/paths.js';

/*
 * The rig: a real kube-apiserver with fake nodes, whose folder MESHTAIL_RIG names. What it can do, its own README and
 * `rig -h` tell.
 */

/** One rig for each checkout, so that neither two runs nor a person's own rig are in each other's way. */
const RIG_NAME = `meshtail-test-${createHash('sha256').update(packageRoot).digest('hex').slice(0, 8)}`;

function command(): string {
  const folder = process.env['MESHTAIL_RIG'];
  if (folder) return join(folder, 'rig');
  throw new Error('MESHTAIL_RIG is not set: it has to name the folder of the command `rig`');
}

const ENVIRONMENT = { ...process.env, RIG_NAME };

function rig(...args: readonly string[]): string {
  return execFileSync(command(), args, {
    env: ENVIRONMENT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Builds what is not built yet, too, which takes minutes. */
export async function up(): Promise<void> {
  const [admin, istiod] = [await freePort(), await freePort()];
  rig('up', '--envoy-admin', `127.0.0.1:${admin}`, '--istiod', `127.0.0.1:${istiod}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Where port 15000 of every pod and port 15014 of istiod lead. */
export function addresses(): { readonly envoy: string; readonly istiod: string } {
  const text = readFileSync(join(logsFolder(), '..', 'state.json'), 'utf8');
  const { envoy_admin: envoy, istiod } = JSON.parse(text) as { envoy_admin: string; istiod: string };
  return { envoy, istiod };
}

/** A real istiod against this cluster, and a real Envoy as the proxy of a pod. Builds istiod, if need be, which takes minutes. */
export function startMesh(pod: string, envoy: string): void {
  rig('istiod', '--plain');
  rig('envoy', pod, '--envoy', envoy);
}

/** Runs the built program as one of the rig's users. */
export async function meshtail(user: string, ...args: readonly string[]): Promise<string> {
  const launcher = join(packageRoot, 'bin', 'meshtail.js');
  const env = { ...process.env, KUBECONFIG: rig('kubeconfig', user).trim() };
  const { stdout } = await promisify(execFile)(process.execPath, [launcher, ...args], {
    env,
    maxBuffer: 64 << 20,
  });
  return stdout;
}

export function down(): void {
  rig('down');
}

export function kubectl(...args: readonly string[]): string {
  return rig('kubectl', '-n', 'shop', ...args);
}

let logs = '';

/** The folder of `<namespace>/<pod>/<container>.log`. */
function logsFolder(): string {
  return (logs ||= rig('logs-dir').trim());
}

/** Where the log of a pod's proxy lies, in CRI's format, to append to. */
export function logFile(pod: string): string {
  return join(logsFolder(), 'shop', pod, 'istio-proxy.log');
}

interface Kubeconfig {
  readonly clusters: readonly [{ cluster: { server: string; 'certificate-authority': string } }];
  readonly users: readonly [{ user: { 'client-certificate': string; 'client-key': string } }];
}

/** Asks the API server as one of the rig's users. Resolves with the answer's head. */
export function ask(path: string, user: string): Promise<IncomingMessage> {
  const text = readFileSync(rig('kubeconfig', user).trim(), 'utf8');
  const { clusters, users } = JSON.parse(text) as Kubeconfig;
  const { server, 'certificate-authority': ca } = clusters[0].cluster;
  const { 'client-certificate': cert, 'client-key': key } = users[0].user;
  const options: RequestOptions = {
    ca: readFileSync(ca),
    cert: readFileSync(cert),
    key: readFileSync(key),
    agent: false,
  };
  return new Promise((resolve, reject) => {
    request(server + path, options, resolve)
      .on('error', reject)
      .end();
  });
}

/** A line that was written and did not come out. */
export interface Lost {
  readonly pod: string;
  /** As its file has it, RFC 3339. */
  readonly time: string;
}

/** What meshtail said that it could not read. */
export interface ToldGap {
  readonly pod: string;
  /** Time of day, `HH:MM:SS.mmm` in UTC. */
  readonly from: string;
  readonly to: string;
}

/** What came out of one run of `rig bench`, and what it says of it. */
export interface Bench {
  /** Lines in the pods' files, by the files. */
  readonly written: number;
  readonly lost: readonly Lost[];
  /** The rest is as `rig bench` counted it. */
  readonly row: {
    readonly written: number;
    readonly read: number;
    readonly lost: number;
    readonly repeated: number;
    /** The status the reader ended with by itself; null where it had to be told to. */
    readonly ended_early: number | null;
  };
  readonly stderr: string;
  readonly gaps: readonly ToldGap[];
}

/** Reads the deployment payments with meshtail while lines are written, and compares what came out with the files. */
export async function bench(...flags: readonly string[]): Promise<Bench> {
  const meshtail = [process.execPath, join(packageRoot, 'bin', 'meshtail.js')];
  const reader = [...meshtail, 'parse', 'deployment/payments', '-n', 'shop'];
  const env = { ...ENVIRONMENT, TZ: 'UTC' };
  const { stdout } = await promisify(execFile)(command(), ['bench', ...flags, '--', ...reader], { env });
  const row = JSON.parse(stdout.trim().split('\n').at(-1)!) as Bench['row'];
  const result = (name: string) => readFileSync(join(logsFolder(), '..', 'bench', name), 'utf8');
  const { run } = JSON.parse(result('manifest.json')) as { run: string };
  const written = linesWritten(join(logsFolder(), 'shop'), run);
  const count = written.size;
  for (const [id] of result('out').matchAll(requestIds(run))) written.delete(id);
  const stderr = result('err');
  return { written: count, lost: [...written.values()], row, stderr, gaps: gapsIn(stderr) };
}

/** The run's request ids, as `rig write` makes them. */
function requestIds(run: string): RegExp {
  return new RegExp(`${run}-[0-9a-f]{4}-4000-8000-[0-9a-f]{12}`, 'g');
}

/** By request id, the lines that lie in the proxies' files, rotated ones too. */
function linesWritten(folder: string, run: string): Map<string, Lost> {
  const written = new Map<string, Lost>();
  for (const pod of readdirSync(folder)) {
    for (const file of readdirSync(join(folder, pod)).filter((name) => name.startsWith('istio-proxy.log'))) {
      for (const line of readFileSync(join(folder, pod, file), 'utf8').split('\n')) {
        const [id] = requestIds(run).exec(line) ?? [];
        if (id) written.set(id, { pod, time: line.slice(0, line.indexOf(' ')) });
      }
    }
  }
  return written;
}

function gapsIn(stderr: string): ToldGap[] {
  return [...stderr.matchAll(/gap: shop\/(\S+) from (\S+) to (\S+):/g)].map(([, pod, from, to]) => ({
    pod: pod!,
    from: from!,
    to: to!,
  }));
}

/** Whether a gap that was told covers the line, to the millisecond. */
export function isTold({ pod, time }: Lost, gaps: readonly ToldGap[]): boolean {
  const at = time.slice(11, 23);
  return gaps.some((gap) => gap.pod === pod && gap.from <= at && at <= gap.to);
}

export interface Pod {
  readonly name: string;
  readonly ip: string;
}

/** The pods of an app, without those that are leaving. */
export function podsOf(app: string): readonly Pod[] {
  const columns = 'custom-columns=:metadata.name,:status.podIP,:metadata.deletionTimestamp';
  return kubectl('get', 'pods', '-l', `app=${app}`, '-o', columns)
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .flatMap(([name, ip, leaving]) => (name && ip && leaving === '<none>' ? [{ name, ip }] : []));
}
