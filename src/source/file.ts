import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { pipeline } from 'node:stream';
import { MeshtailError } from '../errors.js';
import { originOfFile } from '../record/origin.js';
import type { Source } from './source.js';

const CHUNK = 256 * 1024;

/** A log file, plain or gzip (told by its first bytes, not by its name). */
export function fileSource(path: string): Source {
  return { name: path, origin: originOfFile(path), kind: 'file', open: () => readFile(path) };
}

async function* readFile(path: string): AsyncIterable<Buffer> {
  try {
    const compressed = await isGzip(path);
    const raw = createReadStream(path, { highWaterMark: CHUNK });
    // Errors reach the reader through the last stream of the pipeline.
    const stream = compressed ? pipeline(raw, createGunzip({ chunkSize: CHUNK }), () => {}) : raw;
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (error) {
    throw readError(path, error as NodeJS.ErrnoException);
  }
}

async function isGzip(path: string): Promise<boolean> {
  for await (const chunk of createReadStream(path, { start: 0, end: 1 })) {
    const head = chunk as Buffer;
    return head[0] === 0x1f && head[1] === 0x8b;
  }
  return false;
}

export function readError(path: string, error: NodeJS.ErrnoException): MeshtailError {
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
    default:
      return new MeshtailError('file-unreadable', `${path}: ${error.message}`, cause);
  }
}
