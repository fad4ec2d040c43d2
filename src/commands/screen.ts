import { openSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { Worker } from 'node:worker_threads';
import type { Options, ScreenOptions } from '../cli/options.js';
import type { Connection } from '../cluster/kubeconfig.js';
import { ExitStatus, MeshtailError } from '../errors.js';
import type { EngineJob, FromEngine, ToEngine } from '../replay/protocol.js';
import { terminalKind } from '../terminal/palette.js';
import { restoreAtEnd, suspended } from '../terminal/exits.js';
import type { Terminal } from '../terminal/run.js';
import type { Effect } from '../view/message.js';
import { initialState, type State } from '../view/state.js';
import { timeFrom } from '../view/timing.js';
import type { Environment } from './environment.js';
import { inputsOf, isTerminal, reportFailed } from './inputs.js';
import { failures } from './failures.js';
import { asksCluster } from './asks-cluster.js';
import { connectTo, liveOptionsOf } from './live.js';
import type { LiveJob } from './live-screen.js';
import { report } from './report.js';
import { changeSavedFilters, readSavedFilters, savedFiltersPath } from './saved-filters.js';

/** Inputs without a command: the screen where the output is a terminal, else the report. Returns the exit status. */
export async function look(
  args: readonly string[],
  options: Options,
  screen: ScreenOptions,
  environment: Environment,
): Promise<number> {
  const live = asksCluster(args, options, environment);
  if (!isTerminal(environment.stdout)) {
    return live ? failures(args, options, environment) : report(args, options, environment);
  }
  const kind = terminalKind(environment.env, options.color);
  if (!kind.usable) {
    environment.warn(`TERM=${environment.env['TERM'] ?? ''} cannot show the screen; this is the report`);
    return live ? failures(args, options, environment) : report(args, options, environment);
  }
  // Before the screen: a credential plugin may ask the person.
  const job = live ? await liveJob(args, options, environment) : null;
  const { sources, failed } = job ? { sources: [], failed: [] } : await inputsOf(args, environment);
  if (!job && sources.length === 0) return reportFailed(failed, environment);
  const { Terminal } = await import('../terminal/run.js');

  const engine = startEngine({
    live: job,
    inputs: sources.map(({ name }) => name),
    maxLine: options.maxLine,
    format: options.format,
    envelopeKeys: options.envelopeKeys,
    selection: { ...screen.selection, filter: [] },
  });
  const saved = savedFiltersPath(environment.env);
  const state: State = {
    ...stateOf(
      args,
      sources.map(({ name }) => name),
      screen,
      kind.canCopy,
      screen.ascii || !kind.unicode,
    ),
    saved: readSavedFilters(saved),
    ...(job && {
      source: {
        title: job.title,
        cluster: { context: job.context, namespace: job.namespace },
        live: { phase: 'connecting', steps: [{ text: `find ${job.title}`, done: false }] },
        argv: args,
      },
    }),
  };
  const input = isTerminal(environment.stdin) ? environment.stdin : keyboard();
  const terminal: Terminal = new Terminal(state, {
    input,
    output: environment.stdout,
    colours: kind.colours,
    terminfo: kind.terminfo,
    mouse: screen.mouse,
    effect: (effect) => perform(effect, engine, terminal, saved),
    now: () => performance.now(),
  });
  const restore = restoreAtEnd(terminal);
  terminal.start();
  let begun = false;
  engine.on('message', (message: FromEngine) => {
    if (message.kind === 'taken' || message.kind === 'failed') return;
    terminal.send(message, message.kind !== 'progress');
    if (message.kind === 'snapshot' && message.snapshot.reading.done && !begun) {
      begun = true;
      place(screen, message.snapshot.first, terminal);
    }
  });
  for (const { message } of failed) terminal.send({ kind: 'notice', text: message, tone: 'bad' });
  if (sources.some(({ kind }) => kind === 'pipe')) void feed(environment.stdin, engine);
  // A crash over there is one of the program, a refusal one of the world: either ends the run, with the terminal restored first.
  const failure = new Promise<never>((_resolve, reject) => {
    engine.once('error', reject);
    engine.on('message', (message: FromEngine) => {
      if (message.kind !== 'failed') return;
      const { hint } = message;
      reject(new MeshtailError('cluster', message.message, hint === undefined ? {} : { hint }));
    });
  });
  try {
    await Promise.race([terminal.end, failure]);
  } finally {
    terminal.leave();
    restore();
    await engine.terminate();
    // Standard input or the keyboard would keep the process alive.
    input.destroy();
    environment.stdin.destroy();
  }
  return ExitStatus.ok;
}

async function liveJob(
  args: readonly string[],
  options: Options,
  environment: Environment,
): Promise<LiveJob & { readonly context: string; readonly namespace: string }> {
  const wanted = await liveOptionsOf(args, options, true);
  const connection = await connectTo(options, environment);
  await greet(connection);
  return {
    title: args.join(' ') || (options.cluster.selector ?? 'all'),
    connection: connection.transferable(),
    options: wanted,
    with: options.cluster.with,
    context: connection.context ?? 'in-cluster',
    namespace: options.cluster.allNamespaces ? 'all namespaces' : connection.namespace,
  };
}

/**
 * Asks the server once, while a person can still be asked and told: whether it is there, and takes our credentials. What
 * one may see there is another question.
 * @throws MeshtailError
 */
async function greet(connection: Connection): Promise<void> {
  const { ApiError, ClusterClient } = await import('../cluster/client.js');
  await new ClusterClient(connection).get('/api').catch((error: unknown) => {
    if (!(error instanceof ApiError)) throw error;
  });
}

/** Of the streams' thread: V8 would take 32 MB for a twentieth of its time, and it runs beside what it tells of. */
const LIVE_YOUNG_MB = 8;

function startEngine(job: EngineJob): Worker {
  return new Worker(new URL('./screen-engine.js', import.meta.url), {
    workerData: job,
    resourceLimits: job.live ? { maxYoungGenerationSizeMb: LIVE_YOUNG_MB } : {},
  });
}

/** Standard input is somebody's log: keys come from the terminal itself. */
function keyboard(): Readable {
  return new ReadStream(openSync('/dev/tty', 'r'));
}

function stateOf(
  args: readonly string[],
  inputs: readonly string[],
  screen: ScreenOptions,
  canCopy: boolean,
  ascii: boolean,
): State {
  return initialState({
    columns: 80,
    rows: 24,
    ascii,
    canCopy,
    source: { title: titleOf(inputs), live: null, argv: args.length > 0 ? args : ['-'] },
    filters: screen.selection.filter,
    clock: { now: null, playing: false, speed: screen.speed ?? 1 },
  });
}

/** The folder that all inputs share, or the one file's name. */
function titleOf(inputs: readonly string[]): string {
  const folders = new Set(inputs.map((input) => dirname(input)));
  const [first = '-'] = inputs;
  if (first === '-') return 'standard input';
  if (inputs.length === 1) return basename(first);
  const [folder] = folders;
  return folders.size === 1 && folder && folder !== '.' ? basename(folder) : `${inputs.length} files`;
}

/** `--from`, `--to` and `--speed`, once it is known when the recording began. */
function place(screen: ScreenOptions, first: number, terminal: Terminal): void {
  const from = screen.from === undefined ? null : timeFrom(screen.from, first);
  const to = screen.to === undefined ? null : timeFrom(screen.to, first);
  terminal.send({ kind: 'begin', from, to, play: screen.speed !== null });
}

function perform(
  effect: Exclude<Effect, { kind: 'quit' | 'copy' | 'repaint' }>,
  engine: Worker,
  terminal: Terminal,
  saved: string | null,
): void {
  const tell = (message: ToEngine): void => engine.postMessage(message, []);
  switch (effect.kind) {
    case 'ask':
      return tell({ kind: 'spec', spec: effect.spec });
    case 'verify':
      return tell(effect);
    case 'find':
      return tell({ kind: 'find', from: effect.from, direction: effect.direction });
    case 'suspend':
      return suspended(terminal);
    case 'save':
      return keep(saved, { save: effect.filter }, terminal);
    case 'forget':
      return keep(saved, { forget: effect.filter }, terminal);
    case 'widen':
      return tell(effect);
    case 'write':
      try {
        writeFileSync(effect.path, effect.text, { flag: effect.overwrite ? 'w' : 'wx' });
        return terminal.send({ kind: 'notice', text: `written: ${effect.path}`, tone: 'good' });
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        const text =
          code === 'EEXIST' ? `${effect.path} is there already: :w! ${effect.path} overwrites it` : message;
        return terminal.send({ kind: 'notice', text, tone: 'bad' });
      }
    default:
      effect satisfies never;
  }
}

/** That a filter cannot be kept is no reason not to use it. */
function keep(
  path: string | null,
  change: Parameters<typeof changeSavedFilters>[1],
  terminal: Terminal,
): void {
  try {
    changeSavedFilters(path, change);
  } catch (error) {
    const text = `filters are not kept: ${(error as Error).message}`;
    terminal.send({ kind: 'notice', text, tone: 'bad' });
  }
}

/** Standard input, piece by piece, each only when the one before was taken. */
async function feed(stdin: Readable, engine: Worker): Promise<void> {
  const taken = (): Promise<void> =>
    new Promise((resolve) => {
      const listen = (message: FromEngine): void => {
        if (message.kind !== 'taken') return;
        engine.off('message', listen);
        resolve();
      };
      engine.on('message', listen);
    });
  const tell = (bytes: Uint8Array | null): void =>
    engine.postMessage({ kind: 'chunk', bytes } satisfies ToEngine, []);
  try {
    for await (const chunk of stdin) {
      const wait = taken();
      tell(new Uint8Array(chunk as Buffer));
      await wait;
    }
  } finally {
    tell(null);
  }
}
