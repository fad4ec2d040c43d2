import type { Case } from '../aggregate/joins.js';
import { catalogue } from './catalogue.js';
import { failedCallsWithin } from './echoes.js';
import type { Confidence, Hypothesis } from './hypothesis.js';
import type { Scene } from './scene.js';
import { groupBy, least, most, union } from './stats.js';
import { listed } from './words.js';

/* Which of the hypotheses are told: each failed request in one story, and one event once. */

const CONFIDENCE: readonly Confidence[] = ['certain', 'high', 'likely', 'possible'];

/** A story that is told, and those that would explain its cases too. */
export interface Chosen {
  readonly hypothesis: Hypothesis;
  readonly others: Hypothesis[];
}

/** The surest story first; what it explains is not told twice. A story that lost most of its cases is an alternative. */
export function choose(hypotheses: readonly Hypothesis[]): Chosen[] {
  const claimed = new Map<Case, Chosen>();
  const chosen: Chosen[] = [];
  for (const hypothesis of hypotheses.toSorted(bySureness)) {
    const free = hypothesis.cases.filter((one) => !claimed.has(one));
    if (free.length * 2 <= hypothesis.cases.length) {
      rivalOf(claimed, hypothesis)?.others.push(hypothesis);
      continue;
    }
    const story: Chosen = { hypothesis: { ...hypothesis, cases: free }, others: [] };
    for (const one of free) claimed.set(one, story);
    chosen.push(story);
  }
  return chosen;
}

/**
 * A line that is missing (lost, or not yet written) leaves its request decided one hop too early, or begun one hop too
 * late. Where most requests that look the same at that hop were followed further, those that were not belong to their
 * story.
 */
export function withoutOrphans(chosen: readonly Chosen[]): readonly Chosen[] {
  // As they stand now: a story may have been given requests, or none be left of it.
  const now: (Chosen | null)[] = [...chosen];
  for (const [i, one] of now.entries()) {
    if (!one?.hypothesis.cases.every(({ decider }) => decider.answeredBy === 'peer')) continue;
    const { cases } = one.hypothesis;
    const endsAt = new Set(cases.map(({ decider }) => decider.groupKey));
    const deeper = now.filter(
      (other) =>
        other !== null &&
        other !== one &&
        !other.hypothesis.harmless &&
        followed(other, endsAt) >= cases.length,
    ) as Chosen[];
    const story = bestOf(deeper, (other) => followed(other, endsAt));
    if (!story) continue;
    const isOfItsTime = timeOf(story.hypothesis);
    const rest = cases.filter((some) => !isOfItsTime(some));
    if (rest.length === cases.length) continue;
    now[i] = rest.length === 0 ? null : { ...one, hypothesis: { ...one.hypothesis, cases: rest } };
    // What a retry hid wherever the caller's line is there, it hid where that is missing.
    const isHidden = story.hypothesis.cases.every(({ masked }) => masked);
    const joined = cases.filter(isOfItsTime).map((some) => (isHidden ? { ...some, masked: true } : some));
    now[now.indexOf(story)] = {
      hypothesis: { ...story.hypothesis, cases: [...story.hypothesis.cases, ...joined] },
      others: story.others,
    };
  }
  return now.filter((one) => one !== null);
}

/** A lost line is of the time of the others. */
const SLACK_MS = 5_000;

