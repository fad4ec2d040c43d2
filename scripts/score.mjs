// How well the explanations do on every incident of samples/incidents whose truth is known, beside the dictionary that
// reads the most frequent flag; those that several proxies logged also with one side's logs missing, clocks apart and
// lines lost. `--write` stores the result as `now`; `first` is stored once and never edited.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { scoreOf, totalsOf } from './score/compare.mjs';
import { answersOf, inWords, isOfSeveralProxies, variantsOf, variantTotals } from './score/variants.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'samples/incidents');
const stored = join(root, 'samples/score.json');
const only = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));

const names = readdirSync(folder)
  .filter((name) => existsSync(join(folder, name, 'truth.json')))
  .filter((name) => only.length === 0 || only.includes(name));
const truthOf = (name) => JSON.parse(readFileSync(join(folder, name, 'truth.json'), 'utf8'));
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

// The same with less to go by: a line for each variant that is told otherwise, then counts.
const varied = new Map();
for (const name of names.filter((one) => isOfSeveralProxies(join(folder, one)))) {
  varied.set(name, await variantsOf(join(folder, name), name, truthOf(name)));
}
const whole = new Map(results.map(({ id, named }) => [id, named]));
const told = [...varied].flatMap(([name, variants]) =>
  Object.entries(answersOf(variants))
    .filter(([, answer]) => answer.named !== whole.get(name))
    .map(([variant, { named, confidence, right, asks = null }]) => [
      name,
      variant,
      named,
      confidence ?? '-',
      mark(right),
      mark(asks),
    ]),
);
console.log('');
print([['incident', 'variant', 'named first', 'confidence', 'right', 'asks'], ...told]);
const variantCounts = variantTotals([...varied.values()]);
console.log('');
console.log('variants', JSON.stringify(variantCounts));
if (process.argv.includes('--write') && only.length === 0) {
  const known = existsSync(stored) ? JSON.parse(readFileSync(stored, 'utf8')) : {};
  const first = known.first ?? { totals };
  const now = {
    totals,
    variants: {
      totals: variantCounts,
      incidents: Object.fromEntries([...varied].map(([name, variants]) => [name, inWords(variants)])),
    },
    incidents: Object.fromEntries(results.map(({ id, ...rest }) => [id, rest])),
  };
  writeFileSync(
    stored,
    `${JSON.stringify({ first: { ...first, variants: first.variants ?? variantCounts }, now }, null, 1)}\n`,
  );
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

function mark(value) {
  return value === null ? '·' : value === true ? 'yes' : value === false ? 'NO' : String(value);
}
