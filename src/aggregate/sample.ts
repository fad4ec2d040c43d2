import { Span } from '../record/span.js';
import type { Clocks } from './clocks.js';
import { Columns, Figure, Text, type PackedColumns, type Place } from './columns.js';
import { hashOfId, hashOfLone } from './line-hash.js';
import { KIND_TEXTS, Row, SharedKind } from './row.js';
import { LineCounts, Strata, type CellLines, type PackedStrata } from './strata.js';
import { Table } from './table.js';

/** An id that more kept lines carry is nobody's request: its lines are sampled one by one. */
export const MOST_OF_ONE_ID = 500;

/** With so many times the room that is taken, more may be kept. */
const ROOM = 4;

/** A sample as it crosses to another thread. */
export interface PackedSample {
  readonly strata: PackedStrata;
  readonly shared: readonly number[];
  readonly columns: PackedColumns;
}

const SPAN = new Span();
const LONE = [Figure.time, Figure.duration, Figure.sent] as const;

/** The stream that a kept line stands in. */
const placeAt = (columns: Columns, row: number): string =>
  columns.texts[Text.file]!.text(row) ?? columns.texts[Text.pod]!.text(row) ?? '';

/** Rows of one kind: all while they are few, then those that `Strata` keeps. */
export class Sample {
  readonly columns = new Columns();
  /** Of what comes now; a row knows the share that it was kept of. */
  readonly strata = new Strata();

  /** Ids, and connections of lines without one, that turned out to be on too many lines, by their hash. */
  readonly shared = new Set<number>();

  /** @param limit how many rows are kept at most; may become less */
  constructor(public limit: number) {}

  /** Where there are too many lets some go. */
  trim(): void {
    if (this.columns.length > this.limit) this.settle();
  }

  /** Keeps what would be kept if all had been known from the beginning. */
  settle(): void {
    this.fit(this.weigh());
  }

  /** Keeps no more than may be of some lines, its own or others that go by the same strata. */
  fit(counts: LineCounts<number>): void {
    this.strata.fitCounts(counts, this.limit);
    this.#drop();
  }

  /** Which lines are kept. */
  weigh(): LineCounts<number> {
    this.#scatter();
    const counts = new LineCounts<number>();
    const { figures, length } = this.columns;
    const [hashes, cells] = [figures[Figure.hash]!, figures[Figure.cell]!];
    for (let row = 0; row < length; row++) counts.add(cells[row]!, hashes[row]!);
    return counts;
  }

  /**
   * Keeps no more than it may keep together with others.
   * @param lines of all of them
   * @param known the most zeros that any of them asks
   * @param cellOf where it has lines of that cell
   */
  thin(
    lines: readonly CellLines<string>[],
    known: number,
    cellOf: (name: string) => number | undefined,
  ): void {
    this.strata.fit(LineCounts.sumOf(lines), this.limit, cellOf, known);
    this.#drop();
  }

  pack(): PackedSample {
    return { strata: this.strata.pack(), shared: [...this.shared], columns: this.columns.pack() };
  }

  merge({ strata, shared, columns }: PackedSample, place: Place, cells: Int32Array): void {
    this.strata.merge(strata, cells);
    for (const id of shared) this.shared.add(id);
    this.#scatter();
    this.#drop();
    const hashes = columns.figures[Figure.hash]!;
    const cellsThere = columns.figures[Figure.cell]!;
    const keeps = (row: number): boolean => this.strata.keeps(cells[cellsThere[row]!]!, hashes[row]!);
    this.columns.append(columns, keeps, place, cells);
    this.#thin();
    this.trim();
  }

  /**
   * Lets go of what ended before a time, ms since the epoch. Where much room came free by it, a larger share of what comes
   * is kept again.
   */
  forget(before: number): void {
    const [times, durations] = [Figure.time, Figure.duration].map((figure) => this.columns.figures[figure]!);
    this.columns.retain((row) => !(times![row]! + (durations![row]! || 0) < before));
    if (!this.strata.isWhole && this.columns.length * ROOM < this.limit) this.strata.relax();
  }

