import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ResumedLines } from '../../src/framing/resume.js';

interface Stamped {
  readonly second: number;
  readonly nanos: number;
}

const BASE = Date.UTC(2026, 10, 23, 16, 2, 0);

function textOf({ second, nanos }: Stamped, number: number): string {
  const head = new Date(BASE + second * 1000).toISOString().slice(0, 19);
  return `${head}.${String(nanos).padStart(9, '0')}Z line ${number}\n`;
}

/** What the API serves of a log from a whole second on, the stamp of each line taken as it is. */
function servedFrom(lines: readonly { text: string }[], sinceTime: string | undefined): string {
  return lines
    .filter(({ text }) => sinceTime === undefined || text.slice(0, 19) >= sinceTime.slice(0, 19))
    .map(({ text }) => text)
    .join('');
}

describe('a log stream that is opened again', () => {
  it('gives each line once, wherever it is cut and however stamps are shared or out of order by less than a second', () => {
    const stamps = fc.array(
      fc.record({
        step: fc.constantFrom(0, 0, 1, 400_000_000, 999_999_999),
        back: fc.constantFrom(0, 0, 0, 900_000_000),
      }),
      { minLength: 1, maxLength: 40 },
    );
    fc.assert(
      fc.property(
        stamps,
        fc.array(fc.nat(), { maxLength: 5 }),
        fc.integer({ min: 1, max: 60 }),
        (steps, cuts, piece) => {
          let clock = 2_000_000_000;
          const lines = steps.map(({ step, back }, i) => {
            clock += step;
            const at = clock - back;
            return { text: textOf({ second: Math.floor(at / 1e9), nanos: at % 1e9 }, i) };
          });
          const whole = lines.map(({ text }) => text).join('');
          const resumed = new ResumedLines();
          let out = '';
          const feed = (bytes: Buffer): void => {
            for (let at = 0; at < bytes.length; at += piece) {
              out += resumed.push(bytes.subarray(at, at + piece))?.toString() ?? '';
            }
          };
          for (const cut of cuts) {
            const served = Buffer.from(servedFrom(lines, resumed.sinceTime));
            feed(served.subarray(0, cut % (served.length + 1)));
            resumed.resume();
          }
          feed(Buffer.from(servedFrom(lines, resumed.sinceTime)));
          expect(out.split('\n').toSorted()).toEqual(whole.split('\n').toSorted());
        },
      ),
    );
  });

  it('tells of a hole where the newest line does not come again', () => {
    const resumed = new ResumedLines();
    resumed.push(Buffer.from(textOf({ second: 1, nanos: 5 }, 1)));
    resumed.resume();
    resumed.push(Buffer.from(textOf({ second: 9, nanos: 0 }, 2)));
    expect(resumed.takeHole()).toMatchObject({ from: BASE + 1000 + 5e-6, to: BASE + 9000 });
    // Once: it is no leap as well.
    expect(resumed.takeLeaps()).toEqual([]);
    expect(resumed.takeHole()).toBeNull();
  });

  it('tells of a leap in a stream that was open all the while, and at which rate it went before', () => {
    const resumed = new ResumedLines();
    const burst = (second: number): string =>
      Array.from({ length: 30 }, (_, i) => textOf({ second, nanos: i * 30_000_000 }, i)).join('');
    for (const second of [1, 2, 3, 4]) resumed.push(Buffer.from(burst(second)));
    expect(resumed.takeLeaps()).toEqual([]);
    resumed.push(Buffer.from(burst(9)));
    expect(resumed.takeLeaps()).toEqual([{ from: BASE + 4870, to: BASE + 9000, perSecond: 30 }]);
    resumed.forget();
    resumed.push(Buffer.from(burst(20)));
    expect(resumed.takeLeaps()).toEqual([]);
  });

  it('drops a file that the kubelet reads a second time', () => {
    const resumed = new ResumedLines();
    const read = (...seconds: number[]): string =>
      resumed
        .push(
          Buffer.from(
            seconds.map((s) => textOf({ second: Math.floor(s), nanos: (s % 1) * 1e9 }, s)).join(''),
          ),
        )
        ?.toString()
        .replaceAll(/\S+ line (\S+)\n/g, '$1 ') ?? '';
    expect(read(1, 1.5, 2)).toBe('1 1.5 2 ');
    // Files between were missed: for each that was made meanwhile the live one is opened again.
    expect(read(7, 8, 9, 10, 11)).toBe('7 8 9 10 11 ');
    expect(read(7, 8, 9)).toBe('');
    expect(read(10, 11, 12)).toBe('12 ');
    expect(read(13, 14, 15)).toBe('13 14 15 ');
    expect(read(10, 11, 12, 13, 14, 15, 16)).toBe('16 ');
    expect(read(12, 13, 14, 15, 16)).toBe('');
    expect(read(16, 16.25, 16.5)).toBe('16.25 16.5 ');
    expect(read(16.25, 16.5, 16.75, 17)).toBe('16.75 17 ');
    expect(read(17, 16.75, 17.25)).toBe('17.25 ');
  });

  it('asks for a whole second more than the newest line needs', () => {
    const resumed = new ResumedLines();
    expect(resumed.sinceTime).toBeUndefined();
    resumed.push(Buffer.from(textOf({ second: 7, nanos: 999_999_999 }, 1)));
    expect(resumed.sinceTime).toBe('2026-11-23T16:02:06Z');
  });

  it('keeps no more of an endless line than of a longest one', () => {
    const resumed = new ResumedLines(100);
    for (let i = 0; i < 50; i++) expect(resumed.push(Buffer.alloc(100, 120))).toBeNull();
    expect(resumed.push(Buffer.from('\n'))?.length).toBeLessThan(200);
  });
});
