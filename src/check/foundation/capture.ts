import type { Finding } from '../../diagnosis/finding.js';
import { listed } from '../../diagnosis/words.js';
import { calls } from '../calls.js';
import { found, type Check, type Examined } from '../check.js';
import type { Pod } from '../kube-objects.js';
import { serverMtls } from '../mutual-tls.js';
import { podsOf, servicesOf, targetPortIn } from '../services.js';
import { ofCall, ofPods, ofWorkload } from '../subjects.js';
import { appContainers, isAmbient, isRunning, isSidecar, workloads, type Workload } from '../workloads.js';
import type { World } from '../world.js';

const ANNOTATION = 'traffic.sidecar.istio.io/';
/** The user whose traffic the redirection leaves alone, since it is the proxy's own. */
const PROXY_USER = 1337;

export const capture: Check = {
  id: 'traffic-capture',
  phase: 'foundation',
  claim: 'the traffic of every pod with a sidecar goes through it',
  subjects: ['Pod'],
  needs: ['Service', 'PeerAuthentication'],
  nearby: ['Service', 'PeerAuthentication'],
  decides: ['traffic-capture-bypassed', 'mtls-to-plaintext-server', 'peer-not-in-mesh-plaintext'],
  see: 'kubectl -n NAMESPACE get pod POD -o yaml',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    for (const workload of workloads(world)) {
      const captured = workload.pods.filter(isSidecar);
      const [pod] = captured;
      const ambient = workload.pods.filter((one) => !isSidecar(one) && isAmbient(world, one));
      if (pod) {
        findings.push(...ofSidecar(world, workload, captured, pod));
        examined.push({ about: ofWorkload(world, workload), said: 'redirected to the sidecar' });
      } else if (ambient.length > 0) {
        findings.push(...ofAmbient(world, workload, ambient));
        examined.push({ about: ofWorkload(world, workload), said: 'redirected to ztunnel' });
      }
    }
    return { findings, examined };
  },
};

function ofSidecar(world: World, workload: Workload, pods: readonly Pod[], pod: Pod): readonly Finding[] {
  const base = {
    from: pod,
    about: ofPods(world, workload, pods),
    confirms: ['traffic-capture-bypassed'],
  } as const;
  const findings: Finding[] = [];
  const none = pod.annotations.get('sidecar.istio.io/interceptionMode') === 'NONE';
  if (!none && !pod.initContainers.some(({ name }) => name === 'istio-init' || name === 'istio-validation')) {
    findings.push(
      found('foundation', {
        ...base,
        id: 'capture-init-missing',
        severity: 'high',
        field: 'spec.initContainers',
        read: 'neither istio-init (redirects by itself) nor istio-validation (the CNI plugin redirects)',
        why: 'nothing redirects connections to the sidecar: it runs and sees no traffic',
        fix: 'Let the injector make the pod anew: restart the workload; with the CNI plugin look at its DaemonSet.',
      }),
    );
  }
  if (pod.hostNetwork) {
    findings.push(
      found('foundation', {
        ...base,
        id: 'capture-host-network',
        severity: 'high',
        field: 'spec.hostNetwork',
        read: 'hostNetwork: true beside a sidecar',
        why: "the redirection would be the node's own, so none is made: the sidecar sees no traffic",
        fix: 'Take the pod off the host network, or take its sidecar away.',
      }),
    );
  }
  const asProxy = appContainers(pod).filter(({ runAsUser }) => (runAsUser ?? pod.runAsUser) === PROXY_USER);
  if (asProxy.length > 0) {
    findings.push(
      found('foundation', {
        ...base,
        id: 'capture-app-runs-as-proxy-user',
        severity: 'high',
        field: `spec.containers[${asProxy[0]!.name}].securityContext.runAsUser`,
        read: `container ${listed(asProxy.map(({ name }) => name))} runs as user ${PROXY_USER}`,
        why: "this is the proxy's user, whose connections are not redirected: the app calls out in plain text",
        fix: 'Give the app another user.',
      }),
    );
  }
  return [...findings, ...inboundPorts(world, pod, base), ...outbound(world, workload, pod, base)];
}

interface Base {
  readonly from: Pod;
  readonly about: ReturnType<typeof ofPods>;
  readonly confirms: readonly string[];
}

const numbersIn = (text: string | undefined): ReadonlySet<number> =>
  new Set((text ?? '').split(',').flatMap((part) => (/^\s*\d+\s*$/.test(part) ? [Number(part)] : [])));

