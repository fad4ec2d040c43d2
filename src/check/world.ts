import {
  ADMIN_PAGES,
  RESOURCES,
  type Cluster,
  type Listing,
  type PodName,
  type Refusal,
  type ResourceName,
} from '../cluster/cluster.js';
import type { ObjectRef } from '../diagnosis/finding.js';
import { proxyStateOf, type ProxyState } from './envoy/proxy-state.js';
import { syncStateOf, type SyncState } from './foundation/sync-state.js';
import { Field, isMap, type Complaint } from './field.js';
import * as gateway from './gateway-api-objects.js';
import * as istio from './istio-objects.js';
import * as kube from './kube-objects.js';
import { metaOf, type Meta } from './meta.js';

/** Each kind with what is read of it. */
export interface Objects {
  Namespace: kube.Namespace;
  Node: kube.Node;
  Pod: kube.Pod;
  Service: kube.Service;
  ConfigMap: kube.ConfigMap;
  EndpointSlice: kube.EndpointSlice;
  Deployment: kube.WorkloadObject;
  StatefulSet: kube.WorkloadObject;
  DaemonSet: kube.WorkloadObject;
  ReplicaSet: kube.WorkloadObject;
  Job: kube.WorkloadObject;
  CronJob: kube.WorkloadObject;
  NetworkPolicy: kube.NetworkPolicy;
  MutatingWebhookConfiguration: kube.Webhook;
  VirtualService: istio.VirtualService;
  DestinationRule: istio.DestinationRule;
  IstioGateway: istio.IstioGateway;
  ServiceEntry: istio.ServiceEntry;
  Sidecar: istio.Sidecar;
  EnvoyFilter: istio.EnvoyFilter;
  PeerAuthentication: istio.PeerAuthentication;
  AuthorizationPolicy: istio.AuthorizationPolicy;
  RequestAuthentication: istio.RequestAuthentication;
  Telemetry: istio.Telemetry;
  KubeGateway: gateway.KubeGateway;
  HTTPRoute: gateway.KubeRoute;
  GRPCRoute: gateway.KubeRoute;
  ReferenceGrant: gateway.ReferenceGrant;
}

const NARROWED: { readonly [K in ResourceName]: (field: Field, meta: Meta) => Objects[K] } = {
  Namespace: kube.namespaceOf,
  Node: kube.nodeOf,
  Pod: kube.podOf,
  Service: kube.serviceOf,
  ConfigMap: kube.configMapOf,
  EndpointSlice: kube.endpointSliceOf,
  Deployment: kube.workloadOf,
  StatefulSet: kube.workloadOf,
  DaemonSet: kube.workloadOf,
  ReplicaSet: kube.workloadOf,
  Job: kube.workloadOf,
  CronJob: kube.workloadOf,
  NetworkPolicy: kube.networkPolicyOf,
  MutatingWebhookConfiguration: kube.webhookOf,
  VirtualService: istio.virtualServiceOf,
  DestinationRule: istio.destinationRuleOf,
  IstioGateway: istio.istioGatewayOf,
  ServiceEntry: istio.serviceEntryOf,
  Sidecar: istio.sidecarOf,
  EnvoyFilter: istio.envoyFilterOf,
  PeerAuthentication: istio.peerAuthenticationOf,
  AuthorizationPolicy: istio.authorizationPolicyOf,
  RequestAuthentication: istio.requestAuthenticationOf,
  Telemetry: istio.telemetryOf,
  KubeGateway: gateway.kubeGatewayOf,
  HTTPRoute: gateway.kubeRouteOf,
  GRPCRoute: gateway.kubeRouteOf,
  ReferenceGrant: gateway.referenceGrantOf,
};

/** An object that was given and could not be understood, or not wholly. */
export interface Damaged {
  readonly ref: ObjectRef;
  readonly field: string;
  readonly problem: string;
}

export type Listings = { readonly [K in ResourceName]?: Listing };

/** Everything that was read of a cluster at one moment. Read-only; checks are functions of it. */
export class World {
  readonly damaged: readonly Damaged[];
  readonly #objects: ReadonlyMap<ResourceName, readonly Meta[]>;
  readonly #byName = new Map<string, Meta>();
  readonly #refused = new Map<ResourceName, Refusal>();
  readonly #notInstalled = new Set<ResourceName>();

