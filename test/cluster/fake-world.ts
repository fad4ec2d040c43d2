import { EventEmitter } from 'node:events';
import { ContainerLog } from './fake-log.js';

/*
 * What a fake API server serves: objects with resource versions, the history that watches read, and the logs of
 * containers. Objects go in and come out as copies, so that nothing changes without a resource version.
 */

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller: boolean;
}

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
  [field: string]: unknown;
}

export interface ContainerState {
  waiting?: { reason: string; message?: string };
  running?: { startedAt: string };
  terminated?: {
    containerID?: string;
    exitCode: number;
    reason: string;
    startedAt: string;
    finishedAt: string;
  };
}

export interface ContainerStatus {
  name: string;
  state: ContainerState;
  lastState: ContainerState;
  ready: boolean;
  restartCount: number;
  containerID?: string;
}

export interface PodContainer {
  name: string;
  image: string;
  restartPolicy?: string;
}

export interface Pod extends KubeObject {
  spec: { nodeName?: string; initContainers?: PodContainer[]; containers: PodContainer[] };
  status: {
    phase: string;
    podIP?: string;
    podIPs?: { ip: string }[];
    startTime?: string;
    conditions?: { type: string; status: string; reason?: string }[];
    initContainerStatuses?: ContainerStatus[];
    containerStatuses?: ContainerStatus[];
    [field: string]: unknown;
  };
}

/** Where an object is served. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Of the server itself, not by a CustomResourceDefinition: the items of a list then come without kind and apiVersion. */
  readonly builtIn: boolean;
}

function served(groupVersion: string, builtIn: boolean, kinds: string, namespaced = true): Resource[] {
  const [version = '', group = ''] = groupVersion.split('/').toReversed();
  return kinds.split(' ').map((kind) => {
    const lower = kind.toLowerCase();
    const plural = /(?:s|x|ch)$/.test(lower) ? `${lower}es` : lower.replace(/([^aeiou])y$/, '$1ie') + 's';
    return { group, version, plural, kind, namespaced, builtIn };
  });
}

const RESOURCES: readonly Resource[] = [
  ...served('v1', true, 'Namespace Node', false),
  ...served('v1', true, 'Pod Service ConfigMap Event'),
  ...served('apps/v1', true, 'Deployment ReplicaSet StatefulSet DaemonSet'),
  ...served('batch/v1', true, 'Job CronJob'),
  ...served('discovery.k8s.io/v1', true, 'EndpointSlice'),
  ...served('gateway.networking.k8s.io/v1', false, 'Gateway HTTPRoute GRPCRoute'),
  ...served('networking.istio.io/v1', false, 'VirtualService DestinationRule ServiceEntry Gateway Sidecar'),
  ...served('networking.istio.io/v1', false, 'WorkloadEntry'),
  ...served('networking.istio.io/v1alpha3', false, 'EnvoyFilter'),
  ...served('security.istio.io/v1', false, 'AuthorizationPolicy PeerAuthentication RequestAuthentication'),
  ...served('telemetry.istio.io/v1', false, 'Telemetry'),
];

/** One change, as the watches read it. `before` is null for a new object, `after` for one that is gone. */
export interface Change {
  readonly resourceVersion: number;
  readonly resource: Resource;
  readonly before: KubeObject | null;
  readonly after: KubeObject | null;
}

interface Events {
  change: [Change];
}

/** A container that is served no more, or not yet, with the kubelet's words. */
export interface NoLog {
  readonly message: string;
}

export class World extends EventEmitter<Events> {
  #resourceVersion = 1000;
  #oldest = 1000;
  #uids = 0;
  readonly #objects = new Map<string, KubeObject>();
  readonly #logs = new Map<string, ContainerLog>();
  #history: Change[] = [];
  readonly #absentGroups = new Set<string>();
  /** Wall clock, ms since the epoch. */
  readonly now: () => number;

  constructor(now: () => number = Date.now) {
    super();
    this.setMaxListeners(0);
    this.now = now;
  }

  get resourceVersion(): number {
    return this.#resourceVersion;
  }

