import type { Json, Mesh } from './mesh.js';

/** One change of the healthy mesh, and the one finding that it gives: its id and the object that is named. */
export interface Misconfiguration {
  readonly what: string;
  readonly change: (mesh: Mesh) => void;
  readonly id: string;
  /** `Kind namespace/name`, the beginning of it for pods. */
  readonly object: string;
  readonly confirms?: string;
}

const made = (kind: string, apiVersion: string, namespace: string, name: string, spec: Json): Json => ({
  apiVersion,
  kind,
  metadata: { name, namespace, creationTimestamp: '2026-11-19T08:00:00Z', generation: 1 },
  spec,
});
const istio = (kind: string, at: string, spec: Json): Json =>
  made(kind, 'networking.istio.io/v1', at.split('/')[0]!, at.split('/')[1]!, spec);
const security = (kind: string, at: string, spec: Json): Json =>
  made(kind, 'security.istio.io/v1', at.split('/')[0]!, at.split('/')[1]!, spec);

const CATALOG_POD = 'Pod/shop/catalog-7d9f8c6b54-x0';
const TRAFFIC = 'metadata.annotations[traffic.sidecar.istio.io/';

/** The three that are met most often. */
export const PATTERNS: readonly Misconfiguration[] = [
  {
    what: 'pattern 1, missing route: the catch-all of a VirtualService is gone',
    change: (mesh) => mesh.set('VirtualService/pay/payments', 'spec.http[2]', undefined),
    id: 'route-without-catch-all',
    object: 'VirtualService pay/payments',
    confirms: 'vs-route-no-match',
  },
  {
    what: 'pattern 2, DestinationRule conflict: plain text to a STRICT server',
    change: (mesh) =>
      mesh.set('DestinationRule/stock/inventory', 'spec.trafficPolicy.tls', { mode: 'DISABLE' }),
    id: 'destination-rule-tls-conflict',
    object: 'DestinationRule stock/inventory',
    confirms: 'destinationrule-tls-conflict',
  },
  {
    what: 'pattern 3, injection failure: a pod came up without its proxy',
    change: (mesh) => {
      mesh.set(CATALOG_POD, 'spec.containers[1]', undefined);
      mesh.set(CATALOG_POD, 'spec.initContainers', undefined);
      mesh.set(CATALOG_POD, 'status.containerStatuses[1]', undefined);
      dropSync(mesh, 'catalog-7d9f8c6b54-x0');
    },
    id: 'sidecar-missing',
    object: 'Pod shop/catalog-7d9f8c6b54-x0',
    confirms: 'sidecar-injection-missing',
  },
];

function dropSync(mesh: Mesh, start: string): void {
  const list = mesh.pages.get('dump/istiod/syncz') as Json[];
  mesh.pages.set(
    'dump/istiod/syncz',
    list.filter(({ proxy }) => !String(proxy).startsWith(start)),
  );
}

