import { describe, expect, it } from 'vitest';
import { caller, service } from './cases/case.js';
import { diagnosed, healthy, moments, rejected, server, type Logged, type Pod } from './traffic.js';

const web = caller('web', '10.60.1.4');
const cart = service('cart', 'store', 8080, '10.60.2.5');
const [pod] = cart.pods as [Pod];
const BATCH = '10.60.3.99';

const served = moments(0, 900, 30).map((at, i) =>
  server(pod, cart, null, { at, peer: `${BATCH}:${41_000 + i}` }),
);
const refused = moments(60_000, 900, 20).map((at, i) =>
  // At no interval: those of a probe are even.
  rejected(pod, cart.port, `${BATCH}:${42_000 + i}`, { at: at + ((i * 7_919) % 700) }),
);
const told = (
  ...before: readonly Logged[]
): ReturnType<typeof diagnosed>['incidents'][number]['hypothesis'] =>
  diagnosed(healthy(web, cart), before, refused).incidents[0]!.hypothesis;

describe('plaintext that a sidecar refuses', () => {
  it('and served before: what is demanded was changed', () => {
    const { cause, title, summary, next } = told(...served);
    expect(cause).toBe('peer-not-in-mesh-plaintext');
    expect(title).toMatch(/demands mutual TLS since \d\d:\d\d:\d\d/);
    expect(summary).toContain('the same sidecars served it without TLS (30 requests)');
    expect(next[0]?.command).toContain('peerauthentication');
  });

  it('and never served: who calls is not in the mesh', () => {
    const { cause, title, summary, next } = told();
    expect(cause).toBe('peer-not-in-mesh-plaintext');
    expect(title).not.toContain('since');
    expect(summary).not.toContain('was changed');
    expect(next[0]?.command).not.toContain('peerauthentication');
  });
});
