import { hostOf } from '../record/address.js';
import { proxyOf, type Origin } from '../record/origin.js';
import type { RecordView } from '../record/record-view.js';
import { detailsClass } from '../record/response-code-details.js';
import { flagSetKey, type FlagSet } from '../record/response-flags.js';
import { parseMeshServerName, type Direction } from '../record/upstream-cluster.js';
import type { Aggregate } from './aggregate.js';
import { Counter } from './counter.js';
import { Durations, type Quantiles } from './durations.js';
import type { AnsweredBy, Outcome } from './failure.js';
import { pathTemplate } from './path-template.js';

/** By what failures are split, each with its successes beside it. */
export const DIMENSIONS = [
  'upstream_host',
  'pod',
  'downstream_peer',
  'path',
  'method',
  'authority',
  'route',
  'sni',
  'user_agent',
  'transport_failure_reason',
] as const;
export type Dimension = (typeof DIMENSIONS)[number];

export interface DimensionValue {
  readonly value: string;
  readonly failures: number;
  /** All lines of the group's denominator with this value. */
  readonly requests: number;
}

export interface GroupSnapshot {
  readonly id: string;
  readonly direction: Direction;
  readonly upstreamCluster: string | null;
  readonly responseCode: number | null;
  readonly responseFlags: FlagSet;
  readonly detailsClass: string | null;
  readonly answeredBy: AnsweredBy;
  readonly failures: number;
  /** The denominator: all lines of the same proxies and upstream cluster (without one: authority, TCP: local address). */
  readonly requests: number;
  readonly first: number;
  readonly last: number;
  readonly ratePerSecond: number;
  readonly durationMs: Quantiles | null;
  readonly top: Readonly<Partial<Record<Dimension, readonly DimensionValue[]>>>;
  /** Failures whose value is not among the listed ones. */
  readonly others: Readonly<Partial<Record<Dimension, number>>>;
}

export interface TrafficSnapshot {
  readonly requests: number;
  readonly failures: number;
  readonly app4xx: number;
  readonly byCode: readonly [string, number][];
  readonly byFlag: readonly [string, number][];
  readonly byAnswerer: Readonly<Record<AnsweredBy, number>>;
  readonly durationMs: Quantiles | null;
  /** Most failures first. */
  readonly groups: readonly GroupSnapshot[];
}

const TOP_VALUES = 8;
/** Keys come from names that strangers may choose (authorities, codes of plug-ins): beyond this they share one entry. */
const MAX_GROUPS = 10_000;
const MAX_POPULATIONS = 20_000;
const OVERFLOW = '(others)';

type Values = (string | null)[];

/** All lines that share a proxy and an upstream cluster (or authority): what failures are counted against. */
class Population {
  requests = 0;
  readonly counters: (Counter | undefined)[] = [];

  add(values: Values): void {
    this.requests++;
    count(this.counters, values);
  }

  merge(other: Population): void {
    this.requests += other.requests;
    mergeCounters(this.counters, other.counters);
  }
}

interface GroupKey {
  readonly direction: Direction;
  readonly upstreamCluster: string | null;
  readonly responseCode: number | null;
  readonly responseFlags: FlagSet;
  readonly detailsClass: string | null;
}

class Group {
  failures = 0;
  first = Infinity;
  last = -Infinity;
  readonly answerers = new Counter();
  readonly durations = new Durations();
  readonly counters: (Counter | undefined)[] = [];
  readonly populations = new Set<string>();

  constructor(readonly key: GroupKey) {}

  merge(other: Group): void {
    this.failures += other.failures;
    this.first = Math.min(this.first, other.first);
    this.last = Math.max(this.last, other.last);
    this.answerers.merge(other.answerers);
    this.durations.merge(other.durations);
    mergeCounters(this.counters, other.counters);
    for (const population of other.populations) this.populations.add(population);
  }
}

function count(counters: (Counter | undefined)[], values: Values): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value !== null && value !== undefined) (counters[i] ??= new Counter()).add(value);
  }
}

function mergeCounters(into: (Counter | undefined)[], from: readonly (Counter | undefined)[]): void {
  for (let i = 0; i < DIMENSIONS.length; i++) {
    const other = from[i];
    if (other) (into[i] ??= new Counter()).merge(other);
  }
}

