import { thousands } from '../diagnosis/words.js';
import { markdownBlock, markdownText } from '../record/markdown.js';
import { journeyLines } from './journey-text.js';
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
  sinceText,
  whereText,
  type ReportIncident,
} from './report-words.js';

/** The report for the incident channel or the issue: CommonMark with one table as GitHub writes them. */
export function reportMarkdown(report: Report): string {
  const { coverage, incidents } = report;
  const lines: string[] = [];
  if (coverage.records === 0) {
    lines.push(`**${NOTHING_READ}**`, '', ...(incidents.length === 0 ? [EMPTY, ''] : []));
    for (const { summary, next, fix } of incidents) {
      lines.push(markdownText(summary), ...next.flatMap(stepLines), ...listLines('Fix', fix), '');
    }
  } else {
    lines.push(`**${markdownText(headline(report))}**`, '');
    if (incidents.length === 0) lines.push(markdownText(quietText(report)), '');
    for (const incident of incidents.slice(0, SHOWN_INCIDENTS)) lines.push(...incidentLines(incident), '');
    if (incidents.length > SHOWN_INCIDENTS) {
      lines.push(`and ${incidents.length - SHOWN_INCIDENTS} more incidents; \`-o json\` lists them all`, '');
    }
    lines.push(...groupLines(report), ...dismissedLines(report));
  }
  lines.push(`Read ${markdownText(readText(coverage))}.`);
  for (const note of readNotes(coverage)) lines.push(`- ${markdownText(note)}`);
  return `${lines.join('\n')}\n`;
}

const field = (label: string, text: string): string => `- **${label}**: ${markdownText(text)}`;

const listLines = (label: string, items: readonly string[]): string[] =>
  items.length === 0 ? [] : ['', `**${label}**`, '', ...items.map((item) => `- ${markdownText(item)}`)];

const stepLines = ({ purpose, command }: ReportIncident['next'][number], i: number): string[] => [
  '',
  `**${i === 0 ? 'Confirm' : 'Then'}**: ${markdownText(purpose)}`,
  '',
  ...markdownBlock([command]),
];

function incidentLines(incident: ReportIncident): string[] {
  const { severity, verdict, title, cause, confidence, why } = incident;
  const where = whereText(incident);
  const lines = [
    `### ${severity.toUpperCase()} · ${verdict} · ${markdownText(title)}`,
    '',
    `\`${cause}\`, confidence ${confidence}, because ${markdownText(why)}`,
    '',
    field('Fails', failsText(incident)),
    field('Since', sinceText(incident)),
    ...(where ? [field('Where', where)] : []),
    '',
    markdownText(incident.summary.trim()),
    ...listLines('Evidence', incident.evidence.map(factText)),
    ...listLines('Against', incident.against.length > 0 ? incident.against.map(factText) : ['nothing']),
    ...listLines('Checked', (incident.checks ?? []).map(checkText)),
  ];
  lines.push(...incident.next.flatMap(stepLines));
  lines.push(...listLines('Fix', incident.fix));
  lines.push(
    ...listLines(
      'Or else',
      incident.alternatives.map((other) => `${other.cause}: ${other.why}`),
    ),
  );
  if (incident.journey && incident.journey.spans.length > 1) {
    const { request_id: id } = incident.journey;
    lines.push('', id === null ? '**One of them**' : `**One of them**: ${markdownText(id)}`, '');
    lines.push(...markdownBlock(journeyLines(incident.journey, 0, SHOWN_SPANS)));
  }
  return lines;
}

/** More lines of one request than these are for `trace`. */
const SHOWN_SPANS = 8;

function groupLines(report: Report): string[] {
  const { groups } = report;
  if (groups.length === 0) return [];
  const row = (cells: readonly string[]): string => `| ${cells.map(markdownText).join(' | ')} |`;
  return [
    '### Lines',
    '',
    `${markdownText(linesText(report))}.`,
    '',
    row(GROUP_HEAD),
    '| --- | --- | ---: | ---: | --- | --- |',
    ...groups.slice(0, SHOWN_GROUPS).map((group) => row(groupCells(group, report))),
    ...(groups.length > SHOWN_GROUPS
      ? ['', `and ${groups.length - SHOWN_GROUPS} more groups; \`-o json\` lists them all`]
      : []),
    '',
  ];
}

function dismissedLines(report: Report): string[] {
  if (report.dismissed.length === 0) return [];
  const items = dismissedTexts(report).map(
    ({ count, text }) => `- ${thousands(count)}: ${markdownText(text)}`,
  );
  return ['### Dismissed, after a look', '', ...items, ''];
}
