'use strict';
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');
const { Script } = require('node:vm');

const dist = join(__dirname, '../dist/');

/** What a bundle has in the place of `import.meta.url` and `import()`, which a script may not use. */
const urlOf = (path) => pathToFileURL(dist + path).href;
const importOf = (name) => import(name);

/** A bundle of scripts/bundle.mjs. V8 takes the bytecode that was kept of it instead of compiling it anew, where it made it. */
function compiled(name) {
  const filename = `${dist}program/${name}.bundle.cjs`;
  // Of ASCII alone: this is the fastest way to read it.
  const code = readFileSync(filename, 'latin1');
  return new Script(code, { filename, cachedData: bytecodeOf(filename) });
}

function bytecodeOf(filename) {
  try {
    return readFileSync(`${filename}.bytecode`);
  } catch {
    return undefined;
  }
}

/** Runs a bundle and gives what it exports. */
function run(script) {
  const exports = {};
  script.runInThisContext()(exports, require, urlOf, importOf);
  return exports;
}

module.exports = { compiled, run };
