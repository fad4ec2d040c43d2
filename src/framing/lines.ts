import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import split2 from 'split2';
import { DEFAULT_MAX_LINE, type Line } from '../record/line.js';

/** What framing knows of a line beside its bytes. */
export interface Framed {
  readonly line: Line;
  /** Longer than the limit: the line holds only its first `maxLine` bytes. */
  readonly overlong: boolean;
  /** The last line of its stream, without a newline. */
  readonly unterminated: boolean;
}

/** Called for each line, in order; the line's bytes are valid only during the call. */
export type OnLine = (framed: Framed) => void;

const LF = 10;
const CR = 13;

/**
 * Cuts chunks of a file into lines. A `\r` before the newline is not part of the line, one at the very end is. Lines of
 * whole chunks are spans of the chunk; only those that cross a boundary are copied.
 */
export class LineScanner {
  readonly #maxLine: number;
  readonly #onLine: OnLine;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** The line that is held has more bytes than may be kept. */
  #cut = false;

  constructor(onLine: OnLine, maxLine = DEFAULT_MAX_LINE) {
    this.#onLine = onLine;
    this.#maxLine = maxLine;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (;;) {
      const newline = chunk.indexOf(LF, start);
      if (newline < 0) break;
      if (this.#heldBytes === 0) this.#emit(chunk, start, newline, true);
      else {
        this.#hold(chunk, start, newline);
        this.#emitHeld(true);
      }
      start = newline + 1;
    }
    if (start < chunk.length) this.#hold(chunk, start, chunk.length);
  }

  end(): void {
    if (this.#heldBytes > 0) this.#emitHeld(false);
  }

  /** Keeps what may still matter of an unfinished line: two bytes over the limit tell `\r` from a longer line. */
  #hold(chunk: Buffer, start: number, end: number): void {
    const room = this.#maxLine + 2 - this.#heldBytes;
    const kept = Math.min(end - start, room);
    if (kept < end - start) this.#cut = true;
    if (kept <= 0) return;
    // A copy: the source may reuse its chunk.
    this.#held.push(Buffer.from(chunk.subarray(start, start + kept)));
    this.#heldBytes += kept;
  }

  #emitHeld(terminated: boolean): void {
    const bytes = this.#held.length === 1 ? this.#held[0]! : Buffer.concat(this.#held);
    const cut = this.#cut;
    this.#held = [];
    this.#heldBytes = 0;
    this.#cut = false;
    this.#emit(bytes, 0, bytes.length, terminated, cut);
  }

  #emit(bytes: Buffer, start: number, end: number, terminated: boolean, cut = false): void {
    const content = terminated && !cut && end > start && bytes[end - 1] === CR ? end - 1 : end;
    const overlong = cut || content - start > this.#maxLine;
    const kept = overlong ? start + this.#maxLine : content;
    this.#onLine({ line: { bytes, start, end: kept }, overlong, unterminated: !terminated });
  }
}

/** Frames a file's chunks. */
export async function scanLines(
  chunks: AsyncIterable<Buffer>,
  onLine: OnLine,
  maxLine = DEFAULT_MAX_LINE,
): Promise<void> {
  const scanner = new LineScanner(onLine, maxLine);
  try {
    for await (const chunk of chunks) scanner.push(chunk);
  } finally {
    // A source that breaks off leaves a line that was cut: counted like any other.
    scanner.end();
  }
}

/**
 * Frames a pipe through split2: the same lines as `LineScanner`. split2 decodes UTF-8 and would lose
 * bytes that are none, so it is fed latin1 text; it drops over-long lines in silence, so they are cut before it.
 */
export async function splitLines(
  chunks: AsyncIterable<Buffer>,
  onLine: OnLine,
  maxLine = DEFAULT_MAX_LINE,
): Promise<void> {
  const limit = new LineLimit(maxLine);
  const splitter = split2();
  let emitted = 0;
  let last: Buffer | undefined;
  const emit = (bytes: Buffer, unterminated: boolean): void => {
    const overlong = limit.isCut(emitted) || bytes.length > maxLine;
    emitted++;
    onLine({
      line: { bytes, start: 0, end: overlong ? Math.min(maxLine, bytes.length) : bytes.length },
      overlong,
      unterminated,
    });
  };
  // One line late, since only the end of the stream tells whether the last one had its newline.
  splitter.on('data', (text: string) => {
    if (last) emit(last, false);
    last = Buffer.from(text, 'latin1');
  });
  try {
    for await (const chunk of chunks) {
      const kept = limit.apply(chunk);
      // split2 looks through all of the line that it holds, at each write.
      if (kept.length > 0 && !splitter.write(kept.toString('latin1'))) await once(splitter, 'drain');
      if (last && limit.endsInNewline) {
        emit(last, false);
        last = undefined;
      }
    }
  } finally {
    splitter.end();
    await finished(splitter);
    if (last) emit(last, !limit.endsInNewline);
  }
}

/** Shortens over-long lines in passing chunks to two bytes over the limit, and remembers which lines those were. */
class LineLimit {
  readonly #room: number;
  readonly #cut = new Set<number>();
  #line = 0;
  #length = 0;
  endsInNewline = true;

  constructor(maxLine: number) {
    this.#room = maxLine + 2;
  }

  apply(chunk: Buffer): Buffer {
    if (chunk.length === 0) return chunk;
    const pieces: Buffer[] = [];
    let start = 0;
    while (start < chunk.length) {
      const newline = chunk.indexOf(LF, start);
      const end = newline < 0 ? chunk.length : newline;
      const kept = Math.min(end - start, Math.max(0, this.#room - this.#length));
      if (kept < end - start) this.#cut.add(this.#line);
      pieces.push(chunk.subarray(start, start + kept));
      this.#length += kept;
      if (newline < 0) break;
      pieces.push(chunk.subarray(newline, newline + 1));
      this.#line++;
      this.#length = 0;
      start = newline + 1;
    }
    this.endsInNewline = chunk[chunk.length - 1] === LF;
    return this.#cut.size === 0 ? chunk : Buffer.concat(pieces);
  }

  /** Whether line `n` (from 0) was shortened; asked once per line. */
  isCut(line: number): boolean {
    return this.#cut.delete(line);
  }
}
