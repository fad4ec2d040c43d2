import { serviceOfHost } from '../record/upstream-cluster.js';
import { catalogue, type CatalogueEntry } from './catalogue.js';
import { alternativesOf, type CheckedFact, type Incident } from './diagnose.js';
import type { Finding } from './finding.js';
import type { CauseId, Confidence, Hypothesis } from './hypothesis.js';
import { byFrequency } from './stats.js';

/*
 * From what checks found in the cluster back to what logs made likely. The rules, and there are no others:
 *
 * 1. A finding that fails, names the cause and meets the place of fault makes the hypothesis certain. `certain` exists
 *    only here. A finding on an object that was changed after the incident's last failure proves nothing about it.
 * 2. A finding that only warns supports: it raises the word by one step, to `high` at most.
 * 3. A finding that rules the cause out for every service at fault strikes the hypothesis out where the incident was still
 *    going on at the end of the logs. Where it was over, what is in order now may have been mended since: the finding
 *    stands against it, and the word is `likely` at most.
 * 4. A hypothesis that is struck out gives way to one that a finding confirms, else to the next alternative that is not
 *    struck out, else to none: the incident is then unexplained.
 * 5. A finding that fails and confirms another cause puts that cause first where it was an alternative, or where it is one
 *    of the catalogue's lookalikes and such lines are its signature. Where the logs alone were sure of the first, only a
 *    cause that the catalogue leaves to the cluster to decide may take its place.
 */

/** Rules 1 to 5 on each incident; pure. Incidents keep their order and their ids. */
export function applyChecks(
  incidents: readonly Incident[],
  findings: readonly Finding[],
): readonly Incident[] {
  return incidents.map((incident) => checked(incident, findings));
}

/** The causes that stand in question: what is to be checked for an incident. */
export function causesInQuestion({ hypothesis, others }: Incident): readonly CauseId[] {
  const named = [hypothesis.cause, ...others.map(({ cause }) => cause)];
  return [...new Set([...named, ...named.flatMap((cause) => catalogue().get(cause)?.lookalikes ?? [])])];
}

/** A request that failed, to be asked where it would go. */
export interface FailedRequest {
  readonly host: string;
  readonly path: string;
  readonly method: string;
}

/** More differ in numbers only. */
const MOST_REQUESTS = 5;

/** The requests that an incident's lines name most. */
export function failedRequests({ hypothesis }: Incident): readonly FailedRequest[] {
  const deciders = hypothesis.cases.map(({ decider }) => decider);
  return byFrequency(deciders, (row) =>
    row.authority && row.path && row.method ? `${row.method} ${row.authority} ${row.path}` : null,
  )
    .slice(0, MOST_REQUESTS)
    .map(([text]) => {
      const [method = '', host = '', path = ''] = text.split(' ');
      return { method, host: host.replace(/:\d+$/, ''), path };
    });
}

function checked(incident: Incident, findings: readonly Finding[]): Incident {
  const here = findings.filter((finding) => meets(finding, incident));
  const facts = (cause: CauseId): readonly CheckedFact[] => factsOf(incident, cause, here);
  const own = facts(incident.hypothesis.cause);
  const judged = judge(incident, incident.hypothesis, own);
  const proven = rival(incident, here, judged);
  if (proven) return withFirst(incident, proven, [incident.hypothesis], facts(proven.cause), own);
  if (judged !== null) return { ...incident, hypothesis: judged, ...(own.length > 0 && { checks: own }) };
  for (const other of incident.others) {
    const left = judge(incident, other, facts(other.cause));
    if (left) return withFirst(incident, left, [], facts(other.cause), own);
  }
  return withFirst(incident, unexplainedOf(incident.hypothesis, own), [], [], own);
}

/** What the findings at the place say of one cause. */
function factsOf(incident: Incident, cause: CauseId, here: readonly Finding[]): readonly CheckedFact[] {
  return here.flatMap((finding): readonly CheckedFact[] => {
    const effect = finding.confirms.includes(cause)
      ? forceOf(finding, incident)
      : finding.status === 'ok' && finding.refutes.includes(cause)
        ? 'refutes'
        : null;
    return effect === null ? [] : [{ finding, cause, effect }];
  });
}

/** A crash that begins an incident comes a little before its first failing line. */
const BEFORE_ONSET_MS = 60_000;

/** Rule 1's and 2's share of a finding that names a cause; `null`: it is of another time. */
function forceOf({ status, basis, changedAt }: Finding, incident: Incident): 'confirms' | 'supports' | null {
  const { onset, last, ending } = incident;
  const isOver = ending === 'over';
  if (changedAt !== null && changedAt > last) return null;
  const ofNow = basis === 'state' && changedAt === null;
  if (basis === 'state' && changedAt !== null && changedAt < onset - BEFORE_ONSET_MS) return null;
  return status === 'fail' && !(ofNow && isOver) ? 'confirms' : 'supports';
}

