import { DEFAULT_MAX_LINE } from '../record/line.js';
import { parseTime } from '../record/time.js';

const LF = 10;
const SPACE = 32;
const DOT = 46;
const ZERO = 48;
const UPPER_Z = 90;
/** `2026-01-02T15:04:05`, and the whole stamp as the log API writes it: nine decimals, UTC. */
const TO_SECOND = 19;
const WHOLE = 30;
/** A time stamp of the log API and the blank behind it, at the most: nanoseconds and a numeric offset. */
const STAMP = 36;

/**
 * Lines this far apart, ms, and by so much further than those before, may have others between them that were not read.
 * Envoy writes its access log once a second or less often (`file_flush_interval_msec`), so stamps come in bunches.
 */
const LEAP_MS = 800;
const UNUSUAL = 3;
/** What was usual is forgotten by this share at each second. */
const FADING = 0.9;
/** Envoy's own interval is 10 s. */
const MOST_USUAL_MS = 12_000;
const MOST_LEAPS = 8;
/** So many seconds after a leap a file may be read again. */
const WATCH_SECONDS = 15;
/** At least so many lines are known again. */
const KNOWN_LINES = 20_000;

/** Two neighbouring lines between which others may be missing. */
export interface Leap {
  /** Their stamps, ms since the Unix epoch. */
  readonly from: number;
  readonly to: number;
  /** Lines a second before. */
  readonly perSecond: number;
}

/** A leap over the time in which a log was not open. */
export interface Hole extends Leap {
  /** As it was before: for what may yet be had of the log that was open then. */
  readonly before: ResumedLines;
}

/**
 * A log stream with time stamps (`timestamps=true`), cut into whole lines; where the stream was opened again, without the
 * lines that it repeats. The API cuts `sinceTime` to whole seconds (metav1.Time) and includes that second, so lines are
 * told apart by their stamps, nine decimals, and by how many shared one. Stamps of stdout and stderr may be out of order by
 * a little, so a whole second more than needed is asked for again.
 */
export class ResumedLines {
  readonly #maxLine: number;
  readonly #maxHeld: number;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Nanoseconds of the lines of each of the last two seconds. */
  #seen = new Map<number, number[]>();
  #second = -1;
  #nanos: number[] = [];
  #newest = -1;
  #first = NaN;
  #last = NaN;
  /** After `resume`: how often each stamp may come again, by second. */
  #repeats: Map<number, Map<number, number>> | null = null;
  #repeatsUntil = -1;
  #expectRepeat = false;
  #hole: Hole | null = null;
  #leaps: Leap[] = [];
  #perSecond = 0;
  #usualMs = 0;
  /** The next line is the first of another log, whenever it was written. */
  #anew = false;
  /** For a while after a leap, the lines since: by their hashes, those that were put in last and those before. */
  #known: [Set<number>, Set<number>] | null = null;
  #knowUntil = -1;
  /** The stamp of the line before, whether it was new or not. */
  #previous = NaN;
  /** A file that was read before is being read again from its beginning. */
  #again = false;
  /** The stamp that was read last, up to its second: many lines share it. */
  readonly #head = Buffer.alloc(TO_SECOND);
  #headSecond = -1;

  constructor(maxLine = DEFAULT_MAX_LINE) {
    this.#maxLine = maxLine;
    this.#maxHeld = maxLine + STAMP + 2;
  }

  /** The newest stamp, ms since the Unix epoch; NaN before the first line. */
  get last(): number {
    return this.#last;
  }

  /** The stamp of the first line. */
  get first(): number {
    return this.#first;
  }

  /** Lines a second of late, by their stamps. */
  get perSecond(): number {
    return this.#perSecond || this.#nanos.length;
  }

  /** The longest time between two lines, ms, that is usual of late. */
  get usualMs(): number {
    return this.#usualMs;
  }

  /** A leap turned out to be a pause: so long a one is usual. */
  paused({ from, to }: Leap): void {
    this.#usualMs = Math.min(MOST_USUAL_MS, Math.max(this.#usualMs, to - from));
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
    this.#expectRepeats();
    this.#expectRepeat = true;
  }

