import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problems } from '../report-schema.js';
import { kubectl, logFile, meshtail, podsOf, type Pod } from './rig.js';

/* What a real API server tells beside the logs: names, what was changed, and who else could be read. */

let serial = 0;
/** A request of the caller's to the pod, as the pod's sidecar logs it. */
function write(pod: Pod, caller: Pod, refused: boolean): void {
  const now = new Date().toISOString();
  const reply = refused
    ? '503 UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused} - "delayed_connect_error:_Connection_refused" 0 190 1 -'
    : '200 - via_upstream - "-" 0 15 7 6';
  const id = `5f0c3a1e-77d2-4b41-8a6e-${String(++serial).padStart(12, '0')}`;
  const line =
    `[${now}] "GET /v1/pay HTTP/1.1" ${reply} "-" "okhttp/4.9" "${id}" "payments:8080" "${pod.ip}:8080" ` +
    `inbound|8080|| ${refused ? '-' : '127.0.0.6:41000'} ${pod.ip}:8080 ${caller.ip}:${30_000 + (serial % 9000)} ` +
    'outbound_.8080_._.payments.shop.svc.cluster.local default';
  const file = logFile(pod.name);
  mkdirSync(dirname(file), { recursive: true });
  appendFileSync(file, `${now.replace('Z', '000000Z')} stdout F ${line}\n`);
}

/** As the world has it, which other tests look at too. */
let routes: string;
let payments: readonly Pod[];
let web: readonly Pod[];
const report = async (...args: readonly string[]) =>
  JSON.parse(await meshtail('admin', 'report', 'deployment/payments', '-n', 'shop', '-o', 'json', ...args));

const routeBy = (http: string): string =>
  kubectl('patch', 'virtualservice', 'payments', '--type', 'merge', '-p', `{"spec":{"http":${http}}}`);

afterAll(() => routeBy(routes));

beforeAll(async () => {
  kubectl('rollout', 'restart', 'deployment/payments');
  kubectl('rollout', 'status', 'deployment/payments', '--timeout=60s');
  await sleep(4000);
  [payments, web] = [podsOf('payments'), podsOf('web')];
  for (let i = 0; i < 60; i++) {
    for (const pod of payments) write(pod, web[i % web.length]!, false);
    await sleep(50);
  }
  routes = kubectl('get', 'virtualservice', 'payments', '-o', 'jsonpath={.spec.http}');
  routeBy(JSON.stringify([{ route: [{ destination: { host: 'payments' } }] }]));
  await sleep(1500);
  for (let i = 0; i < 20; i++) {
    for (const pod of payments) write(pod, web[i % web.length]!, pod === payments[0]);
    await sleep(50);
  }
}, 120_000);

describe('a report of a target', () => {
  it('names pods with workload, revision and node, and what was changed before it began', async () => {
    const whole = await report();
    expect(problems(whole)).toEqual([]);
    const [incident] = whole.incidents;
    const revision = kubectl(
      'get',
      'deployment',
      'payments',
      '-o',
      String.raw`jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}`,
    );
    const texts = incident.changes.map(({ text }: { text: string }) => text);
    expect(texts).toEqual(
      expect.arrayContaining(['VirtualService shop/payments changed', `payments rev ${revision}`]),
    );
    expect(texts[0]).toBe('VirtualService shop/payments changed');
    expect(incident.summary).toMatch(/began \S+ s after VirtualService shop\/payments changed\.$/);
    const callers = incident.callers.map(({ value }: { value: string }) => value).toSorted();
    expect(callers).toEqual(web.map(({ name }) => name).toSorted());
    expect(incident.wanted[0]).toMatchObject({ side: 'callers', workload: 'Deployment/web' });
    const [pod] = payments;
    const own = incident.addresses.find(({ address }: { address: string }) => address === pod!.ip);
    expect(own).toMatchObject({
      name: pod!.name,
      namespace: 'shop',
      workload: 'Deployment/payments',
      node: expect.stringMatching(/^rig-node-/),
      revision: `rev ${revision}`,
    });
  });

  it('reads who calls it too, where it is asked to', async () => {
    const { coverage } = await report('--with', 'callers');
    const read = coverage.inputs.map(({ path }: { path: string }) => path);
    for (const { name } of [...payments, ...web]) expect(read).toContain(`shop/${name}`);
  });

  it('is made of what one may see', async () => {
    const whole = JSON.parse(
      await meshtail('limited', 'report', 'deployment/payments', '-n', 'shop', '-o', 'json'),
    );
    expect(whole.incidents[0].callers.map(({ value }: { value: string }) => value)).toContain(web[0]!.name);
  });
});
