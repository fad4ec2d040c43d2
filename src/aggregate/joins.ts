import type { ByKind } from './by-kind.js';
import { maskedRequestId } from '../record/request-id.js';
import { parseMeshServerName, type UpstreamCluster } from '../record/upstream-cluster.js';
import { isRejectedConnection, sameConnection, sameHost, sameService } from './ends.js';
import type { Kind, Row } from './row.js';
import { countBefore } from './sorted.js';

/*
 * One request is logged by every proxy on its way. Lines are joined into trees: a caller's outbound line, below it the
 * server's inbound lines (one per attempt), below those what the server called in turn. The deepest line that decided is
 * what a failure is explained by; the outermost is where it is counted.
 *
 * Lines that share a request id are joined first. What is left is joined by connection: the caller's own address and
 * port is what the server saw, for TCP, for connections that the server's listener rejected, and for requests whose id
 * was replaced on the way. ztunnel names both pods and counts the same bytes on both nodes; what a waypoint sends through
 * a tunnel arrives under the waypoint's name. Between networks addresses are translated: what a gateway there could not
 * pass on is joined by the cluster's name, which mesh clients send as server name.
 */

/** A failed request: where it was seen first and where it was decided. */
export interface Case {
  /** The outermost line. It may be a success: then a retry hid the failure, or an app did without what it called. */
  readonly root: Row;
  /** The line whose proxy (or the app behind it) made the decision. */
  readonly decider: Row;
  /** All failing lines of the request. */
  readonly rows: readonly Row[];
  readonly masked: boolean;
  /** Where it was no retry that hid it: the line of the app that answered well although its own call failed. */
  readonly copedAt?: Row;
}

/**
 * What two lines were joined by. `name`: the one asked for the cluster that the other was asked for, in that moment;
 * `time`: the only request that its pod was serving then, or the only one for that host and path.
 */
export type JoinedBy = 'id' | 'connection' | 'tunnel' | 'name' | 'time';

/** What was not joined, to keep the work within bounds. */
export interface LeftOut {
  /** Request ids that too many lines carry to be anybody's request, and their lines. */
  readonly sharedIds: number;
  readonly sharedIdLines: number;
}

export interface Joins {
  readonly cases: readonly Case[];
  /** Outermost lines of all requests, failed or not. */
  readonly roots: readonly Row[];
  readonly leftOut: LeftOut;
  parent(row: Row): Row | undefined;
  children(row: Row): readonly Row[];
  /** The ztunnel connection that brought a request to a waypoint, beside others perhaps. */
  carrier(row: Row): Row | undefined;
  /** What a line was joined to its parent by. */
  joinedBy(row: Row): JoinedBy | undefined;
  /** The outermost line above one. */
  rootOf(row: Row): Row;
}

/** Flushes are late and clocks that could not be measured differ; the id does the real work. */
const SLACK_MS = 5_000;
/** The same where only a connection joins, which carries other requests too. */
const CONNECTION_SLACK_MS = 1_000;
/** Flags of a line that only says that the side above hung up. */
const HUNG_UP: ReadonlySet<string> = new Set(['DC', 'DR']);
/** Flags of a line that only says that the side below broke the stream. */
const BROKEN_BELOW: ReadonlySet<string> = new Set(['UPE', 'UR', 'UC']);
/** An id that more lines carry is nobody's request: a client sends the same one always. Joined, they would cost their square. */
const MOST_LINES = 500;

class Tree {
  readonly #parents = new Map<Row, Row>();
  readonly #by = new Map<Row, JoinedBy>();
  readonly #children = new Map<Row, Row[]>();

  link(child: Row, parent: Row, by: JoinedBy): void {
    this.#parents.set(child, parent);
    if (by !== 'id') this.#by.set(child, by);
    const list = this.#children.get(parent);
    if (list) list.push(child);
    else this.#children.set(parent, [child]);
  }
  parent(row: Row): Row | undefined {
    return this.#parents.get(row);
  }
  joinedBy(row: Row): JoinedBy | undefined {
    return this.#parents.has(row) ? (this.#by.get(row) ?? 'id') : undefined;
  }
  children(row: Row): readonly Row[] {
    return this.#children.get(row) ?? [];
  }
  rootOf(row: Row): Row {
    let root = this.#parents.get(row);
    if (!root) return row;
    const seen = new Set([row]);
    for (let up = this.#parents.get(root); up && !seen.has(up); up = this.#parents.get(root)) {
      seen.add(root);
      root = up;
    }
    return root;
  }
  /** Whether linking a row below another would close a ring. */
  isAbove(row: Row, other: Row): boolean {
    return this.rootOf(other) === row;
  }
}

