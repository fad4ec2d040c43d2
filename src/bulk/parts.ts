import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { MeshtailError } from '../errors.js';
import { packingOf } from '../source/decompress.js';
import { readError } from '../source/file.js';
import type { Source } from '../source/source.js';

/*
 * Sources cut into parts that can be read by themselves. A part ends with the first newline at or behind a multiple of
 * one size, so that the cut depends on the bytes alone: not on how many threads there are, nor on whether they were packed.
 */

/** Small enough for several to be in memory, large enough for merging them to cost little. */
export const PART = 8 << 20;
const CHUNK = 256 * 1024;
const LF = 10;

/** Bytes of one source; `null`: to its end, as a stream of unknown length. */
export interface Part {
  readonly source: Source;
  readonly bytes: FileBytes | HeldBytes | Stream;
  /** The source's first part, and its last. */
  readonly first: boolean;
  readonly last: boolean;
}
/** Whoever reads them opens the file. */
interface FileBytes {
  readonly kind: 'file';
  readonly path: string;
  readonly start: number;
  readonly end: number;
}
/** Unpacked, in memory that all threads see. */
interface HeldBytes {
  readonly kind: 'held';
  readonly memory: SharedArrayBuffer;
  readonly length: number;
}
/** A source that is read to its end by whoever cut the others. */
interface Stream {
  readonly kind: 'stream';
  readonly chunks: AsyncIterable<Buffer>;
}

/** The parts of one source. @throws MeshtailError where it cannot be read on, after what could be */
export async function* partsOf(source: Source, size = PART): AsyncIterable<Part> {
  const length = plainSize(source);
  if (length !== null) yield* fileParts(source, source.path!, length, size);
  else if (source.kind === 'file') yield* heldParts(source, size);
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

function* fileParts(source: Source, path: string, length: number, size: number): Iterable<Part> {
  for (let start = 0; start < length;) {
    const end = withFile(path, (file) => lineEnd(file, nextCut(start, size), length));
    yield { source, bytes: { kind: 'file', path, start, end }, first: start === 0, last: end === length };
    start = end;
  }
}

const nextCut = (start: number, size: number): number => (Math.floor(start / size) + 1) * size;

/** Behind the first newline at or behind `from`, at most `size`. */
function lineEnd(file: number, from: number, size: number): number {
  const chunk = Buffer.allocUnsafe(64 * 1024);
  for (let at = from; at < size;) {
    const length = readSync(file, chunk, 0, chunk.length, at);
    if (length === 0) break;
    const newline = chunk.subarray(0, length).indexOf(LF);
    if (newline >= 0) return Math.min(size, at + newline + 1);
    at += length;
  }
  return size;
}

function withFile<T>(path: string, use: (file: number) => T): T {
  const file = openSync(path, 'r');
  try {
    return use(file);
  } finally {
    closeSync(file);
  }
}

/** What is unpacked, as it comes. Lines that are longer than a part are left to be read as a stream. */
async function* heldParts(source: Source, size: number): AsyncIterable<Part> {
  const chunks = source.open()[Symbol.asyncIterator]();
  let start = 0;
  let memory = new SharedArrayBuffer(2 * size);
  let bytes = Buffer.from(memory);
  let length = 0;
  let failure: unknown;
  const part = (last: boolean): Part => ({
    source,
    bytes: { kind: 'held', memory, length },
    first: start === 0,
    last,
  });
  for (;;) {
    const next = await chunks.next().catch((error: unknown) => {
      failure = error;
      return { done: true as const, value: undefined };
    });
    if (next.done) break;
    for (let chunk = next.value; chunk.length > 0;) {
      const room = nextCut(start, size) - start;
      const cut = length + chunk.length < room ? -1 : chunk.indexOf(LF, Math.max(0, room - length));
      const taken = cut < 0 ? chunk.length : cut + 1;
      if (length + taken > bytes.length) {
        const held = Buffer.from(bytes.subarray(0, length));
        const rest = joined([held, chunk], chunks);
        return yield { source, bytes: { kind: 'stream', chunks: rest }, first: start === 0, last: true };
      }
      chunk.copy(bytes, length, 0, taken);
      length += taken;
      chunk = chunk.subarray(taken);
      if (cut < 0) continue;
      yield part(false);
      start += length;
      memory = new SharedArrayBuffer(2 * size);
      bytes = Buffer.from(memory);
      length = 0;
    }
  }
  yield part(true);
  if (failure !== undefined) throw failure;
}

async function* joined(first: readonly Buffer[], rest: AsyncIterator<Buffer>): AsyncIterable<Buffer> {
  yield* first;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

/** A part's bytes, from which a source's stream can be put together again. */
export async function* chunksOf({ bytes }: Pick<Part, 'bytes'>): AsyncIterable<Buffer> {
  switch (bytes.kind) {
    case 'file':
      yield* fileChunks(bytes);
      break;
    case 'held':
      for (let at = 0; at < bytes.length; at += CHUNK) {
        yield Buffer.from(bytes.memory, at, Math.min(CHUNK, bytes.length - at));
      }
      break;
    case 'stream':
      yield* bytes.chunks;
      break;
    default:
      bytes satisfies never;
  }
}

function* fileChunks({ path, start, end }: FileBytes): Iterable<Buffer> {
  const file = opened(path);
  try {
    const memory = Buffer.allocUnsafeSlow(Math.min(CHUNK, end - start));
    for (let at = start; at < end;) {
      const length = readSync(file, memory, 0, Math.min(memory.length, end - at), at);
      if (length === 0) {
        throw new MeshtailError('file-changed', `${path}: became shorter while it was read`, {
          hint: 'what could be read is in the report; copy the log, and read the copy',
        });
      }
      // A view of its own each time: who reads tells chunks apart by it.
      yield memory.subarray(0, length);
      at += length;
    }
  } catch (error) {
    throw readError(path, error as NodeJS.ErrnoException);
  } finally {
    closeSync(file);
  }
}

function opened(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw readError(path, error as NodeJS.ErrnoException);
  }
}
