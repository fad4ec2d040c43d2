import type { FieldName } from '../src/record/access-record.js';
import { readData } from '../src/paths.js';

/** How an operator's value looks in text; `data/access-log-operators.json` says what each means. */
export type TextClass =
  'uint' | 'millis' | 'port' | 'time' | 'address' | 'token' | 'free' | 'json_or_text' | 'unknown';

/** One entry of `data/access-log-operators.json`: an Envoy command operator and what it prints. */
export interface Operator {
  readonly op: string;
  readonly args: string;
  readonly text: TextClass;
  /** The JSON types it may have, joined with `|`. */
  readonly json: string;
  readonly text_when_unset: string;
  readonly may_contain_space: boolean;
  readonly may_contain_quote: boolean;
  readonly may_contain_newline: boolean;
  readonly since_envoy: string;
  readonly unit?: string;
}

let table: ReadonlyMap<string, Operator> | undefined;

/** Every operator that Envoy 1.40 knows, by name. */
export function operators(): ReadonlyMap<string, Operator> {
  const data = (): { operators: Operator[] } =>
    readData('access-log-operators.json') as { operators: Operator[] };
  return (table ??= new Map(data().operators.map((operator) => [operator.op, operator])));
}

/** Operators whose value is a field of the record under another name than their own in lower case. */
const FIELD_OF: Readonly<Record<string, FieldName>> = {
  START_TIME: 'start_time',
  START_TIME_LOCAL: 'start_time',
  PATH: 'path',
  PROTOCOL: 'protocol',
  RESPONSE_CODE: 'response_code',
  RESPONSE_FLAGS: 'response_flags',
  RESPONSE_CODE_DETAILS: 'response_code_details',
  CONNECTION_TERMINATION_DETAILS: 'connection_termination_details',
  UPSTREAM_TRANSPORT_FAILURE_REASON: 'upstream_transport_failure_reason',
  BYTES_RECEIVED: 'bytes_received',
  BYTES_SENT: 'bytes_sent',
  DURATION: 'duration',
  UPSTREAM_HOST: 'upstream_host',
  UPSTREAM_CLUSTER: 'upstream_cluster',
  UPSTREAM_CLUSTER_RAW: 'upstream_cluster',
  UPSTREAM_LOCAL_ADDRESS: 'upstream_local_address',
  DOWNSTREAM_LOCAL_ADDRESS: 'downstream_local_address',
  DOWNSTREAM_REMOTE_ADDRESS: 'downstream_remote_address',
  REQUESTED_SERVER_NAME: 'requested_server_name',
  ROUTE_NAME: 'route_name',
};

const REQUEST_HEADERS: Readonly<Record<string, FieldName>> = {
  ':method': 'method',
  ':path': 'path',
  'x-envoy-original-path': 'path',
  ':authority': 'authority',
  host: 'authority',
  'x-forwarded-for': 'x_forwarded_for',
  'user-agent': 'user_agent',
  'x-request-id': 'request_id',
};

const READS_REQUEST: ReadonlySet<string> = new Set(['REQ', 'REQUEST_HEADER', 'REQ_WITHOUT_QUERY']);
const READS_RESPONSE: ReadonlySet<string> = new Set(['RESP', 'RESPONSE_HEADER']);

/** The header that a header operator reads, in lower case: the first of `A?B`. */
export function headerOf(args: string): string {
  return (args.split('?', 1)[0] ?? '').toLowerCase();
}

/** The field that an operator fills; `undefined` for one that goes under `extra`. */
export function fieldOf(name: string, args: string | undefined): FieldName | undefined {
  if (READS_REQUEST.has(name)) return REQUEST_HEADERS[headerOf(args ?? '')];
  if (READS_RESPONSE.has(name)) {
    return headerOf(args ?? '') === 'x-envoy-upstream-service-time' ? 'upstream_service_time' : undefined;
  }
  return FIELD_OF[name];
}

/** Headers whose values hold no blank: HTTP forbids it. */
const TOKEN_HEADERS: ReadonlySet<string> = new Set([
  ':method',
  ':path',
  ':authority',
  ':scheme',
  ':status',
  'host',
  'x-envoy-original-path',
  'x-envoy-upstream-service-time',
]);

/** Whether an operator's text may hold a blank. */
export function mayHoldBlanks(
  name: string,
  args: string | undefined,
  operator: Operator | undefined,
): boolean {
  if (READS_REQUEST.has(name) || READS_RESPONSE.has(name)) return !TOKEN_HEADERS.has(headerOf(args ?? ''));
  if (!operator) return true;
  if (operator.text === 'time') return args !== undefined && /\s|%[ntcxXrekl]/.test(args);
  return operator.may_contain_space || args === 'ALLOW_WHITESPACES';
}
