import { describe, expect, it } from 'vitest';
import type { Case } from '../../src/aggregate/joins.js';
import type { Row } from '../../src/aggregate/row.js';
import type { Hypothesis } from '../../src/diagnosis/hypothesis.js';
import { joinAlike, withoutOrphans, type Chosen } from '../../src/diagnosis/stories.js';

/* Stories as far as telling each once looks at them. */

/** A failed request: the group of the line that decided it, and those of lines above. */
function failed(at: string, above: readonly string[] = [], start = 0, by: Row['answeredBy'] = 'peer'): Case {
  const row = (groupKey: string): Row => ({ groupKey, start, answeredBy: by }) as Row;
  const decider = row(at);
  const rows = [decider, ...above.map(row)];
  return { root: rows.at(-1)!, decider, rows, masked: false };
}

function story(title: string, cases: readonly Case[], at: Hypothesis['at'] = {}): Chosen {
  const told = { evidence: [], against: [], why: '', next: [], fix: [] };
  return {
    hypothesis: { cause: 'c', title, summary: `${title}.`, at, cases, confidence: 'high', ...told },
    others: [],
  };
}

const shapes = (chosen: readonly Chosen[]): string[] =>
  chosen.map(({ hypothesis: { title, cases } }) => `${title}: ${cases.length}`);

describe('requests that were followed one hop too few', () => {
  it('go to the story of the others, also where that is given to a deeper one', () => {
    const chosen = [
      story('edge', [failed('1')]),
      story('middle', [failed('2', ['1']), failed('2', ['1'], 10)]),
      story(
        'deep',
        [0, 1, 2].map((start) => failed('3', ['2'], start, 'proxy')),
      ),
      story('other', [failed('9', [], 0, 'proxy')]),
    ];
    expect(shapes(withoutOrphans(chosen))).toEqual(['deep: 6', 'other: 1']);
  });

  it('stay a story of their own where they are of another time', () => {
    const chosen = [
      story('edge', [failed('1', [], 20), failed('1', [], 600_000)]),
      story(
        'deep',
        [0, 10, 20].map((start) => failed('2', ['1'], start, 'proxy')),
      ),
    ];
    expect(shapes(withoutOrphans(chosen))).toEqual(['edge: 1', 'deep: 4']);
  });
});

describe('one mechanism at one service', () => {
  const met = (client: string, start: number, services = ['cart']): Chosen =>
    story(client, [failed('1', [], start)], { services, clients: [client] });

  it.each([
    [0, 50_000, 100_000],
    [50_000, 100_000, 0],
  ])('is one incident where one began soon after the other, in whatever order: %d, %d, %d', (a, b, c) => {
    expect(shapes(joinAlike([met('a', a), met('b', b), met('c', c)]))).toHaveLength(1);
  });

  it('is told of three parties, and the others are named', () => {
    const [one, ...more] = joinAlike(['a', 'b', 'c', 'd', 'e'].map((client) => met(client, 0)));
    expect(more).toEqual([]);
    expect(one!.hypothesis.title).toBe('a; the same with b, c, d and 1 more');
    expect(one!.hypothesis.summary).toBe('a. The same with b: b. The same with c: c. The same with d and e.');
    expect(one!.hypothesis.at.clients).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('is two where it is met later, or at other services', () => {
    expect(joinAlike([met('a', 0), met('b', 120_000)])).toHaveLength(2);
    expect(joinAlike([met('a', 0, ['w', 'x', 'y', 'z']), met('b', 0, ['w', 'x', 'y', 'v'])])).toHaveLength(2);
  });
});
