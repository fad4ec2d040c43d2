import { shellWord } from '../diagnosis/words.js';
import { paneOf, type State } from './state.js';

/** The command that opens what is seen now. */
export function viewCommand(state: State): string {
  const { source, filters, window, snapshot, clock } = state;
  const inputs = source.argv.map(shellWord);
  const id = snapshot?.pane?.kind === 'journey' ? snapshot.pane.requestId : null;
  if (id !== null && paneOf(state).kind === 'journey')
    return ['meshtail', 'trace', shellWord(id), ...inputs].join(' ');
  const words = ['meshtail', ...inputs];
  for (const filter of filters) words.push('--filter', shellWord(filter));
  const iso = (ms: number): string => new Date(Math.round(ms)).toISOString();
  if (window.range) words.push('--from', iso(window.range[0]), '--to', iso(window.range[1]));
  else if (clock.now !== null && snapshot) words.push('--to', iso(clock.now));
  return words.join(' ');
}
