import { stringify } from 'yaml';
import { savedCluster, type SavedFile } from '../../src/check/from-files.js';
import { proxiesToAsk } from '../../src/check/target.js';
import { workloads } from '../../src/check/workloads.js';
import { readWorld, type World } from '../../src/check/world.js';

/*
 * A healthy mesh, from a compact description. Every object goes as YAML or JSON through the reader that users' files go
 * through; what is tested is then one change of it at a time.
 */

export type Json = { [key: string]: unknown };

/** `namespace/name kind port:number>target replicas -> calls`; versions behind `*`. */
const SERVICES = `
front/storefront     Deployment  http:80>8080        2     -> shop/catalog:80 shop/cart:80 shop/reviews:80 people/accounts:80
front/mobile         Deployment  http:80>8080        2     -> shop/catalog:80 shop/cart:80 people/sessions:80
front/backoffice     Deployment  http:80>8080        2     -> stock/inventory:80 pay/refunds:80
front/partners       Deployment  http:80>8080        2     -> shop/catalog:80 ship/tracking:80
front/assets         Deployment  http:80>8080        2     ->
front/search-page    Deployment  http:80>8080        2     -> shop/search:80
front/seo            Deployment  http:80>8080        2     -> shop/catalog:80
front/feedback       Deployment  http:80>8080        2     -> people/messages:80
shop/catalog         Deployment  http:80>8080        3     -> data/catalog-db:5432 shop/pricing:80
shop/cart            Deployment  http:80>8080        2     -> data/cart-cache:6379 shop/pricing:80
shop/checkout        Deployment  http:80>8080        2     -> pay/payments:80 ship/rates:80 stock/inventory:80
shop/pricing         Deployment  http:80>8080        2     -> shop/promotions:80
shop/promotions      Deployment  http:80>8080        2     -> data/promo-db:5432
shop/reviews         Deployment  http:80>8080        2*2   -> people/accounts:80
shop/search          Deployment  http:80>8080        2     -> data/search-index:9200
shop/recommend       Deployment  grpc:9000>9000      2     -> shop/catalog:80
shop/wishlist        Deployment  http:80>8080        2     -> shop/catalog:80
shop/bundles         Deployment  http:80>8080        1     -> shop/pricing:80
shop/gifts           Deployment  http:80>8080        1     -> shop/cart:80
pay/payments         Deployment  http:80>8080        3*2   -> pay/ledger:80 pay/fraud:9000 https://api.cards.example
pay/refunds          Deployment  http:80>8080        2     -> pay/ledger:80
pay/ledger           Deployment  http:80>8080        2     -> data/ledger-db:5432
pay/fraud            Deployment  grpc:9000>9000      2     -> pay/scores:80
pay/scores           Deployment  http:80>8080        2     ->
pay/invoices         Deployment  http:80>8080        2     -> pay/ledger:80 people/messages:80
pay/payouts          Deployment  http:80>8080        1     -> pay/ledger:80
stock/inventory      Deployment  http:80>8080        2     -> data/stock-db:5432
stock/suppliers      Deployment  http:80>8080        2     -> http://edi.suppliers.example:80
stock/forecast       Deployment  http:80>8080        1     -> stock/inventory:80
stock/returns        Deployment  http:80>8080        1     -> stock/inventory:80 pay/refunds:80
stock/labels         Deployment  http:80>8080        1     ->
ship/rates           Deployment  http:80>8080        2     -> https://rates.carrier.example
ship/tracking        Deployment  http:80>8080        2     -> data/track-db:5432
ship/dispatch        Deployment  http:80>8080        2     -> ship/rates:80 stock/labels:80
ship/routes          Deployment  grpc:9000>9000      1     ->
ship/slots           Deployment  http:80>8080        1     -> ship/routes:9000
people/accounts      Deployment  http:80>8080        2     -> data/accounts-db:5432
people/sessions      Deployment  http:80>8080        2     -> data/session-cache:6379
people/messages      Deployment  http:80>8080        2     -> people/templates:80
people/templates     Deployment  http:80>8080        1     ->
people/consent       Deployment  http:80>8080        1     -> people/accounts:80
people/profiles      Deployment  http:80>8080        2     -> people/accounts:80
data/catalog-db      StatefulSet tcp-pg:5432>5432    2     ->
data/promo-db        StatefulSet tcp-pg:5432>5432    1     ->
data/ledger-db       StatefulSet tcp-pg:5432>5432    2     ->
data/stock-db        StatefulSet tcp-pg:5432>5432    1     ->
data/track-db        StatefulSet tcp-pg:5432>5432    1     ->
data/accounts-db     StatefulSet tcp-pg:5432>5432    2     ->
data/cart-cache      Deployment  redis:6379>6379     1     ->
data/session-cache   Deployment  redis:6379>6379     1     ->
data/search-index    Deployment  http:9200>9200      2     ->
`;

