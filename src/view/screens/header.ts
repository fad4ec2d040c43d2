import { plural, thousands } from '../../diagnosis/words.js';
import { cellText, clipMiddle, widthOf } from '../cells.js';
import { lineWidth, span, spread, type Line, type Span } from '../frame.js';
import { expected, worstLag, type Streaming } from '../live.js';
import { momentShown, scopeWords } from '../selection.js';
import type { Snapshot } from '../snapshot.js';
import { type Pane, type State } from '../state.js';
import { clockSeconds, rateCell, shortName } from '../words.js';

/** So many facts are worth more than the end of a long title. */
const ALWAYS = 2;
const LEAST_TITLE = 12;

/** What is always on screen: the target, how much of it is seen and how late, and whatever stands still or is missing. */
export function headerLine(state: State): Line {
  const { source, columns } = state;
  const left: Span[] = [span(' ')];
  if (source.cluster) {
    left.push(span(source.cluster.context, 'dim'), span('  '), span(`${source.cluster.namespace}/`));
  }
  const facts = source.live?.phase === 'streaming' ? liveFacts(state, source.live) : replayFacts(state);
  const badges = badgesOf(state);
  const right = badges.flatMap((badge, i) => (i === 0 ? [badge] : [span(' '), badge]));
  const room = columns - lineWidth(right) - 2;
  const always = facts.slice(0, ALWAYS).reduce((sum, fact) => sum + 3 + widthOf(fact), 0);
  left.push(span(clipMiddle(source.title, Math.max(LEAST_TITLE, room - lineWidth(left) - always)), 'strong'));
  for (const fact of facts) {
    const piece = [span('   '), span(fact, 'dim')];
    if (lineWidth(left) + lineWidth(piece) > room) break;
    left.push(...piece);
  }
  return spread(left, [...right, span(' ')], columns);
}

/** The last ones give way first. */
function liveFacts({ snapshot }: State, live: Streaming): string[] {
  const wanted = expected(live);
  const up = wanted.filter(({ state }) => state === 'following' || state === 'history').length;
  const lag = worstLag(live);
  const facts = [
    `pods ${up}/${wanted.length}`,
    `lag ${lag === null ? '-' : `${(lag / 1000).toFixed(1)}s`}`,
    `from ${clockSeconds(live.since.at)}`,
  ];
  if (!snapshot) return facts;
  return [...facts, `${rateCell(snapshot.ratePerSecond)}/s`, readWords(snapshot)];
}

function replayFacts(state: State): string[] {
  const { snapshot, columns, frozenAt, clock } = state;
  if (!snapshot) return [];
  const facts: string[] = [];
  const now = momentShown(state, snapshot);
  if (Number.isFinite(now)) {
    const behind = clock.now === null ? 'end' : `-${Math.round((snapshot.last - now) / 1000)}s`;
    facts.push(`${clockSeconds(now)} (${behind})`);
  }
  // The rate gives way first: how much of the input is seen must not.
  const lines =
    columns < 76 || frozenAt !== null || clock.now !== null
      ? readWords(snapshot)
      : `${thousands(snapshot.records)} of ${thousands(snapshot.lines)} lines`;
  return [...facts, lines, plural(snapshot.proxies, 'pod'), `${rateCell(snapshot.ratePerSecond)}/s`];
}

const readWords = ({ records, lines }: Snapshot): string =>
  `${lines === 0 ? 100 : Math.floor((100 * records) / lines)}% read`;

function badgesOf(state: State): Span[] {
  const { snapshot, reading, clock, frozenAt, source } = state;
  const badges: Span[] = [];
  const say = (text: string, style: Span['style'] = 'badge'): void => {
    badges.push(span(` ${text} `, style));
  };
  if (snapshot && snapshot.malformed > 0) say(`${thousands(snapshot.malformed)} unread`, 'warn');
  if (reading.failed.length > 0) say(`${plural(reading.failed.length, 'input')} lost`, 'bad');
  if (source.live?.phase === 'streaming') {
    const gaps = source.live.streams.reduce((sum, stream) => sum + stream.gaps.length, 0);
    if (gaps > 0) say(plural(gaps, 'gap'), 'warn');
    const behind = source.live.streams.filter(({ state }) => state === 'history').length;
    if (behind > 0) say(`catching up ${behind}`, 'chip');
  }
  if (snapshot && snapshot.sampled < 0.999) say(`sampled 1:${Math.round(1 / snapshot.sampled)}`, 'warn');
  if (!reading.done && !source.live) {
    say(
      reading.share === null
        ? `reading ${thousands(reading.lines)}`
        : `reading ${Math.floor(100 * reading.share)}%`,
      'chip',
    );
  }
  if (frozenAt !== null) say(`PAUSED +${thousands(Math.max(0, reading.lines - frozenAt))}`);
  else if (clock.playing) say(`playing ${clock.speed}x`, 'chip');
  else if (clock.now !== null) say(`PAUSED +${thousands(snapshot?.ahead ?? 0)}`);
  return badges;
}

