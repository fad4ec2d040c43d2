import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Lane } from '../../src/bulk/lane.js';
import { observeAll } from '../../src/bulk/observe-all.js';
import { partsOf } from '../../src/bulk/parts.js';
import { COMPILER, MODULE } from '../../src/bulk/scanner/module.js';
import { membersOf } from '../../src/bulk/scanner/members.js';
import { Scanner, type Host, type KindOfLine } from '../../src/bulk/scanner/scanner.js';
import { DURATION } from '../../src/aggregate/cell-values.js';
import type { Observation } from '../../src/aggregate/observation.js';
import { ROW_LIMITS, type RowLimits } from '../../src/aggregate/rows.js';
import { packageRoot } from '../../src/paths.js';
import type { Source } from '../../src/source/source.js';
import { observe } from '../../src/pipeline.js';
import { DEFAULT_MAX_LINE } from '../../src/record/line.js';
import { fileSource } from '../../src/source/file.js';
import { trafficLines } from '../bench/traffic.mjs';
import { scratch } from '../e2e/run.js';
import { job } from './job.js';
import { sampleLines } from '../logs.js';

/*
 * The scanner may be fast, but must say of every line what the reader of lines says. Both read the same bytes here, and all
 * that is remembered of them is held against each other.
 */

const { file } = scratch();
const TEXTS = ['method', 'protocol', 'authority', 'requested_server_name', 'route_name'] as const;

/** Everything that is remembered, rows by all they tell. */
function remembered(observation: Observation): unknown {
  const { coverage, traffic, rows } = observation.snapshot();
  const told = rows.rows.map((row) => {
    const getters = Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(row) as object));
    return Object.fromEntries(
      getters.flatMap(([name, { get }]) =>
        // What rows of a kind share is numbered as they come.
        get && name !== 'kind' ? [[name, get.call(row) as unknown]] : [],
      ),
    );
  });
  const values: unknown[] = [];
  const { tally } = observation;
  const counts = new Map<string, number>();
  tally.values.forEachRun((cell, kind, ids, times) => {
    for (const [i, id] of ids.entries()) {
      const value = kind === DURATION ? id : id < 0 ? null : tally.values.text(kind, id);
      const key = JSON.stringify([tally.cells[cell], kind, value]);
      counts.set(key, (counts.get(key) ?? 0) + times[i]!);
    }
  });
  values.push(...counts);
  for (let tuple = 0; tuple < tally.size; tuple++) {
    const { outcome, group, cluster, cell } = tally.told(tuple);
    const texts = TEXTS.map((name) => tally.text(tuple, name));
    const told = [tally.streamOf(tuple), tally.signs(tuple), outcome, group, cluster, tally.cells[cell]];
    values.push([told, texts, tally.code(tuple), tally.local(tuple), tally.count(tuple)]);
  }
  const sorted = values.map((value) => JSON.stringify(value)).toSorted();
  return { coverage, traffic, complete: rows.complete, evicted: rows.evicted, told, sorted };
}

interface How {
  readonly size?: number;
  readonly maxLine?: number;
  readonly limits?: RowLimits;
}

async function bothAgree(
  bytes: Buffer,
  { size = 3_000, maxLine = job.maxLine, limits = ROW_LIMITS }: How = {},
): Promise<void> {
  const sources = [fileSource(file('some.log', bytes))];
  const reading = { maxLine, envelopeKeys: job.envelopeKeys };
  const inOne = await observe(sources, reading, undefined, undefined, limits);
  const scanned = await observeAll(sources, { ...job, maxLine, limits }, { threads: 0, size });
  expect(remembered(scanned.observation)).toEqual(remembered(inOne.observation));
  // What comes from a pipe comes in pieces; whoever asks for what was read so far changes nothing.
  const lane = new Lane({ reading, filter: undefined, requestId: undefined, limits });
  let asked = 0;
  const ask = async (): Promise<void> => {
    if (++asked % 3 > 0) lane.settled();
  };
  const { name, origin } = sources[0]!;
  const pipe: Source = { name, origin, kind: 'pipe', open: () => piecesOf(bytes, ask) };
  for await (const part of partsOf(pipe, { size: Infinity, maxLine }))
    await lane.read({ ...part, index: 0 }, ask);
  expect(remembered(lane.settled())).toEqual(remembered(inOne.observation));
}

