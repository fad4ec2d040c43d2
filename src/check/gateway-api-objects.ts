import type { Field } from './field.js';
import { selectorOf, type Meta, type Selector } from './meta.js';

/* The Gateway API's kinds, as far as checks read them (gateway-api 1.5). */

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

export interface KubeGateway extends Meta {
  readonly className: string;
  readonly listeners: readonly {
    readonly field: string;
    readonly name: string;
    readonly port: number;
    readonly protocol: string;
    readonly hostname: string | null;
    /** Namespaces whose routes may attach: Same, All, Selector, None. */
    readonly from: string;
    readonly namespaces: Selector | null;
  }[];
  readonly conditions: readonly Condition[];
}

export interface ParentRef {
  readonly field: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly section: string | null;
  readonly port: number | null;
}

export interface PathMatch {
  readonly kind: 'Exact' | 'PathPrefix' | 'RegularExpression';
  readonly value: string;
}

export interface ValueMatch {
  readonly name: string;
  readonly kind: 'Exact' | 'RegularExpression';
  readonly value: string;
}

export interface RouteMatch {
  readonly field: string;
  readonly path: PathMatch;
  readonly method: string | null;
  readonly headers: readonly ValueMatch[];
  readonly queryParams: readonly ValueMatch[];
}

export interface BackendRef {
  readonly field: string;
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly port: number | null;
  readonly weight: number;
}

export interface RouteRule {
  readonly field: string;
  readonly name: string;
  readonly matches: readonly RouteMatch[];
  readonly redirects: boolean;
  readonly backends: readonly BackendRef[];
}

/** HTTPRoute and GRPCRoute. */
export interface KubeRoute extends Meta {
  readonly parents: readonly ParentRef[];
  readonly hostnames: readonly string[];
  readonly rules: readonly RouteRule[];
  /** By parent, as its controller judged it. */
  readonly verdicts: readonly {
    readonly parent: string;
    readonly conditions: readonly Condition[];
  }[];
}

export interface ReferenceGrant extends Meta {
  readonly from: readonly { readonly kind: string; readonly namespace: string }[];
  readonly to: readonly { readonly kind: string; readonly name: string | null }[];
}

const conditionsOf = (field: Field): readonly Condition[] =>
  field.items().map((one) => ({
    type: one.at('type').text() ?? '',
    status: one.at('status').text() ?? '',
    reason: one.at('reason').text() ?? '',
    message: one.at('message').text() ?? '',
  }));

export function kubeGatewayOf(field: Field, meta: Meta): KubeGateway {
  return {
    ...meta,
    className: field.at('spec', 'gatewayClassName').text() ?? '',
    listeners: field
      .at('spec', 'listeners')
      .items()
      .map((listener) => ({
        field: listener.path,
        name: listener.at('name').text() ?? '',
        port: listener.at('port').number() ?? 0,
        protocol: listener.at('protocol').text() ?? '',
        hostname: listener.at('hostname').text() ?? null,
        from: listener.at('allowedRoutes', 'namespaces', 'from').text() ?? 'Same',
        namespaces: selectorOf(listener.at('allowedRoutes', 'namespaces', 'selector')),
      })),
    conditions: conditionsOf(field.at('status', 'conditions')),
  };
}

export function kubeRouteOf(field: Field, meta: Meta): KubeRoute {
  const spec = field.at('spec');
  return {
    ...meta,
    parents: spec
      .at('parentRefs')
      .items()
      .map((parent) => ({
        field: parent.path,
        kind: parent.at('kind').text() ?? 'Gateway',
        namespace: parent.at('namespace').text() ?? meta.namespace,
        name: parent.at('name').text() ?? '',
        section: parent.at('sectionName').text() ?? null,
        port: parent.at('port').number() ?? null,
      })),
    hostnames: spec.at('hostnames').texts(),
    rules: spec
      .at('rules')
      .items()
      .map((rule) => routeRuleOf(rule, meta)),
    verdicts: field
      .at('status', 'parents')
      .items()
      .map((one) => ({
        parent: one.at('parentRef', 'name').text() ?? '',
        conditions: conditionsOf(one.at('conditions')),
      })),
  };
}

function routeRuleOf(rule: Field, meta: Meta): RouteRule {
  return {
    field: rule.path,
    name: rule.at('name').text() ?? '',
    matches: rule.at('matches').items().map(routeMatchOf),
    redirects: rule
      .at('filters')
      .items()
      .some((filter) => filter.at('type').text() === 'RequestRedirect'),
    backends: rule
      .at('backendRefs')
      .items()
      .map((backend) => ({
        field: backend.path,
        group: backend.at('group').text() ?? '',
        kind: backend.at('kind').text() ?? 'Service',
        namespace: backend.at('namespace').text() ?? meta.namespace,
        name: backend.at('name').text() ?? '',
        port: backend.at('port').number() ?? null,
        weight: backend.at('weight').number() ?? 1,
      })),
  };
}

/** A gRPC method match is a path: `/service/method`. */
function routeMatchOf(match: Field): RouteMatch {
  const method = match.at('method');
  const grpc = typeof method.value === 'object' && method.present;
  const service = grpc ? method.at('service').text() : undefined;
  const call = grpc ? method.at('method').text() : undefined;
  return {
    field: match.path,
    path: grpc
      ? {
          kind: service && call ? 'Exact' : 'PathPrefix',
          value: service ? (call ? `/${service}/${call}` : `/${service}`) : '/',
        }
      : {
          kind: pathKind(match.at('path', 'type').text()),
          value: match.at('path', 'value').text() ?? '/',
        },
    method: grpc ? 'POST' : (method.text() ?? null),
    headers: match.at('headers').items().map(valueMatchOf),
    queryParams: match.at('queryParams').items().map(valueMatchOf),
  };
}

const pathKind = (type: string | undefined): PathMatch['kind'] =>
  type === 'Exact' || type === 'RegularExpression' ? type : 'PathPrefix';

const valueMatchOf = (field: Field): ValueMatch => ({
  name: field.at('name').text() ?? '',
  kind: field.at('type').text() === 'RegularExpression' ? 'RegularExpression' : 'Exact',
  value: field.at('value').text() ?? '',
});

export function referenceGrantOf(field: Field, meta: Meta): ReferenceGrant {
  return {
    ...meta,
    from: field
      .at('spec', 'from')
      .items()
      .map((one) => ({ kind: one.at('kind').text() ?? '', namespace: one.at('namespace').text() ?? '' })),
    to: field
      .at('spec', 'to')
      .items()
      .map((one) => ({ kind: one.at('kind').text() ?? '', name: one.at('name').text() ?? null })),
  };
}
