import { describe, expect, it } from 'vitest';
import type { Row } from '../../src/aggregate/row.js';
import { exampleJourney, tellJourney, type Told } from '../../src/diagnosis/journey.js';
import { sceneOf } from '../../src/diagnosis/scene.js';
import { caller, service } from './cases/case.js';
import {
  client,
  healthy,
  hop,
  meshName,
  moments,
  NO_CONNECTION,
  NO_HOST,
  observe,
  rejected,
  requestId,
  RESET,
  server,
  tcp,
  ztunnel,
  type Logged,
} from './traffic.js';

const web = caller('web', '10.72.1.15');
const shop = service('shop', 'front', 8080, '10.72.2.21', '10.72.2.33');
const bank = service('bank', 'back', 9090, '10.72.3.41');
const [one, two] = shop.pods as [(typeof shop.pods)[0], (typeof shop.pods)[0]];
const [teller] = bank.pods as [(typeof bank.pods)[0]];

/** The journey of the request that some line of the log belongs to. */
function told(lines: readonly (Logged | readonly Logged[])[], of: (row: Row) => boolean): Told {
  const scene = sceneOf(observe(lines.flat()).snapshot());
  return tellJourney(scene, scene.rows.filter(of));
}
const shape = ({ journey }: Told): string[] =>
  journey.spans.map(({ depth, row, joinedBy }) => `${depth} ${row.proxy} ${joinedBy ?? 'first'}`);
const kinds = ({ findings }: Told): string[] => findings.map(({ kind }) => kind);

describe('a journey', () => {
  it('follows a chain, and names the hop that decided', () => {
    const id = requestId();
    const lines = [
      healthy(web, shop),
      hop(web, shop, one, { at: 5_000, id, code: 500, ms: 40 }),
      hop(one, bank, teller, { at: 5_003, id, code: 500, ms: 30 }),
    ];
    const found = told(lines, (row) => row.requestId === id);
    expect(shape(found)).toEqual([
      `0 ${web.name} first`,
      `1 ${one.name} id`,
      `2 ${one.name} id`,
      `3 ${teller.name} id`,
    ]);
    expect(found.decider?.proxy).toBe(teller.name);
    expect(found.decidedBy).toBe('app');
  });

  it('joins a call whose id its app did not forward, if the pod served nothing else', () => {
    const alone = [
      hop(web, shop, one, { at: 5_000, code: 500, ms: 40 }),
      hop(one, bank, teller, { at: 5_003, code: 500, ms: 30 }),
    ];
    expect(shape(told(alone, (row) => row.proxy === web.name))).toEqual([
      `0 ${web.name} first`,
      `1 ${one.name} id`,
      `2 ${one.name} time`,
      `3 ${teller.name} id`,
    ]);
    const busy = [...alone, hop(web, shop, one, { at: 5_001, ms: 40 })];
    expect(shape(told(busy, (row) => row.proxy === web.name && row.code === 500))).toHaveLength(2);
  });

  it('tells attempts that a retry hid, and what may have run twice', () => {
    const id = requestId();
    const lines = [
      client(web, shop, two, { at: 5_000, id, method: 'POST', ms: 30, port: 33_111 }),
      server(one, shop, web, { at: 5_001, id, method: 'POST', code: 503, ms: 4 }),
      server(two, shop, web, { at: 5_020, id, method: 'POST', ms: 9, port: 33_111 }),
    ];
    const found = told([healthy(web, shop), lines], (row) => row.requestId === id);
    expect(found.journey.spans.map(({ attempt }) => attempt?.n ?? null)).toEqual([null, 1, 2]);
    expect(kinds(found)).toEqual(expect.arrayContaining(['masked', 'executed-twice']));
    const read = told(
      [healthy(web, shop), lines.map((line) => ({ ...line, text: line.text.replace('POST', 'GET') }))],
      (row) => row.requestId === id,
    );
    expect(kinds(read)).not.toContain('executed-twice');
  });

  it('blames a silent callee only where its log runs through the moment', () => {
    const id = requestId();
    const cut = client(web, shop, one, {
      ...NO_CONNECTION,
      at: 30_000,
      id,
      code: 503,
      flags: 'UF',
      details: RESET('remote_connection_failure'),
      ms: 3,
    });
    const traffic = healthy(web, shop);
    const of = (row: Row): boolean => row.requestId === id;
    expect(kinds(told([traffic, cut], of))).toContain('never-arrived');
    const ended = traffic.filter(({ pod, at }) => pod !== one.name || at < 20_000);
    const short = told([ended, cut], of);
    expect(kinds(short)).toContain('log-missing');
    expect(short.findings.find(({ kind }) => kind === 'log-missing')?.text).toContain(one.name);
    const none = told([traffic.filter(({ pod }) => pod !== one.name), cut], of);
    expect(kinds(none)).not.toContain('never-arrived');
    expect(none.findings.find(({ kind }) => kind === 'log-missing')?.text).toContain(one.ip);
  });

  it('goes below a 4xx that an app turned into its own error, to the proxy that refused', () => {
    const id = requestId();
    const denied = { code: 403, details: 'rbac_access_denied_matched_policy[none]', sent: 19, ...NO_HOST };
    const lines = [
      healthy(web, shop),
      hop(web, shop, one, { at: 5_000, id, code: 500, ms: 40 }),
      hop(one, bank, teller, { at: 5_003, id, ms: 2 }, denied, { code: 403, sent: 19 }),
    ];
    const found = told(lines, (row) => row.requestId === id);
    expect(found.decider?.proxy).toBe(teller.name);
    expect(found.decidedBy).toBe('proxy');
  });

  it('knows an app that did without an answer from a retry that hid a failure', () => {
    const id = requestId();
    const lines = [
      healthy(web, shop),
      hop(web, shop, one, { at: 5_000, id, ms: 40 }),
      hop(one, bank, teller, { at: 5_003, id, code: 503, ms: 9 }),
    ];
    const [failed] = sceneOf(observe(lines.flat()).snapshot()).cases;
    expect([failed?.masked, failed?.copedAt?.proxy, failed?.decider.proxy]).toEqual([
      true,
      one.name,
      teller.name,
    ]);
  });

  it('says that a timeout hung up, not a client', () => {
    const id = requestId();
    const lines = [
      client(web, shop, one, {
        at: 5_000,
        id,
        code: 504,
        flags: 'UT',
        details: 'response_timeout',
        ms: 900,
        port: 33_222,
      }),
      server(one, shop, web, {
        at: 5_001,
        id,
        code: 0,
        flags: 'DC',
        details: 'downstream_remote_disconnect',
        ms: 899,
        port: 33_222,
      }),
    ];
    const found = told([healthy(web, shop), lines], (row) => row.requestId === id);
    expect(kinds(found)).toContain('gave-up');
    expect(found.decider?.proxy).toBe(web.name);
  });
});

