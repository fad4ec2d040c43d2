import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { safeText } from '../../src/record/safe-text.js';

describe('safeText', () => {
  it.each([
    ['plain text', 'GET /a?b=c "é" 日本 🙂', 'GET /a?b=c "é" 日本 🙂'],
    ['a colour', '\x1b[31mred', '\\x1b[31mred'],
    ['a window title', '\x1b]0;x\x07', '\\x1b]0;x\\x07'],
    ['a C1 introducer', '\x9b31m', '\\x9b31m'],
    ['a tab', 'a\tb', 'a b'],
    ['newlines', 'a\r\nb', 'a\\x0d\\x0ab'],
    ['DEL and NUL', '\x7f\0', '\\x7f\\x00'],
    ['text turned around', 'a\u202eb\u2066c', 'a\\u{202e}b\\u{2066}c'],
    ['zero width and BOM', 'a\u200bb\ufeff', 'a\\u{200b}b\\u{feff}'],
    ['tag characters', 'a\u{e0041}', 'a\\u{e0041}'],
  ])('%s', (_, text, shown) => {
    expect(safeText(text)).toBe(shown);
  });

  it('leaves no control or format character of any text, and nothing to do twice', () => {
    const anything = fc.string({ unit: 'binary', maxLength: 60 });
    fc.assert(
      fc.property(anything, (text) => {
        const shown = safeText(text);
        expect(shown).not.toMatch(/[\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/u);
        expect(safeText(shown)).toBe(shown);
      }),
      { numRuns: 500 },
    );
  });
});
