import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ClusterClient } from '../../src/cluster/client.js';
import { podOf } from '../../src/cluster/pods.js';
import { connect } from '../../src/cluster/kubeconfig.js';
import { targetsOf } from '../../src/cluster/targets.js';
import { LiveSession, type LiveOptions } from '../../src/source/kubernetes.js';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeApi } from '../cluster/fake-api.js';
import {
  Deployed,
  envoyGatewayPod,
  gatewayPod,
  ingressGatewayPod,
  object,
  pod as podShape,
  ztunnelPod,
} from '../cluster/fake-shapes.js';
import type { Pod } from '../cluster/fake-world.js';

let api: FakeApi;
let payments: Deployed;
let folder: string;
let session: LiveSession | undefined;
/** Texts of the lines read, by pod. */
let read: Map<string, string[]>;

beforeEach(async () => {
  api = await FakeApi.start();
  api.world.put(object('v1', 'Namespace', 'shop', { namespace: null }));
  payments = new Deployed(api.world, 'payments', 2);
  folder = mkdtempSync(join(tmpdir(), 'meshtail-'));
  read = new Map();
});
afterEach(async () => {
  session?.stop();
  session = undefined;
  await api.close();
  rmSync(folder, { recursive: true });
});

async function open(targets: readonly string[], options: Partial<LiveOptions> = {}): Promise<LiveSession> {
  const kubeconfig = join(folder, 'config');
  writeFileSync(kubeconfig, api.kubeconfig({ namespace: 'shop', token: 'admin' }));
  const client = new ClusterClient(await connect({ kubeconfig, env: {} }));
  session = await LiveSession.open(client, {
    targets: targetsOf(targets),
    follow: true,
    since: null,
    tail: null,
    previous: false,
    maxLine: 1 << 20,
    allNamespaces: false,
    labels: undefined,
    container: undefined,
    maxLogRequests: 100,
    ...options,
  });
  return session;
}

/** Reads all that comes, until the session is stopped. */
async function drain(from: LiveSession): Promise<void> {
  const running: Promise<void>[] = [];
  for await (const source of from.sources()) {
    const lines: string[] = [];
    read.set(source.origin.pod!, lines);
    running.push(
      (async () => {
        for await (const chunk of source.open()) {
          const texts = chunk.toString().split('\n').slice(0, -1);
          lines.push(...texts.map((text) => text.slice(text.indexOf(' ') + 1)));
        }
      })(),
    );
  }
  await Promise.all(running);
}

let written = 0;
/** Appends lines now, two to a stamp. */
function write(pod: Pod, count: number): string[] {
  const log = api.world.log(pod, 'istio-proxy');
  const texts = Array.from({ length: count }, () => `line ${++written}`);
  for (const [i, text] of texts.entries()) {
    const at = Date.now() * 1e6 + Math.floor(i / 2) * 1000;
    const nanos = String(at % 1e9 === at ? at : (Date.now() % 1000) * 1e6 + Math.floor(i / 2) * 1000);
    log.append({ time: `${new Date().toISOString().slice(0, 19)}.${nanos.padStart(9, '0')}Z`, text });
  }
  return texts;
}

/** Appends lines, 30 a second, from `from` to `to` seconds after `zero` (ms). */
function writeOver(pod: Pod, zero: number, from: number, to: number): string[] {
  const texts: string[] = [];
  for (let i = from * 30; i < to * 30; i++) {
    const text = `line ${++written}`;
    texts.push(text);
    const time = new Date(zero + Math.floor((i * 1000) / 30)).toISOString();
    api.world.log(pod, 'istio-proxy').append({ time, text });
  }
  return texts;
}

const nameOf = (pod: Pod): string => pod.metadata.name;
const linesOf = (pod: Pod): string[] => read.get(nameOf(pod)) ?? [];

