import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff } from '../cluster/backoff.js';
import { ApiError, type ClusterClient, type Query } from '../cluster/client.js';
import { podOf, type ContainerState, type Pod } from '../cluster/pods.js';
import { pathOf } from '../cluster/targets.js';
import { MeshtailError } from '../errors.js';
import { ResumedLines, type Hole, type Leap } from '../framing/resume.js';
import { Batches } from './batches.js';
import { Continuity, linesOver } from './continuity.js';
import { noLogOf, PodLog, wholeSecond, type NoLog } from './pod-log.js';
import type { Slots, Turn } from './slots.js';
import { Watchdog, type Listening } from './watchdog.js';

/** How much of a log is asked for, and whether what comes after it. */
export interface LogWindow {
  readonly follow: boolean;
  /** ms since the Unix epoch; `null`: all that the kubelet kept. */
  readonly since: number | null;
  /** Last lines only; `null`: no such limit. */
  readonly tail: number | null;
  /** The log of the instance before the last restart, and nothing else. */
  readonly previous: boolean;
  readonly maxLine: number;
}

/** A time of a log that could not be read. */
export interface Gap {
  /** `namespace/pod`. */
  readonly origin: string;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

export type FollowState = 'waiting' | 'queued' | 'reading' | 'reconnecting' | 'ended' | 'refused';

/** What a follower asks of the session that it belongs to. */
export interface Surroundings {
  readonly client: ClusterClient;
  /** Streams that may be open at once. */
  readonly slots: Slots;
  /** Short requests beside them that may be under way at once. */
  readonly questions: Slots;
  readonly signal: AbortSignal;
  /** The pod appeared while the session went on: all of its log is asked for. */
  readonly appeared: boolean;
  /** The pod as the watch knows it; `undefined` once it is gone. */
  current(): Pod | undefined;
  /** Resolves when the watch tells something new of the pod, or after `ms`. */
  change(ms: number): Promise<void>;
  gap(gap: Gap): void;
  refused(error: MeshtailError): void;
  /** Between stamp and arrival of lines that came, ms. */
  lag(ms: number): void;
}

/** How a request for a log ended. */
type Ending = { readonly kind: 'ended' | 'turn' | 'stale' | 'stopped' } | NoLog;

/** Attempts at a log that is not followed. */
const ATTEMPTS = 6;
/** A log is behind when its lines come so much later than they can, ms. */
const BEHIND_MS = 2_000;
/** A log that was never closer to now than this was never read up to now, ms. */
const HISTORY_MS = 10_000;
/** A stream that has to be waited for so long, ms, has no more to give at the time. */
const DRY_MS = 150;
/** Streams that were cut together do not come back as one, ms. */
const SPREAD_MS = 30;
/** For a container that the watch does not know to run, ms; then its log is asked for all the same. */
const START_MS = 5_000;
/** Clocks and headers, ms: how much before a request's own time the log may have been opened. */
const MARGIN_MS = 1_000;
/** A log that begins so much later than its container may have been rotated, ms. */
const LATE_MS = 3_000;

/**
 * Reads one container's log to its end: over broken connections, rotations and restarts, each line once. What it cannot
 * read, and what it cannot know to have read, it tells as a gap.
 */
export class Follower {
  state: FollowState = 'waiting';
  /** Why it is not reading, in words. */
  reason = '';
  /** Between a line's stamp (the node's clock) and its arrival here, ms; of the last lines. */
  lagMs: number | null = null;
  readonly #lines: ResumedLines;
  readonly #log: PodLog;
  readonly #watchdog: Watchdog;
  readonly #continuity: Continuity;
  readonly #backoff = new Backoff(100, 10_000);
  readonly #name: string;
  #restarts: number;
  #open: Listening | null = null;
  #opened = false;
  #began = false;
  /** Why a request was cut off, until lines show that it was made good. */
  #cut = '';
  /** The last request went on for a while, and brought lines. */
  #healthy = false;
  /** Of the last lines as it is, and the least that lines took: what their clock differs is part of both. */
  #rawLagMs = 0;
  #leastLagMs = Infinity;
  #heardAt = -Infinity;
  /** All that the log held when it was opened has been read: the stream had to be waited for since. */
  #live = false;

