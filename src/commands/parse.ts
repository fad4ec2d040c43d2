import { once } from 'node:events';
import type { Options } from '../cli/options.js';
import { ExitStatus, MeshtailError, usageError } from '../errors.js';
import { parseSource, type Parsed } from '../pipeline.js';
import type { Environment } from './environment.js';
import { inputsOf, reportFailed } from './inputs.js';

/** Enough lines to make one write worth it. */
const BATCH = 64 * 1024;

/** `meshtail parse`: one JSON object per record, as it is read. Returns the exit status. */
export async function parse(
  args: readonly string[],
  options: Options,
  environment: Environment,
): Promise<number> {
  const { filter } = options;
  if (filter?.asksWho) {
    throw usageError('who: is known only once failures are explained', 'use report, or leave it out');
  }
  const { sources, failed: missing } = await inputsOf(args, environment);
  const failed = [...missing];
  let records = 0;
  let batch = '';
  let wait: Promise<void> | undefined;
  const flush = (): void => {
    if (batch === '') return;
    if (!environment.stdout.write(batch)) wait ??= once(environment.stdout, 'drain').then(() => undefined);
    batch = '';
  };
  const onParsed = (parsed: Parsed): void => {
    if (parsed.result === 'record') records++;
    if (filter && !(parsed.result === 'record' && filter.matches(parsed.record, parsed.origin))) return;
    const printed = printedLine(parsed, options.all);
    if (printed === undefined) return;
    batch += `${printed}\n`;
    if (batch.length >= BATCH) flush();
  };
  for (const source of sources) {
    try {
      await parseSource(source, options.maxLine, onParsed, () => {
        // A pipe is somebody watching: what came with this chunk goes out with it.
        if (source.kind === 'pipe') flush();
        const pending = wait;
        wait = undefined;
        return pending;
      });
    } catch (error) {
      if (!(error instanceof MeshtailError)) throw error;
      failed.push(error);
    }
    flush();
  }
  const worldStatus = reportFailed(failed, environment);
  if (worldStatus !== ExitStatus.ok) return worldStatus;
  return records === 0 ? ExitStatus.noAccessLine : ExitStatus.ok;
}

/** One line of output; `undefined` for a line that is not asked for. */
export function printedLine({ result, record, origin }: Parsed, all: boolean): string | undefined {
  if (result === 'record')
    return JSON.stringify(all ? { kind: 'record', ...record.copy(origin) } : record.copy(origin));
  if (!all) return undefined;
  if (result === 'foreign') return JSON.stringify({ kind: 'foreign', line: origin.line, origin });
  const { kind, at, expected, found } = result;
  return JSON.stringify({ kind, line: origin.line, at, expected, found, origin });
}
