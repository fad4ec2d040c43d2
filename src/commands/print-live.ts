import type { Options } from '../cli/options.js';
import { ExitStatus } from '../errors.js';
import { ReorderWindow } from '../output/reorder.js';
import type { Parsed, Reading } from '../pipeline.js';
import type { ByteWriter } from '../record/byte-writer.js';
import { parseTimeText } from '../record/time.js';
import type { Environment } from './environment.js';
import { reportFailed } from './inputs.js';
import { besideOf, openLive, readSession } from './live.js';

/** A line waits so long for older ones of other pods. */
const REORDER_MS = 300;

/** Writes what is to be printed of a line, without a newline; false, and nothing is written, where it is not asked for. */
export type Print = (parsed: Parsed, out: ByteWriter) => boolean;

/**
 * Prints what `print` makes of a live target's lines, in the order of their stamps as far as a moment's wait allows.
 * Returns the exit status.
 */
export async function printLive(
  args: readonly string[],
  options: Options,
  reading: Reading,
  environment: Environment,
  print: Print,
  heading = '',
): Promise<number> {
  const session = await openLive(args, options, true, environment);
  const { stdout } = environment;
  stdout.write(heading);
  const order = new ReorderWindow();
  /** Until what went out last is taken: its bytes are used again. */
  let writing: Promise<void> | undefined;
  const turn = (): void => {
    if (writing) return;
    const lines = order.turn();
    if (lines.length === 0) return;
    writing = new Promise((resolve) => {
      stdout.write(lines, () => {
        writing = undefined;
        resolve();
      });
    });
  };
  const timer = setInterval(turn, REORDER_MS);
  const sides = options.cluster.with;
  // Lines are printed as they are: only who is to be read beside the targets is asked of the cluster.
  const beside = sides.length === 0 ? null : await besideOf(session, sides, environment.warn);
  const { records, failed } = await readSession(
    session,
    reading,
    environment,
    {
      onParsed: (parsed) => {
        if (print(parsed, order.out)) order.push(parseTimeText(parsed.origin.time ?? ''));
      },
      pause: () => {
        if (!order.isFull) return undefined;
        turn();
        return writing;
      },
    },
    beside?.widening,
  );
  clearInterval(timer);
  // What goes on being written, the lines that are due, and those that waited for these.
  for (let rest = 0; rest < 3; rest++) {
    await writing;
    turn();
  }
  await writing;
  // Those that were refused have been told of while reading.
  const status = reportFailed(failed, environment);
  if (status !== ExitStatus.ok || session.status().refused.length > 0) return ExitStatus.world;
  return records === 0 ? ExitStatus.noAccessLine : ExitStatus.ok;
}
