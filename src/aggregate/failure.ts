import type { RecordView } from '../record/record-view.js';
import { lookUpDetails } from '../record/response-code-details.js';
import { MODIFIER_FLAGS, type FlagSet } from '../record/response-flags.js';

/*
 * The one definition of a failure: a line that somebody would call a failed or damaged request or connection. What it
 * says of one line can only be widened by a pattern over many (a cause that names silent failures), never elsewhere.
 */

export type AnsweredBy = 'peer' | 'proxy' | 'unknown';

export interface Outcome {
  readonly failure: boolean;
  /** Who made the reply: this proxy, the peer upstream, or the line does not tell. */
  readonly answeredBy: AnsweredBy;
  /** The app's own 4xx: no failure, counted apart. */
  readonly app4xx: boolean;
  readonly http: boolean;
  /** A leg of a tunnel (HBONE, CONNECT): evidence, but no request of its own. */
  readonly tunnel: boolean;
}

const TUNNEL_CLUSTERS: ReadonlySet<string> = new Set([
  'connect_originate',
  'inner_connect_originate',
  'outer_connect_originate',
]);

/** Flags that alone make no failure of a success: answered from cache, delayed by a fault filter, load shed elsewhere. */
const HARMLESS_ON_SUCCESS: ReadonlySet<string> = new Set(['RFCF', 'DI', 'DO']);

/** Details that cut a reply whose headers were out already, without a flag (Envoy 1.40, observed). */
const CUT_SUCCESS: ReadonlySet<string> = new Set([
  'max_duration_timeout',
  'request_overall_timeout',
  'duration_timeout',
]);

/** Connection termination details that mean a refusal on a TCP line, which carries neither code nor flag. */
const TCP_REFUSAL = /^rbac_access_denied/;

/** What the outcome of a line depends on. */
export type Judged = Pick<
  RecordView,
  'responseCode' | 'responseFlags' | 'upstreamServiceTimeMs' | 'upstreamCluster' | 'text' | 'ztunnelPair'
>;

export function judge(record: Judged): Outcome {
  const flags = record.responseFlags();
  const code = record.responseCode();
  const details = record.text('response_code_details');
  // ztunnel logs no code and no flags: a sentence in its `error` pair is the failure.
  const broken = record.ztunnelPair('error');
  if (broken !== null)
    return { failure: true, answeredBy: 'proxy', app4xx: false, http: false, tunnel: false };
  const http = isHttp(record, code);
  const answeredBy = whoAnswered(record, flags, details, code);
  const tunnel =
    record.text('method') === 'CONNECT' || TUNNEL_CLUSTERS.has(record.upstreamCluster()?.name ?? '');
  return {
    failure: isFailure(record, http, code, flags, details, answeredBy),
    answeredBy,
    app4xx: code !== null && code >= 400 && code < 500 && answeredBy === 'peer' && !flags.some(isCause),
    http,
    tunnel,
  };
}

const isCause = (flag: string): boolean => !MODIFIER_FLAGS.has(flag) && !HARMLESS_ON_SUCCESS.has(flag);

function isHttp(record: Judged, code: number | null): boolean {
  for (const field of ['protocol', 'method', 'path', 'authority'] as const) {
    if (record.text(field)) return true;
  }
  return code !== null && code >= 100;
}

function whoAnswered(
  record: Judged,
  flags: FlagSet,
  details: string | null | undefined,
  code: number | null,
): AnsweredBy {
  if (details === 'via_upstream') return 'peer';
  if (details) return 'proxy';
  if (flags.some((flag) => !MODIFIER_FLAGS.has(flag))) return code === 101 ? 'peer' : 'proxy';
  if (details === '') return 'proxy';
  return record.upstreamServiceTimeMs() === null ? 'unknown' : 'peer';
}

function isFailure(
  record: Judged,
  http: boolean,
  code: number | null,
  flags: FlagSet,
  details: string | null | undefined,
  answeredBy: AnsweredBy,
): boolean {
  if (code !== null && code >= 500) return true;
  if (code === 101 && flags.length === 1 && flags[0] === 'DC') return false;
  const success = code !== null && code >= 100 && code < 400;
  if (flags.length > 0 && !(success && flags.every((flag) => HARMLESS_ON_SUCCESS.has(flag)))) return true;
  if (code === 0 || code === null) return http ? code === 0 : TCP_REFUSAL.test(terminationOf(record));
  if (code >= 400) return answeredBy === 'proxy' && lookUpDetails(details ?? '')?.fault !== 'info';
  return typeof details === 'string' && CUT_SUCCESS.has(details);
}

function terminationOf(record: Judged): string {
  return record.text('connection_termination_details') ?? '';
}
