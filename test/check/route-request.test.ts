import { describe, expect, it } from 'vitest';
import { Field } from '../../src/check/field.js';
import { virtualServiceOf, type HttpMatch } from '../../src/check/istio-objects.js';
import { metaOf } from '../../src/check/meta.js';
import { covers, fitsRegex, isElementPrefix, missOf } from '../../src/check/traffic/http-match.js';
import { routeRequest, type Vantage } from '../../src/check/traffic/route-request.js';
import { Mesh, worldOf, type Json } from './mesh.js';

/** A match as a VirtualService writes it. */
function matchOf(match: Json): HttpMatch {
  const field = new Field(
    { metadata: { name: 'a', namespace: 'b' }, spec: { http: [{ match: [match] }] } },
    '',
    [],
  );
  return virtualServiceOf(field, metaOf('VirtualService', field)).http[0]!.match[0]!;
}

const request = (
  path: string,
  more: { method?: string; host?: string; headers?: Record<string, string>; port?: number } = {},
) => ({
  host: more.host ?? 'a.b',
  path,
  method: more.method ?? 'GET',
  headers: new Map(Object.entries(more.headers ?? {})),
  port: more.port ?? null,
});
const sender = { namespace: 'shop', labels: new Map([['app', 'web']]) };

describe('a match takes a request', () => {
  it.each<[string, Json, ReturnType<typeof request>, boolean]>([
    ['exact', { uri: { exact: '/a' } }, request('/a'), true],
    ['exact, with a query', { uri: { exact: '/a' } }, request('/a?b=1'), true],
    ['exact, a path below', { uri: { exact: '/a' } }, request('/a/b'), false],
    ['exact, a slash at the end', { uri: { exact: '/a' } }, request('/a/'), false],
    ['exact, another case', { uri: { exact: '/a' } }, request('/A'), false],
    ['exact, case ignored', { uri: { exact: '/a' }, ignoreUriCase: true }, request('/A'), true],
    ['prefix is of text, not of path elements', { uri: { prefix: '/a' } }, request('/ab'), true],
    ['prefix', { uri: { prefix: '/a/' } }, request('/a'), false],
    ['regex fits the whole path', { uri: { regex: '/a[0-9]' } }, request('/a1/b'), false],
    ['regex', { uri: { regex: '/a[0-9]+/.*' } }, request('/a12/b'), true],
    ['method', { method: { exact: 'POST' } }, request('/'), false],
    ['authority', { authority: { prefix: 'a.' } }, request('/'), true],
    [
      'header',
      { headers: { 'X-User': { exact: 'anna' } } },
      request('/', { headers: { 'x-user': 'anna' } }),
      true,
    ],
    [
      'header of another value',
      { headers: { 'x-user': { exact: 'anna' } } },
      request('/', { headers: { 'x-user': 'bob' } }),
      false,
    ],
    [
      'header that must be there',
      { headers: { 'x-user': {} } },
      request('/', { headers: { 'x-user': '' } }),
      true,
    ],
    ['header that is not there', { headers: { 'x-user': {} } }, request('/'), false],
    [
      'header that must not be there',
      { withoutHeaders: { 'x-user': {} } },
      request('/', { headers: { 'x-user': 'a' } }),
      false,
    ],
    [
      'header that must not be such',
      { withoutHeaders: { 'x-user': { exact: 'a' } } },
      request('/', { headers: { 'x-user': 'b' } }),
      true,
    ],
    ['query parameter', { queryParams: { v: { exact: '2' } } }, request('/?v=2'), true],
    ['query parameter missing', { queryParams: { v: { exact: '2' } } }, request('/'), false],
    ['port', { port: 80 }, request('/', { port: 8080 }), false],
    ['port not told', { port: 80 }, request('/'), true],
    ['the sender’s labels', { sourceLabels: { app: 'web' } }, request('/'), true],
    ['other labels', { sourceLabels: { app: 'cart' } }, request('/'), false],
    ['another namespace', { sourceNamespace: 'pay' }, request('/'), false],
    ['all terms must hold', { uri: { prefix: '/' }, method: { exact: 'POST' } }, request('/'), false],
  ])('%s', (_, match, asked, taken) => {
    expect(missOf(matchOf(match), asked, sender) === null).toBe(taken);
  });

  it('says that it cannot judge a pattern it does not know', () => {
    expect(missOf(matchOf({ uri: { regex: '(?=a)' } }), request('/a'), null)).toBeUndefined();
    expect(
      missOf(matchOf({ uri: { regex: '(?=a)' }, method: { exact: 'POST' } }), request('/a'), null),
    ).toContain('method');
  });

  it('answers a hostile pattern quickly', () => {
    expect(fitsRegex('(a+)+', `${'a'.repeat(5000)}!`)).toBe(false);
  });
});