interface Described {
  readonly namespace: string;
  readonly name: string;
  readonly kind: string;
  readonly portName: string;
  readonly port: number;
  readonly target: number;
  readonly replicas: number;
  readonly versions: readonly string[];
  readonly calls: readonly string[];
}

const LINE = /^(\S+)\/(\S+)\s+(\S+)\s+(\S+):(\d+)>(\d+)\s+(\d+)(?:\*(\d+))?\s+->\s*(.*)$/;

export const described: readonly Described[] = SERVICES.trim()
  .split('\n')
  .map((line) => {
    const [, namespace, name, kind, portName, port, target, replicas, versions, calls] = LINE.exec(line)!;
    return {
      namespace: namespace!,
      name: name!,
      kind: kind!,
      portName: portName!,
      port: Number(port),
      target: Number(target),
      replicas: Number(replicas),
      versions: Array.from({ length: Number(versions ?? 1) }, (_, i) => `v${i + 1}`),
      calls: calls!.split(' ').filter(Boolean),
    };
  });

const MADE = '2026-10-01T08:00:00Z';
const ISTIO = '1.28.1';
export const READ_AT = Date.parse('2026-11-20T12:00:00Z');

function object(apiVersion: string, kind: string, at: string, rest: Json, more: Json = {}): Json {
  const [namespace, name] = at.includes('/') ? at.split('/') : ['', at];
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace !== '' && { namespace }),
      creationTimestamp: MADE,
      generation: 1,
      ...more,
    },
    ...rest,
  };
}

const istio = (kind: string, at: string, spec: Json): Json =>
  object('networking.istio.io/v1', kind, at, { spec });
const security = (kind: string, at: string, spec: Json): Json =>
  object('security.istio.io/v1', kind, at, { spec });
const gatewayApi = (kind: string, at: string, spec: Json, version = 'v1'): Json =>
  object(`gateway.networking.k8s.io/${version}`, kind, at, { spec });

const proxyContainer = (native: boolean): Json => ({
  name: 'istio-proxy',
  image: `docker.io/istio/proxyv2:${ISTIO}`,
  args: ['proxy', 'sidecar', '--domain', '$(POD_NAMESPACE).svc.cluster.local'],
  ...(native && { restartPolicy: 'Always' }),
});

/** `shop/cart:80` becomes an address as people write it into settings. */
function address(call: string, from: string): string {
  if (call.includes('://')) return call;
  const [namespace, rest = ''] = call.split('/');
  const [name, port] = rest.split(':');
  const host = namespace === from ? name : `${name}.${namespace}.svc.cluster.local`;
  return port === '80' ? `http://${host}/` : `${host}:${port}`;
}

let address4 = 0;
const nextIp = (): string => {
  address4++;
  return `10.1.${Math.floor(address4 / 250)}.${(address4 % 250) + 1}`;
};

const running = (names: readonly string[]): Json[] =>
  names.map((name) => ({ name, ready: true, restartCount: 0, state: { running: { startedAt: MADE } } }));

function podSpec(one: Described, native: boolean): Json {
  const app = {
    name: one.name,
    image: `registry.example/${one.name}:7`,
    ports: [{ name: one.portName, containerPort: one.target }],
    env: one.calls.map((call, i) => ({ name: `UPSTREAM_${i + 1}`, value: address(call, one.namespace) })),
    readinessProbe: { httpGet: { path: '/ready', port: one.target } },
  };
  const init = { name: 'istio-init', image: `docker.io/istio/proxyv2:${ISTIO}`, args: ['istio-iptables'] };
  return {
    serviceAccountName: one.name,
    initContainers: native ? [init, proxyContainer(true)] : [init],
    containers: native ? [app] : [app, proxyContainer(false)],
  };
}

