import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RESOURCES, type Cluster, type ResourceName } from '../../src/cluster/cluster.js';
import { savedCluster, type SavedFile } from '../../src/check/from-files.js';
import { runChecks } from '../../src/check/run.js';
import { proxiesToAsk, scopeOf } from '../../src/check/target.js';
import { workloads } from '../../src/check/workloads.js';
import { readWorld, World } from '../../src/check/world.js';
import type { Finding } from '../../src/diagnosis/finding.js';
import { readDocuments } from '../../src/source/document-files.js';
import { scratch } from '../e2e/run.js';
import { Mesh, READ_AT, worldOf } from './mesh.js';

const healthy = new Mesh().files();
const told = (findings: readonly Finding[]): readonly Finding[] =>
  findings.filter(({ status }) => status !== 'ok');
const ids = (findings: readonly Finding[]): readonly string[] =>
  told(findings).map(({ id, status }) => `${status} ${id}`);

/** The healthy mesh for somebody who may not read everything. */
function forbidding(names: readonly ResourceName[], pages = false): Cluster {
  const cluster = savedCluster('files', healthy);
  return {
    ...cluster,
    list: (name) =>
      names.includes(name)
        ? Promise.resolve({
            items: [],
            refused: { verb: 'list', resource: name.toLowerCase(), reason: 'forbidden' },
          })
        : cluster.list(name),
    envoyAdmin: (pod, page) =>
      pages
        ? Promise.resolve({ refused: { verb: 'create', resource: 'pods/portforward', reason: 'forbidden' } })
        : cluster.envoyAdmin(pod, page),
  };
}
const readAll = (cluster: Cluster): Promise<World> =>
  readWorld(cluster, (objects) => ({ pods: proxiesToAsk(workloads(objects)), sync: true }));

