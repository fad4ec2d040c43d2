import type { Finding } from '../../diagnosis/finding.js';
import { listed, ofWords } from '../../diagnosis/words.js';
import { found, type Check, type Examined } from '../check.js';
import type { Pod } from '../kube-objects.js';
import { asClients, ofPods } from '../subjects.js';
import { hasProxy, isControlPlane, isRunning, workloads, type Workload } from '../workloads.js';
import type { World } from '../world.js';
import type { ProxySync, SyncState } from './sync-state.js';

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
    const silent = unheard(world, sync);
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    for (const workload of workloads(world)) {
      const pods = workload.pods.filter((pod) => hasProxy(pod) && isRunning(pod));
      const known = pods.map((pod) => ({ pod, sync: sync.proxies.get(`${pod.name}.${pod.namespace}`) }));
      for (const [trouble, some] of byTrouble(known)) {
        if (trouble === 'lost' && silent !== null) continue;
        findings.push(findingOf(world, workload, trouble, some, pods.length));
      }
      for (const { pod, sync: one } of known) {
        if (!one) continue;
        examined.push({
          about: { ...ofPods(world, workload, [pod]), clients: asClients([pod]) },
          said: `${pod.name}: ${one.kinds.map(({ kind, state }) => `${kind} ${state}`).join(', ')}`,
          ...(troubleOf(one) === null && { excludes: ['stale-proxy-config'] }),
        });
      }
    }
    return { findings, examined, ...(silent !== null && { unknown: silent }) };
  },
};

type Trouble = 'lost' | 'refused' | 'stale';

interface Known {
  readonly pod: Pod;
  readonly sync: ProxySync | undefined;
}

function troubleOf({ kinds }: ProxySync): Exclude<Trouble, 'lost'> | null {
  if (kinds.some(({ error }) => error !== null)) return 'refused';
  // NOT SENT is no trouble: there was nothing of the kind to send.
  return kinds.some(({ state }) => state === 'stale') ? 'stale' : null;
}

function byTrouble(known: readonly Known[]): ReadonlyMap<Trouble, readonly Known[]> {
  const groups = new Map<Trouble, Known[]>();
  for (const one of known) {
    const trouble = one.sync ? troubleOf(one.sync) : 'lost';
    if (trouble !== null) groups.set(trouble, [...(groups.get(trouble) ?? []), one]);
  }
  return groups;
}

/** Proxies of an istiod that was not heard cannot be told from lost ones; `null`: all were heard. */
function unheard(world: World, { unanswered, answered }: SyncState): string | null {
  const [first] = unanswered;
  const running = workloads(world)
    .filter(({ labels }) => isControlPlane(labels))
    .reduce((sum, { pods }) => sum + pods.filter(isRunning).length, 0);
  if (!first && running <= answered) return null;
  const reason = first ? first.reason : `${ofWords(answered, running)} replicas were asked`;
  return `not every istiod answered (${reason}): its proxies are not told from lost ones`;
}

const WORDS: Readonly<Record<Trouble, { readonly id: string; readonly why: string; readonly fix: string }>> =
  {
    lost: {
      id: 'proxy-not-connected',
      why: 'a proxy that lost istiod lives on the configuration of that moment: it sends to addresses that are gone',
      fix: 'Look for its connection to istiod:15012 in its log; restart the pod when istiod is reachable.',
    },
    refused: {
      id: 'proxy-config-refused',
      why: 'it goes on with what it had before: newer routes and endpoints do not reach it',
      fix: 'Mend what it refuses, usually an EnvoyFilter or a certificate.',
    },
    stale: {
      id: 'proxy-config-stale',
      why: 'it goes on with what it had before, until it takes the update',
      fix: 'Read its log for refused updates; check its connection to istiod:15012; restart the pod.',
    },
  };

function findingOf(
  world: World,
  workload: Workload,
  trouble: Trouble,
  some: readonly Known[],
  all: number,
): Finding {
  const pods = some.map(({ pod }) => pod);
  const [{ pod, sync }] = some as readonly [Known];
  const kinds = (sync?.kinds ?? []).filter(({ state, error }) =>
    trouble === 'refused' ? error !== null : state === 'stale',
  );
  const which = `${ofWords(some.length, all)} running proxies of ${workload.key}`;
  const said = {
    lost: `no istiod lists ${which}`,
    refused: `${which} refused the ${listed(kinds.map(({ kind }) => kind))} configuration: ${kinds[0]?.error ?? ''}`,
    stale: `STALE for ${which}: ${listed(kinds.map(({ kind }) => kind))} was sent and not acknowledged`,
  };
  return found('foundation', {
    id: WORDS[trouble].id,
    severity: 'high',
    basis: 'state',
    from: pod,
    ...(kinds.length > 0 && { field: `syncz: ${listed(kinds.map(({ kind }) => kind))}` }),
    read: said[trouble],
    why: WORDS[trouble].why,
    confirms: ['stale-proxy-config'],
    about: { ...ofPods(world, workload, pods), clients: asClients(pods) },
    see: `istioctl proxy-status ${pod.name}.${pod.namespace}`,
    fix: WORDS[trouble].fix,
  });
}