export function join(byKind: ByKind<Row>): Joins {
  const rows = byKind.all;
  const tree = new Tree();
  const shared = { ids: 0, lines: 0 };
  const calls = usualCallers(byKind.where(({ direction }) => direction === 'unknown'));
  for (const lines of linesById(rows)) {
    if (lines.length > MOST_LINES) {
      shared.ids++;
      shared.lines += lines.length;
      continue;
    }
    for (const line of lines) {
      const parent = parentAmong(lines, line, calls, (row) => tree.children(row));
      if (parent) tree.link(line, parent, 'id');
    }
  }
  joinConnections(byKind, tree);
  const carriers = joinTunnels(byKind, tree);
  joinLegs(byKind, tree);
  joinNames(byKind, tree);
  joinAnonymous(rows, tree);
  joinByTime(rows, tree);

  const children = (row: Row): readonly Row[] => tree.children(row);
  const failingByRoot = new Map<Row, Row[]>();
  for (const row of byKind.where((kind) => kind.failure && !kind.tunnel)) {
    const root = tree.rootOf(row);
    const list = failingByRoot.get(root);
    if (list) list.push(row);
    else failingByRoot.set(root, [row]);
  }
  const cases = [...failingByRoot].map(([root, failing]): Case => {
    const top = root.failure ? root : failing.toSorted((a, b) => a.end - b.end).at(-1)!;
    // An outer 4xx passes a refusal on, unless another attempt gave that answer. TCP tells of neither.
    const masked =
      !root.failure &&
      root.http &&
      ((root.code ?? 0) < 400 || failing.every((row) => wasRepeated(row, tree)));
    const decided = decider(top, children);
    const coped = masked ? copedAt(decided, (row) => tree.parent(row)) : undefined;
    return { root, decider: decided, rows: failing, masked, ...(coped && { copedAt: coped }) };
  });
  const roots = rows.filter((row) => !row.tunnel && !tree.parent(row));
  return {
    cases,
    roots,
    leftOut: { sharedIds: shared.ids, sharedIdLines: shared.lines },
    parent: (row) => tree.parent(row),
    children,
    carrier: (row) => carriers.get(row),
    joinedBy: (row) => tree.joinedBy(row),
    rootOf: (row) => tree.rootOf(row),
  };
}

/**
 * Whether the caller's proxy passed on what another attempt answered, at this hop or at one above it: a proxy relays a code
 * as it is, so that a good one above a failed attempt came from elsewhere, even where that line is missing.
 */
function wasRepeated(row: Row, tree: Tree): boolean {
  const seen = new Set<Row>();
  for (let attempt = row; !seen.has(attempt);) {
    seen.add(attempt);
    const caller = tree.parent(attempt);
    if (!caller) return false;
    const isHop = attempt.direction === 'inbound' && caller.direction === 'outbound' && attempt.http;
    if (isHop && !caller.failure && caller.answeredBy === 'peer' && caller.code !== attempt.code) return true;
    attempt = caller;
  }
  return false;
}

/** Lines that share a request id, where more than one does. */
function* linesById(rows: readonly Row[]): Iterable<readonly Row[]> {
  const byId = new Map<string, Row | Row[]>();
  for (const row of rows) {
    const id = row.tunnel ? null : row.requestId;
    if (!id) continue;
    const key = maskedRequestId(id);
    const known = byId.get(key);
    if (!known) byId.set(key, row);
    else if (Array.isArray(known)) known.push(row);
    else byId.set(key, [known, row]);
  }
  for (const lines of byId.values()) if (Array.isArray(lines)) yield lines;
}

/**
 * The line one hop further out, among those of the same request: the one that began nearest, and of two that began
 * together the one with fewer lines below it, so that a log that holds every line twice joins as two logs would.
 */
function parentAmong(
  lines: readonly Row[],
  line: Row,
  calls: Calls,
  children: (row: Row) => readonly Row[],
): Row | undefined {
  let best: Row | undefined;
  for (const other of lines) {
    if (other === line || !isParent(other, line, calls)) continue;
    const nearer = best
      ? Math.abs(other.start - line.start) - Math.abs(best.start - line.start) ||
        children(other).length - children(best).length
      : -1;
    if (nearer < 0) best = other;
  }
  return best;
}

