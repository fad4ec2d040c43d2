import type { Finding } from '../../diagnosis/finding.js';
import { found, named, type Check } from '../check.js';
import { filteredPods } from '../envoy-filters.js';
import { rootNamespaces } from '../mesh-config.js';
import { selectorText } from '../meta.js';
import type { EnvoyFilter } from '../istio-objects.js';
import { ofPods } from '../subjects.js';
import type { World } from '../world.js';

/** What EnvoyFilters reach. What they change in Envoy is not judged: `envoy-configuration` says where Envoy refuses it. */
export const envoyFilters: Check = {
  id: 'envoy-filters',
  phase: 'traffic',
  claim: 'every EnvoyFilter reaches some proxy',
  subjects: ['EnvoyFilter'],
  needs: ['Pod', 'ConfigMap'],
  decides: ['rate-limited-local'],
  see: 'kubectl get envoyfilters -A -o yaml',
  judge: (world) => ({
    findings: world.list('EnvoyFilter').flatMap((filter) => ofFilter(world, filter)),
    examined: world.list('EnvoyFilter').map((filter) => ({
      about: ofPods(world, undefined, filteredPods(world, filter)),
      said: `${named(filter.ref)} patches ${[...new Set(filter.patches.map(({ applyTo }) => applyTo))].join(', ')}`,
    })),
  }),
};

function ofFilter(world: World, filter: EnvoyFilter): readonly Finding[] {
  const pods = filteredPods(world, filter);
  if (filter.selector !== null && pods.length === 0) {
    const root = rootNamespaces(world).has(filter.namespace);
    return [
      found('traffic', {
        id: 'envoy-filter-selects-nothing',
        severity: 'low',
        from: filter,
        field: 'spec.workloadSelector.labels',
        read: `no pod ${root ? '' : `of ${filter.namespace} `}with a proxy has ${selectorText(filter.selector)}`,
        why: 'it has no effect',
        about: { namespaces: [filter.namespace] },
        fix: "Align the selector with the pods' labels, or remove it.",
      }),
    ];
  }
  const limit = filter.patches.find(({ localRateLimit }) => localRateLimit);
  if (!limit || pods.length === 0) return [];
  return [
    found('traffic', {
      id: 'local-rate-limit-active',
      severity: 'low',
      from: filter,
      field: limit.field,
      read: `a local rate limit at ${pods.length} ${pods.length === 1 ? 'proxy' : 'proxies'}`,
      why: 'each of these proxies answers what is beyond its own limit with 429 (local_rate_limited)',
      confirms: ['rate-limited-local'],
      about: ofPods(world, undefined, pods),
      fix: 'Raise the limit if these requests are to be served; it counts for each proxy by itself.',
    }),
  ];
}
