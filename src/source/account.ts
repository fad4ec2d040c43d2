import type { ContainerState, Pod } from '../cluster/pods.js';
import type { Leap, ResumedLines } from '../framing/resume.js';
import { Continuity, linesOver } from './continuity.js';
import type { LogWindow, Surroundings } from './follower.js';
import type { PodLog } from './pod-log.js';
import { Watchdog, type Listening } from './watchdog.js';

/** A time of a log that could not be read. */
export interface Gap {
  /** `namespace/pod`. */
  readonly origin: string;
  readonly from: number;
  readonly to: number;
  readonly reason: string;
}

/** A log is behind when its lines come so much later than they can, ms. */
const BEHIND_MS = 2_000;
/** A log that was never closer to now than this was never read up to now, ms. */
const HISTORY_MS = 10_000;
/** A stream that has to be waited for so long, ms, has no more to give at the time. */
const DRY_MS = 150;
/** Clocks and headers, ms: how much before a request's own time the log may have been opened. */
const MARGIN_MS = 1_000;
/** A log that begins so much later than its container may have been rotated, ms. */
const LATE_MS = 3_000;
/** A busy log that is silent should have been asked about after so long, ms. */
const ASKED_MS = 4_000;
/** A busy log's silence before its end that is long enough to doubt it, ms; a pod's proxy ends last. */
const LAST_SILENCE_MS = 1_000;

/** Keeps account of what was read of one log, and tells what was not, and what cannot be known to have been. */
export class Account {
  /** Between a line's stamp (the node's clock) and its arrival here, ms; of the last lines. */
  lagMs: number | null = null;
  /** Why a request was cut off, until lines show that it was made good. */
  cut = '';
  /** The request that is under way, or was last, went on for a while and brought lines. */
  healthy = false;
  /** Something came: the log could be opened. */
  opened = false;
  readonly #lines: ResumedLines;
  readonly #watchdog: Watchdog;
  readonly #continuity: Continuity;
  readonly #name: string;
  /** When the log was asked for first, and for the last time, ms since the Unix epoch. */
  #firstAskedAt = NaN;
  #askedAt = NaN;
  /** Of the last lines as it is, and the least that lines took: what their clock differs is part of both. */
  #rawLagMs = 0;
  #leastLagMs = Infinity;
  #heardAt = -Infinity;
  /** All that the log held when it was opened has been read: the stream had to be waited for since. */
  #live = false;
  /** The silence with which the last request ended was long for this log, and nobody knows whether it went on. */
  #doubtful = false;

