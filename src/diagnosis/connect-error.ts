import { perKind } from '../aggregate/by-kind.js';

/** Why a connection could not be made, from %UPSTREAM_TRANSPORT_FAILURE_REASON% or, where that is missing, the details. */
export type ConnectError =
  'refused' | 'no-route' | 'timed-out' | 'local-ports' | 'tls' | 'reset' | 'unreachable';

// Errno numbers up to Envoy 1.21, words later; `immediate` means the error came from this host's own kernel.
const ERRORS: readonly (readonly [RegExp, ConnectError])[] = [
  [/connect_error:_(?:Connection_refused|111\b)/, 'refused'],
  [/connect_error:_(?:No_route_to_host|113\b)/, 'no-route'],
  [/connect_error:_(?:Network_is_unreachable|101\b)/, 'unreachable'],
  [/connect_error:_(?:Connection_timed_out|110\b)/, 'timed-out'],
  [/connect_error:_(?:Connection_reset|104\b)/, 'reset'],
  [/immediate_connect_error:_(?:Cannot_assign_requested_address|99\b)/, 'local-ports'],
  [/TLS_error|OPENSSL_internal|268\d{6}/, 'tls'],
  [/\{connection_timeout/, 'timed-out'],
];

/** `null` where the line names no connect error. */
export const connectErrorOf = perKind(({ transportFailure, details }): ConnectError | null => {
  const text = `${transportFailure ?? ''} ${details ?? ''}`;
  return ERRORS.find(([pattern]) => pattern.test(text))?.[1] ?? null;
});