/** Chips of what narrows the view; nothing where all is shown. */
export function chipsLine(state: State): Line | null {
  const { filters, saved, window, prompt } = state;
  const offered = prompt?.kind === 'filter' && prompt.text === '' ? saved : [];
  const chips: Span[] = filters.map((filter) => span(` ${filter} `, 'chip'));
  if (prompt?.kind === 'filter' && prompt.error === null && prompt.text.trim() !== '')
    chips.push(span(` ${prompt.text.trim()} `, 'warn'));
  if (window.range)
    chips.push(span(` ${clockSeconds(window.range[0])} to ${clockSeconds(window.range[1])} `, 'chip'));
  else if (window.last !== null) chips.push(span(` last ${windowWords(window.last)} `, 'chip'));
  if (offered.length > 0) {
    const words = offered.flatMap((one) => [span(` ${one} `, 'accent'), span('·', 'dim')]);
    const only = chips.length > 0 ? [...chips.flatMap((chip) => [chip, span(' ')]), span(' ')] : [];
    return [span(' ', 'dim'), ...only, span('↑ kept:', 'dim'), ...words.slice(0, -1)];
  }
  if (chips.length === 0) return null;
  return [span(' only ', 'dim'), ...chips.flatMap((chip) => [chip, span(' ')]), span(' esc clears', 'dim')];
}

export function windowWords(ms: number): string {
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  return ms % 60_000 === 0 ? `${ms / 60_000}m` : `${ms / 1000}s`;
}

/** The way back, outermost first; where it is too long its beginning gives way. */
export function breadcrumb(state: State): Line {
  const { panes } = state;
  const words = ['home', ...panes.slice(1).flatMap((pane, i) => crumb(state, pane, i === panes.length - 2))];
  // A scope repeats what its parent said: only what is new is a step.
  let steps = words.filter((word, i) => words.indexOf(word) === i);
  const width = (): number => steps.reduce((sum, step) => sum + widthOf(cellText(step)) + 3, 0);
  while (steps.length > 2 && width() > state.columns) steps = ['…', ...steps.slice(steps[0] === '…' ? 2 : 1)];
  return [
    span(' '),
    ...steps.flatMap((step, i) => [
      ...(i === 0 ? [] : [span(' › ', 'dim')]),
      span(step, i === steps.length - 1 ? 'strong' : 'dim'),
    ]),
  ];
}

function crumb(state: State, pane: Pane, focused: boolean): readonly string[] {
  switch (pane.kind) {
    case 'home':
      return [];
    case 'explanation':
      return [pane.row.split('\n')[0]!, 'explanation'];
    case 'values':
      return [...scopeWords(state.snapshot, pane.scope), ...(focused ? [`by ${pane.dimension}`] : [])];
    case 'lines':
      return [
        ...scopeWords(state.snapshot, pane.scope).map((word, i) => (i === 0 ? word : shortValue(word))),
        pane.all ? 'all lines' : 'failing lines',
      ];
    case 'record':
      return [`line ${pane.ref.split('\n').at(-1)}`];
    case 'journey':
      return 'row' in pane.of
        ? [...scopeWords(state.snapshot, { row: pane.of.row, where: [] }), 'journey of one request']
        : ['journey'];
    case 'streams':
      return ['pods and streams'];
    case 'dismissed':
      return ['dismissed'];
    case 'help':
      return ['help'];
    case 'text':
      return [pane.title];
    default:
      return pane satisfies never;
  }
}

function shortValue(word: string): string {
  const at = word.indexOf(' ');
  return `${word.slice(0, at)} ${clipMiddle(shortName(word.slice(at + 1)), 24)}`;
}
