import { OTHERS_TEXT } from '../record/dictionary.js';
import type { FlagSet } from '../record/response-flags.js';
import type { Direction } from '../record/upstream-cluster.js';
import { Counter } from './counter.js';
import { Durations, type Quantiles } from './durations.js';
import type { AnsweredBy } from './failure.js';
import { groupKeyText, type GroupKey } from './group-key.js';
import { DURATION, PAIRED, type CellValues } from './cell-values.js';
import type { Tally } from './tally.js';

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

/** Dimensions that are fields of a tuple, by the field that they show. */
const OF_TUPLE = {
  method: 'method',
  authority: 'authority',
  route: 'route_name',
  sni: 'requested_server_name',
  transport_failure_reason: 'upstream_transport_failure_reason',
} as const satisfies Partial<Record<Dimension, string>>;
const TUPLE_DIMENSIONS = Object.entries(OF_TUPLE) as [
  keyof typeof OF_TUPLE,
  (typeof OF_TUPLE)[keyof typeof OF_TUPLE],
][];

/** Values of tuples by dimension. The tally is bounded, so these need no bound of their own. */
class Values {
  readonly #counters = new Map<Dimension, Counter>();

  add(dimension: Dimension, value: string | null | undefined, count: number): void {
    if (value === undefined || value === null) return;
    let counter = this.#counters.get(dimension);
    if (!counter) this.#counters.set(dimension, (counter = new Counter(Infinity)));
    counter.add(value, count);
  }

  get(dimension: Dimension): Counter | undefined {
    return this.#counters.get(dimension);
  }
}

/** All lines that share a proxy and an upstream cluster (or authority): what failures are counted against. */
class Population {
  requests = 0;
  readonly values = new Values();
  readonly cells: number[] = [];

  constructor(readonly number: number) {}
}

class Group {
  failures = 0;
  first = Infinity;
  last = -Infinity;
  readonly answerers = new Counter();
  readonly durations = new Durations();
  readonly values = new Values();
  /** Of failing lines. */
  readonly cells: number[] = [];
  readonly populations = new Set<Population>();

  constructor(readonly key: GroupKey) {}
}

/** Totals, failure groups and what they are counted against. */
export function trafficOf(tally: Tally): TrafficSnapshot {
  let requests = 0;
  let failures = 0;
  let app4xx = 0;
  const codes = new Counter();
  const flags = new Counter();
  const answerers = { peer: 0, proxy: 0, unknown: 0 };
  const { ofCell, groups } = cellsOf(tally);
  for (let tuple = 0; tuple < tally.size; tuple++) {
    const { outcome, group: key, cell } = tally.told(tuple);
    if (outcome.tunnel || tally.isLeftOut(tuple)) continue;
    const count = tally.count(tuple);
    requests += count;
    codes.add(tally.code(tuple) ?? '-', count);
    for (const flag of key.responseFlags) flags.add(flag, count);
    answerers[outcome.answeredBy] += count;
    if (outcome.app4xx) app4xx += count;
    if (outcome.failure) failures += count;
    const { group, populations } = ofCell[cell]!;
    if (group) {
      group.failures += count;
      group.answerers.add(outcome.answeredBy, count);
    }
    for (const population of populations) population.requests += count;
    const { pod } = tally.streamOf(tuple);
    for (const { values } of group ? [group, ...populations] : populations) {
      values.add('pod', pod, count);
      for (const [dimension, field] of TUPLE_DIMENSIONS)
        values.add(dimension, tally.text(tuple, field), count);
    }
  }
  const durations = new Durations();
  const runs = PAIRED.map(() => new RunsOfCells());
  tally.values.forEachRun((cell, kind, values, counts) => {
    if (kind < DURATION) return runs[kind]!.add(cell, { ids: values, counts });
    const into = cell === 0 ? durations : ofCell[cell]!.group!.durations;
    for (let i = 0; i < values.length; i++) into.add(values[i]!, counts[i]!);
  });
  for (const [cell, { longest }] of tally.cells.entries()) {
    (cell === 0 ? durations : ofCell[cell]!.group?.durations)?.reaches(longest);
  }
  const paired = runs.map((of, kind) => leadingByGroup(tally.values, kind, of, [...groups.values()]));
  return {
    requests,
    failures,
    app4xx,
    byCode: codes.entries(),
    byFlag: flags.entries(),
    byAnswerer: answerers,
    durationMs: durations.quantiles(),
    groups: [...groups]
      .toSorted(([keyA, a], [keyB, b]) => b.failures - a.failures || (keyA < keyB ? -1 : 1))
      .map(([, group], index) => snapshotOf(group, paired, `g${index + 1}`)),
  };
}