function isParent(outer: Row, inner: Row, calls: Calls): boolean {
  if (!overlaps(outer, inner, SLACK_MS)) return false;
  if (inner.direction === 'inbound') {
    if (outer.direction === 'inbound' || outer.proxy === inner.proxy) return false;
    return sameConnection(outer, inner) || sameHost(outer, inner) || sameService(outer, inner);
  }
  if (inner.direction === 'unknown' && outer.direction === 'unknown') return encloses(outer, inner, calls);
  // What a pod calls while it serves: its own proxy wrote both lines.
  return outer.direction === 'inbound' && outer.proxy === inner.proxy && inner.direction !== 'unknown';
}

function overlaps(outer: Row, inner: Row, slack: number): boolean {
  return inner.start >= outer.start - slack && inner.start <= outer.end + slack;
}

/**
 * Layouts without clusters and addresses tell neither side: two proxies that name the same host for one request are the
 * two ends of a hop, and the line that encloses the other in time is the caller's.
 */
function encloses(outer: Row, inner: Row, calls: Calls): boolean {
  return (
    outer.proxy !== inner.proxy &&
    sameUpstream(outer, inner) &&
    outer.start <= inner.start &&
    outer.end >= inner.end - 1 &&
    (outer.duration > inner.duration ||
      (outer.duration === inner.duration && calls(outer.proxy, inner.proxy)))
  );
}

/** Whether one proxy calls another, as the lines show whose durations differ; of two that show nothing, the first by name. */
type Calls = (outer: string, inner: string) => boolean;

function usualCallers(rows: readonly Row[]): Calls {
  const longer = new Map<string, number>();
  for (const lines of linesById(rows)) {
    const [a, b] = lines;
    if (lines.length !== 2 || !a || !b || !sameUpstream(a, b) || a.duration === b.duration) continue;
    const [outer, inner] = a.duration > b.duration ? [a, b] : [b, a];
    const key = `${outer.proxy}\n${inner.proxy}`;
    longer.set(key, (longer.get(key) ?? 0) + 1);
  }
  return (outer, inner) => {
    const more = (longer.get(`${outer}\n${inner}`) ?? 0) - (longer.get(`${inner}\n${outer}`) ?? 0);
    return more > 0 || (more === 0 && outer < inner);
  };
}

const sameUpstream = (a: Row, b: Row): boolean =>
  a.upstreamHost !== null && a.upstreamHost === b.upstreamHost;

/** Both ends of connections, where no id joined them. */
function joinConnections(rows: ByKind<Row>, tree: Tree): void {
  const inners = rows
    .where((kind) => !kind.tunnel && (kind.direction === 'inbound' || isRejectedConnection(kind)))
    .filter((row) => row.downstreamRemote && !tree.parent(row));
  if (inners.length === 0) return;
  const outers = new Map<string, Row[]>(inners.map((row) => [row.downstreamRemote!, []]));
  for (const row of rows.where((kind) => !kind.tunnel && kind.direction !== 'inbound'))
    if (row.upstreamLocal) outers.get(row.upstreamLocal)?.push(row);
  for (const inner of inners) {
    const outer = nearest(outers.get(inner.downstreamRemote!)!, inner, tree);
    if (outer) tree.link(inner, outer, 'connection');
  }
}

function nearest(outers: readonly Row[], inner: Row, tree: Tree): Row | undefined {
  let best: Row | undefined;
  for (const outer of outers) {
    if (outer.proxy === inner.proxy || !overlaps(outer, inner, CONNECTION_SLACK_MS)) continue;
    if (inner.http && (!outer.http || !sameRequest(outer, inner))) continue;
    if (tree.children(outer).some((child) => child.proxy === inner.proxy) || tree.isAbove(inner, outer))
      continue;
    if (!best || Math.abs(outer.start - inner.start) < Math.abs(best.start - inner.start)) best = outer;
  }
  return best;
}

/** A request whose id was replaced on its way; one that both ends name the same would have been joined by it. */
const sameRequest = (outer: Row, inner: Row): boolean =>
  outer.method === inner.method &&
  outer.path === inner.path &&
  !(outer.requestId && outer.requestId === inner.requestId);

