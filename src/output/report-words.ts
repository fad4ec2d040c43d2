import { groupBy } from '../diagnosis/stats.js';
import { clock, ofWords, percent, plural, span, thousands } from '../diagnosis/words.js';
import type { Report } from './report.js';

/* What a report says, in sentences that all its faces for people share. */

export type ReportIncident = Report['incidents'][number];

/** More than these nobody reads at once. */
export const SHOWN_INCIDENTS = 20;

/** How many incidents, whether they are over, and what was read. */
export function headline({ coverage, incidents }: Report): string {
  const some = (ending: ReportIncident['ending']): boolean =>
    incidents.some((incident) => incident.ending === ending);
  const over = some('ongoing')
    ? ', not over'
    : some('stopped') || some('unknown')
      ? ', perhaps over'
      : ', over';
  const count = incidents.length === 0 ? 'No incident' : plural(incidents.length, 'incident') + over;
  const logs = plural(coverage.inputs.filter(({ records }) => records > 0).length, 'log');
  if (coverage.first === null || coverage.last === null) return `${count}.  ${logs}`;
  const from = Date.parse(coverage.first);
  const to = Date.parse(coverage.last);
  const day = coverage.first.slice(0, 10);
  const until = coverage.last.startsWith(day) ? '' : `${coverage.last.slice(0, 10)} `;
  return `${count}.  ${logs}, ${day} ${clock(from).slice(0, 8)} to ${until}${clock(to).slice(0, 8)} UTC (${span(to - from)})`;
}

/** A report without incident. */
export function quietText({ totals }: Report): string {
  const { requests, failures, app_4xx: app4xx, by_answerer: by } = totals;
  return (
    `${plural(requests, 'line')} of requests: ${thousands(failures)} failed, ${thousands(app4xx)} relayed a 4xx. ` +
    `Answered by the peer ${thousands(by.peer)}, by the proxy itself ${thousands(by.proxy)}, not told ${thousands(by.unknown)}.`
  );
}

