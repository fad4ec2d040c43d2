import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, sep } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../src/paths.js';

/*
 * What each layer may import, itself aside. A layer is a folder of src/, a file beside them, or parsers/. Written here
 * and nowhere else.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[] | 'everything'>> = {
  // Join the layers and hold no logic of their own.
  main: 'everything',
  pipeline: 'everything',
  // The same for many bytes, in several threads.
  bulk: 'everything',
  commands: 'everything',
  cli: ['filter', 'record'],
  terminal: ['view'],
  // The screen's own: what is selected, and how a replay is told to it.
  replay: ['view', 'output', 'diagnosis', 'aggregate', 'filter', 'record'],
  filter: ['aggregate', 'record'],
  view: ['diagnosis', 'aggregate', 'filter', 'record'],
  output: ['diagnosis', 'aggregate', 'record'],
  check: ['cluster', 'diagnosis', 'filter', 'record'],
  diagnosis: ['aggregate', 'record'],
  aggregate: ['record'],
  parsers: ['record'],
  source: ['cluster', 'framing', 'record'],
  framing: ['record'],
  cluster: [],
  record: [],
  // Open to all, and so knowing none of them; the logger takes its switches from the checked options.
  errors: [],
  paths: [],
  nearest: [],
  logger: ['cli'],
};
const OPEN_TO_ALL: ReadonlySet<string> = new Set(['errors', 'paths', 'nearest', 'logger']);
/** Narrower than a layer: what these may take from a layer is this file alone. */
const ONLY_FILE: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  check: {
    diagnosis: ['src/diagnosis/finding.ts', 'src/diagnosis/hypothesis.ts', 'src/diagnosis/words.ts'],
    // Patterns of routes, matched in linear time like those of filters.
    filter: ['src/filter/linear-regex.ts'],
  },
  // Of framing, what a stream that is opened again needs.
  source: {
    record: ['src/record/origin.ts', 'src/record/line.ts', 'src/record/byte-writer.ts'],
    framing: ['src/framing/resume.ts'],
  },
  // What wraps a line may be JSON and carry a time of its own.
  framing: {
    record: ['src/record/line.ts', 'src/record/origin.ts', 'src/record/json.ts', 'src/record/time.ts'],
  },
  filter: { aggregate: ['src/aggregate/failure.ts'] },
  logger: { cli: ['src/cli/options.ts'] },
};
/** Packages that only one layer may know; Node's own modules that a pure layer must not touch. */
const PACKAGE_BELONGS_TO: Readonly<Record<string, readonly string[]>> = {
  '@kubernetes/client-node': ['cluster'],
  blessed: ['terminal'],
  commander: ['cli'],
  'fast-glob': ['source'],
  pino: ['logger'],
  split2: ['framing'],
  yaml: ['cluster', 'check'],
};
const PURE: ReadonlySet<string> = new Set(['view', 'output', 'diagnosis', 'aggregate', 'record', 'parsers']);

interface Import {
  readonly file: string;
  readonly specifier: string;
}

/** `src/record/line.ts` → `record`, `src/main.ts` → `main`, `parsers/index.ts` → `parsers`. */
function layerOf(file: string): string {
  const [top = '', next = ''] = file.split('/');
  return top === 'src' ? next.replace(/\.ts$/, '') : top;
}

const files = ['src', 'parsers'].flatMap((top) =>
  readdirSync(join(packageRoot, top), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${top}/${name.split(sep).join('/')}`),
);

/** Static, re-exporting, side-effect and dynamic imports, and types named by `import('…')`. */
function importsIn(text: string): string[] {
  return [...text.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)(['"])([^'"\n]+)\1/g)].map((found) => found[2]!);
}

const imports: readonly Import[] = files.flatMap((file) =>
  importsIn(readFileSync(join(packageRoot, file), 'utf8')).map((specifier) => ({ file, specifier })),
);
const own = imports
  .filter(({ specifier }) => specifier.startsWith('.'))
  .map(({ file, specifier }) => ({
    file,
    target: normalize(join(dirname(file), specifier))
      .split(sep)
      .join('/')
      .replace(/\.js$/, '.ts'),
  }));

function allowed(file: string, target: string): boolean {
  const from = layerOf(file);
  const to = layerOf(target);
  if (from === to || OPEN_TO_ALL.has(to)) return true;
  const may = MAY_IMPORT[from];
  if (may === 'everything') return true;
  if (!may?.includes(to)) return false;
  const only = ONLY_FILE[from]?.[to];
  return only === undefined || only.includes(target);
}

describe('the import direction', () => {
  it('is judged on what is there', () => {
    expect(own.length).toBeGreaterThan(100);
    expect(own.filter(({ target }) => !files.includes(target))).toEqual([]);
  });

  it.each([
    ['a named import', "import { a } from './a.js';"],
    ['a type import over lines', "import type {\n  A,\n} from './a.js';"],
    ['a re-export', "export * from './a.js';"],
    ['a side effect', "import './a.js';"],
    ['a dynamic import', "const a = await import('./a.js');"],
    ['an imported type', "let a: import('./a.js').A;"],
  ])('sees %s', (_, text) => {
    expect(importsIn(text)).toEqual(['./a.js']);
  });

  it.each([
    ['src/aggregate/groups.ts', 'src/diagnosis/scene.ts'],
    ['src/record/line.ts', 'src/framing/lines.ts'],
    ['parsers/index.ts', 'src/source/file.ts'],
    ['src/framing/lines.ts', 'src/record/record-view.ts'],
    ['src/output/report.ts', 'src/main.ts'],
    ['src/nowhere/file.ts', 'src/record/line.ts'],
  ])('would refuse %s importing %s', (file, target) => {
    expect(allowed(file, target)).toBe(false);
  });

  it('names every layer that there is', () => {
    expect([...new Set(files.map(layerOf))].filter((layer) => !(layer in MAY_IMPORT))).toEqual([]);
  });

  it('is kept', () => {
    const wrong = own.filter(({ file, target }) => !allowed(file, target));
    expect(wrong.map(({ file, target }) => `${file} imports ${target}`)).toEqual([]);
  });

  it('keeps each package in its layer', () => {
    const wrong = imports.filter(({ file, specifier }) => {
      const layers = PACKAGE_BELONGS_TO[specifier];
      return layers !== undefined && !layers.includes(layerOf(file));
    });
    expect(wrong.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
  });

  it('keeps files, sockets and the process out of what only counts, judges and words', () => {
    const wrong = imports.filter(
      ({ file, specifier }) => PURE.has(layerOf(file)) && specifier.startsWith('node:'),
    );
    expect(wrong.map(({ file, specifier }) => `${file} imports ${specifier}`)).toEqual([]);
  });

  it('leaves the process to main and the terminal', () => {
    const users = files.filter((file) => {
      const code = readFileSync(join(packageRoot, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
      return /\bprocess\.|\bfrom 'node:process'/.test(code);
    });
    expect(users).toContain('src/main.ts');
    expect(users.filter((file) => !/^src\/(?:main\.ts|terminal\/)/.test(file))).toEqual([]);
  });
});
