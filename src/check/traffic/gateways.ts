import type { Finding } from '../../diagnosis/finding.js';
import { listed } from '../../diagnosis/words.js';
import { found, type Check, type Examined } from '../check.js';
import type { GatewayServer, IstioGateway, VirtualService } from '../istio-objects.js';
import type { Pod } from '../kube-objects.js';
import { labelSelector, selects } from '../meta.js';
import { hostsOverlap, isVisible } from '../registry.js';
import { servicesOf, targetPortIn } from '../services.js';
import { isRunning } from '../workloads.js';
import { meshConfigs } from '../mesh-config.js';
import type { World } from '../world.js';
import { gatewayNames, servedHost, serverHost } from './virtual-hosts.js';

export const gateways: Check = {
  id: 'gateways',
  phase: 'traffic',
  claim: 'every Gateway has pods and routes, and every route bound to one is served by it',
  subjects: ['IstioGateway', 'VirtualService'],
  needs: ['Pod', 'VirtualService', 'IstioGateway'],
  decides: ['gateway-host-unknown', 'gateway-sni-no-match', 'tls-to-http-port', 'lb-idle-or-health-mismatch'],
  see: 'istioctl analyze -A',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    for (const gateway of world.list('IstioGateway')) {
      const pods = podsOfGateway(world, gateway);
      findings.push(...ofGateway(world, gateway, pods), ...sameHosts(world, gateway));
      examined.push({
        about: {
          services: gateway.servers.flatMap(({ hosts }) => hosts),
          pods: pods.map(({ name }) => name),
        },
        said: `${gateway.namespace}/${gateway.name} on ${pods.length} pods`,
      });
    }
    for (const service of world.list('VirtualService')) {
      const bad = ofService(world, service);
      findings.push(...bad);
      if (gatewayNames(service).some((name) => name !== 'mesh')) {
        examined.push({
          about: { services: service.hosts },
          said: `VirtualService ${service.namespace}/${service.name}`,
          excludes: ['gateway-host-unknown'],
        });
      }
    }
    return { findings, examined };
  },
};

/** A Gateway selects pods of any namespace, unless istiod is told otherwise. */
export const podsOfGateway = (world: World, gateway: IstioGateway): readonly Pod[] =>
  world.list('Pod').filter((pod) => isRunning(pod) && selects(labelSelector(gateway.selector), pod.labels));

function ofGateway(world: World, gateway: IstioGateway, pods: readonly Pod[]): readonly Finding[] {
  const about = {
    services: gateway.servers.flatMap(({ hosts }) => hosts.map((host) => serverHost(host, '').host)),
  };
  const findings: Finding[] = [];
  if (pods.length === 0) {
    findings.push(
      found('traffic', {
        id: 'gateway-selects-no-pod',
        basis: 'state',
        severity: 'high',
        from: gateway,
        field: 'spec.selector',
        read: `no running pod has ${[...gateway.selector].map(([key, value]) => `${key}=${value}`).join(',')}`,
        why: 'no proxy serves its hosts: callers get 404 or no connection from whatever gateway there is',
        confirms: ['gateway-host-unknown'],
        about,
        fix: "Align the selector with the gateway pods' labels.",
      }),
    );
  }
  const routed = world
    .list('VirtualService')
    .some((service) => gatewayNames(service).includes(`${gateway.namespace}/${gateway.name}`));
  const needsRoutes = gateway.servers.some(
    ({ tlsMode, httpsRedirect }) => tlsMode !== 'AUTO_PASSTHROUGH' && !httpsRedirect,
  );
  if (!routed && needsRoutes) {
    findings.push(
      found('traffic', {
        id: 'gateway-without-route',
        severity: 'medium',
        from: gateway,
        field: 'spec.servers',
        read: `no VirtualService names ${gateway.namespace}/${gateway.name}`,
        why: 'it opens its ports and answers every request with 404, flag NR',
        confirms: ['gateway-host-unknown'],
        about,
        fix: 'Bind a VirtualService to it (spec.gateways: NAMESPACE/NAME), or remove it.',
      }),
    );
  }
  for (const server of gateway.servers) findings.push(...ofServer(world, gateway, server, pods, about));
  return findings;
}

function ofServer(
  world: World,
  gateway: IstioGateway,
  server: GatewayServer,
  pods: readonly Pod[],
  about: { readonly services: readonly string[] },
): readonly Finding[] {
  const findings: Finding[] = [];
  const terminates =
    server.tlsMode === 'SIMPLE' || server.tlsMode === 'MUTUAL' || server.tlsMode === 'OPTIONAL_MUTUAL';
  if (terminates && !server.hasCertificate) {
    findings.push(
      found('traffic', {
        id: 'gateway-without-certificate',
        severity: 'critical',
        from: gateway,
        field: `${server.field}.tls`,
        read: `tls.mode ${server.tlsMode} with neither credentialName nor serverCertificate`,
        why: 'the server is left out: TLS connections for its hosts find no filter chain (NR)',
        confirms: ['gateway-sni-no-match'],
        about,
        fix: "Name a secret of the gateway pods' namespace in credentialName.",
      }),
    );
  }
  if ((server.protocol === 'HTTPS' || server.protocol === 'TLS') && server.tlsMode === null) {
    findings.push(
      found('traffic', {
        id: 'gateway-without-tls',
        severity: 'critical',
        from: gateway,
        field: `${server.field}.tls`,
        read: `protocol ${server.protocol} without tls`,
        why: 'the server cannot be built: TLS connections to the port find no filter chain (NR)',
        confirms: ['gateway-sni-no-match', 'tls-to-http-port'],
        about,
        fix: 'Add tls with a mode and a certificate, or let the protocol be HTTP.',
      }),
    );
  }
  const [pod] = pods;
  const open = pod
    ? servicesOf(world, pod).flatMap(({ ports }) =>
        ports.flatMap((port) => [port.number, targetPortIn(pod, port)]),
      )
    : [];
  if (open.length > 0 && !open.includes(server.port)) {
    findings.push(
      found('traffic', {
        id: 'gateway-port-not-exposed',
        severity: 'high',
        from: gateway,
        field: `${server.field}.port.number`,
        read: `port ${server.port}; no Service of its pods has it`,
        why: 'nobody outside reaches this server',
        confirms: ['lb-idle-or-health-mismatch'],
        about,
        fix: "Add the port to the gateway's Service, or serve on one that it has.",
      }),
    );
  }
  return findings;
}

