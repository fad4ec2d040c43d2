// Access logs of a gateway, seeded: the same lines on every machine. One-word, two-word, browser and quoted user agents;
// IPv4 and IPv6 peers; TCP; 6% failures of several kinds. As text, as JSON, or mixed: both in turn with lines of TCP, of
// Envoy's own log, quotes in user agents and lines that were cut. `node traffic.mjs KIND LINES > FILE`.
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const KINDS = ['text', 'json', 'mixed'];

const START = Date.UTC(2026, 10, 24);
const DAY = 86_400_000;
const SERVICES = 40;
const CLIENTS = 20_000;
const AGENTS = [
  'okhttp/4.12.0',
  'kube-probe/1.31',
  'grpc-go/1.66.0',
  'Apache-HttpClient/5.3.1 (Java/21.0.4)',
  'python-requests/2.32.3 gevent/24.2',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0',
];
const QUOTED_AGENTS = ['probe "v2" internal', 'a" "b', 'x" 200 - "y'];
const METHODS = ['GET', 'GET', 'GET', 'POST', 'PUT', 'GET', 'DELETE', 'GET'];
const NOISE =
  '2026-11-24T08:13:37.675204Z\twarning\tenvoy main source/server/server.cc:1059\tThere is no configured limit\tthread=23093';

