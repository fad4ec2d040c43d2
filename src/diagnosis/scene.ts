import type { Clocks } from '../aggregate/clocks.js';
import type { CoverageSnapshot } from '../aggregate/coverage.js';
import { isRejectedConnection } from '../aggregate/ends.js';
import type { GroupSnapshot } from '../aggregate/groups.js';
import { join, type Case, type Joins } from '../aggregate/joins.js';
import type { ObservationSnapshot } from '../aggregate/observation.js';
import { isFromOwnPod, RoleSigns, type Role } from '../aggregate/role.js';
import type { Row } from '../aggregate/rows.js';
import { hostOf, portOf as portOfAddress } from '../record/address.js';
import { NO_FACTS, type ClusterFacts } from './cluster-facts.js';
import { holdsErrorsOnly } from './coverage-limits.js';
import { least, most } from './stats.js';
import { parseMeshServerName, serviceOfHost } from '../record/upstream-cluster.js';

/** Failed requests that look alike at the line that decided them: one place, one reply, one mechanism's worth of details. */
export interface Symptom {
  readonly key: string;
  /** The service, or where no cluster was chosen the authority (TCP: the address dialled). */
  readonly place: string;
  /** Any decider: direction, cluster, code, flags and details class are those of all. */
  readonly sample: Row;
  readonly cases: readonly Case[];
}

/** All that a cause may look at. */
export interface Scene {
  /** Every kept line, by start time. */
  readonly rows: readonly Row[];
  /** Whether that is every line of the input; else counts over rows are of a sample. */
  readonly complete: boolean;
  /** Smallest and largest start time, ms since the epoch. */
  readonly first: number;
  readonly last: number;
  /** Largest end: what a proxy logged last. */
  readonly lastEnd: number;
  readonly coverage: CoverageSnapshot;
  /** The log holds nothing but errors: nothing is told of shares. */
  readonly errorsOnly: boolean;
  readonly groups: readonly GroupSnapshot[];
  readonly cases: readonly Case[];
  readonly symptoms: readonly Symptom[];
  readonly joins: Joins;
  /** What was measured of the proxies' clocks; all times of rows are corrected by it. */
  readonly clocks: Clocks;
  /** What a line is about: the service, else the authority, else the address dialled. */
  placeOf(row: Row): string;
  /** All lines of the same direction and place as a symptom's deciders: what its failures are counted against. */
  population(symptom: Symptom): readonly Row[];
  /** All lines of the same direction and place as a line. */
  linesOf(row: Row): readonly Row[];
  /** All that callers sent to a place, as their own lines show it. */
  callersLines(place: string): readonly Row[];
  /** All lines of one proxy's log, by start time. */
  linesOfProxy(proxy: string): readonly Row[];
  /** All outermost lines to the same destination as a case's. */
  requestsLike(row: Row): readonly Row[];
  /** What a proxy is, told by its own lines: an input may hold several. */
  roleOf(proxy: string): Role;
  /** The pod that owns an address, where its own log shows it. */
  podOf(ip: string): string | null;
  /** Whether a line is the server's of a hop, by its direction or by the line above it. */
  cameIn(row: Row): boolean;
  /** Who called: the pod that logged a caller's line, or whom a server's line names. */
  callerOf(row: Row): string | null;
  /** What a cluster tells beside the lines. */
  readonly facts: ClusterFacts;
  /** The addresses that a proxy's own log shows to be its pod's. */
  addressesOf(proxy: string): readonly string[];
}

