/*
 * Byte-level steps shared by the text layouts. Each walks forward over one line, stops at `end`, and returns a
 * position or -1; none backtracks, so a line costs time linear in its length whatever strangers put into it.
 */

export const SPACE = 32;
export const QUOTE = 34;
export const DASH = 45;
const ZERO = 48;
const NINE = 57;

export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

/** The end of the token that begins at `at`: the next blank, or `end`. */
export function tokenEnd(bytes: Uint8Array, at: number, end: number): number {
  let i = at;
  while (i < end && bytes[i] !== SPACE) i++;
  return i;
}

/** Where the digits that begin at `at` end; -1 where there is none. */
export function digitsEnd(bytes: Uint8Array, at: number, end: number): number {
  let i = at;
  while (i < end && isDigit(bytes[i])) i++;
  return i > at ? i : -1;
}

/** Where a count or a lone `-` ends; -1 where neither stands there. */
export function countOrDashEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at < end && bytes[at] === DASH) return at + 1;
  return digitsEnd(bytes, at, end);
}

/** The first `" "` at or after `at`: a closing quote, a blank, an opening quote. */
export function nextQuoteGap(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at; i + 2 < end; i++) {
    if (bytes[i] === QUOTE && bytes[i + 1] === SPACE && bytes[i + 2] === QUOTE) return i;
  }
  return -1;
}

/** The last `" "` that begins at or before `at` and not before `from`. */
export function previousQuoteGap(bytes: Uint8Array, from: number, at: number): number {
  for (let i = at; i >= from; i--) {
    if (bytes[i] === QUOTE && bytes[i + 1] === SPACE && bytes[i + 2] === QUOTE) return i;
  }
  return -1;
}

/** The last quote at or before `at` and not before `from`. */
export function previousQuote(bytes: Uint8Array, from: number, at: number): number {
  for (let i = at; i >= from; i--) if (bytes[i] === QUOTE) return i;
  return -1;
}

/** Whether `[start, end)` can be a protocol as Envoy prints it: `HTTP/…` or `-`. */
function isProtocol(bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  if (length === 1) return bytes[start] === DASH;
  return length >= 6 && bytes[start] === 72 && bytes[start + 1] === 84 && bytes[start + 4] === 47;
}

/**
 * Whether `[start, end)` can be response flags: `-`, or names joined with commas. Envoy's own are upper case; extensions
 * register what they like.
 */
export function isFlags(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start === 1 && bytes[start] === DASH) return true;
  if (end === start || isDigit(bytes[start])) return false;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    const letter = (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122);
    if (!letter && !isDigit(byte) && byte !== 44 && byte !== 95) return false;
  }
  return true;
}

/**
 * The closing quote of a request triple that opened before `at`: the first `"` that ends a protocol and is followed by
 * a blank or nothing. A path may hold quotes, but no blank, so that the first such place is the end. -1 where there is none.
 */
export function requestEnd(bytes: Uint8Array, at: number, end: number): number {
  let blank = at - 1;
  for (let i = at; i < end; i++) {
    const byte = bytes[i];
    if (byte === SPACE) blank = i;
    else if (byte === QUOTE && (i + 1 === end || bytes[i + 1] === SPACE) && isProtocol(bytes, blank + 1, i)) {
      return i;
    }
  }
  return -1;
}

/** Upper-case names (Envoy's own flags), or `-`. `OK` is the one reason phrase that other servers write in capitals. */
function isOwnFlags(bytes: Uint8Array, start: number, end: number): boolean {
  if (!isFlags(bytes, start, end)) return false;
  if (end - start === 2 && bytes[start] === 79 && bytes[start + 1] === 75) return false;
  for (let i = start; i < end; i++) if (bytes[i]! >= 97) return false;
  return true;
}

/** Whether a line that begins like no access line holds a quoted request followed by a code and flags all the same. */
export function holdsRequest(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; ;) {
    const close = requestEnd(bytes, at, end);
    if (close < 0) return false;
    const codeEnd = digitsEnd(bytes, close + 2, end);
    if (
      codeEnd > 0 &&
      bytes[codeEnd] === SPACE &&
      isOwnFlags(bytes, codeEnd + 1, tokenEnd(bytes, codeEnd + 1, end))
    ) {
      return true;
    }
    at = close + 1;
  }
}