describe('rights that are missing', () => {
  it.each<[ResourceName, string]>([
    ['Namespace', 'injection'],
    ['DestinationRule', 'route-destinations'],
    ['PeerAuthentication', 'mutual-tls'],
    ['NetworkPolicy', 'network-policies'],
    ['Service', 'services'],
    ['ConfigMap', 'access-log'],
    ['EndpointSlice', 'envoy-endpoints'],
    ['Node', 'nodes'],
  ])(
    'without %s the checks that need it are unknown, the rest goes on, and nothing fails',
    async (name, check) => {
      const findings = runChecks(await readAll(forbidding([name])));
      expect(
        told(findings)
          .filter(({ status }) => status !== 'unknown')
          .map(({ id, read }) => ({ id, read })),
      ).toEqual([]);
      const unknown = findings.find(({ id, status }) => id === check && status === 'unknown');
      expect(unknown?.read).toContain(`cannot list ${name.toLowerCase()}: forbidden`);
      expect(findings.some(({ status }) => status === 'ok')).toBe(true);
    },
  );

  /** Some kinds as somebody reads them who may look into some namespaces only. */
  function within(namespaces: readonly string[], kinds: readonly ResourceName[]): Cluster {
    const cluster = savedCluster('files', healthy);
    const inside = (object: unknown, kind: ResourceName): boolean => {
      const { metadata } = object as { metadata: { name: string; namespace?: string } };
      return namespaces.includes(kind === 'Namespace' ? metadata.name : (metadata.namespace ?? ''));
    };
    return {
      ...cluster,
      list: async (name) => {
        const listing = await cluster.list(name);
        if (!kinds.includes(name)) return listing;
        return {
          items: listing.items.filter((object) => inside(object, name)),
          refused: { verb: 'list', resource: name.toLowerCase(), reason: 'forbidden', namespaces },
        };
      },
    };
  }
  const NAMESPACED = (Object.keys(RESOURCES) as ResourceName[]).filter(
    (name) => RESOURCES[name].namespaced || name === 'Namespace',
  );
  const falseAlarms = (findings: readonly Finding[]): readonly string[] =>
    ids(findings).filter((text) => !text.startsWith('unknown'));

  it.each(['front', 'shop', 'pay', 'stock', 'data', 'outside'])(
    'who may look into %s only is told nothing that is wrong',
    async (namespace) => {
      const world = await readAll(within([namespace, 'istio-system'], NAMESPACED));
      expect(falseAlarms(runChecks(world))).toEqual([]);
      expect(falseAlarms(runChecks(await readAll(within([namespace], NAMESPACED))))).toEqual([]);
    },
  );

  it.each(NAMESPACED)('nor is who may read %s of one namespace only', async (name) => {
    expect(falseAlarms(runChecks(await readAll(within(['pay', 'istio-system'], [name]))))).toEqual([]);
  });

  it('what is looked up in one namespace alone can be told of that one', async () => {
    const world = await readAll(within(['pay', 'istio-system'], ['Pod', 'Namespace', 'Service']));
    const scope = scopeOf(
      world,
      workloads(world).filter(({ namespace }) => namespace === 'pay'),
    );
    const ok = runChecks(world, scope).filter(({ status }) => status === 'ok');
    expect(ok.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['injection', 'traffic-capture', 'services']),
    );
  });

  it.each<[string, (name: ResourceName) => boolean]>([
    ['Istio’s kinds', (name) => RESOURCES[name].group.endsWith('istio.io')],
    ['the Gateway API', (name) => RESOURCES[name].group.startsWith('gateway.')],
    ['both', (name) => /istio\.io$|^gateway\./.test(RESOURCES[name].group)],
  ])('where %s are not installed nothing is wrong with them', async (_, isMissing) => {
    const cluster = savedCluster('files', healthy);
    const world = await readAll({
      ...cluster,
      list: (name) =>
        isMissing(name) ? Promise.resolve({ items: [], notInstalled: true }) : cluster.list(name),
    });
    const findings = told(runChecks(world)).filter(({ status }) => status !== 'unknown');
    // Whoever calls a host that no ServiceEntry can name any more is told so.
    expect(new Set(findings.map(({ id }) => id).filter((id) => id !== 'egress-host-not-registered'))).toEqual(
      new Set(),
    );
    expect(told(runChecks(world)).some(({ read }) => read.endsWith('not installed'))).toBe(true);
  });

  it('without port-forward what Envoy holds is unknown', async () => {
    const findings = runChecks(await readAll(forbidding([], true)));
    expect(told(findings).every(({ status, phase }) => status === 'unknown' && phase === 'envoy')).toBe(true);
    expect(told(findings).length).toBeGreaterThan(3);
  });

  it('without anything everything is unknown', () => {
    expect(new Set(runChecks(new World({})).map(({ status }) => status))).toEqual(new Set(['unknown']));
  });

  it('without istiod the sync is unknown', async () => {
    const files = healthy.filter(({ name }) => !name.endsWith('syncz'));
    expect(ids(runChecks(await worldOf(files)))).toEqual(['unknown config-sync']);
  });

  it('an istiod that does not answer leaves its proxies untold', async () => {
    const cluster = savedCluster('files', healthy);
    const proxies = JSON.parse(healthy.find(({ name }) => name.endsWith('syncz'))!.text) as unknown[];
    const world = await readAll({
      ...cluster,
      syncz: () =>
        Promise.resolve([
          { text: JSON.stringify(proxies.slice(3)), istiod: null },
          {
            refused: { verb: 'get', resource: 'istiod /debug/syncz', reason: 'connection refused' },
            istiod: null,
          },
        ]),
    });
    const findings = told(runChecks(world));
    expect(findings.map(({ id, status }) => `${status} ${id}`)).toEqual(['unknown config-sync']);
    expect(findings[0]?.read).toContain('connection refused');
  });
});

