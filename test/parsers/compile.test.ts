import { describe, expect, it } from 'vitest';
import { compileFormat } from '../../parsers/compile.js';
import { describeFormat } from '../../parsers/describe.js';
import { FORMATS } from '../../parsers/index.js';
import { lineOf } from '../../src/record/line.js';
import { RecordCursor } from '../../src/record/record-view.js';

function read(format: string, line: string): unknown {
  const cursor = new RecordCursor();
  const result = compileFormat(format).parse(lineOf(line), cursor);
  if (result !== 'record') return result;
  const { format: _, ...record } = cursor.copy();
  return record;
}

describe('a format string', () => {
  it.each([
    [
      'plain fields',
      '%RESPONSE_CODE% %RESPONSE_FLAGS%',
      '503 UF,URX',
      { response_code: 503, response_flags: ['UF', 'URX'] },
    ],
    ['`-` is null', '%DURATION%ms %REQ(:METHOD)%', '-ms -', { duration: null, method: null }],
    ['%% is a percent sign', '100%% %RESPONSE_CODE%', '100% 200', { response_code: 200 }],
    [
      'headers, any case',
      '%REQ(:Authority)% %REQ(X-Tenant)%',
      'a:80 x y',
      { authority: 'a:80', extra: { 'req(x-tenant)': 'x y' } },
    ],
    [
      'one field twice',
      '%REQ(:PATH)% %REQ(X-ENVOY-ORIGINAL-PATH)%',
      '/a /b',
      { path: '/a', extra: { 'req(x-envoy-original-path)': '/b' } },
    ],
    [
      'numbers in extra',
      '%CONNECTION_ID% %UPSTREAM_PROTOCOL%',
      '17 HTTP/2',
      { extra: { connection_id: 17, upstream_protocol: 'HTTP/2' } },
    ],
    [
      'flags before a comma',
      '%RESPONSE_FLAGS%,%RESPONSE_CODE%',
      'UF,URX,503',
      { response_flags: ['UF', 'URX'], response_code: 503 },
    ],
    [
      'epoch time',
      '%START_TIME(%s.%3f)% %RESPONSE_CODE%',
      '1767323045.006 200',
      { start_time: '2026-01-02T03:04:05.006Z', response_code: 200 },
    ],
    [
      'local time',
      '[%START_TIME_LOCAL(%d/%b/%Y:%H:%M:%S %z)%] %RESPONSE_CODE%',
      '[02/Jan/2026:05:04:05 +0200] 200',
      { start_time: '2026-01-02T03:04:05Z', response_code: 200 },
    ],
    [
      'text given as JSON',
      '{"c": %RESPONSE_CODE%, "ua": "%REQ(USER-AGENT)%"}',
      '{"c": 200, "ua": "a "b" c"}',
      { response_code: 200, user_agent: 'a "b" c' },
    ],
    [
      'the user agent takes what is left',
      '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%"',
      '"1.2.3.4" "a" "b" "id"',
      { x_forwarded_for: '1.2.3.4', user_agent: 'a" "b', request_id: 'id' },
    ],
    [
      'JSON template',
      '{"code":"%RESPONSE_CODE%","peer":{"ip":"%DOWNSTREAM_REMOTE_ADDRESS%"},"what":"%REQ(:METHOD)% %PROTOCOL%","env":"prod"}',
      '{"code":503,"peer":{"ip":"10.0.0.1:5"},"what":"GET HTTP/2","env":"prod","new":[1]}',
      {
        response_code: 503,
        downstream_remote_address: '10.0.0.1:5',
        method: 'GET',
        protocol: 'HTTP/2',
        extra: { new: [1] },
      },
    ],
  ])('%s', (_, format, line, expected) => {
    expect(read(format, line)).toEqual(expected);
  });

  it.each([
    ['unknown word', 'x %response_code%', /column 3/],
    ['a lone percent sign', 'a %', /column 3/],
    ['side by side', '%RESPONSE_CODE%%RESPONSE_FLAGS%', /column 16.*side by side/],
    ['no operator', 'hello', /no operator/],
    ['several lines', '%RESPONSE_CODE%\n%RESPONSE_FLAGS%', /column 16.*several lines/],
  ])('is refused with its column: %s', (_, format, message) => {
    expect(() => compileFormat(format)).toThrow(message);
  });

  it('names operators that are not known and free texts that a blank ends', () => {
    expect(compileFormat('%NEW_OP% %RESPONSE_CODE%').notes).toEqual([
      expect.stringContaining('column 1: %NEW_OP% is not known'),
      expect.stringContaining('column 1: %NEW_OP% may hold blanks'),
    ]);
  });

  it('says where a line stops fitting', () => {
    expect(
      read('[%START_TIME%] %RESPONSE_CODE% %DURATION%', '[2026-01-02T03:04:05.006Z] 200 x'),
    ).toMatchObject({
      kind: 'malformed',
      at: 32,
      expected: expect.stringContaining('DURATION'),
    });
    expect(read('[%START_TIME%] %RESPONSE_CODE% %DURATION%', 'hello')).toBe('foreign');
  });
});

describe('built-in text layouts', () => {
  const layouts = FORMATS.filter(({ layout }) => layout.includes('%'));
  it.each(layouts.map((format) => [format.name, format] as const))(
    '%s is described by its format string',
    (_, format) => {
      const rows = describeFormat(format);
      expect(rows.map(({ key }) => key)).toContain('upstream_host');
      expect(rows.every(({ key }) => !key.startsWith('extra.'))).toBe(true);
    },
  );

  it('are read the same by a compiled format and by the reader of their skeleton', () => {
    const line =
      '[2026-01-02T03:04:05.006Z] "GET /a HTTP/1.1" 503 UF a{b|c} transport socket timeout "x y" 0 145 3 - "-" "a" "b" "id" "o:80" "10.1.1.9:80" outbound|80||o - 10.9.1.4:80 10.2.2.5:4 - my route';
    for (const format of layouts.filter(({ name }) => name === 'istio-text')) {
      const cursor = new RecordCursor();
      expect(format.parse(lineOf(line), cursor)).toBe('record');
      const { format: _, ...record } = cursor.copy();
      // The transport failure reason is a token by Envoy's rule; older proxies wrote blanks into it, which only the skeleton's reader knows.
      expect(read(format.layout, line.replace('"x y"', '"x_y"'))).toEqual({
        ...record,
        upstream_transport_failure_reason: 'x_y',
      });
    }
  });
});
