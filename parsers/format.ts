import type { Line } from '../src/record/line.js';
import type { RecordCursor } from '../src/record/record-view.js';

/** The line begins or looks like an access line but does not fit. */
export interface Malformed {
  readonly kind: 'malformed';
  /** Byte column in the unwrapped line, from 1, at which it stops fitting. */
  readonly at: number;
  readonly expected: string;
  /** What stands there, cut to a readable length. */
  readonly found: string;
}

/** `foreign`: not an access line at all. */
export type ParseResult = 'record' | 'foreign' | Malformed;

export interface Format {
  /** Also its folder under samples/. */
  readonly name: string;
  /** The format string it reads, or for JSON the keys it asks for. */
  readonly layout: string;
  /** What it is told by among the others. */
  readonly sign: string;
  /** Where that layout is defined, pinned to a version. */
  readonly reference: string;
  /** Total: never throws; time linear in the line. */
  parse(line: Line, into: RecordCursor): ParseResult;
}

const FOUND_LENGTH = 40;

export function malformed(line: Line, at: number, expected: string): Malformed {
  const text = line.bytes.toString('utf8', at, Math.min(line.end, at + FOUND_LENGTH));
  const found = at >= line.end ? 'end of line' : at + FOUND_LENGTH < line.end ? `${text}…` : text;
  return { kind: 'malformed', at: at - line.start + 1, expected, found };
}