  resources(): Resource[] {
    return RESOURCES.filter(({ group }) => !this.#absentGroups.has(group));
  }

  /** A cluster that does not have this API group's CustomResourceDefinitions. */
  withoutGroup(group: string): void {
    this.#absentGroups.add(group);
  }

  resourceOf(object: Pick<KubeObject, 'apiVersion' | 'kind'>): Resource {
    const found = RESOURCES.find(
      ({ group, version, kind }) =>
        kind === object.kind && (group === '' ? version : `${group}/${version}`) === object.apiVersion,
    );
    if (!found) throw new Error(`the fake does not serve ${object.apiVersion} ${object.kind}`);
    return found;
  }

  /** Creates the object, or replaces the one of its name. Returns it as it is stored. */
  put<T extends KubeObject>(object: T): T {
    const resource = this.resourceOf(object);
    const key = keyOf(resource, object.metadata.namespace, object.metadata.name);
    const before = this.#objects.get(key) ?? null;
    const after = structuredClone(object);
    const meta = after.metadata;
    meta.uid ??= before?.metadata.uid ?? this.#uid();
    meta.creationTimestamp ??= before?.metadata.creationTimestamp ?? this.#seconds();
    this.#store(resource, key, before, after);
    return structuredClone(after);
  }

  /** Changes the stored object of this identity by `edit`. */
  change<T extends KubeObject>(object: T, edit: (stored: T) => void): T {
    const stored = this.stored(object);
    edit(stored);
    return this.put(stored);
  }

  stored<T extends KubeObject>(object: T): T {
    const { namespace, name } = object.metadata;
    const found = this.find(this.resourceOf(object), namespace, name);
    if (!found) throw new Error(`no ${object.kind} ${namespace}/${name}`);
    return found as T;
  }

  /** The object is gone at once: no grace. */
  remove(object: KubeObject): void {
    const resource = this.resourceOf(object);
    const key = keyOf(resource, object.metadata.namespace, object.metadata.name);
    const before = this.#objects.get(key);
    if (!before) throw new Error(`no ${key}`);
    this.#store(resource, key, before, null);
  }

  find(resource: Resource, namespace: string | undefined, name: string): KubeObject | null {
    const found = this.#objects.get(keyOf(resource, namespace, name));
    return found ? structuredClone(found) : null;
  }

  /** In the order of a list: by namespace, then name. '' for the namespace: all of them. */
  list(resource: Resource, namespace: string): KubeObject[] {
    const prefix = keyOf(resource, namespace, '');
    return [...this.#objects]
      .filter(([key]) => key.startsWith(prefix))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([, object]) => structuredClone(object));
  }

  /** The changes after a resource version, or null where they are known no more. */
  since(resourceVersion: number): Change[] | null {
    if (resourceVersion < this.#oldest) return null;
    return this.#history.filter((change) => change.resourceVersion > resourceVersion);
  }

  /** Forgets what was before now, as etcd's compaction does: older resource versions and lists begun before get 410. */
  compact(): void {
    this.#history = [];
    this.#oldest = this.#resourceVersion;
  }

  get oldest(): number {
    return this.#oldest;
  }

  // ---- pods

  /** A pending pod is scheduled and all of its containers run; init containers that are no sidecars have completed. */
  run(pod: Pod): Pod {
    return this.change(pod, (stored) => {
      stored.spec.nodeName ??= 'node-1';
      const startedAt = this.#seconds();
      const running = (name: string): ContainerStatus => ({
        name,
        state: { running: { startedAt } },
        lastState: {},
        ready: true,
        restartCount: 0,
        containerID: this.#containerId(),
      });
      stored.status.phase = 'Running';
      stored.status.startTime ??= startedAt;
      stored.status.containerStatuses = stored.spec.containers.map(({ name }) => running(name));
      stored.status.initContainerStatuses = (stored.spec.initContainers ?? []).map((container) => {
        const status = running(container.name);
        if (container.restartPolicy === 'Always') return status;
        const { containerID } = status;
        const ended = { exitCode: 0, reason: 'Completed', startedAt, finishedAt: startedAt };
        return { ...status, state: { terminated: { ...ended, containerID: containerID! } } };
      });
      stored.status.conditions = [{ type: 'Ready', status: 'True' }];
    });
  }

  /** All of the pod's containers wait, for this reason: no log can be had. */
  wait(pod: Pod, reason: string): Pod {
    return this.change(pod, (stored) => {
      stored.spec.nodeName ??= 'node-1';
      const waiting = ({ name }: PodContainer): ContainerStatus => ({
        name,
        state: { waiting: { reason } },
        lastState: {},
        ready: false,
        restartCount: 0,
      });
      stored.status.containerStatuses = stored.spec.containers.map(waiting);
      stored.status.initContainerStatuses = (stored.spec.initContainers ?? []).map(waiting);
    });
  }

  /** Begins the pod's end: it is not ready, and still writes. `remove` follows when the test says so. */
  terminate(pod: Pod, graceSeconds = 30): Pod {
    return this.change(pod, (stored) => {
      stored.metadata.deletionTimestamp = this.#seconds(graceSeconds);
      stored.metadata.deletionGracePeriodSeconds = graceSeconds;
      stored.status.conditions = [{ type: 'Ready', status: 'False' }];
    });
  }

  /** The container ends; its log can be read until the next instance starts, and as `previous` from then on. */
  endContainer(pod: Pod, container: string, exitCode = 137): Pod {
    return this.#changeContainer(pod, container, (status) => {
      status.ready = false;
      status.state = {
        terminated: {
          containerID: status.containerID!,
          exitCode,
          reason: exitCode === 0 ? 'Completed' : 'Error',
          startedAt: status.state.running?.startedAt ?? this.#seconds(),
          finishedAt: this.#seconds(),
        },
      };
    });
  }

