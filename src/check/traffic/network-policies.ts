import type { Finding } from '../../diagnosis/finding.js';
import { listed } from '../../diagnosis/words.js';
import { callsTo } from '../calls.js';
import { found, type Check, type Examined } from '../check.js';
import type { IngressRule, NetworkPolicy, Pod } from '../kube-objects.js';
import { selects } from '../meta.js';
import { clusterDomain } from '../registry.js';
import { podsOf, serviceName, targetPortIn } from '../services.js';
import { ofCall, ofService } from '../subjects.js';
import type { World } from '../world.js';

export const networkPolicies: Check = {
  id: 'network-policies',
  phase: 'traffic',
  claim: 'no NetworkPolicy keeps callers from the ports of services',
  subjects: ['NetworkPolicy'],
  needs: ['Pod', 'Service', 'Namespace'],
  decides: ['connect-timeout-network-blocked', 'hbone-connect-blocked'],
  see: 'kubectl get networkpolicy -A -o yaml',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    for (const service of world.list('Service')) {
      const [pod] = podsOf(world, service);
      if (!pod) continue;
      const policies = policiesFor(world, pod);
      if (policies.length > 0) {
        for (const port of service.ports) {
          const target = targetPortIn(pod, port);
          if (target === null || port.transport !== 'TCP') continue;
          const rules = policies
            .flatMap(({ ingress }) => ingress ?? [])
            .filter((rule) => opens(rule, pod, target));
          if (rules.length === 0) findings.push(closed(service, policies, target));
          else findings.push(...shutOut(world, service, policies, rules, port.number, target));
        }
      }
      examined.push({
        about: ofService(service),
        said: `${serviceName(service)}: ${policies.length} policies`,
        ...(policies.length === 0 && { excludes: ['hbone-connect-blocked'] }),
      });
    }
    return { findings, examined };
  },
};

const policiesFor = (world: World, pod: Pod): readonly NetworkPolicy[] =>
  world
    .list('NetworkPolicy')
    .filter(
      ({ namespace, ingress, podSelector }) =>
        namespace === pod.namespace && ingress !== null && selects(podSelector, pod.labels),
    );

function opens({ ports }: IngressRule, pod: Pod, target: number): boolean {
  if (ports.length === 0) return true;
  return ports.some(({ port, endPort, protocol }) => {
    if (protocol !== 'TCP') return false;
    if (port === null) return true;
    if (typeof port === 'string') {
      return pod.containers.some((container) =>
        container.ports.some((one) => one.name === port && one.number === target),
      );
    }
    return endPort === null ? port === target : target >= port && target <= endPort;
  });
}

const WHY = 'packets are dropped: connects are never answered, 503 with flag UF after the connect timeout';

function closed(
  service: Parameters<typeof serviceName>[0],
  policies: readonly NetworkPolicy[],
  target: number,
): Finding {
  const names = listed(policies.map(({ name }) => name));
  return found('traffic', {
    id: 'network-policy-closes-port',
    severity: 'critical',
    from: policies[0]!,
    field: 'spec.ingress[].ports',
    read: `port ${target}, to which Service ${serviceName(service)} sends, is opened by none of ${names}`,
    why: WHY,
    confirms: ['connect-timeout-network-blocked'],
    about: { services: [serviceName(service)] },
    fix: `Open port ${target} to the callers.`,
  });
}

/** Known callers, of whom no rule lets in one. */
function shutOut(
  world: World,
  service: Parameters<typeof ofService>[0],
  policies: readonly NetworkPolicy[],
  rules: readonly IngressRule[],
  port: number,
  target: number,
): readonly Finding[] {
  const host = `${service.name}.${service.namespace}.svc.${clusterDomain(world)}`;
  return callsTo(world, host).flatMap((call) => {
    const [pod] = call.caller.pods;
    if (!pod || (call.port !== null && call.port !== port)) return [];
    if (rules.some((rule) => letsIn(world, rule, service.namespace, pod))) return [];
    return found('traffic', {
      id: 'network-policy-shuts-caller-out',
      severity: 'high',
      from: policies[0]!,
      field: 'spec.ingress[].from',
      read: `pods of ${call.caller.key} are let in by none of ${listed(policies.map(({ name }) => name))} on port ${target}; it calls ${serviceName(service)} (${call.field})`,
      why: WHY,
      confirms: ['connect-timeout-network-blocked'],
      about: ofCall(call.caller, serviceName(service)),
      fix: 'Let the caller in (spec.ingress[].from).',
    });
  });
}

function letsIn(world: World, { from }: IngressRule, own: string, pod: Pod): boolean {
  if (from.length === 0) return true;
  return from.some(({ pods, namespaces, cidr }) => {
    // Addresses of pods are the network's own affair: such a rule may let anybody in.
    if (cidr !== null) return true;
    const labels = world.find('Namespace', '', pod.namespace)?.labels ?? new Map<string, string>();
    const there = namespaces === null ? pod.namespace === own : selects(namespaces, labels);
    return there && (pods === null || selects(pods, pod.labels));
  });
}
