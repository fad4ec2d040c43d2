import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { markdownBlock, markdownText } from '../../src/record/markdown.js';

describe('text of strangers in Markdown', () => {
  it.each([
    [
      'names stay readable',
      'upstream_reset_before in pay-6d5f-k9x2q.shop',
      'upstream_reset_before in pay-6d5f-k9x2q.shop',
    ],
    ['a cluster in a table cell', 'outbound|80||a.b', String.raw`outbound\|80\|\|a.b`],
    ['emphasis and code', '**a** `b` _c_ ~d~', String.raw`\*\*a\*\* \`b\` \_c\_ \~d\~`],
    ['a link', '[a](https://b.c)', String.raw`\[a\](https:\//b.c)`],
    ['a bare link', 'WWW.b.c', String.raw`WWW\.b.c`],
    ['HTML', '<img src=x onerror=y> &lt;', '&lt;img src=x onerror=y&gt; &amp;lt;'],
    ['a mention', '@channel a@b.c', '@\u200bchannel a@\u200bb.c'],
    ['an issue', '#12', String.raw`\#12`],
    ['a list', '- a', String.raw`\- a`],
    ['a numbered list', '1. a', String.raw`1\. a`],
    ['an address is no list', '10.0.0.1 failed', '10.0.0.1 failed'],
    ['a rule', '---', String.raw`\---`],
    ['a terminal’s escape', 'a\u001b[31mb\nc', String.raw`a\\x1b\[31mb\\x0ac`],
  ])('%s', (_, text, written) => {
    expect(markdownText(text)).toBe(written);
  });

  it('leaves nothing that marks up, whatever it holds', () => {
    const hostile = fc.string({
      unit: fc.constantFrom(...'ab1 \\`*_[]()<>&|~$#@-+=.:/\n\r\u0000\u001b\u202e'),
    });
    fc.assert(
      fc.property(hostile, (text) => {
        const written = markdownText(text);
        const bare = written.replaceAll(/\\[!-/:-@[-`{-~]/g, '').replaceAll(/&(?:amp|lt|gt);/g, '');
        expect(bare).not.toMatch(/[\\`*[\]<>|~$#&]|:\/\/|(?<![a-z\d])_|_(?![a-z\d])|@(?!\u200b)/);
        expect(written).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
      }),
    );
  });

  it('keeps a command as it is, and cannot be closed from inside', () => {
    expect(markdownBlock(["grep '|a|' <x"])).toEqual(['```', "grep '|a|' <x", '```']);
    expect(markdownBlock(['a', '```` b', '@here'])).toEqual(['`````', 'a', '```` b', '@here', '`````']);
  });
});
