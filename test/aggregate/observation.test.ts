import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { service } from '../diagnosis/cases/case.js';
import { moments, observe, print, requestId, RESET, server, type Logged } from '../diagnosis/traffic.js';
import {
  incidents,
  linesOf,
  logsOf,
  observed,
  reportJson,
  sampleLines,
  type LogFile,
  type Piece,
} from '../logs.js';

const lines = sampleLines();

/** A sample line that was shortened, or of which some bytes were changed, doubled or cut out. */
const mutated = fc
  .record({
    line: fc.constantFrom(...lines),
    changes: fc.array(fc.record({ at: fc.nat(), take: fc.nat(6), put: fc.uint8Array({ maxLength: 4 }) }), {
      maxLength: 3,
    }),
    keep: fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true })),
  })
  .map(({ line, changes, keep }) => {
    let bytes = line.subarray(0, Math.ceil(line.length * keep));
    for (const { at, take, put } of changes) {
      const place = bytes.length === 0 ? 0 : at % bytes.length;
      bytes = Buffer.concat([bytes.subarray(0, place), put, bytes.subarray(place + take)]);
    }
    return bytes;
  });

const input = fc
  .array(
    fc.oneof({ weight: 4, arbitrary: mutated }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }) }),
    {
      maxLength: 12,
    },
  )
  .map((parts) => Buffer.concat(parts));

describe('every line ends as something', () => {
  it('lines = records + foreign + malformed, for any bytes', () => {
    fc.assert(
      fc.property(
        input,
        fc.oneof(fc.integer({ min: 1, max: 300 }), fc.constant(1 << 20)),
        (bytes, maxLine) => {
          const { coverage } = observed([{ name: 'a.log', bytes }], undefined, maxLine).snapshot();
          expect(coverage.records + coverage.foreign + coverage.malformed).toBe(coverage.lines);
          expect(coverage.lines).toBe(linesOf(bytes).length);
          expect(coverage.overlong).toBeLessThanOrEqual(coverage.malformed);
          expect(coverage.unterminated).toBe(bytes.length > 0 && bytes.at(-1) !== 10 ? 1 : 0);
        },
      ),
      { numRuns: 600 },
    );
  });

  it('never throws on the way to a report', () => {
    fc.assert(
      fc.property(input, (bytes) => {
        const report = JSON.parse(reportJson(observed([{ name: 'a.log', bytes }]))) as {
          coverage: { lines: number };
        };
        expect(report.coverage.lines).toBe(linesOf(bytes).length);
      }),
      { numRuns: 250 },
    );
  });
});

/** Cuts one of the logs after a line; the other halves' lines count on. */
function cut(logs: readonly LogFile[], share: number): { first: Piece[]; second: Piece[] } {
  const first: Piece[] = [];
  const second: Piece[] = [];
  let left = Math.floor(share * logs.reduce((sum, { bytes }) => sum + linesOf(bytes).length, 0));
  for (const { name, bytes } of logs) {
    const all = linesOf(bytes);
    const head = all.slice(0, Math.max(0, left));
    const tail = all.slice(head.length);
    left -= all.length;
    if (head.length > 0) first.push({ name, bytes: Buffer.concat(head) });
    if (tail.length > 0) second.push({ name, bytes: Buffer.concat(tail), before: head });
  }
  return { first, second };
}

function expectSame(
  logs: readonly LogFile[],
  shares: readonly number[],
  limits?: { healthy: number; failing: number },
): void {
  const whole = reportJson(observed(logs, limits));
  for (const share of shares) {
    const { first, second } = cut(logs, share);
    const merged = observed(first, limits);
    // As another thread would hand it over.
    merged.merge(structuredClone(observed(second, limits).pack()));
    expect(reportJson(merged), `cut at ${share}`).toBe(whole);
  }
}

const SAMPLING = { healthy: 60, failing: 25 };

