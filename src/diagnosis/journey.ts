import { isRejectedConnection } from '../aggregate/ends.js';
import type { Case } from '../aggregate/joins.js';
import { journeyOf, type Journey, type Span } from '../aggregate/journeys.js';
import type { Row } from '../aggregate/row.js';
import { hungUp, mayRunTwice, reachedApp, triedAgain } from './attempts.js';
import { missingCaller } from './missing-side.js';
import type { Scene } from './scene.js';
import { fingerprintOf } from './traits.js';
import { otherEnd, otherEndWords } from './vantage.js';
import { ofWords, span as duration } from './words.js';

/*
 * A journey told: who decided, what never arrived, which attempts a retry hid, what ran twice, where the time went, and
 * whose log is missing. Each sentence rests on lines of this one request; what many requests show is the causes' work.
 */

export type FindingKind =
  | 'decided'
  | 'closed-first'
  | 'gave-up'
  | 'never-arrived'
  | 'log-missing'
  | 'masked'
  | 'executed-twice'
  | 'retried'
  | 'slowest'
  | 'clock'
  | 'joined';

export interface Finding {
  readonly kind: FindingKind;
  /** Whose line it rests on. */
  readonly proxy: string;
  readonly text: string;
}

/** A journey, and what its lines say. */
export interface Told {
  readonly journey: Journey;
  /** The line whose proxy, or the app behind it, made the decision; `null` where nothing failed. */
  readonly decider: Row | null;
  /** `unknown`: further down, where no log is. */
  readonly decidedBy: 'app' | 'proxy' | 'caller' | 'unknown' | null;
  readonly findings: readonly Finding[];
}

/** The journey of some lines, told. */
export function tellJourney(scene: Scene, rows: readonly Row[]): Told {
  const journey = journeyOf(rows, scene.joins);
  const one = caseOf(scene, journey);
  const decider = one?.decider ?? null;
  const decision = decider && decisionOf(scene, decider);
  const findings = [
    ...(decision ? [decision.finding] : []),
    ...journey.spans.flatMap((span) => spanFindings(scene, span, decider)),
    ...slowest(scene, journey),
    ...joinedOtherwise(journey),
    ...clocks(scene, journey),
  ].filter(({ text }, i, all) => all.findIndex((other) => other.text === text) === i);
  return { journey, decider, decidedBy: decision?.by ?? null, findings };
}

/** The failed request that a journey is: where its lines are in several pieces, that of the outermost. */
function caseOf(scene: Scene, journey: Journey): Case | undefined {
  for (const { row } of journey.spans) {
    const found = casesByRoot(scene).get(row);
    if (found) return found;
  }
  return undefined;
}

const CASES = new WeakMap<Scene, ReadonlyMap<Row, Case>>();
function casesByRoot(scene: Scene): ReadonlyMap<Row, Case> {
  let cases = CASES.get(scene);
  if (!cases) CASES.set(scene, (cases = new Map(scene.cases.map((one) => [one.root, one]))));
  return cases;
}

/** What a pod, service or address is called in a sentence. */
const calleeOf = (scene: Scene, row: Row): string => {
  if (row.direction === 'inbound' && row.cluster?.kind === 'inbound') return `the app of ${row.proxy}`;
  const pod = row.upstreamIp === null ? null : scene.podOf(row.upstreamIp);
  return pod ?? (row.upstreamIp ? `${scene.placeOf(row)} at ${row.upstreamIp}` : scene.placeOf(row));
};

function decisionOf(
  scene: Scene,
  row: Row,
): { readonly by: Exclude<Told['decidedBy'], null>; readonly finding: Finding } {
  const say = (kind: FindingKind, text: string): Finding => ({ kind, proxy: row.proxy, text });
  if (row.answeredBy === 'peer') {
    if (row.direction === 'inbound' && row.cluster?.kind !== 'inbound-vip') {
      return { by: 'app', finding: say('decided', `the app of ${row.proxy} answered ${row.code} itself`) };
    }
    const size = fingerprintOf(row);
    const further = `${calleeOf(scene, row)} or something behind it: ${row.proxy} only passed ${row.code} on`;
    return {
      by: 'unknown',
      finding: say('decided', size ? `${further}; its size says ${size}` : further),
    };
  }
  const again = triedAgain(scene, row);
  if (again) {
    return {
      by: 'proxy',
      finding: {
        kind: 'decided',
        proxy: again.proxy,
        text: `${again.proxy} itself: its limit for one try, after ${duration(row.duration)}`,
      },
    };
  }
  if (hungUp(row)) {
    const who =
      row.direction === 'inbound' || scene.roleOf(row.proxy) !== 'sidecar'
        ? `the caller of ${row.proxy}${row.peer ? ` (${scene.podOf(row.peer) ?? row.peer})` : ''}`
        : `the app of ${row.proxy}`;
    return { by: 'caller', finding: say('closed-first', `${who} hung up after ${duration(row.duration)}`) };
  }
  const reason = reasonOf(scene, row);
  if (BROKEN.some((flag) => row.has(flag))) {
    const atApp = row.direction === 'inbound' && row.cluster?.kind === 'inbound';
    return { by: atApp ? 'app' : 'unknown', finding: say('decided', `${reason}, as ${row.proxy} saw it`) };
  }
  return { by: 'proxy', finding: say('decided', `${row.proxy} itself: ${reason}`) };
}

