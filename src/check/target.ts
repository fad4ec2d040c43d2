import type { Subject } from '../diagnosis/finding.js';
import { usageError } from '../errors.js';
import { calls } from './calls.js';
import type { PodName } from '../cluster/cluster.js';
import { kindNamed, type TargetKind } from '../cluster/kinds.js';
import { serviceName, servicesOf } from './services.js';
import { hasProxy, workloads, type Workload } from './workloads.js';
import type { World } from './world.js';

/** What the findings are to be about. */
export interface Scope {
  readonly workloads: ReadonlySet<string>;
  readonly pods: ReadonlySet<string>;
  /** Services that the targets serve, and those that they call. */
  readonly services: ReadonlySet<string>;
  readonly namespaces: ReadonlySet<string>;
}

/** A Gateway's pods are not told from the objects that are read here. */
function workloadKind(word: string): Exclude<TargetKind, 'Gateway'> | undefined {
  const kind = kindNamed(word);
  return kind === 'Gateway' ? undefined : kind;
}

/** The workloads that targets name. @throws usage error where one names none. */
export function targetWorkloads(
  world: World,
  targets: readonly string[],
  namespace: string | undefined,
): readonly Workload[] {
  const found = inPairs(targets).flatMap((target) => {
    const some = workloadsOf(world, target, namespace);
    if (some.length === 0) {
      throw usageError(
        `'${target}' is no workload of what was read${namespace === undefined ? '' : ` in namespace ${namespace}`}`,
        'write deployment/NAME, statefulset/NAME, service/NAME, pod/NAME or namespace/NAME; without a target everything is checked',
      );
    }
    return some;
  });
  return [...new Set(found)];
}

/** `deployment payments` as `deployment/payments`. */
function inPairs(targets: readonly string[]): readonly string[] {
  const [first, second, ...rest] = targets;
  if (first === undefined) return [];
  if (second !== undefined && workloadKind(first) && !second.includes('/')) {
    return [`${first}/${second}`, ...inPairs(rest)];
  }
  return [first, ...inPairs(targets.slice(1))];
}

function workloadsOf(world: World, target: string, namespace: string | undefined): readonly Workload[] {
  const at = target.indexOf('/');
  const all = workloads(world).filter((one) => namespace === undefined || one.namespace === namespace);
  // A bare word is part of a pod's name, as in stern.
  if (at < 0)
    return all.filter(
      ({ name, pods }) => name.includes(target) || pods.some((pod) => pod.name.includes(target)),
    );
  const kind = workloadKind(target.slice(0, at));
  const name = target.slice(at + 1);
  switch (kind) {
    case undefined:
      return [];
    case 'Namespace':
      return workloads(world).filter((one) => one.namespace === name);
    case 'Pod':
      return all.filter(({ pods }) => pods.some((pod) => pod.name === name));
    case 'Service':
      return all.filter(({ pods }) =>
        pods.some((pod) => servicesOf(world, pod).some((one) => one.name === name)),
      );
    default:
      return all.filter((one) => one.kind === kind && one.name === name);
  }
}

/** What concerns workloads: themselves, what they serve, and what their settings say that they call. */
export function scopeOf(world: World, some: readonly Workload[]): Scope {
  const pods = some.flatMap((one) => one.pods);
  const called = calls(world).filter(({ caller }) => some.includes(caller));
  return {
    workloads: new Set(some.map(({ key }) => key)),
    pods: new Set(pods.map(({ name }) => name)),
    services: new Set([
      ...pods.flatMap((pod) => servicesOf(world, pod).map(serviceName)),
      ...called.map(({ host }) => host.service),
    ]),
    namespaces: new Set(some.map(({ namespace }) => namespace)),
  };
}

/** What is about nothing in particular concerns everybody; what is about one caller concerns that one and whom it calls. */
export function isInScope(scope: Scope, about: Subject): boolean {
  const { services = [], pods = [], workloads: some = [], namespaces = [] } = about;
  if (services.length + pods.length + some.length + namespaces.length === 0) return false;
  return (
    some.some((key) => scope.workloads.has(key)) ||
    pods.some((name) => scope.pods.has(name)) ||
    services.some((name) => scope.services.has(name)) ||
    (services.length + pods.length + some.length === 0 &&
      namespaces.some((name) => scope.namespaces.has(name)))
  );
}

/** Proxies that are worth asking: a few of each workload tell what all hold. */
const PODS_ASKED = 3;

export const proxiesToAsk = (some: readonly Workload[]): readonly PodName[] =>
  some.flatMap(({ pods }) => pods.filter(hasProxy).slice(0, PODS_ASKED));
