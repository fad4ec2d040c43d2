import { statSync } from 'node:fs';
import { platform, setPriority } from 'node:os';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { compileFormat } from '../../parsers/compile.js';
import { LineParser } from '../../parsers/index.js';
import { Observation, type ObservationSnapshot } from '../aggregate/observation.js';
import { exploredLimitsFor, LIVE_LIMITS } from '../aggregate/rows.js';
import { Lane } from '../bulk/lane.js';
import { partsOf } from '../bulk/parts.js';
import { MeshtailError } from '../errors.js';
import { compileSelection } from '../filter/selection.js';
import { LineScanner } from '../framing/lines.js';
import { count, parseSource, parseTogether, type Parsed, type Reading as HowToRead } from '../pipeline.js';
import { textOf } from '../record/line.js';
import { RecordCursor } from '../record/record-view.js';
import { Engine } from '../replay/engine.js';
import type { EngineJob, FromEngine, ToEngine } from '../replay/protocol.js';
import { fileSource } from '../source/file.js';
import type { Source } from '../source/source.js';
import type { Reading, Snapshot, Spec } from '../view/snapshot.js';
import type { LiveFacts } from './facts.js';
import type { LiveChecks } from './live-checks.js';
import type { LiveJob } from './live-screen.js';
import type { Widening } from './widening.js';

/*
 * The thread that reads and explains, so that a key never waits for either. It says how far it is ten times a second, and
 * while it reads shows what it has so far, at a pace that leaves most of the time to reading.
 */

const PROGRESS_MS = 100;
/** A picture while reading may cost this part of the time: less where it keeps a person from the end of a file. */
const PICTURE_SHARE = 0.2;
const LIVE_PICTURE_SHARE = 0.5;
const FIRST_PICTURE_MS = 400;
/** Where all will be read by then, no picture of a part comes before. */
const SOON_MS = 1_500;
/** Lines after which it is looked at the clock. */
const LINES_BETWEEN_TICKS = 256;
/** How the streams stand is told that often. */
const LIVE_MS = 500;
/**
 * Lines of a live target are kept for this long, or for as long as history was asked for: twice the longest window that
 * one looks through. It may run for days.
 */
const KEPT_MS = 7_200_000;
const FORGET_EVERY_MS = 60_000;
/** gzip makes logs about this much smaller; only the progress bar depends on it. */
const GZIP_RATIO = 12;

const port = parentPort!;
const job = workerData as EngineJob<LiveJob>;

/**
 * Reading steps back where processors are few, so that a key is answered first. Linux alone keeps a priority for each
 * thread (0 is the calling one); elsewhere it would be that of the whole program. A cluster's logs do not wait to be read.
 * https://man7.org/linux/man-pages/man2/setpriority.2.html, "C library/kernel differences"
 */
if (platform() === 'linux' && !job.live) setPriority(0, 10);

const say = (message: FromEngine): void => port.postMessage(message);

const engine = new Engine(readAgain);
const selection = compileSelection(job.selection);
const sizes = job.inputs.map(sizeOf);
const known = sizes.length > 0 && sizes.every((size) => size !== null);
const total = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);

let lines = 0;
let inputsDone = 0;
let bytesDone = 0;
let bytesOfInput = 0;
let done = false;
/** What a live target's cluster tells beside its lines. */
let checks: LiveChecks | null = null;
let live: LiveFacts | null = null;
let widening: Widening | null = null;

async function widen(row: string | null): Promise<void> {
  if (!widening) return;
  try {
    say({ kind: 'notice', text: await widening.add(engine.wanted(row)), tone: 'plain' });
  } catch (error) {
    say({ kind: 'notice', text: `cannot widen: ${(error as Error).message}`, tone: 'bad' });
  }
}
const failed: { name: string; reason: string }[] = [];
let spec: Spec | null = null;
let answering = false;
/** The last answer, or the one under way, is no longer that of the question and of what was read. */
let due = false;
const began = performance.now();
let pictureDue = began + FIRST_PICTURE_MS;

function sizeOf(path: string): number | null {
  try {
    const stat = statSync(path);
    return path !== '-' && stat.isFile() ? stat.size * (path.endsWith('.gz') ? GZIP_RATIO : 1) : null;
  } catch {
    return path === '-' ? null : 0;
  }
}

function reading(): Reading {
  const size = sizes[inputsDone] ?? 0;
  const bytes = bytesDone + Math.min(bytesOfInput, 0.99 * size);
  const share = done ? 1 : known ? Math.min(0.99, bytes / Math.max(1, total)) : null;
  return { done, share, lines, inputs: job.inputs.length, inputsDone, failed: [...failed] };
}

