import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineParser } from '../../parsers/index.js';
import { judge } from '../../src/aggregate/failure.js';
import { directionOf, groupKeyText } from '../../src/aggregate/group-key.js';
import { trafficOf } from '../../src/aggregate/groups.js';
import { pathTemplate, PathTemplates } from '../../src/aggregate/path-template.js';
import { Tally } from '../../src/aggregate/tally.js';
import { hostOf } from '../../src/record/address.js';
import { Dictionary } from '../../src/record/dictionary.js';
import { lineOf } from '../../src/record/line.js';
import { RecordCursor } from '../../src/record/record-view.js';
import { detailsClass } from '../../src/record/response-code-details.js';
import { Span } from '../../src/record/span.js';
import { sampleLines } from '../logs.js';

const origin = { pod: 'web-1', file: 'web.log', line: 1 };
const bump = (counts: Record<string, number>, key: string | null | undefined): void => {
  if (key !== null && key !== undefined) counts[key] = (counts[key] ?? 0) + 1;
};
const sorted = (counts: Record<string, number>): [string, number][] =>
  Object.entries(counts).toSorted(([a], [b]) => (a < b ? -1 : 1));

/** The same, line by line and text by text, with nothing but maps. */
function counted(lines: readonly Buffer[]) {
  const parser = new LineParser();
  const record = new RecordCursor();
  const tally = new Tally();
  const codes: Record<string, number> = {};
  const flags: Record<string, number> = {};
  const groups: Record<string, number> = {};
  const peers: Record<string, number> = {};
  const paths: Record<string, number> = {};
  for (const bytes of lines) {
    if (parser.parse({ bytes, start: 0, end: bytes.length }, record) !== 'record') continue;
    tally.add(record, origin);
    const outcome = judge(record);
    if (outcome.tunnel) continue;
    bump(codes, String(record.responseCode() ?? '-'));
    for (const flag of record.responseFlags()) bump(flags, flag);
    if (!outcome.failure) continue;
    const details = record.text('response_code_details');
    const key = groupKeyText({
      direction: directionOf(record),
      upstreamCluster: record.upstreamCluster()?.name ?? null,
      responseCode: record.responseCode(),
      responseFlags: record.responseFlags(),
      detailsClass: details ? detailsClass(details) : (details ?? null),
    });
    bump(groups, key);
    const remote = record.text('downstream_remote_address');
    if (remote) bump(peers, `${key}\n${hostOf(remote)}`);
    const path = record.text('path');
    if (path) bump(paths, `${key}\n${pathTemplate(path)}`);
  }
  return { tally, codes, flags, groups, peers, paths };
}

describe('a tally', () => {
  const lines = sampleLines();

  it('counts what was counted line by line', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...lines), { maxLength: 200 }), (some) => {
        const { tally, codes, flags, groups, peers, paths } = counted(some);
        const traffic = trafficOf(tally);
        expect(sorted(Object.fromEntries(traffic.byCode))).toEqual(sorted(codes));
        expect(sorted(Object.fromEntries(traffic.byFlag))).toEqual(sorted(flags));
        expect(
          sorted(Object.fromEntries(traffic.groups.map((one) => [groupKeyText(one), one.failures]))),
        ).toEqual(sorted(groups));
        for (const group of traffic.groups) {
          for (const [told, dimension] of [
            [peers, 'downstream_peer'],
            [paths, 'path'],
          ] as const) {
            for (const { value, failures, requests } of group.top[dimension] ?? []) {
              expect(failures).toBe(told[`${groupKeyText(group)}\n${value}`] ?? 0);
              expect(requests).toBeGreaterThanOrEqual(failures);
            }
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it('loses no line where strangers choose texts without end', () => {
    const tally = new Tally();
    const parser = new LineParser();
    const record = new RecordCursor();
    const count = 60_000;
    for (let i = 0; i < count; i++) {
      const host = `h${i}.example.com`;
      const code = i % 3 === 0 ? '503 UF' : '200 -';
      const line = lineOf(
        `[2026-01-01T00:00:00.000Z] "GET /${i}/x HTTP/1.1" ${code} via_upstream - "-" 0 9 3 3 "-" "agent-${i}" "id" "${host}" "10.0.0.1:80" outbound|80||orders.shop.svc.cluster.local 10.0.0.9:999 10.96.0.1:80 10.${i % 250}.0.1:4000 ${host} default`,
      );
      expect(parser.parse(line, record)).toBe('record');
      tally.add(record, origin);
    }
    const traffic = trafficOf(tally);
    expect(traffic.requests).toBe(count);
    expect(traffic.failures).toBe(count / 3);
    expect(tally.size).toBeLessThan(45_000);
    expect(traffic.groups.reduce((sum, { failures }) => sum + failures, 0)).toBe(count / 3);
    const merged = new Tally();
    merged.merge(structuredClone(tally.pack()));
    expect(trafficOf(merged)).toEqual(traffic);
  });
});

describe('a path on bytes', () => {
  it('has the template that its text has', () => {
    const segment = fc.oneof(
      fc.constantFrom(
        '',
        'v1',
        '42',
        '6f5935e5-92b5-407d-bfb0-d6813e9b37ab',
        'deadbeef1',
        'abcdefab',
        'Xk3-9_aaaaaaaaaaaaa',
      ),
      fc.string({ maxLength: 20 }),
    );
    const templates = new PathTemplates();
    const dictionary = new Dictionary();
    const span = new Span();
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 60 }), fc.constantFrom('', '?q=1/2'), (segments, query) => {
        const path = `/${segments.join('/')}${query}`;
        span.set(path);
        // What is no UTF-16 becomes U+FFFD in bytes.
        const text = Buffer.from(path).toString();
        expect(dictionary.text(templates.idIn(dictionary, span))).toBe(pathTemplate(text));
      }),
      { numRuns: 500 },
    );
  });
});