/** What one cell's lines count for: their group, where they failed, and those populations that some group is counted against. */
interface Shares {
  readonly group: Group | null;
  readonly populations: readonly Population[];
}

function cellsOf({ cells }: Tally): { ofCell: readonly Shares[]; groups: ReadonlyMap<string, Group> } {
  const groups = new Map<string, Group>();
  const populations = new Map<string, Population>();
  const groupOf: (Group | null)[] = cells.map(({ group: key, ofAuthority, ofCluster, first, last }, cell) => {
    if (!key) return null;
    const id = groupKeyText(key);
    let group = groups.get(id);
    if (!group) groups.set(id, (group = new Group(key)));
    group.first = Math.min(group.first, first);
    group.last = Math.max(group.last, last);
    const scope = ofCluster ?? ofAuthority;
    let population = populations.get(scope);
    if (!population) populations.set(scope, (population = new Population(populations.size)));
    group.populations.add(population);
    group.cells.push(cell);
    return group;
  });
  const ofCell = cells.map(({ ofAuthority, ofCluster }, cell) => {
    const counted = [ofAuthority, ofCluster].flatMap((key) =>
      key === null ? [] : (populations.get(key) ?? []),
    );
    for (const population of counted) population.cells.push(cell);
    return { group: groupOf[cell]!, populations: counted };
  });
  return { ofCell, groups };
}

