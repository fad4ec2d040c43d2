import type { Kind, Row } from '../aggregate/row.js';
import { hostOf, isIp, isPrivate } from '../record/address.js';
import { boundedCache } from '../record/bounded-cache.js';
import { parseMeshServerName } from '../record/upstream-cluster.js';
import type { Scene } from './scene.js';
import { connectErrorOf } from './connect-error.js';

/** Small questions about one line that several causes ask; each is a fact of Envoy or Istio, not a judgement. */

/** An authority's host: no port, no trailing dot. */
export const bareAuthority = (authority: string): string => {
  const host = authority.startsWith('[') ? hostOf(authority) : authority.replace(/:\d+$/, '');
  return host.endsWith('.') ? host.slice(0, -1) : host;
};

/** gRPC as far as Istio's default format shows it: an HTTP/2 POST to `/package.Service/Method`. */
export const isGrpc = (row: Row): boolean =>
  row.method === 'POST' && row.protocol === 'HTTP/2' && /^\/[\w.]+\/\w+$/.test(row.path ?? '');

/** A host outside the mesh: a name that is no Kubernetes service, or a public address. */
export const isExternal = (row: Row): boolean => {
  const host = row.cluster?.host;
  if (host) return !/\.svc(?:\.|$)/.test(host) && !isIp(host) && host.includes('.');
  return row.upstreamIp !== null && !isPrivate(row.upstreamIp);
};

/** Whether the caller of an inbound line spoke mutual TLS as mesh proxies do. */
export const fromMeshClient = (row: Kind): boolean =>
  row.serverName !== null && parseMeshServerName(row.serverName) !== null;

export const isPassthrough = (row: Kind): boolean => row.cluster?.direction === 'passthrough';

/** An upstream answered: of TCP that is a connection that held and carried something back. */
export const wasAnswered = (row: Row): boolean =>
  row.http ? row.answeredBy === 'peer' : !row.failure && (row.sent ?? 0) > 0;

/** The reason inside `upstream_reset_…{reason|…}`. */
export const resetReason = (row: Kind): string | null =>
  /^upstream_reset_(?:before|after)_response_started\{([^|,}]*)/.exec(row.details ?? '')?.[1] ?? null;

/** A failed connect: flag UF, or a tunnel or TCP line that says so. */
export const isConnectFailure = (row: Kind): boolean => row.has('UF');

/** No TCP connection was made in time: Envoy's own timer leaves the reason empty. */
export const isConnectTimeout = (row: Row): boolean => {
  if (!isConnectFailure(row)) return false;
  const error = connectErrorOf(row);
  if (error === 'timed-out') return true;
  // Layouts without details, and TCP lines: no reason, no local address, and it took its time.
  return (
    error === null &&
    row.upstreamLocal === null &&
    row.duration >= 900 &&
    resetReason(row) !== 'remote_connection_failure'
  );
};

export const isTlsFailure = (row: Kind): boolean => isConnectFailure(row) && connectErrorOf(row) === 'tls';

/** An established connection that the peer closed while a request was on it. */
export const isCut = (row: Kind): boolean =>
  row.has('UC') && (row.details === null || resetReason(row) === 'connection_termination' || !row.hasDetails);

/** Bodies of Envoy's own replies have fixed lengths, which a relaying hop passes on (Envoy 1.17 to 1.40). */
const FINGERPRINTS: Readonly<Record<string, string>> = {
  '503:19': 'no healthy upstream',
  '503:81': 'overflow of a circuit breaker',
  '503:84': 'a stream that a proxy reset',
  '503:85': 'a stream that the upstream reset',
  '503:91': 'a connect that timed out or failed',
  '503:95': 'a connection that was closed under the request',
  '503:98': 'a failed connect',
  '503:114': 'a connect that timed out, after retries',
  '503:118': 'a connection that was closed under the request, after retries',
  '503:121': 'a failed connect, after retries',
  '503:145': 'a failed connect',
  '503:152': 'a refused or unreachable connect',
  '503:165': 'a connect without a route to the host',
  '503:167': 'a refused connect',
  '503:168': 'a failed connect, after retries',
  '503:175': 'a refused or unreachable connect, after retries',
  '503:188': 'a connect without a route to the host, after retries',
  '503:190': 'a refused connect, after retries',
  '503:211': 'TLS spoken to a plaintext port',
  '503:216': 'a certificate that could not be verified',
  '503:16': 'an overloaded proxy',
  '503:13': 'load that is dropped on order',
  '503:27': 'load that is dropped on order',
  '503:18': 'an injected fault',
  '504:24': 'a route timeout',
  '504:27': 'a limit on the duration of a stream',
  '504:36': 'a limit on the duration of an upstream stream',
  '504:14': 'an idle stream',
  '408:14': 'an idle stream',
  '502:87': 'an upstream that broke the protocol',
  '403:19': 'a denial by RBAC',
  '401:14': 'a rejected token',
  '401:50': 'a signing key that is not known',
  '429:18': 'a local rate limit',
};

/** What a relayed reply's size says a proxy further down decided; `null` where it is no text of Envoy's. */
export const fingerprintOf = (row: Row): string | null => FINGERPRINTS[`${row.code}:${row.sent}`] ?? null;

/** Whether the log of the pod that an outbound line called is among the inputs. */
export const serverLogged = (scene: Scene, row: Row): boolean => {
  const ip = row.upstreamIp;
  return ip !== null && scene.podOf(ip) !== null;
};

/** The /24 (IPv4) or /64 (IPv6) of an address: pods of one node usually share it. */
export const networkOf = boundedCache((ip) =>
  ip.includes(':')
    ? `${groupsOf(ip).slice(0, 4).join(':')}::/64`
    : `${ip.split('.').slice(0, 3).join('.')}.0/24`,
);

/** The eight groups of an IPv6 address, those too that `::` stands for. */
function groupsOf(ip: string): readonly string[] {
  const [head = '', tail] = ip.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = !tail ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  return [...before, ...Array.from({ length: zeros }, () => '0'), ...after];
}
