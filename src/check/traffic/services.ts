import type { Finding } from '../../diagnosis/finding.js';
import { listed, plural } from '../../diagnosis/words.js';
import { found, type Check, type Examined } from '../check.js';
import type { Pod, Service, ServicePort } from '../kube-objects.js';
import { serverMtls } from '../mutual-tls.js';
import {
  declaredProtocol,
  endpointsOf,
  podsOf,
  protocolFamily,
  protocolInName,
  serviceName,
  servicesOf,
  targetPortIn,
} from '../services.js';
import { ofService } from '../subjects.js';
import { appContainers, hasProxy, isProxyOnly, podsIn, workloadOfPod } from '../workloads.js';
import { rootNamespaces } from '../mesh-config.js';
import { reachedServices } from '../envoy/held.js';
import type { World } from '../world.js';

export const services: Check = {
  id: 'services',
  phase: 'traffic',
  claim: 'every service has ready endpoints on ports that its pods declare, with a protocol that fits',
  subjects: ['Service'],
  needs: ['Pod'],
  nearby: ['Pod'],
  decides: [
    'no-endpoints',
    'app-not-listening',
    'protocol-selection-wrong',
    'headless-or-direct-pod-addressing',
  ],
  see: 'kubectl get services,endpointslices -A',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    for (const service of world.list('Service')) {
      if (service.type === 'ExternalName' || isOfTheSystem(service)) continue;
      const without = endpoints(world, service);
      findings.push(...without, ...ports(world, service), ...headless(world, service));
      const counted = countOf(world, service);
      examined.push({
        about: ofService(service),
        said: `${serviceName(service)}: ${counted.ready} ready of ${counted.all}`,
        ...(counted.ready > 0 && { excludes: ['no-endpoints'] }),
      });
    }
    return { findings, examined };
  },
};

/** Kubernetes' own services are none of the mesh's. */
const isOfTheSystem = ({ namespace, name }: Service): boolean =>
  namespace === 'kube-system' || (namespace === 'default' && name === 'kubernetes');

/** By EndpointSlices where they were read, else by the pods' own readiness. */
function countOf(world: World, service: Service): { readonly ready: number; readonly all: number } {
  const endpoints = endpointsOf(world, service);
  if (endpoints) {
    const { ready, notReady } = endpoints;
    return { ready: ready.length, all: ready.length + notReady.length };
  }
  const pods = podsOf(world, service);
  return { ready: pods.filter((pod) => pod.ready !== false).length, all: pods.length };
}

function endpoints(world: World, service: Service): readonly Finding[] {
  const { ready, all } = countOf(world, service);
  const pods = podsOf(world, service);
  if (ready === 0 && reachedServices(world).has(serviceName(service))) return [];
  const base = {
    severity: 'critical',
    from: service,
    why: 'every caller gets 503 at once, flag UH (no healthy upstream)',
    confirms: ['no-endpoints'],
    about: ofService(service),
    see: `kubectl -n ${service.namespace} get endpointslices -l kubernetes.io/service-name=${service.name}`,
  } as const;
  if (service.selector.size > 0 && pods.length === 0) {
    const selector = [...service.selector].map(([key, value]) => `${key}=${value}`).join(',');
    return [
      found('traffic', {
        ...base,
        id: 'service-selects-no-pod',
        basis: 'state',
        field: 'spec.selector',
        read: `no pod of ${service.namespace} has ${selector}${nearest(world, service)}`,
        fix: "Align the selector with the pods' labels, or scale the workload up.",
      }),
    ];
  }
  if (ready > 0 || (service.selector.size === 0 && all === 0 && endpointsOf(world, service) === null))
    return [];
  return [
    found('traffic', {
      ...base,
      id: 'service-without-ready-endpoint',
      basis: 'state',
      field: 'spec.selector',
      read: all === 0 ? 'it has no endpoint' : `none of its ${plural(all, 'endpoint')} is ready`,
      fix: 'Look why its pods are not ready: kubectl describe pod; readiness probes; the ports of the Service.',
    }),
  ];
}

/** Labels that differ in one value only. */
function nearest(world: World, service: Service): string {
  for (const pod of podsIn(world, service.namespace)) {
    const wrong = [...service.selector].filter(([key, value]) => pod.labels.get(key) !== value);
    const [key] = wrong[0] ?? [];
    if (wrong.length === 1 && key !== undefined && service.selector.size > 1) {
      return `; pod ${pod.name} has ${key}=${pod.labels.get(key) ?? '(none)'}`;
    }
  }
  return '';
}

