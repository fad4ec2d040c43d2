import type { Field } from './field.js';
import { selectorOf, type Labels, type Meta, type Selector } from './meta.js';

/*
 * Istio's kinds, as far as checks read them (istio/api networking/v1alpha3, security/v1, telemetry/v1alpha1). Fields that
 * are not listed are left alone. `field` is where something stands, for the finding that names it.
 */

export interface StringMatch {
  readonly kind: 'exact' | 'prefix' | 'regex';
  readonly value: string;
}

/** One alternative of a rule: all its terms must hold. */
export interface HttpMatch {
  readonly field: string;
  readonly name: string;
  readonly uri: StringMatch | null;
  readonly ignoreUriCase: boolean;
  readonly scheme: StringMatch | null;
  readonly method: StringMatch | null;
  readonly authority: StringMatch | null;
  /** `null`: only has to be there. */
  readonly headers: ReadonlyMap<string, StringMatch | null>;
  readonly withoutHeaders: ReadonlyMap<string, StringMatch | null>;
  readonly queryParams: ReadonlyMap<string, StringMatch | null>;
  readonly port: number | null;
  readonly sourceLabels: Labels;
  readonly sourceNamespace: string | null;
  readonly gateways: readonly string[];
}

export interface Destination {
  readonly field: string;
  readonly host: string;
  readonly subset: string | null;
  readonly port: number | null;
  /** 0..100 and more; `null`: the only one. */
  readonly weight: number | null;
}

export interface HttpRule {
  readonly field: string;
  readonly name: string;
  /** Empty: every request. */
  readonly match: readonly HttpMatch[];
  readonly route: readonly Destination[];
  readonly mirrors: readonly Destination[];
  readonly redirect: boolean;
  /** The status of a direct response. */
  readonly directResponse: number | null;
  readonly delegate: { readonly name: string; readonly namespace: string | null } | null;
  readonly abort: { readonly status: number | null; readonly percent: number } | null;
  readonly delay: { readonly ms: number | null; readonly percent: number } | null;
  readonly timeoutMs: number | null;
  readonly retries: {
    readonly attempts: number | null;
    readonly perTryTimeoutMs: number | null;
    readonly retryOn: string | null;
  } | null;
}

export interface VirtualService extends Meta {
  readonly hosts: readonly string[];
  /** `mesh` where the object names none. */
  readonly gateways: readonly string[];
  readonly exportTo: readonly string[];
  readonly http: readonly HttpRule[];
  /** Destinations of TCP and TLS rules. */
  readonly layer4: readonly Destination[];
}

export interface ClientTls {
  readonly field: string;
  /** DISABLE, SIMPLE, MUTUAL, ISTIO_MUTUAL. */
  readonly mode: string;
  readonly sni: string | null;
}

export interface TrafficPolicy {
  readonly field: string;
  /** Where locality failover is asked for; `null`: nowhere. */
  readonly failover: string | null;
  readonly tls: ClientTls | null;
  readonly ports: readonly { readonly port: number | null; readonly tls: ClientTls | null }[];
  readonly pool: {
    readonly field: string;
    readonly maxConnections: number | null;
    readonly maxPendingRequests: number | null;
    readonly maxRequests: number | null;
    readonly connectTimeoutMs: number | null;
    readonly idleTimeoutMs: number | null;
    readonly h2Upgrade: string | null;
  };
  readonly outlier: {
    readonly field: string;
    readonly consecutive5xx: number | null;
    readonly maxEjectionPercent: number | null;
    readonly minHealthPercent: number | null;
  } | null;
}

export interface DestinationRule extends Meta {
  readonly host: string;
  readonly exportTo: readonly string[];
  readonly workloadSelector: Selector | null;
  readonly policy: TrafficPolicy | null;
  readonly subsets: readonly {
    readonly field: string;
    readonly name: string;
    readonly labels: Labels;
    readonly policy: TrafficPolicy | null;
  }[];
}

export interface IstioGateway extends Meta {
  /** Empty: every pod. */
  readonly selector: Labels;
  readonly servers: readonly GatewayServer[];
}

export interface GatewayServer {
  readonly field: string;
  readonly port: number;
  readonly portName: string;
  readonly protocol: string;
  readonly hosts: readonly string[];
  readonly tlsMode: string | null;
  readonly credentialName: string | null;
  readonly hasCertificate: boolean;
  readonly httpsRedirect: boolean;
}

