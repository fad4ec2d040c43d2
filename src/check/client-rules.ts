import type { ClientTls, DestinationRule, TrafficPolicy } from './istio-objects.js';
import { meshConfigs, rootNamespaces } from './mesh-config.js';
import { fullHost, isVisible, matchesHost, type Host } from './registry.js';
import { perWorld, type World } from './world.js';

const ruleHosts = perWorld(
  (world): ReadonlyMap<DestinationRule, string> =>
    new Map(world.list('DestinationRule').map((rule) => [rule, fullHost(world, rule.host, rule.namespace)])),
);

/** The host of a rule in full. */
export const hostOfRule = (world: World, rule: DestinationRule): string =>
  ruleHosts(world).get(rule) ?? rule.host;

/** The longer a host, the more it says; a wildcard says less than any name. */
const specificity = (host: string): number => (host.startsWith('*') ? host.length - 1000 : host.length);

const byHost = perWorld((world) => {
  const exact = new Map<string, DestinationRule[]>();
  const wildcards: DestinationRule[] = [];
  for (const rule of world.list('DestinationRule')) {
    const host = hostOfRule(world, rule);
    if (host.startsWith('*')) wildcards.push(rule);
    else exact.set(host, [...(exact.get(host) ?? []), rule]);
  }
  return { exact, wildcards };
});

const rulesAbout = (world: World, host: string): readonly DestinationRule[] => {
  const { exact, wildcards } = byHost(world);
  return [
    ...(exact.get(host) ?? []),
    ...wildcards.filter((rule) => matchesHost(hostOfRule(world, rule), host)),
  ];
};

/**
 * The rules that a client of a namespace follows for a host: those of its own namespace go before those of the service's,
 * and these before those of the root namespace. Of one namespace the most specific host is taken, and only rules of
 * that very host are merged, oldest first (istio 1.31 pilot/pkg/model/push_context.go destinationRule).
 */
export function rulesFor(world: World, clientNamespace: string, host: Host): readonly DestinationRule[] {
  const about = rulesAbout(world, host.name).filter((rule) => rule.workloadSelector === null);
  const [config] = meshConfigs(world);
  const exported = (rule: DestinationRule): boolean =>
    isVisible(
      rule.exportTo.length > 0 ? rule.exportTo : (config?.defaultDestinationRuleExportTo ?? []),
      rule.namespace,
      clientNamespace,
    );
  const tiers = [clientNamespace, host.namespace, ...rootNamespaces(world)];
  for (const namespace of tiers) {
    const here = about.filter(
      (rule) => rule.namespace === namespace && (namespace === clientNamespace || exported(rule)),
    );
    if (here.length === 0) continue;
    const best = Math.max(...here.map((rule) => specificity(hostOfRule(world, rule))));
    return here
      .filter((rule) => specificity(hostOfRule(world, rule)) === best)
      .toSorted((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0));
  }
  return [];
}

/** TLS settings that a rule spells out, each with the part of the traffic that it is for. */
export function explicitTls(rule: DestinationRule): readonly {
  readonly tls: ClientTls;
  readonly port: number | null;
  readonly subset: string | null;
}[] {
  const of = (policy: TrafficPolicy | null, subset: string | null) => [
    ...(policy?.tls ? [{ tls: policy.tls, port: null, subset }] : []),
    ...(policy?.ports ?? []).flatMap(({ port, tls }) => (tls ? [{ tls, port, subset }] : [])),
  ];
  return [...of(rule.policy, null), ...rule.subsets.flatMap(({ name, policy }) => of(policy, name))];
}

/** Names of the subsets that routes of a namespace may use for a host, and rules for the host that are not followed. */
export function explicitSubsets(
  world: World,
  namespace: string,
  host: Host,
): { readonly names: readonly string[]; readonly hidden: readonly DestinationRule[] } {
  // A gateway's pods, not the route's namespace, look rules up; its own namespace seldom holds any.
  const followed = new Set(
    [namespace, host.namespace, ...rootNamespaces(world)].flatMap((from) => rulesFor(world, from, host)),
  );
  return {
    names: [...followed].flatMap((rule) => rule.subsets.map(({ name }) => name)),
    hidden: rulesAbout(world, host.name).filter((rule) => !followed.has(rule)),
  };
}
