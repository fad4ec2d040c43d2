import { clock, ofWords, percent, plural, shellWord, span, thousands } from '../diagnosis/words.js';
import { isAddress } from '../record/address.js';
import { safeText } from '../record/safe-text.js';
import type { JourneyObject } from './journey.js';
import { journeyLines } from './journey-text.js';
import { labelled, labelledRaw, table, wrap, WIDTH } from './layout.js';
import type { Report } from './report.js';

type ReportIncident = Report['incidents'][number];

/** More than these nobody reads at once. */
const SHOWN_INCIDENTS = 20;

/**
 * The report for people, at 80 columns; only commands may be wider, so that they can be copied. `inputs` is what was read,
 * in the words of the command line, where that is known.
 */
export function reportText(report: Report, inputs: string | null = null): string {
  const { coverage, incidents } = report;
  const lines: string[] = [];
  if (coverage.records === 0) lines.push(...nothingRead(report));
  else {
    lines.push(headline(report), '');
    if (incidents.length === 0) lines.push(...quiet(report));
    for (const incident of incidents.slice(0, SHOWN_INCIDENTS))
      lines.push(...incidentLines(incident, inputs), '');
    if (incidents.length > SHOWN_INCIDENTS) {
      lines.push(`and ${incidents.length - SHOWN_INCIDENTS} more incidents; -o json lists them all`, '');
    }
    lines.push(...groupLines(report));
    lines.push(...dismissedLines(report));
  }
  lines.push(...readLines(report));
  return lines.map(safeText).join('\n') + '\n';
}

function headline({ coverage, incidents }: Report): string {
  const over = incidents.every((incident) => incident.over) ? ', over' : ', not over';
  const count = incidents.length === 0 ? 'No incident' : plural(incidents.length, 'incident') + over;
  const logs = plural(coverage.inputs.filter(({ records }) => records > 0).length, 'log');
  if (coverage.first === null || coverage.last === null) return `${count}.  ${logs}`;
  const from = Date.parse(coverage.first);
  const to = Date.parse(coverage.last);
  const day = coverage.first.slice(0, 10);
  const until = coverage.last.startsWith(day) ? '' : `${coverage.last.slice(0, 10)} `;
  return `${count}.  ${logs}, ${day} ${clock(from).slice(0, 8)} to ${until}${clock(to).slice(0, 8)} UTC (${span(to - from)})`;
}

function quiet({ totals }: Report): string[] {
  const { requests, failures, app_4xx: app4xx, by_answerer: by } = totals;
  return [
    ...wrap(
      `${plural(requests, 'line')} of requests: ${thousands(failures)} failed, ${thousands(app4xx)} were the app's own ` +
        `4xx. Answered by the peer ${thousands(by.peer)}, by the proxy itself ${thousands(by.proxy)}, not told ${thousands(by.unknown)}.`,
      WIDTH,
    ),
    '',
  ];
}

function incidentLines(incident: ReportIncident, inputs: string | null): string[] {
  const severity = incident.severity.toUpperCase();
  const [titleFirst = '', ...titleRest] = wrap(
    incident.title,
    WIDTH - severity.length - incident.verdict.length - 6,
  );
  const head = `${severity}  ${incident.verdict}   `;
  const lines = [head + titleFirst, ...titleRest.map((line) => ' '.repeat(head.length) + line)];
  lines.push(`            ${incident.cause}, confidence ${incident.confidence}`);
  const say = (label: string, text: string): void => {
    lines.push(...labelled(label, text));
  };
  say('fails', failsText(incident));
  say('since', sinceText(incident));
  (incident.changes ?? []).forEach(({ at, after }, i) =>
    say(i === 0 ? 'before' : '', `${after} (${clock(Date.parse(at ?? '')).slice(0, 8)})`),
  );
  const where = whereText(incident);
  if (where) say('where', where);
  say('what', incident.summary);
  incident.evidence.forEach((fact, i) => say(i === 0 ? 'evidence' : '', factText(fact)));
  if (incident.against.length === 0) say('against', 'nothing');
  incident.against.forEach((fact, i) => say(i === 0 ? 'against' : '', factText(fact)));
  (incident.checks ?? []).forEach((fact, i) => say(i === 0 ? 'checked' : '', checkText(fact)));
  say('why', `${incident.confidence}, because ${incident.why}`);
  for (const [i, step] of incident.next.entries()) {
    lines.push(labelledRaw(i === 0 ? 'confirm' : 'then', step.command));
    lines.push(...labelled('', `-> ${step.purpose}`));
  }
  const [wanted] = incident.wanted ?? [];
  if (wanted) {
    say(
      'widen',
      `--with ${wanted.side} reads ${wanted.workload.toLowerCase()} in ${wanted.namespace} too: ${wanted.why}`,
    );
  }
  incident.fix.forEach((fix, i) => say(i === 0 ? 'fix' : '', fix));
  if (incident.alternatives.length > 0) {
    say('or else', incident.alternatives.map(({ cause, why }) => `${cause}: ${why}`).join('; '));
  }
  lines.push(...exampleLines(incident, inputs));
  return lines;
}

