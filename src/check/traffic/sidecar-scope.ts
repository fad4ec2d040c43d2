import type { Finding } from '../../diagnosis/finding.js';
import { listed } from '../../diagnosis/words.js';
import { calls, unknownCalls, type Call } from '../calls.js';
import { found, named, type Check, type Examined } from '../check.js';
import type { Sidecar } from '../istio-objects.js';
import { meshConfigFor, rootNamespaces } from '../mesh-config.js';
import { selects, selectorText } from '../meta.js';
import { isVisible, matchesHost } from '../registry.js';
import { ofCall } from '../subjects.js';
import { hasProxy, podsSelected, workloads, type Workload } from '../workloads.js';
import type { World } from '../world.js';

export const sidecarScope: Check = {
  id: 'sidecar-scope',
  phase: 'traffic',
  claim: 'every workload sees the hosts that it calls',
  subjects: ['Pod', 'Sidecar'],
  needs: ['Service', 'ServiceEntry', 'Sidecar', 'ConfigMap'],
  decides: ['sidecar-egress-scope', 'egress-registry-only-blocked'],
  see: 'kubectl get sidecar -A -o yaml',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    for (const sidecar of world.list('Sidecar')) findings.push(...ofSidecar(world, sidecar));
    for (const call of calls(world)) {
      if (!call.caller.pods.some(hasProxy)) continue;
      const finding = hidden(world, call) ?? notExported(call);
      if (finding) findings.push(finding);
      examined.push({
        about: ofCall(call.caller, call.host.service),
        said: `${call.caller.key} sees ${call.host.service}`,
        excludes: ['sidecar-egress-scope', 'egress-registry-only-blocked'],
      });
    }
    findings.push(...unregistered(world));
    return { findings, examined };
  },
};

const inOrder = (world: World): readonly Sidecar[] =>
  world
    .list('Sidecar')
    .toSorted((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0) || (a.name < b.name ? -1 : 1));

/** By selector, then the namespace's own, then the root namespace's; the oldest of each. */
function sidecarFor(world: World, workload: Workload): Sidecar | undefined {
  const all = inOrder(world);
  return (
    all.find(
      (one) =>
        one.namespace === workload.namespace &&
        one.selector !== null &&
        selects(one.selector, workload.labels),
    ) ??
    all.find((one) => one.namespace === workload.namespace && one.selector === null) ??
    all.find((one) => rootNamespaces(world).has(one.namespace) && one.selector === null)
  );
}

/** An entry of egress is a namespace and a host, each of which may be any. */
export function egressShows(entry: string, own: string, namespace: string, host: string): boolean {
  const at = entry.indexOf('/');
  if (at < 0) return false;
  const where = entry.slice(0, at);
  if (where === '~') return false;
  const pattern = entry.slice(at + 1);
  return (where === '*' || (where === '.' ? own : where) === namespace) && matchesHost(pattern, host);
}

function hidden(world: World, call: Call): Finding | null {
  const sidecar = sidecarFor(world, call.caller);
  if (!sidecar || sidecar.egress === null) return null;
  const own = rootNamespaces(world).has(sidecar.namespace) ? call.caller.namespace : sidecar.namespace;
  const entries = sidecar.egress.filter(
    ({ port }) => port === null || call.port === null || port === call.port,
  );
  const shown = entries.some(({ hosts }) =>
    hosts.some((entry) => egressShows(entry, own, call.host.namespace, call.host.name)),
  );
  if (shown) return null;
  const blocked = outboundMode(world, call.caller, sidecar) === 'REGISTRY_ONLY';
  return found('traffic', {
    id: 'sidecar-hides-called-host',
    severity: 'high',
    from: sidecar,
    field: 'spec.egress[].hosts',
    read: `${
      listed(
        sidecar.egress.flatMap(({ hosts }) => hosts),
        6,
      ) || 'no host'
    } is shown; ${call.caller.key} calls ${call.host.name} (${call.field})`,
    why: blocked
      ? 'the host is unknown to its proxy, which blocks it: 502, route block_all'
      : 'the host is unknown to its proxy and passed through: no balancing, and plain text to servers that take mutual TLS only',
    confirms: ['sidecar-egress-scope'],
    about: ofCall(call.caller, call.host.service),
    fix: `Add ${call.host.namespace}/${call.host.isService ? '*' : call.host.name} to the hosts of egress.`,
  });
}

