import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileRegex, RegexError } from '../../src/filter/linear-regex.js';

describe('the linear regular expression', () => {
  it.each([
    ['^/healthz', '/healthz?x', '/a/healthz'],
    ['a|b', 'xxb', 'xxc'],
    ['^(GET|POST) /x$', 'POST /x', 'POST /xy'],
    ['a{2,3}$', 'baaa', 'ba'],
    ['^a{2}$', 'aa', 'aaa'],
    ['[^0-9]z', 'az', '1z'],
    ['\\d+\\.\\d+', 'v1.22', 'v1x22'],
    ['^$', '', 'a'],
    ['(?i)^envoy', 'ENVOY', 'nvoy'],
    ['(?:ab)*c$', 'ababc', 'abab'],
    ['[a-c]+?x', 'abcx', 'dx'],
    ['[\\w-]+@', 'a-b@', '@'],
    ['(|a)b', 'b', 'a'],
    ['x?y', 'y', 'x'],
    ['[]a]', ']', 'b'],
    ['a$|b', 'cb', 'ac'],
  ])('%s matches %j and not %j', (pattern, yes, no) => {
    expect(compileRegex(pattern).test(yes)).toBe(true);
    expect(compileRegex(pattern).test(no)).toBe(false);
  });

  it.each([
    ['a(b', 1, 'not closed'],
    ['ab)', 2, "without '('"],
    ['[a', 0, 'not closed'],
    ['*a', 0, 'nothing to repeat'],
    ['a\\', 1, 'escapes nothing'],
    ['(?=a)', 0, 'look-around'],
    ['(a)\\1', 3, 'not supported'],
    ['[z-a]', 1, 'out of order'],
    ['a{3,2}', 1, 'out of order'],
    ['(((a{99}){99}){99})', 0, 'too much'],
  ])('%s is refused at %i', (pattern, at, words) => {
    try {
      compileRegex(pattern);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(RegexError);
      expect((error as RegexError).message).toContain(words);
      if (at > 0) expect((error as RegexError).at).toBe(at);
    }
  });

  it('agrees with the one of JavaScript', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '(a|b)', '(?:ab)', '(a*)', '(b?)', '\\d');
    const piece = fc
      .tuple(atom, fc.constantFrom('', '', '*', '+', '?', '{0,2}', '{2}', '{1,}'))
      .map(([a, b]) => a + b);
    const pattern = fc
      .tuple(
        fc.constantFrom('', '^'),
        fc.array(piece, { maxLength: 4 }),
        fc.constantFrom('', '$', '|b', '|^a$'),
      )
      .map(([start, pieces, end]) => start + pieces.join('') + end);
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1'), maxLength: 8 });
    fc.assert(
      fc.property(pattern, text, (pattern, text) => {
        expect(compileRegex(pattern).test(text)).toBe(new RegExp(pattern).test(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('takes time linear in the text where backtracking explodes', () => {
    const started = performance.now();
    expect(compileRegex('^(a+)+$').test(`${'a'.repeat(100_000)}!`)).toBe(false);
    expect(compileRegex('(.*)*(.*)*x$').test('y'.repeat(100_000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});