/** More lines of one request than these are for `trace`. */
const SHOWN_SPANS = 8;

/** What a journey says that the incident's own words do not: which side is silent, and whose log is not there. */
const ABOUT_OTHER_SIDE: ReadonlySet<string> = new Set([
  'never-arrived',
  'log-missing',
  'masked',
  'executed-twice',
]);

/** The incident in one of its requests, hop by hop; one line alone says nothing new, unless the other side is silent. */
function exampleLines({ journey }: ReportIncident, inputs: string | null): string[] {
  if (!journey) return [];
  const findings = journey.findings.filter(({ kind }) => ABOUT_OTHER_SIDE.has(kind)).slice(0, 2);
  if (journey.spans.length < 2 && findings.length === 0) return [];
  return [
    ...followedBy(journey, inputs),
    ...journeyLines(journey, 4, SHOWN_SPANS),
    ...findings.flatMap(({ text }) => labelled('', text)),
  ];
}

/** How to see all that its lines say: by its id, or by its connection where it has none. */
function followedBy(journey: JourneyObject, inputs: string | null): string[] {
  const { request_id: id, spans } = journey;
  const connection = spans.find(({ upstream_local_address: own }) => own !== null && isAddress(own));
  const by = id ?? (inputs === null ? null : (connection?.upstream_local_address ?? null));
  if (by === null) return labelled('example', 'one of them, hop by hop');
  return inputs === null
    ? labelled('example', `trace ${by}`)
    : [labelledRaw('example', `meshtail trace ${shellWord(by)} ${inputs}`)];
}

