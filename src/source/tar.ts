import { originOfFile, type StreamOrigin } from '../record/origin.js';

/** One file in an archive. Its bytes must be read before the next one is asked for; what is not read is skipped. */
export interface TarEntry {
  readonly name: string;
  readonly size: number;
  chunks(): AsyncIterable<Buffer>;
}

const BLOCK = 512;
/** Longer names and extended headers are refused: they are read into memory whole. */
const MAX_HEADER = 1 << 20;

/** Whether 512 bytes are a tar header: by its checksum, which every kind of tar has (POSIX.1-1988 ustar, pax, GNU). */
export function isTarHeader(block: Buffer): boolean {
  if (block.length < BLOCK || block[0] === 0) return false;
  const stated = octal(block, 148, 8);
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : block[i]!;
  return sum === stated;
}

/** The files of an archive, in its order, as it streams by. Throws an error with code `TAR_TRUNCATED` or `TAR_DAMAGED`. */
export async function* tarEntries(chunks: AsyncIterable<Buffer>): AsyncIterable<TarEntry> {
  const bytes = new ByteReader(chunks);
  let longName: string | undefined;
  try {
    for (;;) {
      const header = await bytes.read(BLOCK);
      // Two blocks of zeros end an archive; some writers leave them out.
      if (header.every((byte) => byte === 0)) return;
      if (header.length < BLOCK) throw tarError('TAR_TRUNCATED', 'the archive ends early');
      if (!isTarHeader(header)) throw tarError('TAR_DAMAGED', 'a file header of the archive is damaged');
      const size = sizeOf(header);
      const padding = (BLOCK - (size % BLOCK)) % BLOCK;
      const type = String.fromCharCode(header[156]!);
      if (type === 'x' || type === 'L') {
        if (size > MAX_HEADER)
          throw tarError('TAR_DAMAGED', 'an extended header of the archive is too large');
        const text = (await bytes.read(size)).toString('utf8');
        await bytes.skip(padding);
        longName = type === 'L' ? text.replace(/\0.*$/s, '') : (paxPath(text) ?? longName);
        continue;
      }
      const name = longName ?? nameOf(header);
      longName = undefined;
      let left = size;
      if (type === '0' || type === '\0') {
        async function* content(): AsyncIterable<Buffer> {
          while (left > 0) {
            const chunk = await bytes.some(left);
            if (chunk.length === 0) throw tarError('TAR_TRUNCATED', 'the archive ends early');
            left -= chunk.length;
            yield chunk;
          }
        }
        yield { name, size, chunks: content };
      }
      await bytes.skip(left + padding);
    }
  } finally {
    await bytes.close();
  }
}

function tarError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

function textOf(block: Buffer, start: number, length: number): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? length : end);
}

function octal(block: Buffer, start: number, length: number): number {
  const text = textOf(block, start, length).trim();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : NaN;
}

/** Octal, or (GNU) a binary number whose first bit is set. */
function sizeOf(header: Buffer): number {
  if ((header[124]! & 0x80) === 0) return octal(header, 124, 12) || 0;
  const size = Number(header.readBigUInt64BE(128));
  if (!Number.isSafeInteger(size)) throw tarError('TAR_DAMAGED', 'a size in the archive is damaged');
  return size;
}

function nameOf(header: Buffer): string {
  const name = textOf(header, 0, 100);
  const prefix = header.toString('latin1', 257, 262) === 'ustar' ? textOf(header, 345, 155) : '';
  return prefix ? `${prefix}/${name}` : name;
}

/** `NN path=NAME\n` records of a pax header. */
function paxPath(text: string): string | undefined {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(text)?.[1];
}

/** Reads a stream by counts. */
class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** At most `limit` bytes, none at the end. */
  async some(limit: number): Promise<Buffer> {
    while (this.#held.length === 0) {
      const next = await this.#chunks.next();
      if (next.done) return Buffer.alloc(0);
      this.#held = next.value;
    }
    const taken = this.#held.subarray(0, limit);
    this.#held = this.#held.subarray(taken.length);
    return taken;
  }

  /** So many bytes, fewer only at the end. */
  async read(count: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let left = count; left > 0;) {
      const piece = await this.some(left);
      if (piece.length === 0) break;
      pieces.push(piece);
      left -= piece.length;
    }
    return Buffer.concat(pieces);
  }

  async skip(count: number): Promise<void> {
    for (let left = count; left > 0;) {
      const piece = await this.some(left);
      if (piece.length === 0) throw tarError('TAR_TRUNCATED', 'the archive ends early');
      left -= piece.length;
    }
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}

// istio 1.28 tools/bug-report/pkg/archive/archive.go (ProxyOutputPath): proxies/<namespace>/<pod>/<container>.log
const BUG_REPORT = /(?:^|\/)proxies\/([a-z0-9.-]+)\/([a-z0-9.-]+)\/([a-z0-9.-]+)\.log$/;

/** Whether a file of an archive is a proxy's log in an `istioctl bug-report`. */
export function isBugReportLog(name: string): boolean {
  return BUG_REPORT.test(name);
}

/** What the name of a file in an archive tells of its pod. */
export function originOfEntry(archive: string, name: string): StreamOrigin {
  const file = `${archive}:${name}`;
  const report = BUG_REPORT.exec(name);
  if (!report?.[1] || !report[2] || !report[3]) return { ...originOfFile(name), file };
  return { file, namespace: report[1], pod: report[2], container: report[3] };
}
