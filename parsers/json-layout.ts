import { NUMERIC_FIELDS, SLOT, type FieldName } from '../src/record/access-record.js';
import { endsObject, type Json } from '../src/record/json.js';
import { textOf, type Line } from '../src/record/line.js';
import type { RecordCursor } from '../src/record/record-view.js';
import { malformed, type Format, type ParseResult } from './format.js';
import { jsonFault, JSON_DEPTH } from './json-fault.js';

export type JsonObject = Readonly<Record<string, Json>>;

/** Keys that mean a field under another name, and so come after the field's own. */
const ALIASES: Readonly<Record<string, FieldName>> = {
  ':authority': 'authority',
  'user-agent': 'user_agent',
  'x-request-id': 'request_id',
  x_request_id: 'request_id',
  'x-forwarded-for': 'x_forwarded_for',
  'x-envoy-origin-path': 'path',
  x_envoy_origin_path: 'path',
  'x-envoy-upstream-service-time': 'upstream_service_time',
  x_envoy_upstream_service_time: 'upstream_service_time',
  code: 'response_code',
  status: 'response_code',
  '@timestamp': 'start_time',
  timestamp: 'start_time',
  time: 'start_time',
  duration_ms: 'duration',
};

/** Keys that Istio once wrote and that are read and not kept: the mixer policy status of 1.1 to 1.7. */
const DROPPED: ReadonlySet<string> = new Set(['istio_policy_status']);

const own = (object: object, key: string): boolean => Object.hasOwn(object, key);

/** Whether an object is a ztunnel line or not this one's to read; `undefined`: fill it in by its keys. */
export interface JsonFormat extends Format {
  accepts(object: JsonObject): boolean;
  /** Fills in a record from an object that it accepts. */
  fill(line: Line, object: JsonObject, into: RecordCursor): void;
}

/** A JSON format: which objects are its lines, by the keys they hold. */
export function jsonFormat(definition: {
  name: string;
  layout: string;
  sign: string;
  reference: string;
  accepts(object: JsonObject): boolean;
  fill?(line: Line, object: JsonObject, into: RecordCursor): void;
}): JsonFormat {
  const format: JsonFormat = {
    ...definition,
    fill: definition.fill ?? ((line, object, into) => fillByKeys(definition.name, line, object, into)),
    parse: (line, into) => readJson(line, into, [format]),
  };
  return format;
}

/** Reads an object in the first of the formats that accept it. */
export function readJson(line: Line, into: RecordCursor, formats: readonly JsonFormat[]): ParseResult {
  const object = objectOf(line);
  if (object === 'foreign') return object;
  if (object === undefined) {
    const fault = jsonFault(line) ?? { at: line.end, expected: 'a complete JSON object' };
    return looksLikeAccess(textOf(line)) ? malformed(line, fault.at, fault.expected) : 'foreign';
  }
  for (const format of formats) {
    if (!format.accepts(object)) continue;
    if (!isShallow(object)) {
      return malformed(
        line,
        jsonFault(line)?.at ?? line.start,
        `at most ${JSON_DEPTH} nested objects and lists`,
      );
    }
    format.fill(line, object, into);
    return 'record';
  }
  return 'foreign';
}

/** The line as an object; `undefined` where it begins like one and is none. */
export function objectOf(line: Line): JsonObject | undefined | 'foreign' {
  if (line.json !== undefined) return line.json as JsonObject;
  if (!beginsObject(line)) return 'foreign';
  if (!endsObject(line.bytes, line.start, line.end)) return undefined;
  try {
    return JSON.parse(textOf(line)) as JsonObject;
  } catch {
    return undefined;
  }
}

/** Whether the first byte that is no blank opens an object. */
function beginsObject({ bytes, start, end }: Line): boolean {
  let at = start;
  while (at < end && (bytes[at] === 32 || bytes[at] === 9)) at++;
  return bytes[at] === 123 && at < end;
}

/** Bounded in depth, so that it never exhausts the stack itself. */
export function isShallow(value: Json, depth = JSON_DEPTH): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depth === 0) return false;
  for (const inner of Object.values(value)) if (!isShallow(inner as Json, depth - 1)) return false;
  return true;
}

/** Whether broken JSON was an access line: it holds a key that only access lines have, or begins with one that all have. */
function looksLikeAccess(text: string): boolean {
  return (
    /"(?:response_code|response_flags|start_time|upstream_cluster|downstream_remote_address|bytes_received)"\s*:/.test(
      text,
    ) ||
    /"scope"\s*:\s*"access"/.test(text) ||
    ACCESS_BEGINNING.test(text)
  );
}

/** In byte order, as newer versions print them, an access line begins with the authority. */
const ACCESS_BEGINNING = /^\s*\{\s*"(?::authority|authority)"?/;

export function fillByKeys(format: string, line: Line, object: JsonObject, into: RecordCursor): void {
  into.begin(format, line);
  for (const [key, value] of Object.entries(object)) {
    if (DROPPED.has(key)) continue;
    const exact = own(SLOT, key) ? (key as FieldName) : undefined;
    const alias = exact ? undefined : own(ALIASES, key) ? ALIASES[key] : undefined;
    // The exact key wins over its other name, which is no unknown key for that.
    if (alias && own(object, alias)) continue;
    const field = exact ?? alias;
    const held = field && scalar(field, value);
    if (field && held !== undefined) into.value(SLOT[field], held);
    else into.extra(key, value);
  }
}

/** A value as a record holds it; `undefined` for one of a type that the field cannot have. */
export function scalar(field: FieldName, value: Json): string | number | null | undefined {
  if (value === null) return field === 'response_flags' ? '-' : null;
  if (typeof value === 'number') return NUMERIC_FIELDS.has(field) ? value : String(value);
  if (typeof value === 'string') {
    // Istio up to 1.7 wrote "-" for what was not set; flags print it themselves.
    return value === '-' && field !== 'response_flags' ? null : value;
  }
  if (field === 'response_flags' && Array.isArray(value)) return value.join(',') || '-';
  return undefined;
}
