import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Backoff } from '../cluster/backoff.js';
import { ApiError, type ClusterClient, type Query } from '../cluster/client.js';
import { podOf, type ContainerState, type Pod } from '../cluster/pods.js';
import { pathOf } from '../cluster/targets.js';
import { MeshtailError } from '../errors.js';
import { ResumedLines } from '../framing/resume.js';
import type { Slots, Turn } from './slots.js';

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
  readonly slots: Slots;
  readonly signal: AbortSignal;
  /** The pod as the watch knows it; `undefined` once it is gone. */
  current(): Pod | undefined;
  /** Resolves when the watch tells something new of the pod, or after `ms`. */
  change(ms: number): Promise<void>;
  gap(gap: Gap): void;
  refused(error: MeshtailError): void;
}

/** How a request for a log ended. */
type Ending =
  | { readonly kind: 'ended' | 'turn' | 'stopped' | 'gone' | 'starting' | 'no-previous' }
  | { readonly kind: 'broken'; readonly reason: string; readonly waitMs?: number }
  | { readonly kind: 'refused'; readonly error: MeshtailError };

const STALE: Ending = { kind: 'broken', reason: 'the stream had gone silent', waitMs: 0 };

/** A stream of some traffic that falls silent is looked after soon, a quiet one later. */
const BUSY_PATIENCE_MS = 2_000;
const QUIET_PATIENCE_MS = 10_000;
const MOST_PATIENCE_MS = 60_000;
/** Lines a second from which on a stream counts as busy. */
const BUSY = 2;
/** What a line may still be on its way, once the kubelet has it. */
const GRACE_MS = 700;
/** Attempts at a log that is not followed. */
const ATTEMPTS = 6;

/**
 * Reads one container's log to its end: over broken connections, rotations and restarts, each line once. What it cannot
 * read it tells as a gap.
 */
export class Follower {
  state: FollowState = 'waiting';
  /** Why it is not reading, in words. */
  reason = '';
  /** Between a line's stamp (the node's clock) and its arrival here, ms; of the last lines. */
  lagMs: number | null = null;
  readonly #lines: ResumedLines;
  readonly #backoff = new Backoff(100, 10_000);
  readonly #name: string;
  #restarts = 0;
  #opened = false;
  #firstStamp = NaN;
  // For the watchdog.
  #current: AbortController | null = null;
  #awaiting = false;
  #lastByte = 0;
  #readingSince = 0;
  #received = 0;
  #patience = QUIET_PATIENCE_MS;
  #probing = false;
  #stale = false;

  constructor(
    readonly pod: Pod,
    readonly container: string,
    readonly window: LogWindow,
    readonly around: Surroundings,
  ) {
    this.#lines = new ResumedLines(window.maxLine);
    this.#name = `${pod.namespace}/${pod.name}`;
  }

  /** Stamp of the newest line that was read, ms since the Unix epoch; NaN before the first. */
  get last(): number {
    return this.#lines.last;
  }

  /** Stamp of the first line. */
  get first(): number {
    return this.#firstStamp;
  }

  /** Whole lines, each with its stamp in front. Ends with the container's log, or when the session is stopped. */
  async *read(): AsyncGenerator<Buffer, void> {
    try {
      if (this.window.follow) yield* this.#follow();
      else yield* this.#once();
    } finally {
      if (this.state !== 'refused') this.#set('ended', this.reason);
    }
  }

