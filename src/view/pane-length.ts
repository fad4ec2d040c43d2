import { paneOf, type State } from './state.js';
import { streamRows } from './stream-rows.js';
import { contentOf } from './screens/content.js';

/** How many things the cursor of the focused pane can stand on; for a text, how far it scrolls. */
export function paneLength(state: State): number {
  const pane = paneOf(state);
  const data = state.snapshot?.pane;
  switch (pane.kind) {
    case 'home':
      return state.snapshot?.rows.length ?? 0;
    case 'values':
      return data?.kind === 'values' ? data.values.length : 0;
    case 'lines':
      return data?.kind === 'lines' ? data.total : 0;
    case 'journey':
      return data?.kind === 'journey' ? data.hops.length + data.findings.length : 0;
    case 'streams':
      return streamRows(state).length;
    case 'dismissed':
      return state.snapshot?.dismissed.length ?? 0;
    case 'explanation':
    case 'record':
    case 'help':
      return Math.max(1, contentOf(state, pane).length - (state.rows - CHROME) + 1);
    case 'text':
      return 1;
    default:
      return pane satisfies never;
  }
}

/** Rows that header, breadcrumb and keys take around the content of a pane. */
export const CHROME = 4;
