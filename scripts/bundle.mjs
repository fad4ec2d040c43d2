// Makes one file of the program, and one of each of its threads, and keeps the bytecode that V8 compiles them to: to find,
// read and compile the modules one by one takes longer than a small report. bin/load.js runs what comes of it.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, isAbsolute, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = `${root}dist/`;
const folder = `${dist}program/`;
const { compiled, run } = createRequire(import.meta.url)('../bin/load.js');

const THREADS = ['src/bulk/worker.js', 'src/commands/screen-engine.js', 'src/commands/check-engine.js'];
const nameOf = (entry) => basename(entry, '.js');
const threads = THREADS.map(nameOf);
/** Packages that nearly every run needs; the others are loaded as they are. */
const BUNDLED = /^(?:commander|split2|@datadog\/sketches-js)$/;

/** Where a module says that it lies: a thread begins with its own bundle, all else is where it was. */
const places = {
  name: 'places',
  transform(code, id) {
    if (!code.includes('import.meta.url')) return null;
    const path = relative(dist, id).split(sep).join('/');
    return code
      .replaceAll(/new URL\('\.\/([\w-]+)\.js', import\.meta\.url\)/g, (_, name) => {
        if (!threads.includes(name)) throw new Error(`${path}: ${name} is none of THREADS`);
        return `new URL(urlOf('program/${name}.cjs'))`;
      })
      .replaceAll('import.meta.url', `urlOf('${path}')`);
  },
};

const NOTHING = '\0nothing';

/** Node's modules and packages wait until a module that imports them is run, which in most runs few are. */
const outside = {
  name: 'outside',
  resolveId(id, importer, { kind }) {
    if (!/^[@\w]/.test(id) || isAbsolute(id) || BUNDLED.test(id)) return null;
    // Commander would start commands that are programs of their own; there are none.
    if (id === 'node:child_process' && importer.includes('/commander/')) return NOTHING;
    return kind === 'import-statement' ? `\0${id}` : { id, external: true };
  },
  load(id) {
    if (id === NOTHING) return 'module.exports = {};';
    return id.startsWith('\0') ? `module.exports = require('${id.slice(1)}');` : null;
  },
};

async function bundle(entry) {
  const build = await rolldown({ input: dist + entry, platform: 'node', plugins: [places, outside] });
  const { output } = await build.generate({ format: 'cjs', codeSplitting: false, comments: false });
  const code = output[0].code.replaceAll(/\bimport\(/g, 'importOf(').replaceAll(/[^\0-\x7f]/g, escaped);
  const script = `(function (exports, require, urlOf, importOf) {${code}\n})`;
  writeFileSync(`${folder}${nameOf(entry)}.bundle.cjs`, script);
}

const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

function keep(name, script) {
  writeFileSync(`${folder}${name}.bundle.cjs.bytecode`, script.createCachedData());
}

/** Of the program what a report runs: to read the bytecode of all of it would take longer than to compile what is needed. */
async function keepProgram() {
  const script = compiled('main');
  const { main } = run(script);
  const { write } = process.stdout;
  process.stdout.write = () => true;
  const status = await main(['report', '-o', 'json', `${root}samples/incidents/checkout-app-crash`]);
  process.stdout.write = write;
  if (status !== 0) throw new Error(`the bundled program ended with status ${status}`);
  keep('main', script);
}

/** A thread has little beside what it is for: all of it. */
function keepThread(name) {
  setFlagsFromString('--no-lazy');
  const script = compiled(name);
  setFlagsFromString('--lazy');
  keep(name, script);
  const start = `const { compiled, run } = require('../../bin/load.js');\nrun(compiled('${name}'));\n`;
  writeFileSync(`${folder}${name}.cjs`, start);
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
await Promise.all(['src/main.js', ...THREADS].map(bundle));
await keepProgram();
threads.forEach(keepThread);
