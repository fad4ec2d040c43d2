import type { Finding } from '../../diagnosis/finding.js';
import { found, type Check } from '../check.js';
import { serverMtls } from '../mutual-tls.js';
import { ofPods, ofWorkload } from '../subjects.js';
import { appContainers, isSidecar, workloads, type Workload } from '../workloads.js';
import type { World } from '../world.js';

const REWRITE = 'sidecar.istio.io/rewriteAppHTTPProbers';

export const probes: Check = {
  id: 'probes',
  phase: 'traffic',
  claim: "the kubelet's probes get past the sidecars",
  subjects: ['Pod'],
  needs: ['PeerAuthentication'],
  nearby: ['PeerAuthentication'],
  decides: ['probe-misrouted-or-rejected'],
  see: 'kubectl -n NAMESPACE describe pod POD',
  judge(world) {
    const findings: Finding[] = [];
    const meshed = workloads(world).filter(({ pods }) => pods.some(isSidecar));
    for (const workload of meshed) findings.push(...unknownPorts(world, workload));
    for (const workload of meshed) {
      const pod = workload.pods.find(isSidecar);
      if (!pod || pod.annotations.get(REWRITE) !== 'false') continue;
      for (const container of appContainers(pod)) {
        for (const { kind, port, field } of container.probes) {
          const number =
            typeof port === 'number'
              ? port
              : (container.ports.find(({ name }) => name === port)?.number ?? null);
          if ((kind !== 'http' && kind !== 'grpc') || number === null) continue;
          const { mode } = serverMtls(world, pod, number);
          if (mode !== 'STRICT') continue;
          findings.push(
            found('traffic', {
              id: 'probe-not-rewritten',
              severity: 'critical',
              from: pod,
              field: `metadata.annotations[${REWRITE}]`,
              read: `${field} asks port ${number} and is not rewritten, while the port takes mutual TLS only`,
              why: 'the kubelet has no certificate of the mesh: the probe fails, and the pod is restarted or no endpoint',
              confirms: ['probe-misrouted-or-rejected'],
              about: ofPods(world, workload, workload.pods),
              fix: `Remove the annotation ${REWRITE}: false.`,
            }),
          );
        }
      }
    }
    return {
      findings,
      examined: meshed.map((workload) => ({
        about: ofWorkload(world, workload),
        excludes: ['probe-misrouted-or-rejected'],
      })),
    };
  },
};

/** A probe by a name that no port of its container has never succeeds. */
function unknownPorts(world: World, workload: Workload): readonly Finding[] {
  const pod = workload.pods.find(isSidecar);
  if (!pod) return [];
  return appContainers(pod).flatMap(({ name, ports, probes: all }) =>
    all.flatMap(({ field, port }) => {
      if (typeof port !== 'string' || /^\d+$/.test(port) || ports.some((one) => one.name === port)) return [];
      return found('traffic', {
        id: 'probe-port-unknown',
        severity: 'critical',
        from: pod,
        field: `${field}.port`,
        read: `it asks port ${port}, which is the name of no port of container ${name}`,
        why: 'the probe fails for ever: the pod is no endpoint, or is restarted again and again',
        confirms: ['probe-misrouted-or-rejected'],
        about: ofPods(world, workload, workload.pods),
        see: `kubectl -n ${pod.namespace} describe pod ${pod.name}`,
        fix: 'Name the port in the container, or write its number.',
      });
    }),
  );
}