export interface ServiceEntry extends Meta {
  readonly hosts: readonly string[];
  readonly exportTo: readonly string[];
  readonly location: string;
  readonly resolution: string;
  readonly ports: readonly {
    readonly field: string;
    readonly number: number;
    readonly name: string;
    readonly protocol: string;
    readonly targetPort: number | null;
  }[];
  readonly endpoints: number;
  readonly workloadSelector: Selector | null;
}

export interface Sidecar extends Meta {
  readonly selector: Selector | null;
  /** `null`: the object restricts nothing. */
  readonly egress:
    | readonly {
        readonly field: string;
        readonly hosts: readonly string[];
        readonly port: number | null;
      }[]
    | null;
  readonly outboundMode: string | null;
  readonly ingressPorts: readonly number[];
}

export interface PeerAuthentication extends Meta {
  readonly selector: Selector | null;
  /** STRICT, PERMISSIVE, DISABLE, UNSET. */
  readonly mode: string;
  readonly ports: ReadonlyMap<number, string>;
}

export interface AuthorizationPolicy extends Meta {
  readonly selector: Selector | null;
  readonly targetRefs: readonly TargetRef[];
  readonly action: string;
  readonly provider: string | null;
  /** `null`: no rules at all, which matches nothing; one empty rule matches everything. */
  readonly rules: readonly AuthorizationRule[] | null;
  readonly dryRun: boolean;
}

export interface TargetRef {
  readonly field: string;
  readonly kind: string;
  readonly name: string;
}

export interface EnvoyFilter extends Meta {
  readonly selector: Selector | null;
  readonly targetRefs: readonly TargetRef[];
  readonly patches: readonly {
    readonly field: string;
    /** CLUSTER, HTTP_FILTER, VIRTUAL_HOST… */
    readonly applyTo: string;
    readonly localRateLimit: boolean;
    readonly accessLog: boolean;
  }[];
}

export interface AuthorizationRule {
  readonly field: string;
  /** Alternatives; empty: any source. */
  readonly from: readonly Source[];
  /** Alternatives; empty: any operation. */
  readonly to: readonly Operation[];
  readonly when: readonly {
    readonly key: string;
    readonly values: readonly string[];
    readonly notValues: readonly string[];
  }[];
}

export interface Source {
  readonly field: string;
  readonly principals: readonly string[];
  readonly notPrincipals: readonly string[];
  readonly requestPrincipals: readonly string[];
  readonly namespaces: readonly string[];
  readonly notNamespaces: readonly string[];
  readonly serviceAccounts: readonly string[];
  /** Addresses, of either form: nothing that objects alone can judge. */
  readonly addresses: boolean;
}

export interface Operation {
  readonly field: string;
  readonly hosts: readonly string[];
  readonly ports: readonly string[];
  readonly notPorts: readonly string[];
  readonly methods: readonly string[];
  readonly notMethods: readonly string[];
  readonly paths: readonly string[];
  readonly notPaths: readonly string[];
}

export interface RequestAuthentication extends Meta {
  readonly selector: Selector | null;
  readonly targetRefs: readonly TargetRef[];
  readonly issuers: readonly string[];
}

export interface Telemetry extends Meta {
  readonly selector: Selector | null;
  readonly targetRefs: readonly TargetRef[];
  readonly accessLogging: readonly {
    readonly field: string;
    /** CLIENT, SERVER, CLIENT_AND_SERVER. */
    readonly mode: string;
    readonly providers: readonly string[];
    readonly filter: string | null;
    readonly disabled: boolean | null;
  }[];
}

function stringMatchOf(field: Field): StringMatch | null {
  for (const kind of ['exact', 'prefix', 'regex'] as const) {
    const value = field.at(kind).text();
    if (value !== undefined) return { kind, value };
  }
  return null;
}

const matchMapOf = (field: Field): ReadonlyMap<string, StringMatch | null> =>
  new Map(field.entries().map(([key, one]) => [key, stringMatchOf(one)]));

function httpMatchOf(field: Field): HttpMatch {
  return {
    field: field.path,
    name: field.at('name').text() ?? '',
    uri: stringMatchOf(field.at('uri')),
    ignoreUriCase: field.at('ignoreUriCase').flag() ?? false,
    scheme: stringMatchOf(field.at('scheme')),
    method: stringMatchOf(field.at('method')),
    authority: stringMatchOf(field.at('authority')),
    headers: matchMapOf(field.at('headers')),
    withoutHeaders: matchMapOf(field.at('withoutHeaders')),
    queryParams: matchMapOf(field.at('queryParams')),
    port: field.at('port').number() ?? null,
    sourceLabels: field.at('sourceLabels').map(),
    sourceNamespace: field.at('sourceNamespace').text() ?? null,
    gateways: field.at('gateways').texts(),
  };
}

