import type { Case } from '../aggregate/joins.js';
import type { Row } from '../aggregate/row.js';
import type { ClusterFacts } from '../diagnosis/cluster-facts.js';
import { explain } from '../diagnosis/explain.js';
import { ownerWords } from '../diagnosis/named.js';
import { lineText } from '../output/examples.js';
import { hostOf } from '../record/address.js';
import { FIELDS, type AccessRecord } from '../record/access-record.js';
import type { Json } from '../record/json.js';
import type { LineItem, PaneData, RecordField, Scope, ViewDimension } from '../view/snapshot.js';
import type { Narrowed } from './narrowed.js';
import { RowView } from './row-view.js';
import { incidentKeys } from './table.js';

const VALUE_OF: Readonly<Record<ViewDimension, (row: Row) => string | null>> = {
  pod: (row) => row.proxy,
  host: (row) => row.upstreamHost,
  caller: (row) => row.peer,
  path: (row) => row.pathTemplate,
  method: (row) => row.method,
  authority: (row) => row.authority,
  route: (row) => row.route,
  agent: (row) => row.userAgent,
};

interface Members {
  /** Where each failed request was decided. */
  readonly failing: readonly Row[];
  /** What they are counted against, themselves included. */
  readonly all: readonly Row[];
}

/** The failed requests of an incident's table row; of any other row, or of `null` for all, the failing lines. */
export function failingOf(
  { moment, keeps, keepsCase }: Narrowed,
  key: string | null,
): { readonly cases: readonly Case[] | null; readonly rows: readonly Row[] } {
  const index = key === null ? -1 : incidentKeys(moment.diagnosis.incidents).indexOf(key);
  const incident = moment.diagnosis.incidents[index];
  if (incident) return { cases: incident.hypothesis.cases.filter(keepsCase), rows: [] };
  const rows = moment.rows.filter(
    (row) =>
      row.failure &&
      !row.tunnel &&
      (key === null || (!moment.incidentOf.has(row) && row.groupKey === key)) &&
      keeps(row),
  );
  return { cases: null, rows };
}

/** The lines that a scope is about, by time. */
function membersOf(narrowed: Narrowed, scope: Scope): Members {
  const { moment, keeps } = narrowed;
  const { cases, rows } = failingOf(narrowed, scope.row);
  const whereHolds = (row: Row): boolean =>
    scope.where.every(({ dimension, value }) => (VALUE_OF[dimension](row) ?? '-') === value);
  let failing = cases ? cases.map(({ decider }) => decider) : rows;
  // What is counted against them, also where the scope is a value that does not fail.
  const lists = new Set(scope.row === null ? [] : failing.map((row) => moment.population(row)));
  failing = [...new Set(failing.filter(whereHolds))].toSorted((a, b) => a.start - b.start);
  if (scope.row === null) {
    return { failing, all: moment.rows.filter((row) => !row.tunnel && keeps(row) && whereHolds(row)) };
  }
  const all = new Set<Row>();
  for (const list of lists) for (const row of list) if (keeps(row) && whereHolds(row)) all.add(row);
  for (const row of failing) all.add(row);
  return { failing, all: [...all].toSorted((a, b) => a.start - b.start) };
}

/** Values listed; more than a screen of them says nothing. */
const MOST_VALUES = 200;

export function valuesPane(
  narrowed: Narrowed,
  scope: Scope,
  dimension: ViewDimension,
): Extract<PaneData, { kind: 'values' }> {
  const { failing, all } = membersOf(narrowed, scope);
  const counts = new Map<string, { failures: number; requests: number }>();
  const lastMet = new Map<string, number>();
  const count = (row: Row, what: 'failures' | 'requests'): void => {
    const value = VALUE_OF[dimension](row) ?? '-';
    if (!(lastMet.get(value)! >= row.start)) lastMet.set(value, row.start);
    const found = counts.get(value) ?? { failures: 0, requests: 0 };
    found[what] += row.weight;
    counts.set(value, found);
  };
  const { facts } = narrowed.moment.scene;
  // As of the last time that it was met here: an address may have been another's before, and may be again.
  const named = (value: string): { name?: string } => {
    if (dimension !== 'host' && dimension !== 'caller') return {};
    const owner = facts.ownerOf(hostOf(value), lastMet.get(value) ?? NaN);
    return owner ? { name: owner.name } : {};
  };
  for (const row of failing) count(row, 'failures');
  for (const row of all) count(row, 'requests');
  const weight = (rows: readonly Row[]): number => rows.reduce((sum, row) => sum + row.weight, 0);
  return {
    kind: 'values',
    dimension,
    scope,
    values: [...counts]
      .map(([value, { failures, requests }]) => ({ value, ...named(value), failures, requests }))
      .toSorted((a, b) => b.failures - a.failures || b.requests - a.requests || (a.value < b.value ? -1 : 1))
      .slice(0, MOST_VALUES),
    failures: weight(failing),
    requests: weight(all),
  };
}

