import type { ResourceName } from '../cluster/cluster.js';
import type { Container, ContainerStatus, Pod, PodSpec, WorkloadObject } from './kube-objects.js';
import type { Labels, Selector } from './meta.js';
import { selects } from './meta.js';
import { perWorld, type World } from './world.js';

/** Pods that were made alike, with what made them where that was read. */
export interface Workload {
  /** `Deployment/shop/payments`. */
  readonly key: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly spec: PodSpec;
  /** `null`: known from its pods alone. */
  readonly object: WorkloadObject | null;
  readonly pods: readonly Pod[];
}

const MADE_BY: readonly ResourceName[] = [
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'CronJob',
  'Job',
  'ReplicaSet',
];

/** A Deployment's ReplicaSet bears its name and a hash (kubernetes: deployment_util.go, names by hash). */
const HASH = /-[bcdfghjklmnpqrstvwxz2456789]{5,10}$/;
/** A CronJob's Job bears its name and the minute. */
const MINUTE = /-\d{8,}$/;

/** What made a pod, through the objects in between where they were read, else by their names. */
function makerOf(world: World, pod: Pod): { readonly kind: string; readonly name: string } {
  const [owner] = pod.owners;
  if (!owner) return { kind: 'Pod', name: pod.name };
  if (owner.kind === 'ReplicaSet') {
    const set = world.find('ReplicaSet', pod.namespace, owner.name);
    if (set) return set.owners[0] ?? owner;
    return HASH.test(owner.name) ? { kind: 'Deployment', name: owner.name.replace(HASH, '') } : owner;
  }
  if (owner.kind === 'Job') {
    const job = world.find('Job', pod.namespace, owner.name);
    if (job) return job.owners[0] ?? owner;
    return MINUTE.test(owner.name) ? { kind: 'CronJob', name: owner.name.replace(MINUTE, '') } : owner;
  }
  return owner;
}

const FINISHED: ReadonlySet<string> = new Set(['Succeeded', 'Failed']);

/** Every workload: what makes pods, and pods that nothing made. Finished pods are left out. */
export const workloads = perWorld((world): readonly Workload[] => {
  const pods = new Map<string, Pod[]>();
  for (const pod of world.list('Pod')) {
    if (FINISHED.has(pod.phase)) continue;
    const { kind, name } = makerOf(world, pod);
    const key = `${kind}/${pod.namespace}/${name}`;
    pods.set(key, [...(pods.get(key) ?? []), pod]);
  }
  const found: Workload[] = [];
  for (const kind of MADE_BY) {
    for (const object of world.list(kind) as readonly WorkloadObject[]) {
      const key = `${kind}/${object.namespace}/${object.name}`;
      // What something else made is a part of that.
      if (object.owners.length > 0) continue;
      // A ReplicaSet without pods is a former revision.
      if (kind === 'ReplicaSet' && !pods.has(key)) continue;
      found.push({
        key,
        kind,
        namespace: object.namespace,
        name: object.name,
        labels: object.templateLabels,
        annotations: object.templateAnnotations,
        spec: object.template,
        object,
        pods: pods.get(key) ?? [],
      });
      pods.delete(key);
    }
  }
  for (const [key, some] of pods) {
    const [kind = '', namespace = '', name = ''] = key.split('/');
    const [pod] = some;
    if (!pod) continue;
    found.push({
      key,
      kind,
      namespace,
      name,
      labels: pod.labels,
      annotations: pod.annotations,
      spec: pod,
      object: null,
      pods: some,
    });
  }
  return found.toSorted((a, b) => (a.key < b.key ? -1 : 1));
});

const byPod = perWorld((world) => {
  const known = new Map<Pod, Workload>();
  for (const workload of workloads(world)) for (const pod of workload.pods) known.set(pod, workload);
  return known;
});

export const workloadOfPod = (world: World, pod: Pod): Workload | undefined => byPod(world).get(pod);

const podsByNamespace = perWorld((world) => {
  const found = new Map<string, Pod[]>();
  for (const pod of world.list('Pod')) {
    if (FINISHED.has(pod.phase)) continue;
    const some = found.get(pod.namespace);
    if (some) some.push(pod);
    else found.set(pod.namespace, [pod]);
  }
  return found;
});

/** Pods that live, of one namespace. */
export const podsIn = (world: World, namespace: string): readonly Pod[] =>
  podsByNamespace(world).get(namespace) ?? [];

export const podsSelected = (world: World, namespace: string, selector: Selector): readonly Pod[] =>
  podsIn(world, namespace).filter(({ labels }) => selects(selector, labels));

export const PROXY = 'istio-proxy';

/** The proxy's container, among the containers or, as a native sidecar, among the init containers that go on running. */
export function proxyOf(spec: PodSpec): Container | undefined {
  return (
    spec.containers.find(({ name }) => name === PROXY) ??
    spec.initContainers.find(({ name, restartPolicy }) => name === PROXY && restartPolicy === 'Always')
  );
}

export const hasProxy = (spec: PodSpec): boolean => proxyOf(spec) !== undefined;

export const proxyStatus = (pod: Pod): ContainerStatus | undefined =>
  pod.statuses.find(({ name }) => name === PROXY);

/** A gateway, waypoint or ztunnel: a proxy without an app beside it. */
export const isProxyOnly = (spec: PodSpec): boolean =>
  hasProxy(spec) && spec.containers.every(({ name }) => name === PROXY);

export const isSidecar = (spec: PodSpec): boolean => hasProxy(spec) && !isProxyOnly(spec);

/** Ambient mode: the label of the pod goes before that of the namespace. */
export function isAmbient(world: World, pod: Pick<Pod, 'namespace' | 'labels'>): boolean {
  const mode =
    pod.labels.get('istio.io/dataplane-mode') ??
    world.find('Namespace', '', pod.namespace)?.labels.get('istio.io/dataplane-mode');
  return mode === 'ambient';
}

/** The pods of a control plane. */
export const isControlPlane = (labels: Labels): boolean =>
  labels.get('app') === 'istiod' || labels.get('istio') === 'pilot';

export const isRunning = (pod: Pod): boolean => pod.phase === 'Running' && !pod.deleting;

/** The app's containers. */
export const appContainers = (spec: PodSpec): readonly Container[] =>
  spec.containers.filter(({ name }) => name !== PROXY);
