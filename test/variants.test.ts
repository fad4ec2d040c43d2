import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../src/paths.js';
import type { Truth } from '../scripts/score/compare.mjs';
import { answersOf, inWords, variantsOf } from '../scripts/score/variants.mjs';

/*
 * Incidents that several proxies logged, with less to go by. What is right with a side missing was written into the
 * truths before any rule was looked at; a change that makes anything worse is seen. `npm run score` does so for all that
 * have more than one log.
 */

const folder = join(packageRoot, 'samples/incidents');
const stored = JSON.parse(readFileSync(join(packageRoot, 'samples/score.json'), 'utf8')) as {
  now: { variants: { incidents: Record<string, Record<string, string>> } };
};
const chosen = readdirSync(folder)
  .map((name) => ({
    name,
    truth: JSON.parse(readFileSync(join(folder, name, 'truth.json'), 'utf8')) as Truth,
  }))
  .filter(({ truth }) => truth['without'] !== undefined);

describe('an incident of several proxies', () => {
  it.each(chosen)(
    '$name: with clocks apart, lines lost, pods unnamed, a side missing',
    async ({ name, truth }) => {
      const found = await variantsOf(join(folder, name), name, truth);
      for (const [variant, { right, named }] of Object.entries(answersOf(found))) {
        expect(right, `${variant}: ${named}`).toBe(true);
      }
      // `npm run score -- --write` stores it anew.
      expect(inWords(found)).toEqual(stored.now.variants.incidents[name]);
    },
  );
});
