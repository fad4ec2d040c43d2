import type { Live } from './live.js';
import { selectedRow } from './selection.js';
import type {
  JourneyOf,
  PaneSpec,
  Reading,
  Scope,
  Snapshot,
  Spec,
  ViewDimension,
  Window,
} from './snapshot.js';

export interface Source {
  /** What is looked at: a folder, a file, a target as `deploy/payments`. */
  readonly title: string;
  /** Where the target is; absent in replay. */
  readonly cluster?: { readonly context: string; readonly namespace: string };
  readonly live: Live | null;
  /** The words of the command line that opened it, for `Y`. */
  readonly argv: readonly string[];
}

export type SortKey = 'impact' | 'failed' | 'rate' | 'share' | 'since' | 'upstream';
export const SORT_KEYS: readonly SortKey[] = ['impact', 'failed', 'rate', 'share', 'since', 'upstream'];

export type Pane =
  | { readonly kind: 'home' }
  | { readonly kind: 'explanation'; readonly row: string; readonly scroll: number }
  | {
      readonly kind: 'values';
      readonly scope: Scope;
      readonly dimension: ViewDimension;
      readonly cursor: number;
    }
  | {
      readonly kind: 'lines';
      readonly scope: Scope;
      /** Healthy lines too. */
      readonly all: boolean;
      /** As logged, not in columns. */
      readonly raw: boolean;
      /** Index among all lines of the pane; -1: the last one, whatever comes. */
      readonly cursor: number;
    }
  | { readonly kind: 'record'; readonly ref: string; readonly scroll: number }
  /** The cursor stands on a hop, and after the last one on what the lines say. */
  | { readonly kind: 'journey'; readonly of: JourneyOf; readonly cursor: number }
  | { readonly kind: 'streams'; readonly cursor: number }
  | { readonly kind: 'dismissed'; readonly cursor: number }
  | { readonly kind: 'help'; readonly of: Pane['kind']; readonly scroll: number }
  /** Text shown to be selected, where the terminal takes no copy. */
  | { readonly kind: 'text'; readonly title: string; readonly text: string };

export interface Prompt {
  readonly kind: 'filter' | 'command';
  readonly text: string;
  /** Index in the text. */
  readonly cursor: number;
  /** Which of the saved filters it is; -1: none of them. */
  readonly recalled: number;
  /** What is wrong, and at which column from 1. */
  readonly error: { readonly message: string; readonly at: number } | null;
}

export interface State {
  readonly columns: number;
  readonly rows: number;
  readonly ascii: boolean;
  readonly canCopy: boolean;
  readonly source: Source;
  readonly reading: Reading;
  readonly snapshot: Snapshot | null;
  readonly clock: { readonly now: number | null; readonly playing: boolean; readonly speed: number };
  /** Reading or streaming goes on unseen: the lines read when the picture was frozen. */
  readonly frozenAt: number | null;
  readonly window: Window;
  /** In force, as chips. */
  readonly filters: readonly string[];
  /** Entered before, here or in another session; newest first. */
  readonly saved: readonly string[];
  readonly sort: SortKey;
  readonly panes: readonly Pane[];
  readonly homeCursor: number;
  /** The row that was moved to, so that the cursor stays on it when rows move; `null`: the first one. */
  readonly homeKey: string | null;
  readonly prompt: Prompt | null;
  readonly notice: {
    readonly text: string;
    readonly tone: 'plain' | 'bad' | 'good';
    readonly leftMs: number;
  } | null;
  /** Keys that wait for what they act on. */
  readonly ahead: readonly string[];
  /** What was asked last, as JSON. */
  readonly asked: string;
  /** The incident that the cluster was asked about last. */
  readonly verified: string | null;
  readonly lastCommand: string;
}

/** Columns of running text: longer lines are hard to read. */
export const MOST_TEXT = 116;
/** Where it begins beside its labels. */
export const TEXT_AT = 11;

export const LEAST_COLUMNS = 60;
export const LEAST_ROWS = 15;

export const SPEEDS: readonly number[] = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/** 0 is everything; the others as k9s numbers them from 2 on. */
export const WINDOWS: readonly (number | null)[] = [
  null,
  30_000,
  60_000,
  300_000,
  900_000,
  1_800_000,
  3_600_000,
];

export const NOTHING_READ: Reading = {
  done: false,
  share: 0,
  lines: 0,
  inputs: 0,
  inputsDone: 0,
  failed: [],
};

export function initialState(
  set: Pick<State, 'columns' | 'rows' | 'ascii' | 'canCopy' | 'source'> &
    Partial<Pick<State, 'filters' | 'saved' | 'window' | 'clock'>>,
): State {
  return {
    reading: NOTHING_READ,
    snapshot: null,
    clock: { now: null, playing: false, speed: 1 },
    frozenAt: null,
    window: { last: null, range: null },
    filters: [],
    saved: [],
    sort: 'impact',
    panes: [{ kind: 'home' }],
    homeCursor: 0,
    homeKey: null,
    prompt: null,
    notice: null,
    ahead: [],
    asked: '',
    verified: null,
    lastCommand: '',
    ...set,
  };
}

export const paneOf = (state: State): Pane => state.panes.at(-1)!;

const PAGE = 100;

/** Width of the timeline: one cell a column, but for the margins. */
export const timelineCells = (columns: number): number => Math.max(10, columns - 7);

/** Everything that the state wants to be told. */
export function specOf(state: State): Spec {
  const pane = paneOf(state);
  return {
    now: state.clock.now,
    playing: state.clock.playing,
    window: state.window,
    filter: filterOf(state),
    cells: timelineCells(state.columns),
    pane: paneSpecOf(state, pane),
  };
}

function paneSpecOf(state: State, pane: Pane): PaneSpec {
  switch (pane.kind) {
    case 'home':
      return homeSpecOf(state);
    case 'values':
      return { kind: 'values', scope: pane.scope, dimension: pane.dimension };
    case 'lines': {
      const from = pane.cursor < 0 ? -1 : Math.max(0, (Math.floor(pane.cursor / PAGE) - 1) * PAGE);
      return { kind: 'lines', scope: pane.scope, all: pane.all, from, count: 3 * PAGE };
    }
    case 'record':
      return { kind: 'record', ref: pane.ref };
    case 'journey':
      return { kind: 'journey', of: pane.of, columns: journeyColumns(state.columns) };
    default:
      return { kind: 'none' };
  }
}

/** A tall screen draws an example of the selected incident below its explanation. */
function homeSpecOf(state: State): PaneSpec {
  const { snapshot, rows, columns, frozenAt } = state;
  if (!snapshot || rows < EXAMPLE_ROWS) return { kind: 'none' };
  // Another question would bring another picture.
  if (frozenAt !== null) return snapshot.spec.pane;
  const row = selectedRow(state);
  if (!row?.explanation?.example) return { kind: 'none' };
  return { kind: 'journey', of: { row: row.key }, columns: Math.min(columns, MOST_TEXT) - TEXT_AT };
}

const EXAMPLE_ROWS = 36;

/** Beside the sign of the selected one; running any wider, a bar is far from its name. */
const journeyColumns = (columns: number): number => Math.min(columns, 140) - 3;

/** The chips, and what is being typed as far as it can be read. */
export function filterOf({ filters, prompt }: State): string {
  const typed = prompt?.kind === 'filter' && prompt.error === null ? [prompt.text.trim()] : [];
  return [...filters, ...typed].filter((text) => text !== '').join(' ');
}
