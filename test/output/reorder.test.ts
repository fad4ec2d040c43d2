import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReorderWindow } from '../../src/output/reorder.js';

function push(window: ReorderWindow, ...times: readonly number[]): void {
  for (const at of times) {
    window.out.text(`at ${at}`);
    window.push(at);
  }
}

function turn(window: ReorderWindow): string[] {
  let all = '';
  window.turn((lines) => {
    all += lines.toString();
  });
  return all.split('\n').slice(0, -1);
}

describe('lines of several streams', () => {
  it('wait a whole window for older ones, which then go out with them', () => {
    const window = new ReorderWindow();
    push(window, 3, 1);
    expect(turn(window)).toEqual([]);
    push(window, 2, 5, 4);
    expect(turn(window)).toEqual(['at 1', 'at 2', 'at 3']);
    push(window, 0);
    expect(turn(window)).toEqual(['at 0', 'at 4', 'at 5']);
    expect(turn(window)).toEqual([]);
  });

  it('without a time stay behind the line before them', () => {
    const window = new ReorderWindow();
    push(window, 2, NaN, 1);
    turn(window);
    expect(turn(window)).toEqual(['at 1', 'at 2', 'at NaN']);
  });

  it('all go out, once', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.integer({ min: 0, max: 99 }))), (turns) => {
        const window = new ReorderWindow();
        const out = turns.flatMap((times) => {
          push(window, ...times);
          return turn(window);
        });
        const all = turns.flat().map((at) => `at ${at}`);
        expect([...out, ...turn(window)].toSorted()).toEqual(all.toSorted());
      }),
    );
  });
});
