import { clock, ofWords, percent, plural, thousands } from '../diagnosis/words.js';
import { markdownBlock, markdownText } from '../record/markdown.js';
import { selectedRow } from './selection.js';
import type { Explanation, Snapshot } from './snapshot.js';
import type { State } from './state.js';
import { endWords } from './screens/content.js';
import { viewCommand } from './view-command.js';
import { clockSeconds, factWords } from './words.js';

/** What is seen, as a message for the incident channel. */
export function briefOf(state: State, snapshot: Snapshot): string {
  const selected = selectedRow(state)?.explanation;
  const others = snapshot.rows.flatMap(({ explanation }) =>
    explanation && explanation !== selected ? [explanation] : [],
  );
  const explained = selected ? [selected, ...others] : others;
  const day = Number.isFinite(snapshot.first) ? new Date(snapshot.first).toISOString().slice(0, 10) : '';
  const lines: string[] = [];
  if (explained.length === 0) {
    lines.push(
      `**No incident** in ${thousands(snapshot.requests)} requests, ${clockSeconds(snapshot.first)} to ${clockSeconds(snapshot.last)} UTC, ${day}`,
    );
  }
  for (const incident of explained) lines.push(...incidentBrief(incident, day), '');
  const unread = snapshot.malformed > 0 ? `, ${thousands(snapshot.malformed)} not understood` : '';
  lines.push(
    `Read ${plural(snapshot.lines, 'line')} of ${plural(snapshot.proxies, 'proxy', 'proxies')}${unread}.`,
    `Look for yourself: \`${viewCommand(state).replaceAll('`', "'")}\``,
    '',
  );
  return lines.join('\n');
}

function incidentBrief(incident: Explanation, day: string): string[] {
  const { severity, verdict, title, cause, confidence, failures, requests } = incident;
  const since = `${clock(incident.onset)} UTC, ${day}`;
  const until = endWords(incident);
  const lines = [
    `**${severity.toUpperCase()} · ${verdict} · ${markdownText(title)}** (\`${cause}\`, confidence ${confidence})`,
    '',
    failures === 0
      ? `For users nothing fails so far. Since ${since}, ${until}.`
      : `${ofWords(failures, requests)} requests failed (${percent(failures, requests)}), since ${since}, ${until}.`,
    '',
    markdownText(incident.summary),
    '',
    ...incident.evidence.map((fact) => `- ${markdownText(factWords(fact))}`),
    ...incident.against.map((fact) => `- against: ${markdownText(factWords(fact))}`),
    ...incident.checked.map(({ effect, text }) => `- the cluster ${effect} ${markdownText(text)}`),
  ];
  for (const { purpose, command } of incident.next) {
    lines.push('', `**Confirm**: ${markdownText(purpose)}`, '', ...markdownBlock([command]));
  }
  if (incident.fix.length > 0) lines.push('', `**Fix**: ${incident.fix.map(markdownText).join(' ')}`);
  return lines;
}