  constructor(
    readonly pod: Pod,
    readonly container: string,
    readonly window: LogWindow,
    readonly around: Surroundings,
  ) {
    const { client, questions, signal } = around;
    this.#lines = new ResumedLines(window.maxLine);
    this.#log = new PodLog(client, pod, container, window.maxLine);
    this.#watchdog = new Watchdog(this.#log, questions, signal);
    this.#continuity = new Continuity(
      this.#log,
      questions,
      signal,
      (leap) => this.#missing(leap, 'the log was rotated away before it was read'),
      (leap) => this.#lines.paused(leap),
    );
    this.#name = `${pod.namespace}/${pod.name}`;
    this.#restarts = this.#container(pod)?.restarts ?? 0;
  }

  /** Stamp of the newest line that was read, ms since the Unix epoch; NaN before the first. */
  get last(): number {
    return this.#lines.last;
  }

  /** Stamp of the first line. */
  get first(): number {
    return this.#lines.first;
  }

  /** Whole lines, each with its stamp in front. Ends with the container's log, or when the session is stopped. */
  async *read(): AsyncGenerator<Buffer, void> {
    try {
      const before = this.#container(this.pod)?.lastEnd;
      // A restart within the window: what the instance before wrote belongs to it.
      if (
        !this.window.previous &&
        before &&
        before.at >= (this.window.since ?? 0) &&
        this.window.tail === null
      ) {
        yield* this.#attempt({ previous: true });
        this.#lines.forget();
      }
      if (this.window.follow) yield* this.#follow();
      else yield* this.#attempt({ previous: this.window.previous || undefined });
    } finally {
      await this.#continuity.settled();
      if (this.state !== 'refused') this.#set('ended', this.reason);
    }
  }

