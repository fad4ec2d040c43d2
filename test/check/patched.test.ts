import { describe, expect, it } from 'vitest';
import { CHECKS } from '../../src/check/index.js';
import { clearances, runChecks } from '../../src/check/run.js';
import { answerFinding, askRoutes } from '../../src/check/traffic/ask.js';
import { Mesh, worldOf, type Json } from './mesh.js';

/* What EnvoyFilters, targetRefs and other clusters of the mesh keep checks from saying. */

const filter = (at: string, applyTo: string, value: Json = {}, spec: Json = {}): Json => ({
  apiVersion: 'networking.istio.io/v1alpha3',
  kind: 'EnvoyFilter',
  metadata: { namespace: at.split('/')[0], name: at.split('/')[1] },
  spec: { ...spec, configPatches: [{ applyTo, patch: { operation: 'MERGE', value } }] },
});
const withObjects = (...objects: Json[]): Mesh => {
  const mesh = new Mesh();
  for (const object of objects) mesh.add(object);
  return mesh;
};
const ruledOut = async (mesh: Mesh, cause: string): Promise<readonly string[]> =>
  clearances(await worldOf(mesh.files()), CHECKS)
    .filter(({ refutes, phase }) => refutes.includes(cause) && phase === 'traffic')
    .flatMap(({ about }) => about.services ?? []);

describe('an EnvoyFilter', () => {
  it.each([
    ['CLUSTER', 'destinationrule-tls-conflict'],
    ['HTTP_ROUTE', 'fault-injected'],
  ])('on a %s keeps the objects from ruling out %s', async (applyTo, cause) => {
    expect(await ruledOut(new Mesh(), cause)).not.toEqual([]);
    expect(await ruledOut(withObjects(filter('istio-system/all', applyTo)), cause)).toEqual([]);
  });

  it.each([
    ['CLUSTER', 'no-endpoints'],
    ['HTTP_FILTER', 'destinationrule-tls-conflict'],
  ])('on a %s leaves %s alone', async (applyTo, cause) => {
    const before = await ruledOut(new Mesh(), cause);
    expect(await ruledOut(withObjects(filter('istio-system/all', applyTo)), cause)).toEqual(before);
  });

  it('that patches routes is told of where a request would go', async () => {
    const answerOf = async (mesh: Mesh) => {
      const asked = { path: '/', method: 'GET', headers: new Map(), port: null };
      const host = 'catalog.shop.svc.cluster.local';
      return answerFinding(askRoutes(await worldOf(mesh.files()), { ...asked, host }, [])[0]!);
    };
    expect(await answerOf(withObjects(filter('front/routes', 'HTTP_ROUTE')))).toMatchObject({
      why: 'the first rule that fits is followed',
      refutes: ['vs-route-no-match', 'gateway-host-unknown'],
    });
    const patched = await answerOf(withObjects(filter('shop/routes', 'HTTP_ROUTE')));
    expect(patched.why).toContain('EnvoyFilter shop/routes patches this proxy');
    expect(patched.refutes).toEqual([]);
  });

  it('that speaks of access logs, or Envoy itself, goes before a Telemetry that turns them off', async () => {
    const off = {
      apiVersion: 'telemetry.istio.io/v1',
      kind: 'Telemetry',
      metadata: { namespace: 'pay', name: 'quiet' },
      spec: { accessLogging: [{ disabled: true }] },
    };
    const concerned = async (mesh: Mesh): Promise<readonly string[]> =>
      runChecks(await worldOf(mesh.files()))
        .filter(({ id }) => id === 'access-log-off')
        .flatMap(({ about }) => about.workloads ?? []);
    const some = await concerned(withObjects(off));
    expect(some).toContain('Deployment/pay/ledger');
    // Its config_dump has one.
    expect(some).not.toContain('Deployment/pay/payments-v1');
    expect(
      await concerned(withObjects(off, filter('pay/log', 'NETWORK_FILTER', { access_log: [{}] }))),
    ).toEqual([]);
  });
});

it('a policy on the way, at a gateway or waypoint, keeps a service from being called open', async () => {
  const policy = (kind: string, name: string): Json => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { namespace: 'shop', name: 'attached' },
    spec: {
      targetRefs: [{ kind, name }],
      action: 'DENY',
      rules: [{ to: [{ operation: { paths: ['/x'] } }] }],
    },
  });
  expect(await ruledOut(new Mesh(), 'rbac-denied')).toContain('catalog.shop');
  expect(await ruledOut(withObjects(policy('Service', 'catalog')), 'rbac-denied')).not.toContain(
    'catalog.shop',
  );
  expect(await ruledOut(withObjects(policy('Service', 'catalog')), 'rbac-denied')).toContain('cart.shop');
  expect(await ruledOut(withObjects(policy('Gateway', 'edge')), 'rbac-denied')).not.toContain('cart.shop');
});

it('a service whose endpoints are all in another cluster of the mesh is not without any', async () => {
  const ids = async (mesh: Mesh): Promise<readonly string[]> =>
    runChecks(await worldOf(mesh.files()))
      .filter(({ status, about }) => status !== 'ok' && about.services?.includes('ledger.pay'))
      .map(({ id, status }) => `${status} ${id}`);
  const away = (): Mesh => {
    const mesh = new Mesh();
    mesh.set('Service/pay/ledger', 'spec.selector.app', 'elsewhere');
    mesh.set('EndpointSlice/pay/ledger', 'endpoints', []);
    return mesh;
  };
  const one = away();
  one.pages.clear();
  expect(await ids(one)).toContain('fail service-selects-no-pod');
  // Envoy holds hosts that no EndpointSlice of this cluster names, and reaches them.
  const several = await ids(away());
  expect(several).not.toContain('fail service-selects-no-pod');
  expect(several.filter((text) => text.startsWith('fail'))).toEqual([]);
});
