import { MeshtailError, usageError } from '../errors.js';
import { ApiError, type ApiObject, type ClusterClient } from './client.js';
import { collectionPath, RESOURCES, type Resource } from './cluster.js';
import { kindNamed, knownKinds, type TargetKind } from './kinds.js';
import { workloadOf, type Pod } from './pods.js';

/** What a target names: a workload's kind and name, all of a namespace, or pods by a pattern of their names. */
export type Target =
  | { readonly kind: Kind; readonly name: string }
  | { readonly kind: 'Namespace'; readonly name: string }
  | { readonly kind: 'pattern'; readonly name: string; readonly pattern: RegExp };

type Kind = Exclude<TargetKind, 'Namespace'>;

/** What the API calls it. A target's Gateway is the Gateway API's, not Istio's. */
export const resourceOf = (kind: Kind): Resource => RESOURCES[kind === 'Gateway' ? 'KubeGateway' : kind];

/**
 * The targets that arguments name: `kind/name`, a kind and a name as two words, or a bare word, which is a pattern of pod names as in
 * stern. @throws usage error
 */
export function targetsOf(args: readonly string[]): readonly Target[] {
  const targets: Target[] = [];
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    if (argument.includes('/')) {
      const [word, name, ...more] = argument.split('/');
      const kind = kindNamed(word!);
      if (!kind || !name || more.length > 0) {
        throw usageError(`'${argument}' names no kind of workload`, `kinds: ${knownKinds()}`);
      }
      targets.push({ kind, name });
      continue;
    }
    const kind = kindNamed(argument);
    const next = args[i + 1];
    if (kind && next !== undefined && !next.includes('/')) {
      targets.push({ kind, name: next });
      i++;
      continue;
    }
    if (kind) throw usageError(`${argument} without a name`, `write ${argument}/NAME`);
    targets.push({ kind: 'pattern', name: argument, pattern: patternOf(argument) });
  }
  return targets;
}

function patternOf(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    throw usageError(`'${text}' is no regular expression for pod names`, 'write kind/name, or a word');
  }
}

export const targetText = (target: Target): string =>
  target.kind === 'pattern' ? target.name : `${target.kind.toLowerCase()}/${target.name}`;

/** Which pods of which namespace a target means; asked anew for each pod that appears. */
export interface Selection {
  readonly target: Target | null;
  /** `null`: every namespace. */
  readonly namespace: string | null;
  readonly selects: (pod: Pod) => boolean;
}

/**
 * What a target selects. Deployments and their like select by the chain of owners, which tells pods of workloads with
 * overlapping selectors apart; services and gateways by labels.
 * @throws ApiError where there is no such object, or it may not be seen; MeshtailError
 */
export async function selectionOf(
  client: ClusterClient,
  target: Target,
  namespace: string | null,
  signal?: AbortSignal,
): Promise<Selection> {
  const all = { target, namespace };
  switch (target.kind) {
    case 'Namespace':
      return { target, namespace: target.name, selects: () => true };
    case 'pattern':
      return { ...all, selects: (pod) => target.pattern.test(pod.name) };
    case 'Pod':
      return { ...all, selects: (pod) => pod.name === target.name };
    case 'ReplicaSet':
    case 'Job':
      return { ...all, selects: ({ owner }) => owner?.kind === target.kind && owner.name === target.name };
    case 'Deployment':
    case 'StatefulSet':
    case 'DaemonSet':
    case 'CronJob':
      return {
        ...all,
        selects: (pod) => {
          const { kind, name } = workloadOf(pod);
          return kind === target.kind && name === target.name;
        },
      };
    case 'Gateway': {
      // Istio labels the pods that it makes for one, beside it; Envoy Gateway makes them in a namespace of its own.
      const elsewhere = await envoyGatewayPlace(client, target.name, namespace, signal);
      return {
        target,
        namespace: elsewhere ?? namespace,
        selects: ({ labels }) =>
          labels['gateway.networking.k8s.io/gateway-name'] === target.name ||
          (labels[OWNING_GATEWAY] === target.name &&
            (namespace === null || labels[OWNING_NAMESPACE] === namespace)),
      };
    }
    case 'Service': {
      const service = await objectOf(client, target, namespace, signal);
      const selector = Object.entries(
        (service['spec'] as { selector?: Record<string, string> }).selector ?? {},
      );
      if (selector.length === 0) {
        throw new MeshtailError('service-without-selector', `service/${target.name} has no selector`, {
          hint: `name the workload behind it: kubectl get endpointslices -l kubernetes.io/service-name=${target.name}`,
        });
      }
      return { ...all, selects: ({ labels }) => selector.every(([key, value]) => labels[key] === value) };
    }
    default:
      return target satisfies never;
  }
}

/** Labels of Envoy Gateway's proxies (gateway 1.5 internal/gatewayapi/helpers.go). */
const OWNING_GATEWAY = 'gateway.envoyproxy.io/owning-gateway-name';
const OWNING_NAMESPACE = 'gateway.envoyproxy.io/owning-gateway-namespace';

/** Where Envoy Gateway runs a Gateway's proxies; `null`: it runs none, or they may not be seen. */
async function envoyGatewayPlace(
  client: ClusterClient,
  gateway: string,
  namespace: string | null,
  signal?: AbortSignal,
): Promise<string | null> {
  if (namespace === null) return null;
  const labelSelector = `${OWNING_GATEWAY}=${gateway},${OWNING_NAMESPACE}=${namespace}`;
  try {
    const { items } = await client.list(pathOf('Pod', null), { labelSelector }, signal);
    return (items[0]?.['metadata'] as { namespace: string } | undefined)?.namespace ?? null;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return null;
  }
}

/** Where a kind's objects lie. `namespace` null: in all of them. */
export function pathOf(kind: Kind, namespace: string | null, name?: string): string {
  const collection = collectionPath(resourceOf(kind), namespace);
  return name === undefined ? collection : `${collection}/${encodeURIComponent(name)}`;
}

function objectOf(
  client: ClusterClient,
  target: Exclude<Target, { kind: 'pattern' | 'Namespace' }>,
  namespace: string | null,
  signal?: AbortSignal,
): Promise<ApiObject> {
  if (namespace === null)
    throw usageError(`-A does not go with ${targetText(target)}`, 'name its namespace with -n');
  return client.get(pathOf(target.kind, namespace, target.name), {}, signal);
}
