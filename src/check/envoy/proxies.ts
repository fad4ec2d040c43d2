import { ADMIN_PAGES, type AdminPage } from '../../cluster/cluster.js';
import type { Finding, Subject } from '../../diagnosis/finding.js';
import { listed } from '../../diagnosis/words.js';
import type { Examined, Judgement } from '../check.js';
import type { Pod } from '../kube-objects.js';
import { asClients, ofPods } from '../subjects.js';
import { isProxyOnly, workloadOfPod } from '../workloads.js';
import type { World } from '../world.js';
import type { ProxyState } from './proxy-state.js';

/** A proxy that was asked, with its pod. */
export interface AskedProxy {
  readonly pod: Pod;
  readonly state: ProxyState;
  readonly about: Subject;
  /** A gateway or waypoint: it has no app, and not every listener of a sidecar. */
  readonly alone: boolean;
}

export function askedProxies(world: World): readonly AskedProxy[] {
  return [...world.proxies].flatMap(([key, state]) => {
    const [namespace = '', name = ''] = key.split('/');
    const pod = world.find('Pod', namespace, name);
    if (!pod) return [];
    const about = ofPods(world, workloadOfPod(world, pod), [pod]);
    return [{ pod, state, about: { ...about, clients: asClients([pod]) }, alone: isProxyOnly(pod) }];
  });
}

/** Judges one page of every proxy; where nobody's could be had, says why. */
export function judgePages<T>(
  world: World,
  page: AdminPage,
  read: (state: ProxyState) => T | null,
  judge: (
    proxy: AskedProxy,
    value: T,
  ) => { readonly findings: Judgement['findings']; readonly examined: Omit<Examined, 'about'> },
): Judgement {
  const proxies = askedProxies(world);
  if (proxies.length === 0) {
    return { findings: [], examined: [], unknown: `cannot read Envoy admin /${page}: no proxy was asked` };
  }
  const judged = proxies.flatMap((proxy) => {
    const value = read(proxy.state);
    return value === null ? [] : [{ proxy, ...judge(proxy, value) }];
  });
  const refused = proxies.find(({ state }) => read(state) === null);
  return {
    findings: together(judged.flatMap(({ findings }) => findings)),
    examined: judged.map(({ proxy, examined }) => ({ about: proxy.about, ...examined })),
    ...(refused && { unknown: refusalOf(refused, page) }),
  };
}

/** What several proxies hold in the same way is one thing. */
function together(findings: readonly Finding[]): readonly Finding[] {
  const same = new Map<string, Finding[]>();
  for (const one of findings) {
    const key = [one.id, one.field, one.read, (one.about.workloads ?? []).join(' ')].join('\n');
    same.set(key, [...(same.get(key) ?? []), one]);
  }
  return [...same.values()].map(([first, ...others]) => {
    if (others.length === 0) return first!;
    const all = [first!, ...others];
    const union = (key: 'services' | 'pods' | 'endpoints' | 'workloads' | 'clients'): readonly string[] => [
      ...new Set(all.flatMap(({ about }) => about[key] ?? [])),
    ];
    return {
      ...first!,
      read: `${first!.read}; so it is in ${listed(others.map(({ object }) => object?.name ?? ''))}`,
      about: {
        services: union('services'),
        pods: union('pods'),
        endpoints: union('endpoints'),
        workloads: union('workloads'),
        clients: union('clients'),
      },
    };
  });
}

/** What kept all pages of a proxy away is said in one way, so that checks of several pages are told together. */
function refusalOf({ pod, state: { refused } }: AskedProxy, page: AdminPage): string {
  const of = refused.get(page);
  if (!of) return `cannot read Envoy admin /${page} of ${pod.name}: no answer`;
  const reasons = new Set([...refused.values()].map(({ reason }) => reason));
  if (of.resource === 'pods/portforward') return `cannot ${of.verb} ${of.resource}: ${of.reason}`;
  const all = refused.size === ADMIN_PAGES.length && reasons.size === 1;
  return all
    ? `cannot ${of.verb} the Envoy admin interface of ${pod.name}: ${of.reason}`
    : `cannot ${of.verb} ${of.resource} of ${pod.name}: ${of.reason}`;
}

/** `kubectl -n shop exec POD -c istio-proxy -- pilot-agent request GET …`, which reads and changes nothing. */
export const adminCommand = (pod: Pod, path: string): string =>
  `kubectl -n ${pod.namespace} exec ${pod.name} -c istio-proxy -- pilot-agent request GET '${path}'`;