function workloadObjects(one: Described, index: number): Json[] {
  const at = `${one.namespace}/${one.name}`;
  const native = index % 5 === 0;
  const spec = podSpec(one, native);
  const endpoints: Json[] = [];
  const made = one.versions.flatMap((version) => {
    const name = one.versions.length > 1 ? `${one.name}-${version}` : one.name;
    const labels = { app: one.name, version };
    const pods = Array.from({ length: one.replicas }, (_, i) => {
      const ip = nextIp();
      const owned = one.kind === 'Deployment';
      const podName = owned ? `${name}-7d9f8c6b54-x${i}k${(index % 9) + 1}z` : `${name}-${i}`;
      endpoints.push({
        addresses: [ip],
        conditions: { ready: true },
        targetRef: { kind: 'Pod', name: podName, namespace: one.namespace },
      });
      return object(
        'v1',
        'Pod',
        `${one.namespace}/${podName}`,
        {
          spec: { ...spec, nodeName: `node-${(address4 % 3) + 1}` },
          status: {
            phase: 'Running',
            podIP: ip,
            conditions: [{ type: 'Ready', status: 'True' }],
            containerStatuses: running(native ? [one.name] : [one.name, 'istio-proxy']),
            ...(native && { initContainerStatuses: running(['istio-proxy']) }),
          },
        },
        {
          labels: { ...labels, 'security.istio.io/tlsMode': 'istio' },
          annotations: {
            'sidecar.istio.io/status': native
              ? '{"initContainers":["istio-init","istio-proxy"],"containers":[],"revision":"default"}'
              : '{"initContainers":["istio-init"],"containers":["istio-proxy"],"revision":"default"}',
          },
          ownerReferences: [
            owned ? { kind: 'ReplicaSet', name: `${name}-7d9f8c6b54` } : { kind: one.kind, name },
          ],
        },
      );
    });
    const { containers } = spec as { containers: Json[] };
    return [
      object('apps/v1', one.kind, `${one.namespace}/${name}`, {
        spec: {
          replicas: one.replicas,
          selector: { matchLabels: labels },
          template: {
            metadata: { labels },
            spec: { serviceAccountName: one.name, containers: containers.slice(0, 1) },
          },
        },
        status: { readyReplicas: one.replicas },
      }),
      ...pods,
    ];
  });
  return [
    object('v1', 'Service', at, {
      spec: {
        type: 'ClusterIP',
        clusterIP: one.kind === 'StatefulSet' ? 'None' : `10.96.0.${index + 10}`,
        selector: { app: one.name },
        ports: [{ name: one.portName, port: one.port, targetPort: one.target, protocol: 'TCP' }],
      },
    }),
    object(
      'discovery.k8s.io/v1',
      'EndpointSlice',
      `${at}-abcde`,
      { addressType: 'IPv4', ports: [{ name: one.portName, port: one.target }], endpoints },
      { labels: { 'kubernetes.io/service-name': one.name } },
    ),
    ...made,
  ];
}

const NAMESPACES = [...new Set(described.map(({ namespace }) => namespace))];

/** A proxy alone: an ingress gateway, or what serves a Gateway of the Gateway API. */
function gatewayObjects(at: string, labels: Json, ports: readonly number[]): Json[] {
  const [namespace, name] = at.split('/');
  const ip = nextIp();
  const spec = { serviceAccountName: name, containers: [proxyContainer(false)] };
  return [
    object('apps/v1', 'Deployment', at, {
      spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    }),
    object(
      'v1',
      'Pod',
      `${namespace}/${name}-5c6d7f8b94-q2w3e`,
      {
        spec,
        status: {
          phase: 'Running',
          podIP: ip,
          conditions: [{ type: 'Ready', status: 'True' }],
          containerStatuses: running(['istio-proxy']),
        },
      },
      { labels, ownerReferences: [{ kind: 'ReplicaSet', name: `${name}-5c6d7f8b94` }] },
    ),
    object('v1', 'Service', at, {
      spec: {
        type: 'LoadBalancer',
        selector: labels,
        ports: ports.map((port) => ({ name: `port-${port}`, port, targetPort: port })),
      },
    }),
    object(
      'discovery.k8s.io/v1',
      'EndpointSlice',
      `${at}-gwgwg`,
      { endpoints: [{ addresses: [ip], conditions: { ready: true } }] },
      { labels: { 'kubernetes.io/service-name': name } },
    ),
  ];
}

