import type { Cause } from '../cause.js';
import type { Scene } from '../scene.js';
import { APP_CAUSES } from './app-errors.js';
import { ELSEWHERE_CAUSES } from './app-elsewhere.js';
import { appNotListening } from './app-not-listening.js';
import { BROKEN_CAUSES } from './broken-connections.js';
import { CONFIGURATION_CAUSES } from './configuration.js';
import { CONNECT_CAUSES } from './connect-failures.js';
import { ENDPOINT_CAUSES } from './endpoints.js';
import { gatewayHostUnknown } from './gateway-host-unknown.js';
import { h2ToH1 } from './h2-to-h1.js';
import { connectionCoalescing, hostHeader } from './host-header.js';
import { keepaliveIdleRace } from './keepalive-idle-race.js';
import { NOISE_CAUSES } from './noise.js';
import { POLICY_CAUSES } from './policies.js';
import { PROTOCOL_CAUSES } from './protocol.js';
import { SILENT_CAUSES } from './silent.js';
import { grpcBehind200, TIMEOUT_CAUSES } from './timeouts.js';
import { TLS_CAUSES } from './tls.js';
import { vsRouteNoMatch } from './vs-route-no-match.js';
import { ZTUNNEL_CAUSES, ZTUNNEL_LOOKS } from './ztunnel.js';

const ENVOY_CAUSES: readonly Cause[] = [
  vsRouteNoMatch,
  gatewayHostUnknown,
  hostHeader,
  connectionCoalescing,
  ...CONFIGURATION_CAUSES,
  ...ENDPOINT_CAUSES,
  appNotListening,
  ...ELSEWHERE_CAUSES,
  ...CONNECT_CAUSES,
  keepaliveIdleRace,
  ...BROKEN_CAUSES,
  ...PROTOCOL_CAUSES,
  h2ToH1,
  ...TLS_CAUSES,
  ...TIMEOUT_CAUSES,
  grpcBehind200,
  ...POLICY_CAUSES,
  ...APP_CAUSES,
  ...SILENT_CAUSES,
  ...NOISE_CAUSES,
];

/** Every cause that is judged, each once: what ztunnel says of one is added to what Envoy's lines show. */
export const CAUSES: readonly Cause[] = [
  ...ENVOY_CAUSES.map((cause) => {
    const other = ZTUNNEL_LOOKS.find(({ id }) => id === cause.id);
    if (!other) return cause;
    return {
      ...cause,
      signs: [...cause.signs, ...other.signs],
      judge: (scene: Scene) => [...cause.judge(scene), ...other.judge(scene)],
    };
  }),
  ...ZTUNNEL_CAUSES,
];
