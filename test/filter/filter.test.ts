import { describe, expect, it } from 'vitest';
import { LineParser } from '../../parsers/index.js';
import { compileFilter, FilterError } from '../../src/filter/filter.js';
import { compileSelection } from '../../src/filter/selection.js';
import { lineOf } from '../../src/record/line.js';
import { RecordCursor } from '../../src/record/record-view.js';

const LINE =
  '[2026-11-23T08:13:54.880Z] "GET /checkout/42/status?x=1 HTTP/1.1" 503 URX,UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused} - "delayed_connect_error:_Connection_refused" 0 145 2150 - "-" "okhttp/4.12.0" "5f1c1b1a-0000-4000-8000-000000000000" "checkout.store:8088" "10.244.45.91:8088" outbound|8088||checkout.store.svc.cluster.local - 10.96.1.1:8088 10.244.44.2:51234 - default';

function record(): RecordCursor {
  const cursor = new RecordCursor();
  expect(new LineParser().parse(lineOf(LINE), cursor)).toBe('record');
  return cursor;
}
const context = { pod: 'checkout-9f98g5nwm-zzvvr', file: 'a/b.log' };
const matches = (text: string, who?: string | null): boolean =>
  compileFilter(text).matches(record(), who === undefined ? context : { ...context, who });

describe('a filter', () => {
  it.each([
    'code>=500',
    'code:503,504',
    'code:5xx',
    'code=503 flag:UF',
    'flag:UH,UF',
    'flag:u*',
    '!flag:-',
    'path~^/checkout/[0-9]+/status',
    '!path~^/healthz',
    'path:/checkout/*',
    'path:/checkout/42/status',
    'upstream:check*',
    'upstream:checkout',
    'upstream:checkout.store',
    'upstream:10.244.45.91',
    'host:10.244.45.91:8088',
    'pod:checkout-*',
    'dur>2s dur<2.2s',
    'dur=2150ms',
    'sent>100 sent<1k',
    'method!=POST',
    'ua:okhttp*',
    'response_code:503',
    'refused',
    '"Connection_refused"',
    '~okhttp/4\\.[0-9]+',
    '-healthz',
    'by:proxy is:failed',
    'service-time:-',
    'ROUTE:default',
    'details~"remote_connection_failure\\|"',
    '',
    '   ',
  ])('%s fits', (text) => expect(matches(text)).toBe(true));

  it.each([
    'code<500',
    'code:4xx',
    'flag:-',
    '!code>=500',
    'path:/checkout',
    'upstream:ledger*',
    'dur>3s',
    'pod:cart*',
    'method:POST',
    'sent>1k',
    'healthz',
    'is:ok',
    'service-time>0ms',
  ])('%s does not fit', (text) => expect(matches(text)).toBe(false));

  it.each([
    ['cod>=500', 1, 3, 'did you mean code?'],
    ['flag:UF zzzz:1', 9, 4, 'fields are code flag'],
    ['code>=5x', 7, 2, 'no number'],
    ['dur>2', 5, 1, 'no duration: write 150ms, 2s'],
    ['path~a(b', 7, 1, 'not closed'],
    ['path>3', 1, 5, 'path is text'],
    ['code:', 1, 5, 'needs a value'],
    ['flag:UF,,UH', 8, 1, 'value is missing'],
    ['path:"a b', 6, 1, 'quote is not closed'],
    ['code:503 !', 10, 1, 'needs a term'],
    ['sent>1x', 6, 2, 'no size'],
  ])('%s is refused at column %i', (text, at, length, words) => {
    try {
      compileFilter(text);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(FilterError);
      expect(error).toMatchObject({ at, length, message: expect.stringContaining(words) as string });
    }
  });

  it('asks who is to act of those who know', () => {
    expect(matches('who:mesh')).toBe(true);
    expect(matches('who:mesh', 'mesh')).toBe(true);
    expect(matches('who:mesh', 'app')).toBe(false);
    expect(matches('who:-', null)).toBe(true);
    expect(matches('!who:mesh,app', 'policy')).toBe(true);
    const filter = compileFilter('code>=500 who:mesh');
    expect([filter.asksWho, filter.admits('mesh'), filter.admits('app')]).toEqual([true, true, false]);
  });
});

describe('a selection', () => {
  const select = (texts: { filter?: string[]; include?: string[]; exclude?: string[] }): boolean =>
    compileSelection({ filter: [], include: [], exclude: [], ...texts })?.matches(record(), context) ?? true;
  it('joins filters, takes any include and no exclude', () => {
    expect(select({})).toBe(true);
    expect(select({ filter: ['code>=500', 'flag:UF'] })).toBe(true);
    expect(select({ filter: ['code>=500', 'flag:UH'] })).toBe(false);
    expect(select({ include: ['healthz', 'checkout'] })).toBe(true);
    expect(select({ include: ['healthz'] })).toBe(false);
    expect(select({ exclude: ['healthz', 'checkout'] })).toBe(false);
    expect(select({ exclude: ['who:mesh'] })).toBe(true);
  });
  it('names the flag and marks the place', () => {
    expect(() => select({ include: ['cod:1'] })).toThrow(
      expect.objectContaining({
        message: "--include: column 1: no field 'cod'; did you mean code?",
        marked: 'cod:1\n^^^',
      }) as Error,
    );
  });
});
