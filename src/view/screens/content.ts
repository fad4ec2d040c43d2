import { clock, ofWords, percent, span as duration, thousands } from '../../diagnosis/words.js';
import { foldCells, foldCommand, wrapCells } from '../cells.js';
import { FIELD_MEANINGS } from '../field-meanings.js';
import { lineWidth, span, type Line, type StyleName } from '../frame.js';
import { isExplaining, rowByKey } from '../selection.js';
import type { Explanation, PaneData, TableRow } from '../snapshot.js';
import { MOST_TEXT, TEXT_AT, type Pane, type State } from '../state.js';
import { clockSeconds, factWords } from '../words.js';
import { helpLines } from './help.js';

/** The whole text of a pane that scrolls; other panes have rows instead. */
export function contentOf(state: State, pane: Pane): readonly Line[] {
  switch (pane.kind) {
    case 'explanation': {
      const row = rowByKey(state.snapshot, pane.row);
      return row?.explanation
        ? explanationLines(row.explanation, row, Math.min(state.columns, MOST_TEXT))
        : [[span(` ${isAnswered(state) ? 'Nothing to explain at this moment.' : 'explaining…'}`, 'dim')]];
    }
    case 'record':
      return state.snapshot?.pane?.kind === 'record'
        ? recordLines(state.snapshot.pane, state.columns)
        : [[span(' reading the line…', 'dim')]];
    case 'help':
      return helpLines(pane.of, state.columns);
    default:
      return [];
  }
}

const isAnswered = (state: State): boolean => state.snapshot !== null && !isExplaining(state, state.snapshot);

/** A label and wrapped text beside it. */
export function labelled(
  label: string,
  text: string,
  columns: number,
  style: StyleName = 'plain',
  most = 1_000,
): Line[] {
  // Two cells stay free for the sign of a cut.
  return wrapCells(text, columns - TEXT_AT - 2, most).map((line, i) => [
    span(` ${i === 0 ? label : ''}`.padEnd(TEXT_AT), 'dim'),
    span(line, style),
  ]);
}

/** A command over as few rows as it needs; what is selected of them with a mouse is still one command. */
export function commandLines(label: string, command: string, columns: number, most: number): Line[] {
  return foldCommand(command, columns - TEXT_AT - 1, most).map((line, i) => [
    span(` ${i === 0 ? label : ''}`.padEnd(TEXT_AT), 'dim'),
    span(line, 'accent'),
  ]);
}

export const severityStyle = (severity: string): StyleName =>
  severity === 'critical' || severity === 'high' ? 'bad' : severity === 'medium' ? 'warn' : 'dim';

export const whoWords = (verdict: string): string => (verdict === 'unknown' ? '?' : verdict);

/** The title, and below it how grave, whose and how sure. */
export function titleLines(explanation: Explanation, columns: number, most: number): Line[] {
  const { title, severity, verdict, cause, confidence } = explanation;
  const lines: Line[] = wrapCells(title, columns - 2, most).map((line) => [span(' '), span(line, 'strong')]);
  const about = (long: boolean, actor: string): Line => [
    span(' '),
    span(long ? `${severity} severity` : severity, severityStyle(severity)),
    span(' · ', 'dim'),
    span(actor),
    span(' · confidence ', 'dim'),
    span(confidence, confidence === 'possible' ? 'warn' : 'strong'),
    span(` · ${cause}`, 'dim'),
  ];
  const words = [
    about(true, actorWords(verdict)),
    about(true, whoWords(verdict)),
    about(false, whoWords(verdict)),
  ];
  lines.push(words.find((line) => lineWidth(line) < columns) ?? words.at(-1)!);
  return lines;
}

function actorWords(verdict: string): string {
  if (verdict === 'unknown') return 'who is to act is not known';
  const words: Readonly<Record<string, string>> = {
    app: "the app's owner",
    mesh: 'the mesh configuration',
    client: "the client's owner",
    network: 'the network',
    policy: "the policy's owner",
    platform: 'the platform',
  };
  return `for ${words[verdict] ?? verdict}`;
}

export function failsWords({ failures, requests }: Explanation, row: TableRow): string {
  if (failures === 0) return 'for users nothing so far';
  const seen = row.seenCode === row.code ? '' : `; callers saw ${row.seenCode}`;
  return `${ofWords(failures, requests)} requests (${percent(failures, requests)})${seen}`;
}

export function sinceWords(explanation: Explanation): string {
  const { onset, beganBeforeInput, after } = explanation;
  const before = beganBeforeInput ? ' or before the logs began,' : '';
  return `${clock(onset)}${before} ${endWords(explanation)}${after === null ? '' : `; began ${after}`}`;
}

