#!/usr/bin/env node
// Committed as it runs: says plainly what is missing instead of failing somewhere inside.
'use strict';
const { existsSync } = require('node:fs');
const { join } = require('node:path');
const { compiled, run } = require('./load.js');

const root = join(__dirname, '../');
const [major, minor] = process.versions.node.split('.').map(Number);

/** What keeps the program from running, and the one command that repairs it. */
function problem() {
  if (major < 20 || (major === 20 && minor < 19)) {
    return [`Node ${process.versions.node} is too old, 20.19 or later is needed`, 'install a newer Node'];
  }
  const lacks = (name) => !existsSync(`${root}node_modules/${name}`) && !resolvable(name);
  const built = existsSync(`${root}dist/program/main.bundle.cjs`);
  const inClone = existsSync(`${root}tsconfig.json`);
  if (lacks('commander')) {
    return ['the packages it needs are not installed', `npm install --prefix ${root}`];
  }
  if (built) return undefined;
  if (!inClone) return ['the build is missing from the package', 'npm install --force meshtail'];
  const repair = `npm install --prefix ${root} --include=dev --include=optional && npm run build --prefix ${root}`;
  if (lacks('typescript')) {
    return ['it is not built: installed without dev packages (NODE_ENV=production or --omit=dev)', repair];
  }
  if (lacks(`@typescript/typescript-${process.platform}-${process.arch}`)) {
    return [
      'it is not built: installed without optional packages (--omit=optional), the compiler is one',
      repair,
    ];
  }
  return [
    'it is not built: installed with --ignore-scripts, or the build was removed',
    `npm run build --prefix ${root}`,
  ];
}

function resolvable(name) {
  try {
    require.resolve(name);
    return true;
  } catch {
    return false;
  }
}

const found = problem();
if (found) {
  process.stderr.write(`meshtail: ${found[0]}\n  run: ${found[1]}\n`);
  process.exit(1);
}
run(compiled('main')).runProcess();
