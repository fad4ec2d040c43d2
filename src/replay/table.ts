import type { Row } from '../aggregate/row.js';
import { checkWords } from '../diagnosis/checked.js';
import { exampleOf, type Incident } from '../diagnosis/diagnose.js';
import { afterWords } from '../diagnosis/edge.js';
import { byFrequency, distinct, groupBy, least, most } from '../diagnosis/stats.js';
import { wantedText } from '../diagnosis/widening.js';
import { listed } from '../diagnosis/words.js';
import { journeyObject } from '../output/journey.js';
import { journeyHead } from '../output/journey-text.js';
import type { Explanation, TableRow } from '../view/snapshot.js';
import type { Narrowed } from './narrowed.js';

/** Incidents in their order, then failing groups that belong to none, by weight. */
export function tableOf(narrowed: Narrowed, errorsOnly: boolean): TableRow[] {
  const { moment } = narrowed;
  const rows = moment.diagnosis.incidents.flatMap((incident, index) => {
    const row = incidentRow(narrowed, incident, index, errorsOnly);
    return row ? [row] : [];
  });
  return [...rows, ...groupRows(narrowed, errorsOnly)];
}

/** By what the logs tell: what a cluster says of an incident does not make it another one. */
export function incidentKey({ hypothesis, fromLogs }: Incident): string {
  const { cause, at } = fromLogs ?? hypothesis;
  return `${cause}\n${at.services?.[0] ?? ''}\n${at.upstreamClusters?.[0] ?? ''}`;
}

/** Two incidents of one moment may share cause and place; the later ones get a number. */
export function incidentKeys(incidents: readonly Incident[]): string[] {
  const seen = new Map<string, number>();
  return incidents.map((incident) => {
    const key = incidentKey(incident);
    const before = seen.get(key) ?? 0;
    seen.set(key, before + 1);
    return before === 0 ? key : `${key}\n${before}`;
  });
}

function incidentRow(
  narrowed: Narrowed,
  incident: Incident,
  index: number,
  errorsOnly: boolean,
): TableRow | undefined {
  const { moment } = narrowed;
  const { hypothesis } = incident;
  const cases = narrowed.whole ? hypothesis.cases : hypothesis.cases.filter(narrowed.keepsCase);
  if (cases.length === 0) return undefined;
  const deciders = cases.map(({ decider }) => decider);
  const masked = cases.every((one) => one.masked);
  const failures = narrowed.whole
    ? incident.failures
    : cases.filter((one) => !one.masked).reduce((sum, { root }) => sum + root.weight, 0);
  const requests = narrowed.whole
    ? incident.requests
    : kept(narrowed, new Set(cases.map(({ root }) => moment.scene.requestsLike(root))));
  // What retries hide is counted in attempts: "0 failed" would hide it too.
  const shown = masked ? deciders.reduce((sum, row) => sum + row.weight, 0) : failures;
  const first = least(deciders.map((row) => row.start));
  const last = most(deciders.map((row) => row.start));
  return {
    key: incidentKeys(moment.diagnosis.incidents)[index]!,
    severity: incident.severity,
    who: incident.verdict,
    flag: byFrequency(deciders, (row) => row.flagSet || '-')[0]?.[0] ?? '-',
    code: mostFrequentCode(deciders),
    seenCode: mostFrequentCode(masked ? deciders : cases.flatMap((one) => (one.masked ? [] : [one.root]))),
    failures: shown,
    requests,
    ratePerSecond: shown / Math.max((last - first) / 1000, 1),
    // A filter may leave failed lines and none of what they are counted against.
    share: errorsOnly ? null : shown / Math.max(requests, shown, 1),
    upstream: upstreamOf(narrowed, deciders[0]!),
    where: whereOf(narrowed, deciders),
    since: incident.onset,
    explanation: explanationOf(incident),
  };
}

const mostFrequentCode = (rows: readonly Row[]): string =>
  byFrequency(rows, (row) => (row.code === null ? '-' : String(row.code)))[0]?.[0] ?? '-';

function kept(narrowed: Narrowed, lists: ReadonlySet<readonly Row[]>): number {
  let sum = 0;
  for (const list of lists) for (const row of list) if (narrowed.keeps(row)) sum += row.weight;
  return sum;
}

function upstreamOf({ moment }: Narrowed, row: Row): string {
  const place = moment.scene.placeOf(row) || '-';
  const port = row.cluster?.port;
  return port !== null && port !== undefined && !place.includes(':') ? `${place}:${port}` : place;
}

