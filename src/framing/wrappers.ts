import { endsObject, type Json } from '../record/json.js';
import { isPodName, type Names } from '../record/origin.js';
import { parseTime } from '../record/time.js';
import { ansiFree } from './ansi.js';
import { openEnvelope, type Envelope, type EnvelopeOptions } from './envelopes.js';
import type { Framed } from './lines.js';

/*
 * What stands around a line: prefixes of kubectl and stern, CRI and Docker files, envelopes of log shippers, colour. They
 * are peeled in any nesting, outermost first. A line that begins as Envoy writes it is let through after a look at its
 * first and last bytes.
 */

/** What became of a physical line: with its wrappers' names, where it had any, and the number of its (last) physical line. */
export type OnUnwrapped = (framed: Framed, names: Names | undefined, line: number) => void;

export interface UnwrapOptions extends EnvelopeOptions {
  /** Longer lines, pieces put together, are cut. */
  readonly maxLine: number;
  /** Told once of each kind of wrapper, with the line on which it was met first. */
  readonly onWrapper?: (kind: string, line: number) => void;
}

const SPACE = 32;
const TAB = 9;
const CR = 13;
const ESC = 27;
const BACKSLASH = 92;
const BRACKET = 91;
const BRACE = 123;
const BAR = 124;
/** Nesting that is still sensible. */
const DEPTH = 8;
/** Streams whose pieces are held at once; the oldest gives way. */
const HELD_STREAMS = 1024;

/** A wrapper came off; the line stands bare; or nothing is to be emitted now. */
type Peeled = 'peeled' | 'line' | 'held';

/** A line in pieces, until its last one arrives. */
interface Held {
  pieces: Buffer[];
  length: number;
  line: number;
  names: Names;
}

/** Peels the lines of one stream. */
export class Unwrapper {
  readonly #emit: OnUnwrapped;
  readonly #options: UnwrapOptions;
  readonly #held = new Map<string, Held>();
  readonly #met = new Set<string>();
  /** The chunk that was last searched for escape bytes, and where the next one stands. */
  #searched: Buffer | undefined;
  #escapeAt = 0;
  #line = 0;
  // Of the line being peeled.
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;
  /** Before trimming: a blank at the seam of two pieces belongs to the line. */
  #rawEnd = 0;
  #names: Names | undefined;
  #json: unknown;

  constructor(emit: OnUnwrapped, options: UnwrapOptions) {
    this.#emit = emit;
    this.#options = options;
  }

  /** How many physical lines came. */
  get lines(): number {
    return this.#line;
  }

  /** So many lines that have no wrapper went by elsewhere. */
  pass(lines: number): void {
    this.#line += lines;
  }

  /** Whether pieces wait for the rest of their line. */
  get holds(): boolean {
    return this.#held.size > 0;
  }

  push(framed: Framed): void {
    this.#line++;
    const { bytes, start, end } = framed.line;
    // `[20` is how Envoy begins a line of text.
    const direct = bytes[start] === BRACKET && bytes[start + 1] === 50 && end > start;
    const escaped = this.#hasEscape(bytes, start, end);
    if (direct && !escaped && isPlainEnd(bytes, end)) {
      this.#emit(framed, undefined, this.#line);
      return;
    }
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    this.#rawEnd = end;
    this.#names = undefined;
    this.#json = undefined;
    if (escaped) this.#load(ansiFree(bytes, start, end), 'ANSI colour');
    if (this.#peel(framed)) this.#finish(framed.overlong, framed.unterminated, this.#line);
  }

  /** The end of the stream: pieces that still wait for their last one are lines that were cut. */
  end(): void {
    for (const held of this.#held.values()) {
      this.#load(Buffer.concat(held.pieces));
      this.#json = undefined;
      this.#names = held.names;
      this.#finish(held.length > this.#options.maxLine, true, held.line);
    }
    this.#held.clear();
  }

  #load(bytes: Buffer, kind?: string): void {
    this.#bytes = bytes;
    this.#start = 0;
    this.#end = bytes.length;
    this.#rawEnd = bytes.length;
    if (kind) this.#meet(kind);
  }

  #meet(kind: string): void {
    if (this.#met.has(kind)) return;
    this.#met.add(kind);
    this.#options.onWrapper?.(kind, this.#line);
  }

