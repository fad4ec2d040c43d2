/** What blessed tells of a key. */
export interface RawKey {
  readonly name?: string | undefined;
  readonly full?: string | undefined;
  readonly sequence?: string | undefined;
  readonly ctrl?: boolean | undefined;
  readonly shift?: boolean | undefined;
  readonly meta?: boolean | undefined;
}

const NAMES: Readonly<Record<string, string>> = {
  up: 'up',
  down: 'down',
  left: 'left',
  right: 'right',
  return: 'enter',
  enter: 'enter',
  linefeed: 'enter',
  escape: 'escape',
  space: 'space',
  backspace: 'backspace',
  delete: 'delete',
  pageup: 'pageup',
  pagedown: 'pagedown',
  home: 'home',
  end: 'end',
};

/** Keys as messages name them. Escape and what is typed right after it arrive as one where a line is slow. */
export function keysOf(character: string | undefined, key: RawKey): readonly string[] {
  const after = /^\x1b([ -~\r])$/.exec(key.sequence ?? '')?.[1];
  // These two begin what a key with a name of its own sends.
  const name =
    after === undefined || after === '[' || after === 'O'
      ? keyOf(character, key)
      : keyOf(after, after === '\r' ? { name: 'return' } : {});
  return [...(after === undefined || name === null ? [] : ['escape']), ...(name === null ? [] : [name])];
}

/** A key as messages name it; `null` for one that means nothing here. */
export function keyOf(character: string | undefined, key: RawKey): string | null {
  // blessed tells a carriage return twice, as enter and as return.
  if (key.name === 'enter' && key.full === 'enter' && character === '\r') return null;
  if (key.name === 'tab') return key.shift ? 'shift-tab' : 'tab';
  if (key.ctrl && key.name && /^[a-z]$/.test(key.name)) {
    return key.name === 'h' ? 'backspace' : `ctrl-${key.name}`;
  }
  if (character === ' ') return 'space';
  const named = key.name === undefined ? undefined : NAMES[key.name];
  if (named) return named;
  if (key.meta || character === undefined) return null;
  return /^[^\u0000-\u001f\u007f-\u009f]$/u.test(character) ? character : null;
}
