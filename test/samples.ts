import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../src/paths.js';

/** One `<case>.log` with what `parse --all` must print for it. */
export interface Sample {
  readonly format: string;
  readonly name: string;
  readonly path: string;
  readonly expected: readonly Record<string, unknown>[];
}

const root = join(packageRoot, 'samples');
/** Folders of samples/ that hold no lines of one format. */
const OTHERS = new Set(['incidents', 'objects']);

export function samples(): Sample[] {
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !OTHERS.has(entry.name))
    .flatMap(({ name: format }) =>
      readdirSync(join(root, format))
        .filter((file) => file.endsWith('.log'))
        .map((file) => sample(format, file.slice(0, -4))),
    );
}

function sample(format: string, name: string): Sample {
  const text = readFileSync(join(root, format, `${name}.expected.jsonl`), 'utf8');
  const expected = text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { format, name, path: join(root, format, `${name}.log`), expected };
}
