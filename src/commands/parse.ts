import { once } from 'node:events';
import { describeFormat } from '../../parsers/describe.js';
import type { Format } from '../../parsers/format.js';
import { FORMATS } from '../../parsers/index.js';
import type { Options } from '../cli/options.js';
import { ExitStatus, MeshtailError, usageError } from '../errors.js';
import { within } from '../filter/within.js';
import { rowText, tableText } from '../output/table.js';
import { parseSource, type Parsed, type Reading } from '../pipeline.js';
import { ByteWriter } from '../record/byte-writer.js';
import { textOf } from '../record/line.js';
import { printedOrigin, type Origin } from '../record/origin.js';
import { safeText } from '../record/safe-text.js';
import type { Source } from '../source/source.js';
import { asksCluster } from './asks-cluster.js';
import type { Environment } from './environment.js';
import { inputsOf, readingOf, reportFailed } from './inputs.js';
import type { Print } from './print-live.js';

/** Enough lines to make one write worth it. */
const BATCH = 64 * 1024;
const LF = 10;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/** `meshtail parse`: one JSON object per record, as it is read. Returns the exit status. */
export async function parse(
  args: readonly string[],
  options: Options,
  environment: Environment,
): Promise<number> {
  const reading = await readingOf(options, environment);
  if (options.describe) return describe(args, reading, environment);
  if (options.filter?.asksWho) {
    throw usageError('who: is known only once failures are explained', 'use report, or leave it out');
  }
  const live = asksCluster(args, options, environment);
  // How far back a cluster's logs go is asked of the cluster.
  const filter = within(options.filter, live ? null : options.since, options.until);
  const table = options.output === 'table';
  const print: Print = (parsed, out) => {
    if (filter && !(parsed.result === 'record' && filter.matches(parsed.record, parsed.origin))) return false;
    return table ? printRow(parsed, options.all, out) : printLine(parsed, options.all, out);
  };
  const heading = table ? `${rowText(HEADINGS, WIDTHS)}\n` : '';
  if (live) {
    const { printLive } = await import('./print-live.js');
    return printLive(args, options, reading, environment, print, heading);
  }
  const { sources, failed: missing } = await inputsOf(args, environment);
  let records = 0;
  const batch = new ByteWriter();
  batch.text(heading);
  let wait: Promise<void> | undefined;
  const flush = (): void => {
    if (batch.length === 0) return;
    if (!environment.stdout.write(batch.take()))
      wait ??= once(environment.stdout, 'drain').then(() => undefined);
  };
  const onParsed = (parsed: Parsed): void => {
    if (parsed.result === 'record') records++;
    if (!print(parsed, batch)) return;
    batch.byte(LF);
    if (batch.length >= BATCH) flush();
  };
  const broken = await readAll(sources, reading, onParsed, (source) => {
    // A pipe is somebody watching: what came with this chunk goes out with it.
    if (source.kind === 'pipe') flush();
    const pending = wait;
    wait = undefined;
    return pending;
  });
  flush();
  return statusOf([...missing, ...broken], records, environment);
}

/** Reads one source after the other; those that fail are returned. */
async function readAll(
  sources: readonly Source[],
  reading: Reading,
  onParsed: (parsed: Parsed) => void,
  pause: (source: Source) => Promise<void> | undefined,
): Promise<readonly MeshtailError[]> {
  const failed: MeshtailError[] = [];
  for (const source of sources) {
    try {
      await parseSource(source, reading, onParsed, () => pause(source));
    } catch (error) {
      if (!(error instanceof MeshtailError)) throw error;
      failed.push(error);
    }
  }
  return failed;
}

function statusOf(failed: readonly MeshtailError[], records: number, environment: Environment): number {
  const worldStatus = reportFailed(failed, environment);
  if (worldStatus !== ExitStatus.ok) return worldStatus;
  return records === 0 ? ExitStatus.noAccessLine : ExitStatus.ok;
}