  async *#once(): AsyncGenerator<Buffer, void> {
    const { previous } = this.window;
    const before = this.#container(this.pod)?.lastEnd;
    // A restart within the window: what the instance before wrote belongs to it.
    if (!previous && before && before.at >= (this.window.since ?? 0) && this.window.tail === null) {
      yield* this.#attempt({ previous: true });
      this.#lines.forget();
    }
    yield* this.#attempt({ previous: previous || undefined });
  }

  /** A log to its end, with some patience. */
  async *#attempt(query: Query): AsyncGenerator<Buffer, void> {
    let reason = '';
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const ending = yield* this.#request(query);
      switch (ending.kind) {
        case 'ended':
        case 'stopped':
        case 'starting':
          return;
        case 'no-previous':
          if (this.window.previous) this.reason = 'no instance before this one';
          return;
        case 'gone':
          return this.#gap('the pod is gone');
        case 'refused':
          return this.#refuse(ending.error);
        case 'broken':
          reason = ending.reason;
          await this.#pause(ending.waitMs);
          break;
        case 'turn':
          break;
        default:
          ending satisfies never;
      }
      this.#lines.resume();
    }
    this.#gap(`given up: ${reason}`);
  }

  async *#follow(): AsyncGenerator<Buffer, void> {
    const { signal } = this.around;
    const now = this.#container(this.pod);
    this.#restarts = now?.restarts ?? 0;
    if (now?.lastEnd && now.lastEnd.at >= (this.window.since ?? 0) && this.window.tail === null) {
      yield* this.#attempt({ previous: true });
      this.#lines.forget();
    }
    while (!signal.aborted) {
      const ending = yield* this.#request({ follow: true });
      switch (ending.kind) {
        case 'stopped':
          return;
        case 'refused':
          return this.#refuse(ending.error);
        case 'turn':
          this.#lines.resume();
          continue;
        case 'starting':
        case 'no-previous':
          this.#set('waiting', this.#container(this.around.current() ?? this.pod)?.reason ?? '');
          await this.around.change(this.#backoff.next());
          if (this.around.current() === undefined) return;
          continue;
        case 'gone':
          if (!this.#opened) this.#gap('the pod was gone before its log could be opened');
          return;
        case 'ended':
          this.#lines.resume();
          break;
        case 'broken':
          this.#lines.resume();
          this.#set('reconnecting', ending.reason);
          await this.#pause(ending.waitMs);
          break;
        default:
          ending satisfies never;
      }
      if (signal.aborted) return;
      const next = yield* this.#afterwards(ending.kind === 'broken');
      if (next === 'done') return;
    }
  }

  /** What to do after a stream's end: the API's own word counts, the watch may be behind. */
  async *#afterwards(broken: boolean): AsyncGenerator<Buffer, 'on' | 'done'> {
    let pod: Pod;
    try {
      const path = pathOf('Pod', this.pod.namespace, this.pod.name);
      pod = podOf(await this.around.client.get(path, {}, this.around.signal));
    } catch (error) {
      if (this.around.signal.aborted) return 'done';
      if (error instanceof ApiError && error.status === 404) return this.#vanished(broken);
      if (error instanceof ApiError || error instanceof MeshtailError) {
        // Whoever may read the log but not the pod goes by the log alone.
        if (error instanceof ApiError && error.status === 403) return this.#withoutPod(broken);
        this.#set('reconnecting', error.message);
        await this.#pause();
        return 'on';
      }
      throw error;
    }
    if (pod.uid !== this.pod.uid) return this.#vanished(broken);
    const container = this.#container(pod);
    if (container && container.restarts > this.#restarts) {
      yield* this.#restarted(container);
      return 'on';
    }
    if (broken) return 'on';
    const over = pod.phase === 'Succeeded' || pod.phase === 'Failed';
    if (container?.state === 'terminated' || over) {
      // Ended cleanly: its log was read to the end. What is next is a restart, or nothing.
      if (over) return 'done';
      this.#set('waiting', container?.reason ?? 'terminated');
      await this.around.change(this.#backoff.next());
      return this.around.current() === undefined ? 'done' : 'on';
    }
    // Still running: the API server or something in between ended the request by its time.
    await this.#pause();
    return 'on';
  }

  async #withoutPod(broken: boolean): Promise<'on' | 'done'> {
    if (this.around.current() === undefined) return this.#vanished(broken);
    await this.#pause();
    return 'on';
  }

  #vanished(broken: boolean): 'done' {
    if (broken) this.#gap('the pod was gone before its log could be read to the end');
    return 'done';
  }

  /** The rest of the instance before, once; then the new one. */
  async *#restarted(container: ContainerState): AsyncGenerator<Buffer, void> {
    const skipped = container.restarts - this.#restarts - 1;
    yield* this.#attempt({ previous: true });
    if (skipped > 0) this.#gap(`${skipped} instances came and went in between; their logs are not kept`);
    this.#lines.forget();
    this.#restarts = container.restarts;
    this.#backoff.reset();
  }

  /** One request, its lines as they come. */
  async *#request(query: Query): AsyncGenerator<Buffer, Ending> {
    const { client, slots, signal } = this.around;
    if (signal.aborted) return { kind: 'stopped' };
    this.#set('queued');
    const turn = await slots.take();
    // Of this request alone: the watchdog may end it.
    const abort = new AbortController();
    const stop = (): void => abort.abort();
    signal.addEventListener('abort', stop);
    try {
      if (signal.aborted) return { kind: 'stopped' };
      this.#set('reading');
      this.#awaitFirst(abort);
      let response: IncomingMessage;
      try {
        response = await client.stream(
          `${pathOf('Pod', this.pod.namespace, this.pod.name)}/log`,
          { container: this.container, timestamps: true, ...this.#from(query), ...query },
          abort.signal,
        );
      } catch (error) {
        return this.#refusal(error);
      }
      return yield* this.#stream(response, turn);
    } finally {
      this.#current = null;
      this.#awaiting = false;
      signal.removeEventListener('abort', stop);
      turn.release();
    }
  }

  /** Where to begin: behind what was read, else where the window begins. */
  #from(query: Query): Query {
    const { sinceTime } = this.#lines;
    if (sinceTime !== undefined) return { sinceTime };
    const { since, tail } = this.window;
    return {
      ...(since !== null && { sinceTime: new Date(Math.floor(since / 1000) * 1000).toISOString() }),
      ...(tail !== null && query['previous'] !== true && { tailLines: tail }),
    };
  }

  async *#stream(response: IncomingMessage, turn: Turn): AsyncGenerator<Buffer, Ending> {
    try {
      for await (const chunk of response) {
        this.#awaiting = false;
        this.#lastByte = performance.now();
        this.#opened = true;
        const lines = this.#lines.push(chunk as Buffer);
        if (lines) {
          this.#took();
          yield lines;
        }
        if (turn.over) return { kind: 'turn' };
        this.#awaiting = true;
      }
      this.#opened = true;
      return response.complete ? { kind: 'ended' } : { kind: 'broken', reason: 'the connection was cut' };
    } catch (error) {
      if (this.around.signal.aborted) return { kind: 'stopped' };
      if (this.#stale) return STALE;
      return { kind: 'broken', reason: (error as Error).message };
    } finally {
      this.#awaiting = false;
      response.destroy();
    }
  }

  /** A followed log without a line sends not even headers: it is watched over from its request on. */
  #awaitFirst(abort: AbortController): void {
    this.#current = abort;
    this.#stale = false;
    this.#lastByte = this.#readingSince = performance.now();
    this.#received = 0;
    this.#awaiting = true;
  }

  #took(): void {
    this.#received++;
    const { last } = this.#lines;
    if (Number.isNaN(this.#firstStamp)) this.#firstStamp = last;
    this.lagMs = Math.max(0, Date.now() - last);
    this.#backoff.reset();
    this.#patience = this.#busy() ? BUSY_PATIENCE_MS : QUIET_PATIENCE_MS;
    const hole = this.#lines.takeHole();
    if (hole) {
      this.around.gap({
        origin: this.#name,
        ...hole,
        reason: 'the log was rotated while the stream was down; lines between may be missing',
      });
    }
  }

  #busy(): boolean {
    return this.#received > BUSY * Math.max(1, (performance.now() - this.#readingSince) / 1000);
  }

  /**
   * Called about once a second. A stream may go silent for ever over a rotation while the container writes on: after some
   * silence the log's last line is asked for, and the stream opened again where it is newer than what came.
   */
  async tick(): Promise<void> {
    if (!this.#awaiting || this.#probing || performance.now() - this.#lastByte < this.#patience) return;
    const current = this.#current;
    if (!current) return;
    this.#probing = true;
    try {
      const newest = await this.#newestStamp();
      await sleep(GRACE_MS);
      if (newest > this.#lines.last || (Number.isNaN(this.#lines.last) && newest > 0)) {
        if (this.#current === current && this.#awaiting) {
          this.#stale = true;
          current.abort();
        }
      } else this.#patience = Math.min(MOST_PATIENCE_MS, this.#patience * 2);
    } catch {
      // The stream itself will tell what is wrong.
      this.#patience = Math.min(MOST_PATIENCE_MS, this.#patience * 2);
    } finally {
      this.#probing = false;
    }
  }

  async #newestStamp(): Promise<number> {
    const { client, signal } = this.around;
    const response = await client.stream(
      `${pathOf('Pod', this.pod.namespace, this.pod.name)}/log`,
      { container: this.container, timestamps: true, tailLines: 1 },
      signal,
    );
    const probe = new ResumedLines(this.window.maxLine);
    for await (const chunk of response) probe.push(chunk as Buffer);
    return probe.last;
  }

  #refusal(error: unknown): Ending {
    if (this.around.signal.aborted) return { kind: 'stopped' };
    if (this.#stale) return STALE;
    if (error instanceof MeshtailError) {
      return error.code === 'cluster-unreachable'
        ? { kind: 'broken', reason: error.message }
        : { kind: 'refused', error };
    }
    if (!(error instanceof ApiError)) throw error;
    const { status, message, retryAfterMs } = error;
    switch (status) {
      case 400:
        if (
          /waiting to start|PodInitializing|ContainerCreating|is not available|not been started/i.test(
            message,
          )
        ) {
          return { kind: 'starting' };
        }
        if (/previous terminated container/i.test(message)) return { kind: 'no-previous' };
        return {
          kind: 'refused',
          error: new MeshtailError('log-refused', `cannot read logs of ${this.#name}: ${message}`),
        };
      case 404:
        return { kind: 'gone' };
      case 403:
        return { kind: 'refused', error: forbidden('get', 'pods/log', this.pod.namespace, message) };
      default:
        return {
          kind: 'broken',
          reason: `${status} ${message}`,
          ...(retryAfterMs !== null && { waitMs: retryAfterMs }),
        };
    }
  }

  #refuse(error: MeshtailError): void {
    this.#set('refused', error.message);
    this.around.refused(error);
  }

  async #pause(ms?: number): Promise<void> {
    const wait = ms ?? this.#backoff.next();
    if (wait > 0) await sleep(wait, undefined, { signal: this.around.signal }).catch(() => undefined);
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

/** What was forbidden, and the Role to ask for. */
export function forbidden(
  verb: string,
  resource: string,
  namespace: string | null,
  message: string,
): MeshtailError {
  const kind = namespace === null ? 'ClusterRole' : 'Role';
  const where = namespace === null ? '' : `\n  namespace: ${namespace}`;
  return new MeshtailError('forbidden', `forbidden: ${message}`, {
    hint: [
      `ask for ${verb} on ${resource}; all that reading logs needs:`,
      'apiVersion: rbac.authorization.k8s.io/v1',
      `kind: ${kind}`,
      `metadata:\n  name: meshtail${where}`,
      'rules:',
      '- {apiGroups: [""], resources: [pods], verbs: [get, list, watch]}',
      '- {apiGroups: [""], resources: [pods/log], verbs: [get]}',
      ...(resource.startsWith('pods')
        ? []
        : [`- {apiGroups: [""], resources: [${resource}], verbs: [${verb}]}`]),
    ].join('\n'),
  });
}
