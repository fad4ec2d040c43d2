import type { FieldName } from '../record/access-record.js';
import { Dictionary, Translated, type PackedDictionary } from '../record/dictionary.js';
import { ABSENT, NULL } from '../record/span.js';
import type { AnsweredBy, Outcome } from './failure.js';
import { FROM_ELSEWHERE, FROM_OWN_POD } from './role.js';

/*
 * Kept lines in columns: texts by their number in a dictionary, figures as floats. A row is an index.
 */

/** Columns of text; the first ones are fields as they were logged. */
export const enum Text {
  method,
  path,
  protocol,
  flags,
  details,
  termination,
  transportFailure,
  userAgent,
  authority,
  upstreamHost,
  upstreamLocal,
  downstreamLocal,
  downstreamRemote,
  serverName,
  route,
  requestId,
  format,
  proxy,
  pod,
  file,
  cluster,
  direction,
  error,
  service,
  sourceWorkload,
  targetWorkload,
  sourceIdentity,
}
export const TEXT_COLUMNS = 27;
/** The fields of the first columns. */
export const FIELDS = [
  'method',
  'path',
  'protocol',
  'response_flags',
  'response_code_details',
  'connection_termination_details',
  'upstream_transport_failure_reason',
  'user_agent',
  'authority',
  'upstream_host',
  'upstream_local_address',
  'downstream_local_address',
  'downstream_remote_address',
  'requested_server_name',
  'route_name',
  'request_id',
] as const satisfies readonly FieldName[];

export const enum Figure {
  time,
  duration,
  serviceTime,
  received,
  sent,
  code,
  line,
  bits,
  hash,
  share,
  cell,
}
const FIGURE_COLUMNS = 11;

export const ANSWERERS = ['peer', 'proxy', 'unknown'] as const satisfies readonly AnsweredBy[];
export const FAILURE = 4;
export const HTTP = 8;
export const APP_4XX = 16;
export const TUNNEL = 32;
/** ztunnel stamps a line when the connection is over (ztunnel src/proxy/metrics.rs: it is written as the result is recorded). */
export const STAMPED_AT_END = 256;

/** What is said of a line. */
export interface Said {
  readonly outcome: Outcome;
  /** With which lines it is counted. */
  readonly cell: number;
  /** Whether the call came from the proxy's own pod; `null` where the line does not say. */
  readonly fromOwnPod: boolean | null;
}

/** The same as the figure `bits`. */
export const bitsOf = (
  {
    outcome: { answeredBy, failure, http, app4xx, tunnel },
    fromOwnPod,
  }: Pick<Said, 'outcome' | 'fromOwnPod'>,
  format: string,
): number =>
  ANSWERERS.indexOf(answeredBy) |
  (failure ? FAILURE : 0) |
  (http ? HTTP : 0) |
  (app4xx ? APP_4XX : 0) |
  (tunnel ? TUNNEL : 0) |
  (format.startsWith('ztunnel') ? STAMPED_AT_END : 0) |
  (fromOwnPod === null ? 0 : fromOwnPod ? FROM_OWN_POD : FROM_ELSEWHERE);

/** What lines of a kind have in common: ids of texts in the columns where they are kept, and figures. */
export interface RowsKind {
  readonly ids: Int32Array;
  readonly code: number;
  readonly bits: number;
}

/** A line that was read and judged by somebody else. Figures as in `Figure`. */
export interface RowRead {
  readonly time: number;
  readonly duration: number;
  readonly serviceTime: number;
  readonly received: number;
  readonly sent: number;
  readonly hash: number;
  readonly cell: number;
  readonly bytes: Uint8Array;
  readonly start: number;
  /** From `spansAt` on, where texts begin and end behind `start`; both 0 for null, 1 and 0 for what is absent. */
  readonly spans: Uint32Array;
  readonly spansAt: number;
}

/** Texts of one column; what is derived of a text is worked out once, not once for each row that has it. */
class TextColumn {
  ids = new Int32Array(FEWEST_ROWS);
  dictionary = new Dictionary();
  #derived: unknown[] = [];
  /** The text that was put in last, and its id: streams seldom change. */
  #last: string | null | undefined;
  #lastId = ABSENT;

  put(row: number, text: string | null | undefined): void {
    this.ids[row] = this.idOf(text);
  }

  idOf(text: string | null | undefined): number {
    if (text !== this.#last) {
      this.#last = text;
      this.#lastId = text === null ? NULL : text === undefined ? ABSENT : this.dictionary.idOfText(text);
    }
    return this.#lastId;
  }

  text(row: number): string | null {
    return this.dictionary.text(this.ids[row]!);
  }

