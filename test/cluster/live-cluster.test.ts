import { afterEach, describe, expect, it } from 'vitest';
import { ClusterClient } from '../../src/cluster/client.js';
import {
  ADMIN_PAGES,
  ADMIN_PATHS,
  RESOURCES,
  SYNCZ_PATH,
  type ResourceName,
} from '../../src/cluster/cluster.js';
import { liveCluster } from '../../src/cluster/live-cluster.js';
import { getFromPod } from '../../src/cluster/port-forward.js';
import { forwardingServer, type Answer, type ForwardingServer, type InPod } from './forwarding-server.js';

const POD = { namespace: 'shop', name: 'payments-1' };
const OK = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const FORBIDDEN: Answer = { status: 403, body: { reason: 'Forbidden', message: 'no' } };
const MISSING: Answer = { status: 404, body: { reason: 'NotFound', message: 'not there' } };
const named = (name: string, more: object = {}): object => ({
  metadata: { name, namespace: 'shop', ...more },
});
const listOf = (...items: object[]): Answer => ({ status: 200, body: { items, metadata: {} } });

let server: ForwardingServer;
afterEach(() => server.close());

async function clusterOf(
  answer: Parameters<typeof forwardingServer>[0],
  pod?: (request: InPod) => void,
  forward?: (path: string) => number,
  mostObjects?: number,
) {
  server = await forwardingServer(answer, pod, forward);
  return liveCluster(new ClusterClient(server.connection), {
    namespaces: ['shop'],
    ...(mostObjects !== undefined && { mostObjects }),
  });
}

describe('a page through a forwarded port', () => {
  const page = async (pod: (request: InPod) => void, forward?: (path: string) => number): Promise<string> => {
    server = await forwardingServer(() => MISSING, pod, forward);
    return getFromPod(server.connection, POD, 15000, '/clusters?format=json', { silenceMs: 1000 }).catch(
      ({ message, status }: { message: string; status: number | null }) => `${status}: ${message}`,
    );
  };

  it('is what the pod answers, asked with GET', async () => {
    let sent = '';
    expect(
      await page((request) => {
        sent = request.sent;
        request.data(OK('{"a":1}').slice(0, 20));
        request.data(OK('{"a":1}').slice(20));
      }),
    ).toBe('{"a":1}');
    expect(sent).toMatch(/^GET \/clusters\?format=json HTTP\/1\.1\r\nhost: localhost\r\n/);
  });

  it.each<[string, (request: InPod) => void, RegExp]>([
    [
      'nothing listens',
      ({ error }) => error('error forwarding port 15000 to pod 1, uid : dial: connection refused'),
      /^null: dial: connection refused$/,
    ],
    ['it closes at once', ({ close }) => close(), /^null: the connection ended without an answer/],
    [
      'it closes in the middle',
      ({ data, close }) => (data(OK('{"a":1}').slice(0, -2)), close()),
      /^null: the connection ended/,
    ],
    ['it never answers', () => {}, /^null: no answer within 1 s$/],
    ['it stops in the middle', ({ data }) => data(OK('{"a":1}').slice(0, -2)), /^null: no answer within/],
    ['an empty answer', ({ data }) => data(OK('')), /^null: the answer is empty$/],
    [
      'another status',
      ({ data }) => data('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'),
      /^null: answered 503$/,
    ],
    ['no HTTP', ({ data }) => data('hello\r\n\r\n'), /^null: Parse Error/],
  ])('%s', async (_, pod, expected) => {
    expect(await page(pod)).toMatch(expected);
  });

  it.each([
    [403, '403: forbidden'],
    [404, '404: the pod is gone'],
    [500, '500: the API server answered 500'],
  ])('the API server answers %i', async (status, expected) => {
    expect(
      await page(
        ({ close }) => close(),
        () => status,
      ),
    ).toBe(expected);
  });
});

