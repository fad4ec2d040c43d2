import type { Finding } from '../../diagnosis/finding.js';
import { callsTo } from '../calls.js';
import { found, named, type Check, type Examined } from '../check.js';
import type { PeerAuthentication } from '../istio-objects.js';
import type { Pod, Service, ServicePort } from '../kube-objects.js';
import { rootNamespaces } from '../mesh-config.js';
import { selectorText } from '../meta.js';
import { serverMtls } from '../mutual-tls.js';
import { clusterDomain } from '../registry.js';
import { podsOf, serviceName, targetPortIn } from '../services.js';
import { ofCall, ofPods, ofService } from '../subjects.js';
import { hasProxy, isAmbient, podsIn, podsSelected } from '../workloads.js';
import { expectation } from './injection.js';
import type { World } from '../world.js';

export const mutualTls: Check = {
  id: 'mutual-tls',
  phase: 'foundation',
  claim: 'what servers demand is what their callers can give',
  subjects: ['Service', 'PeerAuthentication'],
  needs: ['Pod', 'Namespace', 'PeerAuthentication'],
  decides: ['peer-not-in-mesh-plaintext', 'destinationrule-tls-conflict'],
  see: 'istioctl x describe pod POD.NAMESPACE',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    for (const policy of world.list('PeerAuthentication')) findings.push(...ofPolicy(world, policy));
    for (const service of world.list('Service')) {
      const pods = podsOf(world, service);
      const [pod] = pods;
      if (!pod) continue;
      const modes = service.ports.map((port) => ({ port, demand: demandOf(world, pod, port) }));
      for (const { port, demand } of modes) {
        if (demand?.mode === 'STRICT' && pods.some(hasProxy)) {
          findings.push(...plainCallers(world, service, port, demand.from));
        }
      }
      const strict = modes.some(({ demand }) => demand?.mode === 'STRICT');
      examined.push({
        about: ofService(service),
        said: modes
          .map(
            ({ port, demand }) =>
              `${serviceName(service)}:${port.number} ${demand?.mode ?? '-'}${demand?.from ? ` by ${named(demand.from.ref)}` : ' by default'}`,
          )
          .join(', '),
        ...(!strict && { excludes: ['peer-not-in-mesh-plaintext', 'destinationrule-tls-conflict'] }),
      });
    }
    return { findings, examined };
  },
};

function demandOf(world: World, pod: Pod, port: ServicePort): ReturnType<typeof serverMtls> | null {
  const target = targetPortIn(pod, port);
  return target === null ? null : serverMtls(world, pod, target);
}

/** Callers that are outside of the mesh by intent; those that should be in it are a matter of injection. */
function plainCallers(
  world: World,
  service: Service,
  port: ServicePort,
  policy: PeerAuthentication | null,
): readonly Finding[] {
  const host = `${service.name}.${service.namespace}.svc.${clusterDomain(world)}`;
  return callsTo(world, host).flatMap(({ caller, port: called, field, value }) => {
    const plain =
      caller.pods.length > 0 && caller.pods.every((pod) => !hasProxy(pod) && !isAmbient(world, pod));
    if (!plain || (called !== null && called !== port.number)) return [];
    const { injects, optedOut, because } = expectation(world, caller);
    if (injects || optedOut) return [];
    return found('foundation', {
      id: 'strict-server-plaintext-caller',
      severity: 'high',
      from: caller.object ?? caller.pods[0]!,
      field,
      read: `${caller.key} has no proxy (${because}) and calls ${value}, where ${policy ? named(policy.ref) : 'the mesh'} demands STRICT`,
      why: "the server's sidecar refuses plain text: connection reset for the caller, NR filter_chain_not_found at the server",
      confirms: ['peer-not-in-mesh-plaintext'],
      about: ofCall(caller, serviceName(service)),
      see: `istioctl x describe pod ${podsOf(world, service)[0]?.name ?? 'POD'}.${service.namespace}`,
      fix: `Bring the caller into the mesh, or make port ${port.number} of the server PERMISSIVE (portLevelMtls).`,
    });
  });
}

