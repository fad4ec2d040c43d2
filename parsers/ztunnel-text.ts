import { SLOT } from '../src/record/access-record.js';
import type { Json } from '../src/record/json.js';
import type { Line } from '../src/record/line.js';
import type { RecordCursor } from '../src/record/record-view.js';
import { malformed, type Format, type Malformed, type ParseResult } from './format.js';
import { QUOTE, SPACE, isDigit } from './tokenize.js';

const TAB = 9;
const EQUALS = 61;
const BACKSLASH = 92;
/** The longest key that is looked for; ztunnel's own have 14 letters. */
const KEY_LENGTH = 64;

/** Messages at the end of a connection; a `connection opened` at debug repeats what the end will say. */
const ENDS = ['connection complete', 'connection failed'];
const OPENED = 'connection opened';
const LEVELS: ReadonlySet<string> = new Set(['trace', 'debug', 'info', 'warn', 'warning', 'error']);

export const isConnectionEnd = (message: string): boolean => ENDS.includes(message);

/** ztunnel's access log: one line when a connection ends, columns between tabs, then pairs. */
export const ztunnelText: Format = {
  name: 'ztunnel-text',
  layout: 'TIME TAB LEVEL TAB access TAB connection complete|connection failed TAB key=value key="value" …',
  sign: 'a time, a level, the word access and a message that ends a connection',
  reference:
    'https://github.com/istio/ztunnel/blob/62d826530e5c/src/proxy/metrics.rs (access_log!), src/telemetry.rs',
  parse,
};

/** One pair of a connection: kept unchanged, and what a field of the record means besides. */
export function fillPair(key: string, value: Json, into: RecordCursor): void {
  into.ztunnel(key, value);
  if (typeof value !== 'string' && typeof value !== 'number') return;
  const text = String(value);
  switch (key) {
    case 'bytes_recv':
      return into.value(SLOT.bytes_received, numeric(text) ?? value);
    case 'bytes_sent':
      return into.value(SLOT.bytes_sent, numeric(text) ?? value);
    case 'response_code':
      return into.value(SLOT.response_code, numeric(text) ?? value);
    case 'duration':
      return into.value(SLOT.duration, numeric(text.endsWith('ms') ? text.slice(0, -2) : text) ?? value);
  }
}

