import type { Case } from '../aggregate/joins.js';
import type { Row } from '../aggregate/row.js';
import type { Filter } from '../filter/filter.js';
import type { Moment } from './moment.js';
import { RowView } from './row-view.js';

/** A moment seen through a time window and a filter. */
export interface Narrowed {
  readonly moment: Moment;
  readonly from: number;
  readonly to: number;
  /** Nothing is left out. */
  readonly whole: boolean;
  readonly keeps: (row: Row) => boolean;
  /** Whether any line of a failed request is kept: its outermost one or the one that decided. */
  readonly keepsCase: (failed: Case) => boolean;
  /** Outermost lines. */
  readonly roots: readonly Row[];
}

/** @param range ms; infinite where there is no bound. */
export function narrow(
  moment: Moment,
  [from, to]: readonly [number, number],
  filter: Filter | null,
): Narrowed {
  const passes = filter ? passing(moment, filter) : null;
  const inTime = (row: Row): boolean => row.start >= from && row.start <= to;
  const keeps = (row: Row): boolean => inTime(row) && (passes === null || passes.has(row));
  const { roots } = moment;
  const whole = passes === null && !Number.isFinite(from) && !Number.isFinite(to);
  const keepsCase = (failed: Case): boolean =>
    inTime(failed.root) &&
    (passes === null || passes.has(failed.root) || failed.rows.some((row) => passes.has(row)));
  return {
    moment,
    from,
    to,
    whole,
    keeps,
    keepsCase,
    roots: whole
      ? roots
      : roots.filter((row) => {
          if (!inTime(row)) return false;
          if (passes === null || passes.has(row)) return true;
          const failed = moment.caseOf.get(row);
          return failed !== undefined && failed.rows.some((inner) => passes.has(inner));
        }),
  };
}

function passing(moment: Moment, filter: Filter): ReadonlySet<Row> {
  const view = new RowView();
  const { incidents } = moment.diagnosis;
  const found = new Set<Row>();
  for (const row of moment.rows) {
    const incident = moment.incidentOf.get(row);
    const context = {
      pod: row.pod,
      file: row.file,
      who: incident === undefined ? null : incidents[incident]!.verdict,
    };
    if (filter.matches(view.of(row), context)) found.add(row);
  }
  return found;
}
