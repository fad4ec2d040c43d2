import type { Options, ScreenOptions } from '../cli/options.js';
import type { Environment } from './environment.js';
import { report } from './report.js';

/** Inputs without a command: the report. Returns the exit status. */
export async function look(
  args: readonly string[],
  options: Options,
  _screen: ScreenOptions,
  environment: Environment,
): Promise<number> {
  return report(args, options, environment);
}
