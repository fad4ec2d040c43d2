import { compileFilter, FilterError } from '../filter/filter.js';
import { only, opened, withNotice, type Updated } from './changes.js';
import { runCommand } from './commands.js';
import type { Message } from './message.js';
import { paneLength } from './pane-length.js';
import { selectedRow, sortedRows } from './selection.js';
import { remedies } from './screens/states.js';
import { VIEW_DIMENSIONS, type Snapshot } from './snapshot.js';
import {
  NOTHING_READ,
  paneOf,
  SORT_KEYS,
  SPEEDS,
  specOf,
  timelineCells,
  WINDOWS,
  type Pane,
  type Prompt,
  type State,
} from './state.js';
import { seekTo, zoomed } from './timing.js';
import { viewCommand } from './view-command.js';

/** What a message makes of a state. Asks anew where the new state wants to be told something else. */
export function update(before: State, message: Message): Updated {
  const { state, effects } = react(before, message);
  const spec = specOf(state);
  const asked = JSON.stringify(spec);
  if (asked === state.asked) return { state, effects };
  return { state: { ...state, asked }, effects: [...effects, { kind: 'ask', spec }] };
}

function react(state: State, message: Message): Updated {
  switch (message.kind) {
    case 'size':
      return only({ ...state, columns: message.columns, rows: message.rows });
    case 'tick':
      return only(ticked(state, message.elapsedMs));
    case 'progress':
      return only({ ...state, reading: message.reading });
    case 'snapshot':
      return only(taken(state, message.snapshot));
    case 'found':
      return only(
        message.at === null ? withNotice(state, 'no further failure that way') : seekTo(state, message.at),
      );
    case 'begin':
      return only(begun(state, message));
    case 'live':
      return only({ ...state, source: { ...state.source, live: message.live } });
    case 'notice':
      return only(withNotice(state, message.text, message.tone));
    case 'wheel':
      return only(moved(state, message.by * 3));
    case 'click':
      return only(clicked(state, message.row, message.column));
    case 'key':
      return state.prompt ? typed(state, state.prompt, message.key) : pressed(state, message.key);
    default:
      return message satisfies never;
  }
}

function begun(state: State, { from, to, play }: Extract<Message, { kind: 'begin' }>): State {
  const { snapshot, clock } = state;
  if (!snapshot) return state;
  const range: State['window']['range'] =
    from === null && to === null ? null : [from ?? snapshot.first, to ?? snapshot.last];
  const next: State = range ? { ...state, window: { last: null, range } } : state;
  if (play) return { ...next, clock: { ...clock, now: from ?? snapshot.first, playing: true } };
  // A pace that shows the whole in about a minute.
  const pace = (snapshot.last - snapshot.first) / 60_000;
  return { ...next, clock: { ...clock, speed: SPEEDS.find((speed) => speed >= Math.max(1, pace)) ?? 1000 } };
}

function ticked(state: State, elapsedMs: number): State {
  const { notice, clock, snapshot } = state;
  let next = state;
  if (notice) {
    const leftMs = notice.leftMs - elapsedMs;
    next = { ...next, notice: leftMs > 0 ? { ...notice, leftMs } : null };
  }
  if (clock.playing && snapshot && clock.now !== null) {
    const now = clock.now + elapsedMs * clock.speed;
    next = {
      ...next,
      clock: now >= snapshot.last ? { ...clock, now: null, playing: false } : { ...clock, now },
    };
  }
  return next;
}

/** A new picture; while the screen is frozen only the counter moves. */
function taken(state: State, snapshot: Snapshot): State {
  const reading = snapshot.reading === NOTHING_READ ? state.reading : snapshot.reading;
  if (
    state.frozenAt !== null &&
    state.snapshot &&
    JSON.stringify(snapshot.spec) === JSON.stringify(state.snapshot.spec)
  ) {
    return { ...state, reading };
  }
  const next = { ...state, snapshot, reading };
  const rows = sortedRows(snapshot, state.sort);
  const kept = rows.findIndex(({ key }) => key === state.homeKey);
  // Rows come and go; the cursor stays on its row, else near its place.
  const homeCursor = kept >= 0 ? kept : Math.max(0, Math.min(state.homeCursor, rows.length - 1));
  return { ...next, homeCursor, homeKey: rows[homeCursor]?.key ?? null };
}