/** ztunnel on both nodes, and waypoints between them. Returns what brought requests to a waypoint. */
function joinTunnels(rows: ByKind<Row>, tree: Tree): ReadonlyMap<Row, Row> {
  const outers = new Map<string, Row[]>();
  const add = (key: string, row: Row): void => {
    const list = outers.get(key);
    if (list) list.push(row);
    else outers.set(key, [row]);
  };
  for (const row of rows.where((kind) => !kind.tunnel && (isZtunnel(kind) || kind.failure))) {
    if (!row.upstreamHost) continue;
    if (isZtunnel(row)) {
      if (row.direction !== 'outbound') continue;
      add(`${row.sourceWorkload}\n${row.upstreamHost}`, row);
      if (row.failure) add(`${row.peer}\n\n${row.upstreamHost}`, row);
    } else if (row.failure && isThroughTunnel(row))
      add(`\n${row.upstreamHost.slice(row.upstreamHost.indexOf('/', 8) + 1)}`, row);
  }
  const carriers = new Map<Row, Row>();
  if (outers.size === 0) return carriers;
  const connections = new Map<string, Row>();
  for (const row of rows.where((kind) => isZtunnel(kind) && kind.direction === 'outbound')) {
    if (row.downstreamRemote) connections.set(row.downstreamRemote, row);
  }
  for (const row of rows.where(({ cluster }) => cluster?.kind === 'inbound-vip')) {
    const carrier = row.downstreamRemote ? connections.get(row.downstreamRemote) : undefined;
    if (carrier && overlaps(carrier, row, CONNECTION_SLACK_MS)) carriers.set(row, carrier);
  }
  for (const inner of rows.where((kind) => isZtunnel(kind) && kind.direction === 'inbound')) {
    if (tree.parent(inner) || !inner.upstreamHost) continue;
    const pair = best(
      outers.get(`${inner.sourceWorkload}\n${inner.upstreamHost}`) ?? [],
      inner,
      tree,
      sameBytes,
    );
    // Only a tunnel that failed: one that held carries many requests.
    const sent =
      pair ?? (inner.failure ? best(outers.get(`\n${inner.upstreamHost}`) ?? [], inner, tree) : undefined);
    if (sent) tree.link(inner, sent, 'tunnel');
  }
  // What ztunnel sent past the tunnel, from the pod's address but a port of its own, and a sidecar's listener rejected.
  for (const inner of rows.where(isRejectedConnection)) {
    if (tree.parent(inner)) continue;
    const sent = best(outers.get(`${inner.peer}\n\n${inner.downstreamLocal}`) ?? [], inner, tree);
    if (sent) tree.link(inner, sent, 'tunnel');
  }
  return carriers;
}

/** The proxy's own lines of tunnels that could not be made (Istio 1.24 on), below the requests that wanted them. */
function joinLegs(rows: ByKind<Row>, tree: Tree): void {
  const legs = rows
    .where((kind) => kind.tunnel && kind.failure)
    .filter(({ upstreamIp }) => upstreamIp !== null);
  if (legs.length === 0) return;
  const wanting = new Map<string, Row[]>();
  for (const row of rows.where((kind) => !kind.tunnel && kind.failure)) {
    if (!isThroughTunnel(row)) continue;
    const key = `${row.proxy}\n${row.upstreamIp}`;
    const list = wanting.get(key);
    if (list) list.push(row);
    else wanting.set(key, [row]);
  }
  for (const leg of legs) {
    const row = best(wanting.get(`${leg.proxy}\n${leg.upstreamIp}`) ?? [], leg, tree);
    if (row) tree.link(leg, row, 'tunnel');
  }
}

/** Connections that a gateway between networks could not pass on, below the requests whose proxies made them. */
function joinNames(rows: ByKind<Row>, tree: Tree): void {
  const refused = rows.where(isStuckBetweenNetworks).filter((row) => !tree.parent(row));
  if (refused.length === 0) return;
  // What serves at an address of its own is no gateway to elsewhere.
  const pods = new Set(
    rows
      .where(({ cluster }) => cluster?.kind === 'inbound')
      .flatMap(({ downstreamLocal }) => downstreamLocal ?? []),
  );
  const wanting = new Map<string, Row[]>();
  const broken = rows.where(
    (kind) => !kind.tunnel && kind.cluster?.kind === 'outbound' && (kind.has('UF') || kind.has('UC')),
  );
  for (const row of broken) {
    if (row.upstreamHost === null || pods.has(row.upstreamHost) || tree.children(row).length > 0) continue;
    const key = nameKey(row.cluster!);
    const list = wanting.get(key);
    if (list) list.push(row);
    else wanting.set(key, [row]);
  }
  for (const inner of refused) {
    const outer = runningAt(wanting.get(nameKey(meantBy(inner)!)) ?? [], inner, tree);
    if (outer) tree.link(inner, outer, 'name');
  }
}