  #expectRepeats(): void {
    this.#repeatsUntil = this.#newest + 1;
    this.#repeats = new Map();
    for (const [second, nanos] of this.#seen) {
      if (second < this.#newest - 1) continue;
      const counts = new Map<number, number>();
      for (const nano of nanos) counts.set(nano, (counts.get(nano) ?? 0) + 1);
      this.#repeats.set(second, counts);
    }
  }

  /** Whether what was read is known to follow on what was read before. */
  get isContinuous(): boolean {
    return !this.#expectRepeat;
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
    this.#again = false;
    this.#anew = true;
  }

  /** Leaps within a stream that was open all the while: a pause of the writer, or a file that the reader behind the API missed. */
  takeLeaps(): readonly Leap[] {
    if (this.#leaps.length === 0) return [];
    const leaps = this.#leaps;
    this.#leaps = [];
    return leaps;
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
  #note(lines: Buffer): Buffer | null {
    for (let start = 0; start < lines.length; start = lines.indexOf(LF, start) + 1) {
      const second = this.#secondAt(lines, start);
      if (second < 0) continue;
      const nanos = nanosAt(lines, start);
      if (this.#beginsAgain(lines, start, second * 1000 + nanos / 1e6)) {
        const fresh = this.#fresh(lines.subarray(start));
        if (start === 0) return fresh;
        const before = lines.subarray(0, start);
        return fresh ? Buffer.concat([before, fresh]) : before;
      }
      this.#remember(second, nanos);
      if (this.#known) this.#know(hashOf(lines, start));
    }
    return lines;
  }

  /**
   * The kubelet's reader opens the live file for each file that it is told was made: where it was behind and leapt over
   * some, it reads the live one again for each of them (kubernetes cri-client pkg/logs/logs.go, waitLogs). So a line that
   * was seen before and is no later than the one before it begins a file again.
   */
  #beginsAgain(lines: Buffer, start: number, at: number): boolean {
    const isLater = at > this.#previous;
    this.#previous = at;
    // Where a log was opened again, lines come again without that.
    if (isLater || !this.#known || (this.#repeats && !this.#again)) return false;
    const hash = hashOf(lines, start);
    if (!this.#known.some((lines) => lines.has(hash))) return false;
    this.#again = true;
    this.#expectRepeats();
    return true;
  }

  #know(hash: number): void {
    const [last, before] = this.#known!;
    last.add(hash);
    if (last.size < KNOWN_LINES) return;
    before.clear();
    this.#known = [before, last];
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
        this.#beginsAgain(lines, start, second * 1000 + nanos / 1e6);
        if (this.#isRepeat(second, nanos)) cut(start, next);
        else if (this.#known) this.#know(hashOf(lines, start));
      }
      start = next;
    }
    cut(lines.length, lines.length);
    if (kept.length === 0) return null;
    return kept.length === 1 ? kept[0]! : Buffer.concat(kept);
  }

  /** Whether a line was seen before; one that was not is remembered. */
  #isRepeat(second: number, nanos: number): boolean {
    // Older than all whose stamps are kept.
    if (this.#again && second < this.#newest - 1) return true;
    const counts = this.#repeats?.get(second);
    const left = counts?.get(nanos) ?? 0;
    if (left > 0) {
      counts!.set(nanos, left - 1);
      this.#expectRepeat = false;
      return true;
    }
    if (this.#expectRepeat) {
      this.#expectRepeat = false;
      const at = second * 1000 + nanos / 1e6;
      this.#hole = { from: this.#last, to: at, perSecond: this.perSecond, before: this.#copy() };
      // Told as a hole, and not as a leap too.
      this.#last = Math.max(this.#last, at);
    }
    // Behind all that can come again.
    if (second > this.#repeatsUntil) {
      this.#repeats = null;
      this.#again = false;
    }
    this.#remember(second, nanos);
    return false;
  }

  #copy(): ResumedLines {
    const copy = new ResumedLines(this.#maxLine);
    copy.#seen = new Map([...this.#seen].map(([second, nanos]) => [second, [...nanos]]));
    copy.#newest = this.#newest;
    copy.#last = this.#last;
    copy.#perSecond = this.#perSecond;
    copy.resume();
    return copy;
  }

  #remember(second: number, nanos: number): void {
    const at = second * 1000 + nanos / 1e6;
    const pause = at - this.#last;
    if (this.#anew) this.#anew = false;
    else if (pause > this.#usualMs) this.#pause(second, at);
    if (second !== this.#second) this.#turnTo(second);
    this.#nanos.push(nanos);
    if (!(at <= this.#last)) {
      if (Number.isNaN(this.#last)) this.#first = at;
      this.#last = at;
    }
  }

  /** A line behind a pause that is longer than usual. */
  #pause(second: number, at: number): void {
    const pause = at - this.#last;
    if (pause < Math.max(LEAP_MS, this.#usualMs * UNUSUAL)) {
      this.#usualMs = Math.min(MOST_USUAL_MS, pause);
      return;
    }
    this.#known ??= [new Set(), new Set()];
    this.#knowUntil = second + WATCH_SECONDS;
    if (this.#leaps.length < MOST_LEAPS) {
      this.#leaps.push({ from: this.#last, to: at, perSecond: this.perSecond });
    }
  }

  #turnTo(second: number): void {
    const finished = this.#nanos.length;
    let list = this.#seen.get(second);
    if (!list) this.#seen.set(second, (list = []));
    this.#second = second;
    this.#nanos = list;
    if (second <= this.#newest) return;
    // The first second was hardly a whole one.
    if (second === this.#newest + 1 && this.#newest > Math.floor(this.#first / 1000)) {
      this.#perSecond = this.#perSecond === 0 ? finished : (this.#perSecond * 3 + finished) / 4;
    }
    this.#newest = second;
    for (const old of this.#seen.keys()) if (old < second - 1) this.#seen.delete(old);
    if (second > this.#knowUntil) this.#known = null;
    this.#usualMs *= FADING;
  }

  /** Seconds since the epoch of the stamp that a line begins with; -1 where it has none. */
  #secondAt(bytes: Buffer, start: number): number {
    const head = this.#head;
    const whole = bytes[start + WHOLE - 1] === UPPER_Z && bytes[start + WHOLE] === SPACE;
    if (whole && this.#headSecond >= 0) {
      let at = TO_SECOND - 1;
      while (at >= 0 && bytes[start + at] === head[at]) at--;
      if (at < 0 && bytes[start + TO_SECOND] === DOT) return this.#headSecond;
    }
    const limit = Math.min(bytes.length, start + STAMP);
    let end = start + 20;
    while (end < limit && bytes[end] !== SPACE && bytes[end] !== LF) end++;
    const ms = parseTime(bytes, start, end);
    if (Number.isNaN(ms)) return -1;
    // Nanoseconds do not fit in a double of this size: the fraction may have been rounded up to the next second.
    const second = Math.round((ms - nanosAt(bytes, start) / 1e6) / 1000);
    if (whole) {
      bytes.copy(head, 0, start, start + TO_SECOND);
      this.#headSecond = second;
    }
    return second;
  }
}

/** FNV-1a of a line with its stamp. */
function hashOf(bytes: Buffer, start: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < bytes.length && bytes[at] !== LF; at++) {
    hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  }
  return hash;
}

/** The decimals behind the seconds of the stamp at `start`, as nanoseconds. */
function nanosAt(bytes: Buffer, start: number): number {
  if (bytes[start + TO_SECOND] !== DOT) return 0;
  const stop = start + WHOLE - 1;
  let value = 0;
  let at = start + TO_SECOND + 1;
  for (; at < stop; at++) {
    const digit = bytes[at]! - ZERO;
    if (!(digit >= 0 && digit <= 9)) break;
    value = value * 10 + digit;
  }
  for (; at < stop; at++) value *= 10;
  return value;
}
