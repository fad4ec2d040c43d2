import { safeText } from './safe-text.js';

/*
 * Log text is written by strangers, and a report in Markdown goes to a channel or an issue. What passes here can become no
 * markup, table cell, link, mention or HTML there, and cannot end the block that it stands in.
 */

/** Signs that mark up wherever they stand; an underscore does at the edge of a word only. */
const MARKUP = /[\\`*[\]|~$#]|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu;
/** What begins a list, a rule or a heading's underline where it begins a line. */
const AT_LINE_START = /^(\s*)([-+=]|\d+[.)](?=\s|$))/;

/** Text in a sentence, a heading, a list or a table cell. */
export function markdownText(text: string): string {
  return (
    safeText(text)
      .replace(MARKUP, String.raw`\$&`)
      .replace(
        AT_LINE_START,
        (_, blank: string, mark: string) => `${blank}${mark.slice(0, -1)}\\${mark.at(-1)}`,
      )
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      // No link of its own, and nobody is called.
      .replaceAll('://', String.raw`:\//`)
      .replace(/\bwww\./gi, (found) => `${found.slice(0, -1)}\\.`)
      .replaceAll('@', '@\u200b')
  );
}

/** Lines to be copied as they are: a fenced block, with a fence longer than any in them. */
export function markdownBlock(lines: readonly string[]): string[] {
  const safe = lines.map(safeText);
  const longest = Math.max(2, ...safe.flatMap((line) => line.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = '`'.repeat(longest + 1);
  return [fence, ...safe, fence];
}
