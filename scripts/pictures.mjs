// Pictures of the screen for the documents, from real runs of the built program in a pseudo-terminal that an emulator
// reads: `npm run pictures` draws docs/pictures anew, `node scripts/pictures.mjs --check` says which are no longer true.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pty from '@lydell/node-pty';
import xterm from '@xterm/headless';
import { svgOf } from './terminal-svg.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'docs', 'pictures');
/** Name, size, incident, and keys, each with the text that tells that it was answered. */
const PICTURES = [
  ['home', 100, 30, 'checkout-app-crash', []],
  ['drill', 100, 15, 'checkout-app-crash', [['\r', 'by [pod]']]],
  [
    'record',
    100,
    31,
    'checkout-app-crash',
    [
      ['\r', 'by [pod]'],
      ['\r', 'line 1 of'],
      ['\r', 'response_flags'],
    ],
  ],
  ['journey', 100, 18, 'ordering-chain-deep-500', [['J', 'PROXY']]],
  ['replay', 100, 30, 'checkout-app-crash', [[':seek 08:13:56\r', 'still going']]],
  ['quiet', 100, 20, 'intranet-quiet-day', []],
];

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function picture(columns, rows, incident, keys) {
  const terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
  const run = pty.spawn(process.execPath, ['bin/meshtail.js', `samples/incidents/${incident}`], {
    name: 'xterm-256color',
    cols: columns,
    rows,
    cwd: root,
    env: { PATH: process.env.PATH, TERM: 'xterm-256color', LANG: 'C.UTF-8' },
  });
  let heardAt = performance.now();
  run.onData((data) => {
    heardAt = performance.now();
    terminal.write(data);
  });
  const text = () =>
    Array.from(
      { length: rows },
      (_, i) => terminal.buffer.active.getLine(i)?.translateToString(true) ?? '',
    ).join('\n');
  const shows = async (wanted) => {
    const end = performance.now() + 60_000;
    while (!text().includes(wanted) || text().includes(' reading ')) {
      if (performance.now() > end) throw new Error(`${incident}: '${wanted}' does not come\n${text()}`);
      await sleep(20);
    }
  };
  try {
    await shows('(end)');
    for (const [key, wanted] of keys) {
      run.write(key);
      await shows(wanted);
    }
    // Whatever is still drawn.
    while (performance.now() - heardAt < 400) await sleep(50);
    return svgOf(terminal);
  } finally {
    run.kill('SIGKILL');
  }
}

const stale = [];
const check = process.argv.includes('--check');
mkdirSync(folder, { recursive: true });
await Promise.all(
  PICTURES.map(async ([name, ...how]) => {
    const path = join(folder, `${name}.svg`);
    const drawn = await picture(...how);
    if (!check) writeFileSync(path, drawn);
    else if (readFileSync(path, 'utf8') !== drawn) stale.push(`docs/pictures/${name}.svg`);
  }),
);
if (stale.length > 0) {
  process.stderr.write(
    `no longer what the screen shows: ${stale.join(', ')}\nnpm run pictures draws them anew\n`,
  );
}
process.exit(stale.length > 0 ? 1 : 0);
