import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineScanner, splitLines, type OnLine } from '../../src/framing/lines.js';

type Seen = readonly [text: string, overlong: boolean, unterminated: boolean];

/** Lines as latin1 text, so that every byte shows. */
function collector(): { seen: Seen[]; onLine: OnLine } {
  const seen: Seen[] = [];
  return {
    seen,
    onLine: ({ line, overlong, unterminated }) =>
      seen.push([line.bytes.toString('latin1', line.start, line.end), overlong, unterminated]),
  };
}

function scanned(chunks: readonly Buffer[], maxLine: number): Seen[] {
  const { seen, onLine } = collector();
  const scanner = new LineScanner(onLine, maxLine);
  for (const chunk of chunks) {
    // The source may use its buffer again: what the scanner holds must be its own.
    const reused = Buffer.from(chunk);
    scanner.push(reused);
    reused.fill(0x21);
  }
  scanner.end();
  return seen;
}

async function split(chunks: readonly Buffer[], maxLine: number): Promise<Seen[]> {
  const { seen, onLine } = collector();
  async function* source(): AsyncIterable<Buffer> {
    for (const chunk of chunks) yield chunk;
  }
  await splitLines(source(), onLine, maxLine);
  return seen;
}

/** What framing means, on the whole input at once. */
function stated(input: Buffer, maxLine: number): Seen[] {
  const pieces = input.toString('latin1').split('\n');
  const last = pieces.pop()!;
  const one = (text: string, terminated: boolean): Seen => {
    const content = terminated && text.endsWith('\r') ? text.slice(0, -1) : text;
    return [content.slice(0, maxLine), content.length > maxLine, !terminated];
  };
  return [...pieces.map((text) => one(text, true)), ...(last === '' ? [] : [one(last, false)])];
}

function cutAt(input: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (input.length + 1)), input.length].toSorted((a, b) => a - b);
  return places.slice(1).map((end, i) => input.subarray(places[i]!, end));
}

/** Bytes in which line ends, broken and whole UTF-8 and runs long enough to be cut are frequent. */
const bytes = fc
  .array(
    fc.oneof(
      fc
        .constantFrom('\n', '\r', '\r\n', '\r\r\n', 'a', 'bc', '\u00e9', '\u20ac', '\u2028', '\u0085')
        .map((text) => Buffer.from(text)),
      fc.constantFrom([0xff], [0xc3], [0xe2, 0x82], [0x00], [0xf0, 0x9f]).map((list) => Buffer.from(list)),
      fc.uint8Array({ maxLength: 12 }).map((list) => Buffer.from(list)),
    ),
    { maxLength: 40 },
  )
  .map((parts) => Buffer.concat(parts));
const cuts = fc.array(fc.nat(400), { maxLength: 8 });
const limit = fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constant(1 << 20));

describe('framing', () => {
  it('gives the stated lines from files and from pipes, however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, cuts, limit, async (input, places, maxLine) => {
        const chunks = cutAt(input, places);
        const expected = stated(input, maxLine);
        expect(scanned(chunks, maxLine)).toEqual(expected);
        expect(await split(chunks, maxLine)).toEqual(expected);
      }),
      { numRuns: 1500 },
    );
  });

  it('gives the same lines when every byte comes alone', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, limit, async (input, maxLine) => {
        const chunks = Array.from(input, (byte) => Buffer.from([byte]));
        const expected = stated(input, maxLine);
        expect(scanned(chunks, maxLine)).toEqual(expected);
        expect(await split(chunks, maxLine)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it.each<[string, string, number, Seen[]]>([
    ['nothing', '', 9, []],
    ['one blank line', '\n', 9, [['', false, false]]],
    ['a line without its newline', 'ab', 9, [['ab', false, true]]],
    ['CRLF', 'ab\r\ncd\r\n', 9, [['ab', false, false], ['cd', false, false]]], // prettier-ignore
    ['a CR at the very end', 'ab\r', 9, [['ab\r', false, true]]],
    ['a CR inside', 'a\rb\n', 9, [['a\rb', false, false]]],
    ['a line at the limit', 'abc\r\n', 3, [['abc', false, false]]],
    ['a line over the limit', 'abcd\nx\n', 3, [['abc', true, false], ['x', false, false]]], // prettier-ignore
    ['an overlong line without its newline', 'abcdefgh', 3, [['abc', true, true]]],
    ['a CR just over the limit of an unterminated line', 'abc\r', 3, [['abc', true, true]]],
  ])('frames %s', async (_, text, maxLine, expected) => {
    const input = Buffer.from(text);
    for (let cut = 0; cut <= input.length; cut++) {
      const chunks = [input.subarray(0, cut), input.subarray(cut)];
      expect(scanned(chunks, maxLine)).toEqual(expected);
      expect(await split(chunks, maxLine)).toEqual(expected);
    }
  });

  it('holds no more of an endless line than its limit', () => {
    const { seen, onLine } = collector();
    const scanner = new LineScanner(onLine, 1000);
    const chunk = Buffer.alloc(256 * 1024, 0x61);
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 400; i++) scanner.push(chunk);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10 << 20);
    scanner.end();
    expect(seen).toEqual([['a'.repeat(1000), true, true]]);
  });

  it('passes what the reader of the lines throws', async () => {
    const chunks = [Buffer.from('a\nb\n')];
    async function* source(): AsyncIterable<Buffer> {
      yield* chunks;
    }
    const refuse: OnLine = () => {
      throw new Error('told');
    };
    await expect(splitLines(source(), refuse, 10)).rejects.toThrow('told');
  });
});