function withPane(state: State, pane: Pane): State {
  return { ...state, panes: [...state.panes.slice(0, -1), pane] };
}

function pressed(state: State, key: string): Updated {
  const pane = paneOf(state);
  switch (key) {
    case 'ctrl-c':
      return { state, effects: [{ kind: 'quit' }] };
    case 'ctrl-z':
      return { state, effects: [{ kind: 'suspend' }] };
    case 'ctrl-l':
      return { state, effects: [{ kind: 'repaint' }] };
    case 'q':
      return state.panes.length > 1 ? only(back(state)) : { state, effects: [{ kind: 'quit' }] };
    case 'escape':
      return only(escaped(state));
    case 'enter':
      return only(drilled(state));
    case 'up':
    case 'k':
      return only(moved(state, -1));
    case 'down':
    case 'j':
      return only(moved(state, 1));
    case 'pageup':
    case 'ctrl-b':
      return only(moved(state, -pageOf(state)));
    case 'pagedown':
    case 'ctrl-f':
      return only(moved(state, pageOf(state)));
    case 'g':
      return only(moved(state, -Infinity));
    case 'G':
      return only(moved(state, Infinity));
    case 'left':
      return only(sideways(state, -1));
    case 'right':
      return only(sideways(state, 1));
    case 'tab':
      return only(pane.kind === 'values' ? sideways(state, 1) : drilled(state));
    case 'shift-tab':
      return only(pane.kind === 'values' ? sideways(state, -1) : state);
    case 'home':
      return only(state.snapshot ? seekTo(state, state.snapshot.first) : state);
    case 'end':
      return only({ ...state, clock: { ...state.clock, now: null, playing: false } });
    case '/':
      return only({ ...state, prompt: { kind: 'filter', text: '', cursor: 0, error: null } });
    case ':':
      return only({ ...state, prompt: { kind: 'command', text: '', cursor: 0, error: null } });
    case 'space':
      return only(paused(state));
    case '.':
    case ',':
      return only(stepped(state, key === '.' ? 1 : -1));
    case '>':
    case '<':
      return only(faster(state, key === '>' ? 1 : -1));
    case 't':
      return only(windowed(state, (WINDOWS.indexOf(state.window.last) + 1) % WINDOWS.length));
    case 'z':
    case 'Z':
      return only(zoomed(state, key === 'z'));
    case ']':
    case '[':
      return nextFailure(state, key === ']' ? 1 : -1);
    case 'e':
      return only(explained(state));
    case 'p':
      return only(pane.kind === 'streams' ? state : opened(state, { kind: 'streams', cursor: 0 }));
    case 'd':
      return only(pane.kind === 'dismissed' ? state : opened(state, { kind: 'dismissed', cursor: 0 }));
    case 'l':
      return only(tail(state));
    case 'f':
      return only(
        pane.kind === 'lines'
          ? withNotice(
              withPane(state, { ...pane, all: !pane.all, cursor: 0 }),
              pane.all ? 'failing lines only' : 'healthy lines too',
            )
          : state,
      );
    case 'r':
      return only(pane.kind === 'lines' ? withPane(state, { ...pane, raw: !pane.raw }) : state);
    case 's':
      return only(sorted(state));
    case '+':
      return widened(state);
    case 'c':
      return copied(state, commandOf(state), 'no command to copy here');
    case 'y':
      return copied(state, recordOf(state), 'nothing to copy here');
    case 'Y':
      return copied(state, viewCommand(state), '');
    case 'w':
      return only({
        ...state,
        prompt: { kind: 'command', text: 'w brief.md', cursor: 'w brief.md'.length, error: null },
      });
    case '?':
      return only(
        pane.kind === 'help' ? back(state) : opened(state, { kind: 'help', of: pane.kind, scroll: 0 }),
      );
    case 'x':
      return only(state.filters.length > 0 ? { ...state, filters: state.filters.slice(0, -1) } : state);
    default:
      if (/^[0-6]$/.test(key)) return only(windowed(state, Number(key)));
      return only(state);
  }
}

