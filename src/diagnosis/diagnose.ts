import { groupKeyText } from '../aggregate/groups.js';
import type { Case } from '../aggregate/joins.js';
import type { ObservationSnapshot } from '../aggregate/observation.js';
import { catalogue } from './catalogue.js';
import type { Cause } from './cause.js';
import { CAUSES } from './causes/index.js';
import type { Confidence, Hypothesis, Severity, Verdict } from './hypothesis.js';
import { sceneOf, type Scene } from './scene.js';
import { least, most } from './stats.js';
import { unexplained } from './unexplained.js';

/** What somebody should act on: failed requests with one cause, and what else they could be. */
export interface Incident {
  readonly hypothesis: Hypothesis;
  readonly severity: Severity;
  readonly verdict: Verdict;
  readonly alternatives: readonly Alternative[];
  /** Start of the earliest failing request; the range holds the moment at which things changed. */
  readonly onset: number;
  readonly onsetRange: readonly [number, number];
  readonly beganBeforeInput: boolean;
  readonly last: number;
  /** Requests at the outermost proxy that logged them. */
  readonly failures: number;
  readonly requests: number;
  /** Ids of the failure groups that its lines belong to. */
  readonly groups: readonly string[];
}

export interface Alternative {
  readonly cause: string;
  readonly confidence: Confidence;
  readonly why: string;
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
  readonly incidents: readonly Incident[];
  readonly dismissed: readonly Dismissed[];
}

const CONFIDENCE: readonly Confidence[] = ['certain', 'high', 'likely', 'possible'];
const SEVERITY: readonly Severity[] = ['critical', 'high', 'medium', 'low', 'info'];

/** From what was observed to what somebody should do about it. */
export function diagnose(observation: ObservationSnapshot, causes: readonly Cause[] = CAUSES): Diagnosis {
  const scene = sceneOf(observation);
  const hypotheses = causes.flatMap((cause) => cause.judge(scene)).filter(({ cases }) => cases.length > 0);
  const claimed = new Set<Case>();
  const chosen: { hypothesis: Hypothesis; others: Hypothesis[] }[] = [];
  // The surest story first; what it explains is not told twice.
  for (const hypothesis of hypotheses.toSorted(bySureness)) {
    const free = hypothesis.cases.filter((one) => !claimed.has(one));
    if (free.length * 2 < hypothesis.cases.length) {
      rivalOf(chosen, hypothesis)?.others.push(hypothesis);
      continue;
    }
    for (const one of free) claimed.add(one);
    chosen.push({ hypothesis: { ...hypothesis, cases: free }, others: [] });
  }
  for (const symptom of scene.symptoms) {
    const left = symptom.cases.filter((one) => !claimed.has(one));
    if (left.length > 0)
      chosen.push({ hypothesis: unexplained(scene, { ...symptom, cases: left }), others: [] });
  }
  const incidents = chosen
    .map(({ hypothesis, others }) => incidentOf(scene, hypothesis, others))
    .toSorted(byWeight);
  return { incidents, dismissed: [] };
}

function bySureness(a: Hypothesis, b: Hypothesis): number {
  return (
    CONFIDENCE.indexOf(a.confidence) - CONFIDENCE.indexOf(b.confidence) ||
    b.cases.length - a.cases.length ||
    (a.cause < b.cause ? -1 : 1)
  );
}

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
  const deciders = cases.map(({ decider }) => decider);
  const failing = cases.flatMap(({ rows }) => rows);
  const onset = least(failing.map((row) => row.start));
  const seen = cases.filter(({ masked }) => !masked);
  // One list serves all cases of a destination: each is walked once, however many failed.
  const lists = new Set(cases.map(({ root }) => scene.requestsLike(root)));
  const requests = [...lists].reduce((sum, list) => sum + list.length, 0);
  const severity = hypothesis.severity ?? entry?.severity ?? 'medium';
  const groups = new Set(failing.map((row) => row.groupKey));
  return {
    hypothesis,
    severity: severity === 'inherits' ? 'medium' : severity,
    verdict: hypothesis.verdict ?? entry?.verdict ?? 'unknown',
    alternatives: others.map(({ cause, confidence, why }) => ({ cause, confidence, why })),
    onset,
    onsetRange: onsetRange(
      scene,
      deciders.map((row) => row.end),
      deciders.map((row) => scene.placeOf(row)),
    ),
    beganBeforeInput: onset - scene.first < BEGINNING * (scene.last - scene.first),
    last: most(failing.map((row) => row.start)),
    failures: seen.length,
    requests,
    groups: scene.groups.filter((group) => groups.has(groupKeyText(group))).map(({ id }) => id),
  };
}

/** Failures within this first part of the input may have begun before it. */
const BEGINNING = 0.02;

/** Between the last good end before the first failure's end, at the same place, and that end. */
function onsetRange(scene: Scene, ends: readonly number[], places: readonly string[]): [number, number] {
  const firstEnd = least(ends);
  const at = new Set(places);
  let lastGood = -Infinity;
  for (const row of scene.rows) {
    if (row.start > firstEnd) break;
    if (!row.failure && row.end <= firstEnd && row.end > lastGood && at.has(scene.placeOf(row)))
      lastGood = row.end;
  }
  return [Number.isFinite(lastGood) ? lastGood : Math.min(scene.first, firstEnd), firstEnd];
}