export function failsText(incident: ReportIncident): string {
  if (incident.failures === 0) return 'for users nothing so far';
  if (!('share' in incident)) {
    return `${plural(incident.failures, 'request')}; the input holds failures only, so no share is known`;
  }
  const all = `${ofWords(incident.failures, incident.requests)} requests (${percent(incident.failures, incident.requests)})`;
  const callers = incident.callers
    .slice(0, SHOWN_CALLERS)
    .map(({ value, failures, requests }) => `${value} ${ofWords(failures, requests)}`);
  if (incident.callers.length < 2) return all;
  const more = incident.callers.length - callers.length;
  return `${all}; ${callers.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

const SHOWN_CALLERS = 3;

export function sinceText(incident: ReportIncident): string {
  const onset = Date.parse(incident.onset ?? '');
  const last = Date.parse(incident.last ?? '');
  const before = incident.began_before_input ? 'the beginning of the logs, perhaps before: ' : '';
  const [from, to] = incident.onset_range.map((at) => Date.parse(at ?? ''));
  // Where failures align at their end, the change lies later than the start of the unluckiest request.
  const broke =
    from !== undefined && to !== undefined && to - onset > 500
      ? ` (the first one ended by ${clock(to)})`
      : '';
  const shape = SHAPES[incident.time_shape];
  return `${before}${clock(onset)}${broke}, last one begun ${clock(last)}${shape ? `, ${shape}` : ''}; ${ENDINGS[incident.ending]}`;
}

const ENDINGS: Readonly<Record<ReportIncident['ending'], string>> = {
  over: 'over: the same callers are served again',
  ongoing: 'still going on at the end of the logs',
  unknown: 'whether it is over, a log of failures does not tell',
  stopped: 'perhaps over: its callers sent next to nothing there afterwards',
};

/** How failures lie in time, as a reader would say it. */
const SHAPES: Readonly<Record<string, string>> = {
  always: 'all the time',
  step: 'from one moment on',
  ramp: 'growing',
  periodic: 'at equal intervals',
  scattered: 'now and then',
};

export function whereText(incident: ReportIncident): string {
  const {
    services,
    pods,
    endpoints,
    clients,
    upstream_clusters: clusters,
    networks,
  } = incident.at_fault as Record<string, readonly string[] | undefined>;
  const parts = [
    services && `service ${services.join(', ')}`,
    pods && `pod ${pods.join(', ')}`,
    endpoints && `at ${endpoints.map((ip) => placeOf(incident, ip)).join(', ')}`,
    clients && `seen by ${clients.join(', ')}`,
    networks && `network ${networks.join(', ')}`,
    clusters && `cluster ${clusters.join(', ')}`,
  ];
  return parts.filter(Boolean).join('; ');
}

/** An address and whose it was, where a cluster told. */
function placeOf({ addresses = [] }: ReportIncident, ip: string): string {
  const owners = addresses.filter(({ address }) => address === ip);
  if (owners.length === 0) return ip;
  const words = owners.map(({ name, revision, node }) =>
    [name, revision, node && `on ${node}`].filter(Boolean).join(' '),
  );
  return `${ip} (${words.join(', then ')})`;
}

export const factText = ({ text, count, of }: { text: string; count: number; of: number }): string =>
  `${ofWords(count, of)} ${text}`;

export function checkText({
  check,
  cause,
  effect,
  object,
  field,
  read,
}: NonNullable<ReportIncident['checks']>[number]): string {
  const where = object
    ? `${object.kind} ${object.namespace === '' ? '' : `${object.namespace}/`}${object.name}`
    : '';
  return `${effect} ${cause} (${check}): ${[where, field ?? '', read].filter(Boolean).join(', ')}`;
}

/** How many lines failed, and who answered them. */
export function linesText({ totals }: Report): string {
  const { by_answerer: by } = totals;
  return (
    `${ofWords(totals.failures, totals.requests)} failed (a request that two proxies logged is two lines); ` +
    `${thousands(totals.app_4xx)} more relayed a 4xx. Answered by: peer ${thousands(by.peer)}, ` +
    `this proxy ${thousands(by.proxy)}, unknown ${thousands(by.unknown)}`
  );
}

export const SHOWN_GROUPS = 12;
export const GROUP_HEAD = ['BY', 'FLAG', 'CODE', 'FAILED OF LINES', 'SINCE', 'UPSTREAM CLUSTER'] as const;

/** One failure group as cells under `GROUP_HEAD`. */
export function groupCells(group: Report['groups'][number], { coverage }: Report): readonly string[] {
  return [
    group.answered_by,
    group.response_flags.join(',') || '-',
    group.response_code === null ? '-' : String(group.response_code),
    coverage.errors_only ? thousands(group.failures) : ofWords(group.failures, group.requests),
    clock(Date.parse(group.first ?? '')).slice(0, 8),
    group.upstream_cluster ?? `- (${group.top.authority?.[0]?.value ?? group.direction})`,
  ];
}

/** What was dismissed, with how many lines: of one cause the first few, and the others together. */
export function dismissedTexts({ dismissed }: Report): { readonly count: number; readonly text: string }[] {
  return [...groupBy(dismissed, ({ cause }) => cause)].flatMap(([cause, some]) => {
    const most = some.toSorted((a, b) => b.count - a.count);
    const [shown, rest] = [most.slice(0, SHOWN_OF_A_CAUSE), most.slice(SHOWN_OF_A_CAUSE)];
    const told = shown.map(({ title, why, count }) => ({ count, text: `${title}: ${why} (${cause})` }));
    if (rest.length === 0) return told;
    const count = rest.reduce((sum, one) => sum + one.count, 0);
    return [...told, { count, text: `${thousands(rest.length)} more like these (${cause})` }];
  });
}

const SHOWN_OF_A_CAUSE = 4;

export const NOTHING_READ = 'No access-log line in the input.';
export const EMPTY = 'It is empty.';

/** How many lines were read, and how many not. */
export function readText({
  lines,
  records,
  foreign,
  malformed,
  overlong,
  unterminated,
}: Report['coverage']): string {
  return [
    `${plural(lines, 'line')}: ${thousands(records)} read, ${thousands(malformed)} not understood, ${thousands(foreign)} not access lines`,
    overlong > 0 ? `${thousands(overlong)} over-long` : '',
    unterminated > 0 ? `${thousands(unterminated)} unterminated` : '',
  ]
    .filter(Boolean)
    .join('; ');
}

export const SHOWN_INPUTS = 20;

/** What hampers telling or joining, where something does, and what was not read. */
export function readNotes({ joins, records, gaps, errors_only: errorsOnly }: Report['coverage']): string[] {
  const { repeated, evicted, shared_ids: ids, shared_id_lines: lines, clocks } = joins;
  return [
    errorsOnly
      ? 'only failures: the log seems to be filtered to errors, so that no share of the traffic is told'
      : '',
    ...clocks
      .slice(0, SHOWN_INPUTS)
      .map(
        ({ proxy, ahead_ms: ms }) =>
          `the clock of ${proxy} is ${span(Math.abs(ms))} ${ms > 0 ? 'ahead' : 'behind'}, and was corrected`,
      ),
    repeated > 0
      ? `${plural(repeated, 'line')} stand in two inputs: incidents count them once, the lines above twice`
      : '',
    evicted > 0
      ? `${ofWords(evicted, records)} records were counted and not kept: joins and incidents rest on the others, and their counts are estimates`
      : '',
    ids > 0
      ? `${plural(ids, 'request id')} on ${plural(lines, 'line')}, too many to be one request each: not joined`
      : '',
    ...gaps.map((gap) => `not read: ${gapText(gap)}`),
  ].filter(Boolean);
}

/** What was not read of one input, and where a time of it is known, of when. */
function gapText({ origin, from, to, reason }: Report['coverage']['gaps'][number]): string {
  if (from === null || to === null) return reason;
  return `${origin} from ${clock(Date.parse(from))} to ${clock(Date.parse(to))}: ${reason}`;
}
