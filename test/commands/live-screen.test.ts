import { describe, expect, it } from 'vitest';
import { liveOf } from '../../src/commands/live-screen.js';
import { forbidden } from '../../src/source/pod-log.js';

type Arguments = Parameters<typeof liveOf>;

const refusal = forbidden('get', 'pods/log', 'shop', 'pods "payments-1" is forbidden: no');

function phaseWith(...states: readonly string[]): ReturnType<typeof liveOf> {
  const streams = states.map((state, i) => ({
    name: `shop/payments-${i}`,
    pod: `payments-${i}`,
    namespace: 'shop',
    container: 'istio-proxy',
    state,
    reason: '',
    first: NaN,
    last: NaN,
    lagMs: null,
  }));
  const status = { streams, gaps: [], refused: [refusal], trouble: null, withoutProxy: [], waiting: 0 };
  const session = { status: () => status } as unknown as Arguments[0];
  const job = { options: { since: null, maxLogRequests: 50 } } as unknown as Arguments[1];
  const silent = { found: [], tally: { records: 0 } } as unknown as Arguments[2];
  return liveOf(session, job, silent, Date.now(), 60_000, []);
}

describe('a live target whose logs are refused', () => {
  it('has no rights where none may be read, and says which to ask for', () => {
    const live = phaseWith('refused', 'refused');
    expect(live.phase).toBe('no-rights');
    expect(live).toMatchObject({
      said: expect.stringContaining('payments-1') as unknown,
      fix: expect.arrayContaining(['- {apiGroups: [""], resources: [pods/log], verbs: [get]}']) as unknown,
    });
  });

  it('goes on with those that may be read', () => {
    expect(phaseWith('refused', 'reading').phase).toBe('streaming');
  });
});
