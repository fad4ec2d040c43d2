import type { Pod, Service, ServicePort } from './kube-objects.js';
import { labelSelector } from './meta.js';
import { podsSelected } from './workloads.js';
import { perWorld, type World } from './world.js';

/** `payments.shop`, as incidents name services. */
export const serviceName = ({ name, namespace }: Pick<Service, 'name' | 'namespace'>): string =>
  `${name}.${namespace}`;

const selected = perWorld(
  (world): ReadonlyMap<Service, readonly Pod[]> =>
    new Map(
      world
        .list('Service')
        .map((service) => [
          service,
          service.selector.size === 0
            ? []
            : podsSelected(world, service.namespace, labelSelector(service.selector)),
        ]),
    ),
);

export const podsOf = (world: World, service: Service): readonly Pod[] => selected(world).get(service) ?? [];

const byPod = perWorld((world) => {
  const found = new Map<Pod, Service[]>();
  for (const [service, pods] of selected(world)) {
    for (const pod of pods) found.set(pod, [...(found.get(pod) ?? []), service]);
  }
  return found;
});

export const servicesOf = (world: World, pod: Pod): readonly Service[] => byPod(world).get(pod) ?? [];

/** What EndpointSlices say of a service; `null` where it has none. */
export interface Endpoints {
  readonly ready: readonly string[];
  readonly notReady: readonly string[];
}

const slices = perWorld((world) => {
  const found = new Map<string, { ready: string[]; notReady: string[] }>();
  for (const slice of world.list('EndpointSlice')) {
    if (slice.service === null) continue;
    const key = `${slice.service}.${slice.namespace}`;
    const known = found.get(key) ?? { ready: [], notReady: [] };
    for (const { addresses, ready } of slice.endpoints)
      (ready ? known.ready : known.notReady).push(...addresses);
    found.set(key, known);
  }
  return found;
});

export const endpointsOf = (world: World, service: Service): Endpoints | null =>
  slices(world).get(serviceName(service)) ?? null;

/** Every address that EndpointSlices name, ready or not, with the services it serves. */
export const endpointAddresses = perWorld((world): ReadonlyMap<string, ReadonlySet<string>> => {
  const found = new Map<string, Set<string>>();
  for (const [service, { ready, notReady }] of slices(world)) {
    for (const address of [...ready, ...notReady]) {
      const known = found.get(address) ?? new Set();
      known.add(service);
      found.set(address, known);
    }
  }
  return found;
});

export type Protocol = 'http' | 'tcp' | 'udp' | 'auto';

// istio 1.31 pkg/config/kube/conversion.go ConvertProtocol and pkg/config/protocol/instance.go.
const HTTP: ReadonlySet<string> = new Set([
  'http',
  'http2',
  'grpc',
  'grpc-web',
  'http_proxy',
  'kubernetes.io/h2c',
  'kubernetes.io/ws',
]);
const TCP: ReadonlySet<string> = new Set([
  'tcp',
  'https',
  'tls',
  'mongo',
  'redis',
  'mysql',
  'kubernetes.io/wss',
]);
/** Ports on which the server speaks first or that are known for another reason: no detection there. */
const WELL_KNOWN_TCP: ReadonlySet<number> = new Set([25, 3306, 27017]);

/** `http` of `http-web`, `grpc-web` of `grpc-web-x`; `null` where a name begins with no protocol. */
export function protocolInName(name: string): string | null {
  const lower = name.toLowerCase();
  if (lower === 'grpc-web' || lower.startsWith('grpc-web-')) return 'grpc-web';
  const word = lower.split('-')[0] ?? '';
  return HTTP.has(word) || TCP.has(word) || word === 'udp' ? word : null;
}

/** What a port is declared to carry, in the declaration's own word; `null`: Envoy is to find out. */
export function declaredProtocol(
  port: Pick<ServicePort, 'name' | 'appProtocol' | 'transport' | 'number'>,
): string | null {
  if (port.transport === 'UDP') return 'udp';
  if (port.appProtocol !== null) {
    const lower = port.appProtocol.toLowerCase();
    return HTTP.has(lower) || TCP.has(lower) ? lower : null;
  }
  return protocolInName(port.name) ?? (WELL_KNOWN_TCP.has(port.number) ? 'tcp' : null);
}

export function protocolFamily(declared: string | null): Protocol {
  if (declared === null) return 'auto';
  if (declared === 'udp') return 'udp';
  return HTTP.has(declared) ? 'http' : 'tcp';
}

/** The number of the container port that a service port leads to in a pod; `null`: the name is of no container. */
export function targetPortIn(pod: Pod, port: ServicePort): number | null {
  if (typeof port.targetPort === 'number') return port.targetPort;
  for (const { ports } of [...pod.containers, ...pod.initContainers]) {
    const found = ports.find(({ name }) => name === port.targetPort);
    if (found) return found.number;
  }
  return null;
}