  /** After `endContainer`: the next instance waits, as in CrashLoopBackOff. The log is still that of the ended one. */
  backOff(pod: Pod, container: string, reason = 'CrashLoopBackOff'): Pod {
    return this.#changeContainer(pod, container, (status) => {
      status.lastState = status.state;
      status.state = { waiting: { reason } };
    });
  }

  /** After `endContainer`, or `backOff`: the next instance runs, with a log of its own. */
  startContainer(pod: Pod, container: string): Pod {
    return this.#changeContainer(pod, container, (status) => {
      // A kubelet keeps one ended instance, whatever came before is deleted.
      const before = status.lastState.terminated?.containerID;
      if (status.state.terminated) {
        if (before) this.#logs.delete(before);
        status.lastState = status.state;
      }
      status.state = { running: { startedAt: this.#seconds() } };
      status.ready = true;
      status.restartCount++;
      status.containerID = this.#containerId();
    });
  }

  /** The log of the container's present instance, to write to. */
  log(pod: Pod, container: string): ContainerLog {
    const found = this.logOf(this.stored(pod), container, false);
    if (!(found instanceof ContainerLog)) throw new Error(found.message);
    return found;
  }

  /** The log that a kubelet would serve for this status, or its words why there is none. */
  logOf(pod: Pod, container: string, previous: boolean): ContainerLog | NoLog {
    const id = instanceOf(pod, container, previous);
    if (typeof id !== 'string') return id;
    let log = this.#logs.get(id);
    if (!log) this.#logs.set(id, (log = new ContainerLog()));
    return log;
  }

  /** Whether this pod's present container still writes to this log. */
  isWriting(pod: Pod, container: string, log: ContainerLog): boolean {
    const { namespace, name, uid } = pod.metadata;
    const stored = this.#objects.get(keyOf(this.resourceOf(pod), namespace, name)) as Pod | undefined;
    if (stored?.metadata.uid !== uid) return false;
    const status = statusOf(stored!, container);
    return status?.state.running !== undefined && this.#logs.get(status.containerID ?? '') === log;
  }

  #changeContainer(pod: Pod, container: string, edit: (status: ContainerStatus) => void): Pod {
    return this.change(pod, (stored) => {
      const status = statusOf(stored, container);
      if (!status) throw new Error(`no container ${container} in the status of ${pod.metadata.name}`);
      edit(status);
    });
  }

  #store(resource: Resource, key: string, before: KubeObject | null, after: KubeObject | null): void {
    const resourceVersion = ++this.#resourceVersion;
    if (after) {
      after.metadata.resourceVersion = `${resourceVersion}`;
      this.#objects.set(key, after);
    } else this.#objects.delete(key);
    const change = { resourceVersion, resource, before, after };
    this.#history.push(change);
    this.emit('change', change);
  }

  #uid(): string {
    return `00000000-0000-4000-8000-${(++this.#uids).toString(16).padStart(12, '0')}`;
  }

  #containerId(): string {
    return `containerd://${(++this.#uids).toString(16).padStart(64, '0')}`;
  }

  #seconds(later = 0): string {
    return new Date(this.now() + later * 1000).toISOString().replace(/\.\d+/, '');
  }
}

function keyOf(resource: Resource, namespace: string | undefined, name: string): string {
  const kind = `${resource.group}/${resource.plural}/`;
  if (!resource.namespaced) return kind + name;
  return namespace === '' ? kind : `${kind}${namespace}/${name}`;
}

export function statusOf(pod: Pod, container: string): ContainerStatus | undefined {
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status;
  return [...containerStatuses, ...initContainerStatuses].find(({ name }) => name === container);
}

/**
 * The id of the instance whose log a kubelet serves. The order of the cases, and the words, are those of
 * validateContainerLogStatus in pkg/kubelet/kubelet_pods.go of Kubernetes.
 */
function instanceOf(pod: Pod, container: string, previous: boolean): string | NoLog {
  const of = `container "${container}" in pod "${pod.metadata.name}"`;
  const status = statusOf(pod, container);
  if (!status) return { message: `${of} is not available` };
  const { state, lastState } = status;
  if (previous) {
    return lastState.terminated?.containerID ?? { message: `previous terminated ${of} not found` };
  }
  if (state.running) return status.containerID!;
  const terminated = state.terminated ?? lastState.terminated;
  if (terminated) return terminated.containerID ?? { message: `${of} is terminated` };
  const reason = state.waiting?.reason;
  if (reason === undefined) return { message: `${of} is waiting to start - no logs yet` };
  const words: Readonly<Record<string, string>> = {
    ErrImagePull: "image can't be pulled",
    ImagePullBackOff: 'trying and failing to pull image',
  };
  return { message: `${of} is waiting to start: ${words[reason] ?? reason}` };
}