describe('objects that are not as expected', () => {
  const withText = (text: string, name = 'more.yaml'): readonly SavedFile[] => [
    ...healthy,
    { name, text, modifiedAt: READ_AT },
  ];

  it('reports broken YAML with its place, and reads the rest of the file', () => {
    const text =
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: one}\n---\nkind: VirtualService\nmetadata: {name: [}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: two}\n';
    const cluster = savedCluster('files', [{ name: 'a.yaml', text }]);
    expect(cluster.objects).toBe(2);
    expect(cluster.broken.map(({ file, line, kind }) => ({ file, line, kind }))).toEqual([
      { file: 'a.yaml', line: 6, kind: 'VirtualService' },
    ]);
  });

  it('does not say that something is missing where it may stand in what is broken', async () => {
    const mesh = new Mesh();
    mesh.remove('DestinationRule/pay/payments');
    const files = [
      ...mesh.files(),
      {
        name: 'broken.yaml',
        text: 'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nspec: {host: [}\n',
      },
    ];
    const findings = told(runChecks(await worldOf(files)));
    expect(findings.every(({ status }) => status === 'unknown')).toBe(true);
    expect(findings.find(({ id }) => id === 'route-destinations')?.read).toContain(
      'broken.yaml:3 is broken YAML',
    );
  });

  it('leaves out what is of an unknown version, and says so', async () => {
    const text =
      'apiVersion: networking.istio.io/v9\nkind: DestinationRule\nmetadata: {name: new, namespace: pay}\nspec: {target: {}}\n';
    const findings = told(runChecks(await worldOf(withText(text))));
    expect(findings.every(({ status }) => status === 'unknown')).toBe(true);
    expect(findings.map(({ id }) => id)).toContain('object-not-understood');
    expect(findings.map(({ id }) => id)).toContain('route-destinations');
  });

  it('says of fields of the wrong type what was expected', async () => {
    const text =
      'apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: odd, namespace: outside}\nspec: {egress: [{hosts: "./*"}]}\n';
    const findings = told(runChecks(await worldOf(withText(text))));
    expect(findings.map(({ id, read }) => [id, read])).toEqual([
      ['object-not-understood', 'spec.egress[0].hosts: expected a list'],
    ]);
  });

  it.each<[string, string]>([
    [
      'unknown fields',
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: odd, labels: {a: b}}\nspec: {finalizers: [x], other: {}}\n',
    ],
    ['unknown kinds', 'apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}\n'],
    ['an empty list', 'apiVersion: v1\nkind: List\nitems: []\n'],
    ['prose', 'Name: web\nNamespace: shop\nLabels: app=web\n'],
    ['nothing', ''],
    [
      'an alias bomb',
      `apiVersion: v1\nkind: Thing\nmetadata: {name: a}\na: &a [${'x,'.repeat(50)}x]\nb: &b [${'*a,'.repeat(50)}*a]\nc: &c [${'*b,'.repeat(50)}*b]\nd: [${'*c,'.repeat(50)}*c]\n`,
    ],
    [
      'a prototype',
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd, namespace: outside, labels: {__proto__: a, constructor: b}}\ndata: {toString: x}\n',
    ],
  ])('takes %s without harm', async (_, text) => {
    const findings = told(runChecks(await worldOf(withText(text))));
    expect(findings.filter(({ status }) => status !== 'unknown')).toEqual([]);
  });

  it('takes any value in the place of any field', async () => {
    const values = [null, 7, 'text', true, [], [null], {}, { a: { b: 1 } }];
    const mesh = new Mesh();
    const refs = [
      'VirtualService/pay/payments',
      'DestinationRule/pay/payments',
      'Pod/ship/slots',
      'Service/stock/labels',
      'HTTPRoute/ship/tracking',
      'AuthorizationPolicy/pay/ledger',
      'Sidecar/ship/default',
      'Gateway/istio-system/public',
      'NetworkPolicy/pay/ledger',
    ];
    for (const [i, ref] of refs.entries()) {
      const spec = (mesh.get(ref) as { spec: Record<string, unknown> }).spec;
      for (const [j, key] of Object.keys(spec).entries()) spec[key] = values[(i + j) % values.length];
    }
    const world = await worldOf(mesh.files());
    expect(runChecks(world).length).toBeGreaterThan(0);
  });

  it('survives any damage to a file', async () => {
    const yaml = new Mesh().files('yaml').filter(({ name }) => name.startsWith('objects/'));
    const cut = fc.record({
      file: fc.nat(yaml.length - 1),
      at: fc.nat(),
      length: fc.nat(40),
      put: fc.string(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { minLength: 1, maxLength: 20 }), async (cuts) => {
        const files = cuts.map(({ file, at, length, put }) => {
          const { name, text } = yaml[file]!;
          const from = at % (text.length + 1);
          return { name, text: text.slice(0, from) + put + text.slice(from + length) };
        });
        expect(runChecks(await worldOf(files)).length).toBeGreaterThan(0);
      }),
      { numRuns: 100 },
    );
  });

  it('reads two meshes by the revision of each pod', async () => {
    const mesh = new Mesh();
    mesh.add({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'istio-canary', namespace: 'istio-system' },
      data: { mesh: 'accessLogFile: ""\noutboundTrafficPolicy: {mode: ALLOW_ANY}\n' },
    });
    expect(ids(runChecks(await worldOf(mesh.files())))).toEqual([]);
  });
});