/** A workload that is no part of the mesh, and calls into it. */
function outsideObjects(): Json[] {
  const spec = {
    containers: [
      {
        name: 'batch',
        image: 'batch:1',
        env: [{ name: 'TARGET', value: 'http://consent.people.svc.cluster.local/' }],
      },
    ],
  };
  const labels = { app: 'batch' };
  const status = { phase: 'Running', podIP: nextIp(), conditions: [{ type: 'Ready', status: 'True' }] };
  return [
    object('apps/v1', 'Deployment', 'outside/batch', {
      spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    }),
    object(
      'v1',
      'Pod',
      'outside/batch-6f7c8d9b54-mmmmm',
      { spec, status },
      { labels, ownerReferences: [{ kind: 'ReplicaSet', name: 'batch-6f7c8d9b54' }] },
    ),
  ];
}

const callersOf = (namespace: string, name: string): readonly Described[] =>
  described.filter(({ calls }) => calls.some((call) => call.startsWith(`${namespace}/${name}:`)));

function meshObjects(): Json[] {
  address4 = 0;
  const objects: Json[] = [
    ...NAMESPACES.map((name) =>
      object(
        'v1',
        'Namespace',
        name,
        {},
        { labels: { 'istio-injection': 'enabled', edge: 'yes', 'kubernetes.io/metadata.name': name } },
      ),
    ),
    object(
      'v1',
      'Namespace',
      'istio-system',
      {},
      { labels: { 'kubernetes.io/metadata.name': 'istio-system' } },
    ),
    object('v1', 'Namespace', 'outside', {}, { labels: { 'kubernetes.io/metadata.name': 'outside' } }),
    ...[1, 2, 3].map((i) =>
      object('v1', 'Node', `node-${i}`, { status: { conditions: [{ type: 'Ready', status: 'True' }] } }),
    ),
    object('v1', 'ConfigMap', 'istio-system/istio', {
      data: {
        mesh: stringify({
          accessLogFile: '/dev/stdout',
          enableAutoMtls: true,
          rootNamespace: 'istio-system',
          trustDomain: 'cluster.local',
          outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
          extensionProviders: [
            {
              name: 'authorizer',
              envoyExtAuthzHttp: { service: 'consent.people.svc.cluster.local', port: 80 },
            },
            { name: 'collector', envoyOtelAls: { service: 'otel.outside.svc.cluster.local', port: 4317 } },
          ],
        }),
      },
    }),
    object(
      'admissionregistration.k8s.io/v1',
      'MutatingWebhookConfiguration',
      'istio-sidecar-injector',
      { webhooks: [{ name: 'namespace.sidecar-injector.istio.io', failurePolicy: 'Fail' }] },
      { labels: { 'istio.io/rev': 'default' } },
    ),
    object('apps/v1', 'Deployment', 'istio-system/istiod', {
      spec: {
        selector: { matchLabels: { app: 'istiod' } },
        template: {
          metadata: { labels: { app: 'istiod', 'istio.io/rev': 'default' } },
          spec: { containers: [{ name: 'discovery', image: `docker.io/istio/pilot:${ISTIO}` }] },
        },
      },
    }),
    ...gatewayObjects('istio-system/ingress', { istio: 'ingress' }, [80, 443]),
    ...gatewayObjects('front/edge-istio', { 'gateway.networking.k8s.io/gateway-name': 'edge' }, [80]),
    ...described.flatMap(workloadObjects),
    ...outsideObjects(),
    security('PeerAuthentication', 'istio-system/default', { mtls: { mode: 'STRICT' } }),
    security('PeerAuthentication', 'people/consent', {
      selector: { matchLabels: { app: 'consent' } },
      mtls: { mode: 'STRICT' },
      portLevelMtls: { 8080: { mode: 'PERMISSIVE' } },
    }),
    object('telemetry.istio.io/v1', 'Telemetry', 'istio-system/mesh', {
      spec: { accessLogging: [{ providers: [{ name: 'envoy' }] }] },
    }),
    istio('Gateway', 'istio-system/public', {
      selector: { istio: 'ingress' },
      servers: [
        { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['www.shop.example'] },
        {
          port: { number: 443, name: 'https', protocol: 'HTTPS' },
          hosts: ['www.shop.example', 'partners.shop.example'],
          tls: { mode: 'SIMPLE', credentialName: 'shop-example' },
        },
      ],
    }),
    istio('VirtualService', 'front/www', {
      hosts: ['www.shop.example'],
      gateways: ['istio-system/public'],
      http: [
        {
          match: [{ uri: { prefix: '/assets/' } }],
          route: [{ destination: { host: 'assets', port: { number: 80 } } }],
        },
        {
          match: [{ uri: { prefix: '/search' } }],
          route: [{ destination: { host: 'search-page', port: { number: 80 } } }],
        },
        { route: [{ destination: { host: 'storefront', port: { number: 80 } } }] },
      ],
    }),
    istio('VirtualService', 'front/partners', {
      hosts: ['partners.shop.example'],
      gateways: ['istio-system/public'],
      http: [
        {
          match: [{ uri: { prefix: '/api/' } }],
          route: [{ destination: { host: 'partners', port: { number: 80 } } }],
        },
      ],
    }),
    istio('VirtualService', 'pay/payments', {
      hosts: ['payments'],
      http: [
        {
          name: 'canary',
          match: [{ uri: { prefix: '/v2/' }, headers: { 'x-canary': { exact: 'yes' } } }],
          route: [{ destination: { host: 'payments', subset: 'v2', port: { number: 80 } } }],
        },
        {
          name: 'refunds',
          match: [{ uri: { prefix: '/v1/refunds' } }],
          timeout: '10s',
          retries: { attempts: 2, perTryTimeout: '3s' },
          route: [{ destination: { host: 'payments', subset: 'v1' } }],
        },
        {
          name: 'rest',
          route: [
            { destination: { host: 'payments', subset: 'v1' }, weight: 90 },
            { destination: { host: 'payments', subset: 'v2' }, weight: 10 },
          ],
        },
      ],
    }),
    istio('DestinationRule', 'pay/payments', {
      host: 'payments',
      trafficPolicy: {
        connectionPool: { http: { http1MaxPendingRequests: 100 } },
        outlierDetection: { consecutive5xxErrors: 5, maxEjectionPercent: 50 },
      },
      subsets: [
        { name: 'v1', labels: { version: 'v1' } },
        { name: 'v2', labels: { version: 'v2' } },
      ],
    }),
    istio('VirtualService', 'shop/reviews', {
      hosts: ['reviews.shop.svc.cluster.local'],
      http: [
        {
          match: [{ method: { exact: 'POST' } }],
          route: [{ destination: { host: 'reviews', subset: 'v2' } }],
        },
        { route: [{ destination: { host: 'reviews', subset: 'v1' } }] },
      ],
    }),
    istio('DestinationRule', 'shop/reviews', {
      host: 'reviews.shop.svc.cluster.local',
      trafficPolicy: { tls: { mode: 'ISTIO_MUTUAL' } },
      subsets: [
        { name: 'v1', labels: { version: 'v1' } },
        { name: 'v2', labels: { version: 'v2' } },
      ],
    }),
    istio('DestinationRule', 'stock/inventory', {
      host: 'inventory.stock.svc.cluster.local',
      trafficPolicy: { connectionPool: { tcp: { connectTimeout: '3s' } } },
    }),
    ...['api.cards.example', 'rates.carrier.example'].map((host) =>
      istio('ServiceEntry', `pay/${host.split('.')[1]}`, {
        hosts: [host],
        location: 'MESH_EXTERNAL',
        resolution: 'DNS',
        ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
      }),
    ),
    istio('ServiceEntry', 'stock/suppliers', {
      hosts: ['edi.suppliers.example'],
      location: 'MESH_EXTERNAL',
      resolution: 'DNS',
      ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 443 }],
    }),
    istio('DestinationRule', 'stock/suppliers', {
      host: 'edi.suppliers.example',
      trafficPolicy: { tls: { mode: 'SIMPLE', sni: 'edi.suppliers.example' } },
    }),
    ...NAMESPACES.map((namespace) => {
      const called = described.filter((one) => one.namespace === namespace).flatMap(({ calls }) => calls);
      const others = called.filter((call) => !call.includes('://')).map((call) => `${call.split('/')[0]}/*`);
      return istio('Sidecar', `${namespace}/default`, {
        egress: [
          {
            hosts: [
              ...new Set([
                './*',
                'istio-system/*',
                ...others,
                'pay/api.cards.example',
                'pay/rates.carrier.example',
              ]),
            ],
          },
        ],
      });
    }),
    ...['ledger', 'refunds', 'payments'].map((name) =>
      security('AuthorizationPolicy', `pay/${name}`, {
        selector: { matchLabels: { app: name } },
        action: 'ALLOW',
        rules: [
          {
            from: [
              {
                source: {
                  principals: callersOf('pay', name).map(
                    (caller) => `cluster.local/ns/${caller.namespace}/sa/${caller.name}`,
                  ),
                },
              },
            ],
            ...(name === 'refunds' && { to: [{ operation: { methods: ['GET', 'POST'] } }] }),
          },
        ],
      }),
    ),
    security('AuthorizationPolicy', 'data/ledger-db', {
      selector: { matchLabels: { app: 'ledger-db' } },
      rules: [{ from: [{ source: { namespaces: ['pay'] } }], to: [{ operation: { ports: ['5432'] } }] }],
    }),
    security('RequestAuthentication', 'people/accounts', {
      selector: { matchLabels: { app: 'accounts' } },
      jwtRules: [{ issuer: 'https://id.shop.example', jwksUri: 'https://id.shop.example/keys' }],
    }),
    security('AuthorizationPolicy', 'people/accounts', {
      selector: { matchLabels: { app: 'accounts' } },
      rules: [
        { from: [{ source: { requestPrincipals: ['*'] } }] },
        { from: [{ source: { namespaces: ['front', 'shop', 'people'] } }] },
      ],
    }),
    security('AuthorizationPolicy', 'people/profiles', {
      selector: { matchLabels: { app: 'profiles' } },
      action: 'CUSTOM',
      provider: { name: 'authorizer' },
      rules: [{ to: [{ operation: { paths: ['/admin/*'] } }] }],
    }),
    object('networking.k8s.io/v1', 'NetworkPolicy', 'pay/ledger', {
      spec: {
        podSelector: { matchLabels: { app: 'ledger' } },
        policyTypes: ['Ingress'],
        ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 8080, protocol: 'TCP' }] }],
      },
    }),
    gatewayApi('GatewayClass', 'istio', { controllerName: 'istio.io/gateway-controller' }),
    gatewayApi('Gateway', 'front/edge', {
      gatewayClassName: 'istio',
      listeners: [
        {
          name: 'web',
          port: 80,
          protocol: 'HTTP',
          hostname: '*.edge.example',
          allowedRoutes: {
            namespaces: { from: 'Selector', selector: { matchLabels: { edge: 'yes' } } },
          },
        },
      ],
    }),
    gatewayApi('HTTPRoute', 'ship/tracking', {
      parentRefs: [{ name: 'edge', namespace: 'front', sectionName: 'web' }],
      hostnames: ['tracking.edge.example'],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: '/parcels' } }],
          backendRefs: [{ name: 'tracking', port: 80 }],
        },
        {
          matches: [{ path: { type: 'Exact', value: '/labels' }, method: 'POST' }],
          backendRefs: [{ name: 'labels', namespace: 'stock', port: 80 }],
        },
      ],
    }),
    gatewayApi(
      'ReferenceGrant',
      'stock/from-ship',
      {
        from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'ship' }],
        to: [{ group: '', kind: 'Service' }],
      },
      'v1beta1',
    ),
  ];
  return objects;
}

