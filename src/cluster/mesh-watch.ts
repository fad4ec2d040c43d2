import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Addresses, type AddressOwner } from './addresses.js';
import {
  Changes,
  configChange,
  configGone,
  eventChange,
  restartsOf,
  rolloutChange,
  rolloutOf,
  templateOf,
  type Change,
} from './changes.js';
import { ApiError, type ApiObject, type ClusterClient, type Query } from './client.js';
import { collectionPath, RESOURCES, type Resource } from './cluster.js';
import { podOf, type Pod } from './pods.js';
import { watch } from './watch.js';

/** What Istio and the Gateway API steer traffic with. Versions: istio 1.31 crd-all.gen.yaml. */
const STEERING: readonly Resource[] = [
  RESOURCES.VirtualService,
  RESOURCES.DestinationRule,
  RESOURCES.ServiceEntry,
  RESOURCES.IstioGateway,
  RESOURCES.Sidecar,
  {
    kind: 'EnvoyFilter',
    group: 'networking.istio.io',
    resource: 'envoyfilters',
    versions: ['v1alpha3'],
    namespaced: true,
  },
  RESOURCES.AuthorizationPolicy,
  RESOURCES.PeerAuthentication,
  RESOURCES.RequestAuthentication,
  RESOURCES.Telemetry,
  RESOURCES.KubeGateway,
  RESOURCES.HTTPRoute,
  RESOURCES.GRPCRoute,
];
const EVENTS: Resource = { kind: 'Event', group: '', resource: 'events', versions: ['v1'], namespaced: true };

/** meshConfig.rootNamespace where nobody set it; what lies in it is meant for the whole mesh. */
const ROOT_NAMESPACE = 'istio-system';
/** A change this long before the first line may still have begun what the lines show. */
const BEFORE_MS = 600_000;
/** Namespaces that are looked into beside those of the targets. */
const MOST_NAMESPACES = 20;
/** Addresses that are asked for one by one, and how many at once. */
const MOST_WANTED = 2_000;
const AT_ONCE = 4;
/** So long an address that nobody has is not asked for again. */
const UNKNOWN_MS = 300_000;
const MOST_UNKNOWN = 10_000;

export interface MeshWatchOptions {
  /** Of the targets; `null`: all. Their pods are told by whoever follows them. */
  readonly namespaces: readonly (string | null)[];
  /** First line that is asked for, ms since the Unix epoch; `null`: the oldest there is. */
  readonly since: number | null;
  /** Whether an address may be one of the cluster's, so that it is worth asking for. */
  readonly isInside: (ip: string) => boolean;
  /** Goes on watching; else what there is now. */
  readonly follow: boolean;
}

/**
 * What a cluster tells beside its proxies' logs: who had which address, and what was changed when. Each kind is watched as
 * far as rights go; what may not be seen is said in `limits`, once, and the rest goes on.
 */
export class MeshWatch {
  readonly addresses = new Addresses();
  readonly #changes = new Changes();
  readonly #refused = new Map<
    string,
    { readonly resource: string; readonly place: string; readonly without: string }
  >();
  readonly #failed = new Map<string, string>();
  readonly #namespaces = new Set<string>();
  readonly #loading = new Set<Promise<unknown>>();
  /** Revisions of Deployments by ReplicaSet, to notice one that is rolled back to. */
  readonly #revisions = new Map<string, number>();
  /** First pod of each template, ms. */
  readonly #firstPods = new Map<string, number>();
  readonly #asked = new Set<string>();
  /** By `name.namespace`, the labels that a service finds its pods by. */
  readonly #selectors = new Map<string, Readonly<Record<string, string>>>();
  readonly #wanted = new Set<string>();
  readonly #unknown = new Map<string, number>();
  #asking = 0;
  #mayAsk = true;

  constructor(
    readonly client: ClusterClient,
    readonly options: MeshWatchOptions,
    readonly signal: AbortSignal,
  ) {
    // A listener for each watch.
    setMaxListeners(0, signal);
  }

  /** Begins; nothing is waited for. */
  start(): void {
    const { namespaces } = this.options;
    this.#load(this.#everywhere(RESOURCES.EndpointSlice, this.#slices));
    this.#load(this.#everywhere(RESOURCES.Service, this.#services));
    for (const resource of STEERING) this.#load(this.#everywhere(resource, this.#steering(resource)));
    for (const namespace of namespaces) this.#load(this.#happenings(namespace));
    // What happens to nodes is told there: they have no namespace of their own.
    if (!namespaces.includes(null) && !namespaces.includes('default')) {
      const query = { fieldSelector: 'involvedObject.kind=Node' };
      this.#load(this.#watchIn(EVENTS, 'default', this.#events, { query }));
    }
  }

