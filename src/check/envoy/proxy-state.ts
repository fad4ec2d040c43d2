import type { AdminPage, Page, Refusal } from '../../cluster/cluster.js';
import { parseUpstreamCluster } from '../../record/upstream-cluster.js';
import { Field, isMap } from '../field.js';

/*
 * What one Envoy holds, read from the pages of its admin interface, JSON or text. Formats: envoy 1.40
 * api/envoy/admin/v3; the text forms as the admin interface prints them.
 */

export interface EnvoyHost {
  /** `10.0.0.7:8080`; an internal listener's or a pipe's name for what has no IP. */
  readonly address: string;
  readonly ip: string | null;
  readonly healthy: boolean;
  /** Ejected by outlier detection. */
  readonly ejected: boolean;
  readonly connectFailures: number;
  readonly requests: number;
}

export interface EnvoyCluster {
  readonly name: string;
  readonly hosts: readonly EnvoyHost[];
}

export interface EnvoyRoute {
  /** Of the route configuration: `8080`, `http.80`. */
  readonly configuration: string;
  readonly virtualHost: string;
  readonly clusters: readonly string[];
}

export interface ConfigError {
  readonly kind: 'cluster' | 'listener' | 'route';
  readonly name: string;
  readonly details: string;
}

export interface EnvoyConfig {
  /** `pod.namespace` of the node id. */
  readonly node: string | null;
  readonly clusters: ReadonlySet<string>;
  readonly listeners: readonly {
    readonly name: string;
    readonly port: number | null;
    readonly accessLog: boolean;
  }[];
  readonly routes: readonly EnvoyRoute[];
  /** Updates that Envoy refused. */
  readonly errors: readonly ConfigError[];
}

export interface EnvoyCertificate {
  readonly role: 'own' | 'root';
  readonly serial: string;
  readonly daysLeft: number | null;
  readonly expiresAt: number | null;
  readonly validFrom: number | null;
  readonly names: readonly string[];
}

/** The pages of one proxy, each where it could be read and understood. */
export interface ProxyState {
  readonly clusters: readonly EnvoyCluster[] | null;
  readonly config: EnvoyConfig | null;
  readonly certificates: readonly EnvoyCertificate[] | null;
  /** Names of listeners with the port that they are bound to. */
  readonly listeners: readonly { readonly name: string; readonly port: number | null }[] | null;
  readonly stats: ReadonlyMap<string, number> | null;
  readonly server: { readonly version: string; readonly state: string } | null;
  readonly refused: ReadonlyMap<AdminPage, Refusal>;
}

/** From the pages' texts. A page that is damaged counts as refused, with the reason. */
export function proxyStateOf(pages: ReadonlyMap<AdminPage, Page>): ProxyState {
  const refused = new Map<AdminPage, Refusal>();
  const read = <T>(page: AdminPage, parse: (text: string) => T): T | null => {
    const given = pages.get(page);
    if (given === undefined) {
      refused.set(page, pageRefusal(page, 'not given'));
      return null;
    }
    if ('refused' in given) {
      refused.set(page, given.refused);
      return null;
    }
    try {
      return parse(given.text);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      refused.set(page, pageRefusal(page, `the page is damaged: ${error.message}`));
      return null;
    }
  };
  return {
    clusters: read('clusters', clustersOf),
    config: read('config_dump', configOf),
    certificates: read('certs', certificatesOf),
    listeners: read('listeners', listenersOf),
    stats: read('stats', statsOf),
    server: read('server_info', serverOf),
    refused,
  };
}

const pageRefusal = (page: AdminPage, reason: string): Refusal => ({
  verb: 'read',
  resource: `Envoy admin /${page}`,
  reason,
});

const fieldOf = (value: unknown): Field => new Field(value, '', []);

