import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { changeSavedFilters, readSavedFilters, savedFiltersPath } from '../../src/commands/saved-filters.js';
import { scratch } from '../e2e/run.js';

const { folder, file } = scratch();

describe('saved filters', () => {
  it.each([
    [{ XDG_STATE_HOME: '/s', HOME: '/h' }, '/s/meshtail/filters'],
    [{ HOME: '/h' }, '/h/.local/state/meshtail/filters'],
    [{ XDG_STATE_HOME: 'relative', HOME: '/h' }, '/h/.local/state/meshtail/filters'],
    [{}, null],
  ])('of %j stand in %s', (env, path) => expect(savedFiltersPath(env)).toBe(path));

  it('keeps the newest first, each once, and for nobody else to read', () => {
    const path = join(folder, 'new', 'deep', 'filters');
    expect(readSavedFilters(path)).toEqual([]);
    for (const save of ['flag:UF', 'code>=500', 'flag:UF']) changeSavedFilters(path, { save });
    expect(readSavedFilters(path)).toEqual(['flag:UF', 'code>=500']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    changeSavedFilters(path, { forget: 'flag:UF' });
    expect(readFileSync(path, 'utf8')).toBe('code>=500\n');
    changeSavedFilters(path, { forget: '' });
    expect(readSavedFilters(path)).toEqual([]);
    for (let i = 0; i < 30; i++) changeSavedFilters(path, { save: `code:${500 + i}` });
    expect(readSavedFilters(path).length).toBe(20);
    expect(readSavedFilters(path)[0]).toBe('code:529');
  });

  it.each([
    ['what is no filter', 'cod>=1\npath~(\n\nflag:UC\n', ['flag:UC']],
    ['commands to a terminal', 'word\x1b]0;x\x07\nflag:UC\r\n', ['flag:UC']],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0, 10, 0x61, 10]), ['a']],
    ['more than ever was written', 'a\n'.repeat(100_000), []],
  ])('passes over %s', (_, content, expected) => {
    expect(readSavedFilters(file('filters', content))).toEqual(expected);
  });

  it('takes a folder in its place for nothing', () => {
    const path = join(folder, 'a-folder');
    mkdirSync(path);
    expect(readSavedFilters(path)).toEqual([]);
    expect(() => changeSavedFilters(path, { save: 'flag:UC' })).toThrow();
    writeFileSync(join(folder, 'a-file'), '');
    expect(() => changeSavedFilters(join(folder, 'a-file', 'x'), { save: 'flag:UC' })).toThrow();
  });
});
