import type { Case } from '../aggregate/joins.js';
import type { Kind, Row } from '../aggregate/row.js';
import { failingSpan } from './failing-span.js';
import type { Confidence, Fact, Fault, Hypothesis, NextStep, Severity, Verdict } from './hypothesis.js';
import { PARTITIONS } from './partitions.js';
import type { Scene } from './scene.js';
import { byFrequency, distinct, groupBy, least, median, union, weigh } from './stats.js';
import { clock, listed, ofWords, percent, plural, span } from './words.js';

/** One side of a comparison: how many of these requests failed in the way that is studied. */
export interface Contrast {
  readonly value: string;
  readonly failures: number;
  readonly requests: number;
}

/**
 * Failed requests that share a mechanism and a place, set against everything else that went there: the counted facts
 * that most causes argue with.
 */
export class Study {
  /** The lines that decided. */
  readonly rows: readonly Row[];
  readonly sample: Row;
  /** The service; without a cluster the authority; TCP: the address dialled. */
  readonly place: string;
  /** Where failures are of several services: all of them. */
  readonly places: readonly string[];
  /** All lines of these places and direction, failing or not. */
  readonly population: readonly Row[];
  /** First and last start of a failure. */
  readonly first: number;
  readonly last: number;
  readonly #failing: ReadonlySet<Row>;
  #proxies: readonly string[] | undefined;
  #hosts: readonly string[] | undefined;
  #clusters: readonly string[] | undefined;
  #before: readonly Row[] | undefined;
  #during: readonly Row[] | undefined;
  #after: readonly Row[] | undefined;
  #failingDuring: readonly Row[] | undefined;
  #kindsDuring: ReadonlySet<Kind> | undefined;

  constructor(
    readonly scene: Scene,
    readonly cases: readonly Case[],
    population?: readonly Row[],
  ) {
    this.rows = cases.map(({ decider }) => decider);
    // Earlier attempts of a request that failed alike are failures of the hosts that they went to.
    this.#failing = new Set(cases.flatMap(({ decider, rows }) => [decider, ...alike(decider, rows)]));
    this.sample = this.rows[0]!;
    const byPlace = groupBy(this.rows, (row) => scene.placeOf(row));
    this.places = [...byPlace.keys()];
    this.place = this.places[0]!;
    this.population = population ?? union([...byPlace.values()].map(([first]) => scene.linesOf(first!)));
    ({ first: this.first, last: this.last } = failingSpan(scene, this.rows));
  }