describe('a rule covers another', () => {
  it.each<[string, Json, Json, boolean]>([
    ['everything', {}, { uri: { exact: '/a' } }, true],
    ['a prefix its exact path', { uri: { prefix: '/a' } }, { uri: { exact: '/a/b' } }, true],
    ['a prefix a longer one', { uri: { prefix: '/v1' } }, { uri: { prefix: '/v1/refunds' } }, true],
    [
      'a longer prefix not the shorter',
      { uri: { prefix: '/v1/refunds' } },
      { uri: { prefix: '/v1' } },
      false,
    ],
    ['a prefix not a regex', { uri: { prefix: '/v1' } }, { uri: { regex: '/v1.*' } }, false],
    ['any regex', { uri: { regex: '.*' } }, { uri: { regex: '/v1.*' } }, true],
    ['a regex the path that it fits', { uri: { regex: '/v[0-9]' } }, { uri: { exact: '/v2' } }, true],
    ['case apart only where it is ignored', { uri: { prefix: '/A' } }, { uri: { prefix: '/a' } }, false],
    ['case ignored', { uri: { prefix: '/A' }, ignoreUriCase: true }, { uri: { prefix: '/a/b' } }, true],
    ['with a header not without', { headers: { a: { exact: '1' } } }, {}, false],
    ['without a header with', {}, { headers: { a: { exact: '1' } } }, true],
    ['one port not every port', { port: 80 }, {}, false],
    ['for one gateway not for all', { gateways: ['g'] }, {}, false],
    ['other methods not', { method: { exact: 'GET' } }, { method: { exact: 'POST' } }, false],
  ])('%s', (_, wide, narrow, expected) => {
    expect(covers(matchOf(wide), matchOf(narrow))).toBe(expected);
  });

  it('never where a request falls between them', () => {
    const parts: Json[] = [
      {},
      { uri: { prefix: '/a' } },
      { uri: { prefix: '/a/b' } },
      { uri: { exact: '/a/b' } },
      { uri: { regex: '/a/.*' } },
      { method: { exact: 'GET' } },
      { headers: { x: { exact: '1' } }, uri: { prefix: '/a' } },
      { withoutHeaders: { x: {} } },
    ];
    const requests = ['/', '/a', '/a/b', '/a/b/c', '/b'].flatMap((path) =>
      ['GET', 'POST'].flatMap((method) => [
        request(path, { method }),
        request(path, { method, headers: { x: '1' } }),
      ]),
    );
    for (const wide of parts) {
      for (const narrow of parts) {
        if (!covers(matchOf(wide), matchOf(narrow))) continue;
        const between = requests.filter(
          (one) => missOf(matchOf(narrow), one, null) === null && missOf(matchOf(wide), one, null) !== null,
        );
        expect({ wide, narrow, between }).toEqual({ wide, narrow, between: [] });
      }
    }
  });
});

it.each([
  ['/a', '/a', true],
  ['/a', '/a/b', true],
  ['/a/', '/a', true],
  ['/a', '/ab', false],
  ['/', '/anything', true],
])('a path prefix of the Gateway API is of whole elements: %s %s', (prefix, path, expected) => {
  expect(isElementPrefix(prefix, path)).toBe(expected);
});