/** Whether it goes on, is over, or only nobody asks any more. */
export function endWords({ onset, last, end, goodAfter }: Explanation): string {
  if (end === 'ongoing') return 'and still going on';
  const took = `for ${duration(last - onset)}`;
  const good = `${thousands(goodAfter)} went well`;
  if (end === 'over') return `${took}, over since ${clockSeconds(last)} (${good})`;
  if (end === 'unknown') return `${took}; whether it is over, a log of failures does not tell`;
  const why = goodAfter === 0 ? 'its callers stopped' : `${good}, too few to call it over`;
  return `${took}, none since ${clockSeconds(last)}: ${why}`;
}

/** What `+` would add, and why. */
export const widenWords = ({ widen }: Explanation): string => (widen === null ? '' : `[+] follows ${widen}`);

/** How sure, and by which rule. */
export const becauseWords = ({ confidence, why }: Explanation): string => `${confidence}, because ${why}`;

export const exampleWords = (example: string): string => `[J] ${example}`;

function explanationLines(explanation: Explanation, row: TableRow, columns: number): Line[] {
  const { summary, evidence, against, checked, alternatives, next, fix, place, example } = explanation;
  const lines: Line[] = [...titleLines(explanation, columns, 4), []];
  const say = (label: string, text: string, style?: StyleName): void => {
    lines.push(...labelled(label, text, columns, style));
  };
  say('fails', failsWords(explanation, row));
  say('since', sinceWords(explanation));
  if (place) say('where', place);
  lines.push([]);
  say('what', summary);
  lines.push([]);
  evidence.forEach((fact, i) => say(i === 0 ? 'evidence' : '', factWords(fact)));
  if (against.length === 0) say('against', 'nothing');
  against.forEach((fact, i) => say(i === 0 ? 'against' : '', factWords(fact), 'warn'));
  checked.forEach(({ effect, text }, i) => say(i === 0 ? 'checked' : '', `${effect} ${text}`));
  say('why', becauseWords(explanation));
  if (next.length > 0) lines.push([]);
  next.forEach(({ purpose, command }, i) => {
    lines.push(...commandLines(i === 0 ? 'confirm' : 'then', command, columns, 8));
    say('', `→ ${purpose}`, 'dim');
  });
  if (fix.length > 0) lines.push([]);
  fix.forEach((text, i) => say(i === 0 ? 'fix' : '', text));
  if (alternatives.length > 0) {
    say('or else', alternatives.map(({ cause, confidence }) => `${cause} (${confidence})`).join(', '), 'dim');
  }
  if (explanation.widen !== null) say('widen', widenWords(explanation), 'accent');
  if (example !== null) lines.push([], ...labelled('example', exampleWords(example), columns));
  return lines;
}

/** Long values end somewhere: a field of 100 KB is looked at by its beginning. */
const MOST_VALUE_LINES = 12;

function recordLines(record: Extract<PaneData, { kind: 'record' }>, columns: number): Line[] {
  const lines: Line[] = [[span(` ${record.place}`, 'dim')]];
  if (record.raw !== null) {
    lines.push(
      ...foldCells(record.raw, columns - 2, MOST_VALUE_LINES).map((line): Line => [span(' '), span(line)]),
    );
  } else lines.push([span(' the line itself cannot be read again; its fields are below', 'dim')]);
  lines.push([]);
  const wide = columns >= 100;
  const name = columns >= 80 ? 34 : 22;
  const value = wide ? Math.floor((columns - name) * 0.5) : columns - name - 2;
  // What this very line says goes before what any line has.
  const telling = record.fields.filter(({ note }) => note !== '');
  for (const field of [...telling, ...record.fields.filter(({ note }) => note === '')]) {
    const meaning = FIELD_MEANINGS[field.name as keyof typeof FIELD_MEANINGS] ?? '';
    const values = field.value === '' ? ['""'] : wrapCells(field.value, value - 1, MOST_VALUE_LINES);
    const style: StyleName =
      field.value === '-' ? 'dim' : field.name === 'response_flags' || field.note !== '' ? 'strong' : 'plain';
    const beside = wide ? wrapCells(meaning, columns - name - value - 3) : [];
    const rows = Math.max(values.length, beside.length);
    for (let i = 0; i < rows; i++) {
      lines.push([
        span(` ${(i === 0 ? field.name : '').slice(0, name - 1).padEnd(name)}`, 'accent'),
        span((values[i] ?? '').padEnd(wide ? value : 0), style),
        ...(wide ? [span(` ${beside[i] ?? ''}`, 'dim')] : []),
      ]);
    }
    const below = wide ? [field.note] : [meaning, field.note];
    for (const text of below.filter(Boolean)) {
      for (const line of wrapCells(text, columns - name - 3)) {
        lines.push([span(' '.repeat(name + 1)), span(line, text === field.note ? 'warn' : 'dim')]);
      }
    }
  }
  return lines;
}

export const countWords = (failures: number, requests: number): string =>
  `${thousands(failures)} of ${thousands(requests)}`;