function random(seed) {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

const HEX = Array.from({ length: 1 << 16 }, (_, n) => n.toString(16).padStart(4, '0'));
const hex = (n) => HEX[n >>> 16] + HEX[n & 0xffff];

const HOUR = DAY / 24;
const CONNECT = 'delayed_connect_error:_111';

/**
 * What fails, about 6% in all: of which service and host (`null`: any), from hour to hour of the day, how many of ten
 * thousand requests there, and what the line then says.
 */
const FAULTS = [
  {
    service: 0,
    host: 3,
    from: 13,
    to: 21,
    of: 10_000,
    code: 503,
    flags: 'UF',
    details: `upstream_reset_before_response_started{connection_failure|${CONNECT}}`,
    reason: CONNECT,
  },
  { service: 1, host: null, from: 6, to: 24, of: 3_500, code: 500 },
  { service: 2, host: null, from: 0, to: 24, of: 1_500, code: 504, flags: 'UT', details: 'response_timeout' },
  {
    service: 3,
    host: null,
    from: 9,
    to: 12,
    of: 10_000,
    code: 404,
    flags: 'NR',
    details: 'route_not_found',
    lost: true,
  },
  {
    service: null,
    host: null,
    from: 0,
    to: 24,
    of: 30,
    code: 0,
    flags: 'DC',
    details: 'downstream_remote_disconnect',
  },
  {
    service: null,
    host: null,
    from: 0,
    to: 24,
    of: 20,
    code: 503,
    flags: 'UC',
    details: 'upstream_reset_before_response_started{connection_termination}',
  },
];

function faultOf(service, host, at, point) {
  let below = 0;
  for (const fault of FAULTS) {
    if (fault.service !== null && fault.service !== service) continue;
    if (fault.host !== null && fault.host !== host) continue;
    if (at < fault.from * HOUR || at >= fault.to * HOUR) continue;
    if (point < (below += fault.of)) return fault;
  }
  return undefined;
}

/**
 * Lines without their newline.
 * @param onRecord told the response code, flags and upstream cluster (`-`: none) of each line that is a whole record
 */
export function* trafficLines(kind, count, seed = 1, onRecord = () => {}) {
  const next = random(seed);
  for (let i = 0; i < count; i++) {
    const a = next();
    const b = next();
    const at = Math.floor((i / count) * DAY);
    const time = new Date(START + at).toISOString();
    if (kind === 'mixed' && a % 100 < 3) {
      if (a % 100 === 0) yield NOISE;
      else if (a % 100 === 1) {
        onRecord(0, '-', `outbound|5432||db${b % 4}.data.svc.cluster.local`);
        yield `[${time}] "- - -" 0 - - - "-" ${a % 9_000} ${b % 90_000} ${b % 60_000} - "-" "-" "-" "-" "10.9.1.${b % 4}:5432" outbound|5432||db${b % 4}.data.svc.cluster.local 10.20.0.7:${20_000 + (b % 40_000)} 10.96.2.${b % 4}:5432 10.20.0.9:${20_000 + (a % 40_000)} - -`;
      } else yield `[${time}] "GET /v1/cut/${b} HTTP/1.1" 200 - via_upstr`;
      continue;
    }
    // Few services have most of the traffic.
    const service = Math.floor(SERVICES * (a / 2 ** 32) ** 3);
    const client = b % 3 === 0 ? b % 50 : b % CLIENTS;
    const host = a % 5;
    const peer =
      client % 10 === 0
        ? `[2001:db8::${(client >>> 8).toString(16)}:${(client & 255).toString(16)}]:0`
        : `203.${client % 113}.${client >>> 8}.${client & 255}:0`;
    const fault = faultOf(service, host, at, next() % 10_000);
    const ok = METHODS[(b >>> 4) & 7] === 'POST' ? 201 : 200;
    const { code = ok, flags = '-', details = 'via_upstream', reason = null, lost = false } = fault ?? {};
    const method = METHODS[(b >>> 4) & 7];
    const path =
      (b >>> 7) % 4 === 0
        ? `/v1/items/${b % 100_000}/detail`
        : `/v${1 + (a & 1)}/${['cart', 'search?q=' + (b % 9_000), 'home', 'orders/' + hex(next())][(b >>> 9) & 3]}`;
    const ms = 3 + ((a >>> 5) % 90) + ((b & 63) === 0 ? b % 2_000 : 0);
    const agent = kind === 'mixed' && a % 50 === 7 ? QUOTED_AGENTS[b % 3] : AGENTS[(a >>> 3) & 7];
    const id = `${hex(next())}-${hex(a).slice(0, 4)}-4${hex(b).slice(5)}-a${hex(a).slice(5)}-${hex(next())}${hex(b).slice(4)}`;
    const authority = `svc${service}.example.com`;
    const cluster = lost ? null : `outbound|8080||svc${service}.shop.svc.cluster.local`;
    const timed = code !== 0 && details === 'via_upstream';
    const values = {
      authority,
      bytes_received: a % 700,
      bytes_sent: 120 + (b % 9_000),
      connection_termination_details: null,
      downstream_local_address: '10.20.0.7:8443',
      downstream_remote_address: peer,
      duration: ms,
      method,
      path,
      protocol: a % 3 === 0 ? 'HTTP/1.1' : 'HTTP/2',
      request_id: id,
      requested_server_name: authority,
      response_code: code,
      response_code_details: details,
      response_flags: flags,
      route_name: lost ? null : `route-${service}`,
      start_time: time,
      upstream_cluster: cluster,
      upstream_host: lost ? null : `10.20.${service}.${2 + host}:8080`,
      upstream_local_address: lost || flags === 'UF' ? null : `10.20.0.7:${20_000 + (a % 40_000)}`,
      upstream_service_time: timed ? String(ms - 1) : null,
      upstream_transport_failure_reason: reason,
      user_agent: agent,
      x_forwarded_for: peer.replace(/:0$/, '').replace(/[[\]]/g, ''),
    };
    onRecord(code, flags, cluster ?? '-');
    if (kind === 'json' || (kind === 'mixed' && i % 2 === 0)) {
      yield JSON.stringify(values);
      continue;
    }
    const v = values;
    yield `[${time}] "${v.method} ${v.path} ${v.protocol}" ${code} ${flags} ${details} - "${reason ?? '-'}" ${v.bytes_received} ${v.bytes_sent} ${ms} ${v.upstream_service_time ?? '-'} "${v.x_forwarded_for}" "${agent}" "${id}" "${authority}" "${v.upstream_host ?? '-'}" ${cluster ?? '-'} ${v.upstream_local_address ?? '-'} ${v.downstream_local_address} ${peer} ${authority} ${v.route_name ?? '-'}`;
  }
}

/**
 * Writes a file of such lines, in pieces.
 * @returns records by `code flags cluster`
 */
export function writeTraffic(path, kind, count, seed) {
  const file = openSync(path, 'w');
  const batch = Buffer.allocUnsafe(1 << 20);
  let filled = 0;
  const totals = new Map();
  const onRecord = (code, flags, cluster) => {
    const key = `${code} ${flags} ${cluster}`;
    totals.set(key, (totals.get(key) ?? 0) + 1);
  };
  for (const line of trafficLines(kind, count, seed, onRecord)) {
    if (filled + line.length >= batch.length) {
      writeSync(file, batch, 0, filled);
      filled = 0;
    }
    filled += batch.latin1Write(line, filled);
    batch[filled++] = 10;
  }
  writeSync(file, batch, 0, filled);
  closeSync(file);
  return Object.fromEntries(totals);
}

/** Files of other lines than these have another name. */
const version = createHash('sha256')
  .update(readFileSync(fileURLToPath(import.meta.url)))
  .digest('hex')
  .slice(0, 8);

/**
 * A file of such lines in a folder, written only where it is not there yet.
 * @returns its path, and its records by `code flags cluster`
 */
export function trafficIn(folder, kind, count) {
  const path = join(folder, `${kind}-${count}-${version}.log`);
  const truth = `${path}.totals.json`;
  if (!existsSync(truth)) {
    const totals = writeTraffic(`${path}.part`, kind, count);
    settle(`${path}.part`);
    renameSync(`${path}.part`, path);
    writeFileSync(truth, JSON.stringify(totals));
  }
  return { path, totals: JSON.parse(readFileSync(truth, 'utf8')) };
}

/** Waits until it is on the disk: what is measured next must not share it with that. */
export function settle(path) {
  const file = openSync(path, 'r+');
  fsyncSync(file);
  closeSync(file);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [kind, count] = process.argv.slice(2);
  writeTraffic('/dev/stdout', kind, Number(count));
}