export const FOUNDATION: readonly Misconfiguration[] = [
  {
    what: 'the namespace lost its injection label',
    change: (mesh) => mesh.set('Namespace/ship', 'metadata.labels[istio-injection]', undefined),
    id: 'injection-label-missing',
    object: 'Namespace ship',
  },
  {
    what: 'two labels that contradict each other',
    change: (mesh) => mesh.set('Namespace/ship', 'metadata.labels[istio.io/rev]', 'canary'),
    id: 'injection-labels-conflict',
    object: 'Namespace ship',
  },
  {
    what: 'a revision that no control plane serves',
    change: (mesh) => {
      mesh.set('Namespace/data', 'metadata.labels[istio-injection]', undefined);
      mesh.set('Namespace/data', 'metadata.labels[istio.io/rev]', '1-29-0');
    },
    id: 'injection-revision-unknown',
    object: 'Namespace data',
    confirms: 'sidecar-injection-missing',
  },
  {
    what: 'a workload that opted out',
    change: (mesh) => {
      for (const part of [
        'Deployment/front/seo',
        'Pod/front/seo-7d9f8c6b54-x0',
        'Pod/front/seo-7d9f8c6b54-x1',
      ]) {
        const pod = part.startsWith('Pod');
        mesh.set(part, `${pod ? '' : 'spec.template.'}metadata.labels[sidecar.istio.io/inject]`, 'false');
        if (!pod) continue;
        mesh.set(part, 'spec.containers[1]', undefined);
        mesh.set(part, 'spec.initContainers', undefined);
        mesh.set(part, 'status.containerStatuses[1]', undefined);
      }
      dropSync(mesh, 'seo-');
    },
    id: 'injection-opted-out',
    object: 'Deployment front/seo',
  },
  {
    what: 'nothing redirects the traffic of a pod',
    change: (mesh) => {
      mesh.set('Pod/shop/bundles', 'spec.initContainers', undefined);
    },
    id: 'capture-init-missing',
    object: 'Pod shop/bundles',
    confirms: 'traffic-capture-bypassed',
  },
  {
    what: 'an app that runs as the proxy’s user',
    change: (mesh) => mesh.set('Pod/shop/gifts', 'spec.containers[0].securityContext.runAsUser', 1337),
    id: 'capture-app-runs-as-proxy-user',
    object: 'Pod shop/gifts',
  },
  {
    what: 'a pod with a sidecar on the host network',
    change: (mesh) => mesh.set('Pod/shop/gifts', 'spec.hostNetwork', true),
    id: 'capture-host-network',
    object: 'Pod shop/gifts',
  },
  {
    what: 'the port of a Service goes past the sidecar',
    change: (mesh) => mesh.set('Pod/ship/slots', `${TRAFFIC}excludeInboundPorts]`, '9901,8080'),
    id: 'capture-inbound-port-excluded',
    object: 'Pod ship/slots',
    confirms: 'mtls-to-plaintext-server',
  },
  {
    what: 'only another port goes through the sidecar',
    change: (mesh) => mesh.set('Pod/ship/slots', `${TRAFFIC}includeInboundPorts]`, '9000'),
    id: 'capture-inbound-port-excluded',
    object: 'Pod ship/slots',
  },
  {
    what: 'calls to a STRICT server go past the sidecar by port',
    change: (mesh) => mesh.set('Pod/ship/slots', `${TRAFFIC}excludeOutboundPorts]`, '9000'),
    id: 'capture-outbound-port-excluded',
    object: 'Pod ship/slots',
    confirms: 'peer-not-in-mesh-plaintext',
  },
  {
    what: 'calls to a STRICT server go past the sidecar by address',
    change: (mesh) => mesh.set('Pod/ship/slots', `${TRAFFIC}excludeOutboundIPRanges]`, '10.96.0.0/16'),
    id: 'capture-outbound-range-excluded',
    object: 'Pod ship/slots',
  },
  {
    what: 'a pod of an ambient namespace that ztunnel does not see',
    change: (mesh) => {
      mesh.set('Namespace/outside', 'metadata.labels[istio.io/dataplane-mode]', 'ambient');
    },
    id: 'ambient-not-redirected',
    object: 'Pod outside/batch',
    confirms: 'traffic-capture-bypassed',
  },
  {
    what: 'a proxy that is not ready',
    change: (mesh) => {
      mesh.set('Pod/shop/search-7d9f8c6b54-x0', 'status.containerStatuses[1].ready', false);
    },
    id: 'proxy-not-ready',
    object: 'Pod shop/search',
  },
  {
    what: 'a proxy that was killed for memory',
    change: (mesh) => {
      mesh.set('Pod/shop/cart-7d9f8c6b54-x0', 'status.containerStatuses[1].restartCount', 3);
      mesh.set('Pod/shop/cart-7d9f8c6b54-x0', 'status.containerStatuses[1].lastState', {
        terminated: { reason: 'OOMKilled', exitCode: 137, finishedAt: '2026-11-20T11:00:00Z' },
      });
    },
    id: 'proxy-restarted',
    object: 'Pod shop/cart',
    confirms: 'proxy-crash-or-oom',
  },
  {
    what: 'a proxy four minor versions behind',
    change: oldProxy,
    id: 'proxy-version-skew',
    object: 'Pod people/templates',
  },
  {
    what: 'an app that crashes again and again',
    change: (mesh) => {
      mesh.set('Pod/shop/catalog-7d9f8c6b54-x1', 'status.containerStatuses[0]', {
        name: 'catalog',
        ready: false,
        restartCount: 9,
        state: { waiting: { reason: 'CrashLoopBackOff' } },
        lastState: { terminated: { reason: 'Error', exitCode: 1 } },
      });
    },
    id: 'app-container-failing',
    object: 'Pod shop/catalog',
    confirms: 'app-not-listening',
  },
  {
    what: 'an app that was killed for memory',
    change: (mesh) =>
      mesh.set('Pod/shop/catalog-7d9f8c6b54-x1', 'status.containerStatuses[0].lastState', {
        terminated: { reason: 'OOMKilled', exitCode: 137, finishedAt: '2026-11-20T11:00:00Z' },
      }),
    id: 'app-container-out-of-memory',
    object: 'Pod shop/catalog',
    confirms: 'app-crash-oom',
  },
  {
    what: 'a node that is gone',
    change: (mesh) => mesh.set('Node/node-2', 'status.conditions[0].status', 'Unknown'),
    id: 'node-not-ready',
    object: 'Node node-2',
    confirms: 'node-unreachable',
  },
  {
    what: 'a proxy with an update that it did not acknowledge',
    change: (mesh) => (syncOf(mesh, 'storefront-')['endpoint_acked'] = 'a0'),
    id: 'proxy-config-stale',
    object: 'Pod front/storefront',
    confirms: 'stale-proxy-config',
  },
  {
    what: 'a proxy that no istiod knows',
    change: (mesh) => dropSync(mesh, 'slots-'),
    id: 'proxy-not-connected',
    object: 'Pod ship/slots',
    confirms: 'stale-proxy-config',
  },
  {
    what: 'a proxy that refuses its listeners',
    change: (mesh) =>
      (syncOf(mesh, 'storefront-')['resources'] = {
        'type.googleapis.com/envoy.config.listener.v3.Listener': {
          sent: 'b',
          acked: 'a',
          lastError: 'unknown filter',
        },
      }),
    id: 'proxy-config-refused',
    object: 'Pod front/storefront',
  },
  {
    what: 'a caller outside of the mesh meets STRICT',
    change: (mesh) =>
      mesh.set('PeerAuthentication/people/consent', 'spec.portLevelMtls[8080].mode', 'STRICT'),
    id: 'strict-server-plaintext-caller',
    object: 'Deployment outside/batch',
    confirms: 'peer-not-in-mesh-plaintext',
  },
  {
    what: 'a second policy for the whole mesh',
    change: (mesh) =>
      mesh.add(security('PeerAuthentication', 'istio-system/later', { mtls: { mode: 'PERMISSIVE' } })),
    id: 'peer-authentication-ignored',
    object: 'PeerAuthentication istio-system/later',
  },
  {
    what: 'a policy whose selector fits nothing',
    change: (mesh) =>
      mesh.add(
        security('PeerAuthentication', 'ship/rates', {
          selector: { matchLabels: { app: 'rate' } },
          mtls: { mode: 'PERMISSIVE' },
        }),
      ),
    id: 'peer-authentication-selects-nothing',
    object: 'PeerAuthentication ship/rates',
  },
  {
    what: 'a policy with the port of the Service instead of the container’s',
    change: (mesh) =>
      mesh.add(
        security('PeerAuthentication', 'ship/rates', {
          selector: { matchLabels: { app: 'rates' } },
          mtls: { mode: 'STRICT' },
          portLevelMtls: { 80: { mode: 'PERMISSIVE' } },
        }),
      ),
    id: 'peer-authentication-port-unused',
    object: 'PeerAuthentication ship/rates',
  },
  {
    what: 'ports in a policy without a selector',
    change: (mesh) =>
      mesh.add(
        security('PeerAuthentication', 'ship/all', {
          mtls: { mode: 'STRICT' },
          portLevelMtls: { 8080: { mode: 'DISABLE' } },
        }),
      ),
    id: 'peer-authentication-ports-without-selector',
    object: 'PeerAuthentication ship/all',
  },
  {
    what: 'access logs turned off for a namespace',
    change: (mesh) =>
      mesh.add({
        ...made('Telemetry', 'telemetry.istio.io/v1', 'pay', 'quiet', {
          accessLogging: [{ disabled: true }],
        }),
      }),
    id: 'access-log-off',
    object: 'Telemetry pay/quiet',
    confirms: 'access-logs-disabled',
  },
  {
    what: 'access logs of failures only',
    change: (mesh) =>
      mesh.set('Telemetry/istio-system/mesh', 'spec.accessLogging[0].filter', {
        expression: 'response.code >= 500',
      }),
    id: 'access-log-filtered',
    object: 'Telemetry istio-system/mesh',
  },
  {
    what: 'access logs sent to a collector only',
    change: (mesh) =>
      mesh.set('Telemetry/istio-system/mesh', 'spec.accessLogging[0].providers[0].name', 'collector'),
    id: 'access-log-elsewhere',
    object: 'Telemetry istio-system/mesh',
  },
  {
    what: 'access logs of one side only',
    change: (mesh) =>
      mesh.set('Telemetry/istio-system/mesh', 'spec.accessLogging[0].match', { mode: 'CLIENT' }),
    id: 'access-log-one-sided',
    object: 'Telemetry istio-system/mesh',
  },
];

function oldProxy(mesh: Mesh): void {
  const pod = mesh.get('Pod/people/templates') as { spec: { containers: Json[]; initContainers: Json[] } };
  for (const container of [...pod.spec.containers, ...pod.spec.initContainers]) {
    if (container['name'] === 'istio-proxy') container['image'] = 'docker.io/istio/proxyv2:1.24.2';
  }
}

