import { describe, expect, it } from 'vitest';
import { diagnose } from '../../src/diagnosis/diagnose.js';
import { reportMarkdown } from '../../src/output/report-markdown.js';
import { reportText } from '../../src/output/report-text.js';
import { reportOf, type Report } from '../../src/output/report.js';
import { observe } from '../../src/pipeline.js';

async function report(...lines: readonly string[]): Promise<Report> {
  const source = {
    name: 'pay-6d9c7b5f48-kq2lx.log',
    origin: { pod: 'pay-6d9c7b5f48-kq2lx' },
    kind: 'file' as const,
    async *open() {
      yield Buffer.from(lines.map((line) => `${line}\n`).join(''));
    },
  };
  const { observation } = await observe([source], { maxLine: 1 << 20 });
  const snapshot = observation.snapshot();
  return reportOf(snapshot, diagnose(snapshot), '0');
}

const line = (second: number, code: number, details = 'via_upstream'): string =>
  `[2026-02-03T10:00:${String(second).padStart(2, '0')}.000Z] "GET /a HTTP/1.1" ${code} - ${details} - "-" 0 19 1 1 "-" "curl/8" "${second}-${code}" ` +
  `"pay:80" "10.9.1.2:8080" inbound|8080|| 127.0.0.6:4000 10.9.1.2:8080 10.9.3.4:5000 outbound_.80_._.pay.shop.svc.cluster.local default`;

describe('what an input shows by what it does not hold', () => {
  it('no access line: logging is off, and how to turn it on for one workload', async () => {
    const silent = await report('2026-02-03T10:00:00.1Z\tinfo\tEnvoy proxy is ready', 'caught ENVOY_SIGTERM');
    expect(silent.incidents.map(({ cause, confidence }) => [cause, confidence])).toEqual([
      ['access-logs-disabled', 'likely'],
    ]);
    for (const text of [reportText(silent), reportMarkdown(silent)]) {
      expect(text).toContain('kubectl get telemetry -A -o yaml');
      expect(text.replaceAll(/[\s\\]+/g, ' ')).toContain('Turn it on for one workload, without a restart');
    }
  });

  it('access lines that cannot be read: a format of the mesh’s own', async () => {
    const odd = '[2026-02-03T10:00:00.000Z] "GET /a HTTP/1.1" 503 UF "x';
    expect((await report(odd, odd, odd)).incidents.map(({ cause }) => cause)).toEqual([
      'log-format-customised',
    ]);
  });

  it('errors only, the app’s own among them: counts, and no shares', async () => {
    const errors = Array.from({ length: 40 }, (_, i) => line(i, i % 4 === 0 ? 404 : 500));
    const filtered = await report(...errors);
    expect(filtered.coverage.errors_only).toBe(true);
    const [incident] = filtered.incidents;
    expect(incident).not.toHaveProperty('share');
    expect(incident?.ending).toBe('unknown');
    expect(incident?.summary).not.toContain('%');
    expect((await report(...errors, line(50, 200))).coverage.errors_only).toBe(false);
  });
});