  #name(names: Names): void {
    this.#names = this.#names ? { ...this.#names, ...names } : names;
  }

  /** One search per chunk, not per line: nearly no log holds an escape byte. */
  #hasEscape(bytes: Buffer, start: number, end: number): boolean {
    if (this.#searched !== bytes || this.#escapeAt < start) {
      const found = bytes.indexOf(ESC, start);
      this.#searched = bytes;
      this.#escapeAt = found < 0 ? Infinity : found;
    }
    return this.#escapeAt < end;
  }

  #finish(overlong: boolean, unterminated: boolean, line: number): void {
    const { maxLine } = this.#options;
    const long = overlong || this.#end - this.#start > maxLine;
    const bytes = this.#bytes;
    const start = this.#start;
    const end = long ? Math.min(this.#end, start + maxLine) : this.#end;
    const json = this.#json;
    const cut = json === undefined ? { bytes, start, end } : { bytes, start, end, json };
    this.#emit({ line: cut, overlong: long, unterminated }, this.#names, line);
  }

  /** False where nothing is to be emitted: a piece was put by, or several lines were emitted. */
  #peel(framed: Framed): boolean {
    for (let depth = 0; depth < DEPTH; depth++) {
      this.#trim();
      const first = this.#start < this.#end ? this.#bytes[this.#start]! : SPACE;
      if (first === BRACE) {
        if (framed.overlong) return true;
        const opened = this.#openJson(framed);
        if (opened !== 'peeled') return opened === 'line';
      } else if (first === BRACKET) {
        if (!this.#kubectlPrefix()) return true;
      } else {
        const timeEnd = first >= 48 && first <= 57 ? this.#timeEnd() : -1;
        if (timeEnd > 0) {
          const next = this.#afterTime(timeEnd);
          if (next !== 'peeled') return next === 'line';
        } else if (!this.#names1123() && !this.#composeName()) return true;
      }
    }
    this.#trim();
    return true;
  }

  /** Blanks around a line, a byte order mark, and the `\n` of a format string that was quoted twice belong to no field. */
  #trim(): void {
    const bytes = this.#bytes;
    if (bytes[this.#start] === 0xef && bytes[this.#start + 1] === 0xbb && bytes[this.#start + 2] === 0xbf) {
      this.#start = Math.min(this.#end, this.#start + 3);
    }
    while (this.#start < this.#end && isBlank(bytes[this.#start]!)) this.#start++;
    for (;;) {
      const last = this.#end - 1;
      if (last < this.#start) return;
      if (isBlank(bytes[last]!)) this.#end--;
      else if (bytes[last] === 110 && last > this.#start && bytes[last - 1] === BACKSLASH) this.#end -= 2;
      else return;
    }
  }

  /** `[pod/NAME/CONTAINER] `, as `kubectl logs --prefix` writes it. */
  #kubectlPrefix(): boolean {
    const bytes = this.#bytes;
    const start = this.#start;
    if (
      bytes[start + 1] !== 112 ||
      bytes[start + 2] !== 111 ||
      bytes[start + 3] !== 100 ||
      bytes[start + 4] !== 47
    ) {
      return false;
    }
    const close = bytes.indexOf(93, start);
    if (close < 0 || close >= this.#end || close - start > 400) return false;
    const [pod, container] = bytes.toString('latin1', start + 5, close).split('/');
    if (!pod || !container) return false;
    this.#name({ pod, container });
    this.#start = Math.min(this.#end, close + 2);
    this.#meet('kubectl --prefix');
    return true;
  }

  /** Behind an RFC 3339 time that begins the line and a blank follows; -1 where there is none. */
  #timeEnd(): number {
    const bytes = this.#bytes;
    const start = this.#start;
    if (bytes[start + 4] !== 45 || bytes[start + 10] !== 84) return -1;
    let at = start + 19;
    const last = Math.min(this.#end, start + 40);
    while (at < last && bytes[at] !== SPACE && bytes[at] !== TAB) at++;
    if (at < this.#end && bytes[at] !== SPACE) return -1;
    return Number.isNaN(parseTime(bytes, start, at)) ? -1 : at;
  }

  /** A time in front: of CRI, where a stream and a tag follow, else of `--timestamps`. `held`: put by as a piece. */
  #afterTime(timeEnd: number): Peeled {
    const bytes = this.#bytes;
    const rawEnd = this.#rawEnd;
    const time = bytes.toString('latin1', this.#start, timeEnd);
    const behind = bytes[timeEnd + 1];
    if (timeEnd + 1 < this.#end && (behind === BRACKET || behind === BRACE))
      return this.#stamped(time, timeEnd);
    const head = bytes.toString('latin1', timeEnd + 1, Math.min(rawEnd, timeEnd + 33));
    const cri = /^(stdout|stderr) ([PF])(?::\S*)?(?: |$)/.exec(head);
    if (cri?.[1]) {
      const content = Math.min(rawEnd, timeEnd + 1 + cri[0].length);
      this.#name({ stream: cri[1], time });
      this.#meet('CRI');
      return this.#piece(content, rawEnd, cri[2] === 'P') ? 'peeled' : 'held';
    }
    // ztunnel's own columns, where a copy turned tabs into blanks.
    if (timeEnd >= this.#end || /^(?:\s|(?:trace|debug|info|warn|warning|error)\s+access\s)/i.test(head))
      return 'line';
    return this.#stamped(time, timeEnd);
  }

  #stamped(time: string, timeEnd: number): Peeled {
    this.#name({ time });
    this.#start = timeEnd + 1;
    this.#meet('kubectl --timestamps');
    return 'peeled';
  }

  /** Takes a piece of a line, or its last piece: then the whole is what is peeled on. */
  #piece(start: number, end: number, partial: boolean): boolean {
    const { pod = '', container = '', stream = '' } = this.#names ?? {};
    const key = `${stream}|${container}|${pod}`;
    const held = this.#held.get(key);
    if (!partial && !held) {
      this.#start = start;
      this.#end = end;
      return true;
    }
    const whole: Held = held ?? { pieces: [], length: 0, line: 0, names: {} };
    // Over the limit only one byte more is kept: it tells that the line is too long.
    const room = Math.max(0, this.#options.maxLine + 1 - whole.length);
    const kept = Math.min(end - start, room);
    whole.pieces.push(Buffer.from(this.#bytes.subarray(start, start + kept)));
    whole.length += kept;
    whole.line = this.#line;
    whole.names = { ...this.#names };
    if (!partial) {
      this.#held.delete(key);
      this.#load(Buffer.concat(whole.pieces), 'partial lines');
      return true;
    }
    if (!held && this.#held.size >= HELD_STREAMS) this.#giveWay();
    this.#held.set(key, whole);
    return false;
  }

  /** The stream that was held first ends here: it was cut. */
  #giveWay(): void {
    for (const [key, held] of this.#held) {
      this.#held.delete(key);
      const line = { bytes: Buffer.concat(held.pieces), start: 0, end: held.length };
      this.#emit(
        { line, overlong: held.length > this.#options.maxLine, unterminated: false },
        held.names,
        held.line,
      );
      return;
    }
  }

  /** JSON: an envelope of one line or of several, or a line of its own. */
  #openJson(framed: Framed): Peeled {
    if (!endsObject(this.#bytes, this.#start, this.#end)) return 'line';
    let object: unknown;
    try {
      object = JSON.parse(this.#bytes.toString('utf8', this.#start, this.#end));
    } catch {
      return 'line';
    }
    const opened = openEnvelope(object as Readonly<Record<string, Json>>, this.#options);
    if (opened === undefined) {
      this.#json = object;
      return 'line';
    }
    this.#meet(opened.kind);
    if (opened.kind === 'Loki') {
      for (const envelope of opened.envelopes) this.#openOne(envelope, framed);
      return 'held';
    }
    const { names, text, partial } = opened.envelopes[0]!;
    this.#name(names);
    this.#load(ansiFreeText(text));
    if (opened.kind !== 'docker json-file') return 'peeled';
    const end = partial ? this.#end : this.#end - 1;
    return this.#piece(0, end, partial) ? 'peeled' : 'held';
  }

  /** One of several lines in an envelope. */
  #openOne({ text, names }: Envelope, framed: Framed): void {
    this.#names = names;
    this.#json = undefined;
    this.#load(ansiFreeText(text));
    if (this.#peel(framed)) this.#finish(false, false, this.#line);
  }

  /**
   * stern's `[namespace ]pod container `, or a bare container's name. Words in front of an ordinary sentence look the same,
   * so either an access line begins behind them, or the pod's name is one that Kubernetes made.
   */
  #names1123(): boolean {
    const bytes = this.#bytes;
    const ends: number[] = [];
    let at = this.#start;
    for (let count = 0; count < 3; count++) {
      const stop = nameEnd(bytes, at, this.#end);
      if (stop < 0) break;
      ends.push(stop);
      at = stop + 1;
      if (isLineStart(bytes, at, this.#end)) return this.#takeNames(ends);
    }
    const word = (i: number): string =>
      bytes.toString('latin1', i === 0 ? this.#start : ends[i - 1]! + 1, ends[i]);
    if (ends.length >= 2 && isPodName(word(0))) return this.#takeNames(ends.slice(0, 2));
    return ends.length === 3 && isPodName(word(1)) && this.#takeNames(ends);
  }

  #takeNames(ends: readonly number[]): boolean {
    let at = this.#start;
    const words = ends.map((end) => {
      const word = this.#bytes.toString('latin1', at, end);
      at = end + 1;
      return word;
    });
    const container = words.at(-1)!;
    const pod = words.at(-2);
    const namespace = words.at(-3);
    this.#name({ container, ...(pod && { pod }), ...(namespace && { namespace }) });
    this.#start = at;
    this.#meet(pod ? 'stern' : "a container's name");
    return true;
  }

  /** `name-1  | `, padded to one width, as docker compose writes it. */
  #composeName(): boolean {
    const bytes = this.#bytes;
    const last = Math.min(this.#end, this.#start + 200);
    let nameStop = this.#start;
    while (nameStop < last && isComposeByte(bytes[nameStop]!)) nameStop++;
    let at = nameStop;
    while (at < last && bytes[at] === SPACE) at++;
    if (nameStop === this.#start || at === nameStop || bytes[at] !== BAR || at >= this.#end) return false;
    if (at + 1 < this.#end && bytes[at + 1] !== SPACE) return false;
    this.#name({ container: bytes.toString('latin1', this.#start, nameStop) });
    this.#start = Math.min(this.#end, at + 2);
    this.#meet('docker compose');
    return true;
  }
}

const ANY_LINE = Buffer.from('[2026-01-01T00:00:00.000Z]');

/** What all that stands in front of a line tells; `undefined` where it would not be peeled as a whole. */
export function namesInFront(prefix: Buffer): Names | undefined {
  let told: Names | undefined;
  const options = { maxLine: Infinity, envelopeKeys: [], isAccess: () => false };
  const unwrapper = new Unwrapper(({ line }, names) => {
    if (line.start === prefix.length) told = names;
  }, options);
  const bytes = Buffer.concat([prefix, ANY_LINE]);
  unwrapper.push({ line: { bytes, start: 0, end: bytes.length }, overlong: false, unterminated: false });
  return told;
}

function ansiFreeText(text: string): Buffer {
  const bytes = Buffer.from(text);
  return bytes.includes(ESC) ? ansiFree(bytes, 0, bytes.length) : bytes;
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB || byte === CR;
}

/** Whether a line's end needs no trimming: no blank, and no `n` that a backslash might stand before. */
function isPlainEnd(bytes: Uint8Array, end: number): boolean {
  const last = bytes[end - 1]!;
  return last > SPACE && (last !== 110 || bytes[end - 2] !== BACKSLASH);
}

/** The end of a DNS label or name (RFC 1123) that a blank follows; -1 where there is none. */
function nameEnd(bytes: Uint8Array, start: number, end: number): number {
  const last = Math.min(end, start + 254);
  let at = start;
  for (; at < last; at++) {
    const byte = bytes[at]!;
    const letter = byte >= 97 && byte <= 122;
    const digit = byte >= 48 && byte <= 57;
    if (!letter && !digit && byte !== 45 && byte !== 46) break;
  }
  return at > start && at < end && bytes[at] === SPACE ? at : -1;
}

function isComposeByte(byte: number): boolean {
  const letter = (byte >= 97 && byte <= 122) || (byte >= 65 && byte <= 90);
  return letter || (byte >= 48 && byte <= 57) || byte === 45 || byte === 46 || byte === 95;
}

/** `[20`, `{` or a date: how lines in a proxy's log begin. */
function isLineStart(bytes: Uint8Array, at: number, end: number): boolean {
  if (at + 1 >= end) return false;
  const first = bytes[at]!;
  if (first === BRACE) return true;
  if (first === BRACKET) return bytes[at + 1] === 50 && bytes[at + 2] === 48;
  return first === 50 && bytes[at + 1] === 48 && bytes[at + 4] === 45 && bytes[at + 7] === 45;
}
