import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileFormat } from '../../parsers/compile.js';
import type { ParseResult } from '../../parsers/format.js';
import { FORMATS, LineParser } from '../../parsers/index.js';
import { parseSource, type Parsed } from '../../src/pipeline.js';
import { lineOf, type Line } from '../../src/record/line.js';
import { RecordCursor } from '../../src/record/record-view.js';
import type { Source } from '../../src/source/source.js';
import { arbitraryLine, sampleLines } from '../lines.js';
import { printedLine } from '../printed.js';

const lines = sampleLines();

function sourceOf(chunks: readonly Buffer[], kind: 'file' | 'pipe' = 'file'): Source {
  return {
    name: 'test',
    origin: {},
    kind,
    async *open() {
      yield* chunks;
    },
  };
}

async function printed(
  chunks: readonly Buffer[],
  kind: 'file' | 'pipe' = 'file',
  maxLine = 1 << 20,
): Promise<string[]> {
  const out: string[] = [];
  await parseSource(sourceOf(chunks, kind), { maxLine }, (parsed: Parsed) => out.push(printedLine(parsed)));
  return out;
}

/** A result that keeps its promises; the record can be printed. */
function checked(line: Line, result: ParseResult, record: RecordCursor): void {
  if (result === 'record') JSON.parse(JSON.stringify(record.copy({ line: 1 })));
  else if (result !== 'foreign') {
    expect(result.at).toBeGreaterThanOrEqual(1);
    expect(result.at).toBeLessThanOrEqual(line.end - line.start + 1);
    expect(result.expected).not.toBe('');
  }
}