function syncOf(mesh: Mesh, start: string): Json {
  const list = mesh.pages.get('dump/istiod/syncz') as Json[];
  return list.find(({ proxy }) => String(proxy).startsWith(start))!;
}

const PAYMENTS = 'VirtualService/pay/payments';

export const TRAFFIC_CASES: readonly Misconfiguration[] = [
  {
    what: 'a subset that no DestinationRule defines',
    change: (mesh) => mesh.set(PAYMENTS, 'spec.http[0].route[0].destination.subset', 'v3'),
    id: 'route-subset-undefined',
    object: 'VirtualService pay/payments',
    confirms: 'subset-undefined-cluster-not-found',
  },
  {
    what: 'a destination that does not exist',
    change: (mesh) =>
      mesh.set('VirtualService/front/www', 'spec.http[1].route[0].destination.host', 'search'),
    id: 'route-host-unknown',
    object: 'VirtualService front/www',
    confirms: 'subset-undefined-cluster-not-found',
  },
  {
    what: 'a destination by name and namespace, which nothing completes',
    change: (mesh) =>
      mesh.set('VirtualService/front/www', 'spec.http[1].route[0].destination.host', 'search.shop'),
    id: 'route-host-unknown',
    object: 'VirtualService front/www',
  },
  {
    what: 'the container’s port in a route',
    change: (mesh) =>
      mesh.set('VirtualService/front/www', 'spec.http[2].route[0].destination.port.number', 8080),
    id: 'route-port-unknown',
    object: 'VirtualService front/www',
    confirms: 'subset-undefined-cluster-not-found',
  },
  {
    what: 'a mirror to nowhere',
    change: (mesh) =>
      mesh.set('VirtualService/front/www', 'spec.http[2].mirror', { host: 'storefront-next' }),
    id: 'route-host-unknown',
    object: 'VirtualService front/www',
  },
  {
    what: 'a rule behind one that takes its requests',
    change: (mesh) =>
      mesh.set(PAYMENTS, 'spec.http[1].match', [
        { uri: { prefix: '/v2/a' }, method: { exact: 'GET' }, headers: { 'x-canary': { exact: 'yes' } } },
      ]),
    id: 'route-rule-never-reached',
    object: 'VirtualService pay/payments',
  },
  {
    what: 'exact paths only',
    change: (mesh) =>
      mesh.set('VirtualService/front/partners', 'spec.http[0].match[0].uri', { exact: '/api' }),
    id: 'route-exact-paths-only',
    object: 'VirtualService front/partners',
    confirms: 'vs-route-no-match',
  },
  {
    what: 'two VirtualServices of one host',
    change: (mesh) =>
      mesh.add(
        istio('VirtualService', 'pay/payments-extra', {
          hosts: ['payments'],
          http: [{ route: [{ destination: { host: 'payments' } }] }],
        }),
      ),
    id: 'virtual-service-same-host',
    object: 'VirtualService pay/payments-extra',
  },
  {
    what: 'a delegate that does not exist',
    change: (mesh) =>
      mesh.set('VirtualService/front/www', 'spec.http[0]', {
        match: [{ uri: { prefix: '/a' } }],
        delegate: { name: 'assets' },
      }),
    id: 'route-delegate-missing',
    object: 'VirtualService front/www',
  },
  {
    what: 'a fault that was left in',
    change: (mesh) =>
      mesh.set(PAYMENTS, 'spec.http[2].fault', { abort: { httpStatus: 503, percentage: { value: 5 } } }),
    id: 'fault-injection-active',
    object: 'VirtualService pay/payments',
    confirms: 'fault-injected',
  },
  {
    what: 'weights of nothing',
    change: (mesh) => {
      mesh.set(PAYMENTS, 'spec.http[2].route[0].weight', 0);
      mesh.set(PAYMENTS, 'spec.http[2].route[1].weight', 0);
    },
    id: 'route-weights-zero',
    object: 'VirtualService pay/payments',
  },
  {
    what: 'a timeout below that of a single try',
    change: (mesh) => mesh.set(PAYMENTS, 'spec.http[1].timeout', '2s'),
    id: 'route-timeout-below-try',
    object: 'VirtualService pay/payments',
    confirms: 'route-timeout',
  },
  {
    what: 'a subset whose labels no pod has',
    change: (mesh) => mesh.set('DestinationRule/pay/payments', 'spec.subsets[1].labels', { version: 'v2.0' }),
    id: 'subset-selects-no-pod',
    object: 'DestinationRule pay/payments',
    confirms: 'subset-selects-no-pods',
  },
  {
    what: 'a subset none of whose pods is ready',
    change: (mesh) => {
      for (const i of [0, 1])
        mesh.set(`Pod/shop/reviews-v2-7d9f8c6b54-x${i}`, 'status.conditions[0].status', 'False');
    },
    id: 'subset-without-ready-pod',
    object: 'DestinationRule shop/reviews',
    confirms: 'subset-selects-no-pods',
  },
  {
    what: 'a DestinationRule of an unknown host',
    change: (mesh) => mesh.set('DestinationRule/stock/inventory', 'spec.host', 'inventory.stock'),
    id: 'destination-rule-host-unknown',
    object: 'DestinationRule stock/inventory',
  },
  {
    what: 'a second DestinationRule of one host',
    change: (mesh) =>
      mesh.add(
        istio('DestinationRule', 'stock/again', {
          host: 'inventory',
          trafficPolicy: { tls: { mode: 'DISABLE' } },
        }),
      ),
    id: 'destination-rule-same-host',
    object: 'DestinationRule stock/again',
  },
  {
    what: 'TLS of the wrong kind for one subset',
    change: (mesh) =>
      mesh.set('DestinationRule/shop/reviews', 'spec.subsets[1].trafficPolicy', { tls: { mode: 'SIMPLE' } }),
    id: 'destination-rule-tls-conflict',
    object: 'DestinationRule shop/reviews',
  },
  {
    what: 'plain text for one port',
    change: (mesh) =>
      mesh.set('DestinationRule/stock/inventory', 'spec.trafficPolicy.portLevelSettings', [
        { port: { number: 80 }, tls: { mode: 'DISABLE' } },
      ]),
    id: 'destination-rule-tls-conflict',
    object: 'DestinationRule stock/inventory',
  },
  {
    what: 'plain text for a whole domain, from the root namespace',
    change: (mesh) =>
      mesh.add(
        istio('DestinationRule', 'istio-system/plain', {
          host: '*.ship.svc.cluster.local',
          trafficPolicy: { tls: { mode: 'DISABLE' } },
        }),
      ),
    id: 'destination-rule-tls-conflict',
    object: 'DestinationRule istio-system/plain',
  },
  {
    what: 'mutual TLS to a server that speaks plain text',
    change: (mesh) =>
      mesh.add(
        security('PeerAuthentication', 'shop/reviews', {
          selector: { matchLabels: { app: 'reviews' } },
          mtls: { mode: 'DISABLE' },
        }),
      ),
    id: 'destination-rule-tls-to-plaintext',
    object: 'DestinationRule shop/reviews',
    confirms: 'mtls-to-plaintext-server',
  },
  {
    what: 'one pending request',
    change: (mesh) =>
      mesh.set(
        'DestinationRule/pay/payments',
        'spec.trafficPolicy.connectionPool.http.http1MaxPendingRequests',
        1,
      ),
    id: 'connection-pool-of-one',
    object: 'DestinationRule pay/payments',
    confirms: 'upstream-overflow',
  },
  {
    what: 'one error ejects everybody',
    change: (mesh) =>
      mesh.set('DestinationRule/pay/payments', 'spec.trafficPolicy.outlierDetection', {
        consecutive5xxErrors: 1,
        maxEjectionPercent: 100,
      }),
    id: 'outlier-detection-ejects-all',
    object: 'DestinationRule pay/payments',
    confirms: 'outlier-all-ejected',
  },
  {
    what: 'a selector with a slip',
    change: (mesh) => {
      mesh.set('Service/stock/labels', 'spec.selector', { app: 'label' });
      mesh.set('EndpointSlice/stock/labels-abcde', 'endpoints', []);
    },
    id: 'service-selects-no-pod',
    object: 'Service stock/labels',
    confirms: 'no-endpoints',
  },
  {
    what: 'no endpoint is ready',
    change: (mesh) => {
      mesh.set('Pod/stock/labels', 'status.conditions[0].status', 'False');
      mesh.set('EndpointSlice/stock/labels-abcde', 'endpoints[0].conditions.ready', false);
    },
    id: 'service-without-ready-endpoint',
    object: 'Service stock/labels',
    confirms: 'no-endpoints',
  },
  {
    what: 'a target port by a name that no container has',
    change: (mesh) => mesh.set('Service/stock/labels', 'spec.ports[0].targetPort', 'web'),
    id: 'target-port-name-unknown',
    object: 'Service stock/labels',
    confirms: 'no-endpoints',
  },
  {
    what: 'a target port on which nothing is declared',
    change: (mesh) => mesh.set('Service/stock/labels', 'spec.ports[0].targetPort', 8081),
    id: 'target-port-not-declared',
    object: 'Service stock/labels',
    confirms: 'app-not-listening',
  },
  {
    what: 'a port name without a protocol',
    change: (mesh) => mesh.set('Service/stock/labels', 'spec.ports[0].name', 'labels'),
    id: 'port-protocol-undeclared',
    object: 'Service stock/labels',
    confirms: 'protocol-selection-wrong',
  },
  {
    what: 'a database declared as HTTP',
    change: (mesh) => mesh.set('Service/data/cart-cache', 'spec.ports[0].name', 'http-redis'),
    id: 'port-protocol-not-http',
    object: 'Service data/cart-cache',
    confirms: 'protocol-selection-wrong',
  },
  {
    what: 'appProtocol against the name',
    change: (mesh) => mesh.set('Service/stock/labels', 'spec.ports[0].appProtocol', 'tcp'),
    id: 'port-protocol-contradiction',
    object: 'Service stock/labels',
  },
  {
    what: 'one container port under two protocols',
    change: (mesh) =>
      mesh.add({
        ...made('Service', 'v1', 'stock', 'labels-raw', {
          selector: { app: 'labels' },
          ports: [{ name: 'tcp-raw', port: 8000, targetPort: 8080 }],
        }),
      }),
    id: 'port-protocol-clash',
    object: 'Service stock/labels-raw',
  },
  {
    what: 'members of a database talk on a port that no Service names',
    change: (mesh) => {
      for (const i of [0, 1])
        mesh.set(`Pod/data/ledger-db-${i}`, 'spec.containers[0].ports[1]', {
          name: 'peers',
          containerPort: 7000,
        });
    },
    id: 'headless-port-undeclared',
    object: 'Service data/ledger-db',
    confirms: 'headless-or-direct-pod-addressing',
  },
  {
    what: 'probes that are not rewritten meet STRICT',
    change: (mesh) =>
      mesh.set('Pod/ship/slots', 'metadata.annotations[sidecar.istio.io/rewriteAppHTTPProbers]', 'false'),
    id: 'probe-not-rewritten',
    object: 'Pod ship/slots',
    confirms: 'probe-misrouted-or-rejected',
  },
];

