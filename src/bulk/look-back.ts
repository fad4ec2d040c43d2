import { closeSync, openSync, readSync } from 'node:fs';
import type { Row } from '../aggregate/row.js';
import type { AskedOfConnections } from '../diagnosis/connections.js';
import { LineReader } from '../pipeline.js';
import type { RecordView } from '../record/record-view.js';
import type { Source } from '../source/source.js';
import { plainSize } from './parts.js';

/*
 * Looks lines up in their file again, where too few are kept: what a connection had been used for before. Envoy writes a
 * line when its request is over, so that lines stand nearly by their ends, and an earlier use of a connection stands before.
 */

/** Bytes that are looked through at once, and at most for one line and for all. */
const CHUNK = 1 << 20;
const REACH = 8 << 20;
const MOST_BYTES = 48 << 20;
/** Longer than servers and load balancers keep idle connections as a rule: the longest usual time is 10 minutes. */
const LONGEST_IDLE_MS = 11 * 60_000;
/** Lines stand out of order by as much: each worker thread of Envoy writes when its buffer is full, or once in 10 s. */
const DISORDER_MS = 10_000;
const LF = 10;
const CR = 13;

/** After so many without an earlier use of their connection nothing more is asked of their like. */
const ENOUGH_FIRST_USES = 3;

/**
 * For how long the connections of some lines had been idle, ms; `null` where no earlier use stands within reach. Lines that
 * are not told were not looked up: their file is none that can be read anywhere, or others took too long.
 */
export function idleTimes(
  asked: readonly AskedOfConnections[],
  sources: readonly Source[],
): ReadonlyMap<Row, number | null> {
  const idle = new Map<Row, number | null>();
  const logs = new Map<string, LogFile | null>();
  let left = MOST_BYTES;
  const lookUp = (row: Row): boolean => {
    const name = row.file ?? '';
    let log = logs.get(name);
    if (log === undefined) logs.set(name, (log = open(sources.find(({ origin }) => origin.file === name))));
    if (!log || left <= 0) return false;
    const before = log.bytesRead;
    const end = log.endOfUseBefore(row);
    left -= log.bytesRead - before;
    if (end === undefined) return false;
    idle.set(row, end === null ? null : row.loggedStart - end);
    return end !== null;
  };
  try {
    for (const { about, others } of asked) {
      let used = 0;
      for (const [i, row] of about.entries()) {
        if (lookUp(row)) used++;
        else if (used === 0 && i + 1 >= ENOUGH_FIRST_USES) break;
      }
      if (used > 0) others.forEach(lookUp);
    }
    return idle;
  } finally {
    for (const log of logs.values()) log?.close();
  }
}

function open(source: Source | undefined): LogFile | null {
  const size = source ? plainSize(source) : null;
  if (size === null) return null;
  try {
    return new LogFile(source!, openSync(source!.path!, 'r'), size);
  } catch {
    // It could be read before: what is looked up in it is an extra.
    return null;
  }
}

class LogFile {
  bytesRead = 0;
  readonly #reader: LineReader;
  #record: RecordView | null = null;

  constructor(
    source: Source,
    readonly file: number,
    readonly size: number,
  ) {
    this.#reader = new LineReader(source, { maxLine: CHUNK }, ({ result, record }) => {
      this.#record = result === 'record' ? record : null;
    });
  }

  /**
   * When the last request before a line's ended on the same connection, ms since the Unix epoch; `null`: none within reach;
   * `undefined`: the line itself is not where its time says, so that nothing is known of those before.
   */
  endOfUseBefore({ loggedStart, duration, upstreamLocal, upstreamHost }: Row): number | null | undefined {
    const needle = Buffer.from(upstreamLocal!);
    const from = this.#placeOf(loggedStart + DISORDER_MS);
    let found: number | null = null;
    let isMet = false;
    this.#linesBackwards(from, loggedStart - LONGEST_IDLE_MS, needle, (record) => {
      const isSame =
        record.text('upstream_local_address') === upstreamLocal &&
        record.text('upstream_host') === upstreamHost;
      if (!isSame || record.startTime() > loggedStart) return true;
      if (!isMet && record.startTime() === loggedStart && (record.durationMs() ?? NaN) === duration) {
        isMet = true;
        return true;
      }
      // Where it was not over yet the connection was not idle.
      found = endOf(record);
      return false;
    });
    return isMet ? found : undefined;
  }

  close(): void {
    closeSync(this.file);
  }

  /** About where lines stand that ended at a time; rather behind them. */
  #placeOf(time: number): number {
    let low = 0;
    let high = this.size;
    while (high - low > CHUNK / 4) {
      const middle = Math.floor((low + high) / 2);
      const end = this.#endBehind(middle);
      if (end !== null && end <= time) low = middle;
      else high = middle;
    }
    return Math.min(this.size, high + CHUNK / 4);
  }

  /** The end of the first request that stands whole behind a place. */
  #endBehind(at: number): number | null {
    const bytes = this.#read(at, Math.min(this.size, at + CHUNK / 16));
    for (let from = bytes.indexOf(LF) + 1; from > 0;) {
      const to = bytes.indexOf(LF, from);
      if (to < 0) return null;
      const record = this.#parsed(bytes, from, to);
      if (record) return endOf(record);
      from = to + 1;
    }
    return null;
  }

  /** Shows the lines before a place that hold some bytes and ended after a time, the last ones first, as long as asked to go on. */
  #linesBackwards(to: number, since: number, needle: Buffer, visit: (record: RecordView) => boolean): void {
    const limit = Math.max(0, to - REACH);
    for (let behind = to; behind > limit;) {
      const from = Math.max(0, behind - CHUNK);
      const bytes = this.#read(from, behind);
      // The line that begins before these bytes comes with the ones before.
      const first = from === 0 ? 0 : bytes.indexOf(LF) + 1;
      for (let end = bytes.length; end > first;) {
        const hit = bytes.lastIndexOf(needle, end - 1);
        if (hit < first) break;
        const start = hit === 0 ? 0 : bytes.lastIndexOf(LF, hit - 1) + 1;
        const newline = bytes.indexOf(LF, hit);
        const record = this.#parsed(bytes, start, newline < 0 ? bytes.length : newline);
        if (record && !visit(record)) return;
        end = start;
      }
      const newline = bytes.indexOf(LF, first);
      // No whole line stands in them: there are better ways to spend time than to look for its beginning.
      if (newline < 0) return;
      const record = this.#parsed(bytes, first, newline);
      if (record && endOf(record) < since) return;
      behind = from + first;
    }
  }

  #parsed(bytes: Buffer, start: number, end: number): RecordView | null {
    const content = end > start && bytes[end - 1] === CR ? end - 1 : end;
    // Lines come backwards here, and who peels them takes those of one buffer to come in their order.
    const line = bytes.subarray(start, content);
    this.#record = null;
    this.#reader.push({
      line: { bytes: line, start: 0, end: line.length },
      overlong: false,
      unterminated: false,
    });
    return this.#record;
  }

  /** Valid until the next bytes are read. */
  #read(from: number, to: number): Buffer {
    const length = readSync(this.file, MEMORY, 0, to - from, from);
    this.bytesRead += length;
    return MEMORY.subarray(0, length);
  }
}

const MEMORY = Buffer.allocUnsafeSlow(CHUNK);

const endOf = (record: RecordView): number => record.startTime() + (record.durationMs() ?? 0);
