import type { Finding } from '../../diagnosis/finding.js';
import { listed } from '../../diagnosis/words.js';
import { found, type Check, type Examined } from '../check.js';
import { explicitSubsets } from '../client-rules.js';
import type { BackendRef, KubeRoute } from '../gateway-api-objects.js';
import type { Destination, VirtualService } from '../istio-objects.js';
import {
  clusterDomain,
  fullHost,
  hosts,
  hostsNamed,
  isNamespaceKnown,
  namespaceOfHost,
  type Host,
} from '../registry.js';
import { heldHosts } from '../envoy/held.js';
import type { World } from '../world.js';
import { kubeRoutes } from './kube-routes.js';

export const routeDestinations: Check = {
  id: 'route-destinations',
  phase: 'traffic',
  claim: 'every route leads to a host, port and subset that exist',
  subjects: ['VirtualService', 'HTTPRoute', 'GRPCRoute'],
  needs: ['Service', 'ServiceEntry', 'DestinationRule'],
  decides: ['subset-undefined-cluster-not-found', 'gateway-api-backend-invalid'],
  see: 'istioctl analyze -A',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    for (const service of world.list('VirtualService')) {
      const destinations = [
        ...service.http.flatMap(({ route, mirrors }) => [...route, ...mirrors]),
        ...service.layer4,
      ];
      for (const destination of destinations) {
        findings.push(...ofDestination(world, service, destination));
        const host = fullHost(world, destination.host, service.namespace);
        examined.push({
          about: { services: [hostsNamed(world, host)[0]?.service ?? host] },
          excludes: ['subset-undefined-cluster-not-found'],
        });
      }
    }
    for (const route of kubeRoutes(world)) {
      for (const rule of route.rules) {
        const usable = rule.backends.filter(({ weight }) => weight > 0);
        if (usable.length === 0 && !rule.redirects) findings.push(withoutBackend(route, rule.field));
        for (const backend of rule.backends) {
          findings.push(...ofBackend(world, route, backend));
          examined.push({
            about: { services: [`${backend.name}.${backend.namespace}`] },
            excludes: ['gateway-api-backend-invalid'],
          });
        }
      }
    }
    return { findings, examined };
  },
};

function ofDestination(world: World, service: VirtualService, destination: Destination): readonly Finding[] {
  const name = fullHost(world, destination.host, service.namespace);
  const known = hostsNamed(world, name);
  const base = { from: service, confirms: ['subset-undefined-cluster-not-found'] } as const;
  const share =
    destination.weight === null || destination.weight === 100
      ? 'every request of this rule'
      : `${destination.weight}% of this rule's requests`;
  const [host] = known;
  if (!host) {
    const namespace = namespaceOfHost(world, name);
    if (namespace !== null && !isNamespaceKnown(world, namespace)) return [];
    if (heldHosts(world).has(name)) return [];
    return [
      found('traffic', {
        ...base,
        id: 'route-host-unknown',
        severity: 'critical',
        field: `${destination.field}.host`,
        read: `no Service or ServiceEntry is ${name}${hintOf(world, destination.host)}`,
        why: `${share} ends with 503, flag NC`,
        about: { services: [name, ...aboutHosts(world, service)] },
        fix: 'Correct the host, or create what it names.',
      }),
    ];
  }
  return [
    ...portOf(service, destination, known, share),
    ...subsetOf(world, service, destination, host, share),
  ];
}

/** The services whose callers follow the object: what an incident is about is what the client asked for. */
function aboutHosts(world: World, service: VirtualService): readonly string[] {
  return service.hosts.map((host) => {
    const name = fullHost(world, host, service.namespace);
    return hostsNamed(world, name)[0]?.service ?? name;
  });
}

/** `ledger.billing` is taken as it is; only bare names are completed. */
function hintOf(world: World, host: string): string {
  const full = `${host}.svc.${clusterDomain(world)}`;
  return hostsNamed(world, full).length > 0 ? `; a name with a dot is not completed, write ${full}` : '';
}

function portOf(
  service: VirtualService,
  destination: Destination,
  known: readonly Host[],
  share: string,
): readonly Finding[] {
  const ports = known.flatMap((host) => host.ports.map(({ number }) => number));
  const base = {
    from: service,
    field: `${destination.field}.port`,
    about: { services: [known[0]!.service] },
  };
  if (destination.port !== null && !ports.includes(destination.port)) {
    return [
      found('traffic', {
        ...base,
        id: 'route-port-unknown',
        severity: 'critical',
        read: `port ${destination.port} of ${known[0]!.name}, which has ${listed(ports.map(String), 6)}`,
        why: `${share} ends with 503, flag NC`,
        confirms: ['subset-undefined-cluster-not-found'],
        fix: "Name a port of the Service (its own number, not the container's).",
      }),
    ];
  }
  return [];
}