/** @param meanwhile done while the next piece is waited for */
async function* piecesOf(bytes: Buffer, meanwhile: () => Promise<void>, pieces = 7): AsyncIterable<Buffer> {
  const length = Math.max(977, Math.floor(bytes.length / pieces));
  for (let from = 0; from < bytes.length; from += length) {
    yield bytes.subarray(from, from + length);
    await meanwhile();
  }
}

/** What a line is counted as. */
const KIND: KindOfLine = {
  name: 0,
  cell: 1,
  failing: false,
  answers: true,
  counts: true,
  downstream: true,
  forAll: false,
};

/** What the scanner makes of lines: how many it counted, and which it handed over. */
function scan(lines: readonly string[]): { counted: number; other: string[] } {
  const other: string[] = [];
  const host: Host = {
    met: () => KIND,
    prefix: (start, end) =>
      scanner.input.toString('latin1', start, end).includes('strange') ? null : { number: 1, hash: 1 },
    layout: (start, end) => membersOf(scanner.input, start, end, []),
    other: (start, end) => other.push(scanner.input.toString('latin1', start, end)),
    keep: () => undefined,
    full: () => undefined,
    timeOf: (start, end) => Date.parse(scanner.input.toString('latin1', start, end)),
  };
  const scanner = new Scanner(host, DEFAULT_MAX_LINE, { healthy: 10, failing: 10 });
  scanner.begin({ number: 0, hash: 0 });
  const text = Buffer.from(`${lines.join('\n')}\n`);
  expect(scanner.scan(0, text.copy(scanner.input))).toBe(text.length);
  return { counted: scanner.counted.lines, other };
}

// Each way to write a field that a stranger, or Envoy, might choose.
const BAD = [
  '',
  '-',
  '--',
  ' ',
  '"',
  '" "',
  'a" "b',
  '\\"',
  '\\n',
  '\t',
  '\u001b[31m',
  'é',
  '\u0000',
  '{n}',
  '\r',
];
/** One in a few lines has a field that is odd, so that most are counted. */
const field = (common: string[], rare: string[] = []): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 45, arbitrary: fc.constantFrom(...common) },
    { weight: 1, arbitrary: fc.constantFrom(...rare, ...BAD) },
  );
