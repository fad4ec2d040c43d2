import { InvalidArgumentError, Option, type Command } from 'commander';
import { DEFAULT_MAX_LINE, ENVELOPE_KEYS } from '../record/line.js';
import { SIDES, type Side } from './options.js';

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
  | 'host'
  | 'path'
  | 'method'
  | 'header'
  | 'to'
  | 'namespace'
  | 'allNamespaces'
  | 'selector'
  | 'container'
  | 'context'
  | 'kubeconfig'
  | 'as'
  | 'asGroup'
  | 'since'
  | 'sinceTime'
  | 'until'
  | 'tail'
  | 'follow'
  | 'noFollow'
  | 'previous'
  | 'maxLogRequests'
  | 'with'
  | 'quiet'
  | 'verbose'
  | 'logFile';

const collect = (text: string, before: readonly string[] | undefined): readonly string[] => [
  ...(before ?? []),
  text,
];

/** Milliseconds of `90s`, `5m`, `2h`, `1d` or several joined (`1h30m`): what kubectl takes, and days. */
function durationMs(text: string): number {
  const unit: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  if (!/^(?:\d+(?:\.\d+)?(?:ms|[smhd]))+$/.test(text)) {
    throw new InvalidArgumentError('write 90s, 5m, 2h or 1h30m.');
  }
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)];
  return parts.reduce((sum, [, count, name]) => sum + Number(count) * unit[name!]!, 0);
}

/** ms since the Unix epoch. */
function instant(text: string): number {
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new InvalidArgumentError('write an RFC 3339 time, as 2026-11-23T16:02:13Z.');
  return at;
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('a whole number is needed.');
  return value;
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value <= 0)
    throw new InvalidArgumentError('a whole number above 0 is needed.');
  return value;
}

/** Collects `upstreams,callers`, also over several flags. */
function sides(text: string, before: readonly Side[] | undefined): readonly Side[] {
  const named = text.split(',').map((side) => side.trim());
  const wrong = named.find((side) => !SIDES.some((known) => known === side));
  if (wrong !== undefined) throw new InvalidArgumentError(`'${wrong}' is none of ${SIDES.join(', ')}.`);
  return [...new Set([...(before ?? []), ...(named as Side[])])];
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
  host: () => new Option('--host <host>', 'where would a request to this host go? With a port: HOST:PORT'),
  path: () => new Option('--path <path>', 'the path of that request'),
  method: () => new Option('--method <method>', 'its method; GET if not given'),
  header: () =>
    new Option('--header <header>', "one of its headers, 'name: value'; repeatable").argParser(collect),
  to: () => new Option('--to <time>', 'look up to this time'),
  namespace: () => new Option('-n, --namespace <name>', "targets' namespace; else that of the context"),
  allNamespaces: () => new Option('-A, --all-namespaces', 'targets in all namespaces'),
  selector: () => new Option('-l, --selector <labels>', 'only pods with these labels'),
  container: () =>
    new Option('-c, --container <name>', "the proxy's container, where it is not istio-proxy or envoy"),
  context: () => new Option('--context <name>', 'the kubeconfig context'),
  kubeconfig: () => new Option('--kubeconfig <path>', 'the kubeconfig file; else KUBECONFIG, ~/.kube/config'),
  as: () => new Option('--as <user>', 'impersonate a user'),
  asGroup: () => new Option('--as-group <group>', 'impersonate a group; may be repeated').argParser(collect),
  since: () =>
    new Option('--since <duration>', 'lines of the last 90s, 5m, 2h; live: 10m').argParser(durationMs),
  sinceTime: () => new Option('--since-time <time>', 'lines from this RFC 3339 time on').argParser(instant),
  until: () => new Option('--until <time>', 'lines up to this RFC 3339 time').argParser(instant),
  tail: () => new Option('--tail <lines>', 'of each log only the last lines').argParser(count),
  follow: () => new Option('-f, --follow', 'a target: read on as lines are written (report: off)'),
  noFollow: () => new Option('--no-follow', 'a target: what there is, then stop'),
  previous: () => new Option('-p, --previous', 'the logs of the instances before the last restart'),
  maxLogRequests: () =>
    new Option('--max-log-requests <n>', 'logs read at once; beyond that they take turns')
      .default(500)
      .argParser(positiveInteger),
  with: () =>
    new Option(
      '--with <sides>',
      'also read the proxies beside the targets: upstreams, callers, gateway, waypoint; comma between',
    ).argParser(sides),
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