/** Totals, failure groups and what they are counted against. */
export class Traffic implements Aggregate<TrafficSnapshot> {
  #requests = 0;
  #failures = 0;
  #app4xx = 0;
  readonly #codes = new Counter();
  readonly #flags = new Counter();
  readonly #answerers = { peer: 0, proxy: 0, unknown: 0 };
  readonly #durations = new Durations();
  readonly #groups = new Map<string, Group>();
  readonly #populations = new Map<string, Population>();

  add(record: RecordView, outcome: Outcome, origin: Origin): void {
    if (outcome.tunnel) return;
    const code = record.responseCode();
    const flags = record.responseFlags();
    const duration = record.durationMs();
    this.#requests++;
    this.#codes.add(code === null ? '-' : String(code));
    for (const flag of flags) this.#flags.add(flag);
    this.#answerers[outcome.answeredBy]++;
    if (outcome.app4xx) this.#app4xx++;
    // The length of a session is no latency: websockets and TCP would drown the rest.
    if (duration !== null && outcome.http && code !== 101) this.#durations.add(duration);

    const values = valuesOf(record, origin);
    const cluster = record.upstreamCluster();
    const proxy = proxyOf(origin);
    const byAuthority = `${proxy}\n${outcome.http ? 'authority' : 'address'}\n${
      (outcome.http ? record.text('authority') : record.text('downstream_local_address')) ?? ''
    }`;
    const ofAuthority = this.#population(byAuthority, `${proxy}\nauthority\n${OVERFLOW}`);
    ofAuthority.population.add(values);
    let scope = ofAuthority.key;
    if (cluster) {
      const ofCluster = this.#population(
        `${proxy}\ncluster\n${cluster.name}`,
        `${proxy}\ncluster\n${OVERFLOW}`,
      );
      ofCluster.population.add(values);
      scope = ofCluster.key;
    }
    if (!outcome.failure) return;

