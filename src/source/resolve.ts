import { readdirSync, statSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { isKindAndName } from '../cluster/kinds.js';
import { MeshtailError, usageError } from '../errors.js';
import { archiveSources } from './archive.js';
import { fileSource } from './file.js';
import { inTimeOrder, isLogInFolder } from './rotation.js';
import type { Source } from './source.js';

/** Names that end like a log are files even where nothing of that name exists. */
const LOG_NAME = /\.(?:log|json|jsonl|txt|gz|zst|tgz|tar)$/i;
const GLOB = /[*?[\]{}!]/;

function tryStat(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

/** Whether an argument names files rather than a workload: design rule, in the order that it states. */
export function isFileArgument(argument: string): boolean {
  if (argument === '-' || tryStat(argument)?.isFile()) return true;
  if (isKindAndName(argument)) return false;
  return argument.includes('/') || LOG_NAME.test(argument);
}

const quoted = (args: readonly string[]): string => args.map((argument) => `'${argument}'`).join(', ');

/** Whether arguments name targets in a cluster, and not files. @throws usage error where they name both */
export function namesTargets(args: readonly string[]): boolean {
  const targets = args.filter((argument) => !isFileArgument(argument));
  if (targets.length > 0 && targets.length < args.length) {
    throw usageError(
      `files and targets do not mix: ${quoted(targets)}`,
      'name files only; a bare file name needs ./',
    );
  }
  return targets.length > 0;
}

/** Whether an argument, taken as a target, is also the name of a folder here. */
export const isAlsoFolder = (argument: string): boolean => tryStat(argument)?.isDirectory() === true;

/** What arguments stand for: sources in a stable order, and those that could not be had. */
export interface Resolved {
  readonly sources: readonly Source[];
  readonly failed: readonly MeshtailError[];
}

/**
 * Files, directories, globs and archives to sources, each file once, in the order of the arguments and by name within one;
 * files of one rotated set in the order in which they were written.
 * @throws MeshtailError (usage) where an argument names no file but a workload.
 */
export async function resolveFiles(args: readonly string[], stdin: () => Source): Promise<Resolved> {
  if (namesTargets(args)) {
    throw usageError(`${quoted(args)}: not a file`, 'this reads files only; a folder is named with ./');
  }
  const paths = new Set<string>();
  const sources: Source[] = [];
  const failed: MeshtailError[] = [];
  for (const argument of args) {
    try {
      for (const path of argument === '-' ? [argument] : await expand(argument)) paths.add(path);
    } catch (error) {
      if (!(error instanceof MeshtailError)) throw error;
      failed.push(error);
    }
  }
  for (const path of inTimeOrder([...paths])) {
    try {
      if (path === '-') sources.push(stdin());
      else sources.push(...((await archivesIn(path)) ?? [fileSource(path)]));
    } catch (error) {
      if (!(error instanceof MeshtailError)) throw error;
      failed.push(error);
    }
  }
  return { sources, failed };
}

/** Only a regular file is looked into before it is read: a pipe can be read once. */
async function archivesIn(path: string): Promise<readonly Source[] | undefined> {
  return tryStat(path)?.isFile() ? archiveSources(path) : undefined;
}

/** The files that one argument stands for. `stat` goes first: a literal name may hold what a glob reads otherwise. */
async function expand(argument: string): Promise<readonly string[]> {
  const stat = tryStat(argument);
  if (stat?.isDirectory()) return inFolder(argument);
  if (stat) return [argument];
  if (!GLOB.test(argument)) {
    throw new MeshtailError('file-not-found', `${argument}: no such file`, { hint: 'check the path' });
  }
  const { default: glob } = await import('fast-glob');
  const found = await glob(argument, { dot: true, onlyFiles: true, unique: true });
  if (found.length === 0) {
    throw new MeshtailError('glob-no-match', `${argument}: no file matches`, {
      hint: 'check the pattern; quote it so that the shell does not expand it',
    });
  }
  return found.toSorted();
}

function inFolder(folder: string): readonly string[] {
  let entries;
  try {
    entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  } catch (error) {
    throw new MeshtailError('folder-unreadable', `${folder}: ${(error as Error).message}`, { cause: error });
  }
  const logs = entries
    .filter((entry) => !entry.isDirectory() && isLogInFolder(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
  if (logs.length === 0) {
    throw new MeshtailError('folder-without-logs', `${folder}: no *.log, *.log.gz or *.log.zst in it`, {
      hint: `name the files, or use a glob: meshtail report '${join(folder, '**/*.txt')}'`,
    });
  }
  return logs;
}