/** Ports that Services send to and the sidecar does not see. */
function inboundPorts(world: World, pod: Pod, base: Base): readonly Finding[] {
  const excluded = numbersIn(pod.annotations.get(`${ANNOTATION}excludeInboundPorts`));
  const included = pod.annotations.get(`${ANNOTATION}includeInboundPorts`);
  const only = included === undefined || included.trim() === '*' ? null : numbersIn(included);
  return servicesOf(world, pod).flatMap((service) =>
    service.ports.flatMap((port) => {
      const target = targetPortIn(pod, port);
      if (target === null) return [];
      const out = excluded.has(target)
        ? 'excludeInboundPorts'
        : only && !only.has(target)
          ? 'includeInboundPorts'
          : null;
      if (out === null) return [];
      return found('foundation', {
        ...base,
        id: 'capture-inbound-port-excluded',
        severity: 'high',
        confirms: ['traffic-capture-bypassed', 'mtls-to-plaintext-server'],
        field: `metadata.annotations[${ANNOTATION}${out}]`,
        read: `port ${target}, to which Service ${service.name} sends, goes past the sidecar (${out}: ${pod.annotations.get(ANNOTATION + out)})`,
        why: 'callers with a sidecar use mutual TLS to this pod and reach the app itself, which does not speak it; policies are not enforced',
        fix: 'Leave the port to the sidecar, or set portLevelMtls DISABLE for it so that callers know.',
      });
    }),
  );
}

/** Calls of this workload that leave without the sidecar, to servers that refuse plain text. */
function outbound(world: World, workload: Workload, pod: Pod, base: Base): readonly Finding[] {
  const ports = numbersIn(pod.annotations.get(`${ANNOTATION}excludeOutboundPorts`));
  const ranges = (pod.annotations.get(`${ANNOTATION}excludeOutboundIPRanges`) ?? '').split(',');
  const included = pod.annotations.get(`${ANNOTATION}includeOutboundIPRanges`);
  // Empty: nothing is redirected.
  const only = included === undefined || included.trim() === '*' ? null : included.split(',');
  const mine = calls(world).filter(({ caller }) => caller === workload);
  return mine.flatMap(({ host, port, value }) => {
    if (!host.isService) return [];
    const service = world.find('Service', host.namespace, host.name.split('.')[0]!);
    if (!service) return [];
    const strict = podsOf(world, service).some((server) =>
      service.ports.some((one) => {
        const target = targetPortIn(server, one);
        return (
          (port === null || one.number === port) &&
          target !== null &&
          serverMtls(world, server, target).mode === 'STRICT'
        );
      }),
    );
    if (!strict) return [];
    const byPort = port !== null && ports.has(port);
    const isIn = (some: readonly string[]): boolean =>
      service.clusterIp !== null && some.some((range) => isInRange(service.clusterIp!, range.trim()));
    const byRange = isIn(ranges);
    const leftOut = only !== null && /^\d/.test(service.clusterIp ?? '') && !isIn(only);
    if (!byPort && !byRange && !leftOut) return [];
    const key = byPort
      ? 'excludeOutboundPorts'
      : byRange
        ? 'excludeOutboundIPRanges'
        : 'includeOutboundIPRanges';
    return found('foundation', {
      ...base,
      id: byPort ? 'capture-outbound-port-excluded' : 'capture-outbound-range-excluded',
      severity: 'high',
      about: ofCall(workload, host.service),
      confirms: ['traffic-capture-bypassed', 'peer-not-in-mesh-plaintext'],
      field: `metadata.annotations[${ANNOTATION}${key}]`,
      read: `${key}: ${pod.annotations.get(ANNOTATION + key)}, while the workload calls ${value}`,
      why: `the call leaves in plain text, and ${host.service} takes mutual TLS only`,
      fix: 'Take the port or range out of the annotation, or exempt the port at the server.',
    });
  });
}

/** Whether an IPv4 address lies in a CIDR. */
export function isInRange(address: string, range: string): boolean {
  const [base, bits] = range.split('/');
  const value = ipv4(address);
  const start = ipv4(base ?? '');
  if (value === null || start === null) return false;
  const size = 2 ** (32 - Number(bits ?? 32));
  return Math.floor(value / size) === Math.floor(start / size);
}

function ipv4(text: string): number | null {
  const parts = text.split('.').map(Number);
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255))
    return null;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

function ofAmbient(world: World, workload: Workload, pods: readonly Pod[]): readonly Finding[] {
  const left = pods.filter(
    (pod) =>
      isRunning(pod) && !pod.hostNetwork && pod.annotations.get('ambient.istio.io/redirection') !== 'enabled',
  );
  const [pod] = left;
  if (!pod) return [];
  return [
    found('foundation', {
      id: 'ambient-not-redirected',
      basis: 'state',
      severity: 'high',
      from: pod,
      field: 'metadata.annotations[ambient.istio.io/redirection]',
      read: `${left.length} of ${pods.length} pods in ambient mode are not marked as redirected`,
      why: 'ztunnel does not see their traffic: it is plain text, and policies are not enforced',
      confirms: ['traffic-capture-bypassed'],
      about: ofPods(world, workload, left),
      see: `istioctl ztunnel-config workload | grep ${pod.name}`,
      fix: "Look at istio-cni on the pod's node, then restart the pod.",
    }),
  ];
}
