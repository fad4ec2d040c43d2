import type { StyleName } from '../view/frame.js';

export type Colours = 0 | 16 | 256;

// Each style differs in more than its colour: sign, weight or reversal say the same.
const MONO: Readonly<Record<StyleName, string>> = {
  plain: '',
  dim: '',
  strong: '1',
  bad: '1',
  warn: '1',
  good: '',
  accent: '',
  key: '1',
  badge: '7',
  chip: '7',
  selected: '7',
  'selected-bad': '7',
  'selected-warn': '7',
  'selected-good': '7',
  error: '4',
  rule: '',
  future: '',
};
const SIXTEEN: Readonly<Record<StyleName, string>> = {
  ...MONO,
  dim: '90',
  bad: '1;31',
  warn: '33',
  good: '32',
  accent: '36',
  key: '36',
  badge: '1;41;97',
  chip: '46;30',
  error: '4;31',
  rule: '90',
  future: '90',
};
const MANY: Readonly<Record<StyleName, string>> = {
  ...SIXTEEN,
  dim: '38;5;245',
  bad: '1;38;5;203',
  warn: '38;5;221',
  good: '38;5;114',
  accent: '38;5;117',
  key: '38;5;117',
  badge: '1;48;5;203;38;5;16',
  chip: '48;5;24;38;5;255',
  selected: '1;48;5;238;38;5;255',
  'selected-bad': '1;48;5;238;38;5;210',
  'selected-warn': '1;48;5;238;38;5;221',
  'selected-good': '1;48;5;238;38;5;114',
  error: '4;38;5;203',
  rule: '38;5;239',
  future: '38;5;240',
};

/** The SGR parameters of a style; `''` for the terminal's own look. */
export const sgrOf = (style: StyleName, colours: Colours): string =>
  (colours === 0 ? MONO : colours === 16 ? SIXTEEN : MANY)[style];

export interface TerminalKind {
  /** Whether a screen can be drawn at all. */
  readonly usable: boolean;
  readonly colours: Colours;
  /** The terminfo entry to draw with. The drawing library cannot read what ncurses writes for most modern terminals. */
  readonly terminfo: string;
  /** Whether copying by OSC 52 may work. */
  readonly canCopy: boolean;
  readonly unicode: boolean;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** What a terminal can do, by its environment alone. */
export function terminalKind(env: Variables, color: 'auto' | 'always' | 'never'): TerminalKind {
  const term = env['TERM'] ?? '';
  const old = term === 'linux' || /^vt\d/.test(term);
  const mono =
    color === 'never' ||
    (color === 'auto' && (env['NO_COLOR'] ?? '') !== '') ||
    /^vt\d|-mono$|-m$/.test(term);
  const many =
    /256|direct|kitty|alacritty|foot|ghostty|wezterm/.test(term) ||
    /truecolor|24bit/.test(env['COLORTERM'] ?? '');
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  return {
    usable: term !== '' && term !== 'dumb' && term !== 'unknown',
    colours: mono ? 0 : many ? 256 : 16,
    terminfo: old ? (term === 'linux' ? 'linux' : 'vt100') : 'xterm-256color',
    canCopy: !old,
    // No locale at all is common in containers and says nothing; `C` and Latin ones do.
    unicode: locale === '' || /utf-?8/i.test(locale),
  };
}
