import type { Finding, Subject } from '../../diagnosis/finding.js';
import { listed } from '../../diagnosis/words.js';
import { found, named, type Check, type Examined } from '../check.js';
import { explicitTls, hostOfRule, rulesFor } from '../client-rules.js';
import type { DestinationRule } from '../istio-objects.js';
import type { Pod, Service, ServicePort } from '../kube-objects.js';
import { selects } from '../meta.js';
import { serverMtls } from '../mutual-tls.js';
import { hosts, hostsNamed, isNamespaceKnown, matchesHost, namespaceOfHost, type Host } from '../registry.js';
import { podsOf, targetPortIn } from '../services.js';
import { asClients } from '../subjects.js';
import { hasProxy, isAmbient, isSidecar, workloads } from '../workloads.js';
import { perWorld, type World } from '../world.js';

export const destinationRules: Check = {
  id: 'destination-rules',
  phase: 'traffic',
  claim: 'what callers are told of a host agrees with the servers and with itself',
  subjects: ['DestinationRule'],
  needs: ['Service', 'Pod', 'PeerAuthentication', 'ServiceEntry'],
  decides: [
    'destinationrule-tls-conflict',
    'mtls-to-plaintext-server',
    'subset-selects-no-pods',
    'upstream-overflow',
    'outlier-all-ejected',
    'locality-failover-not-triggered',
  ],
  see: 'kubectl get destinationrule -A -o yaml',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    for (const rule of world.list('DestinationRule')) {
      const known = hostsOf(world, rule);
      findings.push(
        ...withoutHost(world, rule, known),
        ...twice(world, rule),
        ...replaces(world, rule, known),
      );
      findings.push(
        ...subsetsWithoutPods(world, rule, known),
        ...limits(rule, known),
        ...failover(rule, known),
      );
      findings.push(...againstServer(world, rule, known));
    }
    for (const host of hosts(world)) {
      if (!host.isService) continue;
      const followed = new Set(
        clientNamespaces(world).flatMap((namespace) => rulesFor(world, namespace, host)),
      );
      const modes = [...followed].flatMap((rule) => explicitTls(rule).map(({ tls }) => tls.mode));
      examined.push({
        about: { services: [host.service] },
        said:
          followed.size === 0
            ? `no rule for ${host.service}`
            : `${host.service}: ${listed([...followed].map((rule) => `${rule.namespace}/${rule.name}`))}`,
        excludes: [
          ...(modes.every((mode) => mode === 'ISTIO_MUTUAL') ? ['destinationrule-tls-conflict'] : []),
          ...(modes.length === 0 ? ['mtls-to-plaintext-server'] : []),
          'subset-selects-no-pods',
        ],
      });
    }
    return { findings, examined };
  },
};

/** Namespaces with callers that follow rules. */
const clientNamespaces = perWorld((world): readonly string[] => [
  ...new Set(
    workloads(world)
      .filter(({ pods }) => pods.some(hasProxy))
      .map(({ namespace }) => namespace),
  ),
]);

function hostsOf(world: World, rule: DestinationRule): readonly Host[] {
  const name = hostOfRule(world, rule);
  return name.startsWith('*')
    ? hosts(world).filter((host) => matchesHost(name, host.name))
    : hostsNamed(world, name);
}

/** Namespaces whose callers follow what a rule says of a host; of two policies the older one's is taken. */
function followers(
  world: World,
  rule: DestinationRule,
  host: Host,
  subset: string | null,
): readonly string[] {
  return clientNamespaces(world).filter((namespace) => {
    const rules = rulesFor(world, namespace, host);
    if (subset !== null) return rules.includes(rule);
    return rules.find(({ policy }) => policy !== null) === rule;
  });
}