describe('where would this request go', async () => {
  const world = await worldOf(new Mesh().files());
  const inPay: Vantage = { kind: 'sidecar', sender: { namespace: 'pay', labels: new Map() } };
  const gateway = world.find('IstioGateway', 'istio-system', 'public')!;
  const edge: Vantage = { kind: 'gateway', gateway, podNamespace: 'istio-system' };
  const kube: Vantage = { kind: 'kube-gateway', namespace: 'front', name: 'edge' };
  const payments = 'payments.pay.svc.cluster.local';

  it.each<[string, Vantage, ReturnType<typeof request>, string, string]>([
    [
      'the named rule',
      inPay,
      request('/v1/refunds/7', { host: 'payments' }),
      'routed',
      `refunds: to ${payments} subset v1`,
    ],
    [
      'the last rule, in shares',
      inPay,
      request('/v3', { host: payments }),
      'routed',
      `rest: to ${payments} subset v1 (90%), ${payments} subset v2 (10%)`,
    ],
    [
      'a header decides',
      inPay,
      request('/v2/x', { host: 'payments', headers: { 'x-canary': 'yes' } }),
      'routed',
      `canary: to ${payments}:80 subset v2`,
    ],
    [
      'a host without rules goes to its service',
      inPay,
      request('/', { host: 'ledger.pay' }),
      'default',
      ': no VirtualService is about it: to ledger.pay.svc.cluster.local itself',
    ],
    [
      'an unknown host is blocked',
      inPay,
      request('/', { host: 'nowhere.example' }),
      'no-host',
      ': the registry does not know the host, and REGISTRY_ONLY blocks it: 502, route block_all',
    ],
    [
      'a gateway by path',
      edge,
      request('/assets/a.css', { host: 'www.shop.example' }),
      'routed',
      ': to assets.front.svc.cluster.local:80',
    ],
    [
      'a gateway, the rest',
      edge,
      request('/', { host: 'WWW.shop.example' }),
      'routed',
      ': to storefront.front.svc.cluster.local:80',
    ],
    [
      'a gateway without a rule for it',
      edge,
      request('/admin', { host: 'partners.shop.example' }),
      'no-route',
      ': no rule takes it: 404, flag NR',
    ],
    [
      'a gateway that does not have the host',
      edge,
      request('/', { host: 'other.example' }),
      'no-host',
      ': this gateway has no route for the host: 404, flag NR',
    ],
    [
      'a host that is only on another port',
      edge,
      request('/api/', { host: 'partners.shop.example', port: 80 }),
      'no-host',
      ': this gateway has no route for the host: 404, flag NR',
    ],
    [
      'an HTTPRoute by path elements',
      kube,
      request('/parcels/9', { host: 'tracking.edge.example' }),
      'routed',
      ': to tracking.ship.svc.cluster.local:80',
    ],
    [
      'an HTTPRoute takes no part of an element',
      kube,
      request('/parcels9', { host: 'tracking.edge.example' }),
      'no-route',
      ': no rule takes it: 404, flag NR',
    ],
    [
      'an HTTPRoute by method',
      kube,
      request('/labels', { host: 'tracking.edge.example', method: 'POST' }),
      'routed',
      ': to labels.stock.svc.cluster.local:80',
    ],
    [
      'an HTTPRoute of another host',
      kube,
      request('/', { host: 'x.example' }),
      'no-host',
      ': no route of this gateway has the host: 404, flag NR',
    ],
  ])('%s', (_, vantage, asked, outcome, said) => {
    const decision = routeRequest(world, vantage, asked);
    expect(decision.outcome).toBe(outcome);
    expect(`${decision.rule?.name ?? ''}: ${decision.said}`).toBe(said);
  });

  it('says of each rule before why it was passed', () => {
    const { passed } = routeRequest(world, inPay, request('/v2/x', { host: 'payments' }));
    expect(passed.map(({ rule, why }) => `${rule}: ${why}`)).toEqual([
      'canary: header x-canary is asked for',
      'refunds: path is to be prefix /v1/refunds; it is /v2/x',
    ]);
  });
});
