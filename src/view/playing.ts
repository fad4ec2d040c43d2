import { withNotice } from './changes.js';
import type { Message } from './message.js';
import { SPEEDS, WINDOWS, type State } from './state.js';
import { seekTo } from './timing.js';

export function begun(state: State, { from, to, play }: Extract<Message, { kind: 'begin' }>): State {
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

export function ticked(state: State, elapsedMs: number): State {
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

/** A finished recording plays or stands; one that is still read, or a live target, freezes. */
export function paused(state: State): State {
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
export function stepped(state: State, by: 1 | -1): State {
  const { snapshot, clock } = state;
  if (!snapshot) return state;
  const second = snapshot.last - snapshot.first > 10_000 ? 1_000 : 100;
  return seekTo(state, (clock.now ?? snapshot.last) + by * second);
}

export function faster(state: State, by: 1 | -1): State {
  const { clock } = state;
  const at = SPEEDS.findIndex((speed) => speed >= clock.speed);
  const speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at + by))]!;
  return withNotice({ ...state, clock: { ...clock, speed } }, `speed ${speed}x`);
}

export function windowed(state: State, index: number): State {
  return { ...state, window: { last: WINDOWS[index] ?? null, range: null } };
}
