import { setTimeout as sleep } from 'node:timers/promises';
import type { ResumedLines } from '../framing/resume.js';
import type { PodLog } from './pod-log.js';
import type { Slots, Turn } from './slots.js';

/** One request for a log that is under way. */
export interface Listening {
  readonly abort: AbortController;
  readonly turn: Turn;
  /** Since when nothing came that was waited for (performance.now()); `null`: there are bytes to deal with. */
  silentSince: number | null;
  /** Why it was ended from here. */
  ended: 'stale' | 'turn' | null;
}

/** How long a silence goes unquestioned, ms: with many lines a second, with some, with few. */
const BUSY = { perSecond: 20, patienceMs: 500 };
const BRISK = { perSecond: 2, patienceMs: 2_000 };
const QUIET_MS = 10_000;
/** A silence is unusual where it is so many times longer than those before. */
const UNUSUAL = 3;
/** Of a pod that is on its way out, whose log will soon be gone. */
const LEAVING_MS = 300;
const MOST_MS = 60_000;
/** Lines that come late are waited for longer, up to so much, ms. */
const MOST_DELAY_MS = 5_000;
/** What a line may still be on its way, once the kubelet has it. */
const GRACE_MS = 700;
const LEAVING_GRACE_MS = 200;

/**
 * A stream may go silent for ever over a rotation while the container writes on: where the file was renamed between its
 * opening and the reader's watch, the reader stays with the old one (kubernetes cri-client pkg/logs/logs.go, ReadLogs). So
 * after some silence the log's last line is asked for, and a stream that did not bring it is given up.
 */
export class Watchdog {
  #asking = false;
  #alarms = 0;
  #confirmed = false;

  constructor(
    readonly log: PodLog,
    /** How many may ask at once. */
    readonly questions: Slots,
    readonly signal: AbortSignal,
  ) {}

  /** Lines came. */
  heard(): void {
    this.#alarms = 0;
    this.#confirmed = false;
  }

  /** A busy log has been silent for longer than is usual by `ms`, and what was asked did not show that it had ended. */
  isDoubtful(open: Listening, lines: ResumedLines, ms: number): boolean {
    const { silentSince } = open;
    if (silentSince === null || this.#confirmed || lines.perSecond < BUSY.perSecond) return false;
    return performance.now() - silentSince > patienceOf(lines, 0) + ms;
  }

  /** Called some times a second. `delayMs`: by how much the last lines came later than they can. */
  async look(open: Listening, lines: ResumedLines, delayMs: number, leaving: boolean): Promise<void> {
    const since = open.silentSince;
    if (since === null || this.#asking) return;
    const silence = performance.now() - since;
    const patience = leaving ? LEAVING_MS : patienceOf(lines, delayMs);
    if (silence < patience * 2 ** this.#alarms) return;
    const turn = this.questions.try();
    if (!turn) return;
    this.#asking = true;
    if (patience * 2 ** this.#alarms < MOST_MS) this.#alarms++;
    try {
      const newest = await this.log.newest(this.signal);
      this.#confirmed = !isBehind(lines, newest);
      if (this.#confirmed) return;
      await sleep(leaving ? LEAVING_GRACE_MS : Math.max(GRACE_MS, delayMs), undefined, {
        signal: this.signal,
      });
      if (open.silentSince !== since || !isBehind(lines, newest)) return;
      open.ended = 'stale';
      open.abort.abort();
    } catch {
      // The stream itself will tell what is wrong.
    } finally {
      this.#asking = false;
      turn.release();
    }
  }
}

function isBehind({ last }: ResumedLines, newest: number): boolean {
  return newest > last || (Number.isNaN(last) && newest > 0);
}

function patienceOf({ perSecond, usualMs }: ResumedLines, delayMs: number): number {
  let base = QUIET_MS;
  if (perSecond >= BUSY.perSecond) base = BUSY.patienceMs;
  else if (perSecond >= BRISK.perSecond) base = BRISK.patienceMs;
  return Math.max(base, UNUSUAL * usualMs) + Math.min(MOST_DELAY_MS, 2 * delayMs);
}