const pageOf = (state: State): number => Math.max(1, state.rows - 8);

const back = (state: State): State =>
  state.panes.length > 1 ? { ...state, panes: state.panes.slice(0, -1) } : state;

/** Out of the pane, then out of what narrows the view; never out of the program. */
function escaped(state: State): State {
  if (state.notice) return { ...state, notice: null };
  if (state.panes.length > 1) return back(state);
  if (state.filters.length > 0) return { ...state, filters: state.filters.slice(0, -1) };
  if (state.window.range || state.window.last !== null)
    return { ...state, window: { last: null, range: null } };
  return state;
}

function moved(state: State, by: number): State {
  const pane = paneOf(state);
  const last = Math.max(0, paneLength(state) - 1);
  const to = (from: number): number => Math.max(0, Math.min(last, from + by));
  switch (pane.kind) {
    case 'home': {
      if (!state.snapshot) return state;
      const homeCursor = to(state.homeCursor);
      return {
        ...state,
        homeCursor,
        homeKey: sortedRows(state.snapshot, state.sort)[homeCursor]?.key ?? null,
      };
    }
    case 'lines': {
      const cursor = to(pane.cursor < 0 ? last : pane.cursor);
      // G stays at the end, whatever comes.
      return withPane(state, { ...pane, cursor: by === Infinity ? -1 : cursor });
    }
    case 'values':
    case 'streams':
    case 'dismissed':
      return withPane(state, { ...pane, cursor: to(pane.cursor) });
    case 'explanation':
    case 'record':
    case 'help':
      return withPane(state, { ...pane, scroll: to(pane.scroll) });
    case 'text':
      return state;
    default:
      return pane satisfies never;
  }
}

function drilled(state: State): State {
  const pane = paneOf(state);
  const data = state.snapshot?.pane;
  switch (pane.kind) {
    case 'home': {
      const row = selectedRow(state);
      if (!row) return state;
      return opened(state, {
        kind: 'values',
        scope: { row: row.key, where: [] },
        dimension: 'pod',
        cursor: 0,
      });
    }
    case 'explanation':
      return opened(state, {
        kind: 'values',
        scope: { row: pane.row, where: [] },
        dimension: 'pod',
        cursor: 0,
      });
    case 'values': {
      if (data?.kind !== 'values' || data.dimension !== pane.dimension) return state;
      const value = data.values[pane.cursor];
      if (!value) return state;
      const where = [...pane.scope.where, { dimension: pane.dimension, value: value.value }];
      return opened(state, {
        kind: 'lines',
        scope: { ...pane.scope, where },
        all: value.failures === 0,
        raw: false,
        cursor: 0,
      });
    }
    case 'lines': {
      if (data?.kind !== 'lines') return state;
      const cursor = pane.cursor < 0 ? data.total - 1 : pane.cursor;
      const line = data.lines[cursor - data.from];
      return line ? opened(state, { kind: 'record', ref: line.ref, scroll: 0 }) : state;
    }
    default:
      return state;
  }
}

function sideways(state: State, by: 1 | -1): State {
  const pane = paneOf(state);
  if (pane.kind === 'values') {
    const at = VIEW_DIMENSIONS.indexOf(pane.dimension);
    const dimension = VIEW_DIMENSIONS[(at + by + VIEW_DIMENSIONS.length) % VIEW_DIMENSIONS.length]!;
    return withPane(state, { ...pane, dimension, cursor: 0 });
  }
  if (pane.kind === 'home' && state.snapshot) {
    const { timeline, now } = state.snapshot;
    const cell = (timeline.to - timeline.from) / timelineCells(state.columns);
    return seekTo(state, (state.clock.now ?? Math.max(now, state.snapshot.last)) + by * Math.max(cell, 1));
  }
  return state;
}