/** Two Gateways of the same pods that serve one host on one port: only one of them is followed. */
function sameHosts(world: World, gateway: IstioGateway): readonly Finding[] {
  for (const other of world.list('IstioGateway')) {
    if (other === gateway || !isBefore(other, gateway)) continue;
    if (![...gateway.selector].every(([key, value]) => other.selector.get(key) === value)) continue;
    for (const server of gateway.servers) {
      for (const theirs of other.servers) {
        if (theirs.port !== server.port) continue;
        const host = server.hosts.find((one) =>
          theirs.hosts.some((two) => {
            const [a, b] = [serverHost(one, gateway.namespace), serverHost(two, other.namespace)];
            return (
              a.host === b.host && (a.namespace === '*' || b.namespace === '*' || a.namespace === b.namespace)
            );
          }),
        );
        if (host === undefined) continue;
        return [
          found('traffic', {
            id: 'gateway-same-host',
            severity: 'high',
            from: gateway,
            field: `${server.field}.hosts`,
            read: `Gateway ${other.namespace}/${other.name} serves ${host} on port ${server.port} too, on the same pods`,
            why: 'one of the two servers is left out, and with it the routes that are bound to it',
            confirms: ['gateway-host-unknown', 'gateway-sni-no-match'],
            about: { services: [serverHost(host, '').host] },
            see: 'istioctl analyze -A',
            fix: 'Serve the host in one Gateway, and bind the routes to it.',
          }),
        ];
      }
    }
  }
  return [];
}

const isBefore = (a: IstioGateway, b: IstioGateway): boolean =>
  (a.createdAt ?? 0) < (b.createdAt ?? 0) ||
  ((a.createdAt ?? 0) === (b.createdAt ?? 0) && `${a.namespace}/${a.name}` < `${b.namespace}/${b.name}`);

/** What keeps a route from the gateways that it names. */
function ofService(world: World, service: VirtualService): readonly Finding[] {
  const names = gatewayNames(service);
  const about = { services: service.hosts };
  const [config] = meshConfigs(world);
  const exportTo =
    service.exportTo.length > 0 ? service.exportTo : (config?.defaultVirtualServiceExportTo ?? []);
  return names.flatMap((name, i): readonly Finding[] => {
    if (name === 'mesh') return [];
    const [namespace = '', gatewayName = ''] = name.split('/');
    const gateway = world.find('IstioGateway', namespace, gatewayName);
    const field = `spec.gateways[${i}]`;
    if (!gateway) {
      const elsewhere = world.list('IstioGateway').filter((one) => one.name === gatewayName);
      return [
        found('traffic', {
          id: 'route-gateway-missing',
          severity: 'critical',
          from: service,
          field,
          read: `Gateway ${name} does not exist${elsewhere.length > 0 ? `; there is ${listed(elsewhere.map((one) => `${one.namespace}/${one.name}`))}` : ''}`,
          why: 'the route is bound to nothing: the gateway answers its hosts with 404, flag NR',
          confirms: ['gateway-host-unknown'],
          about,
          fix: 'Write NAMESPACE/NAME of the Gateway.',
        }),
      ];
    }
    const pods = podsOfGateway(world, gateway);
    if (pods.length > 0 && !pods.some((pod) => isVisible(exportTo, service.namespace, pod.namespace))) {
      return [
        found('traffic', {
          id: 'route-hidden-from-gateway',
          severity: 'critical',
          from: service,
          field: 'spec.exportTo',
          read: `exported to ${listed(exportTo)} only; the gateway's pods are in ${pods[0]!.namespace}`,
          why: 'the gateway does not see the route: 404, flag NR',
          confirms: ['gateway-host-unknown'],
          about,
          fix: `Add ${pods[0]!.namespace} to exportTo.`,
        }),
      ];
    }
    const unserved = service.hosts.filter(
      (host) =>
        !gateway.servers.some(({ hosts }) =>
          hosts.some(
            (one) =>
              servedHost(serverHost(one, gateway.namespace), service.namespace, host.toLowerCase()) !== null,
          ),
        ),
    );
    // Hosts of the mesh beside those of the gateway are common in one object.
    const meant = names.includes('mesh') ? unserved.length === service.hosts.length : unserved.length > 0;
    if (!meant) return [];
    const served = gateway.servers.flatMap(({ hosts }) => hosts);
    const byNamespace = unserved.some((host) =>
      served.some((one) => hostsOverlap(serverHost(one, gateway.namespace).host, host.toLowerCase())),
    );
    return [
      found('traffic', {
        id: 'route-host-not-on-gateway',
        severity: 'critical',
        from: service,
        field: 'spec.hosts',
        read: `Gateway ${name} serves ${listed(served, 6)}, not ${listed(unserved)}${byNamespace ? ` of namespace ${service.namespace}` : ''}`,
        why: 'the gateway has no route for the host: 404, flag NR',
        confirms: ['gateway-host-unknown'],
        about: { services: unserved },
        fix: "Add the host to the Gateway's server, or correct it here.",
      }),
    ];
  });
}
