import type { KubeGateway, KubeRoute, ParentRef } from '../gateway-api-objects.js';
import { selects } from '../meta.js';
import { hostsOverlap, matchesHost } from '../registry.js';
import type { World } from '../world.js';

/** HTTPRoutes and GRPCRoutes alike. */
export const kubeRoutes = (world: World): readonly KubeRoute[] => [
  ...world.list('HTTPRoute'),
  ...world.list('GRPCRoute'),
];

/** Why a route does not attach where it wants to; `null`: it does, under these hosts. */
export type Attachment =
  | { readonly hostnames: readonly string[] }
  | {
      readonly refused: 'no-listener' | 'namespace-not-allowed' | 'no-hostname-in-common';
      readonly why: string;
    };

/** Whether and where a gateway takes a route (Gateway API: sectionName, port, allowedRoutes, hostname). */
export function attachmentOf(
  world: World,
  gateway: KubeGateway,
  route: KubeRoute,
  parent: ParentRef,
): Attachment {
  const listeners = gateway.listeners.filter(
    ({ name, port }) =>
      (parent.section === null || parent.section === name) && (parent.port === null || parent.port === port),
  );
  if (listeners.length === 0) {
    const wanted =
      parent.section !== null ? `listener ${parent.section}` : `a listener on port ${parent.port}`;
    return {
      refused: 'no-listener',
      why: `it has no ${wanted}, only ${gateway.listeners.map(({ name, port }) => `${name} (${port})`).join(', ')}`,
    };
  }
  const open = listeners.filter((listener) => {
    if (listener.from === 'All') return true;
    if (listener.from === 'Same') return route.namespace === gateway.namespace;
    if (listener.from !== 'Selector' || listener.namespaces === null) return false;
    const namespace = world.find('Namespace', '', route.namespace);
    return namespace !== undefined && selects(listener.namespaces, namespace.labels);
  });
  if (open.length === 0) {
    return {
      refused: 'namespace-not-allowed',
      why: `its listeners take routes from ${[...new Set(listeners.map(({ from }) => from))].join(', ')} only, not from namespace ${route.namespace}`,
    };
  }
  const hostnames = open.flatMap(({ hostname }) => commonHosts(hostname, route.hostnames));
  if (hostnames.length === 0) {
    return {
      refused: 'no-hostname-in-common',
      why: `its listeners serve ${open.map(({ hostname }) => hostname ?? '*').join(', ')}, the route is for ${route.hostnames.join(', ')}`,
    };
  }
  return { hostnames: [...new Set(hostnames)] };
}

function commonHosts(listener: string | null, hostnames: readonly string[]): readonly string[] {
  if (hostnames.length === 0) return [listener ?? '*'];
  if (listener === null) return hostnames;
  return hostnames.flatMap((name) =>
    hostsOverlap(listener, name) ? [matchesHost(listener, name) ? name : listener] : [],
  );
}

/** The routes that a gateway takes, each with its hosts. */
export function attachedRoutes(
  world: World,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): readonly { readonly route: KubeRoute; readonly hostnames: readonly string[] }[] {
  const gateway = world.find('KubeGateway', namespace, name);
  if (!gateway) return [];
  return kubeRoutes(world).flatMap((route) => {
    const hostnames = route.parents
      .filter((parent) => parent.kind === 'Gateway' && parent.name === name && parent.namespace === namespace)
      .flatMap((parent) => {
        const attachment = attachmentOf(world, gateway, route, parent);
        return 'hostnames' in attachment ? attachment.hostnames : [];
      });
    return hostnames.length > 0 ? [{ route, hostnames }] : [];
  });
}