const address = field(
  ['10.0.0.1:80', '10.0.0.2:80', '[fd00::1]:443', '127.0.0.6:5001', '[::6]:0', '-', '10.0.0.1'],
  ['2001:db8::1', '/run/a.sock', 'envoy://x/10.1.1.1:2', '[fd00::1', 'a.b:1'],
);
const count = field(['0', '7', '1234', '007'], ['99999999999', '-', '1.5']);
const time = field(
  ['2026-11-24T08:13:37.675Z', '2026-11-24T08:13:59.000Z', '2026-11-24T08:14:00.001Z'],
  [
    '2026-11-24T08:13:37.675204Z',
    '2026-11-24T08:13:37Z',
    '2026-13-24T08:13:37.675Z',
    '2026-11-24T08:13:61.675Z',
    '1999-11-24T08:13:37.675Z',
    '2026-11-24T08:13:37.675+01:00',
  ],
);
const path = field(
  [
    '/',
    '/a/b',
    '/v1/items/17/detail?x=1',
    '/o/feacb771',
    '/o/3f0c8a52-4f77-4f0e-9c53-8f5f1d4a9b10',
    '/o/3f0c8a52-4f77-4f0e-9c53-8f5f1d4a9b1g',
    '/o/abcdefab-cdef-abcd-efab-cdefabcdefab',
    '/ABCDEFGHIJKLMNOP1',
    '/ABCDEFGHIJKLMNOPQ',
    '/123456789012345_',
    '/abcdefabcdef',
    '/é/12',
    '-',
  ],
  [`/${'x'.repeat(600)}`, `/${'y'.repeat(511)}?q`, `/${'y'.repeat(510)}?q`, '/a b'],
);
const id = field([
  'f7e79d2b-a087-49c9-aaf3-47f6663049c9',
  'f7e79d2b-a087-99c9-aaf3-47f6663049c9',
  'abc',
  '-',
]);
const line = fc
  .tuple(
    fc.tuple(
      time,
      field(['GET', 'POST', '-', 'CONNECT']),
      path,
      field(['HTTP/1.1', 'HTTP/2', 'HTTP/3', '-', 'HTTP/1.0'], ['HTTP']),
    ),
    fc.tuple(
      field(['200', '503', '0', '101', '404', '0200'], ['x']),
      field(['-', 'UF', 'UF,URX', 'DC', 'NR'], ['uf2', '5']),
    ),
    fc.tuple(
      field(['via_upstream', '-', 'response_timeout', 'upstream_reset{a|b}'], ['17', 'a b']),
      field(['-', 'rbac_access_denied_matched_policy[none]'], ['a b']),
      field(['-', 'delayed_connect_error:_111']),
    ),
    fc.tuple(count, count, field(['0', '7', '1234', '70000', '-'], ['99999999999']), field(['5', '-', 'x'])),
    fc.tuple(
      field(['-', '10.1.1.1', '1.1.1.1, 2.2.2.2']),
      field(['curl/8', '-', 'a b c', 'Mozilla/5.0 (X11; Linux)'], ['Mozilla/5.0 "x"']),
      id,
      field(['svc.example.com', '-', 'svc:80']),
      address,
    ),
    fc.tuple(
      field(
        [
          'outbound|80||svc.ns.svc.cluster.local',
          'inbound|8080||',
          '-',
          'PassthroughCluster',
          'connect_originate',
        ],
        ['outbound|80||a.b;'],
      ),
      address,
      address,
      address,
      field(['-', 'svc.example.com', 'outbound_.80_._.svc.ns.svc.cluster.local']),
      field(['default', '-'], ['a b', 'default\\n']),
    ),
  )
  .map(
    ([[at, method, target, protocol], [code, flags], [details, ended, reason], counts, quoted, tail]) =>
      `[${at}] "${method} ${target} ${protocol}" ${code} ${flags} ${details} ${ended} "${reason}" ${counts.join(' ')} ${quoted.map((text) => `"${text}"`).join(' ')} ${tail.join(' ')}`,
  );

const bytesOf = (lines: readonly string[]): Buffer => Buffer.from(`${lines.join('\n')}\n`);

