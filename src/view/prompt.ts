import { compileFilter, FilterError } from '../filter/filter.js';
import { only, type Updated } from './changes.js';
import { runCommand } from './commands.js';
import type { Prompt, State } from './state.js';

/** Keys while something is typed. */
export function typed(state: State, prompt: Prompt, key: string): Updated {
  const { text, cursor } = prompt;
  const to = (next: string, at: number): Updated =>
    only({
      ...state,
      prompt: checked({ ...prompt, text: next, cursor: Math.max(0, Math.min(next.length, at)) }),
    });
  switch (key) {
    case 'escape':
    case 'ctrl-c':
      return only({ ...state, prompt: null });
    case 'enter':
      return entered(state, prompt);
    case 'left':
      return to(text, cursor - 1);
    case 'right':
      return to(text, cursor + 1);
    case 'home':
    case 'ctrl-a':
      return to(text, 0);
    case 'end':
    case 'ctrl-e':
      return to(text, text.length);
    case 'backspace':
      if (text === '') return only({ ...state, prompt: null });
      return to(text.slice(0, Math.max(0, cursor - 1)) + text.slice(cursor), cursor - 1);
    case 'delete':
      return to(text.slice(0, cursor) + text.slice(cursor + 1), cursor);
    case 'ctrl-u':
      return to(text.slice(cursor), 0);
    case 'ctrl-w': {
      const kept = text.slice(0, cursor).replace(/\S+\s*$/, '');
      return to(kept + text.slice(cursor), kept.length);
    }
    case 'up':
      return prompt.kind === 'command' && state.lastCommand
        ? to(state.lastCommand, state.lastCommand.length)
        : only(state);
    default: {
      const sign = key === 'space' ? ' ' : key;
      if ([...sign].length !== 1 || text.length >= MOST_TYPED) return only(state);
      return to(text.slice(0, cursor) + sign + text.slice(cursor), cursor + sign.length);
    }
  }
}

const MOST_TYPED = 1_000;

function checked(prompt: Prompt): Prompt {
  if (prompt.kind !== 'filter') return { ...prompt, error: null };
  try {
    compileFilter(prompt.text);
    return { ...prompt, error: null };
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    return { ...prompt, error: { message: error.message, at: error.at } };
  }
}

function entered(state: State, prompt: Prompt): Updated {
  const text = prompt.text.trim();
  const closed = { ...state, prompt: null };
  if (prompt.kind === 'command') return runCommand({ ...closed, lastCommand: text }, text);
  if (prompt.error) return only(state);
  return only(text === '' ? closed : { ...closed, filters: [...state.filters, text] });
}