describe('following a workload', () => {
  it('reads every line once over resets in the middle of lines', async () => {
    const [pod] = payments.pods();
    const all = write(pod!, 20);
    const run = drain(await open(['deployment/payments']));
    for (let round = 0; round < 5; round++) {
      all.push(...write(pod!, 7));
      await expect.poll(() => api.streams('log', nameOf(pod!)).length, { timeout: 5000 }).toBeGreaterThan(0);
      api.resetConnections();
    }
    all.push(...write(pod!, 3));
    await expect.poll(() => linesOf(pod!), { timeout: 10_000 }).toEqual(all);
    expect(session!.status().gaps).toEqual([]);
    session!.stop();
    await run;
  });

  it('takes up pods of a rollout and reads those that go to their end', async () => {
    const run = drain(await open(['deployment/payments']));
    const [old] = payments.pods();
    payments.roll();
    const fresh = payments.startPod();
    const last = write(old!, 4);
    const first = write(fresh, 4);
    await expect.poll(() => linesOf(fresh), { timeout: 1000 }).toEqual(first);
    api.world.terminate(old!);
    last.push(...write(old!, 4));
    await expect.poll(() => linesOf(old!), { timeout: 2000 }).toEqual(last);
    api.world.remove(old!);
    session!.stop();
    await run;
    expect(session!.status().gaps).toEqual([]);
  });

  it('reads the rest of an instance that ended, then the new one', async () => {
    const [pod] = payments.pods();
    const before = write(pod!, 3);
    const run = drain(await open(['deployment/payments']));
    await expect.poll(() => linesOf(pod!), { timeout: 2000 }).toEqual(before);
    api.resetConnections();
    const rest = write(pod!, 3);
    api.world.endContainer(pod!, 'istio-proxy');
    api.world.startContainer(pod!, 'istio-proxy');
    const after = write(pod!, 3);
    await expect.poll(() => linesOf(pod!), { timeout: 5000 }).toEqual([...before, ...rest, ...after]);
    session!.stop();
    await run;
  });

  it('opens a stream again that went silent over a rotation', { timeout: 20_000 }, async () => {
    const [pod] = payments.pods();
    const lines = write(pod!, 30);
    const run = drain(await open(['deployment/payments']));
    await expect.poll(() => linesOf(pod!), { timeout: 2000 }).toEqual(lines);
    lines.push(...write(pod!, 30));
    await expect.poll(() => linesOf(pod!), { timeout: 2000 }).toEqual(lines);
    api.world.log(pod!, 'istio-proxy').rotate({ stale: true });
    lines.push(...write(pod!, 2));
    await expect.poll(() => linesOf(pod!), { timeout: 15_000 }).toEqual(lines);
    session!.stop();
    await run;
  });

  it('tells of a file that came and went while the reader behind the API was slow', async () => {
    const [pod] = payments.pods();
    const run = drain(await open(['deployment/payments']));
    const zero = Date.now();
    const lines = writeOver(pod!, zero, 0, 3);
    await expect.poll(() => linesOf(pod!), { timeout: 2000 }).toEqual(lines);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const log = api.world.log(pod!, 'istio-proxy');
    for (const { body } of api.streams('log', nameOf(pod!))) body.stall();
    lines.push(...writeOver(pod!, zero, 3, 4));
    log.rotate();
    writeOver(pod!, zero, 4, 7);
    log.rotate();
    lines.push(...writeOver(pod!, zero, 7, 8));
    for (const { body } of api.streams('log', nameOf(pod!))) body.resume();
    await expect.poll(() => linesOf(pod!), { timeout: 3000 }).toEqual(lines);
    await expect.poll(() => session!.status().gaps.length, { timeout: 2000 }).toBe(1);
    const [gap] = session!.status().gaps;
    expect(gap!.from).toBeLessThan(zero + 4000);
    expect(gap!.to).toBeGreaterThanOrEqual(zero + 7000);
    expect(gap!.reason).toMatch(/rotated away before it was read; lines may be missing, about [7-9]\d/);
    session!.stop();
    await run;
  });

  it('takes a pause for a pause where the log still holds the line before it', async () => {
    const [pod] = payments.pods();
    const run = drain(await open(['deployment/payments']));
    const zero = Date.now();
    const lines = writeOver(pod!, zero, 0, 3);
    await expect.poll(() => linesOf(pod!), { timeout: 2000 }).toEqual(lines);
    await new Promise((resolve) => setTimeout(resolve, 300));
    lines.push(...writeOver(pod!, zero, 9, 10));
    await expect.poll(() => linesOf(pod!), { timeout: 2000 }).toEqual(lines);
    const asked = (): boolean => api.requests.some(({ query }) => query.has('limitBytes'));
    await expect.poll(asked, { timeout: 2000 }).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 200));
    session!.stop();
    await run;
    expect(session!.status().gaps).toEqual([]);
  });

  it('reads on where the API server was gone for a while', async () => {
    const [pod] = payments.pods();
    const lines = write(pod!, 3);
    const run = drain(await open(['deployment/payments']));
    await expect.poll(() => linesOf(pod!), { timeout: 2000 }).toEqual(lines);
    api.refuse();
    api.resetConnections();
    lines.push(...write(pod!, 3));
    await expect
      .poll(() => session!.status().streams[0]!.reason, { timeout: 2000 })
      .toMatch(/cannot reach the API server/);
    expect(session!.status().streams[0]!.state).toBe('reconnecting');
    await api.accept();
    await expect.poll(() => linesOf(pod!), { timeout: 5000 }).toEqual(lines);
    await expect
      .poll(() => session!.status().streams.map(({ state }) => state), { timeout: 5000 })
      .toEqual(['reading', 'reading']);
    session!.stop();
    await run;
    expect(session!.status().gaps).toEqual([]);
  });

  it('takes up a pod that waited for its node as soon as it runs', async () => {
    const run = drain(await open(['deployment/payments']));
    const pod = api.world.put(
      podShape({
        name: 'payments-late',
        labels: payments.replicaSet.metadata.labels!,
        owner: payments.replicaSet,
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 700));
    api.world.run(pod);
    const lines = write(pod, 2);
    await expect.poll(() => linesOf(pod), { timeout: 1000 }).toEqual(lines);
    session!.stop();
    await run;
  });

  it('tells where a new pod’s log may have been rotated before it was opened', async () => {
    const run = drain(await open(['deployment/payments']));
    const began = Date.now() - 10_000;
    const { labels } = payments.replicaSet.metadata;
    const [late, empty, prompt] = ['late', 'empty', 'prompt'].map((name) => {
      const pod = api.world.put(
        podShape({ name: `payments-${name}`, labels: labels!, owner: payments.replicaSet }),
      );
      const running = api.world.run(pod);
      if (name === 'prompt') return running;
      return api.world.change(running, ({ status }) => {
        for (const { state } of status.containerStatuses!) {
          state.running = { startedAt: new Date(began).toISOString() };
        }
      });
    });
    write(late!, 2);
    write(prompt!, 2);
    await expect.poll(() => [linesOf(late!).length, linesOf(prompt!).length]).toEqual([2, 2]);
    await expect.poll(() => api.streams('log', nameOf(empty!)).length).toBe(1);
    session!.stop();
    await run;
    const gaps = session!.status().gaps.map(({ origin, from, reason }) => ({ origin, from, reason }));
    const from = Math.floor(began / 1000) * 1000;
    expect(gaps.map((gap) => ({ ...gap, from: Math.floor(gap.from / 1000) * 1000 }))).toEqual([
      { origin: 'shop/payments-late', from, reason: expect.stringMatching(/^the log that is left begins/) },
      { origin: 'shop/payments-empty', from, reason: expect.stringMatching(/held nothing/) },
    ]);
  });

  it('reads each log in its turn where too many are followed, silent ones too', async () => {
    const run = drain(await open(['deployment/payments'], { maxLogRequests: 1, turnMs: 300 }));
    const lines = new Map(payments.pods().map((pod) => [pod, [] as string[]]));
    for (let round = 0; round < 3; round++) {
      for (const [pod, texts] of lines) texts.push(...write(pod, 2));
      for (const [pod, texts] of lines) {
        await expect.poll(() => linesOf(pod), { timeout: 5000 }).toEqual(texts);
      }
    }
    expect(session!.status().waiting).toBe(1);
    session!.stop();
    await run;
  });

  it('tells what is unread when the run is stopped', async () => {
    const [pod] = payments.pods();
    const long = 'x'.repeat(1000);
    const log = api.world.log(pod!, 'istio-proxy');
    const time = new Date(Date.now() - 60_000).toISOString();
    log.append(...Array.from({ length: 3000 }, (_, i) => ({ time, text: `${i} ${long}` })));
    const from = await open(['deployment/payments']);
    for await (const source of from.sources()) {
      if (source.origin.pod !== nameOf(pod!)) continue;
      for await (const chunk of source.open()) {
        expect(chunk.length).toBeGreaterThan(0);
        await expect.poll(() => api.streams('log', nameOf(pod!)).length).toBe(1);
        from.stop();
      }
    }
    expect(from.status().gaps).toMatchObject([
      { origin: `shop/${nameOf(pod!)}`, reason: expect.stringMatching(/^the run was stopped while/) },
    ]);
  });

  it('follows 500 pods, and a burst of 20 MB', { timeout: 30_000 }, async () => {
    const pods = payments.pods();
    while (pods.length < 500) pods.push(payments.startPod());
    const run = drain(await open(['deployment/payments'], { maxLogRequests: 1000 }));
    const lines = pods.map((pod) => write(pod, 2));
    await expect.poll(() => pods.map(linesOf), { timeout: 15_000 }).toEqual(lines);
    const long = 'x'.repeat(1000);
    const time = new Date().toISOString();
    const burst = Array.from({ length: 20_000 }, (_, i) => ({ time, text: `${i} ${long}` }));
    api.world.log(pods[0]!, 'istio-proxy').append(...burst);
    await expect.poll(() => linesOf(pods[0]!).length, { timeout: 10_000 }).toBe(20_002);
    session!.stop();
    await run;
    expect(session!.status().gaps).toEqual([]);
  });

  it('neither spins nor stops when every watch ends at once or is too old', async () => {
    const run = drain(await open(['deployment/payments']));
    for (let i = 0; i < 20; i++) api.fault({ kinds: ['watch'], answer: { status: 410, reason: 'Expired' } });
    api.resetConnections();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(api.mostPerSecond('watch')).toBeLessThan(8);
    api.clearFaults();
    const fresh = payments.startPod();
    const lines = write(fresh, 2);
    await expect.poll(() => linesOf(fresh), { timeout: 8000 }).toEqual(lines);
    session!.stop();
    await run;
  });

  it(
    'lets logs take turns where they may not all be read at once, and loses none',
    { timeout: 30_000 },
    async () => {
      const [one, two] = payments.pods();
      const lines = [write(one!, 3), write(two!, 3)];
      const run = drain(await open(['deployment/payments'], { maxLogRequests: 1, follow: false }));
      await run;
      expect([linesOf(one!), linesOf(two!)]).toEqual(lines);
    },
  );

  it('tells of a pod that is gone before its log was read to the end', async () => {
    const [pod] = payments.pods();
    const lines = write(pod!, 3);
    const run = drain(await open(['deployment/payments']));
    await expect.poll(() => linesOf(pod!), { timeout: 2000 }).toEqual(lines);
    api.fault({ kinds: ['log'], times: 100, answer: { status: 503, message: 'kubelet unreachable' } });
    api.resetConnections();
    api.world.remove(pod!);
    await expect
      .poll(() => session!.status().gaps.map(({ reason }) => reason), { timeout: 8000 })
      .toContain('the pod was gone before its log could be read to the end');
    session!.stop();
    await run;
  });
});

