import { FIELDS, NUMERIC_FIELDS, SLOT, type AccessRecord, type FieldName } from './access-record.js';
import type { Json } from './json.js';
import { boundedCache } from './bounded-cache.js';
import type { ByteWriter } from './byte-writer.js';
import type { Line } from './line.js';
import { printedOrigin, type Origin } from './origin.js';
import { parseFlags, type FlagSet } from './response-flags.js';
import { ABSENT, NULL, type Span } from './span.js';
import { parseTime, parseTimeText, toUtc } from './time.js';
import { parseUpstreamCluster, type UpstreamCluster } from './upstream-cluster.js';

/**
 * A cursor over one parsed line, reused for the next: fields decode on first use. What outlives the line asks for a
 * copy. In every accessor `null` is Envoy's `-`, `undefined` a field that the layout does not have.
 */
export interface RecordView {
  /** Which layout read the line. */
  readonly format: string;
  /** Milliseconds since the Unix epoch with their fraction; `NaN` where the line's time is none. %START_TIME% */
  startTime(): number;
  /** First byte in to last byte out, ms; TCP: life of the connection. %DURATION% */
  durationMs(): number | null;
  /** As logged; 0: no response was started, or TCP. %RESPONSE_CODE% */
  responseCode(): number | null;
  /** As logged, unknown ones kept. %RESPONSE_FLAGS% */
  responseFlags(): FlagSet;
  /** This router's wait for response headers, retries included, ms. %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% */
  upstreamServiceTimeMs(): number | null;
  /** Body bytes from downstream; TCP: all bytes. %BYTES_RECEIVED% */
  bytesReceived(): number | null;
  /** Body bytes to downstream. %BYTES_SENT% */
  bytesSent(): number | null;
  upstreamCluster(): UpstreamCluster | null;
  /** One pair of a ztunnel line, as text; `null` for any other line and where the pair is missing. */
  ztunnelPair(key: string): string | null;
  /** Any field's text. */
  text(field: FieldName): string | null | undefined;
  /** The text of a field, by its place in `FIELDS`, as bytes: their number, or `NULL` or `ABSENT`. The span holds until the next line. */
  locate(slot: number, into: Span): number;
  /** A plain, readonly, serialisable record. */
  copy(origin?: Origin): AccessRecord;
}

const DASH = 45;
const ZERO = 48;
const NINE = 57;
const SEMICOLON = 59;
const UPPER_Z = 90;
const CLOSE_BRACE = 125;
const clusterOf = boundedCache(parseUpstreamCluster);

/** Numbers as JSON or a header may spell them, integers only: `200`, `"200"`, `200.0`, `1e+05`. */
const INTEGER_TEXT = /^-?\d+(?:\.0*)?(?:[eE]\+?\d+)?$/;

const enum Held {
  absent,
  span,
  value,
}

/** Digits that `Number` keeps as they are. */
const SAFE_DIGITS = 15;
const JSON_NULL = Buffer.from('null');
const NO_FLAGS = Buffer.from('[]');
/** How each field's key is printed behind another one. */
const KEYS = FIELDS.map((field) => Buffer.from(`,${JSON.stringify(field)}:`));
const IS_NUMBER = FIELDS.map((field) => NUMERIC_FIELDS.has(field));
const printedFormat = boundedCache((format) => Buffer.from(`"format":${JSON.stringify(format)}`));
const printedFlags = boundedCache((flags) => Buffer.from(JSON.stringify(parseFlags(flags))));

/** The one implementation of a view: text layouts fill in spans of the line, JSON layouts values. */
export class RecordCursor implements RecordView {
  format = '';
  #bytes: Buffer = Buffer.alloc(0);
  readonly #held = new Uint8Array(FIELDS.length);
  readonly #starts = new Int32Array(FIELDS.length);
  readonly #ends = new Int32Array(FIELDS.length);
  readonly #values: (string | number | null)[] = Array.from({ length: FIELDS.length }, () => null);
  #extra: Record<string, Json> | undefined;
  #ztunnel: Record<string, Json> | undefined;
  /** The origin that was printed last, and its text up to the line's number: all lines of a stream share it. */
  #origin: Origin | undefined;
  #printedOrigin: Buffer = JSON_NULL;

