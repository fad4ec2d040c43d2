import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ClusterClient } from '../../src/cluster/client.js';
import { connect } from '../../src/cluster/kubeconfig.js';
import { MeshWatch } from '../../src/cluster/mesh-watch.js';
import { podOf } from '../../src/cluster/pods.js';
import { FakeApi } from './fake-api.js';
import { Deployed, object } from './fake-shapes.js';

let api: FakeApi;
let ledger: Deployed;
let folder: string;
let abort: AbortController;

beforeEach(async () => {
  api = await FakeApi.start();
  for (const name of ['shop', 'books']) api.world.put(object('v1', 'Namespace', name, { namespace: null }));
  ledger = new Deployed(api.world, 'ledger', 2, { namespace: 'books' });
  const spec = { clusterIP: '10.96.0.7', selector: { app: 'ledger' } };
  api.world.put(object('v1', 'Service', 'ledger', { namespace: 'books', spec }));
  folder = mkdtempSync(join(tmpdir(), 'meshtail-'));
  abort = new AbortController();
});
afterEach(async () => {
  abort.abort();
  await api.close();
  rmSync(folder, { recursive: true });
});

async function watching(namespace: string | null = 'shop', follow = true): Promise<MeshWatch> {
  const kubeconfig = join(folder, 'config');
  writeFileSync(kubeconfig, api.kubeconfig({ namespace: 'shop', token: 'admin' }));
  const client = new ClusterClient(await connect({ kubeconfig, env: {} }));
  const mesh = new MeshWatch(
    client,
    { namespaces: [namespace], since: null, follow, isInside: (ip) => !ip.startsWith('203.') },
    abort.signal,
  );
  mesh.start();
  await mesh.settled(5000);
  return mesh;
}

const texts = (mesh: MeshWatch): string[] => mesh.changes.map(({ text }) => text).toSorted();

describe('what a cluster tells beside the logs', () => {
  it('names pods of namespaces that nobody watches once it is asked', async () => {
    const [pod] = ledger.pods();
    const ip = pod!.status.podIP!;
    const mesh = await watching();
    expect(mesh.ownerOf(ip, Date.now())).toBeNull();
    await mesh.settled(5000);
    expect(mesh.ownerOf(ip, Date.now())).toMatchObject({
      name: pod!.metadata.name,
      workload: { kind: 'Deployment', name: 'ledger' },
    });
    expect(mesh.ownerOf('10.96.0.7', Date.now())).toMatchObject({ kind: 'service', name: 'ledger' });
    // Nor is one asked for that cannot be of the cluster.
    mesh.ownerOf('203.0.113.7', Date.now());
    await mesh.settled(5000);
    expect(api.requests.filter(({ query }) => query.get('fieldSelector')?.endsWith('203.0.113.7'))).toEqual(
      [],
    );
    // An address that nobody has is not asked for again and again.
    for (let i = 0; i < 5; i++) {
      mesh.ownerOf('192.0.2.1', Date.now());
      await mesh.settled(5000);
    }
    expect(
      api.requests.filter(({ query }) => query.get('fieldSelector')?.endsWith('192.0.2.1')),
    ).toHaveLength(1);
  });

  it('sees rollouts, rollbacks and what is written and deleted while it watches', async () => {
    const mesh = await watching('books');
    expect(texts(mesh)).toEqual(['ledger rev 1']);
    const first = ledger.replicaSet;
    ledger.roll();
    const rule = api.world.put(
      object('networking.istio.io/v1', 'VirtualService', 'ledger', { spec: { hosts: ['ledger.books'] } }),
    );
    await expect.poll(() => texts(mesh)).toContain('ledger rev 2');
    await expect.poll(() => texts(mesh).filter((text) => text.startsWith('Virtual'))).toHaveLength(1);
    api.world.change(first, ({ metadata }) => {
      metadata.annotations = {
        'deployment.kubernetes.io/revision': '3',
        'deployment.kubernetes.io/revision-history': '1',
      };
    });
    api.world.remove(rule);
    await expect.poll(() => texts(mesh)).toContain('ledger rev 3');
    await expect.poll(() => texts(mesh)).toContain('VirtualService shop/ledger deleted');
    const rev3 = mesh.changes.find(({ text }) => text === 'ledger rev 3');
    expect(Date.now() - rev3!.at).toBeLessThan(5000);
  });

  it('looks into the namespace of a service that lines name', async () => {
    const mesh = await watching();
    expect(texts(mesh)).toEqual([]);
    mesh.include('books');
    mesh.include('books');
    await expect.poll(() => texts(mesh)).toEqual(['ledger rev 1']);
    const [pod] = ledger.pods();
    api.world.endContainer(pod!, 'ledger');
    api.world.startContainer(pod!, 'ledger');
    await expect.poll(() => texts(mesh)).toContain(`${pod!.metadata.name} ledger restarted (Error)`);
    expect(
      api.requests.filter(({ path, kind }) => kind === 'list' && path.endsWith('/books/pods')),
    ).toHaveLength(1);
  });

  it('says once what it may not see, and goes on with the rest', async () => {
    api.authorize = ({ resource, namespace }) =>
      resource === 'pods' ? namespace === 'shop' : resource === 'events' || resource === 'endpointslices';
    const mesh = await watching();
    expect(mesh.limits).toEqual([
      'may not list authorizationpolicies, destinationrules, envoyfilters, gateways, 10 more in istio-system, shop, so not known: ' +
        'changes of what steers traffic, revisions of rollouts, names of services’ addresses',
    ]);
    mesh.ownerOf('192.0.2.1', 0);
    mesh.ownerOf('192.0.2.2', 0);
    await mesh.settled(5000);
    expect(mesh.limits).toEqual([expect.stringContaining('pods of other namespaces')]);
    const asked = api.requests.filter(({ query }) => query.get('fieldSelector')?.startsWith('status.podIP'));
    expect(asked.length).toBeLessThan(3);
  });

  it('hears of nodes, whatever namespace is looked at', async () => {
    const event = (name: string, kind: string): void => {
      const involvedObject = { kind, name: 'node-1' };
      const lastTimestamp = new Date().toISOString();
      const about = {
        namespace: 'default',
        type: 'Normal',
        reason: 'NodeNotReady',
        involvedObject,
        lastTimestamp,
      };
      api.world.put(object('v1', 'Event', name, about));
    };
    event('node-1.a', 'Node');
    event('pod-1.a', 'Pod');
    const mesh = await watching();
    expect(mesh.changes).toMatchObject([
      { kind: 'node', text: 'node-1 NodeNotReady', about: { node: 'node-1' } },
    ]);
  });

  it('tells pods that came anew where revisions may not be listed', async () => {
    api.authorize = ({ resource }) => resource !== 'replicasets';
    const mesh = await watching();
    mesh.pod(podOf({ ...ledger.pods()[0]! }));
    expect(texts(mesh)).toEqual([expect.stringMatching(/^ledger new pods \(template \w+\)$/)]);
  });

  it('takes a kind that the cluster does not have for one without objects', async () => {
    for (const group of [
      'networking.istio.io',
      'security.istio.io',
      'telemetry.istio.io',
      'gateway.networking.k8s.io',
    ])
      api.world.withoutGroup(group);
    expect((await watching()).limits).toEqual([]);
  });
});