function snapshotOf(group: Group, paired: readonly ReadonlyMap<Group, Leading>[], id: string): GroupSnapshot {
  const populations = [...group.populations];
  const requests = populations.reduce((sum, population) => sum + population.requests, 0);
  const top: Partial<Record<Dimension, DimensionValue[]>> = {};
  const others: Partial<Record<Dimension, number>> = {};
  for (const dimension of DIMENSIONS) {
    const kind = (PAIRED as readonly string[]).indexOf(dimension);
    const found = kind < 0 ? leadingTexts(group, dimension, populations) : paired[kind]!.get(group);
    if (!found) continue;
    top[dimension] = found.listed;
    const rest = found.total - found.listed.reduce((sum, value) => sum + value.failures, 0);
    if (rest > 0) others[dimension] = rest;
  }
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

interface Leading {
  readonly listed: DimensionValue[];
  readonly total: number;
}

function leadingTexts(
  { values }: Group,
  dimension: Dimension,
  populations: readonly Population[],
): Leading | null {
  const failing = values.get(dimension);
  if (!failing) return null;
  const attempts = new Counter(Infinity);
  let someAreNotTold = false;
  for (const population of populations) {
    const counter = population.values.get(dimension);
    if (!counter) continue;
    attempts.merge(counter);
    someAreNotTold ||= counter.size > 1 && counter.get(OTHERS_TEXT) > 0;
  }
  // Any value may have lines among those that were not told apart, so that "8 of 8" would be said of 8 of 60.
  if (someAreNotTold) {
    const all = { value: OTHERS_TEXT, failures: failing.total, requests: attempts.total };
    return { listed: [all], total: failing.total };
  }
  const listed = leading({
    failing: [...failing.values()].map((value) => [value, failing.get(value)] as const),
    spared: () => [...attempts.values()].filter((value) => !failing.get(value)),
    requestsOf: (value) => attempts.get(value),
    textOf: (value) => value,
  });
  return { listed, total: failing.total };
}

/** Values of one kind by cell. */
class RunsOfCells {
  readonly #runs = new Map<number, CountedIds[]>();

  add(cell: number, run: CountedIds): void {
    const runs = this.#runs.get(cell);
    if (runs) runs.push(run);
    else this.#runs.set(cell, [run]);
  }

  addTo(sums: Sums, cells: readonly number[]): void {
    for (const cell of cells) for (const run of this.#runs.get(cell) ?? []) sums.add(run);
  }
}

interface CountedIds {
  readonly ids: Int32Array | Float64Array;
  readonly counts: Float64Array;
}

/** Counts by id, in an array that has a place for each. */
class Sums {
  readonly #of: Float64Array;
  /** Of which there are some, in no order. */
  ids: number[] = [];
  /** Of values that were not kept. */
  others = 0;

  constructor(size: number) {
    this.#of = new Float64Array(size);
  }

  add({ ids, counts }: CountedIds): void {
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      if (id < 0) {
        this.others += counts[i]!;
        continue;
      }
      if (this.#of[id] === 0) this.ids.push(id);
      this.#of[id]! += counts[i]!;
    }
  }

  of(id: number): number {
    return this.#of[id]!;
  }

  clear(): void {
    for (const id of this.ids) this.#of[id] = 0;
    this.ids = [];
    this.others = 0;
  }
}

/** Of every group the leading values of one kind. Groups with the same populations share what is summed of those. */
function leadingByGroup(
  values: CellValues,
  kind: number,
  runs: RunsOfCells,
  groups: readonly Group[],
): ReadonlyMap<Group, Leading> {
  const alike = new Map<string, Group[]>();
  for (const group of groups) {
    const key = [...group.populations].map(({ number }) => number).join();
    const others = alike.get(key);
    if (others) others.push(group);
    else alike.set(key, [group]);
  }
  const found = new Map<Group, Leading>();
  const failing = new Sums(values.size(kind));
  const attempts = new Sums(values.size(kind));
  for (const some of alike.values()) {
    attempts.clear();
    for (const { cells } of some[0]!.populations) runs.addTo(attempts, cells);
    for (const group of some) {
      failing.clear();
      runs.addTo(failing, group.cells);
      if (failing.ids.length === 0 && failing.others === 0) continue;
      const listed = leading({
        failing: failing.ids.map((id) => [id, failing.of(id)] as const),
        spared: () => attempts.ids.filter((id) => failing.of(id) === 0),
        requestsOf: (id) => attempts.of(id),
        textOf: (id) => values.text(kind, id),
      });
      const total = failing.ids.reduce((sum, id) => sum + failing.of(id), failing.others);
      found.set(group, { listed, total });
    }
  }
  return found;
}

/** Values of one dimension, as text or by id. */
interface Contenders<V> {
  readonly failing: Iterable<readonly [V, number]>;
  /** Those that never failed. */
  spared(): Iterable<V>;
  requestsOf(value: V): number;
  textOf(value: V): string;
}

/** The values with most failures, then with most attempts. */
function leading<V>({ failing, spared, requestsOf, textOf }: Contenders<V>): DimensionValue[] {
  const listed: DimensionValue[] = [];
  const add = (value: V, failures: number): void => {
    const last = listed.length === TOP_VALUES ? listed.at(-1)! : undefined;
    if (last && failures < last.failures) return;
    // A value that was not kept in one cell may have been in another.
    const requests = Math.max(requestsOf(value), failures);
    if (last && failures === last.failures && requests < last.requests) return;
    const one = { value: textOf(value), failures, requests };
    const place = listed.findIndex((other) => isBefore(one, other));
    listed.splice(place < 0 ? listed.length : place, 0, one);
    if (listed.length > TOP_VALUES) listed.pop();
  };
  for (const [value, failures] of failing) add(value, failures);
  if (listed.length < TOP_VALUES) for (const value of spared()) add(value, 0);
  return listed;
}

const isBefore = (a: DimensionValue, b: DimensionValue): boolean =>
  (b.failures - a.failures || b.requests - a.requests || (a.value < b.value ? -1 : 1)) < 0;
