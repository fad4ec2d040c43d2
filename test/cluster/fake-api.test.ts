import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LOGS, REFUSED, WRITTEN } from './api-facts.js';
import { FakeApi, type Access } from './fake-api.js';
import { Deployed, object, pod as podShape } from './fake-shapes.js';
import type { KubeObject, Pod } from './fake-world.js';

const PODS = '/api/v1/namespaces/shop/pods';
let api: FakeApi;
let payments: Deployed;
let pod: Pod;

beforeEach(async () => {
  api = await FakeApi.start();
  api.tokens = new Map(['admin', 'limited', 'nothing'].map((user) => [user, user]));
  api.authorize = ({ user, verb, resource, namespace }: Access) =>
    user === 'admin' ||
    (user === 'limited' &&
      namespace === 'shop' &&
      ['pods', 'pods/log'].includes(resource) &&
      ['get', 'list', 'watch'].includes(verb));
  api.world.put(object('v1', 'Namespace', 'shop', { namespace: null }));
  payments = new Deployed(api.world, 'payments', 3);
  pod = payments.pods()[0]!;
});
afterEach(() => api.close());

/** An answer as it comes in. `ended`: 'end' where it was whole, 'broken' where the connection ended it. */
interface Incoming {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly response: IncomingMessage;
  readonly chunks: Buffer[];
  readonly text: () => string;
  readonly ended: Promise<'end' | 'broken'>;
}

