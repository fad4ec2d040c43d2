import type { Check } from './check.js';
import { envoyCertificates } from './envoy/certificates.js';
import { envoyConfiguration, envoyListeners, envoyServer } from './envoy/configuration.js';
import { envoyCounters } from './envoy/counters.js';
import { envoyEndpoints } from './envoy/endpoints.js';
import { accessLog } from './foundation/access-log.js';
import { appContainersRun } from './foundation/app-containers.js';
import { capture } from './foundation/capture.js';
import { configSync } from './foundation/config-sync.js';
import { injection } from './foundation/injection.js';
import { mutualTls } from './foundation/mutual-tls.js';
import { nodes } from './foundation/nodes.js';
import { proxyHealth } from './foundation/proxy-health.js';
import { authorization } from './traffic/authorization.js';
import { destinationRules } from './traffic/destination-rules.js';
import { gateways } from './traffic/gateways.js';
import { kubeGateways } from './traffic/kube-gateways.js';
import { networkPolicies } from './traffic/network-policies.js';
import { probes } from './traffic/probes.js';
import { routeDestinations } from './traffic/route-destinations.js';
import { routeMatches } from './traffic/route-matches.js';
import { envoyFilters } from './traffic/envoy-filters.js';
import { policyTargets } from './traffic/policy-targets.js';
import { waypoints } from './traffic/waypoints.js';
import { serviceEntries } from './traffic/service-entries.js';
import { services } from './traffic/services.js';
import { sidecarScope } from './traffic/sidecar-scope.js';

/** Every check, in the order in which an expert looks: is the foundation sound, what is configured, what does Envoy hold. */
export const CHECKS: readonly Check[] = [
  injection,
  capture,
  proxyHealth,
  appContainersRun,
  nodes,
  configSync,
  mutualTls,
  accessLog,
  services,
  routeDestinations,
  routeMatches,
  destinationRules,
  gateways,
  kubeGateways,
  sidecarScope,
  serviceEntries,
  authorization,
  policyTargets,
  waypoints,
  envoyFilters,
  networkPolicies,
  probes,
  envoyEndpoints,
  envoyConfiguration,
  envoyListeners,
  envoyCertificates,
  envoyCounters,
  envoyServer,
];