describe('more than the targets', () => {
  const all = (namespace: string) => ({ namespace, selects: () => true });

  it('is followed as well, now and as pods come', async () => {
    const ledger = new Deployed(api.world, 'ledger', 1, { namespace: 'books' });
    const run = drain(await open(['deployment/payments']));
    expect(await session!.widen(all('books'))).toEqual({ pods: 1, left: 0 });
    const fresh = ledger.startPod();
    const lines = write(fresh, 2);
    await expect.poll(() => linesOf(fresh), { timeout: 2000 }).toEqual(lines);
    expect(session!.isTarget(`books/${nameOf(fresh)}`)).toBe(false);
    expect(session!.isTarget(`shop/${nameOf(payments.pods()[0]!)}`)).toBe(true);
    session!.stop();
    await run;
  });

  it('does not take streams from the targets', async () => {
    const ledger = new Deployed(api.world, 'ledger', 5, { namespace: 'books' });
    await open(['deployment/payments'], { maxLogRequests: 4 });
    expect(ledger.pods()).toHaveLength(5);
    expect(await session!.widen(all('books'))).toEqual({ pods: 2, left: 3 });
    expect(session!.status().streams).toHaveLength(4);
  });

  it('is not narrowed by the labels of the targets, nor do they grow by it', async () => {
    const ledger = new Deployed(api.world, 'ledger', 1);
    await open(['ns/shop'], { labels: 'app=payments' });
    expect(session!.isFollowed(podOf({ ...ledger.pods()[0]! }))).toBe(false);
    expect(session!.status().streams).toHaveLength(2);
    expect(
      await session!.widen({ namespace: 'shop', selects: ({ labels }) => labels['app'] === 'ledger' }),
    ).toEqual({
      pods: 1,
      left: 0,
    });
    expect(session!.status().streams).toHaveLength(3);
  });

  it('goes on without it where it may not be seen', async () => {
    api.authorize = ({ namespace }) => namespace === 'shop';
    const [pod] = payments.pods();
    const lines = write(pod!, 2);
    const run = drain(await open(['deployment/payments']));
    await expect(session!.widen(all('books'))).rejects.toMatchObject({ code: 'forbidden' });
    await expect.poll(() => linesOf(pod!), { timeout: 2000 }).toEqual(lines);
    session!.stop();
    await run;
  });
});

