import { jsonFormat } from './json-layout.js';

const REQUIRED = [
  'start_time',
  'response_code',
  'response_flags',
  'upstream_cluster',
  'downstream_remote_address',
];

/** Istio's default JSON: 24 keys since 1.9; fewer, and all values strings, before 1.8. */
export const istioJson = jsonFormat({
  name: 'istio-json',
  layout: `an object with at least ${REQUIRED.join(' ')}`,
  reference:
    'https://github.com/istio/istio/blob/1.28.0/pilot/pkg/model/telemetry_logging.go (EnvoyJSONLogFormatIstio)',
  accepts: (object) => REQUIRED.every((key) => Object.hasOwn(object, key)),
});
