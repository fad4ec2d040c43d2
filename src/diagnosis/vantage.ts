import { isThroughTunnel, isZtunnel } from '../aggregate/joins.js';
import type { Row } from '../aggregate/row.js';
import { portOf } from '../record/address.js';
import { perScene } from './per-scene.js';
import type { Scene } from './scene.js';
import { isExternal } from './traits.js';
import { clock } from './words.js';

/* What the given logs can have seen: nobody is blamed for silence whose log is not there. */

/** The time that one proxy's log spans, by the time the proxies agree on. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

/** First start and last end of each proxy's lines. */
export const spansOfLogs = perScene((scene: Scene): ReadonlyMap<string, Span> => {
  const spans = new Map<string, { first: number; last: number }>();
  for (const row of scene.rows) {
    if (Number.isNaN(row.start)) continue;
    const span = spans.get(row.proxy);
    if (!span) spans.set(row.proxy, { first: row.start, last: row.end });
    else {
      if (row.start < span.first) span.first = row.start;
      if (row.end > span.last) span.last = row.end;
    }
  }
  return spans;
});

/** Whether a proxy's log was running at a moment: it holds lines from before and from after. */
export function covers(scene: Scene, proxy: string, from: number, to: number): boolean {
  const span = spansOfLogs(scene).get(proxy);
  return span !== undefined && span.first <= to && span.last >= from;
}

/** ztunnels by the pods that they took connections for. */
const nodeProxies = perScene((scene: Scene): ReadonlyMap<string, string> => {
  const proxies = new Map<string, string>();
  for (const row of scene.rowsOf((kind) => isZtunnel(kind) && kind.direction === 'inbound'))
    if (row.upstreamIp) proxies.set(row.upstreamIp, row.proxy);
  return proxies;
});

/** What the other end of a caller's line, that no line below shows, can be said to have done. */
export type OtherEnd =
  /** Its log runs through the moment and has no line of it. */
  | { readonly kind: 'silent'; readonly proxy: string }
  /** Its log was given, but not of this time. */
  | { readonly kind: 'not-covered'; readonly proxy: string; readonly span: Span }
  /** Its log was not given: by name what is known of it. */
  | { readonly kind: 'not-given'; readonly name: string };

/** The other end of a caller's line; `null` where there is none to be logged: no upstream chosen, or one outside the mesh. */
export function otherEnd(scene: Scene, row: Row): OtherEnd | null {
  const ip = row.upstreamIp;
  if (row.direction === 'inbound' && row.cluster?.kind !== 'inbound-vip') return null;
  if (row.error !== null || row.format.startsWith('ztunnel')) return ztunnelEnd(scene, row);
  if (ip === null || isExternal(row)) return null;
  const proxy = scene.podOf(ip) ?? nodeProxies(scene).get(ip);
  if (proxy === undefined)
    return { kind: 'not-given', name: `${ownerWords(row, ip)} (${scene.placeOf(row)})` };
  if (proxy === row.proxy) return null;
  const span = spansOfLogs(scene).get(proxy)!;
  return covers(scene, proxy, row.start, row.end)
    ? { kind: 'silent', proxy }
    : { kind: 'not-covered', proxy, span };
}

function ztunnelEnd(scene: Scene, row: Row): OtherEnd | null {
  if (row.direction !== 'outbound' || row.upstreamIp === null) return null;
  const proxy = nodeProxies(scene).get(row.upstreamIp);
  if (proxy === undefined)
    return { kind: 'not-given', name: `the ztunnel on the node of ${row.targetWorkload ?? row.upstreamIp}` };
  return covers(scene, proxy, row.start, row.end)
    ? { kind: 'silent', proxy }
    : { kind: 'not-covered', proxy, span: spansOfLogs(scene).get(proxy)! };
}

/** The port of an east-west gateway (Istio's samples/multicluster, and istioctl's default). */
const EAST_WEST_PORT = 15443;

/** Who would have logged the other end, as far as an address tells. */
function ownerWords(row: Row, ip: string): string {
  if (isThroughTunnel(row)) return `the ztunnel on the node of ${ip}`;
  if (row.upstreamHost && portOf(row.upstreamHost) === EAST_WEST_PORT) return `the gateway at ${ip}`;
  return `the pod at ${ip}`;
}

/** `is not given`, `ends at 16:02:13.204`, said of the log that would decide. */
export function otherEndWords(end: OtherEnd): string {
  switch (end.kind) {
    case 'silent':
      return `the log of ${end.proxy} runs through that moment and has no line of it`;
    case 'not-covered':
      return `the log of ${end.proxy} covers ${clock(end.span.first)} to ${clock(end.span.last)} only`;
    case 'not-given':
      return `the log of ${end.name} is not given`;
    default:
      return end satisfies never;
  }
}