/** Standard input, handed over piece by piece. */
const pieces: (Uint8Array | null)[] = [];
let wake: (() => void) | undefined;

const pipe: Source = {
  name: '-',
  origin: {},
  kind: 'pipe',
  async *open() {
    for (;;) {
      while (pieces.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const piece = pieces.shift()!;
      if (piece === null) return;
      say({ kind: 'taken' });
      yield Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    }
  },
};

port.on('message', heard);

function heard(message: ToEngine): void {
  switch (message.kind) {
    case 'chunk':
      pieces.push(message.bytes);
      wake?.();
      return;
    case 'find':
      say({ kind: 'found', at: engine.failureBeside(message.from, message.direction) });
      return;
    case 'verify':
      checks?.want(message.row);
      return;
    case 'widen':
      void widen(message.row);
      return;
    case 'spec':
      spec = message.spec;
      void answer();
      return;
    default:
      message satisfies never;
  }
}

/** Lets in what was said meanwhile. */
function hearAll(): void {
  for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
    heard(next.message as ToEngine);
  }
}

class Overtaken extends Error {}

/** Lets in what was said meanwhile, and gives up what nobody waits for any longer; playing goes on to whatever comes out. */
function goOn(asked: Spec): void {
  hearAll();
  if (spec && !spec.playing && spec.now !== asked.now) throw new Overtaken();
}

/** What is asked of a moment that takes a while: first what can be counted at once. `null`: overtaken by another question. */
async function answerTo(asked: Spec): Promise<Snapshot | null> {
  const glance = asked.playing ? null : engine.glance(asked);
  if (glance) say({ kind: 'snapshot', snapshot: glance });
  try {
    return await engine.answer(asked, () => goOn(asked));
  } catch (error) {
    if (error instanceof Overtaken) return null;
    throw error;
  }
}

/** Answers the newest question, anew whenever it or what was read has changed; what is overtaken is not answered. */
async function answer(): Promise<void> {
  due = true;
  if (answering || !engine.ready) return;
  answering = true;
  try {
    for (let asked = spec; due && asked; asked = spec) {
      due = false;
      const snapshot = await answerTo(asked);
      if (snapshot) say({ kind: 'snapshot', snapshot });
      // Not by way of the event loop: while much comes, its next turn may be seconds away.
      hearAll();
    }
  } finally {
    answering = false;
  }
}

async function picture(): Promise<void> {
  const started = performance.now();
  engine.observe(observed(), reading(), live?.facts);
  // What follows lets reading go on in between: its time is not what the picture costs.
  const cost = performance.now() - started;
  await answer();
  pictureDue =
    performance.now() + Math.max(FIRST_PICTURE_MS, cost / (job.live ? LIVE_PICTURE_SHARE : PICTURE_SHARE));
}

// By the clock, not by what arrives: a pipe may fall silent, and what came before is shown all the same.
let linesShown = -1;
let linesSaid = -1;
let busy = false;
const { maxLine, envelopeKeys, format } = job;
const readingOfJob: HowToRead = {
  maxLine,
  envelopeKeys,
  format: format === undefined ? undefined : compileFormat(format),
};

/** Who reads files and what is piped in, where nothing is asked of each line. */
const lane = job.live
  ? null
  : new Lane(
      { reading: readingOfJob, filter: selection, requestId: undefined, limits: exploredLimitsFor(total) },
      exploredLimitsFor,
    );
const observation = lane?.observation ?? new Observation(LIVE_LIMITS);

/** How the streams of a live target stand, told when it is due. */
let liveTurn: (() => void) | null = null;
let liveDue = 0;
let tickDue = 0;

function tick(): void {
  const now = performance.now();
  tickDue = now + PROGRESS_MS;
  if (liveTurn && now >= liveDue) {
    liveDue = now + LIVE_MS;
    liveTurn();
  }
  if (lines !== linesSaid) {
    linesSaid = lines;
    say({ kind: 'progress', reading: reading() });
  }
  if (busy || lines === linesShown || lines === 0 || now < pictureDue || isDoneSoon(now)) return;
  linesShown = lines;
  busy = true;
  void picture().finally(() => {
    busy = false;
  });
}

function isDoneSoon(now: number): boolean {
  const { share } = reading();
  return !done && share !== null && ((now - began) * (1 - share)) / share < SOON_MS;
}

const ticker = setInterval(tick, PROGRESS_MS);

/**
 * Where more comes than can be read at once, Node turns to timers and messages only after seconds: so the lines themselves see
 * to it that the screen is told, and asks are heard.
 */
function tickAmongLines(): void {
  if (performance.now() < tickDue + PROGRESS_MS) return;
  hearAll();
  tick();
}

