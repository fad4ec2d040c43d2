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
  | 'filter'
  | 'include'
  | 'exclude'
  | 'maxLine'
  | 'failOn'
  | 'color'
  | 'ascii'
  | 'mouse'
  | 'speed'
  | 'from'
  | 'objects'
  | 'namespace'
  | 'host'
  | 'path'
  | 'method'
  | 'header'
  | 'to'
  | 'quiet'
  | 'verbose'
  | 'logFile';

const collect = (text: string, before: readonly string[] | undefined): readonly string[] => [
  ...(before ?? []),
  text,
];

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
  filter: () =>
    new Option(
      '--filter <terms>',
      "only lines that fit: 'code>=500 flag:UF,UH !path~^/healthz upstream:ledger* dur>2s'",
    ).argParser(collect),
  include: () =>
    new Option('-i, --include <terms>', 'only lines that fit any of these; the same language').argParser(
      collect,
    ),
  exclude: () =>
    new Option('-e, --exclude <terms>', 'no lines that fit any of these; the same language').argParser(
      collect,
    ),
  failOn: () =>
    new Option(
      '--fail-on <conditions>',
      'exit 3 if met: any, severity>=high, share>=5%, cause=ID; comma for or',
    ),
  color: () =>
    new Option('--color <when>', 'colour the text').choices(['auto', 'always', 'never']).default('auto'),
  ascii: () => new Option('--ascii', 'draw with ASCII characters only'),
  mouse: () => new Option('--mouse', 'let the screen take the mouse; text is then selected with shift'),
  speed: () =>
    new Option('--speed <factor>', 'replay from the start at 0.1x to 1000x, or max: read, then look'),
  from: () => new Option('--from <time>', 'look from this time on: 16:02:13, or a whole RFC 3339 time'),
  objects: () =>
    new Option(
      '--from <path>',
      'saved objects: YAML or JSON files, folders, a must-gather, an istioctl bug-report; repeatable',
    ).argParser(collect),
  namespace: () => new Option('-n, --namespace <name>', 'the namespace of the targets'),
  host: () => new Option('--host <host>', 'where would a request to this host go? With a port: HOST:PORT'),
  path: () => new Option('--path <path>', 'the path of that request'),
  method: () => new Option('--method <method>', 'its method; GET if not given'),
  header: () =>
    new Option('--header <header>', "one of its headers, 'name: value'; repeatable").argParser(collect),
  to: () => new Option('--to <time>', 'look up to this time'),
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
