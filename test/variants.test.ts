import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../src/paths.js';
import type { Truth } from '../scripts/score/compare.mjs';
import { variantsOf, variantTotals, type Variants } from '../scripts/score/variants.mjs';

/*
 * Incidents that several proxies logged, with less to go by. What is right with a side missing was written into the
 * truths before any rule was looked at; a change that makes anything worse is seen.
 */

const folder = join(packageRoot, 'samples/incidents');
const chosen = readdirSync(folder)
  .map((name) => ({
    name,
    truth: JSON.parse(readFileSync(join(folder, name, 'truth.json'), 'utf8')) as Truth,
  }))
  .filter(({ truth }) => truth['without'] !== undefined);

describe('an incident of several proxies', () => {
  const all: Variants[] = [];

  it.each(chosen)('$name: with clocks apart, lines lost, a side missing', async ({ name, truth }) => {
    const found = await variantsOf(join(folder, name), name, truth);
    all.push(found);
    expect(found.both.right).toBe(true);
    expect(found.skewed).toEqual(found.both);
    expect(found.thinned.named).toBe(found.both.named);
    for (const one of found.without) {
      expect(one.right, `without a side: ${one.named}`).toBe(true);
    }
  });

  it('asks for the missing log by name', () => {
    // One of them is a caller whose address alone the servers know.
    expect(variantTotals(all).names_the_missing_log).toBe('21 of 22');
  });
});
