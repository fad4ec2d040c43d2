import { selectedRow } from './selection.js';
import { LEAST_COLUMNS, timelineCells, type State } from './state.js';

/** To a moment of the recording; at its end the clock follows it. Playing goes on from there. */
export function seekTo(state: State, at: number): State {
  const { snapshot, clock } = state;
  if (!snapshot) return state;
  const now = at >= snapshot.last ? null : Math.max(snapshot.first, at);
  return { ...state, clock: { ...clock, now, playing: clock.playing && now !== null } };
}

const NARROWEST_MS = 100;

/** Half or twice the time shown, around the moment looked at or, at the end, around where the selected failures began. */
export function zoomed(state: State, closer: boolean): State {
  const { snapshot, clock } = state;
  if (!snapshot) return state;
  const { first, last, onset, timeline } = snapshot;
  const center =
    clock.now ?? selectedRow(state)?.explanation?.onset ?? onset ?? (timeline.from + timeline.to) / 2;
  const span = Math.max(
    NARROWEST_MS * timelineCells(Math.max(state.columns, LEAST_COLUMNS)) * 0.01,
    (timeline.to - timeline.from) * (closer ? 0.5 : 2),
  );
  if (span >= last - first) return { ...state, window: { last: null, range: null } };
  const from = Math.max(first, Math.min(center - span / 2, last - span));
  return { ...state, window: { last: null, range: [from, from + span] } };
}

/** `16:02:13`, of the day that the recording begins on, or a whole RFC 3339 time; `null` for anything else. */
export function timeFrom(text: string, first: number): number | null {
  const clock = /^(\d{1,2}):(\d\d)(?::(\d\d(?:\.\d+)?))?$/.exec(text);
  if (!clock) {
    const at = Date.parse(text);
    return Number.isNaN(at) || !/^\d{4}-/.test(text) ? null : at;
  }
  const DAY = 86_400_000;
  const day = Math.floor(first / DAY) * DAY;
  const at = day + Number(clock[1]) * 3_600_000 + Number(clock[2]) * 60_000 + Number(clock[3] ?? 0) * 1000;
  // A recording that runs past midnight: the time that lies in it is meant.
  return at < first - 60_000 ? at + DAY : at;
}

/** `90s`, `5m`, `1h`; `null` for anything else. */
export function durationFrom(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  if (!found) return null;
  return Number(found[1]) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[found[2] as 'ms'];
}