/** A finished recording plays or stands; one that is still read, or a live target, freezes. */
function paused(state: State): State {
  const { clock, snapshot, frozenAt } = state;
  if (!snapshot) return state;
  // What went by meanwhile is asked for again.
  if (frozenAt !== null) return { ...state, frozenAt: null, asked: '' };
  if (!state.reading.done || state.source.live) return { ...state, frozenAt: state.reading.lines };
  if (clock.playing) return { ...state, clock: { ...clock, playing: false } };
  if (clock.now === null) return { ...state, clock: { ...clock, now: snapshot.first, playing: true } };
  return { ...state, clock: { ...clock, playing: true } };
}

/** One second of the recording, or less where all of it is short. */
function stepped(state: State, by: 1 | -1): State {
  const { snapshot, clock } = state;
  if (!snapshot) return state;
  const second = snapshot.last - snapshot.first > 10_000 ? 1_000 : 100;
  return seekTo(state, (clock.now ?? snapshot.last) + by * second);
}

function faster(state: State, by: 1 | -1): State {
  const { clock } = state;
  const at = SPEEDS.findIndex((speed) => speed >= clock.speed);
  const speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at + by))]!;
  return withNotice({ ...state, clock: { ...clock, speed } }, `speed ${speed}x`);
}

function windowed(state: State, index: number): State {
  return { ...state, window: { last: WINDOWS[index] ?? null, range: null } };
}

function sorted(state: State): State {
  const sort = SORT_KEYS[(SORT_KEYS.indexOf(state.sort) + 1) % SORT_KEYS.length]!;
  const next = { ...state, sort, homeCursor: 0 };
  return withNotice(
    { ...next, homeKey: state.snapshot ? (sortedRows(state.snapshot, sort)[0]?.key ?? null) : null },
    `sorted by ${sort}`,
  );
}

function explained(state: State): State {
  const pane = paneOf(state);
  if (pane.kind === 'explanation') return back(state);
  const key =
    pane.kind === 'values' || pane.kind === 'lines' ? pane.scope.row : (selectedRow(state)?.key ?? null);
  return key === null
    ? withNotice(state, 'nothing to explain here')
    : opened(state, { kind: 'explanation', row: key, scroll: 0 });
}

function tail(state: State): State {
  const pane = paneOf(state);
  const scope = pane.kind === 'values' ? pane.scope : { row: null, where: [] };
  if (pane.kind === 'lines') return state;
  return opened(state, { kind: 'lines', scope, all: false, raw: true, cursor: -1 });
}

function nextFailure(state: State, direction: 1 | -1): Updated {
  const pane = paneOf(state);
  const { snapshot } = state;
  if (!snapshot) return only(state);
  if (pane.kind === 'lines' && snapshot.pane?.kind === 'lines') {
    const { from, lines, total } = snapshot.pane;
    const start = pane.cursor < 0 ? total - 1 : pane.cursor;
    for (let at = start + direction; lines[at - from]; at += direction) {
      if (lines[at - from]!.failure) return only(withPane(state, { ...pane, cursor: at }));
    }
    return only(withNotice(state, 'no further failure that way'));
  }
  const from = state.clock.now ?? snapshot.last + 1;
  return { state, effects: [{ kind: 'find', from, direction }] };
}

/** To the logs of whoever would decide; only a cluster has more than what was given. */
function widened(state: State): Updated {
  if (!state.source.live) {
    return only(withNotice(state, "saved logs cannot be widened: name the other side's log files too"));
  }
  const pane = paneOf(state);
  const row = pane.kind === 'explanation' ? pane.row : (selectedRow(state)?.key ?? null);
  return { state, effects: [{ kind: 'widen', row }] };
}

function commandOf(state: State): string | null {
  const fix = remedies(state);
  if (fix.length > 0) return fix.join('\n');
  const pane = paneOf(state);
  const key = pane.kind === 'explanation' ? pane.row : selectedRow(state)?.key;
  const row = state.snapshot?.rows.find((one) => one.key === key);
  return row?.explanation?.next[0]?.command ?? null;
}

