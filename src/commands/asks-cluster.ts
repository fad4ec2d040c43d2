import type { Options } from '../cli/options.js';
import { nearestWord } from '../nearest.js';
import { isAlsoFolder, namesTargets } from '../source/resolve.js';
import type { Environment } from './environment.js';

/** Whether the command line means a cluster: targets, or no input at all and a flag that only a cluster knows. */
export function asksCluster(
  args: readonly string[],
  { cluster }: Options,
  { warn }: Pick<Environment, 'warn'>,
): boolean {
  if (args.length === 0) return cluster.allNamespaces || cluster.selector !== undefined;
  if (!namesTargets(args)) return false;
  for (const folder of args.filter(isAlsoFolder)) {
    warn(`'${folder}' is taken as a pattern of pod names; the folder of that name is ./${folder}`);
  }
  const command = args.length === 1 ? nearestWord(args[0]!, COMMANDS) : undefined;
  if (command !== undefined) {
    warn(`'${args[0]}' is taken as a pattern of pod names; the command is meshtail ${command}`);
  }
  return true;
}

const COMMANDS = ['report', 'parse', 'explain', 'trace', 'check', 'demo', 'help'];
