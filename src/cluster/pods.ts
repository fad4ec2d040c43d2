import type { ApiObject } from './client.js';
import { labelsOf, metadataOf, strings, text, tree, trees, type Tree } from './untyped.js';

/*
 * Pods as far as meshtail asks: whose they are, where they run, which of their containers is the proxy, and what became of
 * it. Labels and annotations: Istio 1.31 pkg/kube/inject and Gateway API 1.5.
 */

export interface Owner {
  readonly kind: string;
  readonly name: string;
}

export interface ContainerState {
  readonly name: string;
  /** An init container that stays (`restartPolicy: Always`): how native sidecars run. */
  readonly native: boolean;
  readonly state: 'waiting' | 'running' | 'terminated' | 'unknown';
  /** `ContainerCreating`, `CrashLoopBackOff`, `OOMKilled`… */
  readonly reason: string;
  readonly ready: boolean;
  readonly restarts: number;
  /** ms since the Unix epoch. */
  readonly startedAt: number | null;
  /** How the instance before ended. */
  readonly lastEnd: { readonly at: number; readonly reason: string; readonly exitCode: number } | null;
}

export interface Pod {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly node: string;
  readonly ip: string;
  /** All of its addresses: with two families it has two. */
  readonly ips: readonly string[];
  /** The node's address, which a pod in the node's network has itself. */
  readonly hostIp: string;
  readonly hostNetwork: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly phase: string;
  readonly ready: boolean;
  readonly createdAt: number;
  /** When deletion was asked for; `null`: it was not. */
  readonly deletedAt: number | null;
  /** When its last container ended for good, after which its address may be another's; `null`: it lives. */
  readonly endedAt: number | null;
  /** The object that made it. */
  readonly owner: Owner | null;
  readonly containers: readonly ContainerState[];
}

const time = (value: unknown): number | null => {
  const at = Date.parse(text(value));
  return Number.isNaN(at) ? null : at;
};

/** @param object a v1 Pod */
export function podOf(object: ApiObject): Pod {
  const metadata = metadataOf(object);
  const spec = tree(object['spec']);
  const status = tree(object['status']);
  const owner = trees(metadata['ownerReferences']).find(({ controller }) => controller === true);
  const natives = trees(spec['initContainers']).filter(({ restartPolicy }) => restartPolicy === 'Always');
  const statuses = new Map(
    [...trees(status['containerStatuses']), ...trees(status['initContainerStatuses'])].map((one) => [
      text(one['name']),
      one,
    ]),
  );
  const container = (native: boolean) => (one: Tree) => {
    const name = text(one['name']);
    return stateOf(name, native, statuses.get(name) ?? {});
  };
  const phase = text(status['phase']);
  return {
    name: text(metadata['name']),
    namespace: text(metadata['namespace']),
    uid: text(metadata['uid']),
    node: text(spec['nodeName']),
    ip: text(status['podIP']),
    ips: addressesOf(status),
    hostIp: text(status['hostIP']),
    hostNetwork: spec['hostNetwork'] === true,
    labels: labelsOf(object),
    annotations: strings(metadata['annotations']),
    phase,
    ready: trees(status['conditions']).some((one) => one['type'] === 'Ready' && one['status'] === 'True'),
    createdAt: time(metadata['creationTimestamp']) ?? 0,
    deletedAt: time(metadata['deletionTimestamp']),
    endedAt: phase === 'Succeeded' || phase === 'Failed' ? lastEndOf([...statuses.values()]) : null,
    owner: owner ? { kind: text(owner['kind']), name: text(owner['name']) } : null,
    containers: [...trees(spec['containers']).map(container(false)), ...natives.map(container(true))],
  };
}

function addressesOf(status: Tree): readonly string[] {
  const all = trees(status['podIPs']).map(({ ip }) => text(ip));
  return [...new Set([text(status['podIP']), ...all])].filter((ip) => ip !== '');
}

/** 0 where no container says when it ended: an evicted pod has no container statuses. */
function lastEndOf(statuses: readonly Tree[]): number {
  return Math.max(
    0,
    ...statuses.map(({ state }) => time(tree(tree(state)['terminated'])['finishedAt']) ?? 0),
  );
}