/** Stands the evidence up for the causes to look at. */
export function sceneOf(observation: ObservationSnapshot, facts: ClusterFacts = NO_FACTS): Scene {
  const { coverage, traffic } = observation;
  const { rows, complete } = observation.rows;
  const joins = join(rows);
  const places = new Places(rows);
  const populations = new Map<string, Row[]>();
  const byProxy = new Map<string, Row[]>();
  const roles = new Map<string, RoleSigns>();
  const callers = new Map<string, Row[]>();
  for (const row of rows) {
    push(byProxy, row.proxy, row);
    let signs = roles.get(row.proxy);
    if (!signs) roles.set(row.proxy, (signs = new RoleSigns()));
    const { format, cluster, upstreamLocal, downstreamRemote } = row;
    signs.add({ format, cluster, fromOwnPod: isFromOwnPod(upstreamLocal, downstreamRemote) });
    if (row.direction === 'outbound' && !row.tunnel) push(callers, places.of(row), row);
    if (!row.tunnel) push(populations, populationKey(row, places.of(row), joins), row);
  }
  const requests = new Map<string, Row[]>();
  for (const row of joins.roots) {
    const place = places.of(row);
    push(requests, populationKey(row, place, joins), row);
    if (portOf(row) !== null) push(requests, destinationKey(row, place, joins), row);
  }

  const bySymptom = new Map<string, Case[]>();
  for (const failed of joins.cases) {
    const { decider } = failed;
    push(bySymptom, `${places.of(decider)}\n${decider.groupKey}`, failed);
  }
  const symptoms = [...bySymptom].map(([key, cases]): Symptom => {
    const sample = cases[0]!.decider;
    return { key, place: places.of(sample), sample, cases };
  });
  const owners = ownersOf(rows, joins);
  const podOf = (ip: string): string | null => owners.pods.get(ip) ?? null;
  const linesOf = (row: Row): readonly Row[] =>
    populations.get(populationKey(row, places.of(row), joins)) ?? [];
  return {
    rows,
    complete,
    ...extentOf(observation),
    lastEnd: most(rows.map((row) => row.end).filter(Number.isFinite)),
    coverage,
    errorsOnly: holdsErrorsOnly(observation),
    groups: traffic.groups,
    cases: joins.cases,
    symptoms: symptoms.toSorted((a, b) => b.cases.length - a.cases.length || (a.key < b.key ? -1 : 1)),
    joins,
    clocks: observation.rows.clocks,
    facts,
    placeOf: (row) => places.of(row),
    population: ({ sample }) => linesOf(sample),
    linesOf,
    callersLines: (place) => callers.get(place) ?? [],
    linesOfProxy: (proxy) => byProxy.get(proxy) ?? [],
    requestsLike: (row) => requests.get(destinationKey(row, places.of(row), joins)) ?? [],
    roleOf: (proxy) => roles.get(proxy)?.told().role ?? 'unknown',
    podOf,
    cameIn: (row) => cameIn(row, joins),
    callerOf: (row) => (cameIn(row, joins) ? row.peer && (podOf(row.peer) ?? row.peer) : row.proxy),
    addressesOf: (proxy) => owners.addresses.get(proxy) ?? [],
  };
}

