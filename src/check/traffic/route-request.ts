import type { ObjectRef } from '../../diagnosis/finding.js';
import type { KubeRoute, RouteMatch, RouteRule } from '../gateway-api-objects.js';
import type { HttpRule, IstioGateway, VirtualService } from '../istio-objects.js';
import { meshConfigs } from '../mesh-config.js';
import { calledHost, fullHost, hostsNamed } from '../registry.js';
import type { World } from '../world.js';
import { kubeMissOf, missOf, type HttpRequest, type Sender } from './http-match.js';
import { attachedRoutes } from './kube-routes.js';
import {
  bestDomain,
  fullHosts,
  gatewayServices,
  merged,
  meshServices,
  rulesAt,
  servedHost,
  serverHost,
} from './virtual-hosts.js';

/*
 * Where would this request go? The answer that the proxies' configuration gives, worked out from the objects alone, rule
 * by rule as Envoy tries them.
 */

/** Whose routes are asked. */
export type Vantage =
  | { readonly kind: 'sidecar'; readonly sender: Sender }
  | { readonly kind: 'gateway'; readonly gateway: IstioGateway; readonly podNamespace: string }
  | { readonly kind: 'kube-gateway'; readonly namespace: string; readonly name: string };

export interface Decision {
  /**
   * `default`: no VirtualService is concerned, the service's own route takes it; `no-route`: 404 with flag NR;
   * `no-host`: nobody serves this host here; `unknown`: a pattern that cannot be judged stands in the way.
   */
  readonly outcome: 'routed' | 'redirected' | 'answered' | 'default' | 'no-route' | 'no-host' | 'unknown';
  /** The object that decides. */
  readonly object: ObjectRef | null;
  /** The rule that decides: its name, and where it stands. */
  readonly rule: { readonly name: string; readonly field: string } | null;
  readonly destinations: readonly RoutedTo[];
  /** In order, the rules that were tried before, each with the reason why it does not take the request. */
  readonly passed: readonly Passed[];
  /** What happens, in a sentence's end. */
  readonly said: string;
}

export interface RoutedTo {
  readonly host: string;
  readonly port: number | null;
  readonly subset: string | null;
  /** 0..1 of the requests. */
  readonly share: number;
}

export interface Passed {
  readonly object: ObjectRef;
  readonly rule: string;
  readonly field: string;
  readonly why: string;
}

/** Pure: the objects and the request decide alone. */
export function routeRequest(world: World, vantage: Vantage, request: HttpRequest): Decision {
  const host = { ...request, host: request.host.toLowerCase() };
  switch (vantage.kind) {
    case 'sidecar':
      return atSidecar(world, vantage.sender, host);
    case 'gateway':
      return atGateway(world, vantage.gateway, vantage.podNamespace, host);
    case 'kube-gateway':
      return atKubeGateway(world, vantage, host);
    default:
      return vantage satisfies never;
  }
}

const nothing = (outcome: Decision['outcome'], said: string, passed: readonly Passed[] = []): Decision => ({
  outcome,
  object: null,
  rule: null,
  destinations: [],
  passed,
  said,
});

function atSidecar(world: World, sender: Sender, request: HttpRequest): Decision {
  // A service's virtual host bears all the names that DNS completes.
  const name =
    calledHost(world, request.host, sender.namespace)?.name ??
    fullHost(world, request.host, sender.namespace);
  const services = meshServices(world, sender.namespace);
  const domain = bestDomain(
    services.flatMap((service) => fullHosts(world, service)),
    name,
  );
  // Two VirtualServices of one host are not merged for sidecars: the older one is followed.
  const service = services.find((one) => domain !== null && fullHosts(world, one).includes(domain));
  if (service && service.http.length > 0) {
    const rules = rulesAt(service, 'mesh').map((rule) => [service, rule] as const);
    return tried(world, rules, request, sender);
  }
  const [known] = hostsNamed(world, name);
  if (known) {
    const decision = nothing('default', `no VirtualService is about it: to ${known.name} itself`);
    return {
      ...decision,
      destinations: [{ host: known.name, port: request.port, subset: null, share: 1 }],
    };
  }
  const [config] = meshConfigs(world);
  return config?.outboundMode === 'REGISTRY_ONLY'
    ? nothing(
        'no-host',
        'the registry does not know the host, and REGISTRY_ONLY blocks it: 502, route block_all',
      )
    : nothing('no-host', 'the registry does not know the host: passed through as it is, without mutual TLS');
}

