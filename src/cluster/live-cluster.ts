import { setTimeout as sleep } from 'node:timers/promises';
import { MeshtailError } from '../errors.js';
import { ApiError, type ApiObject, type ClusterClient } from './client.js';
import {
  ADMIN_PATHS,
  collectionPath,
  RESOURCES,
  SYNCZ_PATH,
  type AdminPage,
  type Cluster,
  type DebugPage,
  type Listing,
  type Page,
  type PodName,
  type Refusal,
  type Resource,
  type ResourceName,
} from './cluster.js';
import { limited } from './limit.js';
import { getFromPod, PortForwardError } from './port-forward.js';
import { labelsOf, list, metadataOf, tree, trees, type Tree } from './untyped.js';

/*
 * A cluster as its API server tells it. Every kind is read by itself and once: what is forbidden, not installed or broken
 * costs no other. Nothing but list and get goes to the API server, and nothing but GET of the pages in `cluster` through
 * forwarded ports; Secrets are never asked for.
 */

/** Where what checks look at is kept by default. */
const ROOT_NAMESPACE = 'istio-system';

/** More of a kind are not read: beyond that only the target's namespaces are. */
const MOST_OBJECTS = 20_000;
const LISTS_AT_ONCE = 8;
const PORTS_AT_ONCE = 8;

/** A WebSocket is opened with GET, and kube-apiserver 1.36 wants the right to create besides. */
const FORWARD = 'get and create';

const ADMIN_PORT = 15_000;
/** Of istiod, its monitoring port and, where that has no debug pages, the other one (istio 1.31 pilot/pkg/bootstrap/server.go). */
const DEBUG_PORTS = [15_014, 8080] as const;

export interface LiveClusterOptions {
  /** Read instead where a right for all namespaces is missing. */
  readonly namespaces: readonly string[];
  readonly signal?: AbortSignal;
  /** For tests. */
  readonly mostObjects?: number;
}

/** @param options.namespaces those of the targets */
export function liveCluster(client: ClusterClient, options: LiveClusterOptions): Cluster {
  return new LiveCluster(client, options);
}

/** A push reaches a proxy within that time, unless something is wrong. */
const PUSH_MS = 2_000;
const RETRY_MS = 300;
const MOST_WAIT_MS = 5_000;

class LiveCluster implements Cluster {
  readonly name: string;
  readonly readAt = Date.now();
  readonly #client: ClusterClient;
  readonly #options: LiveClusterOptions;
  readonly #namespaces: readonly string[];
  readonly #signal: AbortSignal | undefined;
  readonly #mostObjects: number;
  readonly #listings = new Map<ResourceName, Promise<Listing>>();
  readonly #list = limited(LISTS_AT_ONCE);
  readonly #port = limited(PORTS_AT_ONCE);
  /** Namespaces in which ports may not be forwarded: asked once. */
  readonly #closed = new Set<string>();
  /** Ports of pods that do not answer: nobody waits for each of their pages. */
  readonly #silent = new Map<string, string>();

  constructor(client: ClusterClient, options: LiveClusterOptions) {
    const { namespaces, signal, mostObjects = MOST_OBJECTS } = options;
    const { context, server } = client.connection;
    this.name = context === null ? `the cluster of this pod` : `context ${context} (${server.host})`;
    this.#client = client;
    this.#options = options;
    this.#namespaces = [...new Set([...namespaces, ROOT_NAMESPACE])];
    this.#signal = signal;
    this.#mostObjects = mostObjects;
  }

