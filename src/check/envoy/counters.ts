import type { Finding } from '../../diagnosis/finding.js';
import { listed, thousands } from '../../diagnosis/words.js';
import { found, type Check } from '../check.js';
import { adminCommand, judgePages, type AskedProxy } from './proxies.js';
import { serviceOfCluster } from './proxy-state.js';

export const envoyCounters: Check = {
  id: 'envoy-counters',
  phase: 'envoy',
  claim: 'no circuit breaker is open, and proxies are connected to istiod',
  subjects: ['Pod'],
  needs: [],
  decides: ['upstream-overflow', 'stale-proxy-config'],
  see: "pilot-agent request GET 'stats?filter=overflow|circuit_breakers|control_plane|update_rejected'",
  judge: (world) =>
    judgePages(
      world,
      'stats',
      ({ stats }) => stats,
      (proxy, stats) => ({
        findings: [...overflow(proxy, stats), ...controlPlane(proxy, stats)],
        examined: {
          said: `${proxy.pod.name}: ${stats.size} counters`,
          excludes: overflow(proxy, stats).length === 0 ? ['upstream-overflow'] : [],
        },
      }),
    ),
};

/** `cluster.<name>.<counter>`; the name holds dots, and a `;` at its end since Istio 1.23. */
const CLUSTER_STAT =
  /^cluster\.(.+?);?\.(upstream_(?:rq_pending_overflow|cx_overflow|rq_retry_overflow)|circuit_breakers\.default\.(?:cx|rq|rq_pending|rq_retry)_open)$/;

function overflow(proxy: AskedProxy, stats: ReadonlyMap<string, number>): readonly Finding[] {
  const byCluster = new Map<string, string[]>();
  for (const [name, value] of stats) {
    const [, cluster, counter] = CLUSTER_STAT.exec(name) ?? [];
    if (cluster === undefined || counter === undefined || value === 0) continue;
    byCluster.set(cluster, [...(byCluster.get(cluster) ?? []), `${counter} ${thousands(value)}`]);
  }
  return [...byCluster].map(([cluster, counters]) => {
    const service = serviceOfCluster(cluster);
    return found('envoy', {
      id: 'envoy-circuit-breaker',
      severity: 'medium',
      from: proxy.pod,
      field: cluster,
      read: listed(counters, 6),
      why: 'requests beyond the limit were refused at once: 503, flag UO',
      confirms: ['upstream-overflow'],
      about: {
        services: service === null ? [] : [service],
        clients: proxy.about.clients ?? [],
        workloads: proxy.about.workloads ?? [],
      },
      see: adminCommand(proxy.pod, '/stats?filter=overflow|circuit_breakers'),
      fix: 'Raise connectionPool in the DestinationRule, or find why requests pile up.',
    });
  });
}

function controlPlane({ pod, about }: AskedProxy, stats: ReadonlyMap<string, number>): readonly Finding[] {
  const base = { from: pod, about, severity: 'high', confirms: ['stale-proxy-config'] } as const;
  if (stats.get('control_plane.connected_state') === 0) {
    return [
      found('envoy', {
        ...base,
        id: 'envoy-control-plane-lost',
        field: 'control_plane.connected_state',
        read: 'not connected to istiod',
        why: 'it lives on the configuration of when the connection was lost',
        see: adminCommand(pod, '/stats?filter=control_plane'),
        fix: 'Look whether istiod:15012 can be reached from the pod.',
      }),
    ];
  }
  const rejected = [...stats].filter(
    ([name, value]) =>
      /(?:^|\.)(?:lds|cds|rds\..*|eds)\.update_rejected$|_manager\.[lc]ds\.update_rejected$/.test(name) &&
      value > 0,
  );
  if (rejected.length === 0) return [];
  return [
    found('envoy', {
      ...base,
      severity: 'medium',
      id: 'envoy-updates-rejected',
      field: rejected[0]![0],
      read: listed(rejected.map(([name, value]) => `${name} ${thousands(value)}`)),
      why: 'it refused updates since it was started; what they held did not take effect',
      see: adminCommand(pod, '/stats?filter=update_rejected'),
      fix: 'Read its log for what was refused.',
    }),
  ];
}
