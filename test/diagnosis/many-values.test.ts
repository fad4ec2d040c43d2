import { describe, expect, it } from 'vitest';
import { observed, reportJson } from '../logs.js';

/* What strangers send may have as many values as there are lines: what is said of them must not take a time for each pair. */

const SOONEST = Date.UTC(2026, 0, 2);
const HEALTHY = 40_000;
const MISSES = 20_000;
/** Ten times as long as it takes; looking through all lines for each value took a minute. */
const LIMIT_MS = 15_000;

function line(i: number, host: string, routed: boolean): string {
  const time = new Date(SOONEST + i * 100).toISOString();
  const id = `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`;
  const said = routed ? '200 - via_upstream' : '404 NR route_not_found';
  const where = routed
    ? '"10.1.0.9:8080" outbound|8080||orders.shop.svc.cluster.local 10.1.0.4:40000'
    : '"-" - -';
  return (
    `[${time}] "GET /p${i % 50} HTTP/1.1" ${said} - "-" 0 5 7 ${routed ? '6' : '-'} "-" "curl/8" ` +
    `"${id}" "${host}" ${where} 10.96.0.1:8080 203.0.113.${i % 250}:39000 - -\n`
  );
}

/** Requests for some hosts that no route has, spread evenly among others that one has. */
function missesOf(hosts: number): Buffer {
  const lines: string[] = [];
  for (let i = 0; i < HEALTHY + MISSES; i++) {
    const missed = i % 3 === 0;
    lines.push(line(i, missed ? `h${(i / 3) % hosts}.example.org` : 'orders.example.org', !missed));
  }
  return Buffer.from(lines.join(''));
}

interface Told {
  readonly incidents: readonly { readonly cause: string }[];
  readonly dismissed: readonly { readonly cause: string; readonly count: number }[];
}

const told = (hosts: number): Told =>
  JSON.parse(reportJson(observed([{ name: 'gateway.log', bytes: missesOf(hosts) }]))) as Told;

describe('requests that no route has', () => {
  it(
    'for a host each are noise',
    () => {
      const { incidents, dismissed } = told(MISSES);
      expect(incidents).toEqual([]);
      expect(dismissed).toMatchObject([{ cause: 'internet-scanner-noise', count: MISSES }]);
    },
    LIMIT_MS,
  );

  it(
    'for two thousand hosts, steadily, are hosts that lost their routes',
    () => {
      const { incidents } = told(2_000);
      expect(incidents.map(({ cause }) => cause)).toEqual(['gateway-host-unknown']);
    },
    LIMIT_MS,
  );
});
