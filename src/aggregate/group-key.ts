import type { RecordView } from '../record/record-view.js';
import { flagSetKey, type FlagSet } from '../record/response-flags.js';
import { parseMeshServerName, type Direction } from '../record/upstream-cluster.js';

/** What failures have in common that count as one group. */
export interface GroupKey {
  readonly direction: Direction;
  readonly upstreamCluster: string | null;
  readonly responseCode: number | null;
  readonly responseFlags: FlagSet;
  readonly detailsClass: string | null;
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
export function directionOf(record: Pick<RecordView, 'text' | 'ztunnelPair' | 'upstreamCluster'>): Direction {
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
