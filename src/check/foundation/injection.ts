import type { Finding } from '../../diagnosis/finding.js';
import { listed } from '../../diagnosis/words.js';
import { found, type Check, type Examined } from '../check.js';
import type { Namespace, Pod } from '../kube-objects.js';
import { ofPods, ofWorkload } from '../subjects.js';
import {
  hasProxy,
  isAmbient,
  isControlPlane,
  isProxyOnly,
  isSidecar,
  PROXY,
  workloads,
  type Workload,
} from '../workloads.js';
import { perWorld, type World } from '../world.js';

/** Whether the injector would give a new pod a proxy, and what says so. */
export interface Expectation {
  readonly injects: boolean;
  readonly because: string;
  /** The pod itself says no, in a namespace that says yes. */
  readonly optedOut: boolean;
}

/** istio 1.31 manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml: who the webhooks select. */
export function expectation(world: World, workload: Workload): Expectation {
  const namespace = world.find('Namespace', '', workload.namespace);
  const injection = namespace?.labels.get('istio-injection');
  const revision = namespace?.labels.get('istio.io/rev');
  const asked =
    workload.labels.get('sidecar.istio.io/inject') ?? workload.annotations.get('sidecar.istio.io/inject');
  const of = (injects: boolean, because: string, optedOut = false): Expectation => ({
    injects,
    because,
    optedOut,
  });
  if (injection === 'disabled') return of(false, 'the namespace says istio-injection=disabled');
  const byNamespace =
    injection === 'enabled'
      ? 'istio-injection=enabled'
      : revision === undefined
        ? null
        : `istio.io/rev=${revision}`;
  if (asked === 'false') {
    return of(false, 'the pod says sidecar.istio.io/inject=false', byNamespace !== null);
  }
  if (byNamespace !== null) return of(true, `the namespace says ${byNamespace}`);
  if (asked === 'true') return of(true, 'the pod says sidecar.istio.io/inject=true');
  const own = workload.labels.get('istio.io/rev');
  return own === undefined
    ? of(false, 'neither namespace nor pod asks for injection')
    : of(true, `the pod says istio.io/rev=${own}`);
}

/** Revisions and tags that some control plane serves. */
const revisions = perWorld((world): ReadonlySet<string> => {
  const names = new Set<string>();
  for (const { labels } of world.list('MutatingWebhookConfiguration')) {
    for (const key of ['istio.io/rev', 'istio.io/tag']) {
      const value = labels.get(key);
      if (value !== undefined) names.add(value);
    }
  }
  for (const workload of workloads(world)) {
    if (isControlPlane(workload.labels)) names.add(workload.labels.get('istio.io/rev') ?? 'default');
  }
  return names;
});

const CAUSES = ['sidecar-injection-missing'] as const;

export const injection: Check = {
  id: 'injection',
  phase: 'foundation',
  claim: 'every pod that is to be in the mesh has its proxy',
  subjects: ['Pod'],
  needs: ['Namespace'],
  nearby: ['Namespace'],
  decides: ['sidecar-injection-missing', 'peer-not-in-mesh-plaintext', 'startup-ordering-app-before-proxy'],
  see: 'istioctl x check-inject POD.NAMESPACE',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    const unserved = new Set<string>();
    findings.push(...labelsMissing(world));
    for (const namespace of world.list('Namespace')) {
      const finding = labelConflict(namespace) ?? unknownRevision(world, namespace);
      if (!finding) continue;
      findings.push(finding);
      unserved.add(namespace.name);
    }
    for (const workload of workloads(world)) {
      if (isControlPlane(workload.labels) || isProxyOnly(workload.spec)) continue;
      if (workload.pods.length === 0 || unserved.has(workload.namespace)) continue;
      const finding = ofWorkloadAsItIs(world, workload);
      if (finding) findings.push(finding);
      const injected = workload.pods.filter(hasProxy).length;
      examined.push({
        about: ofWorkload(world, workload),
        said: `${injected} of ${workload.pods.length} pods with istio-proxy (${expectation(world, workload).because})`,
        ...(injected === workload.pods.length && {
          // A native sidecar is up before the app is started.
          excludes: workload.pods.every(({ initContainers }) =>
            initContainers.some(({ name }) => name === PROXY),
          )
            ? [...CAUSES, 'startup-ordering-app-before-proxy']
            : CAUSES,
        }),
      });
    }
    return { findings, examined };
  },
};

function labelConflict(namespace: Namespace): Finding | null {
  const injection = namespace.labels.get('istio-injection');
  const revision = namespace.labels.get('istio.io/rev');
  if (injection === undefined || revision === undefined) return null;
  return found('foundation', {
    id: 'injection-labels-conflict',
    severity: 'medium',
    from: namespace,
    field: 'metadata.labels',
    read: `istio-injection=${injection} and istio.io/rev=${revision} on one namespace`,
    why: `istio-injection goes before istio.io/rev: revision ${revision} injects nothing here`,
    confirms: CAUSES,
    about: { namespaces: [namespace.name] },
    fix: `Keep one of the two labels: kubectl label namespace ${namespace.name} istio-injection-`,
  });
}