export const EDGES: readonly Misconfiguration[] = [
  {
    what: 'a Gateway that no pod serves',
    change: (mesh) => mesh.set('Gateway/istio-system/public', 'spec.selector', { istio: 'ingressgateway' }),
    id: 'gateway-selects-no-pod',
    object: 'Gateway istio-system/public',
    confirms: 'gateway-host-unknown',
  },
  {
    what: 'a Gateway without routes',
    change: (mesh) =>
      mesh.add(
        istio('Gateway', 'istio-system/lonely', {
          selector: { istio: 'ingress' },
          servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['lonely.shop.example'] }],
        }),
      ),
    id: 'gateway-without-route',
    object: 'Gateway istio-system/lonely',
  },
  {
    what: 'TLS without a certificate',
    change: (mesh) => mesh.set('Gateway/istio-system/public', 'spec.servers[1].tls', { mode: 'SIMPLE' }),
    id: 'gateway-without-certificate',
    object: 'Gateway istio-system/public',
    confirms: 'gateway-sni-no-match',
  },
  {
    what: 'HTTPS without tls',
    change: (mesh) => mesh.set('Gateway/istio-system/public', 'spec.servers[1].tls', undefined),
    id: 'gateway-without-tls',
    object: 'Gateway istio-system/public',
  },
  {
    what: 'a port of a Gateway that its Service does not have',
    change: (mesh) => mesh.set('Gateway/istio-system/public', 'spec.servers[0].port.number', 8000),
    id: 'gateway-port-not-exposed',
    object: 'Gateway istio-system/public',
  },
  {
    what: 'two Gateways for one host',
    change: (mesh) => {
      mesh.add(
        istio('Gateway', 'istio-system/second', {
          selector: { istio: 'ingress' },
          servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['www.shop.example'] }],
        }),
      );
      mesh.set('VirtualService/front/www', 'spec.gateways[1]', 'istio-system/second');
    },
    id: 'gateway-same-host',
    object: 'Gateway istio-system/second',
  },
  {
    what: 'a route whose Gateway is of another namespace',
    change: (mesh) => mesh.set('VirtualService/front/partners', 'spec.gateways[0]', 'public'),
    id: 'route-gateway-missing',
    object: 'VirtualService front/partners',
    confirms: 'gateway-host-unknown',
  },
  {
    what: 'a host that the Gateway does not serve',
    change: (mesh) => mesh.set('VirtualService/front/partners', 'spec.hosts[0]', 'partner.shop.example'),
    id: 'route-host-not-on-gateway',
    object: 'VirtualService front/partners',
    confirms: 'gateway-host-unknown',
  },
  {
    what: 'a host that the Gateway serves for another namespace',
    change: (mesh) =>
      mesh.set('Gateway/istio-system/public', 'spec.servers[1].hosts[1]', 'shop/partners.shop.example'),
    id: 'route-host-not-on-gateway',
    object: 'VirtualService front/partners',
  },
  {
    what: 'a route that the gateway does not see',
    change: (mesh) => mesh.set('VirtualService/front/partners', 'spec.exportTo', ['.']),
    id: 'route-hidden-from-gateway',
    object: 'VirtualService front/partners',
    confirms: 'gateway-host-unknown',
  },
  {
    what: 'an HTTPRoute to a Gateway that does not exist',
    change: (mesh) => {
      mesh.set('HTTPRoute/ship/tracking', 'spec.parentRefs[1]', { name: 'edge' });
    },
    id: 'parent-gateway-missing',
    object: 'HTTPRoute ship/tracking',
    confirms: 'gateway-host-unknown',
  },
  {
    what: 'an HTTPRoute to a listener that does not exist',
    change: (mesh) => mesh.set('HTTPRoute/ship/tracking', 'spec.parentRefs[0].sectionName', 'https'),
    id: 'parent-listener-missing',
    object: 'HTTPRoute ship/tracking',
  },
  {
    what: 'a listener that takes routes of its own namespace only',
    change: (mesh) => mesh.set('Gateway/front/edge', 'spec.listeners[0].allowedRoutes', undefined),
    id: 'parent-namespace-not-allowed',
    object: 'HTTPRoute ship/tracking',
  },
  {
    what: 'an HTTPRoute of another domain',
    change: (mesh) => mesh.set('HTTPRoute/ship/tracking', 'spec.hostnames[0]', 'tracking.shop.example'),
    id: 'parent-hostname-mismatch',
    object: 'HTTPRoute ship/tracking',
  },
  {
    what: 'a backend that does not exist',
    change: (mesh) => mesh.set('HTTPRoute/ship/tracking', 'spec.rules[0].backendRefs[0].name', 'track'),
    id: 'backend-not-found',
    object: 'HTTPRoute ship/tracking',
    confirms: 'gateway-api-backend-invalid',
  },
  {
    what: 'a backend’s port that does not exist',
    change: (mesh) => mesh.set('HTTPRoute/ship/tracking', 'spec.rules[0].backendRefs[0].port', 8080),
    id: 'backend-port-unknown',
    object: 'HTTPRoute ship/tracking',
  },
  {
    what: 'a backend of another namespace without a grant',
    change: (mesh) => mesh.set('ReferenceGrant/stock/from-ship', 'spec.from[0].kind', 'GRPCRoute'),
    id: 'backend-reference-not-permitted',
    object: 'HTTPRoute ship/tracking',
  },
  {
    what: 'a rule whose backends have weight 0',
    change: (mesh) => mesh.set('HTTPRoute/ship/tracking', 'spec.rules[0].backendRefs[0].weight', 0),
    id: 'backend-none',
    object: 'HTTPRoute ship/tracking',
  },
  {
    what: 'a route that its controller did not accept',
    change: (mesh) =>
      mesh.set('HTTPRoute/ship/tracking', 'status', {
        parents: [
          {
            parentRef: { name: 'edge' },
            conditions: [{ type: 'Accepted', status: 'False', reason: 'UnsupportedValue' }],
          },
        ],
      }),
    id: 'route-not-accepted',
    object: 'HTTPRoute ship/tracking',
  },
  {
    what: 'a Sidecar that hides what is called',
    change: (mesh) =>
      mesh.set('Sidecar/ship/default', 'spec.egress[0].hosts', ['./*', 'istio-system/*', 'data/*', 'pay/*']),
    id: 'sidecar-hides-called-host',
    object: 'Sidecar ship/default',
    confirms: 'sidecar-egress-scope',
  },
  {
    what: 'a second Sidecar of a namespace',
    change: (mesh) => mesh.add(istio('Sidecar', 'ship/second', { egress: [{ hosts: ['*/*'] }] })),
    id: 'sidecar-ignored',
    object: 'Sidecar ship/second',
  },
  {
    what: 'a Sidecar whose selector fits nothing',
    change: (mesh) =>
      mesh.add(
        istio('Sidecar', 'ship/rate', {
          workloadSelector: { labels: { app: 'rate' } },
          egress: [{ hosts: ['./*'] }],
        }),
      ),
    id: 'sidecar-selects-nothing',
    object: 'Sidecar ship/rate',
  },
  {
    what: 'a Service that is hidden from its caller',
    change: (mesh) =>
      mesh.set('Service/stock/labels', 'metadata.annotations[networking.istio.io/exportTo]', '.'),
    id: 'export-to-hides-called-host',
    object: 'Service stock/labels',
    confirms: 'sidecar-egress-scope',
  },
  {
    what: 'an outside host that nobody registered',
    change: (mesh) => mesh.set('ServiceEntry/pay/carrier', 'spec.hosts[0]', 'rates.carriers.example'),
    id: 'egress-host-not-registered',
    object: 'Deployment ship/rates',
    confirms: 'egress-registry-only-blocked',
  },
  {
    what: 'TLS around the app’s own TLS',
    change: (mesh) =>
      mesh.add(
        istio('DestinationRule', 'ship/carrier', {
          host: 'rates.carrier.example',
          trafficPolicy: { tls: { mode: 'SIMPLE' } },
        }),
      ),
    id: 'service-entry-double-tls',
    object: 'ServiceEntry pay/carrier',
    confirms: 'tls-origination-double-tls',
  },
  {
    what: 'HTTPS to a port that is declared HTTP',
    change: (mesh) => mesh.set('ServiceEntry/pay/carrier', 'spec.ports[0].protocol', 'HTTP'),
    id: 'service-entry-http-for-https',
    object: 'ServiceEntry pay/carrier',
    confirms: 'tls-to-http-port',
  },
  {
    what: 'plain HTTP to port 443',
    change: (mesh) => mesh.remove('DestinationRule/stock/suppliers'),
    id: 'service-entry-plain-to-443',
    object: 'ServiceEntry stock/suppliers',
  },
  {
    what: 'a wildcard that DNS is to resolve',
    change: (mesh) =>
      mesh.add(
        istio('ServiceEntry', 'pay/banks', {
          hosts: ['*.banks.example'],
          resolution: 'DNS',
          ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
        }),
      ),
    id: 'service-entry-wildcard-dns',
    object: 'ServiceEntry pay/banks',
    confirms: 'dns-cluster-unresolved',
  },
  {
    what: 'fixed addresses of which there is none',
    change: (mesh) => mesh.set('ServiceEntry/pay/cards', 'spec.resolution', 'STATIC'),
    id: 'service-entry-without-endpoints',
    object: 'ServiceEntry pay/cards',
  },
  {
    what: 'one host registered in two ways',
    change: (mesh) =>
      mesh.add(
        istio('ServiceEntry', 'ship/cards', {
          hosts: ['api.cards.example'],
          resolution: 'NONE',
          exportTo: ['.'],
          ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
        }),
      ),
    id: 'service-entry-same-host',
    object: 'ServiceEntry ship/cards',
  },
  {
    what: 'a policy that leaves a caller out',
    change: (mesh) =>
      mesh.set('AuthorizationPolicy/pay/ledger', 'spec.rules[0].from[0].source.principals', [
        'cluster.local/ns/pay/sa/payments',
        'cluster.local/ns/pay/sa/refunds',
        'cluster.local/ns/pay/sa/invoices',
      ]),
    id: 'authorization-denies-caller',
    object: 'AuthorizationPolicy pay/ledger',
    confirms: 'rbac-denied',
  },
  {
    what: 'a policy that denies a caller by its namespace',
    change: (mesh) =>
      mesh.add(
        security('AuthorizationPolicy', 'stock/no-front', {
          selector: { matchLabels: { app: 'inventory' } },
          action: 'DENY',
          rules: [{ from: [{ source: { namespaces: ['front'] } }] }],
        }),
      ),
    id: 'authorization-denies-caller',
    object: 'AuthorizationPolicy stock/no-front',
  },
  {
    what: 'a policy without rules',
    change: (mesh) => mesh.set('AuthorizationPolicy/pay/ledger', 'spec.rules', undefined),
    id: 'authorization-allows-nothing',
    object: 'AuthorizationPolicy pay/ledger',
  },
  {
    what: 'a policy that denies everything',
    change: (mesh) =>
      mesh.add(
        security('AuthorizationPolicy', 'ship/stop', {
          selector: { matchLabels: { app: 'rates' } },
          action: 'DENY',
          rules: [{}],
        }),
      ),
    id: 'authorization-denies-all',
    object: 'AuthorizationPolicy ship/stop',
  },
  {
    what: 'a policy whose selector fits nothing',
    change: (mesh) =>
      mesh.set('AuthorizationPolicy/data/ledger-db', 'spec.selector.matchLabels.app', 'ledgerdb'),
    id: 'authorization-selects-nothing',
    object: 'AuthorizationPolicy data/ledger-db',
  },
  {
    what: 'a principal with spiffe://',
    change: (mesh) =>
      mesh.set(
        'AuthorizationPolicy/pay/payments',
        'spec.rules[0].from[0].source.principals[0]',
        'spiffe://cluster.local/ns/shop/sa/checkout',
      ),
    id: 'authorization-principal-form',
    object: 'AuthorizationPolicy pay/payments',
  },
  {
    what: 'an account that nobody runs as',
    change: (mesh) =>
      mesh.set(
        'AuthorizationPolicy/pay/payments',
        'spec.rules[0].from[0].source.principals[0]',
        'cluster.local/ns/shop/sa/check-out',
      ),
    id: 'authorization-principal-unknown',
    object: 'AuthorizationPolicy pay/payments',
  },
  {
    what: 'paths on a TCP port',
    change: (mesh) =>
      mesh.set('AuthorizationPolicy/data/ledger-db', 'spec.rules[0].to[0].operation', { methods: ['GET'] }),
    id: 'authorization-http-on-tcp',
    object: 'AuthorizationPolicy data/ledger-db',
    confirms: 'rbac-http-rules-on-tcp',
  },
  {
    what: 'an identity where there is no mutual TLS',
    change: (mesh) =>
      mesh.add(
        security('PeerAuthentication', 'pay/ledger', {
          selector: { matchLabels: { app: 'ledger' } },
          mtls: { mode: 'DISABLE' },
        }),
      ),
    id: 'authorization-identity-without-mtls',
    object: 'AuthorizationPolicy pay/ledger',
  },
  {
    what: 'claims of a token that nobody validates',
    change: (mesh) =>
      mesh.set('RequestAuthentication/people/accounts', 'spec.selector.matchLabels.app', 'profiles'),
    id: 'authorization-token-not-validated',
    object: 'AuthorizationPolicy people/accounts',
  },
  {
    what: 'an authorizer that is not defined',
    change: (mesh) => mesh.set('AuthorizationPolicy/people/profiles', 'spec.provider.name', 'authoriser'),
    id: 'authorization-provider-unknown',
    object: 'AuthorizationPolicy people/profiles',
    confirms: 'ext-authz-unavailable',
  },
  {
    what: 'a policy for pods without proxies',
    change: (mesh) =>
      mesh.add(
        security('AuthorizationPolicy', 'outside/batch', {
          selector: { matchLabels: { app: 'batch' } },
          rules: [{ from: [{ source: { namespaces: ['pay'] } }] }],
        }),
      ),
    id: 'policy-without-proxy',
    object: 'AuthorizationPolicy outside/batch',
  },
  {
    what: 'a NetworkPolicy for the port of the Service',
    change: (mesh) => mesh.set('NetworkPolicy/pay/ledger', 'spec.ingress[0].ports[0].port', 80),
    id: 'network-policy-closes-port',
    object: 'NetworkPolicy pay/ledger',
    confirms: 'connect-timeout-network-blocked',
  },
  {
    what: 'a NetworkPolicy that leaves one caller out',
    change: (mesh) =>
      mesh.set('NetworkPolicy/pay/ledger', 'spec.ingress[0].from', [
        {
          podSelector: {
            matchExpressions: [{ key: 'app', operator: 'In', values: ['payments', 'refunds', 'payouts'] }],
          },
        },
      ]),
    id: 'network-policy-shuts-caller-out',
    object: 'NetworkPolicy pay/ledger',
  },
];

