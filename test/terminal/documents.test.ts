import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

describe('the pictures in the documents', () => {
  it('are what the screen shows', async () => {
    // Fails with the names of those that are not; `npm run pictures` draws them anew.
    await promisify(execFile)(process.execPath, ['scripts/pictures.mjs', '--check']);
  }, 60_000);

  it('are all shown, and there', () => {
    const shown = [...readFileSync('README.md', 'utf8').matchAll(/\]\(docs\/pictures\/([\w-]+\.svg)\)/g)];
    expect(shown.map((found) => found[1]).toSorted()).toEqual(readdirSync('docs/pictures').toSorted());
  });

  it('hold nothing but shapes and text', () => {
    for (const name of readdirSync('docs/pictures')) {
      const tags = readFileSync(`docs/pictures/${name}`, 'utf8').match(/<(?!\/)\w+/g) ?? [];
      expect([...new Set(tags)].toSorted()).toEqual(['<rect', '<svg', '<text']);
    }
  });
});
