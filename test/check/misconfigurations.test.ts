import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { named } from '../../src/check/check.js';
import { checksFor } from '../../src/check/for-causes.js';
import { runChecks } from '../../src/check/run.js';
import { catalogue } from '../../src/diagnosis/catalogue.js';
import type { SavedFile } from '../../src/check/from-files.js';
import { described, Mesh, worldOf } from './mesh.js';
import {
  ATTACHED,
  EDGES,
  ENVOY_CASES,
  FOUNDATION,
  PATTERNS,
  TRAFFIC_CASES,
  type Misconfiguration,
} from './misconfigurations.js';

const ALL = [...PATTERNS, ...FOUNDATION, ...TRAFFIC_CASES, ...EDGES, ...ENVOY_CASES, ...ATTACHED];

describe.each<[string, readonly Misconfiguration[]]>([
  ['the three patterns', PATTERNS],
  ['foundation', FOUNDATION],
  ['traffic configuration', TRAFFIC_CASES],
  ['edges, egress and policies', EDGES],
  ['Envoy itself', ENVOY_CASES],
  ['attached by name, patched, ambient', ATTACHED],
])('one change of the healthy mesh gives its one finding: %s', (_, cases) => {
  it.each(cases.map((one) => [one.what, one] as const))(
    '%s',
    async (__, { change, id, object, confirms }) => {
      const mesh = new Mesh();
      change(mesh);
      const world = await worldOf(mesh.files());
      const findings = runChecks(world).filter(({ status }) => status !== 'ok');
      expect(
        findings.map((one) => `${one.id}: ${one.object ? named(one.object) : ''}: ${one.read}`),
      ).toHaveLength(1);
      const [finding] = findings;
      expect(finding?.id).toBe(id);
      expect(finding?.object && named(finding.object)).toMatch(new RegExp(`^${object}`));
      if (confirms !== undefined) expect(finding?.confirms).toContain(confirms);
      // Whoever asks for a cause gets the check that finds it.
      for (const cause of finding?.confirms ?? []) {
        expect(runChecks(world, null, checksFor([cause])).map((one) => one.id)).toContain(id);
      }
      expect(finding?.see).not.toBe('');
      expect(finding?.fix).not.toBe('');
      expect(finding?.confirms.filter((cause) => !catalogue().has(cause))).toEqual([]);
    },
  );
});

/** Every service and namespace under another name, wherever it stands; keys and kinds stay. */
function renamed(files: readonly SavedFile[]): SavedFile[] {
  const words = [...new Set(described.flatMap(({ namespace, name }) => [namespace, ...name.split('-')]))];
  const others = new Map(words.map((word, i) => [word, `q${i}x`]));
  const rename = (text: string): string => text.replace(/[a-z]+/g, (word) => others.get(word) ?? word);
  const deep = (value: unknown): unknown =>
    typeof value === 'string'
      ? rename(value)
      : Array.isArray(value)
        ? value.map(deep)
        : typeof value === 'object' && value !== null
          ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, deep(one)]))
          : value;
  return files.map((file) => ({
    ...file,
    name: rename(file.name),
    text: JSON.stringify(deep(/^[[{]/.test(file.text) ? JSON.parse(file.text) : parse(file.text))),
  }));
}

describe('no rule knows the names of the fixture', () => {
  it.each(ALL.map((one) => [one.what, one] as const))('%s', async (_, { change, id }) => {
    const mesh = new Mesh();
    change(mesh);
    const world = await worldOf(renamed(mesh.files()));
    const findings = runChecks(world).filter(({ status }) => status !== 'ok');
    expect(findings.map((finding) => finding.id)).toEqual([id]);
  });
});

it('covers more than forty kinds of misconfiguration', () => {
  expect(new Set(ALL.map(({ id }) => id)).size).toBeGreaterThan(100);
});
