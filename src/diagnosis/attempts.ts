import type { Case } from '../aggregate/joins.js';
import type { Kind, Row } from '../aggregate/row.js';
import type { Fact } from './hypothesis.js';
import type { Scene } from './scene.js';

/* One request sent more than once: a caller's proxy writes one line for it, the servers one for each attempt. */

const HUNG_UP = new Set(['DC', 'DR']);
/** The side above closed the stream before there was an answer. */
export const hungUp = (row: Kind): boolean => row.flags.some((flag) => HUNG_UP.has(flag));

/** Methods that may run twice without harm (RFC 9110, 9.2.2). */
const SAFE_TO_REPEAT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
export const mayRunTwice = (row: Kind): boolean => row.method === null || SAFE_TO_REPEAT.has(row.method);

/** The servers' lines of a caller's request, in the order of the attempts. */
export function attemptsOf(scene: Scene, row: Row): readonly Row[] {
  if (row.direction === 'inbound') return [];
  return scene.joins
    .children(row)
    .filter((child) => child.direction === 'inbound' && child.http)
    .toSorted((a, b) => a.start - b.start);
}

/** An attempt that the app got: it may have done the work. */
export const reachedApp = (row: Row): boolean =>
  row.direction === 'inbound' &&
  row.http &&
  row.upstreamHost !== null &&
  !row.has('UF') &&
  !row.has('UO') &&
  (row.answeredBy === 'peer' || hungUp(row) || row.has('UC') || row.has('UT'));

/** Clocks that were brought together agree to so much. */
const SLACK_MS = 60;

/**
 * The caller's proxy that hung up on an attempt in order to make the next one: its limit for one try ended it, no client.
 * `null` where nobody tried again.
 */
export function triedAgain(scene: Scene, attempt: Row): Row | null {
  const caller = scene.joins.parent(attempt);
  if (!caller || !hungUp(attempt)) return null;
  const later = attemptsOf(scene, caller).some(
    (other) => other !== attempt && other.start >= attempt.end - SLACK_MS,
  );
  return later ? caller : null;
}

/** Work cut sooner may never have been begun: a connection that was closed as the request was sent. */
const BEGUN_MS = 100;

/**
 * Attempts of one request that the app had in its hands: answered well, or cut while it was at work. With more than one,
 * what may not run twice may have.
 */
export function worked(scene: Scene, row: Row): readonly Row[] {
  return attemptsOf(scene, row).filter(
    (attempt) =>
      reachedApp(attempt) &&
      (attempt.answeredBy === 'peer' ? (attempt.code ?? 0) < 500 : attempt.duration >= BEGUN_MS),
  );
}

/** Whether an app may have done the same work more than once, which no method asks for that is not idempotent. */
export const ranTwice = (scene: Scene, row: Row): boolean =>
  !mayRunTwice(row) && worked(scene, row).length > 1;

/** Cases looked at: what most of them show, all show. */
const MOST_LOOKED_AT = 500;

/** How often failed requests were sent again, as far as the servers' logs show it. */
export function retryFacts(scene: Scene, cases: readonly Case[]): Fact[] {
  const looked = cases.slice(0, MOST_LOOKED_AT);
  const callers = new Set<Row>();
  for (const { rows, root } of looked) {
    callers.add(root);
    for (const row of rows) {
      const parent = scene.joins.parent(row);
      if (parent) callers.add(parent);
    }
  }
  const tries = [...callers].map((row) => attemptsOf(scene, row)).filter(({ length }) => length > 1);
  const repeated = [...callers].filter((row) => ranTwice(scene, row));
  if (tries.length * 10 < looked.length) return [];
  const sent = tries.reduce((sum, { length }) => sum + length, 0);
  return [
    {
      text: `requests that a proxy sent again (${(sent / tries.length).toFixed(1)} attempts each at the servers)`,
      count: tries.length,
      of: Math.max(looked.length, tries.length),
    },
    ...(repeated.length > 0
      ? [
          {
            text: `of those, whose app may have run a ${repeated[0]!.method} more than once`,
            count: repeated.length,
            of: tries.length,
          },
        ]
      : []),
  ];
}
