import type { Span } from '../aggregate/journeys.js';
import type { Finding, Told } from '../diagnosis/journey.js';

/** A journey as scripts see it. Times are RFC 3339 in UTC, by the time that the proxies agree on; durations ms. */
export function journeyObject({ journey, decider, decidedBy, findings }: Told) {
  const { start, end, spans, leftOut } = journey;
  return {
    request_id: spans.find(({ row }) => row.requestId !== null)?.row.requestId ?? null,
    start: timeOf(start),
    end: timeOf(end),
    duration_ms: Number.isFinite(end - start) ? end - start : null,
    decided_by: decidedBy,
    spans: spans.map((span) => spanObject(span, start, span.row === decider)),
    left_out: leftOut,
    findings: findings.map(({ kind, proxy, text }): Finding => ({ kind, proxy, text })),
  };
}

export type JourneyObject = ReturnType<typeof journeyObject>;
export type SpanObject = JourneyObject['spans'][number];

const timeOf = (ms: number): string | null => (Number.isFinite(ms) ? new Date(ms).toISOString() : null);

function spanObject({ row, depth, joinedBy, attempt, ownMs }: Span, first: number, decided: boolean) {
  return {
    depth,
    proxy: row.proxy,
    ...(row.pod !== null && { pod: row.pod }),
    ...(row.file !== null && { file: row.file }),
    line: row.line,
    direction: row.direction,
    joined_by: joinedBy,
    attempt: attempt && { n: attempt.n, of: attempt.of },
    start: timeOf(row.start),
    ...(row.ahead !== 0 && { logged_start: timeOf(row.loggedStart), clock_ahead_ms: row.ahead }),
    offset_ms: Number.isFinite(row.start - first) ? row.start - first : 0,
    duration_ms: row.duration,
    own_ms: ownMs,
    http: row.http,
    method: row.method,
    path: row.path,
    authority: row.authority,
    response_code: row.code,
    response_flags: row.flags,
    response_code_details: row.details,
    upstream_cluster: row.cluster?.name ?? null,
    upstream_host: row.upstreamHost,
    upstream_local_address: row.upstreamLocal,
    downstream_remote_address: row.downstreamRemote,
    requested_server_name: row.serverName,
    upstream_transport_failure_reason: row.transportFailure,
    error: row.error,
    answered_by: row.answeredBy,
    failure: row.failure,
    decided,
  };
}
