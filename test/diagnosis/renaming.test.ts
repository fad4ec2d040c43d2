import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { LineParser } from '../../parsers/index.js';
import { diagnose, type Incident } from '../../src/diagnosis/diagnose.js';
import { packageRoot } from '../../src/paths.js';
import { observe } from '../../src/pipeline.js';
import { lineOf } from '../../src/record/line.js';
import { originOfFile } from '../../src/record/origin.js';
import { RecordCursor } from '../../src/record/record-view.js';
import type { Source } from '../../src/source/source.js';

/*
 * No rule may know a name. Every incident is told again with other pods, services, addresses, ports, request ids and
 * time of day, in the other Istio format and behind a prefix; what is found must be the same, under the new names.
 */

const root = join(packageRoot, 'samples/incidents');
const SEED = Number(process.env['RENAMING_SEED'] ?? 1);

interface Log {
  readonly name: string;
  readonly lines: readonly string[];
}

function logsOf(incident: string): Log[] {
  return readdirSync(join(root, incident))
    .filter((file) => file.endsWith('.log.gz'))
    .toSorted()
    .map((file) => ({
      name: file.slice(0, -'.gz'.length),
      lines: gunzipSync(readFileSync(join(root, incident, file)))
        .toString('latin1')
        .split('\n')
        .slice(0, -1),
    }));
}

const source = ({ name, lines }: Log): Source => ({
  name,
  origin: originOfFile(name),
  kind: 'file',
  async *open() {
    yield Buffer.from(`${lines.join('\n')}\n`, 'latin1');
  },
});

async function incidentsOf(logs: readonly Log[]): Promise<readonly Incident[]> {
  const { observation } = await observe(logs.map(source), { maxLine: 1 << 20 });
  return diagnose(observation.snapshot()).incidents;
}

/** A small seeded generator (mulberry32): numbers in [0, 1). */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const KEPT_NAMES = new Set(['default', 'istio-system', 'svc', 'cluster', 'local', 'www', 'example']);
/** Ports that mean something by themselves. */
const KEPT_PORTS = new Set([8443, 9443, 15001, 15006, 15008, 15021, 15443]);
const GENERATED = /^(.+?)(?:-[bcdfghjklmnpqrstvwxz2456789]{5,10})?-[bcdfghjklmnpqrstvwxz2456789]{5}$/;

/** One consistent renaming of everything that an incident could be recognised by. */
class Renaming {
  readonly #next: () => number;
  readonly #names = new Map<string, string>();
  readonly #networks = new Map<string, string>();
  readonly #hex: readonly string[];
  readonly #hosts: number;
  readonly #shiftMs: number;
  readonly #pattern: RegExp;

  constructor(seed: number, logs: readonly Log[]) {
    this.#next = random(seed);
    const words = new Set<string>();
    for (const { name, lines } of logs) {
      const workload = GENERATED.exec(name.replace(/\.log$/, ''))?.[1];
      if (workload) words.add(workload);
      for (const line of lines) {
        for (const found of line.matchAll(/([a-z0-9-]+)\.([a-z0-9-]+)\.svc/g)) {
          words.add(found[1]!);
          words.add(found[2]!);
        }
      }
    }
    const kept = [...words].filter((word) => word.length > 2 && !KEPT_NAMES.has(word));
    for (const word of kept) this.#names.set(word, `q${this.#word(6)}x`);
    const alternatives = kept
      .toSorted((a, b) => b.length - a.length)
      .map((word) => word.replaceAll('-', '\\-'));
    this.#pattern = new RegExp(`(?<![a-z0-9_-])(?:${alternatives.join('|') || '(?!)'})(?![a-z0-9_])`, 'g');
    const digits = [...'0123456789abcdef'];
    this.#hex = digits.map((_, i) => digits[(i * 5 + 3) % 16]!);
    this.#hosts = 1 + Math.floor(this.#next() * 60);
    this.#shiftMs = Math.floor(this.#next() * 20 * 3_600_000);
  }