  get inbound(): boolean {
    return this.sample.direction === 'inbound';
  }
  /** Whose log shows it. */
  get proxies(): readonly string[] {
    return (this.#proxies ??= distinct(this.rows, (row) => row.proxy));
  }
  get hosts(): readonly string[] {
    return (this.#hosts ??= distinct(this.rows, (row) => row.upstreamIp));
  }
  get clusters(): readonly string[] {
    return (this.#clusters ??= distinct(this.rows, (row) => row.cluster?.name ?? null));
  }
  /** Lines of the population begun before the first failure ended, from it to the last, and after the last began. */
  get before(): readonly Row[] {
    return (this.#before ??= this.#endedBefore(this.population));
  }
  #endedBefore(rows: readonly Row[]): readonly Row[] {
    const firstEnd = least(this.rows.map((row) => row.end));
    const limit = Math.max(this.first, Math.min(firstEnd, this.first + 1));
    return rows.filter((row) => row.end < limit);
  }
  get during(): readonly Row[] {
    return (this.#during ??= this.population.filter(
      (row) => row.start >= this.first && row.start <= this.last,
    ));
  }
  get after(): readonly Row[] {
    return (this.#after ??= this.population.filter((row) => row.start > this.last));
  }
  /**
   * Of the lines from the first failure to the last, the share that failed so. One or two failures span no time that a
   * share could be told of, and are weighed against all that went there.
   */
  get shareDuring(): number {
    const of = this.rows.length < FEWEST_FOR_A_SPAN ? this.population : this.during;
    return of.length === 0 ? 1 : Math.min(1, weigh(this.rows) / weigh(of));
  }
  get isConstant(): boolean {
    return this.shareDuring >= 0.98;
  }
  /** Traffic went well before the first failure, and how much of it. */
  get healthyBefore(): number {
    return this.before.filter((row) => !row.failure).length;
  }
  /** Healthy traffic after the last failure: it is over. */
  get isOver(): boolean {
    return this.after.filter((row) => !row.failure).length >= FEWEST_TO_BE_OVER;
  }
  get spanMs(): number {
    return this.last - this.first;
  }
  has(row: Row): boolean {
    return this.#failing.has(row);
  }

  /** Failures and attempts by value, most failures first; only lines in which the value exists. */
  by(valueOf: (row: Row) => string | null, within: readonly Row[] = this.population): readonly Contrast[] {
    const found = new Map<string, { readonly value: string; failures: number; requests: number }>();
    for (const row of within) {
      const value = valueOf(row);
      if (value === null) continue;
      let contrast = found.get(value);
      if (!contrast) found.set(value, (contrast = { value, failures: 0, requests: 0 }));
      contrast.requests += row.weight;
      if (this.has(row)) contrast.failures += row.weight;
    }
    return [...found.values()].toSorted(
      (a, b) => b.failures - a.failures || b.requests - a.requests || (a.value < b.value ? -1 : 1),
    );
  }

  /**
   * The few values that hold (nearly) all failures while others, with enough attempts in the same time, hold (nearly)
   * none. `null` where failures are spread.
   */
  concentration(
    valueOf: (row: Row) => string | null,
  ): { bad: readonly Contrast[]; good: readonly Contrast[] } | null {
    const goodLines = this.#linesOfOthers(valueOf);
    if (goodLines === 0) return null;
    const values = this.by(valueOf, this.during);
    const bad = values.filter(({ failures }) => failures > 0);
    const good = values.filter(({ failures }) => failures === 0);
    const goodRequests = good.reduce((sum, { requests }) => sum + requests, 0);
    const badRequests = bad.reduce((sum, { requests }) => sum + requests, 0);
    const badShare = bad.reduce((sum, { failures }) => sum + failures, 0) / Math.max(1, badRequests);
    if (bad.length === 0 || goodRequests === 0) return null;
    // Many values with most of the requests are no place: those that did not fail are the exception then.
    if (bad.length > FEW_VALUES && badRequests > goodRequests) return null;
    // As many healthy attempts as would have shown three failures at the same rate.
    return goodLines * badShare >= 3 ? { bad, good } : null;
  }

  /** Of the lines from the first failure to the last, those that failed so. */
  get #failingNow(): readonly Row[] {
    return (this.#failingDuring ??= this.during.filter((row) => this.has(row)));
  }

  /** Whether some line of that time is of a kind whose value no failing line has. */
  #kindsDiffer(valueOf: (kind: Kind) => string | null): boolean {
    this.#kindsDuring ??= new Set(this.during.map(({ kind }) => kind));
    const bad = new Set(this.#failingNow.map(({ kind }) => valueOf(kind))).add(null);
    for (const kind of this.#kindsDuring) if (!bad.has(valueOf(kind))) return true;
    return false;
  }

  /**
   * Lines whose value no failing line has; 0 where values cannot set the failing apart. Mostly they cannot, and that takes
   * less to see than what each value has.
   */
  #linesOfOthers(valueOf: (row: Row) => string | null): number {
    const bad = new Set(this.#failingNow.map(valueOf));
    bad.delete(null);
    if (bad.size === 0) return 0;
    let lines = 0;
    for (const row of this.during) {
      const value = valueOf(row);
      if (value !== null && !bad.has(value)) lines++;
    }
    return lines;
  }

  /** The outermost callers that saw it: pods where logged, else addresses. */
  get callers(): readonly string[] {
    return distinct(this.cases, ({ root }) => this.scene.callerOf(root));
  }

  /** All callers of the place, also those without a failure. */
  get allCallers(): readonly string[] {
    const lines = this.scene.requestsLike(this.cases[0]!.root);
    return distinct(lines, (row) => this.scene.callerOf(row));
  }

  /** The callers, where they are some of several and the others are fine. */
  get affectedCallers(): readonly string[] {
    const callers = this.callers;
    return callers.length < this.allCallers.length && callers.length <= 3 ? callers : [];
  }

  /** The population as far as the affected callers sent it, where others are fine; else all of it. */
  get #theirs(): readonly Row[] {
    const callers = new Set(this.affectedCallers);
    if (callers.size === 0) return this.population;
    const own = this.population.filter((row) => {
      const who = this.scene.callerOf(row);
      return who !== null && callers.has(who);
    });
    return own.length >= this.rows.length ? own : this.population;
  }

  /** What the callers that are concerned sent from the first failure to the last. */
  get theirsDuring(): readonly Row[] {
    return this.#theirs.filter((row) => row.start >= this.first && row.start <= this.last);
  }

  fact(text: string, rows: readonly Row[] = this.rows, of: readonly Row[] = this.population): Fact {
    return { text, count: weigh(rows), of: weigh(of) };
  }

  /** How much of what was answered meanwhile took longer than usual. @param before the median until then, ms @param now in words */
  slowerThan(before: number, now: string): Fact {
    const answered = this.during.filter((row) => !row.failure);
    return {
      text: `answered requests in that time that took longer than the median of before (${span(before)}; now ${now})`,
      count: weigh(answered.filter((row) => row.duration > before)),
      of: weigh(answered),
    };
  }

  /** How it was before and how it went on, for those who are concerned. */
  surroundings(): Fact[] {
    const theirs = this.#theirs;
    const whose = theirs === this.population ? '' : 'of these callers ';
    const before = theirs === this.population ? this.before : this.#endedBefore(theirs);
    const after = theirs.filter((row) => row.start > this.last);
    return [
      {
        text: `requests ${whose}to ${listed(this.places, 3)} before ${clock(this.first)} that failed this way`,
        count: 0,
        of: weigh(before),
      },
      // A handful after the last failure would be there if it went on, too.
      ...(after.length < FEWEST_TO_BE_OVER
        ? []
        : [
            {
              text: `requests ${whose}after ${clock(this.last)} that failed this way`,
              count: 0,
              of: weigh(after),
            },
          ]),
    ];
  }

  /** The contrast in one dimension as two facts. */
  contrast(name: string, valueOf: (row: Row) => string | null): Fact[] {
    const found = this.concentration(valueOf);
    if (!found) return [];
    const sum = (values: readonly Contrast[], of: 'failures' | 'requests'): number =>
      values.reduce((total, value) => total + value[of], 0);
    return [
      {
        text: `requests with ${name} ${listed(found.bad.map(({ value }) => value))} in that time that failed so`,
        count: sum(found.bad, 'failures'),
        of: sum(found.bad, 'requests'),
      },
      {
        text: `${WITH_ANY_OTHER}${name} (${listed(
          found.good.map(({ value }) => value),
          2,
        )}) that failed so`,
        count: 0,
        of: sum(found.good, 'requests'),
      },
    ];
  }

  /** The first of `PARTITIONS` that sets the failing apart, as two facts that do not repeat the figures of others. */
  firstContrast(told: readonly Fact[]): Fact[] {
    const said = new Set(told.map((_, i) => figures(told.slice(i, i + 2))));
    for (const { name, valueOf, ofKind } of PARTITIONS) {
      if (ofKind && !this.#kindsDiffer(ofKind)) continue;
      const pair = this.contrast(name, valueOf);
      if (pair.length > 0 && !said.has(figures(pair))) return pair;
    }
    return [];
  }

  /** `12 of 340 requests to orders.shop (3.5%) between 16:02:13.204 and 16:04:01.000`. */
  extent(): string {
    const { rows } = this;
    const theirs = this.#theirs;
    const failures = weigh(rows);
    const of = Math.max(failures, weigh(this.theirsDuring));
    const whose = theirs === this.population ? '' : ` of ${listed(this.affectedCallers)}`;
    const when =
      rows.length === 1 ? `at ${clock(this.first)}` : `between ${clock(this.first)} and ${clock(this.last)}`;
    if (this.scene.errorsOnly) {
      return `${plural(failures, 'request')}${whose} to ${listed(this.places, 3)} ${when}, of how many the log does not hold`;
    }
    return `${ofWords(failures, of)} requests${whose} to ${listed(this.places, 3)} ${when} (${percent(failures, of)})`;
  }

  medianDuration(): number {
    return median(this.rows.map((row) => row.duration)) ?? 0;
  }
}

const FEWEST_FOR_A_SPAN = 3;
const FEWEST_TO_BE_OVER = 5;
/** So many values a person looks at one by one. */
const FEW_VALUES = 6;
/** A share of fewer failures says little of the traffic: nobody is woken for it. */
export const FEWEST_FOR_A_SHARE = 5;
/** Requests that went well before the first failure, for what was usual then to be known. */
export const FEWEST_BEFORE = 20;

/** The lines of a failed request that tell the same of the same side as the one that decided. */
function alike(decider: Row, rows: readonly Row[]): readonly Row[] {
  if (decider.direction !== 'inbound' || rows.length < 2) return [];
  return rows.filter((row) => row.direction === 'inbound' && row.groupKey === decider.groupKey);
}

/** What a cause adds to a study to make a hypothesis of it; the rest has defaults. */
export interface Claim {
  readonly cause: string;
  readonly title: string;
  /** Sentences after the extent. */
  readonly story: string;
  readonly at?: Fault;
  readonly evidence: readonly Fact[];
  readonly against?: readonly Fact[];
  readonly confidence: Confidence;
  readonly why: string;
  readonly next: readonly NextStep[];
  readonly fix: readonly string[];
  readonly severity?: Severity;
  readonly verdict?: Verdict;
  /** It is dismissed with its title and reason: what else went there is not told. */
  readonly harmless?: boolean;
  /** Where it explains more than the study's own cases. */
  readonly cases?: readonly Case[];
}

/** A study and a claim about it, as a hypothesis. */
export function claim(
  study: Study,
  { story, at = {}, against = [], evidence, cases, ...rest }: Claim,
): Hypothesis {
  const clients = study.affectedCallers;
  return {
    ...rest,
    summary: `${study.extent()}: ${story}`,
    at: {
      services: [study.place],
      upstreamClusters: study.clusters.slice(0, 3),
      ...(clients.length > 0 && { clients }),
      ...at,
    },
    cases: cases ?? study.cases,
    evidence: (rest.harmless
      ? evidence
      : [...evidence, ...unsaid(study, evidence), ...study.surroundings()]
    ).filter(({ of }) => of > 0),
    against,
  };
}

const WITH_ANY_OTHER = 'requests with any other ';

const figures = (facts: readonly Fact[]): string => facts.map(({ count, of }) => `${count}/${of}`).join();

/** What sets the failing apart and the cause did not say itself. */
function unsaid(study: Study, evidence: readonly Fact[]): Fact[] {
  if (evidence.some(({ text }) => text.startsWith(WITH_ANY_OTHER))) return [];
  return study.firstContrast(evidence);
}

/**
 * Studies of the cases whose deciding line is of a kind that matches, and fits itself: one per place and port (or as
 * `keyOf` says).
 */
export function studies(
  scene: Scene,
  matches: (kind: Kind) => boolean,
  {
    fits,
    keyOf = (row) => `${row.direction}\n${scene.placeOf(row)}\n${row.cluster?.port ?? ''}`,
  }: { fits?: ((row: Row, one: Case) => boolean) | undefined; keyOf?: (row: Row) => string } = {},
): Study[] {
  const alike = scene.casesOf(matches);
  const found = fits ? alike.filter((one) => fits(one.decider, one)) : alike;
  return [...groupBy(found, ({ decider }) => keyOf(decider)).values()].map(
    (cases) => new Study(scene, cases),
  );
}

/** Most frequent values, for a sentence. */
export function top(rows: readonly Row[], valueOf: (row: Row) => string | null, count = 3): string {
  return listed(
    byFrequency(rows, valueOf).map(([value]) => value),
    count,
  );
}