  /** Also looks into the namespace of a service that the lines name. */
  include(namespace: string): void {
    const { namespaces } = this.options;
    if (namespaces.includes(null) || namespaces.includes(namespace) || this.#namespaces.has(namespace))
      return;
    if (this.#namespaces.size >= MOST_NAMESPACES || this.#refused.has(`pods ${namespace}`)) return;
    this.#namespaces.add(namespace);
    this.#load(this.#happenings(namespace));
    this.#load(this.#watchIn(RESOURCES.Pod, namespace, this.#pods()));
  }

  /** What cannot be known for want of rights or answers: all rights in one sentence, each failure in one. */
  get limits(): readonly string[] {
    const refused = [...this.#refused].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
    if (refused.length === 0) return [...this.#failed.values()];
    const some = (items: readonly string[], most: number): string => {
      const all = [...new Set(items)];
      const rest = all.length > most ? [`${all.length - most} more`] : [];
      return [...all.slice(0, most), ...rest].join(', ');
    };
    const resources = some(
      refused.map(({ resource }) => resource),
      4,
    );
    const places = some(
      refused.map(({ place }) => place),
      3,
    );
    const without = some(
      refused.map(({ without: what }) => what),
      9,
    );
    return [`may not list ${resources} in ${places}, so not known: ${without}`, ...this.#failed.values()];
  }

  get changes(): readonly Change[] {
    const from = (this.options.since ?? 0) - BEFORE_MS;
    return this.#changes.all.filter(({ at }) => at >= from);
  }

  /** Resolves when everything that was asked for has been answered once, or after `ms`. */
  async settled(ms: number): Promise<void> {
    const end = Date.now() + ms;
    while ((this.#loading.size > 0 || this.#asking > 0) && Date.now() < end && !this.signal.aborted) {
      await sleep(20, undefined, { signal: this.signal }).catch(() => undefined);
    }
  }

  /** Who had the address then. One that is not known well is asked for, so that a later call may tell more. */
  ownerOf(ip: string, at: number): AddressOwner | null {
    const owner = this.addresses.ownerOf(ip, at);
    if (owner === null || (owner.kind === 'pod' && owner.workload === null)) this.#want(ip);
    return owner;
  }

  /** Everybody who had the address at some time from `from` to `to`, first to last. */
  ownersOf(ip: string, from: number, to: number): readonly AddressOwner[] {
    const owners = this.addresses.ownersOf(ip, from, to);
    if (owners.length === 0) this.ownerOf(ip, to);
    return owners;
  }

  podNamed(name: string): AddressOwner | null {
    return this.addresses.podNamed(name);
  }

  /** The labels that a service, as `name.namespace`, finds its pods by; `null`: none, or not known. */
  selectorOf(service: string): Readonly<Record<string, string>> | null {
    return this.#selectors.get(service) ?? null;
  }

  /** A pod that somebody follows. */
  pod(pod: Pod): void {
    this.addresses.pod(pod, Date.now());
    const template = templateOf(pod);
    if (template) {
      const first = Math.min(this.#firstPods.get(template.key) ?? Infinity, pod.createdAt);
      this.#firstPods.set(template.key, first);
      // Revisions with numbers say it better.
      const replicaSet = pod.owner?.kind === 'ReplicaSet' ? `${pod.namespace}/${pod.owner.name}` : '';
      if (!this.#revisions.has(replicaSet)) this.#changes.first(template.key, template.change);
    }
    for (const restart of restartsOf(pod))
      this.#changes.set(`${pod.uid}/${restart.text}/${restart.at}`, restart);
  }

  podGone(pod: Pod): void {
    this.addresses.podGone(pod, Date.now());
  }

  #load(promise: Promise<unknown>): void {
    const done = promise.finally(() => this.#loading.delete(done));
    this.#loading.add(done);
  }

  async #happenings(namespace: string | null): Promise<void> {
    await Promise.all([
      this.#watchIn(RESOURCES.ReplicaSet, namespace, this.#replicaSets),
      this.#watchIn(EVENTS, namespace, this.#events),
    ]);
  }

  /** In the whole cluster; where that is not allowed, in the namespaces of the targets and the mesh's own. */
  async #everywhere(resource: Resource, see: See): Promise<void> {
    if ((await this.#watchIn(resource, null, see, { quietly: true })) !== 'refused') return;
    const namespaces = this.options.namespaces.flatMap((one) => one ?? []);
    const mesh = resource.group === '' || resource.group === 'discovery.k8s.io' ? [] : [ROOT_NAMESPACE];
    await Promise.all([...new Set([...namespaces, ...mesh])].map((one) => this.#watchIn(resource, one, see)));
  }

  async #watchIn(
    resource: Resource,
    namespace: string | null,
    see: See,
    { quietly = false, query = {} }: { readonly quietly?: boolean; readonly query?: Query } = {},
  ): Promise<Seen> {
    // A kind that the cluster has in none of its versions has no objects either.
    for (const version of resource.versions) {
      const seen = await this.#tryIn(collectionPath(resource, namespace, version), query, see);
      if (seen === 'seen') return seen;
      if (seen === 'absent') continue;
      if (!quietly) this.#limit(resource, namespace, seen);
      return 'refused';
    }
    return 'absent';
  }

  async #tryIn(path: string, query: Query, see: See): Promise<'seen' | 'absent' | Error> {
    if (this.#asked.has(path)) return 'seen';
    this.#asked.add(path);
    const { client, signal } = this;
    const known = new Map<string, ApiObject>();
    const uidOf = ({ metadata }: ApiObject): string => (metadata as { uid?: string }).uid ?? '';
    const all = (items: readonly ApiObject[]): void => {
      const now = new Set(items.map(uidOf));
      for (const [uid, object] of known) if (!now.has(uid)) see.gone(object);
      known.clear();
      for (const object of items) {
        known.set(uidOf(object), see.kept(object));
        see.seen(object);
      }
    };
    try {
      if (!this.options.follow) all((await client.list(path, query, signal)).items);
      else {
        await watch(
          client,
          path,
          query,
          {
            all,
            changed: (kind, object) => {
              if (kind === 'DELETED') {
                known.delete(uidOf(object));
                see.gone(object);
              } else {
                known.set(uidOf(object), see.kept(object));
                see.seen(object);
              }
            },
            trouble: () => undefined,
          },
          signal,
        );
      }
      return 'seen';
    } catch (error) {
      this.#asked.delete(path);
      if (signal.aborted) return 'seen';
      if (error instanceof ApiError && error.status === 404) return 'absent';
      return error as Error;
    }
  }

  #limit({ resource, kind }: Resource, namespace: string | null, error: Error): void {
    const place = namespace ?? 'the cluster';
    const key = `${resource} ${place}`;
    const without = WITHOUT[kind] ?? 'changes of what steers traffic';
    if (error instanceof ApiError && error.status === 403)
      this.#refused.set(key, { resource, place, without });
    else this.#failed.set(key, `cannot list ${resource} in ${place}: ${error.message}`);
  }

  readonly #slices: See = {
    ...FORGETFUL,
    seen: (object) => {
      for (const { ip, pod, node } of endpointsOf(object)) {
        this.addresses.endpoint(ip, pod.name, pod.namespace, node, createdAt(object));
      }
    },
  };

  readonly #services: See = {
    ...FORGETFUL,
    seen: (object) => {
      const {
        clusterIPs = [],
        clusterIP = '',
        selector,
      } = (object['spec'] ?? {}) as {
        clusterIPs?: readonly string[];
        clusterIP?: string;
        selector?: Readonly<Record<string, string>>;
      };
      const { name, namespace } = object['metadata'] as { name: string; namespace: string };
      if (selector) this.#selectors.set(`${name}.${namespace}`, selector);
      for (const ip of new Set([clusterIP, ...clusterIPs])) {
        if (ip !== '' && ip !== 'None') this.addresses.service(ip, name, namespace, createdAt(object));
      }
    },
  };

  readonly #replicaSets: See = {
    ...FORGETFUL,
    seen: (object) => {
      const rollout = rolloutOf(object);
      if (!rollout) return;
      const { namespace, replicaSet, deployment, revision } = rollout;
      const key = `${namespace}/${replicaSet}`;
      const before = this.#revisions.get(key);
      if (before === revision) return;
      this.#revisions.set(key, revision);
      this.addresses.revision(namespace, replicaSet, revision);
      const template = `${namespace}/Deployment/${deployment}/${replicaSet.slice(deployment.length + 1)}`;
      this.#changes.forget(template);
      const at = before !== undefined ? Date.now() : (rollout.at ?? this.#firstPods.get(template));
      if (at !== undefined) this.#changes.set(`${key}/${revision}`, rolloutChange(rollout, at));
    },
  };

  readonly #events: See = {
    ...FORGETFUL,
    seen: (object) => {
      const change = eventChange(object);
      if (!change) return;
      const { name } = object['metadata'] as { name: string };
      // One that is repeated is told by its first time that is looked at, and by its last.
      const key = `event/${change.about.namespace}/${name}`;
      if (change.at < (this.options.since ?? 0) - BEFORE_MS) return;
      this.#changes.first(`${key}/first`, change);
      if (this.#changes.at(`${key}/first`)! < change.at) this.#changes.set(`${key}/last`, change);
    },
  };

  #steering(resource: Resource): See {
    return {
      kept: outline,
      seen: (object) => {
        const { key, change } = configChange(object, resource, ROOT_NAMESPACE);
        if (!this.#changes.has(key)) this.#changes.set(key, change);
      },
      gone: (object) => {
        const { key, change } = configGone(object, resource, ROOT_NAMESPACE, Date.now());
        this.#changes.set(key, change);
      },
    };
  }

  #pods(): See {
    return {
      kept: (object) => object,
      seen: (object) => this.pod(podOf(object)),
      gone: (object) => this.podGone(podOf(object)),
    };
  }

  #want(ip: string): void {
    if (!this.#mayAsk || this.#wanted.size >= MOST_WANTED || this.#wanted.has(ip)) return;
    if (Date.now() - (this.#unknown.get(ip) ?? 0) < UNKNOWN_MS || !this.options.isInside(ip)) return;
    if (this.#unknown.size > MOST_UNKNOWN) this.#unknown.clear();
    this.#wanted.add(ip);
    while (this.#asking < AT_ONCE && this.#asking < this.#wanted.size) {
      this.#asking++;
      void this.#ask().finally(() => {
        this.#asking--;
      });
    }
  }

  /** One address after the other. A field selector keeps the answer small in a cluster of any size. */
  async #ask(): Promise<void> {
    // What is already being asked for stays among the wanted, but goes to the end.
    for (let ip = this.#next(); ip !== undefined && this.#mayAsk; ip = this.#next()) {
      try {
        const query = { fieldSelector: `status.podIP=${ip}` };
        const path = collectionPath(RESOURCES.Pod, null);
        const { items } = await this.client.list(path, query, this.signal);
        if (items.length === 0) this.#unknown.set(ip, Date.now());
        for (const item of items) this.addresses.pod(podOf(item), Date.now(), false);
      } catch (error) {
        if (this.signal.aborted) return;
        this.#unknown.set(ip, Date.now());
        if (error instanceof ApiError && error.status === 403) {
          this.#mayAsk = false;
          this.#limit(RESOURCES.Pod, null, error);
        }
      }
    }
  }

  #next(): string | undefined {
    const [ip] = this.#wanted;
    if (ip !== undefined) this.#wanted.delete(ip);
    return ip;
  }
}

/** What is not known without the right to list a kind. */
const WITHOUT: Readonly<Record<string, string>> = {
  EndpointSlice: 'names of other workloads’ addresses',
  Service: 'names of services’ addresses',
  ReplicaSet: 'revisions of rollouts',
  Event: 'events of pods and nodes',
  Pod: 'pods of other namespaces',
};

type Seen = 'seen' | 'absent' | 'refused';

/** What becomes of the objects of a kind. */
interface See {
  /** What must be kept of one, to tell that it is gone. */
  kept(object: ApiObject): ApiObject;
  seen(object: ApiObject): void;
  gone(object: ApiObject): void;
}

/** An object without its bookkeeping: what tells whom it concerned. */
const outline = (object: ApiObject): ApiObject => {
  const { name, namespace, uid, generation, resourceVersion } = object['metadata'] as Record<string, unknown>;
  return { metadata: { name, namespace, uid, generation, resourceVersion }, spec: object['spec'] };
};

const FORGETFUL = { kept: () => ({}), gone: () => undefined };

const createdAt = ({ metadata }: ApiObject): number =>
  Date.parse((metadata as { creationTimestamp?: string }).creationTimestamp ?? '') || 0;

interface Endpoint {
  readonly addresses?: readonly string[];
  readonly nodeName?: string;
  readonly targetRef?: { readonly kind?: string; readonly name?: string; readonly namespace?: string };
}

/** The pods behind an EndpointSlice. */
function endpointsOf(object: ApiObject): readonly {
  readonly ip: string;
  readonly pod: { readonly name: string; readonly namespace: string };
  readonly node: string;
}[] {
  const endpoints = (object['endpoints'] ?? []) as readonly Endpoint[];
  return endpoints.flatMap(({ addresses = [], nodeName = '', targetRef }) =>
    targetRef?.kind === 'Pod'
      ? addresses.map((ip) => ({
          ip,
          pod: { name: targetRef.name ?? '', namespace: targetRef.namespace ?? '' },
          node: nodeName,
        }))
      : [],
  );
}
