import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/paths.js';
import { run, scratch } from './run.js';

/*
 * Installs that leave something out, as trees that look like what npm leaves behind: what the launcher says of each, and
 * the one command that repairs it.
 */

const { file, folder } = scratch();
const COMPILER = `@typescript/typescript-${process.platform}-${process.arch}`;

interface Left {
  readonly clone?: boolean;
  readonly built?: boolean;
  /** `undefined`: no node_modules at all. */
  readonly packages?: readonly string[];
}

function tree(name: string, { clone = true, built = false, packages }: Left): string {
  const root = join(folder, name);
  mkdirSync(root, { recursive: true });
  for (const part of ['bin', 'scripts', 'data', 'package.json', ...(clone ? ['tsconfig.json'] : [])]) {
    cpSync(join(packageRoot, part), join(root, part), { recursive: true });
  }
  if (built) cpSync(join(packageRoot, 'dist'), join(root, 'dist'), { recursive: true });
  for (const wanted of packages ?? []) {
    const at = join(root, 'node_modules', wanted);
    mkdirSync(dirname(at), { recursive: true });
    symlinkSync(join(packageRoot, 'node_modules', wanted), at);
  }
  return root;
}

const runtime = ['commander', 'split2', '@datadog/sketches-js', 'picocolors'];

describe('the launcher', () => {
  it.each<[string, Left, RegExp, RegExp]>([
    ['nothing installed', {}, /not installed/, /^npm install --prefix \S+$/],
    ['nothing installed, the build there', { built: true }, /not installed/, /^npm install --prefix \S+$/],
    [
      '--omit=dev or NODE_ENV=production',
      { packages: runtime },
      /NODE_ENV=production or --omit=dev/,
      /--include=dev --include=optional && npm run build/,
    ],
    [
      '--omit=optional',
      { packages: [...runtime, 'typescript'] },
      /--omit=optional/,
      /--include=dev --include=optional && npm run build/,
    ],
    [
      '--ignore-scripts',
      { packages: [...runtime, 'typescript', COMPILER] },
      /--ignore-scripts/,
      /^npm run build --prefix \S+$/,
    ],
    [
      'a package without its build',
      { clone: false, packages: runtime },
      /missing from the package/,
      /^npm install --force/,
    ],
  ])('%s', async (name, left, says, repair) => {
    const root = tree(name.replaceAll(/\W+/g, '-'), left);
    const { status, stdout, stderr } = await run(['--version'], {
      program: join(root, 'bin', 'meshtail.js'),
    });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    const [first = '', second = '', ...rest] = stderr.trimEnd().split('\n');
    expect(first).toMatch(says);
    expect(second).toMatch(/^ {2}run: /);
    expect(second.slice('  run: '.length)).toMatch(repair);
    expect(rest).toEqual([]);
  });

  it('starts where all is there, through a link too', async () => {
    const root = tree('whole', { built: true, packages: runtime });
    const link = join(folder, 'kubectl-meshtail');
    symlinkSync(join(root, 'bin', 'meshtail.js'), link);
    expect(await run(['--version'], { program: link })).toMatchObject({ status: 0, stderr: '' });
  });
});

describe('a bundle', () => {
  const asked = file(
    'asked.cjs',
    `const { compiled } = require(${JSON.stringify(join(packageRoot, 'bin', 'load.js'))});
process.stdout.write(String(compiled(process.argv[2]).cachedDataRejected));`,
  );

  it.each(['main', 'worker', 'screen-engine', 'check-engine'])('of %s is not compiled anew', async (name) => {
    expect(await run([name], { program: asked })).toMatchObject({ status: 0, stdout: 'false' });
  });
});

describe('the build of an install', () => {
  it.each<[string, readonly string[]]>([
    ['--omit=dev', runtime],
    ['--omit=optional', [...runtime, 'typescript']],
  ])('is left out after %s, without failing the install', async (name, packages) => {
    const root = tree(`prepare-${name}`, { packages });
    const { status, stderr } = await run([], { program: join(root, 'scripts', 'prepare.mjs') });
    expect(status).toBe(0);
    expect(stderr).toContain('not built');
    expect(existsSync(join(root, 'dist'))).toBe(false);
  });

  it('is made anew where the compiler is there', async () => {
    const packages = readdirSync(join(packageRoot, 'node_modules')).filter((name) => !name.startsWith('.'));
    const root = tree('prepare', { packages, built: true });
    for (const part of ['src', 'parsers', 'samples/incidents/checkout-app-crash'])
      cpSync(join(packageRoot, part), join(root, part), { recursive: true });
    rmSync(join(root, 'dist', 'program', 'main.bundle.cjs'));
    mkdirSync(join(root, 'dist', 'gone'));
    expect(await run([], { program: join(root, 'scripts', 'prepare.mjs') })).toMatchObject({ status: 0 });
    expect(readdirSync(join(root, 'dist')).toSorted()).toEqual(['parsers', 'program', 'src']);
    expect(existsSync(join(root, 'dist', 'src', 'main.js'))).toBe(true);
    const built = await run(['--version'], { program: join(root, 'bin', 'meshtail.js') });
    expect(built).toMatchObject({ status: 0, stderr: '' });
  });
});