function outboundMode(world: World, workload: Workload, sidecar: Sidecar | undefined): string {
  const [pod] = workload.pods;
  return sidecar?.outboundMode ?? (pod && meshConfigFor(world, pod)?.outboundMode) ?? 'ALLOW_ANY';
}

function notExported({ caller, host, field }: Call): Finding | null {
  if (isVisible(host.exportTo, host.namespace, caller.namespace)) return null;
  return found('traffic', {
    id: 'export-to-hides-called-host',
    severity: 'high',
    from: host.object,
    field: host.isService ? 'metadata.annotations[networking.istio.io/exportTo]' : 'spec.exportTo',
    read: `exported to ${listed(host.exportTo)}; ${caller.key} of namespace ${caller.namespace} calls it (${field})`,
    why: "the host is unknown to the caller's proxy: passed through without mutual TLS, or blocked",
    confirms: ['sidecar-egress-scope'],
    about: ofCall(caller, host.service),
    fix: `Add ${caller.namespace} to exportTo.`,
  });
}

/** Hosts outside that nobody registered, where only registered ones are let out. */
function unregistered(world: World): readonly Finding[] {
  return unknownCalls(world).flatMap(({ caller, host, field, value }) => {
    if (!caller.pods.some(hasProxy) || !host.includes('.') || host.includes('.svc')) return [];
    if (outboundMode(world, caller, sidecarFor(world, caller)) !== 'REGISTRY_ONLY') return [];
    return found('traffic', {
      id: 'egress-host-not-registered',
      severity: 'high',
      from: caller.object ?? caller.pods[0]!,
      field,
      read: `${value}: no ServiceEntry is for ${host}, and the mode is REGISTRY_ONLY`,
      why: 'its proxy blocks the call: 502 with route block_all, or a connection that ends at once (BlackHoleCluster, UH)',
      confirms: ['egress-registry-only-blocked'],
      about: ofCall(caller, host),
      see: 'kubectl get serviceentry -A',
      fix: `A ServiceEntry for ${host}.`,
    });
  });
}

function ofSidecar(world: World, sidecar: Sidecar): readonly Finding[] {
  const base = { from: sidecar, about: { namespaces: [sidecar.namespace] } };
  if (sidecar.selector !== null) {
    if (podsSelected(world, sidecar.namespace, sidecar.selector).length > 0) return [];
    return [
      found('traffic', {
        ...base,
        id: 'sidecar-selects-nothing',
        severity: 'medium',
        field: 'spec.workloadSelector.labels',
        read: `no pod of ${sidecar.namespace} has ${selectorText(sidecar.selector)}`,
        why: 'it has no effect: the proxies it was meant for follow another Sidecar, or see everything',
        fix: "Align the selector with the pods' labels.",
      }),
    ];
  }
  const older = inOrder(world).find((one) => one.namespace === sidecar.namespace && one.selector === null);
  if (older === sidecar || !older) return [];
  return [
    found('traffic', {
      ...base,
      id: 'sidecar-ignored',
      severity: 'medium',
      field: 'spec.workloadSelector',
      read: `${named(older.ref)} is for the whole namespace too, and older`,
      why: 'only one Sidecar of a namespace may be without a selector: this one is not followed',
      about: {
        namespaces: [sidecar.namespace],
        workloads: workloads(world)
          .filter(({ namespace }) => namespace === sidecar.namespace)
          .map(({ key }) => key),
      },
      fix: 'Join the two, or give this one a selector.',
    }),
  ];
}
