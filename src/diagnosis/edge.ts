import type { Row } from '../aggregate/row.js';
import { finds, type AddressOwner, type Change, type ClusterFacts, type Labels } from './cluster-facts.js';
import type { Fault } from './hypothesis.js';
import type { Scene } from './scene.js';
import { bareAuthority } from './traits.js';
import { namespaceOf } from './kubectl.js';
import { distinct, least } from './stats.js';
import { span } from './words.js';

/*
 * What was changed at the edge that fails: between those who call and those who are called. That it came before is all
 * that is said of it.
 */

/** Who takes part in what fails. */
export interface Edge {
  /** `name.namespace`, and hosts outside. */
  readonly services: readonly string[];
  readonly hosts: readonly string[];
  /** Both ends, as far as the cluster knows them. */
  readonly pods: readonly AddressOwner[];
  readonly namespaces: ReadonlySet<string>;
  /** Labels by which the services find their pods. */
  readonly selectors: readonly (readonly [namespace: string, selector: Labels])[];
}

/** Lines looked at: what concerns most, the first of them show. */
const MOST_ROWS = 2_000;

export function edgeOf(scene: Scene, rows: readonly Row[], at: Fault): Edge {
  const { facts } = scene;
  const some = rows.slice(0, MOST_ROWS);
  const services = [
    ...new Set([...(at.services ?? []), ...distinct(some, (row) => row.cluster?.service ?? null)]),
  ];
  const pods = new Map<string, AddressOwner>();
  const keep = (owner: AddressOwner | null): void => {
    if (owner?.kind === 'pod') pods.set(`${owner.namespace}/${owner.name}`, owner);
  };
  for (const proxy of distinct(some, (row) => row.proxy)) keep(facts.podNamed(proxy));
  for (const pod of at.pods ?? []) keep(facts.podNamed(pod));
  for (const row of some) {
    if (row.upstreamIp !== null) keep(facts.ownerOf(row.upstreamIp, row.start));
    if (row.peer !== null) keep(facts.ownerOf(row.peer, row.start));
  }
  const spaces = [...services.map(namespaceOf), ...[...pods.values()].map(({ namespace }) => namespace)];
  return {
    services,
    hosts: distinct(some, (row) => (row.authority === null ? null : bareAuthority(row.authority))),
    pods: [...pods.values()],
    namespaces: new Set(spaces.filter((space) => space !== null)),
    selectors: services.flatMap((service) => {
      const selector = facts.selectorOf(service);
      const namespace = namespaceOf(service);
      return selector && namespace !== null ? [[namespace, selector] as const] : [];
    }),
  };
}

/** Whether a change concerns anybody at the edge. */
export function touches({ about }: Pick<Change, 'about'>, edge: Edge): boolean {
  const { namespace, workload, pod, node, hosts, labels, selector } = about;
  if (hosts) return hosts.some((host) => [...edge.services, ...edge.hosts].some((one) => isHost(host, one)));
  if (node !== undefined) return edge.pods.some((one) => one.node === node);
  if (pod !== undefined || workload !== undefined) {
    const isPart = edge.pods.some(
      (one) =>
        one.namespace === namespace &&
        (pod === one.name ||
          (one.workload !== null && workload === `${one.workload.kind}/${one.workload.name}`)),
    );
    // A service without endpoints still says by its selector whose pods would be behind it.
    return (
      isPart ||
      (labels !== undefined &&
        edge.selectors.some(([space, selects]) => space === namespace && finds(selects, labels)))
    );
  }
  if (namespace !== null && !edge.namespaces.has(namespace)) return false;
  return (
    selector === undefined ||
    edge.pods.some((one) => (namespace ?? one.namespace) === one.namespace && finds(selector, one.labels))
  );
}

/** `*.example.com` and `*` take in what ends so. */
function isHost(pattern: string, host: string): boolean {
  if (pattern === host) return true;
  return pattern.startsWith('*') && host.endsWith(pattern.slice(1));
}

/** A change this long before the onset may have to do with it. */
const NEAR_MS = 600_000;
/** Objects carry whole seconds: what happened within one has no order. */
const SECOND_MS = 1_000;

/** What was changed at the edge before the first failure ended, nearest first; what was rolled out or written before what was noticed. */
export function changesBefore(
  { changes }: ClusterFacts,
  edge: Edge,
  failing: readonly Row[],
): readonly Change[] {
  const end = least(failing.map((row) => row.end));
  return changes
    .filter((change) => change.at <= end && change.at >= end - NEAR_MS && touches(change, edge))
    .toSorted((a, b) => Number(a.kind === 'other') - Number(b.kind === 'other') || b.at - a.at);
}

/** `8 s after payments rev 42`. */
export function afterWords(onset: number, { at, text }: Pick<Change, 'at' | 'text'>): string {
  const delay = onset - at;
  return delay < SECOND_MS
    ? `within a second of ${text}`
    : `${span(Math.floor(delay / 1000) * 1000)} after ${text}`;
}