function open(path: string, user = 'admin', method = 'GET', sent = ''): Promise<Incoming> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${user}` };
    const request = httpRequest(api.url + path, { agent: false, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      const ended = new Promise<'end' | 'broken'>((done) => {
        response.on('end', () => done('end'));
        response.on('error', () => done('broken'));
      });
      const text = () => Buffer.concat(chunks).toString();
      resolve({ status: response.statusCode!, headers: response.headers, response, chunks, text, ended });
    });
    request.on('error', reject);
    request.end(sent);
  });
}

async function ask(path: string, user?: string): Promise<Incoming> {
  const incoming = await open(path, user);
  await incoming.ended;
  return incoming;
}

async function json<T>(path: string, user?: string): Promise<T> {
  return JSON.parse((await ask(path, user)).text()) as T;
}

async function until(holds: () => boolean): Promise<void> {
  await expect.poll(holds, { interval: 5, timeout: 5_000 }).toBe(true);
}

interface Event {
  readonly type: string;
  readonly object: KubeObject & { code?: number; message?: string };
}

function events({ text }: Incoming): Event[] {
  return text()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Event);
}

/** The kinds and names of the events. */
function seen(watch: Incoming): string[] {
  return events(watch).map(({ type, object }) => `${type} ${object.metadata.name}`);
}

function log(query: string, of = pod): string {
  return `${PODS}/${of.metadata.name}/log?container=istio-proxy&timestamps=true&${query}`;
}

/** Lines of one second each, named by their number. */
function lines(from: number, to: number): { time: string; text: string }[] {
  return Array.from({ length: to - from }, (_, index) => ({
    time: new Date(Date.UTC(2026, 0, 2) + (from + index) * 1000).toISOString(),
    text: `line ${from + index}`,
  }));
}

function numbers(text: string): number[] {
  return [...text.matchAll(/^\S+ line (\d+)$/gm)].map((found) => Number(found[1]));
}

function upTo(count: number, from = 0): number[] {
  return Array.from({ length: count - from }, (_, index) => from + index);
}

describe('what a real server answered', () => {
  it.each(REFUSED)('refuses $name', async ({ user, path, answer }) => {
    const { name } = pod.metadata;
    const incoming = await ask(path(name), user);
    const { status, ...expected } = answer(name);
    expect(incoming.status).toBe(status);
    const head = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' };
    expect(JSON.parse(incoming.text())).toEqual({ ...head, ...expected, code: status });
  });

  it.each(LOGS)('reads a log with "%s"', async (query, text) => {
    api.world.log(pod, 'istio-proxy').append(...WRITTEN.map(([time, text]) => ({ time, text })));
    const incoming = await ask(`${PODS}/${pod.metadata.name}/log?container=istio-proxy&${query}`);
    expect([incoming.status, incoming.text()]).toEqual([200, text]);
  });

  it('knows nobody without a token', async () => {
    const incoming = await ask(PODS, 'stranger');
    expect(incoming.status).toBe(401);
    expect(JSON.parse(incoming.text())).toMatchObject({ reason: 'Unauthorized', message: 'Unauthorized' });
  });

  it('has no page for a group that is not installed', async () => {
    api.world.withoutGroup('gateway.networking.k8s.io');
    const incoming = await ask('/apis/gateway.networking.k8s.io/v1/gateways');
    expect([incoming.status, incoming.text()]).toEqual([404, '404 page not found\n']);
  });

  it('gives no content for the log of a pod without a node', async () => {
    const pending = api.world.put(podShape({ name: 'pending' }));
    expect((await ask(log('', pending))).status).toBe(204);
  });

  it('says what a container waits for', async () => {
    const waiting = api.world.wait(api.world.put(podShape({ name: 'new' })), 'ContainerCreating');
    const message = 'container "istio-proxy" in pod "new" is waiting to start: ContainerCreating';
    expect(await json(log('', waiting))).toMatchObject({ code: 400, reason: 'BadRequest', message });
  });

  it('cannot reach a kubelet', async () => {
    api.unreachableNodes.add(pod.spec.nodeName!);
    const answer = await json<{ code: number; message: string; reason?: string }>(log('follow=true'));
    expect(answer.message).toMatch(/^Get "https:.*\/containerLogs\/shop\/.* connect: connection refused$/);
    expect([answer.code, answer.reason]).toEqual([500, undefined]);
  });

  it('says what one may do, to those who may do nothing too', async () => {
    const review = { spec: { resourceAttributes: { verb: 'get', resource: 'pods', subresource: 'log' } } };
    const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    for (const [user, allowed] of [
      ['admin', true],
      ['nothing', false],
    ] as const) {
      const incoming = await open(path, user, 'POST', JSON.stringify(review));
      await incoming.ended;
      expect([incoming.status, JSON.parse(incoming.text()).status]).toEqual([201, { allowed }]);
    }
  });
});

describe('a list', () => {
  interface List {
    readonly metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
    readonly items: KubeObject[];
    readonly message?: string;
  }
  const names = ({ items }: List) => items.map(({ metadata }) => metadata.name);

  it('comes in pages of one resource version, whatever happens meanwhile', async () => {
    const all = payments.pods().map(({ metadata }) => metadata.name);
    const first = await json<List>(`${PODS}?limit=2`);
    expect(names(first)).toEqual(all.slice(0, 2));
    expect(first.metadata.remainingItemCount).toBe(1);
    payments.startPod();
    const second = await json<List>(`${PODS}?limit=2&continue=${first.metadata.continue}`);
    expect(names(second)).toEqual(all.slice(2));
    expect(second.metadata).toEqual({ resourceVersion: first.metadata.resourceVersion });
  });

  it('cannot be continued after a compaction, except inconsistently', async () => {
    const first = await json<List>(`${PODS}?limit=2`);
    const fourth = payments.startPod();
    api.world.compact();
    const gone = await ask(`${PODS}?limit=2&continue=${first.metadata.continue}`);
    expect(gone.status).toBe(410);
    const status = JSON.parse(gone.text()) as List;
    expect(status.message).toMatch(
      /^The provided continue parameter is too old to display a consistent list/,
    );
    const rest = await json<List>(`${PODS}?limit=2&continue=${status.metadata.continue}`);
    expect(names(rest)).toEqual([payments.pods()[2]!.metadata.name, fourth.metadata.name]);
  });

  it('is not paged at resource version 0', async () => {
    expect((await json<List>(`${PODS}?limit=1&resourceVersion=0`)).items).toHaveLength(3);
  });

  it('leaves kind and apiVersion out of the items of its own resources only', async () => {
    api.world.put(object('networking.istio.io/v1', 'VirtualService', 'payments'));
    const [own] = (await json<List>(PODS)).items;
    expect([own!.kind, own!.apiVersion]).toEqual([undefined, undefined]);
    const [custom] = (await json<List>('/apis/networking.istio.io/v1/virtualservices')).items;
    expect([custom!.kind, custom!.apiVersion]).toEqual(['VirtualService', 'networking.istio.io/v1']);
  });

  it.each([
    ['labelSelector', 'app=payments', 3],
    ['labelSelector', 'app==payments,tier', 0],
    ['labelSelector', 'app!=payments', 1],
    ['labelSelector', 'app in (web, payments)', 4],
    ['labelSelector', 'app notin (web)', 3],
    ['labelSelector', 'tier', 1],
    ['labelSelector', '!tier', 3],
    ['fieldSelector', 'metadata.name=web', 1],
    ['fieldSelector', 'metadata.name!=web', 3],
    ['fieldSelector', 'spec.nodeName=node-2,status.phase=Running', 1],
  ])('selects by %s %s', async (kind, selector, count) => {
    api.world.put(podShape({ name: 'web', labels: { tier: 'front' } }));
    const { items } = await json<List>(`${PODS}?${kind}=${encodeURIComponent(selector)}`);
    expect(items).toHaveLength(count);
  });

  it('spans namespaces at cluster scope', async () => {
    api.world.put(podShape({ name: 'web', namespace: 'legacy' }));
    expect((await json<List>('/api/v1/pods')).items).toHaveLength(4);
    expect((await json<List>('/api/v1/namespaces/legacy/pods')).items).toHaveLength(1);
    expect((await json<List>('/api/v1/namespaces')).items).toHaveLength(1);
  });
});

describe('a watch', () => {
  const from = () => `${PODS}?watch=true&resourceVersion=${api.world.resourceVersion}`;

  it('tells what happens after a resource version', async () => {
    const start = from();
    const fourth = payments.startPod();
    const watch = await open(start);
    api.world.terminate(pod);
    api.world.remove(pod);
    await until(() => events(watch).length === 4);
    expect(seen(watch)).toEqual([
      `ADDED ${fourth.metadata.name}`,
      `MODIFIED ${fourth.metadata.name}`,
      `MODIFIED ${pod.metadata.name}`,
      `DELETED ${pod.metadata.name}`,
    ]);
    const versions = events(watch).map(({ object }) => Number(object.metadata.resourceVersion));
    expect(versions).toEqual(upTo(versions[0]! + 4, versions[0]));
    expect(events(watch)[2]!.object.metadata.deletionTimestamp).toMatch(/^\d{4}-.*:\d\dZ$/);
  });

  it('begins with what there is where no version is named, and marks the end of that', async () => {
    const watch = await open(`${PODS}?watch=true&allowWatchBookmarks=true`);
    await until(() => events(watch).length === 4);
    expect(events(watch).map(({ type }) => type)).toEqual(['ADDED', 'ADDED', 'ADDED', 'BOOKMARK']);
    expect(events(watch)[3]!.object.metadata).toEqual({
      resourceVersion: `${api.world.resourceVersion}`,
      annotations: { 'k8s.io/initial-events-end': 'true' },
    });
  });

  it('loses an object that its selector leaves, in its last matching state', async () => {
    const watch = await open(`${from()}&labelSelector=app%3Dpayments`);
    api.world.change(pod, (stored) => {
      stored.metadata.labels!['app'] = 'other';
    });
    await until(() => events(watch).length === 1);
    expect(seen(watch)).toEqual([`DELETED ${pod.metadata.name}`]);
    expect(events(watch)[0]!.object.metadata.labels!['app']).toBe('payments');
  });

  it('gives bookmarks to those who asked', async () => {
    const [asked, other] = [await open(`${from()}&allowWatchBookmarks=true`), await open(from())];
    payments.roll();
    api.bookmark();
    await until(() => events(asked).length === 1);
    expect(events(asked)[0]).toMatchObject({
      type: 'BOOKMARK',
      object: { kind: 'Pod', metadata: { resourceVersion: `${api.world.resourceVersion}` } },
    });
    expect(events(other)).toEqual([]);
  });

  it('ends cleanly after timeoutSeconds', async () => {
    const began = performance.now();
    const watch = await open(`${from()}&timeoutSeconds=1`);
    expect(await watch.ended).toBe('end');
    expect(performance.now() - began).toBeGreaterThan(950);
  });

  it('is told 410 in an event, at the start and in between', async () => {
    const start = from();
    const watch = await open(start);
    api.world.terminate(pod);
    api.expire();
    expect(await watch.ended).toBe('end');
    const again = await ask(start);
    expect(again.status).toBe(200);
    for (const { type, object } of [events(watch).at(-1)!, events(again)[0]!]) {
      expect([type, object.code, object.message]).toEqual([
        'ERROR',
        410,
        expect.stringMatching(/^too old resource version: \d+ \(\d+\)$/),
      ]);
    }
  });
});

describe('a followed log', () => {
  it('sends nothing, not even a status, before the first line', async () => {
    const opening = open(log('follow=true'));
    await until(() => api.streams('log').length === 1);
    const early = await Promise.race([
      opening,
      new Promise((resolve) => setTimeout(resolve, 200, 'nothing')),
    ]);
    expect(early).toBe('nothing');
    api.world.log(pod, 'istio-proxy').append(...lines(0, 1));
    const follower = await opening;
    await until(() => follower.text() === '2026-01-02T00:00:00.000000000Z line 0\n');
  });

  it('goes over to the new file, and misses a file that came and went while it was behind', async () => {
    const file = api.world.log(pod, 'istio-proxy');
    file.append(...lines(0, 2));
    const follower = await open(log('follow=true'));
    await until(() => numbers(follower.text()).length === 2);
    file.append(...lines(2, 4));
    file.rotate();
    file.append(...lines(4, 6));
    await until(() => numbers(follower.text()).length === 6);
    for (const { body } of api.streams('log')) body.stall();
    file.append(...lines(6, 8));
    file.rotate();
    file.append(...lines(8, 10));
    file.rotate();
    file.append(...lines(10, 12));
    for (const { body } of api.streams('log')) body.resume();
    await until(() => numbers(follower.text()).includes(11));
    expect(numbers(follower.text())).toEqual([...upTo(8), 10, 11]);
    expect(numbers((await ask(log(''))).text())).toEqual([10, 11]);
  });

  it('stays with a renamed file where rotation left it stale, until it asks again', async () => {
    const file = api.world.log(pod, 'istio-proxy');
    file.append(...lines(0, 2));
    const follower = await open(log('follow=true'));
    file.rotate({ stale: true });
    file.append(...lines(2, 4));
    const again = await open(log('follow=true&sinceTime=2026-01-02T00:00:01Z'));
    await until(() => numbers(again.text()).length === 2);
    expect(numbers(follower.text())).toEqual([0, 1]);
    file.rotate();
    file.append(...lines(4, 5));
    await until(() => numbers(follower.text()).length === 3);
    expect(numbers(follower.text())).toEqual([0, 1, 4]);
  });

  it('ends cleanly with its container, whose log is then the previous one', async () => {
    api.world.log(pod, 'istio-proxy').append(...lines(0, 2));
    const follower = await open(log('follow=true'));
    api.world.endContainer(pod, 'istio-proxy');
    expect(await follower.ended).toBe('end');
    expect(numbers((await ask(log(''))).text())).toEqual([0, 1]);
    api.world.backOff(pod, 'istio-proxy');
    expect(numbers((await ask(log(''))).text())).toEqual([0, 1]);
    expect(numbers((await ask(log('previous=true'))).text())).toEqual([0, 1]);
    const { status } = api.world.startContainer(pod, 'istio-proxy');
    expect(status.containerStatuses?.map(({ restartCount }) => restartCount)).toEqual([0, 1]);
    api.world.log(pod, 'istio-proxy').append(...lines(2, 3));
    expect(numbers((await ask(log(''))).text())).toEqual([2]);
    expect(numbers((await ask(log('previous=true'))).text())).toEqual([0, 1]);
  });

  it('goes on while its pod is terminating, and ends cleanly when it is gone', async () => {
    const file = api.world.log(pod, 'istio-proxy');
    file.append(...lines(0, 1));
    const follower = await open(log('follow=true'));
    api.world.terminate(pod);
    file.append(...lines(1, 2));
    await until(() => numbers(follower.text()).length === 2);
    api.world.remove(pod);
    expect(await follower.ended).toBe('end');
    expect((await ask(log(''))).status).toBe(404);
  });

  it('of a native sidecar is read as any other', async () => {
    const native = api.world.run(api.world.put(podShape({ name: 'reviews', proxy: 'native-sidecar' })));
    api.world.log(native, 'istio-proxy').append(...lines(0, 3));
    expect(numbers((await ask(log('', native))).text())).toEqual([0, 1, 2]);
  });

  it('waits for a client that does not read', async () => {
    const file = api.world.log(pod, 'istio-proxy');
    const long = 'x'.repeat(1000);
    file.append(...lines(0, 30_000).map(({ time, text }) => ({ time, text: text + long })));
    const follower = await open(log('follow=true'));
    follower.response.pause();
    const [stream] = api.streams('log');
    let sent = -1;
    await until(() => sent === (sent = stream!.body.sent));
    expect(sent).toBeLessThan(20_000_000);
    follower.response.resume();
    await until(() => follower.chunks.reduce((sum, { length }) => sum + length, 0) > 30_000_000);
  });
});

describe('faults', () => {
  it.each([
    ['reset', 'broken'],
    ['fin', 'broken'],
    ['end', 'end'],
  ] as const)('break a stream off in a line by %s', async (how, ended) => {
    const file = api.world.log(pod, 'istio-proxy');
    file.append(...lines(0, 3));
    const follower = await open(log('follow=true'));
    await until(() => numbers(follower.text()).length === 3);
    api.streams('log', pod.metadata.name)[0]!.body.cutInNextLine(how);
    file.append(...lines(3, 5));
    expect(await follower.ended).toBe(ended);
    expect(numbers(follower.text())).toEqual([0, 1, 2]);
    expect(follower.text()).toMatch(/\n2026-01-02T00:00:0[^\n]+$/);
    expect(api.streams('log')).toEqual([]);
  });

  it('break the next streams off after so many bytes, or before the head', async () => {
    api.world.log(pod, 'istio-proxy').append(...lines(0, 3));
    api.fault({ kinds: ['log'], times: 2, cut: { afterBytes: 10, how: 'reset' } });
    api.fault({ kinds: ['log'], cut: { afterBytes: 0, how: 'reset' } });
    for (let again = 0; again < 2; again++) {
      const follower = await open(log('follow=true'));
      expect(await follower.ended).toBe('broken');
      expect(follower.text()).toBe('2026-01-02');
    }
    await expect(open(log('follow=true'))).rejects.toThrow(/ECONNRESET|hang up/);
    expect(numbers((await ask(log(''))).text())).toEqual([0, 1, 2]);
  });

  it('hold a stream open without a byte', async () => {
    const watch = await open(`${PODS}?watch=1&resourceVersion=${api.world.resourceVersion}`);
    const [stream] = api.streams('watch');
    stream!.body.stall();
    api.world.terminate(pod);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(watch.text()).toBe('');
    stream!.body.resume();
    await until(() => seen(watch).length === 1);
  });

  it('refuse connections for a while, and keep the port and open streams', async () => {
    const watch = await open(`${PODS}?watch=1&resourceVersion=${api.world.resourceVersion}`);
    api.refuse();
    await expect(open(PODS)).rejects.toThrow(/ECONNREFUSED/);
    api.world.terminate(pod);
    await until(() => seen(watch).length === 1);
    await api.accept();
    expect((await ask(PODS)).status).toBe(200);
    api.resetConnections();
    expect(await watch.ended).toBe('broken');
  });

  it('answer the next requests otherwise', async () => {
    api.fault({ times: 2, where: ({ name }) => name === pod.metadata.name, answer: { status: 429 } });
    api.fault({ kinds: ['list'], answer: { status: 503 } });
    api.fault({ kinds: ['watch'], answer: { status: 410 } });
    api.fault({ kinds: ['list'], answer: { status: 502, text: '<html>bad gateway</html>' } });
    for (let again = 0; again < 2; again++) {
      const { status, headers, text } = await ask(log(''));
      expect([status, headers['retry-after'], text()]).toEqual([
        429,
        '1',
        'Too many requests, please try again later.\n',
      ]);
    }
    expect((await ask(log(''))).status).toBe(200);
    expect(await json(PODS)).toMatchObject({ code: 503, reason: 'ServiceUnavailable' });
    expect(await json(`${PODS}?watch=1`)).toMatchObject({ code: 410, reason: 'Expired' });
    const { status, text } = await ask(PODS);
    expect([status, text()]).toEqual([502, '<html>bad gateway</html>']);
    expect((await ask(PODS)).status).toBe(200);
  });

  it('delay an answer', async () => {
    api.fault({ delayMs: 150 });
    const began = performance.now();
    await ask(PODS);
    expect(performance.now() - began).toBeGreaterThan(145);
  });

  it('cut what is sent at any byte, the same way for the same seed', async () => {
    api.world.log(pod, 'istio-proxy').append({ time: '2026-01-02T00:00:00Z', text: 'é'.repeat(200) });
    const whole = (await ask(log(''))).text();
    const lengths = async (seed: number) => {
      await api.close();
      api = await FakeApi.start({ world: api.world, chunks: { seed, max: 5 } });
      const { chunks, text } = await ask(log(''));
      expect(text()).toBe(whole);
      return chunks.map(({ length }) => length);
    };
    const first = await lengths(7);
    expect(new Set(first)).toEqual(new Set([1, 2, 3, 4, 5]));
    expect(await lengths(7)).toEqual(first);
    expect(await lengths(8)).not.toEqual(first);
  });
});

describe('the account of what was asked', () => {
  it('counts by kind, and the most within a second', async () => {
    for (let again = 0; again < 5; again++) await ask(`${PODS}?watch=1&resourceVersion=1`);
    await ask(PODS);
    await ask(`${PODS}/${pod.metadata.name}`);
    await ask(log(''));
    const changing = await open(`${PODS}/${pod.metadata.name}`, 'admin', 'DELETE');
    await changing.ended;
    expect(changing.status).toBe(405);
    expect(
      (['watch', 'list', 'get', 'log', 'write', 'review'] as const).map((kind) => api.count(kind)),
    ).toEqual([5, 1, 1, 1, 1, 0]);
    expect(api.mostPerSecond('watch')).toBe(5);
  });
});
