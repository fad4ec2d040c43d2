import { Dictionary, Translated, type PackedDictionary } from '../record/dictionary.js';
import type { Span } from '../record/span.js';
import { Pairs } from './pairs.js';
import { PathTemplates } from './path-template.js';
import { nthOf } from './sorted.js';

/*
 * What takes many values, upstream hosts and downstream peers and the like, is counted by cell: lines that share what they
 * are counted against. Lines that come one by one add to pairs of cell and value. Who has counted many lines adds a run of
 * values with their counts, which is kept as it came: runs are added up when somebody asks, and move to another thread
 * or into another tally without a search for each value.
 */

/** What is counted by cell. */
export const PAIRED = ['upstream_host', 'downstream_peer', 'path', 'user_agent'] as const;
const PATH = PAIRED.indexOf('path');
/** Durations in ms, and those that are no whole number. */
export const DURATION = PAIRED.length;
const ODD_DURATION = DURATION + 1;
const KINDS_SHIFT = 3;
const KIND_MASK = (1 << KINDS_SHIFT) - 1;

const MOST_VALUES = 600_000;
/** Values of one kind that a cell keeps when there are too many: the heaviest. */
const KEPT_VALUES = 2048;
/** What stays of a cell's values, and of its durations. */
interface Level {
  readonly kept: number;
  readonly digits: number;
}
/** Each for where too many stay with the one before; with the last no cell has more than a few. */
const LEVELS: readonly Level[] = [
  { kept: KEPT_VALUES, digits: 3 },
  { kept: 512, digits: 2 },
  { kept: 128, digits: 2 },
  { kept: 32, digits: 1 },
  { kept: 8, digits: 1 },
  { kept: 2, digits: 0 },
  { kept: 0, digits: 0 },
];
/** The id under which those that were not kept are counted. */
const UNKEPT = -4;

/** Values of one kind of one cell by their ids, and how often each was met. */
interface Run {
  readonly cellAndKind: number;
  readonly ids: Int32Array;
  readonly counts: Float64Array;
}

/**
 * Told of values of a cell and how often each was met; one may come more than once. Kind `DURATION` has ms, the others ids:
 * below 0 those of values that were not kept.
 */
export type VisitRun = (
  cell: number,
  kind: number,
  values: Int32Array | Float64Array,
  counts: Float64Array,
) => void;

/** As they cross to another thread. */
export interface PackedCellValues {
  readonly texts: readonly PackedDictionary[];
  readonly oddDurations: PackedDictionary;
  /** Of each run its cell and kind, and how many of the values that follow are its own. */
  readonly runs: Int32Array;
  readonly ids: Int32Array;
  readonly counts: Float64Array;
}

export class CellValues {
  #texts: Dictionary[] = PAIRED.map(() => new Dictionary());
  #oddDurations = new Dictionary();
  #pairs = new Pairs();
  #runs: Run[] = [];
  #inRuns = 0;
  /** How many values of a run are taken. */
  #most = Infinity;
  readonly #templates = new PathTemplates();

  /** @param kind its place in `PAIRED` */
  add(cell: number, kind: number, value: Span): void {
    this.#pairs.add((cell << KINDS_SHIFT) | kind, this.#texts[kind]!.idOf(value), 1);
  }

  /** A path, counted by its template. */
  addPath(cell: number, path: Span): void {
    this.#pairs.add((cell << KINDS_SHIFT) | PATH, this.#templates.idIn(this.#texts[PATH]!, path), 1);
  }

  addDuration(cell: number, ms: number): void {
    if (ms >= 0 && ms < 0x7fff_ffff && ms === Math.trunc(ms)) {
      this.#pairs.add((cell << KINDS_SHIFT) | DURATION, ms, 1);
    } else {
      const id = this.#oddDurations.idOfText(String(ms));
      this.#pairs.add((cell << KINDS_SHIFT) | ODD_DURATION, id, 1);
    }
  }

  /** The id of a value in `addRun`, until `shed`. @param kind its place in `PAIRED` @param hash `hashBytes` of it */
  idOf(kind: number, bytes: Uint8Array, start: number, end: number, hash: number): number {
    return this.#texts[kind]!.idOfHashed(bytes, start, end, hash);
  }

