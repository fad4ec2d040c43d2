import type { Row } from '../aggregate/row.js';
import { FIELDS, type AccessRecord, type FieldName } from '../record/access-record.js';
import type { RecordView } from '../record/record-view.js';
import type { FlagSet } from '../record/response-flags.js';
import { ABSENT, NULL, type Span } from '../record/span.js';
import type { UpstreamCluster } from '../record/upstream-cluster.js';

const textOfNumber = (value: number | null): string | null => (value === null ? null : String(value));

const TEXTS: Readonly<Partial<Record<FieldName, (row: Row) => string | null>>> = {
  start_time: (row) => (Number.isFinite(row.loggedStart) ? new Date(row.loggedStart).toISOString() : null),
  method: (row) => row.method,
  path: (row) => row.path,
  protocol: (row) => row.protocol,
  response_code: (row) => textOfNumber(row.code),
  response_flags: (row) => row.flags.join(',') || null,
  response_code_details: (row) => row.details,
  connection_termination_details: (row) => row.termination,
  upstream_transport_failure_reason: (row) => row.transportFailure,
  bytes_received: (row) => textOfNumber(row.received),
  bytes_sent: (row) => textOfNumber(row.sent),
  duration: (row) => textOfNumber(row.duration),
  upstream_service_time: (row) => textOfNumber(row.serviceTime),
  user_agent: (row) => row.userAgent,
  request_id: (row) => row.requestId,
  authority: (row) => row.authority,
  upstream_host: (row) => row.upstreamHost,
  upstream_cluster: (row) => row.cluster?.name ?? null,
  upstream_local_address: (row) => row.upstreamLocal,
  downstream_local_address: (row) => row.downstreamLocal,
  downstream_remote_address: (row) => row.downstreamRemote,
  requested_server_name: (row) => row.serverName,
  route_name: (row) => row.route,
};

const PAIRS: Readonly<Record<string, (row: Row) => string | null>> = {
  error: (row) => row.error,
  'dst.service': (row) => row.service,
  'src.workload': (row) => row.sourceWorkload,
  'dst.workload': (row) => row.targetWorkload,
  'src.identity': (row) => row.sourceIdentity,
};

/** A kept row looked at as a record, so that what is said of lines as they come holds for kept ones too. Reused from row to row. */
export class RowView implements RecordView {
  row!: Row;

  of(row: Row): this {
    this.row = row;
    return this;
  }

  get format(): string {
    return this.row.format;
  }
  startTime(): number {
    return this.row.start;
  }
  durationMs(): number | null {
    return this.row.duration;
  }
  responseCode(): number | null {
    return this.row.code;
  }
  responseFlags(): FlagSet {
    return this.row.flags;
  }
  upstreamServiceTimeMs(): number | null {
    return this.row.serviceTime;
  }
  bytesReceived(): number | null {
    return this.row.received;
  }
  bytesSent(): number | null {
    return this.row.sent;
  }
  upstreamCluster(): UpstreamCluster | null {
    return this.row.cluster;
  }
  text(field: FieldName): string | null | undefined {
    if (field === 'response_code_details' && !this.row.hasDetails) return undefined;
    return TEXTS[field]?.(this.row);
  }
  locate(slot: number, into: Span): number {
    const text = this.text(FIELDS[slot]!);
    return typeof text === 'string' ? into.set(text) : text === null ? NULL : ABSENT;
  }
  /** Of a kept ztunnel line only what tells its failure and its ends. */
  ztunnelPair(key: string): string | null {
    return PAIRS[key]?.(this.row) ?? null;
  }
  /** Not all of a line is kept, so a copy would be none. */
  copy(): AccessRecord {
    throw new Error('a kept row has no full copy');
  }
}
