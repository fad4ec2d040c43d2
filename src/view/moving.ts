import { back, only, opened, withNotice, withPane, type Updated } from './changes.js';
import { paneLength } from './pane-length.js';
import { chipsLine } from './screens/header.js';
import { barRows } from './screens/home.js';
import { isWaiting, lostLines } from './screens/states.js';
import { selectedRow, sortedRows, withCursor } from './selection.js';
import { VIEW_DIMENSIONS, type JourneyOf } from './snapshot.js';
import { paneOf, SORT_KEYS, timelineCells, type Pane, type State } from './state.js';
import { seekTo } from './timing.js';

/** Out of the pane, then out of what narrows the view; never out of the program. */
export function escaped(state: State): State {
  if (state.notice) return { ...state, notice: null };
  if (state.panes.length > 1) return back(state);
  if (state.filters.length > 0) return { ...state, filters: state.filters.slice(0, -1) };
  if (state.window.range || state.window.last !== null)
    return { ...state, window: { last: null, range: null } };
  return state;
}

export function moved(state: State, by: number): State {
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
        // `g` follows the first row, whichever it becomes.
        homeKey: by === -Infinity ? null : (sortedRows(state.snapshot, state.sort)[homeCursor]?.key ?? null),
      };
    }
    case 'lines': {
      const cursor = to(pane.cursor < 0 ? last : pane.cursor);
      // G stays at the end, whatever comes.
      return withPane(state, { ...pane, cursor: by === Infinity ? -1 : cursor });
    }
    case 'values':
    case 'journey':
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

export function drilled(state: State): State {
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
    case 'journey': {
      if (data?.kind !== 'journey') return state;
      const item = [...data.hops, ...data.findings][pane.cursor];
      return item ? opened(state, { kind: 'record', ref: item.ref, scroll: 0 }) : state;
    }
    default:
      return state;
  }
}

export function sideways(state: State, by: 1 | -1): State {
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

export function sorted(state: State): State {
  const sort = SORT_KEYS[(SORT_KEYS.indexOf(state.sort) + 1) % SORT_KEYS.length]!;
  return withNotice(withCursor({ ...state, sort }), `sorted by ${sort}`);
}

export function explained(state: State): State {
  const pane = paneOf(state);
  if (pane.kind === 'explanation') return back(state);
  const key =
    pane.kind === 'values' || pane.kind === 'lines' ? pane.scope.row : (selectedRow(state)?.key ?? null);
  return key === null
    ? withNotice(state, 'nothing to explain here')
    : opened(state, { kind: 'explanation', row: key, scroll: 0 });
}

/** Of the line that is looked at, else of one of the row's failed requests. */
export function journey(state: State): State {
  const pane = paneOf(state);
  if (pane.kind === 'journey') return back(state);
  const of = journeyOf(state, pane);
  return of
    ? opened(state, { kind: 'journey', of, cursor: 0 })
    : withNotice(state, 'no request to follow here');
}

function journeyOf(state: State, pane: Pane): JourneyOf | null {
  const data = state.snapshot?.pane;
  switch (pane.kind) {
    case 'home': {
      const row = selectedRow(state)?.key;
      return row === undefined ? null : { row };
    }
    case 'explanation':
      return { row: pane.row };
    case 'values':
      return pane.scope.row === null ? null : { row: pane.scope.row };
    case 'lines': {
      if (data?.kind !== 'lines') return null;
      const line = data.lines[(pane.cursor < 0 ? data.total - 1 : pane.cursor) - data.from];
      return line ? { ref: line.ref } : null;
    }
    case 'record':
      return { ref: pane.ref };
    default:
      return null;
  }
}

export function tail(state: State): State {
  const pane = paneOf(state);
  const scope = pane.kind === 'values' ? pane.scope : { row: null, where: [] };
  if (pane.kind === 'lines') return state;
  return opened(state, { kind: 'lines', scope, all: false, raw: true, cursor: -1 });
}

export function nextFailure(state: State, direction: 1 | -1): Updated {
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

/** A click on the timeline seeks to its cell. */
export function clicked(state: State, row: number, column: number): State {
  const pane = paneOf(state);
  if (pane.kind !== 'home' || !state.snapshot || isWaiting(state)) return state;
  // Header, chips, lost streams and numbers stand above it.
  const top = 2 + (chipsLine(state) ? 1 : 0) + lostLines(state).length;
  // Below the bars stand the times.
  if (row < top || row > top + barRows(state.snapshot, state.rows - top)) return state;
  const { timeline } = state.snapshot;
  const cell = Math.max(0, Math.min(timelineCells(state.columns) - 1, column - 1));
  const span = timeline.to - timeline.from;
  return seekTo(state, timeline.from + (span * (cell + 1)) / timelineCells(state.columns));
}
