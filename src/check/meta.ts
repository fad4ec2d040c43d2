import type { ResourceName } from '../cluster/cluster.js';
import { RESOURCES } from '../cluster/cluster.js';
import type { ObjectRef } from '../diagnosis/finding.js';
import type { Field } from './field.js';

export type Labels = ReadonlyMap<string, string>;

/** What every object has. */
export interface Meta {
  readonly resource: ResourceName;
  readonly ref: ObjectRef;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  /** ms since the epoch. */
  readonly createdAt: number | null;
  /** The last change of what a person set, where the object tells; status updates do not count. */
  readonly changedAt: number | null;
  readonly owners: readonly { readonly kind: string; readonly name: string }[];
}

export function metaOf(resource: ResourceName, field: Field): Meta {
  const metadata = field.at('metadata');
  const namespace = RESOURCES[resource].namespaced ? (metadata.at('namespace').text() ?? 'default') : '';
  const name = metadata.at('name').text() ?? '';
  const createdAt = metadata.at('creationTimestamp').time() ?? null;
  return {
    resource,
    ref: { kind: RESOURCES[resource].kind, namespace, name },
    namespace,
    name,
    labels: metadata.at('labels').map(),
    annotations: metadata.at('annotations').map(),
    createdAt,
    // What a pod runs is settled when it is made.
    changedAt: resource === 'Pod' ? createdAt : changedAt(metadata, createdAt),
    owners: metadata
      .at('ownerReferences')
      .items()
      .map((owner) => ({ kind: owner.at('kind').text() ?? '', name: owner.at('name').text() ?? '' })),
  };
}

/** kubectl leaves managedFields out by default; then a first generation is as old as the object. */
function changedAt(metadata: Field, createdAt: number | null): number | null {
  const managers = metadata.at('managedFields').items();
  const times = managers
    .filter((manager) => manager.at('subresource').text() !== 'status')
    .flatMap((manager) => manager.at('time').time() ?? []);
  if (times.length > 0) return Math.max(...times);
  return metadata.at('generation').number() === 1 ? createdAt : null;
}

/** A label selector; without any term it selects everything. */
export interface Selector {
  readonly labels: Labels;
  readonly expressions: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values: readonly string[];
  }[];
}

/** `{matchLabels, matchExpressions}`; `null` where the field is absent. */
export function selectorOf(field: Field): Selector | null {
  if (!field.present) return null;
  return {
    labels: field.at('matchLabels').map(),
    expressions: field
      .at('matchExpressions')
      .items()
      .map((term) => ({
        key: term.at('key').text() ?? '',
        operator: term.at('operator').text() ?? '',
        values: term.at('values').texts(),
      })),
  };
}

export const labelSelector = (labels: Labels): Selector => ({ labels, expressions: [] });

export function selects(selector: Selector, labels: Labels): boolean {
  for (const [key, value] of selector.labels) if (labels.get(key) !== value) return false;
  return selector.expressions.every(({ key, operator, values }) => {
    const value = labels.get(key);
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
      default:
        return false;
    }
  });
}

/** `app=payments,version in (v1,v2)`, as kubectl -l takes it. */
export function selectorText({ labels, expressions }: Selector): string {
  return [
    ...[...labels].map(([key, value]) => `${key}=${value}`),
    ...expressions.map(({ key, operator, values }) =>
      operator === 'Exists'
        ? key
        : operator === 'DoesNotExist'
          ? `!${key}`
          : `${key} ${operator === 'In' ? 'in' : 'notin'} (${values.join(',')})`,
    ),
  ].join(',');
}
