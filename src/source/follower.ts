import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff } from '../cluster/backoff.js';
import { ApiError, type ClusterClient, type Query } from '../cluster/client.js';
import { podOf, type ContainerState, type Pod } from '../cluster/pods.js';
import { pathOf } from '../cluster/targets.js';
import { MeshtailError } from '../errors.js';
import { ResumedLines, type Hole } from '../framing/resume.js';
import { Account, containerOf, type Gap } from './account.js';
import { Batches } from './batches.js';
import { noLogOf, PodLog, wholeSecond, type NoLog } from './pod-log.js';
import type { Slots, Turn } from './slots.js';
import type { Listening } from './watchdog.js';

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
/** Streams that were cut together do not come back as one, ms. */
const SPREAD_MS = 30;
/** For a container that the watch does not know to run, ms; then its log is asked for all the same. */
const START_MS = 5_000;

/**
 * Reads one container's log to its end: over broken connections, rotations and restarts, each line once. What it cannot
 * read, and what it cannot know to have read, it tells as a gap.
 */
export class Follower {
  state: FollowState = 'waiting';
  /** Why it is not reading, in words. */
  reason = '';
  readonly #lines: ResumedLines;
  readonly #log: PodLog;
  readonly #account: Account;
  readonly #backoff = new Backoff(100, 10_000);
  #restarts: number;
  #open: Listening | null = null;

  constructor(
    readonly pod: Pod,
    readonly container: string,
    readonly window: LogWindow,
    readonly around: Surroundings,
  ) {
    this.#lines = new ResumedLines(window.maxLine);
    this.#log = new PodLog(around.client, pod, container, window.maxLine);
    this.#account = new Account(pod, container, window, around, this.#log, this.#lines);
    this.#restarts = containerOf(pod, this.container)?.restarts ?? 0;
  }

  /** Stamp of the newest line that was read, ms since the Unix epoch; NaN before the first. */
  get last(): number {
    return this.#lines.last;
  }

  /** Stamp of the first line. */
  get first(): number {
    return this.#lines.first;
  }

  /** Between the last lines' stamps and their arrival here, ms: the node's clock against this one. */
  get lagMs(): number | null {
    return this.#account.lagMs;
  }

  /** Whole lines, each with its stamp in front. Ends with the container's log, or when the session is stopped. */
  async *read(): AsyncGenerator<Buffer, void> {
    try {
      const before = containerOf(this.pod, this.container)?.lastEnd;
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
      await this.#account.close();
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
          this.#account.gap('the pod is gone');
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
    this.#account.gap(`given up: ${this.#account.cut}`);
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
          this.#set('waiting', containerOf(this.around.current() ?? this.pod, this.container)?.reason ?? '');
          await this.around.change(this.#backoff.next());
          if (this.around.current() === undefined) return;
          continue;
        case 'gone':
          return this.#account.vanished();
        case 'ended':
          if (this.#lines.isContinuous) this.#account.cut = '';
          this.#lines.resume();
          if ((yield* this.#afterwards()) === 'done') return;
          continue;
        case 'turn':
          this.#account.cut = 'others had their turn (--max-log-requests)';
          break;
        case 'stale':
          this.#account.cut = 'the stream had gone silent';
          break;
        case 'broken':
          await this.#wait(ending);
          break;
        default:
          ending satisfies never;
      }
      this.#lines.resume();
      // The name may be another pod's by now.
      if (this.around.current() === undefined && !signal.aborted) return this.#account.vanished();
    }
    this.#unreached();
  }

  async #wait({ reason, waitMs }: { readonly reason: string; readonly waitMs?: number }): Promise<void> {
    this.#account.cut = reason;
    this.#set('reconnecting', reason);
    await this.#pause(waitMs);
  }

  #unreached(): void {
    if (this.state !== 'reconnecting') return;
    this.#account.gap(`the run was stopped while this log was out of reach: ${this.reason}`);
    this.#set('waiting');
  }

  /** A container that has not begun has no log. */
  async #started(): Promise<void> {
    const now = containerOf(this.around.current() ?? this.pod, this.container);
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
    const container = containerOf(pod, this.container);
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
    this.#account.vanished();
    return 'done';
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
    if (skipped > 0)
      this.#account.gap(`${skipped} instances came and went in between; their logs are not kept`);
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
      this.#account.gap("the run was stopped before this log's turn came (--max-log-requests)");
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
    this.#account.ask();
    let unread = Number.isNaN(lines.first);
    this.#set('reading');
    let response: IncomingMessage | undefined;
    try {
      response = await this.#log.open({ ...this.#from(query, lines), ...query }, open.abort.signal);
      const batches = new Batches(response);
      for (;;) {
        open.silentSince = performance.now();
        const batch = await batches.next();
        this.#account.hear(open);
        open.silentSince = null;
        if (!batch) break;
        const fresh = lines.push(batch);
        const hole = lines.takeHole();
        if (hole && (yield* this.#over(hole, turn)) === 'another pod') return { kind: 'gone' };
        if (fresh) {
          this.#account.take(lines, unread);
          unread = false;
          yield fresh;
        }
        if (signal.aborted) {
          this.#account.stopped(batches.waiting, open);
          return { kind: 'stopped' };
        }
        if (turn.over) return { kind: 'turn' };
      }
      return response.complete ? { kind: 'ended' } : { kind: 'broken', reason: 'the connection was cut' };
    } catch (error) {
      if (signal.aborted) {
        this.#account.stopped(0, open);
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

  /** The log goes on behind what was read: because it was rotated, or because it is another one. */
  async *#over(hole: Hole, turn: Turn): AsyncGenerator<Buffer, 'on' | 'another pod'> {
    const pod = await this.#ask().catch(() => undefined);
    const container = pod && containerOf(pod, this.container);
    if (pod && pod.uid !== this.pod.uid) return 'another pod';
    if (container && container.restarts > this.#restarts) {
      const read = yield* this.#before(container, hole.before, turn);
      if (!read)
        this.#account.missing(hole, 'the container began anew, and its log before that cannot be read');
      return 'on';
    }
    this.#account.missing(
      hole,
      `the log was rotated while it was not read (${this.#account.cut || 'the stream had ended'})`,
    );
    return 'on';
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
    this.#account.look(open);
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
    if (this.#account.healthy) this.#backoff.reset();
    const wait = ms ?? (this.#account.healthy ? Math.random() * SPREAD_MS : this.#backoff.next());
    if (wait > 0) await sleep(wait, undefined, { signal: this.around.signal }).catch(() => undefined);
  }

  #set(state: FollowState, reason = ''): void {
    this.state = state;
    this.reason = reason;
  }
}
