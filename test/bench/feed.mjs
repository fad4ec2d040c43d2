// A mesh that writes to standard output at a pace: `node feed.mjs LINES_PER_SECOND SECONDS`. The lines are those of a real
// recording, healthy and failing, over and over, each batch with the time at which it is written.
import { readdirSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const BATCH_MS = 20;
const folder = fileURLToPath(new URL('../../samples/incidents/checkout-app-crash', import.meta.url));
const [pace = '50000', seconds = '30'] = process.argv.slice(2);
const recorded = readdirSync(folder)
  .filter((name) => name.endsWith('.gz'))
  .flatMap((name) =>
    gunzipSync(readFileSync(join(folder, name)))
      .toString()
      .split('\n'),
  )
  .filter((line) => line.startsWith('[20'))
  .toSorted()
  .map((line) => line.slice(line.indexOf(']')));

const begun = performance.now();
const end = begun + 1000 * Number(seconds);
process.stdout.on('error', () => process.exit(0));
for (let written = 0; performance.now() < end;) {
  const due = Math.floor(((performance.now() - begun) / 1000) * Number(pace));
  if (due > written) {
    const time = new Date().toISOString();
    let batch = '';
    for (; written < due && batch.length < 1 << 20; written++) {
      batch += `[${time}${recorded[written % recorded.length]}\n`;
    }
    if (!process.stdout.write(batch)) await once(process.stdout, 'drain');
  }
  await new Promise((resolve) => setTimeout(resolve, BATCH_MS));
}
