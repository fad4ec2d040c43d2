import { MeshtailError, usageError } from '../errors.js';
import { editDistance } from '../nearest.js';
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
const resourceOf = (kind: Kind): Resource => RESOURCES[kind === 'Gateway' ? 'KubeGateway' : kind];

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
 * @throws MeshtailError where there is no such object
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
    case 'Gateway':
      // Istio and Envoy Gateway label the pods that they make for one.
      return {
        ...all,
        selects: ({ labels }) =>
          labels['gateway.networking.k8s.io/gateway-name'] === target.name ||
          labels['gateway.envoyproxy.io/owning-gateway-name'] === target.name,
      };
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

/** Where a kind's objects lie. `namespace` null: in all of them. */
export function pathOf(kind: Kind, namespace: string | null, name?: string): string {
  const collection = collectionPath(resourceOf(kind), namespace);
  return name === undefined ? collection : `${collection}/${encodeURIComponent(name)}`;
}

async function objectOf(
  client: ClusterClient,
  target: Exclude<Target, { kind: 'pattern' | 'Namespace' }>,
  namespace: string | null,
  signal?: AbortSignal,
): Promise<ApiObject> {
  if (namespace === null)
    throw usageError(`-A does not go with ${targetText(target)}`, 'name its namespace with -n');
  try {
    return await client.get(pathOf(target.kind, namespace, target.name), {}, signal);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) {
      throw await nothingFound(client, [target], namespace, [], signal);
    }
    throw error;
  }
}

/**
 * The error for targets that select no pod: whether the object is there, names near to it, and what to run. Asks only for
 * what it may see.
 */
export async function nothingFound(
  client: ClusterClient,
  targets: readonly Target[],
  namespace: string | null,
  pods: readonly Pod[],
  signal?: AbortSignal,
): Promise<MeshtailError> {
  const [target] = targets;
  const where = namespace === null ? 'in any namespace' : `in namespace ${namespace}`;
  const flag = namespace === null ? '-A' : `-n ${namespace}`;
  if (targets.length !== 1 || !target) {
    return new MeshtailError(
      'nothing-found',
      `no pods of ${targets.map(targetText).join(', ') || 'any name'} ${where}`,
      {
        hint: `see what there is: kubectl get pods ${flag}`,
      },
    );
  }
  if (target.kind === 'pattern' || target.kind === 'Namespace') {
    const near = nearest(target.name, [...new Set(pods.map((pod) => workloadOf(pod).name))]);
    return new MeshtailError('nothing-found', `no pod ${where} matches '${target.name}'`, {
      hint: `${near.length > 0 ? `near: ${near.join(', ')}; ` : ''}see what there is: kubectl get pods ${flag}`,
    });
  }
  let names: readonly string[] | null = null;
  try {
    const { items } = await client.list(pathOf(target.kind, namespace), {}, signal);
    names = items.map(({ metadata }) => (metadata as { name: string }).name);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    names = target.kind === 'Pod' ? [] : [...new Set(pods.map((pod) => workloadOf(pod).name))];
  }
  if (names.includes(target.name)) {
    return new MeshtailError('no-pods', `${targetText(target)} ${where} has no pods`, {
      hint: `see why: kubectl describe ${targetText(target)} ${flag}`,
    });
  }
  const near = nearest(target.name, names);
  const elsewhere = await namespacesWith(client, target, signal);
  const hints = [
    near.length > 0 ? `near: ${near.join(', ')}` : '',
    elsewhere.length > 0 ? `there is one in namespace ${elsewhere.join(', ')} (use -n)` : '',
    `see what there is: kubectl get ${resourceOf(target.kind).resource} ${flag}`,
  ];
  return new MeshtailError('nothing-found', `no ${target.kind.toLowerCase()} '${target.name}' ${where}`, {
    hint: hints.filter(Boolean).join('; '),
  });
}

async function namespacesWith(
  client: ClusterClient,
  target: Exclude<Target, { kind: 'pattern' | 'Namespace' }>,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  try {
    const query = { fieldSelector: `metadata.name=${target.name}` };
    const { items } = await client.list(pathOf(target.kind, null), query, signal);
    return items.map(({ metadata }) => (metadata as { namespace: string }).namespace).slice(0, 5);
  } catch {
    // Not everybody may look into every namespace.
    return [];
  }
}

const MOST_NEAR = 5;

/** Names that share a word or differ by a letter or two, nearest first. */
export function nearest(name: string, names: readonly string[]): readonly string[] {
  return names
    .map((other) => ({ other, distance: editDistance(name, other) }))
    .filter(
      ({ other, distance }) =>
        distance <= Math.max(2, name.length / 4) || other.includes(name) || name.includes(other),
    )
    .toSorted((a, b) => a.distance - b.distance || (a.other < b.other ? -1 : 1))
    .slice(0, MOST_NEAR)
    .map(({ other }) => other);
}
