import type { Kind, Row } from '../aggregate/row.js';
import { failingSpan } from './failing-span.js';
import type { Fact, Hypothesis } from './hypothesis.js';
import type { Scene, Symptom } from './scene.js';
import { askFor, missingLogs } from './missing-side.js';
import { PARTITIONS } from './partitions.js';
import { byFrequency, distinct, groupBy, weigh } from './stats.js';
import { FEWEST_FOR_A_SHARE } from './study.js';
import { listed, ofWords, percent, plural, thousands } from './words.js';

/** Failures that no cause claims, as their counted facts; never a guess. Little of the same at many places is one thing. */
export function unexplained(scene: Scene, symptoms: readonly Symptom[]): Hypothesis[] {
  const alike = groupBy(symptoms, (symptom) => (isLittleBehind(scene, symptom) ? lookOf(symptom) : null));
  const many = [...alike.values()].filter((some) => some.length >= FEWEST_PLACES);
  const joined = new Set(many.flat());
  return [
    ...many.map((some) => behindMany(scene, some)),
    ...symptoms.filter((symptom) => !joined.has(symptom)).map((symptom) => unexplainedAt(scene, symptom)),
  ];
}

/** At fewer places each is told by itself. */
const FEWEST_PLACES = 4;
const LITTLE = 0.01;
const FEWEST_CASES = 3;
/** What happens all the time is spread over more of it. */
const SPREAD = 0.25;

/** Fewer fall on one pod, or one client, by chance. */
const FEWEST_TO_CONTRAST = 10;

/** Decided at an end whose log is not there: little of what went there, and at no time and no place in particular. */
function isLittleBehind(scene: Scene, symptom: Symptom): boolean {
  const { cases } = symptom;
  const deciders = cases.map(({ decider }) => decider);
  const { first, last } = failingSpan(scene, deciders);
  const all = scene.population(symptom);
  const during = all.filter((row) => row.start >= first && row.start <= last);
  return (
    weigh(deciders) >= FEWEST_CASES &&
    weigh(deciders) < LITTLE * weigh(during) &&
    last - first > SPREAD * (scene.last - scene.first) &&
    contrasts(deciders, all, FEWEST_TO_CONTRAST).length === 0 &&
    missingLogs(scene, cases).length > 0
  );
}

/** How a symptom looks, wherever it is, and who logged it. */
const lookOf = ({ sample, cases }: Symptom): string =>
  [sample.direction, replyWords(sample), ...distinct(cases, ({ decider }) => decider.proxy).toSorted()].join(
    '\n',
  );

function unexplainedAt(scene: Scene, symptom: Symptom): Hypothesis {
  const { place, sample, cases } = symptom;
  const deciders = cases.map(({ decider }) => decider);
  const all = scene.population(symptom);
  const reply = replyWords(sample);
  const missing = missingLogs(scene, cases);
  if (missing.length > 0) return behind(symptom, all, reply, missing);
  return {
    cause: 'unexplained',
    title: `${place}: ${reply}, cause not known`,
    summary:
      `${ofWords(weigh(deciders), weigh(all))} requests to ${place} (${percent(weigh(deciders), weigh(all))}) ended with ${reply}. ` +
      (sample.answeredBy === 'peer'
        ? 'The proxy that logged it relayed what its upstream said; the log of the next hop would tell who decided.'
        : sample.answeredBy === 'proxy'
          ? 'The proxy that logged it made this reply itself.'
          : 'The lines do not tell who made this reply.') +
      ' No known cause fits the lines well enough to be named.',
    severity: severityByShare(weigh(deciders), weigh(all)),
    verdict: 'unknown',
    at: {
      services: [place],
      upstreamClusters: distinct(deciders, (row) => row.cluster?.name ?? null).slice(0, 3),
      endpoints: concentrated(deciders, all, (row) => row.upstreamIp),
      clients: concentrated(deciders, all, (row) => row.peer),
    },
    cases,
    evidence: [
      { text: `requests to ${place} that ended with ${reply}`, count: weigh(deciders), of: weigh(all) },
      ...contrasts(deciders, all),
    ],
    against: [],
    confidence: 'possible',
    why: 'no rule applies',
    next: [],
    fix: [],
  };
}

/** What the given logs cannot tell: the other end decided, and its log is not there. */
function behind(
  { place, cases }: Symptom,
  all: readonly Row[],
  reply: string,
  missing: readonly string[],
): Hypothesis {
  const deciders = cases.map(({ decider }) => decider);
  const callers = distinct(deciders, (row) => (row.direction === 'inbound' ? null : row.proxy));
  return {
    cause: 'insufficient-vantage',
    title: `${place}: ${reply}, decided at the other end, whose log is not given`,
    summary:
      `${ofWords(weigh(deciders), weigh(all))} requests to ${place} (${percent(weigh(deciders), weigh(all))}) ended with ${reply}. ` +
      `The line tells what the other end did, not why: the log that would decide is that of ${listed(missing, 2)}.`,
    severity: severityByShare(weigh(deciders), weigh(all)),
    at: {
      services: [place],
      upstreamClusters: distinct(deciders, (row) => row.cluster?.name ?? null).slice(0, 3),
      endpoints: concentrated(deciders, all, (row) => row.upstreamIp),
      clients: callers.length <= 2 ? callers : [],
    },
    cases,
    evidence: [
      { text: `requests to ${place} that ended with ${reply}`, count: weigh(deciders), of: weigh(all) },
      ...contrasts(deciders, all),
    ],
    against: [],
    confidence: 'likely',
    why: `no line of the end that decided is there: the log of ${listed(missing, 2)} is not given`,
    next: [askFor(missing[0]!)],
    fix: ['None yet: read that log first.'],
  };
}

