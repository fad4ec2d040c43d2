/*
 * Compressed input, told by its first bytes. Unpacking is driven by hand: what was unpacked before a file ends early is
 * handed on before the error is, and a bomb is held up as soon as more came out than is held at once.
 */

const OUT_CHUNK = 256 * 1024;
/** Bytes that may wait to be handed on, beside a chunk. */
const MOST_WAITING = 1024 * 1024;
/** fzstd cannot be held up: so many bytes are unpacked at once, of which 4 may hold 128 KiB. */
const ZSTD_SLICE = 1024;

export type Packing = 'gzip' | 'zstd' | 'none';

/** How many of the first bytes tell the packing. */
const MAGIC_LENGTH = 4;

export function packingOf(head: Buffer): Packing {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  return head.length >= MAGIC_LENGTH && head.readUInt32LE(0) === 0xfd2fb528 ? 'zstd' : 'none';
}

export interface Unpacking {
  /** Bytes that come out at once, but for `here`: of a damaged stream as many may be lost before the damage. */
  readonly outChunk?: number;
  /** In the calling thread, which then does nothing else: handing chunks to another and back takes a fifth as long as unpacking them. */
  readonly here?: boolean;
}

/** The bytes that were packed; others pass as they are. Concatenated gzip members and zstd frames are read one after the other. */
export async function* unpacked(
  chunks: AsyncIterable<Buffer>,
  { outChunk = OUT_CHUNK, here = false }: Unpacking = {},
): AsyncIterable<Buffer> {
  const { head, all } = await peek(chunks, MAGIC_LENGTH);
  switch (packingOf(head)) {
    case 'gzip': {
      if (here) return yield* gunzippedHere(all);
      const { createGunzip } = await import('node:zlib');
      yield* through(all, createGunzip({ chunkSize: outChunk }));
      break;
    }
    case 'zstd':
      yield* zstd(all);
      break;
    default:
      yield* all;
  }
}

/** The first bytes of a stream, and all of it. */
export async function peek(
  chunks: AsyncIterable<Buffer>,
  length: number,
): Promise<{
  readonly head: Buffer;
  readonly all: AsyncIterable<Buffer>;
  /** For whoever wants no more of it. */
  readonly close: () => Promise<void>;
}> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  let held = 0;
  while (held < length) {
    const next = await iterator.next();
    if (next.done) break;
    first.push(next.value);
    held += next.value.length;
  }
  async function* all(): AsyncIterable<Buffer> {
    try {
      yield* first;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return {
    head: Buffer.concat(first).subarray(0, length),
    all: all(),
    close: async () => {
      await iterator.return?.();
    },
  };
}

interface Unpacker extends NodeJS.EventEmitter {
  write(chunk: Buffer, done: (error?: Error | null) => void): boolean;
  end(done: () => void): unknown;
  read(): Buffer | null;
  pause(): unknown;
  resume(): unknown;
  destroy(): unknown;
}

/** Through one of zlib's streams: while one chunk is unpacked, what came out before is handed on. */
async function* through(chunks: AsyncIterable<Buffer>, stream: Unpacker): AsyncIterable<Buffer> {
  let out: Buffer[] = [];
  let waiting = 0;
  let isHeldUp = (): void => {};
  const failure: { error?: Error } = {};
  stream.on('data', (chunk: Buffer) => {
    out.push(chunk);
    waiting += chunk.length;
    if (waiting < MOST_WAITING) return;
    stream.pause();
    isHeldUp();
  });
  const ended = new Promise<void>((resolve) => {
    stream.on('error', (error: Error) => {
      failure.error ??= error;
      // What it held when it was held up is not told any more.
      for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) out.push(chunk);
      resolve();
    });
    stream.on('end', resolve);
  });
  function* take(): Iterable<Buffer> {
    const taken = out;
    out = [];
    waiting = 0;
    stream.resume();
    yield* taken;
  }
  /** Hands on what comes out until something is done, or can be no more. */
  async function* until(done: Promise<unknown>): AsyncIterable<Buffer> {
    const over = Promise.race([done, ended]).then(() => true);
    for (let isOver = false; !isOver;) {
      const heldUp = new Promise<false>((resolve) => (isHeldUp = () => resolve(false)));
      yield* take();
      isOver = await Promise.race([over, heldUp]);
    }
  }
  let broken: { readonly error: unknown } | undefined;
  async function* untilBroken(): AsyncIterable<Buffer> {
    try {
      yield* chunks;
    } catch (error) {
      broken = { error };
    }
  }
  try {
    // One chunk waits for the one before, so that there is always one to unpack.
    let before: Promise<unknown> = Promise.resolve();
    for await (const chunk of untilBroken()) {
      // The last write of a stream that fails never calls back: its end does.
      const written = new Promise((resolve) => stream.write(chunk, resolve));
      yield* until(before);
      if (failure.error) break;
      before = written;
    }
    if (!failure.error) {
      stream.end(() => {});
      yield* until(ended);
    }
    yield* take();
    // Why the input ended tells more than that it ended early.
    if (broken) throw broken.error;
    if (failure.error) throw failure.error;
  } finally {
    stream.destroy();
  }
}

/** Bytes that are unpacked here at once: of a bomb a thousand times as many come out. */
const SLICE = 128 * 1024;

async function* gunzippedHere(chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  const { Gunzip } = await import('minizlib');
  // Node's own option, which its types leave out.
  const options: object = { chunkSize: OUT_CHUNK };
  const stream = new Gunzip(options);
  let out: Buffer[] = [];
  let failure: unknown;
  stream.on('data', (chunk: Buffer) => out.push(chunk));
  // What zlib itself said, as its streams say it.
  stream.on('error', (error) => (failure ??= error instanceof Error ? (error.cause ?? error) : error));
  function* take(): Iterable<Buffer> {
    yield* out;
    out = [];
    if (failure) throw failure;
  }
  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length; at += SLICE) {
        stream.write(chunk.subarray(at, at + SLICE));
        yield* take();
      }
    }
    stream.end();
    yield* take();
  } finally {
    stream.close();
  }
}

async function* zstd(chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  // Of newer Nodes.
  const zlib: object = await import('node:zlib');
  const own = (zlib as { createZstdDecompress?: () => Unpacker }).createZstdDecompress;
  if (own) return yield* through(chunks, own());
  const { Decompress } = await import('fzstd');
  let out: Buffer[] = [];
  const stream = new Decompress((chunk) => {
    out.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  });
  const push = (chunk: Uint8Array, final: boolean): Error | undefined => {
    try {
      stream.push(chunk, final);
      return undefined;
    } catch (error) {
      return Object.assign(new Error((error as Error).message), {
        code: /EOF/.test((error as Error).message) ? 'ZSTD_TRUNCATED' : 'ZSTD_DAMAGED',
      });
    }
  };
  let failed: Error | undefined;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length && !failed; at += ZSTD_SLICE) {
      failed = push(chunk.subarray(at, at + ZSTD_SLICE), false);
      yield* out;
      out = [];
    }
    if (failed) throw failed;
  }
  // Only an empty last piece makes it say that the file ended early.
  failed = push(new Uint8Array(0), true);
  yield* out;
  if (failed) throw failed;
}