function failsText(incident: ReportIncident): string {
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

function sinceText(incident: ReportIncident): string {
  const onset = Date.parse(incident.onset ?? '');
  const last = Date.parse(incident.last ?? '');
  const before = incident.began_before_input ? 'the beginning of the logs, perhaps before: ' : '';
  const [from, to] = incident.onset_range.map((at) => Date.parse(at ?? ''));
  // Where failures align at their end, the change lies later than the start of the unluckiest request.
  const broke =
    from !== undefined && to !== undefined && to - onset > 500 ? ` (the first one ended ${clock(to)})` : '';
  const shape = SHAPES[incident.time_shape];
  return `${before}${clock(onset)}${broke}, last one begun ${clock(last)}${shape ? `, ${shape}` : ''}${incident.over ? '' : ', not over at the end of the logs'}`;
}

/** How failures lie in time, as a reader would say it. */
const SHAPES: Readonly<Record<string, string>> = {
  always: 'all the time',
  step: 'from one moment on',
  ramp: 'growing',
  periodic: 'at equal intervals',
  scattered: 'now and then',
};

function whereText(incident: ReportIncident): string {
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

const factText = ({ text, count, of }: { text: string; count: number; of: number }): string =>
  `${ofWords(count, of)} ${text}`;

function checkText({
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

const SHOWN_GROUPS = 12;

/** Every failure group, counted in lines: what the incidents above are made of. */
function groupLines({ groups, totals, coverage }: Report): string[] {
  if (groups.length === 0) return [];
  const { by_answerer: by } = totals;
  const text =
    `${ofWords(totals.failures, totals.requests)} failed (a request that two proxies logged is two lines); ` +
    `${thousands(totals.app_4xx)} more were the app's own 4xx. Answered by: peer ${thousands(by.peer)}, ` +
    `this proxy ${thousands(by.proxy)}, unknown ${thousands(by.unknown)}`;
  const lines = [...section('lines', text), ''];
  const rows = groups
    .slice(0, SHOWN_GROUPS)
    .map((group) => [
      group.answered_by,
      group.response_flags.join(',') || '-',
      group.response_code === null ? '-' : String(group.response_code),
      coverage.errors_only ? thousands(group.failures) : ofWords(group.failures, group.requests),
      clock(Date.parse(group.first ?? '')).slice(0, 8),
      group.upstream_cluster ?? `- (${group.top.authority?.[0]?.value ?? group.direction})`,
    ]);
  lines.push(
    ...table(
      [['BY', 'FLAG', 'CODE', 'FAILED OF LINES', 'SINCE', 'UPSTREAM CLUSTER'], ...rows],
      [false, false, true, true],
    ).map((line) => `  ${line}`),
  );
  for (const group of groups.slice(0, SHOWN_GROUPS)) {
    const hosts = group.top.upstream_host;
    if (!hosts || hosts.length < 2) continue;
    const text = hosts
      .slice(0, 4)
      .map(({ value, name, failures, requests }) => `${name ?? value} ${ofWords(failures, requests)}`);
    lines.push(
      ...labelled('', `${group.response_flags.join(',') || group.response_code} by host: ${text.join(', ')}`),
    );
  }
  if (groups.length > SHOWN_GROUPS)
    lines.push(`  and ${groups.length - SHOWN_GROUPS} more groups; -o json lists them all`);
  return [...lines, ''];
}

function dismissedLines({ dismissed }: Report): string[] {
  if (dismissed.length === 0) return [];
  const lines = ['dismissed, after a look'];
  for (const { cause, count, why, title } of dismissed) {
    lines.push(...labelled(thousands(count).padStart(8), `${title}: ${why} (${cause})`));
  }
  return [...lines, ''];
}

function nothingRead({ coverage }: Report): string[] {
  const lines = ['No access-log line in the input.', ''];
  const held =
    coverage.lines === 0
      ? 'It is empty.'
      : `It holds ${plural(coverage.lines, 'line')}: ${thousands(coverage.malformed)} damaged access lines and ${thousands(coverage.foreign)} other lines.`;
  lines.push(
    ...wrap(
      `${held} Access logging may be off: Istio writes no access log unless meshConfig.accessLogFile or a Telemetry resource asks for it ` +
        '(kubectl get telemetry -A -o yaml). Or the log is of another container: save it with',
      WIDTH,
    ),
    '  kubectl logs POD -c istio-proxy > POD.log',
    '',
  );
  return lines;
}

function readLines({ coverage }: Report): string[] {
  const { lines, records, foreign, malformed, overlong, unterminated, inputs } = coverage;
  const notes = [
    `${plural(lines, 'line')}: ${thousands(records)} read, ${thousands(malformed)} not understood, ${thousands(foreign)} not access lines`,
    overlong > 0 ? `${thousands(overlong)} over-long` : '',
    unterminated > 0 ? `${thousands(unterminated)} unterminated` : '',
  ].filter(Boolean);
  const result = section('read', notes.join('; '));
  const folder = commonFolder(inputs.map(({ path }) => path));
  if (folder !== '') result.push(...labelled('', `in ${folder}`));
  for (const input of inputs.slice(0, SHOWN_INPUTS)) {
    const kind = [
      input.format,
      input.role === 'unknown' ? '' : input.role,
      input.envoy ? `Envoy ${input.envoy}` : '',
    ]
      .filter(Boolean)
      .join(' ');
    result.push(
      ...labelled('', `${input.path.slice(folder.length)}: ${kind}, ${ofWords(input.records, input.lines)}`),
    );
  }
  if (inputs.length > SHOWN_INPUTS) result.push(...labelled('', `and ${inputs.length - SHOWN_INPUTS} more`));
  for (const example of coverage.malformed_examples.slice(0, 3)) {
    const at = `${example.origin.file ?? example.origin.pod ?? '-'}:${example.origin.line}:${example.at}`;
    result.push(...labelled('', `${at} expected ${example.expected}, found ${example.found}`));
  }
  result.push(...joinNotes(coverage).flatMap((note) => labelled('', note)));
  for (const gap of coverage.gaps) result.push(...labelled('', `not read: ${gapText(gap)}`));
  return result;
}

/** What was not read of one input, and where a time of it is known, of when. */
function gapText({ origin, from, to, reason }: Report['coverage']['gaps'][number]): string {
  if (from === null || to === null) return reason;
  return `${origin} from ${clock(Date.parse(from))} to ${clock(Date.parse(to))}: ${reason}`;
}

/** What hampers joining the lines of several proxies, where something does. */
function joinNotes({ joins, records }: Report['coverage']): string[] {
  const { repeated, evicted, shared_ids: ids, shared_id_lines: lines, clocks } = joins;
  return [
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
      ? `${ofWords(evicted, records)} records were counted and not kept: joins and incidents rest on the others`
      : '',
    ids > 0
      ? `${plural(ids, 'request id')} on ${plural(lines, 'line')}, too many to be one request each: not joined`
      : '',
  ].filter(Boolean);
}

/** `read        text…`: a label at the very left, since it is of the whole report. */
function section(label: string, text: string): string[] {
  return labelled('', text).map((line, i) => (i === 0 ? label + line.slice(label.length) : line));
}

const SHOWN_INPUTS = 20;

/** The folder that all paths share, with its slash; empty where there is none. */
function commonFolder(paths: readonly string[]): string {
  const [first = '', ...rest] = paths;
  if (rest.length === 0) return '';
  let folder = first.slice(0, first.lastIndexOf('/') + 1);
  while (folder !== '' && !rest.every((path) => path.startsWith(folder))) {
    folder = folder.slice(0, folder.slice(0, -1).lastIndexOf('/') + 1);
  }
  return folder;
}