/** Flags of a proxy that tells what its upstream did to it. */
const BROKEN = ['UC', 'UR', 'UPE'] as const;

/** A proxy's own decision in words: what its flags and details stand for. */
function reasonOf(scene: Scene, row: Row): string {
  const to = calleeOf(scene, row);
  const has = (flag: string): boolean => row.has(flag);
  if (row.error !== null) return row.error;
  if (row.details?.includes('per_try_timeout'))
    return `each try was cut by its per-try timeout, ${duration(row.duration)} in all`;
  if (has('UT')) return `its timeout ended the wait for ${to} after ${duration(row.duration)}`;
  if (has('UF')) {
    const why = row.transportFailure?.replaceAll('_', ' ').slice(0, 120);
    return `no connection to ${to}${why ? `: ${why}` : ''}`;
  }
  if (has('UC')) return `${to} closed the connection before it answered`;
  if (has('UR')) return `${to} reset the stream`;
  if (has('UPE')) return `what ${to} answered broke the protocol`;
  if (has('UH')) return `no healthy endpoint of ${scene.placeOf(row)}`;
  if (has('UO')) return `a circuit breaker towards ${scene.placeOf(row)} is full`;
  if (has('NC')) return 'its route names a cluster that does not exist';
  if (isRejectedConnection(row)) return 'no filter chain of its listener fits the connection';
  if (has('NR')) return `no route for ${row.authority ?? 'it'}`;
  return [row.code, row.flags.join(','), row.details ?? row.termination].filter(Boolean).join(' ');
}

function spanFindings(scene: Scene, span: Span, decider: Row | null): Finding[] {
  const { row, children } = span;
  const found: Finding[] = [];
  const say = (kind: FindingKind, text: string): void => {
    found.push({ kind, proxy: row.proxy, text });
  };
  const attempts = children.filter(({ attempt }) => attempt !== null);
  const failed = attempts.filter((one) => one.row.failure);
  if (attempts.length > 0) {
    if (!row.failure && failed.length > 0) {
      const where = [...new Set(failed.map((one) => one.row.proxy))].join(', ');
      say('masked', `a retry hid ${failed.length} of ${attempts.length} attempts that failed at ${where}`);
    } else say('retried', `${row.proxy} tried ${attempts.length} times`);
    const done = attempts.filter((one) => reachedApp(one.row));
    if (done.length > 1 && !mayRunTwice(row)) {
      say(
        'executed-twice',
        `the app may have run this ${row.method} ${done.length} times: so many attempts reached it`,
      );
    }
  }
  const cut = attempts.filter((one) => triedAgain(scene, one.row) === row);
  if (cut.length > 0 && !row.has('UT')) {
    const after = [...new Set(cut.map((one) => duration(one.row.duration)))].join(', ');
    say(
      'gave-up',
      `${row.proxy} hung up on ${ofWords(cut.length, attempts.length)} attempts after ${after} and tried again, not a client`,
    );
  }
  const given = children.filter((child) => hungUp(child.row));
  if (given.length > 0 && row.has('UT')) {
    const callees = [...new Set(given.map((child) => child.row.proxy))].join(', ');
    const each = row.details?.includes('per_try') ? 'per-try timeout' : 'timeout';
    say(
      'gave-up',
      `${row.proxy} hung up on ${callees}, not a client: its ${each} of ${duration(given[0]!.row.duration)}`,
    );
  }
  for (const child of children) {
    if (!child.row.http && isRejectedConnection(child.row)) {
      say(
        'closed-first',
        `${child.row.proxy} closed the connection unread: none of its filter chains takes ${child.row.serverName ? `the name ${child.row.serverName}` : 'plaintext'}`,
      );
    }
  }
  const caller = span.depth === 0 ? missingCaller(scene, row) : null;
  if (caller) say('log-missing', `the log of ${caller}, is not given`);
  const needed = row === decider || row.failure || (decider !== null && !row.failure);
  if (children.every((child) => child.row.tunnel) && needed && !row.tunnel) {
    const end = otherEnd(scene, row);
    if (end?.kind === 'silent' && row.failure) {
      say('never-arrived', `it never arrived at ${end.proxy}: ${otherEndWords(end)}`);
    } else if (end && end.kind !== 'silent') {
      const decides = row === decider && row.answeredBy === 'peer' ? 'the log that would decide: ' : '';
      say('log-missing', `${decides}${otherEndWords(end)}`);
    }
  }
  return found;
}