describe('proxies wherever they are', () => {
  it.each<[string, () => Pod, string, string]>([
    [
      'a native sidecar',
      () => podShape({ name: 'p', proxy: 'native-sidecar' }),
      'pod/p',
      'shop/p istio-proxy',
    ],
    ['a gateway that Istio made', () => gatewayPod('g', 'edge'), 'gateway/edge', 'shop/g istio-proxy'],
    [
      'a waypoint',
      () => gatewayPod('w', 'way', { className: 'istio-waypoint' }),
      'gateway/way',
      'shop/w istio-proxy',
    ],
    [
      'one of Envoy Gateway, in its namespace',
      () => envoyGatewayPod('e', 'edge'),
      'gateway/edge',
      'envoy-gateway-system/e envoy',
    ],
    ['an ingress gateway', () => ingressGatewayPod('i'), 'ns/istio-system', 'istio-system/i istio-proxy'],
    ['a ztunnel', () => ztunnelPod('z', 'node-1'), 'ns/istio-system', 'istio-system/z istio-proxy'],
  ])('%s', async (_, shape, target, stream) => {
    api.world.run(api.world.put(shape()));
    await open([target]);
    expect(session!.status().streams.map(({ name, container }) => `${name} ${container}`)).toEqual([stream]);
  });
});

