import type { KubeObject, OwnerReference, Pod, PodContainer, World } from './fake-world.js';

/*
 * Objects as Istio and the controllers of Kubernetes write them, with what tells them apart and little else. Put into a
 * World they are pending; `World.run` starts them.
 */

/** Where a pod's proxy is, if it has one. */
export type Proxy = 'sidecar' | 'native-sidecar' | 'none';

export interface PodShape {
  readonly name: string;
  readonly namespace?: string;
  readonly proxy?: Proxy;
  /** The label `app`, and the name of the application's container; the pod's name where not given. */
  readonly app?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly owner?: KubeObject;
  readonly node?: string;
  readonly ip?: string;
}

const PROXY: PodContainer = { name: 'istio-proxy', image: 'docker.io/istio/proxyv2:1.27.3' };
const INIT: PodContainer = { name: 'istio-init', image: PROXY.image };

export function pod(shape: PodShape): Pod {
  const { name, namespace = 'shop', proxy = 'sidecar', app = name, owner, node, ip } = shape;
  const application = { name: app, image: `registry.example/${app}:v1` };
  const native = { ...PROXY, restartPolicy: 'Always' };
  const containers = proxy === 'sidecar' ? [application, PROXY] : [application];
  const initContainers = proxy === 'sidecar' ? [INIT] : proxy === 'native-sidecar' ? [INIT, native] : [];
  const labels = { app, ...(proxy !== 'none' && injectedLabels(app)), ...shape.labels };
  const annotations = { ...(proxy !== 'none' && injectedAnnotations(proxy, app)), ...shape.annotations };
  return podOf({ name, namespace, labels, annotations, owner, node, ip, containers, initContainers });
}

function injectedLabels(app: string): Record<string, string> {
  return {
    'security.istio.io/tlsMode': 'istio',
    'service.istio.io/canonical-name': app,
    'service.istio.io/canonical-revision': 'v1',
  };
}

function injectedAnnotations(proxy: Proxy, app: string): Record<string, string> {
  const native = proxy === 'native-sidecar';
  const status = {
    initContainers: native ? ['istio-init', 'istio-proxy'] : ['istio-init'],
    containers: native ? [] : ['istio-proxy'],
    volumes: ['istio-envoy', 'istio-data'],
    revision: 'default',
  };
  return {
    'istio.io/rev': 'default',
    'kubectl.kubernetes.io/default-container': app,
    'sidecar.istio.io/status': JSON.stringify(status),
  };
}

/** One of the DaemonSet's: its proxy container has the sidecar's name, and another format. */
export function ztunnelPod(name: string, node: string): Pod {
  const labels = { app: 'ztunnel' };
  return podOf({ name, namespace: 'istio-system', labels, node, containers: [PROXY] });
}

/** Of the Helm chart: no Gateway API. */
export function ingressGatewayPod(name: string, owner?: KubeObject): Pod {
  const labels = { app: 'istio-ingressgateway', istio: 'ingressgateway' };
  return podOf({ name, namespace: 'istio-system', labels, owner, containers: [PROXY] });
}

/** Deployed by Istio for a Gateway of class `istio`, or `istio-waypoint`. */
export function gatewayPod(
  name: string,
  gateway: string,
  how: { readonly namespace?: string; readonly className?: string; readonly owner?: KubeObject } = {},
): Pod {
  const { namespace = 'shop', className = 'istio', owner } = how;
  const waypoint = className === 'istio-waypoint';
  const controller = waypoint ? 'istio.io-mesh-controller' : 'istio.io-gateway-controller';
  const labels = {
    'gateway.networking.k8s.io/gateway-name': gateway,
    'gateway.networking.k8s.io/gateway-class-name': className,
    'gateway.istio.io/managed': controller,
    'istio.io/dataplane-mode': 'none',
    ...(waypoint && { 'sidecar.istio.io/inject': 'false' }),
  };
  return podOf({ name, namespace, labels, owner, containers: [PROXY] });
}

/** Envoy Gateway's: another container name. */
export function envoyGatewayPod(name: string, gateway: string, namespace = 'shop'): Pod {
  const labels = {
    'app.kubernetes.io/name': 'envoy',
    'app.kubernetes.io/component': 'proxy',
    'app.kubernetes.io/managed-by': 'envoy-gateway',
    'gateway.envoyproxy.io/owning-gateway-name': gateway,
    'gateway.envoyproxy.io/owning-gateway-namespace': namespace,
  };
  const envoy = { name: 'envoy', image: 'docker.io/envoyproxy/envoy:distroless-v1.35.0' };
  const manager = { name: 'shutdown-manager', image: 'docker.io/envoyproxy/gateway:v1.5.0' };
  return podOf({ name, namespace: 'envoy-gateway-system', labels, containers: [envoy, manager] });
}

