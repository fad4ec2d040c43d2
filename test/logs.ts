import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { LineParser } from '../parsers/index.js';
import { malformed } from '../parsers/format.js';
import { Observation } from '../src/aggregate/observation.js';
import type { RowLimits } from '../src/aggregate/rows.js';
import { diagnose } from '../src/diagnosis/diagnose.js';
import { LineScanner } from '../src/framing/lines.js';
import { reportOf } from '../src/output/report.js';
import { packageRoot } from '../src/paths.js';
import { originOfFile } from '../src/record/origin.js';
import { RecordCursor } from '../src/record/record-view.js';
import { samples } from './samples.js';

export const incidentsFolder = join(packageRoot, 'samples', 'incidents');
export const incidents: readonly string[] = readdirSync(incidentsFolder);

export interface LogFile {
  readonly name: string;
  readonly bytes: Buffer;
}

/** The logs of one incident, unpacked. */
export function logsOf(incident: string): LogFile[] {
  const folder = join(incidentsFolder, incident);
  return readdirSync(folder)
    .filter((name) => /\.log(?:\.gz)?$/.test(name))
    .map((name) => {
      const bytes = readFileSync(join(folder, name));
      return { name, bytes: name.endsWith('.gz') ? gunzipSync(bytes) : bytes };
    });
}

/** Every line of every format's samples, good and bad. */
export function sampleLines(): Buffer[] {
  return samples().flatMap(({ path }) => linesOf(readFileSync(path)));
}

/** Each line with its newline. */
export function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0; start < bytes.length;) {
    const newline = bytes.indexOf(10, start);
    const end = newline < 0 ? bytes.length : newline + 1;
    lines.push(bytes.subarray(start, end));
    start = end;
  }
  return lines;
}

export interface Piece extends LogFile {
  /** Lines of the same stream that came before. */
  readonly before?: readonly Buffer[];
}

/** What one pass over these bytes remembers, as the pipeline does it; each piece has a parser of its own. */
export function observed(pieces: readonly Piece[], limits?: RowLimits, maxLine = 1 << 20): Observation {
  const observation = new Observation(limits);
  for (const { name, bytes, before = [] } of pieces) {
    const stream = originOfFile(name);
    observation.open(name, stream);
    const record = new RecordCursor();
    // What a line is may depend on those before it: lines that lack fields are told by the ones that do not.
    const head = new LineParser();
    for (const one of before) head.parse({ bytes: one, start: 0, end: one.length - 1 }, record);
    const parser = new LineParser(undefined, head.state.depths);
    let line = before.length;
    const scanner = new LineScanner((framed) => {
      const origin = { ...stream, line: ++line };
      const result = framed.overlong
        ? malformed(framed.line, framed.line.end, 'a shorter line')
        : parser.parse(framed.line, record);
      if (result === 'record') observation.record(name, record, origin, framed);
      else if (result === 'foreign') observation.foreign(name, framed.line, origin, framed);
      else observation.malformed(name, result, origin, framed);
    }, maxLine);
    scanner.push(bytes);
    scanner.end();
  }
  return observation;
}

/** The report as `-o json` prints it. */
export function reportJson(observation: Observation): string {
  const snapshot = observation.snapshot();
  return JSON.stringify(reportOf(snapshot, diagnose(snapshot), '0.0.0'), null, 1);
}
