import { describe, expect, it } from 'vitest';
import { configChange, configGone, eventChange, restartsOf, rolloutOf } from '../../src/cluster/changes.js';
import { RESOURCES, type ResourceName } from '../../src/cluster/cluster.js';
import { podOf } from '../../src/cluster/pods.js';
import { object, pod } from './fake-shapes.js';

const managed = (time: string, subresource?: string): object => ({
  manager: 'kubectl',
  time,
  ...(subresource && { subresource }),
});

function config(kind: ResourceName, spec: object, metadata: object = {}) {
  const made = object('v1', kind, 'payments', { spec: { ...spec } });
  return configChange(
    {
      ...made,
      metadata: { ...made.metadata, generation: 3, creationTimestamp: '2026-11-01T10:00:00Z', ...metadata },
    },
    RESOURCES[kind],
    'istio-system',
  ).change;
}

describe('an object that steers traffic', () => {
  it('was changed when somebody wrote its spec, not its status', () => {
    const managedFields = [
      managed('2026-11-27T16:02:05Z'),
      managed('2026-11-27T15:00:00Z'),
      managed('2026-11-27T16:09:00Z', 'status'),
    ];
    expect(config('VirtualService', { hosts: ['payments'] }, { managedFields })).toEqual({
      at: Date.UTC(2026, 10, 27, 16, 2, 5),
      kind: 'config',
      text: 'VirtualService shop/payments changed',
      about: { namespace: null, hosts: ['payments.shop'] },
    });
    expect(config('VirtualService', {}, { generation: 1 }).text).toBe('VirtualService shop/payments created');
  });

  it.each<[ResourceName, object, object, object]>([
    [
      'VirtualService',
      {
        hosts: ['api.example.com'],
        http: [{ route: [{ destination: { host: 'ledger.books.svc.cluster.local' } }] }],
      },
      {},
      { namespace: null, hosts: ['api.example.com', 'ledger.books'] },
    ],
    [
      'DestinationRule',
      { host: '*.shop.svc.cluster.local' },
      {},
      { namespace: null, hosts: ['*.shop.svc.cluster.local'] },
    ],
    ['ServiceEntry', { hosts: ['api.cards.example'] }, {}, { namespace: null, hosts: ['api.cards.example'] }],
    [
      'AuthorizationPolicy',
      { selector: { matchLabels: { app: 'ledger' } } },
      {},
      { namespace: 'shop', selector: { app: 'ledger' } },
    ],
    ['PeerAuthentication', { mtls: { mode: 'STRICT' } }, { namespace: 'istio-system' }, { namespace: null }],
    [
      'Sidecar',
      { workloadSelector: { labels: { app: 'web' } } },
      {},
      { namespace: 'shop', selector: { app: 'web' } },
    ],
    [
      'IstioGateway',
      { selector: { istio: 'ingressgateway' } },
      {},
      { namespace: null, selector: { istio: 'ingressgateway' } },
    ],
    [
      'KubeGateway',
      { gatewayClassName: 'istio' },
      {},
      { namespace: 'shop', selector: { 'gateway.networking.k8s.io/gateway-name': 'payments' } },
    ],
    [
      'HTTPRoute',
      { hostnames: ['shop.example'], rules: [{ backendRefs: [{ name: 'reviews' }] }] },
      {},
      { namespace: null, hosts: ['shop.example', 'reviews.shop'] },
    ],
  ])('%s concerns those that it names', (kind, spec, metadata, about) => {
    expect(config(kind, spec, metadata).about).toEqual(about);
  });

  it('is told when it is gone', () => {
    const made = object('v1', 'VirtualService', 'payments', { spec: { hosts: ['payments'] } });
    const { change } = configGone({ ...made }, RESOURCES.VirtualService, 'istio-system', 5);
    expect(change).toMatchObject({ at: 5, text: 'VirtualService shop/payments deleted' });
  });
});

describe('what happens to workloads', () => {
  it('a ReplicaSet is a revision of its Deployment', () => {
    const metadata = {
      name: 'payments-6d5f',
      namespace: 'shop',
      creationTimestamp: '2026-11-27T16:02:05Z',
      annotations: { 'deployment.kubernetes.io/revision': '42' },
      ownerReferences: [{ kind: 'Deployment', name: 'payments', controller: true }],
    };
    const spec = { template: { metadata: { labels: { app: 'payments' } } } };
    const rollout = { deployment: 'payments', revision: 42, at: Date.UTC(2026, 10, 27, 16, 2, 5) };
    expect(rolloutOf({ metadata, spec })).toMatchObject({ ...rollout, labels: { app: 'payments' } });
    const back = { ...metadata.annotations, 'deployment.kubernetes.io/revision-history': '40' };
    expect(rolloutOf({ metadata: { ...metadata, annotations: back }, spec })?.at).toBeNull();
    expect(rolloutOf({ metadata: { ...metadata, ownerReferences: [] } })).toBeNull();
  });

  it('a container that ended before is a restart', () => {
    const made = pod({ name: 'payments-1' });
    const finishedAt = '2026-11-27T16:02:05Z';
    made.status.containerStatuses = [
      {
        name: 'payments-1',
        ready: true,
        restartCount: 1,
        state: { running: { startedAt: finishedAt } },
        lastState: { terminated: { exitCode: 137, reason: 'OOMKilled', startedAt: finishedAt, finishedAt } },
      },
    ];
    expect(restartsOf(podOf({ ...made }))).toMatchObject([
      { at: Date.parse(finishedAt), kind: 'restart', text: 'payments-1 payments-1 restarted (OOMKilled)' },
    ]);
  });

  it.each<[string, object, object | null]>([
    [
      'a warning of a pod',
      {
        type: 'Warning',
        reason: 'Unhealthy',
        message: 'Readiness probe failed: 503',
        involvedObject: { kind: 'Pod', name: 'a', namespace: 'shop' },
      },
      { kind: 'other', text: 'a Unhealthy (Readiness probe failed)', about: { namespace: 'shop', pod: 'a' } },
    ],
    [
      'a node that is lost',
      { type: 'Normal', reason: 'NodeNotReady', involvedObject: { kind: 'Node', name: 'node-1' } },
      { kind: 'node', text: 'node-1 NodeNotReady', about: { namespace: null, node: 'node-1' } },
    ],
    ['what is usual', { type: 'Normal', reason: 'Pulled', involvedObject: { kind: 'Pod', name: 'a' } }, null],
    [
      'a rollout, which its revision tells',
      {
        type: 'Normal',
        reason: 'ScalingReplicaSet',
        message: 'Scaled up replica set payments-6d5f from 0 to 1',
        involvedObject: { kind: 'Deployment', name: 'payments' },
      },
      null,
    ],
  ])('an event: %s', (_, event, expected) => {
    const told = eventChange({ lastTimestamp: '2026-11-27T16:02:05Z', ...event });
    expect(told && { kind: told.kind, text: told.text, about: told.about }).toEqual(expected);
  });
});