function ports(world: World, service: Service): readonly Finding[] {
  const pods = podsOf(world, service);
  const [pod] = pods;
  if (!pod) return [];
  return service.ports.flatMap((port) => [
    ...targetOf(service, port, pods, pod),
    ...(isProxyOnly(pod)
      ? []
      : [...protocolOf(world, service, port, pods), ...clash(world, service, port, pod)]),
  ]);
}

function targetOf(service: Service, port: ServicePort, pods: readonly Pod[], pod: Pod): readonly Finding[] {
  const base = { from: service, field: `${port.field}.targetPort`, about: ofService(service) };
  if (pods.every((one) => targetPortIn(one, port) === null)) {
    return [
      found('traffic', {
        ...base,
        id: 'target-port-name-unknown',
        severity: 'critical',
        read: `targetPort ${port.targetPort} is the name of no container port of ${pod.name}`,
        why: 'the port has no endpoint: every caller gets 503, flag UH',
        confirms: ['no-endpoints'],
        fix: 'Name the port in the container, or write its number.',
      }),
    ];
  }
  const declared = appContainers(pod).flatMap((container) => container.ports.map(({ number }) => number));
  const target = targetPortIn(pod, port);
  if (target === null || declared.length === 0 || declared.includes(target) || isProxyOnly(pod)) return [];
  return [
    found('traffic', {
      ...base,
      id: 'target-port-not-declared',
      severity: 'medium',
      read: `targetPort ${target}; the containers of ${pod.name} declare ${listed(declared.map(String), 6)}`,
      why: 'if nothing listens there, the sidecar of the server answers 503, flag UF (connection refused)',
      confirms: ['app-not-listening'],
      see: `kubectl -n ${pod.namespace} debug -it ${pod.name} --image=nicolaka/netshoot --target=istio-proxy -- ss -ltnp`,
      fix: 'Align targetPort with the port on which the app listens.',
    }),
  ];
}

/** Numbers on which something other than HTTP is at home (IANA), with what it is. */
const NOT_HTTP: ReadonlyMap<number, string> = new Map([
  [1433, 'SQL Server'],
  [3306, 'MySQL'],
  [5432, 'PostgreSQL'],
  [5672, 'AMQP'],
  [6379, 'Redis'],
  [9042, 'Cassandra'],
  [9092, 'Kafka'],
  [11211, 'memcached'],
  [27017, 'MongoDB'],
]);

/** Words that people write for HTTP and that name no protocol of Istio's. */
const MEANT_HTTP: ReadonlySet<string> = new Set([
  'h2',
  'h2c',
  'http1',
  'http/1.1',
  'http/2',
  'http1.1',
  'grpcs',
  'rest',
  'ws',
  'websocket',
]);

function protocolOf(
  world: World,
  service: Service,
  port: ServicePort,
  pods: readonly Pod[],
): readonly Finding[] {
  if (!pods.some(hasProxy) || rootNamespaces(world).has(service.namespace)) return [];
  const declared = declaredProtocol(port);
  const base = { from: service, about: ofService(service), confirms: ['protocol-selection-wrong'] };
  const target = targetPortIn(pods[0]!, port) ?? port.number;
  const other = NOT_HTTP.get(target) ?? NOT_HTTP.get(port.number);
  if (protocolFamily(declared) === 'http' && other !== undefined) {
    return [
      found('traffic', {
        ...base,
        id: 'port-protocol-not-http',
        severity: 'high',
        field: port.appProtocol === null ? `${port.field}.name` : `${port.field}.appProtocol`,
        read: `port ${port.number} is declared ${declared}; ${target} is where ${other} is at home`,
        why: 'the sidecar parses it as HTTP and answers what is none with 400, flag DPE, or hangs where the server speaks first',
        fix: 'Name it tcp-…, or set appProtocol: tcp.',
      }),
    ];
  }
  if (declared === null && port.appProtocol !== null) {
    if (!MEANT_HTTP.has(port.appProtocol.toLowerCase())) return [];
    return [
      found('traffic', {
        ...base,
        id: 'app-protocol-unknown',
        severity: 'low',
        field: `${port.field}.appProtocol`,
        read: `appProtocol ${port.appProtocol} is none that Istio knows`,
        why: 'the port counts as undeclared, whatever its name says: what is not recognised is plain TCP without routes, retries and policies on paths',
        fix: 'Write http, http2, grpc, kubernetes.io/h2c or kubernetes.io/ws.',
      }),
    ];
  }
  if (declared === null) {
    return [
      found('traffic', {
        ...base,
        id: 'port-protocol-undeclared',
        severity: 'low',
        field: `${port.field}.name`,
        read: `the name ${port.name === '' ? '(none)' : port.name} of port ${port.number} begins with no protocol, and there is no appProtocol`,
        why: 'the proxies have to find out: server-first protocols hang for it, and what is not recognised is plain TCP without routes, retries and policies on paths',
        fix: 'Name it http-…, grpc-…, tcp-…, or set appProtocol.',
      }),
    ];
  }
  const inName = protocolInName(port.name);
  if (
    port.appProtocol !== null &&
    inName !== null &&
    protocolFamily(inName) !== protocolFamily(port.appProtocol.toLowerCase())
  ) {
    return [
      found('traffic', {
        ...base,
        id: 'port-protocol-contradiction',
        severity: 'medium',
        field: `${port.field}.appProtocol`,
        read: `appProtocol ${port.appProtocol} on a port that is named ${port.name}`,
        why: 'appProtocol goes before the name: the port is not treated as its name says',
        fix: 'Let both say the same.',
      }),
    ];
  }
  return [];
}