function stateOf(name: string, native: boolean, status: Tree): ContainerState {
  const states = tree(status['state']);
  const state = (['running', 'waiting', 'terminated'] as const).find((one) => states[one] !== undefined);
  const now = tree(state && states[state]);
  const before = tree(tree(status['lastState'])['terminated']);
  const endedAt = time(before['finishedAt']);
  return {
    name,
    native,
    state: state ?? 'unknown',
    reason: text(now['reason']),
    ready: status['ready'] === true,
    restarts: Number(status['restartCount'] ?? 0),
    startedAt: time(now['startedAt']),
    lastEnd:
      endedAt === null
        ? null
        : { at: endedAt, reason: text(before['reason']), exitCode: Number(before['exitCode'] ?? 0) },
  };
}

/**
 * The workload that a pod belongs to, by the chain of its owners. ReplicaSets and Jobs of CronJobs carry their owner's name
 * and a suffix (kubernetes 1.36 pkg/controller/deployment/sync.go, pkg/controller/cronjob/utils.go), so that nobody has to
 * be asked who owns them.
 */
export function workloadOf({ owner, labels, name }: Pick<Pod, 'owner' | 'labels' | 'name'>): Owner {
  if (!owner) return { kind: 'Pod', name };
  const hash = labels['pod-template-hash'];
  if (owner.kind === 'ReplicaSet' && hash && owner.name.endsWith(`-${hash}`)) {
    return { kind: 'Deployment', name: owner.name.slice(0, -hash.length - 1) };
  }
  // Minutes since the epoch of the scheduled time: eight digits until the year 2160.
  const scheduled = owner.kind === 'Job' ? /^(.+)-\d{8}$/.exec(owner.name)?.[1] : undefined;
  return scheduled === undefined ? owner : { kind: 'CronJob', name: scheduled };
}

export type ProxyKind = 'sidecar' | 'native sidecar' | 'gateway' | 'waypoint' | 'ztunnel' | 'envoy gateway';

export interface Proxy {
  readonly container: string;
  readonly kind: ProxyKind;
}

/** The container whose log holds access lines; `null`: the pod has no proxy. `override` names it (`-c`). */
export function proxyOf(pod: Pod, override?: string): Proxy | null {
  const { containers, labels } = pod;
  if (override !== undefined) {
    const named = containers.find(({ name }) => name === override);
    return named ? { container: override, kind: kindOf(pod, named) } : null;
  }
  const istio = containers.find(({ name }) => name === 'istio-proxy');
  if (istio) return { container: istio.name, kind: kindOf(pod, istio) };
  const envoyGateway = labels['app.kubernetes.io/managed-by'] === 'envoy-gateway';
  const envoy = envoyGateway ? containers.find(({ name }) => name === 'envoy') : undefined;
  return envoy ? { container: envoy.name, kind: 'envoy gateway' } : null;
}

function kindOf({ labels, containers }: Pod, { native }: ContainerState): ProxyKind {
  if (labels['app'] === 'ztunnel') return 'ztunnel';
  const manager = labels['gateway.istio.io/managed'] ?? '';
  if (manager.includes('mesh-controller')) return 'waypoint';
  if (labels['gateway.networking.k8s.io/gateway-name'] !== undefined || manager !== '') return 'gateway';
  if (native) return 'native sidecar';
  return containers.length === 1 ? 'gateway' : 'sidecar';
}

/** On pods whose traffic the node's ztunnel takes. istio 1.31 pkg/config/constants: AmbientRedirection. */
export const AMBIENT = 'ambient.istio.io/redirection';
const INJECT = 'sidecar.istio.io/inject';

/** Why a pod has no proxy, as far as it says itself. */
export function whyNoProxy({ labels, annotations, hostNetwork }: Pod): string {
  if (annotations[AMBIENT] === 'enabled') return 'it is in ambient mode, and has no sidecar';
  if ((labels[INJECT] ?? annotations[INJECT]) === 'false') return `it opted out by ${INJECT}=false`;
  if (hostNetwork) return "it is in its node's network, where no sidecar is injected";
  return 'the sidecar was not injected';
}