function recordOf(state: State): string | null {
  const data = state.snapshot?.pane;
  const pane = paneOf(state);
  if (pane.kind === 'record' && data?.kind === 'record') {
    return data.raw ?? data.fields.map(({ name, value }) => `${name}: ${value}`).join('\n');
  }
  if (pane.kind === 'lines' && data?.kind === 'lines') {
    return data.lines[(pane.cursor < 0 ? data.total - 1 : pane.cursor) - data.from]?.text ?? null;
  }
  return selectedRow(state)?.explanation?.summary ?? null;
}

function copied(state: State, text: string | null, none: string): Updated {
  if (text === null) return only(withNotice(state, none));
  if (!state.canCopy) return only(opened(state, { kind: 'text', title: 'select and copy', text }));
  return { state: withNotice(state, `copied: ${text}`, 'good'), effects: [{ kind: 'copy', text }] };
}

/** Keys while something is typed. */
function typed(state: State, prompt: Prompt, key: string): Updated {
  const { text, cursor } = prompt;
  const to = (next: string, at: number): Updated =>
    only({
      ...state,
      prompt: checked({ ...prompt, text: next, cursor: Math.max(0, Math.min(next.length, at)) }),
    });
  switch (key) {
    case 'escape':
    case 'ctrl-c':
      return only({ ...state, prompt: null });
    case 'enter':
      return entered(state, prompt);
    case 'left':
      return to(text, cursor - 1);
    case 'right':
      return to(text, cursor + 1);
    case 'home':
    case 'ctrl-a':
      return to(text, 0);
    case 'end':
    case 'ctrl-e':
      return to(text, text.length);
    case 'backspace':
      if (text === '') return only({ ...state, prompt: null });
      return to(text.slice(0, Math.max(0, cursor - 1)) + text.slice(cursor), cursor - 1);
    case 'delete':
      return to(text.slice(0, cursor) + text.slice(cursor + 1), cursor);
    case 'ctrl-u':
      return to(text.slice(cursor), 0);
    case 'ctrl-w': {
      const kept = text.slice(0, cursor).replace(/\S+\s*$/, '');
      return to(kept + text.slice(cursor), kept.length);
    }
    case 'up':
      return prompt.kind === 'command' && state.lastCommand
        ? to(state.lastCommand, state.lastCommand.length)
        : only(state);
    default: {
      const sign = key === 'space' ? ' ' : key;
      if ([...sign].length !== 1 || text.length >= MOST_TYPED) return only(state);
      return to(text.slice(0, cursor) + sign + text.slice(cursor), cursor + sign.length);
    }
  }
}

const MOST_TYPED = 1_000;

function checked(prompt: Prompt): Prompt {
  if (prompt.kind !== 'filter') return { ...prompt, error: null };
  try {
    compileFilter(prompt.text);
    return { ...prompt, error: null };
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    return { ...prompt, error: { message: error.message, at: error.at } };
  }
}

function entered(state: State, prompt: Prompt): Updated {
  const text = prompt.text.trim();
  const closed = { ...state, prompt: null };
  if (prompt.kind === 'command') return runCommand({ ...closed, lastCommand: text }, text);
  if (prompt.error) return only(state);
  return only(text === '' ? closed : { ...closed, filters: [...state.filters, text] });
}

function clicked(state: State, row: number, column: number): State {
  const pane = paneOf(state);
  if (pane.kind !== 'home' || !state.snapshot) return state;
  // The first rows are header, numbers and timeline: a click there seeks.
  if (row >= 2 && row < 6) {
    const { timeline } = state.snapshot;
    const cell = Math.max(0, Math.min(timelineCells(state.columns) - 1, column - 1));
    const span = timeline.to - timeline.from;
    return seekTo(state, timeline.from + (span * (cell + 1)) / timelineCells(state.columns));
  }
  return state;
}
