import { describe, expect, it } from 'vitest';
import { print, type Line, type Logged } from '../diagnosis/traffic.js';
import { incidents, linesOf, logsOf, observed, type LogFile } from '../logs.js';

/* Whose log a line stands in, where nothing around it names the pod. */

const OUT = 'outbound|80||cart.shop.svc.cluster.local';
const web = '10.1.0.4';
const cart = '10.1.0.9';
const edge = '10.1.0.2';

/** A sidecar's call from its own pod. */
const called: Partial<Line> = {
  cluster: OUT,
  from: `${web}:40000`,
  dialled: '10.96.0.1:80',
  peer: `${web}:39000`,
};
/** What a sidecar hands to its own app. */
const served: Partial<Line> = {
  cluster: 'inbound|8080||',
  from: '127.0.0.6:41000',
  dialled: `${cart}:8080`,
  peer: `${web}:40000`,
};
/** What a gateway passes on for somebody. */
const passed: Partial<Line> = {
  cluster: OUT,
  from: `${edge}:50000`,
  dialled: `${edge}:8443`,
  peer: '203.0.113.7:5000',
};
const toNobody = { cluster: null, from: null, code: 404, flags: 'NR', details: 'route_not_found' } as const;

/** What Envoy's own layout holds of addresses. */
const addressless: Partial<Line> = { cluster: null, host: `${cart}:8080` };

const file = (name: string, lines: readonly Partial<Line>[]): LogFile => ({
  name,
  bytes: Buffer.from(
    lines
      .map((line, at): Logged => print('', { at, ...line }))
      .map(({ text }) => `${text}\n`)
      .join(''),
  ),
});

const namesIn = (files: readonly LogFile[]): Record<string, readonly string[]> => {
  const names: Record<string, string[]> = {};
  for (const { name } of files) names[name] = [];
  for (const row of observed(files).snapshot().rows.rows) names[row.file!]![row.line - 1] = row.proxy;
  return names;
};

describe('a line in a log that names no pod', () => {
  it.each<[string, readonly Partial<Line>[], readonly string[]]>([
    ['the pods of one log, by their addresses', [called, served, passed], [web, cart, edge]],
    [
      'a call that got nowhere, by who calls in other lines',
      [called, served, { ...called, from: null, code: 503, flags: 'UF,URX' }],
      [web, cart, web],
    ],
    [
      'what a gateway has no route for, by where it is called in other lines',
      [called, passed, { ...passed, ...toNobody }],
      [web, edge, edge],
    ],
    [
      'a connection that a server refused, by where it was called',
      [called, { ...served, ...toNobody, method: null, path: null, protocol: null, code: 0 }],
      [web, cart],
    ],
    [
      'all of a log that shows one address, whatever each line shows',
      [called, { ...called, from: null, dialled: '10.96.0.7:80', peer: '10.1.0.77:5000' }],
      [web, web],
    ],
    [
      'IPv4 and IPv6 of one pod, by the former',
      [{ ...served, dialled: '[fd00::9]:8080' }, served],
      [cart, cart],
    ],
    ['none by the loopback', [{ ...called, from: '127.0.0.1:4000' }], ['log access.log']],
    [
      'the server of a request, of two lines of it that show no local address',
      [
        { ...addressless, at: 0, ms: 20, id: 'a' },
        { ...addressless, at: 1, ms: 18, id: 'a' },
        { ...addressless, at: 0, ms: 20, id: 'b' },
        { ...addressless, at: 30, ms: 8, id: 'b' },
      ],
      ['log access.log', cart, 'log access.log', 'log access.log'],
    ],
    ['none by nothing', [{ ...called, from: null }], ['log access.log']],
  ])('tells %s', (_, lines, names) => {
    expect(namesIn([file('access.log', lines)])['access.log']).toEqual(names);
  });

  it('is the named pod that has its address in another log', () => {
    const named = 'cart-7d9f8c6b54-x2k4q.log';
    expect(namesIn([file('access.log', [called, served]), file(named, [served])])).toEqual({
      'access.log': [web, 'cart-7d9f8c6b54-x2k4q'],
      [named]: ['cart-7d9f8c6b54-x2k4q'],
    });
  });

  it('is the same pod in two logs', () => {
    const later = { ...called, path: '/later' };
    expect(namesIn([file('access.log', [called]), file('access.log.1', [later])])).toEqual({
      'access.log': [web],
      'access.log.1': [web],
    });
  });
});

/** Whose lines are told apart by an address: not ztunnel's, nor those of a layout without addresses. */
const told = incidents.filter((_, i) => i % 6 === 0);

describe('logs that are poured into one', () => {
  it.each(told)('%s: no two pods have one name', (incident) => {
    const logs = logsOf(incident);
    const whose = logs.flatMap(({ name, bytes }) => linesOf(bytes).map(() => name));
    const pods = new Map<string, Set<string>>();
    const poured = { name: 'access.log', bytes: Buffer.concat(logs.map(({ bytes }) => bytes)) };
    for (const row of observed([poured]).snapshot().rows.rows) {
      if (row.proxy === 'log access.log') continue;
      const had = pods.get(row.proxy);
      if (had) had.add(whose[row.line - 1]!);
      else pods.set(row.proxy, new Set([whose[row.line - 1]!]));
    }
    for (const [name, of] of pods) expect([name, [...of]]).toEqual([name, [expect.any(String)]]);
  });
});
