import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { diagnose } from '../../src/diagnosis/diagnose.js';
import { compileFilter } from '../../src/filter/filter.js';
import { observe } from '../../src/pipeline.js';
import { NO_FACTS } from '../../src/diagnosis/cluster-facts.js';
import { Engine } from '../../src/replay/engine.js';
import { momentOf } from '../../src/replay/moment.js';
import { RowView } from '../../src/replay/row-view.js';
import { fileSource } from '../../src/source/file.js';
import type { Reading, Spec } from '../../src/view/snapshot.js';
import { WHOLE } from './spec.js';

const FOLDER = 'samples/incidents/checkout-app-crash';
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.gz'));
const { observation } = await observe(
  files.map((name) => fileSource(`${FOLDER}/${name}`)),
  1 << 20,
);
const whole = observation.snapshot();
const reading: Reading = { done: true, share: 1, lines: 0, inputs: 5, inputsDone: 5, failed: [] };
const spec = (set: Partial<Spec> = {}): Spec => ({ ...WHOLE, cells: 80, ...set });
const engine = new Engine();
engine.observe(whole, reading);
const at = (clock: string): number => Date.parse(`2026-11-23T${clock}Z`);

describe('a moment of a recording', () => {
  it('is the whole at the end', () => {
    expect(momentOf(whole, Infinity).observation).toBe(whole);
    expect(momentOf(whole, Infinity).diagnosis).toEqual(diagnose(whole));
  });

  it('knows only lines that were written by then', () => {
    const now = at('08:13:58');
    const moment = momentOf(whole, now);
    expect(moment.rows.length).toBeLessThan(whole.rows.rows.length);
    expect(moment.rows.every((row) => row.end <= now)).toBe(true);
    expect(moment.observation.traffic.requests).toBe(moment.rows.length);
    expect(moment.observation.traffic.failures).toBe(moment.rows.filter((row) => row.failure).length);
    expect(moment.observation.coverage.last).toBeLessThanOrEqual(now);
  });

  it('counts by a kept row what it counts by the line itself', () => {
    const again = momentOf(whole, Math.max(...whole.rows.rows.map((row) => row.end)) - 1).observation.traffic;
    for (const group of again.groups) {
      expect(whole.traffic.groups.map(({ top }) => Object.keys(top))).toContainEqual(Object.keys(group.top));
    }
    expect(again.failures).toBe(whole.traffic.failures);
  });
});

describe('a long recording', () => {
  const long = (): Engine => {
    const fresh = new Engine(undefined, 100);
    fresh.observe(whole, reading);
    return fresh;
  };
  const now = at('08:13:58');

  it('is counted at once, and explained after that', async () => {
    const one = long();
    const glance = one.glance(spec({ now }))!;
    const answer = await one.answer(spec({ now }));
    expect(glance).toMatchObject({ explained: false, requests: answer.requests, ahead: answer.ahead });
    expect(glance.failures).toBe(answer.failures);
    expect(glance.timeline).toEqual(answer.timeline);
    expect(glance.rows.length).toBeGreaterThan(0);
    expect(glance.rows.every(({ explanation }) => explanation === null)).toBe(true);
    expect(answer).toMatchObject({ explained: true });
    expect(answer.rows[0]!.explanation).not.toBeNull();
    // What is known already, what is the end and what is short needs no first answer.
    expect(one.glance(spec({ now }))).toBeNull();
    expect(one.glance(spec())).toBeNull();
    expect(engine.glance(spec({ now: at('08:13:57') }))).toBeNull();
  });

  it('lets an explanation be given up, and nothing of it remains', async () => {
    const one = long();
    for (const after of [1, 2, 20]) {
      let calls = 0;
      const goOn = (): void => {
        if (++calls === after) throw new Error('overtaken');
      };
      await expect(one.answer(spec({ now }), goOn)).rejects.toThrow('overtaken');
    }
    expect(one.glance(spec({ now }))).not.toBeNull();
    expect(await one.answer(spec({ now }))).toEqual(await engine.answer(spec({ now })));
  });
});

