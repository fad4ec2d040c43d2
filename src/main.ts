import { programOf, exitStatusOf, type Handlers } from './cli/program.js';
import type { Options } from './cli/options.js';
import type { Environment } from './commands/environment.js';
import { isTerminal } from './commands/inputs.js';
import { ExitStatus, MeshtailError } from './errors.js';
import { loggerFor } from './logger.js';
import { version } from './paths.js';
import { safeText } from './record/safe-text.js';

/** Commands that are under way and end themselves when the process is told to. */
const stops = new Set<() => void>();

type Command = (args: readonly string[], options: Options, environment: Environment) => Promise<number>;

/** Runs the command line to its exit status. Commands are loaded when they are called, so that --help stays quick. */
export async function main(argv: readonly string[]): Promise<number> {
  let status: number = ExitStatus.ok;
  const run = (load: () => Promise<Command>) => async (args: readonly string[], options: Options) => {
    const environment: Environment = {
      // Opened by whoever reads it.
      get stdin() {
        return process.stdin;
      },
      stdout: process.stdout,
      env: process.env,
      warn: (message, lines = []) => {
        if (options.quiet) return;
        const texts = [`meshtail: ${safeText(message)}`, ...lines.map(safeText)];
        process.stderr.write(`${texts.join('\n')}\n`);
      },
      status:
        isTerminal(process.stderr) && !options.quiet && !options.verbose
          ? (text) => process.stderr.write(`\r\x1b[K${safeText(text)}`)
          : undefined,
      log: await loggerFor(options),
      onStop: (stop) => stops.add(stop),
    };
    const command = await load();
    status = await command(args, options, environment);
  };
  const handlers: Handlers = {
    report: (args, options, from) =>
      run(async () => {
        const { report } = await import('./commands/report.js');
        return (_args, _options, environment) => report(args, options, environment, from);
      })(args, options),
    failures: run(async () => (await import('./commands/failures.js')).failures),
    parse: run(async () => (await import('./commands/parse.js')).parse),
    explain: run(async () => (await import('./commands/explain.js')).explain),
    trace: run(async () => (await import('./commands/trace.js')).trace),
    look: (args, options, screen) =>
      run(async () => {
        const { look } = await import('./commands/screen.js');
        return (_args, _options, environment) => look(args, options, screen, environment);
      })(args, options),
    demo: (args, options, screen) =>
      run(async () => {
        const { demo } = await import('./commands/demo.js');
        return (_args, _options, environment) => demo(args, options, screen, environment);
      })(args, options),
    check: (args, options, asked) =>
      run(async () => {
        const { check } = await import('./commands/check.js');
        return (_args, _options, environment) => check(args, options, asked, environment);
      })(args, options),
    bare: () => program.outputHelp(),
  };
  const program = programOf(version, handlers, () => !isTerminal(process.stdin));
  try {
    await program.parseAsync(argv, { from: 'user' });
    return status;
  } catch (error) {
    const ended = exitStatusOf(error);
    if (ended !== undefined) return ended;
    if (!(error instanceof MeshtailError)) throw error;
    process.stderr.write(`meshtail: ${safeText(error.message)}\n`);
    for (const line of error.hint?.split('\n') ?? []) process.stderr.write(`  ${safeText(line)}\n`);
    return error.exitStatus;
  }
}

/** The process itself: signals, a closed pipe, the exit status. */
export async function runProcess(): Promise<void> {
  // Whoever reads our output may stop early (`| head`): a normal end.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(ExitStatus.ok);
    throw error;
  });
  let ending: number | undefined;
  const end = (status: number) => () => {
    // Nobody to ask, or asked already: at once.
    if (stops.size === 0 || ending !== undefined) process.exit(status);
    ending = status;
    for (const stop of stops) stop();
  };
  process.on('SIGINT', end(ExitStatus.interrupted));
  process.on('SIGTERM', end(ExitStatus.terminated));
  const status = await main(process.argv.slice(2));
  process.exitCode = ending ?? status;
}