/** The same at several places: told once, with where there is most of it. */
function behindMany(scene: Scene, symptoms: readonly Symptom[]): Hypothesis {
  const counted = symptoms
    .map((symptom) => ({
      symptom,
      failures: weigh(symptom.cases.map(({ decider }) => decider)),
      requests: weigh(scene.population(symptom)),
    }))
    .toSorted((a, b) => b.failures - a.failures);
  const cases = counted.flatMap(({ symptom }) => symptom.cases);
  const [first] = counted;
  const reply = replyWords(first!.symptom.sample);
  const sum = (of: 'failures' | 'requests'): number => counted.reduce((total, one) => total + one[of], 0);
  const [failures, requests] = [sum('failures'), sum('requests')];
  const missing = missingLogs(scene, cases);
  const places = counted.map(({ symptom }) => symptom.place);
  return {
    cause: 'insufficient-vantage',
    title: `${plural(places.length, 'service')}: now and then ${reply}, decided at the other end, whose log is not given`,
    summary:
      `${ofWords(failures, requests)} requests to ${plural(places.length, 'service')} (${percent(failures, requests)}) ended with ${reply}, ` +
      `less than ${percent(LITTLE, 1)} at each: ${listed(counted.map(({ symptom, failures: some }) => `${symptom.place} ${thousands(some)}`))}. ` +
      `The lines tell what the other ends did, not why: the logs that would decide are those of ${listed(missing, 2)}.`,
    severity: severityByShare(failures, requests),
    at: { services: places.slice(0, SHOWN_PLACES), upstreamClusters: [] },
    cases,
    evidence: counted.slice(0, SHOWN_PLACES).map(({ symptom, failures: count, requests: of }) => ({
      text: `requests to ${symptom.place} that ended with ${reply}`,
      count,
      of,
    })),
    against: [],
    confidence: 'likely',
    why: `no line of the ends that decided is there: the logs of ${listed(missing, 2)} are not given`,
    next: [askFor(missing[0]!)],
    fix: ['None yet: read one of those logs first.'],
  };
}

const SHOWN_PLACES = 5;

function replyWords(row: Kind): string {
  const code =
    row.code === 0 || row.code === null ? (row.http ? 'no answer' : 'a failed connection') : String(row.code);
  const flags = row.flags.join(',');
  const details = row.detailsClass;
  return [
    code,
    flags,
    details && details !== 'via_upstream' ? `(${details})` : '',
    details === 'via_upstream' ? 'relayed from upstream' : '',
  ]
    .filter(Boolean)
    .join(' ');
}

/** Severity of what is not understood: by how much of the traffic is gone. */
function severityByShare(failures: number, of: number): 'high' | 'medium' | 'low' {
  const share = of === 0 ? 1 : failures / of;
  return share >= 0.2 && failures >= FEWEST_FOR_A_SHARE ? 'high' : share >= 0.02 ? 'medium' : 'low';
}

/** For each partition in which one value, on so many lines, fails far more than its peers: that value, and the rest beside it. */
function contrasts(failing: readonly Row[], all: readonly Row[], fewest = FEWEST_CASES): Fact[] {
  return PARTITIONS.flatMap(({ name, valueOf }): Fact[] => {
    const [worst] = byFrequency(failing, valueOf);
    if (!worst || worst[1] < fewest) return [];
    const [value] = worst;
    const has = (row: Row): boolean => valueOf(row) === value;
    const failures = weigh(failing.filter(has));
    const requests = weigh(all.filter(has));
    const others = weigh(all) - requests;
    const otherFailures = weigh(failing) - failures;
    if (others === 0) return [];
    const share = failures / Math.max(requests, failures);
    if (share < 3 * (otherFailures / others) || share < 0.05) return [];
    return [
      {
        text: `requests with ${name} ${value} that failed so`,
        count: failures,
        of: Math.max(requests, failures),
      },
      { text: `requests with any other ${name} that failed so`, count: otherFailures, of: others },
    ];
  });
}

/** Values that hold nearly all failures, where there are others that hold none. */
function concentrated(
  failing: readonly Row[],
  all: readonly Row[],
  valueOf: (row: Row) => string | null,
): string[] {
  const [worst] = byFrequency(failing, valueOf);
  if (!worst || distinct(all, valueOf).length < 2) return [];
  return worst[1] >= 0.9 * failing.length ? [worst[0]] : [];
}