describe('a kind', () => {
  it('is read page by page, without what no check reads', async () => {
    const cluster = await clusterOf((path, query) => {
      if (path !== '/api/v1/pods') return MISSING;
      const first = query.get('continue') === null;
      const fields = [{ manager: 'x', time: '2026-01-01T00:00:00Z', fieldsV1: { huge: {} } }];
      return {
        status: 200,
        body: {
          items: [
            {
              ...named(first ? 'a' : 'b', { managedFields: fields }),
              spec: { volumes: [{}], nodeName: 'n' },
            },
          ],
          metadata: { continue: first ? 'more' : '' },
        },
      };
    });
    const { items, refused } = await cluster.list('Pod');
    expect(refused).toBeUndefined();
    expect(items).toMatchObject([
      { kind: 'Pod', apiVersion: 'v1', metadata: { name: 'a' } },
      { metadata: { name: 'b' } },
    ]);
    expect(JSON.stringify(items)).not.toMatch(/huge|volumes/);
    expect(items[0]).toHaveProperty('metadata.managedFields', [{ time: '2026-01-01T00:00:00Z' }]);
  });

  it('that may not be read everywhere is read of the namespaces in question', async () => {
    const cluster = await clusterOf((path) =>
      path === '/api/v1/namespaces/shop/services' ? listOf(named('web')) : FORBIDDEN,
    );
    expect(await cluster.list('Service')).toMatchObject({
      items: [{ metadata: { name: 'web' } }],
      refused: {
        verb: 'list',
        resource: 'services',
        reason: 'forbidden; read of shop only',
        namespaces: ['shop'],
      },
    });
    expect(await cluster.list('DestinationRule')).toEqual({
      items: [],
      refused: { verb: 'list', resource: 'destinationrules.networking.istio.io', reason: 'forbidden' },
    });
    expect(await cluster.list('Node')).toMatchObject({ refused: { resource: 'nodes', reason: 'forbidden' } });
  });

  it('of too many objects is read of the namespaces in question', async () => {
    const cluster = await clusterOf(
      (path) =>
        listOf(
          ...Array.from({ length: path.includes('/namespaces/shop/') ? 2 : 5 }, (_, i) => named(`p${i}`)),
        ),
      undefined,
      undefined,
      4,
    );
    const { items, refused } = await cluster.list('Pod');
    expect(refused?.reason).toBe('there are more than 4; read of shop only');
    expect(items.length).toBeGreaterThan(0);
  });

  it('is asked for in an older version, or is not installed', async () => {
    const cluster = await clusterOf((path) =>
      path === '/apis/networking.istio.io/v1beta1/sidecars' ? listOf(named('default')) : MISSING,
    );
    expect(await cluster.list('Sidecar')).toMatchObject({
      items: [{ apiVersion: 'networking.istio.io/v1beta1', kind: 'Sidecar' }],
    });
    expect(await cluster.list('HTTPRoute')).toEqual({ items: [], notInstalled: true });
  });

  it('that is served in unknown versions only is said to be', async () => {
    const cluster = await clusterOf((path) =>
      path === '/apis/telemetry.istio.io'
        ? { status: 200, body: { versions: [{ version: 'v3' }] } }
        : MISSING,
    );
    const { refused } = await cluster.list('Telemetry');
    expect(refused?.reason).toBe('served as v3 only, of which none is understood');
  });

  it('is asked for once more where the server is busy, or a list is compacted away between its pages', async () => {
    for (const status of [503, 410]) {
      let times = 0;
      const cluster = await clusterOf(() => (times++ === 0 ? { status, body: {} } : listOf(named('a'))));
      expect(await cluster.list('Service')).toMatchObject({ items: [{ metadata: { name: 'a' } }] });
      expect(times).toBe(2);
      server.close();
    }
  });

  it('that breaks costs no other', async () => {
    const cluster = await clusterOf((path) =>
      path.endsWith('/virtualservices') ? { status: 500, body: { message: 'etcd is away' } } : listOf(),
    );
    expect((await cluster.list('VirtualService')).refused?.reason).toBe('etcd is away');
    expect(await cluster.list('Sidecar')).toEqual({ items: [] });
  });

  it('of ConfigMaps is the mesh configuration alone, of every revision', async () => {
    const istiod = named('istiod', {
      namespace: 'mesh',
      labels: { app: 'istiod', 'istio.io/rev': 'canary' },
    });
    const cluster = await clusterOf((path) =>
      path === '/api/v1/pods'
        ? listOf(istiod)
        : path.includes('/configmaps/')
          ? { status: 200, body: named(path.split('/').at(-1)!) }
          : MISSING,
    );
    const { items } = await cluster.list('ConfigMap');
    expect(items).toMatchObject([{ metadata: { name: 'istio' } }, { metadata: { name: 'istio-canary' } }]);
    expect(server.asked.filter((one) => one.includes('configmaps'))).toEqual([
      'GET /api/v1/namespaces/istio-system/configmaps/istio',
      'GET /api/v1/namespaces/mesh/configmaps/istio-canary',
    ]);
  });
});

