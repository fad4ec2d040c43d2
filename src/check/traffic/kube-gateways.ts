import type { Finding } from '../../diagnosis/finding.js';
import { found, type Check, type Examined } from '../check.js';
import type { KubeGateway, KubeRoute } from '../gateway-api-objects.js';
import type { World } from '../world.js';
import { attachedRoutes, attachmentOf, kubeRoutes } from './kube-routes.js';

/** Ids by the reason why a gateway does not take a route. */
const IDS = {
  'no-listener': 'parent-listener-missing',
  'namespace-not-allowed': 'parent-namespace-not-allowed',
  'no-hostname-in-common': 'parent-hostname-mismatch',
} as const;

export const kubeGateways: Check = {
  id: 'gateway-api',
  phase: 'traffic',
  claim: 'every route of the Gateway API is attached where it wants to be',
  subjects: ['HTTPRoute', 'GRPCRoute', 'KubeGateway'],
  needs: ['KubeGateway', 'Namespace'],
  decides: ['gateway-host-unknown', 'gateway-api-backend-invalid'],
  see: 'kubectl get httproute,grpcroute -A -o yaml',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    for (const route of kubeRoutes(world)) {
      const own = ofRoute(world, route);
      // The controller's verdict names what the objects alone already told.
      findings.push(...(own.length > 0 ? own : verdicts(route)));
      examined.push({
        about: { services: route.hostnames },
        said: `${route.ref.kind} ${route.namespace}/${route.name}`,
        excludes: ['gateway-host-unknown'],
      });
    }
    for (const gateway of world.list('KubeGateway')) {
      findings.push(...ofGateway(world, gateway));
      examined.push({ about: {}, said: `Gateway ${gateway.namespace}/${gateway.name}` });
    }
    return { findings, examined };
  },
};

function ofRoute(world: World, route: KubeRoute): readonly Finding[] {
  return route.parents.flatMap((parent) => {
    if (parent.kind !== 'Gateway') return [];
    const base = {
      severity: 'critical',
      from: route,
      why: 'the route is not attached: the gateway answers its hosts and paths with 404, flag NR',
      confirms: ['gateway-host-unknown'],
      about: { services: route.hostnames },
    } as const;
    const gateway = world.find('KubeGateway', parent.namespace, parent.name);
    if (!gateway) {
      return found('traffic', {
        ...base,
        id: 'parent-gateway-missing',
        field: parent.field,
        read: `Gateway ${parent.namespace}/${parent.name} does not exist`,
        fix: 'Name a Gateway that exists; without a namespace it is of the route’s own.',
      });
    }
    const attachment = attachmentOf(world, gateway, route, parent);
    if ('hostnames' in attachment) return [];
    return found('traffic', {
      ...base,
      id: IDS[attachment.refused],
      field: attachment.refused === 'no-hostname-in-common' ? 'spec.hostnames' : parent.field,
      read: `Gateway ${gateway.namespace}/${gateway.name} does not take it: ${attachment.why}`,
      fix:
        attachment.refused === 'namespace-not-allowed'
          ? 'Let allowedRoutes.namespaces of the listener take the namespace.'
          : attachment.refused === 'no-listener'
            ? 'Name a listener that exists.'
            : 'Let the hostnames of route and listener meet.',
    });
  });
}

function verdicts(route: KubeRoute): readonly Finding[] {
  return route.verdicts.flatMap(({ parent, conditions }) =>
    conditions
      .filter(({ type, status }) => (type === 'Accepted' || type === 'ResolvedRefs') && status === 'False')
      .map(({ type, reason, message }) =>
        found('traffic', {
          id: type === 'Accepted' ? 'route-not-accepted' : 'route-references-unresolved',
          severity: 'critical',
          from: route,
          field: `status.parents[${parent}].conditions[${type}]`,
          read: `${type} is False: ${reason}${message === '' ? '' : ` (${message})`}`,
          why:
            type === 'Accepted'
              ? 'the route is not served: 404, flag NR'
              : 'rules with an unresolved backend are answered 500 by the proxy',
          confirms: [type === 'Accepted' ? 'gateway-host-unknown' : 'gateway-api-backend-invalid'],
          about: { services: route.hostnames },
          fix: 'Mend what the message names.',
        }),
      ),
  );
}

function ofGateway(world: World, gateway: KubeGateway): readonly Finding[] {
  // A waypoint has no routes of its own.
  if (gateway.className !== 'istio') return [];
  const failed = gateway.conditions.find(({ type, status }) => type === 'Programmed' && status === 'False');
  const about = { services: gateway.listeners.flatMap(({ hostname }) => hostname ?? []) };
  if (failed) {
    return [
      found('traffic', {
        id: 'gateway-not-programmed',
        basis: 'state',
        severity: 'critical',
        from: gateway,
        field: 'status.conditions[Programmed]',
        read: `Programmed is False: ${failed.reason}${failed.message === '' ? '' : ` (${failed.message})`}`,
        why: 'the gateway has no address or no pods: nobody reaches it',
        confirms: ['gateway-host-unknown'],
        about,
        fix: 'Mend what the message names.',
      }),
    ];
  }
  if (attachedRoutes(world, gateway).length > 0) return [];
  // Routes that name it and are refused tell the reason themselves.
  const wanted = kubeRoutes(world).some(({ parents }) =>
    parents.some(({ name, namespace }) => name === gateway.name && namespace === gateway.namespace),
  );
  const unread = (['HTTPRoute', 'GRPCRoute'] as const).some((name) => world.refusal(name));
  if (wanted || unread) return [];
  return [
    found('traffic', {
      id: 'kube-gateway-without-route',
      severity: 'medium',
      from: gateway,
      field: 'spec.listeners',
      read: 'no HTTPRoute or GRPCRoute names it as a parent',
      why: 'it opens its ports and answers every request with 404, flag NR',
      confirms: ['gateway-host-unknown'],
      about,
      fix: 'Attach a route (spec.parentRefs), or remove it.',
    }),
  ];
}