const STEPS: readonly Confidence[] = ['possible', 'likely', 'high'];

/** Rules 1 to 3; `null`: struck out. */
function judge(incident: Incident, hypothesis: Hypothesis, facts: readonly CheckedFact[]): Hypothesis | null {
  const by = (effect: CheckedFact['effect']): CheckedFact | undefined =>
    facts.find((fact) => fact.effect === effect);
  const confirming = by('confirms');
  if (confirming) {
    return {
      ...hypothesis,
      confidence: 'certain',
      why: `check ${confirming.finding.id} found it: ${textOf(confirming.finding)}`,
    };
  }
  if (rulesOut(incident, hypothesis, facts)) {
    if (incident.ending !== 'over') return null;
    const refuting = by('refutes')!;
    return {
      ...hypothesis,
      confidence: hypothesis.confidence === 'possible' ? 'possible' : 'likely',
      why: `${hypothesis.why}; but check ${refuting.finding.id} finds it in order, after the last failure`,
    };
  }
  const supporting = by('supports');
  if (!supporting) return hypothesis;
  const raised = STEPS[Math.min(STEPS.indexOf(hypothesis.confidence) + 1, STEPS.length - 1)];
  return {
    ...hypothesis,
    confidence: hypothesis.confidence === 'certain' ? 'certain' : (raised ?? hypothesis.confidence),
    why: `${hypothesis.why}; check ${supporting.finding.id} supports it`,
  };
}

/** Every service at fault has to be cleared; a caller or pod of it, if the hypothesis names no service. */
function rulesOut(incident: Incident, { at }: Hypothesis, facts: readonly CheckedFact[]): boolean {
  const clearing = facts.filter(({ effect }) => effect === 'refutes').map(({ finding }) => finding.about);
  if (clearing.length === 0) return false;
  const services = namesOf(at.services ?? incident.hypothesis.at.services ?? []);
  return services.every((service) =>
    clearing.some((about) => namesOf(about.services ?? []).includes(service) || isOfCallers(about, incident)),
  );
}

/** The proxies that call are cleared themselves. */
const isOfCallers = ({ clients = [], pods = [] }: Finding['about'], incident: Incident): boolean =>
  clients.some((client) => pods.includes(client)) && overlap(clients, callersOf(incident));

/** Rule 5. */
function rival(incident: Incident, here: readonly Finding[], first: Hypothesis | null): Hypothesis | null {
  if (first?.confidence === 'certain') return null;
  const sure = first !== null && incident.hypothesis.confidence === 'high';
  const { hypothesis, others } = incident;
  const known = new Map(others.map((other) => [other.cause, other]));
  const lookalikes = new Set(catalogue().get(hypothesis.cause)?.lookalikes ?? []);
  for (const finding of here) {
    if (forceOf(finding, incident) !== 'confirms') continue;
    for (const cause of finding.confirms) {
      const entry = catalogue().get(cause);
      if (cause === hypothesis.cause || (sure && entry?.decidable !== 'cluster')) continue;
      const other = known.get(cause);
      const why = foundBy(finding);
      if (other) return { ...other, cases: hypothesis.cases, confidence: 'certain', why };
      const isLike = lookalikes.has(cause) || hypothesis.cause === 'unexplained';
      if (entry && isLike && bearsSignature(incident, entry))
        return hypothesisOf(incident, entry, finding, why);
    }
  }
  return null;
}

/** Whether most deciding lines carry flags and a code of the cause's signature. */
function bearsSignature({ hypothesis }: Incident, { flags, codes }: CatalogueEntry): boolean {
  const rows = hypothesis.cases.map(({ decider }) => decider);
  const sets = new Set((flags ?? []).map((set) => set.toSorted().join(',')));
  const fits = rows.filter(
    (row) =>
      sets.has(row.flags.length === 0 ? '-' : row.flags.toSorted().join(',')) &&
      (codes ?? []).some((code) => code === row.code || code === `${String(row.code).charAt(0)}xx`),
  );
  return fits.length * 2 > rows.length;
}

/** A cause that no rule read from the lines: the finding is its evidence. */
function hypothesisOf(incident: Incident, entry: CatalogueEntry, finding: Finding, why: string): Hypothesis {
  const { hypothesis } = incident;
  const title = entry.title.charAt(0).toUpperCase() + entry.title.slice(1);
  const [place] = hypothesis.at.services ?? hypothesis.at.pods ?? [];
  return {
    cause: entry.id,
    title: place === undefined ? title : `${title}: ${place}`,
    summary: `${textOf(finding)}: ${finding.why}. The lines look like this cause and like others; the object decides.`,
    at: hypothesis.at,
    cases: hypothesis.cases,
    evidence: hypothesis.evidence,
    against: [],
    confidence: 'certain',
    why,
    next: finding.see === '' ? [] : [{ purpose: 'see it in the cluster', command: finding.see }],
    fix: finding.fix === null ? [] : [finding.fix],
  };
}

