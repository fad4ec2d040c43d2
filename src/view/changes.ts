import type { Effect } from './message.js';
import { withSaved } from './saved.js';
import type { Pane, State } from './state.js';

export interface Updated {
  readonly state: State;
  readonly effects: readonly Effect[];
}

export const only = (state: State): Updated => ({ state, effects: [] });

const NOTICE_MS = 6_000;

export const withNotice = (state: State, text: string, tone: 'plain' | 'bad' | 'good' = 'plain'): State => ({
  ...state,
  notice: { text, tone, leftMs: NOTICE_MS },
});

const MOST_PANES = 32;

export function opened(state: State, pane: Pane): State {
  return state.panes.length >= MOST_PANES
    ? withNotice(state, 'too deep: esc goes back')
    : { ...state, panes: [...state.panes, pane] };
}

export function withPane(state: State, pane: Pane): State {
  return { ...state, panes: [...state.panes.slice(0, -1), pane] };
}

export const back = (state: State): State =>
  state.panes.length > 1 ? { ...state, panes: state.panes.slice(0, -1) } : state;

/** One more chip, which is also kept for later. */
export function filtered(state: State, filter: string): Updated {
  return {
    state: {
      ...state,
      filters: [...state.filters.filter((one) => one !== filter), filter],
      saved: withSaved(state.saved, filter),
    },
    effects: [{ kind: 'save', filter }],
  };
}
