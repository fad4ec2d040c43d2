import { FIELDS, SLOT, type FieldName } from '../src/record/access-record.js';
import type { Line } from '../src/record/line.js';
import type { RecordCursor } from '../src/record/record-view.js';
import { formatParts, type OperatorPart } from './format-string.js';
import { malformed, type Format, type Malformed, type ParseResult } from './format.js';
import {
  DASH,
  QUOTE,
  SPACE,
  countOrDashEnd,
  digitsEnd,
  isDigit,
  isFlags,
  nextQuoteGap,
  previousQuote,
  previousQuoteGap,
  requestEnd,
  tokenEnd,
} from './tokenize.js';

/*
 * Envoy's default text layout and all that Istio made of it share one skeleton:
 *
 *   [time] "method path protocol" code flags  MIDDLE  received sent duration service-time
 *   "xff" "user agent" "request id" "authority" "upstream host"  TAIL
 *
 * What differs is the middle (details, termination, mixer status, transport failure) and the tail, and by their shape,
 * how many bare tokens and quoted texts each has, a line says which layout it is. Nothing in the text is escaped, so a
 * line is read from both ends: what strangers write (forwarded-for, user agent) stands between.
 */

/** The skeleton's fixed stretches, as every such layout spells them. */
const HEAD =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS%';
const CORE =
  '%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" ' +
  '"%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"';

/** Between flags and counts: nothing, `"reason"`, `"mixer status" …`, or `details termination "reason"`. */
type Middle = '' | 'q' | 'qq' | 'bbq';

/** How many fields after the duration the fullest lines of a stream had, by middle: what later lines are held against. */
export type Depths = Readonly<Record<Middle, number>>;
const NO_DEPTHS: Depths = { '': 0, q: 0, qq: 0, bbq: 0 };
const MIDDLES = Object.keys(NO_DEPTHS) as Middle[];

/** What the lines of a stream so far make of those to come. */
export interface StreamState {
  readonly depths: Depths;
  /** The fewest fields of a line that was taken for one that lacks some. */
  readonly shallowest: Depths;
}

/** Whether lines would have been read otherwise behind others of these depths. */
export function dependsOn({ shallowest }: StreamState, depths: Depths): boolean {
  return MIDDLES.some((middle) => shallowest[middle] < depths[middle]);
}

/** The deeper of both, by middle. */
export function deeper(a: Depths, b: Depths): Depths {
  return Object.fromEntries(MIDDLES.map((middle) => [middle, Math.max(a[middle], b[middle])])) as Depths;
}

/** One item of a middle or tail: the slot it fills, or -1 for one that is read and not kept. */
interface Item {
  readonly slot: number;
  readonly name: string;
  readonly quoted: boolean;
  readonly address: boolean;
}

/** One layout of the skeleton. */
export interface TextFormat extends Format {
  readonly middle: readonly Item[];
  readonly tail: readonly Item[];
  readonly shape: Middle;
}

/** A text format of the skeleton, from its format string. */
export function textFormat(definition: { name: string; layout: string; reference: string }): TextFormat {
  const { name, layout } = definition;
  const coreAt = layout.indexOf(CORE);
  if (!layout.startsWith(HEAD) || coreAt < 0) throw new Error(`${name}: not a layout of this skeleton`);
  const middle = itemsOf(layout.slice(HEAD.length, coreAt));
  const tail = itemsOf(layout.slice(coreAt + CORE.length));
  const shape = middle.map(({ quoted }) => (quoted ? 'q' : 'b')).join('') as Middle;
  const bare = middle.filter(({ quoted }) => !quoted).length;
  const sign = `${bare} bare and ${middle.length - bare} quoted texts between the flags and the counts, ${tail.length} tokens after the upstream host`;
  const format: TextFormat = {
    ...definition,
    sign,
    middle,
    tail,
    shape,
    parse: (line, into) => parseAs(name, line, into),
  };
  LAYOUTS.push(format);
  return format;
}

/** All that were made: which one a line has can only be told among all. */
const LAYOUTS: TextFormat[] = [];

function parseAs(name: string, line: Line, into: RecordCursor): ParseResult {
  const result = new TextReader(LAYOUTS).parse(line, into);
  return result === 'record' && into.format !== name ? 'foreign' : result;
}

