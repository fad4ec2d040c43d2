import { back, only, opened, withNotice, withPane, type Updated } from './changes.js';
import { commandOf, copied, recordOf } from './copying.js';
import type { Message } from './message.js';
import {
  clicked,
  drilled,
  escaped,
  explained,
  journey,
  moved,
  nextFailure,
  sideways,
  sorted,
  tail,
} from './moving.js';
import { begun, faster, paused, stepped, ticked, windowed } from './playing.js';
import { promptOf, typed } from './prompt.js';
import { rowByKey, selectedRow, withCursor } from './selection.js';
import type { Snapshot } from './snapshot.js';
import { NOTHING_READ, paneOf, specOf, WINDOWS, type State } from './state.js';
import { seekTo, zoomed } from './timing.js';
import { isAwaited, keptAhead } from './type-ahead.js';
import { viewCommand } from './view-command.js';

/** What a message makes of a state. Asks anew where the new state wants to be told something else. */
export function update(before: State, message: Message): Updated {
  const { state, effects } = verifying(react(before, message));
  const spec = specOf(state);
  const asked = JSON.stringify(spec);
  if (asked === state.asked) return { state, effects };
  return { state: { ...state, asked }, effects: [...effects, { kind: 'ask', spec }] };
}

/** The incident that is looked at is held against the cluster, if there is one. */
function verifying({ state, effects }: Updated): Updated {
  if (state.source.live?.phase !== 'streaming') return { state, effects };
  const pane = paneOf(state);
  const row = pane.kind === 'explanation' ? rowByKey(state.snapshot, pane.row) : selectedRow(state);
  if (!row?.explanation || row.key === state.verified) return { state, effects };
  return {
    state: { ...state, verified: row.key },
    effects: [...effects, { kind: 'verify', row: row.key }],
  };
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
      return caughtUp(taken(state, message.snapshot));
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
    case 'key': {
      if (state.prompt) return typed(state, state.prompt, message.key);
      const kept = keptAhead(state, message.key);
      return kept ? only(kept) : pressed({ ...state, ahead: [] }, message.key);
    }
    default:
      return message satisfies never;
  }
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
  return withCursor({ ...state, snapshot, reading });
}

/** The keys that waited for this answer, up to one that opens what is to be waited for in turn. */
function caughtUp(state: State): Updated {
  let next = only(state);
  for (let [key, ...rest] = state.ahead; key !== undefined && !isAwaited(next.state); [key, ...rest] = rest) {
    const { state: after, effects } = pressed({ ...next.state, ahead: rest }, key);
    next = { state: after, effects: [...next.effects, ...effects] };
  }
  return next;
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
      return only({ ...state, prompt: promptOf('filter') });
    case ':':
      return only({ ...state, prompt: promptOf('command') });
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
    case 'J':
      return only(journey(state));
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
      return only({ ...state, prompt: promptOf('command', 'w brief.md') });
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

/** To the logs of whoever would decide; only a cluster has more than what was given. */
function widened(state: State): Updated {
  if (!state.source.live) {
    return only(withNotice(state, "saved logs cannot be widened: name the other side's log files too"));
  }
  const pane = paneOf(state);
  const row = pane.kind === 'explanation' ? pane.row : (selectedRow(state)?.key ?? null);
  return { state, effects: [{ kind: 'widen', row }] };
}