/** Where most of the time went, if it took any. */
function slowest(scene: Scene, { spans, start, end }: Journey): Finding[] {
  const WORTH_SAYING_MS = 20;
  const [most] = spans.filter(({ row }) => row.http).toSorted((a, b) => b.ownMs - a.ownMs);
  const total = end - start;
  if (!most || spans.length < 2 || most.ownMs < WORTH_SAYING_MS || most.ownMs * 3 < total) return [];
  const { row } = most;
  const share = `${duration(most.ownMs)} of ${duration(total)}`;
  const calls = most.children.length > 0;
  const where =
    row.direction === 'inbound' && row.cluster?.kind !== 'inbound-vip'
      ? `in the app of ${row.proxy}${calls ? ', beside its own calls' : ''}`
      : calls
        ? `between ${row.proxy} and ${calleeOf(scene, row)}: connecting, retries, or the way`
        : `behind ${row.proxy}, where no line is: ${calleeOf(scene, row)} or the way to it`;
  return [{ kind: 'slowest', proxy: row.proxy, text: `${share} ${where}` }];
}

/** Joins that rest on less than the id. */
function joinedOtherwise({ spans }: Journey): Finding[] {
  const words = {
    connection: 'by the address and port of the connection',
    tunnel: 'by the two ends of its tunnel or connection',
    name: 'by the service that was asked for, at that moment: networks translate addresses between them',
    time: 'by time alone: nothing else fits it then',
  };
  return spans.flatMap(({ row, joinedBy }): Finding[] =>
    joinedBy === null || joinedBy === 'id'
      ? []
      : [{ kind: 'joined', proxy: row.proxy, text: `the line of ${row.proxy} is joined ${words[joinedBy]}` }],
  );
}

function clocks(scene: Scene, { spans }: Journey): Finding[] {
  const proxies = new Set(spans.map(({ row }) => row.proxy));
  return scene.clocks.skewed
    .filter(({ proxy }) => proxies.has(proxy))
    .map(({ proxy, aheadMs }) => ({
      kind: 'clock',
      proxy,
      text: `the clock of ${proxy} is ${duration(Math.abs(aheadMs))} ${aheadMs > 0 ? 'ahead' : 'behind'}; times are shown without that`,
    }));
}

/** Cases looked at for an example. */
const MOST_LOOKED_AT = 200;

/**
 * Of many failed requests the one to show: of the shapes that at least a fifth of them have, the one with the most lines,
 * and of that the first that names an id to follow it by.
 */
export function exampleJourney(scene: Scene, cases: readonly Case[]): Told | null {
  const looked = cases.slice(0, MOST_LOOKED_AT);
  const shapes = new Map<string, { readonly cases: Case[]; readonly lines: number }>();
  for (const one of looked) {
    const { spans } = journeyOf([one.root], scene.joins);
    const key = spans.map(({ depth, row }) => `${depth}${row.direction}${row.groupKey}`).join('\n');
    const shape = shapes.get(key);
    if (shape) shape.cases.push(one);
    else shapes.set(key, { cases: [one], lines: spans.length });
  }
  const [best] = [...shapes.values()]
    .filter((shape) => shape.cases.length * 5 >= looked.length)
    .toSorted((a, b) => b.lines - a.lines || b.cases.length - a.cases.length);
  const of = best?.cases ?? looked;
  const one = of.find(({ root }) => root.requestId !== null) ?? of[0];
  return one ? tellJourney(scene, [one.root]) : null;
}
