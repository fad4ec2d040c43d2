import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { CHECKS } from '../../src/check/index.js';
import { RESOURCES } from '../../src/cluster/cluster.js';
import { packageRoot } from '../../src/paths.js';

const text = readFileSync(join(packageRoot, 'docs', 'check.md'), 'utf8');

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

it('names a right for every kind that is read, and none for what is not', () => {
  const [, yaml] = /```yaml\n([\s\S]*?)```/.exec(text)!;
  const { rules } = parse(yaml!) as { rules: readonly Rule[] };
  const granted = rules
    .filter(({ verbs, resourceNames }) => verbs.includes('list') && !resourceNames)
    .flatMap(({ apiGroups, resources }) => resources.map((resource) => `${apiGroups[0]}/${resource}`));
  const read = Object.values(RESOURCES)
    .filter(({ kind }) => kind !== 'ConfigMap')
    .map(({ group, resource }) => `${group}/${resource}`);
  expect(granted.toSorted()).toEqual(read.toSorted());
  expect(rules.filter(({ verbs }) => !verbs.includes('list')).map(({ resources }) => resources)).toEqual([
    ['configmaps'],
    ['pods/portforward'],
  ]);
});

it('says of every check what it finds', () => {
  const told = [...text.matchAll(/^\| `([a-z-]+)` /gm)].map(([, id]) => id);
  expect(told.toSorted()).toEqual(CHECKS.map(({ id }) => id).toSorted());
});
