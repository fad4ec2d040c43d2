import type { Case, LeftOut } from '../aggregate/joins.js';
import type { ObservationSnapshot } from '../aggregate/observation.js';
import type { Row } from '../aggregate/row.js';
import { timeShape, type TimeShape } from '../aggregate/time-shape.js';
import { retryFacts } from './attempts.js';
import { catalogue } from './catalogue.js';
import type { Cause } from './cause.js';
import { CAUSES } from './causes/index.js';
import { NO_FACTS, type AddressOwner, type Change, type ClusterFacts } from './cluster-facts.js';
import { failedCallsWithin } from './echoes.js';
import { failingGroups, failingSpan } from './failing-span.js';
import type { Finding } from './finding.js';
import type { Confidence, Hypothesis, Severity, Verdict } from './hypothesis.js';
import { exampleJourney, type Told } from './journey.js';
import { sceneOf, type Scene } from './scene.js';
import { byFrequency, distinct, groupBy, least, most, weigh } from './stats.js';
import { modest } from './missing-side.js';
import { named, namedHypothesis, namedJourney } from './named.js';
import { versionHints, type VersionHint } from './proxy-version.js';
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

const CONFIDENCE: readonly Confidence[] = ['certain', 'high', 'likely', 'possible'];
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
    const told = withRetries(scene, modest(scene, hypothesis));
    const incident = named(scene, incidentOf(scene, told, others));
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

const scenes = new WeakMap<Incident, Scene>();

/** The journey of one of an incident's requests, for an example. */
export function exampleOf(incident: Incident): Told | null {
  const scene = scenes.get(incident);
  const told = scene ? exampleJourney(scene, incident.hypothesis.cases) : null;
  return scene && told ? namedJourney(told, scene.facts) : null;
}

interface Chosen {
  readonly hypothesis: Hypothesis;
  readonly others: Hypothesis[];
}

/** The surest story first; what it explains is not told twice. A story that lost most of its cases is an alternative. */
function choose(hypotheses: readonly Hypothesis[]): Chosen[] {
  const claimed = new Set<Case>();
  const chosen: Chosen[] = [];
  for (const hypothesis of hypotheses.toSorted(bySureness)) {
    const free = hypothesis.cases.filter((one) => !claimed.has(one));
    if (free.length * 2 <= hypothesis.cases.length) {
      rivalOf(chosen, hypothesis)?.others.push(hypothesis);
      continue;
    }
    for (const one of free) claimed.add(one);
    chosen.push({ hypothesis: { ...hypothesis, cases: free }, others: [] });
  }
  return chosen;
}

/**
 * A line that is missing (lost, or not yet written) leaves its request decided one hop too early, or begun one hop too
 * late. Where most requests that look the same at that hop were followed further, those that were not belong to their
 * story.
 */
function withoutOrphans(chosen: readonly Chosen[]): readonly Chosen[] {
  const kept = [...chosen];
  for (const one of chosen) {
    if (!one.hypothesis.cases.every(({ decider }) => decider.answeredBy === 'peer')) continue;
    const endsAt = new Set(one.hypothesis.cases.map(({ decider }) => decider.groupKey));
    const deeper = kept.filter(
      (other) =>
        other !== one && !other.hypothesis.harmless && followed(other, endsAt) >= one.hypothesis.cases.length,
    );
    const [story] = deeper.toSorted((a, b) => followed(b, endsAt) - followed(a, endsAt));
    if (!story) continue;
    kept.splice(kept.indexOf(one), 1);
    // What a retry hid wherever the caller's line is there, it hid where that is missing.
    const isHidden = story.hypothesis.cases.every(({ masked }) => masked);
    const joined = one.hypothesis.cases.map((some) => (isHidden ? { ...some, masked: true } : some));
    kept[kept.indexOf(story)] = {
      hypothesis: { ...story.hypothesis, cases: [...story.hypothesis.cases, ...joined] },
      others: story.others,
    };
  }
  return kept;
}

/** Requests of a story with a line like these ends, that were followed to another line, deeper or further out. */
const followed = ({ hypothesis }: Chosen, endsAt: ReadonlySet<string>): number =>
  hypothesis.cases.filter(
    ({ root, decider, rows, masked }) =>
      rows.some((row) => row !== decider && endsAt.has(row.groupKey)) ||
      (masked && root !== decider && endsAt.has(decider.groupKey)),
  ).length;

/**
 * An app's errors that come with failing calls of its own are told with what failed the calls: counted where they were
 * seen outermost, once.
 */