describe('connections without an id', () => {
  const of = (row: Row): boolean =>
    row.proxy === web.name && row.start % 100_000 === (5_000 + Date.UTC(2026, 2, 3, 9, 20)) % 100_000;

  it('are joined by address and port: TCP, and what a listener rejected', () => {
    const from = `${web.ip}:33333`;
    const outer = tcp(web, shop, one, { at: 5_000, from, flags: 'UR', sent: 0, ms: 2 });
    const found = told([outer, rejected(one, shop.port, from, { at: 5_001 })], of);
    expect(shape(found)).toEqual([`0 ${web.name} first`, `1 ${one.name} connection`]);
    expect(found.decider?.proxy).toBe(web.name);
    expect(kinds(found)).toContain('closed-first');
  });

  it('are not joined across another moment, or another port', () => {
    const outer = tcp(web, shop, one, { at: 5_000, from: `${web.ip}:33333`, flags: 'UR', ms: 2 });
    const later = rejected(one, shop.port, `${web.ip}:33333`, { at: 15_000 });
    const other = rejected(one, shop.port, `${web.ip}:33335`, { at: 5_001 });
    expect(shape(told([outer, later, other], of))).toHaveLength(1);
  });

  it('are joined across a translated address by the service that was asked for', () => {
    const outer = client(
      web,
      shop,
      { name: '', ip: '203.0.113.60' },
      {
        ...NO_CONNECTION,
        at: 5_000,
        code: 503,
        flags: 'URX,UF',
        details: RESET('remote_connection_failure'),
        ms: 60,
        host: '203.0.113.60:15443',
      },
    );
    const refused = rejected({ name: 'edge-west', ip: '10.9.0.4' }, 15_443, '198.51.100.7:40001', {
      at: 5_020,
      sni: meshName(shop),
    });
    const other = { ...refused, text: refused.text.replace('_.shop.', '_.mint.') };
    const found = told([outer, refused, other], of);
    expect(shape(found)).toEqual([`0 ${web.name} first`, '1 edge-west name']);
    expect(found.decider?.proxy).toBe('edge-west');
  });

  it('are joined by the two ends of a tunnel', () => {
    const error = 'io error: Connection refused (os error 111)';
    const lines = [
      ztunnel('ztunnel-aaaaa', 'outbound', web, shop, one, {
        at: 5_000,
        ms: 3,
        error: 'http status: 503 Service Unavailable',
      }),
      ztunnel('ztunnel-bbbbb', 'inbound', web, shop, one, { at: 5_001, ms: 1, error }),
    ];
    const found = told([lines], (row) => row.proxy === 'ztunnel-aaaaa');
    expect(shape(found)).toEqual(['0 ztunnel-aaaaa first', '1 ztunnel-bbbbb tunnel']);
    expect(found.decider?.proxy).toBe('ztunnel-bbbbb');
  });
});

describe('bad input', () => {
  it('does not join an id that hundreds of lines carry, and stays quick', () => {
    const id = requestId();
    const lines = moments(0, 20, 3_000).flatMap((at) => hop(web, shop, one, { at, id, code: 500 }));
    const scene = sceneOf(observe(lines).snapshot());
    expect(scene.joins.leftOut).toEqual({ sharedIds: 1, sharedIdLines: 6_000 });
    const { journey } = tellJourney(scene, scene.rows);
    expect(journey.spans.length).toBeLessThanOrEqual(200);
    expect(journey.spans.length + journey.leftOut).toBe(6_000);
  });

  it('takes a log that is given twice once', () => {
    const lines = hop(web, shop, one, { at: 5_000, code: 500 });
    const again = lines.map((line) => ({ ...line, pod: `${line.pod}-copy` }));
    const { rows } = observe([...lines, ...again]).snapshot();
    expect([rows.rows.length, rows.repeated]).toEqual([2, 2]);
  });

  it('is total: lines without time, id or address', () => {
    const bare = hop(web, shop, one, { at: 5_000, code: 503 }).map((line) => ({
      ...line,
      text: line.text.replace(/"5f0c[^"]*"/, '"-"').replaceAll(/\d+\.\d+\.\d+\.\d+:\d+/g, '-'),
    }));
    const scene = sceneOf(observe(bare).snapshot());
    expect(exampleJourney(scene, scene.cases)?.journey.spans.length).toBe(1);
    expect(tellJourney(scene, []).journey.spans).toEqual([]);
  });
});