const STOREFRONT = 'dump/proxies/front/storefront';

export const ENVOY_CASES: readonly Misconfiguration[] = [
  {
    what: 'a host ejected',
    change: (mesh) =>
      mesh.page(
        `${STOREFRONT}-7d9f8c6b54-x0k1z/clusters`,
        'cluster_statuses[0].host_statuses[0].health_status.failed_outlier_check',
        true,
      ),
    id: 'envoy-endpoint-ejected',
    object: 'Pod front/storefront',
    confirms: 'single-bad-endpoint',
  },
  {
    what: 'every host ejected',
    change: (mesh) => {
      for (const i of [0, 1]) {
        mesh.page(
          `${STOREFRONT}-7d9f8c6b54-x0k1z/clusters`,
          `cluster_statuses[0].host_statuses[${i}].health_status.failed_outlier_check`,
          true,
        );
      }
    },
    id: 'envoy-all-endpoints-ejected',
    object: 'Pod front/storefront',
    confirms: 'outlier-all-ejected',
  },
  {
    what: 'an address that is gone',
    change: (mesh) =>
      mesh.page(
        `${STOREFRONT}-7d9f8c6b54-x0k1z/clusters`,
        'cluster_statuses[0].host_statuses[0].address.socket_address.address',
        '10.1.9.9',
      ),
    id: 'envoy-endpoint-stale',
    object: 'Pod front/storefront',
    confirms: 'stale-proxy-config',
  },
  {
    what: 'an endpoint that never arrived',
    change: (mesh) =>
      mesh.page(`${STOREFRONT}-7d9f8c6b54-x0k1z/clusters`, 'cluster_statuses[0].host_statuses[0]', undefined),
    id: 'envoy-endpoint-missing',
    object: 'Pod front/storefront',
  },
  {
    what: 'no listener for what is redirected',
    change: (mesh) =>
      mesh.page(`${STOREFRONT}-7d9f8c6b54-x0k1z/listeners`, 'listener_statuses[1]', undefined),
    id: 'envoy-capture-listener-missing',
    object: 'Pod front/storefront',
  },
  {
    what: 'a certificate that is over',
    change: (mesh) =>
      mesh.page(
        `${STOREFRONT}-7d9f8c6b54-x0k1z/certs`,
        'certificates[0].cert_chain[0].expiration_time',
        '2026-11-20T03:00:00Z',
      ),
    id: 'envoy-certificate-expired',
    object: 'Pod front/storefront',
    confirms: 'workload-cert-expired',
  },
  {
    what: 'another root than the others',
    change: (mesh) =>
      mesh.page(`${STOREFRONT}-7d9f8c6b54-x0k1z/certs`, 'certificates[0].ca_cert[0].serial_number', 'beef'),
    id: 'envoy-root-differs',
    object: 'Pod',
    confirms: 'mesh-ca-mismatch',
  },
  {
    what: 'requests beyond a limit',
    change: (mesh) => mesh.page(`${STOREFRONT}-7d9f8c6b54-x0k1z/stats`, 'stats[0].value', 41),
    id: 'envoy-circuit-breaker',
    object: 'Pod front/storefront',
    confirms: 'upstream-overflow',
  },
  {
    what: 'no connection to istiod',
    change: (mesh) => mesh.page(`${STOREFRONT}-7d9f8c6b54-x0k1z/stats`, 'stats[1].value', 0),
    id: 'envoy-control-plane-lost',
    object: 'Pod front/storefront',
    confirms: 'stale-proxy-config',
  },
  {
    what: 'updates that were rejected',
    change: (mesh) => mesh.page(`${STOREFRONT}-7d9f8c6b54-x0k1z/stats`, 'stats[2].value', 2),
    id: 'envoy-updates-rejected',
    object: 'Pod front/storefront',
  },
  {
    what: 'a route to a cluster that is not there',
    change: (mesh) =>
      mesh.page(
        `${STOREFRONT}-7d9f8c6b54-x0k1z/config_dump`,
        'configs[3].dynamic_route_configs[0].route_config.virtual_hosts[0].routes[0].route.cluster',
        'outbound|80|v9|ledger.pay.svc.cluster.local',
      ),
    id: 'envoy-route-without-cluster',
    object: 'Pod front/storefront',
    confirms: 'subset-undefined-cluster-not-found',
  },
  {
    what: 'a listener that Envoy refused',
    change: (mesh) =>
      mesh.page(`${STOREFRONT}-7d9f8c6b54-x0k1z/config_dump`, 'configs[2].dynamic_listeners[0].error_state', {
        details: 'Didn’t find a registered implementation',
      }),
    id: 'envoy-update-refused',
    object: 'Pod front/storefront',
  },
  {
    what: 'an Envoy that waits for its configuration',
    change: (mesh) => mesh.page(`${STOREFRONT}-7d9f8c6b54-x0k1z/server_info`, 'state', 'PRE_INITIALIZING'),
    id: 'envoy-not-live',
    object: 'Pod front/storefront',
  },
  {
    what: 'an Envoy that drains',
    change: (mesh) => mesh.page(`${STOREFRONT}-7d9f8c6b54-x0k1z/server_info`, 'state', 'DRAINING'),
    id: 'envoy-draining',
    object: 'Pod front/storefront',
  },
];

