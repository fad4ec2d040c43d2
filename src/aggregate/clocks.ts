import { maskedRequestId } from '../record/request-id.js';
import { sameConnection, sameHost } from './ends.js';
import type { Row } from './row.js';

/*
 * Each proxy stamps its lines with the clock of its node. The callee's line of a request begins after the caller's began
 * and ends before it ended; so every hop that both ends logged bounds how far the two clocks are apart:
 *
 *   inner.end - outer.end  <=  clock of inner - clock of outer  <=  inner.start - outer.start
 *
 * Many hops between the same two proxies leave an interval of a few ms. Clocks that it allows to agree are left alone.
 */

/** One proxy whose clock is off. */
export interface Skew {
  readonly proxy: string;
  /** Its clock minus the others', ms; negative: it is behind. */
  readonly aheadMs: number;
  /** Hops that both ends logged, with the neighbours that it was measured against. */
  readonly hops: number;
}

/** How far each proxy's clock is off. */
export interface Clocks {
  readonly skewed: readonly Skew[];
  aheadOf(proxy: string): number;
}

export const AGREED: Clocks = { skewed: [], aheadOf: () => 0 };

/** An id on more lines than these says little of who called whom. */
const MOST_LINES = 50;
/** Fewer hops than these are no measurement. */
const FEWEST_HOPS = 3;
/** Hops remembered between two proxies. */
const MOST_HOPS = 512;
/** Pairs of proxies looked at. */
const MOST_PAIRS = 20_000;
/** Clocks that disagree by less are taken to agree: late flushes and rounding to ms. */
const NOTICED_MS = 50;

interface Bounds {
  readonly outer: string;
  readonly inner: string;
  readonly below: number[];
  readonly above: number[];
}

/** Measures the clocks of all proxies against each other by the hops that both ends logged. */
export function clocksOf(rows: readonly Row[]): Clocks {
  const pairs = new Map<string, Bounds>();
  for (const [outer, inner] of hops(rows)) {
    const key = `${outer.proxy}\n${inner.proxy}`;
    let bounds = pairs.get(key);
    if (!bounds) {
      if (pairs.size >= MOST_PAIRS) continue;
      pairs.set(key, (bounds = { outer: outer.proxy, inner: inner.proxy, below: [], above: [] }));
    }
    if (bounds.above.length >= MOST_HOPS) continue;
    bounds.below.push(inner.end - outer.end);
    bounds.above.push(inner.start - outer.start);
  }
  const measured = [...pairs.values()].flatMap((bounds) => {
    const apart = between(bounds);
    return apart === null ? [] : [{ ...bounds, apart, hops: bounds.above.length }];
  });
  if (measured.every(({ apart }) => apart === 0)) return AGREED;
  return settled(measured);
}

/** Clock of the inner proxy minus that of the outer one; `null` where the hops contradict each other. */
function between({ below, above }: Bounds): number | null {
  if (above.length < FEWEST_HOPS) return null;
  // Retries begin late, and lines that a proxy wrote while it was killed end early: the tails are left out.
  const high = at(above, 0.1);
  const low = at(below, 0.9);
  if (low <= NOTICED_MS && high >= -NOTICED_MS) return 0;
  // A clock that was set in between, or ids that two logs share by chance.
  if (low - high > 2 * NOTICED_MS) return null;
  return Math.round((low + high) / 2);
}

const at = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))]!;

interface Measured {
  readonly outer: string;
  readonly inner: string;
  readonly apart: number;
  readonly hops: number;
}

/** Walks each group of proxies that called each other, and takes the time that most of them agree on as the right one. */
function settled(measured: readonly Measured[]): Clocks {
  const neighbours = new Map<
    string,
    { readonly to: string; readonly apart: number; readonly hops: number }[]
  >();
  const note = (from: string, to: string, apart: number, count: number): void => {
    const list = neighbours.get(from) ?? [];
    list.push({ to, apart, hops: count });
    neighbours.set(from, list);
  };
  const called = new Set<string>();
  for (const { outer, inner, apart, hops: count } of measured) {
    note(outer, inner, apart, count);
    note(inner, outer, -apart, count);
    called.add(inner);
  }
  const ahead = new Map<string, number>();
  const hopsOf = new Map<string, number>();
  for (const start of neighbours.keys()) {
    if (ahead.has(start)) continue;
    const group = new Map([[start, 0]]);
    for (const [proxy, offset] of group) {
      for (const { to, apart, hops: count } of neighbours.get(proxy)!) {
        hopsOf.set(proxy, (hopsOf.get(proxy) ?? 0) + count);
        if (!group.has(to)) group.set(to, offset + apart);
      }
    }
    const right = agreed(group, called);
    for (const [proxy, offset] of group) ahead.set(proxy, offset - right);
  }
  const skewed = [...ahead]
    .filter(([, offset]) => Math.abs(offset) > NOTICED_MS)
    .map(([proxy, aheadMs]) => ({ proxy, aheadMs, hops: hopsOf.get(proxy) ?? 0 }))
    .toSorted((a, b) => Math.abs(b.aheadMs) - Math.abs(a.aheadMs) || (a.proxy < b.proxy ? -1 : 1));
  const byProxy = new Map(skewed.map(({ proxy, aheadMs }) => [proxy, aheadMs]));
  return { skewed, aheadOf: (proxy) => byProxy.get(proxy) ?? 0 };
}

/** The offset that most proxies of a group share; of equally many, that of those who are called by nobody. */
function agreed(group: ReadonlyMap<string, number>, called: ReadonlySet<string>): number {
  let best = { offset: 0, weight: -1 };
  for (const offset of group.values()) {
    let weight = 0;
    for (const [proxy, other] of group) {
      if (Math.abs(other - offset) <= NOTICED_MS) weight += called.has(proxy) ? 1 : 1.01;
    }
    if (weight > best.weight) best = { offset, weight };
  }
  return best.offset;
}

/** Both ends of a hop as one id and its addresses tell, or as a connection does that carried one thing; times are not asked. */
function* hops(rows: readonly Row[]): Iterable<readonly [Row, Row]> {
  const byId = new Map<string, Row[]>();
  const outers = new Map<string, Row | null>();
  const inners = new Map<string, Row | null>();
  const once = (map: Map<string, Row | null>, key: string, row: Row): void => {
    map.set(key, map.has(key) ? null : row);
  };
  for (const row of rows) {
    if (row.tunnel || Number.isNaN(row.start)) continue;
    if (row.requestId) {
      const key = maskedRequestId(row.requestId);
      const list = byId.get(key);
      if (list) list.push(row);
      else byId.set(key, [row]);
    } else if (row.direction === 'inbound') {
      if (row.downstreamRemote) once(inners, row.downstreamRemote, row);
    } else if (row.upstreamLocal) once(outers, row.upstreamLocal, row);
  }
  for (const lines of byId.values()) {
    if (lines.length < 2 || lines.length > MOST_LINES) continue;
    for (const inner of lines) {
      if (inner.direction !== 'inbound') continue;
      const outer = lines.filter((row) => isCaller(row, inner));
      if (outer.length === 1) yield [outer[0]!, inner];
    }
  }
  for (const [connection, inner] of inners) {
    const outer = outers.get(connection);
    if (inner && outer && isCaller(outer, inner)) yield [outer, inner];
  }
}

const isCaller = (outer: Row, inner: Row): boolean =>
  outer.direction !== 'inbound' &&
  outer.proxy !== inner.proxy &&
  (sameConnection(outer, inner) || sameHost(outer, inner));