interface PodParts {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly owner?: KubeObject | undefined;
  readonly node?: string | undefined;
  readonly ip?: string | undefined;
  readonly containers: PodContainer[];
  readonly initContainers?: PodContainer[];
}

function podOf(parts: PodParts): Pod {
  const {
    name,
    namespace,
    labels,
    annotations = {},
    owner,
    node,
    ip,
    containers,
    initContainers = [],
  } = parts;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels, annotations, ...(owner && { ownerReferences: [ownedBy(owner)] }) },
    spec: {
      ...(node && { nodeName: node }),
      ...(initContainers.length > 0 && { initContainers }),
      containers,
    },
    status: { phase: 'Pending', ...(ip && { podIP: ip, podIPs: [{ ip }] }) },
  };
}

export function ownedBy({ apiVersion, kind, metadata: { name, uid } }: KubeObject): OwnerReference {
  if (uid === undefined) throw new Error(`${kind} ${name} is in no world yet`);
  return { apiVersion, kind, name, uid, controller: true };
}

/** A namespace, a Deployment, a Job and so on: `object('apps/v1', 'Deployment', 'payments', { spec })`. */
export function object(
  apiVersion: string,
  kind: string,
  name: string,
  more: {
    readonly namespace?: string | null;
    readonly labels?: Record<string, string>;
    readonly owner?: KubeObject;
    readonly spec?: Record<string, unknown>;
    readonly [field: string]: unknown;
  } = {},
): KubeObject {
  const { namespace = 'shop', labels, owner, ...rest } = more;
  const metadata = {
    name,
    ...(namespace !== null && { namespace }),
    ...(labels && { labels }),
    ...(owner && { ownerReferences: [ownedBy(owner)] }),
  };
  return { apiVersion, kind, metadata, ...rest };
}

/** The characters that Kubernetes makes names of, so that no word comes out; here in the order of their codes. */
const NAME_CHARACTERS = '2456789bcdfghjklmnpqrstvwxz';

function suffix(index: number, length: number): string {
  let text = '';
  for (let left = index; text.length < length; left = Math.floor(left / NAME_CHARACTERS.length)) {
    text = NAME_CHARACTERS[left % NAME_CHARACTERS.length] + text;
  }
  return text;
}

/** A Deployment whose pods run, and its rollouts one step at a time. */
export class Deployed {
  readonly #world: World;
  readonly #shape: Omit<PodShape, 'name' | 'owner'> & { readonly app: string };
  readonly deployment: KubeObject;
  #revision = 0;
  #pods = 0;
  /** The newest ReplicaSet. */
  replicaSet: KubeObject;

  constructor(world: World, name: string, replicas: number, shape: Omit<PodShape, 'name' | 'owner'> = {}) {
    this.#world = world;
    this.#shape = { app: name, ...shape };
    this.deployment = world.put(
      object('apps/v1', 'Deployment', name, {
        namespace: shape.namespace ?? 'shop',
        spec: { replicas, selector: { matchLabels: { app: this.#shape.app } } },
      }),
    );
    this.replicaSet = this.roll();
    for (let started = 0; started < replicas; started++) this.startPod();
  }

  /** A new ReplicaSet, to which `startPod` adds from now on. */
  roll(): KubeObject {
    const revision = ++this.#revision;
    const { name, namespace } = this.deployment.metadata;
    const hash = `6d5f9c7b${suffix(revision, 2)}`;
    const replicaSet = object('apps/v1', 'ReplicaSet', `${name}-${hash}`, {
      namespace: namespace!,
      labels: { app: this.#shape.app, 'pod-template-hash': hash },
      owner: this.deployment,
    });
    replicaSet.metadata.annotations = { 'deployment.kubernetes.io/revision': `${revision}` };
    this.replicaSet = this.#world.put(replicaSet);
    return this.replicaSet;
  }

  /** Another pod of the newest ReplicaSet, running. */
  startPod(): Pod {
    const index = ++this.#pods;
    const { name, labels } = this.replicaSet.metadata;
    return this.#world.run(
      this.#world.put(
        pod({
          node: `node-${1 + (index % 3)}`,
          ip: `10.0.${index >> 8}.${index & 255}`,
          ...this.#shape,
          name: `${name}-${suffix(index, 5)}`,
          labels: { ...labels, ...this.#shape.labels },
          owner: this.replicaSet,
        }),
      ),
    );
  }

  /** The deployment's pods that are there, terminating ones too, the oldest first. */
  pods(): Pod[] {
    const { app, namespace = 'shop' } = this.#shape;
    return this.#world
      .list(this.#world.resourceOf({ apiVersion: 'v1', kind: 'Pod' }), namespace)
      .filter(({ metadata }) => metadata.labels?.['app'] === app) as Pod[];
  }
}