describe('the engine', () => {
  it('says at the end what the report says', async () => {
    const snapshot = await engine.answer(spec());
    const { incidents } = diagnose(whole);
    expect(snapshot.rows.map(({ failures, requests }) => [failures, requests])).toEqual(
      incidents.map(({ failures, requests }) => [failures, requests]),
    );
    expect(snapshot).toMatchObject({ requests: 530, failures: 55, app4xx: 68, ahead: 0, sampled: 1 });
    const { total, failed } = snapshot.timeline;
    const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
    expect([sum(total), sum(failed)]).toEqual([530, 55]);
  });

  it('counts alike however the view is cut', async () => {
    const edge = at('08:13:56');
    const before = await engine.answer(spec({ window: { last: null, range: [0, edge - 1e-3] } }));
    const after = await engine.answer(spec({ window: { last: null, range: [edge, Infinity] } }));
    expect(before.requests + after.requests).toBe(530);
    expect(before.failures + after.failures).toBe(55);
    const some = await engine.answer(spec({ filter: 'flag:UC' }));
    expect(some.failures).toBe(12);
    expect((await engine.answer(spec({ filter: 'who:mesh' }))).rows).toEqual([]);
  });

  it('sets the failing value beside its peers', async () => {
    const { rows } = await engine.answer(spec());
    const scope = { row: rows[0]!.key, where: [] };
    const { pane } = await engine.answer(spec({ pane: { kind: 'values', scope, dimension: 'pod' } }));
    expect(pane?.kind === 'values' ? pane.values : []).toEqual([
      { value: 'checkout-9f98g5nwm-zzvvr', failures: 55, requests: 203 },
      { value: 'checkout-9f98g5nwm-448gz', failures: 0, requests: 166 },
      { value: 'checkout-9f98g5nwm-j5pjg', failures: 0, requests: 161 },
    ]);
  });

  it('shows of the past what was known, and of the future what is to come', async () => {
    // The first requests that the crash cut short had begun, but nobody knew yet that they would fail.
    const now = at('08:13:54.6');
    const { timeline } = await engine.answer(spec({ now }));
    const cellAt = (time: number): number =>
      Math.floor(((time - timeline.from) / (timeline.to - timeline.from)) * timeline.total.length);
    const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
    expect(sum(timeline.failed.slice(0, cellAt(now) + 1))).toBe(0);
    expect(sum(timeline.failed.slice(cellAt(now) + 1))).toBeGreaterThan(30);
    const whole = (await engine.answer(spec())).timeline;
    expect(sum(whole.failed.slice(0, cellAt(now) + 1))).toBeGreaterThan(5);
    expect(sum(timeline.total)).toBeLessThan(sum(whole.total));
  });

  it('has the lines of a value that does not fail', async () => {
    const { rows } = await engine.answer(spec());
    const scope = {
      row: rows[0]!.key,
      where: [{ dimension: 'pod', value: 'checkout-9f98g5nwm-448gz' }],
    } as const;
    const pane = { kind: 'lines', scope, from: 0, count: 10 } as const;
    expect((await engine.answer(spec({ pane: { ...pane, all: true } }))).pane).toMatchObject({ total: 166 });
    expect((await engine.answer(spec({ pane: { ...pane, all: false } }))).pane).toMatchObject({ total: 0 });
  });

  it('tells of changes in their order, and of none before it happened', async () => {
    const marked = new Engine();
    const [later, sooner] = [
      { at: at('08:14:00'), kind: 'restart', text: 'later' },
      { at: at('08:13:50'), kind: 'rollout', text: 'sooner' },
    ] as const;
    const about = { namespace: null };
    const elsewhere = {
      at: at('08:13:52'),
      kind: 'config',
      text: 'elsewhere',
      about: { namespace: 'x' },
    } as const;
    const changes = [{ ...later, about }, elsewhere, { ...sooner, about }];
    marked.observe(whole, reading, { ...NO_FACTS, changes });
    expect((await marked.answer(spec())).markers).toEqual([sooner, later]);
    expect((await marked.answer(spec({ now: at('08:13:55') }))).markers).toEqual([sooner]);
  });

  it('finds the failures beside a moment', () => {
    const first = engine.failureBeside(0, 1)!;
    expect(new Date(first).toISOString()).toContain('08:13:54.7');
    expect(engine.failureBeside(first, -1)).toBeNull();
    expect(engine.failureBeside(Infinity, 1)).toBeNull();
  });
});

describe('every bundled incident', () => {
  const folders = readdirSync('samples/incidents', { withFileTypes: true }).filter((one) =>
    one.isDirectory(),
  );

  it.each(folders.map(({ name }) => name))('%s fails in all what its incidents fail', async (name) => {
    const folder = `samples/incidents/${name}`;
    const logs = readdirSync(folder).filter((file) => file.endsWith('.gz'));
    const { observation } = await observe(
      logs.map((file) => fileSource(`${folder}/${file}`)),
      1 << 20,
    );
    const recording = new Engine();
    recording.observe(observation.snapshot(), reading);
    const { failures, requests, rows, timeline, upstreams } = await recording.answer(spec());
    const told = rows.flatMap(({ explanation }) => (explanation ? [explanation.failures] : []));
    const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
    // A request may belong to two incidents; none that an incident counts is missing.
    expect(failures).toBeLessThanOrEqual(sum(told));
    expect(failures).toBeGreaterThanOrEqual(Math.max(0, ...told));
    expect(failures).toBeLessThanOrEqual(requests);
    expect(sum(timeline.failed)).toBe(failures);
    expect(sum(timeline.total)).toBe(requests);
    expect(sum(upstreams.map((one) => one.failures))).toBe(failures);
  });
});

describe('a kept row', () => {
  it('passes the filters that its line passes', () => {
    const view = new RowView();
    const count = (text: string): number => {
      const filter = compileFilter(text);
      return whole.rows.rows.filter((row) => filter.matches(view.of(row), { pod: row.pod, file: row.file }))
        .length;
    };
    expect(count('is:failed')).toBe(whole.traffic.failures);
    expect(count('code:503')).toBe(Number(whole.traffic.byCode.find(([code]) => code === '503')?.[1]));
    expect(count('flag:UC')).toBe(12);
    expect(count('pod:*zzvvr flag:UF')).toBe(43);
  });
});
