import { describe, expect, it } from 'vitest';
import { CAUSES } from '../../src/diagnosis/causes/index.js';
import { CASES } from './cases/index.js';
import {
  crashedAfterRace,
  crashedInTurn,
  crashedTwice,
  ejected,
  plaintextOfTwo,
} from './cases/connections.js';
import { behind, slowBehind } from './cases/replies.js';
import { diagnosed, healthy } from './traffic.js';
import { background, caller, service } from './cases/case.js';

describe.each(CASES.map((one) => [one.cause, one] as const))(
  '%s',
  (cause, { incident, at, behind, dismissed, but }) => {
    it.each(Object.entries(incident))('is named: %s', (_, lines) => {
      const { incidents, dismissed: harmless } = diagnosed(...lines());
      const [first] = incidents;
      if (dismissed) {
        expect(incidents.map(({ hypothesis }) => hypothesis.cause)).toEqual([]);
        expect(harmless.map((one) => one.cause)).toContain(cause);
        return;
      }
      expect(first?.hypothesis.cause).toBe(behind?.cause ?? cause);
      for (const [dimension, values] of Object.entries(at)) {
        const named = first?.hypothesis.at[dimension as keyof typeof at] ?? [];
        expect(named, dimension).toEqual(expect.arrayContaining(values as string[]));
      }
      if (!behind) expect(first?.hypothesis.confidence).not.toBe('possible');
      else if (behind.cause !== cause)
        expect(first?.alternatives.map((other) => other.cause)).toContain(cause);
      else expect(first?.hypothesis.confidence).toBe('possible');
    });

    it.each(but.map((one) => [one.differs, one] as const))(
      'is not what this is: %s',
      (_, { lines, named }) => {
        const { incidents } = diagnosed(...lines());
        expect(incidents[0]?.hypothesis.cause ?? null).toBe(named);
        expect(incidents.map(({ hypothesis }) => hypothesis.cause)).not.toContain(cause);
      },
    );
  },
);

describe('a failure that an app passes on', () => {
  it('is one incident with what it depends on, also where the app forwards no id', () => {
    const { incidents } = diagnosed(...behind(true));
    expect(incidents.map(({ hypothesis }) => [hypothesis.cause, hypothesis.at.services?.[0]])).toEqual([
      ['no-endpoints', 'stock.sales'],
    ]);
  });
});

describe('a service that is given up on', () => {
  it('is not at fault where it waits for another', () => {
    const { incidents } = diagnosed(...slowBehind());
    expect(incidents.map(({ hypothesis }) => [hypothesis.cause, hypothesis.at.services])).toEqual([
      ['upstream-slow', ['stock.sales']],
    ]);
  });
});

describe('hosts that were all ejected', () => {
  it('and fail on when they are back are one incident', () => {
    const { incidents } = diagnosed(...ejected(2));
    expect(incidents.map(({ hypothesis }) => hypothesis.cause)).toEqual(['outlier-all-ejected']);
    expect(incidents[0]!.failures).toBe(3 * 6 + 60 + 3 * 2);
  });
});

describe('an app that was away twice', () => {
  it('was so for as long as it refused, not from the first time to the last', () => {
    const { incidents } = diagnosed(...crashedTwice());
    expect(incidents.map(({ hypothesis }) => hypothesis.title)).toEqual([
      'One of 3 pods of cart.store lost its app 2 times, for 9.4 s in all',
    ]);
  });
});

describe('an app that dies twice', () => {
  it('did so first where one request alone was in flight', () => {
    const { incidents } = diagnosed(...crashedTwice([130]));
    expect(incidents.map(({ hypothesis: { title, cases } }) => [title, cases.length])).toEqual([
      ['One of 3 pods of cart.store lost its app 2 times, for 9.4 s in all', 1 + 12 + 4 + 8],
    ]);
  });
});

describe('an app that dies after a request broke', () => {
  it('did not die by that where it answered in between', () => {
    const { incidents } = diagnosed(...crashedAfterRace());
    expect(incidents[0]!.hypothesis.title).toMatch(/^One of 3 pods of cart.store lost its app for [56]/);
  });
});

describe('apps that die one after another', () => {
  it('are one incident, from the first death on', () => {
    const { incidents } = diagnosed(...crashedInTurn());
    expect(incidents.map(({ hypothesis }) => hypothesis.title)).toEqual([
      '2 pods of cart.store lost their app, one after another',
    ]);
    expect(incidents[0]!.hypothesis.cases).toHaveLength(3 * 4 + 8 + 8 + 12);
  });
});

describe('callers that fail in one way at one service', () => {
  it('are one incident where they begin together, else one each', () => {
    const told = (later: number): unknown =>
      diagnosed(...plaintextOfTwo(later)).incidents.map(({ hypothesis }) => hypothesis.at.clients);
    expect(told(0)).toEqual([['10.60.3.99', '10.60.3.71']]);
    expect(told(120_000)).toEqual([['10.60.3.99'], ['10.60.3.71']]);
  });
});

describe('the table', () => {
  it('holds every cause that is judged, once', () => {
    expect(CASES.map(({ cause }) => cause).toSorted()).toEqual(CAUSES.map(({ id }) => id).toSorted());
  });

  it('has good traffic that nothing is said of', () => {
    const cart = service('cart', 'shop', 8080, '10.42.6.21', '10.42.7.33');
    const lines = [
      ...background([caller('web', '10.42.3.15')], cart),
      ...healthy(caller('job', '10.42.3.16'), cart),
    ];
    expect(diagnosed(lines)).toMatchObject({ incidents: [], dismissed: [] });
  });
});
