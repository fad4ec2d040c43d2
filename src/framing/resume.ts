import { DEFAULT_MAX_LINE } from '../record/line.js';
import { parseTime } from '../record/time.js';

const LF = 10;
const SPACE = 32;
const DOT = 46;
const ZERO = 48;
/** A time stamp of the log API and the blank behind it, at the most: nanoseconds and a numeric offset. */
const STAMP = 36;

/** What a log that was opened again says about the time in between. */
export interface Hole {
  /** Stamps of the last line before and of the first line after, ms since the Unix epoch. */
  readonly from: number;
  readonly to: number;
}

/**
 * A log stream with time stamps (`timestamps=true`), cut into whole lines; where the stream was opened again, without the
 * lines that it repeats. The API cuts `sinceTime` to whole seconds (metav1.Time) and includes that second, so lines are
 * told apart by their stamps, nine decimals, and by how many shared one. Stamps of stdout and stderr may be out of order by
 * a little, so a whole second more than needed is asked for again.
 */
export class ResumedLines {
  readonly #maxHeld: number;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Nanoseconds of the lines of each of the last two seconds. */
  #seen = new Map<number, number[]>();
  #second = -1;
  #nanos: number[] = [];
  #newest = -1;
  #last = NaN;
  /** After `resume`: how often each stamp may come again, by second. */
  #repeats: Map<number, Map<number, number>> | null = null;
  #expectRepeat = false;
  #hole: Hole | null = null;

  constructor(maxLine = DEFAULT_MAX_LINE) {
    this.#maxHeld = maxLine + STAMP + 2;
  }

  /** The newest stamp, ms since the Unix epoch; NaN before the first line. */
  get last(): number {
    return this.#last;
  }

  /** The whole lines that `chunk` completes, with their newlines; `null` where there are none that are new. */
  push(chunk: Buffer): Buffer | null {
    const end = chunk.lastIndexOf(LF) + 1;
    if (end === 0) {
      this.#hold(chunk);
      return null;
    }
    const head = chunk.subarray(0, end);
    const whole = this.#heldBytes === 0 ? head : Buffer.concat([...this.#held, head]);
    this.#held = [];
    this.#heldBytes = 0;
    if (end < chunk.length) this.#hold(chunk.subarray(end));
    return this.#repeats ? this.#fresh(whole) : this.#note(whole);
  }

  /** The stream is to be opened again: what was not a whole line is dropped, since it comes again. */
  resume(): void {
    this.#held = [];
    this.#heldBytes = 0;
    if (this.#newest < 0) return;
    this.#repeats = new Map(
      [...this.#seen].map(([second, nanos]) => {
        const counts = new Map<number, number>();
        for (const nano of nanos) counts.set(nano, (counts.get(nano) ?? 0) + 1);
        return [second, counts];
      }),
    );
    this.#expectRepeat = true;
  }

  /** From when on to ask for the log, RFC 3339 in whole seconds; `undefined` before the first line. */
  get sinceTime(): string | undefined {
    if (this.#newest < 0) return undefined;
    return new Date((this.#newest - 1) * 1000).toISOString().replace('.000Z', 'Z');
  }

  /** The container began anew: the next log is another one, of which nothing was seen. */
  forget(): void {
    this.#held = [];
    this.#heldBytes = 0;
    this.#repeats = null;
    this.#expectRepeat = false;
  }

  /** The newest line is asked for again; if it does not come, lines may be missing: told once. */
  takeHole(): Hole | null {
    const hole = this.#hole;
    this.#hole = null;
    return hole;
  }

  /** The line that is not whole yet, as far as a longest line goes: the rest of a longer one is of no use. */
  #hold(piece: Buffer): void {
    const kept = Math.min(piece.length, this.#maxHeld - this.#heldBytes);
    if (kept <= 0) return;
    this.#held.push(Buffer.from(piece.subarray(0, kept)));
    this.#heldBytes += kept;
  }

  /** Remembers the stamps of whole lines. */
  #note(lines: Buffer): Buffer {
    for (let start = 0; start < lines.length; start = lines.indexOf(LF, start) + 1) {
      const second = this.#secondAt(lines, start);
      if (second >= 0) this.#remember(second, nanosAt(lines, start));
    }
    return lines;
  }

  /** Lines without those that were seen before the stream broke. */
  #fresh(lines: Buffer): Buffer | null {
    const kept: Buffer[] = [];
    let from = 0;
    let start = 0;
    const cut = (to: number, next: number): void => {
      if (to > from) kept.push(lines.subarray(from, to));
      from = next;
    };
    while (start < lines.length) {
      const next = lines.indexOf(LF, start) + 1;
      const second = this.#secondAt(lines, start);
      if (second >= 0) {
        const nanos = nanosAt(lines, start);
        const counts = this.#repeats?.get(second);
        const left = counts?.get(nanos) ?? 0;
        if (left > 0) {
          counts!.set(nanos, left - 1);
          this.#expectRepeat = false;
          cut(start, next);
        } else {
          if (this.#expectRepeat) {
            this.#hole = { from: this.#last, to: second * 1000 + nanos / 1e6 };
            this.#expectRepeat = false;
          }
          // Behind all that can come again.
          if (second > this.#newest + 1) this.#repeats = null;
          this.#remember(second, nanos);
        }
      }
      start = next;
    }
    cut(lines.length, lines.length);
    if (kept.length === 0) return null;
    return kept.length === 1 ? kept[0]! : Buffer.concat(kept);
  }

  #remember(second: number, nanos: number): void {
    if (second !== this.#second) {
      let list = this.#seen.get(second);
      if (!list) this.#seen.set(second, (list = []));
      this.#second = second;
      this.#nanos = list;
      if (second > this.#newest) {
        this.#newest = second;
        for (const old of this.#seen.keys()) if (old < second - 1) this.#seen.delete(old);
      }
    }
    this.#nanos.push(nanos);
    const at = second * 1000 + nanos / 1e6;
    if (!(at <= this.#last)) this.#last = at;
  }

  /** Seconds since the epoch of the stamp that a line begins with; -1 where it has none. */
  #secondAt(bytes: Buffer, start: number): number {
    const limit = Math.min(bytes.length, start + STAMP);
    let end = start + 20;
    while (end < limit && bytes[end] !== SPACE && bytes[end] !== LF) end++;
    const ms = parseTime(bytes, start, end);
    // Nanoseconds do not fit in a double of this size: the fraction may have been rounded up to the next second.
    return Number.isNaN(ms) ? -1 : Math.round((ms - nanosAt(bytes, start) / 1e6) / 1000);
  }
}

/** The decimals behind the seconds of the stamp at `start`, as nanoseconds. */
function nanosAt(bytes: Buffer, start: number): number {
  if (bytes[start + 19] !== DOT) return 0;
  let value = 0;
  let unit = 1e8;
  for (let at = start + 20; unit >= 1; at++, unit /= 10) {
    const digit = bytes[at]! - ZERO;
    if (!(digit >= 0 && digit <= 9)) break;
    value += digit * unit;
  }
  return value;
}
