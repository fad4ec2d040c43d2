import { describe, expect, it } from 'vitest';
import { Addresses } from '../../src/cluster/addresses.js';
import { podOf, type Pod } from '../../src/cluster/pods.js';
import { pod as shape } from './fake-shapes.js';

const NOON = Date.UTC(2026, 10, 27, 12);
const at = (seconds: number): number => NOON + seconds * 1000;

function pod(name: string, ip: string, from: number, more: Partial<Pod> = {}): Pod {
  const object = shape({ name, ip, node: 'node-1', labels: { 'pod-template-hash': '6d5f' } });
  return { ...podOf({ ...object }), uid: `uid-${name}`, createdAt: at(from), ...more };
}

const named = (addresses: Addresses, ip: string, seconds: number): string | null =>
  addresses.ownerOf(ip, at(seconds))?.name ?? null;

describe('who had an address', () => {
  it('tells one owner from the next', () => {
    const addresses = new Addresses();
    const [old, fresh] = [pod('old', '10.0.0.1', 0), pod('fresh', '10.0.0.1', 100)];
    addresses.pod(old, at(1));
    addresses.podGone(old, at(60));
    addresses.pod(fresh, at(101));
    expect([-60, 0, 59, 61, 80, 99, 150].map((seconds) => named(addresses, '10.0.0.1', seconds))).toEqual([
      null,
      'old',
      'old',
      'old',
      null,
      'fresh',
      'fresh',
    ]);
    expect(addresses.ownersOf('10.0.0.1', at(50), at(120)).map(({ name }) => name)).toEqual(['old', 'fresh']);
  });

  it('ends the one before where its end was not seen', () => {
    const addresses = new Addresses();
    addresses.pod(pod('old', '10.0.0.1', 0), at(1));
    addresses.pod(pod('fresh', '10.0.0.1', 100), at(101));
    expect([50, 120].map((seconds) => named(addresses, '10.0.0.1', seconds))).toEqual(['old', 'fresh']);
  });

  it('does not let a pod that is through keep its address', () => {
    const addresses = new Addresses();
    addresses.pod(pod('fresh', '10.0.0.1', 100), at(120));
    addresses.pod(pod('job', '10.0.0.1', 0, { phase: 'Succeeded', endedAt: at(30) }), at(120));
    expect([10, 29, 60, 110].map((seconds) => named(addresses, '10.0.0.1', seconds))).toEqual([
      'job',
      'job',
      null,
      'fresh',
    ]);
  });

  it('takes a pod in its node’s network for the node', () => {
    const addresses = new Addresses();
    addresses.pod(pod('agent', '192.168.0.4', 0, { hostNetwork: true, hostIp: '192.168.0.4' }), at(1));
    expect(addresses.ownerOf('192.168.0.4', at(5))).toMatchObject({ kind: 'node', name: 'node-1' });
  });

  it('knows more once the pod itself is seen, and the number of its revision once that is', () => {
    const addresses = new Addresses();
    addresses.endpoint('10.0.0.1', 'payments-6d5f-a', 'shop', 'node-1', 0);
    expect(addresses.ownerOf('10.0.0.1', at(5))).toMatchObject({ workload: null, stays: false });
    const owner = { kind: 'ReplicaSet', name: 'payments-6d5f' };
    addresses.pod(pod('payments-6d5f-a', '10.0.0.1', 0, { owner }), at(6));
    const workload = { kind: 'Deployment', name: 'payments' };
    expect(addresses.ownerOf('10.0.0.1', at(5))).toMatchObject({ workload, revision: '6d5f', stays: true });
    addresses.revision('shop', 'payments-6d5f', 42);
    expect(addresses.ownerOf('10.0.0.1', at(5))).toMatchObject({ node: 'node-1', revision: 'rev 42' });
  });

  it('forgets the oldest of the past, and nobody who is there', () => {
    const addresses = new Addresses(100);
    for (let i = 0; i < 1000; i++) {
      const one = pod(`pod-${i}`, `10.0.${i >> 8}.${i & 255}`, i);
      addresses.pod(one, at(i));
      if (i % 2 === 0) addresses.podGone(one, at(i + 1));
    }
    expect(addresses.size).toBe(500 + 100);
    expect(named(addresses, '10.0.0.1', 2000)).toBe('pod-1');
    expect(named(addresses, '10.0.0.0', 0)).toBeNull();
  });
});