function withoutHost(world: World, rule: DestinationRule, known: readonly Host[]): readonly Finding[] {
  const name = hostOfRule(world, rule);
  if (known.length > 0 || name.startsWith('*')) return [];
  const namespace = namespaceOfHost(world, name);
  if (namespace !== null && !isNamespaceKnown(world, namespace)) return [];
  const full = hosts(world).find((host) => host.name.startsWith(`${rule.host}.svc.`));
  return [
    found('traffic', {
      id: 'destination-rule-host-unknown',
      severity: 'medium',
      from: rule,
      field: 'spec.host',
      read: `no Service or ServiceEntry is ${name}${full ? `; a name with a dot is not completed, write ${full.name}` : ''}`,
      why: 'the rule has no effect: its subsets, limits and TLS settings are not followed',
      about: { services: [name, ...(full ? [full.service] : [])] },
      fix: 'Correct the host, or remove the rule.',
    }),
  ];
}

/** Rules of one host in one namespace are merged: subsets add up, of two policies the older one's holds. */
function twice(world: World, rule: DestinationRule): readonly Finding[] {
  const older = world
    .list('DestinationRule')
    .find(
      (other) =>
        other !== rule &&
        other.namespace === rule.namespace &&
        hostOfRule(world, other) === hostOfRule(world, rule) &&
        other.workloadSelector === null &&
        rule.workloadSelector === null &&
        ((other.createdAt ?? 0) < (rule.createdAt ?? 0) ||
          ((other.createdAt ?? 0) === (rule.createdAt ?? 0) && other.name < rule.name)),
    );
  if (!older) return [];
  const names = new Set(older.subsets.map(({ name }) => name));
  const clash = rule.subsets.filter(({ name }) => names.has(name)).map(({ name }) => name);
  const policies = older.policy !== null && rule.policy !== null;
  if (!policies && clash.length === 0) return [];
  return [
    found('traffic', {
      id: 'destination-rule-same-host',
      severity: 'high',
      from: rule,
      field: 'spec.host',
      read: `${named(older.ref)} is for ${hostOfRule(world, rule)} too, ${policies ? 'and both have a trafficPolicy' : `and both define subset ${listed(clash)}`}`,
      why: 'of the two only one is followed, usually the older; TLS mode and limits are then not those that this one says',
      confirms: ['destinationrule-tls-conflict'],
      about: { services: hostsOf(world, rule).map(({ service }) => service) },
      see: 'istioctl analyze -A',
      fix: 'Join them in one DestinationRule.',
    }),
  ];
}

/** Of a broader and a narrower rule only the narrower is followed: what it leaves out is not taken from the other. */
function replaces(world: World, rule: DestinationRule, known: readonly Host[]): readonly Finding[] {
  const [host] = known;
  if (!host || hostOfRule(world, rule).startsWith('*') || rule.workloadSelector !== null) return [];
  const broader = world
    .list('DestinationRule')
    .find(
      (other) =>
        other.namespace === rule.namespace &&
        other.workloadSelector === null &&
        hostOfRule(world, other).startsWith('*') &&
        matchesHost(hostOfRule(world, other), host.name) &&
        explicitTls(other).some(({ subset, port }) => subset === null && port === null),
    );
  if (!broader || rule.policy?.tls || !followers(world, rule, host, '').length) return [];
  const mode = explicitTls(broader)[0]!.tls.mode;
  return [
    found('traffic', {
      id: 'destination-rule-replaces-broader',
      severity: 'medium',
      from: rule,
      field: 'spec.trafficPolicy.tls',
      read: `${named(broader.ref)} is for ${hostOfRule(world, broader)} and sets tls ${mode}; this one is for ${host.name} and sets none`,
      why: 'rules are not merged across hosts: callers follow this one alone, and auto mTLS decides',
      confirms: ['destinationrule-tls-conflict'],
      about: { services: known.map(({ service }) => service) },
      see: 'istioctl x describe service NAME.NAMESPACE',
      fix: `Repeat the tls block here if ${mode} is meant for this host too.`,
    }),
  ];
}

