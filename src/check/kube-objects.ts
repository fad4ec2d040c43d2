import type { Field } from './field.js';
import { selectorOf, type Labels, type Meta, type Selector } from './meta.js';

/*
 * Kubernetes' own kinds, as far as checks read them. Unknown fields are left alone; defaults are those of the API server,
 * since saved objects may come from before they were applied.
 */

export type Namespace = Meta;

export interface Node extends Meta {
  /** The Ready condition; `null`: not told. */
  readonly ready: boolean | null;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly ports: readonly { readonly name: string; readonly number: number }[];
  /** Values set in place; those from ConfigMaps and Secrets are not read. */
  readonly env: Labels;
  readonly args: readonly string[];
  readonly runAsUser: number | null;
  readonly probes: readonly Probe[];
  /** An init container that goes on running. */
  readonly restartPolicy: string | null;
}

export interface Probe {
  readonly field: string;
  readonly kind: 'http' | 'tcp' | 'grpc' | 'exec';
  readonly port: number | string | null;
}

/** What a workload's template and its pods share. */
export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers: readonly Container[];
  readonly serviceAccount: string;
  readonly hostNetwork: boolean;
  readonly runAsUser: number | null;
  readonly nodeName: string | null;
}

export interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly restarts: number;
  /** `CrashLoopBackOff`, `ImagePullBackOff`; `null` where it runs. */
  readonly waiting: string | null;
  /** Why it ended last: `OOMKilled`, `Error`. */
  readonly lastTermination: {
    readonly reason: string;
    readonly exitCode: number | null;
    readonly at: number | null;
  } | null;
}

export interface Pod extends Meta, PodSpec {
  readonly phase: string;
  /** The Ready condition; `null`: not told. */
  readonly ready: boolean | null;
  readonly ip: string | null;
  readonly deleting: boolean;
  readonly statuses: readonly ContainerStatus[];
}

export interface ServicePort {
  readonly name: string;
  readonly number: number;
  readonly targetPort: number | string;
  readonly appProtocol: string | null;
  readonly transport: string;
  readonly field: string;
}

export interface Service extends Meta {
  readonly type: string;
  /** Empty: no selector, endpoints come from elsewhere. */
  readonly selector: Labels;
  readonly ports: readonly ServicePort[];
  readonly headless: boolean;
  readonly clusterIp: string | null;
  readonly externalName: string | null;
}

export interface EndpointSlice extends Meta {
  readonly service: string | null;
  readonly ports: readonly { readonly name: string; readonly number: number | null }[];
  readonly endpoints: readonly {
    readonly addresses: readonly string[];
    readonly ready: boolean;
    readonly pod: string | null;
  }[];
}

export interface ConfigMap extends Meta {
  readonly data: Labels;
}

/** Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob. */
export interface WorkloadObject extends Meta {
  readonly selector: Selector | null;
  readonly replicas: number | null;
  readonly templateLabels: Labels;
  readonly templateAnnotations: Labels;
  readonly template: PodSpec;
}

export interface NetworkPolicy extends Meta {
  readonly podSelector: Selector;
  /** `null`: it does not restrict ingress. An empty list allows nothing. */
  readonly ingress: readonly IngressRule[] | null;
}

export interface IngressRule {
  /** Empty: from anywhere. */
  readonly from: readonly {
    readonly pods: Selector | null;
    readonly namespaces: Selector | null;
    readonly cidr: string | null;
  }[];
  /** Empty: to every port. */
  readonly ports: readonly {
    readonly port: number | string | null;
    readonly endPort: number | null;
    readonly protocol: string;
  }[];
}

export interface Webhook extends Meta {
  readonly hooks: readonly {
    readonly name: string;
    readonly namespaceSelector: Selector | null;
    readonly objectSelector: Selector | null;
    readonly failurePolicy: string;
  }[];
}

export const namespaceOf = (_: Field, meta: Meta): Namespace => meta;

export function nodeOf(field: Field, meta: Meta): Node {
  return { ...meta, ready: condition(field.at('status'), 'Ready') };
}

function condition(status: Field, type: string): boolean | null {
  const found = status
    .at('conditions')
    .items()
    .find((one) => one.at('type').text() === type);
  return found ? found.at('status').text() === 'True' : null;
}

function containerOf(field: Field): Container {
  return {
    name: field.at('name').text() ?? '',
    image: field.at('image').text() ?? '',
    ports: field
      .at('ports')
      .items()
      .map((port) => ({
        name: port.at('name').text() ?? '',
        number: port.at('containerPort').number() ?? 0,
      })),
    env: new Map(
      field
        .at('env')
        .items()
        .map((one) => [one.at('name').text() ?? '', one.at('value').text() ?? '']),
    ),
    args: [...field.at('command').texts(), ...field.at('args').texts()],
    runAsUser: field.at('securityContext', 'runAsUser').number() ?? null,
    probes: ['livenessProbe', 'readinessProbe', 'startupProbe'].flatMap((name) => probeOf(field.at(name))),
    restartPolicy: field.at('restartPolicy').text() ?? null,
  };
}

function probeOf(field: Field): readonly Probe[] {
  const kinds = [
    ['http', 'httpGet'],
    ['tcp', 'tcpSocket'],
    ['grpc', 'grpc'],
    ['exec', 'exec'],
  ] as const;
  return kinds.flatMap(([kind, key]) => {
    const handler = field.at(key);
    if (!handler.present) return [];
    const port = kind === 'exec' ? null : (handler.at('port').numberOrText() ?? null);
    return [{ field: handler.path, kind, port }];
  });
}

