import { hostOf, isIp } from '../record/address.js';
import { boundedCache } from '../record/bounded-cache.js';
import { maskedRequestId } from '../record/request-id.js';
import { isRejectedConnection } from './ends.js';
import { isZtunnel } from './joins.js';
import type { Row } from './row.js';

/*
 * Whose log a line stands in where nothing around it names the pod: `kubectl logs deploy/x | …`, a file that is called
 * access.log, the logs of many pods poured into one. A pod is known by its address, and most lines hold that of their
 * own: where it was called at, or where it called from. So the pods of one stream are told apart, and are the same pods in
 * all streams.
 */

/**
 * What to call the proxy of each row: its pod, else the pod that has its own address, else that address, else what it was
 * read from. `null` where all are named.
 */
export function proxyNamesOf(rows: readonly Row[]): readonly string[] | null {
  if (rows.every(({ pod }) => pod !== null)) return null;
  const addresses = new Addresses();
  const own = rows.map(ownAddress);
  for (let at = 0; at < rows.length; at++) if (own[at] !== null) addresses.add(rows[at]!, own[at]!);
  const only = addresses.ofSinglePods();
  const servers = serversOf(rows.filter((row) => row.pod === null && !addresses.areShownIn(row)));
  return rows.map((row, at) => {
    if (row.pod !== null) return row.pod;
    const ip =
      (isZtunnel(row) ? null : only.get(row.file)) ??
      own[at] ??
      addresses.guess(row) ??
      servers.get(row) ??
      null;
    if (ip !== null) return addresses.podAt(ip) ?? ip;
    return row.file === null ? 'standard input' : `log ${row.file}`;
  });
}

/** What the lines that show their own pod's address tell of the others. */
class Addresses {
  /** `null`: of more than one. */
  readonly #pods = new Map<string, string | null>();
  readonly #streams = new Map<string | null, Set<string>>();
  /** Whose proxies serve an app, or call for one; and whose pass on what others call. */
  readonly #sidecars = new Set<string>();
  readonly #servers = new Set<string>();
  readonly #gateways = new Set<string>();

  add(row: Row, ip: string): void {
    if (row.pod !== null) {
      const known = this.#pods.get(ip);
      this.#pods.set(ip, known === undefined || known === row.pod ? row.pod : null);
    } else {
      const stream = this.#streams.get(row.file);
      if (stream) stream.add(ip);
      else this.#streams.set(row.file, new Set([ip]));
    }
    if (isCalledAt(row)) this.#servers.add(ip);
    else if (row.fromOwnPod === true) this.#sidecars.add(ip);
    else if (row.fromOwnPod === false) this.#gateways.add(ip);
  }

  podAt(ip: string): string | null {
    return this.#pods.get(ip) ?? null;
  }

  /** By stream the address of its pod, the IPv4 one of two, where all that it shows are of one. */
  ofSinglePods(): ReadonlyMap<string | null, string> {
    const single = new Map<string | null, string>();
    for (const [stream, addresses] of this.#streams) {
      const [first = '', second = first, ...others] = [...addresses].toSorted(byFamily);
      const isOne = second === first || first.includes(':') !== second.includes(':');
      if (isOne && others.length === 0) single.set(stream, first);
    }
    return single;
  }

  areShownIn({ file }: Row): boolean {
    return this.#streams.has(file);
  }

  /** Of a row that shows both ends of its downstream connection and neither as its own: which one is, in a stream of several pods. */
  guess(row: Row): string | null {
    if (isZtunnel(row) || !this.areShownIn(row)) return null;
    const local = row.downstreamLocal && hostOf(row.downstreamLocal);
    const { peer } = row;
    if (local && this.#gateways.has(local)) return local;
    if (local && row.direction === 'unknown' && this.#servers.has(local)) return local;
    return peer && (this.#sidecars.has(peer) || this.#servers.has(peer)) ? peer : null;
  }
}

/**
 * Where a layout shows no local address (Envoy's own): of two lines of one request to one host, of which one lasted within
 * the other, that one was written there. @returns its address
 */
function serversOf(rows: readonly Row[]): ReadonlyMap<Row, string> {
  const requests = new Map<string, Row[]>();
  for (const row of rows) {
    if (!row.requestId || row.upstreamHost === null) continue;
    const key = `${maskedRequestId(row.requestId)}\n${row.upstreamHost}`;
    const others = requests.get(key);
    if (others) others.push(row);
    else requests.set(key, [row]);
  }
  const servers = new Map<Row, string>();
  for (const [one, other, ...more] of requests.values()) {
    if (!one || !other || more.length > 0 || one.upstreamIp === null) continue;
    if (lastedWithin(one, other)) servers.set(one, one.upstreamIp);
    else if (lastedWithin(other, one)) servers.set(other, one.upstreamIp);
  }
  return servers;
}

const lastedWithin = (inner: Row, outer: Row): boolean =>
  inner.start >= outer.start && inner.end <= outer.end && inner.duration < outer.duration;

/** Whether the downstream connection of a line was made to the pod itself: a server's, or one that its listener refused. */
const isCalledAt = (row: Row): boolean =>
  isRejectedConnection(row) || (row.direction === 'inbound' && row.cluster?.kind !== 'inbound-vip');

/** The address of the pod whose proxy wrote a line, where that alone shows it: a sidecar's local end of an outbound call is the service's. */
function ownAddress(row: Row): string | null {
  if (isZtunnel(row)) return null;
  const local = isCalledAt(row) ? row.downstreamLocal : row.upstreamLocal;
  const host = local === null ? null : hostOf(local);
  return host !== null && isOwn(host) ? host : null;
}

/** A sidecar calls its app from 127.0.0.6, or ::6; a proxy on the same host as all others tells nothing by its address. */
const isOwn = boundedCache((host) => isIp(host) && !/^(?:127\.|::\d$)/.test(host));

const byFamily = (a: string, b: string): number => Number(a.includes(':')) - Number(b.includes(':'));