  async later(): Promise<Cluster> {
    await sleep(PUSH_MS, undefined, this.#signal ? { signal: this.#signal } : {});
    return new LiveCluster(this.#client, this.#options);
  }

  list(name: ResourceName): Promise<Listing> {
    let listing = this.#listings.get(name);
    if (!listing) {
      listing = name === 'ConfigMap' ? this.#meshConfigs() : this.#list(() => this.#everywhere(name));
      this.#listings.set(name, listing);
    }
    return listing;
  }

  async envoyAdmin(pod: PodName, page: AdminPage): Promise<Page> {
    return this.#fromPod(pod, ADMIN_PORT, ADMIN_PATHS[page], `Envoy admin /${page}`);
  }

  async syncz(): Promise<readonly DebugPage[]> {
    const { items, refused } = await this.list('Pod');
    const pods = items.filter(isRunningIstiod).map(nameOf);
    if (pods.length === 0) {
      const reason = refused
        ? `cannot ${refused.verb} pods: ${refused.reason}`
        : 'no istiod runs in this cluster';
      return [{ istiod: null, refused: { verb: 'get', resource: SYNCZ_PATH, reason } }];
    }
    return Promise.all(pods.map(async (istiod) => ({ istiod, ...(await this.#syncOf(istiod)) })));
  }

  async #syncOf(istiod: PodName): Promise<Page> {
    const [first, ...others] = DEBUG_PORTS;
    const ask = (port: number): Promise<Page> =>
      this.#fromPod(istiod, port, SYNCZ_PATH, `${SYNCZ_PATH} of ${istiod.name}`);
    const page = await ask(first);
    if (!('refused' in page) || page.refused.verb === FORWARD) return page;
    for (const port of others) {
      const other = await ask(port);
      if (!('refused' in other)) return other;
    }
    return page;
  }

  async #fromPod(pod: PodName, port: number, path: string, resource: string): Promise<Page> {
    const forbidden: Refusal = {
      verb: FORWARD,
      resource: 'pods/portforward',
      reason: `forbidden in ${pod.namespace}`,
    };
    return this.#port(async () => {
      if (this.#closed.has(pod.namespace)) return { refused: forbidden };
      const known = this.#silent.get(`${pod.namespace}/${pod.name}:${port}`);
      if (known !== undefined) return { refused: { verb: 'get', resource, reason: known } };
      try {
        const signal = this.#signal ? { signal: this.#signal } : {};
        return { text: await getFromPod(this.#client.connection, pod, port, path, signal) };
      } catch (error) {
        if (!(error instanceof PortForwardError || error instanceof MeshtailError)) throw error;
        if (error instanceof PortForwardError && error.status === 403) {
          this.#closed.add(pod.namespace);
          return { refused: forbidden };
        }
        if (error.message.startsWith('no answer')) {
          this.#silent.set(`${pod.namespace}/${pod.name}:${port}`, error.message);
        }
        return { refused: { verb: 'get', resource, reason: error.message } };
      }
    });
  }

  async #everywhere(name: ResourceName): Promise<Listing> {
    const resource: Resource = RESOURCES[name];
    try {
      const found = await this.#served(resource, null);
      if (found === 'not-installed') return { items: [], notInstalled: true };
      if (!Array.isArray(found)) return { items: [], refused: found as Refusal };
      if (found.length <= this.#mostObjects) return { items: found };
      return await this.#inNamespaces(resource, `there are more than ${this.#mostObjects}`);
    } catch (error) {
      if (!(error instanceof ApiError || error instanceof MeshtailError)) throw error;
      // Without a way to the cluster there is nothing to say of any kind.
      if (error instanceof MeshtailError && name === 'Pod') throw error;
      const forbidden = error instanceof ApiError && error.status === 403;
      return forbidden
        ? this.#inNamespaces(resource, 'forbidden')
        : { items: [], refused: refusalOf(resource, 'list', error.message) };
    }
  }

  /** Objects of the targets' namespaces, where all may not be had. */
  async #inNamespaces(resource: Resource, reason: string): Promise<Listing> {
    const items: unknown[] = [];
    const namespaces: string[] = [];
    for (const namespace of resource.namespaced ? this.#namespaces : []) {
      const found = await this.#served(resource, namespace).catch((error: unknown) => {
        if (!(error instanceof ApiError || error instanceof MeshtailError)) throw error;
        return null;
      });
      if (!Array.isArray(found)) continue;
      items.push(...found);
      // One with too many is not read to its end.
      if (found.length <= this.#mostObjects) namespaces.push(namespace);
    }
    if (resource.kind === 'Namespace') {
      for (const name of this.#namespaces) {
        const found = await this.#one(`/api/v1/namespaces/${encodeURIComponent(name)}`);
        if (found === null) continue;
        items.push(found);
        namespaces.push(name);
      }
    }
    if (namespaces.length === 0) return { items, refused: refusalOf(resource, 'list', reason) };
    const refused = refusalOf(resource, 'list', `${reason}; read of ${namespaces.join(', ')} only`);
    return { items, refused: { ...refused, namespaces } };
  }

  /** In the first version that the cluster serves and that is understood. @throws ApiError, MeshtailError */
  async #served(
    asked: Resource,
    namespace: string | null,
  ): Promise<readonly unknown[] | 'not-installed' | Refusal> {
    const { group, resource, versions, kind } = asked;
    for (const version of versions) {
      try {
        const apiVersion = group === '' ? version : `${group}/${version}`;
        return await this.#objects(collectionPath(asked, namespace, version), apiVersion, kind);
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 404) throw error;
      }
    }
    const served = await this.#versionsOf(group);
    if (served.length === 0 || served.some((version) => versions.includes(version))) return 'not-installed';
    return refusalOf(
      { group, resource },
      'read',
      `served as ${served.join(', ')} only, of which none is understood`,
    );
  }

  async #versionsOf(group: string): Promise<readonly string[]> {
    const found = await this.#one(`/apis/${group}`);
    const versions = (found?.['versions'] ?? []) as readonly { readonly version?: string }[];
    return versions.flatMap(({ version }) => version ?? []);
  }

  /** Pages of a list, each object without what no check reads. Stops beyond the bound. */
  async #objects(path: string, apiVersion: string, kind: string): Promise<readonly unknown[]> {
    for (let attempt = 0; ; attempt++) {
      const items: unknown[] = [];
      try {
        for await (const page of this.#client.pages(path, {}, this.#signal)) {
          // The objects of a list leave out what the list says of all.
          for (const object of page.items) items.push(slim({ apiVersion, kind, ...object }));
          if (items.length > this.#mostObjects) break;
        }
        return items;
      } catch (error) {
        if (attempt > 0 || this.#signal?.aborted || !isWorthAnother(error)) throw error;
        const wait = (error instanceof ApiError && error.retryAfterMs) || RETRY_MS;
        await sleep(Math.min(wait, MOST_WAIT_MS));
      }
    }
  }

  /** What is not there, or may not be seen, is `null`. */
  async #one(path: string): Promise<ApiObject | null> {
    try {
      return await this.#client.get(path, {}, this.#signal);
    } catch (error) {
      if (error instanceof ApiError && (error.status === 404 || error.status === 403)) return null;
      throw error;
    }
  }

  /** The mesh configurations alone, by name: other ConfigMaps are nobody's business, nor is a right to list them needed. */
  async #meshConfigs(): Promise<Listing> {
    const { items: pods } = await this.list('Pod');
    const names = new Map([[`${ROOT_NAMESPACE}/istio`, { namespace: ROOT_NAMESPACE, name: 'istio' }]]);
    for (const pod of pods.filter(isIstiod)) {
      const { namespace } = nameOf(pod);
      const revision = labelsOf(pod)['istio.io/rev'] ?? 'default';
      const name = revision === 'default' ? 'istio' : `istio-${revision}`;
      names.set(`${namespace}/${name}`, { namespace, name });
    }
    const items: unknown[] = [];
    let refused: Refusal | undefined;
    for (const { namespace, name } of names.values()) {
      try {
        const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/${encodeURIComponent(name)}`;
        items.push(slim(await this.#client.get(path, {}, this.#signal)));
      } catch (error) {
        if (!(error instanceof ApiError || error instanceof MeshtailError)) throw error;
        if (error instanceof ApiError && error.status === 404) continue;
        const reason = error instanceof ApiError && error.status === 403 ? 'forbidden' : error.message;
        refused ??= { verb: 'get', resource: 'configmaps', reason: `${namespace}/${name}: ${reason}` };
      }
    }
    if (items.length === 0) {
      refused ??= {
        verb: 'get',
        resource: 'configmaps',
        reason: `no mesh configuration is there (${[...names.keys()].join(', ')})`,
      };
    }
    return { items, ...(refused && { refused }) };
  }
}

/** A list that was compacted away between two of its pages, a server that is busy, a connection that broke. */
const isWorthAnother = (error: unknown): boolean =>
  error instanceof ApiError
    ? [410, 429, 500, 502, 503, 504].includes(error.status)
    : error instanceof MeshtailError && error.code === 'cluster-unreachable';

const refusalOf = (
  { group, resource }: Pick<Resource, 'group' | 'resource'>,
  verb: string,
  reason: string,
): Refusal => ({ verb, resource: group === '' ? resource : `${resource}.${group}`, reason });

const nameOf = (object: unknown): PodName => ({
  namespace: String(metadataOf(object)['namespace'] ?? ''),
  name: String(metadataOf(object)['name'] ?? ''),
});

const isIstiod = (pod: unknown): boolean => {
  const labels = labelsOf(pod);
  return labels['app'] === 'istiod' || labels['istio'] === 'pilot';
};

const isRunningIstiod = (pod: unknown): boolean =>
  isIstiod(pod) && tree(tree(pod)['status'])['phase'] === 'Running' && !metadataOf(pod)['deletionTimestamp'];

/** Kept per object of what kubectl hides too: when, and not what, somebody set. What hangs on an owner needs no template. */
function slim(object: ApiObject): ApiObject {
  const metadata = metadataOf(object);
  const managers = trees(metadata['managedFields']);
  const { 'kubectl.kubernetes.io/last-applied-configuration': _, ...annotations } = tree(
    metadata['annotations'],
  );
  const owned = list(metadata['ownerReferences']).length > 0;
  const kind = object['kind'];
  const { spec, ...rest } = object;
  const bare = owned && (kind === 'ReplicaSet' || kind === 'Job');
  return {
    ...rest,
    ...(spec !== undefined && !bare && { spec: kind === 'Pod' ? withoutVolumes(tree(spec)) : spec }),
    metadata: {
      ...metadata,
      annotations,
      managedFields: managers.map(({ time, subresource }) => ({ time, subresource })),
    },
  };
}

const NOT_READ: ReadonlySet<string> = new Set(['volumes', 'affinity', 'tolerations']);

const withoutVolumes = (spec: Tree): Tree =>
  Object.fromEntries(Object.entries(spec).filter(([key]) => !NOT_READ.has(key)));
