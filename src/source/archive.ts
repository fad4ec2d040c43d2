import { MeshtailError } from '../errors.js';
import { packingOf, peek, unpacked } from './decompress.js';
import { headOf, rawFile, readError } from './file.js';
import { isLogInFolder, inTimeOrder } from './rotation.js';
import type { Source } from './source.js';
import { isBugReportLog, isTarHeader, originOfEntry, tarEntries, type TarEntry } from './tar.js';

/** The logs in a tar, packed or not, as one source each; `undefined` for a file that is none. @throws MeshtailError */
export async function archiveSources(path: string): Promise<readonly Source[] | undefined> {
  try {
    if (!(await isArchive(path))) return undefined;
  } catch {
    // Whoever opens it will say why it cannot be read.
    return undefined;
  }
  const names: string[] = [];
  let broken: unknown;
  try {
    for await (const { name } of tarEntries(unpacked(rawFile(path)))) names.push(name);
  } catch (error) {
    // Cut or damaged: what stands before can be read, and the last source will meet the same end.
    broken = error;
  }
  const reports = names.filter(isBugReportLog);
  const logs = inTimeOrder(reports.length > 0 ? reports : names.filter(isLogInFolder));
  if (logs.length === 0) {
    if (broken) throw readError(path, broken as NodeJS.ErrnoException);
    throw new MeshtailError(
      'archive-without-logs',
      `${path}: no *.log, *.log.gz or *.log.zst in the archive`,
      {
        hint: 'unpack it and name the files',
      },
    );
  }
  const reader = new ArchiveReader(path);
  return logs.map((name, i) => ({
    name: `${path}:${name}`,
    origin: originOfEntry(path, name),
    kind: 'file',
    open: () => readEntry(reader, path, name, i === logs.length - 1 ? broken : undefined),
  }));
}

const TAR_HEADER = 512;

async function isArchive(path: string): Promise<boolean> {
  const packed = headOf(path, TAR_HEADER);
  // A plain file is told without a stream.
  if (packingOf(packed) === 'none') return isTarHeader(packed);
  const { head, close } = await peek(unpacked(rawFile(path)), TAR_HEADER);
  await close();
  return isTarHeader(head);
}

async function* readEntry(
  reader: ArchiveReader,
  path: string,
  name: string,
  broken: unknown,
): AsyncIterable<Buffer> {
  try {
    yield* unpacked(await reader.seek(name));
    if (broken) throw broken;
  } catch (error) {
    throw readError(path, error as NodeJS.ErrnoException);
  }
}

/** One pass over an archive serves all its files, as long as they are asked for in its order; else it begins again. */
class ArchiveReader {
  #entries: AsyncIterator<TarEntry> | undefined;

  constructor(readonly path: string) {}

  async seek(name: string): Promise<AsyncIterable<Buffer>> {
    return (await this.#find(name)) ?? (await this.#again(name));
  }

  async #find(name: string): Promise<AsyncIterable<Buffer> | undefined> {
    this.#entries ??= tarEntries(unpacked(rawFile(this.path)))[Symbol.asyncIterator]();
    for (;;) {
      const next = await this.#entries.next();
      if (next.done) return undefined;
      if (next.value.name === name) return next.value.chunks();
    }
  }

  async #again(name: string): Promise<AsyncIterable<Buffer>> {
    await this.#entries?.return?.();
    this.#entries = undefined;
    const found = await this.#find(name);
    if (found) return found;
    throw new MeshtailError('archive-changed', `${this.path}: ${name} is no longer in the archive`);
  }
}
