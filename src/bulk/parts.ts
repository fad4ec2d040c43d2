import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { Depths } from '../../parsers/text-layout.js';
import { MeshtailError } from '../errors.js';
import { packingOf } from '../source/decompress.js';
import { readError } from '../source/file.js';
import type { Source } from '../source/source.js';

/*
 * Sources cut into parts that can be read by themselves. A part ends with the first newline at or behind a multiple of
 * one size, so that the cut depends on the bytes alone: not on how many threads there are, nor on whether they were packed.
 */

/** Small enough for several to be in memory, large enough for merging them to cost little. */
export const PART = 4 << 20;
const CHUNK = 256 * 1024;
const LF = 10;

/** Bytes of one source. */
export interface Part {
  readonly source: Source;
  readonly bytes: FileBytes | HeldBytes | Stream;
  /** Its number among the parts of all sources. */
  readonly index: number;
  /** The source's first part, and its last. */
  readonly first: boolean;
  readonly last: boolean;
  /** What the first lines of the source make of those to come; not for the part that they are in. */
  readonly depths?: Depths | undefined;
}
export type BarePart = Pick<Part, 'source' | 'bytes' | 'first' | 'last'>;

/** Whoever reads them opens the file. */
export interface FileBytes {
  readonly kind: 'file';
  readonly path: string;
  readonly start: number;
  readonly end: number;
  /** The file ended with it; what is written meanwhile of its last line is read too. */
  readonly mayGrow: boolean;
}
/** Unpacked, in memory that goes to the thread that reads it: copying out of shared memory takes three times as long. */
export interface HeldBytes {
  readonly kind: 'held';
  readonly memory: ArrayBuffer;
  readonly length: number;
  /** To be called when it has been read: the memory, which may have been elsewhere, is used again. */
  readonly release: (memory: ArrayBuffer) => void;
}
/** A source that is read to its end by whoever cut the others. */
interface Stream {
  readonly kind: 'stream';
  readonly chunks: AsyncIterable<Buffer>;
}

/** How sources are cut: at newlines behind multiples of a size, in bytes (`Infinity`: not at all); lines longer than `maxLine` are cut short. */
export interface Cut {
  readonly size: number;
  readonly maxLine: number;
}

/** The parts of one source. @throws MeshtailError where it cannot be read on, after what could be */
export async function* partsOf(source: Source, cut: Cut): AsyncIterable<BarePart> {
  const length = plainSize(source);
  if (length !== null) yield* fileParts(source, source.path!, length, cut.size);
  else if (source.kind === 'file' && cut.size < Infinity) yield* heldParts(source, cut);
  else yield { source, bytes: { kind: 'stream', chunks: source.open() }, first: true, last: true };
}

/** Bytes of a file that lies there as it is; `null` for whatever has to be read as a stream. */
export function plainSize({ path }: Source): number | null {
  if (path === undefined) return null;
  try {
    const stat = statSync(path);
    // A size of 0 may be one that the system does not know.
    if (!stat.isFile() || stat.size === 0) return null;
    const head = Buffer.alloc(4);
    withFile(path, (file) => readSync(file, head, 0, 4, 0));
    return packingOf(head) === 'none' ? stat.size : null;
  } catch {
    // Whoever opens it will say why it cannot be read.
    return null;
  }
}

/** A file may grow while it is read: the line in which it ended when it was begun is read to its end. */
function* fileParts(source: Source, path: string, length: number, size: number): Iterable<BarePart> {
  const file = openSync(path, 'r');
  try {
    for (let start = 0; start < length;) {
      const end = lineEnd(file, Math.min(nextCut(start, size), length - 1), length);
      const last = end >= length;
      yield { source, bytes: { kind: 'file', path, start, end, mayGrow: last }, first: start === 0, last };
      start = end;
    }
  } finally {
    closeSync(file);
  }
}

const nextCut = (start: number, size: number): number =>
  size === Infinity ? Infinity : (Math.floor(start / size) + 1) * size;

/** Behind the first newline at or behind `from`; where there is none the end of the file, which had `length` bytes. */
function lineEnd(file: number, from: number, length: number): number {
  const chunk = Buffer.allocUnsafe(4 * 1024);
  for (let at = from; ;) {
    const read = readSync(file, chunk, 0, chunk.length, at);
    if (read === 0) return Math.max(at, length);
    const newline = chunk.subarray(0, read).indexOf(LF);
    if (newline >= 0) return at + newline + 1;
    at += read;
  }
}

function withFile<T>(path: string, use: (file: number) => T): T {
  const file = openSync(path, 'r');
  try {
    return use(file);
  } finally {
    closeSync(file);
  }
}

/**
 * What is unpacked, as it comes. Of a line that is longer than may be read the rest is left out: to whoever cuts lines it is
 * as long either way.
 */
