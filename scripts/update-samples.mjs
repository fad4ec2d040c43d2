// Writes anew what the program says of every bundled incident. Run it after a change that is meant, and read the diff.
import { readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { reportOn } from './score/compare.mjs';
import { reportText } from '../dist/src/output/report-text.js';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
for (const name of readdirSync('samples/incidents')) {
  const folder = join('samples/incidents', name);
  const { report } = await reportOn(folder);
  writeFileSync(join(folder, 'report.txt'), reportText(report));
}
