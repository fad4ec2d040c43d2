import { describe, expect, it } from 'vitest';
import { parseMeshServerName, parseUpstreamCluster } from '../../src/record/upstream-cluster.js';

const ORDERS = 'orders.shop.svc.cluster.local';

describe('parseUpstreamCluster', () => {
  // Forms: istio 1.31 pilot/pkg/model/service.go, pilot/pkg/networking/util/util.go, core/waypoint.go.
  it.each([
    ['outbound', `outbound|8080||${ORDERS}`, 'outbound', 'outbound', 8080, null, ORDERS, 'orders.shop'],
    [
      'outbound subset',
      `outbound|8080|v2|${ORDERS}`,
      'outbound',
      'outbound',
      8080,
      'v2',
      ORDERS,
      'orders.shop',
    ],
    [
      'external host',
      'outbound|443||api.example.com',
      'outbound',
      'outbound',
      443,
      null,
      'api.example.com',
      'api.example.com',
    ],
    [
      'wildcard host',
      'outbound|443||*.example.com',
      'outbound',
      'outbound',
      443,
      null,
      '*.example.com',
      '*.example.com',
    ],
    [
      'another cluster domain',
      'outbound|80||a.b.svc.corp.example',
      'outbound',
      'outbound',
      80,
      null,
      'a.b.svc.corp.example',
      'a.b',
    ],
    ['inbound', 'inbound|8080||', 'inbound', 'inbound', 8080, null, null, null],
    [
      'inbound up to Istio 1.7',
      `inbound|8080|http|${ORDERS}`,
      'inbound',
      'inbound',
      8080,
      'http',
      ORDERS,
      'orders.shop',
    ],
    [
      'waypoint',
      `inbound-vip|8080|http|${ORDERS}`,
      'inbound',
      'inbound-vip',
      8080,
      'http',
      ORDERS,
      'orders.shop',
    ],
    [
      'waypoint subset',
      `inbound-vip|8080|http/v2|${ORDERS}`,
      'inbound',
      'inbound-vip',
      8080,
      'http/v2',
      ORDERS,
      'orders.shop',
    ],
    ['SNI-DNAT', `outbound_.8080_._.${ORDERS}`, 'outbound', 'sni', 8080, null, ORDERS, 'orders.shop'],
    [
      'SNI-DNAT subset',
      `outbound_.8080_.v2_.${ORDERS}`,
      'outbound',
      'sni',
      8080,
      'v2',
      ORDERS,
      'orders.shop',
    ],
    [
      'SNI-DNAT, the separator in the host',
      'outbound_.80_._.a_.b',
      'outbound',
      'sni',
      80,
      null,
      'a_.b',
      'a_.b',
    ],
    ['PassthroughCluster', 'PassthroughCluster', 'passthrough', 'special', null, null, null, null],
    ['BlackHoleCluster', 'BlackHoleCluster', 'outbound', 'special', null, null, null, null],
    ['InboundPassthroughCluster', 'InboundPassthroughCluster', 'inbound', 'special', null, null, null, null],
    [
      'InboundPassthroughClusterIpv4',
      'InboundPassthroughClusterIpv4',
      'inbound',
      'special',
      null,
      null,
      null,
      null,
    ],
    ['dynamic DNS', 'AllowAnyDynamicDNSCluster', 'passthrough', 'special', null, null, null, null],
    ['encap', 'encap', 'outbound', 'special', null, null, null, null],
    ['connect_originate', 'connect_originate', 'outbound', 'special', null, null, null, null],
    ['Envoy Gateway', 'httproute/shop/web/rule/0', 'unknown', 'other', null, null, null, null],
    ['bootstrap', 'xds-grpc', 'unknown', 'other', null, null, null, null],
    ['four pipes', 'outbound|80||a|b', 'unknown', 'other', null, null, null, null],
    ['no port', 'outbound|http||a', 'unknown', 'other', null, null, null, null],
    ['a name of Object', 'constructor', 'unknown', 'other', null, null, null, null],
  ])('%s', (_, name, direction, kind, port, subset, host, service) => {
    const expected = { name, direction, kind, port, subset, host, service };
    expect(parseUpstreamCluster(name)).toEqual(expected);
    // The alternative stat name adds one `;` since Istio 1.23.
    expect(parseUpstreamCluster(`${name};`)).toEqual(expected);
  });

  it('strips one semicolon only', () => {
    expect(parseUpstreamCluster('encap;;')).toMatchObject({ name: 'encap;', direction: 'unknown' });
  });
});

describe('parseMeshServerName', () => {
  it.each([
    ['outbound_.8080_._.orders.shop.svc.cluster.local', 'orders.shop'],
    ['orders.shop.svc.cluster.local', null],
    ['outbound_.8080_._.', null],
    ['', null],
  ])('%s', (name, service) => {
    expect(parseMeshServerName(name)?.service ?? null).toBe(service);
  });
});
