import blessed from 'blessed';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eastAsianWidth } from 'get-east-asian-width';
import {
  cellsOf,
  cellText,
  clip,
  fit,
  foldCells,
  foldCommand,
  widthOf,
  wrapCells,
} from '../../src/view/cells.js';

const { unicode } = blessed as unknown as { unicode: { charWidth(code: number): number } };

describe('cells', () => {
  it('draws only what the drawing library and the Unicode tables give the same width', () => {
    for (let code = 0x20; code < 0x11000; code++) {
      const cells = cellsOf(code);
      if (cells === 0) continue;
      expect([code.toString(16), unicode.charWidth(code), eastAsianWidth(code)]).toEqual([
        code.toString(16),
        cells,
        cells,
      ]);
    }
  });

  it.each([
    ['plain /path?x=1', 'plain /path?x=1'],
    ['\x1b[31mred\x1b]0;title\x07', '\\x1b[31mred\\x1b]0;title\\x07'],
    ['\u009b31m \u009d', '\\x9b31m \\x9d'],
    ['\u202egnp.exe', '\\u{202e}gnp.exe'],
    ['日本語', '日本語'],
    ['😀 ok', '\\u{1f600} ok'],
    ['e\u0301', 'é'],
    ['x\u0301\u0302', 'x\\u{301}\\u{302}'],
    ['{bold}{red-fg}tags{/}', '{bold}{red-fg}tags{/}'],
    ['שלום', '\\u{5e9}\\u{5dc}\\u{5d5}\\u{5dd}'],
  ])('%j is drawn as %j', (text, drawn) => expect(cellText(text)).toBe(drawn));

  it('keeps to its width and draws nothing unsafe, whatever the text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 60 }),
        fc.integer({ min: 1, max: 40 }),
        (text, width) => {
          expect(widthOf(clip(text, width))).toBeLessThanOrEqual(width);
          expect(widthOf(fit(text, width))).toBe(width);
          for (const line of [...wrapCells(text, width + 1), ...foldCells(text, width + 1, 50)]) {
            expect(widthOf(line)).toBeLessThanOrEqual(width + 1);
            expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
          }
        },
      ),
    );
  });

  it.each([
    ['kubectl get pods', 20, ['kubectl get pods']],
    ['kubectl -n shop get pods', 16, ['kubectl -n \\', 'shop get pods']],
    ['echo \'a b  c\' "d e" f', 12, ['echo \\', "'a b  c' \\", '"d e" f']],
    ['a "$(b c | d \'$2=="e f"{g}\')" "h i"', 20, ['a "$(b c | d \\', '\'$2=="e f"{g}\')" \\', '"h i"']],
    ["grep 'no blank to break at' x", 12, ["grep 'no bla", 'nk to break ', "at' x"]],
  ])('folds %j at %i into one command still', (command, width, rows) => {
    expect(foldCommand(command, width, 8)).toEqual(rows);
  });

  it('cuts 100 KB quickly', () => {
    const long = '\x1b日'.repeat(50_000);
    const started = performance.now();
    for (let i = 0; i < 100; i++) clip(long, 80);
    wrapCells(long, 80, 12);
    expect(performance.now() - started).toBeLessThan(500);
  });
});
