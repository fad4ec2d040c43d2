import { FIELDS, SLOT, type FieldName } from '../src/record/access-record.js';
import type { Line } from '../src/record/line.js';
import type { RecordCursor } from '../src/record/record-view.js';
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
 * What differs is the middle (details, termination, mixer status, transport failure) and the tail. Nothing in the text
 * is escaped, so a line is read from both ends: what strangers write (forwarded-for, user agent) stands between.
 */

const OPERATORS: Readonly<Record<string, FieldName | null>> = {
  RESPONSE_CODE_DETAILS: 'response_code_details',
  CONNECTION_TERMINATION_DETAILS: 'connection_termination_details',
  UPSTREAM_TRANSPORT_FAILURE_REASON: 'upstream_transport_failure_reason',
  UPSTREAM_CLUSTER: 'upstream_cluster',
  UPSTREAM_CLUSTER_RAW: 'upstream_cluster',
  UPSTREAM_LOCAL_ADDRESS: 'upstream_local_address',
  DOWNSTREAM_LOCAL_ADDRESS: 'downstream_local_address',
  DOWNSTREAM_REMOTE_ADDRESS: 'downstream_remote_address',
  REQUESTED_SERVER_NAME: 'requested_server_name',
  ROUTE_NAME: 'route_name',
  // Read and not kept: the mixer policy status of Istio 1.1 to 1.7.
  'DYNAMIC_METADATA(istio.mixer:status)': null,
};

/** One operator of the middle or tail: the slot it fills, or -1 for one that is read and not kept. */
interface Item {
  readonly slot: number;
  readonly name: string;
  readonly quoted: boolean;
  /** Whether its text may hold blanks. */
  readonly free: boolean;
  readonly address: boolean;
}

const FREE: ReadonlySet<string> = new Set(['CONNECTION_TERMINATION_DETAILS', 'ROUTE_NAME']);

