import { Command, CommanderError } from 'commander';
import { ExitStatus } from '../errors.js';
import { addFlags } from './flags.js';
import {
  checkOptionsOf,
  optionsOf,
  screenOptionsOf,
  type CheckOptions,
  type Options,
  type ScreenOptions,
} from './options.js';

/** What each command does, given checked options; supplied by main. */
export interface Handlers {
  /** `from`: saved objects to hold the incidents against. */
  report(args: readonly string[], options: Options, from?: readonly string[]): Promise<void>;
  /** A target's failures, one line each, as they happen. */
  failures(args: readonly string[], options: Options): Promise<void>;
  /** Inputs without a command: the screen on a terminal, else the report. */
  look(args: readonly string[], options: Options, screen: ScreenOptions): Promise<void>;
  trace(args: readonly string[], options: Options): Promise<void>;
  demo(args: readonly string[], options: Options, screen: ScreenOptions): Promise<void>;
  parse(args: readonly string[], options: Options): Promise<void>;
  explain(words: readonly string[], options: Options): Promise<void>;
  check(targets: readonly string[], options: Options, check: CheckOptions): Promise<void>;
  /** No command and no argument, on a terminal. */
  bare(): void;
}

const INPUT = `
Inputs: files, directories, globs, or - for stdin; plain, gzip, zstd, or a tar of logs such as a bug-report.
A directory means the *.log files in it, rotated ones too.
`;

const EXAMPLES = `
Examples:
  meshtail demo                                look at a bundled incident
  meshtail report proxy.log                    what failed, since when, where, why
  kubectl logs POD -c istio-proxy | meshtail   the same from a pipe
  meshtail explain UF                          what a response flag means
`;

/** The command line. Handlers run when it is parsed. */
export function programOf(version: string, handlers: Handlers, hasStdin: () => boolean): Command {
  const program = new Command('meshtail')
    .description(
      "Tells what is failing in an Istio mesh, since when, where and why, from Envoy's access logs.",
    )
    .version(version)
    .argument('[files...]', 'files, directories, globs, or - for stdin: the screen; piped, the report')
    .showHelpAfterError('(meshtail --help shows what there is)')
    .addHelpText('after', INPUT + EXAMPLES)
    .helpCommand('help [command]', 'the same as --help of that command')
    .enablePositionalOptions()
    .exitOverride();
  const common = [
    'format',
    'envelope',
    'filter',
    'include',
    'exclude',
    'maxLine',
    'quiet',
    'verbose',
    'logFile',
  ] as const;
  const cluster = [
    'namespace',
    'allNamespaces',
    'selector',
    'container',
    'context',
    'kubeconfig',
    'as',
    'asGroup',
    'since',
    'sinceTime',
    'until',
    'tail',
    'follow',
    'noFollow',
    'previous',
    'maxLogRequests',
    'with',
  ] as const;
  const screen = ['ascii', 'color', 'mouse', 'speed', 'from', 'to'] as const;
  const run =
    (handler: (args: readonly string[], options: Options) => Promise<void>) =>
    (args: readonly string[], values: Record<string, unknown>): Promise<void> =>
      handler(args, optionsOf(values));

  addFlags(
    program,
    ['failOn', ...cluster, ...common, ...screen],
    ['text', 'json', 'markdown', 'jsonl', 'raw'],
  ).action((args: string[], values: Record<string, unknown>) => {
    if (args.length === 0 && !hasStdin()) return handlers.bare();
    // One line per failure of a target, also on a terminal.
    if (values['output'] === 'jsonl' || values['output'] === 'raw') {
      return run(handlers.failures)(args, values);
    }
    // Who asks for an output or a condition wants the report, also on a terminal.
    if (program.getOptionValueSource('output') === 'cli' || values['failOn'] !== undefined) {
      return run(handlers.report)(args, values);
    }
    return handlers.look(args, optionsOf(values), screenOptionsOf(values));
  });
  const demo = program
    .command('demo')
    .description('a bundled incident on the screen; its report where the output is no terminal')
    .argument('[scenario]', 'which one; list prints their names');
  addFlags(demo, [...common, ...screen], ['text', 'json', 'markdown']).action(
    (scenario: string | undefined, values: Record<string, unknown>) =>
      handlers.demo(scenario === undefined ? [] : [scenario], optionsOf(values), screenOptionsOf(values)),
  );
  addFlags(
    program
      .command('report')
      .description('reconstruct from saved logs: incidents, causes, onset, evidence, coverage')
      .argument('[files...]', 'files, directories, globs, or - for stdin'),
    ['failOn', 'objects', ...cluster, ...common],
    ['text', 'json', 'markdown'],
  ).action((args: string[], values: Record<string, unknown>) =>
    handlers.report(args, optionsOf(values), checkOptionsOf(values).from),
  );
  const trace = program
    .command('trace')
    .description('one request through every proxy that logged it: hops, attempts, timings, who decided')
    .argument('<request-id>', 'x-request-id, as the lines carry it; of a connection without one ADDRESS:PORT')
    .argument('[files...]', 'files, directories, globs, or - for stdin');
  addFlags(trace, [...cluster, ...common], ['text', 'json']).action(
    (id: string, files: readonly string[], values: Record<string, unknown>) =>
      handlers.trace([id, ...files], optionsOf(values)),
  );
  addFlags(
    program
      .command('parse')
      .description('typed records, one JSON object per line')
      .argument('[files...]', 'files, directories, globs, or - for stdin'),
    ['all', 'describe', ...cluster, ...common],
    ['jsonl', 'table'],
  ).action(run(handlers.parse));
  addFlags(
    program
      .command('explain')
      .description('offline reference: a response flag, response code details, a cause, or a whole line')
      .argument('<words...>', "UF, upstream_reset_before_response_started{…}, app-not-listening, or 'LINE'"),
    [],
    ['text', 'json'],
  ).action(run(handlers.explain));
  addFlags(
    program
      .command('check')
      .description('verify the foundation, the traffic configuration and Envoy; read-only')
      .argument(
        '[targets...]',
        'deployment/NAME, service/NAME, pod/NAME, gateway/NAME, namespace/NAME; none: the whole namespace',
      ),
    [
      'objects',
      'namespace',
      'allNamespaces',
      'context',
      'kubeconfig',
      'as',
      'asGroup',
      'host',
      'path',
      'method',
      'header',
      'failOn',
      'quiet',
      'verbose',
      'logFile',
    ],
    ['text', 'json'],
  ).action((targets: string[], values: Record<string, unknown>) =>
    handlers.check(targets, optionsOf(values), checkOptionsOf(values)),
  );
  for (const command of program.commands) command.exitOverride().showHelpAfterError(false);
  return program;
}

/** commander's own ends (help, version, bad usage) as exit statuses; `undefined` for any other error. */
export function exitStatusOf(error: unknown): number | undefined {
  if (!(error instanceof CommanderError)) return undefined;
  return error.exitCode === 0 ? ExitStatus.ok : ExitStatus.usage;
}
