import { parseMeshServerName, serviceOfHost } from '../record/upstream-cluster.js';
import type { Kind, Row } from './row.js';

/* What makes two lines the two ends of one hop, apart from time. */

/** The caller's own address and port is the callee's peer: nothing between them translated it. */
export function sameConnection(outer: Row, inner: Row): boolean {
  return outer.upstreamLocal !== null && outer.upstreamLocal === inner.downstreamRemote;
}

/** The caller dialled the address that the callee was called at. */
export function sameHost(outer: Row, inner: Row): boolean {
  return outer.upstreamHost !== null && outer.upstreamHost === inner.downstreamLocal;
}

/** An earlier attempt went to another host of the same service. */
export function sameService(outer: Row, inner: Row): boolean {
  const meant = inner.serverName && parseMeshServerName(inner.serverName)?.service;
  const host = outer.cluster?.host;
  return !!meant && !!host && serviceOfHost(host) === meant;
}

/** A listener line: a connection that matched no filter chain, so that nothing of it was read. */
export const isRejectedConnection = (kind: Kind): boolean =>
  !kind.http && kind.cluster === null && kind.has('NR');
