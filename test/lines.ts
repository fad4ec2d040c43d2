import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { samples } from './samples.js';

/** Every line of every sample, as bytes. */
export function sampleLines(): Buffer[] {
  return samples().flatMap(({ path }) => {
    const bytes = readFileSync(path);
    const lines: Buffer[] = [];
    for (let start = 0; start < bytes.length;) {
      const newline = bytes.indexOf(10, start);
      const end = newline < 0 ? bytes.length : newline;
      lines.push(bytes.subarray(start, end));
      start = end + 1;
    }
    return lines;
  });
}

/** A small random generator whose run a seed repeats (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** Bytes that break readers: delimiters, escapes, NUL, C1 and halves of UTF-8. */
export const HOSTILE_BYTES = Buffer.from('"" " [] {}\\,:-%|=\t\r\0\u001b[m\u0085\u202e', 'utf8');

/** A line with a few bytes changed, cut out, doubled or spliced with another. */
export function mutated(line: Buffer, other: Buffer, random: () => number): Buffer {
  const at = (length: number): number => Math.floor(random() * (length + 1));
  let bytes = Buffer.from(line);
  for (let changes = 1 + Math.floor(random() * 3); changes > 0; changes--) {
    const from = at(bytes.length);
    const to = Math.min(bytes.length, from + at(12));
    switch (Math.floor(random() * 6)) {
      case 0:
        bytes = bytes.subarray(0, from);
        break;
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
        break;
      case 2:
        if (from < bytes.length) bytes[from] = HOSTILE_BYTES[Math.floor(random() * HOSTILE_BYTES.length)]!;
        break;
      case 3:
        if (from < bytes.length) bytes[from] = Math.floor(random() * 256);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
        break;
      default:
        bytes = Buffer.concat([bytes.subarray(0, from), other.subarray(at(other.length))]);
    }
  }
  return bytes;
}

/** A line of a sample, mutated, for fast-check. */
export function arbitraryLine(lines: readonly Buffer[]): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.nat(lines.length - 1), fc.nat(lines.length - 1), fc.integer())
    .map(([one, other, seed]) => mutated(lines[one]!, lines[other]!, randomOf(seed)));
}
