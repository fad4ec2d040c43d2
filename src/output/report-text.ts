import { clock, ofWords, shellWord, thousands } from '../diagnosis/words.js';
import { isAddress } from '../record/address.js';
import { safeText } from '../record/safe-text.js';
import type { JourneyObject } from './journey.js';
import { journeyLines } from './journey-text.js';
import { labelled, labelledRaw, table, wrap, WIDTH } from './layout.js';
import type { Report } from './report.js';
import {
  checkText,
  dismissedTexts,
  EMPTY,
  factText,
  failsText,
  GROUP_HEAD,
  groupCells,
  headline,
  readNotes,
  linesText,
  NOTHING_READ,
  quietText,
  readText,
  SHOWN_GROUPS,
  SHOWN_INCIDENTS,
  SHOWN_INPUTS,
  sinceText,
  whereText,
  type ReportIncident,
} from './report-words.js';

/**
 * The report for people, at 80 columns; only commands may be wider, so that they can be copied. `inputs` is what was read,
 * in the words of the command line, where that is known.
 */
export function reportText(report: Report, inputs: string | null = null): string {
  const { coverage, incidents } = report;
  const lines: string[] = [];
  if (coverage.records === 0) lines.push(NOTHING_READ, '', ...nothingLines(report), '');
  else {
    lines.push(headline(report), '');
    if (incidents.length === 0) lines.push(...wrap(quietText(report), WIDTH), '');
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

/** Why there is nothing to say, and what to do about it. */
function nothingLines({ coverage, incidents: [incident] }: Report): string[] {
  if (!incident) return [EMPTY];
  return [
    ...wrap(incident.summary, WIDTH),
    '',
    ...incident.next.flatMap(({ command, purpose }, i) => [
      labelledRaw(i === 0 ? 'confirm' : 'then', command),
      ...labelled('', `-> ${purpose}`),
    ]),
    ...incident.fix.flatMap((fix) => labelled('fix', fix)),
    ...(coverage.malformed > 0 ? labelled('', `${thousands(coverage.malformed)} damaged access lines`) : []),
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

/** Every failure group, counted in lines: what the incidents above are made of. */
function groupLines(report: Report): string[] {
  const { groups } = report;
  if (groups.length === 0) return [];
  const shown = groups.slice(0, SHOWN_GROUPS);
  const lines = [...section('lines', linesText(report)), ''];
  const rows = [GROUP_HEAD, ...shown.map((group) => groupCells(group, report))];
  lines.push(...table(rows, [false, false, true, true]).map((line) => `  ${line}`));
  for (const group of shown) {
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

function dismissedLines(report: Report): string[] {
  if (report.dismissed.length === 0) return [];
  const lines = dismissedTexts(report).flatMap(({ count, text }) =>
    labelled(thousands(count).padStart(8), text),
  );
  return ['dismissed, after a look', ...lines, ''];
}

function readLines({ coverage }: Report): string[] {
  const { inputs } = coverage;
  const result = section('read', readText(coverage));
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
  result.push(...readNotes(coverage).flatMap((note) => labelled('', note)));
  return result;
}

/** `read        text…`: a label at the very left, since it is of the whole report. */
function section(label: string, text: string): string[] {
  return labelled('', text).map((line, i) => (i === 0 ? label + line.slice(label.length) : line));
}

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
