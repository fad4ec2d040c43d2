import type { Case } from '../aggregate/joins.js';
import type { Row } from '../aggregate/row.js';
import type { Scene } from './scene.js';
import { byFrequency, distinct } from './stats.js';

/** Where the time of slow requests is spent, followed through all hops that were logged. */
export interface Deepest {
  /** The service whose line below took the time. */
  readonly place: string;
  /** Its pods, as far as their logs show them. */
  readonly pods: readonly string[];
  /** The lines there. */
  readonly rows: readonly Row[];
  /** Requests that could be followed there, of those that were looked at. */
  readonly count: number;
  readonly of: number;
}

/** A line below takes the time of the one above if it runs for so much of it. */
const MOST_OF_IT = 0.7;
const MOST_LOOKED_AT = 500;

/** The one place where most of these requests were waiting; `null` where that is the decider's own callee, or not one place. */
export function deepestWait(scene: Scene, cases: readonly Case[]): Deepest | null {
  const looked = cases.slice(0, MOST_LOOKED_AT);
  const ends = looked.map(({ decider }) => followTime(scene, decider));
  const [top] = byFrequency(ends, (row) => scene.placeOf(row));
  if (!top || top[1] * 2 < looked.length) return null;
  const [place, count] = top;
  if (place === scene.placeOf(looked[0]!.decider)) return null;
  const there = ends.filter((row) => scene.placeOf(row) === place);
  return {
    place,
    pods: distinct(there, (row) => (row.direction === 'inbound' ? row.proxy : null)),
    rows: there,
    count,
    of: looked.length,
  };
}

/** Down from a line, along those that took its time. */
export function followTime(scene: Scene, from: Row): Row {
  let at = from;
  for (let depth = 0; depth < MOST_HOPS; depth++) {
    const [longest] = scene.joins.children(at).toSorted((a, b) => b.duration - a.duration);
    if (!longest || !longest.http || longest.duration < MOST_OF_IT * at.duration) break;
    at = longest;
  }
  return at;
}

const MOST_HOPS = 64;