  constructor(
    readonly pod: Pod,
    readonly container: string,
    readonly window: LogWindow,
    readonly around: Surroundings,
    log: PodLog,
    lines: ResumedLines,
  ) {
    const { questions, signal } = around;
    this.#name = `${pod.namespace}/${pod.name}`;
    this.#lines = lines;
    this.#watchdog = new Watchdog(log, questions, signal);
    this.#continuity = new Continuity(
      log,
      questions,
      signal,
      (leap) => this.missing(leap, 'the log was rotated away before it was read'),
      (leap) => this.#lines.paused(leap),
    );
  }

  /** A request is made. */
  ask(): void {
    this.#askedAt = Date.now();
    if (Number.isNaN(this.#firstAskedAt)) this.#firstAskedAt = this.#askedAt;
    this.healthy = false;
    this.#live = false;
  }

  /** Its stream gave bytes, or ended. */
  hear(open: Listening): void {
    if (this.opened && performance.now() - open.silentSince! > DRY_MS) this.#live = true;
    this.#doubtful = this.#watchdog.isDoubtful(open, this.#lines, LAST_SILENCE_MS);
    this.opened = true;
  }

  /** Lines came that were not read before, the `first` of this log or others. */
  take(lines: ResumedLines, first: boolean): void {
    const now = Date.now();
    const lag = now - lines.last;
    this.#rawLagMs = lag;
    this.#leastLagMs = Math.min(this.#leastLagMs, lag);
    this.lagMs = Math.max(0, lag);
    this.around.lag(this.lagMs);
    this.#heardAt = performance.now();
    this.cut = '';
    this.healthy ||= now - this.#askedAt > MARGIN_MS;
    this.#watchdog.heard();
    for (const leap of lines.takeLeaps()) {
      // What was there when the log was opened is one file.
      if (this.#live || leap.from >= this.#askedAt - this.#leastLagMs - MARGIN_MS) {
        this.#continuity.doubt(leap);
      } else this.#lines.paused(leap);
    }
    if (first) this.#late();
  }

  /** Looks after a stream that is silent. */
  look(open: Listening): void {
    const leaving = this.around.current()?.deletedAt !== null;
    void this.#watchdog.look(open, this.#lines, this.#delayMs, leaving);
  }

  /** Resolves when nothing is in doubt any more. */
  async close(): Promise<void> {
    this.#nothing();
    await this.#continuity.settled();
  }

  /** The pod, and with it the log, is no more. */
  vanished(): void {
    const delay = this.#delayMs;
    if (!this.opened) this.gap('the pod was gone before its log could be opened');
    else if (this.cut !== '') this.gap('the pod was gone before its log could be read to the end');
    else if (delay > BEHIND_MS) {
      this.gap(`the pod was gone while its log was ${seconds(delay)} behind; what followed may be missing`);
    } else if (this.#doubtful) {
      this.gap('the pod was gone while its log was silent; whether it went on is not known');
    }
  }

  /** The run is stopped, with so many bytes that came and were not read. */
  stopped(waitingBytes: number, open: Listening): void {
    // A log that was never read up to now is behind by all of its lag, else by what came on top of the usual.
    const behind = this.#leastLagMs > HISTORY_MS ? this.#rawLagMs : this.#delayMs;
    const busy = performance.now() - this.#heardAt < BEHIND_MS;
    if (!this.window.follow) this.gap('the run was stopped before the log was read to its end');
    else if (waitingBytes > 0 || (busy && behind > BEHIND_MS)) {
      this.gap(`the run was stopped while this log was ${seconds(Math.max(0, this.#rawLagMs))} behind`);
    } else if (this.#watchdog.isDoubtful(open, this.#lines, ASKED_MS + this.#delayMs)) {
      this.gap('the run was stopped while this log was silent; whether it went on is not known');
    }
  }

  missing(leap: Leap, reason: string): void {
    const { from, to } = leap;
    const lines = linesOver(leap);
    const about = lines > 0 ? `, about ${lines} by its rate before` : '';
    this.around.gap({ origin: this.#name, from, to, reason: `${reason}; lines may be missing${about}` });
  }

  /** From the last line on, up to now. */
  gap(reason: string): void {
    const { last } = this.#lines;
    const from = Number.isNaN(last) ? Math.max(this.window.since ?? 0, this.pod.createdAt) : last;
    this.around.gap({ origin: this.#name, from, to: Date.now(), reason });
  }

  /** How much later the last lines came than lines can, ms. */
  get #delayMs(): number {
    return Math.max(0, this.#rawLagMs - this.#leastLagMs);
  }

  /** Of a pod that appeared while others were read, the log from its container's start is asked for. */
  #late(): void {
    const started = this.#startedAt;
    const { first } = this.#lines;
    if (!this.around.appeared || started === null || first - started < LATE_MS) return;
    // A log that was asked for well before its first line was written, and gave it at once, had no line before.
    if (first - this.#askedAt > BEHIND_MS && this.#rawLagMs < MARGIN_MS) return;
    const late = seconds(first - started);
    const reason = `the log that is left begins ${late} after its container did; lines before that may have been rotated away`;
    this.around.gap({ origin: this.#name, from: started, to: first, reason });
  }

  /** One that has no line at all may have had some when it was asked for too late. */
  #nothing(): void {
    const started = this.#startedAt;
    const to = this.#firstAskedAt;
    if (!this.around.appeared || started === null || !Number.isNaN(this.#lines.first)) return;
    if (!(to - started > LATE_MS)) return;
    const reason = `the log was asked for ${seconds(to - started)} after its container began, and held nothing; lines may have been rotated away`;
    this.around.gap({ origin: this.#name, from: started, to, reason });
  }

  get #startedAt(): number | null {
    return containerOf(this.around.current() ?? this.pod, this.container)?.startedAt ?? null;
  }
}

export function containerOf(pod: Pod, name: string): ContainerState | undefined {
  return pod.containers.find((one) => one.name === name);
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
