import type { FieldName } from '../record/access-record.js';

/** What each field tells, for the record pane. Envoy's own words: docs/root/configuration/observability/access_log/usage.rst (v1.40). */
export const FIELD_MEANINGS: Readonly<Record<FieldName, string>> = {
  start_time: 'when the request began (the line is written when it ends)',
  method: 'HTTP method',
  path: 'path and query as the client sent them',
  protocol: 'protocol towards the client',
  response_code: 'status sent downstream; 0: none was',
  response_flags: "why this proxy could not serve as asked; '-': it did",
  response_code_details: 'who made this reply and why; via_upstream: the upstream did',
  connection_termination_details: 'why this proxy closed the connection (TCP, RBAC)',
  upstream_transport_failure_reason: 'why the connection to the upstream failed: TLS, refused, reset',
  bytes_received: 'body bytes from downstream',
  bytes_sent: 'body bytes to downstream',
  duration: 'first byte in to last byte out, ms',
  upstream_service_time: 'wait for the upstream to answer, retries included, ms',
  x_forwarded_for: 'addresses that the request came through',
  user_agent: 'what the client says it is',
  request_id: 'joins the lines of all proxies on the way',
  authority: 'host that the client asked for',
  upstream_host: "address that was chosen; '-': none was",
  upstream_cluster: 'direction|port|subset|host that the route chose',
  upstream_local_address: "this proxy's end of the connection to the upstream",
  downstream_local_address: 'address that the client dialled',
  downstream_remote_address: 'who called',
  requested_server_name: 'server name (SNI) of the TLS handshake',
  route_name: 'route that matched',
};
