import { SLOT, type FieldName, type Json } from '../src/record/access-record.js';
import { textOf, type Line } from '../src/record/line.js';
import type { RecordCursor } from '../src/record/record-view.js';
import { malformed, type Format, type ParseResult } from './format.js';

type JsonObject = Readonly<Record<string, Json>>;

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

const own = (object: JsonObject, key: string): boolean => Object.hasOwn(object, key);

/** A JSON format: which objects are its lines, by the keys they hold. */
export function jsonFormat(definition: {
  name: string;
  layout: string;
  reference: string;
  accepts(object: JsonObject): boolean;
}): Format {
  const { name, layout, reference, accepts } = definition;
  return {
    name,
    layout,
    reference,
    parse(line: Line, into: RecordCursor): ParseResult {
      if (line.bytes[line.start] !== 123) return 'foreign';
      const text = textOf(line);
      let object: unknown;
      try {
        object = JSON.parse(text);
      } catch (error) {
        return looksLikeAccess(text) ? broken(line, text, error as SyntaxError) : 'foreign';
      }
      if (typeof object !== 'object' || object === null || !accepts(object as JsonObject)) return 'foreign';
      fill(name, line, object as JsonObject, into);
      return 'record';
    },
  };
}

/** Whether broken JSON was an access line: it holds a key that only access lines have. */
function looksLikeAccess(text: string): boolean {
  return /"(?:response_code|response_flags|start_time|upstream_cluster|downstream_remote_address)"\s*:/.test(
    text,
  );
}

function broken(line: Line, text: string, error: SyntaxError): ParseResult {
  const position = /at position (\d+)/.exec(error.message)?.[1];
  const at =
    position === undefined ? line.end : line.start + Buffer.byteLength(text.slice(0, Number(position)));
  return malformed(line, Math.min(at, line.end), 'a complete JSON object');
}

function fill(format: string, line: Line, object: JsonObject, into: RecordCursor): void {
  into.begin(format, line);
  for (const [key, value] of Object.entries(object)) {
    if (DROPPED.has(key)) continue;
    const field = own(SLOT as unknown as JsonObject, key) ? (key as FieldName) : aliasOf(object, key);
    const held = field && scalar(field, value);
    if (field && held !== undefined) into.value(SLOT[field], held);
    else into.extra(key, value);
  }
}

/** The field that an alias stands for, unless the line holds the field's own key too: then the exact key wins. */
function aliasOf(object: JsonObject, key: string): FieldName | undefined {
  const field = own(ALIASES as unknown as JsonObject, key) ? ALIASES[key] : undefined;
  return field && !own(object, field) ? field : undefined;
}

/** A value as a record holds it; `undefined` for one of a type that the field cannot have. */
function scalar(field: FieldName, value: Json): string | number | null | undefined {
  if (value === null) return field === 'response_flags' ? '-' : null;
  if (typeof value === 'number') return value;
  if (typeof value === 'string') {
    // Istio up to 1.7 wrote "-" for what was not set; flags print it themselves.
    return value === '-' && field !== 'response_flags' ? null : value;
  }
  if (field === 'response_flags' && Array.isArray(value)) return value.join(',') || '-';
  return undefined;
}