/** Which of the pods or hosts that take part hold the failures. */
function whereOf({ moment }: Narrowed, deciders: readonly Row[]): string {
  const population = moment.population(deciders[0]!);
  const inbound = deciders[0]!.direction === 'inbound';
  const valueOf = (row: Row): string | null => (inbound ? row.proxy : row.upstreamIp);
  const failing = distinct(deciders, valueOf);
  const all = distinct(population, valueOf);
  const noun = inbound ? 'pod' : 'host';
  if (failing.length === 0) {
    const callers = distinct(deciders, (row) => row.proxy);
    return callers.length === 1
      ? `from ${shortName(callers[0]!) || 'one proxy'}`
      : `from ${callers.length} proxies`;
  }
  const of = Math.max(all.length, failing.length);
  if (of === 1) return inbound ? 'its only pod' : 'its only host';
  return failing.length === of ? `all ${of} ${noun}s` : `${failing.length} of ${of} ${noun}s`;
}

/** A file's own name, without folders and endings. */
function shortName(proxy: string): string {
  return proxy.slice(proxy.lastIndexOf('/') + 1).replace(/\.log(?:\.\w+)*$/, '');
}

function explanationOf(incident: Incident): Explanation {
  const { hypothesis, severity, verdict, onset, last, beganBeforeInput, alternatives } = incident;
  const { cause, title, summary, confidence, why, evidence, against, next, fix, at } = hypothesis;
  const [change] = incident.changes ?? [];
  const [wanted] = incident.wanted ?? [];
  const place = [
    at.services && at.services.length > 0 ? listed(at.services, 2) : '',
    at.pods && at.pods.length > 0 ? `${at.pods.length === 1 ? 'pod' : 'pods'} ${listed(at.pods, 2)}` : '',
    at.endpoints && at.endpoints.length > 0 ? listed(at.endpoints, 3) : '',
    at.clients && at.clients.length > 0 ? `seen by ${listed(at.clients, 2)}` : '',
    at.networks && at.networks.length > 0 ? listed(at.networks, 2) : '',
  ];
  return {
    cause,
    title,
    summary,
    severity,
    verdict,
    confidence,
    why,
    onset,
    last,
    beganBeforeInput,
    end: incident.ending,
    goodAfter: incident.goodAfter,
    failures: incident.failures,
    requests: incident.requests,
    place: place.filter(Boolean).join('; '),
    evidence,
    against,
    checked: (incident.checks ?? []).slice(0, MOST_CHECKS).map((fact) => ({
      effect: fact.effect,
      text: checkWords(fact),
    })),
    alternatives: alternatives.map(({ cause, confidence }) => ({ cause, confidence })),
    next,
    fix,
    example: exampleText(incident),
    after: change ? afterWords(onset, change) : null,
    widen: wanted ? `${wantedText(wanted)}: ${wanted.why}` : null,
  };
}

/** Facts of the cluster that an explanation lists. */
const MOST_CHECKS = 10;

const EXAMPLES = new WeakMap<Incident, string | null>();

/** One of its requests in a line; what one proxy alone logged is no journey. */
function exampleText(incident: Incident): string | null {
  const known = EXAMPLES.get(incident);
  if (known !== undefined) return known;
  const told = exampleOf(incident);
  const [what, when] = told && told.journey.spans.length > 1 ? journeyHead(journeyObject(told)) : [];
  const text = what && when ? `${what}, ${when.slice(when.indexOf('UTC, ') + 5)}` : null;
  EXAMPLES.set(incident, text);
  return text;
}

const MOST_GROUPS = 20;

function groupRows(narrowed: Narrowed, errorsOnly: boolean): TableRow[] {
  const { moment } = narrowed;
  const loose = moment.rows.filter(
    (row) => row.failure && !row.tunnel && !moment.incidentOf.has(row) && narrowed.keeps(row),
  );
  return [...groupBy(loose, (row) => row.groupKey)]
    .map(([key, rows]): TableRow => {
      const failures = rows.reduce((sum, row) => sum + row.weight, 0);
      const requests = kept(narrowed, new Set([moment.population(rows[0]!)]));
      const first = least(rows.map((row) => row.start));
      const last = most(rows.map((row) => row.start));
      const code = mostFrequentCode(rows);
      return {
        key,
        severity: 'info',
        who: '',
        flag: rows[0]!.flagSet || '-',
        code,
        seenCode: code,
        failures,
        requests,
        ratePerSecond: failures / Math.max((last - first) / 1000, 1),
        share: errorsOnly ? null : failures / Math.max(requests, failures, 1),
        upstream: upstreamOf(narrowed, rows[0]!),
        where: whereOf(narrowed, rows),
        since: first,
        explanation: null,
      };
    })
    .toSorted((a, b) => b.failures - a.failures || (a.key < b.key ? -1 : 1))
    .slice(0, MOST_GROUPS);
}
