import type { Finding } from '../../diagnosis/finding.js';
import { found, type Check } from '../check.js';
import type { AuthorizationPolicy, RequestAuthentication, TargetRef, Telemetry } from '../istio-objects.js';
import type { Meta } from '../meta.js';
import { ofPods } from '../subjects.js';
import { waypointOf } from '../waypoints.js';
import type { World } from '../world.js';

type Targeting = AuthorizationPolicy | RequestAuthentication | Telemetry;

/** What a policy is attached to by name, in place of a selector of pods. */
export const policyTargets: Check = {
  id: 'policy-targets',
  phase: 'traffic',
  claim: 'what policies are attached to is there, and something enforces them',
  subjects: ['AuthorizationPolicy', 'RequestAuthentication', 'Telemetry'],
  needs: ['KubeGateway', 'Service', 'ServiceEntry', 'Namespace'],
  decides: [],
  see: 'kubectl get authorizationpolicies,requestauthentications,telemetries -A -o yaml',
  judge(world) {
    const policies: readonly Targeting[] = [
      ...world.list('AuthorizationPolicy'),
      ...world.list('RequestAuthentication'),
      ...world.list('Telemetry'),
    ];
    const attached = policies.filter(({ targetRefs }) => targetRefs.length > 0);
    return {
      findings: attached.flatMap((policy) =>
        policy.targetRefs.flatMap((ref) => ofTarget(world, policy, ref)),
      ),
      examined: attached.map((policy) => ({
        about: { namespaces: [policy.namespace] },
        said: `${policy.ref.kind} ${policy.namespace}/${policy.name} on ${policy.targetRefs.map(({ kind, name }) => `${kind} ${name}`).join(', ')}`,
      })),
    };
  },
};

function ofTarget(world: World, policy: Targeting, { kind, name, field }: TargetRef): readonly Finding[] {
  const target = targetNamed(world, kind, policy.namespace, name);
  // Kinds that are not read: nothing is said of them.
  if (target === undefined) return [];
  if (target === null) {
    return [
      found('traffic', {
        id: 'policy-target-missing',
        severity: policy.ref.kind === 'Telemetry' ? 'low' : 'high',
        from: policy,
        field,
        read: `there is no ${kind} ${policy.namespace}/${name}`,
        why: 'nothing enforces it: what it should deny is let through',
        about: { namespaces: [policy.namespace] },
        fix: `Correct the name; a target has to be of the policy's own namespace.`,
      }),
    ];
  }
  const isServed = target.resource !== 'Service' || waypointOf(world, target) !== null;
  if (isServed) return [];
  return [
    found('traffic', {
      id: 'policy-target-without-waypoint',
      severity: 'medium',
      from: policy,
      field,
      read: `${kind} ${name} has no waypoint (istio.io/use-waypoint on it or on its namespace)`,
      why: 'policies on a Service are enforced by its waypoint alone: this one is not enforced',
      about: ofPods(world, undefined, []),
      fix: 'Give the Service a waypoint, or select its pods with a selector.',
    }),
  ];
}

/** `null`: it is not there; `undefined`: its kind is not read. */
function targetNamed(world: World, kind: string, namespace: string, name: string): Meta | null | undefined {
  switch (kind) {
    case 'Gateway':
      return world.find('KubeGateway', namespace, name) ?? null;
    case 'Service':
      return world.find('Service', namespace, name) ?? null;
    case 'ServiceEntry':
      return world.find('ServiceEntry', namespace, name) ?? null;
    default:
      return undefined;
  }
}
