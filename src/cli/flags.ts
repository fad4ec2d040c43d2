import { InvalidArgumentError, Option, type Command } from 'commander';
import { DEFAULT_MAX_LINE, ENVELOPE_KEYS } from '../record/line.js';

/*
 * Every flag once: its spelling, what it takes, its default and its help. Commands name the flags that they understand;
 * a flag that nothing uses does not exist.
 */

export type FlagName =
  | 'output'
  | 'all'
  | 'format'
  | 'describe'
  | 'envelope'
  | 'maxLine'
  | 'failOn'
  | 'color'
  | 'quiet'
  | 'verbose'
  | 'logFile';

function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value <= 0)
    throw new InvalidArgumentError('a whole number above 0 is needed.');
  return value;
}

const FLAGS: Readonly<Record<Exclude<FlagName, 'output'>, () => Option>> = {
  all: () => new Option('--all', 'also print the lines that are no records, with their kind'),
  format: () =>
    new Option(
      '--format <string>',
      "the lines' Envoy format string or JSON template, as in accessLogFormat; others are still read",
    ),
  describe: () =>
    new Option('--describe', 'print the fields of the format that was given or detected, not the records'),
  envelope: () =>
    new Option('--envelope <keys>', 'keys under which a log shipper keeps the line; comma between').default(
      ENVELOPE_KEYS.join(','),
    ),
  maxLine: () =>
    new Option('--max-line <bytes>', 'cut longer lines and count them as malformed')
      .default(DEFAULT_MAX_LINE, '1 MiB')
      .argParser(positiveInteger),
  failOn: () =>
    new Option(
      '--fail-on <conditions>',
      'exit 3 if met: any, severity>=high, share>=5%, cause=ID; comma for or',
    ),
  color: () =>
    new Option('--color <when>', 'colour the text').choices(['auto', 'always', 'never']).default('auto'),
  quiet: () => new Option('-q, --quiet', 'no warnings on stderr'),
  verbose: () => new Option('--verbose', "the program's own diagnostics on stderr, as JSON lines"),
  logFile: () => new Option('--log-file <path>', 'write these diagnostics to a file instead'),
};

/** Adds flags to a command; `outputs` are the values of -o, the first is the default. */
export function addFlags(
  command: Command,
  names: readonly Exclude<FlagName, 'output'>[],
  outputs: readonly string[],
): Command {
  command.addOption(
    new Option('-o, --output <format>', 'how to print it').choices([...outputs]).default(outputs[0]),
  );
  for (const name of names) command.addOption(FLAGS[name]());
  return command;
}
