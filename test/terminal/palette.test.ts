import { describe, expect, it } from 'vitest';
import { keyOf, keysOf } from '../../src/terminal/keys.js';
import { terminalKind } from '../../src/terminal/palette.js';

describe('what a terminal can do', () => {
  it.each([
    [
      { TERM: 'xterm-256color' },
      'auto',
      { usable: true, colours: 256, terminfo: 'xterm-256color', canCopy: true },
    ],
    [{ TERM: 'screen' }, 'auto', { colours: 16, terminfo: 'xterm-256color' }],
    [{ TERM: 'xterm', COLORTERM: 'truecolor' }, 'auto', { colours: 256 }],
    [{ TERM: 'linux' }, 'auto', { colours: 16, terminfo: 'linux', canCopy: false }],
    [{ TERM: 'vt220' }, 'auto', { colours: 0, terminfo: 'vt100' }],
    [{ TERM: 'xterm-256color', NO_COLOR: '1' }, 'auto', { usable: true, colours: 0 }],
    [{ TERM: 'xterm-256color', NO_COLOR: '1' }, 'always', { colours: 256 }],
    [{ TERM: 'xterm-256color' }, 'never', { colours: 0 }],
    [{ TERM: 'dumb' }, 'auto', { usable: false }],
    [{}, 'auto', { usable: false }],
    [{ TERM: 'xterm', LANG: 'C' }, 'auto', { unicode: false }],
    [{ TERM: 'xterm', LANG: 'de_DE.UTF-8' }, 'auto', { unicode: true }],
  ] as const)('%j with --color %s', (env, color, expected) => {
    expect(terminalKind(env, color)).toMatchObject(expected);
  });

  it('names keys', () => {
    expect(keyOf('\r', { name: 'return' })).toBe('enter');
    expect(keyOf('\r', { name: 'enter', full: 'enter' })).toBeNull();
    expect(keyOf(undefined, { name: 'up' })).toBe('up');
    expect(keyOf('\x03', { name: 'c', ctrl: true })).toBe('ctrl-c');
    expect(keyOf('G', { name: 'g', shift: true })).toBe('G');
    expect(keyOf(']', {})).toBe(']');
    expect(keyOf('é', {})).toBe('é');
    expect(keyOf('\x07', {})).toBeNull();
    expect(keysOf('G', { name: 'g', shift: true })).toEqual(['G']);
    expect(keysOf(undefined, { name: 'd', meta: true, sequence: '\x1bd' })).toEqual(['escape', 'd']);
    expect(keysOf(undefined, { sequence: '\x1b\r' })).toEqual(['escape', 'enter']);
    expect(keysOf(undefined, { name: 'escape', sequence: '\x1b' })).toEqual(['escape']);
    expect(keysOf(undefined, { sequence: '\x1b[' })).toEqual([]);
  });
});