/** The service that a gateway between networks was asked for: its cluster's, or the server name that found no chain. */
export const meantBy = (row: Kind): Pick<UpstreamCluster, 'port' | 'subset' | 'host' | 'service'> | null =>
  row.cluster?.kind === 'sni'
    ? row.cluster
    : row.serverName === null
      ? null
      : parseMeshServerName(row.serverName);

/** A gateway in AUTO_PASSTHROUGH mode that has no chain for a mesh client's server name, or no endpoint behind it. */
export const isRefusedBetweenNetworks = (row: Kind): boolean =>
  (isRejectedConnection(row) && meantBy(row) !== null) || (row.cluster?.kind === 'sni' && row.has('UH'));

/** The same, also where it has an endpoint and cannot reach it. */
const isStuckBetweenNetworks = (row: Kind): boolean =>
  isRefusedBetweenNetworks(row) || (row.cluster?.kind === 'sni' && row.has('UF'));

const nameKey = ({ host, port, subset }: Pick<UpstreamCluster, 'host' | 'port' | 'subset'>): string =>
  `${port}|${subset ?? ''}|${host}`;

/** Lines looked at for one that may have been running: more at once leave it to chance. */
const MOST_AROUND = 256;

/**
 * Of lines in order of time, the one that runs while another begins; of several that do, one with the fewest lines below
 * it, which began nearest. Clocks that could not be measured may be off, so that near is taken where none runs.
 */
function runningAt(outers: readonly Row[], inner: Row, tree: Tree): Row | undefined {
  const begun = countBefore(outers.length, (i) => outers[i]!.start <= inner.start + CONNECTION_SLACK_MS);
  const off = (outer: Row): number => Math.abs(outer.start - inner.start);
  const around = outers
    .slice(Math.max(0, begun - MOST_AROUND), begun)
    .filter((outer) => outer.end >= inner.start - CONNECTION_SLACK_MS);
  const running = around.filter((outer) => overlaps(outer, inner, 0));
  if (running.length > 0) {
    return running.toSorted(
      (a, b) => tree.children(a).length - tree.children(b).length || off(a) - off(b),
    )[0];
  }
  return around.toSorted((a, b) => off(a) - off(b))[0];
}

/** A request that its proxy sends through an internal listener, and so through HBONE: the host names the pod behind it. */
export const isThroughTunnel = (row: Row): boolean => row.upstreamHost?.startsWith('envoy://') === true;

export const isZtunnel = (row: Kind): boolean => row.format.startsWith('ztunnel');

function best(
  outers: readonly Row[],
  inner: Row,
  tree: Tree,
  fits: (outer: Row, inner: Row) => boolean = () => true,
): Row | undefined {
  const off = (outer: Row): number => Math.abs(outer.start - inner.start) + Math.abs(outer.end - inner.end);
  let found: Row | undefined;
  for (const outer of outers) {
    if (off(outer) > 2 * CONNECTION_SLACK_MS || tree.children(outer).length > 0 || !fits(outer, inner))
      continue;
    if (!found || off(outer) < off(found)) found = outer;
  }
  return found;
}

/** What one end of a tunnel sent, the other received. */
const sameBytes = (outer: Row, inner: Row): boolean =>
  outer.sent === inner.received && outer.received === inner.sent;

/**
 * Both ends of a hop without an id, behind a gateway that names the client instead of the connection: the only request
 * for that host and path that encloses the other in time, and has no other within it.
 */
function joinAnonymous(rows: readonly Row[], tree: Tree): void {
  if (rows.some(({ weight }) => weight > 1)) return;
  const key = (host: string, row: Row): string => `${host}\n${row.method}\n${row.path}\n${row.code}`;
  const outers = new Map<string, Row[]>();
  for (const row of rows) {
    if (row.tunnel || !row.http || row.requestId || row.direction === 'inbound' || !row.upstreamHost)
      continue;
    if (tree.children(row).length > 0) continue;
    const list = outers.get(key(row.upstreamHost, row));
    if (list) list.push(row);
    else outers.set(key(row.upstreamHost, row), [row]);
  }
  if (outers.size === 0) return;
  const pairs = new Map<Row, Row[]>();
  for (const inner of rows) {
    if (inner.tunnel || !inner.http || inner.requestId || inner.direction !== 'inbound') continue;
    if (tree.parent(inner) || inner.downstreamLocal === null) continue;
    const around = enclosing(outers.get(key(inner.downstreamLocal, inner)) ?? [], inner);
    if (around.length !== 1) continue;
    const inside = pairs.get(around[0]!);
    if (inside) inside.push(inner);
    else pairs.set(around[0]!, [inner]);
  }
  for (const [outer, [inner, ...others]] of pairs) {
    if (others.length === 0 && outer.proxy !== inner!.proxy) tree.link(inner!, outer, 'time');
  }
}