/** Said only where the control planes are known. */
function unknownRevision(world: World, namespace: Namespace): Finding | null {
  const revision = namespace.labels.get('istio.io/rev');
  if (
    revision === undefined ||
    world.refusal('MutatingWebhookConfiguration') ||
    revisions(world).has(revision)
  ) {
    return null;
  }
  const pods = world.list('Pod').filter((pod) => pod.namespace === namespace.name);
  return found('foundation', {
    id: 'injection-revision-unknown',
    severity: 'high',
    from: namespace,
    field: 'metadata.labels[istio.io/rev]',
    read: `istio.io/rev=${revision}; the webhooks serve ${listed([...revisions(world)].toSorted()) || 'no revision'}`,
    why: 'no webhook answers for this revision, so new pods come up without a proxy',
    confirms: CAUSES,
    about: { ...ofPods(world, undefined, pods), namespaces: [namespace.name] },
    see: 'istioctl tag list; istioctl x injector list',
    fix: 'Point the label to a revision or tag that exists, then restart the workloads.',
  });
}

function ofWorkloadAsItIs(world: World, workload: Workload): Finding | null {
  const { injects, because, optedOut } = expectation(world, workload);
  const without = workload.pods.filter((pod) => !hasProxy(pod));
  const count = `${without.length} of ${workload.pods.length} pods of ${workload.key} have no istio-proxy`;
  const [pod] = without;
  if (injects && pod) return missing(world, workload, without, pod, count, because);
  if (optedOut && pod) {
    return found('foundation', {
      id: 'injection-opted-out',
      severity: 'low',
      from: workload.object ?? pod,
      field: 'spec.template.metadata.labels[sidecar.istio.io/inject]',
      read: `${count}: sidecar.istio.io/inject=false in a namespace with injection`,
      why: 'it speaks plain text: servers that demand mutual TLS refuse it, and no policy protects it',
      confirms: CAUSES,
      about: clientsToo(ofPods(world, workload, without)),
      fix: 'Remove the label if the workload is to be in the mesh, and restart it.',
    });
  }
  return null;
}

/** Pods of before that keep their proxies: once for each namespace. */
function labelsMissing(world: World): readonly Finding[] {
  const left = new Map<string, Workload[]>();
  for (const workload of workloads(world)) {
    if (isProxyOnly(workload.spec) || isAmbient(world, workload) || !workload.pods.some(isSidecar)) continue;
    const { injects, optedOut } = expectation(world, workload);
    if (!injects && !optedOut) {
      left.set(workload.namespace, [...(left.get(workload.namespace) ?? []), workload]);
    }
  }
  return [...left].map(([namespace, some]) => {
    const abouts = some.map((workload) => ofWorkload(world, workload));
    return found('foundation', {
      id: 'injection-label-missing',
      severity: 'medium',
      from: world.find('Namespace', '', namespace) ?? null,
      field: 'metadata.labels[istio-injection]',
      read: `${expectation(world, some[0]!).because}, yet pods of ${listed(some.map(({ key }) => key))} have istio-proxy`,
      why: 'pods of before keep their proxies; the next ones come up without',
      about: {
        namespaces: [namespace],
        workloads: some.map(({ key }) => key),
        services: abouts.flatMap(({ services = [] }) => services),
        pods: abouts.flatMap(({ pods = [] }) => pods),
      },
      fix: `kubectl label namespace ${namespace} istio-injection=enabled, or the revision's label`,
    });
  });
}

/** Injection happens when a pod is made. */
function isOlder(world: World, { namespace }: Workload, pods: readonly Pod[]): boolean {
  const changed = world.find('Namespace', '', namespace)?.changedAt ?? null;
  return changed !== null && pods.every(({ createdAt }) => createdAt !== null && createdAt < changed);
}

function missing(
  world: World,
  workload: Workload,
  without: readonly Pod[],
  pod: Pod,
  count: string,
  because: string,
): Finding {
  const host = without.every(({ hostNetwork }) => hostNetwork);
  return found('foundation', {
    id: host ? 'sidecar-missing-host-network' : 'sidecar-missing',
    severity: 'high',
    from: pod,
    field: host ? 'spec.hostNetwork' : 'spec.containers, spec.initContainers',
    read: `${count}${host ? ', being on the host network' : isOlder(world, workload, without) ? ', being older than the last change of the namespace' : ''}, although ${because}`,
    why: host
      ? 'the injector leaves pods of the host network alone; they speak plain text to servers that may demand mutual TLS'
      : 'pods that are older than the label, or were made while the webhook was down, speak plain text and answer plain text',
    // As callers they speak plain text, as servers they answer it.
    confirms: [...CAUSES, 'peer-not-in-mesh-plaintext'],
    about: clientsToo(ofPods(world, workload, without)),
    see: `istioctl x check-inject ${pod.name}.${pod.namespace}`,
    fix: host
      ? 'Take it off the host network, or exempt the ports it calls from STRICT.'
      : `kubectl -n ${workload.namespace} rollout restart ${workload.kind.toLowerCase()}/${workload.name}`,
  });
}

/** Pods without a proxy fail as servers and as callers. */
const clientsToo = (about: ReturnType<typeof ofPods>): ReturnType<typeof ofPods> => ({
  ...about,
  clients: [...(about.pods ?? []), ...(about.endpoints ?? []), ...(about.workloads ?? [])],
});
