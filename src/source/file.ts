import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { MeshtailError } from '../errors.js';
import { originOfFile } from '../record/origin.js';
import { unpacked } from './decompress.js';
import type { Source } from './source.js';

const CHUNK = 1024 * 1024;
/** Bytes that are unpacked at once: by large ones unpacking waits less, by small ones less is lost where a file is damaged. */
const MANY = 1024 * 1024;
const FEW = 16 * 1024;

/** A log file, plain, gzip or zstd (told by its first bytes, not by its name). */
export function fileSource(path: string): Source {
  return { name: path, path, origin: originOfFile(path), kind: 'file', open: () => readFile(path) };
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

async function* readFile(path: string): AsyncIterable<Buffer> {
  let given = 0;
  try {
    for await (const chunk of unpacked(rawFile(path), MANY)) {
      given += chunk.length;
      yield chunk;
    }
  } catch (error) {
    const why = error as NodeJS.ErrnoException;
    if (why.code === 'Z_DATA_ERROR') yield* readableBehind(unpacked(rawFile(path), FEW), given);
    throw readError(path, why);
  }
}

/** What chunks hold behind so many bytes, as far as they can be read. */
async function* readableBehind(chunks: AsyncIterable<Buffer>, skipped: number): AsyncIterable<Buffer> {
  let at = 0;
  try {
    for await (const chunk of chunks) {
      const rest = chunk.subarray(Math.max(0, skipped - at));
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
