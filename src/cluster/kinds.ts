/** Names and short names of what a target may be, as `kubectl api-resources` lists them. */
const KINDS = {
  Deployment: ['deployment', 'deployments', 'deploy'],
  StatefulSet: ['statefulset', 'statefulsets', 'sts'],
  DaemonSet: ['daemonset', 'daemonsets', 'ds'],
  ReplicaSet: ['replicaset', 'replicasets', 'rs'],
  Job: ['job', 'jobs'],
  CronJob: ['cronjob', 'cronjobs', 'cj'],
  Service: ['service', 'services', 'svc'],
  Pod: ['pod', 'pods', 'po'],
  Gateway: ['gateway', 'gateways', 'gtw'],
  Namespace: ['namespace', 'namespaces', 'ns'],
} as const;

export type TargetKind = keyof typeof KINDS;

const BY_NAME: ReadonlyMap<string, TargetKind> = new Map(
  (Object.keys(KINDS) as TargetKind[]).flatMap((kind) => KINDS[kind].map((name) => [name, kind] as const)),
);

/** The kind that a word names, whatever its case, also with its group: `deployment.apps`, `deployments.v1.apps`. */
export const kindNamed = (word: string): TargetKind | undefined =>
  BY_NAME.get(word.toLowerCase().split('.')[0]!);

/** Whether an argument can only be a target: a known kind, one slash, a name. */
export function isKindAndName(argument: string): boolean {
  const [kind = '', name, ...more] = argument.split('/');
  return more.length === 0 && Boolean(name) && kindNamed(kind) !== undefined;
}

export const knownKinds = (): string =>
  Object.values(KINDS)
    .map(([name]) => name)
    .join(', ');