/** Whether a request was decided while those of a story were, or about then. */
function timeOf({ cases }: Hypothesis): (one: Case) => boolean {
  const starts = cases.map(({ decider }) => decider.start);
  const first = least(starts);
  const last = most(starts);
  const slack = Math.max(SLACK_MS, (last - first) / 10);
  return ({ decider: { start } }) => !(start < first - slack || start > last + slack);
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
export function withoutEchoes(scene: Scene, chosen: readonly Chosen[]): readonly Chosen[] {
  const now: (Chosen | null)[] = [...chosen];
  for (const [i, one] of now.entries()) {
    if (!one) continue;
    const calls = new Set(failedCallsWithin(scene, one.hypothesis.cases));
    if (calls.size === 0) continue;
    const shared = (other: Chosen): number => other.hypothesis.cases.filter((some) => calls.has(some)).length;
    const others = now.filter((other) => other !== null && other !== one) as Chosen[];
    const story = bestOf(others, shared);
    if (!story || shared(story) * 2 < calls.size) continue;
    const rest = story.hypothesis.cases.filter((some) => !calls.has(some));
    now[i] = null;
    now[now.indexOf(story)] = {
      hypothesis: { ...story.hypothesis, cases: [...rest, ...one.hypothesis.cases] },
      others: story.others,
    };
  }
  return now.filter((one) => one !== null);
}

/** One mechanism at work in one set of proxies or callers is one incident, however many services it meets. */
export function joinAlike(chosen: readonly Chosen[]): Chosen[] {
  const alike = new Map<string, Chosen[]>();
  for (const one of chosen) {
    const { cause, at, harmless } = one.hypothesis;
    const who = union([at.pods ?? [], at.clients ?? []]).toSorted();
    const key = who.length === 0 || harmless ? `${alike.size}` : [cause, ...who].join('\n');
    const others = alike.get(key);
    if (others) others.push(one);
    else alike.set(key, [one]);
  }
  return joinParties([...alike.values()].map((some) => (some.length === 1 ? some[0]! : together(some))));
}

/** What begins so close together, at one service and in one way, began by one thing. */
const SAME_BEGINNING_MS = 60_000;

/** One mechanism that several callers meet at one service, or several of its proxies, from one moment on is one incident. */
function joinParties(chosen: readonly Chosen[]): Chosen[] {
  const alike = groupBy(chosen, ({ hypothesis: { cause, at, harmless } }) =>
    harmless || partiesOf({ at }).length === 0 || !at.services?.length
      ? null
      : [cause, ...at.services.toSorted()].join('\n'),
  );
  const joined = new Map<Chosen, Chosen | null>();
  for (const some of alike.values()) {
    for (const party of beganTogether(some)) {
      const [first, ...more] = party.toSorted(
        (a, b) => b.hypothesis.cases.length - a.hypothesis.cases.length,
      );
      if (more.length === 0) continue;
      for (const other of more) joined.set(other, null);
      joined.set(first!, withParties(first!, more));
    }
  }
  return chosen.flatMap((one) => (joined.has(one) ? (joined.get(one) ?? []) : [one]));
}

/** Who meets it: callers, or where none are named the proxies that say so. */
const partiesOf = ({ at }: Pick<Hypothesis, 'at'>): readonly string[] =>
  at.clients && at.clients.length > 0 ? at.clients : (at.pods ?? []);
const beganAt = ({ hypothesis }: Chosen): number => least(hypothesis.cases.map(({ root }) => root.start));

/** Those that began one soon after the other, each with parties of its own. */
function beganTogether(some: readonly Chosen[]): readonly (readonly Chosen[])[] {
  const found: { readonly members: Chosen[]; readonly parties: Set<string>; last: number }[] = [];
  for (const one of some.toSorted((a, b) => beganAt(a) - beganAt(b))) {
    const parties = partiesOf(one.hypothesis);
    const at = beganAt(one);
    const group = found.find(
      (other) => at - other.last <= SAME_BEGINNING_MS && !parties.some((party) => other.parties.has(party)),
    );
    if (!group) found.push({ members: [one], parties: new Set(parties), last: at });
    else {
      group.members.push(one);
      for (const party of parties) group.parties.add(party);
      group.last = at;
    }
  }
  return found.map(({ members }) => members);
}

function withParties({ hypothesis: first, others }: Chosen, more: readonly Chosen[]): Chosen {
  const rest = more.map(({ hypothesis }) => hypothesis);
  const told = rest.slice(0, MOST_TOLD - 1);
  const whose = (some: readonly Hypothesis[]): string => listed(union(some.map(partiesOf)));
  const untold = rest.slice(told.length);
  const all = [first, ...rest];
  const both = (of: 'clients' | 'pods' | 'endpoints' | 'upstreamClusters'): readonly string[] =>
    union(all.map(({ at }) => at[of] ?? []));
  return {
    hypothesis: {
      ...first,
      title: rest.every(({ title }) => title === first.title)
        ? first.title
        : `${first.title}; the same with ${whose(rest)}`,
      summary: [
        first.summary,
        ...told.map((one) => `The same with ${whose([one])}: ${one.summary}`),
        ...(untold.length > 0 ? [`The same with ${whose(untold)}.`] : []),
      ].join(' '),
      at: {
        ...first.at,
        clients: both('clients'),
        pods: both('pods'),
        endpoints: both('endpoints'),
        upstreamClusters: both('upstreamClusters'),
      },
      cases: all.flatMap(({ cases }) => cases),
      evidence: [first, ...told].flatMap(({ evidence }) => evidence),
      against: [first, ...told].flatMap(({ against }) => against),
    },
    others: [others, ...more.map((one) => one.others)].flat(),
  };
}

/** Of so many services it is told what happened there, of more only which they are. */
const MOST_TOLD = 3;

function together(some: readonly Chosen[]): Chosen {
  const all = some.map(({ hypothesis }) => hypothesis);
  const told = all.slice(0, MOST_TOLD);
  const first = all[0]!;
  const services = new Set(first.at.services);
  let { summary } = first;
  const addTo = (hypotheses: readonly Hypothesis[], tail: string): void => {
    const more = union(hypotheses.map(({ at }) => at.services ?? [])).filter((name) => !services.has(name));
    more.forEach((name) => services.add(name));
    if (more.length > 0) summary += ` The same holds for ${listed(more)}${tail}`;
  };
  for (const one of told.slice(1)) addTo([one], `: ${one.summary}`);
  addTo(all.slice(MOST_TOLD), '.');
  const ofAll = (of: 'upstreamClusters' | 'endpoints'): readonly string[] =>
    union(all.map(({ at }) => at[of] ?? []));
  return {
    hypothesis: {
      ...first,
      summary,
      at: {
        ...first.at,
        services: [...services],
        upstreamClusters: ofAll('upstreamClusters'),
        endpoints: ofAll('endpoints'),
      },
      cases: all.flatMap(({ cases }) => cases),
      evidence: told.flatMap(({ evidence }) => evidence),
      against: told.flatMap(({ against }) => against),
    },
    others: some.flatMap(({ others }) => others),
  };
}

/**
 * Confidence first. Of two equally sure stories the one that explains more, and of two that explain the same the one
 * that is a cause: a modifier or amplifier only says how a failure travelled. What is then still equal stays in the order
 * of the list of causes, where the narrower mechanism stands before the wider one.
 */
export function bySureness(a: Hypothesis, b: Hypothesis): number {
  return (
    CONFIDENCE.indexOf(a.confidence) - CONFIDENCE.indexOf(b.confidence) ||
    Number(ridesOnFailures(a)) - Number(ridesOnFailures(b)) ||
    b.cases.length - a.cases.length ||
    Number(isRider(a)) - Number(isRider(b))
  );
}

const isRider = ({ cause }: Hypothesis): boolean => {
  const kind = catalogue().get(cause)?.kind;
  return kind === 'modifier' || kind === 'amplifier' || kind === 'vantage';
};

/** What retries do to work and load, whatever made the first attempts fail. */
const OF_RETRIES: ReadonlySet<string> = new Set(['unsafe-retry-duplicates', 'retry-overflow-or-storm']);

/** Whether most of what was tried again failed: then what failed it is told first. What a retry hid has no other story. */
const ridesOnFailures = ({ cause, cases }: Hypothesis): boolean =>
  OF_RETRIES.has(cause) && cases.filter(({ masked }) => !masked).length * 2 > cases.length;

/** The chosen story that explains most of what another one would. @param claimed the story of each case */
function rivalOf(claimed: ReadonlyMap<Case, Chosen>, { cases }: Hypothesis): Chosen | undefined {
  const shared = new Map<Chosen, number>();
  for (const one of cases) {
    const story = claimed.get(one);
    if (story) shared.set(story, (shared.get(story) ?? 0) + 1);
  }
  return bestOf([...shared.keys()], (story) => shared.get(story)!);
}

/** The first of those with the highest score. */
function bestOf<T>(some: Iterable<T>, scoreOf: (one: T) => number): T | undefined {
  let best: T | undefined;
  let highest = -Infinity;
  for (const one of some) {
    const score = scoreOf(one);
    if (score > highest) [best, highest] = [one, score];
  }
  return best;
}
