import type { Finding } from '../diagnosis/finding.js';
import type { CauseId } from '../diagnosis/hypothesis.js';
import type { Check } from './check.js';
import { CHECKS } from './index.js';
import { clearances, runChecks } from './run.js';
import type { World } from './world.js';

/** Exactly the checks whose findings bear on causes. */
export const checksFor = (causes: readonly CauseId[]): readonly Check[] =>
  CHECKS.filter(({ decides }) => decides.some((cause) => causes.includes(cause)));

/** What they find, and what they clear by name. */
export function findingsFor(world: World, causes: readonly CauseId[]): readonly Finding[] {
  const checks = checksFor(causes);
  const told = runChecks(world, null, checks).filter(({ status }) => status === 'fail' || status === 'warn');
  return [...told, ...clearances(world, checks)];
}
