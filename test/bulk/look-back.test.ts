import { rmSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { idleTimes } from '../../src/bulk/look-back.js';
import { observeAll } from '../../src/bulk/observe-all.js';
import { toBeLookedUp } from '../../src/diagnosis/connections.js';
import { diagnose } from '../../src/diagnosis/diagnose.js';
import { fileSource } from '../../src/source/file.js';
import { caller, service } from '../diagnosis/cases/case.js';
import { client, moments, RESET, type Logged } from '../diagnosis/traffic.js';
import { scratch } from '../e2e/run.js';
import { job } from './job.js';

const { file } = scratch();
const web = caller('web', '10.76.1.2');
const shop = service('shop', 'front', 8080, '10.76.2.21');
const [pod] = shop.pods;
const cut = { code: 503, flags: 'UC', details: RESET('connection_termination'), service: null, ms: 2 };

/** Connections that are used every few seconds; some lie idle for a minute once, and the next request on them is cut. */
function races(idleMs: number, beside: 'nothing' | 'another request' = 'nothing'): readonly Logged[] {
  return moments(0, 40, 300).flatMap((offset, i) => {
    const port = 31_000 + i;
    const use = (at: number, line = {}): Logged =>
      client(web, shop, pod!, { at: offset + at, port, ...line });
    const before = moments(0, 4_000, 25).map((at) => use(at));
    const last = 24 * 4_000 + 8;
    if (i % 15 !== 0) return [...before, use(last + 3_000)];
    const underWay = beside === 'nothing' ? [] : [use(last + idleMs - 3_000, { ...cut, ms: 3_002 })];
    return [...before, ...underWay, use(last + idleMs, cut)];
  });
}

const bytesOf = (lines: readonly Logged[]): Buffer =>
  Buffer.from(
    lines
      .toSorted((a, b) => a.at - b.at)
      .map(({ text }) => `${text}\n`)
      .join(''),
  );

async function sampled(name: string, bytes: Buffer) {
  const sources = [fileSource(file(name, bytes))];
  const limits = { healthy: 60, failing: 60 };
  const { observation } = await observeAll(sources, { ...job, limits }, { threads: 0 });
  const snapshot = observation.snapshot();
  expect(snapshot.rows.complete).toBe(false);
  return { snapshot, sources };
}

describe('what a connection was used for before, where few lines are kept', () => {
  it.each([
    ['as they are', /$/gm, ''],
    ['with CRLF', /\n/g, '\r\n'],
    ['as a kubelet writes them', /^\[/gm, '2026-01-02T03:04:05.678901234Z stdout F ['],
  ])('is looked up in the file: %s', async (name, what, by) => {
    const bytes = Buffer.from(bytesOf(races(60_000)).toString().replaceAll(what, by));
    const { snapshot, sources } = await sampled(`${name}.log`, bytes);
    const idle = idleTimes(toBeLookedUp(snapshot.rows), sources);
    const told = [...idle].filter(([row]) => row.failure).map(([, ms]) => ms);
    expect(told).toHaveLength(12);
    expect(new Set(told)).toEqual(new Set([60_000]));
    const { incidents } = diagnose({ ...snapshot, rows: { ...snapshot.rows, idleTimes: idle } });
    expect(incidents.map(({ hypothesis }) => [hypothesis.cause, hypothesis.confidence])).toEqual([
      ['keepalive-idle-race', 'high'],
    ]);
    // By the kept lines alone nothing is known of their connections, and nothing is said.
    const blind = diagnose(snapshot).incidents.map(({ hypothesis }) => hypothesis.cause);
    expect(blind).not.toContain('keepalive-idle-race');
  });

  it('is nothing where each had a connection of its own', async () => {
    const lines = moments(0, 40, 3_000).map((at, i) =>
      client(web, shop, pod!, { at, ...(i % 60 === 7 && cut) }),
    );
    const { snapshot, sources } = await sampled('first.log', bytesOf(lines));
    const idle = idleTimes(toBeLookedUp(snapshot.rows), sources);
    expect(idle.size).toBeGreaterThan(0);
    expect(new Set(idle.values())).toEqual(new Set([null]));
  });

  it('is no idle time where another request was under way on it', async () => {
    const { snapshot, sources } = await sampled('under-way.log', bytesOf(races(60_000, 'another request')));
    const idle = idleTimes(toBeLookedUp(snapshot.rows), sources);
    const told = [...idle].filter(([row]) => row.failure).map(([, ms]) => ms);
    expect(told.length).toBeGreaterThan(0);
    expect(told.every((ms) => ms !== null && ms <= 0)).toBe(true);
    const { incidents } = diagnose({ ...snapshot, rows: { ...snapshot.rows, idleTimes: idle } });
    expect(incidents.map(({ hypothesis }) => hypothesis.cause)).not.toContain('keepalive-idle-race');
  });

  it('is not told of lines that do not stand where their times say', async () => {
    const lines = bytesOf(races(5_000)).toString().split('\n').slice(0, -1);
    const cutAt = Math.floor(lines.length * 0.85);
    const turned = [...lines.slice(cutAt), ...lines.slice(0, cutAt), ''].join('\n');
    const { snapshot, sources } = await sampled('turned.log', Buffer.from(turned));
    const idle = idleTimes(toBeLookedUp(snapshot.rows), sources);
    expect([...idle].filter(([row, ms]) => row.failure && ms !== null && ms !== 5_000)).toEqual([]);
  });

  it('is not told of a file that cannot be read anywhere, or no more', async () => {
    const bytes = bytesOf(races(60_000));
    const packed = await sampled('packed.log.gz', gzipSync(bytes));
    expect(idleTimes(toBeLookedUp(packed.snapshot.rows), packed.sources).size).toBe(0);
    const gone = await sampled('gone.log', bytes);
    rmSync(gone.sources[0]!.path!);
    expect(idleTimes(toBeLookedUp(gone.snapshot.rows), gone.sources).size).toBe(0);
  });
});
