import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FORMATS } from '../../parsers/index.js';
import { packageRoot } from '../../src/paths.js';
import { parseSource } from '../../src/pipeline.js';
import { fileSource } from '../../src/source/file.js';
import { printedLine } from '../printed.js';
import { samples, type Sample } from '../samples.js';

/** What `parse --all` prints, read back. */
async function parsed(sample: Sample): Promise<Record<string, unknown>[]> {
  const objects: Record<string, unknown>[] = [];
  await parseSource(fileSource(sample.path), { maxLine: 1 << 20 }, (line) => {
    const object = JSON.parse(printedLine(line)) as Record<string, unknown>;
    objects.push({ ...object, origin: { ...(object['origin'] as object), file: basename(sample.path) } });
  });
  return objects;
}

/** Only the keys that a specification states; malformed lines leave the program's wording open. */
function stated(object: Record<string, unknown>, like: Record<string, unknown> | undefined): unknown {
  if (object['kind'] !== 'malformed') return object;
  return Object.fromEntries(Object.entries(object).filter(([key]) => like !== undefined && key in like));
}

describe('samples are the specification', () => {
  it.each(samples().map((sample) => [`${sample.format}/${sample.name}`, sample] as const))(
    '%s',
    async (_, sample) => {
      const actual = await parsed(sample);
      expect(actual.map((object, i) => stated(object, sample.expected[i]))).toEqual(sample.expected);
    },
  );
});

it('states of each sample where it comes from', () => {
  const sources = readFileSync(join(packageRoot, 'samples', 'SOURCES.md'), 'utf8');
  for (const { format, name } of samples()) {
    const section = sources.split(`\n## ${format}\n`)[1]?.split('\n## ')[0] ?? '';
    expect(section, `${format}/${name}`).toContain(`| \`${name}\` |`);
  }
});

describe('formats', () => {
  it('have unique names and state where they are defined', () => {
    expect(new Set(FORMATS.map(({ name }) => name)).size).toBe(FORMATS.length);
    for (const format of FORMATS) expect(format.reference).toMatch(/^https:\/\//);
  });

  it.each(FORMATS.map(({ name }) => name))('%s has samples, and records among them', (name) => {
    const records = samples().flatMap(({ expected }) => expected.filter(({ format }) => format === name));
    expect(records.length).toBeGreaterThan(0);
  });
});
