import { judge } from '../aggregate/failure.js';
import type { Options } from '../cli/options.js';
import { ExitStatus, type MeshtailError } from '../errors.js';
import { within } from '../filter/within.js';
import { ReorderWindow } from '../output/reorder.js';
import { parseTogether } from '../pipeline.js';
import { textOf } from '../record/line.js';
import { safeText } from '../record/safe-text.js';
import { parseTimeText } from '../record/time.js';
import type { Environment } from './environment.js';
import { readingOf, reportFailed } from './inputs.js';
import { narrate, openLive } from './live.js';
import { printedLine, tableRow } from './parse.js';

const REORDER_MS = 300;

/** A live target whose screen nobody sees: one line per failure, as it happens. Returns the exit status. */
export async function failures(
  args: readonly string[],
  options: Options,
  environment: Environment,
): Promise<number> {
  const reading = await readingOf(options, environment);
  const session = await openLive(args, options, true, environment);
  const filter = within(options.filter, null, options.until);
  const order = new ReorderWindow();
  let lines = 0;
  let records = 0;
  const write = (texts: readonly string[]): void => {
    if (texts.length > 0) environment.stdout.write(`${texts.join('\n')}\n`);
  };
  const timer = setInterval(() => write(order.turn()), REORDER_MS);
  const told = narrate(session, environment, () => ({ lines, records }));
  const failed: MeshtailError[] = [];
  await parseTogether(
    session.sources(),
    reading,
    (parsed) => {
      lines++;
      if (parsed.result !== 'record') return;
      records++;
      if (!judge(parsed.record).failure || (filter && !filter.matches(parsed.record, parsed.origin))) return;
      const text =
        options.output === 'jsonl'
          ? printedLine(parsed, false)
          : options.output === 'raw'
            ? safeText(textOf(parsed.framed.line))
            : tableRow(parsed, false);
      if (text !== undefined) order.push(parseTimeText(parsed.origin.time ?? ''), text);
    },
    () => undefined,
    (error) => failed.push(error),
  );
  clearInterval(timer);
  write(order.end());
  told.stop();
  const status = reportFailed(failed, environment);
  if (status !== ExitStatus.ok || session.status().refused.length > 0) return ExitStatus.world;
  return records === 0 ? ExitStatus.noAccessLine : ExitStatus.ok;
}
