import { once } from 'node:events';
import type { Options } from '../cli/options.js';
import { ExitStatus } from '../errors.js';
import { ReorderWindow, type WriteLines } from '../output/reorder.js';
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
  /** Somebody reads more slowly than the lines come. */
  let slow: Promise<void> | undefined;
  const write: WriteLines = (lines, done) => {
    if (stdout.write(lines, () => done())) return;
    slow ??= once(stdout, 'drain').then(() => {
      slow = undefined;
    });
  };
  const turn = (): void => {
    if (!slow) order.turn(write);
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
        if (order.isFull) turn();
        return slow;
      },
    },
    beside?.widening,
  );
  clearInterval(timer);
  // The lines that are due, and those that waited for these.
  order.turn(write);
  order.turn(write);
  // Those that were refused have been told of while reading.
  const status = reportFailed(failed, environment, session.status().refused);
  if (status !== ExitStatus.ok) return status;
  return records === 0 ? ExitStatus.noAccessLine : ExitStatus.ok;
}