  /** So many values of all runs are to come; where those are too many, only the heaviest of each run stay. */
  expect(more: number): void {
    if (this.#size + more > MOST_VALUES) this.#fold();
    this.#most = this.#size + more > MOST_VALUES ? KEPT_VALUES : Infinity;
  }

  /**
   * Values of a cell by their ids, as often as each was met; the arrays are kept.
   * @param kind its place in `PAIRED`, or `DURATION`, whose ids are whole ms
   */
  addRun(cell: number, kind: number, ids: Int32Array, counts: Float64Array): void {
    const cellAndKind = (cell << KINDS_SHIFT) | kind;
    if (kind >= DURATION) return this.#push({ cellAndKind, ids, counts });
    const texts = this.#texts[kind]!;
    this.#push(lightened({ cellAndKind, ids, counts }, this.#most, (id) => texts.hash(id)));
  }

  #push(run: Run): void {
    this.#runs.push(run);
    this.#inRuns += run.ids.length;
  }

  get #size(): number {
    return this.#pairs.size + this.#inRuns;
  }

  /** Adds the runs to the pairs: a value of several counts once. */
  #fold(): void {
    for (const { cellAndKind, ids, counts } of this.#runs) {
      for (let i = 0; i < ids.length; i++) this.#pairs.add(cellAndKind, ids[i]!, counts[i]!);
    }
    this.#runs = [];
    this.#inRuns = 0;
  }

  /** Too many values: of each cell the heaviest stay, the others are counted together. Durations lose their last digits. */
  shed(): void {
    if (this.#size > MOST_VALUES) this.#fold();
    if (this.#size > MOST_VALUES) {
      for (const level of LEVELS) if (this.#size * 2 > MOST_VALUES) this.#shedTo(level);
    } else if (this.#most < Infinity) this.#sweep();
  }

  /** Lets go of the texts of values that did not stay, where they are too many. */
  #sweep(): void {
    if (this.#texts.reduce((sum, { size }) => sum + size, 0) <= 2 * MOST_VALUES) return;
    this.#fold();
    this.#rebuild((run) => run);
  }

  #shedTo({ kept, digits }: Level): void {
    const odd = this.#oddDurations;
    this.#oddDurations = new Dictionary();
    this.#rebuild((run, texts) => {
      const { cellAndKind, ids } = run;
      if (texts) return lightened(run, kept, (id) => texts.hash(id));
      const isOdd = (cellAndKind & KIND_MASK) === ODD_DURATION;
      return {
        cellAndKind: (cellAndKind & ~KIND_MASK) | DURATION,
        ids: ids.map((id) => coarse(isOdd ? Number(odd.text(id)) : id, digits)),
        counts: run.counts,
      };
    });
  }

  /** Makes all pairs anew of what is made of each run, which has texts unless it is one of durations. */
  #rebuild(made: (run: Run, texts: Dictionary | undefined) => Run): void {
    const old = this.#texts;
    const runs = this.#pairs.byFirst();
    this.#pairs = new Pairs();
    this.#texts = PAIRED.map(() => new Dictionary());
    for (const [first, { seconds, counts }] of runs) {
      const kind = first & KIND_MASK;
      const texts = old[kind];
      const run = made({ cellAndKind: first, ids: seconds, counts }, texts);
      for (const [i, id] of run.ids.entries()) {
        const here = texts ? this.#texts[kind]!.idFrom(texts, id) : id;
        this.#pairs.add(run.cellAndKind, here, run.counts[i]!);
      }
    }
  }

  #allRuns(): readonly Run[] {
    const ofPairs = [...this.#pairs.byFirst()].map(([cellAndKind, { seconds, counts }]): Run => ({
      cellAndKind,
      ids: seconds,
      counts,
    }));
    return [...ofPairs, ...this.#runs];
  }

  pack(): PackedCellValues {
    const runs = this.#allRuns();
    const ids = new Int32Array(this.#size);
    const counts = new Float64Array(this.#size);
    let at = 0;
    for (const run of runs) {
      ids.set(run.ids, at);
      counts.set(run.counts, at);
      at += run.ids.length;
    }
    return {
      texts: this.#texts.map((texts) => texts.pack()),
      oddDurations: this.#oddDurations.pack(),
      runs: Int32Array.from(runs.flatMap(({ cellAndKind, ids: { length } }) => [cellAndKind, length])),
      ids,
      counts,
    };
  }

  /** Takes over what others counted, and its memory. @param cells what their cells are here */
  merge(other: PackedCellValues, cells: Int32Array): void {
    const texts = other.texts.map((packed) => new Translated(packed));
    const odd = new Translated(other.oddDurations);
    let from = 0;
    for (let run = 0; run < other.runs.length; run += 2) {
      const theirs = other.runs[run]!;
      const to = from + other.runs[run + 1]!;
      const kind = theirs & KIND_MASK;
      const cellAndKind = (cells[theirs >> KINDS_SHIFT]! << KINDS_SHIFT) | kind;
      const ids = other.ids.subarray(from, to);
      if (kind < DURATION) texts[kind]!.translate(ids, this.#texts[kind]!);
      else if (kind === ODD_DURATION) odd.translate(ids, this.#oddDurations);
      this.#push({ cellAndKind, ids, counts: other.counts.subarray(from, to) });
      from = to;
    }
    this.shed();
  }

  forEachRun(visit: VisitRun): void {
    for (const { cellAndKind, ids, counts } of this.#allRuns()) {
      const cell = cellAndKind >> KINDS_SHIFT;
      const kind = cellAndKind & KIND_MASK;
      if (kind !== ODD_DURATION) visit(cell, kind, ids, counts);
      else {
        const ms = Float64Array.from(ids, (id) => Number(this.#oddDurations.text(id)));
        visit(cell, DURATION, ms, counts);
      }
    }
  }

  /** One past the greatest id. @param kind its place in `PAIRED` */
  size(kind: number): number {
    return this.#texts[kind]!.size;
  }

  /** @param kind its place in `PAIRED` */
  text(kind: number, id: number): string {
    return this.#texts[kind]!.text(id)!;
  }
}

/** A run with no more than so many values; the others are counted together. It takes the place of the one that was given. */
function lightened(run: Run, most: number, hash: (id: number) => number): Run {
  const { cellAndKind, ids, counts } = run;
  if (ids.length <= most) return run;
  const stays = heaviest(counts, most, (i) => hash(ids[i]!));
  let length = 0;
  let others = 0;
  const put = (id: number, count: number): void => {
    ids[length] = id;
    counts[length++] = count;
  };
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] !== UNKEPT && stays(i)) put(ids[i]!, counts[i]!);
    else others += counts[i]!;
  }
  if (length < ids.length) put(UNKEPT, others);
  return { cellAndKind, ids: ids.slice(0, length), counts: counts.slice(0, length) };
}

/** Which of some counts are among the so many heaviest; of equals those with the lesser hash are, whichever came first. */
function heaviest(counts: Float64Array, many: number, hash: (i: number) => number): (i: number) => boolean {
  if (many === 0) return () => false;
  const scratch = counts.slice();
  const least = nthOf(scratch, counts.length - many);
  let above = 0;
  let equals = 0;
  for (let i = 0; i < counts.length; i++) {
    if (counts[i]! > least) above++;
    else if (counts[i] === least) scratch[equals++] = hash(i);
  }
  const last = nthOf(scratch.subarray(0, equals), many - above - 1);
  return (i) => counts[i]! > least || (counts[i] === least && hash(i) <= last);
}

/** The first digits of a number, with three 1% apart at most; without any, the power of ten below it. */
function coarse(ms: number, digits: number): number {
  const whole = Math.min(0x7fff_fffe, Math.max(0, Math.round(ms)));
  if (whole < 10 ** digits) return whole;
  const power = 10 ** Math.floor(Math.log10(whole));
  if (digits === 0) return power;
  const unit = power / 10 ** (digits - 1);
  return Math.floor(whole / unit) * unit;
}
