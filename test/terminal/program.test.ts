import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import pty from '@lydell/node-pty';
import xterm from '@xterm/headless';
import { afterEach, describe, expect, it } from 'vitest';
import { screenText, until } from './emulator.js';

// The built program in a pseudo-terminal, read by a terminal emulator.
const BIN = resolve('bin/meshtail.js');
const CRASH = resolve('samples/incidents/checkout-app-crash');

class Session {
  readonly terminal: InstanceType<typeof xterm.Terminal>;
  readonly pty: pty.IPty;
  written = '';
  exit: { exitCode: number; signal?: number | undefined } | undefined;

  constructor(args: string[], { columns = 80, rows = 24, env = {}, shell = '' } = {}) {
    this.terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
    const [file, words] = shell ? ['/bin/sh', ['-c', shell]] : [process.execPath, [BIN, ...args]];
    this.pty = pty.spawn(file, words, {
      name: (env as { TERM?: string }).TERM ?? 'xterm-256color',
      cols: columns,
      rows,
      env: { PATH: process.env['PATH'] ?? '', TERM: 'xterm-256color', LANG: 'C.UTF-8', ...env },
    });
    this.pty.onData((data) => {
      this.written += data;
      this.terminal.write(data);
    });
    this.pty.onExit((exit) => {
      this.exit = exit;
    });
    this.terminal.onData((data) => this.pty.write(data));
  }

  get text(): string {
    return screenText(this.terminal);
  }
  shows(text: string): Promise<void> {
    return until(
      () => this.text.includes(text),
      () => `'${text}' in\n${this.text}`,
      15_000,
    );
  }
  async keys(keys: string, text: string): Promise<void> {
    this.pty.write(keys);
    await this.shows(text);
  }
  async ends(): Promise<void> {
    await until(
      () => this.exit !== undefined,
      () => `an end of\n${this.text}`,
      15_000,
    );
    await new Promise<void>((done) => this.terminal.write('', done));
  }
  /** The terminal as the shell wants it: normal buffer, cursor there, no mouse. */
  restored(): void {
    expect(this.terminal.buffer.active.type).toBe('normal');
    expect(this.written.lastIndexOf('\x1b[?25h')).toBeGreaterThan(this.written.lastIndexOf('\x1b[?25l'));
    expect(this.terminal.modes.mouseTrackingMode).toBe('none');
  }
}

const open: Session[] = [];
function session(...args: ConstructorParameters<typeof Session>): Session {
  const started = new Session(...args);
  open.push(started);
  return started;
}
afterEach(() => {
  for (const one of open.splice(0)) if (!one.exit) one.pty.kill('SIGKILL');
});

