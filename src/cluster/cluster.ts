/*
 * What checks need to know of a cluster, whoever knows it: saved files or the Kubernetes API. Read-only by its very form:
 * there is no verb but list and get, and the pages of Envoy's admin interface are a closed list without those that change
 * something.
 */

/** A kind of object as the API serves it. */
export interface Resource {
  readonly kind: string;
  /** Empty: the core group. */
  readonly group: string;
  /** Lower-case plural, as in paths and rights. */
  readonly resource: string;
  /** Versions whose fields are understood, the one to ask for first. */
  readonly versions: readonly string[];
  readonly namespaced: boolean;
}

/** Where a kind's objects lie. `namespace` null: in all of them. */
export function collectionPath(
  { group, versions, resource: plural }: Resource,
  namespace: string | null,
  version = versions[0]!,
): string {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const place = namespace === null ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${place}/${plural}`;
}

const resource = (
  kind: string,
  name: string,
  group: string,
  versions: readonly string[],
  namespaced = true,
): Resource => ({ kind, group, resource: name, versions, namespaced });

const NETWORKING = ['v1', 'v1beta1', 'v1alpha3'];
const SECURITY = ['v1', 'v1beta1'];
const GATEWAY_API = ['v1', 'v1beta1', 'v1alpha2'];

/**
 * Every kind that checks look at. Names are our own, since both Istio and the Gateway API have a `Gateway`.
 * Versions: istio 1.31 manifests/charts/base/files/crd-all.gen.yaml, Gateway API 1.5.
 */
export const RESOURCES = {
  Namespace: resource('Namespace', 'namespaces', '', ['v1'], false),
  Node: resource('Node', 'nodes', '', ['v1'], false),
  Pod: resource('Pod', 'pods', '', ['v1']),
  Service: resource('Service', 'services', '', ['v1']),
  ConfigMap: resource('ConfigMap', 'configmaps', '', ['v1']),
  EndpointSlice: resource('EndpointSlice', 'endpointslices', 'discovery.k8s.io', ['v1', 'v1beta1']),
  Deployment: resource('Deployment', 'deployments', 'apps', ['v1']),
  StatefulSet: resource('StatefulSet', 'statefulsets', 'apps', ['v1']),
  DaemonSet: resource('DaemonSet', 'daemonsets', 'apps', ['v1']),
  ReplicaSet: resource('ReplicaSet', 'replicasets', 'apps', ['v1']),
  Job: resource('Job', 'jobs', 'batch', ['v1']),
  CronJob: resource('CronJob', 'cronjobs', 'batch', ['v1', 'v1beta1']),
  NetworkPolicy: resource('NetworkPolicy', 'networkpolicies', 'networking.k8s.io', ['v1']),
  MutatingWebhookConfiguration: resource(
    'MutatingWebhookConfiguration',
    'mutatingwebhookconfigurations',
    'admissionregistration.k8s.io',
    ['v1'],
    false,
  ),
  VirtualService: resource('VirtualService', 'virtualservices', 'networking.istio.io', NETWORKING),
  DestinationRule: resource('DestinationRule', 'destinationrules', 'networking.istio.io', NETWORKING),
  IstioGateway: resource('Gateway', 'gateways', 'networking.istio.io', NETWORKING),
  ServiceEntry: resource('ServiceEntry', 'serviceentries', 'networking.istio.io', NETWORKING),
  Sidecar: resource('Sidecar', 'sidecars', 'networking.istio.io', NETWORKING),
  EnvoyFilter: resource('EnvoyFilter', 'envoyfilters', 'networking.istio.io', ['v1alpha3']),
  PeerAuthentication: resource('PeerAuthentication', 'peerauthentications', 'security.istio.io', SECURITY),
  AuthorizationPolicy: resource(
    'AuthorizationPolicy',
    'authorizationpolicies',
    'security.istio.io',
    SECURITY,
  ),
  RequestAuthentication: resource(
    'RequestAuthentication',
    'requestauthentications',
    'security.istio.io',
    SECURITY,
  ),
  Telemetry: resource('Telemetry', 'telemetries', 'telemetry.istio.io', ['v1', 'v1alpha1']),
  KubeGateway: resource('Gateway', 'gateways', 'gateway.networking.k8s.io', GATEWAY_API),
  HTTPRoute: resource('HTTPRoute', 'httproutes', 'gateway.networking.k8s.io', GATEWAY_API),
  GRPCRoute: resource('GRPCRoute', 'grpcroutes', 'gateway.networking.k8s.io', GATEWAY_API),
  ReferenceGrant: resource('ReferenceGrant', 'referencegrants', 'gateway.networking.k8s.io', [
    'v1',
    'v1beta1',
    'v1alpha2',
  ]),
} as const;

export type ResourceName = keyof typeof RESOURCES;

/** Something that could not be read, so that a check can say `unknown` and name the right that is missing. */
export interface Refusal {
  /** As in a Role: `list`, `get`, `create`. */
  readonly verb: string;
  /** As in a Role, with its group: `destinationrules.networking.istio.io`, `pods/portforward`. */
  readonly resource: string;
  /** In words, what was answered or what is missing. */
  readonly reason: string;
  /** Of these namespaces alone everything was read; absent: it is not known what is missing. */
  readonly namespaces?: readonly string[];
  /** Nobody refused: it was not saved, or nobody asked. */
  readonly notGiven?: true;
}

/** The objects of one kind as the API writes them, untyped, and why they are not all where they are not. */
export interface Listing {
  readonly items: readonly unknown[];
  readonly refused?: Refusal;
  /** The cluster does not know the kind: its CRD is not installed, so there are none. */
  readonly notInstalled?: true;
}

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

/** Pages of Envoy's admin interface that checks read, all of them GET and without effect. */
export const ADMIN_PAGES = ['clusters', 'config_dump', 'certs', 'listeners', 'stats', 'server_info'] as const;
export type AdminPage = (typeof ADMIN_PAGES)[number];

/** Counters that checks read: a busy proxy has tens of thousands of others. */
const STATS = 'overflow|circuit_breakers|control_plane|update_rejected|retry|lb_healthy_panic';

/** The path and query of each: JSON where Envoy offers it. Endpoints are asked of `clusters`, which has their health too. */
export const ADMIN_PATHS: Readonly<Record<AdminPage, string>> = {
  clusters: '/clusters?format=json',
  config_dump: '/config_dump',
  certs: '/certs',
  listeners: '/listeners?format=json',
  stats: `/stats?format=json&usedonly&filter=${encodeURIComponent(STATS)}`,
  server_info: '/server_info',
};

/** Of istiod: how each proxy that is connected to it stands. */
export const SYNCZ_PATH = '/debug/syncz';

/** A page's text as it was answered or saved (JSON or Envoy's text form); or why there is none. */
export type Page = { readonly text: string } | { readonly refused: Refusal };

/** One istiod replica's answer. */
export type DebugPage = Page & { readonly istiod: PodName | null };

/**
 * A cluster to read. Every method answers, with a refusal where the world did not: one right that is missing must not
 * keep the other checks from running. Only a cancelled run throws.
 */
export interface Cluster {
  /** What it is called in the report: `saved files in ./dump`, `context prod-eu`. */
  readonly name: string;
  /** When it was read, ms since the epoch: now, or when the files were written; `null`: not known. */
  readonly readAt: number | null;
  /** All objects of a kind, of every namespace that may be read. */
  list(name: ResourceName): Promise<Listing>;
  /** A page of the admin interface of the proxy in a pod. */
  envoyAdmin(pod: PodName, page: AdminPage): Promise<Page>;
  /** `/debug/syncz` of every istiod replica: each knows only the proxies that are connected to it. */
  syncz(): Promise<readonly DebugPage[]>;
  /** The same cluster a little later, to be read anew; absent where nothing moves. */
  later?(): Promise<Cluster>;
}
