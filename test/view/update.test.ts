import { describe, expect, it } from 'vitest';
import type { Live } from '../../src/view/live.js';
import { paneOf, specOf } from '../../src/view/state.js';
import { selectedRow } from '../../src/view/selection.js';
import { update } from '../../src/view/update.js';
import { blank, play, Player } from './player.js';

const INCIDENT = 'checkout-app-crash';

describe('update', () => {
  it('drills from group to pod to line to field, and esc climbs back', async () => {
    const player = await (await play(INCIDENT)).keys('enter enter enter');
    expect(player.state.panes.map(({ kind }) => kind)).toEqual(['home', 'values', 'lines', 'record']);
    expect(player.text).toContain('response_flags');
    await player.keys('escape escape escape escape');
    expect(player.state.panes.map(({ kind }) => kind)).toEqual(['home']);
    expect(player.done).toEqual([]);
    await player.keys('q');
    expect(player.done).toEqual([{ kind: 'quit' }]);
  });

  it('follows a request from an incident and from a line, and from each hop to its line', async () => {
    const chain = 'ordering-chain-deep-500';
    const player = await (await play(chain)).keys('J');
    const { snapshot } = player.state;
    if (snapshot?.pane?.kind !== 'journey') throw new Error('no journey');
    const { hops, findings, requestId } = snapshot.pane;
    expect(hops.map(({ who }) => who.trim().slice(0, 6))).toEqual([
      'out is',
      '└ in  ',
      '└ out ',
      '└ in  ',
      '└ out ',
      '└ in  ',
    ]);
    expect(hops.map(({ decided }) => decided)).toEqual([false, false, false, false, false, true]);
    expect(findings[0]).toMatchObject({ label: 'decided' });
    await player.keys('y Y');
    expect(player.done).toEqual([
      { kind: 'copy', text: requestId },
      { kind: 'copy', text: `meshtail trace ${requestId} samples/incidents/${chain}` },
    ]);
    // The last hop's line leads to the same request, seen from there.
    await player.keys('j j j j j enter');
    expect(paneOf(player.state)).toMatchObject({ kind: 'record', ref: hops[5]!.ref });
    await player.keys('J');
    expect(player.state.snapshot!.pane).toMatchObject({ kind: 'journey', requestId, hops });
    // What the lines say leads to the line that says it.
    await player.keys('G enter');
    expect(paneOf(player.state)).toMatchObject({ kind: 'record', ref: findings.at(-1)!.ref });
    await player.keys('q q q q J');
    expect(paneOf(player.state).kind).toBe('journey');
    await player.keys('J p J');
    expect(player.state.notice?.text).toBe('no request to follow here');
    // At a moment before it, the request is not there.
    await player.keys('q J : "seek 08:35:10" enter');
    expect(player.text).toContain('No such failure');
  });

  it('selects the row that was chosen, else the first one, from moment to moment', async () => {
    const player = await play('booking-evening-mix');
    const seek = (time: string): Promise<Player> => player.keys(`: "seek ${time}" enter`);
    const selected = (): string | undefined => selectedRow(player.state)?.upstream;
    await seek('18:41:00');
    expect(selected()).toBe('a8.example.net');
    await seek('18:46:00');
    expect(selected()).toBe('rooms.booking:8000');
    await player.keys('down');
    expect(selected()).toBe('voucher-pdf.booking:8090');
    await seek('18:41:00');
    await seek('18:46:00');
    expect(selected()).toBe('voucher-pdf.booking:8090');
    await player.keys('g');
    expect(selected()).toBe('rooms.booking:8000');
  });

  it('keeps keys for the pane that is still being counted', async () => {
    const player = await play(INCIDENT);
    let state = player.state;
    for (const key of ['enter', 'j', 'j', 'k', 'enter', 'enter']) {
      ({ state } = update(state, { kind: 'key', key }));
    }
    expect(state.panes.map(({ kind }) => kind)).toEqual(['home', 'values']);
    for (let i = 0; i < 3; i++) {
      const snapshot = await player.engine!.answer(specOf(state));
      ({ state } = update(state, { kind: 'snapshot', snapshot }));
    }
    expect(state.panes.map(({ kind }) => kind)).toEqual(['home', 'values', 'lines', 'record']);
    expect(state.panes[1]).toMatchObject({ cursor: 1 });
    expect(state.ahead).toEqual([]);
    // Whoever turns back does not go on by himself.
    ({ state } = update(player.state, { kind: 'key', key: 'enter' }));
    ({ state } = update(state, { kind: 'key', key: 'enter' }));
    ({ state } = update(state, { kind: 'key', key: 'escape' }));
    expect(state.ahead).toEqual([]);
  });

  it('previews a filter as it is typed and takes it back', async () => {
    const player = await (await play(INCIDENT)).keys('/ "flag:UC"');
    expect(player.state.snapshot?.rows.map(({ flag }) => flag)).toEqual(['UC']);
    await player.keys('escape');
    expect(player.state.snapshot?.rows.length).toBe(1);
    await player.keys('/ "flag:UC" enter');
    expect(player.state.filters).toEqual(['flag:UC']);
    expect(player.state.snapshot?.rows.length).toBe(1);
    await player.keys('escape');
    expect(player.state.snapshot?.rows.length).toBe(1);
  });

  it('keeps entered filters, and recalls them with their preview', async () => {
    const player = await (await play(INCIDENT)).keys('/ "flag:UC" enter x / "code:503" enter x');
    expect(player.done).toEqual([
      { kind: 'save', filter: 'flag:UC' },
      { kind: 'save', filter: 'code:503' },
    ]);
    await player.keys('/ up up up');
    expect(player.state.prompt).toMatchObject({ text: 'flag:UC', recalled: 1 });
    expect(player.state.snapshot?.failures).toBe(12);
    await player.keys('down down down');
    expect(player.state.prompt?.text).toBe('');
    await player.keys('up enter');
    expect(player.state.filters).toEqual(['code:503']);
    await player.keys(': "forget flag:UC" enter');
    expect(player.state.saved).toEqual(['code:503']);
    expect(player.done.at(-1)).toEqual({ kind: 'forget', filter: 'flag:UC' });
    await player.keys(': "forget flag:UC" enter');
    expect(player.text).toContain('not kept: flag:UC');
    await player.keys(': "forget all" enter');
    expect(player.state.saved).toEqual([]);
  });

  it('keeps the last good preview and the prompt while a filter is wrong', async () => {
    const player = await (await play(INCIDENT)).keys('/ "cod>=1" enter');
    expect(player.state.prompt?.error).toEqual({ message: "no field 'cod'; did you mean code?", at: 1 });
    expect(player.state.filters).toEqual([]);
    await player.keys('ctrl-u "flag:UF" left left backspace "X" escape');
    expect(player.state.prompt).toBeNull();
  });

  it('plays under a virtual clock and explains what was known then', async () => {
    const player = await (await play(INCIDENT)).keys(': "seek 08:13:50" enter');
    expect(player.state.snapshot?.rows).toEqual([]);
    expect(player.text).toContain('no failures in');
    expect(player.text).toContain('PAUSED +');
    await player.keys(': "speed 10" enter space');
    await player.send({ kind: 'tick', elapsedMs: 500 });
    expect(player.state.snapshot?.rows[0]?.explanation?.failures).toBeGreaterThan(0);
    const soon = player.state.snapshot!.rows.reduce((sum, row) => sum + row.failures, 0);
    await player.send({ kind: 'tick', elapsedMs: 60_000 });
    expect(player.state.clock).toMatchObject({ now: null, playing: false });
    expect(player.state.snapshot!.rows.reduce((sum, row) => sum + row.failures, 0)).toBeGreaterThan(soon);
  });

  it('steps, seeks by a cell, to the next failure and to the ends', async () => {
    const player = await (await play(INCIDENT)).keys('home');
    const { first, last } = player.state.snapshot!;
    expect(player.state.clock.now).toBe(first);
    await player.keys('.');
    expect(player.state.clock.now).toBe(first + 1000);
    await player.keys(', right');
    expect(player.state.clock.now).toBeCloseTo(first + (last - first) / 73, 0);
    await player.keys(']');
    expect(new Date(player.state.clock.now!).toISOString()).toContain('08:13:54.7');
    await player.keys('end');
    expect(player.state.clock.now).toBeNull();
  });

  it('seeks where the timeline is clicked, wherever it stands', async () => {
    const player = await play(INCIDENT);
    const { first, last } = player.state.snapshot!;
    await player.send({ kind: 'click', row: 3, column: 37 });
    expect(player.state.clock.now).toBeCloseTo(first + (37 / 73) * (last - first), 0);
    await player.keys('end / "is:failed" enter');
    await player.send({ kind: 'click', row: 2, column: 10 });
    expect(player.state.clock.now).toBeNull();
    await player.send({ kind: 'click', row: 5, column: 10 });
    expect(player.state.clock.now).not.toBeNull();
  });

  it('edits a filter by whole characters', async () => {
    const player = await (await play(INCIDENT)).keys('/ "a😀b" left backspace');
    expect(player.state.prompt).toMatchObject({ text: 'ab', cursor: 1 });
    await player.keys('home right delete right right');
    expect(player.state.prompt).toMatchObject({ text: 'a', cursor: 1 });
  });

  it('begins where the command line says', async () => {
    const player = await play(INCIDENT);
    const { first, last } = player.state.snapshot!;
    await player.send({ kind: 'begin', from: first + 5_000, to: null, play: true });
    expect(player.state.clock).toMatchObject({ now: first + 5_000, playing: true });
    expect(player.state.window.range).toEqual([first + 5_000, last]);
  });

  it('starts over when played at the end', async () => {
    const player = await (await play(INCIDENT)).keys('space');
    expect(player.state.clock).toMatchObject({ now: player.state.snapshot!.first, playing: true });
    await player.keys('space');
    expect(player.state.clock.playing).toBe(false);
  });

  it('freezes the picture while reading, and counts what goes by', async () => {
    const player = await play(INCIDENT);
    player.state = {
      ...player.state,
      reading: { ...player.state.reading, done: false, share: 0.5, lines: 500 },
    };
    await player.keys('space');
    await player.send({ kind: 'progress', reading: { ...player.state.reading, lines: 3_610 } });
    expect(player.text.split('\n')[0]).toContain('PAUSED +3,110');
    const frozen = player.state.snapshot;
    await player.send({ kind: 'snapshot', snapshot: { ...frozen!, failures: 999 } });
    expect(player.state.snapshot).toBe(frozen);
    await player.keys('space');
    expect(player.state.frozenAt).toBeNull();
  });

  it('counts by time windows and zooms', async () => {
    const player = await (await play(INCIDENT)).keys(': "window 20s" enter');
    expect(player.state.snapshot?.requests).toBeLessThan(530);
    expect(player.text).toContain('last 20s');
    await player.keys('0 z');
    const [from, to] = player.state.window.range!;
    expect(to - from).toBeCloseTo((player.state.snapshot!.last - player.state.snapshot!.first) / 2, 0);
    await player.keys('Z');
    expect(player.state.window.range).toBeNull();
    await player.keys('2');
    expect(player.state.window.last).toBe(60_000);
  });

  it('keeps the cursor on the row that was chosen when the order changes', async () => {
    const player = await (await play('booking-evening-mix')).keys('down');
    const upstream = selectedRow(player.state)?.upstream;
    const places = new Set([player.state.homeCursor]);
    for (const keys of [': "sort since" enter', 's', ': "sort failed" enter']) {
      await player.keys(keys);
      expect(selectedRow(player.state)?.upstream).toBe(upstream);
      places.add(player.state.homeCursor);
    }
    expect(places.size).toBeGreaterThan(1);
  });

  it('copies the confirming command, or shows it where the terminal takes no copy', async () => {
    const player = await (await play(INCIDENT)).keys('c');
    const command = 'kubectl -n store describe pod checkout-9f98g5nwm-zzvvr';
    expect(player.done).toEqual([{ kind: 'copy', text: command }]);
    player.state = { ...player.state, canCopy: false };
    await player.keys('c');
    expect(paneOf(player.state)).toEqual({ kind: 'text', title: 'select and copy', text: command });
  });

  it('gives a command that opens the same view', async () => {
    const player = await (await play(INCIDENT)).keys('/ "code>=500 path:/a*" enter Y');
    expect(player.done.slice(1)).toEqual([
      { kind: 'copy', text: "meshtail samples/incidents/checkout-app-crash --filter 'code>=500 path:/a*'" },
    ]);
  });

  it('writes a brief in which log text is no markup', async () => {
    const player = await (await play(INCIDENT)).keys('w enter');
    const [effect] = player.done;
    expect(effect).toMatchObject({ kind: 'write', path: 'brief.md', overwrite: false });
    const text = effect?.kind === 'write' ? effect.text : '';
    expect(text).toContain('**HIGH · app · One of 3 pods');
    expect(text).toContain('kubectl -n store describe pod');
  });

  it('asks a live target for the logs that would decide, and says why files cannot be widened', async () => {
    const player = await (await play(INCIDENT)).keys('+');
    expect(player.text).toContain('saved logs cannot be widened');
    const live: Live = { phase: 'streaming', streams: [], since: { at: 0, reason: '' }, limits: [] };
    await player.send({ kind: 'live', live });
    await player.keys('+');
    expect(player.done.at(-1)).toEqual({ kind: 'widen', row: player.state.snapshot!.rows[0]!.key });
  });

  it('has the incident that is looked at held against a live target’s cluster, once', async () => {
    const live: Live = { phase: 'streaming', streams: [], since: { at: 0, reason: '' }, limits: [] };
    const player = await play('booking-evening-mix');
    const [first, second] = player.state.snapshot!.rows.map(({ key }) => key);
    await player.keys('down up');
    expect(player.done).toEqual([]);
    await player.send({ kind: 'live', live });
    await player.send({ kind: 'live', live });
    expect(player.done).toEqual([{ kind: 'verify', row: first }]);
    await player.keys('down');
    await player.keys('e');
    expect(player.done).toEqual([first, second].map((row) => ({ kind: 'verify', row })));
  });

  it('copies what would lift what is in the way', async () => {
    const live: Live = { phase: 'logging-off', found: [], fix: ['kubectl apply -f a', 'kubectl get b'] };
    const player = await new Player(blank(), null).send({ kind: 'live', live });
    await player.keys('c');
    expect(player.done).toEqual([{ kind: 'copy', text: 'kubectl apply -f a\nkubectl get b' }]);
  });

  it('helps with a misspelt command', async () => {
    const player = await (await play(INCIDENT)).keys(': "seeek 1" enter');
    expect(player.text).toContain("no command 'seeek'; did you mean seek?");
  });

  it('survives any key in any pane, with and without something to show', async () => {
    const all = [
      ...'abcdefghijklmnoprstuvwxyzABCGJKYZ0123456789/?.,<>[]+-!',
      'up',
      'down',
      'left',
      'right',
      'enter',
      'escape',
      'space',
      'tab',
      'shift-tab',
      'backspace',
      'delete',
      'pageup',
      'pagedown',
      'home',
      'end',
      'ctrl-u',
      'ctrl-l',
    ];
    for (const player of [new Player(blank(), null), await play(INCIDENT)]) {
      let seed = 7;
      for (let i = 0; i < 1500; i++) {
        seed = (seed * 1103515245 + 12345) & 0x7fffffff;
        await player.send({ kind: 'key', key: all[seed % all.length]! });
        if (i % 10 === 0) expect(player.text.split('\n').length).toBe(25);
      }
    }
  });
});
