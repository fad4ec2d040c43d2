import { readFile } from 'node:fs/promises';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { MeshtailError } from '../errors.js';
import type { Pem } from './access.js';

/*
 * Which kubeconfig files there are and what they say together, as client-go's ClientConfigLoadingRules has it:
 * https://github.com/kubernetes/client-go/blob/v0.34.0/tools/clientcmd/loader.go
 */

export type Environment = Readonly<Record<string, string | undefined>>;
/** A mapping of a kubeconfig. Every scalar is text, `null` where it is empty: a context may be called 0123 or true. */
export type Tree = Readonly<Record<string, unknown>>;

/** One named cluster, user or context and the file that it is from, which its relative paths are relative to. */
export interface Entry {
  readonly file: string;
  readonly value: Tree;
  /** The same with its numbers and booleans, for what is handed on and not read by us. */
  readonly typed: () => Promise<Tree>;
}
interface Looked {
  readonly file: string;
  readonly found: 'missing' | 'empty' | 'read';
}
export interface Kubeconfig {
  /** Where was looked, in order. */
  readonly looked: readonly Looked[];
  readonly currentContext: string | undefined;
  readonly contexts: ReadonlyMap<string, Entry>;
  readonly clusters: ReadonlyMap<string, Entry>;
  readonly users: ReadonlyMap<string, Entry>;
}

/**
 * The merged kubeconfig: of `--kubeconfig` that file alone, else of the files in KUBECONFIG, else of ~/.kube/config.
 * The first file that has a name or a current context is the one that counts. Only a file named by `--kubeconfig` has to be there.
 */
export async function readKubeconfig(named: string | undefined, env: Environment): Promise<Kubeconfig> {
  const looked: Looked[] = [];
  const contexts = new Map<string, Entry>();
  const clusters = new Map<string, Entry>();
  const users = new Map<string, Entry>();
  let currentContext: string | undefined;
  for (const file of named === undefined ? filesOf(env) : [named]) {
    const text = await contentOf(file);
    if (text === undefined && named !== undefined) throw notFound(file);
    const tree = text === undefined ? undefined : await parseKubeconfig(file, text);
    looked.push({ file, found: text === undefined ? 'missing' : tree === undefined ? 'empty' : 'read' });
    if (text === undefined || tree === undefined) continue;
    currentContext ??= textOf(tree, 'current-context');
    const source = { file, text, tree };
    addNamed(contexts, source, 'contexts', 'context');
    addNamed(clusters, source, 'clusters', 'cluster');
    addNamed(users, source, 'users', 'user');
  }
  return { looked, currentContext, contexts, clusters, users };
}

function notFound(file: string): MeshtailError {
  return new MeshtailError('kubeconfig-not-found', `there is no kubeconfig ${file}`, {
    hint: 'Leave --kubeconfig out to use KUBECONFIG or ~/.kube/config, as kubectl does.',
  });
}

function filesOf(env: Environment): string[] {
  const listed = (env['KUBECONFIG'] ?? '').split(delimiter).filter((file) => file !== '');
  if (listed.length > 0) return [...new Set(listed)];
  const home = env['HOME'] || env['USERPROFILE'];
  return home ? [join(home, '.kube', 'config')] : [];
}

async function contentOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new MeshtailError(
      'kubeconfig-unreadable',
      `cannot read the kubeconfig ${file}: ${code ?? message}`,
      {
        hint:
          code === 'EISDIR'
            ? 'It is a directory; name a file in it.'
            : `Look at its owner and mode: ls -l ${file}`,
        cause: error,
      },
    );
  }
}

/** `undefined`: nothing is in it. No text of the file gets into the error: it may be a secret. */
async function parseKubeconfig(file: string, text: string): Promise<Tree | undefined> {
  const { parseDocument } = await import('yaml');
  // Numbers and booleans stay as they are written; kubectl lets the last of two equal keys win.
  const document = parseDocument(text, {
    schema: 'failsafe',
    customTags: (tags) => [...tags, 'null'],
    uniqueKeys: false,
  });
  // Of several documents kubectl reads the first.
  const wrong = document.errors.find(({ code }) => code !== 'MULTIPLE_DOCS');
  if (wrong) {
    const at = wrong.linePos ? `:${wrong.linePos[0].line}:${wrong.linePos[0].col}` : '';
    throw invalid(`${file}${at} is not YAML: ${wrong.message.split(/ at line |\n/, 1)[0]}`, wrong);
  }
  const tree: unknown = document.toJS();
  if (tree === null) return undefined;
  if (!isTree(tree)) throw invalid(`${file} is not a kubeconfig: clusters, users and contexts were expected`);
  return tree;
}

function invalid(message: string, cause?: unknown): MeshtailError {
  return new MeshtailError('kubeconfig-invalid', message, {
    hint: 'Correct it, or name another file with --kubeconfig; `kubectl config view` reads the same files.',
    cause,
  });
}

interface Source {
  readonly file: string;
  readonly text: string;
  readonly tree: Tree;
}

/** Keeps what is there already. kubectl writes an empty list as `null`. */
function addNamed(into: Map<string, Entry>, { file, text, tree }: Source, list: string, key: string): void {
  const entries = tree[list] ?? [];
  if (!Array.isArray(entries)) throw invalid(`${file} is not a kubeconfig: ${list} is not a list`);
  for (const [index, entry] of entries.entries()) {
    const name = isTree(entry) ? textOf(entry, 'name') : undefined;
    if (name === undefined) throw invalid(`${file}: an entry of ${list} has no name`);
    if (into.has(name)) continue;
    const typed = async (): Promise<Tree> => {
      const { parse } = await import('yaml');
      const whole = parse(text, { uniqueKeys: false }) as Record<string, Record<string, Tree>[]>;
      return whole[list]?.[index]?.[key] ?? {};
    };
    into.set(name, { file, value: treeOf(entry as Tree, key) ?? {}, typed });
  }
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `undefined` where it is missing or empty. */
export function textOf(tree: Tree, key: string): string | undefined {
  const value = tree[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function treeOf(tree: Tree, key: string): Tree | undefined {
  const value = tree[key];
  return isTree(value) ? value : undefined;
}

export function textsOf(tree: Tree, key: string): readonly string[] {
  const value = tree[key];
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

export function treesOf(tree: Tree, key: string): readonly Tree[] {
  const value = tree[key];
  return Array.isArray(value) ? value.filter(isTree) : [];
}

/** What of it is text. */
export function textEntries(tree: Tree): Record<string, string> {
  const entries = Object.entries(tree);
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

/** The words that YAML 1.1, which kubectl reads, takes for true. */
export function isTrue(tree: Tree, key: string): boolean {
  return /^(?:true|yes|on|y)$/i.test(textOf(tree, key) ?? '');
}

/** A path in an entry, made absolute. */
export function pathOf(entry: Entry, key: string): string | undefined {
  const path = textOf(entry.value, key);
  return path === undefined ? undefined : besideFile(entry.file, path);
}

export function besideFile(file: string, path: string): string {
  return isAbsolute(path) ? path : join(dirname(file), path);
}

/** The data comes before the file, as in client-go. */
export function pemOf(entry: Entry, key: string): Pem | undefined {
  const data = textOf(entry.value, `${key}-data`);
  if (data !== undefined) return { text: Buffer.from(data, 'base64').toString('latin1') };
  const file = pathOf(entry, key);
  return file === undefined ? undefined : { file };
}