function podSpecOf(spec: Field): PodSpec {
  return {
    containers: spec.at('containers').items().map(containerOf),
    initContainers: spec.at('initContainers').items().map(containerOf),
    serviceAccount: spec.at('serviceAccountName').text() ?? spec.at('serviceAccount').text() ?? 'default',
    hostNetwork: spec.at('hostNetwork').flag() ?? false,
    runAsUser: spec.at('securityContext', 'runAsUser').number() ?? null,
    nodeName: spec.at('nodeName').text() ?? null,
  };
}

function containerStatusOf(field: Field): ContainerStatus {
  const ended = field.at('lastState', 'terminated');
  return {
    name: field.at('name').text() ?? '',
    ready: field.at('ready').flag() ?? false,
    restarts: field.at('restartCount').number() ?? 0,
    waiting: field.at('state', 'waiting').present
      ? (field.at('state', 'waiting', 'reason').text() ?? 'waiting')
      : null,
    lastTermination: ended.present
      ? {
          reason: ended.at('reason').text() ?? 'ended',
          exitCode: ended.at('exitCode').number() ?? null,
          at: ended.at('finishedAt').time() ?? null,
        }
      : null,
  };
}

export function podOf(field: Field, meta: Meta): Pod {
  const status = field.at('status');
  return {
    ...meta,
    ...podSpecOf(field.at('spec')),
    phase: status.at('phase').text() ?? 'Unknown',
    ready: condition(status, 'Ready'),
    ip: status.at('podIP').text() ?? null,
    deleting: field.at('metadata', 'deletionTimestamp').present,
    statuses: [...status.at('initContainerStatuses').items(), ...status.at('containerStatuses').items()].map(
      containerStatusOf,
    ),
  };
}

export function serviceOf(field: Field, meta: Meta): Service {
  const spec = field.at('spec');
  return {
    ...meta,
    type: spec.at('type').text() ?? 'ClusterIP',
    selector: spec.at('selector').map(),
    headless: spec.at('clusterIP').text() === 'None',
    clusterIp: spec.at('clusterIP').text() ?? null,
    externalName: spec.at('externalName').text() ?? null,
    ports: spec
      .at('ports')
      .items()
      .map((port) => {
        const number = port.at('port').number() ?? 0;
        return {
          name: port.at('name').text() ?? '',
          number,
          targetPort: port.at('targetPort').numberOrText() ?? number,
          appProtocol: port.at('appProtocol').text() ?? null,
          transport: port.at('protocol').text() ?? 'TCP',
          field: port.path,
        };
      }),
  };
}

export function endpointSliceOf(field: Field, meta: Meta): EndpointSlice {
  return {
    ...meta,
    service: meta.labels.get('kubernetes.io/service-name') ?? null,
    ports: field
      .at('ports')
      .items()
      .map((port) => ({ name: port.at('name').text() ?? '', number: port.at('port').number() ?? null })),
    endpoints: field
      .at('endpoints')
      .items()
      .map((one) => ({
        addresses: one.at('addresses').texts(),
        // Absent means ready: discovery.k8s.io/v1 EndpointConditions.
        ready: one.at('conditions', 'ready').flag() ?? true,
        pod:
          one.at('targetRef', 'kind').text() === 'Pod' ? (one.at('targetRef', 'name').text() ?? null) : null,
      })),
  };
}

export function configMapOf(field: Field, meta: Meta): ConfigMap {
  return { ...meta, data: field.at('data').map() };
}

export function workloadOf(field: Field, meta: Meta): WorkloadObject {
  const spec = meta.resource === 'CronJob' ? field.at('spec', 'jobTemplate', 'spec') : field.at('spec');
  const template = spec.at('template');
  return {
    ...meta,
    selector: selectorOf(spec.at('selector')),
    replicas: spec.at('replicas').number() ?? null,
    templateLabels: template.at('metadata', 'labels').map(),
    templateAnnotations: template.at('metadata', 'annotations').map(),
    template: podSpecOf(template.at('spec')),
  };
}

export function networkPolicyOf(field: Field, meta: Meta): NetworkPolicy {
  const spec = field.at('spec');
  const types = spec.at('policyTypes').texts();
  const restricts = types.length === 0 || types.includes('Ingress');
  return {
    ...meta,
    podSelector: selectorOf(spec.at('podSelector')) ?? { labels: new Map(), expressions: [] },
    ingress: restricts ? spec.at('ingress').items().map(ingressRuleOf) : null,
  };
}

function ingressRuleOf(rule: Field): IngressRule {
  return {
    from: rule
      .at('from')
      .items()
      .map((peer) => ({
        pods: selectorOf(peer.at('podSelector')),
        namespaces: selectorOf(peer.at('namespaceSelector')),
        cidr: peer.at('ipBlock', 'cidr').text() ?? null,
      })),
    ports: rule
      .at('ports')
      .items()
      .map((port) => ({
        port: port.at('port').numberOrText() ?? null,
        endPort: port.at('endPort').number() ?? null,
        protocol: port.at('protocol').text() ?? 'TCP',
      })),
  };
}

export function webhookOf(field: Field, meta: Meta): Webhook {
  return {
    ...meta,
    hooks: field
      .at('webhooks')
      .items()
      .map((hook) => ({
        name: hook.at('name').text() ?? '',
        namespaceSelector: selectorOf(hook.at('namespaceSelector')),
        objectSelector: selectorOf(hook.at('objectSelector')),
        failurePolicy: hook.at('failurePolicy').text() ?? 'Fail',
      })),
  };
}