/** `Kind/namespace/name`, or `Kind/name`. */
export function refOf(value: Json): string {
  const { kind, metadata } = value as { kind: string; metadata: { name: string; namespace?: string } };
  return metadata.namespace === undefined
    ? `${kind}/${metadata.name}`
    : `${kind}/${metadata.namespace}/${metadata.name}`;
}

/** Pages of the admin interface of the first payments pod, and istiod's view of all proxies. */
function pages(objects: readonly Json[]): Map<string, Json | Json[]> {
  const pods = objects.filter(({ kind }) => kind === 'Pod') as {
    metadata: { name: string; namespace: string };
    spec: { containers: { name: string }[]; initContainers?: { name: string }[] };
    status: { podIP: string };
  }[];
  const ips = (service: string): string[] =>
    objects
      .filter((one) => refOf(one) === `EndpointSlice/${service}-abcde`)
      .flatMap((one) => (one as unknown as { endpoints: { addresses: string[] }[] }).endpoints)
      .flatMap(({ addresses }) => addresses);
  const cluster = (service: string, target: number, name: string): Json => ({
    name: `outbound|80||${name}`,
    host_statuses: ips(service).map((ip) => ({
      address: { socket_address: { address: ip, port_value: target } },
      stats: [{ name: 'rq_total', value: '12' }],
      health_status: { eds_health_status: 'HEALTHY' },
    })),
  });
  const proxied = pods.filter(({ spec }) =>
    [...spec.containers, ...(spec.initContainers ?? [])].some(({ name }) => name === 'istio-proxy'),
  );
  const result = new Map<string, Json | Json[]>();
  for (const at of ['pay/payments-v1', 'front/storefront']) {
    const pod = proxied.find(({ metadata }) =>
      `${metadata.namespace}/${metadata.name}`.startsWith(`${at}-`),
    )!;
    const folder = `dump/proxies/${pod.metadata.namespace}/${pod.metadata.name}`;
    const ledger = 'ledger.pay.svc.cluster.local';
    result.set(`${folder}/clusters`, {
      cluster_statuses: [
        cluster('pay/ledger', 8080, ledger),
        // Headless: its members are reached as they were dialled.
        { name: 'outbound|5432||ledger-db.data.svc.cluster.local' },
      ],
    });
    result.set(`${folder}/listeners`, {
      listener_statuses: [
        ['virtualOutbound', 15001],
        ['virtualInbound', 15006],
      ].map(([name, port]) => ({
        name,
        local_address: { socket_address: { address: '0.0.0.0', port_value: port } },
      })),
    });
    result.set(`${folder}/certs`, {
      certificates: [
        {
          ca_cert: [
            { serial_number: 'f00d', days_until_expiration: '3600', expiration_time: '2036-10-01T00:00:00Z' },
          ],
          cert_chain: [
            {
              serial_number: `c0${result.size}`,
              days_until_expiration: '0',
              expiration_time: '2026-11-21T06:00:00Z',
            },
          ],
        },
      ],
    });
    result.set(`${folder}/stats`, {
      stats: [
        { name: `cluster.outbound|80||${ledger};.upstream_rq_pending_overflow`, value: 0 },
        { name: 'control_plane.connected_state', value: 1 },
        { name: 'cluster_manager.cds.update_rejected', value: 0 },
      ],
    });
    result.set(`${folder}/server_info`, {
      version: 'abc/1.36.2/Clean/RELEASE/BoringSSL',
      state: 'LIVE',
      command_line_options: {},
    });
    result.set(`${folder}/config_dump`, {
      configs: [
        {
          '@type': 'type.googleapis.com/envoy.admin.v3.BootstrapConfigDump',
          bootstrap: {
            node: { id: `sidecar~${pod.status.podIP}~${pod.metadata.name}.${pod.metadata.namespace}~x` },
          },
        },
        {
          '@type': 'type.googleapis.com/envoy.admin.v3.ClustersConfigDump',
          dynamic_active_clusters: [{ cluster: { name: `outbound|80||${ledger}` } }],
        },
        {
          '@type': 'type.googleapis.com/envoy.admin.v3.ListenersConfigDump',
          dynamic_listeners: [
            {
              name: 'virtualInbound',
              active_state: {
                listener: {
                  name: 'virtualInbound',
                  address: { socket_address: { port_value: 15006, address: '0.0.0.0' } },
                  access_log: [{ name: 'envoy.access_loggers.file' }],
                },
              },
            },
          ],
        },
        {
          '@type': 'type.googleapis.com/envoy.admin.v3.RoutesConfigDump',
          dynamic_route_configs: [
            {
              route_config: {
                name: '80',
                virtual_hosts: [
                  {
                    name: ledger,
                    domains: [ledger],
                    // The second as istiod writes a VirtualService without a port into the routes of other ports.
                    routes: [80, 9000].map((port) => ({
                      match: { prefix: '/' },
                      route: { cluster: `outbound|${port}||${ledger}` },
                    })),
                  },
                ],
              },
            },
          ],
        },
      ],
    });
  }
  result.set(
    'dump/istiod/syncz',
    proxied.map(({ metadata: { name, namespace } }) => ({
      cluster_id: 'Kubernetes',
      proxy: `${name}.${namespace}`,
      istio_version: ISTIO,
      ...Object.fromEntries(
        ['cluster', 'listener', 'route', 'endpoint'].flatMap((kind) => [
          [`${kind}_sent`, 'a1'],
          [`${kind}_acked`, 'a1'],
        ]),
      ),
    })),
  );
  return result;
}

