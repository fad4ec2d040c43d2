import type { Kind, Row } from '../aggregate/row.js';
import type { RowsSnapshot } from '../aggregate/rows.js';
import type { Scene } from './scene.js';
import { groupBy, most, weigh } from './stats.js';

/**
 * Of some rows how long their connection (proxy and own address) had been idle: ms from the end of the last request on it to
 * the start of this one; `null` for its first request. Rows without an upstream local address have none, and where lines
 * were sampled only those are told that somebody looked up: the line before is hardly ever among the kept ones.
 */
export function idleTimesOf({ idleTimes }: Scene, rows: readonly Row[]): ReadonlyMap<Row, number | null> {
  if (rows.some(({ weight }) => weight > 1)) return idleTimes;
  const idle = new Map<Row, number | null>();
  for (const lines of groupBy(rows, connectionOf).values()) {
    let lastEnd: number | null = null;
    for (const row of lines) {
      idle.set(row, lastEnd === null ? null : row.start - lastEnd);
      lastEnd = most([lastEnd ?? -Infinity, row.end]);
    }
  }
  return idle;
}

const connectionOf = (row: Row): string | null =>
  row.upstreamLocal === null || !row.http
    ? null
    : `${row.proxy}\n${row.upstreamLocal}\n${row.upstreamHost ?? ''}`;

/** Slow closers were seen to take 12 ms (Envoy 1.40, observed); a crash or a cut response takes what the request took. */
const LONGEST_MS = 15;

/** The server ended the connection when the request had just been sent. */
export const isCutAtOnce = (row: Row): boolean =>
  isCutUnanswered(row) && row.duration <= LONGEST_MS && row.upstreamLocal !== null;

export const isCutUnanswered = (kind: Kind): boolean =>
  kind.has('UC') &&
  (kind.details === null ||
    kind.details.startsWith('upstream_reset_before_response_started{connection_termination'));

/** Lines of one proxy to one place: those that it is about, and some to compare them with. */
export interface AskedOfConnections {
  readonly about: readonly Row[];
  readonly others: readonly Row[];
}

const MOST_PLACES = 4;
const MOST_ABOUT = 12;
const MOST_OTHERS = 12;

/** Where lines were sampled: of which ones it helps to know how long their connection had been idle. Most failures first. */
export function toBeLookedUp({ rows, complete }: RowsSnapshot): readonly AskedOfConnections[] {
  if (complete) return [];
  const placeOf = (row: Row): string => `${row.proxy}\n${row.cluster?.name ?? ''}`;
  const cut = groupBy(rows.filter(isCutAtOnce), placeOf);
  if (cut.size === 0) return [];
  const good = groupBy(
    rows.filter((row) => !row.failure && row.http && row.upstreamLocal !== null),
    (row) => (cut.has(placeOf(row)) ? placeOf(row) : null),
  );
  return [...cut]
    .toSorted(([, a], [, b]) => weigh(b) - weigh(a))
    .slice(0, MOST_PLACES)
    .map(([place, about]) => ({
      about: evenly(about, MOST_ABOUT),
      others: evenly(good.get(place) ?? [], MOST_OTHERS),
    }));
}

/** So many of some, from all over. */
function evenly<T>(some: readonly T[], count: number): readonly T[] {
  if (some.length <= count) return some;
  return Array.from({ length: count }, (_, i) => some[Math.floor((i * some.length) / count)]!);
}
