import { describe, expect, it } from 'vitest';
import { observe } from '../../src/pipeline.js';
import { Engine } from '../../src/replay/engine.js';
import { forbidden } from '../../src/source/pod-log.js';
import { fileSource } from '../../src/source/file.js';
import type { Live, LiveStream, Marker } from '../../src/view/live.js';
import { specOf, type State } from '../../src/view/state.js';
import { blank, play, Player } from './player.js';

// Pictures stand in test/view/screens as text; `npx vitest run test/view -u` rewrites them, and the diff is reviewed.
const SIZES = [
  [60, 15],
  [80, 24],
  [120, 40],
] as const;
/** Pictures of what only a large screen shows. */
const LARGE = [240, 70] as const;
const picture = (name: string, columns: number, rows: number): string =>
  `./screens/${name}-${columns}x${rows}.txt`;

function checked(player: Player): string {
  const { text } = player;
  const lines = text.split('\n').slice(0, -1);
  expect(lines.length).toBe(player.state.rows);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(player.state.columns);
  return text;
}

/** As kube-apiserver 1.36 says it. */
const REFUSAL =
  'pods "checkout-9f98g5nwm-448gz" is forbidden: User "jane@example.com" cannot get resource "pods/log" in API group "" in the namespace "store"';

describe('pictures of recordings', () => {
  const scenes: readonly (readonly [string, string, string])[] = [
    ['home-incident', 'checkout-app-crash', ''],
    ['home-two-incidents', 'booking-evening-mix', 'down'],
    ['home-sorted', 'booking-evening-mix', 's'],
    ['home-quiet', 'intranet-quiet-day', ''],
    ['home-healthy', 'intranet-quiet-day', '/ "code:2xx" enter'],
    ['explanation', 'checkout-app-crash', 'e'],
    ['drill-pods', 'checkout-app-crash', 'enter'],
    ['drill-hosts', 'checkout-app-crash', 'enter right'],
    ['drill-callers', 'vault-rbac-denied', 'enter right right'],
    ['drill-paths', 'ordering-chain-deep-500', 'enter right right right'],
    ['drill-lines', 'checkout-app-crash', 'enter enter down'],
    ['drill-all-lines', 'checkout-app-crash', 'enter enter f'],
    ['drill-record', 'checkout-app-crash', 'enter enter enter'],
    ['journey', 'ordering-chain-deep-500', 'J j'],
    ['journey-retried', 'loyalty-retry-masked', 'J'],
    ['tail', 'reviews-route-miss', 'l'],
    ['streams', 'notify-rollout', 'p'],
    ['dismissed', 'checkout-app-crash', 'd'],
    ['help-home', 'checkout-app-crash', '?'],
    ['help-lines', 'checkout-app-crash', 'l ?'],
    ['help-journey', 'loyalty-retry-masked', 'J ?'],
    ['filter-preview', 'checkout-app-crash', '/ "pod:*zzvvr flag:UC"'],
    ['filter-kept', 'checkout-app-crash', '/ "flag:UC" enter / "code>=500 path:/checkout*" enter x /'],
    ['filter-error', 'checkout-app-crash', '/ "cod>=500"'],
    ['replay-paused', 'checkout-app-crash', ': "seek 08:13:58" enter'],
    ['replay-before', 'checkout-app-crash', ': "seek 08:13:50" enter'],
  ];
  for (const [name, incident, keys] of scenes) {
    it.each(SIZES)(`${name} at %ix%i`, async (columns, rows) => {
      const player = await (await play(incident, columns, rows)).keys(keys);
      await expect(checked(player)).toMatchFileSnapshot(picture(name, columns, rows));
    });
  }

  it.each(SIZES)('a moment that is still being explained at %ix%i', async (columns, rows) => {
    const { state, engine } = await play('warehouse-two-faults', columns, rows);
    const clock = { ...state.clock, now: state.snapshot!.first + 360_000 };
    const snapshot = engine!.glance(specOf({ ...state, clock }))!;
    const player = await new Player({ ...state, clock }, null).send({ kind: 'snapshot', snapshot });
    await expect(checked(player)).toMatchFileSnapshot(picture('replay-explaining', columns, rows));
    const asked = await player.keys('enter');
    expect(asked.text).toContain('counting…');
    await player.keys('q e');
    expect(player.text).toContain('explaining…');
  });

  it.each(['booking-evening-mix', 'intranet-quiet-day', 'ordering-chain-deep-500'])(
    '%s on a large screen',
    async (incident) => {
      const player = await play(incident, ...LARGE);
      await expect(checked(player)).toMatchFileSnapshot(picture(`large-${incident}`, ...LARGE));
    },
  );

  it('is ASCII alone where asked', async () => {
    const player = await play('checkout-app-crash');
    player.state = { ...player.state, ascii: true };
    expect(player.text).toMatch(/^[\n -~]*$/);
    await expect(checked(player)).toMatchFileSnapshot(picture('home-ascii', 80, 24));
  });
});