  /** A log to its end, with some patience. False where that could not be read; what became of it is told. */
  async *#attempt(query: Query, lines = this.#lines, turn?: Turn): AsyncGenerator<Buffer, boolean> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const ending = yield* turn ? this.#listen(query, lines, turn) : this.#request(query, lines);
      switch (ending.kind) {
        case 'ended':
          return true;
        case 'starting':
        case 'stopped':
          return false;
        case 'no-previous':
          if (this.window.previous) this.reason = 'no instance before this one';
          return false;
        case 'gone':
          this.#gap('the pod is gone');
          return false;
        case 'refused':
          this.#refuse(ending.error);
          return false;
        case 'broken':
          await this.#wait(ending);
          break;
        case 'turn':
        case 'stale':
          break;
        default:
          ending satisfies never;
      }
      lines.resume();
    }
    this.#gap(`given up: ${this.#cut}`);
    return false;
  }

  async *#follow(): AsyncGenerator<Buffer, void> {
    const { signal } = this.around;
    await this.#started();
    while (!signal.aborted) {
      const ending = yield* this.#request({ follow: true }, this.#lines);
      switch (ending.kind) {
        case 'stopped':
          return;
        case 'refused':
          return this.#refuse(ending.error);
        case 'starting':
        case 'no-previous':
          this.#set('waiting', this.#container(this.around.current() ?? this.pod)?.reason ?? '');
          await this.around.change(this.#backoff.next());
          if (this.around.current() === undefined) return;
          continue;
        case 'gone':
          return this.#vanished();
        case 'ended':
          if (this.#lines.isContinuous) this.#cut = '';
          this.#lines.resume();
          if ((yield* this.#afterwards()) === 'done') return;
          continue;
        case 'turn':
          this.#cut = 'others had their turn (--max-log-requests)';
          break;
        case 'stale':
          this.#cut = 'the stream had gone silent';
          break;
        case 'broken':
          await this.#wait(ending);
          break;
        default:
          ending satisfies never;
      }
      this.#lines.resume();
      // The name may be another pod's by now.
      if (this.around.current() === undefined && !signal.aborted) return this.#vanished();
    }
    this.#unreached();
  }

  async #wait({ reason, waitMs }: { readonly reason: string; readonly waitMs?: number }): Promise<void> {
    this.#cut = reason;
    this.#set('reconnecting', reason);
    await this.#pause(waitMs);
  }

  #unreached(): void {
    if (this.state !== 'reconnecting') return;
    this.#gap(`the run was stopped while this log was out of reach: ${this.reason}`);
    this.#set('waiting');
  }

  /** A container that has not begun has no log. */
  async #started(): Promise<void> {
    const now = this.#container(this.around.current() ?? this.pod);
    if (now?.state !== 'waiting' || now.lastEnd || this.around.signal.aborted) return;
    this.#set('waiting', now.reason);
    await this.around.change(START_MS);
  }

  /** What to do after a stream's clean end: the API's own word counts, the watch may be behind. */
  async *#afterwards(): AsyncGenerator<Buffer, 'on' | 'done'> {
    let pod: Pod;
    try {
      pod = await this.#ask();
    } catch (error) {
      if (this.around.signal.aborted) return 'done';
      if (error instanceof ApiError && error.status === 404) return this.#done();
      if (!(error instanceof ApiError || error instanceof MeshtailError)) throw error;
      // Whoever may read the log but not the pod goes by the log alone.
      if (error instanceof ApiError && error.status === 403) {
        if (this.around.current() === undefined) return this.#done();
      } else this.#set('reconnecting', error.message);
      await this.#pause();
      return 'on';
    }
    if (pod.uid !== this.pod.uid) return this.#done();
    const container = this.#container(pod);
    if (container && container.restarts > this.#restarts) {
      yield* this.#before(container, this.#lines);
      this.#lines.forget();
      this.#backoff.reset();
      return 'on';
    }
    if (pod.phase === 'Succeeded' || pod.phase === 'Failed') {
      // The reader behind the API may have ended within a file that was rotated: whatever there is behind it comes now.
      yield* this.#attempt({});
      return 'done';
    }
    if (container?.state === 'terminated') {
      // What is next is a restart, or nothing.
      this.#set('waiting', container.reason);
      await this.around.change(this.#backoff.next());
      return this.around.current() === undefined ? this.#done() : 'on';
    }
    // Still running: the API server or something in between ended the request by its time.
    await this.#pause();
    return 'on';
  }

  #done(): 'done' {
    this.#vanished();
    return 'done';
  }

  #vanished(): void {
    const delay = this.#delayMs;
    if (!this.#opened) this.#gap('the pod was gone before its log could be opened');
    else if (this.#cut !== '') this.#gap('the pod was gone before its log could be read to the end');
    else if (delay > BEHIND_MS) {
      this.#gap(`the pod was gone while its log was ${seconds(delay)} behind; what followed may be missing`);
    }
  }

  /** The rest of the instance before, once. `lines`: as that was read so far. */
  async *#before(
    container: ContainerState,
    lines: ResumedLines,
    turn?: Turn,
  ): AsyncGenerator<Buffer, boolean> {
    const skipped = container.restarts - this.#restarts - 1;
    this.#restarts = container.restarts;
    const read = yield* this.#attempt({ previous: true }, lines, turn);
    if (skipped > 0) this.#gap(`${skipped} instances came and went in between; their logs are not kept`);
    return read;
  }

  /** One request when its turn comes, its lines as they come. */
  async *#request(query: Query, lines: ResumedLines): AsyncGenerator<Buffer, Ending> {
    const { slots, signal } = this.around;
    if (signal.aborted) {
      this.#unreached();
      return { kind: 'stopped' };
    }
    this.#set('queued');
    const turn = await slots.take();
    try {
      if (!signal.aborted) return yield* this.#listen(query, lines, turn);
      this.#gap("the run was stopped before this log's turn came (--max-log-requests)");
      return { kind: 'stopped' };
    } finally {
      turn.release();
    }
  }

  async *#listen(query: Query, lines: ResumedLines, turn: Turn): AsyncGenerator<Buffer, Ending> {
    const { signal } = this.around;
    const outer = this.#open;
    // Of this request alone: the watchdog may end it. A followed log without a line sends not even headers.
    const open: Listening = {
      abort: new AbortController(),
      turn,
      silentSince: performance.now(),
      ended: null,
    };
    const stop = (): void => open.abort.abort();
    signal.addEventListener('abort', stop);
    this.#open = open;
    this.#healthy = false;
    this.#live = false;
    const unread = Number.isNaN(lines.first);
    this.#set('reading');
    const openedAt = Date.now();
    let response: IncomingMessage | undefined;
    try {
      response = await this.#log.open({ ...this.#from(query, lines), ...query }, open.abort.signal);
      const batches = new Batches(response);
      for (;;) {
        open.silentSince = performance.now();
        const batch = await batches.next();
        if (this.#opened && performance.now() - open.silentSince > DRY_MS) this.#live = true;
        open.silentSince = null;
        this.#opened = true;
        if (!batch) break;
        const fresh = lines.push(batch);
        const hole = lines.takeHole();
        if (hole && (yield* this.#over(hole, turn)) === 'another pod') return { kind: 'gone' };
        if (fresh) {
          this.#took(lines, openedAt);
          if (unread) this.#late(openedAt);
          yield fresh;
        }
        if (signal.aborted) {
          this.#stopped(batches.waiting, open);
          return { kind: 'stopped' };
        }
        if (turn.over) return { kind: 'turn' };
      }
      return response.complete ? { kind: 'ended' } : { kind: 'broken', reason: 'the connection was cut' };
    } catch (error) {
      if (signal.aborted) {
        this.#stopped(0, open);
        return { kind: 'stopped' };
      }
      if (open.ended !== null) return { kind: open.ended };
      return response ? { kind: 'broken', reason: (error as Error).message } : noLogOf(error, this.pod);
    } finally {
      this.#open = outer;
      open.silentSince = null;
      signal.removeEventListener('abort', stop);
      response?.destroy();
    }
  }

  /** Where to begin: behind what was read, else where the window begins. */
  #from(query: Query, { sinceTime }: ResumedLines): Query {
    if (sinceTime !== undefined) return { sinceTime };
    const { since, tail } = this.window;
    return {
      ...(since !== null && { sinceTime: wholeSecond(since) }),
      ...(tail !== null && query['previous'] !== true && { tailLines: tail }),
    };
  }

  #took(lines: ResumedLines, openedAt: number): void {
    const now = Date.now();
    const lag = now - lines.last;
    this.#rawLagMs = lag;
    this.#leastLagMs = Math.min(this.#leastLagMs, lag);
    this.lagMs = Math.max(0, lag);
    this.around.lag(this.lagMs);
    this.#heardAt = performance.now();
    this.#cut = '';
    if (now - openedAt > MARGIN_MS && !this.#healthy) {
      this.#healthy = true;
      this.#backoff.reset();
    }
    this.#watchdog.heard();
    for (const leap of lines.takeLeaps()) {
      // What was there when the log was opened is one file.
      if (this.#live || leap.from >= openedAt - this.#leastLagMs - MARGIN_MS) this.#continuity.doubt(leap);
    }
  }

  /** Of a pod that appeared while others were read, the log from its container's start is asked for. */
  #late(openedAt: number): void {
    const { first } = this.#lines;
    const started = this.#container(this.around.current() ?? this.pod)?.startedAt ?? null;
    if (!this.around.appeared || started === null || this.#began) return;
    this.#began = true;
    // A log that was asked for well before its first line was written had no line before.
    if (first - started < LATE_MS || first - openedAt > BEHIND_MS) return;
    const late = seconds(first - started);
    const reason = `the log that is left begins ${late} after its container did; lines before that may have been rotated away`;
    this.around.gap({ origin: this.#name, from: started, to: first, reason });
  }

  /** The log goes on behind what was read: because it was rotated, or because it is another one. */
  async *#over(hole: Hole, turn: Turn): AsyncGenerator<Buffer, 'on' | 'another pod'> {
    const pod = await this.#ask().catch(() => undefined);
    const container = pod && this.#container(pod);
    if (pod && pod.uid !== this.pod.uid) return 'another pod';
    if (container && container.restarts > this.#restarts) {
      const read = yield* this.#before(container, hole.before, turn);
      if (!read) this.#missing(hole, 'the container began anew, and its log before that cannot be read');
      return 'on';
    }
    this.#missing(hole, `the log was rotated while it was not read (${this.#cut || 'the stream had ended'})`);
    return 'on';
  }

  /** How much later the last lines came than lines can, ms. */
  get #delayMs(): number {
    return Math.max(0, this.#rawLagMs - this.#leastLagMs);
  }

  /** Called some times a second. */
  tick(): void {
    const open = this.#open;
    if (!open || open.silentSince === null) return;
    if (open.turn.over) {
      // A quiet log would keep its place for ever.
      open.ended = 'turn';
      open.abort.abort();
      return;
    }
    const leaving = this.around.current()?.deletedAt !== null;
    void this.#watchdog.look(open, this.#lines, this.#delayMs, leaving);
  }

  /** A run that is stopped while it is behind leaves lines unread. */
  #stopped(waitingBytes: number, open: Listening): void {
    // A log that was never read up to now is behind by all of its lag, else by what came on top of the usual.
    const behind = this.#leastLagMs > HISTORY_MS ? this.#rawLagMs : this.#delayMs;
    const busy = performance.now() - this.#heardAt < BEHIND_MS;
    if (!this.window.follow) this.#gap('the run was stopped before the log was read to its end');
    else if (waitingBytes > 0 || (busy && behind > BEHIND_MS)) {
      this.#gap(`the run was stopped while this log was ${seconds(Math.max(0, this.#rawLagMs))} behind`);
    } else if (this.#watchdog.isDoubtful(open, this.#lines, this.#delayMs)) {
      this.#gap('the run was stopped while this log was silent; whether it went on is not known');
    }
  }

  #ask(): Promise<Pod> {
    const { client, signal } = this.around;
    return client.get(pathOf('Pod', this.pod.namespace, this.pod.name), {}, signal).then(podOf);
  }

  #refuse(error: MeshtailError): void {
    this.#set('refused', error.message);
    this.around.refused(error);
  }

  /** Before the next request: at once, where the last one went well. */
  async #pause(ms?: number): Promise<void> {
    const wait = ms ?? (this.#healthy ? Math.random() * SPREAD_MS : this.#backoff.next());
    if (wait > 0) await sleep(wait, undefined, { signal: this.around.signal }).catch(() => undefined);
  }

  #missing(leap: Leap, reason: string): void {
    const { from, to } = leap;
    const lines = linesOver(leap);
    const about = lines > 0 ? `, about ${lines} by its rate before` : '';
    this.around.gap({ origin: this.#name, from, to, reason: `${reason}; lines may be missing${about}` });
  }

  #gap(reason: string): void {
    const from = Number.isNaN(this.last) ? Math.max(this.window.since ?? 0, this.pod.createdAt) : this.last;
    this.around.gap({ origin: this.#name, from, to: Date.now(), reason });
  }

  #container(pod: Pod): ContainerState | undefined {
    return pod.containers.find(({ name }) => name === this.container);
  }

  #set(state: FollowState, reason = ''): void {
    this.state = state;
    this.reason = reason;
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