function itemsOf(layout: string): readonly Item[] {
  return formatParts(layout).flatMap((part, i, parts) => {
    if (part.kind === 'literal') return [];
    const before = parts[i - 1];
    return [
      {
        // Read and not kept where no field stands for it: the mixer policy status of Istio 1.1 to 1.7.
        slot: part.field ? SLOT[part.field] : -1,
        name: part.field ?? labelOf(part),
        quoted: before?.kind === 'literal' && before.text.endsWith('"'),
        address: part.name.endsWith('_ADDRESS'),
      },
    ];
  });
}

const labelOf = (part: OperatorPart): string => part.text.slice(1, -1).toLowerCase();

/** Looks like an address, or `-`. Tokens of the tail are checked so that a cut line is not read one field off. */
function isAddress(bytes: Uint8Array, start: number, end: number): boolean {
  const first = bytes[start];
  if (end - start === 1 && first === DASH) return true;
  if (first === QUOTE || end - start < 2) return false;
  for (let i = start; i < end; i++) {
    const byte = bytes[i];
    if (byte === 58 || byte === 47 || byte === 46) return true;
  }
  return false;
}

const COUNTS = ['bytes_received', 'bytes_sent', 'duration'] as const;
const QUOTED_FIELDS = ['x_forwarded_for', 'user_agent', 'request_id', 'authority', 'upstream_host'] as const;
const HEAD_AND_CORE: readonly FieldName[] = [
  'start_time',
  'method',
  'path',
  'protocol',
  'response_code',
  'response_flags',
  'bytes_received',
  'bytes_sent',
  'duration',
  'upstream_service_time',
  ...QUOTED_FIELDS,
];
const COMMON_SLOTS = HEAD_AND_CORE.map((field) => SLOT[field]);
/** Head and counts up to the duration: what a line needs to be taken for one that lacks fields at its end. */
const CORE_SLOTS = COMMON_SLOTS.slice(0, 9);
/** Bytes in which a tag in front of a line must end. */
const TAG_LENGTH = 128;

/**
 * Reads the lines of one stream in any layout of the skeleton, by their shape. Lines that lack fields at their end, or
 * have more, are `envoy-like` while no line of the stream with the same middle had more fields than they; once one had,
 * a shorter one was cut and is malformed.
 */
export class TextReader {
  readonly #layouts: readonly TextFormat[];
  /** Whether departures from a layout are read too. */
  readonly #near: boolean;
  readonly #starts = new Int32Array(FIELDS.length);
  readonly #ends = new Int32Array(FIELDS.length);
  /** The most fields after the duration that a line had, by middle. */
  readonly #depths: Record<Middle, number>;
  /** The fewest that a line had which was taken for one that lacks some. */
  readonly #shallowest: Record<Middle, number> = { '': Infinity, q: Infinity, qq: Infinity, bbq: Infinity };
  /** Of the line being read. */
  #middle: Middle = '';
  #free = 0;

  /** @param depths of the lines of the same stream that were read elsewhere. */
  constructor(layouts: readonly TextFormat[], near = false, depths: Depths = NO_DEPTHS) {
    this.#layouts = layouts;
    this.#near = near;
    this.#depths = { ...depths };
  }

