import { once } from 'node:events';
import type { Options } from '../cli/options.js';
import { ExitStatus } from '../errors.js';
import { ReorderWindow } from '../output/reorder.js';
import type { Parsed, Reading } from '../pipeline.js';
import { parseTimeText } from '../record/time.js';
import type { Environment } from './environment.js';
import { reportFailed } from './inputs.js';
import { besideOf, openLive, readSession } from './live.js';

/** A line waits so long for older ones of other pods. */
const REORDER_MS = 300;

/**
 * Prints what `print` makes of a live target's lines (`undefined`: nothing), in the order of their stamps as far as a
 * moment's wait allows. Returns the exit status.
 */
export async function printLive(
  args: readonly string[],
  options: Options,
  reading: Reading,
  environment: Environment,
  print: (parsed: Parsed) => string | undefined,
  heading = '',
): Promise<number> {
  const session = await openLive(args, options, true, environment);
  const { stdout } = environment;
  stdout.write(heading);
  const order = new ReorderWindow();
  let wait: Promise<void> | undefined;
  const write = (texts: readonly string[]): void => {
    if (texts.length === 0 || stdout.write(`${texts.join('\n')}\n`)) return;
    wait = once(stdout, 'drain').then(() => {
      wait = undefined;
    });
  };
  const timer = setInterval(() => write(order.turn()), REORDER_MS);
  const sides = options.cluster.with;
  // Lines are printed as they are: only who is to be read beside the targets is asked of the cluster.
  const beside = sides.length === 0 ? null : await besideOf(session, sides, environment.warn);
  const { records, failed } = await readSession(
    session,
    reading,
    environment,
    {
      onParsed: (parsed) => {
        const text = print(parsed);
        if (text !== undefined) order.push(parseTimeText(parsed.origin.time ?? ''), text);
      },
      pause: () => wait,
    },
    beside?.widening,
  );
  clearInterval(timer);
  write(order.end());
  // Those that were refused have been told of while reading.
  const status = reportFailed(failed, environment);
  if (status !== ExitStatus.ok || session.status().refused.length > 0) return ExitStatus.world;
  return records === 0 ? ExitStatus.noAccessLine : ExitStatus.ok;
}
