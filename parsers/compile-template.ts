import { usageError } from '../src/errors.js';
import { NUMERIC_FIELDS, SLOT } from '../src/record/access-record.js';
import type { Json } from '../src/record/json.js';
import { textOf, type Line } from '../src/record/line.js';
import type { RecordCursor } from '../src/record/record-view.js';
import { CUSTOM, extraKey, notesOn, startTimeReader, type CompiledFormat } from './compile.js';
import { formatParts, type FormatPart, type OperatorPart } from './format-string.js';
import { malformed, type ParseResult } from './format.js';
import { JSON_DEPTH, jsonFault } from './json-fault.js';
import { isShallow, objectOf, scalar, type JsonObject } from './json-layout.js';
import { Matcher } from './matcher.js';

/** One text of a template, and where it stands in the object. */
interface Leaf {
  readonly path: readonly string[];
  readonly parts: readonly FormatPart[];
  /** The only thing in the text: then its JSON type is kept. */
  readonly single: OperatorPart | undefined;
  /** Takes a text with more in it apart. */
  readonly matcher: Matcher | undefined;
}

/** Deeper templates are refused. */
const DEPTH = 16;

/** A JSON format: a template object whose texts are format strings, nested as it likes. @throws usage error */
export function compileTemplate(layout: string, template: JsonObject): CompiledFormat {
  const leaves = leavesOf(template, []);
  const fields = leaves.flatMap(({ parts }) =>
    parts.filter((part): part is OperatorPart => part.kind === 'operator'),
  );
  if (fields.length === 0) throw usageError('--format: no operator in the JSON template');
  const read = leaves.filter(({ single, matcher }) => single ?? matcher);
  const keys = new Set(Object.keys(template));
  return {
    name: CUSTOM,
    layout,
    sign: 'given with --format',
    reference: 'https://www.envoyproxy.io/docs/envoy/v1.36.0/configuration/observability/access_log/usage',
    fields,
    notes: leaves.flatMap(({ path, parts }) => notesOn(parts).map((note) => `${path.join('.')}, ${note}`)),
    parse(line: Line, into: RecordCursor): ParseResult {
      const object = objectOf(line);
      if (object === 'foreign') return object;
      if (object === undefined) {
        const text = textOf(line);
        const fault = jsonFault(line);
        const ours = [...keys].some((key) => text.includes(`${JSON.stringify(key)}:`));
        return ours && fault ? malformed(line, fault.at, fault.expected) : 'foreign';
      }
      // Envoy may leave out what is not set.
      const present = read.filter(({ path }) => valueAt(object, path) !== undefined);
      if (present.length * 2 < read.length) return 'foreign';
      if (!isShallow(object)) {
        const at = jsonFault(line)?.at ?? line.start;
        return malformed(line, at, `at most ${JSON_DEPTH} nested objects and lists`);
      }
      into.begin(CUSTOM, line);
      const taken = new Set<string>();
      for (const leaf of present) fillLeaf(leaf, valueAt(object, leaf.path)!, taken, into);
      for (const [key, value] of Object.entries(object)) if (!keys.has(key)) into.extra(key, value);
      return 'record';
    },
  };
}

function leavesOf(value: Json, path: readonly string[]): Leaf[] {
  if (typeof value === 'string') return [leafOf(value, path)];
  if (typeof value !== 'object' || value === null) return [];
  if (path.length >= DEPTH) throw usageError(`--format: the template is nested deeper than ${DEPTH}`);
  return Object.entries(value).flatMap(([key, inner]) => leavesOf(inner as Json, [...path, key]));
}

function leafOf(text: string, path: readonly string[]): Leaf {
  const parts = formatParts(text);
  const [first] = parts;
  const single = parts.length === 1 && first?.kind === 'operator' ? first : undefined;
  const operators = parts.some(({ kind }) => kind === 'operator');
  return { path, parts, single, matcher: !single && operators ? new Matcher(parts) : undefined };
}

function valueAt(object: JsonObject, path: readonly string[]): Json | undefined {
  let value: Json | undefined = object;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as JsonObject)[key];
  }
  return value;
}

function fillLeaf(leaf: Leaf, value: Json, taken: Set<string>, into: RecordCursor): void {
  if (leaf.single) return fillOperator(leaf.single, value, taken, into);
  const bytes = Buffer.from(String(value));
  const match = leaf.matcher?.match(bytes);
  if (!match) return into.extra(leaf.path.join('.'), value);
  for (const [i, part] of leaf.matcher!.fields.entries()) {
    fillOperator(part, bytes.toString('utf8', match.starts[i], match.ends[i]), taken, into);
  }
}

function fillOperator(part: OperatorPart, value: Json, taken: Set<string>, into: RecordCursor): void {
  const { field } = part;
  const held = field && !taken.has(field) ? scalar(field, value) : undefined;
  if (field === undefined || held === undefined)
    return into.extra(extraKey(part), value === '-' ? null : value);
  taken.add(field);
  const read = field === 'start_time' ? startTimeReader(part) : undefined;
  const text =
    typeof held === 'string' && NUMERIC_FIELDS.has(field) && /^\d+$/.test(held) ? Number(held) : held;
  into.value(SLOT[field], read && typeof held === 'string' ? (read(held) ?? held) : text);
}
