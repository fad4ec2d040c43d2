import type { Finding } from '../../diagnosis/finding.js';
import { listed, ofWords, plural } from '../../diagnosis/words.js';
import { parseUpstreamCluster } from '../../record/upstream-cluster.js';
import { found, type Check } from '../check.js';
import { endpointAddresses, endpointsOf } from '../services.js';
import type { World } from '../world.js';
import { adminCommand, judgePages, type AskedProxy } from './proxies.js';
import type { EnvoyCluster } from './proxy-state.js';

export const envoyEndpoints: Check = {
  id: 'envoy-endpoints',
  phase: 'envoy',
  claim: 'proxies hold the endpoints that Kubernetes names, and none is ejected',
  subjects: ['Pod'],
  needs: ['EndpointSlice', 'Service'],
  nearby: ['EndpointSlice', 'Service'],
  decides: ['no-endpoints', 'outlier-all-ejected', 'single-bad-endpoint', 'stale-proxy-config'],
  see: "istioctl proxy-config endpoint POD.NAMESPACE --cluster 'CLUSTER'",
  judge: (world) =>
    judgePages(
      world,
      'clusters',
      ({ clusters }) => clusters,
      (proxy, clusters) => {
        const findings = clusters.flatMap((cluster) => ofCluster(world, proxy, cluster));
        const stale = findings.some(({ id }) => id === 'envoy-endpoint-stale');
        return {
          findings,
          examined: {
            said: `${proxy.pod.name} holds ${clusters.length} clusters`,
            excludes: stale ? [] : ['stale-proxy-config'],
          },
        };
      },
    ),
};

function ofCluster(world: World, proxy: AskedProxy, cluster: EnvoyCluster): readonly Finding[] {
  const { direction, host, service } = parseUpstreamCluster(cluster.name);
  if (direction !== 'outbound' || host === null || service === null) return [];
  const base = {
    from: proxy.pod,
    field: cluster.name,
    about: {
      services: [service],
      clients: proxy.about.clients ?? [],
      workloads: proxy.about.workloads ?? [],
    },
    see: adminCommand(proxy.pod, '/clusters?format=json'),
  };
  const findings: Finding[] = [];
  const ejected = cluster.hosts.filter((one) => one.ejected);
  if (ejected.length > 0) {
    const all = ejected.length === cluster.hosts.length;
    findings.push(
      found('envoy', {
        ...base,
        id: all ? 'envoy-all-endpoints-ejected' : 'envoy-endpoint-ejected',
        severity: all ? 'critical' : 'medium',
        read: `${ofWords(ejected.length, cluster.hosts.length)} hosts ejected by outlier detection: ${listed(ejected.map(({ address }) => address))}`,
        why: all
          ? 'no host is left to send to: 503, flag UH, until the ejection ends'
          : 'these hosts failed several times in a row and get nothing for a while',
        confirms: [all ? 'outlier-all-ejected' : 'single-bad-endpoint'],
        fix: 'Mend what makes these hosts fail; the ejection is the consequence.',
      }),
    );
  }
  const object = world.list('Service').find(({ name, namespace }) => `${name}.${namespace}` === service);
  const known = object && endpointsOf(world, object);
  // To members of a headless service connections go as they were dialled: there is nothing to hold (ORIGINAL_DST).
  if (!object || !known || object.headless) return findings;
  const unhealthy = cluster.hosts.filter(({ healthy, ejected: out }) => !healthy && !out);
  // Where none is ready Envoy only says what Kubernetes says.
  if (unhealthy.length > 0 && unhealthy.length === cluster.hosts.length && known.ready.length > 0) {
    findings.push(
      found('envoy', {
        ...base,
        id: 'envoy-no-healthy-endpoint',
        severity: 'critical',
        read: `none of its ${plural(cluster.hosts.length, 'host')} is healthy: ${listed(unhealthy.map(({ address }) => address))}`,
        why: 'no host is left to send to: 503, flag UH',
        confirms: ['no-endpoints'],
        fix: 'Look why these pods are not ready; a health check that an EnvoyFilter adds may fail by itself.',
      }),
    );
  }
  const addresses = endpointAddresses(world);
  const gone = cluster.hosts.filter(({ ip }) => ip !== null && !addresses.get(ip)?.has(service));
  const failing = gone.some(({ connectFailures }) => connectFailures > 0);
  if (gone.length > 0) {
    findings.push(
      found('envoy', {
        ...base,
        id: 'envoy-endpoint-stale',
        // In a mesh of several clusters these are the other ones' endpoints; they answer.
        severity: failing ? 'high' : 'medium',
        read: `${listed(gone.map(({ address }) => address))} ${gone.length === 1 ? 'is' : 'are'} in no EndpointSlice of ${service}${failing ? ', and connects to it failed' : ''}`,
        why: failing
          ? 'the proxy sends to addresses that are gone: connects are refused or never answered'
          : 'unless they are of another cluster of the mesh, the proxy sends to addresses that are gone',
        confirms: ['stale-proxy-config'],
        fix: "Look at the proxy's connection to istiod (proxy-status); restart its pod.",
      }),
    );
  }
  const held = new Set(cluster.hosts.map(({ ip }) => ip));
  const missing = known.ready.filter((ip) => !held.has(ip));
  const whole = parseUpstreamCluster(cluster.name).subset === null;
  if (whole && missing.length > 0 && gone.length === 0) {
    findings.push(
      found('envoy', {
        ...base,
        id: 'envoy-endpoint-missing',
        severity: cluster.hosts.length === 0 ? 'high' : 'medium',
        read: `${listed(missing)} ${missing.length === 1 ? 'is a ready endpoint' : 'are ready endpoints'} of ${service}, not held by the proxy`,
        why:
          cluster.hosts.length === 0
            ? 'it has nobody to send to: 503, flag UH'
            : 'these endpoints get nothing from this proxy',
        confirms: ['stale-proxy-config'],
        fix: "Look at the proxy's connection to istiod (proxy-status); restart its pod.",
      }),
    );
  }
  return findings;
}
