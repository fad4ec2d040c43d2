import { paneOf, type Pane, type State } from './state.js';

/*
 * Keys that act on what a pane lists are kept while its answer is on the way: who types `enter enter` means the second one
 * for what the first one opens. Counting a pane takes a moment, on a long recording seconds.
 */

const KEPT: ReadonlySet<string> = new Set(['enter', 'up', 'down', 'j', 'k', 'g', 'G', 'pageup', 'pagedown']);
/** Panes that only an explained moment can fill. */
const LISTING: ReadonlySet<Pane['kind']> = new Set(['values', 'lines', 'journey']);
const MOST_KEPT = 16;

/** The snapshot answers another pane than the focused one. */
export function isAwaited(state: State): boolean {
  const pane = paneOf(state);
  if (state.snapshot?.explained === false) return LISTING.has(pane.kind);
  const answered = state.snapshot?.spec.pane;
  if (pane.kind === 'values') {
    return (
      answered?.kind !== 'values' ||
      answered.dimension !== pane.dimension ||
      !same(answered.scope, pane.scope)
    );
  }
  if (pane.kind === 'lines') {
    return answered?.kind !== 'lines' || answered.all !== pane.all || !same(answered.scope, pane.scope);
  }
  if (pane.kind === 'journey') return answered?.kind !== 'journey' || !same(answered.of, pane.of);
  return false;
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** The state with a key kept for later; `null` where it can act now. Any key that acts now ends the waiting of others. */
export function keptAhead(state: State, key: string): State | null {
  if (!KEPT.has(key) || !isAwaited(state)) return null;
  return { ...state, ahead: [...state.ahead, key].slice(0, MOST_KEPT) };
}