function atGateway(
  world: World,
  gateway: IstioGateway,
  podNamespace: string,
  request: HttpRequest,
): Decision {
  const byDomain = new Map<string, (readonly [VirtualService, HttpRule])[]>();
  const own = `${gateway.namespace}/${gateway.name}`;
  const servers = gateway.servers
    .filter(({ port }) => request.port === null || port === request.port)
    .flatMap(({ hosts }) => hosts.map((host) => serverHost(host, gateway.namespace)));
  for (const service of gatewayServices(world, gateway, podNamespace)) {
    const domains = new Set(
      service.hosts.flatMap((host) =>
        servers.flatMap((server) => servedHost(server, service.namespace, host.toLowerCase()) ?? []),
      ),
    );
    for (const domain of domains) {
      const rules = rulesAt(service, own).map((rule) => [service, rule] as const);
      byDomain.set(domain, [...(byDomain.get(domain) ?? []), ...rules]);
    }
  }
  const domain = bestDomain(byDomain.keys(), request.host);
  if (domain === null) return nothing('no-host', 'this gateway has no route for the host: 404, flag NR');
  return tried(world, merged(byDomain.get(domain) ?? []), request, null);
}

/** Rules in their order, until one takes the request. */
function tried(
  world: World,
  rules: readonly (readonly [VirtualService, HttpRule])[],
  request: HttpRequest,
  sender: Sender | null,
): Decision {
  const passed: Passed[] = [];
  for (const [service, rule] of rules) {
    const misses = rule.match.map((match) => ({ match, miss: missOf(match, request, sender) }));
    const taken = rule.match.length === 0 || misses.some(({ miss }) => miss === null);
    if (taken) return decided(world, service, rule, passed, request, sender);
    if (misses.some(({ miss }) => miss === undefined)) {
      return {
        ...nothing('unknown', `the pattern of ${rule.field} cannot be judged here`, passed),
        object: service.ref,
      };
    }
    passed.push({
      object: service.ref,
      rule: rule.name,
      field: rule.field,
      why: misses.map(({ miss }) => miss).join('; or '),
    });
  }
  return {
    ...nothing('no-route', 'no rule takes it: 404, flag NR', passed),
    object: rules[0]?.[0].ref ?? null,
  };
}

function decided(
  world: World,
  service: VirtualService,
  rule: HttpRule,
  passed: readonly Passed[],
  request: HttpRequest,
  sender: Sender | null,
): Decision {
  const base = { object: service.ref, rule: { name: rule.name, field: rule.field }, passed };
  if (rule.delegate) {
    const namespace = rule.delegate.namespace ?? service.namespace;
    const target = world.find('VirtualService', namespace, rule.delegate.name);
    if (!target) {
      return {
        ...nothing('no-route', `${namespace}/${rule.delegate.name}, to which it delegates, does not exist`),
        ...base,
      };
    }
    return tried(
      world,
      target.http.map((one) => [target, one] as const),
      request,
      sender,
    );
  }
  if (rule.redirect)
    return { ...base, outcome: 'redirected', destinations: [], said: 'answered with a redirect' };
  if (rule.directResponse !== null) {
    return {
      ...base,
      outcome: 'answered',
      destinations: [],
      said: `answered ${rule.directResponse} by the proxy itself`,
    };
  }
  const all = rule.route.reduce((sum, { weight }) => sum + (weight ?? 0), 0);
  const destinations = rule.route.map(({ host, port, subset, weight }) => ({
    host: fullHost(world, host, service.namespace),
    port,
    subset,
    share: rule.route.length === 1 ? 1 : all === 0 ? 0 : (weight ?? 0) / all,
  }));
  return {
    ...base,
    outcome: 'routed',
    destinations,
    said: `to ${destinations.map(destinationText).join(', ')}`,
  };
}

