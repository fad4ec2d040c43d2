import type { Line } from '../src/record/line.js';
import { isDigit } from './tokenize.js';

/** How deep arrays and objects of an access line may lie in each other; printing deeper ones would exhaust the stack. */
export const JSON_DEPTH = 64;

export interface JsonFault {
  /** Offset in the line's bytes from which no continuation fits. */
  readonly at: number;
  readonly expected: string;
}

/** Between tokens: what may come next. */
const enum Next {
  value,
  firstKey,
  key,
  firstItem,
  colon,
  comma,
  end,
}

const WORDS: readonly (readonly [number, string])[] = [
  [116, 'true'],
  [102, 'false'],
  [110, 'null'],
];

/**
 * Where a line stops being JSON (RFC 8259), byte by byte; `undefined` where it is. The runtime's own parser says so only
 * sometimes, and not in bytes. Never recurses; time linear in the line.
 */
export function jsonFault(line: Line): JsonFault | undefined {
  const { bytes, end } = line;
  const inArray: boolean[] = [];
  let next = Next.value as Next;
  let at = line.start;
  const closed = (): void => {
    inArray.pop();
    next = inArray.length === 0 ? Next.end : Next.comma;
  };
  for (;;) {
    while (at < end && isBlank(bytes[at]!)) at++;
    if (at >= end) return next === Next.end ? undefined : { at: end, expected: EXPECTED[next] };
    const byte = bytes[at]!;
    switch (next) {
      case Next.end:
        return { at, expected: 'the end of the line behind the object' };
      case Next.colon:
        if (byte !== 58) return { at, expected: EXPECTED[next] };
        at++;
        next = Next.value;
        break;
      case Next.comma:
        if (byte === 44) {
          at++;
          next = inArray.at(-1) ? Next.value : Next.key;
        } else if (byte === (inArray.at(-1) ? 93 : 125)) {
          at++;
          closed();
        } else return { at, expected: EXPECTED[next] };
        break;
      case Next.firstKey:
      case Next.key: {
        if (byte === 125 && next === Next.firstKey) {
          at++;
          closed();
          break;
        }
        if (byte !== 34) return { at, expected: EXPECTED[next] };
        const stop = stringEnd(bytes, at, end);
        if (stop < 0) return { at: ~stop, expected: 'the rest of a string' };
        at = stop;
        next = Next.colon;
        break;
      }
      case Next.firstItem:
      case Next.value: {
        if (byte === 93 && next === Next.firstItem) {
          at++;
          closed();
          break;
        }
        if (byte === 123 || byte === 91) {
          if (inArray.length === JSON_DEPTH)
            return { at, expected: `at most ${JSON_DEPTH} nested objects and lists` };
          inArray.push(byte === 91);
          next = byte === 91 ? Next.firstItem : Next.firstKey;
          at++;
          break;
        }
        const stop = byte === 34 ? stringEnd(bytes, at, end) : scalarEnd(bytes, at, end);
        if (stop < 0) return { at: ~stop, expected: byte === 34 ? 'the rest of a string' : 'a JSON value' };
        at = stop;
        next = inArray.length === 0 ? Next.end : Next.comma;
        break;
      }
      default:
        return next satisfies never;
    }
  }
}

const EXPECTED: Readonly<Record<Next, string>> = {
  [Next.value]: 'a JSON value',
  [Next.firstKey]: 'a key in quotes, or }',
  [Next.key]: 'a key in quotes',
  [Next.firstItem]: 'a JSON value, or ]',
  [Next.colon]: 'a colon',
  [Next.comma]: 'a comma or the end of the object',
  [Next.end]: 'the end of the line',
};

function isBlank(byte: number): boolean {
  return byte === 32 || byte === 9 || byte === 10 || byte === 13;
}

/** Behind the closing quote of the string at `at`; `~position` where it breaks. */
function stringEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at + 1; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === 34) return i + 1;
    if (byte < 32) return ~i;
    if (byte !== 92) continue;
    i++;
    if (i >= end) break;
    const escaped = bytes[i]!;
    if (escaped === 117) {
      for (let digit = 0; digit < 4; digit++) {
        i++;
        if (i >= end) return ~end;
        if (!isHex(bytes[i]!)) return ~i;
      }
    } else if (!SIMPLE_ESCAPES.has(escaped)) return ~i;
  }
  return ~end;
}

/** `" \ / b f n r t` */
const SIMPLE_ESCAPES: ReadonlySet<number> = new Set([34, 92, 47, 98, 102, 110, 114, 116]);

function isHex(byte: number): boolean {
  return isDigit(byte) || (byte >= 65 && byte <= 70) || (byte >= 97 && byte <= 102);
}

/** Behind a number, `true`, `false` or `null`; `~position` where it breaks. */
function scalarEnd(bytes: Uint8Array, at: number, end: number): number {
  for (const [first, word] of WORDS) {
    if (bytes[at] !== first) continue;
    for (let i = 0; i < word.length; i++) {
      if (at + i >= end || bytes[at + i] !== word.charCodeAt(i)) return ~Math.min(at + i, end);
    }
    return at + word.length;
  }
  return numberEnd(bytes, at, end);
}

function numberEnd(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  const byteAt = (): number => (at < end ? bytes[at]! : -1);
  const digits = (): boolean => {
    const start = at;
    while (isDigit(byteAt())) at++;
    return at > start;
  };
  if (byteAt() === 45) at++;
  if (byteAt() === 48) at++;
  else if (!digits()) return ~at;
  if (byteAt() === 46) {
    at++;
    if (!digits()) return ~at;
  }
  if (byteAt() === 101 || byteAt() === 69) {
    at++;
    if (byteAt() === 43 || byteAt() === 45) at++;
    if (!digits()) return ~at;
  }
  return at;
}
