import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Options, ScreenOptions } from '../cli/options.js';
import { ExitStatus, usageError } from '../errors.js';
import { packageRoot } from '../paths.js';
import type { Environment } from './environment.js';
import { look } from './screen.js';

/*
 * Recordings of a real Envoy with known faults. These few are part of the package: the app, the mesh's configuration, a
 * policy, a hidden failure, and a day on which nothing is wrong. In a clone any other of samples/incidents plays too.
 */
const SCENARIOS: Readonly<Record<string, string>> = {
  'checkout-app-crash': 'one of three pods loses its app for seven seconds',
  'reviews-route-miss': 'a new path that no route matches',
  'pricing-all-ejected': 'an app fails, outlier detection makes it worse',
  'loyalty-retry-masked': 'a bad pod that retries hide',
  'vault-rbac-denied': 'a policy denies one caller',
  'intranet-quiet-day': 'nothing is wrong',
};
const DEFAULT = 'checkout-app-crash';
const FOLDER = join(packageRoot, 'samples', 'incidents');

/** `meshtail demo`: plays a bundled incident, or prints its report where the output is no terminal. */
export async function demo(
  [scenario = DEFAULT]: readonly string[],
  options: Options,
  screen: ScreenOptions,
  environment: Environment,
): Promise<number> {
  if (scenario === 'list') {
    environment.stdout.write(listed());
    return ExitStatus.ok;
  }
  if (!scenarios().includes(scenario)) {
    throw usageError(`no scenario '${scenario}'`, `one of ${Object.keys(SCENARIOS).join(', ')}`);
  }
  return look([join(FOLDER, scenario)], options, screen, environment);
}

/** What is there: all that the package carries, and in a clone every recording. */
function scenarios(): readonly string[] {
  try {
    return readdirSync(FOLDER);
  } catch {
    return [];
  }
}

function listed(): string {
  const there = scenarios();
  const width = Math.max(...Object.keys(SCENARIOS).map((name) => name.length));
  const lines = Object.entries(SCENARIOS)
    .filter(([name]) => there.includes(name))
    .map(([name, what]) => `${name.padEnd(width)}  ${what}`);
  const others = there.filter((name) => !(name in SCENARIOS)).length;
  if (others > 0) lines.push(`and ${others} more in ${FOLDER}`);
  return `${lines.join('\n')}\n`;
}