function destinationOf(field: Field, weight: number | null): Destination {
  return {
    field: field.path,
    host: field.at('host').text() ?? '',
    subset: field.at('subset').text() || null,
    port: field.at('port', 'number').number() ?? null,
    weight,
  };
}

const weighted = (field: Field): Destination =>
  destinationOf(field.at('destination'), field.at('weight').number() ?? null);

/** `{value: 10}`, or the older whole number; absent: all. */
function percentOf(field: Field, older: string): number {
  return field.at('percentage', 'value').number() ?? field.at(older).number() ?? 100;
}

function httpRuleOf(field: Field): HttpRule {
  const delegate = field.at('delegate');
  const abort = field.at('fault', 'abort');
  const delay = field.at('fault', 'delay');
  const retries = field.at('retries');
  return {
    field: field.path,
    name: field.at('name').text() ?? '',
    match: field.at('match').items().map(httpMatchOf),
    route: field.at('route').items().map(weighted),
    mirrors: [
      ...(field.at('mirror').present ? [destinationOf(field.at('mirror'), null)] : []),
      ...field.at('mirrors').items().map(weighted),
    ],
    redirect: field.at('redirect').present,
    directResponse: field.at('directResponse', 'status').number() ?? null,
    delegate: delegate.present
      ? { name: delegate.at('name').text() ?? '', namespace: delegate.at('namespace').text() ?? null }
      : null,
    abort: abort.present
      ? { status: abort.at('httpStatus').number() ?? null, percent: percentOf(abort, 'percent') }
      : null,
    delay: delay.present
      ? { ms: durationMs(delay.at('fixedDelay').text()), percent: percentOf(delay, 'percent') }
      : null,
    timeoutMs: durationMs(field.at('timeout').text()),
    retries: retries.present
      ? {
          attempts: retries.at('attempts').number() ?? null,
          perTryTimeoutMs: durationMs(retries.at('perTryTimeout').text()),
          retryOn: retries.at('retryOn').text() ?? null,
        }
      : null,
  };
}

/** Go's `1h2m3.5s`; `null` where it is absent or no duration. */
export function durationMs(text: string | undefined): number | null {
  if (text === undefined || !/^(?:\d+(?:\.\d+)?(?:ms|us|ns|[hms]))+$/.test(text)) return null;
  const units: Readonly<Record<string, number>> = {
    h: 3_600_000,
    m: 60_000,
    s: 1000,
    ms: 1,
    us: 1e-3,
    ns: 1e-6,
  };
  let sum = 0;
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|us|ns|[hms])/g)) {
    sum += Number(count) * units[unit!]!;
  }
  return sum;
}

export function virtualServiceOf(field: Field, meta: Meta): VirtualService {
  const spec = field.at('spec');
  const gateways = spec.at('gateways').texts();
  return {
    ...meta,
    hosts: spec.at('hosts').texts(),
    gateways: gateways.length > 0 ? gateways : ['mesh'],
    exportTo: spec.at('exportTo').texts(),
    http: spec.at('http').items().map(httpRuleOf),
    layer4: [...spec.at('tls').items(), ...spec.at('tcp').items()].flatMap((rule) =>
      rule.at('route').items().map(weighted),
    ),
  };
}

function clientTlsOf(field: Field): ClientTls | null {
  if (!field.present) return null;
  return {
    field: `${field.path}.mode`,
    mode: field.at('mode').text() ?? 'DISABLE',
    sni: field.at('sni').text() ?? null,
  };
}

function trafficPolicyOf(field: Field): TrafficPolicy | null {
  if (!field.present) return null;
  const pool = field.at('connectionPool');
  const outlier = field.at('outlierDetection');
  const locality = field.at('loadBalancer', 'localityLbSetting');
  const failsOver = locality.at('failover').present || locality.at('failoverPriority').present;
  return {
    field: field.path,
    failover: failsOver && locality.at('enabled').flag() !== false ? locality.path : null,
    tls: clientTlsOf(field.at('tls')),
    ports: field
      .at('portLevelSettings')
      .items()
      .map((port) => ({
        port: port.at('port', 'number').number() ?? null,
        tls: clientTlsOf(port.at('tls')),
      })),
    pool: {
      field: pool.path,
      maxConnections: pool.at('tcp', 'maxConnections').number() ?? null,
      maxPendingRequests: pool.at('http', 'http1MaxPendingRequests').number() ?? null,
      maxRequests: pool.at('http', 'http2MaxRequests').number() ?? null,
      connectTimeoutMs: durationMs(pool.at('tcp', 'connectTimeout').text()),
      idleTimeoutMs: durationMs(pool.at('http', 'idleTimeout').text()),
      h2Upgrade: pool.at('http', 'h2UpgradePolicy').text() ?? null,
    },
    outlier: outlier.present
      ? {
          field: outlier.path,
          consecutive5xx: outlier.at('consecutive5xxErrors').number() ?? null,
          maxEjectionPercent: outlier.at('maxEjectionPercent').number() ?? null,
          minHealthPercent: outlier.at('minHealthPercent').number() ?? null,
        }
      : null,
  };
}