describe('files as people save them', () => {
  const { folder, file } = scratch();
  const put = (name: string, text: string): void => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  };
  const counted = async (path: string): Promise<number> =>
    savedCluster(path, (await readDocuments([path])).files).objects;
  const objects = (mesh: Mesh): readonly unknown[] => [...mesh.objects.values()];

  it('reads a List, typed lists, many documents and folders alike', async () => {
    const all = objects(new Mesh());
    put('list.json', JSON.stringify({ apiVersion: 'v1', kind: 'List', items: all }));
    put(
      'pods.yaml',
      'apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: a, namespace: b}\n- metadata: {name: c, namespace: b}\n',
    );
    put(
      'many.yaml',
      '---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n...\n',
    );
    put('dump/ns/a/core/pods.yaml', 'apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b}\n');
    put('dump/ns/b/b.yaml', 'apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n');
    put('dump/ns/b/app.log', 'not yaml: [');
    expect(await counted(join(folder, 'list.json'))).toBe(all.length - 1); // GatewayClass is none of ours
    expect(await counted(join(folder, 'pods.yaml'))).toBe(2);
    expect(await counted(join(folder, 'many.yaml'))).toBe(2);
    expect(await counted(join(folder, 'dump'))).toBe(2);
  });

  it('reads a packed bug-report with its objects, proxies and istiod', async () => {
    const mesh = new Mesh();
    const root = 'report/bug-report';
    const istio = objects(mesh).filter((one) =>
      /istio|gateway/.test((one as { apiVersion: string }).apiVersion),
    );
    const rest = objects(mesh).filter((one) => !istio.includes(one));
    put(`${root}/cluster/k8s-resources`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: rest }));
    put(`${root}/cluster/crs`, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: istio }));
    for (const [name, page] of mesh.pages) {
      const path = name
        .replace('dump/istiod/syncz', 'istio/istio-system/istiod-1/debug/syncz')
        .replace('dump/', '');
      put(`${root}/${path}`, JSON.stringify(page));
    }
    put(`${root}/proxies/pay/x/istio-proxy.log`, 'a log\n');
    const archive = join(folder, 'bug-report.tar.gz');
    execFileSync('tar', ['czf', archive, '-C', join(folder, 'report'), 'bug-report']);
    const { files, failed } = await readDocuments([archive]);
    expect(failed).toEqual([]);
    const world = await worldOf(files.map(({ name, text }) => ({ name, text, modifiedAt: READ_AT })));
    expect(ids(runChecks(world))).toEqual([]);
    expect(world.proxies.size).toBe(2);
  });

  it('knows pages by what stands in them and whose they are by their path', async () => {
    const mesh = new Mesh();
    const [name, page] = [...mesh.pages].find(
      ([key]) => key.includes('/storefront') && key.endsWith('/clusters'),
    )!;
    const pod = name.split('/')[3]!;
    const files = [
      ...mesh.files().filter((one) => !one.name.startsWith('dump/')),
      { name: `saved/${pod}.front.clusters.json`, text: JSON.stringify(page) },
      {
        name: `saved/${pod}.front.stats.txt`,
        text: 'cluster.xds-grpc.upstream_cx_total: 4\ncontrol_plane.connected_state: 0\n',
      },
    ];
    const findings = told(runChecks(await worldOf(files)));
    expect(findings.filter(({ status }) => status === 'fail').map(({ id }) => id)).toEqual([
      'envoy-control-plane-lost',
    ]);
  });

  it('takes pages beside one config_dump for those of its proxy', async () => {
    const mesh = new Mesh();
    const of = (page: string): string =>
      JSON.stringify([...mesh.pages].find(([key]) => key.includes('/storefront') && key.endsWith(page))![1]);
    const files = [
      ...mesh.files().filter((one) => !one.name.startsWith('dump/')),
      { name: 'saved/config_dump.json', text: of('/config_dump') },
      { name: 'saved/clusters.json', text: of('/clusters') },
    ];
    const [state] = (await worldOf(files)).proxies.values();
    expect(state?.clusters).toHaveLength(2);
  });

  it('reads Envoy’s text form of clusters', async () => {
    const mesh = new Mesh();
    const pod = [...mesh.pages.keys()].find((key) => key.includes('/storefront'))!.split('/')[3]!;
    const cluster = 'outbound|80||ledger.pay.svc.cluster.local';
    const text = [
      `${cluster}::observability_name::${cluster};`,
      `${cluster}::default_priority::max_connections::1024`,
      `${cluster}::10.1.9.9:8080::cx_connect_fail::3`,
      `${cluster}::10.1.9.9:8080::health_flags::/failed_outlier_check`,
      `${cluster}::[fd00::1]:8080::health_flags::healthy`,
    ].join('\n');
    mesh.pages.clear();
    const world = await worldOf([...mesh.files(), { name: `proxies/front/${pod}/clusters`, text }]);
    const [state] = world.proxies.values();
    expect(state?.clusters).toEqual([
      {
        name: cluster,
        hosts: [
          {
            address: '10.1.9.9:8080',
            ip: '10.1.9.9',
            healthy: false,
            ejected: true,
            connectFailures: 3,
            requests: 0,
          },
          {
            address: '[fd00::1]:8080',
            ip: 'fd00::1',
            healthy: true,
            ejected: false,
            connectFailures: 0,
            requests: 0,
          },
        ],
      },
    ]);
  });

  it('says of a page that is damaged that it is', async () => {
    const mesh = new Mesh();
    const key = [...mesh.pages.keys()].find((one) => one.endsWith('/certs'))!;
    const files = mesh
      .files()
      .map((one) => (one.name === key ? { ...one, text: `${one.text.slice(0, 80)}` } : one));
    const findings = told(runChecks(await worldOf(files)));
    expect(findings.map(({ id, status }) => `${status} ${id}`)).toEqual(['unknown envoy-certificates']);
    expect(findings[0]?.read).toContain('damaged');
  });

  it('fails a path that does not exist, and an archive that ends early, after reading the others', async () => {
    const archive = file('cut.tar.gz', Buffer.from('1f8b0800000000000003', 'hex'));
    const good = file('good.yaml', 'apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n');
    const { files, failed } = await readDocuments([good, join(folder, 'none.yaml'), archive]);
    expect(files).toHaveLength(1);
    expect(failed.map(({ code }) => code)).toEqual(['file-not-found', 'gzip-truncated']);
  });
});