describe('two halves merge to the whole', () => {
  // Few of the incidents, for time; each cut in the middle of a log and near both ends.
  const some = incidents.filter((_, i) => i % 5 === 0);

  it.each(some)('%s', (incident) => {
    expectSame(logsOf(incident), [0.003, 0.41, 0.77]);
  });

  it.each(some.slice(0, 4))('%s, when rows are sampled', (incident) => {
    const logs = logsOf(incident);
    expect(observed(logs, SAMPLING).snapshot().rows.complete).toBe(false);
    expectSame(logs, [0.003, 0.41, 0.77], SAMPLING);
  });

  it.each(some.slice(0, 4))('%s, when it turns out late that rows are sampled', (incident) => {
    const logs = logsOf(incident);
    const late = observed(logs);
    expect(late.rows.limitTo(SAMPLING)).toBe(true);
    expect(late.rows.limitTo(SAMPLING)).toBe(false);
    expect(reportJson(late)).toBe(reportJson(observed(logs, SAMPLING)));
  });

  it('with good, bad and foreign lines of all formats', () => {
    const mixed = (seed: number): LogFile => ({
      name: `mixed-${seed}.log`,
      bytes: Buffer.concat(
        fc
          .sample(fc.constantFrom(...lines), { seed, numRuns: 120 })
          .map((line) => Buffer.concat([line, Buffer.from('\n')])),
      ),
    });
    const shares = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.integer(), shares, (seed, share) => {
        expectSame([mixed(seed), mixed(seed + 1)], [share], SAMPLING);
      }),
      { numRuns: 25 },
    );
  });

  it('with rows that stand for as many lines as there were of each group', () => {
    const pods = ['checkout', 'cart', 'search'].map((name, i) => ({ name: `${name}-1`, ip: `10.9.0.${i}` }));
    const lines = pods.flatMap((pod, p) =>
      Array.from({ length: 1_000 * (p + 1) }, (_, i) =>
        server(pod, service(pod.name, 'shop', 8080, pod.ip), null, {
          at: i * 97,
          ...(i % (7 + p) === 0 && { code: 503, flags: 'UC', details: RESET('connection_termination') }),
        }),
      ),
    );
    const { rows, traffic } = observe(lines, { healthy: 170, failing: 60 }).snapshot();
    expect(rows.rows.length).toBeLessThan(230);
    const weigh = (failing: boolean): number =>
      rows.rows.filter(({ failure }) => failure === failing).reduce((sum, { weight }) => sum + weight, 0);
    expect(weigh(true)).toBe(traffic.failures);
    expect(weigh(false)).toBe(6_000 - traffic.failures);
    for (const { weight } of rows.rows) expect(Number.isInteger(weight)).toBe(true);
  });

  it('with many distinct values', () => {
    expectSame([manyValues(1500)], [0.1, 0.5, 0.9]);
  });
});

/** Each line of another client, path and host; every third fails. */
function manyValues(count: number): LogFile {
  const text = Array.from({ length: count }, (_, i) => {
    const failed = i % 3 === 0;
    const host = `10.${(i * 7) % 200}.${(i * 13) % 250}.${i % 250}`;
    const time = new Date(Date.UTC(2026, 0, 1) + i * 37).toISOString();
    return (
      `[${time}] "GET /name-${i}/x HTTP/1.1" ${failed ? '503 UF upstream_reset_before_response_started{remote_connection_failure}' : '200 - via_upstream'} - "-" ` +
      `0 9 ${(i * 31) % 900} ${failed ? '-' : '3'} "-" "agent-${i}" "id-${i}" "orders" "${host}:8080" outbound|80||orders.shop.svc.cluster.local ${failed ? '-' : '10.0.0.1:999'} 10.96.0.1:80 10.0.0.1:4000 - default\n`
    );
  });
  return { name: 'many.log', bytes: Buffer.from(text.join('')) };
}

describe('an observation that goes on for long', () => {
  const line = (at: number, code: number): Logged =>
    print('cart-1', { at, code, id: requestId(), cluster: 'inbound|8080||', ms: 5 });

  it('lets go of old lines, and is whole for the rest', () => {
    const observation = observe(moments(0, 1000, 100).map((at) => line(at, 200)));
    const { first, last } = observation.snapshot().coverage;
    observation.forget(first + 50_000);
    const { rows, coverage } = observation.snapshot();
    expect(rows.rows).toHaveLength(50);
    expect(rows.complete).toBe(true);
    expect([coverage.first, coverage.last, coverage.records]).toEqual([first + 50_000, last, 100]);
  });

  it('keeps more of what comes once there is room, and counts each row for what it stands for', () => {
    const limits = { healthy: 100, failing: 100 };
    const busy = moments(0, 10, 1000).map((at) => line(at, 200));
    const observation = observe(busy, limits);
    expect(observation.snapshot().rows.rows.length).toBeLessThanOrEqual(100);
    const { first } = observation.snapshot().coverage;
    for (let i = 0; i < 6; i++) observation.forget(first + 9_900);
    const quiet = moments(20_000, 1000, 20).map((at) => line(at, 200));
    const together = observe(quiet, limits, observation).snapshot().rows;
    const late = together.rows.filter(({ start }) => start >= first + 20_000);
    expect(late.map(({ weight }) => weight)).toEqual(late.map(() => 1));
    expect(late).toHaveLength(20);
    const early = together.rows.filter(({ start }) => start < first + 20_000);
    expect(early.every(({ weight }) => weight >= 8)).toBe(true);
    expect(together.complete).toBe(early.length === 0);
  });
});
