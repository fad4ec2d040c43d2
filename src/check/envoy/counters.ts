import type { Finding } from '../../diagnosis/finding.js';
import type { CauseId } from '../../diagnosis/hypothesis.js';
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
  decides: ['upstream-overflow', 'retry-overflow-or-storm', 'panic-mode-routing', 'stale-proxy-config'],
  see: "pilot-agent request GET 'stats?filter=overflow|circuit_breakers|control_plane|update_rejected'",
  judge: (world) =>
    judgePages(
      world,
      'stats',
      ({ stats }) => stats,
      (proxy, stats) => ({
        findings: [...KINDS.flatMap((kind) => ofClusters(proxy, stats, kind)), ...controlPlane(proxy, stats)],
        examined: {
          said: `${proxy.pod.name}: ${stats.size} counters`,
          excludes: KINDS.flatMap((kind) =>
            ofClusters(proxy, stats, kind).length === 0 ? kind.confirms : [],
          ),
        },
      }),
    ),
};

/** Counters of a cluster that tell of one thing. */
interface CounterKind {
  readonly id: string;
  readonly pattern: RegExp;
  readonly severity: 'medium' | 'high';
  readonly why: string;
  readonly confirms: readonly CauseId[];
  readonly filter: string;
  readonly fix: string;
}

const KINDS: readonly CounterKind[] = [
  {
    id: 'envoy-circuit-breaker',
    pattern:
      /^(?:upstream_(?:rq_pending_overflow|cx_overflow)|circuit_breakers\.default\.(?:cx|rq|rq_pending)_open)$/,
    severity: 'medium',
    why: 'requests beyond the limit were refused at once: 503, flag UO',
    confirms: ['upstream-overflow'],
    filter: 'overflow|circuit_breakers',
    fix: 'Raise connectionPool in the DestinationRule, or find why requests pile up.',
  },
  {
    id: 'envoy-retry-overflow',
    pattern: /^(?:upstream_rq_retry_overflow|circuit_breakers\.default\.rq_retry_open)$/,
    severity: 'medium',
    why: 'more requests were to be tried again than may be at once: their first failure went to the caller',
    confirms: ['retry-overflow-or-storm'],
    filter: 'retry',
    fix: 'Mend what fails so often that everything is tried again; raise maxRetries or retryBudget only then.',
  },
  {
    id: 'envoy-panic-mode',
    pattern: /^lb_healthy_panic$/,
    severity: 'medium',
    why: 'with so few healthy hosts all were sent to, the unhealthy too',
    confirms: ['panic-mode-routing'],
    filter: 'lb_healthy_panic',
    fix: 'Mend what makes hosts unhealthy; minHealthPercent: 0 turns panic mode off.',
  },
];

/** `cluster.<name>.<counter>`; the name holds dots, and a `;` at its end since Istio 1.23. */
const CLUSTER_STAT = /^cluster\.(.+?);?\.((?:upstream_\w+|lb_healthy_panic|circuit_breakers\.default\.\w+))$/;

function ofClusters(
  proxy: AskedProxy,
  stats: ReadonlyMap<string, number>,
  { pattern, filter, ...kind }: CounterKind,
): readonly Finding[] {
  const byCluster = new Map<string, string[]>();
  for (const [name, value] of stats) {
    const [, cluster, counter] = CLUSTER_STAT.exec(name) ?? [];
    if (cluster === undefined || counter === undefined || value === 0 || !pattern.test(counter)) continue;
    byCluster.set(cluster, [...(byCluster.get(cluster) ?? []), `${counter} ${thousands(value)}`]);
  }
  return [...byCluster].map(([cluster, counters]) => {
    const service = serviceOfCluster(cluster);
    return found('envoy', {
      ...kind,
      from: proxy.pod,
      field: cluster,
      read: listed(counters, 6),
      about: {
        services: service === null ? [] : [service],
        clients: proxy.about.clients ?? [],
        workloads: proxy.about.workloads ?? [],
      },
      see: adminCommand(proxy.pod, `/stats?filter=${filter}`),
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