describe('any line', () => {
  const compiled = [
    compileFormat(
      '[%START_TIME%] "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% "%REQ(USER-AGENT)%" %ROUTE_NAME%',
    ),
    compileFormat('{"code":"%RESPONSE_CODE%","a":"%REQ(:METHOD)% %REQ(A)%"}'),
  ];

  it('mutated or cut, is read by every format without a throw', () => {
    const parser = new LineParser();
    const record = new RecordCursor();
    fc.assert(
      fc.property(arbitraryLine(lines), (bytes) => {
        const line: Line = { bytes, start: 0, end: bytes.length };
        for (const format of [...FORMATS, ...compiled]) checked(line, format.parse(line, record), record);
        checked(line, parser.parse(line, record), record);
      }),
      { numRuns: 3000 },
    );
  });

  it('reads the same wherever chunks are cut, as file and as pipe', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(arbitraryLine(lines), fc.constantFrom(...lines)), { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        async (some, cuts) => {
          const whole = Buffer.concat(some.flatMap((line) => [line, Buffer.from('\n')]));
          const places = [0, ...cuts.map((cut) => cut % (whole.length + 1)), whole.length].toSorted(
            (a, b) => a - b,
          );
          const chunks = places.slice(1).map((to, i) => whole.subarray(places[i], to));
          const expected = await printed([whole]);
          expect(await printed(chunks)).toEqual(expected);
          expect(await printed(chunks, 'pipe')).toEqual(expected);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('others decline', () => {
  it.each(FORMATS.map((format) => [format.name, format] as const))(
    '%s reads no record of another',
    (name, format) => {
      const parser = new LineParser();
      const record = new RecordCursor();
      for (const bytes of lines) {
        const line: Line = { bytes, start: 0, end: bytes.length };
        if (parser.parse(line, record) !== 'record') continue;
        const { format: own } = record;
        // The format with any keys reads whatever has some, and departures are judged by the lines before.
        if (own === name || name === 'json-keyed' || own === 'envoy-like' || name === 'envoy-like') continue;
        expect(format.parse(line, record) === 'record' && `${name} read a line of ${own}`).toBe(false);
      }
    },
  );
});

const HEAD = '[2026-01-02T03:04:05.006Z] "GET /a HTTP/1.1" 200 - via_upstream - "-" 0 145 12 11 ';
const TAIL = ' "id" "o:80" "10.1.1.9:80" outbound|80||o - 10.9.1.4:80 10.2.2.5:4 - default';
const JSON_HEAD = '{"response_code":200,"response_flags":"-",';

describe('hostile input', () => {
  const five = 5 << 20;
  it.each([
    ['quotes', `${HEAD}"-" "${'"'.repeat(five)}"${TAIL}`],
    ['gaps', `${HEAD}"-" "${'" "'.repeat(five / 3)}"${TAIL}`],
    ['gaps without a tail', HEAD + '" "'.repeat(five / 3)],
    ['tails', `${HEAD}"-" "${'" a:1 a:1 a:1 a:1 '.repeat(five / 18)}`],
    ['whole tails', `${HEAD}"-" "${`x"${TAIL}`.repeat(five / 90)}`],
    ['counts', `[2026-01-02T03:04:05.006Z] "GET /a HTTP/1.1" 200 - a ${'" 1 1 '.repeat(five / 6)}`],
    ['requests', '"a b -" 1 '.repeat(five / 10)],
    ['blanks', ' '.repeat(five)],
    [
      'brackets in an RBAC id',
      `${HEAD.replace('- "-"', `rbac_access_denied_matched_policy[${'ns[a]-'.repeat(five / 6)}] "-"`)}"-" "-"${TAIL}`,
    ],
    ['deep JSON', `${JSON_HEAD}"x":${'['.repeat(five / 2)}${']'.repeat(five / 2)}}`],
    ['deep broken JSON', `${JSON_HEAD}"x":${'{"a":'.repeat(five / 5)}`],
    ['pseudo-JSON', `{"response_code":-,"x":"${'","a'.repeat(five / 4)}"}`],
    ['pseudo-JSON keys', `{"response_code":-,${'"a":"b",'.repeat(five / 8)}`],
    ['ztunnel', `2026-01-02T03:04:05.006Z\tinfo\taccess\tconnection complete\ta=${'b c '.repeat(five / 4)}`],
    ['escapes', '\u001b['.repeat(five / 2)],
    ['names', `${'a '.repeat(five / 2)}`],
  ])('5 MB of %s take linear time', async (_, text) => {
    const bytes = Buffer.from(text);
    const started = performance.now();
    const out = await printed([bytes], 'file', bytes.length + 1);
    expect(out).toHaveLength(1);
    // A quadratic reader would need hours.
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('5 MB in a compiled format take linear time', () => {
    const record = new RecordCursor();
    const format = compileFormat('"%REQ(A)%" %PROTOCOL%"%PROTOCOL% "%REQ(USER-AGENT)%" %ROUTE_NAME%');
    for (const text of [
      '"'.repeat(five),
      '" a"'.repeat(five / 4),
      `"${'a'.repeat(five)}`,
      `"x" ${'a"'.repeat(five / 2)}`,
    ]) {
      const started = performance.now();
      checked(lineOf(text), format.parse(lineOf(text), record), record);
      expect(performance.now() - started).toBeLessThan(10_000);
    }
  });

  it.each([
    ['NUL and C1 bytes', `${HEAD}"-" "a\0b\u0085"${TAIL}`, { user_agent: 'a\0b\u0085' }],
    ['lone surrogates', `${JSON_HEAD}"user_agent":"\\ud800"}`, { user_agent: '\ud800' }],
    [
      'a key named __proto__',
      `${JSON_HEAD}"__proto__":{"path":"/x"}}`,
      { extra: JSON.parse('{"__proto__":{"path":"/x"}}') },
    ],
    ['duplicate keys', `${JSON_HEAD}"path":"/a","path":"/b"}`, { path: '/b' }],
    [
      'a user agent that imitates fields',
      `${HEAD}"-" "x" "rid" "a" "1.1.1.1:1" c - 1.1.1.1:1 1.1.1.1:1 - r"${TAIL}`,
      { request_id: 'id', route_name: 'default' },
    ],
  ])('%s', async (_, text, expected) => {
    const [out] = await printed([Buffer.from(text)]);
    expect(JSON.parse(out!)).toMatchObject({ kind: 'record', ...expected });
  });

  it('nesting beyond a limit is malformed, with its column', async () => {
    const [out] = await printed([Buffer.from(`${JSON_HEAD}"x":${'['.repeat(500)}${']'.repeat(500)}}`)]);
    expect(JSON.parse(out!)).toMatchObject({
      kind: 'malformed',
      at: 110,
      expected: expect.stringContaining('64 nested'),
    });
  });
});
