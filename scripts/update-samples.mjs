// Writes anew what the program says of every bundled incident. Run it after a change that is meant, and read the diff.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
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

// Three of them in full, for people who want to know what a report looks like.
const shown = ['checkout-app-crash', 'ticketing-client-cert-refused', 'ledger-network-blocked'];
const pages = shown.map((name) => {
  const text = readFileSync(join('samples/incidents', name, 'report.txt'), 'utf8');
  return `## \`meshtail report samples/incidents/${name}\`\n\n\`\`\`text\n${text}\`\`\`\n`;
});
writeFileSync(
  'docs/reports.md',
  `# Three reports\n\nWhat meshtail says of three recordings of a real Envoy with a known fault each; \`npm run samples\` writes this page.\nWhat was really wrong stands in the \`truth.json\` beside each log.\n\n${pages.join('\n')}`,
);

// Three requests followed hop by hop: the page keeps its words, the program prints the rest.
const journeys = readFileSync('docs/journeys.md', 'utf8');
writeFileSync(
  'docs/journeys.md',
  journeys.replaceAll(/^\$ meshtail (trace .*)\n[^`]*/gm, (_, command) => {
    const printed = execFileSync(process.execPath, ['bin/meshtail.js', ...command.split(' ')]);
    return `$ meshtail ${command}\n${printed}`;
  }),
);