describe('pictures of states before and beside the table', () => {
  const reading = { done: false, share: 0.43, lines: 512_331, inputs: 6, inputsDone: 2, failed: [] };
  const live = (value: Live): State['source'] => ({
    title: 'deploy/checkout',
    cluster: { context: 'prod-eu', namespace: 'store' },
    live: value,
    argv: ['deploy/checkout', '-n', 'store'],
  });
  const states = {
    loading: blank(80, 24, { reading, source: { title: 'mesh.log', live: null, argv: ['mesh.log'] } }),
    connecting: blank(80, 24, {
      source: live({
        phase: 'connecting',
        steps: [
          { text: 'cluster prod-eu answers', done: true },
          { text: 'deployment checkout has 6 pods', done: true },
          { text: 'opening their access logs', done: false },
          { text: 'reading 10 minutes of history', done: false },
        ],
      }),
    }),
    'logging-off': blank(80, 24, {
      source: live({
        phase: 'logging-off',
        found: [
          '6 proxies run and answer; none wrote an access line in 10 minutes',
          'meshConfig.accessLogFile is empty; no Telemetry resource asks for logs',
        ],
        fix: ['kubectl apply -n istio-system -f telemetry-access-log.yaml'],
      }),
    }),
    'no-rights': blank(80, 24, {
      source: live({
        phase: 'no-rights',
        said: forbidden('get', 'pods/log', 'store', REFUSAL).message,
        fix: forbidden('get', 'pods/log', 'store', REFUSAL).hint!.split('\n'),
      }),
    }),
  };
  for (const [name, state] of Object.entries(states)) {
    it.each(SIZES)(`${name} at %ix%i`, async (columns, rows) => {
      const player = await new Player(state, null).size(columns, rows);
      await expect(checked(player)).toMatchFileSnapshot(picture(name, columns, rows));
    });
  }

  const at = (time: string): number => Date.parse(`2026-11-23T${time}Z`);
  const stream = (pod: string, set: Partial<LiveStream> = {}): LiveStream => ({
    pod,
    namespace: 'store',
    container: 'istio-proxy',
    state: 'following',
    stateSince: at('08:13:40'),
    reason: '',
    coveredSince: at('08:13:38.9'),
    lagMs: 800,
    gaps: [],
    ...set,
  });
  const streaming = (...streams: LiveStream[]): Live => ({
    phase: 'streaming',
    streams,
    since: { at: at('08:13:38.9'), reason: 'the kubelet kept no more' },
    limits: ['no config changes: may not list virtualservices in store'],
  });
  const all = streaming(
    stream('checkout-9f98g5nwm-448gz'),
    stream('checkout-9f98g5nwm-j5pjg', { lagMs: 300 }),
    stream('checkout-9f98g5nwm-zzvvr', {
      state: 'lost',
      stateSince: at('08:14:12'),
      reason: 'connection reset, trying again in 4 s',
      lagMs: null,
      gaps: [{ from: at('08:14:12'), to: null, reason: 'connection reset' }],
    }),
    stream('checkout-7c5d9fxkq-p2w8v', { state: 'ended', reason: 'deleted by the rollout', lagMs: null }),
  );
  const markers: readonly Marker[] = [
    { at: at('08:13:41.2'), kind: 'config', text: 'VirtualService checkout changed' },
    { at: at('08:13:44.6'), kind: 'rollout', text: 'checkout rev 42' },
  ];

  it.each(SIZES)('a live incident at %ix%i', async (columns, rows) => {
    const player = await play('checkout-app-crash', columns, rows);
    player.state = {
      ...player.state,
      reading: { ...player.state.reading, done: false, share: null },
      snapshot: {
        ...player.state.snapshot!,
        markers,
        rows: player.state.snapshot!.rows.map((row) => ({
          ...row,
          explanation: row.explanation && { ...row.explanation, after: '8 s after checkout rev 42' },
        })),
      },
      source: live(streaming(stream('checkout-9f98g5nwm-448gz'))),
    };
    await expect(checked(player)).toMatchFileSnapshot(picture('live-incident', columns, rows));
  });

  it.each(SIZES)('streams lost at %ix%i', async (columns, rows) => {
    const player = await play('checkout-app-crash', columns, rows);
    player.state = { ...player.state, source: live(all) };
    await expect(checked(player)).toMatchFileSnapshot(picture('streams-lost', columns, rows));
    await player.keys('p');
    await expect(checked(player)).toMatchFileSnapshot(picture('live-streams', columns, rows));
  });

  it.each(SIZES)('no access line in the input at %ix%i', async (columns, rows) => {
    const { observation } = await observe([fileSource('LICENSE')], 1 << 20);
    const engine = new Engine();
    engine.observe(observation.snapshot(), { ...reading, done: true, share: 1 });
    const snapshot = await engine.answer(specOf(blank()));
    const player = await new Player(blank(), null).size(columns, rows);
    await player.send({ kind: 'snapshot', snapshot });
    await expect(checked(player)).toMatchFileSnapshot(picture('no-access-line', columns, rows));
  });

  it.each(SIZES)('catching up at %ix%i', async (columns, rows) => {
    const source = live(streaming(stream('a'), stream('b', { state: 'history' })));
    const player = await new Player(blank(80, 24, { reading, source }), null).size(columns, rows);
    await expect(checked(player)).toMatchFileSnapshot(picture('catching-up', columns, rows));
  });

  it('says when it is too small, and recovers', async () => {
    const player = await play('checkout-app-crash');
    const before = player.text;
    await player.size(20, 5);
    expect(player.text).toBe('too small: 20x5\nneeds 60x15\n[q] leaves\n\n\n');
    await player.size(80, 24);
    expect(player.text).toBe(before);
  });

  it.each([
    [60, 15],
    [61, 16],
    [79, 23],
    [99, 30],
    [110, 50],
    [240, 70],
  ])('fills %ix%i exactly in every pane', async (columns, rows) => {
    const player = await play('notify-rollout', columns, rows);
    for (const keys of ['', 'e', 'q enter', 'enter', 'enter', 'J', 'q q q q p', 'q d', 'q ?']) {
      checked(await player.keys(keys));
    }
  });
});
