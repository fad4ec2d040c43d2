import type { ApiObject } from './client.js';
import type { Resource } from './cluster.js';
import { workloadOf, type Pod } from './pods.js';
import { labelsOf, list, metadataOf, strings, text, tree, type Tree } from './untyped.js';

/** Something of the cluster that was changed, or that happened. */
export interface Change {
  /** ms since the Unix epoch; objects carry whole seconds. */
  readonly at: number;
  readonly kind: 'rollout' | 'restart' | 'scale' | 'config' | 'node' | 'other';
  /** A few words with its name: `payments rev 42`, `payments-6d5f-k9x2q restarted (OOMKilled)`, `VirtualService shop/payments`. */
  readonly text: string;
  readonly about: ChangeSubject;
}

/** Whom a change concerns: all that is stated must hold, and what is not stated holds for everybody. */
export interface ChangeSubject {
  /** `null`: everywhere. */
  readonly namespace: string | null;
  /** `Deployment/payments`. */
  readonly workload?: string;
  readonly pod?: string;
  readonly node?: string;
  /** Hosts as written, short names made whole: `payments.shop`, `*.example.com`. */
  readonly hosts?: readonly string[];
  /** Labels of the pods that it is about, by which services find them. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Labels that it selects pods by. */
  readonly selector?: Readonly<Record<string, string>>;
}

const time = (value: unknown): number => Date.parse(text(value));

const REVISION = 'deployment.kubernetes.io/revision';
/** Revisions that a ReplicaSet had before: it was rolled back to (kubernetes 1.36 pkg/controller/deployment/util/deployment_util.go). */
const REVISION_HISTORY = 'deployment.kubernetes.io/revision-history';

export interface Rollout {
  readonly namespace: string;
  readonly replicaSet: string;
  readonly deployment: string;
  readonly revision: number;
  /** Of its pods. */
  readonly labels: Readonly<Record<string, string>>;
  /** When it became the Deployment's newest; `null` for one that was rolled back to: its creation is not that. */
  readonly at: number | null;
}

/** The revision of a Deployment that a ReplicaSet stands for; `null`: it belongs to none. */
export function rolloutOf(object: ApiObject): Rollout | null {
  const metadata = metadataOf(object);
  const owner = list(metadata['ownerReferences'])
    .map(tree)
    .find(({ kind }) => kind === 'Deployment');
  const annotations = tree(metadata['annotations']);
  const revision = Number(annotations[REVISION] ?? NaN);
  if (!owner || !Number.isFinite(revision)) return null;
  return {
    namespace: text(metadata['namespace']),
    replicaSet: text(metadata['name']),
    deployment: text(owner['name']),
    revision,
    labels: labelsOf(tree(object['spec'])['template']),
    at: annotations[REVISION_HISTORY] === undefined ? time(metadata['creationTimestamp']) : null,
  };
}

export const rolloutChange = ({ namespace, deployment, revision, labels }: Rollout, at: number): Change => ({
  at,
  kind: 'rollout',
  text: `${deployment} rev ${revision}`,
  about: { namespace, workload: `Deployment/${deployment}`, labels },
});

/**
 * The template that a pod was made from, for workloads whose revisions cannot be listed: a rollout shows in its first pod,
 * but so do pods that were all made anew. `null`: made from none.
 */
export function templateOf(pod: Pod): { readonly key: string; readonly change: Change } | null {
  const hash = pod.labels['pod-template-hash'] ?? pod.labels['controller-revision-hash'];
  if (hash === undefined) return null;
  const { kind, name } = workloadOf(pod);
  return {
    key: `${pod.namespace}/${kind}/${name}/${hash}`,
    change: {
      at: pod.createdAt,
      kind: 'rollout',
      text: `${name} new pods (template ${hash.slice(hash.lastIndexOf('-') + 1)})`,
      about: { namespace: pod.namespace, workload: `${kind}/${name}`, labels: pod.labels },
    },
  };
}

