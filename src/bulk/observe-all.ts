import { availableParallelism } from 'node:os';
import { statSync } from 'node:fs';
import { deeper, dependsOn, type Depths } from '../../parsers/text-layout.js';
import { Observation } from '../aggregate/observation.js';
import type { Thinning } from '../aggregate/rows.js';
import { MeshtailError } from '../errors.js';
import { parseSource, type Observed } from '../pipeline.js';
import type { Logger } from '../logger.js';
import type { Source } from '../source/source.js';
import { Crew } from './crew.js';
import { chunksOf, PART, partsOf, plainSize, type Part } from './parts.js';
import { compileJob, errorOf, type BulkJob, type Compiled, type PartRead } from './read-part.js';

/*
 * Many bytes into one observation. Sources are cut into parts, parts are read by as many threads as there are, and what
 * they held is merged in the order of the parts. What is said does not depend on the number of threads: the cut does not,
 * and neither does what is known when a part is begun, which is what was merged `LAG` parts before it.
 */

/** Parts under way at once: enough for a few threads, and few enough to be held in memory. */
const LAG = 4;
const MOST_THREADS = 4;
/** Bytes from which threads pay for their start. */
const MANY_BYTES = 3 * PART;
/** gzip and zstd make logs about this much smaller. */
const PACKED_RATIO = 8;
/** What a source begins with tells what its lines look like. */
const HEAD = 64 * 1024;
const LF = 10;

/** Bytes that were read of those there are; `null` where that is not known. */
export type OnProgress = (done: number, total: number | null) => void;

export interface BulkOptions {
  /** 0: none beside the calling one. */
  readonly threads?: number;
  /** Bytes of a part. */
  readonly size?: number;
  readonly log?: Logger;
  readonly onProgress?: OnProgress;
}

/** Reads every source into one observation. A source that fails keeps what it gave before. */
export async function observeAll(
  sources: readonly Source[],
  job: BulkJob,
  { threads = threadsFor(sources), size, log, onProgress }: BulkOptions = {},
): Promise<Observed> {
  const crew = new Crew(threads, job, await compileJob(job), log);
  const observation = new Observation(undefined, job.requestId);
  const failed: MeshtailError[] = [];
  for (const source of sources) observation.open(source.name, source.origin);
  const parts = new PartsUnderWay(partsInOrder(sources, size, failed), crew, () => observation.thinned);
  const total = bytesOf(sources);
  let done = 0;
  // Of the source that is being merged.
  let depths: Depths | undefined;
  let lines = 0;
  try {
    for (let next = await parts.shift(); next; next = await parts.shift()) {
      const { part } = next;
      if (part.first) {
        depths = undefined;
        lines = 0;
      }
      const read = await settled(next, depths, crew, parts);
      observation.merge(read.observation, lines);
      lines += read.lines;
      if (read.parser) depths = depths ? deeper(depths, read.parser.depths) : read.parser.depths;
      if (read.failed) failed.push(errorOf(read.failed));
      done += lengthOf(part);
      onProgress?.(done, total);
    }
  } finally {
    await crew.dismiss();
  }
  return { observation, failed };
}

/** A part was begun without knowing what all parts before it held: where that matters, it is read once more. */
async function settled(
  { part, read }: UnderWay,
  depths: Depths | undefined,
  crew: Crew,
  parts: PartsUnderWay,
): Promise<PartRead> {
  const held = await read;
  if (held.midLine && !part.last) {
    // A line in pieces lies across the cut: from here on the source is read in one.
    const chunks = parts.restOf(part);
    return crew.readHere({ ...part, bytes: { kind: 'stream', chunks }, last: true }, { depths, thinned: [] });
  }
  if (depths && held.parser && dependsOn(held.parser, depths)) {
    return crew.readHere(part, { depths, thinned: [] });
  }
  return held;
}

interface UnderWay {
  readonly part: Part;
  readonly read: Promise<PartRead>;
}

/** The parts of all sources in their order, some of them being read ahead. */
class PartsUnderWay {
  readonly #parts: AsyncIterator<Part>;
  readonly #ahead: UnderWay[] = [];
  #depths: Depths | undefined;

  constructor(
    parts: AsyncIterable<Part>,
    readonly crew: Crew,
    readonly thinned: () => readonly Thinning[],
  ) {
    this.#parts = parts[Symbol.asyncIterator]();
  }

  async shift(): Promise<UnderWay | undefined> {
    while (this.#ahead.length < LAG) {
      const next = await this.#parts.next();
      if (next.done) break;
      const part = next.value;
      if (part.first) this.#depths = part.last ? undefined : await depthsOfHead(part, this.crew.compiled);
      const before = { depths: part.first ? undefined : this.#depths, thinned: this.thinned() };
      const read = this.crew.read(part, before);
      // Whoever takes it will hear of it.
      read.catch(() => undefined);
      this.#ahead.push({ part, read });
    }
    return this.#ahead.shift();
  }

  /** A part and all behind it of the same source, as one stream. */
  async *restOf(part: Part): AsyncIterable<Buffer> {
    yield* chunksOf(part);
    for (let one = part; !one.last;) {
      const ahead = this.#ahead.shift();
      if (ahead) await ahead.read;
      const next = ahead ? undefined : await this.#parts.next();
      if (!ahead && (!next || next.done)) return;
      one = ahead?.part ?? (next!.value as Part);
      yield* chunksOf(one);
    }
  }
}

/** A source that cannot be read on is told, the next one follows. */
async function* partsInOrder(
  sources: readonly Source[],
  size: number | undefined,
  failed: MeshtailError[],
): AsyncIterable<Part> {
  for (const source of sources) {
    try {
      yield* partsOf(source, size);
    } catch (error) {
      if (!(error instanceof MeshtailError)) throw error;
      failed.push(error);
    }
  }
}

/** What the first lines of a source make of those to come. */
async function depthsOfHead(part: Part, { reading }: Compiled): Promise<Depths> {
  async function* head(): AsyncIterable<Buffer> {
    for await (const chunk of chunksOf(part)) {
      const first = chunk.subarray(0, HEAD);
      return yield first.subarray(0, first.lastIndexOf(LF) + 1);
    }
  }
  const { parser } = await parseSource({ ...part.source, open: head }, reading, () => undefined);
  return parser.depths;
}

/** Bytes on the disk of all sources; `null` where some are packed or no files. */
function bytesOf(sources: readonly Source[]): number | null {
  const sizes = sources.map(plainSize);
  return sizes.includes(null) ? null : sizes.reduce<number>((sum, size) => sum + size!, 0);
}

function threadsFor(sources: readonly Source[]): number {
  const threads = Math.min(availableParallelism(), MOST_THREADS);
  let bytes = 0;
  for (const source of sources) bytes += plainSize(source) ?? PACKED_RATIO * sizeOf(source);
  return threads > 1 && bytes >= MANY_BYTES ? threads : 0;
}

function sizeOf({ path }: Source): number {
  try {
    const stat = path === undefined ? undefined : statSync(path);
    return stat?.isFile() ? stat.size : 0;
  } catch {
    return 0;
  }
}

function lengthOf({ bytes }: Part): number {
  if (bytes.kind === 'file') return bytes.end - bytes.start;
  return bytes.kind === 'held' ? bytes.length : 0;
}
