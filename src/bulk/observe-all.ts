import { availableParallelism } from 'node:os';
import { statSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import { deeper, dependsOn, type Depths } from '../../parsers/text-layout.js';
import { Observation, type PackedObservation } from '../aggregate/observation.js';
import type { Place } from '../aggregate/columns.js';
import { rowLimitsFor } from '../aggregate/rows.js';
import { MeshtailError } from '../errors.js';
import { observe, parseSource, type Observed } from '../pipeline.js';
import type { Logger } from '../logger.js';
import type { Source } from '../source/source.js';
import { compileJob, type BulkJob, type Compiled } from './job.js';
import { LINES_OF_A_PART, type LaneRead, type PartEnd } from './lane.js';
import { LaneThread, OwnLane, ThreadEnded, ThreadLane, type LaneReader, type OnRead } from './lanes.js';
import { chunksOf, PART, partsOf, plainSize, type BarePart, type Cut, type Part } from './parts.js';

/*
 * Many bytes into one observation. Sources are cut into parts, which go to two lanes in turn; a lane reads its parts in their
 * order, and in the end both are merged. A lane may be read by a thread of its own: what is said depends on the bytes alone,
 * since neither the cut nor the lanes depend on how many threads there are.
 */

const LANES = 2;
/** Parts that the first lane reads while a thread for the other one begins. */
const HEAD_START = 2;
const laneOf = (part: number): number => (part < HEAD_START ? 0 : part % LANES);
/** Bytes from which a thread pays for its start. */
const MANY_BYTES = 4 * PART;
/** gzip and zstd make logs about this much smaller. */
const PACKED_RATIO = 8;
/** What a source begins with tells what its lines look like. */
const HEAD = 64 * 1024;
const LF = 10;

/** Bytes that were read of those there are; `null` where that is not known. */
export type OnProgress = (done: number, total: number | null) => void;

export interface BulkOptions {
  /** Threads beside the calling one: 0, 1 or 2. */
  readonly threads?: number;
  /** Bytes of a part. */
  readonly size?: number;
  readonly log?: Logger;
  readonly onProgress?: OnProgress;
  /** For tests: a thread that does something else. */
  readonly startWorker?: () => Worker;
}

/** Reads every source into one observation. A source that fails keeps what it gave before. */
export async function observeAll(
  sources: readonly Source[],
  asked: BulkJob,
  options: BulkOptions = {},
): Promise<Observed> {
  const sizes = sources.map(plainSize);
  const bytes = bytesAbout(sources, sizes);
  const { threads = threadsFor(sources, sizes, bytes), size = PART, log, onProgress, startWorker } = options;
  const job = { limits: rowLimitsFor(bytes), ...asked };
  const compiled = await compileJob(job);
  const told = { ...compiled, reading: { ...compiled.reading, ...(log && { log }) } };
  const failed: MeshtailError[] = [];
  const total = sizes.includes(null) ? null : bytes;
  const parts: Pick<Part, 'first' | 'last'>[] = [];
  let done = 0;
  const onRead = (part: Part): void => {
    done += lengthOf(part);
    onProgress?.(done, total);
  };
  const lanes = new Lanes(threads, sizes.includes(null), sources, job, told, onRead, startWorker);
  try {
    for await (const part of partsInOrder(sources, cutOf(sources, size, job), compiled, failed)) {
      await lanes.read(part);
      parts.push({ first: part.first, last: part.last });
    }
    const read = await lanes.finish();
    const before = linesBefore(parts, read.ends);
    if (before === null) {
      log?.info({}, 'what a line is depends on far ones before it: all is read again, in one');
      return await inOne(sources, told);
    }
    for (const { failed: why } of read.ends) {
      if (why && !failed.some(({ message }) => message === why.message)) failed.push(errorOf(why));
    }
    return {
      observation: read.merged(
        (line) => before[Math.floor(line / LINES_OF_A_PART)]! + (line % LINES_OF_A_PART),
      ),
      failed,
    };
  } catch (error) {
    if (!(error instanceof ThreadEnded)) throw error;
    // Its memory may have been too small, or somebody ended it. The other lane is not to read on beside what follows.
    await lanes.dismiss();
    log?.warn({ error: String(error) }, 'a thread ended early; all is read again without it');
    return await inOne(sources, told);
  } finally {
    void lanes.dismiss();
  }
}

/**
 * By part how many lines its source had before it; `null` where a part may have been read otherwise than as one of the
 * whole: a line in pieces lies across a cut, or lines are to be judged by those of a part before.
 */
function linesBefore(
  parts: readonly Pick<Part, 'first' | 'last'>[],
  ends: readonly PartEnd[],
): readonly number[] | null {
  const before: number[] = [];
  let depths: Depths | undefined;
  let lines = 0;
  for (const [index, { first, last }] of parts.entries()) {
    if (first) {
      depths = undefined;
      lines = 0;
    }
    before.push(lines);
    const { parser, midLine, lines: read } = ends[index]!;
    if (midLine && !last) return null;
    if (parser && depths && dependsOn(parser, depths)) return null;
    if (parser) depths = depths ? deeper(depths, parser.depths) : parser.depths;
    lines += read;
  }
  return before;
}

/** One after the other in the calling thread, without a scanner. */
const inOne = (
  sources: readonly Source[],
  { reading, filter, requestId, limits }: Compiled,
): Promise<Observed> => observe(sources, reading, filter, requestId, limits);

/** The lanes: those of threads begun at once, since they take a while, others when they are given their first part. */
class Lanes {
  readonly #lanes: (LaneReader | undefined)[] = [];

  /** @param unpacking then the calling thread has enough to do, and reads no lane if there are others */
  constructor(
    threads: number,
    unpacking: boolean,
    readonly sources: readonly Source[],
    readonly job: BulkJob,
    readonly compiled: Compiled,
    readonly onRead: OnRead,
    startWorker: (() => Worker) | undefined,
  ) {
    if (threads === 0) return;
    const begun = Array.from({ length: threads }, () => new LaneThread(job, startWorker));
    for (let lane = unpacking ? 0 : LANES - threads; lane < LANES; lane++) {
      this.#lanes[lane] = new ThreadLane(begun[lane % threads]!, lane, onRead);
    }
  }

  /** Takes a part; resolves when the next one may come. */
  read(part: Part): Promise<void> {
    return (this.#lanes[laneOf(part.index)] ??= this.#ownLane()).read(part);
  }

  #ownLane(): LaneReader {
    const own = new OwnLane(this.compiled, this.onRead);
    this.#opened(own.lane.observation);
    return own;
  }

  /** How all parts ended, and what they held together, once it is known which numbers their lines have. */
  async finish(): Promise<{ ends: readonly PartEnd[]; merged: (place: Place) => Observation }> {
    // Threads first: the calling one is at work when it is asked.
    const lanes = this.#lanes.toReversed().filter((lane) => lane !== undefined);
    let weights = await Promise.all(lanes.map((lane) => lane.weigh([])));
    // Lines of an id that one lane keeps each for itself must not stay or go all at once in another.
    if (lanes.length > 1 && weights.some(({ shared }) => shared.some((ids) => ids.length > 0))) {
      const known = weights;
      weights = await Promise.all(lanes.map((lane) => lane.weigh(known)));
    }
    const held = (await Promise.all(lanes.map((lane) => lane.finish(weights)))).toReversed();
    // Their memory is free while what they held is merged and explained.
    void this.dismiss();
    const ends = held.flatMap((lane) => lane.ends).toSorted((a, b) => a.part - b.part);
    return { ends, merged: (place) => this.#merged(held, place) };
  }

  #merged([first, ...others]: readonly LaneRead[], place: Place): Observation {
    const own = first?.observation instanceof Observation ? first.observation : undefined;
    const whole = own ?? this.#opened(new Observation(this.compiled.limits, this.job.requestId));
    if (own) own.relocate(place);
    else if (first) whole.merge(packed(first), place);
    for (const other of others) whole.merge(packed(other), place);
    return whole;
  }

  /** Every source counts, in the order in which they were named, those too that hold nothing. */
  #opened(observation: Observation): Observation {
    for (const { name, origin } of this.sources) observation.open(name, origin);
    return observation;
  }

  dismiss(): Promise<unknown> {
    return Promise.all(this.#lanes.map((lane) => lane?.dismiss()));
  }
}

const packed = ({ observation }: LaneRead): PackedObservation =>
  observation instanceof Observation ? observation.pack() : observation;

/** Where something can be read but once, nothing is cut that might have to be read again. */
function cutOf(sources: readonly Source[], size: number, { maxLine }: BulkJob): Cut {
  return { size: sources.every(isFile) ? size : Infinity, maxLine };
}

const isFile = (source: Source): boolean => source.kind === 'file';

/** A source that cannot be read on is told, the next one follows. */
async function* partsInOrder(
  sources: readonly Source[],
  cut: Cut,
  compiled: Compiled,
  failed: MeshtailError[],
): AsyncIterable<Part> {
  let index = 0;
  for (const source of sources) {
    let depths: Depths | undefined;
    try {
      for await (const part of partsOf(source, cut)) {
        if (part.first) depths = part.last ? undefined : await depthsOfHead(part, compiled);
        yield { ...part, index: index++, depths: part.first ? undefined : depths };
      }
    } catch (error) {
      if (!(error instanceof MeshtailError)) throw error;
      failed.push(error);
    }
  }
}

/** What the first lines of a source make of those to come. */
async function depthsOfHead(part: BarePart, { reading }: Compiled): Promise<Depths> {
  async function* head(): AsyncIterable<Buffer> {
    for await (const chunk of chunksOf(part)) {
      const first = chunk.subarray(0, HEAD);
      return yield first.subarray(0, first.lastIndexOf(LF) + 1);
    }
  }
  const { parser } = await parseSource({ ...part.source, open: head }, reading, () => undefined);
  return parser.depths;
}

/** Bytes of all sources, unpacked, as far as files tell. @param sizes of those that lie there as they are */
function bytesAbout(sources: readonly Source[], sizes: readonly (number | null)[]): number {
  return sources.reduce((sum, source, i) => sum + (sizes[i] ?? PACKED_RATIO * sizeOf(source)), 0);
}

function threadsFor(sources: readonly Source[], sizes: readonly (number | null)[], bytes: number): number {
  const cores = availableParallelism();
  if (cores < 2 || !sources.every(isFile) || bytes < MANY_BYTES) return 0;
  // Unpacking takes longer than reading: on two cores one thread reads both lanes.
  return sizes.includes(null) ? Math.min(LANES, cores - 1) : LANES - 1;
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

/** The error that ended a part's reading, as it was thrown. */
function errorOf({ code, message, hint }: NonNullable<PartEnd['failed']>): MeshtailError {
  return new MeshtailError(code, message, hint === undefined ? {} : { hint });
}