function withoutEchoes(scene: Scene, chosen: readonly Chosen[]): readonly Chosen[] {
  const kept = [...chosen];
  for (const one of chosen) {
    const calls = new Set(failedCallsWithin(scene, one.hypothesis.cases));
    if (calls.size === 0) continue;
    const shared = (other: Chosen): number => other.hypothesis.cases.filter((some) => calls.has(some)).length;
    const [story] = kept.filter((other) => other !== one).toSorted((a, b) => shared(b) - shared(a));
    if (!story || shared(story) * 2 < calls.size) continue;
    const rest = story.hypothesis.cases.filter((some) => !calls.has(some));
    kept.splice(kept.indexOf(one), 1);
    kept[kept.indexOf(story)] = {
      hypothesis: { ...story.hypothesis, cases: [...rest, ...one.hypothesis.cases] },
      others: story.others,
    };
  }
  return kept;
}

/** One mechanism at work in one set of proxies or callers is one incident, however many services it meets. */
function joinAlike(chosen: readonly Chosen[]): Chosen[] {
  const joined = new Map<string, Chosen>();
  for (const one of chosen) {
    const { cause, at, harmless } = one.hypothesis;
    const who = [...(at.pods ?? []), '|', ...(at.clients ?? [])].toSorted();
    const key = who.length === 1 || harmless ? `${joined.size}` : [cause, ...who].join('\n');
    const first = joined.get(key);
    joined.set(key, first ? together(first, one) : one);
  }
  return [...joined.values()];
}

function together(first: Chosen, second: Chosen): Chosen {
  const a = first.hypothesis;
  const b = second.hypothesis;
  const union = (x: readonly string[] = [], y: readonly string[] = []): readonly string[] => [
    ...new Set([...x, ...y]),
  ];
  const more = (b.at.services ?? []).filter((service) => !a.at.services?.includes(service));
  return {
    hypothesis: {
      ...a,
      summary: more.length > 0 ? `${a.summary} The same holds for ${listed(more)}: ${b.summary}` : a.summary,
      at: {
        ...a.at,
        services: union(a.at.services, b.at.services),
        upstreamClusters: union(a.at.upstreamClusters, b.at.upstreamClusters),
        endpoints: union(a.at.endpoints, b.at.endpoints),
      },
      cases: [...a.cases, ...b.cases],
      evidence: [...a.evidence, ...b.evidence],
      against: [...a.against, ...b.against],
    },
    others: [...first.others, ...second.others],
  };
}

/**
 * Confidence first. Of two equally sure stories the one that explains more, and of two that explain the same the one
 * that is a cause: a modifier or amplifier only says how a failure travelled. What is then still equal stays in the order
 * of the list of causes, where the narrower mechanism stands before the wider one.
 */
function bySureness(a: Hypothesis, b: Hypothesis): number {
  return (
    CONFIDENCE.indexOf(a.confidence) - CONFIDENCE.indexOf(b.confidence) ||
    b.cases.length - a.cases.length ||
    Number(isRider(a)) - Number(isRider(b))
  );
}

const severityOf = ({ cause, severity }: Hypothesis): Severity => {
  const told = severity ?? catalogue().get(cause)?.severity ?? 'medium';
  return told === 'inherits' ? 'medium' : told;
};

const isRider = ({ cause }: Hypothesis): boolean => {
  const kind = catalogue().get(cause)?.kind;
  return kind === 'modifier' || kind === 'amplifier' || kind === 'vantage';
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
  const told = (cause: string, title: string, some: readonly Row[]): Dismissed => ({
    cause,
    title,
    count: weigh(some),
    failures: 0,
    why: `the app answered them itself, and the proxies passed it on: ${topPaths(some)}`,
  });
  return [
    told('app-404-benign', 'the app’s own 404 and other 4xx', others),
    told('app-auth-rejection', 'the app’s own 401 and 403', auth),
  ];
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

/** The chosen hypothesis that explains most of what another one would. */
function rivalOf<T extends { hypothesis: Hypothesis }>(
  chosen: readonly T[],
  other: Hypothesis,
): T | undefined {
  const cases = new Set(other.cases);
  const shared = (one: T): number => one.hypothesis.cases.filter((found) => cases.has(found)).length;
  return chosen.toSorted((a, b) => shared(b) - shared(a))[0];
}

function incidentOf(scene: Scene, hypothesis: Hypothesis, others: readonly Hypothesis[]): Incident {
  const entry = catalogue().get(hypothesis.cause);
  const { cases } = hypothesis;
  const failing = cases.flatMap(({ rows }) => rows);
  const { first: onset, last } = failingSpan(scene, failing);
  const seen = cases.filter(({ masked }) => !masked);
  // Cases of one destination share one list.
  const lists = [...new Set(cases.map(({ root }) => scene.requestsLike(root)))];
  const destinations = lists.length === 1 ? lists[0]! : [...new Set(lists.flat())];
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
