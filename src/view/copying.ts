import { only, opened, withNotice, type Updated } from './changes.js';
import { remedies } from './screens/states.js';
import { selectedRow } from './selection.js';
import { paneOf, type State } from './state.js';

export function commandOf(state: State): string | null {
  const fix = remedies(state);
  if (fix.length > 0) return fix.join('\n');
  const pane = paneOf(state);
  const key = pane.kind === 'explanation' ? pane.row : selectedRow(state)?.key;
  const row = state.snapshot?.rows.find((one) => one.key === key);
  return row?.explanation?.next[0]?.command ?? null;
}

export function recordOf(state: State): string | null {
  const data = state.snapshot?.pane;
  const pane = paneOf(state);
  if (pane.kind === 'record' && data?.kind === 'record') {
    return data.raw ?? data.fields.map(({ name, value }) => `${name}: ${value}`).join('\n');
  }
  if (pane.kind === 'lines' && data?.kind === 'lines') {
    return data.lines[(pane.cursor < 0 ? data.total - 1 : pane.cursor) - data.from]?.text ?? null;
  }
  if (pane.kind === 'journey') return data?.kind === 'journey' ? data.requestId : null;
  return selectedRow(state)?.explanation?.summary ?? null;
}

export function copied(state: State, text: string | null, none: string): Updated {
  if (text === null) return only(withNotice(state, none));
  if (!state.canCopy) return only(opened(state, { kind: 'text', title: 'select and copy', text }));
  return { state: withNotice(state, `copied: ${text}`, 'good'), effects: [{ kind: 'copy', text }] };
}
