/** From the proxy's own view: it serves its app, it calls out, it lets through what it does not know. */
export type Direction = 'inbound' | 'outbound' | 'passthrough' | 'unknown';

/** An upstream cluster's name, taken apart. Absent parts are `null`. */
export interface UpstreamCluster {
  /** As logged, without the `;` that the alternative stat name adds since Istio 1.23. */
  readonly name: string;
  readonly direction: Direction;
  /** `outbound`, `inbound`, `inbound-vip` (a waypoint's), `sni` (AUTO_PASSTHROUGH), or `special`/`other`. */
  readonly kind: 'outbound' | 'inbound' | 'inbound-vip' | 'sni' | 'special' | 'other';
  readonly port: number | null;
  readonly subset: string | null;
  readonly host: string | null;
  /** `name.namespace` where the host is a Kubernetes service, else the host. */
  readonly service: string | null;
}

// Names: istio 1.31 pilot/pkg/model/service.go (BuildSubsetKey, BuildDNSSrvSubsetKey).
const SUBSET_KEY = /^(outbound|inbound-vip|inbound)\|(\d+)\|([^|]*)\|([^|]*)$/;
const SRV_KEY = /^(outbound|inbound)_\.(\d+)_\.(.*?)_\.(.*)$/;

// istio 1.31 pilot/pkg/networking/util/util.go and core/waypoint.go.
const SPECIAL: Readonly<Record<string, Direction>> = {
  PassthroughCluster: 'passthrough',
  PassthroughClusterIpv4: 'passthrough',
  PassthroughClusterIpv6: 'passthrough',
  BlackHoleCluster: 'outbound',
  AllowAnyDynamicDNSCluster: 'passthrough',
  InboundPassthroughCluster: 'inbound',
  InboundPassthroughClusterIpv4: 'inbound',
  InboundPassthroughClusterIpv6: 'inbound',
  encap: 'outbound',
  connect_originate: 'outbound',
  inner_connect_originate: 'outbound',
  outer_connect_originate: 'outbound',
};

/** `orders.shop` for `orders.shop.svc.cluster.local` (any cluster domain), else the host itself. */
export function serviceOfHost(host: string): string {
  const labels = host.split('.');
  return labels.length >= 3 && labels[2] === 'svc' ? `${labels[0]}.${labels[1]}` : host;
}

export function parseUpstreamCluster(logged: string): UpstreamCluster {
  const name = logged.endsWith(';') ? logged.slice(0, -1) : logged;
  const key = SUBSET_KEY.exec(name);
  if (key) {
    const kind = key[1] as 'outbound' | 'inbound' | 'inbound-vip';
    const host = key[4] || null;
    return {
      name,
      direction: kind === 'outbound' ? 'outbound' : 'inbound',
      kind,
      port: Number(key[2]),
      subset: key[3] || null,
      host,
      service: host && serviceOfHost(host),
    };
  }
  const sni = parseMeshServerName(name);
  if (sni) return { ...sni, name, direction: 'outbound', kind: 'sni' };
  // A log may hold a cluster named `constructor`.
  const special = Object.hasOwn(SPECIAL, name) ? SPECIAL[name] : undefined;
  const none = { port: null, subset: null, host: null, service: null };
  if (special) return { name, direction: special, kind: 'special', ...none };
  return { name, direction: 'unknown', kind: 'other', ...none };
}

/** The service that a mesh client meant, from the server name it sends: `outbound_.8080_._.orders.shop.svc…`. */
export function parseMeshServerName(
  name: string,
): Pick<UpstreamCluster, 'port' | 'subset' | 'host' | 'service'> | null {
  const key = SRV_KEY.exec(name);
  if (!key?.[4]) return null;
  return { port: Number(key[2]), subset: key[3] || null, host: key[4], service: serviceOfHost(key[4]) };
}
