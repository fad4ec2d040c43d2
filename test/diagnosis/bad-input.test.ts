import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { diagnose, type Diagnosis } from '../../src/diagnosis/diagnose.js';
import { packageRoot } from '../../src/paths.js';
import { observe } from '../../src/pipeline.js';
import { originOfFile } from '../../src/record/origin.js';

/** What logs look like when nobody cleaned them: the answer must keep its head, and its modesty. */

type Logs = Readonly<Record<string, readonly string[]>>;

function recorded(incident: string): Logs {
  const folder = join(packageRoot, 'samples/incidents', incident);
  return Object.fromEntries(
    readdirSync(folder)
      .filter((file) => file.endsWith('.log.gz'))
      .map((file) => [
        file.slice(0, -'.gz'.length),
        gunzipSync(readFileSync(join(folder, file)))
          .toString('utf8')
          .trimEnd()
          .split('\n'),
      ]),
  );
}

async function diagnosed(logs: Logs): Promise<Diagnosis> {
  const sources = Object.entries(logs).map(([name, lines]) => ({
    name,
    origin: originOfFile(name),
    kind: 'file' as const,
    async *open() {
      yield Buffer.from(`${lines.join('\n')}\n`);
    },
  }));
  const { observation } = await observe(sources, { maxLine: 1 << 20 });
  return diagnose(observation.snapshot());
}

const map = (logs: Logs, change: (lines: readonly string[], name: string) => readonly string[]): Logs =>
  Object.fromEntries(Object.entries(logs).map(([name, lines]) => [name, change(lines, name)]));

const shifted = (line: string, ms: number): string =>
  line.replace(/^\[([^\]]+)\]/, (_, time: string) => `[${new Date(Date.parse(time) + ms).toISOString()}]`);

const CRASH = recorded('checkout-app-crash');
const REFUSED = recorded('orders-app-not-listening');
const isFailing = (line: string): boolean => / 503 /.test(line);

describe('input that nobody cleaned', () => {
  it.each([2_000, -3_000])('a pod whose clock is %d ms off still joins its callers', async (ms) => {
    const skewed = map(REFUSED, (lines, name) =>
      name.startsWith('orders-') ? lines.map((line) => shifted(line, ms)) : lines,
    );
    const { incidents } = await diagnosed(skewed);
    expect(incidents[0]?.hypothesis.cause).toBe('app-not-listening');
    expect(incidents[0]?.hypothesis.at.services).toEqual(['orders.shop']);
  });

  it('every line twice is the same story', async () => {
    const { incidents } = await diagnosed(map(CRASH, (lines) => lines.flatMap((line) => [line, line])));
    expect(incidents[0]?.hypothesis.cause).toBe('app-crash-oom');
  });

  it('one failing line is told without certainty', async () => {
    const line = Object.values(REFUSED)
      .flat()
      .find((one) => one.includes('Connection_refused'));
    const { incidents, dismissed } = await diagnosed({ 'a.log': [line!] });
    expect(incidents.length + dismissed.length).toBe(1);
    for (const { hypothesis } of incidents) expect(['likely', 'possible']).toContain(hypothesis.confidence);
  });

  it('failures alone are still explained', async () => {
    const { incidents } = await diagnosed(map(CRASH, (lines) => lines.filter(isFailing)));
    expect(incidents[0]?.hypothesis.cause).toBe('app-crash-oom');
  });

  it('successes alone are no incident', async () => {
    const { incidents } = await diagnosed(map(CRASH, (lines) => lines.filter((line) => !isFailing(line))));
    expect(incidents).toEqual([]);
  });

  it('ten thousand services that fail at once are ten thousand places, in seconds', async () => {
    const line = (i: number): string =>
      `[2026-01-02T03:04:${String(10 + (i % 40))}.${String(i % 1000).padStart(3, '0')}Z] "GET /x/${i} HTTP/1.1" 503 UH no_healthy_upstream - "-" 0 19 0 - "-" "curl/8" "${i}" "s${i}:80" "-" outbound|80||s${i}.shop.svc.cluster.local - 10.96.0.1:80 10.1.1.1:40000 - default`;
    const { incidents } = await diagnosed({ 'a.log': Array.from({ length: 10_000 }, (_, i) => line(i)) });
    expect(incidents).toHaveLength(10_000);
    expect(new Set(incidents.map(({ hypothesis }) => hypothesis.cause))).toEqual(new Set(['no-endpoints']));
  });
});
