import type { Case } from '../aggregate/joins.js';
import { isRejectedConnection } from '../aggregate/ends.js';
import type { Row } from '../aggregate/row.js';
import { portOf } from '../record/address.js';
import { catalogue } from './catalogue.js';
import { followTime } from './deepest.js';
import type { Hypothesis, NextStep } from './hypothesis.js';
import type { Scene } from './scene.js';
import { byFrequency } from './stats.js';
import { fromMeshClient } from './traits.js';
import { otherEnd } from './vantage.js';
import { listed, shellWord } from './words.js';
import { podAtCommand } from './kubectl.js';

/*
 * Which log would decide what the given ones leave open. A cause that needs both ends of a hop is never sure with one of
 * them missing, and nobody is blamed for the silence of a log that was not given.
 */

/** Cases looked at: what most of them lack, all lack. */
const MOST_LOOKED_AT = 200;

/** Flags of a proxy that only tells what the other end did, or that nobody waited any longer for it. */
const OTHERS_DOING: ReadonlySet<string> = new Set(['UC', 'UR', 'UPE', 'UT', 'UF', 'DC', 'DR']);

/** The log that is missing at the end which decided, by name; `null` where it is there, or decides nothing. */
export function missingCallee(scene: Scene, row: Row): string | null {
  const open =
    row.answeredBy === 'peer' ||
    row.error?.startsWith('http status') === true ||
    row.flags.some((flag) => OTHERS_DOING.has(flag));
  if (!open || scene.joins.children(row).some((child) => !child.tunnel)) return null;
  const end = otherEnd(scene, row);
  if (end === null || end.kind === 'silent') return null;
  return end.kind === 'not-given' ? end.name : end.proxy;
}

/** The log that is missing where the time of a request was spent, further down than where its wait was ended. */
function missingBelow(scene: Scene, decider: Row): string | null {
  const deepest = followTime(scene, decider);
  return deepest === decider ? null : missingCallee(scene, deepest);
}

/** The caller's log, where a server's line can be told only with it: who hung up, and how it spoke. */
export function missingCaller(scene: Scene, row: Row): string | null {
  const open =
    row.has('DC') || row.has('DR') || isRejectedConnection(row) || (row.has('DPE') && row.method === null);
  if (!open || row.peer === null || portOf(row.downstreamRemote ?? '') === 0) return null;
  if (row.direction === 'outbound' || scene.joins.parent(row) || scene.podOf(row.peer) !== null) return null;
  return hasProxy(scene, row.peer) ? `the pod at ${row.peer}, which called` : null;
}

/** Whether a caller spoke mutual TLS as mesh proxies do, at any time: then it has a proxy, and a log. */
export const hasProxy = (scene: Scene, ip: string): boolean => speakers(scene).has(ip);

const SPEAKERS = new WeakMap<Scene, ReadonlySet<string>>();
function speakers(scene: Scene): ReadonlySet<string> {
  let known = SPEAKERS.get(scene);
  if (!known) {
    known = new Set(scene.rowsOf(fromMeshClient).flatMap((row) => row.peer ?? []));
    SPEAKERS.set(scene, known);
  }
  return known;
}

/** Whose logs most of some failed requests lack, most often first; none where fewer than half lack one. */
export function missingLogs(scene: Scene, cases: readonly Case[]): readonly string[] {
  const looked = cases.slice(0, MOST_LOOKED_AT);
  const missing = looked.flatMap(
    ({ root, decider }) =>
      missingCallee(scene, decider) ?? missingBelow(scene, decider) ?? missingCaller(scene, root) ?? [],
  );
  return missing.length * 2 < looked.length ? [] : byFrequency(missing, (name) => name).map(([name]) => name);
}

/** Causes that one side's lines suggest and only the other's bear out, beside those the catalogue says so of. */
const NEEDS_OTHER_SIDE: ReadonlySet<string> = new Set([
  'hbone-connect-blocked',
  'hbone-pool-race',
  'per-try-timeout',
]);

/** Takes back what a missing log leaves open, and asks for it. */
export function modest(scene: Scene, hypothesis: Hypothesis): Hypothesis {
  const needs =
    NEEDS_OTHER_SIDE.has(hypothesis.cause) ||
    catalogue().get(hypothesis.cause)?.decidable === 'logs-of-both-sides';
  if (hypothesis.harmless || (!needs && hypothesis.confidence !== 'possible')) return hypothesis;
  const names = missingLogs(scene, hypothesis.cases);
  if (names.length === 0) return hypothesis;
  const which = `the log of ${listed(names, 2)}`;
  return {
    ...hypothesis,
    ...(needs && hypothesis.confidence === 'high' && { confidence: 'likely' }),
    why: `${hypothesis.why}; ${which} is not given`,
    next: [...hypothesis.next, askFor(names[0]!)],
  };
}

/** How a step begins that asks for a log. */
export const ASKS_FOR_LOG = 'get the log that would decide';

/** How to get a missing log, from its name. */
export function askFor(name: string): NextStep {
  const ip = /\bat (\S+?),?(?: |$)/.exec(name)?.[1];
  const purpose = `${ASKS_FOR_LOG}, that of ${name}`;
  if (name.includes('ztunnel')) {
    return { purpose, command: 'kubectl -n istio-system logs -l app=ztunnel --prefix --since=1h' };
  }
  if (ip) {
    return {
      purpose,
      command: podAtCommand(ip),
    };
  }
  return { purpose, command: `kubectl get pods -A | grep ${shellWord(name)}` };
}
