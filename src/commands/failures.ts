import { judge } from '../aggregate/failure.js';
import type { Options } from '../cli/options.js';
import { usageError } from '../errors.js';
import { within } from '../filter/within.js';
import type { Parsed } from '../pipeline.js';
import type { ByteWriter } from '../record/byte-writer.js';
import { textOf } from '../record/line.js';
import { safeText } from '../record/safe-text.js';
import type { Environment } from './environment.js';
import { readingOf } from './inputs.js';
import { asksCluster } from './asks-cluster.js';
import { printLine, printRow } from './parse.js';
import { printLive } from './print-live.js';

/** A live target whose screen nobody sees: one line per failure, as it happens. Returns the exit status. */
export async function failures(
  args: readonly string[],
  options: Options,
  environment: Environment,
): Promise<number> {
  if (!asksCluster(args, options, environment)) {
    throw usageError(
      `-o ${options.output} prints the failing lines of a target in a cluster`,
      "of files: meshtail parse FILE… --filter 'code>=500'",
    );
  }
  const filter = within(options.filter, null, options.until);
  const print = (parsed: Parsed, out: ByteWriter): boolean => {
    if (options.output === 'jsonl') return printLine(parsed, false, out);
    if (options.output !== 'raw') return printRow(parsed, false, out);
    out.text(safeText(textOf(parsed.framed.line)));
    return true;
  };
  return printLive(args, options, await readingOf(options, environment), environment, (parsed, out) => {
    if (parsed.result !== 'record' || !judge(parsed.record).failure) return false;
    return (!filter || filter.matches(parsed.record, parsed.origin)) && print(parsed, out);
  });
}