function itemsOf(layout: string): readonly Item[] {
  return [...layout.matchAll(/("?)%([A-Z_]+(?:\([^)]*\))?)%"?/g)].map(([, quote, operator = '']) => {
    const field = OPERATORS[operator];
    if (field === undefined) throw new Error(`layout holds an operator that no text layout has: ${operator}`);
    return {
      slot: field === null ? -1 : SLOT[field],
      name: field ?? 'mixer status',
      quoted: quote === '"',
      free: FREE.has(operator),
      address: operator.endsWith('_ADDRESS'),
    };
  });
}

/** The skeleton's fixed stretches, as every such layout spells them. */
const HEAD =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS%';
const CORE =
  '%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" ' +
  '"%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"';

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

/** Spans are kept here while a line is tried; the cursor is filled in only once all of it fits. */
class Spans {
  readonly starts = new Int32Array(FIELDS.length);
  readonly ends = new Int32Array(FIELDS.length);

  set(slot: number, start: number, end: number): void {
    if (slot < 0) return;
    this.starts[slot] = start;
    this.ends[slot] = end;
  }
}

/** A text format of the skeleton, from its format string. */
export function textFormat(definition: { name: string; layout: string; reference: string }): Format {
  const { name, layout } = definition;
  const coreAt = layout.indexOf(CORE);
  if (!layout.startsWith(HEAD) || coreAt < 0) throw new Error(`${name}: not a layout of this skeleton`);
  const middle = itemsOf(layout.slice(HEAD.length, coreAt));
  const tail = itemsOf(layout.slice(coreAt + CORE.length));
  const fields = [
    ...FIELDS.slice(SLOT.start_time, SLOT.response_flags + 1).map((field) => SLOT[field]),
    ...middle.map((item) => item.slot),
    ...FIELDS.slice(SLOT.bytes_received, SLOT.upstream_host + 1).map((field) => SLOT[field]),
    ...tail.map((item) => item.slot),
  ].filter((slot) => slot >= 0);
  const spans = new Spans();

  function parse(line: Line, into: RecordCursor): ParseResult {
    const { bytes, end } = line;
    const afterHead = readHead(line, spans);
    if (typeof afterHead !== 'number') return afterHead;
    const afterMiddle = readMiddle(line, afterHead, middle, spans);
    if (typeof afterMiddle !== 'number') return afterMiddle;
    const free = readCounts(line, afterMiddle, spans);
    if (typeof free !== 'number') return free;
    if (!readTail(bytes, free, end, tail, spans)) return missing(line, free, tail);
    into.begin(name, line);
    for (const slot of fields) into.span(slot, spans.starts[slot]!, spans.ends[slot]!);
    return 'record';
  }
  return { ...definition, parse };
}

/** `[time] "method path protocol" code flags ` → where the middle begins. */
function readHead(line: Line, spans: Spans): number | Malformed | 'foreign' {
  const { bytes, start, end } = line;
  if (bytes[start] !== 91 || bytes[start + 1] !== 50 || bytes[start + 2] !== 48) return 'foreign';
  let at = start + 1;
  while (at < end && bytes[at] !== 93) {
    if (at - start > 40 || bytes[at] === SPACE) return malformed(line, at, 'the start time in brackets');
    at++;
  }
  if (at >= end) return malformed(line, end, 'the start time in brackets');
  spans.set(SLOT.start_time, start + 1, at);
  if (!isTime(bytes, start + 1, at))
    return malformed(line, start + 1, 'the start time, as 2026-01-02T03:04:05.678Z');
  if (bytes[at + 1] !== SPACE || bytes[at + 2] !== QUOTE || at + 2 >= end) {
    return malformed(line, Math.min(at + 1, end), 'a quoted request');
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
  spans.set(SLOT.method, method, methodEnd);
  spans.set(SLOT.path, methodEnd + 1, protocol - 1);
  spans.set(SLOT.protocol, protocol, close);
  const code = close + 2;
  const codeEnd = digitsEnd(bytes, code, end);
  if (codeEnd < 0 || bytes[codeEnd] !== SPACE || codeEnd >= end) {
    return malformed(line, codeEnd < 0 ? code : codeEnd, 'the response code');
  }
  spans.set(SLOT.response_code, code, codeEnd);
  const flags = codeEnd + 1;
  const flagsEnd = tokenEnd(bytes, flags, end);
  if (!isFlags(bytes, flags, flagsEnd) || flagsEnd >= end) {
    return malformed(line, flagsEnd >= end ? end : flags, 'response flags');
  }
  spans.set(SLOT.response_flags, flags, flagsEnd);
  return flagsEnd + 1;
}

function isTime(bytes: Uint8Array, start: number, end: number): boolean {
  return (
    end - start >= 20 && isDigit(bytes[start + 3]) && bytes[start + 4] === DASH && isDigit(bytes[start + 12])
  );
}

/** The items between flags and counts → where the counts begin. */
function readMiddle(line: Line, from: number, items: readonly Item[], spans: Spans): number | Malformed {
  const { bytes, end } = line;
  let at = from;
  for (let i = 0; i < items.length; i++) {
    const item = items[i]!;
    if (item.free) {
      // Free text runs to the quoted reason that the counts follow: the first place where both fit.
      const reason = items[i + 1]!;
      for (let quote = at; ; quote++) {
        while (quote < end && !(bytes[quote] === QUOTE && bytes[quote - 1] === SPACE)) quote++;
        if (quote >= end) return malformed(line, end, `${item.name}, then ${reason.name} in quotes`);
        const close = quotedTokenEnd(bytes, quote, end);
        if (close > 0 && countsFollow(bytes, close + 2, end)) {
          spans.set(item.slot, at, Math.max(at, quote - 1));
          spans.set(reason.slot, quote + 1, close);
          return close + 2;
        }
      }
    }
    if (item.quoted) {
      const close = bytes[at] === QUOTE ? quotedTokenEnd(bytes, at, end) : -1;
      if (close < 0) return malformed(line, at, `${item.name} in quotes`);
      spans.set(item.slot, at + 1, close);
      at = close + 2;
    } else {
      const stop = tokenEnd(bytes, at, end);
      if (stop >= end) return malformed(line, end, item.name);
      if (bytes[at] === QUOTE) return malformed(line, at, item.name);
      spans.set(item.slot, at, stop);
      at = stop + 1;
    }
  }
  return at;
}

/** The closing quote of a quoted text without blanks that opens at `open`; -1 where it does not end in `" `. */
function quotedTokenEnd(bytes: Uint8Array, open: number, end: number): number {
  const stop = tokenEnd(bytes, open + 1, end);
  return stop < end && stop > open + 1 && bytes[stop - 1] === QUOTE ? stop - 1 : -1;
}

function countsFollow(bytes: Uint8Array, at: number, end: number): boolean {
  const received = digitsEnd(bytes, at, end);
  if (received < 0 || bytes[received] !== SPACE) return false;
  const sent = digitsEnd(bytes, received + 1, end);
  if (sent < 0 || bytes[sent] !== SPACE) return false;
  return countOrDashEnd(bytes, sent + 1, end) > 0;
}

/** `received sent duration service-time "` → the first byte of the forwarded-for text. */
function readCounts(line: Line, from: number, spans: Spans): number | Malformed {
  const { bytes, end } = line;
  let at = from;
  for (const field of ['bytes_received', 'bytes_sent', 'duration'] as const) {
    const stop = field === 'duration' ? countOrDashEnd(bytes, at, end) : digitsEnd(bytes, at, end);
    if (stop < 0 || stop >= end || bytes[stop] !== SPACE) {
      return malformed(line, stop < 0 ? Math.min(at, end) : stop, `${field}, a number`);
    }
    spans.set(SLOT[field], at, stop);
    at = stop + 1;
  }
  const stop = tokenEnd(bytes, at, end);
  if (stop + 1 >= end || bytes[stop + 1] !== QUOTE) {
    return malformed(line, Math.min(stop + 1, end), 'x_forwarded_for in quotes');
  }
  spans.set(SLOT.upstream_service_time, at, stop);
  return stop + 2;
}

/** All from the forwarded-for text on, the tail first. False where no place in the line fits. */
function readTail(
  bytes: Uint8Array,
  free: number,
  end: number,
  tail: readonly Item[],
  spans: Spans,
): boolean {
  let hostClose = previousQuote(bytes, free, end - 1);
  for (; hostClose >= 0; hostClose = previousQuote(bytes, free, hostClose - 1)) {
    if (tailFits(bytes, hostClose, end, tail, spans) && quotedFit(bytes, free, hostClose, spans)) return true;
  }
  return false;
}

function tailFits(
  bytes: Uint8Array,
  hostClose: number,
  end: number,
  tail: readonly Item[],
  spans: Spans,
): boolean {
  let at = hostClose + 1;
  for (let i = 0; i < tail.length; i++) {
    const item = tail[i]!;
    if (at >= end || bytes[at] !== SPACE) return false;
    at++;
    const stop = item.free ? end : tokenEnd(bytes, at, end);
    if (item.address ? !isAddress(bytes, at, stop) : !item.free && bytes[at] === QUOTE) return false;
    spans.set(item.slot, at, stop);
    at = stop;
  }
  return at === end;
}

/** `xff" "user agent" "request id" "authority" "upstream host"`, its last quote at `hostClose`. */
function quotedFit(bytes: Uint8Array, free: number, hostClose: number, spans: Spans): boolean {
  const hostOpen = previousQuote(bytes, free, hostClose - 1);
  if (hostOpen < free + 2 || bytes[hostOpen - 1] !== SPACE || bytes[hostOpen - 2] !== QUOTE) return false;
  if (!isAddress(bytes, hostOpen + 1, hostClose)) return false;
  const authorityClose = hostOpen - 2;
  const authorityOpen = previousQuote(bytes, free, authorityClose - 1);
  if (authorityOpen < free + 2 || bytes[authorityOpen - 1] !== SPACE || bytes[authorityOpen - 2] !== QUOTE)
    return false;
  const requestIdClose = authorityOpen - 2;
  const agentClose = previousQuoteGap(bytes, free, requestIdClose - 3);
  const forwardedClose = nextQuoteGap(bytes, free, requestIdClose);
  if (forwardedClose < 0 || agentClose < forwardedClose + 3) return false;
  spans.set(SLOT.x_forwarded_for, free, forwardedClose);
  spans.set(SLOT.user_agent, forwardedClose + 3, agentClose);
  spans.set(SLOT.request_id, agentClose + 3, requestIdClose);
  spans.set(SLOT.authority, authorityOpen + 1, authorityClose);
  spans.set(SLOT.upstream_host, hostOpen + 1, hostClose);
  return true;
}

/** Names the first field of the second half that a reader from the left does not find. */
function missing(line: Line, free: number, tail: readonly Item[]): Malformed {
  const { bytes, end } = line;
  const quoted = ['x_forwarded_for', 'user_agent', 'request_id', 'authority', 'upstream_host'] as const;
  let at = free;
  for (const field of quoted.slice(0, -1)) {
    const gap = nextQuoteGap(bytes, at, end);
    if (gap < 0) return malformed(line, end, `${field} in quotes, then the next quoted field`);
    at = gap + 3;
  }
  while (at < end && bytes[at] !== QUOTE) at++;
  if (at >= end) return malformed(line, end, 'upstream_host in quotes');
  at++;
  for (const item of tail) {
    if (at >= end) return malformed(line, end, item.name);
    if (bytes[at] !== SPACE) return malformed(line, at, `a blank, then ${item.name}`);
    const stop = item.free ? end : tokenEnd(bytes, at + 1, end);
    if (item.address && !isAddress(bytes, at + 1, stop))
      return malformed(line, at + 1, `${item.name}, an address`);
    at = stop;
  }
  return malformed(line, at, tail.length === 0 ? 'the end of the line' : 'the fields in their order');
}
