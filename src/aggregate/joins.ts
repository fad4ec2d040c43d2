import { maskedRequestId, sameConnection, sameHost, sameService } from './ends.js';
import type { Row } from './rows.js';

/*
 * One request is logged by every proxy on its way. Lines are joined by request id into trees: a caller's outbound line,
 * below it the server's inbound lines (one per attempt), below those what the server called in turn. The deepest line
 * that decided is what a failure is explained by; the outermost is where it is counted.
 */

/** A failed request: where it was seen first and where it was decided. */
export interface Case {
  /** The outermost line. It may be a success: then a retry hid the failure. */
  readonly root: Row;
  /** The line whose proxy (or the app behind it) made the decision. */
  readonly decider: Row;
  /** All failing lines of the request. */
  readonly rows: readonly Row[];
  readonly masked: boolean;
}

export interface Joins {
  readonly cases: readonly Case[];
  /** Outermost lines of all requests, failed or not. */
  readonly roots: readonly Row[];
  parent(row: Row): Row | undefined;
  children(row: Row): readonly Row[];
  /** The outermost line above one. */
  rootOf(row: Row): Row;
}

/** Clocks of two nodes may differ and flushes are late; the id does the real work. */
const SLACK_MS = 5_000;
/** Flags of a line that only says that the side above hung up. */
const HUNG_UP: ReadonlySet<string> = new Set(['DC', 'DR']);
/** Flags of a line that only says that the side below broke the stream. */
const BROKEN_BELOW: ReadonlySet<string> = new Set(['UPE', 'UR', 'UC']);
/** An id that more lines carry is nobody's request: a client sends the same one always. Joined, they would cost their square. */
const MOST_LINES = 500;

export function join(rows: readonly Row[]): Joins {
  const parents = new Map<Row, Row>();
  const childrenOf = new Map<Row, Row[]>();
  const link = (child: Row, parent: Row): void => {
    parents.set(child, parent);
    const list = childrenOf.get(parent);
    if (list) list.push(child);
    else childrenOf.set(parent, [child]);
  };

  const children = (row: Row): readonly Row[] => childrenOf.get(row) ?? [];
  for (const lines of linesById(rows)) {
    for (const line of lines) {
      const parent = parentAmong(lines, line, children);
      if (parent) link(line, parent);
    }
  }

  const rootOf = (row: Row): Row => {
    let root = row;
    const seen = new Set<Row>();
    for (let up = parents.get(root); up && !seen.has(up); up = parents.get(root)) {
      seen.add(root);
      root = up;
    }
    return root;
  };
  const failingByRoot = new Map<Row, Row[]>();
  for (const row of rows) {
    if (!row.failure || row.tunnel) continue;
    const root = rootOf(row);
    const list = failingByRoot.get(root);
    if (list) list.push(row);
    else failingByRoot.set(root, [row]);
  }
  const cases = [...failingByRoot].map(([root, failing]): Case => {
    const top = root.failure ? root : failing.toSorted((a, b) => a.end - b.end).at(-1)!;
    // An outer 4xx passes a refusal on: the app's own as far as its line tells, and no success.
    const masked = !root.failure && (root.code ?? 0) < 400;
    return { root, decider: decider(top, children), rows: failing, masked };
  });
  const roots = rows.filter((row) => !row.tunnel && !parents.has(row));
  return { cases, roots, parent: (line) => parents.get(line), children, rootOf };
}

/** Lines that share a request id, where more than one does. */
function* linesById(rows: readonly Row[]): Iterable<readonly Row[]> {
  const byId = new Map<string, Row[]>();
  for (const row of rows) {
    const id = row.requestId;
    if (!id || row.tunnel) continue;
    const key = maskedRequestId(id);
    const list = byId.get(key);
    if (list) list.push(row);
    else byId.set(key, [row]);
  }
  for (const lines of byId.values()) if (lines.length > 1 && lines.length <= MOST_LINES) yield lines;
}

/**
 * The line one hop further out, among those of the same request: the one that began nearest, and of two that began
 * together the one with fewer lines below it, so that a log that holds every line twice joins as two logs would.
 */
function parentAmong(
  lines: readonly Row[],
  line: Row,
  children: (row: Row) => readonly Row[],
): Row | undefined {
  let best: Row | undefined;
  for (const other of lines) {
    if (other === line || !isParent(other, line)) continue;
    const nearer = best
      ? Math.abs(other.start - line.start) - Math.abs(best.start - line.start) ||
        children(other).length - children(best).length
      : -1;
    if (nearer < 0) best = other;
  }
  return best;
}

function isParent(outer: Row, inner: Row): boolean {
  if (!overlaps(outer, inner)) return false;
  if (inner.direction === 'inbound') {
    if (outer.direction === 'inbound' || outer.proxy === inner.proxy) return false;
    return sameConnection(outer, inner) || sameHost(outer, inner) || sameService(outer, inner);
  }
  if (inner.direction === 'unknown' && outer.direction === 'unknown') return encloses(outer, inner);
  // What a pod calls while it serves: its own proxy wrote both lines.
  return outer.direction === 'inbound' && outer.proxy === inner.proxy && inner.direction !== 'unknown';
}

function overlaps(outer: Row, inner: Row): boolean {
  return inner.start >= outer.start - SLACK_MS && inner.start <= outer.end + SLACK_MS;
}

/**
 * Layouts without clusters and addresses tell neither side: two proxies that name the same host for one request are the
 * two ends of a hop, and the line that encloses the other in time is the caller's.
 */
function encloses(outer: Row, inner: Row): boolean {
  return (
    outer.proxy !== inner.proxy &&
    sameUpstream(outer, inner) &&
    outer.start <= inner.start &&
    outer.end >= inner.end - 1 &&
    (outer.duration > inner.duration || (outer.duration === inner.duration && outer.proxy < inner.proxy))
  );
}

const sameUpstream = (a: Row, b: Row): boolean =>
  a.upstreamHost !== null && a.upstreamHost === b.upstreamHost;

/** From a failing line down to the one that decided. */
function decider(top: Row, children: (row: Row) => readonly Row[]): Row {
  const seen = new Set<Row>();
  let at = top;
  while (!seen.has(at)) {
    seen.add(at);
    const below = decidedBelow(at) ? failedBelow(children(at)) : undefined;
    if (!below) break;
    at = below;
  }
  return at;
}

function decidedBelow(row: Row): boolean {
  return row.answeredBy === 'peer' || row.flags.some((flag) => BROKEN_BELOW.has(flag));
}

/** The failing line below that an outer one passed on: the last to end, since earlier attempts were retried. */
function failedBelow(below: readonly Row[]): Row | undefined {
  const failed = below.filter((child) => child.failure && !child.flags.some((flag) => HUNG_UP.has(flag)));
  return failed.toSorted((a, b) => a.end - b.end).at(-1);
}
