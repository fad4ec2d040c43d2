import type { Finding, ObjectRef } from '../../diagnosis/finding.js';
import { named } from '../check.js';
import { filterOf } from '../envoy-filters.js';
import { calledHost, hosts, matchesHost } from '../registry.js';
import { servicesOf } from '../services.js';
import type { Pod } from '../kube-objects.js';
import { hasProxy, isProxyOnly, podsIn, type Workload } from '../workloads.js';
import type { World } from '../world.js';
import type { HttpRequest } from './http-match.js';
import { podsOfGateway } from './gateways.js';
import { routeRequest, type Decision, type Vantage } from './route-request.js';
import { fullHosts, meshServices, serverHost } from './virtual-hosts.js';

/** A request as the command line describes it. */
export interface AskedRequest extends Omit<HttpRequest, 'host'> {
  /** `null`: whatever the targets serve. */
  readonly host: string | null;
}

/** Where a request would go from one place. */
export interface Answer {
  readonly request: HttpRequest;
  /** `sidecars in shop`, `Gateway istio-system/public`. */
  readonly from: string;
  readonly vantage: Vantage;
  /** `pod.namespace` of a proxy that holds these routes; `null`: none is known. */
  readonly proxy: string | null;
  /** An EnvoyFilter that may make the proxy do otherwise. */
  readonly patchedBy: ObjectRef | null;
  readonly decision: Decision;
}

/** Asks every proxy that may get the request: the targets' own sidecars, or those around the service, and gateways. */
export function askRoutes(
  world: World,
  asked: AskedRequest,
  targets: readonly Workload[],
): readonly Answer[] {
  const names = asked.host === null ? servedHosts(world, targets) : [asked.host.toLowerCase()];
  return names.flatMap((name) => {
    const request = { ...asked, host: name };
    const gateways = gatewaysFor(world, name);
    const senders =
      asked.host === null || targets.length === 0
        ? [senderNear(world, name, targets)]
        : targets.map((target) => ofTarget(world, target));
    const sidecars = gateways.length > 0 && !isKnownInMesh(world, name, senders) ? [] : senders;
    return [...sidecars, ...gateways].map((place) => ({
      ...place,
      request,
      decision: routeRequest(world, place.vantage, request),
    }));
  });
}

type Place = Omit<Answer, 'request' | 'decision'>;

const proxyIn = (world: World, pod: Pod | undefined): Pick<Place, 'proxy' | 'patchedBy'> =>
  pod === undefined
    ? { proxy: null, patchedBy: null }
    : { proxy: `${pod.name}.${pod.namespace}`, patchedBy: filterOf(world, pod)?.ref ?? null };

const servedHosts = (world: World, targets: readonly Workload[]): readonly string[] => {
  const served = new Set(targets.flatMap(({ pods }) => pods.flatMap((pod) => servicesOf(world, pod))));
  return hosts(world)
    .filter(({ object, isService }) => isService && served.has(object as never))
    .map(({ name }) => name);
};

const ofTarget = (world: World, workload: Workload): Place => ({
  from: `sidecars of ${workload.key}`,
  vantage: { kind: 'sidecar', sender: { namespace: workload.namespace, labels: workload.labels } },
  ...proxyIn(world, workload.pods.find(hasProxy)),
});

/** Without a caller that is named, one beside the service. */
function senderNear(world: World, host: string, targets: readonly Workload[]): Place {
  const namespace =
    hosts(world).find(({ name }) => name === host)?.namespace ??
    targets[0]?.namespace ??
    world.list('Service').find(({ name }) => name === host)?.namespace ??
    'default';
  return {
    from: `sidecars in ${namespace}`,
    vantage: { kind: 'sidecar', sender: { namespace, labels: new Map() } },
    ...proxyIn(world, podsIn(world, namespace).find(hasProxy)),
  };
}

function isKnownInMesh(world: World, host: string, senders: readonly Place[]): boolean {
  return senders.some(({ vantage }) => {
    if (vantage.kind !== 'sidecar') return false;
    const { namespace } = vantage.sender;
    return (
      calledHost(world, host, namespace) !== undefined ||
      meshServices(world, namespace).some((service) => fullHosts(world, service).includes(host))
    );
  });
}

/** Gateways one of whose servers or listeners takes the host. */
function gatewaysFor(world: World, host: string): readonly Place[] {
  const istio = world.list('IstioGateway').flatMap((gateway): readonly Place[] => {
    const serves = gateway.servers.some(({ hosts: names }) =>
      names.some((name) => matchesHost(serverHost(name, gateway.namespace).host, host)),
    );
    const pod = podsOfGateway(world, gateway).find(isProxyOnly);
    return serves
      ? [
          {
            from: `Gateway ${gateway.namespace}/${gateway.name}`,
            vantage: { kind: 'gateway', gateway, podNamespace: pod?.namespace ?? gateway.namespace },
            ...proxyIn(world, pod),
          },
        ]
      : [];
  });
  const kube = world
    .list('KubeGateway')
    .flatMap(({ namespace, name, listeners, className }): readonly Place[] =>
      className !== 'istio-waypoint' && listeners.some(({ hostname }) => matchesHost(hostname ?? '*', host))
        ? [
            {
              from: `Gateway ${namespace}/${name}`,
              vantage: { kind: 'kube-gateway', namespace, name },
              ...proxyIn(
                world,
                podsIn(world, namespace).find(
                  ({ labels }) => labels.get('gateway.networking.k8s.io/gateway-name') === name,
                ),
              ),
            },
          ]
        : [],
    );
  return [...istio, ...kube];
}

/** The same as a finding: a request without a route fails. */
export function answerFinding({ request, from, vantage, proxy, patchedBy, decision }: Answer): Finding {
  const lost = decision.outcome === 'no-route' || decision.outcome === 'no-host';
  const causes = {
    'no-route': 'vs-route-no-match',
    'no-host': vantage.kind === 'sidecar' ? 'egress-registry-only-blocked' : 'gateway-host-unknown',
  } as const;
  const rule = decision.rule ? `${decision.rule.name || decision.rule.field}` : null;
  const passed = decision.passed.map((one) => `${one.rule || one.field}: ${one.why}`);
  return {
    id: 'request-route',
    phase: 'traffic',
    status: decision.outcome === 'unknown' ? 'unknown' : lost ? 'fail' : 'ok',
    severity: lost ? 'high' : 'info',
    object: decision.object,
    field: decision.rule?.field ?? null,
    read: `${request.method} ${request.host}${request.path} from ${from}: ${decision.said}${decision.object && rule ? ` by ${named(decision.object)}, ${rule}` : ''}`,
    why: [
      patchedBy ? `${named(patchedBy)} patches this proxy, which may change it` : '',
      passed.length > 0
        ? `rules that do not take it: ${passed.join('; ')}`
        : 'the first rule that fits is followed',
    ]
      .filter(Boolean)
      .join('; '),
    confirms:
      decision.outcome === 'no-route' || decision.outcome === 'no-host' ? [causes[decision.outcome]] : [],
    refutes:
      lost || patchedBy !== null || decision.outcome === 'unknown'
        ? []
        : ['vs-route-no-match', 'gateway-host-unknown'],
    about: { services: [request.host] },
    see: proxy === null ? 'istioctl analyze -A' : `istioctl proxy-config route ${proxy} -o json`,
    fix: lost ? 'Widen a match, let a last rule take the rest, or correct the request.' : null,
    basis: 'configuration',
    changedAt: null,
  };
}
