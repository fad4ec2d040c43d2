import { FILTER_FIELDS } from '../../filter/fields.js';
import { wrapCells } from '../cells.js';
import { COMMANDS } from '../commands.js';
import { beside, span, type Line } from '../frame.js';
import type { Pane } from '../state.js';

type Keys = readonly (readonly [string, string])[];

const MOVE: Keys = [
  ['↑ ↓ j k', 'move'],
  ['g G', 'first, last'],
  ['pgup pgdn', 'a page'],
];
const PANES: Readonly<Record<Pane['kind'], { readonly title: string; readonly keys: Keys }>> = {
  home: {
    title: 'home: what fails, since when, where, why',
    keys: [
      ...MOVE,
      ['enter', 'drill into the row: by pod, host, caller, path…'],
      ['e', 'the full explanation of the row'],
      ['c', 'copy the command that would confirm it'],
      ['J', 'the journey of one of its requests, hop by hop'],
      ['s', 'sort by impact, failed, rate, share, since, upstream'],
      ['l', 'failing lines as logged, the last at the bottom'],
      ['p', 'pods and streams'],
      ['d', 'what was dismissed, and why'],
    ],
  },
  values: {
    title: 'drill: which values fail, beside those that do not',
    keys: [
      ...MOVE,
      ['← → tab', 'by another dimension'],
      ['enter', 'the lines of this value'],
      ['e', 'explanation'],
      ['J', 'the journey of one of its requests, hop by hop'],
    ],
  },
  lines: {
    title: 'lines',
    keys: [
      ...MOVE,
      ['enter', 'this line field by field'],
      ['J', 'the journey of its request, hop by hop'],
      ['f', 'failing lines only, or healthy ones too'],
      ['r', 'as logged, or in columns'],
      ['] [', 'next, previous failing line'],
      ['y', 'copy the line'],
    ],
  },
  record: {
    title: 'one record, field by field',
    keys: [
      ['↑ ↓ j k', 'scroll'],
      ['J', 'the journey of its request, hop by hop'],
      ['y', 'copy the line'],
    ],
  },
  journey: {
    title: 'journey: one request through every proxy that logged it',
    keys: [
      ...MOVE,
      ['enter', 'this line field by field'],
      ['y', 'copy the request id'],
      ['Y', 'copy the command that prints this journey'],
    ],
  },
  explanation: {
    title: 'explanation',
    keys: [
      ['↑ ↓ j k', 'scroll'],
      ['enter', 'drill in'],
      ['J', 'the journey of one of its requests, hop by hop'],
      ['c', 'copy the confirming command'],
    ],
  },
  streams: { title: 'pods and streams: what was read of each', keys: MOVE },
  dismissed: { title: 'dismissed: looked at and found harmless', keys: MOVE },
  help: { title: 'help', keys: [['↑ ↓ j k', 'scroll']] },
  text: { title: 'text to select', keys: [] },
};

const ALWAYS: Keys = [
  ['esc q', 'back; on home q leaves'],
  ['/', 'filter, with preview while you type; ↑ those entered before; x drops the last one'],
  [':', 'command line'],
  ['?', 'this help'],
  ['w', 'write a brief for the incident channel'],
  ['Y', 'copy a command that opens this view'],
  ['+', 'widen: follow the logs that would decide (live)'],
  ['ctrl-l ctrl-z', 'draw anew; to the shell, fg comes back'],
];
const TIME: Keys = [
  ['space', 'play or pause; while reading: freeze the picture'],
  ['← →', 'on home: to the cell before or after'],
  [', .', 'a second back, forth'],
  ['< >', 'slower, faster: 0.1x to 1000x'],
  ['] [', 'next, previous failure'],
  ['home end', 'to the first moment, to the last'],
  ['t 0-6', 'count: all, 30s, 1m, 5m, 15m, 30m, 1h'],
  ['z Z', 'zoom the timeline in, out'],
];

const KEY = 13;

/** From here on two columns fit. */
const TWO_COLUMNS = 110;

/** Help for one pane first, then for all; sections are short so that it is read. */
export function helpLines(of: Pane['kind'], screenColumns: number): Line[] {
  if (screenColumns < TWO_COLUMNS) return [...keyLines(of, screenColumns), [], ...wordLines(screenColumns)];
  const half = Math.floor(screenColumns / 2);
  return beside(keyLines(of, half), wordLines(screenColumns - half), half);
}

type Section = (name: string, entries: Keys, width?: number) => void;

function sections(columns: number, write: (section: Section) => void): Line[] {
  const lines: Line[] = [];
  write((name, entries, width = KEY) => {
    if (entries.length === 0) return;
    if (lines.length > 0) lines.push([]);
    lines.push([span(` ${name}`, 'strong')]);
    for (const [key, text] of entries) {
      wrapCells(text, columns - width - 4).forEach((line, i) => {
        lines.push([span(`  ${(i === 0 ? key : '').padEnd(width)}`, 'key'), span(` ${line}`)]);
      });
    }
  });
  return lines;
}

function keyLines(of: Pane['kind'], columns: number): Line[] {
  const { title, keys } = PANES[of];
  return sections(columns, (section) => {
    section(title, keys);
    section('time and replay', TIME);
    section('everywhere', ALWAYS);
  });
}

function wordLines(columns: number): Line[] {
  return sections(columns, (section) => {
    section(
      'filter: all terms must hold; ! turns one around',
      [
        ['code>=500', 'numbers: > >= < <= = !=; code:5xx; code:502,503'],
        ['flag:UF,UH', 'any of a list; * and ? stand for anything; flag:- for none'],
        ['path~^/v1', 'a regular expression'],
        ['dur>2s', 'with a unit: us ms s m h; sizes as sent>1k'],
        ['timeout', 'a bare word is looked for in all fields'],
        ['fields', FILTER_FIELDS.map(({ name }) => name).join(' ')],
      ],
      12,
    );
    section(
      'commands',
      COMMANDS.map(({ name, takes, help }): [string, string] => [
        `:${name} ${takes.length > 8 ? '…' : takes}`,
        help,
      ]),
      15,
    );
  });
}