/** From the first start to the last: by the proxies' own clocks, or corrected where some are off. */
function extentOf({ coverage, rows }: ObservationSnapshot): { first: number; last: number } {
  if (rows.clocks.skewed.length === 0) return { first: coverage.first, last: coverage.last };
  const starts = rows.rows.map((row) => row.start).filter(Number.isFinite);
  return { first: least(starts), last: most(starts) };
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

/** Envoy's own text names no cluster on either side of a hop: the line below another of the same upstream host is the server's. */
const isBelowItsCaller = (row: Row, { parent }: Joins): boolean =>
  row.direction === 'unknown' && row.upstreamHost !== null && parent(row)?.upstreamHost === row.upstreamHost;

/** Whether a line is a server's: what a listener refused has no direction of its own, and had come in. */
const cameIn = (row: Row, joins: Joins): boolean =>
  row.direction === 'inbound' || isRejectedConnection(row) || isBelowItsCaller(row, joins);

/** Lines without a direction of their own (no route, no cluster) are counted with those that got one. */
function populationKey(row: Row, place: string, joins: Joins): string {
  return `${cameIn(row, joins) ? 'inbound' : 'outbound'}\n${place}`;
}

/** The port that was meant; `null` where no cluster was chosen: then it may have been any of the place. */
function portOf(row: Row): number | null {
  if (row.cluster) return row.cluster.port;
  return isRejectedConnection(row) && row.downstreamLocal ? portOfAddress(row.downstreamLocal) : null;
}

function destinationKey(row: Row, place: string, joins: Joins): string {
  const port = portOf(row);
  const key = populationKey(row, place, joins);
  return port === null ? key : `${key}\n${port}`;
}

/** Tells what each line is about, from what all lines of its proxy say together. */
class Places {
  /** Inbound clusters carry no name; the callers' server names on the same port do. */
  readonly #served = new Map<string, string>();
  readonly #byAuthority = new Map<string, string>();
  /** What each address of a proxy serves, and each proxy at all. */
  readonly #servedAt = new Map<string, string>();

  constructor(rows: readonly Row[]) {
    const named = new Map<string, Map<string, number>>();
    const authorities = new Map<string, Map<string, number>>();
    for (const row of rows) {
      if (row.direction === 'inbound') {
        const service =
          (row.serverName && parseMeshServerName(row.serverName)?.service) ?? row.cluster?.service;
        if (service) bump(named, portKey(row), service);
      } else if (row.authority && row.cluster?.service) {
        bump(authorities, row.authority, row.cluster.service);
      }
    }
    for (const [key, counts] of named) this.#served.set(key, heaviest(counts));
    for (const [authority, counts] of authorities) this.#byAuthority.set(authority, heaviest(counts));
    const served = new Map<string, Map<string, number>>();
    for (const row of rows) {
      if (row.direction !== 'inbound' || row.cluster?.kind !== 'inbound') continue;
      bump(served, listenerKey(row), this.of(row));
      bump(served, row.proxy, this.of(row));
    }
    for (const [key, counts] of served) this.#servedAt.set(key, heaviest(counts));
  }

  readonly #known: string[] = [];

  of(row: Row): string {
    return (this.#known[row.ordinal] ??= this.#find(row));
  }

  #find(row: Row): string {
    if (row.service) return serviceOfHost(row.service);
    if (row.direction === 'inbound') {
      return this.#served.get(portKey(row)) ?? (row.authority ? bareHost(row.authority) : row.proxy);
    }
    const { cluster } = row;
    if (cluster?.service) return cluster.service;
    if (row.authority) return this.#byAuthority.get(row.authority) ?? bareHost(row.authority);
    if (isRejectedConnection(row)) {
      const served = this.#servedAt.get(listenerKey(row)) ?? this.#servedAt.get(row.proxy);
      if (served !== undefined) return served;
    }
    return row.downstreamLocal ?? cluster?.name ?? row.proxy;
  }
}

const portKey = (row: Row): string => `${row.proxy}\n${row.cluster?.port ?? row.downstreamLocal ?? ''}`;

const listenerKey = (row: Row): string => `${row.proxy}\n${row.downstreamLocal ?? ''}`;

function bump(map: Map<string, Map<string, number>>, key: string, value: string): void {
  const counts = map.get(key) ?? new Map<string, number>();
  counts.set(value, (counts.get(value) ?? 0) + 1);
  map.set(key, counts);
}

function heaviest(counts: ReadonlyMap<string, number>): string {
  return [...counts].toSorted(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))[0]![0];
}

/** An authority without its port: one host is one place however a client spells it. */
function bareHost(authority: string): string {
  return authority.replace(/:\d+$/, '');
}

/** Whose address is whose: a server's own lines show its pod's, a sidecar's own calls too. */
function ownersOf(
  rows: readonly Row[],
  joins: Joins,
): {
  pods: ReadonlyMap<string, string>;
  addresses: ReadonlyMap<string, readonly string[]>;
} {
  const pods = new Map<string, string>();
  const addresses = new Map<string, string[]>();
  for (const row of rows) {
    const ip = ownAddress(row, joins);
    if (ip === null || pods.has(ip)) continue;
    pods.set(ip, row.proxy);
    push(addresses, row.proxy, ip);
  }
  return { pods, addresses };
}

function ownAddress(row: Row, joins: Joins): string | null {
  if (row.direction === 'inbound' && row.cluster?.kind === 'inbound') {
    return row.downstreamLocal && hostOf(row.downstreamLocal);
  }
  if (isBelowItsCaller(row, joins)) return row.upstreamIp;
  if (row.direction !== 'outbound' || !row.upstreamLocal || !row.downstreamRemote) return null;
  const own = hostOf(row.upstreamLocal);
  return own === hostOf(row.downstreamRemote) ? own : null;
}