  #word(length: number): string {
    return Array.from({ length }, () => 'abcdeghiklmnoprstuvz'[Math.floor(this.#next() * 20)]).join('');
  }

  /** Addresses keep their /24 together, and private ones stay private. */
  #address(a: string, b: string, c: string, d: string): string {
    if (a === '127' || `${a}.${b}` === '0.0') return `${a}.${b}.${c}.${d}`;
    const network = `${a}.${b}.${c}`;
    let other = this.#networks.get(network);
    if (other === undefined) {
      const n = this.#networks.size;
      other = a === '10' ? `10.${100 + Math.floor(n / 200)}.${17 + (n % 200)}` : network;
      this.#networks.set(network, other);
    }
    // The first address of a network is the node's: it stays the first.
    const host = Number(d) <= 1 ? Number(d) : 2 + ((Number(d) - 2 + this.#hosts) % 252);
    return `${other}.${a === '10' ? host : d}`;
  }

  text(line: string): string {
    return line
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, (time) => {
        const fraction = /\.\d+/.exec(time)?.[0] ?? '';
        const whole = Date.parse(`${time.slice(0, 19)}Z`) + Math.floor(this.#shiftMs / 1000) * 1000;
        return `${new Date(whole).toISOString().slice(0, 19)}${fraction}Z`;
      })
      .replaceAll(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, (id) =>
        id.replaceAll(/[0-9a-f]/g, (digit) => this.#hex[parseInt(digit, 16)]!),
      )
      .replaceAll(this.#pattern, (name) => this.#names.get(name)!)
      .replaceAll(
        /(?<=[\d\]a-z]):(\d{4,5})\b|(?<=bound\||bound-vip\||_\.)(\d{4,5})(?=\||_\.)/g,
        (found, a: string, b: string) => {
          const port = Number(a ?? b);
          return port < 1024 || KEPT_PORTS.has(port) ? found : found.replace(String(port), String(port + 11));
        },
      )
      .replaceAll(
        /\b(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?=[:\]"| ,/\s]|$)/g,
        (found, a: string, b: string, c: string, d: string) =>
          [a, b, c, d].every((part) => Number(part) < 256) ? this.#address(a, b, c, d) : found,
      );
  }
}

/** The line in Istio's other format, where it is a line of one of them that both can carry. */
function otherFormat(line: string, parser: LineParser, record: RecordCursor): string {
  if (parser.parse(lineOf(line), record) !== 'record') return line;
  const { format, extra, origin: _, ...fields } = record.copy();
  if (extra !== undefined) return line;
  if (format === 'istio-text') {
    return JSON.stringify({ ...fields, response_flags: fields.response_flags?.join(',') || '-' });
  }
  if (format !== 'istio-json') return line;
  const f = (key: keyof typeof fields): string => {
    const value = fields[key];
    return value === null || value === undefined
      ? '-'
      : Array.isArray(value)
        ? value.join(',') || '-'
        : String(value);
  };
  const q = (key: keyof typeof fields): string => `"${f(key)}"`;
  return (
    `[${f('start_time')}] "${f('method')} ${f('path')} ${f('protocol')}" ${f('response_code')} ${f('response_flags')} ` +
    `${f('response_code_details')} ${f('connection_termination_details')} ${q('upstream_transport_failure_reason')} ` +
    `${f('bytes_received')} ${f('bytes_sent')} ${f('duration')} ${f('upstream_service_time')} ${q('x_forwarded_for')} ` +
    `${q('user_agent')} ${q('request_id')} ${q('authority')} ${q('upstream_host')} ${f('upstream_cluster')} ` +
    `${f('upstream_local_address')} ${f('downstream_local_address')} ${f('downstream_remote_address')} ` +
    `${f('requested_server_name')} ${f('route_name')}`
  );
}

/** All logs as one, each line behind its pod as `kubectl logs --prefix` writes it; only where files are pods. */
function prefixed(logs: readonly Log[]): readonly Log[] {
  const pods = logs.map(({ name }) => originOfFile(name).pod);
  if (pods.some((pod) => pod === undefined)) return logs;
  return [
    {
      name: 'all.log',
      lines: logs.flatMap(({ lines }, i) => lines.map((line) => `[pod/${pods[i]}/istio-proxy] ${line}`)),
    },
  ];
}

const incidents = readdirSync(root).toSorted();
const told = ({ hypothesis }: Found, rename: (text: string) => string = (text) => text): unknown => ({
  cause: hypothesis.cause,
  services: hypothesis.at.services?.map(rename).toSorted(),
  pods: hypothesis.at.pods?.map(rename).toSorted(),
  endpoints: hypothesis.at.endpoints?.map(rename).toSorted(),
});
/** Places are lists cut to a few: only what is named on both sides is compared as a whole. */
const key = (incident: unknown): string => JSON.stringify(incident);

type Found = { readonly hypothesis: Pick<Incident['hypothesis'], 'cause' | 'at'> };

/** What is found of an incident as it was logged, told once for all that is done to it; its lines are not kept. */
const asLogged = new Map<string, Promise<readonly Found[]>>();
function foundIn(incident: string): Promise<readonly Found[]> {
  let found = asLogged.get(incident);
  if (!found) {
    found = incidentsOf(logsOf(incident)).then((all) =>
      all.map(({ hypothesis: { cause, at } }) => ({ hypothesis: { cause, at } })),
    );
    asLogged.set(incident, found);
  }
  return found;
}

describe('what is found does not depend on names', () => {
  it.each(incidents)('%s', async (incident) => {
    const logs = logsOf(incident);
    const renaming = new Renaming(SEED, logs);
    const parser = new LineParser();
    const record = new RecordCursor();
    const renamed = prefixed(
      logs.map(({ name, lines }) => ({
        name: renaming.text(name),
        lines: lines.map((line) => otherFormat(renaming.text(line), parser, record)),
      })),
    );
    const before = (await foundIn(incident)).map((one) => key(told(one, (text) => renaming.text(text))));
    const after = (await incidentsOf(renamed)).map((one) => key(told(one)));
    expect(after.toSorted()).toEqual(before.toSorted());
  });
});

describe.each([SEED])('a tenth of the lines lost, seed %d', (seed) => {
  it.each(incidents)('%s', async (incident) => {
    const next = random(seed + 7);
    const thinned = logsOf(incident).map(({ name, lines }) => ({
      name,
      lines: lines.filter(() => next() >= 0.1),
    }));
    const [before] = await foundIn(incident);
    const [after] = await incidentsOf(thinned);
    expect(after?.hypothesis.cause).toBe(before?.hypothesis.cause);
    expect(after?.hypothesis.at.services).toEqual(before?.hypothesis.at.services);
  });
});
