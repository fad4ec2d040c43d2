import { clip, foldCells, widthOf } from './cells.js';
import { asciiFrame, fitted, span, spread, type Frame, type Line } from './frame.js';
import { contentOf } from './screens/content.js';
import { breadcrumb, chipsLine, headerLine } from './screens/header.js';
import { homeLines } from './screens/home.js';
import { journeyLines } from './screens/journey.js';
import { dismissedLines, linesLines, valuesLines } from './screens/lists.js';
import { isWaiting, lostLines, remedies } from './screens/states.js';
import { streamsLines } from './screens/streams.js';
import { LEAST_COLUMNS, LEAST_ROWS, paneOf, type Pane, type State } from './state.js';

/** What a state looks like: exactly as many rows and columns as the terminal has. */
export function view(state: State): Frame {
  const frame = drawn(state);
  return state.ascii ? asciiFrame(frame) : frame;
}

function drawn(state: State): Frame {
  const { columns, rows } = state;
  if (columns < LEAST_COLUMNS || rows < LEAST_ROWS) return tooSmall(columns, rows);
  const pane = paneOf(state);
  const chips = chipsLine(state);
  const top: Line[] = [headerLine(state), ...(chips ? [chips] : []), ...lostLines(state)];
  if (pane.kind !== 'home') top.push(breadcrumb(state), []);
  const bottom = bottomLine(state);
  const height = rows - top.length - 1;
  const body = bodyLines(state, pane, height).slice(0, height);
  const lines = [...top, ...body];
  while (lines.length < rows - 1) lines.push([]);
  return {
    lines: fitted([...lines, bottom.line], columns, rows),
    cursor: bottom.column === null ? null : { row: rows - 1, column: bottom.column },
  };
}

function bodyLines(state: State, pane: Pane, height: number): readonly Line[] {
  switch (pane.kind) {
    case 'home':
      return homeLines(state, height);
    case 'values':
      return valuesLines(state, pane, height);
    case 'lines':
      return linesLines(state, pane, height);
    case 'journey':
      return journeyLines(state, pane, height);
    case 'streams':
      return streamsLines(state, pane, height);
    case 'dismissed':
      return dismissedLines(state, pane, height);
    case 'explanation':
    case 'record':
    case 'help': {
      const content = contentOf(state, pane);
      // A resize may leave the scroll behind the end.
      const from = Math.max(0, Math.min(pane.scroll, content.length - height));
      const below = content.length - from - height;
      if (below <= 0) return content.slice(from);
      return [...content.slice(from, from + height - 1), [span(`  … ${below + 1} more lines, ↓`, 'dim')]];
    }
    case 'text':
      return foldCells(pane.text, state.columns, height).map((line): Line => [span(line)]);
    default:
      return pane satisfies never;
  }
}

function tooSmall(columns: number, rows: number): Frame {
  const text = [`too small: ${columns}x${rows}`, `needs ${LEAST_COLUMNS}x${LEAST_ROWS}`, '[q] leaves'];
  return {
    lines: fitted(
      text.map((line): Line => [span(clip(line, columns))]),
      columns,
      rows,
    ),
    cursor: null,
  };
}

/** What is typed, else what is to be told, else the keys of the pane. */
function bottomLine(state: State): { line: Line; column: number | null } {
  const { prompt, notice, columns } = state;
  if (prompt) {
    const sign = prompt.kind === 'filter' ? ' /' : ' :';
    const room = columns - 4;
    // A long line shows the part around its cursor.
    const from = Math.max(0, prompt.cursor - Math.floor(room * 0.7));
    const shown = prompt.text.slice(from, from + room);
    const before = widthOf(span(prompt.text.slice(from, prompt.cursor)).text);
    const tail = prompt.error
      ? [span(` ${prompt.error.message} (column ${prompt.error.at}) `, 'bad')]
      : prompt.kind === 'filter' && prompt.text === ''
        ? [span(' code>=500 flag:UF,UH !path~^/healthz upstream:ledger* dur>2s ', 'dim')]
        : prompt.kind === 'filter' && state.snapshot
          ? [span(` ${state.snapshot.requests} requests, ${state.snapshot.failures} failed `, 'dim')]
          : [];
    const used = widthOf(span(shown).text) + 2;
    const hint = tail.map((piece) => ({ ...piece, text: clip(piece.text, Math.max(0, columns - used - 2)) }));
    // What cannot be read is marked from its first character on.
    const bad = prompt.error ? Math.max(from, prompt.error.at - 1) - from : room;
    const typed = [span(shown.slice(0, bad)), span(shown.slice(bad), 'error')];
    return { line: spread([span(sign, 'key'), ...typed], hint, columns), column: 2 + before };
  }
  if (notice) {
    const style = notice.tone === 'bad' ? 'bad' : notice.tone === 'good' ? 'good' : 'strong';
    return { line: [span(' '), span(notice.text, style)], column: null };
  }
  return { line: keysLine(state), column: null };
}

