import type { Case, LeftOut } from '../aggregate/joins.js';
import type { ObservationSnapshot } from '../aggregate/observation.js';
import type { Row } from '../aggregate/row.js';
import { timeShape, type TimeShape } from '../aggregate/time-shape.js';
import { isIp } from '../record/address.js';
import { retryFacts } from './attempts.js';
import { catalogue } from './catalogue.js';
import type { Cause } from './cause.js';
import { CAUSES } from './causes/index.js';
import { NO_FACTS, type AddressOwner, type Change, type ClusterFacts } from './cluster-facts.js';
import { failingGroups, failingSpan } from './failing-span.js';
import type { Finding } from './finding.js';
import type { Confidence, Hypothesis, Severity, Verdict } from './hypothesis.js';
import { exampleJourney, type Told } from './journey.js';
import { isPod } from './kubectl.js';
import { modest } from './missing-side.js';
import { named, namedHypothesis, namedJourney } from './named.js';
import { versionHints, type VersionHint } from './proxy-version.js';
import { sceneOf, type Scene } from './scene.js';
import { byFrequency, distinct, groupBy, least, most, union, weigh } from './stats.js';
import { bySureness, choose, joinAlike, withoutEchoes, withoutOrphans } from './stories.js';
import { unexplained } from './unexplained.js';
import type { Wanted } from './widening.js';
import { listed } from './words.js';

/** What somebody should act on: failed requests with one cause, and what else they could be. */
export interface Incident {
  readonly hypothesis: Hypothesis;
  readonly severity: Severity;
  readonly verdict: Verdict;
  readonly alternatives: readonly Alternative[];
  /** The alternatives whole, surest first: what is left where checks strike the first one out. */
  readonly others: readonly Hypothesis[];
  /** What came first by the logs alone, where checks put another hypothesis in its place. */
  readonly fromLogs?: Hypothesis;
  /** What checks of the cluster said of it, where any were made. */
  readonly checks?: readonly CheckedFact[];
  /** Start of the earliest failing request; the range holds the moment at which things changed. */
  readonly onset: number;
  readonly onsetRange: readonly [number, number];
  readonly beganBeforeInput: boolean;
  readonly last: number;
  /** Requests at the outermost proxy that logged them. */
  readonly failures: number;
  readonly requests: number;
  /** How its failures lie in time, against what else was sent to the same places. */
  readonly timeShape: TimeShape;
  /** By caller: whose requests failed, of how many. Most failures first. */
  readonly callers: readonly Caller[];
  readonly ending: Ending;
  /** Good requests of the same callers to the same places after the last failure. */
  readonly goodAfter: number;
  /** Ids of the failure groups that its lines belong to. */
  readonly groups: readonly string[];
  /** What was changed at the failing edge before it began, nearest first; only of a cluster. */
  readonly changes?: readonly Change[];
  /** Whose the addresses were that it names; only of a cluster. */
  readonly addresses?: readonly NamedAddress[];
  /** Workloads whose logs would tell more, those that would decide first; only of a cluster. */
  readonly wanted?: readonly Wanted[];
}

/** Whose an address was, while an incident lasted. */
export interface NamedAddress extends AddressOwner {
  readonly address: string;
}

/**
 * `over`: the same callers are served there after the last failure. `ongoing`: failures reach to the end of the input.
 * `stopped`: its callers no longer ask. `unknown`: the input holds failures only.
 */
export type Ending = 'over' | 'ongoing' | 'stopped' | 'unknown';

export interface Caller {
  readonly value: string;
  readonly failures: number;
  readonly requests: number;
}

export interface Alternative {
  readonly cause: string;
  readonly confidence: Confidence;
  readonly why: string;
}

const alternativeOf = ({ cause, confidence, why }: Hypothesis): Alternative => ({
  cause,
  confidence,
  why,
});

/** Each other cause once, as it is surest. */
export function alternativesOf(others: readonly Hypothesis[]): Alternative[] {
  const byCause = groupBy(others, ({ cause }) => cause);
  return [...byCause.values()].map((some) => alternativeOf(some.toSorted(bySureness)[0]!));
}