function take(parsed: Parsed): void {
  lines++;
  const { line } = parsed.framed;
  bytesOfInput += line.end - line.start + 1;
  count(observation, parsed, selection);
  if (lines % LINES_BETWEEN_TICKS === 0) tickAmongLines();
}

const observed = (): ObservationSnapshot => (lane?.settled() ?? observation).snapshot();

async function read(source: Source): Promise<void> {
  if (lane?.scans) return scan(lane, source);
  observation.open(source.name, source.origin);
  try {
    await parseSource(source, readingOfJob, take);
  } catch (error) {
    if (!(error instanceof MeshtailError)) throw error;
    failed.push({ name: source.name, reason: error.message });
  }
}

/** A file, or a pipe, as one part: what was counted of it so far can be asked for meanwhile. */
async function scan(by: Lane, source: Source): Promise<void> {
  const before = lines;
  const onChunk = (bytes: number, linesOfSource: number): Promise<void> | undefined => {
    bytesOfInput += bytes;
    lines = before + linesOfSource;
    // The ticker, and whoever waits for something else than a message, have their turn.
    return performance.now() < tickDue ? undefined : new Promise(setImmediate);
  };
  for await (const part of partsOf(source, { size: Infinity, maxLine })) {
    await by.read({ ...part, index: 0 }, onChunk);
    const why = by.ends.at(-1)?.failed;
    if (why) failed.push({ name: source.name, reason: why.message });
  }
}

/** A live target, until the screen is left: the streams end with this thread. */
async function follow(target: LiveJob): Promise<void> {
  const [{ openJob, liveOf }, { besideOf }, { LiveChecks, askedAside }, { Tally, UnloggedWatch }] =
    await Promise.all([
      import('./live-screen.js'),
      import('./live.js'),
      import('./live-checks.js'),
      import('./access-logging.js'),
    ]);
  const session = await openJob(target);
  const began = Date.now();
  const beside = await besideOf(session, target.with, (text) => say({ kind: 'notice', text, tone: 'plain' }));
  const facts = beside.live;
  live = facts;
  widening = beside.widening;
  const held = new LiveChecks(
    askedAside(target.connection),
    (row) => engine.incidentOf(row),
    () => void picture(),
  );
  checks = held;
  engine.verify = (diagnosis) => held.verify(diagnosis);
  const tally = new Tally();
  const silent = new UnloggedWatch(session, tally);
  const keptMs = Math.max(KEPT_MS, began - (target.options.since ?? began));
  setInterval(() => observation.forget(Date.now() - keptMs), FORGET_EVERY_MS);
  liveTurn = () => {
    void silent.turn();
    held.turn();
    beside.widening.turn();
    const limits = [...facts.mesh.limits, ...held.limits];
    say({ kind: 'live', live: liveOf(session, target, silent, began, keptMs, limits) });
  };
  await parseTogether(session.sources(), readingOfJob, {
    onSource: (source) => observation.open(source.name, source.origin),
    onParsed: (parsed) => {
      tally.add(parsed);
      facts.parsed(parsed);
      beside.widening.parsed(parsed);
      take(parsed);
    },
    onFailed: (error) => failed.push({ name: target.title, reason: error.message }),
  });
}

/** One line of a file, from the file. */
async function readAgain(file: string, line: number): ReturnType<Engine['readAgain']> {
  let at = 0;
  let found: Awaited<ReturnType<Engine['readAgain']>> = null;
  const scanner = new LineScanner(({ line: bytes }) => {
    if (++at !== line) return;
    const record = new RecordCursor();
    const parsed = new LineParser().parse(bytes, record) === 'record';
    if (parsed) found = { record: record.copy(), raw: textOf(bytes) };
  }, job.maxLine);
  try {
    for await (const chunk of fileSource(file).open()) {
      scanner.push(chunk);
      if (at >= line) return found;
    }
    scanner.end();
  } catch (error) {
    // The file may have gone meanwhile; what was kept of the line is shown instead.
    if (!(error instanceof MeshtailError)) throw error;
  }
  return found;
}

void run();

async function run(): Promise<void> {
  if (job.live) {
    try {
      await follow(job.live);
    } catch (error) {
      if (!(error instanceof MeshtailError)) throw error;
      say({ kind: 'failed', message: error.message, hint: error.hint });
    }
  }
  for (const [i, path] of job.inputs.entries()) {
    bytesOfInput = 0;
    await read(path === '-' ? pipe : fileSource(path));
    bytesDone += sizes[i] ?? 0;
    inputsDone++;
  }
  done = true;
  linesShown = lines;
  if (!job.live) clearInterval(ticker);
  engine.observe(observed(), reading());
  // Before it is said that all is read: what is shown until then is of a part.
  await answer();
  say({ kind: 'progress', reading: reading() });
}
