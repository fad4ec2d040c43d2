import { LineParser } from '../../parsers/index.js';
import { Observation } from '../../src/aggregate/observation.js';
import type { RowLimits } from '../../src/aggregate/rows.js';
import { diagnose, type Diagnosis } from '../../src/diagnosis/diagnose.js';
import { lineOf } from '../../src/record/line.js';
import { RecordCursor } from '../../src/record/record-view.js';

/*
 * Small incidents as data: each line is what differs from a good one, printed in Istio's text layout and read back as
 * any log is. Times are in ms after the beginning.
 */

/** One printed line, with the log that it stands in. */
export interface Logged {
  readonly pod: string;
  readonly at: number;
  readonly text: string;
}

/** What differs from a good line; `null` prints Envoy's `-`. */
export interface Line {
  readonly at: number;
  readonly method?: string | null;
  readonly path?: string | null;
  readonly protocol?: string | null;
  readonly code?: number;
  readonly flags?: string;
  readonly details?: string | null;
  readonly termination?: string | null;
  readonly reason?: string | null;
  readonly received?: number;
  readonly sent?: number;
  readonly ms?: number;
  readonly service?: number | null;
  readonly agent?: string | null;
  readonly id?: string;
  readonly authority?: string | null;
  readonly host?: string | null;
  readonly cluster?: string | null;
  readonly from?: string | null;
  readonly dialled?: string | null;
  readonly peer?: string | null;
  readonly sni?: string | null;
  readonly route?: string | null;
}

export interface Pod {
  readonly name: string;
  readonly ip: string;
}

/** A service: its pods, and the port that it and they serve on. */
export interface Service {
  readonly name: string;
  readonly namespace: string;
  readonly port: number;
  readonly pods: readonly Pod[];
}

const BEGINNING = Date.UTC(2026, 2, 3, 9, 20);
const time = (at: number): string => new Date(BEGINNING + at).toISOString();
const dash = (value: string | number | null | undefined): string =>
  value === null || value === undefined ? '-' : String(value);

/** A line as a proxy prints it. */
export function print(pod: string, line: Line): Logged {
  const { at, ms = 8, details = 'via_upstream' } = line;
  const text =
    `[${time(at)}] "${dash(line.method)} ${dash(line.path)} ${dash(line.protocol)}" ${line.code ?? 200} ${line.flags ?? '-'} ` +
    `${dash(details)} ${dash(line.termination)} "${dash(line.reason)}" ${line.received ?? 0} ${line.sent ?? 312} ${ms} ${dash(line.service)} ` +
    `"-" "${dash(line.agent)}" "${dash(line.id)}" "${dash(line.authority)}" "${dash(line.host)}" ${dash(line.cluster)} ` +
    `${dash(line.from)} ${dash(line.dialled)} ${dash(line.peer)} ${dash(line.sni)} ${dash(line.route)}`;
  return { pod, at: at + ms, text };
}

export const hostName = ({ name, namespace }: Service): string => `${name}.${namespace}.svc.cluster.local`;
export const placeOf = ({ name, namespace }: Service): string => `${name}.${namespace}`;
export const clusterOf = (service: Service, subset = ''): string =>
  `outbound|${service.port}|${subset}|${hostName(service)}`;
export const meshName = (service: Service): string => `outbound_.${service.port}_._.${hostName(service)}`;

let serial = 0;
/** A request id that no other line has. */
export function requestId(): string {
  const hex = (++serial).toString(16).padStart(12, '0');
  return `5f0c3a1e-77d2-9b41-8a6e-${hex}`;
}

const HTTP = {
  method: 'GET',
  path: '/v1/items',
  protocol: 'HTTP/1.1',
  agent: 'okhttp/4.12.0',
  service: 7,
} as const;
/** A refusal by a proxy: no host was tried. */
export const NO_HOST = { host: null, from: null, service: null } as const;
/** No cluster was chosen either. */
export const NO_CLUSTER = { ...NO_HOST, cluster: null } as const;
/** No route matched. */
export const NO_ROUTE = {
  ...NO_CLUSTER,
  code: 404,
  flags: 'NR',
  details: 'route_not_found',
  sent: 0,
  ms: 0,
  route: null,
} as const;
/** A host was tried, and no connection made. */
export const NO_CONNECTION = { from: null, service: null } as const;
export const RESET = (reason: string): string => `upstream_reset_before_response_started{${reason}}`;

/** A caller's sidecar calls one pod of a service. Each call has a connection of its own unless `port` says otherwise. */
export function client(
  caller: Pod,
  service: Service,
  server: Pod,
  line: Line & { readonly port?: number },
): Logged {
  const port = line.port ?? 30_000 + (++serial % 30_000);
  return print(caller.name, {
    ...HTTP,
    id: requestId(),
    authority: `${service.name}.${service.namespace}:${service.port}`,
    host: `${server.ip}:${service.port}`,
    cluster: clusterOf(service),
    from: `${caller.ip}:${port}`,
    dialled: `10.96.${service.port % 250}.17:${service.port}`,
    peer: `${caller.ip}:41234`,
    sni: null,
    route: 'default',
    ...line,
  });
}

/** The sidecar of a service's pod hands a request to its app. */
export function server(
  pod: Pod,
  service: Service,
  caller: Pod | null,
  line: Line & { readonly port?: number },
): Logged {
  const port = line.port ?? 30_000 + (++serial % 30_000);
  return print(pod.name, {
    ...HTTP,
    id: requestId(),
    authority: `${service.name}.${service.namespace}:${service.port}`,
    host: `${pod.ip}:${service.port}`,
    cluster: `inbound|${service.port}||`,
    from: `127.0.0.6:${20_000 + (port % 20_000)}`,
    dialled: `${pod.ip}:${service.port}`,
    peer: caller ? `${caller.ip}:${port}` : '10.31.0.1:50122',
    sni: caller ? meshName(service) : null,
    route: 'default',
    ...line,
  });
}

