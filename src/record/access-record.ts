import type { Json } from './json.js';
import type { Origin } from './origin.js';

/** The keys of a typed record: Istio's own JSON access-log keys, whatever the input's format. Order of the output. */
export const FIELDS = [
  'start_time',
  'method',
  'path',
  'protocol',
  'response_code',
  'response_flags',
  'response_code_details',
  'connection_termination_details',
  'upstream_transport_failure_reason',
  'bytes_received',
  'bytes_sent',
  'duration',
  'upstream_service_time',
  'x_forwarded_for',
  'user_agent',
  'request_id',
  'authority',
  'upstream_host',
  'upstream_cluster',
  'upstream_local_address',
  'downstream_local_address',
  'downstream_remote_address',
  'requested_server_name',
  'route_name',
] as const;

export type FieldName = (typeof FIELDS)[number];

/** Each field's place in `FIELDS`, for the span table of a cursor. */
export const SLOT = Object.freeze(Object.fromEntries(FIELDS.map((name, slot) => [name, slot]))) as Readonly<
  Record<FieldName, number>
>;

export type NumericField =
  'response_code' | 'bytes_received' | 'bytes_sent' | 'duration' | 'upstream_service_time';

export const NUMERIC_FIELDS: ReadonlySet<FieldName> = new Set<NumericField>([
  'response_code',
  'bytes_received',
  'bytes_sent',
  'duration',
  'upstream_service_time',
]);

/**
 * One access line, typed, as `parse` prints it. `null`: Envoy logged `-`; `""`: an empty value; absent: the layout
 * has no such field. Durations in ms, sizes in bytes. Numbers that are no integers keep the type they were logged with.
 */
export type AccessRecord = {
  readonly [K in Exclude<FieldName, 'response_flags' | NumericField>]?: string | null;
} & {
  readonly [K in NumericField]?: number | string | null;
} & {
  readonly response_flags?: readonly string[];
  /** Which layout read it. */
  readonly format: string;
  /** What the line holds that has no key above. */
  readonly extra?: Readonly<Record<string, Json>>;
  /** Every pair that a ztunnel line printed, and its level, unchanged. */
  readonly ztunnel?: Readonly<Record<string, Json>>;
  readonly origin?: Origin;
};
