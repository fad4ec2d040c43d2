import type { KubeObject } from './fake-world.js';

export type Match = (object: KubeObject) => boolean;

/** A selector that the API server refuses, in its words. */
export class BadSelector extends Error {}

/** `a=b,c!=d,e in (f,g),h notin (i),j,!k`; null selects all. */
export function labelSelector(text: string | null): Match {
  if (!text) return () => true;
  const requirements = text.split(/,(?![^(]*\))/).map(requirement);
  return (object) => requirements.every((holds) => holds(object.metadata.labels ?? {}));
}

const REQUIREMENT =
  /^\s*(?:(?<absent>!)\s*)?(?<key>[\w./-]+)\s*(?:(?<set>in|notin)\s*\((?<values>[^()]*)\)|(?<equals>==?|!=)\s*(?<value>[\w.-]*))?\s*$/;

function requirement(text: string): (labels: Readonly<Record<string, string>>) => boolean {
  const found = REQUIREMENT.exec(text)?.groups;
  if (!found) throw new BadSelector(`unable to parse requirement: found '${text}'`);
  const key = found['key']!;
  if (found['absent']) return (labels) => !(key in labels);
  if (found['set'] === undefined && found['equals'] === undefined) return (labels) => key in labels;
  const values = found['set'] ? found['values']!.split(',').map((value) => value.trim()) : [found['value']!];
  // A label that is not there is not among any values: `!=` and `notin` select it.
  const wanted = found['set'] === 'in' || found['equals']?.startsWith('=') === true;
  return (labels) => values.includes(labels[key] ?? '\0') === wanted;
}

/** Which fields can be selected by, beside the name and the namespace, as pkg/apis of Kubernetes registers them. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  Pod: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  Event: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  Namespace: ['status.phase'],
  ReplicaSet: ['status.replicas'],
  Job: ['status.successful'],
  Node: ['spec.unschedulable'],
};

export function fieldSelector(kind: string, text: string | null): Match {
  if (!text) return () => true;
  const known = new Set(['metadata.name', 'metadata.namespace', ...(FIELDS[kind] ?? [])]);
  const requirements = text.split(',').map((part): Match => {
    const found = /^(?<path>[^=!]+)(?<operator>==?|!=)(?<value>.*)$/.exec(part)?.groups;
    if (!found) throw new BadSelector(`invalid selector: '${text}'; can't understand '${part}'`);
    const path = found['path']!;
    if (!known.has(path)) throw new BadSelector(`field label not supported: ${path}`);
    const equal = found['operator'] !== '!=';
    return (object) => (fieldOf(object, path) === found['value']) === equal;
  });
  return (object) => requirements.every((holds) => holds(object));
}

function fieldOf(object: KubeObject, path: string): string {
  let value: unknown = object;
  for (const name of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[name];
  return value === undefined ? '' : String(value);
}