/** A gateway sends an outside client's request to one pod of a service. */
export function gateway(
  edge: Pod,
  service: Service,
  target: Pod,
  line: Line & { readonly port?: number },
): Logged {
  return client(edge, service, target, {
    peer: `198.51.100.${(++serial % 200) + 10}:${20_000 + (serial % 9_000)}`,
    dialled: `${edge.ip}:8443`,
    authority: 'shop.example.com',
    sni: 'shop.example.com',
    agent: 'Mozilla/5.0',
    ...line,
  });
}

/** A TCP connection through a caller's sidecar. */
export function tcp(caller: Pod, service: Service, target: Pod, line: Line): Logged {
  return client(caller, service, target, {
    method: null,
    path: null,
    protocol: null,
    agent: null,
    authority: null,
    details: null,
    code: 0,
    service: null,
    route: null,
    received: 410,
    sent: 2_048,
    ...line,
  });
}

/** A connection that a sidecar's or gateway's listener could not place. */
export function rejected(listener: Pod, port: number, peer: string, line: Line): Logged {
  return print(listener.name, {
    code: 0,
    flags: 'NR',
    details: 'filter_chain_not_found',
    sent: 0,
    ms: 0,
    dialled: `${listener.ip}:${port}`,
    peer,
    ...line,
  });
}

/** A connection as a ztunnel logs it; `error` is its sentence, `null` for a good one. */
export function ztunnel(
  node: string,
  direction: 'inbound' | 'outbound',
  from: Pod,
  service: Service,
  target: Pod,
  { at, ms = 12, error }: { at: number; ms?: number; error: string | null },
): Logged {
  const pair = (key: string, value: string): string => `${key}="${value}"`;
  const text = [
    time(at + ms),
    error === null ? 'info' : 'error',
    'access',
    'connection complete',
    [
      `src.addr=${from.ip}:40120`,
      pair('src.workload', from.name),
      pair('src.namespace', 'front'),
      pair('src.identity', 'spiffe://cluster.local/ns/front/sa/web'),
      `dst.addr=${target.ip}:15008`,
      `dst.hbone_addr=${target.ip}:${service.port}`,
      pair('dst.service', hostName(service)),
      pair('dst.workload', target.name),
      pair('dst.namespace', service.namespace),
      pair('direction', direction),
      `bytes_sent=${error === null ? 214 : 0}`,
      `bytes_recv=${error === null ? 1_830 : 0}`,
      pair('duration', `${ms}ms`),
      ...(error === null ? [] : [pair('error', error)]),
    ].join(' '),
  ].join('\t');
  return { pod: node, at: at + ms, text };
}

/** One request as both of its sidecars log it: the caller's line relays what the server's says. */
export function hop(
  caller: Pod,
  service: Service,
  pod: Pod,
  line: Line,
  inside: Partial<Line> = {},
  outside: Partial<Line> = {},
): readonly Logged[] {
  const id = line.id ?? requestId();
  const port = 30_000 + (++serial % 30_000);
  const ms = line.ms ?? 8;
  return [
    client(caller, service, pod, { ...line, id, port, ms: ms + 1, ...outside }),
    server(pod, service, caller, { ...line, id, port, ms, at: line.at + 1, ...inside }),
  ];
}

/** `of` moments from `from` on, `every` ms apart. */
export function moments(from: number, every: number, of: number): readonly number[] {
  return Array.from({ length: of }, (_, i) => from + i * every);
}

/** Good traffic of a caller around a fault, over every pod in turn; the server's lines too where `logged`. */
export function healthy(
  caller: Pod,
  service: Service,
  { from = 0, to = 60_000, every = 500, pods = service.pods, logged = true, line = {} as Partial<Line> } = {},
): readonly Logged[] {
  return moments(from, every, Math.ceil((to - from) / every)).flatMap((at, i) => {
    const pod = pods[i % pods.length]!;
    const one: Line = { at, ms: 6 + (i % 5), service: 5 + (i % 5), ...line };
    return logged ? hop(caller, service, pod, one) : [client(caller, service, pod, one)];
  });
}

/** Reads the lines as one file per pod. */
export function observe(
  lines: Iterable<Logged>,
  limits?: RowLimits,
  observation = new Observation(limits),
): Observation {
  const byPod = new Map<string, Logged[]>();
  for (const line of lines) {
    const log = byPod.get(line.pod);
    if (log) log.push(line);
    else byPod.set(line.pod, [line]);
  }
  const record = new RecordCursor();
  for (const [pod, log] of byPod) {
    const name = `${pod}.log`;
    const parser = new LineParser();
    observation.open(name, { pod, file: name });
    log.sort((a, b) => a.at - b.at);
    for (const [i, { text }] of log.entries()) {
      const framed = lineOf(text);
      if (parser.parse(framed, record) !== 'record') throw new Error(`no access line: ${text}`);
      observation.record(
        name,
        record,
        { pod, file: name, line: i + 1 },
        { overlong: false, unterminated: false },
      );
    }
  }
  return observation;
}

export function diagnosed(...lines: readonly (Logged | readonly Logged[])[]): Diagnosis {
  return diagnose(observe(lines.flat()).snapshot());
}
