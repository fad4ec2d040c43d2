import type { Clocks } from '../aggregate/clocks.js';
import { ByKind } from '../aggregate/by-kind.js';
import type { CoverageSnapshot } from '../aggregate/coverage.js';
import { isRejectedConnection } from '../aggregate/ends.js';
import type { GroupSnapshot } from '../aggregate/groups.js';
import { join, type Case, type Joins } from '../aggregate/joins.js';
import type { ObservationSnapshot } from '../aggregate/observation.js';
import { RoleSigns, type Role } from '../aggregate/role.js';
import type { Kind, Row } from '../aggregate/row.js';
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
  /** The lines of some kinds, by start time. */
  rowsOf(matches: (kind: Kind) => boolean): readonly Row[];
  /** The cases that lines of some kinds decided, in their order. */
  casesOf(matches: (kind: Kind) => boolean): readonly Case[];
  /** What was measured of the proxies' clocks; all times of rows are corrected by it. */
  readonly clocks: Clocks;
  /** What a line is about: the service, else the authority, else the address dialled. */
  placeOf(kind: Kind): string;
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
  /** Whether a proxy stands in front of an app: its log has inbound lines. */
  servesApp(proxy: string): boolean;
  /** What a proxy is, told by its own lines: an input may hold several. */
  roleOf(proxy: string): Role;
  /** The pod that owns an address, where its own log shows it. */
  podOf(ip: string): string | null;
  /** Whether a line is the server's of a hop, by its direction or by the line above it. */
  cameIn(row: Row): boolean;
  /** Who called: the pod that logged a caller's line, or whom a server's line names. */
  callerOf(row: Row): string | null;
  /** Where lines were sampled: how long the connections of some had been idle, ms, as it was looked up; `null`: not used before. */
  readonly idleTimes: ReadonlyMap<Row, number | null>;
  /** What a cluster tells beside the lines. */
  readonly facts: ClusterFacts;
  /** The addresses that a proxy's own log shows to be its pod's. */
  addressesOf(proxy: string): readonly string[];
}

/** Stands the evidence up for the causes to look at. */
export function sceneOf(observation: ObservationSnapshot, facts: ClusterFacts = NO_FACTS): Scene {
  const { coverage, traffic } = observation;
  const { rows, complete } = observation.rows;
  const rowsByKind = new ByKind(rows, (row) => row.kind);
  const joins = join(rowsByKind);
  const casesByKind = new ByKind(joins.cases, ({ decider }) => decider.kind);
  const places = new Places(rowsByKind);
  const byProxy = new Lists(({ proxy }) => proxy);
  const callers = new Lists((kind) => places.of(kind));
  const populations = new Lists((kind, side) => populationKey(kind, side, places));
  for (const row of rows) {
    byProxy.push(row);
    if (row.tunnel) continue;
    if (row.direction === 'outbound') callers.push(row);
    populations.push(row, sideOf(row, joins));
  }
  const requests = new Lists((kind, side) => populationKey(kind, side, places));
  const requestsToPort = new Lists((kind, side) => destinationKey(kind, side, places));
  for (const row of joins.roots) {
    const side = sideOf(row, joins);
    requests.push(row, side);
    if (portOf(row) !== null) requestsToPort.push(row, side);
  }
  const serving = new Set<string>();
  for (const [{ direction, proxy }] of rowsByKind.counts()) if (direction === 'inbound') serving.add(proxy);
  const roles = new Map<string, Role>();
  const roleOf = (proxy: string): Role => {
    let role = roles.get(proxy);
    if (!role) roles.set(proxy, (role = roleBy(byProxy.named(proxy))));
    return role;
  };
  const owners = ownersOf(rows, joins);
  const podOf = (ip: string): string | null => owners.pods.get(ip) ?? null;
  const linesOf = (row: Row): readonly Row[] => populations.like(row, sideOf(row, joins));
  return {
    rows,
    complete,
    ...extentOf(observation),
    lastEnd: lastEndOf(rows),
    coverage,
    errorsOnly: holdsErrorsOnly(observation),
    groups: traffic.groups,
    cases: joins.cases,
    symptoms: symptomsOf(joins.cases, places),
    joins,
    rowsOf: (matches) => rowsByKind.where(matches),
    casesOf: (matches) => casesByKind.where(matches),
    clocks: observation.rows.clocks,
    idleTimes: observation.rows.idleTimes ?? NONE,
    facts,
    placeOf: (kind) => places.of(kind),
    population: ({ sample }) => linesOf(sample),
    linesOf,
    callersLines: (place) => callers.named(place),
    linesOfProxy: (proxy) => byProxy.named(proxy),
    requestsLike: (row) => (portOf(row) === null ? requests : requestsToPort).like(row, sideOf(row, joins)),
    servesApp: (proxy) => serving.has(proxy),
    roleOf,
    podOf,
    cameIn: (row) => sideOf(row, joins) === 'inbound',
    callerOf: (row) =>
      sideOf(row, joins) === 'inbound' ? row.peer && (podOf(row.peer) ?? row.peer) : row.proxy,
    addressesOf: (proxy) => owners.addresses.get(proxy) ?? [],
  };
}

const NONE: ReadonlyMap<Row, number | null> = new Map();

type Side = 'inbound' | 'outbound';

/** Rows by a name that all rows of a kind share, as far as they stand on the same side of a hop. */
class Lists {
  readonly #byName = new Map<string, Row[]>();
  readonly #byKind = { inbound: new Map<Kind, Row[]>(), outbound: new Map<Kind, Row[]>() };

  constructor(readonly nameOf: (kind: Kind, side: Side) => string) {}

