// How well the explanations do on every incident of samples/incidents whose truth is known, beside the dictionary that
// reads the most frequent flag. `--variants` does so with one side's logs missing, clocks apart and lines lost. `--write` stores the result as `now`; `first` is stored once and never edited.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { scoreOf, totalsOf } from './score/compare.mjs';
import { variantsOf, variantTotals } from './score/variants.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'samples/incidents');
const stored = join(root, 'samples/score.json');
const only = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));

const names = readdirSync(folder)
  .filter((name) => existsSync(join(folder, name, 'truth.json')))
  .filter((name) => only.length === 0 || only.includes(name));
const truthOf = (name) => JSON.parse(readFileSync(join(folder, name, 'truth.json'), 'utf8'));
if (process.argv.includes('--variants')) {
  await variants(names.filter((name) => truthOf(name).without || process.argv.includes('--all')));
  process.exit(0);
}
const results = [];
for (const name of names) {
  results.push(await scoreOf(join(folder, name), name, truthOf(name)));
}

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
print([head, ...rows]);
// Recordings were at hand while rules were written; the others were not.
const totals = { all: totalsOf(results), written: totalsOf(results.filter(({ recorded }) => !recorded)) };
console.log('');
for (const [name, counts] of Object.entries(totals)) console.log(name, JSON.stringify(counts));
if (process.argv.includes('--write') && only.length === 0) {
  const known = existsSync(stored) ? JSON.parse(readFileSync(stored, 'utf8')) : {};
  const now = { totals, incidents: Object.fromEntries(results.map(({ id, ...rest }) => [id, rest])) };
  writeFileSync(stored, `${JSON.stringify({ first: known.first ?? { totals }, now }, null, 1)}\n`);
}

function print(lines) {
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  for (const line of lines)
    console.log(
      line
        .map((cell, i) => cell.padEnd(widths[i]))
        .join('  ')
        .trimEnd(),
    );
}

/** One line an incident and variant: what is named first, how surely, whether that is right, and whether a missing log is asked for. */
async function variants(chosen) {
  const lines = [['incident', 'variant', 'named first', 'confidence', 'right', 'asks']];
  const all = [];
  for (const name of chosen) {
    const found = await variantsOf(join(folder, name), name, truthOf(name));
    all.push(found);
    const row = (variant, { named, confidence, right, asks = null }) =>
      lines.push([name, variant, named, confidence ?? '-', mark(right), mark(asks)]);
    row('both sides', found.both);
    row('3 s apart', found.skewed);
    row('a tenth lost', found.thinned);
    found.without.forEach((one, i) =>
      row(
        `without ${truthOf(name)
          .without[i].remove.map((pod) => pod.slice(0, pod.indexOf('-')))
          .filter((app, k, apps) => apps.indexOf(app) === k)
          .join('+')}`,
        one,
      ),
    );
  }
  print(lines);
  console.log('');
  console.log(JSON.stringify(variantTotals(all)));
}

function mark(value) {
  return value === null ? '·' : value === true ? 'yes' : value === false ? 'NO' : String(value);
}
