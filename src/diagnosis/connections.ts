import type { Row } from '../aggregate/row.js';
import { groupBy, most } from './stats.js';

/** How long a connection to the upstream had been idle when a request took it. */
export interface Reuse {
  readonly row: Row;
  /** ms from the end of the last request on that connection to the start of this one; `null` for its first request. */
  readonly idleMs: number | null;
}

/** Each row's connection (proxy and own address), in time order. Rows without an upstream local address have none. */
export function reuses(rows: readonly Row[]): Map<Row, Reuse> {
  const result = new Map<Row, Reuse>();
  const byConnection = groupBy(rows, (row) =>
    row.upstreamLocal === null || !row.http
      ? null
      : `${row.proxy}\n${row.upstreamLocal}\n${row.upstreamHost ?? ''}`,
  );
  for (const lines of byConnection.values()) {
    let lastEnd: number | null = null;
    for (const row of lines) {
      result.set(row, { row, idleMs: lastEnd === null ? null : row.start - lastEnd });
      lastEnd = most([lastEnd ?? -Infinity, row.end]);
    }
  }
  return result;
}
