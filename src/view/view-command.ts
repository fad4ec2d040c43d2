import { shellWord } from '../diagnosis/words.js';
import type { State } from './state.js';

/** The command that opens what is seen now. */
export function viewCommand(state: State): string {
  const { source, filters, window, snapshot, clock } = state;
  const words = ['meshtail', ...source.argv.map(shellWord)];
  for (const filter of filters) words.push('--filter', shellWord(filter));
  const iso = (ms: number): string => new Date(Math.round(ms)).toISOString();
  if (window.range) words.push('--from', iso(window.range[0]), '--to', iso(window.range[1]));
  else if (clock.now !== null && snapshot) words.push('--to', iso(clock.now));
  return words.join(' ');
}
