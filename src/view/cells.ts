import { safeText } from '../record/safe-text.js';

/*
 * Text in terminal cells. Everything that is drawn passes here: what a terminal could take for a command becomes a visible
 * sign, and so does any character whose width terminals and the drawing library may not agree on (emoji, combining
 * marks, scripts that are shaped or run the other way), since one such character shifts the rest of its row.
 */

/** Characters that take one cell everywhere. */
const NARROW: readonly (readonly [number, number])[] = [
  [0x20, 0x7e],
  [0xa0, 0xac],
  [0xae, 0x2ff],
  [0x370, 0x377],
  [0x37a, 0x37f],
  [0x384, 0x3ff],
  [0x400, 0x482],
  [0x48a, 0x52f],
  [0x2010, 0x2027],
  [0x2030, 0x205e],
  [0x2190, 0x2199],
  [0x2500, 0x257f],
  [0x2580, 0x259f],
];
/** Characters that take two cells everywhere. */
const WIDE: readonly (readonly [number, number])[] = [
  [0x3001, 0x3029],
  [0x3041, 0x3096],
  [0x30a0, 0x30ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0xac00, 0xd7a3],
  [0xff01, 0xff60],
];

const inside = (ranges: readonly (readonly [number, number])[], code: number): boolean =>
  ranges.some(([low, high]) => code >= low && code <= high);

const PLAIN = /^[\u0020-\u007e]*$/;

/** Cells of one character; 0 for one that must not be drawn. */
export function cellsOf(code: number): 0 | 1 | 2 {
  if (code >= 0x20 && code <= 0x7e) return 1;
  return inside(NARROW, code) ? 1 : inside(WIDE, code) ? 2 : 0;
}

/** Text of strangers (or our own) as it may be drawn. */
export function cellText(text: string): string {
  if (PLAIN.test(text)) return text;
  let result = '';
  for (const character of safeText(text.normalize('NFC'))) {
    const code = character.codePointAt(0)!;
    result += cellsOf(code) > 0 ? character : `\\u{${code.toString(16)}}`;
  }
  return result;
}

/** Cells that drawn text takes. */
export function widthOf(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += cellsOf(character.codePointAt(0)!);
  return width;
}

/** At most `width` cells; a cut is shown. */
export function clip(text: string, width: number): string {
  if (width <= 0) return '';
  // 100 KB of a field need not be measured to be cut.
  const drawn = cellText(text.length > 4 * width + 16 ? text.slice(0, 4 * width + 16) : text);
  if (widthOf(drawn) <= width && text.length <= 4 * width + 16) return drawn;
  let result = '';
  let used = 0;
  for (const character of drawn) {
    const cells = cellsOf(character.codePointAt(0)!);
    if (used + cells > width - 1) break;
    result += character;
    used += cells;
  }
  return `${result}…`;
}

/** Cut in the middle: names differ at their ends. */
export function clipMiddle(text: string, width: number): string {
  const drawn = cellText(text.slice(0, 4096));
  if (widthOf(drawn) <= width || width < 7 || !PLAIN.test(drawn)) return clip(text, width);
  const tail = Math.floor((width - 1) / 2);
  return `${drawn.slice(0, width - 1 - tail)}…${drawn.slice(drawn.length - tail)}`;
}

/** Exactly `width` cells. */
export function fit(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const cut = clip(text, width);
  const space = ' '.repeat(Math.max(0, width - widthOf(cut)));
  return align === 'left' ? cut + space : space + cut;
}

/** Lines of at most `width` cells, broken at blanks, else anywhere. At most `most` lines; more is shown as cut. */
export function wrapCells(text: string, width: number, most = 1_000): string[] {
  if (width <= 0) return [];
  const lines: string[] = [];
  let line = '';
  let used = 0;
  const push = (): void => {
    lines.push(line);
    line = '';
    used = 0;
  };
  const bounded = text.slice(0, width * (most + 1) * 2 + 16);
  for (const word of cellText(bounded).split(/ +/)) {
    let rest = word;
    let cells = widthOf(rest);
    if (used > 0 && used + 1 + cells > width) {
      // A long word fills what is left of the line only where it fits none whole.
      push();
    } else if (used > 0) {
      line += ' ';
      used++;
    }
    while (cells > width) {
      let part = '';
      let partCells = 0;
      for (const character of rest) {
        const size = cellsOf(character.codePointAt(0)!);
        if (partCells + size > width) break;
        part += character;
        partCells += size;
      }
      if (part === '') return lines;
      lines.push(part);
      rest = rest.slice(part.length);
      cells = widthOf(rest);
      if (lines.length > most) break;
    }
    line += rest;
    used += cells;
    if (lines.length > most) break;
  }
  if (used > 0) push();
  if (lines.length <= most && bounded.length === text.length) return lines;
  const kept = lines.slice(0, most);
  if (kept.length > 0) kept[kept.length - 1] = `${clip(kept.at(-1)!, width - 1).replace(/…$/, '')}…`;
  return kept;
}

/** One line cut into rows of exactly the width, nothing dropped: for what will be selected and copied. */
export function foldCells(text: string, width: number, most: number): string[] {
  const rows: string[] = [];
  let row = '';
  let used = 0;
  for (const character of cellText(text.slice(0, width * most))) {
    const cells = cellsOf(character.codePointAt(0)!);
    if (used + cells > width) {
      rows.push(row);
      row = '';
      used = 0;
    }
    row += character;
    used += cells;
  }
  if (row !== '') rows.push(row);
  if (rows.length <= most && text.length <= width * most) return rows;
  return [...rows.slice(0, Math.max(0, most - 1)), `… ${text.length} characters in all`];
}

/** Pieces between which a shell takes a backslash and a line break for a blank: not inside of quotes, but in `"$(…)"`. */
function shellWords(command: string): string[] {
  const words: string[] = [];
  const open: string[] = [];
  let word = '';
  for (let i = 0; i < command.length; i++) {
    const sign = command[i]!;
    const quoted = open.at(-1) === '"';
    if (sign === ' ' && !quoted) {
      if (word !== '') words.push(word);
      word = '';
      continue;
    }
    const end = sign === "'" && !quoted ? command.indexOf("'", i + 1) : sign === '\\' ? i + 1 : i;
    word += command.slice(i, end < 0 ? command.length : end + 1);
    i = end < 0 ? command.length : end;
    if (sign === '"') {
      if (quoted) open.pop();
      else open.push('"');
    } else if (sign === '(' && (!quoted || command[i - 1] === '$')) open.push('(');
    else if (sign === ')' && open.at(-1) === '(') open.pop();
  }
  return word === '' ? words : [...words, word];
}

/** A shell command in rows, continued by a backslash at blanks outside of quotes; anywhere where there is no such blank. */
export function foldCommand(command: string, width: number, most: number): string[] {
  if (widthOf(cellText(command)) <= width) return [cellText(command)];
  const rows: string[] = [];
  let row = '';
  for (const word of shellWords(command)) {
    if (row !== '' && widthOf(cellText(`${row} ${word}`)) > width - 2) {
      rows.push(`${row} \\`);
      row = '';
    }
    row = row === '' ? word : `${row} ${word}`;
  }
  rows.push(row);
  if (rows.length > most || rows.some((one) => widthOf(cellText(one)) > width)) {
    return foldCells(command, width, most);
  }
  return rows.map(cellText);
}
