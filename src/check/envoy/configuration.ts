import type { Finding } from '../../diagnosis/finding.js';
import { listed } from '../../diagnosis/words.js';
import { parseUpstreamCluster } from '../../record/upstream-cluster.js';
import { found, type Check } from '../check.js';
import { serviceName } from '../services.js';
import type { World } from '../world.js';
import { adminCommand, judgePages, type AskedProxy } from './proxies.js';
import { serviceOfCluster, type EnvoyConfig, type ProxyState } from './proxy-state.js';

export const envoyConfiguration: Check = {
  id: 'envoy-configuration',
  phase: 'envoy',
  claim: 'proxies took every update, and their routes lead to clusters that they have',
  subjects: ['Pod'],
  needs: ['Service'],
  nearby: ['Service'],
  decides: ['stale-proxy-config', 'subset-undefined-cluster-not-found'],
  see: 'istioctl proxy-status POD.NAMESPACE',
  judge: (world) =>
    judgePages(
      world,
      'config_dump',
      ({ config }) => config,
      (proxy, config) => ({
        findings: [...errors(proxy, config), ...routesToNothing(world, proxy, config)],
        examined: {
          said: `${proxy.pod.name}: ${config.listeners.length} listeners, ${config.clusters.size} clusters, ${config.routes.length} routes, access log ${config.listeners.some(({ accessLog }) => accessLog) ? 'on' : 'off'}`,
          excludes: ['subset-undefined-cluster-not-found'],
        },
      }),
    ),
};

function errors({ pod, about }: AskedProxy, config: EnvoyConfig): readonly Finding[] {
  const [first] = config.errors;
  if (!first) return [];
  return [
    found('envoy', {
      id: 'envoy-update-refused',
      severity: 'high',
      from: pod,
      field: `${first.kind} ${first.name}`,
      read: `Envoy refused ${listed(config.errors.map(({ kind, name }) => `${kind} ${name}`))}: ${first.details}`,
      why: 'it goes on with what it had before, or without',
      confirms: ['stale-proxy-config'],
      about,
      see: adminCommand(pod, '/config_dump'),
      fix: 'Mend what it refuses, usually an EnvoyFilter or a certificate.',
    }),
  ];
}

/**
 * A VirtualService that names no port stands in the routes of every HTTP port of the mesh, those that its service does not
 * have among them (istiod 1.31 with Envoy 1.40, observed): nobody takes these.
 */
function isOfNoPort(world: World, cluster: string): boolean {
  const { service, port } = parseUpstreamCluster(cluster);
  const object = world.list('Service').find((one) => serviceName(one) === service);
  // Of a service that may merely not have been read nothing is said.
  if (object === undefined) return world.refusal('Service') !== undefined;
  return port !== null && !object.ports.some(({ number }) => number === port);
}

function routesToNothing(world: World, { pod, about }: AskedProxy, config: EnvoyConfig): readonly Finding[] {
  const bad = config.routes.flatMap((route) =>
    route.clusters
      .filter((name) => !config.clusters.has(name) && !isOfNoPort(world, name))
      .map((name) => ({ route, name })),
  );
  const [first] = bad;
  if (!first) return [];
  return [
    found('envoy', {
      id: 'envoy-route-without-cluster',
      severity: 'critical',
      from: pod,
      field: `route ${first.route.configuration}, virtual host ${first.route.virtualHost}`,
      read: `it routes to ${listed([...new Set(bad.map(({ name }) => name))])}, which it does not have`,
      why: 'requests of these routes end with 503 (500 from the Gateway API), flag NC',
      confirms: ['subset-undefined-cluster-not-found'],
      about: {
        services: [...new Set(bad.flatMap(({ name }) => serviceOfCluster(name) ?? []))],
        clients: about.clients ?? [],
        workloads: about.workloads ?? [],
      },
      see: `istioctl proxy-config route ${pod.name}.${pod.namespace} -o json`,
      fix: 'Define the subset, port or host to which the route leads.',
    }),
  ];
}

/** Where redirected connections arrive (istio: ProxyListenPort, ProxyInboundListenPort). */
const CAPTURE_PORTS = [15001, 15006];

export const envoyListeners: Check = {
  id: 'envoy-listeners',
  phase: 'envoy',
  claim: 'sidecars listen where the redirection leads (15001, 15006)',
  subjects: ['Pod'],
  needs: [],
  decides: ['stale-proxy-config'],
  see: 'istioctl proxy-config listener POD.NAMESPACE',
  judge: (world) =>
    judgePages(world, 'listeners', listenersOf, (proxy, listeners) => {
      const ports = new Set(listeners.map(({ port }) => port));
      // One that is not live has none yet: that is told on its own.
      const waits = proxy.state.server !== null && proxy.state.server.state !== 'LIVE';
      const missing = proxy.alone || waits ? [] : CAPTURE_PORTS.filter((port) => !ports.has(port));
      return {
        findings: missing.length === 0 ? [] : [withoutListeners(proxy, missing)],
        examined: { said: `${proxy.pod.name}: ${listeners.length} listeners` },
      };
    }),
};

/** Either page tells. */
const listenersOf = ({ listeners, config }: ProxyState): ProxyState['listeners'] =>
  listeners ?? config?.listeners ?? null;

const withoutListeners = ({ pod, about }: AskedProxy, missing: readonly number[]): Finding =>
  found('envoy', {
    id: 'envoy-capture-listener-missing',
    severity: 'critical',
    from: pod,
    field: 'listeners',
    read: `no listener on port ${missing.join(' and ')}`,
    why: 'connections are redirected to where nobody listens: they are refused',
    confirms: ['stale-proxy-config'],
    about,
    see: adminCommand(pod, '/listeners?format=json'),
    fix: 'It never got its listeners: look at its connection to istiod and at refused updates.',
  });

export const envoyServer: Check = {
  id: 'envoy-server',
  phase: 'envoy',
  claim: 'every Envoy is live',
  subjects: ['Pod'],
  needs: [],
  decides: ['health-check-filter-failing', 'rollout-drain', 'startup-ordering-app-before-proxy'],
  see: "pilot-agent request GET '/server_info'",
  judge: (world) =>
    judgePages(
      world,
      'server_info',
      ({ server }) => server,
      ({ pod, about }, { state, version }) => ({
        findings:
          state === 'LIVE' || state === ''
            ? []
            : [
                found('envoy', {
                  id: state === 'DRAINING' ? 'envoy-draining' : 'envoy-not-live',
                  severity: state === 'DRAINING' ? 'medium' : 'high',
                  from: pod,
                  field: 'state',
                  read: `Envoy is ${state}`,
                  why:
                    state === 'DRAINING'
                      ? 'it closes its connections and fails health checks, as on a shutdown'
                      : 'it waits for configuration or certificates and opens no listener yet',
                  confirms:
                    state === 'DRAINING'
                      ? ['health-check-filter-failing', 'rollout-drain']
                      : ['startup-ordering-app-before-proxy'],
                  about,
                  see: adminCommand(pod, '/server_info'),
                  fix: 'Look whether the pod is being stopped; else at its connection to istiod.',
                }),
              ],
        examined: { said: `${pod.name}: Envoy ${version} ${state}` },
      }),
    ),
};
