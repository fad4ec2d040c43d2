import type { Leap } from '../framing/resume.js';
import type { PodLog } from './pod-log.js';
import type { Slots } from './slots.js';

/** So many lines would have been expected of the time that was leapt over, before it is looked into. */
const EXPECTED = 20;

/** About how many lines a leap leaves out, if the log went on as before. */
export function linesOver({ from, to, perSecond }: Leap): number {
  return Math.round(((to - from) / 1000) * perSecond);
}

/**
 * Finds out whether a stream that leapt over some time left lines out. A reader behind the API that is slow misses whole
 * files between two rotations, and nothing in the stream tells that from a pause. But where the live file still holds the
 * line before the leap, it holds all that came after it.
 */
export class Continuity {
  #leaps: Leap[] = [];
  #asking: Promise<void> | null = null;

  constructor(
    readonly log: PodLog,
    /** How many may ask at once. */
    readonly questions: Slots,
    readonly signal: AbortSignal,
    /** Told of each leap over which lines may be missing, and of each that was a pause. */
    readonly missing: (leap: Leap) => void,
    readonly paused: (leap: Leap) => void,
  ) {}

  doubt(leap: Leap): void {
    if (linesOver(leap) < EXPECTED) return this.paused(leap);
    this.#leaps.push(leap);
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
  }

  /** Resolves when each doubt is settled. */
  async settled(): Promise<void> {
    await this.#asking;
  }

  async #ask(): Promise<void> {
    for (let leap = this.#leaps[0]; leap; leap = this.#leaps[0]) {
      const turn = await this.questions.take();
      const asked = this.#leaps.length;
      let first = NaN;
      try {
        if (!this.signal.aborted) first = await this.log.firstFrom(leap.from, this.signal);
      } catch {
        // What cannot be asked cannot be proven.
      } finally {
        turn.release();
      }
      if (first <= leap.from) {
        for (const pause of this.#leaps.splice(0, asked)) this.paused(pause);
      } else {
        this.#leaps.shift();
        this.missing(leap);
      }
    }
  }
}
