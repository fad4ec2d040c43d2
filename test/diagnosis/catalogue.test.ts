import { describe, expect, it } from 'vitest';
import { catalogue } from '../../src/diagnosis/catalogue.js';
import { CAUSES } from '../../src/diagnosis/causes/index.js';
import { explain } from '../../src/diagnosis/explain.js';
import { UNJUDGED } from '../../src/diagnosis/unjudged.js';
import { explanationText } from '../../src/output/explanation-text.js';

const judged = CAUSES.map(({ id }) => id);

describe('causes that are judged', () => {
  it('have unique ids', () => {
    expect(judged.filter((id, i) => judged.indexOf(id) !== i)).toEqual([]);
  });

  it.each(CAUSES.map((cause) => [cause.id, cause] as const))(
    '%s can be looked up and argued with',
    (id, cause) => {
      expect(catalogue().has(id)).toBe(true);
      expect(cause.reference).toMatch(/^https:\/\/[^\s/]+\/\S+$/);
      expect(cause.mechanism).toMatch(/^\S.*\.$/s);
      expect(cause.signs.length).toBeGreaterThan(0);
      expect(cause.signs.filter((sign) => sign.trim() === '')).toEqual([]);
    },
  );
});

describe('the catalogue', () => {
  it('is judged, or says why not, cause by cause', () => {
    const stated = [...judged, ...UNJUDGED.keys()];
    expect(stated.toSorted()).toEqual([...catalogue().keys()].toSorted());
  });

  it('names only lookalikes that it holds', () => {
    const unknown = [...catalogue().values()].flatMap(({ id, lookalikes }) =>
      lookalikes.filter((other) => !catalogue().has(other)).map((other) => `${id}: ${other}`),
    );
    expect(unknown).toEqual([]);
  });

  it.each([...UNJUDGED])('explains why %s is not named, and what would decide', (id, { why, decide }) => {
    const text = explanationText(explain(id)).replaceAll(/\s+/g, ' ');
    expect(text).toContain(`no rule names it: ${why}`);
    expect(text).toContain(`look at ${decide}`);
  });

  it('does not excuse a cause that is judged', () => {
    expect(explanationText(explain('no-endpoints'))).not.toContain('no rule names it');
  });
});