/** One container port under two protocols: only one listener can be made of it. */
function clash(world: World, service: Service, port: ServicePort, pod: Pod): readonly Finding[] {
  const target = targetPortIn(pod, port);
  for (const other of servicesOf(world, pod)) {
    if (other === service || !isBefore(other, service)) continue;
    for (const one of other.ports) {
      if (targetPortIn(pod, one) !== target) continue;
      const [mine, theirs] = [protocolFamily(declaredProtocol(port)), protocolFamily(declaredProtocol(one))];
      if (mine === theirs || mine === 'auto' || theirs === 'auto') continue;
      return [
        found('traffic', {
          id: 'port-protocol-clash',
          severity: 'high',
          from: service,
          field: `${port.field}.name`,
          read: `container port ${target} is ${mine} here and ${theirs} in Service ${other.name}`,
          why: 'the sidecar has one listener for it and takes one of the two protocols: requests through the other service fail',
          confirms: ['protocol-selection-wrong'],
          about: { services: [serviceName(service), serviceName(other)] },
          see: 'istioctl analyze -A',
          fix: 'Declare the same protocol in both.',
        }),
      ];
    }
  }
  return [];
}

const isBefore = (a: Service, b: Service): boolean =>
  (a.createdAt ?? 0) < (b.createdAt ?? 0) || ((a.createdAt ?? 0) === (b.createdAt ?? 0) && a.name < b.name);

/** Members of a headless service dial each other's addresses: a port that it does not name is unknown to their proxies. */
function headless(world: World, service: Service): readonly Finding[] {
  if (!service.headless) return [];
  const pod = podsOf(world, service).find(hasProxy);
  if (!pod || workloadOfPod(world, pod)?.kind !== 'StatefulSet') return [];
  const named = new Set(
    servicesOf(world, pod).flatMap((one) => one.ports.flatMap((port) => targetPortIn(pod, port) ?? [])),
  );
  // A Service that names a port nobody declares means this one: that is told on its own.
  const declared = new Set(
    appContainers(pod).flatMap((container) => container.ports.map(({ number }) => number)),
  );
  if ([...named].some((number) => !declared.has(number))) return [];
  const unnamed = appContainers(pod)
    .flatMap((container) => container.ports.map(({ number }) => number))
    .filter((number) => !named.has(number) && serverMtls(world, pod, number).mode === 'STRICT');
  if (unnamed.length === 0) return [];
  return [
    found('traffic', {
      id: 'headless-port-undeclared',
      severity: 'medium',
      from: service,
      field: 'spec.ports',
      read: `containers of ${pod.name} listen on ${listed(unnamed.map(String))}, which no Service names`,
      why: 'members that dial each other there go through as plain TCP, and STRICT refuses plain text',
      confirms: ['headless-or-direct-pod-addressing'],
      about: ofService(service),
      see: `istioctl proxy-config listener ${pod.name}.${pod.namespace}`,
      fix: 'Name every port of the members in the headless Service, or exempt it with portLevelMtls.',
    }),
  ];
}
