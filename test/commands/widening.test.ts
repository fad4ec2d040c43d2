import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LineParser } from '../../parsers/index.js';
import { ClusterClient } from '../../src/cluster/client.js';
import { connect } from '../../src/cluster/kubeconfig.js';
import { targetsOf } from '../../src/cluster/targets.js';
import type { Side } from '../../src/cli/options.js';
import { LiveFacts } from '../../src/commands/facts.js';
import { Widening } from '../../src/commands/widening.js';
import type { Parsed } from '../../src/pipeline.js';
import { lineOf } from '../../src/record/line.js';
import { RecordCursor } from '../../src/record/record-view.js';
import { LiveSession } from '../../src/source/kubernetes.js';
import { FakeApi } from '../cluster/fake-api.js';
import { Deployed, gatewayPod, ingressGatewayPod, object } from '../cluster/fake-shapes.js';
import { client, server, type Logged, type Service } from '../diagnosis/traffic.js';
import { scratch } from '../e2e/run.js';

const { file } = scratch();
let api: FakeApi;
let payments: Deployed;
let session: LiveSession;
let told: string[];

beforeEach(async () => {
  api = await FakeApi.start();
  for (const name of ['shop', 'books']) api.world.put(object('v1', 'Namespace', name, { namespace: null }));
  payments = new Deployed(api.world, 'payments', 2);
  told = [];
});
afterEach(async () => {
  session.stop();
  await api.close();
});

async function widening(...sides: Side[]): Promise<Widening> {
  const kubeconfig = file('kubeconfig', api.kubeconfig({ namespace: 'shop', token: 'me' }));
  const connection = await connect({ kubeconfig, env: {} });
  session = await LiveSession.open(new ClusterClient(connection), {
    targets: targetsOf(['deployment/payments']),
    follow: true,
    since: null,
    tail: null,
    previous: false,
    maxLine: 1 << 20,
    allNamespaces: false,
    labels: undefined,
    container: undefined,
    maxLogRequests: 100,
  });
  const made = new Widening(session, new LiveFacts(session), sides, (text) => told.push(text));
  made.begin();
  return made;
}

function read(made: Widening, { pod, text }: Logged): void {
  const record = new RecordCursor();
  const framed = { line: lineOf(text), overlong: false, unterminated: false };
  expect(new LineParser().parse(framed.line, record)).toBe('record');
  made.parsed({ input: `shop/${pod}`, framed, result: 'record', record, origin: { pod, line: 1 } } as Parsed);
}

const podOf = (deployed: Deployed) => {
  const [pod] = deployed.pods();
  return { name: pod!.metadata.name, ip: pod!.status.podIP! };
};
const serviceOf = (name: string, namespace: string): Service => ({ name, namespace, port: 8080, pods: [] });
const followed = (): string[] =>
  session
    .status()
    .streams.map(({ name }) => name.replace(/-\w+-\w+$/, ''))
    .toSorted();

describe('reading more than the targets', () => {
  it('upstreams: the services that the targets’ lines call', async () => {
    const ledger = new Deployed(api.world, 'ledger', 1, { namespace: 'books', ip: '10.7.0.1' });
    api.world.put(
      object('v1', 'Service', 'ledger', { namespace: 'books', spec: { selector: { app: 'ledger' } } }),
    );
    const made = await widening('upstreams');
    for (let i = 0; i < 3; i++)
      read(made, client(podOf(payments), serviceOf('ledger', 'books'), podOf(ledger), { at: i }));
    // What added ones call is not added in turn, nor what is outside.
    read(made, { ...client(podOf(ledger), serviceOf('archive', 'books'), podOf(ledger), { at: 5 }) });
    const outside = 'outbound|443||api.cards.example';
    read(made, client(podOf(payments), serviceOf('x', 'y'), podOf(ledger), { at: 6, cluster: outside }));
    read(
      made,
      client(podOf(payments), serviceOf('x', 'y'), podOf(ledger), {
        at: 7,
        cluster: 'outbound|443||cards.example',
      }),
    );
    await made.settled(2000);
    expect(followed()).toEqual(['books/ledger', 'shop/payments', 'shop/payments']);
    expect(told).toEqual(['also reading service/ledger in books (1 pod): the target calls it']);
  });

  it('callers: the workloads whose addresses the targets’ lines name', async () => {
    const web = new Deployed(api.world, 'web', 2, { namespace: 'books', ip: '10.7.0.2' });
    // Older than the lines: who has the address now may not be who called.
    for (const pod of web.pods()) {
      api.world.change(pod, ({ metadata }) => {
        metadata.creationTimestamp = '2026-01-01T00:00:00Z';
      });
    }
    const made = await widening('callers');
    read(made, server(podOf(payments), serviceOf('payments', 'shop'), podOf(web), { at: 0 }));
    await made.settled(2000);
    expect(followed()).toEqual(['books/web', 'books/web', 'shop/payments', 'shop/payments']);
    expect(told).toEqual(['also reading deployment/web in books (2 pods): it calls the target']);
  });

  it('gateway: what lets traffic into the mesh', async () => {
    api.world.run(api.world.put(ingressGatewayPod('edge')));
    api.world.run(api.world.put(gatewayPod('edge-2', 'shop')));
    api.world.run(api.world.put(gatewayPod('waypoint', 'waypoint', { className: 'istio-waypoint' })));
    const made = await widening('gateway');
    await made.settled(2000);
    expect(followed()).toEqual(['istio-system/edge', 'shop/edge-2', 'shop/payments', 'shop/payments']);
  });

  it.each<[string, () => void]>([
    [
      'a namespace',
      () =>
        api.world.put(
          object('v1', 'Namespace', 'shop', { namespace: null, labels: { 'istio.io/use-waypoint': 'way' } }),
        ),
    ],
    [
      'a service',
      () =>
        api.world.put(
          object('v1', 'Service', 'payments', {
            labels: { 'istio.io/use-waypoint': 'way' },
            spec: { selector: { app: 'payments' } },
          }),
        ),
    ],
  ])('waypoint: the one that the label of %s names', async (_, label) => {
    label();
    api.world.run(api.world.put(gatewayPod('way-1', 'way', { className: 'istio-waypoint' })));
    const made = await widening('waypoint');
    await made.settled(2000);
    expect(followed()).toEqual(['shop/payments', 'shop/payments', 'shop/way-1']);
  });

  it('says what there is not', async () => {
    const made = await widening('waypoint', 'gateway');
    await made.settled(2000);
    expect(told).toEqual([
      'no ingress gateway is found by its labels',
      'no waypoint: no label istio.io/use-waypoint on pods, services or namespace',
    ]);
  });

  it('adds one workload after the other where a person asks for more', async () => {
    new Deployed(api.world, 'ledger', 1, { namespace: 'books' }).startPod();
    const made = await widening();
    const wanted = {
      side: 'upstreams',
      namespace: 'books',
      kind: 'Deployment',
      decides: true,
      why: 'it was sent 3 of 3',
    } as const;
    expect(await made.add([])).toMatch(/nothing to widen to/);
    expect(await made.add([{ ...wanted, name: 'ledger' }])).toBe(
      'also reading deployment/ledger in books (2 pods): it was sent 3 of 3',
    );
    expect(await made.add([{ ...wanted, name: 'ledger' }])).toBe(
      'all that would tell more is followed already',
    );
    expect(
      await made.add([
        { ...wanted, name: 'ledger' },
        { ...wanted, name: 'gone' },
      ]),
    ).toMatch(/gone in books has no pods/);
  });
});