export function destinationRuleOf(field: Field, meta: Meta): DestinationRule {
  const spec = field.at('spec');
  return {
    ...meta,
    host: spec.at('host').text() ?? '',
    exportTo: spec.at('exportTo').texts(),
    workloadSelector: selectorOf(spec.at('workloadSelector')),
    policy: trafficPolicyOf(spec.at('trafficPolicy')),
    subsets: spec
      .at('subsets')
      .items()
      .map((subset) => ({
        field: subset.path,
        name: subset.at('name').text() ?? '',
        labels: subset.at('labels').map(),
        policy: trafficPolicyOf(subset.at('trafficPolicy')),
      })),
  };
}

export function istioGatewayOf(field: Field, meta: Meta): IstioGateway {
  const spec = field.at('spec');
  return {
    ...meta,
    selector: spec.at('selector').map(),
    servers: spec
      .at('servers')
      .items()
      .map((server) => {
        const tls = server.at('tls');
        return {
          field: server.path,
          port: server.at('port', 'number').number() ?? 0,
          portName: server.at('port', 'name').text() ?? '',
          protocol: (server.at('port', 'protocol').text() ?? '').toUpperCase(),
          hosts: server.at('hosts').texts(),
          tlsMode:
            tls.present && !tls.at('httpsRedirect').flag() ? (tls.at('mode').text() ?? 'PASSTHROUGH') : null,
          credentialName: tls.at('credentialName').text() ?? null,
          hasCertificate:
            tls.at('credentialName').present ||
            tls.at('credentialNames').present ||
            tls.at('serverCertificate').present ||
            tls.at('tlsCertificates').present,
          httpsRedirect: tls.at('httpsRedirect').flag() ?? false,
        };
      }),
  };
}

export function serviceEntryOf(field: Field, meta: Meta): ServiceEntry {
  const spec = field.at('spec');
  return {
    ...meta,
    hosts: spec.at('hosts').texts(),
    exportTo: spec.at('exportTo').texts(),
    location: spec.at('location').text() ?? 'MESH_EXTERNAL',
    resolution: spec.at('resolution').text() ?? 'NONE',
    ports: spec
      .at('ports')
      .items()
      .map((port) => ({
        field: port.path,
        number: port.at('number').number() ?? 0,
        name: port.at('name').text() ?? '',
        protocol: (port.at('protocol').text() ?? '').toUpperCase(),
        targetPort: port.at('targetPort').number() ?? null,
      })),
    endpoints: spec.at('endpoints').items().length,
    workloadSelector: spec.at('workloadSelector').present
      ? { labels: spec.at('workloadSelector', 'labels').map(), expressions: [] }
      : null,
  };
}

/** Istio's own selectors: `{labels: {…}}` in networking, `{matchLabels: {…}}` in security and telemetry. */
function workloadSelectorOf(field: Field, key: 'labels' | 'matchLabels'): Selector | null {
  const labels = field.at(key).map();
  return labels.size > 0 ? { labels, expressions: [] } : null;
}

export function sidecarOf(field: Field, meta: Meta): Sidecar {
  const spec = field.at('spec');
  const egress = spec.at('egress');
  return {
    ...meta,
    selector: workloadSelectorOf(spec.at('workloadSelector'), 'labels'),
    egress: egress.present
      ? egress.items().map((listener) => ({
          field: listener.path,
          hosts: listener.at('hosts').texts(),
          port: listener.at('port', 'number').number() ?? null,
        }))
      : null,
    outboundMode: spec.at('outboundTrafficPolicy').present
      ? (spec.at('outboundTrafficPolicy', 'mode').text() ?? 'REGISTRY_ONLY')
      : null,
    ingressPorts: spec
      .at('ingress')
      .items()
      .flatMap((listener) => listener.at('port', 'number').number() ?? []),
  };
}

