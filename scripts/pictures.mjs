// Pictures of the screen for the README, from real runs of the built program in a pseudo-terminal, so that they stay
// true: `node scripts/pictures.mjs` prints them; with a file's name it puts them between its markers
// <!-- picture NAME --> and <!-- /picture -->.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import pty from '@lydell/node-pty';
import xterm from '@xterm/headless';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Name, size, demo, and keys, each with the text that tells that it was answered. */
const PICTURES = [
  ['home', 80, 24, 'checkout-app-crash', []],
  ['drill', 80, 15, 'checkout-app-crash', [['\r', 'by [pod]']]],
  ['replay', 80, 24, 'checkout-app-crash', [[':seek 08:13:57\r', 'PAUSED +']]],
  ['quiet', 80, 24, 'intranet-quiet-day', []],
];

async function picture(columns, rows, demo, keys) {
  const terminal = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
  const run = pty.spawn(process.execPath, ['bin/meshtail.js', 'demo', demo], {
    name: 'xterm-256color',
    cols: columns,
    rows,
    cwd: root,
    env: { ...process.env, TERM: 'xterm-256color', LANG: 'C.UTF-8' },
  });
  run.onData((data) => terminal.write(data));
  const text = () =>
    Array.from({ length: rows }, (_, i) =>
      (terminal.buffer.active.getLine(i)?.translateToString(true) ?? '').trimEnd(),
    ).join('\n');
  const shows = async (wanted) => {
    for (let i = 0; !text().includes(wanted); i++) {
      if (i > 500) throw new Error(`${demo}: '${wanted}' does not come\n${text()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await shows('(end)');
  for (const [key, wanted] of keys) {
    run.write(key);
    await shows(wanted);
  }
  // Whatever is still drawn.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const shown = text();
  run.kill();
  return shown;
}

const [file] = process.argv.slice(2);
let document = file === undefined ? '' : readFileSync(file, 'utf8');
for (const [name, columns, rows, demo, keys] of PICTURES) {
  const block = `<!-- picture ${name} -->\n\n\`\`\`text\n${await picture(columns, rows, demo, keys)}\n\`\`\`\n\n<!-- /picture -->`;
  if (file === undefined) process.stdout.write(`${block}\n\n`);
  else {
    const place = new RegExp(`<!-- picture ${name} -->[\\s\\S]*?<!-- /picture -->`);
    document = document.replace(place, () => block);
  }
}
if (file !== undefined) writeFileSync(file, document);
process.exit(0);
