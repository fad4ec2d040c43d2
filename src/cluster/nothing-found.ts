import { MeshtailError } from '../errors.js';
import { editDistance } from '../nearest.js';
import { ApiError, type ApiObject, type ClusterClient } from './client.js';
import { collectionPath, RESOURCES } from './cluster.js';
import { workloadOf, type Pod } from './pods.js';
import { pathOf, resourceOf, targetText, type Target } from './targets.js';

type Named = Exclude<Target, { kind: 'pattern' | 'Namespace' }>;

/**
 * The error for targets that select no pod: whether the object is there, names near to it, and what to run. Asks only for
 * what it may see.
 * @param pods those of the namespace
 * @param labels `-l`
 */
export async function nothingFound(
  client: ClusterClient,
  targets: readonly Target[],
  namespace: string | null,
  pods: readonly Pod[],
  labels: string | undefined,
  signal?: AbortSignal,
): Promise<MeshtailError> {
  const [target] = targets;
  const where = namespace === null ? 'in any namespace' : `in namespace ${namespace}`;
  const flag = namespace === null ? '-A' : `-n ${namespace}`;
  const look = `see what there is: kubectl get pods ${flag}`;
  if (targets.length !== 1 || !target) {
    const what = targets.length === 0 ? 'no pods' : `no pods of ${targets.map(targetText).join(', ')}`;
    const having = labels === undefined ? '' : ` with the labels ${labels}`;
    return notFound(`${what}${having} ${where}`, [`${look}${labels === undefined ? '' : ' --show-labels'}`]);
  }
  if (target.kind === 'Namespace') return ofNamespace(client, target.name, labels, signal);
  if (target.kind === 'pattern') {
    const near = nearest(target.name, [...new Set(pods.map((pod) => workloadOf(pod).name))]);
    return notFound(`no pod ${where} matches '${target.name}'`, [nearWords(near), look]);
  }
  return ofObject(client, target, namespace, pods, labels, signal);
}

const notFound = (message: string, hints: readonly string[], code = 'nothing-found'): MeshtailError =>
  new MeshtailError(code, message, { hint: hints.filter(Boolean).join('; ') });

const nearWords = (near: readonly string[]): string => (near.length > 0 ? `near: ${near.join(', ')}` : '');

async function ofNamespace(
  client: ClusterClient,
  name: string,
  labels: string | undefined,
  signal?: AbortSignal,
): Promise<MeshtailError> {
  const names = await namesIn(client, collectionPath(RESOURCES.Namespace, null), signal);
  if (names !== null && !names.includes(name)) {
    const near = nearWords(nearest(name, names));
    return notFound(`there is no namespace '${name}'`, [near, 'see what there is: kubectl get namespaces']);
  }
  const having = labels === undefined ? '' : ` with the labels ${labels}`;
  return notFound(
    `no pods${having} in namespace ${name}`,
    [`see what there is: kubectl get all -n ${name}`],
    'no-pods',
  );
}

async function ofObject(
  client: ClusterClient,
  target: Named,
  namespace: string | null,
  pods: readonly Pod[],
  labels: string | undefined,
  signal?: AbortSignal,
): Promise<MeshtailError> {
  const where = namespace === null ? 'in any namespace' : `in namespace ${namespace}`;
  const flag = namespace === null ? '-A' : `-n ${namespace}`;
  let names = await namesIn(client, pathOf(target.kind, namespace), signal);
  names ??= target.kind === 'Pod' ? [] : [...new Set(pods.map((pod) => workloadOf(pod).name))];
  if (names.includes(target.name)) {
    const having = labels === undefined ? '' : ` with the labels ${labels}`;
    const why = namespace === null ? '' : await whyEmpty(client, target, namespace, signal);
    return notFound(
      `${targetText(target)} ${where} has no pods${having}`,
      [why, `see why: kubectl describe ${targetText(target)} ${flag}`],
      'no-pods',
    );
  }
  const others = new Set(
    pods
      .map(workloadOf)
      .filter(({ kind, name }) => name === target.name && kind !== target.kind)
      .map(({ kind, name }) => `${kind.toLowerCase()}/${name}`),
  );
  const elsewhere = await namespacesWith(client, target, signal);
  return notFound(`no ${target.kind.toLowerCase()} '${target.name}' ${where}`, [
    others.size > 0 ? `there is ${[...others].join(', ')}` : '',
    nearWords(nearest(target.name, names)),
    elsewhere.length > 0 ? `there is one in namespace ${elsewhere.join(', ')} (use -n)` : '',
    `see what there is: kubectl get ${resourceOf(target.kind).resource} ${flag}`,
  ]);
}

/** What the object itself says of it. */
async function whyEmpty(
  client: ClusterClient,
  target: Named,
  namespace: string,
  signal?: AbortSignal,
): Promise<string> {
  try {
    const { spec } = await client.get<{ spec?: { replicas?: number; selector?: unknown } }>(
      pathOf(target.kind, namespace, target.name),
      {},
      signal,
    );
    if (spec?.replicas === 0) return 'it is scaled to 0';
    const selector = target.kind === 'Service' ? Object.entries(spec?.selector ?? {}) : [];
    const words = selector.map(([key, value]) => `${key}=${String(value)}`).join(',');
    return words === '' ? '' : `no pod has the labels that it selects: ${words}`;
  } catch {
    // It may be listed and not be got.
    return '';
  }
}

/** `null`: they may not be listed. */
async function namesIn(
  client: ClusterClient,
  path: string,
  signal?: AbortSignal,
): Promise<readonly string[] | null> {
  try {
    return (await client.list(path, {}, signal)).items.map(nameOf);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return null;
  }
}

const nameOf = ({ metadata }: ApiObject): string => (metadata as { name: string }).name;

async function namespacesWith(
  client: ClusterClient,
  target: Named,
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