function ofPolicy(world: World, policy: PeerAuthentication): readonly Finding[] {
  return [...duplicate(world, policy), ...selection(world, policy)];
}

/** Of two policies of one scope the older one holds; only the younger is told of. */
function duplicate(world: World, policy: PeerAuthentication): readonly Finding[] {
  const text = (one: PeerAuthentication): string => (one.selector ? selectorText(one.selector) : '');
  const older = world
    .list('PeerAuthentication')
    .find(
      (other) =>
        other !== policy &&
        other.namespace === policy.namespace &&
        text(other) === text(policy) &&
        ((other.createdAt ?? 0) < (policy.createdAt ?? 0) ||
          ((other.createdAt ?? 0) === (policy.createdAt ?? 0) && other.name < policy.name)),
    );
  if (!older) return [];
  const root = rootNamespaces(world).has(policy.namespace) && policy.selector === null;
  return [
    found('foundation', {
      id: 'peer-authentication-ignored',
      severity: 'medium',
      from: policy,
      field: 'spec.selector',
      read: `${named(older.ref)} is older and for the same ${root ? 'mesh' : policy.selector ? 'pods' : 'namespace'}`,
      why: `only the oldest holds: this one, ${policy.mode}, has no effect`,
      about: {
        ...ofPods(world, undefined, podsIn(world, policy.namespace)),
        namespaces: [policy.namespace],
      },
      fix: 'Keep one of them.',
    }),
  ];
}

function selection(world: World, policy: PeerAuthentication): readonly Finding[] {
  if (policy.selector === null) {
    if (policy.ports.size === 0) return [];
    return [
      found('foundation', {
        id: 'peer-authentication-ports-without-selector',
        severity: 'medium',
        from: policy,
        field: 'spec.portLevelMtls',
        read: `settings for port ${[...policy.ports.keys()].join(', ')} in a policy without a selector`,
        why: 'settings for ports are heeded only beside a selector: these have no effect',
        about: { namespaces: [policy.namespace] },
        fix: 'Give it a selector, or take the ports out.',
      }),
    ];
  }
  const pods = rootNamespaces(world).has(policy.namespace)
    ? world.list('Pod')
    : podsSelected(world, policy.namespace, policy.selector);
  if (pods.length === 0) {
    return [
      found('foundation', {
        id: 'peer-authentication-selects-nothing',
        severity: 'medium',
        from: policy,
        field: 'spec.selector.matchLabels',
        read: `no pod of ${policy.namespace} has ${selectorText(policy.selector)}`,
        why: `it has no effect: the namespace's or the mesh's mode holds instead of ${policy.mode}`,
        about: { namespaces: [policy.namespace] },
        fix: 'Align the selector with the labels of the pods.',
      }),
    ];
  }
  return unusedPorts(world, policy, pods);
}

/** Ports here are those of the containers; a Service's number is the usual mistake. */
function unusedPorts(world: World, policy: PeerAuthentication, pods: readonly Pod[]): readonly Finding[] {
  const targets = new Map<number, number>();
  const served = new Set<number>();
  for (const service of world.list('Service')) {
    for (const pod of podsOf(world, service)) {
      if (!pods.includes(pod)) continue;
      for (const port of service.ports) {
        const target = targetPortIn(pod, port);
        if (target === null) continue;
        served.add(target);
        targets.set(port.number, target);
      }
    }
  }
  const declared = new Set(
    pods.flatMap((pod) => pod.containers.flatMap(({ ports }) => ports.map(({ number }) => number))),
  );
  return [...policy.ports].flatMap(([port, mode]) => {
    const target = targets.get(port);
    if (served.has(port) || declared.has(port) || target === undefined) return [];
    return found('foundation', {
      id: 'peer-authentication-port-unused',
      severity: 'medium',
      from: policy,
      field: `spec.portLevelMtls.${port}`,
      read: `${mode} for port ${port}, which is the Service's; the pods listen on ${target}`,
      why: 'ports are those of the containers: this setting has no effect',
      about: ofPods(world, undefined, pods),
      fix: `Write ${target} instead of ${port}.`,
    });
  });
}