  push(row: Row, side: Side = 'outbound'): void {
    this.#of(row, side).push(row);
  }
  named(name: string): readonly Row[] {
    return this.#byName.get(name) ?? [];
  }
  like(row: Row, side: Side): readonly Row[] {
    return this.#of(row, side);
  }

  #of({ kind }: Row, side: Side): Row[] {
    const known = this.#byKind[side];
    let list = known.get(kind);
    if (!list) {
      const name = this.nameOf(kind, side);
      list = this.#byName.get(name);
      if (!list) this.#byName.set(name, (list = []));
      known.set(kind, list);
    }
    return list;
  }
}

function symptomsOf(cases: readonly Case[], places: Places): readonly Symptom[] {
  const byKey = new Map<string, Case[]>();
  const byKind = new Map<Kind, Case[]>();
  for (const failed of cases) {
    const { kind } = failed.decider;
    let list = byKind.get(kind);
    if (!list) {
      const key = `${places.of(kind)}\n${kind.groupKey}`;
      list = byKey.get(key);
      if (!list) byKey.set(key, (list = []));
      byKind.set(kind, list);
    }
    list.push(failed);
  }
  return [...byKey]
    .map(([key, like]): Symptom => {
      const sample = like[0]!.decider;
      return { key, place: places.of(sample), sample, cases: like };
    })
    .toSorted((a, b) => b.cases.length - a.cases.length || (a.key < b.key ? -1 : 1));
}

function roleBy(rows: readonly Row[]): Role {
  const signs = new RoleSigns();
  for (const { kind } of rows) signs.add(kind);
  return signs.told().role;
}

function lastEndOf(rows: readonly Row[]): number {
  let last = -Infinity;
  for (const { end } of rows) if (end > last && end < Infinity) last = end;
  return last;
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

/**
 * Whether a line is a server's: what a listener refused has no direction of its own, and had come in. Lines without a
 * direction of their own (no route, no cluster) are counted with those that got one.
 */
const sideOf = (row: Row, joins: Joins): Side =>
  row.direction === 'inbound' || isRejectedConnection(row) || isBelowItsCaller(row, joins)
    ? 'inbound'
    : 'outbound';

const populationKey = (kind: Kind, side: Side, places: Places): string => `${side}\n${places.of(kind)}`;

/** The port that was meant; `null` where no cluster was chosen: then it may have been any of the place. */
function portOf(kind: Kind): number | null {
  if (kind.cluster) return kind.cluster.port;
  return isRejectedConnection(kind) && kind.downstreamLocal ? portOfAddress(kind.downstreamLocal) : null;
}

const destinationKey = (kind: Kind, side: Side, places: Places): string =>
  `${populationKey(kind, side, places)}\n${portOf(kind)}`;

/** Tells what each line is about, from what all lines of its proxy say together. */
class Places {
  /** Inbound clusters carry no name; the callers' server names on the same port do. */
  readonly #served = new Map<string, string>();
  readonly #byAuthority = new Map<string, string>();
  /** What each address of a proxy serves, and each proxy at all. */
  readonly #servedAt = new Map<string, string>();

  constructor(rows: ByKind<Row>) {
    const named = new Map<string, Map<string, number>>();
    const authorities = new Map<string, Map<string, number>>();
    for (const [kind, count] of rows.counts()) {
      if (kind.direction === 'inbound') {
        const service =
          (kind.serverName && parseMeshServerName(kind.serverName)?.service) ?? kind.cluster?.service;
        if (service) bump(named, portKey(kind), service, count);
      } else if (kind.authority && kind.cluster?.service) {
        bump(authorities, kind.authority, kind.cluster.service, count);
      }
    }
    for (const [key, counts] of named) this.#served.set(key, heaviest(counts));
    for (const [authority, counts] of authorities) this.#byAuthority.set(authority, heaviest(counts));
    const served = new Map<string, Map<string, number>>();
    for (const [kind, count] of rows.counts()) {
      if (kind.direction !== 'inbound' || kind.cluster?.kind !== 'inbound') continue;
      bump(served, listenerKey(kind), this.of(kind), count);
      bump(served, kind.proxy, this.of(kind), count);
    }
    for (const [key, counts] of served) this.#servedAt.set(key, heaviest(counts));
  }

  readonly #known = new Map<Kind, string>();

  of({ kind }: Kind): string {
    let place = this.#known.get(kind);
    if (place === undefined) this.#known.set(kind, (place = this.#find(kind)));
    return place;
  }

  #find(kind: Kind): string {
    if (kind.service) return serviceOfHost(kind.service);
    if (kind.direction === 'inbound') {
      return this.#served.get(portKey(kind)) ?? (kind.authority ? bareHost(kind.authority) : kind.proxy);
    }
    const { cluster } = kind;
    if (cluster?.service) return cluster.service;
    if (kind.authority) return this.#byAuthority.get(kind.authority) ?? bareHost(kind.authority);
    if (isRejectedConnection(kind)) {
      const served = this.#servedAt.get(listenerKey(kind)) ?? this.#servedAt.get(kind.proxy);
      if (served !== undefined) return served;
    }
    return kind.downstreamLocal ?? cluster?.name ?? kind.proxy;
  }
}

const portKey = (kind: Kind): string => `${kind.proxy}\n${kind.cluster?.port ?? kind.downstreamLocal ?? ''}`;

const listenerKey = (kind: Kind): string => `${kind.proxy}\n${kind.downstreamLocal ?? ''}`;

function bump(map: Map<string, Map<string, number>>, key: string, value: string, count: number): void {
  const counts = map.get(key) ?? new Map<string, number>();
  counts.set(value, (counts.get(value) ?? 0) + count);
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
  return row.direction === 'outbound' && row.kind.fromOwnPod ? row.peer : null;
}