export function destinationText({ host, port, subset, share }: RoutedTo): string {
  const where = `${host}${port === null ? '' : `:${port}`}${subset === null ? '' : ` subset ${subset}`}`;
  return share === 1 ? where : `${where} (${Math.round(100 * share)}%)`;
}

function atKubeGateway(
  world: World,
  gateway: { readonly namespace: string; readonly name: string },
  request: HttpRequest,
): Decision {
  const attached = attachedRoutes(world, gateway);
  const domain = bestDomain(
    attached.flatMap(({ hostnames }) => hostnames),
    request.host,
  );
  if (domain === null) return nothing('no-host', 'no route of this gateway has the host: 404, flag NR');
  const candidates = attached
    .filter(({ hostnames }) => hostnames.includes(domain))
    .flatMap(({ route }) =>
      route.rules.flatMap((rule) => matchesOf(rule).map((match) => ({ route, rule, match }))),
    )
    .toSorted(byPrecedence);
  const passed: Passed[] = [];
  for (const { route, rule, match } of candidates) {
    const miss = kubeMissOf(match, request);
    if (miss === null) return kubeDecided(world, route, rule, passed);
    if (miss === undefined) {
      return {
        ...nothing('unknown', `the pattern of ${match.field} cannot be judged here`, passed),
        object: route.ref,
      };
    }
    passed.push({ object: route.ref, rule: rule.name, field: match.field, why: miss });
  }
  return {
    ...nothing('no-route', 'no rule takes it: 404, flag NR', passed),
    object: candidates[0]?.route.ref ?? null,
  };
}

/** A rule without a match takes everything. */
const matchesOf = (rule: RouteRule): readonly RouteMatch[] =>
  rule.matches.length > 0
    ? rule.matches
    : [
        {
          field: rule.field,
          path: { kind: 'PathPrefix', value: '/' },
          method: null,
          headers: [],
          queryParams: [],
        },
      ];

/** Gateway API, HTTPRouteRule.matches: exact path, longest prefix, method, most headers, most query parameters, oldest. */
function byPrecedence(
  a: { readonly route: KubeRoute; readonly match: RouteMatch },
  b: { readonly route: KubeRoute; readonly match: RouteMatch },
): number {
  const weight = ({ path, method, headers, queryParams }: RouteMatch): readonly number[] => [
    Number(path.kind === 'Exact'),
    path.kind === 'RegularExpression' ? 1 : 0,
    path.value.length,
    Number(method !== null),
    headers.length,
    queryParams.length,
  ];
  const [left, right] = [weight(a.match), weight(b.match)];
  for (const [i, value] of left.entries()) {
    const difference = right[i]! - value;
    if (difference !== 0) return difference;
  }
  return (a.route.createdAt ?? 0) - (b.route.createdAt ?? 0);
}

function kubeDecided(world: World, route: KubeRoute, rule: RouteRule, passed: readonly Passed[]): Decision {
  const base = { object: route.ref, rule: { name: rule.name, field: rule.field }, passed };
  if (rule.redirects)
    return { ...base, outcome: 'redirected', destinations: [], said: 'answered with a redirect' };
  const all = rule.backends.reduce((sum, { weight }) => sum + weight, 0);
  if (all === 0) {
    return { ...base, outcome: 'answered', destinations: [], said: 'answered 500: the rule has no backend' };
  }
  const destinations = rule.backends.map(({ name, namespace, port, weight }) => ({
    host: fullHost(world, name, namespace),
    port,
    subset: null,
    share: weight / all,
  }));
  return {
    ...base,
    outcome: 'routed',
    destinations,
    said: `to ${destinations.map(destinationText).join(', ')}`,
  };
}
