import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeApi } from '../cluster/fake-api.js';
import { ingressGatewayPod, object, pod } from '../cluster/fake-shapes.js';
import { problems } from '../report-schema.js';
import { line, run, scratch, start, type Ran } from './run.js';

/* The built program against a cluster: what it prints of a target's logs. */

const { file } = scratch();
const good = line({ second: 1 });
const bad = line({ second: 2, code: 503, flags: 'UF', details: 'x' });
let api: FakeApi;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  api = await FakeApi.start();
  const [payments, orders, edge] = [
    pod({ name: 'payments', ip: '10.1.0.4' }),
    pod({ name: 'orders', ip: '10.1.0.9' }),
    ingressGatewayPod('edge'),
  ].map((made) => {
    // As old as the lines.
    made.metadata.creationTimestamp = '2026-01-01T00:00:00Z';
    return api.world.run(api.world.put(made));
  });
  api.world.put(object('v1', 'Service', 'orders', { spec: { selector: { app: 'orders' } } }));
  const now = new Date().toISOString().slice(0, 19);
  const texts = [good, bad, 'info\tproxy is ready'];
  api.world
    .log(payments!, 'istio-proxy')
    .append(...texts.map((text, i) => ({ time: `${now}.00000000${i}Z`, text })));
  api.world.run(api.world.put(pod({ name: 'mailer', proxy: 'none' })));
  const silent = api.world.run(api.world.put(pod({ name: 'silent' })));
  api.world.log(silent, 'istio-proxy').append({ time: `${now}.000000009Z`, text: texts[2]! });
  for (const other of [orders, edge])
    api.world.log(other!, 'istio-proxy').append({ time: `${now}.000000009Z`, text: good });
  env = { KUBECONFIG: file('kubeconfig', api.kubeconfig({ namespace: 'shop', token: 'me' })) };
});
afterAll(() => api.close());

const meshtail = (...args: string[]): Promise<Ran> => run([...args, '--no-follow'], { env });

describe('a target, not followed', () => {
  it('raw failures are the failing lines as logged', async () => {
    expect(await meshtail('pod/payments', '-o', 'raw')).toEqual({
      status: 0,
      stdout: `${bad}\n`,
      stderr: '',
    });
  });

  it('failures as JSON are records', async () => {
    const { stdout } = await meshtail('pod/payments', '-o', 'jsonl');
    expect(JSON.parse(stdout)).toMatchObject({
      response_code: 503,
      origin: { pod: 'payments', namespace: 'shop', container: 'istio-proxy', line: 2 },
    });
  });

  it('parse prints every record', async () => {
    const { status, stdout } = await meshtail('parse', 'pod', 'payments');
    const codes = stdout
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text).response_code as number);
    expect({ status, codes }).toEqual({ status: 0, codes: [200, 503] });
  });

  it('more is read with --with, and said', async () => {
    const { status, stdout, stderr } = await meshtail('parse', 'pod/payments', '--with', 'upstreams,gateway');
    const pods = stdout
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text).origin.pod as string);
    expect({ status, pods: [...new Set(pods)].toSorted() }).toEqual({
      status: 0,
      pods: ['edge', 'orders', 'payments'],
    });
    expect(stderr).toContain('also reading service/orders in shop (1 pod): the target calls it');
    expect(stderr).toContain('also reading pod/edge in istio-system (1 pod): it lets traffic into the mesh');
  });

  it('a side that there is not is told', async () => {
    const { status, stderr } = await meshtail('parse', 'pod/payments', '--with', 'downstream');
    expect(status).toBe(2);
    expect(stderr).toContain("'downstream' is none of upstreams, callers, gateway, waypoint");
  });

  it('a report names pods, and keeps to its schema', async () => {
    const { stdout } = await meshtail('report', 'pod/payments', '-o', 'json');
    const report = JSON.parse(stdout);
    expect(problems(report)).toEqual([]);
    const [incident] = report.incidents;
    expect(incident.addresses).toContainEqual({
      address: '10.1.0.9',
      kind: 'pod',
      name: 'orders',
      namespace: 'shop',
      workload: 'Pod/orders',
      node: 'node-1',
      revision: null,
    });
  });

  it('a log that is refused is told once, and fails the run behind the report', async () => {
    const secret = api.world.run(api.world.put(pod({ name: 'payments-secret' })));
    api.fault({
      times: 10,
      where: ({ kind, name }) => kind === 'log' && name === 'payments-secret',
      answer: { status: 403, reason: 'Forbidden', message: 'pods/log is forbidden: no' },
    });
    const { status, stdout, stderr } = await meshtail('report', 'payments', '-o', 'json');
    api.clearFaults();
    api.world.remove(secret);
    expect([status, JSON.parse(stdout).coverage.records]).toEqual([1, 2]);
    expect(stderr.match(/is forbidden/g)).toHaveLength(1);
  });

  it('access logging that looks off is told with the way to turn it on', async () => {
    const { status, stderr } = await meshtail('parse', 'pod/silent');
    expect(status).toBe(4);
    expect(stderr).toContain('proxies of pod/silent in shop, and no access line');
    expect(stderr).toContain("\nkubectl apply -f - <<'EOF'\napiVersion: telemetry.istio.io/v1\n");
    expect(stderr).toContain('\nkubectl -n shop delete telemetry access-log-silent\n');
  });

  it('logs without a line are told', async () => {
    const { status, stderr } = await meshtail('parse', 'pod/payments', '-c', 'payments');
    expect({ status, stderr }).toEqual({
      status: 4,
      stderr: expect.stringMatching(
        /^meshtail: the log of 1 pod holds no line since \d\d:\d\d:\d\d; --since looks further back\n$/,
      ),
    });
  });

  it('how far back the logs go is told first', async () => {
    const child = start(['pod/payments', '-f', '-o', 'raw'], env);
    const [told] = (await once(child.stderr!, 'data')) as [Buffer];
    child.kill('SIGINT');
    const [status] = (await once(child, 'exit')) as [number];
    expect(told.toString()).toMatch(/^meshtail: reading 1 log since \d\d:\d\d:\d\d: /);
    expect(status).toBe(130);
  });

  it('a pod without a proxy is told in the report', async () => {
    const { stdout } = await meshtail('report', 'pod/payments', 'pod/mailer', '-o', 'json');
    expect(JSON.parse(stdout).coverage.gaps).toEqual([
      {
        origin: 'shop/mailer',
        from: null,
        to: null,
        reason: 'pod shop/mailer has no proxy, and its traffic is not seen: the sidecar was not injected',
      },
    ]);
  });

  it('one of several targets that is missing is told once, and the others are read', async () => {
    const { status, stdout, stderr } = await meshtail('report', 'pod/payments', 'pod/paymnts', '-o', 'json');
    expect(status).toBe(1);
    expect(JSON.parse(stdout).coverage.lines).toBe(3);
    expect(stderr.match(/no pod 'paymnts' in namespace shop/g)).toHaveLength(1);
  });

  it('report counts every line', async () => {
    const { stdout } = await meshtail('report', 'pod/payments', '-o', 'json');
    expect(JSON.parse(stdout).coverage).toMatchObject({ lines: 3, records: 2, foreign: 1, gaps: [] });
  });
});
