import type { Options } from '../cli/options.js';
import { ExitStatus, MeshtailError, usageError } from '../errors.js';
import { shellWord } from '../diagnosis/words.js';
import type { Reading } from '../pipeline.js';
import { resolveFiles, type Resolved } from '../source/resolve.js';
import { stdinSource } from '../source/stdin.js';
import type { Environment } from './environment.js';

/** The sources that arguments name; stdin where there are none and something is piped in. */
export async function inputsOf(args: readonly string[], environment: Environment): Promise<Resolved> {
  if (args.length === 0 && isTerminal(environment.stdin)) {
    throw usageError(
      'no input',
      'name log files or a directory, or pipe a log in: kubectl logs POD -c istio-proxy | meshtail report',
    );
  }
  return resolveFiles(args.length === 0 ? ['-'] : args, () => stdinSource(environment.stdin));
}

export function isTerminal(stream: unknown): boolean {
  return (stream as { isTTY?: boolean }).isTTY === true;
}

/** An error that does not end the run, and what to do about it. */
export function warnOf(
  { message, hint }: MeshtailError,
  { warn }: Pick<Environment, 'warn'>,
  hinted = true,
): void {
  if (!hinted || hint === undefined) warn(message);
  else if (hint.includes('\n')) warn(message, hint.split('\n'));
  else warn(`${message}; ${hint}`);
}

/** Inputs that failed are told on stderr, unless they were `told` before; one makes the run fail, after all else was said. */
export function reportFailed(
  failed: readonly MeshtailError[],
  environment: Environment,
  told: readonly MeshtailError[] = [],
): number {
  for (const error of failed) warnOf(error, environment);
  return failed.length + told.length > 0 ? ExitStatus.world : ExitStatus.ok;
}

/** How the options say that lines are to be read. What a given format leaves in doubt is told. @throws usage error */
export async function readingOf(options: Options, environment: Environment): Promise<Reading> {
  const { maxLine, envelopeKeys } = options;
  const reading = { maxLine, envelopeKeys, log: environment.log };
  if (options.format === undefined) return reading;
  // Loaded only where a format is given.
  const { compileFormat } = await import('../../parsers/compile.js');
  const format = compileFormat(options.format);
  for (const note of format.notes) environment.warn(`--format, ${note}`);
  environment.log.info({ fields: format.fields.map(({ text }) => text) }, 'format given');
  return { ...reading, format };
}

/** More words than these nobody pastes. */
const MOST_WORDS = 4;

/** What was read, as it stands on a command line that reads it again; `null` for a pipe, and where that would be too long. */
export function inputWords(args: readonly string[], { format, cluster }: Options): string | null {
  if (args.length === 0 || args.includes('-')) return null;
  const folder = args.length > 1 ? folderOf(args) : null;
  if (args.length > MOST_WORDS && folder === null) return null;
  const { namespace, allNamespaces, selector, context } = cluster;
  const flags = [
    ...(format === undefined ? [] : ['--format', format]),
    ...(namespace === undefined ? [] : ['-n', namespace]),
    ...(allNamespaces ? ['-A'] : []),
    ...(selector === undefined ? [] : ['-l', selector]),
    ...(context === undefined ? [] : ['--context', context]),
  ];
  return [...(folder ? [folder] : args), ...flags].map(shellWord).join(' ');
}

/** The folder in which all of some logs lie, with its slash: a shell has put them in the place of a pattern. */
function folderOf(files: readonly string[]): string | null {
  const folders = new Set(files.map((file) => file.slice(0, file.lastIndexOf('/') + 1)));
  const [folder] = folders;
  return folders.size === 1 && folder && files.every((file) => /\.log(?:\.gz|\.zst)?$/.test(file))
    ? folder
    : null;
}