const isJson = (text: string): boolean => /^\s*[[{]/.test(text);

/** Which page a text is, by what stands in it; `null`: none. */
export function pageIn(text: string): AdminPage | null {
  if (!isJson(text)) {
    if (/^[^\n]*::(?:observability_name|default_priority::|added_via_api::)/m.test(text.slice(0, 4096)))
      return 'clusters';
    if (
      /^(?:cluster|server|listener|http|cluster_manager|control_plane)\.[^\s:]*: \d+$/m.test(
        text.slice(0, 8192),
      )
    ) {
      return 'stats';
    }
    return /^(?:virtualInbound|virtualOutbound)::/m.test(text) ? 'listeners' : null;
  }
  const keys: readonly [RegExp, AdminPage][] = [
    [/^\s*\{\s*"cluster_statuses"/, 'clusters'],
    [/^\s*\{\s*"configs"/, 'config_dump'],
    [/^\s*\{\s*"certificates"/, 'certs'],
    [/^\s*\{\s*"listener_statuses"/, 'listeners'],
    [/^\s*\{\s*"stats"/, 'stats'],
  ];
  const head = text.slice(0, 4096);
  const known = keys.find(([pattern]) => pattern.test(head))?.[1];
  if (known) return known;
  return /"command_line_options"|"uptime_current_epoch"/.test(head) ? 'server_info' : null;
}

function addressOf(field: Field): {
  readonly address: string;
  readonly ip: string | null;
  readonly port: number | null;
} {
  const socket = field.at('socket_address');
  const ip = socket.at('address').text();
  const port = socket.at('port_value').number() ?? null;
  if (ip !== undefined) return { address: `${ip}:${port ?? ''}`, ip, port };
  const name =
    field.at('pipe', 'path').text() ??
    field.at('envoy_internal_address', 'endpoint_id').text() ??
    field.at('envoy_internal_address', 'server_listener_name').text();
  return { address: name ?? '-', ip: null, port: null };
}

function clustersOf(text: string): readonly EnvoyCluster[] {
  if (!isJson(text)) return clustersOfText(text);
  return fieldOf(JSON.parse(text))
    .at('cluster_statuses')
    .items()
    .map((cluster) => ({
      name: cluster.at('name').text() ?? '',
      hosts: cluster.at('host_statuses').items().map(hostOf),
    }));
}

function hostOf(host: Field): EnvoyHost {
  const { address, ip } = addressOf(host.at('address'));
  const health = host.at('health_status');
  const stats = new Map(
    host
      .at('stats')
      .items()
      .map((stat) => [stat.at('name').text() ?? '', Number(stat.at('value').value ?? 0)]),
  );
  const failing = [
    'failed_active_health_check',
    'failed_outlier_check',
    'failed_active_hc',
    'pending_dynamic_removal',
  ];
  const eds = health.at('eds_health_status').text();
  return {
    address,
    ip,
    healthy:
      failing.every((name) => health.at(name).value !== true) &&
      (eds === undefined || eds === 'HEALTHY' || eds === 'UNKNOWN' || eds === 'DEGRADED'),
    ejected: health.at('failed_outlier_check').value === true,
    connectFailures: stats.get('cx_connect_fail') ?? 0,
    requests: stats.get('rq_total') ?? 0,
  };
}

/** `cluster::address::key::value`; a cluster's name holds `|`, never `::`. */
function clustersOfText(text: string): readonly EnvoyCluster[] {
  const clusters = new Map<string, Map<string, Map<string, string>>>();
  for (const line of text.split('\n')) {
    const parts = line.split('::');
    const name = parts[0] ?? '';
    if (parts.length < 3) continue;
    const hosts = clusters.get(name) ?? new Map<string, Map<string, string>>();
    clusters.set(name, hosts);
    // An IPv6 address holds `::` itself, in brackets.
    const middle = parts.slice(1, -2).join('::');
    if (!/[:/]/.test(middle)) continue;
    const stats = hosts.get(middle) ?? new Map<string, string>();
    stats.set(parts.at(-2)!, parts.at(-1)!);
    hosts.set(middle, stats);
  }
  return [...clusters].map(([name, hosts]) => ({
    name,
    hosts: [...hosts].map(([address, stats]) => {
      const flags = stats.get('health_flags') ?? 'healthy';
      return {
        address,
        ip: /^\[?([0-9a-f.:]+?)\]?:\d+$/i.exec(address)?.[1] ?? null,
        healthy: flags === 'healthy',
        ejected: flags.includes('/failed_outlier_check'),
        connectFailures: Number(stats.get('cx_connect_fail') ?? 0),
        requests: Number(stats.get('rq_total') ?? 0),
      };
    }),
  }));
}

function configOf(text: string): EnvoyConfig {
  const sections = fieldOf(JSON.parse(text)).at('configs').items();
  const section = (name: string): Field =>
    sections.find((one) => one.at('@type').text()?.endsWith(`.${name}`)) ?? fieldOf(undefined);
  const clusters = section('ClustersConfigDump');
  const listeners = section('ListenersConfigDump');
  const routes = section('RoutesConfigDump');
  const dynamicListeners = listeners.at('dynamic_listeners').items();
  return {
    node: nodeName(section('BootstrapConfigDump').at('bootstrap', 'node', 'id').text()),
    clusters: new Set(
      ['static_clusters', 'dynamic_active_clusters']
        .flatMap((key) => clusters.at(key).items())
        .flatMap((one) => one.at('cluster', 'name').text() ?? []),
    ),
    listeners: [
      ...dynamicListeners.map((one) => one.at('active_state', 'listener')),
      ...listeners
        .at('static_listeners')
        .items()
        .map((one) => one.at('listener')),
    ]
      .filter((listener) => listener.present)
      .map((listener) => ({
        name: listener.at('name').text() ?? '',
        port: addressOf(listener.at('address')).port,
        accessLog: holdsAccessLog(listener.value),
      })),
    routes: [
      ...routes.at('static_route_configs').items(),
      ...routes.at('dynamic_route_configs').items(),
    ].flatMap((one) => routesOf(one.at('route_config'))),
    errors: [
      ...errorsOf('cluster', clusters.at('dynamic_active_clusters').items(), (one) =>
        one.at('cluster', 'name'),
      ),
      ...errorsOf('cluster', clusters.at('dynamic_warming_clusters').items(), (one) =>
        one.at('cluster', 'name'),
      ),
      ...errorsOf('listener', dynamicListeners, (one) => one.at('name')),
      ...errorsOf('route', routes.at('dynamic_route_configs').items(), (one) =>
        one.at('route_config', 'name'),
      ),
    ],
  };
}

/** `pod.namespace` of `sidecar~10.0.0.4~pod.namespace~namespace.svc.cluster.local`. */
const nodeName = (id: string | undefined): string | null => id?.split('~')[2] ?? null;

const errorsOf = (
  kind: ConfigError['kind'],
  items: readonly Field[],
  nameOf: (item: Field) => Field,
): readonly ConfigError[] =>
  items.flatMap((item) => {
    const details = item.at('error_state', 'details').text();
    return details === undefined ? [] : [{ kind, name: nameOf(item).text() ?? '', details }];
  });

/** Anywhere in a listener: its filters, or itself. */
function holdsAccessLog(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(holdsAccessLog);
  if (!isMap(value)) return false;
  if (Array.isArray(value['access_log']) && value['access_log'].length > 0) return true;
  return Object.values(value).some(holdsAccessLog);
}

function routesOf(config: Field): readonly EnvoyRoute[] {
  const configuration = config.at('name').text() ?? '';
  return config
    .at('virtual_hosts')
    .items()
    .flatMap((host) =>
      host
        .at('routes')
        .items()
        .map((route) => ({
          configuration,
          virtualHost: host.at('name').text() ?? '',
          clusters: [
            ...(route.at('route', 'cluster').text() ? [route.at('route', 'cluster').text()!] : []),
            ...route
              .at('route', 'weighted_clusters', 'clusters')
              .items()
              .flatMap((one) => one.at('name').text() ?? []),
          ],
        })),
    );
}

function certificatesOf(text: string): readonly EnvoyCertificate[] {
  const of = (role: EnvoyCertificate['role'], certificate: Field): EnvoyCertificate => {
    const days = certificate.at('days_until_expiration').value;
    return {
      role,
      serial: certificate.at('serial_number').text() ?? '',
      daysLeft: days === undefined ? null : Number(days),
      expiresAt: certificate.at('expiration_time').time() ?? null,
      validFrom: certificate.at('valid_from').time() ?? null,
      names: certificate
        .at('subject_alt_names')
        .items()
        .flatMap((name) => name.at('uri').text() ?? name.at('dns').text() ?? []),
    };
  };
  return fieldOf(JSON.parse(text))
    .at('certificates')
    .items()
    .flatMap((pair) => [
      ...pair
        .at('cert_chain')
        .items()
        .map((one) => of('own', one)),
      ...pair
        .at('ca_cert')
        .items()
        .map((one) => of('root', one)),
    ]);
}

function listenersOf(text: string): ProxyState['listeners'] {
  if (!isJson(text)) {
    return text
      .split('\n')
      .filter((line) => line.includes('::'))
      .map((line) => {
        const at = line.indexOf('::');
        return { name: line.slice(0, at), port: Number(/:(\d+)$/.exec(line)?.[1] ?? NaN) || null };
      });
  }
  return fieldOf(JSON.parse(text))
    .at('listener_statuses')
    .items()
    .map((one) => ({ name: one.at('name').text() ?? '', port: addressOf(one.at('local_address')).port }));
}

function statsOf(text: string): ReadonlyMap<string, number> {
  if (!isJson(text)) {
    return new Map([...text.matchAll(/^(\S+): (\d+)$/gm)].map(([, name, value]) => [name!, Number(value)]));
  }
  return new Map(
    fieldOf(JSON.parse(text))
      .at('stats')
      .items()
      .flatMap((stat) => {
        const name = stat.at('name').text();
        const value = stat.at('value').value;
        return name !== undefined && typeof value === 'number' ? [[name, value] as const] : [];
      }),
  );
}

function serverOf(text: string): ProxyState['server'] {
  const server = fieldOf(JSON.parse(text));
  const version = server.at('version').text() ?? '';
  return {
    // `hash/1.40.0/Clean/RELEASE/BoringSSL`
    version: version.split('/')[1] ?? version,
    state: server.at('state').text() ?? '',
  };
}

/** `payments.shop` of a cluster of the mesh; `null` for any other. */
export const serviceOfCluster = (name: string): string | null => parseUpstreamCluster(name).service;
