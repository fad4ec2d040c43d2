import { PassThrough, Writable } from 'node:stream';
import xterm from '@xterm/headless';

/** A terminal emulator, and streams that a screen takes for one. */
export class Emulator {
  readonly terminal: InstanceType<typeof xterm.Terminal>;
  readonly input: PassThrough;
  readonly output: Writable & { columns: number; rows: number; isTTY: boolean };
  written = '';

  constructor(columns = 80, rows = 24) {
    this.terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 0 });
    this.input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => this.input });
    const write = (chunk: unknown, _encoding: string, done: () => void): void => {
      this.written += String(chunk);
      this.terminal.write(String(chunk), done);
    };
    this.output = Object.assign(new Writable({ write, decodeStrings: false }), {
      columns,
      rows,
      isTTY: true,
    });
  }

  resize(columns: number, rows: number): void {
    this.terminal.resize(columns, rows);
    Object.assign(this.output, { columns, rows });
    this.output.emit('resize');
  }

  /** What is on the screen, after all that was written. */
  async text(): Promise<string> {
    // The drawing library hands its output on in a later turn.
    await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise<void>((resolve) => this.terminal.write('', resolve));
    return screenText(this.terminal);
  }
}

export function screenText(terminal: InstanceType<typeof xterm.Terminal>): string {
  const { active } = terminal.buffer;
  return Array.from({ length: terminal.rows }, (_, i) =>
    (active.getLine(active.viewportY + i)?.translateToString(true) ?? '').trimEnd(),
  ).join('\n');
}

/** Waits until something holds, without guessing how long it takes. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: () => string,
  ms = 8_000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
