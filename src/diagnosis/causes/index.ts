import type { Cause } from '../cause.js';
import type { Scene } from '../scene.js';
import { APP_CAUSES } from './app-errors.js';
import { ELSEWHERE_CAUSES } from './app-elsewhere.js';
import { appCrash } from './app-crash.js';
import { appNotListening } from './app-not-listening.js';
import { BROKEN_CAUSES } from './broken-connections.js';
import { CERTIFICATE_CAUSES } from './certificates.js';
import { CONFIGURATION_CAUSES } from './configuration.js';
import { nodeUnreachable } from './dead-node.js';
import { ENDPOINT_CAUSES } from './endpoints.js';
import { gatewayHostUnknown } from './gateway-host-unknown.js';
import { clientCancel, GIVEN_UP_LOOKS } from './given-up.js';
import { grpcBehind200 } from './grpc.js';
import { h2ToH1 } from './h2-to-h1.js';
import { connectionCoalescing, hostHeader } from './host-header.js';
import { keepaliveIdleRace } from './keepalive-idle-race.js';
import { portExhaustion } from './local-ports.js';
import { NOISE_CAUSES } from './noise.js';
import { PLAINTEXT_CAUSES } from './plaintext.js';
import { POLICY_CAUSES } from './policies.js';
import { PROTOCOL_CAUSES } from './protocol.js';
import { REFUSED_CAUSES, REFUSED_LOOKS } from './refused-connects.js';
import { REJECTED_CAUSES } from './rejected-connections.js';
import { RETRY_CAUSES, RETRY_LOOKS } from './retries.js';
import { ROUTE_TIMEOUT_CAUSES } from './route-timeouts.js';
import { SILENT_CAUSES } from './silent.js';
import { STREAM_LIMIT_CAUSES } from './stream-limits.js';
import { UNANSWERED_CAUSES } from './unanswered-connects.js';
import { ROUTE_MISS_LOOKS, vsRouteNoMatch } from './vs-route-no-match.js';
import { ZTUNNEL_CAUSES, ZTUNNEL_LOOKS } from './ztunnel.js';

const ENVOY_CAUSES: readonly Cause[] = [
  hostHeader,
  connectionCoalescing,
  vsRouteNoMatch,
  gatewayHostUnknown,
  ...CONFIGURATION_CAUSES,
  ...ENDPOINT_CAUSES,
  ...ELSEWHERE_CAUSES,
  appNotListening,
  ...REFUSED_CAUSES,
  nodeUnreachable,
  ...UNANSWERED_CAUSES,
  portExhaustion,
  keepaliveIdleRace,
  appCrash,
  ...BROKEN_CAUSES,
  ...PROTOCOL_CAUSES,
  h2ToH1,
  ...CERTIFICATE_CAUSES,
  ...PLAINTEXT_CAUSES,
  ...REJECTED_CAUSES,
  ...ROUTE_TIMEOUT_CAUSES,
  ...STREAM_LIMIT_CAUSES,
  clientCancel,
  grpcBehind200,
  ...POLICY_CAUSES,
  ...RETRY_CAUSES,
  ...APP_CAUSES,
  ...SILENT_CAUSES,
  ...NOISE_CAUSES,
];

/** Other looks of causes that are listed above. */
const LOOKS: readonly Cause[] = [
  ...ZTUNNEL_LOOKS,
  ...RETRY_LOOKS,
  ...REFUSED_LOOKS,
  ...GIVEN_UP_LOOKS,
  ...ROUTE_MISS_LOOKS,
];

/**
 * Every cause that is judged, each once, narrower mechanisms before wider ones: of two stories that are equally sure and
 * explain the same, the first is told. Other looks of one are added to it.
 */
export const CAUSES: readonly Cause[] = [
  ...ENVOY_CAUSES.map((cause) => {
    const others = LOOKS.filter(({ id }) => id === cause.id);
    if (others.length === 0) return cause;
    return {
      ...cause,
      signs: [cause, ...others].flatMap(({ signs }) => signs),
      judge: (scene: Scene) => [cause, ...others].flatMap((one) => one.judge(scene)),
    };
  }),
  ...ZTUNNEL_CAUSES,
];
