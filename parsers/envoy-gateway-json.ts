import { jsonFormat } from './json-layout.js';

const REQUIRED = ['start_time', 'response_code', 'response_flags', ':authority', 'x-envoy-origin-path'];

/** Envoy Gateway's default access log: Istio's keys, but headers under their own names. */
export const envoyGatewayJson = jsonFormat({
  name: 'envoy-gateway-json',
  layout: `an object with at least ${REQUIRED.join(' ')}`,
  sign: `its keys: ${REQUIRED.join(', ')}`,
  reference:
    'https://github.com/envoyproxy/gateway/blob/v1.5.0/internal/xds/translator/accesslog.go (EnvoyJSONLogFields)',
  accepts: (object) => REQUIRED.every((key) => Object.hasOwn(object, key)),
});
