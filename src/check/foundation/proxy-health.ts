import type { Finding } from '../../diagnosis/finding.js';
import { found, type Check, type Examined } from '../check.js';
import type { Pod } from '../kube-objects.js';
import { ofPods } from '../subjects.js';
import {
  hasProxy,
  isControlPlane,
  isRunning,
  PROXY,
  proxyOf,
  proxyStatus,
  workloads,
  type Workload,
} from '../workloads.js';
import { perWorld, type World } from '../world.js';

export const proxyHealth: Check = {
  id: 'proxy-health',
  phase: 'foundation',
  claim: 'every proxy is ready, has not been killed and is of the version of its control plane',
  subjects: ['Pod'],
  needs: [],
  decides: ['proxy-crash-or-oom', 'stale-proxy-config'],
  see: 'istioctl proxy-status',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    for (const workload of workloads(world)) {
      const pods = workload.pods.filter(hasProxy);
      if (pods.length === 0) continue;
      for (const pod of pods) findings.push(...ofPod(world, workload, pod));
      const skew = versionSkew(world, workload, pods);
      if (skew) findings.push(skew);
      const restarts = pods.reduce((sum, pod) => sum + (proxyStatus(pod)?.restarts ?? 0), 0);
      const told = pods.every((pod) => proxyStatus(pod) !== undefined);
      examined.push({
        about: ofPods(world, workload, pods),
        said: told
          ? `${pods.filter((pod) => proxyStatus(pod)!.ready).length} of ${pods.length} proxies ready, ${restarts} restarts`
          : 'no status of the proxies was given',
        ...(told && restarts === 0 && { excludes: ['proxy-crash-or-oom'] }),
      });
    }
    return { findings, examined };
  },
};

function ofPod(world: World, workload: Workload, pod: Pod): readonly Finding[] {
  const status = proxyStatus(pod);
  if (!status || !isRunning(pod)) return [];
  const base = { from: pod, about: ofPods(world, workload, [pod]) } as const;
  const ended = status.lastTermination;
  if (!status.ready) {
    return [
      found('foundation', {
        ...base,
        id: 'proxy-not-ready',
        basis: 'state',
        severity: 'high',
        field: `status.containerStatuses[${PROXY}].ready`,
        read: `${PROXY} is not ready after ${status.restarts} restarts${status.waiting ? ` (${status.waiting})` : ''}`,
        why: 'the pod is no endpoint, its calls find no proxy, and often it never got its configuration',
        confirms: ended ? ['proxy-crash-or-oom'] : [],
        see: `kubectl -n ${pod.namespace} logs ${pod.name} -c ${PROXY} --tail=50`,
        fix: 'Read its log: usually istiod is not reachable on 15012, or a configuration is refused.',
      }),
    ];
  }
  if (ended && status.restarts > 0) {
    return [
      {
        ...found('foundation', {
          ...base,
          id: 'proxy-restarted',
          basis: 'state',
          since: ended.at,
          severity: 'medium',
          field: `status.containerStatuses[${PROXY}].lastState.terminated`,
          read: `${PROXY} was restarted ${status.restarts} times, the last time for ${ended.reason}${ended.exitCode === null ? '' : ` (exit code ${ended.exitCode})`}`,
          why: 'requests in flight were lost, and connections of its callers were cut',
          confirms: ['proxy-crash-or-oom'],
          see: `kubectl -n ${pod.namespace} logs ${pod.name} -c ${PROXY} --previous`,
          fix:
            ended.reason === 'OOMKilled'
              ? 'Raise its memory limit (sidecar.istio.io/proxyMemoryLimit), or shrink its configuration with a Sidecar.'
              : 'Read the previous log for the reason.',
        }),
        changedAt: ended.at,
      },
    ];
  }
  return [];
}

interface Version {
  readonly major: number;
  readonly minor: number;
  readonly text: string;
}

/** `1.27.3` of an image's tag; `null` where it is of another form. */
function versionOf(image: string): Version | null {
  const found = /:v?(\d+)\.(\d+)(?:\.\d+)?(?:[-.][\w.-]+)?$/.exec(image);
  return found ? { major: Number(found[1]), minor: Number(found[2]), text: found[0].slice(1) } : null;
}

const controlPlanes = perWorld((world): readonly Version[] =>
  workloads(world)
    .filter(({ labels }) => isControlPlane(labels))
    .flatMap(({ spec }) => spec.containers.flatMap(({ image }) => versionOf(image) ?? [])),
);

/** Istio supports proxies up to two minor versions older than their control plane, and none that are newer. */
const SUPPORTED_SKEW = 2;

function versionSkew(world: World, workload: Workload, pods: readonly Pod[]): Finding | null {
  const planes = controlPlanes(world);
  const [pod] = pods;
  // An image that is named by its digest tells nothing; the proxy has told istiod.
  const told = pod && world.sync?.proxies.get(`${pod.name}.${pod.namespace}`)?.version;
  const proxy = pod && (versionOf(proxyOf(pod)?.image ?? '') ?? versionOf(`:${told ?? ''}`));
  if (!pod || !proxy || planes.length === 0) return null;
  const behind = planes.map((plane) => (plane.major - proxy.major) * 1000 + plane.minor - proxy.minor);
  if (behind.some((by) => by >= 0 && by <= SUPPORTED_SKEW)) return null;
  return found('foundation', {
    id: 'proxy-version-skew',
    severity: 'medium',
    from: pod,
    field: `spec.containers[${PROXY}].image`,
    read: `the proxy is of Istio ${proxy.text}, the control plane of ${planes.map(({ text }) => text).join(', ')}`,
    why: 'this is outside of what Istio supports: configuration may be refused or read otherwise',
    confirms: ['stale-proxy-config'],
    about: ofPods(world, workload, pods),
    see: 'istioctl version; istioctl proxy-status',
    fix: `kubectl -n ${workload.namespace} rollout restart ${workload.kind.toLowerCase()}/${workload.name}`,
  });
}