/** Locality failover needs to be told which hosts are unhealthy. */
function failover(rule: DestinationRule, known: readonly Host[]): readonly Finding[] {
  const { policy } = rule;
  if (!policy?.failover || policy.outlier) return [];
  return [
    found('traffic', {
      id: 'locality-failover-without-outlier-detection',
      severity: 'medium',
      from: rule,
      field: policy.failover,
      read: 'failover between localities, and no outlierDetection',
      why: 'without outlier detection no host counts as unhealthy while it is ready: requests stay in a locality that fails',
      confirms: ['locality-failover-not-triggered'],
      about: { services: known.map(({ service }) => service) },
      fix: 'Add outlierDetection to the same trafficPolicy.',
    }),
  ];
}

function subsetsWithoutPods(world: World, rule: DestinationRule, known: readonly Host[]): readonly Finding[] {
  const host = known.find(({ isService }) => isService);
  if (!host || rule.host.startsWith('*')) return [];
  const pods = podsOf(world, host.object as Service);
  if (pods.length === 0) return [];
  return rule.subsets.flatMap((subset) => {
    const chosen = pods.filter(({ labels }) => selects({ labels: subset.labels, expressions: [] }, labels));
    const ready = chosen.filter((pod) => pod.ready !== false);
    if (ready.length > 0) return [];
    const labels = [...subset.labels].map(([key, value]) => `${key}=${value}`).join(',');
    return found('traffic', {
      id: chosen.length > 0 ? 'subset-without-ready-pod' : 'subset-selects-no-pod',
      basis: 'state',
      severity: 'high',
      from: rule,
      field: `${subset.field}.labels`,
      read:
        chosen.length > 0
          ? `none of the ${chosen.length} pods of ${host.service} with ${labels} is ready`
          : `no pod of ${host.service} has ${labels}`,
      why: `requests that are routed to subset ${subset.name} end with 503, flag UH`,
      confirms: ['subset-selects-no-pods'],
      about: { services: [host.service] },
      see: `kubectl -n ${host.namespace} get pods -l ${labels}`,
      fix: "Align the labels with the pods'; shift the weights before a version is removed.",
    });
  });
}

function limits(rule: DestinationRule, known: readonly Host[]): readonly Finding[] {
  const policies = [rule.policy, ...rule.subsets.map(({ policy }) => policy)];
  return policies.flatMap((policy) => {
    if (!policy) return [];
    const { pool, outlier } = policy;
    const findings: Finding[] = [];
    const base = {
      severity: 'medium',
      from: rule,
      about: { services: known.map(({ service }) => service) },
    } as const;
    const tight = (
      [
        ['maxConnections', 'tcp.maxConnections', pool.maxConnections],
        ['http1MaxPendingRequests', 'http.http1MaxPendingRequests', pool.maxPendingRequests],
        ['http2MaxRequests', 'http.http2MaxRequests', pool.maxRequests],
      ] as const
    ).filter(([, , value]) => value !== null && value > 0 && value <= 1);
    if (tight.length > 0) {
      findings.push(
        found('traffic', {
          ...base,
          id: 'connection-pool-of-one',
          field: `${pool.field}.${tight[0]![1]}`,
          read: tight.map(([name, , value]) => `${name}: ${value}`).join(', '),
          why: 'of two requests at once from one proxy the second is refused: 503, flag UO',
          confirms: ['upstream-overflow'],
          fix: 'Set limits above the concurrency that is wanted, or leave them out.',
        }),
      );
    }
    if (
      outlier?.maxEjectionPercent === 100 &&
      outlier.consecutive5xx !== null &&
      outlier.consecutive5xx <= 1
    ) {
      findings.push(
        found('traffic', {
          ...base,
          id: 'outlier-detection-ejects-all',
          field: `${outlier.field}.maxEjectionPercent`,
          read: `maxEjectionPercent: 100 after ${outlier.consecutive5xx} error`,
          why: 'a few errors in a row eject every host: all requests then end with 503, flag UH',
          confirms: ['outlier-all-ejected'],
          fix: 'Allow more errors, and keep some hosts: maxEjectionPercent below 100.',
        }),
      );
    }
    return findings;
  });
}

