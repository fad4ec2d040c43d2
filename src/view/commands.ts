import { compileFilter, FilterError } from '../filter/filter.js';
import { briefOf } from './brief.js';
import { nearestWord } from '../nearest.js';
import { filtered, only, opened, withNotice, type Updated } from './changes.js';
import { withCursor } from './selection.js';
import { SORT_KEYS, SPEEDS, type SortKey, type State } from './state.js';
import { durationFrom, seekTo, timeFrom } from './timing.js';

interface Command {
  readonly name: string;
  readonly takes: string;
  readonly help: string;
  readonly run: (state: State, argument: string) => Updated;
}

const failed = (state: State, text: string): Updated => only(withNotice(state, text, 'bad'));

function write(state: State, argument: string, overwrite: boolean): Updated {
  if (argument === '') return failed(state, ':w needs a file name, such as :w brief.md');
  if (!state.snapshot) return failed(state, 'nothing to write yet');
  return {
    state,
    effects: [{ kind: 'write', path: argument, text: briefOf(state, state.snapshot), overwrite }],
  };
}

/** What `:` understands, as help lists it. */
export const COMMANDS: readonly Command[] = [
  { name: 'q', takes: '', help: 'quit', run: (state) => ({ state, effects: [{ kind: 'quit' }] }) },
  {
    name: 'w',
    takes: 'FILE',
    help: 'write a brief for the incident channel (Markdown)',
    run: (state, argument) => write(state, argument, false),
  },
  {
    name: 'w!',
    takes: 'FILE',
    help: 'the same over a file that is there',
    run: (state, argument) => write(state, argument, true),
  },
  {
    name: 'filter',
    takes: 'TERMS',
    help: 'add a filter',
    run: (state, argument) => {
      try {
        compileFilter(argument);
        return argument === '' ? only(state) : filtered(state, argument);
      } catch (error) {
        if (!(error instanceof FilterError)) throw error;
        return failed(state, `column ${error.at}: ${error.message}`);
      }
    },
  },
  {
    name: 'forget',
    takes: 'TERMS|all',
    help: 'keep a filter, or all, no longer for / ↑',
    run: (state, argument) => {
      const filter = argument === 'all' ? '' : argument;
      if (argument === '') return failed(state, ':forget needs a filter, or all');
      if (filter !== '' && !state.saved.includes(filter)) return failed(state, `not kept: ${filter}`);
      return {
        state: { ...state, saved: state.saved.filter((one) => filter !== '' && one !== filter) },
        effects: [{ kind: 'forget', filter }],
      };
    },
  },
  { name: 'nofilter', takes: '', help: 'drop all filters', run: (state) => only({ ...state, filters: [] }) },
  {
    name: 'seek',
    takes: 'TIME',
    help: 'go to a moment: 08:13:54',
    run: (state, argument) => {
      const at = state.snapshot && timeFrom(argument, state.snapshot.first);
      return at === null
        ? failed(state, `'${argument}' is no time: write 08:13:54`)
        : only(seekTo(state, at));
    },
  },
  {
    name: 'window',
    takes: 'SPAN|all',
    help: 'count the last 90s, 5m, 1h only',
    run: (state, argument) => {
      const last = argument === 'all' || argument === '' ? null : durationFrom(argument);
      if (last === null && argument !== 'all' && argument !== '') {
        return failed(state, `'${argument}' is no span: write 90s, 5m or 1h`);
      }
      return only({ ...state, window: { last, range: null } });
    },
  },
  {
    name: 'speed',
    takes: 'FACTOR',
    help: 'replay at 0.1x to 1000x',
    run: (state, argument) => {
      const speed = Number(/^(\d+(?:\.\d+)?)x?$/.exec(argument)?.[1] ?? NaN);
      if (!(speed >= SPEEDS[0]! && speed <= SPEEDS.at(-1)!)) {
        return failed(state, `'${argument}' is no speed: write 0.1x to 1000x`);
      }
      return only(withNotice({ ...state, clock: { ...state.clock, speed } }, `speed ${speed}x`));
    },
  },
  {
    name: 'sort',
    takes: SORT_KEYS.join('|'),
    help: 'order of the table',
    run: (state, argument) =>
      SORT_KEYS.includes(argument as SortKey)
        ? only(withCursor({ ...state, sort: argument as SortKey }))
        : failed(state, `sort by ${SORT_KEYS.join(', ')}`),
  },
  {
    name: 'pods',
    takes: '',
    help: 'pods and streams',
    run: (state) => only(opened(state, { kind: 'streams', cursor: 0 })),
  },
  {
    name: 'tail',
    takes: '',
    help: 'failing lines as logged, the last one at the bottom',
    run: (state) =>
      only(
        opened(state, { kind: 'lines', scope: { row: null, where: [] }, all: false, raw: true, cursor: -1 }),
      ),
  },
  {
    name: 'dismissed',
    takes: '',
    help: 'what was looked at and found harmless',
    run: (state) => only(opened(state, { kind: 'dismissed', cursor: 0 })),
  },
  {
    name: 'help',
    takes: '',
    help: 'keys',
    run: (state) => only(opened(state, { kind: 'help', of: state.panes.at(-1)!.kind, scroll: 0 })),
  },
];

export function runCommand(state: State, text: string): Updated {
  if (text === '') return only(state);
  const name = /^\S+/.exec(text)![0];
  const argument = text.slice(name.length).trim();
  const exact = COMMANDS.find((command) => command.name === name);
  const begun = COMMANDS.filter((command) => command.name.startsWith(name));
  const command = exact ?? (begun.length === 1 ? begun[0] : undefined);
  if (command) return command.run(state, argument);
  const near = nearestWord(
    name,
    COMMANDS.map((known) => known.name),
  );
  return failed(state, `no command '${name}'${near ? `; did you mean ${near}?` : '; :help lists them'}`);
}