describe('the program in a terminal', () => {
  it('goes from home to a raw line and back, filters, seeks, pauses, resizes and quits', async () => {
    const run = session([CRASH]);
    await run.shows('evidence');
    await run.keys('\r', 'by [pod]');
    await run.keys('\r', 'line 1 of');
    await run.keys('\r', '[2026-11-23T08:13:52.541Z] "GET /checkout');
    await run.keys('J', '2 lines of 2 proxies');
    await run.keys('qqqq', '[q]quit');
    await run.keys('/code>=500 pod:*zzvvr\r', 'only  code>=500 pod:*zzvvr');
    await run.keys('x:seek 08:13:58\r', 'PAUSED +');
    await run.keys(' ', 'playing');
    await run.keys(' ', 'PAUSED');
    run.terminal.resize(20, 5);
    run.pty.resize(20, 5);
    await run.shows('too small: 20x5');
    run.terminal.resize(120, 40);
    run.pty.resize(120, 40);
    await run.shows('SEVERITY');
    run.pty.write('q');
    await run.ends();
    expect(run.exit).toMatchObject({ exitCode: 0 });
    run.restored();
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGINT', 130],
    ['SIGQUIT', 131],
  ])('gives the terminal back on %s', async (signal, status) => {
    const pid = join(mkdtempSync(join(tmpdir(), 'meshtail-')), 'pid');
    const program = `sh -c 'echo $$ > ${pid}; exec ${process.execPath} ${BIN} ${CRASH} --mouse'`;
    const run = session([], { shell: `trap '' QUIT INT; ${program}; echo status $?; stty -a` });
    await run.shows('evidence');
    process.kill(Number(readFileSync(pid, 'utf8')), signal);
    await run.ends();
    // What is typed is shown and comes by lines, as the shell had it. It may be read after the end is told.
    await until(
      () => /(?<!-)icanon\b[^]*(?<!-)echo\b/.test(run.written),
      () => `the terminal's modes in\n${run.written}`,
      5_000,
    );
    expect(run.written).toContain(`status ${status}`);
    run.restored();
  });

  // What is thrown in the middle of a message, and in the thread that reads.
  it.each([
    [
      'inside update',
      "const real = JSON.stringify; if (isMainThread) JSON.stringify = (value, ...more) => { if (value?.filter === 'boom') throw new Error('boom'); return real(value, ...more); };",
      '/boom',
    ],
    ['in the reading thread', 'if (!isMainThread) setInterval(explode, 50);', ''],
    ['beside all', 'if (isMainThread) setInterval(explode, 50);', ''],
  ])('gives the terminal back on a crash %s, and shows its trace there', async (_, code, keys) => {
    const folder = mkdtempSync(join(tmpdir(), 'meshtail-'));
    const [boom, now] = [join(folder, 'boom.mjs'), join(folder, 'now')];
    writeFileSync(
      boom,
      `import { existsSync } from 'node:fs'; import { isMainThread } from 'node:worker_threads';
       const explode = () => { if (existsSync(${JSON.stringify(now)})) throw new Error('boom'); };
       ${code}`,
    );
    const run = session([CRASH], { env: { NODE_OPTIONS: `--import=${boom}` } });
    await run.shows('evidence');
    writeFileSync(now, '');
    if (keys) run.pty.write(keys);
    await run.ends();
    expect(run.exit?.exitCode).toBe(1);
    run.restored();
    expect(run.text).toContain('Error: boom');
  });

  it.each([
    ['ctrl-z', (run: Session) => run.pty.write('\x1a')],
    ['SIGTSTP', (run: Session) => run.pty.kill('SIGTSTP')],
  ])('stops on %s and goes on with the picture as it was', async (_, stop) => {
    const run = session([CRASH, '--mouse']);
    await run.shows('evidence');
    for (let i = 0; i < 2; i++) {
      stop(run);
      await until(
        () => run.terminal.buffer.active.type === 'normal',
        () => run.text,
      );
      expect(run.terminal.modes.mouseTrackingMode).toBe('none');
      run.pty.kill('SIGCONT');
      await run.shows('evidence');
      expect(run.terminal.buffer.active.type).toBe('alternate');
    }
    run.pty.write('\x03');
    await run.ends();
    expect(run.exit?.exitCode).toBe(0);
    run.restored();
  });

  it('gives a terminal that stood still the newest picture, not all that it missed', async () => {
    const run = session([CRASH], { columns: 240, rows: 70 });
    await run.shows('evidence');
    run.pty.pause();
    const before = run.written.length;
    for (let i = 0; i < 100; i++) {
      run.pty.write('?q');
      await new Promise((done) => setTimeout(done, 20));
    }
    run.pty.write('?');
    run.pty.resume();
    await run.shows('home › help');
    // Two hundred pictures would be some 2 MB.
    expect(run.written.length - before).toBeLessThan(500_000);
    run.pty.write('\x03');
    await run.ends();
    run.restored();
  });

  it('copies through the terminal, or shows what to select where it takes no copy', async () => {
    const command = 'kubectl -n store describe pod checkout-9f98g5nwm-zzvvr';
    const run = session([CRASH]);
    await run.shows('evidence');
    await run.keys('c', 'copied: kubectl');
    expect(run.written).toContain(`\x1b]52;c;${Buffer.from(command).toString('base64')}\x07`);
    const old = session([CRASH], { env: { TERM: 'linux' } });
    await old.shows('evidence');
    await old.keys('c', `select and copy\n\n${command}`);
    expect(old.written).not.toContain('\x1b]52');
    for (const one of [run, old]) {
      one.pty.write('\x03');
      await one.ends();
      one.restored();
    }
  });

  it('takes keys from the terminal while a log is piped in, and lets nothing of it through', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'meshtail-'));
    const file = join(folder, 'hostile.log');
    const line = (path: string): string =>
      `[2026-11-23T08:13:54.880Z] "GET ${path} HTTP/1.1" 503 UF - - "-" 0 145 21 - "-" "\u202e{red-fg}😀\u009b2J" "id" "evil.shop" "10.0.0.1:80" outbound|80||evil.shop.svc.cluster.local - 10.96.1.1:80 10.244.44.2:51234 - default\n`;
    writeFileSync(file, line('/\x1b]0;owned\x07\x1b[2J') + line('/日本語') + line(`/${'a'.repeat(100_000)}`));
    const run = session([], { shell: `cat ${file} | ${process.execPath} ${BIN}` });
    await run.shows('standard input');
    await run.keys('l', 'as logged');
    await run.keys('g\r', 'response_flags');
    await run.keys('j'.repeat(40), 'route that matched');
    run.pty.write('qqq');
    await run.ends();
    expect(run.written).not.toContain('owned\x07');
    expect(run.written).not.toMatch(/[\u009b\u202e]/);
    run.restored();
  });

  it('counts a moment of a long recording at once, explains it then, and gives it up for the next one', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'meshtail-')), 'long.log');
    const log = gunzipSync(readFileSync(join(CRASH, 'edge-bff-x9xzqfwfrw-sc2tb.log.gz'))).toString();
    const again = (line: string, i: number): string =>
      line.replace(
        /"([0-9a-f]{8})(-[0-9a-f-]{27})"/,
        (_, id, rest) => `"${String(i).padStart(8, '0')}${rest}"`,
      );
    const lines = log.split('\n').filter((line) => line.startsWith('['));
    const copies = Array.from({ length: Math.ceil(24_000 / lines.length) }, (_, i) =>
      lines.map((line) => again(line, i)),
    );
    writeFileSync(file, `${copies.flat().join('\n')}\n`);
    const run = session([file]);
    await run.shows('evidence');
    await until(
      () => !run.text.includes(' reading '),
      () => run.text,
      30_000,
    );
    const seek = (time: string): Promise<void> =>
      run.keys(`:seek ${time}\r`, `explaining what was known at ${time}`);
    await seek('08:13:57');
    const before = run.written.length;
    await seek('08:13:58');
    await seek('08:13:59');
    expect(run.written.slice(before)).not.toContain('evidence');
    await run.shows('evidence');
    expect(run.text).toMatch(/08:13:59 .*PAUSED/);
    run.pty.write('q');
    await run.ends();
    run.restored();
  });

  it('prints the report where TERM is dumb', async () => {
    const run = session([CRASH], { env: { TERM: 'dumb' } });
    await run.ends();
    expect(run.written).toContain('cannot show the screen');
    expect(run.written).toMatch(/incident/);
    expect(run.written).not.toContain('\x1b[?1049h');
  });

  it('writes a brief and does not overwrite one', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'meshtail-'));
    const path = join(folder, 'b.md');
    const run = session(['demo', 'reviews-route-miss']);
    await run.shows('evidence');
    await run.keys(`:w ${path}\r`, 'written');
    await run.keys(`:w ${path}\r`, 'is there already');
    expect(readFileSync(path, 'utf8')).toContain('vs-route-no-match');
    run.pty.write('q');
    await run.ends();
  });
});

describe('filters', () => {
  it('outlive a session, and are left alone where nothing can be kept', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'meshtail-'));
    for (const [home, kept] of [
      [folder, 'flag:UC'],
      ['/proc/nowhere', 'filters are not kept'],
    ] as const) {
      const first = session([CRASH], { env: { XDG_STATE_HOME: home } });
      await first.shows('evidence');
      await first.keys('/flag:UC\r', home === folder ? 'only  flag:UC' : kept);
      first.pty.write('\x03');
      await first.ends();
    }
    const second = session([CRASH], { env: { XDG_STATE_HOME: folder } });
    await second.shows('evidence');
    await second.keys('/', 'kept: flag:UC');
    await second.keys('\x1b[A', '12 requests, 12 failed');
    second.pty.write('\x03\x03');
    await second.ends();
    second.restored();
  });
});

describe('the program without a terminal', () => {
  it('prints the report of a demo, and the names of all', () => {
    const run = (...args: string[]): string =>
      execFileSync(process.execPath, [BIN, 'demo', ...args], { encoding: 'utf8' });
    expect(run('checkout-app-crash')).toMatch(/^\d+ incident/);
    expect(run('list')).toContain('intranet-quiet-day');
  });
});
