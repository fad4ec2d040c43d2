import { describe, expect, it } from 'vitest';
import { ENVELOPE_KEYS, textOf } from '../../src/record/line.js';
import { Unwrapper, type UnwrapOptions } from '../../src/framing/wrappers.js';

/** What comes out of lines: text, names, and the physical line that each stands at. */
function peeled(lines: readonly string[], options: Partial<UnwrapOptions> = {}): unknown[] {
  const out: unknown[] = [];
  const unwrapper = new Unwrapper(
    ({ line, overlong }, names, at) =>
      out.push([textOf(line), { ...names, ...(overlong && { overlong }) }, at]),
    {
      maxLine: 1 << 20,
      envelopeKeys: ENVELOPE_KEYS,
      isAccess: (object) => 'response_code' in object,
      ...options,
    },
  );
  for (const text of lines) {
    const bytes = Buffer.from(text);
    unwrapper.push({ line: { bytes, start: 0, end: bytes.length }, overlong: false, unterminated: false });
  }
  unwrapper.end();
  return out;
}

const T = '2026-01-02T03:04:05.123456789Z';
const L = '[2026-01-02T03:04:05.006Z] "GET / HTTP/1.1" 200 -';

describe('nested wrappers', () => {
  it.each<[string, string, string, object]>([
    ['none', L, L, {}],
    [
      'prefix and time',
      `[pod/web-1/istio-proxy] ${T} ${L}`,
      L,
      { pod: 'web-1', container: 'istio-proxy', time: T },
    ],
    [
      'CRI in an envelope in CRI',
      `${T} stdout F {"log":"${T} stderr F x"}`,
      'x',
      { stream: 'stderr', time: T },
    ],
    [
      'stern over an envelope',
      `web-1 app {"message":${JSON.stringify(L)}}`,
      L,
      { pod: 'web-1', container: 'app' },
    ],
    ['colour in an envelope', `{"log":"\\u001b[32m${'x'}\\u001b[0m y"}`, 'x y', {}],
    ['compose over kubectl time', `web-1  | ${T} ${L}`, L, { container: 'web-1', time: T }],
    [
      'an object that is an access line',
      '{"response_code":200,"message":"done"}',
      '{"response_code":200,"message":"done"}',
      {},
    ],
    ['an envelope with a status of its own', `{"response_code":1,"message":${JSON.stringify(L)}}`, L, {}],
    ['an OTLP body', `{"body":{"stringValue":${JSON.stringify(L)}}}`, L, {}],
    [
      'Filebeat',
      `{"message":"x","kubernetes":{"pod":{"name":"p"},"namespace":"n","container":{"name":"c"},"node":{"name":"d"}}}`,
      'x',
      { pod: 'p', namespace: 'n', container: 'c', node: 'd' },
    ],
    [
      'a ztunnel line whose tabs became blanks',
      `${T} info access connection complete a=b`,
      `${T} info access connection complete a=b`,
      {},
    ],
    ['an ordinary sentence', 'app says hello', 'app says hello', {}],
    ['only a prefix', '[pod/a/b] ', '', { pod: 'a', container: 'b' }],
  ])('%s', (_, given, text, names) => {
    expect(peeled([given])).toEqual([[text, names, 1]]);
  });

  it('takes the keys of an envelope as told', () => {
    expect(peeled(['{"event":"x"}', '{"log":"y"}'], { envelopeKeys: ['event'] })).toEqual([
      ['x', {}, 1],
      ['{"log":"y"}', {}, 2],
    ]);
  });

  it("reads the lines of Loki's answer", () => {
    const values = [
      ['1767323045000000000', L],
      ['1767323046000000000', 'y'],
    ];
    const answer = {
      status: 'success',
      data: { resultType: 'streams', result: [{ stream: { pod: 'p', namespace: 'n' }, values }] },
    };
    expect(peeled([JSON.stringify(answer)])).toEqual([
      [L, { pod: 'p', namespace: 'n' }, 1],
      ['y', { pod: 'p', namespace: 'n' }, 1],
    ]);
  });

  it('joins pieces per pod and stream', () => {
    const piece = (pod: string, tag: string, text: string): string =>
      `[pod/${pod}/c] ${T} stdout ${tag} ${text}`;
    const names = { container: 'c', stream: 'stdout', time: T };
    expect(
      peeled([piece('a', 'P', 'a1 '), piece('b', 'P', 'b1'), piece('a', 'F', 'a2'), piece('b', 'F', ' b2')]),
    ).toEqual([
      ['a1 a2', { pod: 'a', ...names }, 3],
      ['b1 b2', { pod: 'b', ...names }, 4],
    ]);
  });

  it('bounds what pieces hold', () => {
    const pieces = Array.from({ length: 50 }, () => `${T} stdout P ${'x'.repeat(100)}`);
    expect(peeled([...pieces, `${T} stdout F end`], { maxLine: 1000 })).toEqual([
      ['x'.repeat(1000), { stream: 'stdout', time: T, overlong: true }, 51],
    ]);
  });

  it('ends the oldest of too many streams in pieces', () => {
    const pieces = Array.from({ length: 1025 }, (_, i) => `[pod/p-${i}/c] ${T} stdout P x${i}`);
    expect(peeled(pieces)[0]).toEqual(['x0', { pod: 'p-0', container: 'c', stream: 'stdout', time: T }, 1]);
    expect(peeled(pieces)).toHaveLength(1025);
  });

  it('names each wrapper once', () => {
    const met: unknown[] = [];
    peeled([`${T} stdout F a`, `${T} stdout F b`, `${T} c`], {
      onWrapper: (kind, line) => met.push([kind, line]),
    });
    expect(met).toEqual([
      ['CRI', 1],
      ['kubectl --timestamps', 3],
    ]);
  });
});
