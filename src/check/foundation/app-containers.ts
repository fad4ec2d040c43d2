import type { Finding } from '../../diagnosis/finding.js';
import { found, type Check, type Examined } from '../check.js';
import type { ContainerStatus, Pod } from '../kube-objects.js';
import { ofPods, ofWorkload } from '../subjects.js';
import { isProxyOnly, PROXY, workloads, type Workload } from '../workloads.js';
import type { World } from '../world.js';

export const appContainersRun: Check = {
  id: 'app-containers',
  phase: 'foundation',
  claim: "the apps' own containers run and were not killed",
  subjects: ['Pod'],
  needs: [],
  decides: ['app-crash-oom', 'app-not-listening', 'bad-rollout'],
  see: 'kubectl -n NAMESPACE get pods',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    for (const workload of workloads(world)) {
      const pods = workload.pods.filter((pod) => !isProxyOnly(pod) && pod.statuses.length > 0);
      if (pods.length === 0) continue;
      for (const pod of pods) {
        for (const status of pod.statuses) {
          if (status.name !== PROXY) findings.push(...ofContainer(world, workload, pod, status));
        }
      }
      const restarts = pods.flatMap((pod) => pod.statuses).reduce((sum, one) => sum + one.restarts, 0);
      examined.push({
        about: ofWorkload(world, workload),
        said: `${restarts} restarts`,
        ...(restarts === 0 && pods.length === workload.pods.length && { excludes: ['app-crash-oom'] }),
      });
    }
    return { findings, examined };
  },
};

function ofContainer(
  world: World,
  workload: Workload,
  pod: Pod,
  status: ContainerStatus,
): readonly Finding[] {
  const ended = status.lastTermination;
  const base = { from: pod, about: ofPods(world, workload, [pod]) } as const;
  const waits = status.waiting !== null && !['ContainerCreating', 'PodInitializing'].includes(status.waiting);
  if (waits) {
    return [
      found('foundation', {
        ...base,
        id: 'app-container-failing',
        basis: 'state',
        severity: 'high',
        field: `status.containerStatuses[${status.name}].state.waiting`,
        read: `container ${status.name} waits: ${status.waiting}, after ${status.restarts} restarts`,
        why: 'nothing listens on its port: its sidecar answers 503 with flag UF, or the pod is no endpoint',
        confirms: ['app-not-listening', 'app-crash-oom', 'bad-rollout'],
        see: `kubectl -n ${pod.namespace} describe pod ${pod.name}`,
        fix: 'Read why it ended: kubectl logs --previous.',
      }),
    ];
  }
  if (ended?.reason !== 'OOMKilled') return [];
  return [
    found('foundation', {
      ...base,
      id: 'app-container-out-of-memory',
      basis: 'state',
      since: ended.at,
      severity: 'medium',
      field: `status.containerStatuses[${status.name}].lastState.terminated.reason`,
      read: `container ${status.name} was killed for memory (OOMKilled), ${status.restarts} restarts`,
      why: 'requests in flight were cut and connects refused until it came up again',
      confirms: ['app-crash-oom'],
      see: `kubectl -n ${pod.namespace} describe pod ${pod.name}`,
      fix: 'Raise the memory limit or find what grows.',
    }),
  ];
}