    this.#failures++;
    const group = this.#group(record, directionOf(record));
    const start = record.startTime();
    group.failures++;
    if (start < group.first) group.first = start;
    if (start > group.last) group.last = start;
    group.answerers.add(outcome.answeredBy);
    if (duration !== null) group.durations.add(duration);
    count(group.counters, values);
    group.populations.add(scope);
  }

  merge(other: this): void {
    this.#requests += other.#requests;
    this.#failures += other.#failures;
    this.#app4xx += other.#app4xx;
    this.#codes.merge(other.#codes);
    this.#flags.merge(other.#flags);
    for (const who of ['peer', 'proxy', 'unknown'] as const) this.#answerers[who] += other.#answerers[who];
    this.#durations.merge(other.#durations);
    for (const [key, population] of other.#populations) {
      const mine = this.#populations.get(key);
      if (mine) mine.merge(population);
      else this.#populations.set(key, population);
    }
    for (const [key, group] of other.#groups) {
      const mine = this.#groups.get(key);
      if (mine) mine.merge(group);
      else this.#groups.set(key, group);
    }
  }

  snapshot(): TrafficSnapshot {
    const groups = [...this.#groups].toSorted(
      ([keyA, a], [keyB, b]) => b.failures - a.failures || (keyA < keyB ? -1 : 1),
    );
    return {
      requests: this.#requests,
      failures: this.#failures,
      app4xx: this.#app4xx,
      byCode: this.#codes.entries(),
      byFlag: this.#flags.entries(),
      byAnswerer: { ...this.#answerers },
      durationMs: this.#durations.quantiles(),
      groups: groups.map(([, group], index) => this.#groupSnapshot(group, `g${index + 1}`)),
    };
  }

  #population(key: string, overflow: string): { key: string; population: Population } {
    const known = this.#populations.get(key);
    if (known) return { key, population: known };
    const room = this.#populations.size < MAX_POPULATIONS;
    const used = room ? key : overflow;
    let population = this.#populations.get(used);
    if (!population) {
      population = new Population();
      this.#populations.set(used, population);
    }
    return { key: used, population };
  }

  #group(record: RecordView, direction: Direction): Group {
    const details = record.text('response_code_details');
    const key: GroupKey = {
      direction,
      upstreamCluster: record.upstreamCluster()?.name ?? null,
      responseCode: record.responseCode(),
      responseFlags: record.responseFlags(),
      detailsClass: details ? detailsClass(details) : (details ?? null),
    };
    const id = groupKeyText(key);
    const known = this.#groups.get(id);
    if (known) return known;
    if (this.#groups.size >= MAX_GROUPS) {
      const others: GroupKey = {
        ...key,
        direction: 'unknown',
        upstreamCluster: OVERFLOW,
        detailsClass: OVERFLOW,
      };
      const rest =
        this.#groups.get(OVERFLOW) ?? new Group({ ...others, responseCode: null, responseFlags: [] });
      this.#groups.set(OVERFLOW, rest);
      return rest;
    }
    const group = new Group(key);
    this.#groups.set(id, group);
    return group;
  }

  #groupSnapshot(group: Group, id: string): GroupSnapshot {
    const populations = [...group.populations].flatMap((key) => this.#populations.get(key) ?? []);
    const requests = populations.reduce((sum, population) => sum + population.requests, 0);
    const top: Partial<Record<Dimension, DimensionValue[]>> = {};
    const others: Partial<Record<Dimension, number>> = {};
    DIMENSIONS.forEach((dimension, i) => {
      const failing = group.counters[i];
      if (!failing) return;
      const all = new Counter();
      for (const population of populations) {
        const counter = population.counters[i];
        if (counter) all.merge(counter);
      }
      const values = new Set([...failing.entries(), ...all.entries()].map(([value]) => value));
      const listed = [...values]
        .map((value) => ({
          value,
          failures: failing.get(value),
          // Failures that outlived a compaction of the denominator still are attempts.
          requests: Math.max(all.get(value), failing.get(value)),
        }))
        .toSorted(
          (a, b) => b.failures - a.failures || b.requests - a.requests || (a.value < b.value ? -1 : 1),
        )
        .slice(0, TOP_VALUES);
      top[dimension] = listed;
      const total = failing.entries().reduce((sum, [, n]) => sum + n, 0) + failing.others;
      const rest = total - listed.reduce((sum, value) => sum + value.failures, 0);
      if (rest > 0) others[dimension] = rest;
    });
    const seconds = Math.max((group.last - group.first) / 1000, 1);
    return {
      id,
      ...group.key,
      answeredBy: (group.answerers.entries()[0]?.[0] ?? 'unknown') as AnsweredBy,
      failures: group.failures,
      requests,
      first: group.first,
      last: group.last,
      ratePerSecond: group.failures / seconds,
      durationMs: group.durations.quantiles(),
      top,
      others,
    };
  }
}

/** One text for a group's key; the same whatever the order of the flags. */
export function groupKeyText(key: GroupKey): string {
  return [
    key.direction,
    key.upstreamCluster ?? '-',
    key.responseCode ?? '-',
    flagSetKey(key.responseFlags),
    key.detailsClass ?? '-',
  ].join('\n');
}

/** The cluster tells the direction; without one, what only one side of a hop can log. */
export function directionOf(record: RecordView): Direction {
  const side = record.ztunnelPair('direction');
  if (side === 'inbound' || side === 'outbound') return side;
  const cluster = record.upstreamCluster();
  if (cluster && cluster.direction !== 'unknown') return cluster.direction;
  // 127.0.0.6 is the address from which a sidecar calls its own app.
  if (/^(?:127\.0\.0\.6:|\[::6\]:)/.test(record.text('upstream_local_address') ?? '')) return 'inbound';
  const serverName = record.text('requested_server_name');
  if (serverName && !cluster && parseMeshServerName(serverName)) return 'inbound';
  return 'unknown';
}

function valuesOf(record: RecordView, origin: Origin): Values {
  const remote = record.text('downstream_remote_address');
  const path = record.text('path');
  return [
    record.text('upstream_host') ?? null,
    origin.pod ?? null,
    remote ? hostOf(remote) : null,
    path ? pathTemplate(path) : null,
    record.text('method') ?? null,
    record.text('authority') ?? null,
    record.text('route_name') ?? null,
    record.text('requested_server_name') ?? null,
    record.text('user_agent') ?? null,
    record.text('upstream_transport_failure_reason') ?? null,
  ];
}
