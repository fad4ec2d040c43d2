import { compileFilter, FilterError } from '../filter/filter.js';
import { filtered, only, type Updated } from './changes.js';
import { runCommand } from './commands.js';
import type { Prompt, State } from './state.js';

export const promptOf = (kind: Prompt['kind'], text = ''): Prompt => ({
  kind,
  text,
  cursor: text.length,
  recalled: -1,
  error: null,
});

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
      return to(text, stepped(text, cursor, -1));
    case 'right':
      return to(text, stepped(text, cursor, 1));
    case 'home':
    case 'ctrl-a':
      return to(text, 0);
    case 'end':
    case 'ctrl-e':
      return to(text, text.length);
    case 'backspace':
      if (text === '') return only({ ...state, prompt: null });
      return to(text.slice(0, stepped(text, cursor, -1)) + text.slice(cursor), stepped(text, cursor, -1));
    case 'delete':
      return to(text.slice(0, cursor) + text.slice(stepped(text, cursor, 1)), cursor);
    case 'ctrl-u':
      return to(text.slice(cursor), 0);
    case 'ctrl-w': {
      const kept = text.slice(0, cursor).replace(/\S+\s*$/, '');
      return to(kept + text.slice(cursor), kept.length);
    }
    case 'up':
    case 'down':
      return only(recalled(state, prompt, key === 'up' ? 1 : -1));
    default: {
      const sign = key === 'space' ? ' ' : key;
      if ([...sign].length !== 1 || text.length >= MOST_TYPED) return only(state);
      return to(text.slice(0, cursor) + sign + text.slice(cursor), cursor + sign.length);
    }
  }
}

/** The index a whole character further. */
function stepped(text: string, cursor: number, by: 1 | -1): number {
  if (by > 0)
    return Math.min(text.length, cursor + String.fromCodePoint(text.codePointAt(cursor) ?? 0).length);
  const last = /.$/su.exec(text.slice(0, cursor))?.[0] ?? '';
  return cursor - last.length;
}

/** Through what was entered before: up to older ones, down to newer ones and to an empty line. */
function recalled(state: State, prompt: Prompt, by: 1 | -1): State {
  const past = prompt.kind === 'filter' ? state.saved : state.lastCommand ? [state.lastCommand] : [];
  const at = Math.max(-1, Math.min(past.length - 1, prompt.recalled + by));
  if (at === prompt.recalled) return state;
  const text = past[at] ?? '';
  return { ...state, prompt: checked({ ...prompt, text, cursor: text.length, recalled: at }) };
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
  return text === '' ? only(closed) : filtered(closed, text);
}
