import { describe, expect, it } from 'vitest';
import { isPodName, originOfFile, proxyOf } from '../../src/record/origin.js';

const UID = '6f1a2b3c-0d4e-4f5a-8b6c-7d8e9f0a1b2c';
const ID = 'a'.repeat(64);

describe('originOfFile', () => {
  it.each([
    ['a plain file', 'proxy.log', {}],
    ['a deployment pod', 'logs/payments-6d5f7c8b9d-k9x2q.log', { pod: 'payments-6d5f7c8b9d-k9x2q' }],
    ['a deployment pod, gzip', 'payments-6d5f7c8b9d-k9x2q.log.gz', { pod: 'payments-6d5f7c8b9d-k9x2q' }],
    ['a stateful set pod', './kafka-0.log', { pod: 'kafka-0' }],
    ['a daemon set pod', 'ztunnel-k9x2q.log', { pod: 'ztunnel-k9x2q' }],
    ['vowels, which no generated name has', 'istio-proxy.log', {}],
    ['another ending', 'payments-6d5f7c8b9d-k9x2q.txt', {}],
    [
      'a kubelet folder',
      `/var/log/pods/shop_cart-0_${UID}/istio-proxy/3.log`,
      { namespace: 'shop', pod: 'cart-0', container: 'istio-proxy' },
    ],
    [
      'a rotated kubelet file',
      `/var/log/pods/shop_cart-0_${UID}/istio-proxy/0.log.20260101-120000`,
      { namespace: 'shop', pod: 'cart-0', container: 'istio-proxy' },
    ],
    [
      'a rotated kubelet file, gzip',
      `var/log/pods/shop_cart-0_${UID}/istio-proxy/0.log.20260101-120000.gz`,
      { namespace: 'shop', pod: 'cart-0', container: 'istio-proxy' },
    ],
    [
      'a container link',
      `/var/log/containers/cart-0_shop_istio-proxy-${ID}.log`,
      { namespace: 'shop', pod: 'cart-0', container: 'istio-proxy' },
    ],
    ['parentheses', 'b (1).log', {}],
  ])('%s', (_, file, known) => {
    expect(originOfFile(file)).toEqual({ file, ...known });
  });

  it('takes a proxy from the pod, else the file', () => {
    expect(proxyOf({ pod: 'a', file: 'b' })).toBe('a');
    expect(proxyOf({ file: 'b' })).toBe('b');
    expect(proxyOf({})).toBe('');
  });

  it('is done with a hostile name in time linear in it', () => {
    const started = performance.now();
    expect(isPodName('a-'.repeat(5000))).toBe(false);
    expect(isPodName(`${'b'.repeat(20_000)}!`)).toBe(false);
    expect(performance.now() - started).toBeLessThan(500);
  });
});
