// Ten million lines of fifty pods, read and joined by the built program: wall time and the most memory it ever held.
// The lines come from a seeded generator through named pipes, so that no disk is filled: ids of chains of three hops,
// failures, one id on a million lines, ids that are absent. `npm run bench:joins [LINES]`; nothing here passes or fails.
import { execFileSync, spawn } from 'node:child_process';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const total = Number(process.argv[2] ?? 10_000_000);
const PODS = 50;
const SERVICES = 10;
const START = Date.UTC(2026, 10, 24, 9);

/** Which request a pod's n-th line is about, and as what: all pods agree on it without telling each other. */
const mix = (seed) => {
  let t = (seed + 0x6d2b79f5) | 0;
  t = Math.imul(t ^ (t >>> 15), 1 | t);
  t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
  return (t ^ (t >>> 14)) >>> 0;
};
const hex = (n) => n.toString(16).padStart(8, '0');
const uuid = (request) => {
  const a = hex(mix(request * 4));
  const b = hex(mix(request * 4 + 1));
  const c = hex(mix(request * 4 + 2));
  return `${a}-${b.slice(0, 4)}-4${b.slice(5)}-a${c.slice(1, 4)}-${c.slice(4)}${hex(mix(request * 4 + 3))}`;
};
const podName = (pod) =>
  `svc${pod % SERVICES}-7d9f8b6c5${'bcdfg'[pod % 5]}-x${'bcdfghjklm'[Math.floor(pod / 5)]}${'2456789zxw'[pod % 10]}kq`;
const ip = (pod) => `10.20.${pod % 25}.${10 + pod}`;
const SHARED = '11111111-2222-4333-8444-555555555555';

/** A hop: the caller's outbound line and the callee's inbound line; request r goes pod a -> pod b. */
function lineOf(request, outbound) {
  const from = mix(request) % PODS;
  let to = mix(request + 7) % PODS;
  if (to === from) to = (to + 1) % PODS;
  const at = new Date(START + request * 0.4).toISOString();
  const failing = mix(request + 13) % 50 === 0;
  const id = request % 10 === 3 ? SHARED : request % 97 === 5 ? '-' : uuid(request);
  const port = 32_768 + (mix(request + 21) % 28_000);
  const ms = 5 + (mix(request + 29) % 90);
  const service = to % SERVICES;
  const host = `${ip(to)}:8080`;
  const reply = failing ? '503 - via_upstream' : '200 - via_upstream';
  const head = `[${at}] "GET /v1/items/${mix(request + 31) % 100_000} HTTP/1.1" ${reply} - "-" 0 ${200 + (request % 700)} ${ms} ${ms} "-" "okhttp/4.12.0" "${id}" "svc${service}.load:8080" "${host}"`;
  return outbound
    ? `${head} outbound|8080||svc${service}.load.svc.cluster.local ${ip(from)}:${port} 10.96.0.${service}:8080 ${ip(from)}:41000 - default\n`
    : `${head} inbound|8080|| 127.0.0.6:40000 ${host} ${ip(from)}:${port} outbound_.8080_._.svc${service}.load.svc.cluster.local default\n`;
}

/** Writes one pod's log into its pipe. */
async function feed(path, pod, requests) {
  const pipe = createWriteStream(path, { highWaterMark: 1 << 20 });
  let batch = '';
  for (let request = 0; request < requests; request++) {
    const from = mix(request) % PODS;
    let to = mix(request + 7) % PODS;
    if (to === from) to = (to + 1) % PODS;
    if (from === pod) batch += lineOf(request, true);
    if (to === pod) batch += lineOf(request, false);
    if (batch.length > 1 << 19) {
      if (!pipe.write(batch)) await once(pipe, 'drain');
      batch = '';
    }
  }
  pipe.end(batch);
  await once(pipe, 'close');
}

if (process.argv[3] === 'feed') {
  const folder = process.argv[4];
  for (let pod = 0; pod < PODS; pod++) await feed(join(folder, `${podName(pod)}.log`), pod, total / 2);
} else {
  const folder = mkdtempSync(join(tmpdir(), 'meshtail-joins-'));
  try {
    const names = Array.from({ length: PODS }, (_, pod) => join(folder, `${podName(pod)}.log`));
    execFileSync('mkfifo', names);
    const feeder = spawn(process.execPath, [fileURLToPath(import.meta.url), String(total), 'feed', folder], {
      stdio: 'inherit',
    });
    const begun = process.hrtime.bigint();
    const what = process.argv[3] === 'trace' ? ['trace', '-o', 'json', uuid(11)] : ['report', '-o', 'json'];
    const child = spawn(
      '/usr/bin/env',
      ['time', '-f', '%M', process.execPath, join(root, 'bin', 'meshtail.js'), ...what, ...names],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk) => (out += chunk));
    child.stderr.on('data', (chunk) => (err += chunk));
    const [status] = await once(child, 'close');
    feeder.kill();
    const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
    const result = JSON.parse(out);
    const peak = Number(err.trim().split('\n').at(-1)) / 1024;
    process.stdout.write(
      `${result.coverage.records} records of ${result.coverage.inputs.length ?? result.coverage.inputs} logs, status ${status}: ` +
        `${seconds.toFixed(0)} s, peak ${peak.toFixed(0)} MB; ${result.incidents ? result.incidents.map(({ cause, journey }) => `${cause} (${journey?.spans.length} lines)`).join(', ') : `${result.journey?.spans.length} lines traced`}\n`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
