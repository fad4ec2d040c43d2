import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { reportText } from '../src/output/report-text.js';
import { packageRoot } from '../src/paths.js';
// The scorer runs on the built program, as `npm run score` does; the tests build it first.
import { reportOn, scoreOf, totalsOf, type Score, type Truth } from '../scripts/score/compare.mjs';

const incidents = readdirSync(join(packageRoot, 'samples/incidents')).toSorted();
const read = (name: string, file: string): string =>
  readFileSync(join(packageRoot, 'samples/incidents', name, file), 'utf8');

describe('what is said of each incident', () => {
  it.each(incidents)('%s', async (name) => {
    const { report } = await reportOn(`samples/incidents/${name}`);
    // `npm run samples` writes it anew.
    expect(reportText(report)).toBe(read(name, 'report.txt'));
  });
});

describe('the score', () => {
  it('is the one that is stored: a change that makes anything worse is seen', async () => {
    const stored = JSON.parse(readFileSync(join(packageRoot, 'samples/score.json'), 'utf8')) as {
      now: { totals: Record<string, unknown>; incidents: Record<string, unknown> };
    };
    const scores: Score[] = [];
    for (const name of incidents) {
      const truth = JSON.parse(read(name, 'truth.json')) as Truth;
      scores.push(await scoreOf(`samples/incidents/${name}`, name, truth));
    }
    expect(Object.fromEntries(scores.map(({ id, ...rest }) => [id, rest]))).toEqual(stored.now.incidents);
    expect({
      all: totalsOf(scores),
      written: totalsOf(scores.filter(({ recorded }) => !recorded)),
    }).toEqual(stored.now.totals);
  });
});
