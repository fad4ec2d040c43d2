import type { HttpRule, VirtualService } from '../istio-objects.js';
import { meshConfigs } from '../mesh-config.js';
import { fullHost, hostsOverlap, isVisible, matchesHost } from '../registry.js';
import { perWorld, type World } from '../world.js';

/** `mesh`, or `namespace/name` of a Gateway: a bare name is of the VirtualService's own namespace. */
export const gatewayNames = ({ gateways, namespace }: VirtualService): readonly string[] =>
  gateways.map((name) => (name === 'mesh' || name.includes('/') ? name : `${namespace}/${name}`));

/** Rules of a match for one gateway only stand aside for the others. */
export function rulesAt(service: VirtualService, gateway: string): readonly HttpRule[] {
  return service.http.flatMap((rule) => {
    if (rule.match.length === 0) return [rule];
    const here = rule.match.filter(
      ({ gateways }) =>
        gateways.length === 0 ||
        gateways.some((name) => name === gateway || `${service.namespace}/${name}` === gateway),
    );
    return here.length === 0 ? [] : [{ ...rule, match: here }];
  });
}

const inOrder = perWorld((world): readonly VirtualService[] =>
  world
    .list('VirtualService')
    .toSorted((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0) || (a.name < b.name ? -1 : 1)),
);

const hostsInFull = perWorld(
  (world): ReadonlyMap<VirtualService, readonly string[]> =>
    new Map(
      world
        .list('VirtualService')
        .map((service) => [service, service.hosts.map((host) => fullHost(world, host, service.namespace))]),
    ),
);

export const fullHosts = (world: World, service: VirtualService): readonly string[] =>
  hostsInFull(world).get(service) ?? [];

function isSeenFrom(world: World, service: VirtualService, namespace: string): boolean {
  const [config] = meshConfigs(world);
  return isVisible(
    service.exportTo.length > 0 ? service.exportTo : (config?.defaultVirtualServiceExportTo ?? []),
    service.namespace,
    namespace,
  );
}

/** VirtualServices that sidecars of a namespace know, oldest first. */
export const meshServices = (world: World, namespace: string): readonly VirtualService[] =>
  inOrder(world).filter(
    (service) => gatewayNames(service).includes('mesh') && isSeenFrom(world, service, namespace),
  );

/** VirtualServices bound to a Gateway and seen by its pods, oldest first. */
export const gatewayServices = (
  world: World,
  gateway: { readonly namespace: string; readonly name: string },
  podNamespace: string,
): readonly VirtualService[] =>
  inOrder(world).filter(
    (service) =>
      gatewayNames(service).includes(`${gateway.namespace}/${gateway.name}`) &&
      isSeenFrom(world, service, podNamespace),
  );

/** `shop.example` of `namespace/shop.example`; `.` is the Gateway's own namespace, `*` any. */
export function serverHost(host: string, gatewayNamespace: string): { namespace: string; host: string } {
  const at = host.indexOf('/');
  if (at < 0) return { namespace: '*', host: host.toLowerCase() };
  const namespace = host.slice(0, at);
  return {
    namespace: namespace === '.' ? gatewayNamespace : namespace,
    host: host.slice(at + 1).toLowerCase(),
  };
}

/** The host under which a server serves what a VirtualService names: the narrower of the two; `null`: none. */
export function servedHost(
  server: { readonly namespace: string; readonly host: string },
  serviceNamespace: string,
  host: string,
): string | null {
  if (server.namespace !== '*' && server.namespace !== serviceNamespace) return null;
  if (!hostsOverlap(server.host, host)) return null;
  return matchesHost(server.host, host) ? host : server.host;
}

/** Of several domains Envoy takes the very name, then the longest wildcard. */
export function bestDomain(domains: Iterable<string>, host: string): string | null {
  let best: string | null = null;
  for (const domain of domains) {
    if (!matchesHost(domain, host)) continue;
    if (domain === host) return domain;
    if (best === null || domain.length > best.length) best = domain;
  }
  return best;
}

/** Catch-alls of merged VirtualServices go last (istio: route.SortVHostRoutes). */
export function merged(
  rules: readonly (readonly [VirtualService, HttpRule])[],
): readonly (readonly [VirtualService, HttpRule])[] {
  const isCatchAll = ([, rule]: readonly [VirtualService, HttpRule]): boolean => rule.match.length === 0;
  return [...rules.filter((one) => !isCatchAll(one)), ...rules.filter(isCatchAll)];
}
