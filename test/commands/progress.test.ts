import { describe, expect, it } from 'vitest';
import { progressOf, progressText } from '../../src/commands/progress.js';

describe('progress', () => {
  it.each([
    [1.2e9, 3.6e9, 3_000, 'reading: 1.2 GB of 3.6 GB, 33%, 400 MB/s, 6 s left'],
    [90e6, 9e9, 1_000, 'reading: 90 MB of 9.0 GB, 1%, 90 MB/s, 2 min left'],
    [80e6, null, 2_000, 'reading: 80 MB, 40 MB/s'],
    [0, 100e6, 0, 'reading: 0 MB of 100 MB, 0%, 0 MB/s, ? left'],
  ])('%s of %s after %s ms', (done, total, ms, text) => {
    expect(progressText(done, total, ms)).toBe(text);
  });

  it('is told of large inputs that take long, now and then, and wiped away', () => {
    const told: string[] = [];
    let time = 0;
    const { onProgress, end } = progressOf({ status: (text) => told.push(text) }, () => time);
    for (; time < 1_000; time += 50) onProgress(time * 1e5, 1e8);
    end();
    expect(told).toHaveLength(4);
    expect(told.at(-1)).toBe('');
  });

  it('is not told of small inputs, nor where nobody looks', () => {
    const told: string[] = [];
    let time = 0;
    const small = progressOf({ status: (text) => told.push(text) }, () => time);
    const unseen = progressOf({ status: undefined }, () => time);
    for (; time < 5_000; time += 50) {
      small.onProgress(time * 1e3, 1e7);
      unseen.onProgress(time * 1e5, 1e9);
    }
    small.end();
    unseen.end();
    expect(told).toEqual([]);
  });
});
