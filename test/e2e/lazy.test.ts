import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/paths.js';
import { line, run, scratch } from './run.js';

/*
 * What is slow to load is loaded by whom it is for alone. Hooks in the started program note what it imports and requires.
 * What is bundled is not seen; modules of Node that only reading needs are there in its stead.
 */

const { file } = scratch();
const log = file('a.log', `${line()}\n`);
const notes = mkdtempSync(join(tmpdir(), 'meshtail-loads-'));
afterAll(() => rmSync(notes, { recursive: true, force: true }));

const hook = file(
  'hook.mjs',
  `import { appendFileSync } from 'node:fs';
export async function resolve(specifier, context, next) {
  appendFileSync(process.env.LOADED, specifier + '\\n');
  return next(specifier, context);
}`,
);
const register = file(
  'register.mjs',
  `import { appendFileSync } from 'node:fs';
import Module, { register } from 'node:module';
import { pathToFileURL } from 'node:url';
const load = Module._load;
Module._load = (specifier, ...rest) => {
  appendFileSync(process.env.LOADED, specifier + '\\n');
  return load(specifier, ...rest);
};
register(pathToFileURL(${JSON.stringify(hook)}));`,
);

let runs = 0;
/** The packages and Node's modules that a run loads. */
async function loadedBy(args: readonly string[], program?: string): Promise<ReadonlySet<string>> {
  const note = join(notes, `${++runs}`);
  const env = { NODE_OPTIONS: `--import=${register}`, LOADED: note };
  const { status } = await run(args, { env, ...(program !== undefined && { program }) });
  expect(status).toBe(0);
  const specifiers = readFileSync(note, 'utf8').trimEnd().split('\n');
  return new Set(specifiers.filter((specifier) => !/^(?:[./]|file:)/.test(specifier)));
}

const NEVER = ['@kubernetes/client-node', 'blessed'];
const FOR_LATER = [...NEVER, 'pino', 'fast-glob', 'yaml'];
const FOR_READING = ['node:worker_threads', 'node:os'];
const FOR_CLUSTERS = ['node:http', 'node:https', 'node:tls', 'node:crypto'];
const FOR_PACKED = ['node:zlib', 'fzstd'];

describe('what is loaded', () => {
  it('is seen by the hook', async () => {
    expect(await loadedBy(['report', log])).toContain('node:worker_threads');
    expect(await loadedBy(['report', '--verbose', log])).toContain('pino');
    expect(await loadedBy(['report', log.replace('a.log', '*.log')])).toContain('fast-glob');
  });

  it.each([
    ['--version', ['--version'], [...FOR_LATER, ...FOR_READING, ...FOR_CLUSTERS, ...FOR_PACKED]],
    ['--help', ['--help'], [...FOR_LATER, ...FOR_READING, ...FOR_CLUSTERS, ...FOR_PACKED]],
    ['report without objects', ['report', log], ['yaml']],
    ['explain', ['explain', 'UF'], FOR_LATER],
    ['report FILE', ['report', log], [...FOR_LATER, ...FOR_CLUSTERS, ...FOR_PACKED]],
    ['parse FILE', ['parse', log], [...FOR_LATER, ...FOR_CLUSTERS, ...FOR_PACKED]],
  ])('%s does without what is slow', async (_, args, without) => {
    const loaded = await loadedBy(args);
    expect(without.filter((name) => loaded.has(name))).toEqual([]);
  });
});

describe('what is loaded to connect to a cluster', () => {
  const connecting = file(
    'connect.mjs',
    `import { connect } from ${JSON.stringify(join(packageRoot, 'dist/src/cluster/kubeconfig.js'))};
await connect({ kubeconfig: process.argv[2], env: {} });`,
  );
  const kubeconfig = (name: string, cluster: object) =>
    file(
      name,
      JSON.stringify({
        'current-context': 'c',
        contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
        clusters: [{ name: 'c', cluster: { server: 'https://c:1', ...cluster } }],
        users: [{ name: 'u', user: { token: 't' } }],
      }),
    );

  it('is the client library where it is needed alone', async () => {
    const plain = await loadedBy([kubeconfig('plain', {})], connecting);
    expect(plain).toContain('yaml');
    expect(plain).not.toContain('@kubernetes/client-node');
    const proxied = await loadedBy([kubeconfig('proxied', { 'proxy-url': 'http://p:1' })], connecting);
    expect(proxied).toContain('@kubernetes/client-node');
  });
});