const gatewayApi = (kind: string, at: string, spec: Json): Json =>
  made(kind, 'gateway.networking.k8s.io/v1', at.split('/')[0]!, at.split('/')[1]!, spec);
const NAMES_WAYPOINT = 'metadata.labels[istio.io/use-waypoint]';
const STATS = 'stats[3]';

/** What is attached by name, what Envoy is patched with, and ambient mode. */
export const ATTACHED: readonly Misconfiguration[] = [
  {
    what: 'a policy on a Gateway that does not exist',
    change: (mesh) =>
      mesh.add(
        security('AuthorizationPolicy', 'front/edge', {
          targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'egde' }],
          action: 'DENY',
          rules: [{ to: [{ operation: { paths: ['/admin*'] } }] }],
        }),
      ),
    id: 'policy-target-missing',
    object: 'AuthorizationPolicy front/edge',
  },
  {
    what: 'the validation of tokens on a Service that does not exist',
    change: (mesh) =>
      mesh.add(
        security('RequestAuthentication', 'people/tokens', {
          targetRef: { kind: 'Service', name: 'acounts' },
          jwtRules: [{ issuer: 'https://id.shop.example' }],
        }),
      ),
    id: 'policy-target-missing',
    object: 'RequestAuthentication people/tokens',
  },
  {
    what: 'a policy on a Service that has no waypoint',
    change: (mesh) =>
      mesh.add(
        security('AuthorizationPolicy', 'ship/rates', {
          targetRefs: [{ kind: 'Service', name: 'rates' }],
          rules: [{ to: [{ operation: { methods: ['GET'] } }] }],
        }),
      ),
    id: 'policy-target-without-waypoint',
    object: 'AuthorizationPolicy ship/rates',
  },
  {
    what: 'a waypoint that does not exist',
    change: (mesh) => mesh.set('Namespace/outside', NAMES_WAYPOINT, 'waypoint'),
    id: 'waypoint-missing',
    object: 'Namespace outside',
    confirms: 'waypoint-misrouting',
  },
  {
    what: 'a waypoint without a pod',
    change: (mesh) => {
      mesh.set('Namespace/outside', NAMES_WAYPOINT, 'waypoint');
      mesh.add(
        gatewayApi('Gateway', 'outside/waypoint', {
          gatewayClassName: 'istio-waypoint',
          listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
        }),
      );
    },
    id: 'waypoint-without-ready-pod',
    object: 'Namespace outside',
    confirms: 'waypoint-misrouting',
  },
  {
    what: 'methods in a policy that ztunnel enforces',
    change: (mesh) => {
      mesh.set('Namespace/outside', 'metadata.labels[istio.io/dataplane-mode]', 'ambient');
      mesh.set('Pod/outside/batch', 'metadata.annotations', { 'ambient.istio.io/redirection': 'enabled' });
      mesh.add(
        security('AuthorizationPolicy', 'outside/batch', {
          selector: { matchLabels: { app: 'batch' } },
          rules: [{ to: [{ operation: { methods: ['GET'] } }] }],
        }),
      );
    },
    id: 'authorization-http-on-ztunnel',
    object: 'AuthorizationPolicy outside/batch',
    confirms: 'ztunnel-authz-denied',
  },
  {
    what: 'an EnvoyFilter whose selector fits nothing',
    change: (mesh) =>
      mesh.add({
        ...istio('EnvoyFilter', 'ship/lua', {
          workloadSelector: { labels: { app: 'rate' } },
          configPatches: [{ applyTo: 'HTTP_FILTER', patch: { operation: 'INSERT_BEFORE' } }],
        }),
        apiVersion: 'networking.istio.io/v1alpha3',
      }),
    id: 'envoy-filter-selects-nothing',
    object: 'EnvoyFilter ship/lua',
  },
  {
    what: 'a local rate limit that was left in',
    change: (mesh) =>
      mesh.add({
        ...istio('EnvoyFilter', 'ship/limit', {
          workloadSelector: { labels: { app: 'rates' } },
          configPatches: [
            {
              applyTo: 'HTTP_FILTER',
              patch: { operation: 'INSERT_BEFORE', value: { name: 'envoy.filters.http.local_ratelimit' } },
            },
          ],
        }),
        apiVersion: 'networking.istio.io/v1alpha3',
      }),
    id: 'local-rate-limit-active',
    object: 'EnvoyFilter ship/limit',
    confirms: 'rate-limited-local',
  },
  {
    what: 'failover between localities that nothing triggers',
    change: (mesh) =>
      mesh.set('DestinationRule/stock/inventory', 'spec.trafficPolicy.loadBalancer', {
        localityLbSetting: { enabled: true, failover: [{ from: 'eu-1', to: 'eu-2' }] },
      }),
    id: 'locality-failover-without-outlier-detection',
    object: 'DestinationRule stock/inventory',
    confirms: 'locality-failover-not-triggered',
  },
  {
    what: 'TLS settings for a domain that a rule of one host replaces',
    change: (mesh) =>
      mesh.add(
        istio('DestinationRule', 'stock/all', {
          host: '*.stock.svc.cluster.local',
          trafficPolicy: { tls: { mode: 'ISTIO_MUTUAL' } },
        }),
      ),
    id: 'destination-rule-replaces-broader',
    object: 'DestinationRule stock/inventory',
    confirms: 'destinationrule-tls-conflict',
  },
  {
    what: 'only addresses elsewhere go through the sidecar',
    change: (mesh) => mesh.set('Pod/ship/slots', `${TRAFFIC}includeOutboundIPRanges]`, '172.16.0.0/12'),
    id: 'capture-outbound-range-excluded',
    object: 'Pod ship/slots',
    confirms: 'peer-not-in-mesh-plaintext',
  },
  {
    what: 'pods that are older than the label of their namespace',
    change: (mesh) => {
      mesh.set(CATALOG_POD, 'spec.containers[1]', undefined);
      mesh.set(CATALOG_POD, 'spec.initContainers', undefined);
      mesh.set(CATALOG_POD, 'status.containerStatuses[1]', undefined);
      mesh.set('Namespace/shop', 'metadata.managedFields', [
        { manager: 'kubectl-label', operation: 'Update', time: '2026-11-19T08:00:00Z' },
      ]);
      dropSync(mesh, 'catalog-7d9f8c6b54-x0');
    },
    id: 'sidecar-missing',
    object: 'Pod shop/catalog',
    confirms: 'sidecar-injection-missing',
  },
  {
    what: 'an appProtocol that Istio does not know',
    change: (mesh) => mesh.set('Service/stock/labels', 'spec.ports[0].appProtocol', 'HTTP/2'),
    id: 'app-protocol-unknown',
    object: 'Service stock/labels',
    confirms: 'protocol-selection-wrong',
  },
  {
    what: 'a probe by the name of a port that the container does not have',
    change: (mesh) => mesh.set('Pod/shop/gifts', 'spec.containers[0].readinessProbe.httpGet.port', 'health'),
    id: 'probe-port-unknown',
    object: 'Pod shop/gifts',
    confirms: 'probe-misrouted-or-rejected',
  },
  {
    what: 'more retries than may be at once',
    change: (mesh) =>
      mesh.page(`${STOREFRONT}-7d9f8c6b54-x0k1z/stats`, STATS, {
        name: 'cluster.outbound|80||ledger.pay.svc.cluster.local;.upstream_rq_retry_overflow',
        value: 7,
      }),
    id: 'envoy-retry-overflow',
    object: 'Pod front/storefront',
    confirms: 'retry-overflow-or-storm',
  },
  {
    what: 'so few healthy hosts that all are used',
    change: (mesh) =>
      mesh.page(`${STOREFRONT}-7d9f8c6b54-x0k1z/stats`, STATS, {
        name: 'cluster.outbound|80||ledger.pay.svc.cluster.local.lb_healthy_panic',
        value: 12,
      }),
    id: 'envoy-panic-mode',
    object: 'Pod front/storefront',
    confirms: 'panic-mode-routing',
  },
  {
    what: 'a certificate that nobody renews',
    change: (mesh) => {
      const certs = `${STOREFRONT}-7d9f8c6b54-x0k1z/certs`;
      mesh.page(certs, 'certificates[0].cert_chain[0].valid_from', '2026-11-19T14:00:00Z');
      mesh.page(certs, 'certificates[0].cert_chain[0].expiration_time', '2026-11-20T14:00:00Z');
    },
    id: 'envoy-certificate-not-renewed',
    object: 'Pod front/storefront',
    confirms: 'workload-cert-expired',
  },
  {
    what: 'a root that ends soon',
    change: (mesh) =>
      mesh.page(
        `${STOREFRONT}-7d9f8c6b54-x0k1z/certs`,
        'certificates[0].ca_cert[0].expiration_time',
        '2026-12-01T00:00:00Z',
      ),
    id: 'envoy-root-expires-soon',
    object: 'Pod front/storefront',
    confirms: 'mesh-ca-mismatch',
  },
  {
    what: 'an old proxy whose image is named by its digest',
    change: (mesh) => {
      const pod = mesh.get('Pod/people/templates') as {
        spec: { containers: Json[]; initContainers: Json[] };
      };
      for (const container of [...pod.spec.containers, ...pod.spec.initContainers]) {
        if (container['name'] === 'istio-proxy') container['image'] = 'istio/proxyv2@sha256:0123';
      }
      syncOf(mesh, 'templates-')['istio_version'] = '1.24.2';
    },
    id: 'proxy-version-skew',
    object: 'Pod people/templates',
    confirms: 'stale-proxy-config',
  },
  {
    what: 'hosts of which none is healthy',
    change: (mesh) => {
      const page = [...mesh.pages.keys()].find(
        (key) => key.startsWith(STOREFRONT) && key.endsWith('/clusters'),
      )!;
      const [cluster] = (mesh.pages.get(page) as { cluster_statuses: { host_statuses: Json[] }[] })
        .cluster_statuses;
      for (const host of cluster!.host_statuses) host['health_status'] = { eds_health_status: 'UNHEALTHY' };
    },
    id: 'envoy-no-healthy-endpoint',
    object: 'Pod front/storefront',
    confirms: 'no-endpoints',
  },
];
