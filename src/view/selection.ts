import type { Scope, Snapshot, TableRow } from './snapshot.js';
import type { SortKey, State } from './state.js';

/** The table of home, in the order asked for. */
export function sortedRows(snapshot: Snapshot, sort: SortKey): readonly TableRow[] {
  const by: Record<SortKey, (a: TableRow, b: TableRow) => number> = {
    impact: () => 0,
    failed: (a, b) => b.failures - a.failures,
    rate: (a, b) => b.ratePerSecond - a.ratePerSecond,
    share: (a, b) => (b.share ?? 0) - (a.share ?? 0),
    since: (a, b) => a.since - b.since,
    upstream: (a, b) => (a.upstream < b.upstream ? -1 : a.upstream > b.upstream ? 1 : 0),
  };
  return snapshot.rows.toSorted(by[sort]);
}

/** Rows come, go and move; the cursor stays on the one that was chosen, else near its place until that comes back. */
export function withCursor(state: State): State {
  if (!state.snapshot || state.homeKey === null) return { ...state, homeCursor: 0 };
  const rows = sortedRows(state.snapshot, state.sort);
  const kept = rows.findIndex(({ key }) => key === state.homeKey);
  return {
    ...state,
    homeCursor: kept >= 0 ? kept : Math.max(0, Math.min(state.homeCursor, rows.length - 1)),
  };
}

export function selectedRow(state: State): TableRow | null {
  if (!state.snapshot) return null;
  return sortedRows(state.snapshot, state.sort)[state.homeCursor] ?? null;
}

/** The moment asked for, which the snapshot may not have reached yet: a seek shows at once. */
export const momentShown = ({ clock }: State, snapshot: Snapshot): number => clock.now ?? snapshot.now;

/** The snapshot is still of another moment, or says of this one only what could be counted at once. */
export const isExplaining = ({ clock }: State, snapshot: Snapshot): boolean =>
  !snapshot.explained || (snapshot.spec.now !== clock.now && !clock.playing);

export const rowByKey = (snapshot: Snapshot | null, key: string): TableRow | null =>
  snapshot?.rows.find((row) => row.key === key) ?? null;

/** What a scope is called in a breadcrumb. */
export function scopeWords(snapshot: Snapshot | null, scope: Scope): readonly string[] {
  const row = scope.row === null ? null : rowByKey(snapshot, scope.row);
  const name =
    scope.row === null
      ? 'all failures'
      : row?.explanation
        ? row.explanation.cause
        : row
          ? `${row.flag === '-' ? '' : `${row.flag} `}${row.code} ${row.upstream}`
          : scope.row.split('\n')[0]!;
  return [name, ...scope.where.map(({ dimension, value }) => `${dimension} ${value}`)];
}