const KEYS: Readonly<Record<Pane['kind'], readonly (readonly [string, string])[]>> = {
  home: [
    ['/', 'filter'],
    ['enter', 'drill'],
    ['e', 'explain'],
    ['c', 'copy command'],
    ['space', 'play'],
    ['J', 'journey'],
    ['t', 'window'],
    ['w', 'write'],
    ['p', 'pods'],
    ['l', 'tail'],
    ['] [', 'next failure'],
    ['z Z', 'zoom'],
    ['s', 'sort'],
    [': ', 'command'],
  ],
  values: [
    ['← →', 'by'],
    ['enter', 'lines'],
    ['e', 'explain'],
    ['J', 'journey'],
    ['/', 'filter'],
    ['c', 'copy command'],
  ],
  lines: [
    ['enter', 'fields'],
    ['J', 'journey'],
    ['f', 'failing/all'],
    ['r', 'raw'],
    ['] [', 'next failure'],
    ['/', 'filter'],
    ['y', 'copy'],
  ],
  record: [
    ['↑ ↓', 'scroll'],
    ['J', 'journey'],
    ['y', 'copy line'],
  ],
  explanation: [
    ['↑ ↓', 'scroll'],
    ['enter', 'drill'],
    ['J', 'journey'],
    ['c', 'copy command'],
    ['w', 'write'],
  ],
  journey: [
    ['↑ ↓', 'move'],
    ['enter', 'fields'],
    ['y', 'copy id'],
    ['Y', 'copy trace command'],
  ],
  streams: [
    ['↑ ↓', 'move'],
    ['/', 'filter'],
  ],
  dismissed: [['↑ ↓', 'move']],
  help: [['↑ ↓', 'scroll']],
  text: [],
};

/** What can be done while there is no table. */
const WAITING_KEYS: (typeof KEYS)['home'] = [
  ['p', 'pods'],
  [':', 'command'],
];
const REMEDY_KEYS: typeof WAITING_KEYS = [['c', 'copy commands'], ...WAITING_KEYS];

function keysOf(state: State): (typeof KEYS)['home'] {
  if (!isWaiting(state)) return KEYS[paneOf(state).kind];
  return remedies(state).length > 0 ? REMEDY_KEYS : WAITING_KEYS;
}

function keysLine(state: State): Line {
  const last: Line = [
    span('[?]', 'key'),
    span('help ', 'dim'),
    span('[q]', 'key'),
    span(state.panes.length > 1 ? 'back ' : 'quit ', 'dim'),
  ];
  const line = [span(' ')];
  let left = state.columns - 2 - last.reduce((sum, { text }) => sum + widthOf(text), 0);
  for (const [key, text] of keysOf(state)) {
    const word = key === 'space' ? spaceWord(state) : text;
    const sign = /[[\]]/.test(key) ? `${key} ` : `[${key.trim()}]`;
    const size = widthOf(`${sign}${word} `);
    if (size > left) break;
    left -= size;
    line.push(span(sign, 'key'), span(`${word} `, 'dim'));
  }
  return [...line, ...last];
}

function spaceWord({ reading, clock, frozenAt, source }: State): string {
  if (!reading.done || source.live) return frozenAt === null ? 'freeze' : 'go on';
  return clock.playing ? 'pause' : 'play';
}
