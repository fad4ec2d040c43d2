import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ClusterClient } from '../../src/cluster/client.js';
import { connect } from '../../src/cluster/kubeconfig.js';
import { podOf, workloadOf } from '../../src/cluster/pods.js';
import {
  switchFor,
  Tally,
  unloggedOf,
  type Switch,
  type Unlogged,
} from '../../src/commands/access-logging.js';
import { FakeApi } from '../cluster/fake-api.js';
import { Deployed, gatewayPod, object, pod as shape } from '../cluster/fake-shapes.js';
import type { Pod } from '../cluster/fake-world.js';
import { scratch } from '../e2e/run.js';

const { file } = scratch();
let api: FakeApi;
beforeEach(async () => {
  api = await FakeApi.start();
});
afterEach(() => api.close());

const seen = (pods: readonly Pod[]) => pods.map((pod) => podOf({ ...pod }));

async function switchOf(pods: readonly Pod[], others: readonly Pod[] = []): Promise<Switch> {
  const kubeconfig = file('kubeconfig', api.kubeconfig({ namespace: 'shop', token: 'me' }));
  const client = new ClusterClient(await connect({ kubeconfig, env: {} }));
  const own = seen(pods);
  const unlogged: Unlogged = {
    namespace: own[0]!.namespace,
    workload: workloadOf(own[0]!),
    pods: own,
    lines: 3,
  };
  return switchFor(
    { client, pods: [...own, ...seen(others)], signal: new AbortController().signal },
    unlogged,
  );
}

/** The object that the printed command would apply. */
function applied({ on }: Switch): { apiVersion: string; metadata: object; spec: Record<string, unknown> } {
  expect([on[0], on.at(-1)]).toEqual(["kubectl apply -f - <<'EOF'", 'EOF']);
  return parse(on.slice(1, -1).join('\n')) as ReturnType<typeof applied>;
}

describe('turning access logging on', () => {
  it('chooses the workload’s own pods, by its own selector', async () => {
    const payments = new Deployed(api.world, 'payments', 2);
    const how = await switchOf(payments.pods());
    expect(applied(how)).toEqual({
      apiVersion: 'telemetry.istio.io/v1',
      kind: 'Telemetry',
      metadata: { name: 'access-log-payments', namespace: 'shop' },
      spec: {
        selector: { matchLabels: { app: 'payments' } },
        accessLogging: [{ providers: [{ name: 'envoy' }] }],
      },
    });
    expect(how.off).toBe('kubectl -n shop delete telemetry access-log-payments');
    expect(how.notes).toEqual([]);
  });

  it('takes what its pods have in common and will keep, where the selector may not be read', async () => {
    const payments = new Deployed(api.world, 'payments', 2, { labels: { version: '1.0', 'pod-index': '0' } });
    api.authorize = ({ resource }) => resource !== 'deployments';
    const labels = { app: 'payments', version: '1.0' };
    expect(applied(await switchOf(payments.pods())).spec['selector']).toEqual({ matchLabels: labels });
  });

  it('says whom else the labels mean', async () => {
    const [one, two] = [
      new Deployed(api.world, 'reviews', 1),
      new Deployed(api.world, 'reviews-v2', 1, { app: 'reviews' }),
    ];
    const second = two.pods().filter(({ metadata }) => metadata.name.startsWith('reviews-v2'));
    const first = one
      .pods()
      .filter((pod) => !second.some(({ metadata }) => metadata.name === pod.metadata.name));
    expect((await switchOf(first, second)).notes).toEqual(['these labels also select deployment/reviews-v2']);
  });

  it('names the Gateway of a waypoint', async () => {
    const waypoint = api.world.run(
      api.world.put(gatewayPod('waypoint-1', 'waypoint', { className: 'istio-waypoint' })),
    );
    expect(applied(await switchOf([waypoint])).spec['targetRefs']).toEqual([
      { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'waypoint' },
    ]);
  });

  it('says what is there already, and what is not', async () => {
    const pod = api.world.run(api.world.put(shape({ name: 'payments' })));
    const spec = { accessLogging: [{ disabled: true }] };
    api.world.put(object('telemetry.istio.io/v1', 'Telemetry', 'quiet', { spec }));
    expect((await switchOf([pod])).notes).toEqual([expect.stringContaining('Telemetry shop/quiet')]);
    api.world.withoutGroup('telemetry.istio.io');
    expect((await switchOf([pod])).notes).toEqual([expect.stringContaining('no Telemetry')]);
  });
});

it('is missed of a workload whose proxies write other things only', () => {
  const pods = seen([
    shape({ name: 'payments-1' }),
    shape({ name: 'ledger-1' }),
    shape({ name: 'idle-1' }),
    shape({ name: 'not-followed' }),
  ]);
  const tally = new Tally();
  const read = (name: string, result: 'record' | 'foreign'): void =>
    tally.add({ input: `shop/${name}`, result });
  read('payments-1', 'foreign');
  read('ledger-1', 'foreign');
  read('ledger-1', 'record');
  read('not-followed', 'foreign');
  const session = { pods, isFollowed: ({ name }: { name: string }) => name !== 'not-followed' };
  expect(unloggedOf(session, tally)).toMatchObject([
    { workload: { kind: 'Pod', name: 'payments-1' }, lines: 1 },
  ]);
});
