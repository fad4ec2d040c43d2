import { describe, expect, it } from 'vitest';
import { Terminal } from '../../src/terminal/run.js';
import { Screen } from '../../src/terminal/screen.js';
import { span, frameText, type Frame } from '../../src/view/frame.js';
import { view } from '../../src/view/view.js';
import { play } from '../view/player.js';
import { Emulator, until } from './emulator.js';

const options = (emulator: Emulator, colours: 0 | 16 | 256 = 256) => ({
  input: emulator.input,
  output: emulator.output,
  colours,
  terminfo: 'xterm-256color',
  mouse: false,
});
const silent = { key: () => {}, size: () => {}, wheel: () => {}, click: () => {} };
const frame = (...lines: string[]): Frame => ({ lines: lines.map((line) => [span(line)]), cursor: null });

describe('the adapter', () => {
  it.each([0, 16, 256] as const)('draws a frame cell by cell in %i colours', async (colours) => {
    const emulator = new Emulator(120, 40);
    const screen = new Screen(options(emulator, colours), silent);
    for (const keys of ['', 'enter', 'enter', 'enter', 'q q q ?']) {
      const player = await (await play('checkout-app-crash', 120, 40)).keys(keys);
      const drawn = view(player.state);
      screen.draw(drawn);
      expect((await emulator.text()).trimEnd()).toBe(frameText(drawn).trimEnd());
    }
    if (colours === 0) expect(emulator.written).not.toMatch(/\x1b\[[0-9;]*(?:3[0-7]|38;5)[0-9;]*m/);
    screen.leave();
    await emulator.text();
    expect(emulator.terminal.buffer.active.type).toBe('normal');
  });

  it('draws hostile text as text, also where only a part changes', async () => {
    const emulator = new Emulator(60, 15);
    const screen = new Screen(options(emulator), silent);
    const hostile = [
      '\x1b]0;owned\x07 \x1b[2J',
      '{red-fg}tag{/} {open}',
      '\u009b2J\u202eabc',
      '日本語 x\u0301 😀',
      'a\u200bb\u2028c',
    ];
    for (let i = 0; i < hostile.length; i++) {
      const drawn = frame(...hostile.slice(i), ...hostile.slice(0, i), 'last');
      screen.draw(drawn);
      expect((await emulator.text()).trimEnd()).toBe(frameText(drawn).trimEnd());
    }
    expect(emulator.written).not.toContain('owned\x07');
    expect(emulator.written).not.toContain('\u202e');
    screen.leave();
  });

  it('turns keys into messages, answers a resize, draws at most ten pictures a second by itself', async () => {
    const emulator = new Emulator(80, 24);
    const player = await play('checkout-app-crash');
    const { engine } = player;
    const terminal: Terminal = new Terminal(player.state, {
      ...options(emulator),
      now: () => performance.now(),
      effect: (effect) => {
        if (effect.kind === 'ask') {
          void engine!.answer(effect.spec).then((snapshot) => terminal.send({ kind: 'snapshot', snapshot }));
        }
      },
    });
    terminal.start();
    const shows = (text: string): Promise<void> =>
      until(
        async () => (await emulator.text()).includes(text),
        () => `${text} in\n${emulator.written.slice(-200)}`,
      );
    await shows('evidence');
    emulator.input.write('\r');
    await shows('by [pod]');
    emulator.input.write('\x1b[C');
    await shows('by  pod [host]');
    emulator.input.write('q');
    await shows('evidence');
    emulator.resize(20, 5);
    await shows('too small: 20x5');
    emulator.resize(100, 30);
    await shows('SEVERITY');

    let drawn = 0;
    const write = emulator.output.write.bind(emulator.output);
    emulator.output.write = ((...args: Parameters<typeof write>) => {
      drawn++;
      return write(...args);
    }) as typeof write;
    const snapshot = player.state.snapshot!;
    const end = performance.now() + 500;
    for (let i = 0; performance.now() < end; i++) {
      terminal.send({ kind: 'snapshot', snapshot: { ...snapshot, failures: i } });
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(drawn).toBeLessThanOrEqual(14);
    emulator.input.write('q');
    await terminal.end;
    await emulator.text();
    expect(emulator.terminal.buffer.active.type).toBe('normal');
  });
});