function subsetOf(
  world: World,
  service: VirtualService,
  { subset, field }: Destination,
  host: Host,
  share: string,
): readonly Finding[] {
  if (subset === null) return [];
  const { names, hidden } = explicitSubsets(world, service.namespace, host);
  if (names.includes(subset)) return [];
  const elsewhere = hidden.find((rule) => rule.subsets.some(({ name }) => name === subset));
  return [
    found('traffic', {
      id: 'route-subset-undefined',
      severity: 'critical',
      from: service,
      field: `${field}.subset`,
      read: elsewhere
        ? `subset ${subset} of ${host.name} stands in DestinationRule ${elsewhere.namespace}/${elsewhere.name} only, which is not followed from here`
        : `subset ${subset} of ${host.name} stands in no DestinationRule; there are ${listed(names, 6) || 'none'}`,
      why: `${share} ends with 503, flag NC`,
      confirms: ['subset-undefined-cluster-not-found'],
      about: { services: [host.service] },
      see: 'kubectl get destinationrule -A -o yaml',
      fix: 'Define the subset first, then route to it; on removal the other way round.',
    }),
  ];
}

function withoutBackend(route: KubeRoute, field: string): Finding {
  return found('traffic', {
    id: 'backend-none',
    severity: 'critical',
    from: route,
    field: `${field}.backendRefs`,
    read: 'no backend with a weight above 0',
    why: 'every request of this rule is answered 500 by the proxy',
    confirms: ['gateway-api-backend-invalid'],
    about: { services: [...route.hostnames] },
    fix: 'Name a backend, or remove the rule.',
  });
}

function ofBackend(world: World, route: KubeRoute, backend: BackendRef): readonly Finding[] {
  const about = { services: [`${backend.name}.${backend.namespace}`, ...route.hostnames] };
  const base = { from: route, about, confirms: ['gateway-api-backend-invalid'] } as const;
  const why = 'requests of this rule are answered 500 by the proxy, those of other backends of it are not';
  if (backend.kind === 'Hostname') {
    return hosts(world).some(({ name }) => name === backend.name) ? [] : [hostUnknown(base, backend, why)];
  }
  if (backend.kind !== 'Service') return [];
  if (backend.namespace !== route.namespace && !isGranted(world, route, backend)) {
    if (world.refusal('ReferenceGrant')) return [];
    return [
      found('traffic', {
        ...base,
        id: 'backend-reference-not-permitted',
        severity: 'critical',
        field: `${backend.field}.namespace`,
        read: `Service ${backend.namespace}/${backend.name} is of another namespace, and no ReferenceGrant there lets ${route.ref.kind} of ${route.namespace} in`,
        why,
        see: `kubectl -n ${backend.namespace} get referencegrant -o yaml`,
        fix: `A ReferenceGrant in ${backend.namespace} from ${route.ref.kind} of ${route.namespace} to Service.`,
      }),
    ];
  }
  const service = world.find('Service', backend.namespace, backend.name);
  if (!service) {
    return isNamespaceKnown(world, backend.namespace) ? [hostUnknown(base, backend, why)] : [];
  }
  if (backend.port !== null && !service.ports.some(({ number }) => number === backend.port)) {
    return [
      found('traffic', {
        ...base,
        id: 'backend-port-unknown',
        severity: 'critical',
        field: `${backend.field}.port`,
        read: `port ${backend.port} of Service ${service.namespace}/${service.name}, which has ${listed(
          service.ports.map(({ number }) => String(number)),
          6,
        )}`,
        why,
        fix: "Name a port of the Service (its own number, not the container's).",
      }),
    ];
  }
  return [];
}

const hostUnknown = (
  base: Pick<Parameters<typeof found>[1], 'from' | 'about'> & { readonly confirms: readonly string[] },
  backend: BackendRef,
  why: string,
): Finding =>
  found('traffic', {
    ...base,
    id: 'backend-not-found',
    severity: 'critical',
    field: `${backend.field}.name`,
    read: `${backend.kind} ${backend.namespace}/${backend.name} does not exist`,
    why,
    fix: 'Correct the name, or create what it names.',
  });

function isGranted(world: World, route: KubeRoute, backend: BackendRef): boolean {
  return world
    .list('ReferenceGrant')
    .some(
      (grant) =>
        grant.namespace === backend.namespace &&
        grant.from.some(({ kind, namespace }) => kind === route.ref.kind && namespace === route.namespace) &&
        grant.to.some(({ kind, name }) => kind === backend.kind && (name === null || name === backend.name)),
    );
}
