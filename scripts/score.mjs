// How well the explanations do on every incident of samples/incidents whose truth is known, beside the dictionary that
// reads the most frequent flag. `--write` stores the result as `now`; `first` is stored once and never edited.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { scoreOf, totalsOf } from './score/compare.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'samples/incidents');
const stored = join(root, 'samples/score.json');
const only = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));

const names = readdirSync(folder)
  .filter((name) => existsSync(join(folder, name, 'truth.json')))
  .filter((name) => only.length === 0 || only.includes(name));
const results = [];
for (const name of names) {
  const truth = JSON.parse(readFileSync(join(folder, name, 'truth.json'), 'utf8'));
  results.push(await scoreOf(join(folder, name), name, truth));
}

const mark = (value) =>
  value === null ? '·' : value === true ? 'yes' : value === false ? 'NO' : String(value);
const rows = results.map((result) => [
  result.id,
  result.expected,
  result.named,
  mark(result.cause),
  mark(result.place),
  result.onsetError === null ? '·' : `${(result.onsetError / 1000).toFixed(1)} s`,
  mark(result.quiet),
  mark(result.second),
  mark(result.dictionary),
]);
const head = [
  'incident',
  'truth',
  'named first',
  'cause',
  'place',
  'onset off',
  'quiet',
  'second',
  'dictionary',
];
const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
for (const row of [head, ...rows])
  console.log(
    row
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('  ')
      .trimEnd(),
  );
// Recordings were at hand while rules were written; the others were not.
const totals = { all: totalsOf(results), written: totalsOf(results.filter(({ recorded }) => !recorded)) };
console.log('');
for (const [name, counts] of Object.entries(totals)) console.log(name, JSON.stringify(counts));
if (process.argv.includes('--write') && only.length === 0) {
  const known = existsSync(stored) ? JSON.parse(readFileSync(stored, 'utf8')) : {};
  const now = { totals, incidents: Object.fromEntries(results.map(({ id, ...rest }) => [id, rest])) };
  writeFileSync(stored, `${JSON.stringify({ first: known.first ?? { totals }, now }, null, 1)}\n`);
}