describe('proxies and istiod', () => {
  it('a right that is missing is asked for once', async () => {
    const cluster = await clusterOf(
      () => MISSING,
      undefined,
      () => 403,
    );
    await cluster.envoyAdmin(POD, 'clusters');
    for (const page of ADMIN_PAGES) {
      expect(await cluster.envoyAdmin(POD, page)).toEqual({
        refused: { verb: 'get and create', resource: 'pods/portforward', reason: 'forbidden in shop' },
      });
    }
    expect(server.asked).toHaveLength(1);
  });

  it('every replica of istiod is asked, on its other port where the first has no such page', async () => {
    const istiod = (name: string, phase = 'Running'): object => ({
      ...named(name, { namespace: 'istio-system', labels: { app: 'istiod' } }),
      status: { phase },
    });
    const cluster = await clusterOf(
      (path) =>
        path === '/api/v1/pods' ? listOf(istiod('a'), istiod('b'), istiod('c', 'Pending')) : MISSING,
      ({ port, data, path }) =>
        data(port === 8080 ? OK(`["${path}"]`) : 'HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n'),
    );
    expect(await cluster.syncz()).toEqual(
      ['a', 'b'].map((name) => ({ istiod: { namespace: 'istio-system', name }, text: `["${SYNCZ_PATH}"]` })),
    );
  });

  it('without istiod says so', async () => {
    const cluster = await clusterOf(() => listOf());
    expect(await cluster.syncz()).toMatchObject([{ refused: { reason: 'no istiod runs in this cluster' } }]);
  });
});

/** Of Envoy 1.40's admin interface, what only reads (docs: operations/admin). */
const READING = /^\/(?:clusters|config_dump|certs|listeners|stats|server_info)(?:\?[^#]*)?$/;

it('nothing but list and get is ever asked, and of Envoy no page that changes anything', async () => {
  for (const path of Object.values(ADMIN_PATHS)) expect(path).toMatch(READING);
  const paths: string[] = [];
  const cluster = await clusterOf(
    () => listOf(named('a', { labels: { app: 'istiod' } })),
    ({ path, sent, data }) => {
      expect(sent).toMatch(/^GET /);
      paths.push(path);
      data(OK('{}'));
    },
  );
  for (const name of Object.keys(RESOURCES) as ResourceName[]) await cluster.list(name);
  for (const page of ADMIN_PAGES) await cluster.envoyAdmin(POD, page);
  await cluster.syncz();
  expect(paths.filter((path) => path !== SYNCZ_PATH && !READING.test(path))).toEqual([]);
  expect(paths).toHaveLength(ADMIN_PAGES.length);
  expect(server.asked.filter((one) => !one.startsWith('GET '))).toEqual([]);
  expect(server.asked.filter((one) => /secrets/.test(one))).toEqual([]);
});