/** A fact of the cluster and what it does to a hypothesis. */
export interface CheckedFact {
  readonly finding: Finding;
  readonly cause: string;
  readonly effect: 'confirms' | 'supports' | 'refutes';
}

export interface Dismissed {
  readonly cause: string;
  readonly title: string;
  /** Lines that were looked at. */
  readonly count: number;
  /** Of these, lines that count as failures. */
  readonly failures: number;
  readonly why: string;
}

export interface Diagnosis {
  /** What was not joined, to keep the work within bounds. */
  readonly leftOut: LeftOut;
  /** What single lines tell of the proxies' versions. */
  readonly versions: readonly VersionHint[];
  readonly incidents: readonly Incident[];
  readonly dismissed: readonly Dismissed[];
}

const SEVERITY: readonly Severity[] = ['critical', 'high', 'medium', 'low', 'info'];

/** From what was observed to what somebody should do about it. */
export function diagnose(
  observation: ObservationSnapshot,
  causes: readonly Cause[] = CAUSES,
  facts: ClusterFacts = NO_FACTS,
): Diagnosis {
  const scene = sceneOf(observation, facts);
  const hypotheses = causes.flatMap((cause) => cause.judge(scene)).filter(({ cases }) => cases.length > 0);
  const chosen = joinAlike(choose(hypotheses));
  const claimed = new Set(chosen.flatMap(({ hypothesis }) => hypothesis.cases));
  const left = scene.symptoms.flatMap((symptom) => {
    const cases = symptom.cases.filter((one) => !claimed.has(one));
    return cases.length > 0 ? [{ ...symptom, cases }] : [];
  });
  for (const hypothesis of unexplained(scene, left)) chosen.push({ hypothesis, others: [] });
  const incidents: Incident[] = [];
  const dismissed = appRefusals(scene);
  for (const { hypothesis, others } of withoutEchoes(scene, withoutOrphans(chosen))) {
    if (hypothesis.harmless) {
      const words = namedHypothesis(scene, hypothesis);
      dismissed.push(dismissal(words, words.why));
      continue;
    }
    const told = byAddress(withRetries(scene, modest(scene, hypothesis)));
    const incident = named(scene, incidentOf(scene, told, others.map(byAddress)));
    if (isStray(incident)) {
      const { failures, requests } = incident;
      dismissed.push(
        dismissal(incident.hypothesis, `${failures} of ${requests} requests, too few to tell a cause`),
      );
      continue;
    }
    incidents.push(incident);
    scenes.set(incident, scene);
  }
  return {
    leftOut: scene.joins.leftOut,
    versions: versionHints(scene.rows),
    incidents: incidents.toSorted(byWeight),
    dismissed: dismissed.filter(({ count }) => count > 0),
  };
}

/** How often its requests were sent again, and who did without an answer, belongs to every story, whatever failed them. */
function withRetries(scene: Scene, hypothesis: Hypothesis): Hypothesis {
  const coped = hypothesis.cases.flatMap(({ copedAt }) => copedAt ?? []);
  const facts = [
    ...retryFacts(scene, hypothesis.cases),
    ...(coped.length * 10 >= hypothesis.cases.length && coped.length > 0
      ? [
          {
            text: `requests that ${listed(distinct(coped, (row) => scene.placeOf(row)))} answered well all the same, so that users saw nothing`,
            count: weigh(coped),
            of: weigh(hypothesis.cases),
          },
        ]
      : []),
  ];
  return facts.length === 0 ? hypothesis : { ...hypothesis, evidence: [...hypothesis.evidence, ...facts] };
}

/** A pod that no log names is known by its address alone. */
function byAddress(hypothesis: Hypothesis): Hypothesis {
  const { pods = [], endpoints = [] } = hypothesis.at;
  if (pods.every(isPod)) return hypothesis;
  const unnamed = pods.filter(isIp);
  return {
    ...hypothesis,
    at: {
      ...hypothesis.at,
      pods: pods.filter(isPod),
      endpoints: [...new Set([...endpoints, ...unnamed])],
    },
  };
}

const scenes = new WeakMap<Incident, Scene>();

