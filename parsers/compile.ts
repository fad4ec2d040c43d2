import { usageError } from '../src/errors.js';
import { SLOT } from '../src/record/access-record.js';
import type { Json } from '../src/record/json.js';
import type { Line } from '../src/record/line.js';
import type { RecordCursor } from '../src/record/record-view.js';
import { compileTemplate } from './compile-template.js';
import { formatParts, type FormatPart, type OperatorPart } from './format-string.js';
import { malformed, type Format, type ParseResult } from './format.js';
import { Matcher } from './matcher.js';
import { timeReader, type TimeReader } from './strftime.js';

/** What the format that `--format` gave is called in records. */
export const CUSTOM = 'custom';
const REFERENCE = 'https://www.envoyproxy.io/docs/envoy/v1.36.0/configuration/observability/access_log/usage';

/** A format made from an Envoy format string or JSON template. */
export interface CompiledFormat extends Format {
  /** Its operators, in order. */
  readonly fields: readonly OperatorPart[];
  /** What cannot be read for certain, with columns of the format string. */
  readonly notes: readonly string[];
}

/** @throws usage error, with its column, for a string that is no format or cannot be read back */
export function compileFormat(given: string): CompiledFormat {
  if (given.trimStart().startsWith('{')) {
    const template = templateOf(given);
    if (template) return compileTemplate(given, template);
  }
  const layout = given.replace(/(?:\r?\n|\\n)+$/, '');
  const newline = layout.indexOf('\n');
  if (newline >= 0) {
    throw usageError(
      `--format, column ${newline + 1}: the format spans several lines`,
      'one line is read as one record; give the format of one line',
    );
  }
  const parts = formatParts(layout);
  const matcher = new Matcher(parts);
  const { fields } = matcher;
  if (fields.length === 0) {
    throw usageError(
      '--format: no operator in it',
      "write it as in Envoy's configuration: '[%START_TIME%] %RESPONSE_CODE% …'",
    );
  }
  const fill = fillerOf(fields);
  const opens = parts[0]?.kind === 'literal';
  return {
    name: CUSTOM,
    layout,
    sign: 'given with --format',
    reference: REFERENCE,
    fields,
    notes: notesOn(parts),
    parse(line: Line, into: RecordCursor): ParseResult {
      const bytes = line.bytes.subarray(line.start, line.end);
      const match = matcher.match(bytes);
      if (!match) {
        // One field behind the text that opens the line, or two, is no accident.
        if (matcher.fitted < (opens ? 1 : 2)) return 'foreign';
        return malformed(line, line.start + matcher.reached, matcher.expected);
      }
      into.begin(CUSTOM, line);
      for (let i = 0; i < fields.length; i++) {
        fill[i]!(into, line.start + match.starts[i]!, line.start + match.ends[i]!, line.bytes);
      }
      return 'record';
    },
  };
}

function templateOf(text: string): Readonly<Record<string, Json>> | undefined {
  try {
    return JSON.parse(text) as Readonly<Record<string, Json>>;
  } catch {
    // A template that is no JSON is text: `{"a": %RESPONSE_CODE%}`.
    return undefined;
  }
}

type Fill = (into: RecordCursor, start: number, end: number, bytes: Buffer) => void;

/** How each operator's text goes into a record. A field that two operators print is the first one's. */
function fillerOf(fields: readonly OperatorPart[]): readonly Fill[] {
  const taken = new Set<string>();
  return fields.map((part): Fill => {
    if (part.field !== undefined && !taken.has(part.field)) {
      taken.add(part.field);
      const slot = SLOT[part.field];
      const read = part.field === 'start_time' ? startTimeReader(part) : undefined;
      if (!read) return (into, start, end) => into.span(slot, start, end);
      return (into, start, end, bytes) => {
        const text = bytes.toString('utf8', start, end);
        into.value(slot, text === '-' ? null : (read(text) ?? text));
      };
    }
    const key = extraKey(part);
    return (into, start, end, bytes) => into.extra(key, extraValue(part, bytes.toString('utf8', start, end)));
  });
}

/** A reader for a start time that has a pattern of its own. */
export function startTimeReader(part: OperatorPart): TimeReader | undefined {
  return part.args === undefined ? undefined : timeReader(part.args);
}

/** An operator that is no field of the record stands under its own name in lower case, argument included. */
export function extraKey(part: OperatorPart): string {
  return part.text.slice(1, -1).toLowerCase();
}

function extraValue(part: OperatorPart, text: string): Json {
  if (text === '-') return null;
  const number = part.textClass === 'uint' || part.textClass === 'millis' || part.textClass === 'port';
  return number && /^\d+$/.test(text) ? Number(text) : text;
}

/** Operators that are not known, and free texts that a blank alone ends. */
export function notesOn(parts: readonly FormatPart[]): string[] {
  return parts.flatMap((part, i) => {
    if (part.kind === 'literal') return [];
    const notes: string[] = [];
    if (!part.operator)
      notes.push(`column ${part.at}: ${part.text} is not known (Envoy 1.40); read as free text`);
    const next = parts[i + 1];
    if (part.blanks && next?.kind === 'literal' && /^\s+$/.test(next.text)) {
      notes.push(
        `column ${part.at}: ${part.text} may hold blanks, and a blank ends it: quote it in the format`,
      );
    }
    return notes;
  });
}