/** Instances that ended before the present ones. */
export function restartsOf(pod: Pod): readonly Change[] {
  return pod.containers.flatMap(({ name, lastEnd }) =>
    lastEnd === null
      ? []
      : [
          {
            at: lastEnd.at,
            kind: 'restart' as const,
            text: `${pod.name} ${name} restarted (${lastEnd.reason || `exit ${lastEnd.exitCode}`})`,
            about: aboutPod(pod),
          },
        ],
  );
}

const aboutPod = (pod: Pod): ChangeSubject => {
  const { kind, name } = workloadOf(pod);
  return { namespace: pod.namespace, workload: `${kind}/${name}`, pod: pod.name, labels: pod.labels };
};

/** Reasons of normal Events that change what answers; Warnings all count. kubernetes 1.36 pkg/kubelet/events, pkg/controller. */
const TELLING: ReadonlySet<string> = new Set([
  'Killing',
  'Preempted',
  'Evicted',
  'NodeNotReady',
  'RegisteredNode',
  'NodeSchedulable',
  'NodeNotSchedulable',
  'Rebooted',
  'ScalingReplicaSet',
  'SuccessfulRescale',
  'TaintManagerEviction',
]);
/** What a rollout says of itself is in its revision already. */
const ROLLING = /^Scaled (?:up|down) replica set /;

/** What an Event tells of a pod, a workload or a node; `null`: nothing that matters to requests. */
export function eventChange(object: ApiObject): Change | null {
  const event = tree(object);
  const involved = tree(event['involvedObject']);
  const reason = text(event['reason']);
  const kind = text(involved['kind']);
  const name = text(involved['name']);
  if (event['type'] !== 'Warning' && !TELLING.has(reason)) return null;
  const message = text(event['message']);
  if (kind === 'Deployment' && ROLLING.test(message)) return null;
  const at = [event['lastTimestamp'], event['eventTime'], event['firstTimestamp']]
    .map(time)
    .find(Number.isFinite);
  if (at === undefined || name === '') return null;
  const namespace = text(involved['namespace']);
  const about: ChangeSubject =
    kind === 'Node'
      ? { namespace: null, node: name }
      : kind === 'Pod'
        ? { namespace, pod: name }
        : { namespace, workload: `${kind}/${name}` };
  return {
    at,
    kind: kind === 'Node' ? 'node' : /Rescale|Scaling/.test(reason) ? 'scale' : 'other',
    text: `${name} ${reason}${reason === 'Unhealthy' ? ` (${message.split(':')[0]!.slice(0, 40)})` : ''}`,
    about,
  };
}

/**
 * The last time that somebody changed what an object asks for: what controllers write into its status does not count.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
 */
function changedAt(metadata: Tree): number {
  const times = list(metadata['managedFields'])
    .map(tree)
    .filter(({ subresource }) => subresource !== 'status')
    .map((entry) => time(entry['time']))
    .filter(Number.isFinite);
  return times.length > 0 ? Math.max(...times) : time(metadata['creationTimestamp']);
}

/** An object that steers traffic, as of its last change. `key` is the same for the same state of it. */
export function configChange(
  object: ApiObject,
  resource: Resource,
  rootNamespace: string,
): { readonly key: string; readonly change: Change } {
  const metadata = metadataOf(object);
  const namespace = text(metadata['namespace']);
  const generation = Number(metadata['generation'] ?? 0);
  const name = `${resource.kind} ${namespace}/${text(metadata['name'])}`;
  return {
    key: `${resource.group}/${name}/${text(metadata['uid'])}/${generation || text(metadata['resourceVersion'])}`,
    change: {
      at: changedAt(metadata),
      kind: 'config',
      text: `${name} ${generation === 1 ? 'created' : 'changed'}`,
      about: subjectOf(object, resource, namespace, rootNamespace),
    },
  };
}

/** The same object, gone since `at`. */
export function configGone(
  object: ApiObject,
  resource: Resource,
  rootNamespace: string,
  at: number,
): { readonly key: string; readonly change: Change } {
  const { key, change } = configChange(object, resource, rootNamespace);
  const text = change.text.replace(/ \w+$/, ' deleted');
  return { key: `${key}/deleted`, change: { ...change, at, text } };
}

