import { serviceOfHost } from '../record/upstream-cluster.js';
import type { ServiceEntry } from './istio-objects.js';
import type { Service } from './kube-objects.js';
import { meshConfigs } from './mesh-config.js';
import { declaredProtocol, serviceName } from './services.js';
import { proxyOf } from './workloads.js';
import { perWorld, type World } from './world.js';

/** A host that Istio's registry knows. */
export interface Host {
  /** `payments.shop.svc.cluster.local`, or as the ServiceEntry writes it. */
  readonly name: string;
  /** As incidents name it: `payments.shop`, or the host itself. */
  readonly service: string;
  readonly namespace: string;
  readonly object: Service | ServiceEntry;
  readonly isService: boolean;
  readonly ports: readonly {
    readonly number: number;
    readonly name: string;
    readonly protocol: string | null;
  }[];
  readonly exportTo: readonly string[];
}

/** The cluster's domain, as the proxies were started with; nearly always `cluster.local`. */
export const clusterDomain = perWorld((world): string => {
  for (const pod of world.list('Pod')) {
    const args = proxyOf(pod)?.args ?? [];
    const domain = args[args.indexOf('--domain') + 1];
    const suffix = /\.svc\.([a-z0-9.-]+)$/.exec(args.includes('--domain') ? (domain ?? '') : '')?.[1];
    if (suffix) return suffix;
  }
  return 'cluster.local';
});

/** Short names are of the namespace of the object that uses them (istio: ResolveShortnameToFQDN). */
export function fullHost(world: World, host: string, namespace: string): string {
  const lower = host.toLowerCase();
  // With a dot it is taken as it is: `name.namespace` is no name of the registry.
  if (lower === '*' || lower.includes('.')) return lower;
  return `${lower}.${namespace}.svc.${clusterDomain(world)}`;
}

/** What a name in an app's settings stands for: DNS tries the namespace, `svc` and the domain after it. */
export function calledHost(world: World, host: string, namespace: string): Host | undefined {
  const lower = host.toLowerCase().replace(/\.$/, '');
  const labels = lower.split('.');
  const domain = clusterDomain(world);
  const candidates =
    labels.length === 1
      ? [`${lower}.${namespace}.svc.${domain}`]
      : labels.length === 2
        ? [`${lower}.svc.${domain}`, lower]
        : labels.length === 3 && labels[2] === 'svc'
          ? [`${lower}.${domain}`]
          : [lower];
  for (const name of candidates) {
    const found = hostsByName(world).get(name)?.[0];
    if (found) return found;
  }
  return hosts(world).find(({ name }) => name.startsWith('*') && matchesHost(name, lower));
}

const ANYWHERE: readonly string[] = ['*'];

export const hosts = perWorld((world): readonly Host[] => {
  const [config] = meshConfigs(world);
  const domain = clusterDomain(world);
  const services = world.list('Service').map((service): Host => {
    const annotation = service.annotations.get('networking.istio.io/exportTo');
    return {
      name: `${service.name}.${service.namespace}.svc.${domain}`,
      service: serviceName(service),
      namespace: service.namespace,
      object: service,
      isService: true,
      ports: service.ports.map((port) => ({
        number: port.number,
        name: port.name,
        protocol: declaredProtocol(port),
      })),
      exportTo:
        annotation !== undefined
          ? annotation.split(',').map((one) => one.trim())
          : orAnywhere(config?.defaultServiceExportTo),
    };
  });
  const entries = world.list('ServiceEntry').flatMap((entry) =>
    entry.hosts.map((host): Host => ({
      name: host.toLowerCase(),
      service: serviceOfHost(host.toLowerCase()),
      namespace: entry.namespace,
      object: entry,
      isService: false,
      ports: entry.ports.map(({ number, name, protocol }) => ({
        number,
        name,
        protocol: protocol === '' ? null : protocol.toLowerCase(),
      })),
      exportTo: orAnywhere(entry.exportTo.length > 0 ? entry.exportTo : config?.defaultServiceExportTo),
    })),
  );
  return [...services, ...entries];
});

const orAnywhere = (list: readonly string[] | undefined): readonly string[] =>
  list && list.length > 0 ? list : ANYWHERE;

const hostsByName = perWorld((world) => {
  const found = new Map<string, Host[]>();
  for (const host of hosts(world)) {
    const known = found.get(host.name);
    if (known) known.push(host);
    else found.set(host.name, [host]);
  }
  return found;
});

/** The hosts of one full name, or those whose wildcard takes it. */
export function hostsNamed(world: World, name: string): readonly Host[] {
  const exact = hostsByName(world).get(name);
  if (exact) return exact;
  return hosts(world).filter((host) => host.name.startsWith('*') && matchesHost(host.name, name));
}

/** `*`, `*.example.com` (one label or more, never none) or the very name. */
export function matchesHost(pattern: string, name: string): boolean {
  if (pattern === '*' || pattern === name) return true;
  return pattern.startsWith('*') && name.endsWith(pattern.slice(1)) && name.length > pattern.length - 1;
}

/** Whether some name fits both. */
export function hostsOverlap(a: string, b: string): boolean {
  return matchesHost(a, b) || matchesHost(b, a);
}

/** `exportTo`: `.` is the object's own namespace, `~` nobody. */
export function isVisible(exportTo: readonly string[], own: string, from: string): boolean {
  if (exportTo.length === 0) return true;
  return exportTo.some((one) => one === '*' || (one === '.' ? own === from : one === from));
}

/** Whether anything was read of a namespace: if not, what is absent there may merely not have been given. */
export const isNamespaceKnown = (world: World, namespace: string): boolean =>
  namespacesRead(world).has(namespace) ||
  (world.refusal('Namespace') === undefined && world.refusal('Service') === undefined);

const namespacesRead = perWorld(
  (world): ReadonlySet<string> =>
    new Set([...world.list('Service'), ...world.list('Pod')].map(({ namespace }) => namespace)),
);

/** `shop` of `payments.shop.svc.cluster.local`; `null` for a host that is no Kubernetes service. */
export function namespaceOfHost(world: World, name: string): string | null {
  const suffix = `.svc.${clusterDomain(world)}`;
  if (!name.endsWith(suffix)) return null;
  return name.slice(0, -suffix.length).split('.').at(-1) ?? null;
}
