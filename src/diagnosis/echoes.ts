import type { Case } from '../aggregate/joins.js';
import type { Kind, Row } from '../aggregate/row.js';
import type { Scene } from './scene.js';
import { groupBy } from './stats.js';

/*
 * An app that forwards no request id and serves several requests at once: which of its calls was made for which of them
 * no line tells. That its errors come with failing calls, and its good answers do not, many of them tell together.
 */

/** Of the errors so many hold a failing call of the same pod, of the good answers at most so many. */
const WITH_ERRORS = 0.8;
const WITH_GOOD = 0.4;
const FEWEST = 5;
/** Clocks of one proxy, rounded to ms. */
const SLACK_MS = 5;

/** The calls that failed while an app served what it then failed itself; empty where its good answers hold them too. */
export function failedCallsWithin(scene: Scene, cases: readonly Case[]): readonly Case[] {
  if (cases.length < FEWEST || !cases.every(({ decider }) => isAppsError(decider))) return [];
  const pods = new Set(cases.map(({ decider }) => decider.proxy));
  const calls = groupBy(
    scene.cases.filter(({ root }) => root.direction === 'outbound' && root.failure && pods.has(root.proxy)),
    ({ root }) => root.proxy,
  );
  if (calls.size === 0) return [];
  const within = (served: Row): readonly Case[] => callsWithin(calls.get(served.proxy) ?? [], served);
  const found = cases.map(({ decider }) => within(decider));
  const first = cases[0]!.decider.start;
  const last = cases.at(-1)!.decider.start;
  const good = scene
    .linesOf(cases[0]!.decider)
    .filter((row) => row.direction === 'inbound' && !row.failure && row.start >= first && row.start <= last);
  const share = (lists: readonly (readonly Case[])[]): number =>
    lists.length === 0 ? 0 : lists.filter(({ length }) => length > 0).length / lists.length;
  return share(found) >= WITH_ERRORS && share(good.map(within)) <= WITH_GOOD
    ? [...new Set(found.flat())]
    : [];
}

const isAppsError = (row: Kind): boolean =>
  row.direction === 'inbound' && row.answeredBy === 'peer' && row.http && (row.code ?? 0) >= 500;

/** Cases are in order of time. */
function callsWithin(calls: readonly Case[], served: Row): readonly Case[] {
  let low = 0;
  let high = calls.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (calls[middle]!.root.start < served.start - SLACK_MS) low = middle + 1;
    else high = middle;
  }
  const found: Case[] = [];
  for (let i = low; i < calls.length && calls[i]!.root.start <= served.end; i++) {
    if (calls[i]!.root.end <= served.end + SLACK_MS) found.push(calls[i]!);
  }
  return found;
}
