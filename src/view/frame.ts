import { cellsOf, cellText, clip, widthOf } from './cells.js';

/** What a piece of text is, not how it looks: the terminal decides that by its colours. */
export type StyleName =
  | 'plain'
  | 'dim'
  | 'strong'
  | 'bad'
  | 'warn'
  | 'good'
  | 'accent'
  | 'key'
  | 'badge'
  | 'chip'
  | 'selected'
  | 'selected-bad'
  | 'selected-warn'
  | 'selected-good'
  | 'error'
  | 'rule'
  | 'future';

export interface Span {
  /** Drawable as it is: see cells. */
  readonly text: string;
  readonly style: StyleName;
}
export type Line = readonly Span[];
export interface Frame {
  readonly lines: readonly Line[];
  /** Where the cursor of an input line stands. */
  readonly cursor: { readonly row: number; readonly column: number } | null;
}

export const span = (text: string, style: StyleName = 'plain'): Span => ({ text: cellText(text), style });

export const lineWidth = (line: Line): number => line.reduce((sum, { text }) => sum + widthOf(text), 0);

/** At most `width` cells, spans cut where they pass it. */
export function clipLine(line: Line, width: number): Line {
  if (lineWidth(line) <= width) return line;
  const result: Span[] = [];
  let left = width;
  for (const piece of line) {
    if (left <= 0) break;
    const text = clip(piece.text, left);
    result.push({ ...piece, text });
    left -= widthOf(text);
  }
  return result;
}

/** Left and right parts with the space between them; the left one gives way. */
export function spread(left: Line, right: Line, width: number): Line {
  const free = width - lineWidth(right);
  if (free <= 0) return clipLine(right, width);
  const kept = clipLine(left, free - (right.length > 0 ? 1 : 0));
  return [...kept, span(' '.repeat(Math.max(0, free - lineWidth(kept)))), ...right];
}

/** Two blocks in columns, the right one beginning at a cell. */
export function beside(left: readonly Line[], right: readonly Line[], at: number): Line[] {
  return Array.from({ length: Math.max(left.length, right.length) }, (_, i) => {
    const line = clipLine(left[i] ?? [], at);
    return [...line, span(' '.repeat(at - lineWidth(line))), ...(right[i] ?? [])];
  });
}

/** The row under the cursor, to its very end; what warns in it still does. */
export function highlight(line: Line, width: number): Line {
  const clipped = clipLine(line, width);
  const space = ' '.repeat(Math.max(0, width - lineWidth(clipped)));
  return [...clipped, span(space)].map(({ text, style }) => ({
    text,
    style: style === 'bad' || style === 'warn' || style === 'good' ? `selected-${style}` : 'selected',
  }));
}

/** A frame of exactly that size: what is missing is blank, what is too much is cut. */
export function fitted(lines: readonly Line[], columns: number, rows: number): readonly Line[] {
  return Array.from({ length: rows }, (_, i) => clipLine(lines[i] ?? [], columns));
}

export const frameText = ({ lines }: Frame): string =>
  lines
    .map((line) =>
      line
        .map(({ text }) => text)
        .join('')
        .trimEnd(),
    )
    .join('\n');

const ASCII: Readonly<Record<string, string>> = {
  '─': '-',
  '━': '=',
  '└': '`',
  '│': '|',
  '┆': '|',
  '…': '~',
  '▁': '_',
  '▂': ',',
  '▃': ';',
  '▄': '-',
  '▅': '=',
  '▆': '+',
  '▇': '*',
  '█': '#',
  '░': ':',
  '▌': '|',
  '·': '.',
  '→': '>',
  '←': '<',
  '↑': '^',
  '↓': 'v',
  '›': '>',
  '•': '*',
};

/** The same frame in ASCII alone, cell by cell. */
export function asciiFrame(frame: Frame): Frame {
  return {
    ...frame,
    lines: frame.lines.map((line) => line.map((piece) => ({ ...piece, text: asciiText(piece.text) }))),
  };
}

function asciiText(text: string): string {
  let result = '';
  for (const character of text) {
    const code = character.codePointAt(0)!;
    result += code < 0x7f ? character : (ASCII[character] ?? '?'.repeat(cellsOf(code)));
  }
  return result;
}
