import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { compileFilter, FilterError } from '../filter/filter.js';
import { MOST_SAVED, withSaved } from '../view/saved.js';
import type { Environment } from './environment.js';

/*
 * Filters entered on the screen outlive it: one a line, newest first, in meshtail/filters below XDG_STATE_HOME (or
 * ~/.local/state). Whatever else stands there is passed over: a file that a person edited, or another version wrote, must
 * not keep the screen from coming up.
 */

/** A file larger than this is none of ours. */
const MOST_CHARACTERS = 100_000;

/** `null` where there is no home to keep anything in. */
export function savedFiltersPath(env: Environment['env']): string | null {
  const { XDG_STATE_HOME: state, HOME: home } = env;
  // The specification wants relative paths ignored.
  if (state?.startsWith('/')) return join(state, 'meshtail', 'filters');
  return home?.startsWith('/') ? join(home, '.local', 'state', 'meshtail', 'filters') : null;
}

export function readSavedFilters(path: string | null): readonly string[] {
  if (path === null) return [];
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    // Not there yet, or not for us to read: nothing is saved then.
    return [];
  }
  if (text.length > MOST_CHARACTERS) return [];
  const lines = text.split('\n').map((line) => line.trim());
  return [...new Set(lines)].filter(isFilter).slice(0, MOST_SAVED);
}

function isFilter(line: string): boolean {
  try {
    // Control characters are no part of any filter that was typed.
    if (line === '' || /\p{Cc}/u.test(line)) return false;
    compileFilter(line);
    return true;
  } catch (error) {
    if (error instanceof FilterError) return false;
    throw error;
  }
}

/**
 * Puts one first, or with `forget` takes one (`''`: all) out. Reads the file again before, since another screen may have
 * written meanwhile. @throws what the file system says
 */
export function changeSavedFilters(path: string | null, change: { save: string } | { forget: string }): void {
  if (path === null) return;
  const known = readSavedFilters(path);
  const next =
    'save' in change
      ? withSaved(known, change.save)
      : known.filter((one) => change.forget !== '' && one !== change.forget);
  makeFolder(dirname(path));
  // In one step: nobody reads half of it.
  writeFileSync(`${path}.new`, next.map((one) => `${one}\n`).join(''), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Node's own `recursive` never returns where a folder cannot hold any, as below /proc. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    makeFolder(dirname(path));
    mkdirSync(path, { mode: 0o700 });
  }
}