function unexplainedOf(hypothesis: Hypothesis, facts: readonly CheckedFact[]): Hypothesis {
  const [place] = hypothesis.at.services ?? hypothesis.at.pods ?? [];
  const refuting = facts.find(({ effect }) => effect === 'refutes');
  return {
    ...hypothesis,
    cause: 'unexplained',
    title: `${place ?? 'these requests'}: what the lines suggested is ruled out, cause not known`,
    summary: `The lines look like ${hypothesis.cause}; the cluster rules it out${refuting ? `: ${textOf(refuting.finding)}` : ''}.`,
    severity: hypothesis.severity ?? severityOf(hypothesis.cause),
    verdict: 'unknown',
    confidence: 'possible',
    why: `check ${refuting?.finding.id ?? ''} struck ${hypothesis.cause} out, and no other cause fits the lines`,
    next: nextAfter(refuting?.finding),
    fix: [],
  };
}

/** What ruled the cause out may be looked at; commands for any object, with a placeholder in them, are none to run. */
const nextAfter = (finding: Finding | undefined): Hypothesis['next'] =>
  !finding || finding.see === '' || /\b(?:POD|NAMESPACE|NAME|CLUSTER)\b/.test(finding.see)
    ? []
    : [{ purpose: 'see what rules it out', command: finding.see }];

function severityOf(cause: CauseId): NonNullable<Hypothesis['severity']> {
  const severity = catalogue().get(cause)?.severity ?? 'medium';
  return severity === 'inherits' ? 'medium' : severity;
}

/** Puts another hypothesis first; what was struck out is told among the checks, what still stands among the alternatives. */
function withFirst(
  incident: Incident,
  first: Hypothesis,
  demoted: readonly Hypothesis[],
  facts: readonly CheckedFact[],
  before: readonly CheckedFact[],
): Incident {
  const others = [...demoted, ...incident.others].filter(({ cause }) => cause !== first.cause);
  const entry = catalogue().get(first.cause);
  return {
    ...incident,
    hypothesis: first,
    fromLogs: incident.hypothesis,
    severity: first.severity ?? severityOf(first.cause),
    verdict: first.verdict ?? entry?.verdict ?? 'unknown',
    others,
    alternatives: alternativesOf(others),
    checks: [...facts, ...before],
  };
}

/** Whether a finding is about the place of an incident, in whichever of its names. */
function meets({ about }: Finding, incident: Incident): boolean {
  const { at } = incident.hypothesis;
  const { clients = [], pods = [], endpoints = [], namespaces = [] } = about;
  const services = namesOf(about.services ?? []);
  const named = namesOf(at.services ?? []);
  const callers = callersOf(incident);
  if (clients.length > 0 && overlap(clients, callers) && overlap(clients, [...pods, ...endpoints]))
    return true;
  const place =
    overlap(services, named) ||
    overlap(pods, at.pods ?? []) ||
    overlap(endpoints, at.endpoints ?? []) ||
    overlap(endpoints, at.services ?? []);
  // Of one caller only: its requests must be the ones that fail.
  if (clients.length > 0 && pods.length === 0) return place && overlap(clients, callers);
  if (place) return true;
  const nowhere = services.length + pods.length + endpoints.length === 0;
  return nowhere && named.some((name) => namespaces.includes(name.split('.')[1] ?? ''));
}

/** Whose requests fail: as the hypothesis names them, and as the lines do. */
const callersOf = ({ hypothesis, callers }: Incident): readonly string[] => [
  ...(hypothesis.at.clients ?? []),
  ...(hypothesis.at.pods ?? []),
  ...callers.filter(({ failures }) => failures > 0).map(({ value }) => value),
];

/** `payments.shop` of a host or authority in any of its forms. */
const namesOf = (names: readonly string[]): readonly string[] =>
  names.map((name) => serviceOfHost(name.toLowerCase().replace(/:\d+$/, '')));

const overlap = (a: readonly string[], b: readonly string[]): boolean => a.some((one) => b.includes(one));

const foundBy = ({ id, object }: Finding): string =>
  `check ${id} found it${object ? ` in ${object.kind} ${object.namespace === '' ? '' : `${object.namespace}/`}${object.name}` : ''}`;

/** `no-endpoints (services): shop/web: 2 ready of 2`: which cause, which check, what it read. */
export const checkWords = ({ finding, cause }: CheckedFact): string =>
  `${cause} (${finding.id}): ${textOf(finding)}`;

const textOf = ({ object, field, read }: Finding): string =>
  [
    object ? `${object.kind} ${object.namespace === '' ? '' : `${object.namespace}/`}${object.name}` : '',
    field ?? '',
    read,
  ]
    .filter(Boolean)
    .join(', ');

/** The pods whose proxies decided. */
export const decidingProxies = ({ hypothesis }: Incident): ReadonlySet<string> =>
  new Set(hypothesis.cases.flatMap(({ decider }) => decider.proxy ?? []));