  get state(): StreamState {
    return { depths: { ...this.#depths }, shallowest: { ...this.#shallowest } };
  }

  parse(line: Line, into: RecordCursor): ParseResult {
    const { bytes, start, end } = line;
    if (bytes[start] !== 91) return 'foreign';
    this.#free = start;
    const afterHead = this.#readHead(line);
    if (typeof afterHead !== 'number') return afterHead;
    const problem = this.#readMiddle(line, afterHead) ?? this.#readServiceTime(line);
    if (problem) return (this.#near && this.#parseShort(line, into)) || problem;
    const tokens = this.#readTail(bytes, end);
    const layout = tokens < 0 ? undefined : this.#layoutOf(tokens);
    if (!layout) {
      if (this.#near) return this.#parseLike(line, into) ?? this.#missing(line);
      return tokens < 0 ? this.#missing(line) : 'foreign';
    }
    this.#deepen(9 + tokens);
    into.begin(layout.name, line);
    for (const slot of COMMON_SLOTS) this.#give(into, slot);
    for (const item of layout.middle) this.#give(into, item.slot);
    for (const item of layout.tail) this.#give(into, item.slot);
    return 'record';
  }

  /** A line with a tag in front of a layout that is known; `undefined` where there is none. */
  parseTagged(line: Line, into: RecordCursor): ParseResult | undefined {
    const at = this.#near ? taggedAt(line) : -1;
    if (at < 0) return undefined;
    const result = this.parse({ bytes: line.bytes, start: at, end: line.end }, into);
    if (result === 'record') into.format = 'envoy-like';
    return typeof result === 'object' ? { ...result, at: result.at + at - line.start } : result;
  }

  #set(slot: number, start: number, end: number): void {
    this.#starts[slot] = start;
    this.#ends[slot] = end;
  }

  #give(into: RecordCursor, slot: number): void {
    if (slot >= 0) into.span(slot, this.#starts[slot]!, this.#ends[slot]!);
  }

  /** `[time] "method path protocol" code flags ` → where the middle begins. */
  #readHead(line: Line): number | Malformed | 'foreign' {
    const { bytes, start, end } = line;
    if (bytes[start + 1] !== 50 || bytes[start + 2] !== 48) return 'foreign';
    // Envoy's own log begins the same way, with a blank in its time.
    if (bytes[start + 11] === SPACE && start + 11 < end) return 'foreign';
    let at = start + 1;
    while (at < end && bytes[at] !== 93) {
      if (at - start > 40 || bytes[at] === SPACE) return malformed(line, at, 'the start time in brackets');
      at++;
    }
    if (at >= end) return malformed(line, end, 'the start time in brackets');
    this.#set(SLOT.start_time, start + 1, at);
    if (!isTime(bytes, start + 1, at))
      return malformed(line, start + 1, 'the start time, as 2026-01-02T03:04:05.678Z');
    if (bytes[at + 1] !== SPACE || bytes[at + 2] !== QUOTE || at + 2 >= end) {
      return malformed(
        line,
        Math.min(bytes[at + 1] === SPACE ? at + 2 : at + 1, end),
        'a blank, then a quoted request',
      );
    }
    const method = at + 3;
    const close = requestEnd(bytes, method, end);
    if (close < 0) return malformed(line, end, 'method, path and protocol in quotes, then the response code');
    const methodEnd = tokenEnd(bytes, method, close);
    let protocol = close;
    while (protocol > method && bytes[protocol - 1] !== SPACE) protocol--;
    if (methodEnd >= close || protocol <= methodEnd + 1) {
      return malformed(line, methodEnd, 'method, path and protocol');
    }
    this.#set(SLOT.method, method, methodEnd);
    this.#set(SLOT.path, methodEnd + 1, protocol - 1);
    this.#set(SLOT.protocol, protocol, close);
    const code = Math.min(close + 2, end);
    const codeEnd = digitsEnd(bytes, code, end);
    if (codeEnd < 0 || bytes[codeEnd] !== SPACE || codeEnd >= end) {
      return malformed(line, codeEnd < 0 ? code : codeEnd, 'the response code');
    }
    this.#set(SLOT.response_code, code, codeEnd);
    const flags = codeEnd + 1;
    const flagsEnd = tokenEnd(bytes, flags, end);
    if (!isFlags(bytes, flags, flagsEnd) || flagsEnd >= end) {
      return malformed(line, flagsEnd >= end ? end : flags, 'response flags');
    }
    this.#set(SLOT.response_flags, flags, flagsEnd);
    return flagsEnd + 1;
  }

  /** What stands between flags and counts, told by its shape, and the counts up to the duration. */
  #readMiddle(line: Line, from: number): Malformed | undefined {
    const { bytes, end } = line;
    const first = bytes[from];
    if (from < end && isDigit(first)) {
      // A code's details may begin with a digit as well; then no counts follow.
      const stop = tokenEnd(bytes, from, end);
      if (stop >= end || isDigit(bytes[stop - 1])) {
        this.#middle = '';
        return this.#readCounts(line, from);
      }
    }
    let open = from;
    if (first === QUOTE && from < end) this.#middle = 'q';
    else {
      this.#middle = 'bbq';
      const detailsEnd = tokenEnd(bytes, from, end);
      if (detailsEnd >= end) return malformed(line, end, 'response_code_details');
      this.#set(SLOT.response_code_details, from, detailsEnd);
      // Termination details may hold blanks: they run to the first quote that stands after one.
      const termination = detailsEnd + 1;
      open = termination;
      while (open < end && !(bytes[open] === QUOTE && bytes[open - 1] === SPACE)) open++;
      if (open >= end) return malformed(line, end, 'connection_termination_details, then a reason in quotes');
      this.#set(SLOT.connection_termination_details, termination, Math.max(termination, open - 1));
    }
    // The quoted texts end where the counts begin: the first place where both fit.
    let close = open + 1;
    let firstClose = -1;
    for (; ; close++) {
      while (close < end && !(bytes[close] === QUOTE && (close + 1 === end || bytes[close + 1] === SPACE)))
        close++;
      if (close >= end) break;
      if (countsFollow(bytes, close + 2, end)) break;
      if (firstClose < 0) firstClose = close;
    }
    if (close >= end) {
      if (firstClose < 0) return malformed(line, end, 'upstream_transport_failure_reason in quotes');
      const second = bytes[firstClose + 2] === QUOTE ? nextClose(bytes, firstClose + 3, end) : firstClose;
      if (second < 0) return malformed(line, end, 'upstream_transport_failure_reason in quotes');
      return this.#readCounts(line, Math.min(second + 2, end));
    }
    if (this.#middle === 'q') {
      const gap = previousQuoteGap(bytes, open + 1, close - 2);
      if (gap >= 0) {
        this.#middle = 'qq';
        open = gap + 2;
      }
    }
    this.#set(SLOT.upstream_transport_failure_reason, open + 1, close);
    return this.#readCounts(line, close + 2);
  }

  /** `received sent duration` and the blank behind. */
  #readCounts(line: Line, from: number): Malformed | undefined {
    const { bytes, end } = line;
    let at = from;
    for (const field of COUNTS) {
      const stop = field === 'duration' ? countOrDashEnd(bytes, at, end) : digitsEnd(bytes, at, end);
      if (stop < 0 || stop >= end || bytes[stop] !== SPACE) {
        return malformed(line, stop < 0 ? Math.min(at, end) : stop, `${field}, a number`);
      }
      this.#set(SLOT[field], at, stop);
      at = stop + 1;
    }
    this.#free = at;
    return undefined;
  }