/** `parse --describe`: the fields of the format that was given or, with an input, of those that were met in it. */
async function describe(
  args: readonly string[],
  reading: Reading,
  environment: Environment,
): Promise<number> {
  const { stdout } = environment;
  const given = reading.format;
  if (given && args.length === 0) {
    stdout.write(describedText(given, given.layout));
    return ExitStatus.ok;
  }
  const { sources, failed: missing } = await inputsOf(args, environment);
  const counts = new Map<string, number>();
  let lines = 0;
  const broken = await readAll(
    sources,
    reading,
    ({ result, record }) => {
      lines++;
      if (result === 'record') counts.set(record.format, (counts.get(record.format) ?? 0) + 1);
    },
    () => undefined,
  );
  if (given && !counts.has(given.name)) counts.set(given.name, 0);
  for (const [name, count] of [...counts].toSorted((a, b) => b[1] - a[1])) {
    const format = given?.name === name ? given : FORMATS.find((known) => known.name === name);
    if (format) stdout.write(describedText(format, `${count} of ${lines} lines`));
  }
  const records = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return statusOf([...missing, ...broken], records, environment);
}

function describedText(format: Format, where: string): string {
  const rows = describeFormat(format).map((row, i) => [
    String(i + 1),
    row.key,
    row.operator,
    row.text,
    row.unit,
    row.unset,
    row.at,
  ]);
  const head = `${format.name}: ${where}\n  told by ${format.sign}\n  ${format.reference}\n`;
  if (rows.length === 0) return `${head}  ${format.layout}\n\n`;
  return `${head}\n${tableText(['#', 'FIELD', 'OPERATOR', 'TEXT', 'UNIT', 'UNSET', 'COLUMN'], rows)}\n`;
}

/** One line of output as JSON; false, and nothing is written, for a line that is not asked for. */
export function printLine({ result, record, origin: whole }: Parsed, all: boolean, out: ByteWriter): boolean {
  if (result === 'record') {
    if (all) out.text('{"kind":"record",');
    else out.byte(OPEN_BRACE);
    record.print(out, whole);
    out.byte(CLOSE_BRACE);
    return true;
  }
  if (!all) return false;
  const origin = printedOrigin(whole);
  if (result === 'foreign') out.text(JSON.stringify({ kind: 'foreign', line: origin.line, origin }));
  else {
    const { kind, at, expected, found } = result;
    out.text(JSON.stringify({ kind, line: origin.line, at, expected, found, origin }));
  }
  return true;
}

const HEADINGS = [
  'START',
  'CODE',
  'FLAGS',
  'MS',
  'METHOD',
  'AUTHORITY AND PATH',
  'UPSTREAM',
  'DETAILS',
  'FROM',
];
const WIDTHS = [24, 4, 7, 6, 7, 40, 44, 24, 0];

/** One row for people; false, and nothing is written, for a line that is not asked for. */
export function printRow(parsed: Parsed, all: boolean, out: ByteWriter): boolean {
  const row = tableRow(parsed, all);
  if (row !== undefined) out.text(row);
  return row !== undefined;
}

/** Columns are of fixed width, since rows are printed as they are read. */
function tableRow({ result, record, origin, framed }: Parsed, all: boolean): string | undefined {
  if (result !== 'record') {
    if (!all) return undefined;
    const what = result === 'foreign' ? 'foreign' : `malformed at ${result.at}: ${result.expected}`;
    return rowText(
      [origin.time ?? '-', what, safeText(textOf(framed.line).slice(0, 120)), fromText(origin)],
      [],
    );
  }
  const text = (field: Parameters<typeof record.text>[0]): string => record.text(field) || '-';
  const cells = [
    record.copy().start_time ?? '-',
    text('response_code'),
    text('response_flags'),
    text('duration'),
    text('method'),
    `${record.text('authority') ?? ''}${record.text('path') ?? ''}` || '-',
    record.upstreamCluster()?.name ?? text('upstream_host'),
    text('response_code_details'),
    fromText(origin),
  ];
  return rowText(cells.map(safeText), WIDTHS);
}

function fromText({ pod, file, line }: Origin): string {
  return `${pod ?? file ?? '-'}:${line}`;
}