describe('what cannot be had', () => {
  it.each([
    ['deployment/paymnts', /no deployment 'paymnts' in namespace shop/],
    ['service/nosuch', /no service 'nosuch' in namespace shop/],
  ])('of several targets %s is told, and the others are read', async (target, message) => {
    await open(['deployment/payments', target]);
    const { refused, streams } = session!.status();
    expect(refused.map(({ message: text }) => text)).toEqual([expect.stringMatching(message)]);
    expect(streams).toHaveLength(2);
  });

  it.each([
    ['deployment/paymnts', 'nothing-found', /near: payments/],
    ['statefulset/payments', 'nothing-found', /kubectl get statefulsets/],
    ['statefulset/payments', 'nothing-found', /there is deployment\/payments/],
    ['nosuch', 'nothing-found', /kubectl get pods/],
    ['ns/shp', 'nothing-found', /near: shop/],
    ['service/empty', 'no-pods', /app=nobody/],
    ['deployment/idle', 'no-pods', /scaled to 0/],
    ['deployment/elsewhere', 'nothing-found', /in namespace books \(use -n\)/],
  ])('%s: %s', async (target, code, hint) => {
    api.world.put(object('v1', 'Service', 'empty', { spec: { selector: { app: 'nobody' } } }));
    api.world.put(object('apps/v1', 'Deployment', 'idle', { spec: { replicas: 0 } }));
    api.world.put(object('apps/v1', 'Deployment', 'elsewhere', { namespace: 'books' }));
    await expect(open([target])).rejects.toMatchObject({ code, hint: expect.stringMatching(hint) });
  });

  it.each([
    ['not injected', {}, /was not injected/],
    ['opted out', { 'sidecar.istio.io/inject': 'false' }, /opted out by sidecar.istio.io\/inject=false/],
    ['in ambient mode', { 'ambient.istio.io/redirection': 'enabled' }, /ambient mode/],
  ])('names pods without a proxy as what they are: %s', async (_, annotations, message) => {
    api.world.run(api.world.put(podShape({ name: 'mailer', proxy: 'none', annotations })));
    await expect(open(['pod/mailer'])).rejects.toMatchObject({
      code: 'no-proxy',
      message: expect.stringMatching(message),
    });
  });

  it('says what labels look like where these are none', async () => {
    await expect(open([], { labels: 'app in (' })).rejects.toMatchObject({
      hint: expect.stringContaining('-l'),
    });
  });

  it('names verb, resource and the Role to ask for', async () => {
    api.authorize = () => false;
    await expect(open(['deployment/payments'])).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('cannot list resource "pods"'),
      hint: expect.stringContaining('pods/log'),
    });
  });

  it('reads the one namespace that may be seen where all were asked for', async () => {
    const [pod] = payments.pods();
    const lines = write(pod!, 2);
    api.authorize = ({ namespace }) => namespace === 'shop';
    const run = drain(await open(['payments'], { allNamespaces: true }));
    await expect.poll(() => linesOf(pod!), { timeout: 2000 }).toEqual(lines);
    expect(session!.status().refused).toMatchObject([
      { code: 'forbidden', message: expect.stringMatching(/cluster scope.*only namespace shop is read/) },
    ]);
    session!.stop();
    await run;
  });

  it('goes on with the pods that may be read', async () => {
    const [one, two] = payments.pods();
    const lines = write(two!, 2);
    api.fault({
      kinds: ['log'],
      times: 100,
      where: ({ name }) => name === nameOf(one!),
      answer: { status: 403, reason: 'Forbidden', message: 'pods/log is forbidden' },
    });
    const run = drain(await open(['deployment/payments']));
    await expect.poll(() => linesOf(two!), { timeout: 2000 }).toEqual(lines);
    expect(session!.status().refused.map(({ code }) => code)).toEqual(['forbidden']);
    session!.stop();
    await run;
  });
});
