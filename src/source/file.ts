import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { MeshtailError } from '../errors.js';
import { originOfFile } from '../record/origin.js';
import { unpacked } from './decompress.js';
import type { Source } from './source.js';

const CHUNK = 1024 * 1024;
/** Bytes that are unpacked at once: with as many unpacking waits little. */
const MANY = 1024 * 1024;
/** Chunks before the end of what was read in which damage may be. */
const SUSPECT_CHUNKS = 2;
/** Into so many pieces they are cut then, and pieces of so many bytes at least. */
const PIECES = 16_384;
const LEAST_PIECE = 4;

/** A log file, plain, gzip or zstd (told by its first bytes, not by its name). */
export function fileSource(path: string): Source {
  return { name: path, path, origin: originOfFile(path), kind: 'file', open: (here) => readFile(path, here) };
}

/** A file's bytes as they lie on disk. */
export function rawFile(path: string): AsyncIterable<Buffer> {
  return createReadStream(path, { highWaterMark: CHUNK }) as AsyncIterable<Buffer>;
}

/** A file's first bytes, fewer where it is shorter. */
export function headOf(path: string, length: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const head = Buffer.alloc(length);
    return head.subarray(0, readSync(file, head, 0, length, 0));
  } finally {
    closeSync(file);
  }
}

async function* readFile(path: string, here = false): AsyncIterable<Buffer> {
  let read = 0;
  let given = 0;
  async function* chunks(): AsyncIterable<Buffer> {
    for await (const chunk of rawFile(path)) {
      read++;
      yield chunk;
    }
  }
  try {
    for await (const chunk of unpacked(chunks(), { outChunk: MANY, here })) {
      given += chunk.length;
      yield chunk;
    }
  } catch (error) {
    const why = error as NodeJS.ErrnoException;
    // What came out of the piece that holds the damage came to nothing: of a small one little does.
    if (why.code === 'Z_DATA_ERROR') yield* behind(given, unpacked(finely(path, read - SUSPECT_CHUNKS)));
    throw readError(path, why);
  }
}

/** A file's chunks, from one on in small pieces. */
async function* finely(path: string, from: number): AsyncIterable<Buffer> {
  let number = 0;
  for await (const chunk of rawFile(path)) {
    if (number++ < from) yield chunk;
    else {
      const piece = Math.max(LEAST_PIECE, Math.ceil(chunk.length / PIECES));
      for (let at = 0; at < chunk.length; at += piece) yield chunk.subarray(at, at + piece);
    }
  }
}

/** What chunks hold behind so many bytes, as far as they can be read. */
async function* behind(given: number, chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  let at = 0;
  try {
    for await (const chunk of chunks) {
      const rest = chunk.subarray(Math.max(0, given - at));
      at += chunk.length;
      if (rest.length > 0) yield rest;
    }
  } catch {
    // The same that ended it before.
  }
}

export function readError(path: string, error: NodeJS.ErrnoException): MeshtailError {
  if (error instanceof MeshtailError) return error;
  const cause = { cause: error };
  switch (error.code) {
    case 'ENOENT':
      return new MeshtailError('file-not-found', `${path}: no such file`, {
        hint: 'check the path',
        ...cause,
      });
    case 'EACCES':
    case 'EPERM':
      return new MeshtailError('file-unreadable', `${path}: permission denied`, {
        hint: `make it readable (ls -l ${path}) or run as its owner`,
        ...cause,
      });
    case 'Z_BUF_ERROR':
      return new MeshtailError('gzip-truncated', `${path}: the gzip stream ends early`, {
        hint: 'what could be unpacked was read; fetch the file again for the rest',
        ...cause,
      });
    case 'Z_DATA_ERROR':
      return new MeshtailError('gzip-damaged', `${path}: the gzip stream is damaged (${error.message})`, {
        hint: 'what could be unpacked was read; fetch the file again for the rest',
        ...cause,
      });
    case 'ZSTD_TRUNCATED':
      return new MeshtailError('zstd-truncated', `${path}: the zstd stream ends early`, {
        hint: 'what could be unpacked was read; fetch the file again for the rest',
        ...cause,
      });
    case 'ZSTD_DAMAGED':
      return new MeshtailError('zstd-damaged', `${path}: the zstd stream is damaged (${error.message})`, {
        hint: 'what could be unpacked was read; fetch the file again for the rest',
        ...cause,
      });
    case 'TAR_TRUNCATED':
    case 'TAR_DAMAGED':
      return new MeshtailError('archive-damaged', `${path}: ${error.message}`, {
        hint: 'what stands before was read; fetch the archive again for the rest',
        ...cause,
      });
    default:
      return new MeshtailError('file-unreadable', `${path}: ${error.message}`, cause);
  }
}