  /** Lines of an id, or a connection, that far too many carry would stay or go all at once: from now on each for itself. */
  #scatter(): void {
    const { columns, shared } = this;
    const { ids, dictionary } = columns.texts[Text.requestId]!;
    const hashes = columns.figures[Figure.hash]!;
    const counts = new Int32Array(dictionary.size);
    const withoutId = new Map<number, number>();
    for (let row = 0; row < columns.length; row++) {
      if (ids[row]! >= 0) counts[ids[row]!]!++;
      else withoutId.set(hashes[row]!, (withoutId.get(hashes[row]!) ?? 0) + 1);
    }
    for (const [hash, count] of withoutId) if (count > MOST_OF_ONE_ID) shared.add(hash);
    if (shared.size === 0 && !counts.some((count) => count > MOST_OF_ONE_ID)) return;
    const many = new Set<number>();
    for (const [id, count] of counts.entries()) {
      if (count === 0) continue;
      SPAN.set(dictionary.text(id)!);
      const key = hashOfId(SPAN);
      if (count > MOST_OF_ONE_ID) shared.add(key);
      if (shared.has(key)) many.add(id);
    }
    for (let row = 0; row < columns.length; row++) {
      if (!(ids[row]! >= 0 ? many.has(ids[row]!) : shared.has(hashes[row]!))) continue;
      SPAN.set(placeAt(columns, row));
      const [time, duration, sent] = LONE.map((figure) => columns.figures[figure]![row]!);
      hashes[row] = hashOfLone(SPAN, time!, duration!, sent!);
    }
  }

  /** Lets go of what its strata do not keep. */
  #drop(): void {
    const { figures } = this.columns;
    const [hashes, cells] = [figures[Figure.hash]!, figures[Figure.cell]!];
    this.columns.retain((row) => this.strata.keeps(cells[row]!, hashes[row]!));
    this.#thin();
  }

  #thin(): void {
    const { figures, length } = this.columns;
    const [shares, cells] = [figures[Figure.share]!, figures[Figure.cell]!];
    for (let row = 0; row < length; row++) {
      shares[row] = Math.min(shares[row]!, this.strata.shareOf(cells[row]!));
    }
  }

  /**
   * What each line stands for: those of a cell together for all lines of it, where it is known how many there were.
   * @param lines by cell
   */
  weights(lines: Float64Array): Float64Array {
    const { figures, length } = this.columns;
    const shares = figures[Figure.share]!;
    const cells = figures[Figure.cell]!;
    const inOrder = [cells, figures[Figure.hash]!, figures[Figure.time]!, figures[Figure.line]!];
    const weights = new Float64Array(length);
    const sampled: number[] = [];
    const kept = new Float64Array(lines.length);
    for (let row = 0; row < length; row++) {
      weights[row] = 1 / shares[row]!;
      if (!(lines[cells[row]!]! > 0)) continue;
      kept[cells[row]!]!++;
      if (shares[row]! < 1) sampled.push(row);
    }
    // What does not divide evenly goes to the first by hash, whatever order they came in.
    sampled.sort((a, b) => {
      const by = inOrder.find((of) => of[a] !== of[b]);
      return by ? by[a]! - by[b]! : 0;
    });
    for (let i = 0, rank = 0; i < sampled.length; i++) {
      const row = sampled[i]!;
      const cell = cells[row]!;
      rank = i > 0 && cells[sampled[i - 1]!] === cell ? rank + 1 : 0;
      const each = Math.floor(lines[cell]! / kept[cell]!);
      weights[row] = Math.max(1, each + Number(rank < lines[cell]! % kept[cell]!));
    }
    return weights;
  }

  /** Calls the proxies of its lines by other names. @param at where those stand among the names */
  callProxies(names: readonly string[], at: number): void {
    for (let row = 0; row < this.columns.length; row++) {
      this.columns.texts[Text.proxy]!.put(row, names[at + row]);
    }
  }

  /** Its lines, each with what it stands for. @param clocks by which their times are corrected */
  addRowsTo(rows: Row[], clocks: Clocks, weights: Float64Array): void {
    const { columns } = this;
    const texts = KIND_TEXTS.map((column) => columns.texts[column]!.ids);
    const codes = columns.figures[Figure.code]!;
    const bits = columns.figures[Figure.bits]!;
    const key = new Int32Array(KIND_TEXTS.length + 2);
    const table = new Table(key.length);
    const kinds: SharedKind[] = [];
    for (let row = 0; row < columns.length; row++) {
      let place = 0;
      for (const ids of texts) key[place++] = ids[row]!;
      // A code that was not logged is not 0.
      key[place++] = codes[row]! >= 0 ? codes[row]! : -1;
      key[place] = bits[row]!;
      const kind = table.add(key, 1);
      if (kind === kinds.length) kinds.push(new SharedKind(columns, row, clocks));
      rows.push(new Row(kinds[kind]!, row, weights[row]!));
    }
  }
}
