import type { Row } from '../aggregate/row.js';
import type { Incident } from '../diagnosis/diagnose.js';

/** A line to look at: where it stands, and its fields written out again. */
export interface Example {
  readonly file?: string;
  readonly pod?: string;
  readonly line: number;
  readonly text: string;
}

const MOST = 3;

/** The first deciding lines, one per failure group, then the outermost line of the first. */
export function examplesOf(incident: Incident): readonly Example[] {
  const { cases } = incident.hypothesis;
  const byGroup = new Map<string, Row>();
  for (const { decider } of cases) if (!byGroup.has(decider.groupKey)) byGroup.set(decider.groupKey, decider);
  const rows = new Set([...byGroup.values()].slice(0, MOST));
  const root = cases[0]?.root;
  if (root && rows.size < MOST) rows.add(root);
  return [...rows].map((row) => ({
    ...(row.file !== null && { file: row.file }),
    ...(row.pod !== null && { pod: row.pod }),
    line: row.line,
    text: lineText(row),
  }));
}

/** The line in Istio's default layout, whatever it was read from, so that examples of all sources read alike. */
export function lineText(row: Row): string {
  const plain = (value: string | number | null): string => (value === null ? '-' : String(value));
  const quoted = (value: string | null): string => `"${plain(value)}"`;
  return [
    `[${Number.isFinite(row.loggedStart) ? new Date(row.loggedStart).toISOString() : '-'}]`,
    `"${plain(row.method)} ${plain(row.path)} ${plain(row.protocol)}"`,
    plain(row.code),
    row.flags.join(',') || '-',
    plain(row.details),
    plain(row.termination),
    quoted(row.transportFailure),
    plain(row.received),
    plain(row.sent),
    plain(row.duration),
    plain(row.serviceTime),
    quoted(null),
    quoted(row.userAgent),
    quoted(row.requestId),
    quoted(row.authority),
    quoted(row.upstreamHost),
    plain(row.cluster?.name ?? null),
    plain(row.upstreamLocal),
    plain(row.downstreamLocal),
    plain(row.downstreamRemote),
    plain(row.serverName),
    plain(row.route),
  ].join(' ');
}