/** Of lines in order of time, those that another lies within; times are rounded to ms. */
function enclosing(outers: readonly Row[], inner: Row): readonly Row[] {
  const begun = countBefore(outers.length, (i) => outers[i]!.start <= inner.start + 1);
  return outers.slice(Math.max(0, begun - MOST_AT_ONCE), begun).filter((outer) => outer.end >= inner.end - 1);
}

/** More requests served at once than these leave no doubt that time alone tells nothing. */
const MOST_AT_ONCE = 64;
/** Of a pod's calls, those whose id its app forwarded: with more of them, a call without one is its own. */
const FORWARDS = 0.05;

/**
 * An app that forwards no request id starts a new one with each call. Where the call lies within the only request that
 * its pod was serving, it was made for that one.
 */
function joinByTime(rows: readonly Row[], tree: Tree): void {
  // Of a sample nobody can say that it was the only one.
  if (rows.some(({ weight }) => weight > 1)) return;
  const byProxy = new Map<string, { readonly serves: Row[]; readonly calls: Row[]; forwarded: number }>();
  for (const row of rows) {
    if (row.tunnel || !row.http || row.direction === 'unknown' || row.cluster?.kind === 'inbound-vip')
      continue;
    let pod = byProxy.get(row.proxy);
    if (!pod) byProxy.set(row.proxy, (pod = { serves: [], calls: [], forwarded: 0 }));
    if (row.direction === 'inbound') pod.serves.push(row);
    else {
      pod.calls.push(row);
      if (tree.parent(row)) pod.forwarded++;
    }
  }
  for (const { serves, calls, forwarded } of byProxy.values()) {
    if (serves.length === 0 || forwarded > FORWARDS * calls.length) continue;
    let next = 0;
    let open: Row[] = [];
    for (const call of calls) {
      while (next < serves.length && serves[next]!.start <= call.start) open.push(serves[next++]!);
      open = open.filter((row) => row.end >= call.start);
      if (open.length > MOST_AT_ONCE) continue;
      const within = open.filter((row) => row.end >= call.end);
      if (within.length === 1 && open.length === 1 && !tree.parent(call) && !tree.isAbove(call, within[0]!)) {
        tree.link(call, within[0]!, 'time');
      }
    }
  }
}

/** Up from the line that decided to the first that went well: an app's, where its sidecar logged it as served. */
function copedAt(decided: Row, parent: (row: Row) => Row | undefined): Row | undefined {
  for (let up = parent(decided); up; up = parent(up)) {
    if (!up.failure && !up.app4xx) return up.direction === 'inbound' && up.http ? up : undefined;
  }
  return undefined;
}

/** From a failing line down to the one that decided. */
function decider(top: Row, children: (row: Row) => readonly Row[]): Row {
  const seen = new Set<Row>();
  let at = top;
  while (!seen.has(at)) {
    seen.add(at);
    const below = decidedBelow(at) ? failedBelow(at, children) : refusedBelow(children(at));
    if (!below) break;
    at = below;
  }
  return at;
}

function decidedBelow(row: Row): boolean {
  // ztunnel passes on as an HTTP status what the ztunnel of the other node said.
  if (row.error !== null) return row.error.startsWith('http status');
  return row.answeredBy === 'peer' || row.flags.some((flag) => BROKEN_BELOW.has(flag));
}

/** A caller sees a connection that breaks; why stands in the line of the gateway that had no way on for it. */
const refusedBelow = (below: readonly Row[]): Row | undefined => below.findLast(isStuckBetweenNetworks);

/**
 * The failing line below that an outer one passed on: the last to end, since earlier attempts were retried. What a
 * listener rejected unread was decided by whoever chose how to speak to it. A 4xx that was relayed is the app's own as
 * far as its line tells; where a proxy made it, the line below is a failure.
 */
function failedBelow(row: Row, children: (row: Row) => readonly Row[]): Row | undefined {
  const failed = children(row).filter(
    (child) =>
      (child.failure || (child.app4xx && failedBelow(child, children) !== undefined)) &&
      !child.tunnel &&
      !child.flags.some((flag) => HUNG_UP.has(flag)) &&
      !isRejectedConnection(child),
  );
  return failed.toSorted((a, b) => a.end - b.end).at(-1);
}
