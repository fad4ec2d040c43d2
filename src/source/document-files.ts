import { readdirSync, statSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { MeshtailError } from '../errors.js';
import { peek, unpacked } from './decompress.js';
import { rawFile, readError } from './file.js';
import { isTarHeader, tarEntries } from './tar.js';

/** A small file read whole: objects of a cluster, a page of an admin interface. */
export interface DocumentFile {
  /** A path; inside an archive `archive:path`. */
  readonly name: string;
  readonly text: string;
  /** When it, or the archive, was written: ms since the epoch. */
  readonly modifiedAt?: number;
}

/** Larger than this is a log or a core dump, not configuration. */
const MOST_BYTES = 256 << 20;
/** What a dump holds beside objects: logs, archives in archives, pictures. */
const NOT_A_DOCUMENT = /\.(?:log|core|png|gz|zst|tgz|zip|pprof|sh)(?:\.\d+)?$|(?:^|[/:])\.git\//i;

/** What was read, and what could not be. */
export interface Documents {
  readonly files: readonly DocumentFile[];
  readonly failed: readonly MeshtailError[];
}

/** Files, folders with all that is in them, and archives (tar, packed or not), as texts. */
export async function readDocuments(
  paths: readonly string[],
  stdin?: () => AsyncIterable<Buffer>,
): Promise<Documents> {
  const files: DocumentFile[] = [];
  const failed: MeshtailError[] = [];
  for (const path of paths) {
    try {
      if (path === '-' && stdin) files.push({ name: '-', text: await textOf('-', unpacked(stdin())) });
      else for (const file of inside(path)) await readInto(file, files);
    } catch (error) {
      if (!(error instanceof MeshtailError)) throw error;
      failed.push(error);
    }
  }
  return { files, failed };
}

function inside(path: string): readonly string[] {
  let stat: Stats;
  try {
    stat = statSync(path);
  } catch (error) {
    throw readError(path, error as NodeJS.ErrnoException);
  }
  if (!stat.isDirectory()) return [path];
  const found = readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((name) => isArchiveName(name) || !NOT_A_DOCUMENT.test(name))
    .toSorted();
  if (found.length === 0) {
    throw new MeshtailError('folder-without-objects', `${path}: nothing in it that could hold objects`, {
      hint: 'save some: kubectl get pods,services,endpointslices -A -o yaml > objects.yaml',
    });
  }
  return found;
}

const isArchiveName = (name: string): boolean => /\.(?:tar|tgz|tar\.gz|tar\.zst)$/i.test(name);

async function readInto(path: string, files: DocumentFile[]): Promise<void> {
  try {
    const modifiedAt = statSync(path).mtimeMs;
    const { head, all } = await peek(unpacked(rawFile(path)), 512);
    if (!isTarHeader(head)) {
      files.push({ name: path, text: await textOf(path, all), modifiedAt });
      return;
    }
    for await (const entry of tarEntries(all)) {
      if (NOT_A_DOCUMENT.test(entry.name) || entry.size > MOST_BYTES) continue;
      files.push({
        name: `${path}:${entry.name}`,
        text: await textOf(entry.name, entry.chunks()),
        modifiedAt,
      });
    }
  } catch (error) {
    throw readError(path, error as NodeJS.ErrnoException);
  }
}

async function textOf(name: string, chunks: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > MOST_BYTES) {
      throw new MeshtailError('file-too-large', `${name}: larger than ${MOST_BYTES >> 20} MiB`, {
        hint: 'name the files with the objects, not a whole disk image',
      });
    }
    pieces.push(chunk);
  }
  return Buffer.concat(pieces)
    .toString('utf8')
    .replace(/^\uFEFF/, '');
}