describe('the scanner', () => {
  it('counts every line of a gateway, and of TCP', () => {
    const lines = [...trafficLines('text', 500)];
    const tcp =
      '[2026-11-24T08:13:37.675Z] "- - -" 0 - - - "-" 5 7 9 - "-" "-" "-" "-" "10.9.1.1:5432" outbound|5432||db.data.svc.cluster.local 10.20.0.7:20001 10.96.2.1:5432 10.20.0.9:20002 - -';
    expect(scan([...lines, tcp, `${tcp}\r`])).toEqual({ counted: 502, other: [] });
    expect(scan([...trafficLines('json', 250)])).toEqual({ counted: 250, other: [] });
  });

  it('hands over what is no such line, as it stands', () => {
    const [good = ''] = trafficLines('text', 1);
    const lines = [
      '',
      'x',
      `${good} more`,
      good.replace('" 200', '"" 200'),
      `${good}\\n`,
      good.slice(0, -20),
    ];
    expect(scan([...lines, good])).toEqual({ counted: 1, other: lines });
  });

  it('asks to be cleared before many cells with many values take up all memory', () => {
    let cells = 0;
    const host: Host = {
      met: () => ({ ...KIND, cell: cells++ }),
      prefix: () => null,
      layout: () => null,
      other: () => undefined,
      keep: () => undefined,
      full: () => undefined,
      timeOf: (start, end) => Date.parse(scanner.input.toString('latin1', start, end)),
    };
    const scanner = new Scanner(host, DEFAULT_MAX_LINE, { healthy: 1, failing: 1 });
    scanner.begin({ number: 0, hash: 0 });
    let full = 0;
    for (let i = 0; i < 160_000; i += 1_000) {
      const lines = Array.from({ length: 1_000 }, (_, j) => {
        const number = i + j;
        const authority = number < 100_000 ? 'one' : `other-${number}`;
        const peer = `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}:1`;
        return `[2026-11-24T08:13:37.675Z] "GET / HTTP/1.1" 200 - - - "-" 0 0 1 1 "-" "-" "-" "${authority}" "-" - - - ${peer} - -`;
      });
      const length = bytesOf(lines).copy(scanner.input);
      for (let at = scanner.scan(0, length); at < length; at = scanner.scan(at, length)) {
        full++;
        scanner.clear();
      }
    }
    expect(full).toBeGreaterThan(0);
    expect(scanner.input.buffer.byteLength).toBeLessThan(300 << 20);
  });

  it('says what the reader of lines says, whatever the fields', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 120 }), (lines) =>
        bothAgree(bytesOf(lines)),
      ),
      { numRuns: 150 },
    );
  });

  it('says the same of JSON, whatever the members', async () => {
    const objects = [...trafficLines('json', 40)].map((text) => JSON.parse(text) as Record<string, unknown>);
    const keys = [...Object.keys(objects[0]!), 'more', 'message', 'log', 'status', '__proto__', 'pod'];
    const value = fc.constantFrom<unknown>(
      null,
      '-',
      '',
      'x',
      '17',
      7,
      70_000,
      1.5,
      -1,
      1e21,
      true,
      'é',
      'a"b',
      '10.0.0.1:80',
      '[fd00::1]:2',
      '127.0.0.6:1',
      ['UF'],
      { a: 1 },
      '2026-11-24T08:13:37.675Z',
      '[2026-11-24T08:13:37.675Z] "- - -" 0 -',
    );
    const dropped = Symbol('dropped');
    const changed = fc
      .tuple(
        fc.constantFrom(...objects),
        fc.array(
          fc.tuple(
            fc.constantFrom(...keys),
            fc.oneof({ weight: 9, arbitrary: value }, { weight: 1, arbitrary: fc.constant(dropped) }),
          ),
          { maxLength: 1 },
        ),
        fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 2),
      )
      .map(([object, changes, shape]) => {
        const entries = new Map(Object.entries(object));
        for (const [key, to] of changes) {
          if (to === dropped) entries.delete(key);
          else entries.set(key, to);
        }
        const members = [...entries].map(([key, held]) => `${JSON.stringify(key)}:${JSON.stringify(held)}`);
        if (shape === 1) members.reverse();
        if (shape === 2) members.push(members[5]!);
        return `{${members.join(',')}}`;
      });
    await fc.assert(
      fc.asyncProperty(fc.array(changed, { minLength: 1, maxLength: 120 }), (lines) =>
        bothAgree(bytesOf(lines)),
      ),
      { numRuns: 100 },
    );
  });

  it('counts lines behind the stamp of a kubelet, or of kubectl, but for the first of a part', () => {
    const lines = [...trafficLines('text', 200), ...trafficLines('json', 200)];
    const cri = lines.map(
      (text, i) => `2026-11-24T08:13:37.67520${1000 + i}Z std${i % 2 ? 'out' : 'err'} F ${text}`,
    );
    expect(scan(cri)).toEqual({ counted: 399, other: cri.slice(0, 1) });
    const timestamps = lines.map((text, i) => `2026-02-28T23:59:59.${i + 1}+05:30 ${text}`);
    expect(scan(timestamps)).toEqual({ counted: 399, other: timestamps.slice(0, 1) });
  });

  it('says the same of stamped lines, in pieces too', async () => {
    const written = field(
      [
        '2026-11-24T08:13:37.675204123Z',
        '2026-11-24T08:13:38.1Z',
        '2026-11-24T08:14:00Z',
        '2026-12-31T23:59:59.9+01:00',
      ],
      [
        '2026-13-24T08:13:37.675Z',
        '2026-11-32T08:13:37.675Z',
        '2026-11-24T24:13:37.675Z',
        '2026-11-24T08:13:60.675Z',
        '2026-11-24T08:13:61.675Z',
        '2026-11-24t08:13:37.675z',
        '2026-11-24 08:13:37.675Z',
        '2026-11-24T08:13:37.Z',
        '2026-11-24T08:13:37.1234567890Z',
        '2026-11-24T08:13:37.675+0100',
        '2026-11-24T08:13:37.675-99:99',
        '2026-11-24T08:13:37.675',
        '1999-11-24T08:13:37.675Z',
      ],
    );
    const tag = field(
      ['', 'stdout F ', 'stderr F '],
      [
        'stdout F',
        'stdout F:x ',
        'stdout  F ',
        'stdin F ',
        'info access ',
        'stdout P ',
        'stderr P ',
        '[pod/a/b] ',
      ],
    );
    const inner = fc.oneof(
      { weight: 8, arbitrary: line },
      { weight: 4, arbitrary: fc.constantFrom(...trafficLines('mixed', 60)) },
      { weight: 1, arbitrary: fc.constantFrom('', '{', '[', '[20', 'x', '{}') },
    );
    const whole = fc.tuple(written, tag, inner).map(([at, what, text]) => `${at} ${what}${text}`);
    const inPieces = fc
      .tuple(written, fc.constantFrom('stdout', 'stderr'), inner, fc.nat(400), fc.boolean())
      .map(([at, stream, text, cut, ends]) => {
        const rest = ends ? `\n${at} ${stream} F ${text.slice(cut)}` : '';
        return `${at} ${stream} P ${text.slice(0, cut)}${rest}`;
      });
    const logged = fc.oneof(
      { weight: 40, arbitrary: whole },
      { weight: 4, arbitrary: inner },
      { weight: 1, arbitrary: inPieces },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(logged, { minLength: 1, maxLength: 120 }),
        fc.constantFrom(job.maxLine, 420),
        (lines, maxLine) => bothAgree(bytesOf(lines), { maxLine }),
      ),
      { numRuns: 150 },
    );
  });

  it('counts lines behind the names that kubectl and stern write, but for the first of each kind', () => {
    const lines = [...trafficLines('text', 60), ...trafficLines('json', 60)];
    const named = lines.flatMap((text, i) => [
      `[pod/web-${i % 7}/istio-proxy] ${text}`,
      `web-${i % 7} istio-proxy ${text}`,
      `shop web-${i % 7} istio-proxy 2026-02-28T23:59:59.${i + 1}Z ${text}`,
    ]);
    expect(scan(named)).toEqual({ counted: 357, other: named.slice(0, 3) });
    const strange = named.map((text) => text.replace('web', 'strange'));
    expect(scan(strange)).toEqual({ counted: 0, other: strange });
  });

  it('says the same of lines behind names, of many pods in turn', async () => {
    const long = 'n'.repeat(190);
    const names = field(
      [
        '[pod/web-7d9f8c6b54-x2k4q/istio-proxy] ',
        '[pod/a/b] ',
        'web-7d9f8c6b54-x2k4q istio-proxy ',
        'web-7d9f8c6b54-x2k4q app ',
        'shop web-1 istio-proxy ',
        'a b ',
        'istio-proxy ',
        `[pod/${long}/c] `,
        '',
      ],
      [
        '[pod/a] ',
        '[pod//b] ',
        '[pod/a/] ',
        '[pod/a/b/c] ',
        '[pod/a/b]',
        '[pod/a/b]  ',
        '[pod/a/b',
        '[Pod/a/b] ',
        '[pod/A b/c] ',
        '[pod/\u001b[1ma/b] ',
        `[pod/${long}${long}${long}/c] `,
        'Web istio-proxy ',
        'web  istio-proxy ',
        ' web istio-proxy ',
        'web\tistio-proxy ',
        'a b c d ',
        'a_b c ',
        `${long}${long} c `,
        `${'m'.repeat(254)} `,
        `${'m'.repeat(255)} `,
        '[pod/a/b] [pod/c/d] ',
        '[pod/a/b] web istio-proxy ',
        '7 8 9 ',
      ],
    );
    const stamp = fc.oneof(
      { weight: 20, arbitrary: fc.constant('') },
      {
        weight: 4,
        arbitrary: fc.constantFrom(
          '2026-11-24T08:13:37.675Z ',
          '2026-11-24T08:13:38.1Z stdout F ',
          '2026-11-24T08:13:38.1Z stdout P ',
          '2026-11-24T08:13:38.1Z  ',
          '2026-11-2',
          '2026',
        ),
      },
    );
    const inner = fc.oneof(
      { weight: 8, arbitrary: line },
      { weight: 4, arbitrary: fc.constantFrom(...trafficLines('mixed', 60)) },
      { weight: 1, arbitrary: fc.constantFrom('', '{', '[', '[20', 'x', '{}', 'Envoy proxy is ready') },
    );
    const logged = fc.tuple(names, stamp, inner).map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(
        fc.array(logged, { minLength: 1, maxLength: 150 }),
        fc.constantFrom(job.maxLine, 420),
        (lines, maxLine) => bothAgree(bytesOf(lines), { maxLine }),
      ),
      { numRuns: 80 },
    );
  });

  it('says the same of more names than it knows at once', async () => {
    const lines = [...trafficLines('text', 5_000)].map((text, i) => `web-${i % 4_500} istio-proxy ${text}`);
    await bothAgree(bytesOf(lines), { size: 1 << 20 });
  });

  it('says the same of lines that were damaged', async () => {
    const good = [
      ...trafficLines('mixed', 300),
      ...sampleLines().map((bytes) => bytes.toString('latin1').trimEnd()),
    ];
    const piece = fc.constantFrom(
      '"',
      ' ',
      '" "',
      '[',
      ']',
      '-',
      ':',
      '\n',
      '\r\n',
      '\t',
      '\u001b',
      '\\',
      '\u0000',
      '7',
      'é',
      '',
    );
    const damaged = fc
      .tuple(fc.constantFrom(...good), fc.array(fc.tuple(fc.nat(400), fc.nat(3), piece), { maxLength: 2 }))
      .map(([text, cuts]) =>
        cuts.reduce((now, [at, length, put]) => now.slice(0, at) + put + now.slice(at + length), text),
      );
    await fc.assert(
      fc.asyncProperty(fc.array(damaged, { minLength: 1, maxLength: 150 }), fc.boolean(), (lines, ends) => {
        const bytes = Buffer.from(lines.join('\n') + (ends ? '\n' : ''), 'latin1');
        return bothAgree(bytes);
      }),
      { numRuns: 60 },
    );
  });

  it('says the same of long texts, and of paths as long as it reads at once', async () => {
    const segment = fc.constantFrom(
      '',
      '1',
      '17',
      'a',
      'v1',
      'items',
      'feacb771',
      'ABCDEFGHIJKLMNOP1',
      '3f0c8a52-4f77-4f0e-9c53-8f5f1d4a9b10',
      'abcdefab-cdef-abcd-efab-cdefabcdefab',
      'a?1/2',
      'é',
    );
    const path = fc
      .tuple(
        fc.array(segment, { minLength: 1, maxLength: 300 }),
        fc.constantFrom(16, 31, 32, 33, 48, 63, 64, 65, 66, 128, 511, 512, 513),
        fc.constantFrom('', '', '?', '?1/2', '/'),
      )
      .map(([segments, length, end]) => {
        const text = `/${segments.join('/')}`;
        return text.repeat(Math.ceil(length / text.length)).slice(0, length) + end;
      });
    const long = fc
      .constantFrom(1, 15, 16, 17, 36, 191, 192, 193, 384, 385, 700)
      .chain((length) => fc.constantFrom('a', 'b').map((last) => 'x'.repeat(length - 1) + last));
    const text = fc
      .tuple(path, long, long, long, fc.nat(63), fc.constantFrom(200, 200, 200, 503))
      .map(
        ([target, agent, id, authority, pad, code]) =>
          `[2026-11-24T08:13:37.675Z] "GET ${target} HTTP/1.1" ${code} - via_upstream - "-" 0 7 5 5 "${'1'.repeat(pad + 1)}" ` +
          `"${agent}" "${id}" "${authority}" "10.0.0.1:80" outbound|80||a.b 10.0.0.2:1 10.0.0.3:80 10.0.0.4:2 - default`,
      );
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { minLength: 1, maxLength: 60 }),
        fc.constantFrom(ROW_LIMITS, { healthy: 7, failing: 3 }),
        (lines, limits) => bothAgree(bytesOf(lines), { limits }),
      ),
      { numRuns: 40 },
    );
  });

  it('says the same of a log that is longer than what it reads at once, and whose lines are', async () => {
    const lines = [...trafficLines('text', 3_000)];
    const long = lines[7]!.replace('HTTP', `${'x'.repeat(300_000)} HTTP`);
    const bytes = bytesOf([...lines.slice(0, 900), long, ...lines.slice(900), long, lines[3]!]);
    await bothAgree(bytes, { size: 1 << 20 });
    await bothAgree(bytes, { size: 1 << 20, maxLine: 350 });
    await bothAgree(bytes.subarray(0, bytes.length - 30), { size: 1 << 20 });
  });

  it('keeps the same lines where some are handed over, however few are kept', async () => {
    const lines = [...trafficLines('text', 500)];
    const stretch = fc.tuple(fc.integer({ min: 1, max: 60 }), fc.boolean());
    await fc.assert(
      fc.asyncProperty(
        fc.array(stretch, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 3, max: 12 }),
        (stretches, healthy) => {
          let from = 0;
          const some = stretches.flatMap(([length, other]) => {
            const here = lines.slice(from, (from += length));
            // A time in microseconds is left to the host.
            return other ? here.map((text) => text.replace('Z]', '123Z]')) : here;
          });
          return bothAgree(bytesOf(some), { size: 1 << 20, limits: { healthy, failing: 5 } });
        },
      ),
      {
        numRuns: 40,
        examples: [
          [
            [
              [34, false],
              [4, true],
            ],
            3,
          ],
          [
            [
              [131, false],
              [147, true],
              [61, true],
              [88, false],
            ],
            3,
          ],
        ],
      },
    );
  });

  it.each(['text', 'json'] as const)(
    'says the same of %s lines with more names than are told apart',
    async (kind) => {
      const lines = [...trafficLines(kind, 16_000)].map((text, i) => {
        const name = `n${Math.imul(i, 7919) % 2_700}.example.com`;
        return i % 11 === 0 ? text : text.replaceAll(/svc\d+\.example\.com/g, name);
      });
      await bothAgree(bytesOf(lines), { size: 1 << 25 });
      // As much as it takes for counts to be taken over meanwhile.
      const many = lines.map((text, i) =>
        text.replace(/10\.20\.\d+\.\d+:8080/, `10.${i % 251}.${i % 83}.1:8080`),
      );
      await bothAgree(bytesOf(many), { size: 1 << 25 });
    },
  );

  it('keeps of each line what it says, when texts get other numbers while it is read', async () => {
    const names = Array.from({ length: 20_000 }, (_, i) => (i % 5 === 0 ? `hot${i % 50}` : `n${i}`));
    const [line] = [...trafficLines('text', 1)];
    const bytes = bytesOf(
      names.map((name, i) =>
        line!
          .replace(/svc\d+\.example\.com/g, name)
          .replace(/"Mozilla[^"]*"/, `"agent-of-${name}"`)
          .replace(/"[0-9a-f]{8}-/, `"${((i * 0x9e3779b1) % 2 ** 32).toString(16).padStart(8, '0')}-`),
      ),
    );
    const reading = { maxLine: job.maxLine, envelopeKeys: job.envelopeKeys };
    const limits = { healthy: 6_000, failing: 6_000 };
    const lane = new Lane({ reading, filter: undefined, requestId: undefined, limits }, (read) =>
      read < bytes.length / 2 ? limits : { healthy: 300, failing: 300 },
    );
    const ask = async (): Promise<void> => void lane.settled().snapshot();
    const pipe: Source = { name: '-', origin: {}, kind: 'pipe', open: () => piecesOf(bytes, ask, 60) };
    for await (const part of partsOf(pipe, { size: Infinity, maxLine: job.maxLine }))
      await lane.read({ ...part, index: 0 });
    const { rows } = lane.settled().snapshot().rows;
    expect(rows.length).toBeGreaterThan(50);
    for (const row of rows) expect(row.userAgent).toBe(`agent-of-${row.authority}`);
  });

  it('says the same where ids are shared by too many, and there are more lines than are kept', async () => {
    const lines = [...trafficLines('text', 12_000)].map((text, i) => {
      if (i % 9 === 0) return text.replace(/"[0-9a-f]{8}-[^"]+"/, '"the-same-for-all"');
      return i % 7 === 0 ? text.replace(/"[0-9a-f]{8}-[^"]+"/, '"-"') : text;
    });
    await bothAgree(bytesOf(lines), { size: 1 << 20, limits: { healthy: 1_500, failing: 300 } });
  });

  it('keeps lines of one connection that name no request, however many those are', async () => {
    const lines = [...trafficLines('text', 30_000)].map((text) =>
      text
        .replace(/"[0-9a-f]{8}-[^"]+"/, '"-"')
        .replace(/ 10\.20\.0\.7:\d+ (?=10\.20\.0\.7:8443)/, ' 10.20.0.7:40001 '),
    );
    const limits = { healthy: 2_000, failing: 1_000 };
    await bothAgree(bytesOf(lines), { size: 1 << 21, limits });
    const sources = [fileSource(file('one.log', bytesOf(lines)))];
    const { observation } = await observeAll(sources, { ...job, limits }, { threads: 0 });
    const { rows, traffic } = observation.snapshot();
    const told = (failing: boolean): number =>
      rows.rows.filter(({ failure }) => failure === failing).reduce((sum, { weight }) => sum + weight, 0);
    expect(Math.abs(told(true) - traffic.failures)).toBeLessThan(0.25 * traffic.failures);
    expect(Math.abs(told(false) + told(true) - traffic.requests)).toBeLessThan(0.25 * traffic.requests);
  });

  // The hash of one is in the lower half, which stays where every second line does; that of the other is not.
  it.each(['one', 'two'])(
    'says the same where %s is the id of too many lines, some of which are handed over',
    async (shared) => {
      const lines = [...trafficLines('text', 3_000)].filter((text) => text.includes('" 200 '));
      const other = (text: string): string => text.replace('Z]', '123Z]');
      const ofOne = (text: string): string => text.replace(/"[0-9a-f]{8}-[^"]+"/, `"${shared}"`);
      const limits = { healthy: 800, failing: 300 };
      // It turns out by lines that are handed over.
      const late = [
        ...lines.slice(0, 400).map(ofOne),
        ...lines.slice(400, 910).map((text) => other(ofOne(text))),
        ...lines.slice(910, 1_400).map(other),
      ];
      await bothAgree(bytesOf(late), { size: 1 << 20, limits });
      // And while lines are taken over.
      const mixed = lines
        .slice(0, 2_000)
        .map((text, i) => (i % 40 === 0 ? other : String)(i % 4 < 3 ? ofOne(text) : text));
      await bothAgree(bytesOf(mixed), { size: 1 << 20, limits });
      // And where the fourth part, which another lane reads, holds only a few of them.
      const early = [...lines.slice(0, 1_000).map(ofOne), ...lines.slice(1_000, 1_600)];
      const rest = [...lines.slice(1_600, 2_000).map(ofOne), ...lines.slice(2_000)];
      const size = Math.floor(bytesOf(early).length / 3);
      await bothAgree(bytesOf([...early, ...rest]), { size, limits: { healthy: 1_500, failing: 300 } });
    },
  );
});

const built = spawnSync('clang', ['--version'], { encoding: 'utf8' }).stdout?.split('\n')[0] === COMPILER;

describe.skipIf(!built)(`the module, where ${COMPILER} is installed`, () => {
  it('is what its source makes', () => {
    const script = join(packageRoot, 'scripts', 'build-scanner.mjs');
    expect(execFileSync(process.execPath, [script, '--print'], { encoding: 'utf8' })).toBe(MODULE);
  });
});