/** Callers that a rule is for; nothing where it is for all of them. */
function onlyFor(world: World, namespaces: ReadonlySet<string>): Pick<Subject, 'clients'> {
  if (clientNamespaces(world).every((namespace) => namespaces.has(namespace))) return {};
  return { clients: asClients(world.list('Pod').filter((pod) => namespaces.has(pod.namespace))) };
}

/** What an explicit TLS mode of a rule meets at the server. */
function againstServer(world: World, rule: DestinationRule, known: readonly Host[]): readonly Finding[] {
  const findings: Finding[] = [];
  for (const { tls, port, subset } of explicitTls(rule)) {
    const conflict = known.flatMap((host) => {
      const by = followers(world, rule, host, subset);
      if (!host.isService || by.length === 0) return [];
      const service = host.object as Service;
      const labels = rule.subsets.find(({ name }) => name === subset)?.labels ?? new Map();
      const pods = podsOf(world, service).filter((pod) => selects({ labels, expressions: [] }, pod.labels));
      const hit = service.ports
        .filter(({ number }) => port === null || number === port)
        .flatMap((one) => pods.flatMap((pod) => meeting(world, pod, one, tls.mode) ?? []));
      return hit.length > 0 ? [{ host, by, ...hit[0]! }] : [];
    });
    const [first] = conflict;
    if (!first) continue;
    const part = [
      subset === null ? '' : ` for subset ${subset}`,
      port === null ? '' : ` on port ${port}`,
    ].join('');
    findings.push(
      found('traffic', {
        id: first.id,
        severity: 'critical',
        from: rule,
        field: tls.field,
        read: `mode ${tls.mode}${part} for ${listed(conflict.map(({ host }) => host.service))}, where ${first.server}`,
        why: first.why,
        confirms: [first.cause],
        about: {
          services: conflict.map(({ host }) => host.service),
          ...onlyFor(world, new Set(conflict.flatMap(({ by }) => by))),
        },
        see: `istioctl x describe pod ${first.pod.name}.${first.pod.namespace}`,
        fix: 'Remove the tls block: auto mTLS then does what each server can. Or write ISTIO_MUTUAL.',
      }),
    );
  }
  return findings;
}

interface Meeting {
  readonly id: string;
  readonly cause: string;
  readonly pod: Pod;
  readonly server: string;
  readonly why: string;
}

function meeting(world: World, pod: Pod, port: ServicePort, mode: string): Meeting | null {
  const target = targetPortIn(pod, port);
  if (target === null) return null;
  const meshed = isSidecar(pod) || isAmbient(world, pod);
  const { mode: demand, from } = serverMtls(world, pod, target);
  const policy = from ? named(from.ref) : 'the default';
  if (meshed && demand === 'STRICT' && mode !== 'ISTIO_MUTUAL') {
    return {
      id: 'destination-rule-tls-conflict',
      cause: 'destinationrule-tls-conflict',
      pod,
      server: `${policy} demands STRICT on port ${target}`,
      why:
        mode === 'DISABLE'
          ? 'callers send plain text and the server cuts the connection: 503, flag UC, for every request'
          : "callers do not show the mesh's certificate and the server cuts the connection: 503, flag UC or UF",
    };
  }
  if (mode === 'DISABLE') return null;
  if (mode === 'ISTIO_MUTUAL' && (!meshed || (isSidecar(pod) && demand === 'DISABLE'))) {
    return {
      id: 'destination-rule-tls-to-plaintext',
      cause: 'mtls-to-plaintext-server',
      pod,
      server: meshed ? `${policy} says DISABLE on port ${target}` : `pod ${pod.name} has no proxy`,
      why: 'callers begin TLS with a server that speaks plain text: 503, flag UF, wrong version number',
    };
  }
  return null;
}
