import type { Kind, Row } from '../../aggregate/row.js';
import type { Cause } from '../cause.js';
import { connectErrorOf } from '../connect-error.js';
import { debugCommand, namespaceFlag, namespaceOf, proxyName } from '../kubectl.js';
import type { Study } from '../study.js';
import { distinct } from '../stats.js';
import { isConnectFailure } from '../traits.js';
import { listed } from '../words.js';
import { replyCause } from './reply-cause.js';

/*
 * The sidecar's connect to its own app is refused although the app may run: it listens on another address, or on a port
 * that nobody declared.
 */

const isRefusedInside = (row: Kind): boolean =>
  row.direction === 'inbound' &&
  isConnectFailure(row) &&
  connectErrorOf(row) !== 'tls' &&
  row.cluster?.kind !== 'inbound-vip';
const isUndeclared = (row: Kind): boolean =>
  row.cluster?.name.startsWith('InboundPassthroughCluster') === true;
const isLoopback = (row: Row): boolean => row.upstreamIp === '127.0.0.1' || row.upstreamIp === '::1';
const neverAnswered = (study: Study): boolean => study.population.every((row) => row.answeredBy !== 'peer');
const describe = (study: Study): { purpose: string; command: string } => ({
  purpose: 'see which addresses and ports the app listens on',
  command: debugCommand(namespaceOf(study.place), study.proxies[0]!, 'ss -ltnp', ' --target=istio-proxy'),
});

const boundToLocalhost: Cause = replyCause({
  id: 'app-bound-to-localhost',
  reference: 'https://istio.io/v1.28/docs/ops/deployment/application-requirements/#pod-requirements',
  mechanism: 'The app listens on 127.0.0.1 only, and the sidecar dials the pod’s address.',
  signs: ['as app-not-listening, on all replicas, from the first request on'],
  against: ['it answered before'],
  matches: (kind) => isRefusedInside(kind) && !isUndeclared(kind),
  fits: (row) => !isLoopback(row),
  tell: (study) =>
    neverAnswered(study) && study.rows.length >= 3
      ? {
          title: `The app of ${study.place} may listen on 127.0.0.1 only`,
          story:
            'it never answered through its sidecar in these logs, on any pod; an app that is up and bound to loopback looks exactly so.',
          at: { endpoints: study.hosts },
          confidence: 'possible',
          why: 'the lines of a closed port and of one on another address are the same; only the sockets in the pod tell',
          next: [describe(study)],
          fix: ['Let it listen on 0.0.0.0 (or ::).'],
        }
      : null,
});

const boundToPodIp: Cause = replyCause({
  id: 'app-bound-to-pod-ip-only',
  reference: 'https://github.com/istio/istio/issues/14738',
  mechanism:
    'The sidecar dials loopback (Istio before 1.10, or defaultEndpoint), and the app listens on the pod’s address only.',
  signs: ['inbound UF refused with host 127.0.0.1, from the first request on'],
  against: ['it answered before: then the app is down'],
  matches: isRefusedInside,
  fits: isLoopback,
  tell: (study) =>
    neverAnswered(study)
      ? {
          title: `The sidecar of ${study.place} dials 127.0.0.1, where its app does not listen`,
          story: 'every connect to loopback is refused, and it never worked in these logs.',
          at: { pods: study.proxies },
          confidence: 'likely',
          why: 'the host of the refused connect is loopback, and nothing was ever answered there',
          next: [
            describe(study),
            {
              purpose: 'look for defaultEndpoint',
              command: 'kubectl get sidecar -A -o yaml | grep -n -B8 defaultEndpoint',
            },
          ],
          fix: ['Let the app listen on all addresses.'],
        }
      : null,
});

const undeclaredPort: Cause = replyCause({
  id: 'undeclared-inbound-port',
  reference: 'https://github.com/istio/istio/issues/51267',
  mechanism: 'Traffic arrives on a port of the pod that no Service declares, and nothing listens there.',
  signs: ['UF refused on InboundPassthroughCluster'],
  against: ['inbound|port||: the port is declared'],
  matches: (row) => isUndeclared(row) && row.failure && isConnectFailure(row),
  tell: (study) => ({
    title: `Callers use a port of ${listed(study.proxies, 2)} that no Service declares`,
    story: `connects to ${listed(
      distinct(study.rows, (row) => row.downstreamLocal),
      3,
    )} were refused by the pod itself; the mesh only passed them through.`,
    at: { pods: study.proxies, endpoints: study.hosts },
    next: [describe(study)],
    fix: ['Declare the port in the Service, or correct the callers’ port.'],
  }),
});

const waypoint: Cause = replyCause({
  id: 'waypoint-misrouting',
  reference: 'https://istio.io/v1.28/docs/ambient/usage/waypoint/',
  mechanism:
    'A waypoint has no usable way to the service behind it: no endpoint, a port that is not declared, or it is not ready.',
  signs: ['503 UH or UF on inbound-vip|port|http|host, logged by the waypoint'],
  against: ['UC through connect_originate: the tunnel'],
  matches: (row) => row.cluster?.kind === 'inbound-vip' && (row.has('UH') || row.has('UF') || row.has('NC')),
  tell: (study) => ({
    title: `The waypoint in front of ${study.place} cannot reach it`,
    story: `${listed(study.proxies, 2)} handled the request and found ${study.sample.has('UH') ? 'no endpoint' : 'nobody listening'} behind ${study.clusters[0]}.`,
    at: { pods: study.proxies },
    confidence: 'likely',
    why: 'the waypoint itself made the reply; whether its configuration or the pods are wrong, its line does not tell',
    next: [
      {
        purpose: 'see whether the waypoint is programmed',
        command: `istioctl waypoint status ${namespaceFlag(study.place, '-A')}`,
      },
      {
        purpose: 'see what it knows',
        command: `istioctl proxy-config endpoint ${proxyName(namespaceOf(study.place), study.proxies[0]!)}`,
      },
    ],
    fix: ['Declare the app’s port in the Service, correct labels and replicas, redeploy the waypoint.'],
  }),
});

export const ELSEWHERE_CAUSES: readonly Cause[] = [boundToLocalhost, boundToPodIp, undeclaredPort, waypoint];
