import { describe, expect, it } from 'vitest';
import { logsCommand } from '../../src/diagnosis/kubectl.js';

describe('the log of an app', () => {
  it('is asked for from two whole seconds before', () => {
    expect(logsCommand('shop', 'cart-1', Date.UTC(2026, 0, 2, 3, 4, 5, 678))).toBe(
      'kubectl -n shop logs cart-1 --all-containers --since-time=2026-01-02T03:04:03Z',
    );
  });

  it('is asked for whole where no line has a time', () => {
    expect(logsCommand('shop', 'cart-1', NaN)).toBe('kubectl -n shop logs cart-1 --all-containers');
    expect(logsCommand('shop', 'cart-1', Infinity)).toBe('kubectl -n shop logs cart-1 --all-containers');
  });
});
