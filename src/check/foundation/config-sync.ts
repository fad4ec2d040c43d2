import type { Finding } from '../../diagnosis/finding.js';
import { listed } from '../../diagnosis/words.js';
import { found, type Check, type Examined } from '../check.js';
import { asClients, ofPods } from '../subjects.js';
import { hasProxy, isRunning, workloadOfPod } from '../workloads.js';
import type { World } from '../world.js';

export const configSync: Check = {
  id: 'config-sync',
  phase: 'foundation',
  claim: 'every proxy is connected to istiod and has taken what it was sent',
  subjects: ['Pod'],
  needs: [],
  decides: ['stale-proxy-config'],
  see: 'istioctl proxy-status',
  judge(world) {
    const { sync } = world;
    if (!sync) {
      const { verb, resource, reason } = world.syncRefused ?? {
        verb: 'get',
        resource: 'istiod /debug/syncz',
        reason: 'not asked',
      };
      return { findings: [], examined: [], unknown: `cannot ${verb} ${resource}: ${reason}` };
    }
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    for (const pod of world.list('Pod')) {
      if (!hasProxy(pod) || !isRunning(pod)) continue;
      const about = ofPods(world, workloadOfPod(world, pod), [pod]);
      const clients = { ...about, clients: asClients([pod]) };
      const known = sync.proxies.get(`${pod.name}.${pod.namespace}`);
      const base = { from: pod, about: clients, confirms: ['stale-proxy-config'] } as const;
      if (!known) {
        if (sync.unanswered.length > 0) continue;
        findings.push(
          found('foundation', {
            ...base,
            id: 'proxy-not-connected',
            severity: 'high',
            read: `no istiod lists proxy ${pod.name}.${pod.namespace}, although its pod runs`,
            why: 'it lives on the configuration that it had when the connection was lost: it sends to addresses that are gone',
            see: `istioctl proxy-status ${pod.name}.${pod.namespace}`,
            fix: 'Look for its connection to istiod:15012 in its log; restart the pod when istiod is reachable.',
          }),
        );
        continue;
      }
      const refused = known.kinds.filter(({ error }) => error !== null);
      const stale = known.kinds.filter(({ state }) => state === 'stale');
      if (refused.length > 0) {
        findings.push(
          found('foundation', {
            ...base,
            id: 'proxy-config-refused',
            severity: 'high',
            field: listed(refused.map(({ kind }) => kind)),
            read: `the proxy refused its ${listed(refused.map(({ kind }) => kind))} configuration: ${refused[0]!.error}`,
            why: 'it goes on with what it had before: newer routes and endpoints do not reach it',
            see: `istioctl proxy-status ${pod.name}.${pod.namespace}`,
            fix: 'Mend what it refuses, usually an EnvoyFilter or a certificate.',
          }),
        );
      } else if (stale.length > 0) {
        findings.push(
          found('foundation', {
            ...base,
            id: 'proxy-config-stale',
            severity: 'high',
            field: listed(stale.map(({ kind }) => kind)),
            read: `STALE: ${listed(stale.map(({ kind }) => kind))} was sent and not acknowledged`,
            why: 'it goes on with what it had before, until it takes the update',
            see: `istioctl proxy-status ${pod.name}.${pod.namespace}`,
            fix: 'Read its log for refused updates; check its connection to istiod:15012; restart the pod.',
          }),
        );
      }
      examined.push({
        about: clients,
        said: `${known.kinds.map(({ kind, state }) => `${kind} ${state}`).join(', ')}`,
        ...(refused.length + stale.length === 0 && { excludes: ['stale-proxy-config'] }),
      });
    }
    return { findings, examined, ...unansweredOf(world) };
  },
};

/** Proxies of a replica that did not answer cannot be told from lost ones. */
function unansweredOf({ sync }: World): { readonly unknown?: string } {
  const [first] = sync?.unanswered ?? [];
  if (!first) return {};
  return { unknown: `one istiod did not answer (${first.reason}): its proxies are not told from lost ones` };
}