export const refOf = (row: Row): string => `${row.proxy}\n${row.file ?? ''}\n${row.line}`;

export function linesPane(
  narrowed: Narrowed,
  scope: Scope,
  all: boolean,
  from: number,
  count: number,
): Extract<PaneData, { kind: 'lines' }> {
  const members = membersOf(narrowed, scope);
  const lines = all ? members.all : members.failing;
  const start = from < 0 ? Math.max(0, lines.length - count) : Math.max(0, Math.min(from, lines.length - 1));
  return {
    kind: 'lines',
    scope,
    all,
    from: start,
    total: lines.length,
    lines: lines.slice(start, start + count).map(itemOf),
  };
}

function itemOf(row: Row): LineItem {
  return {
    ref: refOf(row),
    time: row.start,
    code: row.code,
    flags: row.flags.join(',') || '-',
    details: row.details ?? '-',
    method: row.method ?? '-',
    path: row.path ?? '-',
    durationMs: row.duration,
    host: row.upstreamHost ?? '-',
    pod: row.proxy,
    failure: row.failure,
    text: lineText(row),
  };
}

/** One line, field by field. `full` is the line read again, where that could be done. */
export function recordPane(
  row: Row,
  full: { readonly record: AccessRecord; readonly raw: string } | null,
  facts: ClusterFacts,
): Extract<PaneData, { kind: 'record' }> {
  const fields = full ? fieldsOfRecord(full.record) : fieldsOfRow(row);
  return {
    kind: 'record',
    ref: refOf(row),
    place: `${row.file ?? row.proxy}:${row.line}`,
    raw: full?.raw ?? null,
    fields: fields.map((field) =>
      ADDRESSES.has(field.name) && field.note === ''
        ? { ...field, note: ownerNote(field.value, row, facts) }
        : field,
    ),
  };
}

/** Fields that hold an address and its port. */
const ADDRESSES: ReadonlySet<string> = new Set([
  'upstream_host',
  'upstream_local_address',
  'downstream_local_address',
  'downstream_remote_address',
]);

/** Whose the address was when the request began. */
function ownerNote(address: string, row: Row, facts: ClusterFacts): string {
  const owner = address === '-' ? null : facts.ownerOf(hostOf(address), row.start);
  return owner ? ownerWords(owner) : '';
}

function fieldsOfRow(row: Row): RecordField[] {
  const view = new RowView().of(row);
  return FIELDS.flatMap((name) => {
    const value = view.text(name);
    return value === undefined ? [] : [{ name, value: value ?? '-', note: noteOf(name, value ?? '') }];
  });
}

function fieldsOfRecord(record: AccessRecord): RecordField[] {
  const fields = FIELDS.flatMap((name): RecordField[] => {
    const value = record[name];
    if (value === undefined) return [];
    const text = Array.isArray(value) ? value.join(',') || '-' : value === null ? '-' : String(value);
    return [{ name, value: text, note: noteOf(name, text) }];
  });
  const extra = Object.entries(record.extra ?? {}).map(([name, value]: [string, Json]) => ({
    name,
    value: typeof value === 'string' ? value : JSON.stringify(value),
    note: '',
  }));
  return [...fields, ...extra, { name: 'format', value: record.format, note: '' }];
}

function noteOf(name: string, value: string): string {
  if (value === '-' || value === '') return '';
  if (name === 'response_flags') {
    return value
      .split(',')
      .map((flag) => {
        const found = explain(flag);
        return found.kind === 'flag' ? `${flag}: ${found.meaning}` : `${flag}: not a flag of Envoy's own`;
      })
      .join(' ');
  }
  if (name === 'response_code_details') {
    const found = explain(value);
    return found.kind === 'details' ? [found.meaning, ...found.parts].join(' ') : '';
  }
  if (name === 'response_code' && value === '0') return 'no response was started';
  return '';
}
