// The screen under load, measured on the built program in a pseudo-terminal that an emulator reads: 50,000 lines a second
// come through a pipe, and meanwhile keys are pressed. Said are the lines a second that were read, the pictures a second,
// and how long a key waits until its answer can be read. Figures of one machine in one run; nothing here passes or fails.
import { fileURLToPath } from 'node:url';
import pty from '@lydell/node-pty';
import xterm from '@xterm/headless';

const root = fileURLToPath(new URL('../..', import.meta.url));
const [pace = '50000', size = '120x40'] = process.argv.slice(2);
const [columns, rows] = size.split('x').map(Number);
const WATCH_MS = 10_000;
const KEYS = 150;
/** Output with a pause before it begins a new picture. */
const PAUSE_MS = 4;

const terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
const seconds = 5 + WATCH_MS / 1000 + KEYS * 0.3;
const run = pty.spawn(
  '/bin/sh',
  ['-c', `${process.execPath} test/bench/feed.mjs ${pace} ${seconds} | ${process.execPath} bin/meshtail.js`],
  {
    name: 'xterm-256color',
    cols: columns,
    rows,
    cwd: root,
    env: { PATH: process.env.PATH, TERM: 'xterm-256color', LANG: 'C.UTF-8' },
  },
);
let pictures = 0;
let heardAt = 0;
run.onData((data) => {
  const now = performance.now();
  if (now - heardAt > PAUSE_MS) pictures++;
  heardAt = now;
  terminal.write(data);
});

const line = (i) => terminal.buffer.active.getLine(i)?.translateToString(true) ?? '';
const shows = (text) => [0, 1, 2, 3].some((i) => line(i).includes(text));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function until(holds, ms = 30_000) {
  const end = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`it does not come:\n${line(0)}\n${line(1)}\n${line(2)}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
const linesRead = () => Number(/reading ([\d,]+)/.exec(line(0))?.[1]?.replaceAll(',', '') ?? 0);
const say = (what, figure, aim = '') =>
  process.stdout.write(`${what.padEnd(34)}${figure.padStart(22)}  ${aim}\n`);

try {
  await until(() => linesRead() > 0);
  await sleep(2_000);
  const from = { lines: linesRead(), pictures, at: performance.now() };
  await sleep(WATCH_MS);
  const perSecond = (pictures - from.pictures) / ((performance.now() - from.at) / 1000);
  const waits = [];
  for (let i = 0; i < KEYS; i++) {
    // Not in step with what draws by itself.
    await sleep(60 + ((i * 37) % 90));
    const [key, answered] = i % 2 === 0 ? ['?', () => shows('› help')] : ['q', () => !shows('› help')];
    const pressed = performance.now();
    run.write(key);
    await until(answered);
    waits.push(performance.now() - pressed);
  }
  waits.sort((a, b) => a - b);
  const at = (share) =>
    `${waits[Math.min(waits.length - 1, Math.floor(share * waits.length))].toFixed(0)} ms`;
  say(
    `lines a second, ${pace} offered`,
    `${Math.round((linesRead() - from.lines) / ((performance.now() - from.at) / 1000)).toLocaleString('en')}`,
  );
  say('pictures a second', perSecond.toFixed(1), 'aim: at most 10');
  say(`a key answered, ${KEYS} of them`, `p50 ${at(0.5)}, p99 ${at(0.99)}`, 'aim: p99 under 50 ms');
  say('  the slowest', at(1));
  say('lines read in all', linesRead().toLocaleString('en'));
} finally {
  run.kill('SIGKILL');
}
process.exit(0);