function numeric(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

function parse(line: Line, into: RecordCursor): ParseResult {
  const { bytes, start, end } = line;
  if (!isDigit(bytes[start])) return 'foreign';
  const timeEnd = columnEnd(bytes, start, end);
  if (timeEnd - start < 20 || timeEnd >= end || bytes[start + 10] !== 84) return 'foreign';
  const level = skipBlanks(bytes, timeEnd, end);
  const levelEnd = columnEnd(bytes, level, end);
  const levelText = bytes.toString('latin1', level, Math.min(levelEnd, level + 8));
  if (!LEVELS.has(levelText.toLowerCase())) return 'foreign';
  const scope = skipBlanks(bytes, levelEnd, end);
  const scopeEnd = columnEnd(bytes, scope, end);
  if (bytes.toString('latin1', scope, Math.min(scopeEnd, scope + 8)) !== 'access') return 'foreign';
  const message = skipBlanks(bytes, scopeEnd, end);
  const text = bytes.toString('latin1', message, Math.min(end, message + 24));
  const known = ENDS.find((candidate) => text.startsWith(candidate));
  if (known === undefined) {
    const cut = end - message <= text.length && ENDS.some((candidate) => candidate.startsWith(text));
    if (cut && !OPENED.startsWith(text)) return malformed(line, end, 'the rest of "connection complete"');
    return cut && text.length < 12 ? malformed(line, end, 'the rest of "connection complete"') : 'foreign';
  }
  into.begin('ztunnel-text', line);
  into.span(SLOT.start_time, start, timeEnd);
  into.ztunnel('level', levelText);
  return readPairs(line, message + known.length, into) ?? 'record';
}

/** Columns stand between tabs; where a copy turned those into blanks, between blanks. */
function columnEnd(bytes: Uint8Array, at: number, end: number): number {
  let i = at;
  while (i < end && bytes[i] !== TAB && bytes[i] !== SPACE) i++;
  return i;
}

function skipBlanks(bytes: Uint8Array, at: number, end: number): number {
  let i = at;
  while (i < end && (bytes[i] === TAB || bytes[i] === SPACE)) i++;
  return i;
}

/** `key=value key="value" …`; a problem where a pair does not fit. */
function readPairs(line: Line, from: number, into: RecordCursor): Malformed | undefined {
  const { bytes, end } = line;
  let at = skipBlanks(bytes, from, end);
  if (at === from && at < end) return malformed(line, at, 'a tab, then pairs');
  if (at >= end) return malformed(line, end, 'pairs of key=value');
  while (at < end) {
    const equals = keyEnd(bytes, at, end);
    if (equals < 0) return malformed(line, ~equals, 'a key, then =');
    const key = bytes.toString('utf8', at, equals);
    at = equals + 1;
    if (at >= end) return malformed(line, end, `the value of ${key}`);
    if (bytes[at] === QUOTE) {
      const close = quotedEnd(bytes, at + 1, end);
      if (close < 0) return malformed(line, end, `the rest of ${key} in quotes`);
      if (close + 1 < end && bytes[close + 1] !== SPACE && bytes[close + 1] !== TAB) {
        return malformed(line, close + 1, 'a blank, then the next pair');
      }
      fillPair(key, unescaped(bytes.toString('utf8', at + 1, close)), into);
      at = close + 1;
    } else {
      const stop = ONE_TOKEN.has(key) ? columnEnd(bytes, at, end) : bareEnd(bytes, at, end);
      fillPair(key, bytes.toString('utf8', at, stop), into);
      at = stop;
    }
    at = skipBlanks(bytes, at, end);
  }
  return undefined;
}

/** The `=` behind a key; `~position` where none can be. */
function keyEnd(bytes: Uint8Array, at: number, end: number): number {
  const last = Math.min(end, at + KEY_LENGTH);
  for (let i = at; i < last; i++) {
    const byte = bytes[i]!;
    if (byte === EQUALS) return i > at ? i : ~i;
    const letter = (byte >= 97 && byte <= 122) || (byte >= 65 && byte <= 90);
    if (!letter && !isDigit(byte) && byte !== 46 && byte !== 95 && byte !== 45) return ~i;
  }
  return ~last;
}

/** Values that never hold a blank, and were never quoted. */
const ONE_TOKEN: ReadonlySet<string> = new Set([
  'src.addr',
  'dst.addr',
  'dst.hbone_addr',
  'bytes_sent',
  'bytes_recv',
]);

/** An unquoted value ends before the next `key=`: older ztunnels quoted nothing, sentences included. */
function bareEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at; i < end; i++) {
    if (bytes[i] !== SPACE && bytes[i] !== TAB) continue;
    const next = skipBlanks(bytes, i, end);
    if (next >= end || keyEnd(bytes, next, end) > 0) return i;
    i = next - 1;
  }
  return end;
}

/** The closing quote of a text in Rust's debug form; -1 where there is none. */
function quotedEnd(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at; i < end; i++) {
    if (bytes[i] === BACKSLASH) i++;
    else if (bytes[i] === QUOTE) return i;
  }
  return -1;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '0': '\0' };

/** Undoes Rust's `str::escape_debug`: `\"`, `\\`, `\'`, `\n`, `\r`, `\t`, `\0`, `\u{200b}`. */
function unescaped(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replace(
    /\\(?:u\{([0-9a-fA-F]{1,6})\}|(.))/gs,
    (whole, hex: string | undefined, character: string) => {
      if (hex === undefined) return ESCAPES[character] ?? ('"\\\''.includes(character) ? character : whole);
      const code = Number.parseInt(hex, 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}
