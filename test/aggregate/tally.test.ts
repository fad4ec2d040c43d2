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
    // Lines that are alike otherwise: more tell no more, and take as much room as all else.
    expect(tally.size).toBeLessThan(500);
    expect(traffic.groups.reduce((sum, { failures }) => sum + failures, 0)).toBe(count / 3);
    const merged = new Tally();
    merged.merge(structuredClone(tally.pack()));
    expect(trafficOf(merged)).toEqual(traffic);
  });
});

describe('a tally of many names', () => {
  const tallyOf = (count: number, textOf: (i: number) => string): Tally => {
    const tally = new Tally();
    const parser = new LineParser();
    const record = new RecordCursor();
    for (let i = 0; i < count; i++) {
      expect(parser.parse(lineOf(textOf(i)), record)).toBe('record');
      tally.add(record, origin);
    }
    return tally;
  };
  const text = (authority: string, cluster: string, serverName: string): string =>
    `[2026-01-01T00:00:00.000Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 9 3 3 "-" "agent" "id" "${authority}" "10.0.0.1:80" ${cluster} 10.0.0.9:999 10.96.0.1:80 10.1.0.1:4000 ${serverName} default`;

  it('tells all apart that is not chosen by clients alone', () => {
    const cluster = (i: number): string => `outbound|80||s${i}.shop.svc.cluster.local`;
    expect(tallyOf(5_000, (i) => text(`h${i}`, cluster(i), `h${i}`)).size).toBe(5_000);
    const meshName = (i: number): string => `outbound_.80_._.s${i}.shop.svc.cluster.local`;
    expect(tallyOf(5_000, (i) => text('-', cluster(0), meshName(i))).size).toBe(5_000);
  });

  it('knows the first ones, and counts all others as one', () => {
    const names = (i: number): string => `h${i % 3_000}`;
    const tally = tallyOf(9_000, (i) => text(names(i), 'outbound|80||a.b', names(i)));
    const counts = new Map(
      Array.from({ length: tally.size }, (_, tuple) => [tally.text(tuple, 'authority'), tally.count(tuple)]),
    );
    expect(counts.get('h0')).toBe(3);
    expect(counts.get('h199')).toBe(3);
    expect(counts.get('(others)')).toBe(9_000 - 3 * (counts.size - 1));
  });

  it('tells some apart of each kind, whoever tried how many hosts before', () => {
    const tried = (i: number): string =>
      text(`tried${i}`, '-', '-')
        .replace('GET', `M${i % 20}`)
        .replace('200 - via_upstream', '404 NR route_not_found');
    const asked = (i: number): string => text(`h${i % 3}`, `outbound|80||s${i % 40}.shop`, '-');
    const tally = tallyOf(6_000, (i) => (i < 4_000 ? tried(i) : asked(i)));
    const names = new Set(Array.from({ length: tally.size }, (_, tuple) => tally.text(tuple, 'authority')));
    for (const name of ['h0', 'h1', 'h2']) expect(names).toContain(name);
    // What is nobody's is not held against what others asked for.
    const [group] = trafficOf(tally).groups;
    expect([group!.failures, group!.requests]).toEqual([4_000, 4_000]);
  });

  it('leaves an empty authority what it is: a connection without a request', () => {
    const bare = (i: number): string =>
      text('', 'outbound|443||x.ext', `t${i}.example`).replace(
        '"GET / HTTP/1.1" 200 - via_upstream',
        '"- - -" 0 - -',
      );
    const { failures, requests } = trafficOf(tallyOf(1_000, bare));
    expect([failures, requests]).toEqual([0, 1_000]);
  });

  it('keeps in one cell what was in one where another tally had its own names', () => {
    const y = (i: number): string =>
      i % 3 === 0
        ? text('y', '-', '-').replace('200 - via_upstream', '404 NR route_not_found')
        : text('y', 'outbound|80||a.b', '-').replace('GET', i % 3 === 1 ? 'GET' : 'PUT');
    const tally = tallyOf(3_000, (i) => text(`h${i}`, 'outbound|80||a.b', '-'));
    tally.merge(structuredClone(tallyOf(300, y).pack()));
    const [group] = trafficOf(tally).groups;
    expect(group).toMatchObject({ failures: 100, requests: 300 });
    expect(group!.top.user_agent).toEqual([{ value: 'agent', failures: 100, requests: 300 }]);
  });

  it('says of no name how many of its lines failed where some may be among the others', () => {
    const tally = tallyOf(12_000, (i) => {
      const line = text(`h${i % 3_000}`, 'outbound|80||a.b', '-');
      return i % 12 === 0 ? line.replace('200 -', '503 UF') : line;
    });
    const [group] = trafficOf(tally).groups;
    expect(group!.top.authority).toEqual([{ value: '(others)', failures: 1_000, requests: 12_000 }]);
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