/** The healthy mesh as values, to be changed in one place and written to files. */
export class Mesh {
  readonly objects: Map<string, Json>;
  readonly pages: Map<string, Json | Json[]>;
  /** Written as YAML; the rest is JSON, which is quicker to read. */
  readonly #touched = new Set<string>();

  constructor() {
    const objects = meshObjects().map((one) => JSON.parse(JSON.stringify(one)) as Json);
    this.objects = new Map(objects.map((one) => [refOf(one), one]));
    this.pages = pages(objects);
  }

  get(ref: string): Json {
    const found = this.objects.get(ref) ?? [...this.objects].find(([key]) => key.startsWith(ref))?.[1];
    if (!found) throw new Error(`the mesh has no ${ref}`);
    this.#touched.add(refOf(found));
    return found;
  }

  /** `spec.http[0].match`; the last step is made where it is missing, `undefined` removes it. */
  set(ref: string, path: string, value: unknown): void {
    setIn(this.get(ref), path, value);
  }

  page(start: string, path: string, value: unknown): void {
    const key = [...this.pages.keys()].find((name) => name.startsWith(start));
    if (key === undefined) throw new Error(`the mesh has no page ${start}`);
    setIn(this.pages.get(key) as Json, path, value);
  }

  add(value: Json): void {
    this.objects.set(refOf(value), value);
    this.#touched.add(refOf(value));
  }