  /** `service-time "` → the first byte of the forwarded-for text. */
  #readServiceTime(line: Line): Malformed | undefined {
    const { bytes, end } = line;
    const from = this.#free;
    const stop = tokenEnd(bytes, from, end);
    if (stop + 1 >= end || bytes[stop + 1] !== QUOTE) {
      return malformed(line, Math.min(stop + 1, end), 'x_forwarded_for in quotes');
    }
    this.#set(SLOT.upstream_service_time, from, stop);
    this.#free = stop + 2;
    return undefined;
  }

  /** All from the forwarded-for text on, the tail first: how many tokens that has, -1 where no place in the line fits. */
  #readTail(bytes: Uint8Array, end: number): number {
    const free = this.#free;
    const forwardedClose = nextQuoteGap(bytes, free, end);
    if (forwardedClose < 0) return -1;
    let close = previousQuote(bytes, free, end - 1);
    for (; close >= 0; close = previousQuote(bytes, free, close - 1)) {
      const tokens = this.#tailTokens(bytes, close, end);
      if (tokens >= 0 && this.#layoutOf(tokens) && this.#quotedFit(bytes, forwardedClose, close))
        return tokens;
    }
    return -1;
  }

  #layoutOf(tokens: number): TextFormat | undefined {
    for (const layout of this.#layouts) {
      if (layout.shape === this.#middle && layout.tail.length === tokens) return layout;
    }
    return undefined;
  }

  /** ` cluster ul dl dr sni route` behind a quote: how many there are (the sixth is the rest of the line), -1 for none such. */
  #tailTokens(bytes: Uint8Array, close: number, end: number): number {
    let at = close + 1;
    let tokens = 0;
    while (at < end) {
      if (bytes[at] !== SPACE) return -1;
      const stop = tokens === 5 ? end : tokenEnd(bytes, at + 1, end);
      if (tokens > 0 && tokens < 4) {
        if (!isAddress(bytes, at + 1, stop)) return -1;
      } else if (tokens < 5 && (bytes[at + 1] === QUOTE || stop === at + 1)) return -1;
      this.#set(TAIL_SLOTS[tokens]!, at + 1, stop);
      tokens++;
      at = stop;
      if (stop === end) break;
    }
    return tokens;
  }

  /** `xff" "user agent" "request id" "authority" "upstream host"`, its last quote at `hostClose`. */
  #quotedFit(bytes: Uint8Array, forwardedClose: number, hostClose: number): boolean {
    const free = this.#free;
    const hostOpen = previousQuote(bytes, free, hostClose - 1);
    if (hostOpen < free + 2 || bytes[hostOpen - 1] !== SPACE || bytes[hostOpen - 2] !== QUOTE) return false;
    if (!isAddress(bytes, hostOpen + 1, hostClose)) return false;
    if (!this.#idFits(bytes, forwardedClose, hostOpen - 2)) return false;
    this.#set(SLOT.upstream_host, hostOpen + 1, hostClose);
    return true;
  }

  /** `xff" "user agent" "request id" "authority"`, its last quote at `authorityClose`. */
  #idFits(bytes: Uint8Array, forwardedClose: number, authorityClose: number): boolean {
    const free = this.#free;
    const authorityOpen = previousQuote(bytes, free, authorityClose - 1);
    if (authorityOpen < free + 2 || bytes[authorityOpen - 1] !== SPACE || bytes[authorityOpen - 2] !== QUOTE)
      return false;
    const requestIdClose = authorityOpen - 2;
    // A gap is sought no further left than the one that ends the forwarded-for text.
    if (requestIdClose - 3 < forwardedClose + 3) return false;
    const agentClose = previousQuoteGap(bytes, forwardedClose + 3, requestIdClose - 3);
    if (agentClose < 0) return false;
    this.#set(SLOT.x_forwarded_for, free, forwardedClose);
    this.#set(SLOT.user_agent, forwardedClose + 3, agentClose);
    this.#set(SLOT.request_id, agentClose + 3, requestIdClose);
    this.#set(SLOT.authority, authorityOpen + 1, authorityClose);
    return true;
  }

  /** A line that has fewer fields than its layout, or more behind the last. */
  #parseLike(line: Line, into: RecordCursor): ParseResult | undefined {
    return this.#parseAdded(line, into) ?? this.#parseLacking(line, into);
  }

  /** Envoy's own layout and more behind the upstream host. The other layouts end with a text that runs to the line's end. */
  #parseAdded(line: Line, into: RecordCursor): ParseResult | undefined {
    const { bytes, end } = line;
    const forwardedClose = nextQuoteGap(bytes, this.#free, end);
    if (this.#middle !== '' || forwardedClose < 0) return undefined;
    let close = previousQuote(bytes, this.#free, end - 1);
    for (; close >= 0; close = previousQuote(bytes, this.#free, close - 1)) {
      if (bytes[close + 1] !== SPACE || close + 1 >= end) continue;
      if (!this.#quotedFit(bytes, forwardedClose, close)) continue;
      this.#deepen(9);
      into.begin('envoy-like', line);
      for (const slot of COMMON_SLOTS) this.#give(into, slot);
      into.extra('unread', bytes.toString('utf8', close + 2, end));
      return 'record';
    }
    return undefined;
  }

  /** A line that ends behind one of the quoted fields or one of the tail's tokens. */
  #parseLacking(line: Line, into: RecordCursor): ParseResult | undefined {
    const { bytes, end } = line;
    const forwardedClose = nextQuoteGap(bytes, this.#free, end);
    let close = forwardedClose < 0 ? -1 : previousQuote(bytes, this.#free, end - 1);
    for (; close >= 0; close = previousQuote(bytes, this.#free, close - 1)) {
      const tokens = this.#tailTokens(bytes, close, end);
      if (tokens < 0 || tokens > 5 || !this.#quotedFit(bytes, forwardedClose, close)) continue;
      return this.#lacking(line, into, [...QUOTED_FIELDS, ...TAIL.slice(0, tokens)]);
    }
    if (bytes[end - 1] !== QUOTE || end - 1 < this.#free) return undefined;
    // All quoted texts stand there, as many as their number says; with four and more the user agent takes what is left.
    const gaps = countGaps(bytes, this.#free, end, 4);
    if (gaps >= 3) {
      if (!this.#idFits(bytes, forwardedClose, end - 1)) return undefined;
      return this.#lacking(line, into, QUOTED_FIELDS.slice(0, 4));
    }
    let at = this.#free;
    for (const field of QUOTED_FIELDS.slice(0, gaps + 1)) {
      const gap = nextQuoteGap(bytes, at, end);
      this.#set(SLOT[field], at, gap < 0 ? end - 1 : gap);
      at = gap + 3;
    }
    return this.#lacking(line, into, QUOTED_FIELDS.slice(0, gaps + 1));
  }

  /** A line that ends with the duration or the service time. */
  #parseShort(line: Line, into: RecordCursor): ParseResult | undefined {
    const { bytes, start, end } = line;
    const from = this.#free;
    if (from <= start || from >= end) return undefined;
    const stop = countOrDashEnd(bytes, from, end);
    if (stop !== end) return undefined;
    this.#set(SLOT.upstream_service_time, from, stop);
    return this.#lacking(line, into, []);
  }

  #lacking(line: Line, into: RecordCursor, rest: readonly FieldName[]): ParseResult | undefined {
    const depth = 4 + rest.length;
    if (depth < this.#depths[this.#middle]) return undefined;
    this.#shallowest[this.#middle] = Math.min(this.#shallowest[this.#middle], depth);
    this.#deepen(depth);
    into.begin('envoy-like', line);
    for (const slot of CORE_SLOTS) this.#give(into, slot);
    this.#give(into, SLOT.upstream_service_time);
    // Where one quoted text may be either of two fields, it is neither.
    const [known, ...others] = this.#layouts.filter(({ shape }) => shape === this.#middle);
    const sure = others.every(({ middle }) => middle.every(({ slot }, i) => slot === known?.middle[i]?.slot));
    if (sure) for (const item of known?.middle ?? []) this.#give(into, item.slot);
    for (const field of rest) this.#give(into, SLOT[field]);
    return 'record';
  }

  #deepen(depth: number): void {
    if (depth > this.#depths[this.#middle]) this.#depths[this.#middle] = depth;
  }

  /** Names the first field of the second half that a reader from the left does not find. */
  #missing(line: Line): Malformed {
    const { bytes, end } = line;
    let at = this.#free;
    for (const field of QUOTED_FIELDS.slice(0, -1)) {
      const gap = nextQuoteGap(bytes, at, end);
      if (gap < 0) return malformed(line, end, `${field} in quotes, then the next quoted field`);
      at = gap + 3;
    }
    while (at < end && bytes[at] !== QUOTE) at++;
    if (at >= end) return malformed(line, end, 'upstream_host in quotes');
    at++;
    const tail = Math.max(
      ...this.#layouts.map(({ shape, tail }) => (shape === this.#middle ? tail.length : 0)),
    );
    for (let i = 0; i < tail; i++) {
      const name = TAIL[i]!;
      if (at >= end) return malformed(line, end, name);
      if (bytes[at] !== SPACE) return malformed(line, at, `a blank, then ${name}`);
      const stop = i === 5 ? end : tokenEnd(bytes, at + 1, end);
      if (i > 0 && i < 4 && !isAddress(bytes, at + 1, stop))
        return malformed(line, at + 1, `${name}, an address`);
      at = stop;
    }
    return malformed(line, at, tail === 0 ? 'the end of the line' : 'the fields in their order');
  }
}

/** The tail, as far as a layout has one. */
const TAIL: readonly FieldName[] = [
  'upstream_cluster',
  'upstream_local_address',
  'downstream_local_address',
  'downstream_remote_address',
  'requested_server_name',
  'route_name',
];
const TAIL_SLOTS = TAIL.map((field) => SLOT[field]);

function isTime(bytes: Uint8Array, start: number, end: number): boolean {
  return (
    end - start >= 20 && isDigit(bytes[start + 3]) && bytes[start + 4] === DASH && isDigit(bytes[start + 12])
  );
}

function countsFollow(bytes: Uint8Array, at: number, end: number): boolean {
  const received = digitsEnd(bytes, at, end);
  if (received < 0 || bytes[received] !== SPACE) return false;
  const sent = digitsEnd(bytes, received + 1, end);
  if (sent < 0 || bytes[sent] !== SPACE) return false;
  return countOrDashEnd(bytes, sent + 1, end) > 0;
}

/** The next quote before a blank or the end. */
function nextClose(bytes: Uint8Array, at: number, end: number): number {
  for (let i = at; i < end; i++) {
    if (bytes[i] === QUOTE && (i + 1 === end || bytes[i + 1] === SPACE)) return i;
  }
  return -1;
}

/** How often `" "` stands in a stretch, at most `limit`. */
function countGaps(bytes: Uint8Array, from: number, end: number, limit: number): number {
  let count = 0;
  for (let at = nextQuoteGap(bytes, from, end); at >= 0 && count < limit; count++) {
    at = nextQuoteGap(bytes, at + 3, end);
  }
  return count;
}

/** Where an access line begins behind a tag: `[20…T` near the line's start, no quote before it. */
function taggedAt(line: Line): number {
  const { bytes, start, end } = line;
  const last = Math.min(end - 24, start + TAG_LENGTH);
  for (let at = start; at < last; at++) {
    if (bytes[at] === QUOTE) return -1;
    if (
      bytes[at] === 91 &&
      bytes[at + 1] === 50 &&
      bytes[at + 2] === 48 &&
      bytes[at + 11] === 84 &&
      isTime(bytes, at + 1, at + 21)
    ) {
      return at > start ? at : -1;
    }
  }
  return -1;
}
