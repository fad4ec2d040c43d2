import type { Subject } from '../diagnosis/finding.js';
import type { CauseId } from '../diagnosis/hypothesis.js';
import type { EnvoyFilter } from './istio-objects.js';
import type { Pod } from './kube-objects.js';
import { rootNamespaces } from './mesh-config.js';
import { selects } from './meta.js';
import { hasProxy, podsIn } from './workloads.js';
import { perWorld, type World } from './world.js';

/** The pods whose proxies an EnvoyFilter patches. */
export function filteredPods(world: World, filter: EnvoyFilter): readonly Pod[] {
  const candidates = rootNamespaces(world).has(filter.namespace)
    ? world.list('Pod')
    : podsIn(world, filter.namespace);
  return candidates.filter(
    (pod) =>
      hasProxy(pod) &&
      (filter.targetRefs.length === 0
        ? filter.selector === null || selects(filter.selector, pod.labels)
        : filter.targetRefs.some(
            ({ kind, name }) =>
              kind === 'Gateway' && pod.labels.get('gateway.networking.k8s.io/gateway-name') === name,
          )),
  );
}

/** Parts of a proxy's configuration that decide where a request goes. */
const DECIDING: ReadonlySet<string> = new Set([
  'LISTENER',
  'FILTER_CHAIN',
  'ROUTE_CONFIGURATION',
  'VIRTUAL_HOST',
  'HTTP_ROUTE',
  'CLUSTER',
]);

/** Causes that objects cannot rule out where an EnvoyFilter may have made something else of them. */
const PATCHABLE: ReadonlySet<CauseId> = new Set([
  'vs-route-no-match',
  'gateway-host-unknown',
  'subset-undefined-cluster-not-found',
  'gateway-api-backend-invalid',
  'destinationrule-tls-conflict',
  'mtls-to-plaintext-server',
  'upstream-overflow',
  'tls-origination-double-tls',
  'tls-to-http-port',
  'fault-injected',
  'route-timeout',
]);

const patched = perWorld((world): ReadonlyMap<string, EnvoyFilter> => {
  const found = new Map<string, EnvoyFilter>();
  for (const filter of world.list('EnvoyFilter')) {
    if (!filter.patches.some(({ applyTo }) => DECIDING.has(applyTo))) continue;
    for (const { namespace, name } of filteredPods(world, filter)) found.set(`${namespace}/${name}`, filter);
  }
  return found;
});

/** An EnvoyFilter that may make a proxy do otherwise than the other objects say. */
export const filterOf = (
  world: World,
  { namespace, name }: Pick<Pod, 'namespace' | 'name'>,
): EnvoyFilter | null => patched(world).get(`${namespace}/${name}`) ?? null;

/** Of causes that a clean subject rules out, those that it does in spite of the EnvoyFilters that there are. */
export function stillExcluded(world: World, about: Subject, causes: readonly CauseId[]): readonly CauseId[] {
  const pods = about.pods ?? [];
  // Without pods of its own a subject is reached by callers that nobody names.
  const patches = [...patched(world).keys()].some(
    (key) => pods.length === 0 || pods.includes(key.slice(key.indexOf('/') + 1)),
  );
  return patches ? causes.filter((cause) => !PATCHABLE.has(cause)) : causes;
}