/** The journey of one of an incident's requests, for an example. */
export function exampleOf(incident: Incident): Told | null {
  const scene = scenes.get(incident);
  const told = scene ? exampleJourney(scene, incident.hypothesis.cases) : null;
  return scene && told ? namedJourney(told, scene.facts) : null;
}

const severityOf = ({ cause, severity }: Hypothesis): Severity => {
  const told = severity ?? catalogue().get(cause)?.severity ?? 'medium';
  return told === 'inherits' ? 'medium' : told;
};

/**
 * One or two failures among many requests, with no sure story: nothing to page anybody for. A reply that was only relayed
 * names no reason, however sure it is who gave it.
 */
function isStray({ hypothesis, requests }: Incident): boolean {
  const isSure = hypothesis.confidence === 'high' || hypothesis.confidence === 'certain';
  return (
    hypothesis.cases.length <= 2 &&
    !hypothesis.cases.some(({ masked }) => masked) &&
    requests >= 50 &&
    (!isSure || hypothesis.cases.every(({ decider }) => decider.answeredBy === 'peer'))
  );
}

function dismissal({ cause, title, cases }: Hypothesis, why: string): Dismissed {
  const lines = weigh(new Set(cases.flatMap(({ rows }) => rows)));
  return { cause, title, count: lines, failures: lines, why };
}

/** The app's own 4xx: no failures, but looked at. */
function appRefusals(scene: Scene): Dismissed[] {
  // A refusal that a proxy further down made is no answer of the app.
  const explained = new Set(scene.cases.map(({ root }) => root));
  const rows = scene
    .rowsOf((kind) => kind.app4xx && !kind.tunnel)
    .filter((row) => !explained.has(scene.joins.rootOf(row)));
  const auth = rows.filter((row) => row.code === 401 || row.code === 403);
  const others = rows.filter((row) => row.code !== 401 && row.code !== 403);
  const told = (cause: string, some: readonly Row[]): Dismissed => ({
    cause,
    title: `the app’s own ${listed(
      byFrequency(
        some,
        ({ code }) => String(code),
        ({ weight }) => weight,
      ).map(([code]) => code),
      3,
    )}`,
    count: weigh(some),
    failures: 0,
    why: `the app answered them itself, and the proxies passed it on: ${topPaths(some)}`,
  });
  return [told('app-404-benign', others), told('app-auth-rejection', auth)];
}

const topPaths = (rows: readonly Row[]): string =>
  byFrequency(
    rows,
    (row) => row.pathTemplate,
    ({ weight }) => weight,
  )
    .slice(0, 3)
    .map(([path, count]) => `${path} ${count}`)
    .join(', ');

function byWeight(a: Incident, b: Incident): number {
  return (
    SEVERITY.indexOf(a.severity) - SEVERITY.indexOf(b.severity) ||
    b.failures - a.failures ||
    a.onset - b.onset ||
    (a.hypothesis.title < b.hypothesis.title ? -1 : 1)
  );
}

function incidentOf(scene: Scene, hypothesis: Hypothesis, others: readonly Hypothesis[]): Incident {
  const entry = catalogue().get(hypothesis.cause);
  const { cases } = hypothesis;
  const failing = cases.flatMap(({ rows }) => rows);
  const { first: onset, last } = failingSpan(scene, failing);
  const seen = cases.filter(({ masked }) => !masked);
  // Cases of one destination share one list.
  const destinations = union(cases.map(({ root }) => scene.requestsLike(root)));
  const kinds = new Set(failing.map(({ kind }) => kind));
  const groups = new Set([...kinds].map(({ groupKey }) => groupKey));
  return {
    hypothesis,
    severity: severityOf(hypothesis),
    verdict: hypothesis.verdict ?? entry?.verdict ?? 'unknown',
    alternatives: alternativesOf(others),
    others,
    onset,
    onsetRange: onsetRange(scene, hypothesis, onset),
    beganBeforeInput: onset - scene.first <= BEGINNING * (scene.last - scene.first),
    last,
    timeShape: timeShape(
      cases.map(({ root }) => root.start),
      destinations.map((row) => row.start),
      scene.first,
      scene.last,
    ),
    callers: callersOf(scene, seen, destinations),
    ...endingOf(scene, cases, destinations),
    failures: weigh(seen),
    requests: weigh(destinations),
    groups: [...groups].flatMap((text) => failingGroups(scene).get(text)?.group.id ?? []).toSorted(byNumber),
  };
}