export function peerAuthenticationOf(field: Field, meta: Meta): PeerAuthentication {
  const spec = field.at('spec');
  return {
    ...meta,
    selector: workloadSelectorOf(spec.at('selector'), 'matchLabels'),
    mode: spec.at('mtls', 'mode').text() ?? 'UNSET',
    ports: new Map(
      spec
        .at('portLevelMtls')
        .entries()
        .map(([port, one]) => [Number(port), one.at('mode').text() ?? 'UNSET']),
    ),
  };
}

/** `targetRef`, and the list that replaced it. */
const targetRefsOf = (spec: Field): readonly TargetRef[] =>
  [spec.at('targetRef'), ...spec.at('targetRefs').items()]
    .filter((ref) => ref.present)
    .map((ref) => ({
      field: ref.path,
      kind: ref.at('kind').text() ?? '',
      name: ref.at('name').text() ?? '',
    }));

export function envoyFilterOf(field: Field, meta: Meta): EnvoyFilter {
  const spec = field.at('spec');
  return {
    ...meta,
    selector: workloadSelectorOf(spec.at('workloadSelector'), 'labels'),
    targetRefs: targetRefsOf(spec),
    patches: spec
      .at('configPatches')
      .items()
      .map((patch) => {
        const value = JSON.stringify(patch.at('patch', 'value').value ?? null);
        return {
          field: patch.path,
          applyTo: patch.at('applyTo').text() ?? '',
          localRateLimit: /local_?rate_?limit/i.test(value),
          accessLog: /access_?log/i.test(value),
        };
      }),
  };
}

export function authorizationPolicyOf(field: Field, meta: Meta): AuthorizationPolicy {
  const spec = field.at('spec');
  const rules = spec.at('rules');
  return {
    ...meta,
    selector: workloadSelectorOf(spec.at('selector'), 'matchLabels'),
    targetRefs: targetRefsOf(spec),
    action: spec.at('action').text() ?? 'ALLOW',
    provider: spec.at('provider', 'name').text() ?? null,
    rules: rules.items().length > 0 ? rules.items().map(ruleOf) : null,
    dryRun: meta.annotations.get('istio.io/dry-run') === 'true',
  };
}

function ruleOf(rule: Field): AuthorizationRule {
  return {
    field: rule.path,
    from: rule
      .at('from')
      .items()
      .map((one) => sourceOf(one.at('source'))),
    to: rule
      .at('to')
      .items()
      .map((one) => operationOf(one.at('operation'))),
    when: rule
      .at('when')
      .items()
      .map((one) => ({
        key: one.at('key').text() ?? '',
        values: one.at('values').texts(),
        notValues: one.at('notValues').texts(),
      })),
  };
}

function sourceOf(field: Field): Source {
  return {
    field: field.path,
    principals: field.at('principals').texts(),
    notPrincipals: field.at('notPrincipals').texts(),
    requestPrincipals: field.at('requestPrincipals').texts(),
    namespaces: field.at('namespaces').texts(),
    notNamespaces: field.at('notNamespaces').texts(),
    serviceAccounts: field.at('serviceAccounts').texts(),
    addresses: ['ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks'].some(
      (key) => field.at(key).present,
    ),
  };
}

function operationOf(field: Field): Operation {
  return {
    field: field.path,
    hosts: field.at('hosts').texts(),
    ports: field.at('ports').texts(),
    notPorts: field.at('notPorts').texts(),
    methods: field.at('methods').texts(),
    notMethods: field.at('notMethods').texts(),
    paths: field.at('paths').texts(),
    notPaths: field.at('notPaths').texts(),
  };
}

export function requestAuthenticationOf(field: Field, meta: Meta): RequestAuthentication {
  const spec = field.at('spec');
  return {
    ...meta,
    selector: workloadSelectorOf(spec.at('selector'), 'matchLabels'),
    targetRefs: targetRefsOf(spec),
    issuers: spec
      .at('jwtRules')
      .items()
      .flatMap((rule) => rule.at('issuer').text() ?? []),
  };
}

export function telemetryOf(field: Field, meta: Meta): Telemetry {
  const spec = field.at('spec');
  return {
    ...meta,
    selector: workloadSelectorOf(spec.at('selector'), 'matchLabels'),
    targetRefs: targetRefsOf(spec),
    accessLogging: spec
      .at('accessLogging')
      .items()
      .map((one) => ({
        field: one.path,
        mode: one.at('match', 'mode').text() ?? 'CLIENT_AND_SERVER',
        providers: one
          .at('providers')
          .items()
          .flatMap((provider) => provider.at('name').text() ?? []),
        filter: one.at('filter', 'expression').text() ?? null,
        disabled: one.at('disabled').flag() ?? null,
      })),
  };
}
