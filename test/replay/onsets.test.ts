import { expect, it } from 'vitest';
import { Engine } from '../../src/replay/engine.js';
import type { Reading } from '../../src/view/snapshot.js';
import { WHOLE } from './spec.js';
import {
  client,
  healthy,
  moments,
  NO_CONNECTION,
  observe,
  RESET,
  type Pod,
  type Service,
} from '../diagnosis/traffic.js';

const reading: Reading = { done: false, share: null, lines: 0, inputs: 1, inputsDone: 0, failed: [] };

it('an incident that lasts longer than its lines are kept keeps its onset', async () => {
  const web: Pod = { name: 'web-1', ip: '10.4.0.9' };
  const [good, bad] = [
    { name: 'cart-good', ip: '10.4.1.1' },
    { name: 'cart-bad', ip: '10.4.1.2' },
  ];
  const cart: Service = { name: 'cart', namespace: 'shop', port: 8080, pods: [good, bad] };
  const BEGAN = 30_000;
  const observation = observe([
    ...healthy(web, cart, { to: BEGAN, every: 200, logged: false }),
    ...healthy(web, cart, { from: BEGAN, to: 300_000, every: 200, logged: false, pods: [good] }),
    ...moments(BEGAN, 300, 900).map((at) =>
      client(web, cart, bad, {
        at,
        code: 503,
        flags: 'UF',
        details: RESET('remote_connection_failure|delayed_connect_error:_Connection_refused'),
        reason: 'delayed_connect_error:_Connection_refused',
        ...NO_CONNECTION,
      }),
    ),
  ]);
  const engine = new Engine();
  const look = async () => {
    engine.observe(observation.snapshot(), reading);
    const { rows, first } = await engine.answer(WHOLE);
    return { first, since: rows[0]!.since, before: rows[0]!.explanation!.beganBeforeInput };
  };
  const whole = await look();
  expect(whole.before).toBe(false);
  observation.forget(whole.first + 120_000);
  expect(await look()).toEqual({ ...whole, first: whole.first + 120_000 });
  // Whoever looks for the first time now cannot know it.
  const late = new Engine();
  late.observe(observation.snapshot(), reading);
  const [row] = (await late.answer(WHOLE)).rows;
  expect(row!.explanation!.beganBeforeInput).toBe(true);
});
