import type { PeerAuthentication } from './istio-objects.js';
import type { Pod } from './kube-objects.js';
import { rootNamespaces } from './mesh-config.js';
import { selects, type Labels } from './meta.js';
import { perWorld, type World } from './world.js';

export type MtlsMode = 'STRICT' | 'PERMISSIVE' | 'DISABLE';

/** What a server demands on one port, and where that is written; `null`: nowhere, so Istio's default holds. */
export interface ServerMtls {
  readonly mode: MtlsMode;
  readonly from: PeerAuthentication | null;
  readonly field: string | null;
}

type Scope = 'mesh' | 'namespace' | 'workload';

function scopeOf(world: World, policy: PeerAuthentication): Scope {
  if (policy.selector !== null) return 'workload';
  return rootNamespaces(world).has(policy.namespace) ? 'mesh' : 'namespace';
}

/** Of several policies of one scope the oldest holds (istio 1.31 pilot/pkg/model/authentication.go). */
const inOrder = perWorld((world): readonly PeerAuthentication[] =>
  world
    .list('PeerAuthentication')
    .toSorted((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0) || (a.name < b.name ? -1 : 1)),
);

/** The policies that bear on a pod, the nearest first: at most one of each scope. */
export function policiesFor(
  world: World,
  pod: { readonly namespace: string; readonly labels: Labels },
): readonly PeerAuthentication[] {
  const of = (scope: Scope): PeerAuthentication | undefined =>
    inOrder(world).find(
      (policy) =>
        scopeOf(world, policy) === scope &&
        (scope === 'mesh' || policy.namespace === pod.namespace) &&
        (policy.selector === null || selects(policy.selector, pod.labels)),
    );
  return (['workload', 'namespace', 'mesh'] as const).flatMap((scope) => of(scope) ?? []);
}

/** Port before workload before namespace before mesh; UNSET asks the next one. */
export function serverMtls(world: World, pod: Pick<Pod, 'namespace' | 'labels'>, port: number): ServerMtls {
  for (const policy of policiesFor(world, pod)) {
    // Ports are heeded only beside a selector.
    const ofPort = policy.selector === null ? undefined : policy.ports.get(port);
    const known = modeOf(ofPort);
    if (known) return { mode: known, from: policy, field: `spec.portLevelMtls.${port}.mode` };
    const whole = modeOf(policy.mode);
    if (whole) return { mode: whole, from: policy, field: 'spec.mtls.mode' };
  }
  return { mode: 'PERMISSIVE', from: null, field: null };
}

const modeOf = (text: string | undefined): MtlsMode | null =>
  text === 'STRICT' || text === 'PERMISSIVE' || text === 'DISABLE' ? text : null;
