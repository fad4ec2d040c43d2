import type { Subject } from '../diagnosis/finding.js';
import { MeshtailError, usageError } from '../errors.js';
import { nearestWord } from '../nearest.js';
import { calls } from './calls.js';
import type { PodName } from '../cluster/cluster.js';
import { kindNamed, knownKinds, type TargetKind } from '../cluster/kinds.js';
import { serviceName, servicesOf } from './services.js';
import type { Pod } from './kube-objects.js';
import { hasProxy, isRunning, workloads, type Workload } from './workloads.js';
import type { World } from './world.js';

/** What the findings are to be about. */
export interface Scope {
  readonly workloads: ReadonlySet<string>;
  readonly pods: ReadonlySet<string>;
  /** Services that the targets serve, and those that they call. */
  readonly services: ReadonlySet<string>;
  readonly namespaces: ReadonlySet<string>;
}

/** The workloads that targets name. @throws MeshtailError where one names none, usage error where one names no kind */
export function targetWorkloads(
  world: World,
  targets: readonly string[],
  namespace: string | undefined,
): readonly Workload[] {
  const found = inPairs(targets).flatMap((target) => {
    const some = workloadsOf(world, target, namespace);
    if (some.length === 0) throw nothingFound(world, target, namespace);
    return some;
  });
  return [...new Set(found)];
}

function nothingFound(world: World, target: string, namespace: string | undefined): MeshtailError {
  const [word, name] = target.includes('/') ? (target.split('/') as [string, string]) : [null, target];
  if (word !== null && kindNamed(word) === undefined) {
    return usageError(`'${target}' names no kind of workload`, `kinds: ${knownKinds()}`);
  }
  const unread = world.refusal('Pod');
  if (unread && !unread.notGiven && !unread.namespaces?.includes(namespace ?? '')) {
    return new MeshtailError(
      'forbidden',
      `cannot find '${target}': may not ${unread.verb} pods (${unread.reason})`,
      {
        hint: 'ask for list on pods, or name a namespace where you may with -n',
      },
    );
  }
  const known =
    word !== null && kindNamed(word) === 'Service'
      ? world.list('Service')
      : word !== null && kindNamed(word) === 'Pod'
        ? world.list('Pod')
        : workloads(world);
  const here = known.filter((one) => namespace === undefined || one.namespace === namespace);
  const near = nearestWord(name, [...new Set(here.map((one) => one.name))]);
  const elsewhere = known.filter((one) => one.name === name).map((one) => one.namespace);
  const hints = [
    near === undefined ? '' : `near: ${near}`,
    elsewhere.length === 0 ? '' : `there is one in namespace ${[...new Set(elsewhere)].join(', ')} (use -n)`,
    'write deployment/NAME, service/NAME, pod/NAME or namespace/NAME; without a target everything is checked',
  ];
  return new MeshtailError(
    'nothing-found',
    `'${target}' is no workload of what was read${namespace === undefined ? '' : ` in namespace ${namespace}`}`,
    { hint: hints.filter(Boolean).join('; ') },
  );
}

/** `deployment payments` as `deployment/payments`. */
function inPairs(targets: readonly string[]): readonly string[] {
  const [first, second, ...rest] = targets;
  if (first === undefined) return [];
  if (second !== undefined && kindNamed(first) && !second.includes('/')) {
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
  const kind: TargetKind | undefined = kindNamed(target.slice(0, at));
  const name = target.slice(at + 1);
  switch (kind) {
    case undefined:
      return [];
    case 'Namespace':
      return workloads(world).filter((one) => one.namespace === name);
    case 'Pod':
      return all.filter(({ pods }) => pods.some((pod) => pod.name === name));
    case 'Gateway':
      return all.filter(({ labels }) => labels.get('gateway.networking.k8s.io/gateway-name') === name);
    case 'Service':
      return all.filter(({ pods }) =>
        pods.some((pod) => servicesOf(world, pod).some((one) => one.name === name)),
      );
    default:
      return all.filter((one) => one.kind === kind && one.name === name);
  }
}

/**
 * What concerns workloads: themselves, what they serve, and what their settings say that they call. Of a namespace that is
 * meant as a whole also the services that nobody serves.
 */
export function scopeOf(world: World, some: readonly Workload[], whole: readonly string[] = []): Scope {
  const pods = some.flatMap((one) => one.pods);
  const called = calls(world).filter(({ caller }) => some.includes(caller));
  return {
    workloads: new Set(some.map(({ key }) => key)),
    pods: new Set(pods.map(({ name }) => name)),
    services: new Set([
      ...pods.flatMap((pod) => servicesOf(world, pod).map(serviceName)),
      ...called.map(({ host }) => host.service),
      ...world
        .list('Service')
        .filter(({ namespace }) => whole.includes(namespace))
        .map(serviceName),
    ]),
    namespaces: new Set([...some.map(({ namespace }) => namespace), ...whole]),
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
/** However many workloads there are: each proxy's configuration is megabytes. */
const PROXIES_ASKED = 60;

/** Those that are named first, then those that are not ready, then any; the first of every workload before the second of one. */
export function proxiesToAsk(
  some: readonly Workload[],
  named: ReadonlySet<string> = new Set(),
): readonly PodName[] {
  const rank = (pod: Pod): number => (named.has(pod.name) ? 0 : pod.ready === false ? 1 : 2);
  const running = some.map(({ pods }) =>
    pods
      .filter((pod) => hasProxy(pod) && isRunning(pod) && pod.labels.get('app') !== 'ztunnel')
      .toSorted((a, b) => rank(a) - rank(b)),
  );
  const rounds = Array.from({ length: PODS_ASKED }, (_, i) => running.flatMap((pods) => pods[i] ?? []));
  return rounds.flat().slice(0, PROXIES_ASKED);
}

/** Where asking costs nothing. */
export const allProxies = (some: readonly Workload[]): readonly PodName[] =>
  some.flatMap(({ pods }) => pods.filter(hasProxy));