  remove(ref: string): void {
    this.objects.delete(refOf(this.get(ref)));
  }

  files(all: 'yaml' | 'json' = 'json'): SavedFile[] {
    const files = [...this.objects].map(([ref, value]) => ({
      name: `objects/${ref}.yaml`,
      text:
        all === 'yaml' || this.#touched.has(ref)
          ? stringify(value, { aliasDuplicateObjects: false })
          : JSON.stringify(value),
      modifiedAt: READ_AT,
    }));
    const saved = [...this.pages].map(([name, value]) => ({
      name,
      text: JSON.stringify(value),
      modifiedAt: READ_AT,
    }));
    return [...files, ...saved];
  }
}

function setIn(target: Json | Json[], path: string, value: unknown): void {
  const steps = [...path.matchAll(/([^.[\]]+)|\[([^\]]+)\]/g)].map((found) => found[1] ?? found[2]!);
  const last = steps.pop()!;
  let at = target as Json;
  for (const step of steps) at = (at[step] ??= {}) as Json;
  if (value === undefined && Array.isArray(at)) at.splice(Number(last), 1);
  else if (value === undefined) delete at[last];
  else at[last] = structuredClone(value);
}

export const worldOf = (files: readonly SavedFile[]): Promise<World> =>
  readWorld(savedCluster('files', files), (objects) => ({
    pods: proxiesToAsk(workloads(objects)),
    sync: true,
  }));