  /** Forgets the line before; called by a format when it begins to fill in a record. */
  begin(format: string, line: Line): void {
    this.format = format;
    this.#bytes = line.bytes;
    this.#held.fill(Held.absent);
    this.#extra = undefined;
    this.#ztunnel = undefined;
  }

  span(slot: number, start: number, end: number): void {
    this.#held[slot] = Held.span;
    this.#starts[slot] = start;
    this.#ends[slot] = end;
  }

  value(slot: number, value: string | number | null): void {
    this.#held[slot] = Held.value;
    this.#values[slot] = value;
  }

  /** A value that has no key of its own. */
  extra(key: string, value: Json): void {
    // A log may hold a key named `__proto__`: it must stay data.
    this.#extra ??= Object.create(null) as Record<string, Json>;
    this.#extra[key] = value;
  }

  /** One printed pair of a ztunnel line. */
  ztunnel(key: string, value: Json): void {
    this.#ztunnel ??= Object.create(null) as Record<string, Json>;
    this.#ztunnel[key] = value;
  }

  startTime(): number {
    const slot = SLOT.start_time;
    if (this.#held[slot] === Held.span) return parseTime(this.#bytes, this.#starts[slot]!, this.#ends[slot]!);
    const text = this.text('start_time');
    return typeof text === 'string' ? parseTimeText(text) : NaN;
  }

  durationMs(): number | null {
    return this.#number(SLOT.duration);
  }
  responseCode(): number | null {
    return this.#number(SLOT.response_code);
  }
  upstreamServiceTimeMs(): number | null {
    return this.#number(SLOT.upstream_service_time);
  }
  bytesReceived(): number | null {
    return this.#number(SLOT.bytes_received);
  }
  bytesSent(): number | null {
    return this.#number(SLOT.bytes_sent);
  }
  responseFlags(): FlagSet {
    return parseFlags(this.text('response_flags') ?? '-');
  }
  upstreamCluster(): UpstreamCluster | null {
    const name = this.text('upstream_cluster');
    return name ? clusterOf(name) : null;
  }

  text(field: FieldName): string | null | undefined {
    const slot = SLOT[field];
    const held = this.#held[slot];
    if (held === Held.absent) return undefined;
    if (held === Held.value) {
      const value = this.#values[slot];
      return typeof value === 'number' ? String(value) : value;
    }
    const start = this.#starts[slot]!;
    const end = this.#ends[slot]!;
    if (end - start === 1 && this.#bytes[start] === DASH) return null;
    return this.#bytes.toString('utf8', start, end);
  }

  locate(slot: number, into: Span): number {
    const held = this.#held[slot];
    if (held === Held.absent) return ABSENT;
    if (held === Held.value) {
      const value = this.#values[slot];
      return value === null || value === undefined ? NULL : into.set(String(value));
    }
    const start = this.#starts[slot]!;
    const length = this.#ends[slot]! - start;
    if (length === 1 && this.#bytes[start] === DASH) return NULL;
    into.bytes = this.#bytes;
    into.start = start;
    into.end = start + length;
    return length;
  }

  ztunnelPair(key: string): string | null {
    const value = this.#ztunnel?.[key];
    return value === undefined || value === null ? null : String(value);
  }

  copy(origin?: Origin): AccessRecord {
    const record: Record<string, unknown> = { format: this.format };
    for (const field of FIELDS) {
      const value = this.#copied(field);
      if (value !== undefined) record[field] = value;
    }
    if (this.#extra) record['extra'] = this.#extra;
    if (this.#ztunnel) record['ztunnel'] = this.#ztunnel;
    if (origin) record['origin'] = printedOrigin(origin);
    return record as AccessRecord;
  }

  /** The members of `JSON.stringify(copy(origin))`, without its braces and without making strings where none are needed. */
  print(into: ByteWriter, origin?: Origin): void {
    into.copy(printedFormat(this.format));
    for (let slot = 0; slot < FIELDS.length; slot++) {
      const held = this.#held[slot];
      if (held === Held.absent) continue;
      into.copy(KEYS[slot]!);
      if (held === Held.span && this.#printSpan(into, slot)) continue;
      into.text(JSON.stringify(this.#copied(FIELDS[slot]!)));
    }
    if (this.#extra) into.text(`,"extra":${JSON.stringify(this.#extra)}`);
    if (this.#ztunnel) into.text(`,"ztunnel":${JSON.stringify(this.#ztunnel)}`);
    if (origin) this.#printOrigin(into, origin);
  }

  /** A span that is printed as it stands; false, and nothing is printed, for one that is not. */
  #printSpan(into: ByteWriter, slot: number): boolean {
    const bytes = this.#bytes;
    const start = this.#starts[slot]!;
    const end = this.#ends[slot]!;
    if (end - start === 1 && bytes[start] === DASH) {
      into.copy(slot === SLOT.response_flags ? NO_FLAGS : JSON_NULL);
      return true;
    }
    if (IS_NUMBER[slot]) {
      if (!isPlainInteger(bytes, start, end)) return false;
      into.copy(bytes, start, end);
      return true;
    }
    switch (slot) {
      case SLOT.response_flags:
        into.copy(printedFlags(bytes.toString('utf8', start, end)));
        return true;
      case SLOT.start_time:
        return bytes[end - 1] === UPPER_Z && into.quoted(bytes, start, end);
      case SLOT.upstream_cluster:
        return bytes[end - 1] !== SEMICOLON && into.quoted(bytes, start, end);
      default:
        return into.quoted(bytes, start, end);
    }
  }

  #printOrigin(into: ByteWriter, origin: Origin): void {
    const last = this.#origin;
    if (
      !last ||
      last.pod !== origin.pod ||
      last.namespace !== origin.namespace ||
      last.container !== origin.container ||
      last.node !== origin.node ||
      last.file !== origin.file
    ) {
      this.#origin = { ...origin };
      const text = JSON.stringify(printedOrigin({ ...origin, line: 0 }));
      this.#printedOrigin = Buffer.from(`,"origin":${text.slice(0, -2)}`);
    }
    into.copy(this.#printedOrigin);
    into.integer(origin.line);
    into.byte(CLOSE_BRACE);
  }

  #copied(field: FieldName): unknown {
    const text = this.text(field);
    if (field === 'response_flags') return text === undefined ? undefined : this.responseFlags();
    if (text === null || text === undefined) return text;
    if (field === 'start_time') return toUtc(text);
    if (field === 'upstream_cluster') return text.endsWith(';') ? text.slice(0, -1) : text;
    if (!NUMERIC_FIELDS.has(field)) return text;
    const held = this.#held[SLOT[field]] === Held.value ? this.#values[SLOT[field]] : text;
    if (typeof held === 'number') return held;
    return INTEGER_TEXT.test(text) ? Number(text) : text;
  }

  #number(slot: number): number | null {
    if (this.#held[slot] === Held.span) {
      let value = 0;
      const end = this.#ends[slot]!;
      for (let i = this.#starts[slot]!; i < end; i++) {
        const digit = (this.#bytes[i] ?? 0) - 48;
        if (digit < 0 || digit > 9) return null;
        value = value * 10 + digit;
      }
      return end > this.#starts[slot]! ? value : null;
    }
    if (this.#held[slot] === Held.absent) return null;
    const value = this.#values[slot];
    if (typeof value === 'number') return value;
    return typeof value === 'string' && INTEGER_TEXT.test(value) ? Number(value) : null;
  }
}

/** `0`, `200`: digits that JSON spells the same way. */
function isPlainInteger(bytes: Uint8Array, start: number, end: number): boolean {
  if (end === start || end - start > SAFE_DIGITS || (bytes[start] === ZERO && end - start > 1)) return false;
  for (let at = start; at < end; at++) if (bytes[at]! < ZERO || bytes[at]! > NINE) return false;
  return true;
}