function callersOf(scene: Scene, cases: readonly Case[], requests: readonly Row[]): Caller[] {
  const failures = new Map(
    byFrequency(
      cases,
      ({ root }) => scene.callerOf(root),
      (one) => weigh([one]),
    ),
  );
  return byFrequency(
    requests,
    (row) => scene.callerOf(row),
    ({ weight }) => weight,
  )
    .map(([value, count]) => ({ value, failures: failures.get(value) ?? 0, requests: count }))
    .toSorted((a, b) => b.failures - a.failures || b.requests - a.requests || (a.value < b.value ? -1 : 1));
}

/**
 * Good requests of the same callers to the same destination after the last failure, and whether they are so many that the
 * failures, as often as they were, would hardly have left them all out. Without them, silence longer than the failures
 * ever kept tells that nobody asked any more.
 */
function endingOf(
  scene: Scene,
  cases: readonly Case[],
  requests: readonly Row[],
): Pick<Incident, 'goodAfter' | 'ending'> {
  if (scene.errorsOnly) return { goodAfter: 0, ending: 'unknown' };
  const failing = cases.flatMap(({ rows }) => rows);
  const first = least(failing.map((row) => row.start));
  const last = most(failing.map((row) => row.start));
  const lastEnd = most(failing.map((row) => row.end));
  const roots = new Set(failing.map((row) => scene.joins.rootOf(row)));
  const callers = new Set([...roots].map((row) => row.proxy));
  let good = 0;
  let during = 0;
  for (const row of requests) {
    if (!callers.has(row.proxy)) continue;
    if (row.start > lastEnd) good += row.failure ? 0 : row.weight;
    else if (row.start >= first) during += row.weight;
  }
  const failed = [...roots].reduce((sum, row) => sum + row.weight, 0);
  const spared = Math.max(0, 1 - failed / Math.max(during, 1)) ** good;
  const isOver = good >= GOOD_AFTER && spared < BY_CHANCE && lastEnd < scene.last;
  const usualGap = (last - first) / Math.max(1, cases.length - 1);
  const isSilent = scene.lastEnd - lastEnd > GOOD_AFTER * Math.max(usualGap, LEAST_SILENCE_MS);
  return { goodAfter: good, ending: isOver ? 'over' : isSilent ? 'stopped' : 'ongoing' };
}

const GOOD_AFTER = 5;
const BY_CHANCE = 0.05;
/** Requests come in bursts: less than this is no silence yet. */
const LEAST_SILENCE_MS = 1_000;

/** `g2` before `g10`. */
const byNumber = (a: string, b: string): number => Number(a.slice(1)) - Number(b.slice(1));

/** Failures within this first part of the input may have begun before it. */
const BEGINNING = 0.02;

/**
 * Between the last good end before the first failure's end, at the same place, and that end. One that began before those
 * that are kept took no longer than they did.
 */
function onsetRange(scene: Scene, { cases }: Hypothesis, onset: number): [number, number] {
  const deciders = cases.map(({ decider }) => decider);
  const isKept = cases.some(({ rows }) => rows.some(({ start }) => start === onset));
  const firstEnd = Math.min(
    least(deciders.map((row) => row.end)),
    isKept ? Infinity : onset + most(deciders.map((row) => row.duration)),
  );
  let lastGood = -Infinity;
  // Deciders of one place share one list.
  for (const lines of new Set(deciders.map((row) => scene.linesOf(row)))) {
    for (const row of lines) {
      if (row.start > firstEnd) break;
      if (!row.failure && row.end <= firstEnd && row.end > lastGood) lastGood = row.end;
    }
  }
  return [Number.isFinite(lastGood) ? lastGood : Math.min(scene.first, firstEnd), firstEnd];
}
