import type { Finding } from '../../diagnosis/finding.js';
import { calls } from '../calls.js';
import { found, named, type Check, type Examined } from '../check.js';
import { explicitTls, rulesFor } from '../client-rules.js';
import type { ServiceEntry } from '../istio-objects.js';
import { hosts, hostsNamed, type Host } from '../registry.js';
import { hasProxy } from '../workloads.js';
import type { World } from '../world.js';

export const serviceEntries: Check = {
  id: 'service-entries',
  phase: 'traffic',
  claim: 'hosts outside are registered once, resolvable, and spoken to in the protocol that they expect',
  subjects: ['ServiceEntry'],
  needs: ['DestinationRule'],
  decides: [
    'tls-origination-double-tls',
    'egress-registry-only-blocked',
    'dns-cluster-unresolved',
    'no-endpoints',
    'tls-to-http-port',
    'protocol-selection-wrong',
    'external-tls-verification-failed',
  ],
  see: 'kubectl get serviceentry,destinationrule -A -o yaml',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    for (const entry of world.list('ServiceEntry')) {
      findings.push(...resolution(entry), ...twice(world, entry), ...protocols(world, entry));
      examined.push({
        about: { services: entry.hosts },
        said: `${entry.namespace}/${entry.name}: ${entry.resolution}`,
        excludes: ['tls-origination-double-tls', 'egress-registry-only-blocked'],
      });
    }
    return { findings, examined };
  },
};

const aboutOf = (entry: ServiceEntry) => ({ services: entry.hosts });

function resolution(entry: ServiceEntry): readonly Finding[] {
  const base = { from: entry, field: 'spec.resolution', about: aboutOf(entry) };
  const wildcard = entry.hosts.find((host) => host.startsWith('*'));
  if (wildcard !== undefined && entry.resolution.startsWith('DNS') && entry.endpoints === 0) {
    return [
      found('traffic', {
        ...base,
        id: 'service-entry-wildcard-dns',
        severity: 'high',
        read: `resolution ${entry.resolution} for ${wildcard}, without endpoints`,
        why: 'a wildcard is no name that DNS could resolve: the cluster never gets a host, 503 UH',
        confirms: ['dns-cluster-unresolved'],
        fix: 'Use resolution NONE, name the hosts, or give endpoints.',
      }),
    ];
  }
  if (entry.resolution === 'STATIC' && entry.endpoints === 0 && entry.workloadSelector === null) {
    return [
      found('traffic', {
        ...base,
        id: 'service-entry-without-endpoints',
        severity: 'high',
        read: 'resolution STATIC with neither endpoints nor workloadSelector',
        why: 'there is no address to send to: 503, flag UH',
        confirms: ['no-endpoints'],
        fix: 'Give endpoints, or resolution DNS.',
      }),
    ];
  }
  return [];
}

function twice(world: World, entry: ServiceEntry): readonly Finding[] {
  for (const host of entry.hosts) {
    const other = hosts(world).find(
      (one) =>
        !one.isService &&
        one.name === host.toLowerCase() &&
        one.object !== entry &&
        (one.object as ServiceEntry).resolution !== entry.resolution &&
        isBefore(one.object as ServiceEntry, entry),
    );
    if (!other) continue;
    return [
      found('traffic', {
        id: 'service-entry-same-host',
        severity: 'high',
        from: entry,
        field: 'spec.resolution',
        read: `${named(other.object.ref)} registers ${host} with resolution ${(other.object as ServiceEntry).resolution}, this one with ${entry.resolution}`,
        why: 'the two are merged into one cluster, which resolves in one way only: the other addresses are lost',
        confirms: ['dns-cluster-unresolved'],
        about: aboutOf(entry),
        see: 'istioctl analyze -A',
        fix: 'Register the host once.',
      }),
    ];
  }
  return [];
}

const isBefore = (a: ServiceEntry, b: ServiceEntry): boolean =>
  (a.createdAt ?? 0) < (b.createdAt ?? 0) ||
  ((a.createdAt ?? 0) === (b.createdAt ?? 0) && `${a.namespace}/${a.name}` < `${b.namespace}/${b.name}`);

const ORIGINATES: ReadonlySet<string> = new Set(['SIMPLE', 'MUTUAL']);

/** What proxies speak on a port: TLS of the app's own passes, TLS of a rule is added. */
function protocols(world: World, entry: ServiceEntry): readonly Finding[] {
  return entry.ports.flatMap((port) => {
    const [host] = entry.hosts.flatMap((name) =>
      hostsNamed(world, name.toLowerCase()).filter(({ object }) => object === entry),
    );
    if (!host) return [];
    const callers = calls(world).filter(
      (call) => call.host.name === host.name && call.caller.pods.some(hasProxy),
    );
    const namespaces = [...new Set([entry.namespace, ...callers.map(({ caller }) => caller.namespace)])];
    const origination = namespaces
      .flatMap((namespace) => originationFor(world, namespace, host, port.number))
      .at(0);
    const base = { from: entry, field: `${port.field}.protocol`, about: aboutOf(entry) };
    if (origination && (port.protocol === 'HTTPS' || port.protocol === 'TLS')) {
      return [
        found('traffic', {
          ...base,
          id: 'service-entry-double-tls',
          severity: 'critical',
          read: `port ${port.number} is ${port.protocol}, and ${named(origination.rule.ref)} adds TLS (${origination.mode}) to it`,
          why: "the app's own TLS is wrapped in another: the server reads TLS inside TLS and closes, every connection looks alike and tiny",
          confirms: ['tls-origination-double-tls'],
          see: 'kubectl get serviceentry,destinationrule -A -o yaml',
          fix: 'Either let the app speak plain HTTP and declare the port HTTP, or remove the tls block.',
        }),
      ];
    }
    const tls = callers.find(
      (call) => call.port === port.number && (call.scheme === 'https' || call.scheme === 'grpcs'),
    );
    if (port.protocol === 'HTTP' && tls) {
      return [
        found('traffic', {
          ...base,
          id: 'service-entry-http-for-https',
          severity: 'high',
          read: `port ${port.number} is declared HTTP; ${tls.caller.key} calls ${tls.value}`,
          why: 'the proxy parses a TLS handshake as HTTP and answers 400, flag DPE',
          confirms: ['tls-to-http-port', 'protocol-selection-wrong'],
          fix: 'Declare it HTTPS or TLS, or let the app call http:// and the proxy originate TLS.',
        }),
      ];
    }
    if (port.protocol === 'HTTP' && (port.targetPort ?? port.number) === 443 && !origination) {
      return [
        found('traffic', {
          ...base,
          id: 'service-entry-plain-to-443',
          severity: 'high',
          read: `port ${port.number} is HTTP towards 443, and no DestinationRule originates TLS`,
          why: 'plain HTTP goes to a port that expects TLS: 400 from the server, or it closes (503, flag UC)',
          confirms: ['external-tls-verification-failed'],
          fix: 'A DestinationRule for the host with tls.mode SIMPLE on this port.',
        }),
      ];
    }
    return [];
  });
}

function originationFor(world: World, namespace: string, host: Host, port: number) {
  return rulesFor(world, namespace, host).flatMap((rule) =>
    explicitTls(rule)
      .filter((one) => ORIGINATES.has(one.tls.mode) && (one.port === null || one.port === port))
      .map(({ tls }) => ({ rule, mode: tls.mode })),
  );
}
