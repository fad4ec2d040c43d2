import { jsonFormat } from './json-layout.js';

/** The keys of every version's set: 1.1 had these and the mixer status; routes, reasons and details came later. */
const REQUIRED = [
  'start_time',
  'method',
  'path',
  'protocol',
  'response_code',
  'response_flags',
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
];

/** Istio's default JSON: 24 keys since 1.9; fewer, and all values strings, before 1.8. */
export const istioJson = jsonFormat({
  name: 'istio-json',
  layout: `an object with at least ${REQUIRED.join(' ')}`,
  sign: "all keys of Istio's own set among its keys",
  reference:
    'https://github.com/istio/istio/blob/1.28.0/pilot/pkg/model/telemetry_logging.go (EnvoyJSONLogFormatIstio)',
  accepts: (object) => REQUIRED.every((key) => Object.hasOwn(object, key)),
});
