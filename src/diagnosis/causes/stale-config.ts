import type { NextStep } from '../hypothesis.js';
import { isPod, proxyName } from '../kubectl.js';

/* What to do about a proxy that no longer gets configuration, whichever of it is old: its endpoints or its routes. */

export const seeWhetherStale = (proxy: string): NextStep => ({
  purpose: 'see whether it is STALE or missing',
  command: `istioctl proxy-status | grep ${isPod(proxy) ? proxy : proxyName(null, proxy)}`,
});

export const UPDATE_AGAIN: readonly string[] = [
  'Restore its connection to istiod (port 15012), correct the configuration that it rejects, or restart the pod.',
];
