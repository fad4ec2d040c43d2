import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeApi } from '../cluster/fake-api.js';
import { pod } from '../cluster/fake-shapes.js';
import { line, run, scratch, type Ran } from './run.js';

/* The built program against a cluster: what it prints of a target's logs. */

const { file } = scratch();
const good = line({ second: 1 });
const bad = line({ second: 2, code: 503, flags: 'UF', details: 'x' });
let api: FakeApi;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  api = await FakeApi.start();
  const payments = api.world.run(api.world.put(pod({ name: 'payments' })));
  const now = new Date().toISOString().slice(0, 19);
  const texts = [good, bad, 'info\tproxy is ready'];
  api.world
    .log(payments, 'istio-proxy')
    .append(...texts.map((text, i) => ({ time: `${now}.00000000${i}Z`, text })));
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

  it('report counts every line', async () => {
    const { stdout } = await meshtail('report', 'pod/payments', '-o', 'json');
    expect(JSON.parse(stdout).coverage).toMatchObject({ lines: 3, records: 2, foreign: 1, gaps: [] });
  });
});