/** Kinds that act on whoever calls their hosts, wherever the object lies. */
const BY_HOST: ReadonlySet<string> = new Set(['VirtualService', 'DestinationRule', 'ServiceEntry']);

function subjectOf(
  object: ApiObject,
  { kind, group }: Resource,
  namespace: string,
  rootNamespace: string,
): ChangeSubject {
  const spec = tree(object['spec']);
  if (kind === 'Gateway' && group === 'gateway.networking.k8s.io') {
    const name = text(metadataOf(object)['name']);
    return { namespace, selector: { 'gateway.networking.k8s.io/gateway-name': name } };
  }
  if (BY_HOST.has(kind)) {
    const hosts = [...list(spec['hosts']), spec['host']].map(text).filter((host) => host !== '');
    return {
      namespace: null,
      hosts: [...hosts, ...destinationsOf(spec)].map((host) => wholeHost(host, namespace)),
    };
  }
  if (kind === 'HTTPRoute' || kind === 'GRPCRoute') {
    return { namespace: null, hosts: backendsOf(spec, namespace) };
  }
  const selector =
    labelsIn(tree(spec['selector'])['matchLabels']) ??
    labelsIn(tree(spec['workloadSelector'])['labels']) ??
    (kind === 'Gateway' ? labelsIn(spec['selector']) : undefined);
  // Gateways select pods in every namespace, and what lies in the root namespace is meant for all.
  const everywhere = namespace === rootNamespace || kind === 'Gateway';
  return { namespace: everywhere ? null : namespace, ...(selector && { selector }) };
}

function labelsIn(value: unknown): Readonly<Record<string, string>> | undefined {
  const labels = strings(value);
  return Object.keys(labels).length === 0 ? undefined : labels;
}

/** `payments` in shop, `payments.shop`, `payments.shop.svc.cluster.local` are one; other hosts stay. */
function wholeHost(host: string, namespace: string): string {
  if (host.includes('*')) return host;
  const [name, space, svc] = host.split('.');
  if (space === undefined) return `${name}.${namespace}`;
  return svc === 'svc' ? `${name}.${space}` : host;
}

/** Where a VirtualService sends what it matches. */
function destinationsOf(spec: Tree): readonly string[] {
  return ['http', 'tcp', 'tls'].flatMap((protocol) =>
    list(spec[protocol])
      .flatMap((rule) => list(tree(rule)['route']))
      .map((route) => text(tree(tree(route)['destination'])['host']))
      .filter((host) => host !== ''),
  );
}

function backendsOf(spec: Tree, namespace: string): readonly string[] {
  const backends = list(spec['rules'])
    .flatMap((rule) => list(tree(rule)['backendRefs']))
    .map(tree);
  const services = backends.map((ref) => `${text(ref['name'])}.${text(ref['namespace']) || namespace}`);
  return [...list(spec['hostnames']).map(text), ...services];
}

/** Changes by what they are about, so that each stands there once however often it is seen; the oldest give way. */
export class Changes {
  readonly #byKey = new Map<string, Change>();

  constructor(readonly limit = 5_000) {}

  get all(): readonly Change[] {
    return [...this.#byKey.values()];
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  /** When it was; `undefined`: it is not among them. */
  at(key: string): number | undefined {
    return this.#byKey.get(key)?.at;
  }

  /** Of two with one key the later call's stays. */
  set(key: string, change: Change): void {
    if (!Number.isFinite(change.at)) return;
    this.#byKey.delete(key);
    this.#byKey.set(key, change);
    if (this.#byKey.size > this.limit) {
      const [oldest] = this.#byKey.keys();
      this.#byKey.delete(oldest!);
    }
  }

  /** Keeps the earlier of two. */
  first(key: string, change: Change): void {
    const known = this.#byKey.get(key);
    if (!known || change.at < known.at) this.set(key, change);
  }

  forget(key: string): void {
    this.#byKey.delete(key);
  }
}