  constructor(
    listings: Listings,
    /** By `namespace/pod`: the admin pages of the proxies that were asked. */
    readonly proxies: ReadonlyMap<string, ProxyState> = new Map(),
    /** What istiod says of each proxy; `null`: nobody asked, or nobody answered. */
    readonly sync: SyncState | null = null,
    /** `null`: nothing was asked. */
    readonly syncRefused: Refusal | null = null,
    /** When all this was read, ms since the epoch; `null`: not known. */
    readonly readAt: number | null = null,
  ) {
    const damaged: Damaged[] = [];
    const objects = new Map<ResourceName, readonly Meta[]>();
    for (const name of Object.keys(RESOURCES) as ResourceName[]) {
      const { items, refused, notInstalled } = listings[name] ?? { items: [], refused: notAsked(name) };
      if (refused) this.#refused.set(name, refused);
      if (notInstalled) this.#notInstalled.add(name);
      objects.set(
        name,
        items.flatMap((item) => this.#narrow(name, item, damaged)),
      );
    }
    this.#objects = objects;
    this.damaged = damaged;
  }

  /** All objects of a kind, as far as they could be read. */
  list<K extends ResourceName>(name: K): readonly Objects[K][] {
    return this.#objects.get(name) as unknown as readonly Objects[K][];
  }

  find<K extends ResourceName>(name: K, namespace: string, object: string): Objects[K] | undefined {
    return this.#byName.get(`${name}/${namespace}/${object}`) as Objects[K] | undefined;
  }

  /** Why not all objects of a kind could be read. */
  refusal(name: ResourceName): Refusal | undefined {
    return this.#refused.get(name);
  }

  /** The cluster does not know the kind: there are none, for certain. */
  isInstalled(name: ResourceName): boolean {
    return !this.#notInstalled.has(name);
  }

  /** How many objects were read. */
  get size(): number {
    return [...this.#objects.values()].reduce((sum, { length }) => sum + length, 0);
  }

  #narrow<K extends ResourceName>(name: K, item: unknown, damaged: Damaged[]): readonly Meta[] {
    const complaints: Complaint[] = [];
    const field = new Field(item, '', complaints);
    const meta = metaOf(name, field);
    const version = isMap(item)
      ? String(item['apiVersion'] ?? '')
          .split('/')
          .at(-1)!
      : '';
    const { versions, kind, group, resource } = RESOURCES[name];
    if (version !== '' && !versions.includes(version)) {
      damaged.push({
        ref: meta.ref,
        field: 'apiVersion',
        problem: `version ${version} of ${kind} is not understood, only ${versions.join(', ')}`,
      });
      this.#refused.set(name, {
        verb: 'read',
        resource: resourceName(group, resource),
        reason: `${kind} ${meta.namespace}/${meta.name} is of version ${version}`,
      });
      return [];
    }
    const object = NARROWED[name](field, meta) as Meta;
    for (const { field: path, expected } of complaints) {
      damaged.push({ ref: meta.ref, field: path, problem: `expected ${expected}` });
    }
    const key = `${name}/${meta.namespace}/${meta.name}`;
    // The same object in two files: the first is as good as the second.
    if (this.#byName.has(key)) return [];
    this.#byName.set(key, object);
    return [object];
  }
}

export const resourceName = (group: string, resource: string): string =>
  group === '' ? resource : `${resource}.${group}`;

const notAsked = (name: ResourceName): Refusal => ({
  verb: 'list',
  resource: resourceName(RESOURCES[name].group, RESOURCES[name].resource),
  reason: 'not asked for',
  notGiven: true,
});

/** Remembers what is derived from a world, as long as the world lives. */
export function perWorld<T>(derive: (world: World) => T): (world: World) => T {
  const known = new WeakMap<World, { readonly value: T }>();
  return (world) => {
    let found = known.get(world);
    if (!found) known.set(world, (found = { value: derive(world) }));
    return found.value;
  };
}

export const podKey = ({ namespace, name }: PodName): string => `${namespace}/${name}`;

async function readObjects(cluster: Cluster): Promise<Listings> {
  const names = Object.keys(RESOURCES) as ResourceName[];
  const listings = await Promise.all(names.map((name) => cluster.list(name)));
  return Object.fromEntries(names.map((name, i) => [name, listings[i]!]));
}

const isNotGiven = (refused: ProxyState['refused']): boolean =>
  refused.size === ADMIN_PAGES.length && [...refused.values()].every(({ notGiven }) => notGiven);

/** What is to be read beside the objects: the admin pages of these pods, and istiod's view. */
export interface Depth {
  readonly pods: readonly PodName[];
  readonly sync: boolean;
}

/** The world at one moment: objects, then the proxies that the objects lead to. */
export async function readWorld(cluster: Cluster, depthOf: (objects: World) => Depth): Promise<World> {
  const listings = await readObjects(cluster);
  const { pods, sync } = depthOf(new World(listings));
  const states = await Promise.all(
    pods.map(async (pod): Promise<readonly [string, ProxyState]> => {
      const pages = await Promise.all(
        ADMIN_PAGES.map(async (page) => [page, await cluster.envoyAdmin(pod, page)] as const),
      );
      return [podKey(pod), proxyStateOf(new Map(pages))];
    }),
  );
  const answers = sync ? await cluster.syncz() : [];
  const refusals = answers.flatMap((page) => ('refused' in page ? [page.refused] : []));
  return new World(
    listings,
    // Of whom nothing was saved, nothing was asked.
    new Map(states.filter(([, { refused }]) => !isNotGiven(refused))),
    syncStateOf(answers),
    refusals[0] ?? { verb: 'get', resource: 'istiod /debug/syncz', reason: 'none was given' },
    cluster.readAt,
  );
}
