/** A line as bytes: `bytes[start, end)`, without its newline. Strings are made late and only where wanted. */
export interface Line {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  /** The line as JSON, where framing had to read it already. */
  readonly json?: unknown;
}

/** A line made of text, for callers that hold a string (`explain`, tests). */
export function lineOf(text: string): Line {
  const bytes = Buffer.from(text);
  return { bytes, start: 0, end: bytes.length };
}

/** The line as text; bytes that are not UTF-8 become U+FFFD. */
export function textOf(line: Line): string {
  return line.bytes.toString('utf8', line.start, line.end);
}

/** Longer lines are cut unless told otherwise, in bytes. */
export const DEFAULT_MAX_LINE = 1 << 20;

/** Keys under which log shippers keep the line: Fluent Bit and Docker; Vector and Logstash; Google Cloud; Loki; OpenTelemetry. */
export const ENVELOPE_KEYS: readonly string[] = ['log', 'message', 'textPayload', 'line', 'body'];