async function* heldParts(source: Source, { size, maxLine }: Cut): AsyncIterable<BarePart> {
  let start = 0;
  const free: ArrayBuffer[] = [];
  const release = (memory: ArrayBuffer): void => void free.push(memory);
  const taken = (): ArrayBuffer => free.pop() ?? new ArrayBuffer(size + maxLine + 2);
  let memory = taken();
  let bytes = Buffer.from(memory);
  let length = 0;
  let leftOut = 0;
  let failure: unknown;
  const part = (last: boolean): BarePart => ({
    source,
    bytes: { kind: 'held', memory, length, release },
    first: start === 0,
    last,
  });
  try {
    for await (const whole of source.open(true)) {
      for (let chunk = whole; chunk.length > 0;) {
        const room = nextCut(start, size) - start;
        const there = length + leftOut;
        const cut = there + chunk.length < room ? -1 : chunk.indexOf(LF, Math.max(0, room - there));
        const text = cut < 0 ? chunk : chunk.subarray(0, cut);
        const copied = text.copy(bytes, length, 0, Math.min(text.length, bytes.length - 1 - length));
        length += copied;
        leftOut += text.length - copied;
        if (cut >= 0) bytes[length++] = LF;
        chunk = chunk.subarray(cut < 0 ? chunk.length : cut + 1);
        if (cut < 0) continue;
        yield part(false);
        start += length + leftOut;
        memory = taken();
        bytes = Buffer.from(memory);
        length = 0;
        leftOut = 0;
      }
    }
  } catch (error) {
    failure = error;
  }
  yield part(true);
  if (failure !== undefined) throw failure;
}

/** A part's bytes as a stream. */
export async function* chunksOf(part: Pick<Part, 'bytes'>): AsyncIterable<Buffer> {
  if (part.bytes.kind === 'stream') return yield* part.bytes.chunks;
  const bytes = openPart(part);
  const memory = Buffer.allocUnsafeSlow(CHUNK);
  try {
    for (;;) {
      const length = await bytes.read(() => memory, 0);
      if (length === 0) return;
      // A view of its own each time: who reads tells chunks apart by it.
      yield memory.subarray(0, length);
    }
  } finally {
    bytes.close();
  }
}

/** A part's bytes, one stretch after the other. */
export interface PartBytes {
  /**
   * Puts the next ones behind `at`; how many there were, 0 at the end.
   * @param into asked for when they are there: memory that has grown meanwhile is elsewhere
   * @throws MeshtailError where they cannot be read
   */
  readonly read: (into: () => Buffer, at: number) => number | Promise<number>;
  readonly close: () => void;
}

/** Opens a part. @throws MeshtailError where it cannot be opened */
export function openPart({ bytes }: Pick<Part, 'bytes'>): PartBytes {
  if (bytes.kind === 'file') return openFile(bytes);
  if (bytes.kind === 'stream') return openStream(bytes.chunks);
  const held = Buffer.from(bytes.memory, 0, bytes.length);
  let from = 0;
  return {
    read(into, at) {
      const length = held.copy(into(), at, from);
      from += length;
      return length;
    },
    close: () => undefined,
  };
}

function openStream(chunks: AsyncIterable<Buffer>): PartBytes {
  const coming = chunks[Symbol.asyncIterator]();
  let chunk: Buffer = Buffer.alloc(0);
  return {
    async read(into, at) {
      while (chunk.length === 0) {
        const next = await coming.next();
        if (next.done) return 0;
        chunk = next.value;
      }
      const length = chunk.copy(into(), at);
      chunk = chunk.subarray(length);
      return length;
    },
    close: () => void coming.return?.(),
  };
}

function openFile({ path, start, end: known, mayGrow }: FileBytes): PartBytes {
  const file = opened(path);
  let from = start;
  let end = known;
  let lastByte = LF;
  return {
    read(memory, at) {
      const into = memory();
      // The line in which it ended may have been written on.
      if (from === end && mayGrow && lastByte !== LF) end = lineEnd(file, end, end);
      if (from === end) return 0;
      const length = readFrom(path, file, into, at, Math.min(into.length - at, end - from), from);
      if (length === 0) {
        throw new MeshtailError('file-changed', `${path}: became shorter while it was read`, {
          hint: 'what could be read is in the report; copy the log, and read the copy',
        });
      }
      from += length;
      lastByte = into[at + length - 1]!;
      return length;
    },
    close: () => closeSync(file),
  };
}

function readFrom(
  path: string,
  file: number,
  into: Buffer,
  at: number,
  length: number,
  from: number,
): number {
  try {
    return readSync(file, into, at, length, from);
  } catch (error) {
    throw readError(path, error as NodeJS.ErrnoException);
  }
}

function opened(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw readError(path, error as NodeJS.ErrnoException);
  }
}