  /** One thing that follows from a text, `null` where there is none; always the same of one column. */
  derived<T>(row: number, compute: (text: string) => T): T | null {
    const id = this.ids[row]!;
    if (id < 0) return null;
    return ((this.#derived[id] as T | undefined) ??= compute(this.dictionary.text(id)!));
  }

  #forget(): void {
    this.#derived = [];
    this.#last = undefined;
    this.#lastId = ABSENT;
  }

  /** Forgets texts that no row has, where they are too many; whether others have new numbers by it. */
  sweep(rows: number): boolean {
    const old = this.dictionary;
    if (old.size <= 2 * rows + FEWEST_ROWS) return false;
    this.dictionary = new Dictionary();
    this.#forget();
    for (let row = 0; row < rows; row++) this.ids[row] = this.dictionary.idFrom(old, this.ids[row]!);
    return true;
  }
}

const FEWEST_ROWS = 1024;

/** What a line's number in a part is in its whole source. */
export type Place = (line: number) => number;

/** Columns as they cross to another thread. */
export interface PackedColumns {
  readonly figures: readonly Float64Array[];
  readonly ids: readonly Int32Array[];
  readonly dictionaries: readonly PackedDictionary[];
}

/** Growing columns; a row is an index. */
export class Columns {
  /** Changes when texts get other numbers: what `kindOf` gave before is of no use then. */
  numbering = 0;
  length = 0;
  #capacity = FEWEST_ROWS;
  readonly texts: readonly TextColumn[] = Array.from({ length: TEXT_COLUMNS }, () => new TextColumn());
  readonly figures: Float64Array[] = Array.from(
    { length: FIGURE_COLUMNS },
    () => new Float64Array(FEWEST_ROWS),
  );

  push(): number {
    if (this.length === this.#capacity) this.#grow();
    return this.length++;
  }

  /** Texts that lines of a kind have in common, by column; others are absent. */
  kindOf(
    texts: readonly (readonly [Text, string | null | undefined])[],
    code: number,
    bits: number,
  ): RowsKind {
    const ids = new Int32Array(TEXT_COLUMNS).fill(ABSENT);
    for (const [column, text] of texts) ids[column] = this.texts[column]!.idOf(text);
    return { ids, code, bits };
  }

  /**
   * A row of a line that was read.
   * @param kind of these columns
   * @param number the line's
   * @param own the columns that it has texts of its own for, in the order of its spans
   */
  pushRead(kind: RowsKind, line: RowRead, number: number, own: readonly Text[], share: number): void {
    const row = this.push();
    const { figures, texts } = this;
    figures[Figure.time]![row] = line.time;
    figures[Figure.duration]![row] = line.duration;
    figures[Figure.serviceTime]![row] = line.serviceTime;
    figures[Figure.received]![row] = line.received;
    figures[Figure.sent]![row] = line.sent;
    figures[Figure.code]![row] = kind.code;
    figures[Figure.line]![row] = number;
    figures[Figure.hash]![row] = line.hash;
    figures[Figure.share]![row] = share;
    figures[Figure.cell]![row] = line.cell;
    figures[Figure.bits]![row] = kind.bits;
    for (let column = 0; column < TEXT_COLUMNS; column++) texts[column]!.ids[row] = kind.ids[column]!;
    const { bytes, start, spans, spansAt } = line;
    for (let i = 0; i < own.length; i++) {
      const { ids, dictionary } = texts[own[i]!]!;
      const from = spans[spansAt + 2 * i]!;
      const to = spans[spansAt + 2 * i + 1]!;
      if (to === 0) ids[row] = from === 0 ? NULL : ABSENT;
      else ids[row] = dictionary.idOfBytes(bytes, start + from, start + to);
    }
  }

  pack(): PackedColumns {
    return {
      figures: this.figures.map((figures) => figures.slice(0, this.length)),
      ids: this.texts.map(({ ids }) => ids.slice(0, this.length)),
      dictionaries: this.texts.map(({ dictionary }) => dictionary.pack()),
    };
  }

  /** Takes over rows of another table. @param cells what the other's cells are here */
  append(other: PackedColumns, keeps: (row: number) => boolean, place: Place, cells: Int32Array): void {
    const from = this.length;
    const rows = other.figures[0]!.length;
    const kept: number[] = [];
    for (let row = 0; row < rows; row++) if (keeps(row)) kept.push(row);
    const cellHere = (cell: number): number => cells[cell]!;
    const asItIs = (figure: number): number => figure;
    for (let i = 0; i < kept.length; i++) this.push();
    for (let i = 0; i < FIGURE_COLUMNS; i++) {
      const moved = i === Number(Figure.line) ? place : i === Number(Figure.cell) ? cellHere : asItIs;
      for (let at = 0; at < kept.length; at++) {
        this.figures[i]![from + at] = moved(other.figures[i]![kept[at]!]!);
      }
    }
    for (let i = 0; i < TEXT_COLUMNS; i++) {
      const theirs = new Translated(other.dictionaries[i]!);
      const { ids, dictionary } = this.texts[i]!;
      for (let at = 0; at < kept.length; at++) {
        ids[from + at] = theirs.idIn(dictionary, other.ids[i]![kept[at]!]!);
      }
    }
  }

  /** Keeps only those rows, in their order. */
  retain(keeps: (row: number) => boolean): void {
    let kept = 0;
    for (let row = 0; row < this.length; row++) {
      if (!keeps(row)) continue;
      if (kept < row) {
        for (const figures of this.figures) figures[kept] = figures[row]!;
        for (const { ids } of this.texts) ids[kept] = ids[row]!;
      }
      kept++;
    }
    this.length = kept;
    for (const column of this.texts) if (column.sweep(kept)) this.numbering++;
  }

  #grow(): void {
    this.#capacity *= 2;
    for (let i = 0; i < FIGURE_COLUMNS; i++) {
      const wider = new Float64Array(this.#capacity);
      wider.set(this.figures[i]!);
      this.figures[i] = wider;
    }
    for (const column of this.texts) {
      const wider = new Int32Array(this.#capacity);
      wider.set(column.ids);
      column.ids = wider;
    }
  }
}
