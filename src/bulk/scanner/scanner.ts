import type { FieldName } from '../../record/access-record.js';
import { MODULE } from './module.js';

/** Who takes what the scanner finds. Places are offsets in `Scanner.input`, valid during the call. */
export interface Host {
  /** The first line of a kind: what all of its kind are counted as; `null` where each is to be handed over. */
  readonly met: (start: number, end: number, stream: number) => KindOfLine | null;
  /** Names in front of a line that are new in a source: whose such lines are; `null` where they are to be handed over. */
  readonly prefix: (start: number, end: number) => Stream | null;
  /** A line of JSON with keys in an order that is new: their members; `null` where such lines are to be handed over. */
  readonly layout: (start: number, end: number) => readonly Member[] | null;
  /** A line that the scanner does not read. */
  readonly other: (start: number, end: number) => void;
  /** A line that it counted and that is to be kept, and for which it has no room. */
  readonly keep: (start: number, end: number, hash: number, cell: number, stream: number) => void;
  /** Too many lines are kept: to be told by `thin` which are not, or taken. */
  readonly full: (failing: boolean) => void;
  /** ms since the Unix epoch; `NaN` for no time. */
  readonly timeOf: (start: number, end: number) => number;
}

/** Whose lines are. */
export interface Stream {
  readonly number: number;
  /** By which its lines are kept that name no connection. */
  readonly hash: number;
}

/** A key of an object, with its quotes and colon, and the field that it is; `null` for one that does not count. */
export interface Member {
  readonly start: number;
  readonly end: number;
  readonly field: FieldName | null;
}

/** The fields that count, in the order of their numbers in json.h. */
const FIELDS: readonly FieldName[] = [
  'start_time',
  'method',
  'path',
  'protocol',
  'response_code',
  'response_flags',
  'response_code_details',
  'connection_termination_details',
  'upstream_transport_failure_reason',
  'bytes_received',
  'bytes_sent',
  'duration',
  'upstream_service_time',
  'user_agent',
  'request_id',
  'authority',
  'upstream_host',
  'upstream_cluster',
  'upstream_local_address',
  'downstream_local_address',
  'downstream_remote_address',
  'requested_server_name',
  'route_name',
];

/** What is done with lines of one kind. */
export interface KindOfLine {
  /** What it is called where its lines are kept. */
  readonly name: number;
  /** By whom their values are counted; below `MOST_CELLS`. */
  readonly cell: number;
  readonly failing: boolean;
  /** Their durations are those of answers. */
  readonly answers: boolean;
  /** Their values are counted at all. */
  readonly counts: boolean;
  /** A line without a request id is known by the connection downstream, else by the one upstream. */
  readonly downstream: boolean;
  /** Lines of no known kind that differ from it by what clients chose (authority, server name) are of it too. */
  readonly forAll: boolean;
}

/** How many lines are kept, of the healthy and of the failing ones. */
export interface KeptLimits {
  readonly healthy: number;
  readonly failing: number;
}

/** A line that was kept; what it holds is valid until the next one. Figures that it has not are `NaN`. */
export interface KeptLine {
  /** As `hashBytes` makes it of its request or connection. */
  readonly hash: number;
  readonly cell: number;
  /** Of its kind. */
  readonly name: number;
  /** How often `begin` had been called, and which line it was since. */
  readonly part: number;
  readonly line: number;
  /** Its number. */
  readonly stream: number;
  /** Where it stands. */
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  /** Whether what follows was read of it: else it is to be parsed. */
  readonly read: boolean;
  /** ms since the Unix epoch. */
  readonly time: number;
  /** ms */
  readonly duration: number;
  readonly serviceTime: number;
  readonly received: number;
  readonly sent: number;
  /** From `spansAt` on, where each of `KEPT_FIELDS` begins and ends in the line; both 0 for null, 1 and 0 for one that is absent. */
  readonly spans: Uint32Array;
  readonly spansAt: number;
}

/** What a kept line says that others of its kind do not. */
export const KEPT_FIELDS = [
  'path',
  'user_agent',
  'upstream_host',
  'upstream_local_address',
  'downstream_local_address',
  'downstream_remote_address',
  'request_id',
] as const satisfies readonly FieldName[];

const FAILING = 1;
const ANSWERS = 2;
const COUNTS = 4;
const DOWNSTREAM = 8;
const FOR_ALL = 16;
const CELL_SHIFT = 5;

const KINDS = 4;
const KIND_MASK = 7;
const KINDS_SHIFT = 3;
const TEXT_NUMBERS = 3;
const KEY_NUMBERS = 10;
const KEPT_NUMBERS = 28;
const KEPT_SIGNS = 6;
const KEPT_SPANS = 11;
const KEPT_STREAM = 25;
const KEPT_TIME = 26;
const TIME_LENGTH = 24;

/** Cells have lower numbers. */
export const MOST_CELLS = 1 << 17;

/** Bytes that are read at once: they stay in a core's cache. */
const INPUT_SIZE = 1 << 18;

// What is used of a global that Node has and its types do not tell of.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly clear: (size: number, longestLine: number) => number;
  readonly begin: (stream: number, hash: number) => void;
  readonly keep_at_most: (healthy: number, failing: number) => void;
  readonly limit_kept: (healthy: number, failing: number) => void;
  readonly zeros_at: (failing: number) => number;
  readonly thin_kept: (failing: number) => void;
  readonly kept_count: (failing: number) => number;
  readonly kept_at: (failing: number) => number;
  readonly drop_kept: (failing: number) => void;
  readonly name_key: (name: number) => void;
  readonly name_prefix: (stream: number, hash: number) => void;
  readonly skip_lines: (count: number) => void;
  readonly hold: (some: number) => void;
  readonly add_member: (start: number, length: number, field: number) => void;
  readonly share_id: (failing: number, hash: number) => void;
  readonly scan: (from: number, to: number) => number;
  readonly secrets_at: () => number;
  readonly secret_size: () => number;
  readonly is_full: () => number;
  readonly settle: () => void;
  readonly line_count: () => number;
  readonly counted_lines: () => number;
  readonly first_at: () => number;
  readonly last_at: () => number;
  readonly key_count: () => number;
  readonly keys_at: () => number;
  readonly cells_and_kinds: () => number;
  readonly count_values: () => number;
  readonly gather: (cellAndKind: number) => number;
  readonly gathered_values_at: () => number;
  readonly gathered_counts_at: () => number;
  readonly text_count: (kind: number) => number;
  readonly texts_at: (kind: number) => number;
  readonly arena_at: () => number;
}

/** One object for all lines. */
class KeptCursor implements KeptLine {
  hash = 0;
  cell = 0;
  name = 0;
  part = 0;
  line = 0;
  stream = 0;
  start = 0;
  end = 0;
  read = false;
  time = NaN;
  duration = NaN;
  serviceTime = NaN;
  received = NaN;
  sent = NaN;
  spansAt = 0;

  constructor(
    readonly bytes: Buffer,
    readonly spans: Uint32Array,
  ) {}
}

let compiled: object | undefined;

/**
 * Reads lines of Istio's text and JSON layouts out of bytes in a WebAssembly module's memory and counts them there (scan.c says what
 * it counts and what it hands over).
 */
export class Scanner {
  readonly #exports: Exports;
  readonly #longestLine: number;
  #inputAt = 0;
  #valueCount = 0;
  #input: Buffer = Buffer.alloc(0);

  /** @param longestLine bytes of the longest line that is counted */
  constructor(host: Host, longestLine: number, kept: KeptLimits) {
    const place = (at: number): number => at - this.#inputAt;
    compiled ??= new WebAssembly.Module(Buffer.from(MODULE, 'base64'));
    const imports = {
      met: (start: number, end: number, stream: number) =>
        this.#signsOf(host.met(place(start), place(end), stream)),
      prefix: (start: number, end: number) => {
        const stream = host.prefix(place(start), place(end));
        if (stream) this.#exports.name_prefix(stream.number, stream.hash);
      },
      layout: (start: number, end: number) => this.#addLayout(host.layout(place(start), place(end))),
      other: (start: number, end: number) => host.other(place(start), place(end)),
      keep: (start: number, end: number, hash: number, cell: number, stream: number) =>
        host.keep(place(start), place(end), hash >>> 0, cell, stream),
      full: (failing: number) => host.full(failing !== 0),
      time_of: (start: number) => host.timeOf(place(start), place(start) + TIME_LENGTH),
    };
    this.#exports = new WebAssembly.Instance(compiled, { host: imports }).exports as Exports;
    this.#longestLine = longestLine;
    this.#drawSecrets();
    this.#exports.keep_at_most(kept.healthy, kept.failing);
    this.clear();
  }

  #signsOf(kind: KindOfLine | null): number {
    if (kind) this.#exports.name_key(kind.name);
    return signsOf(kind);
  }

  #drawSecrets(): void {
    const { memory, secrets_at, secret_size } = this.#exports;
    const secrets = new Uint32Array(memory.buffer, secrets_at(), secret_size() / 4);
    for (let i = 0; i < secrets.length; i++) secrets[i] = Math.random() * 2 ** 32;
  }

  #addLayout(members: readonly Member[] | null): number {
    for (const { start, end, field } of members ?? []) {
      const number = field === null ? -1 : FIELDS.indexOf(field);
      this.#exports.add_member(this.#inputAt + start, end - start, number);
    }
    return members === null ? 0 : 1;
  }

  /** Where the bytes go that are to be scanned. What was written stays there, but ask again: the memory may have grown. */
  get input(): Buffer {
    // A memory that has grown is another one.
    if (this.#input.length === 0) this.refill();
    return this.#input;
  }

  /** To be called before other bytes are put in: who reads lines tells chunks apart by their buffer. */
  refill(): void {
    this.#input = Buffer.from(this.#exports.memory.buffer, this.#inputAt, INPUT_SIZE);
  }

  /** What follows is of another source, or another part of one. @param stream of lines without names in front */
  begin({ number, hash }: Stream): void {
    this.#exports.begin(number, hash);
  }

  /** So many lines of the part were read by somebody else. */
  skipLines(count: number): void {
    this.#exports.skip_lines(count);
  }

  /** Whether a line in pieces waits for the rest of it: what is stamped by a kubelet is then handed over. */
  hold(some: boolean): void {
    this.#exports.hold(Number(some));
  }

  /**
   * Keeps no lines but those whose hash has enough leading zeros, and each by its own those of ids that are shared by too many.
   * @param zeros how many are enough, by cell; none where it says nothing
   */
  thin(failing: boolean, zeros: Uint8Array, shared: Iterable<number>): void {
    const { memory, zeros_at, thin_kept, share_id } = this.#exports;
    new Uint8Array(memory.buffer, zeros_at(Number(failing)), MOST_CELLS).set(zeros.subarray(0, MOST_CELLS));
    thin_kept(Number(failing));
    for (const hash of shared) share_id(Number(failing), hash);
  }

  /** No more lines are kept than so many from now on, nor than were allowed before. */
  limitKept({ healthy, failing }: KeptLimits): void {
    this.#exports.limit_kept(healthy, failing);
  }

  keptCount(failing: boolean): number {
    return this.#exports.kept_count(Number(failing));
  }

  /** The lines that are kept. */
  forEachKept(failing: boolean, visit: (cell: number, hash: number) => void): void {
    const { memory, kept_at, kept_count } = this.#exports;
    const numbers = new Uint32Array(memory.buffer, kept_at(Number(failing)));
    const end = kept_count(Number(failing)) * KEPT_NUMBERS;
    for (let at = 0; at < end; at += KEPT_NUMBERS) visit(numbers[at + KEPT_SIGNS]! >>> 1, numbers[at]!);
  }

  /** The hashes of the lines that are kept. */
  keptHashes(failing: boolean): Uint32Array {
    const hashes = new Uint32Array(this.#exports.kept_count(Number(failing)));
    let at = 0;
    this.forEachKept(failing, (_, hash) => void (hashes[at++] = hash));
    return hashes;
  }

  /** Hands over the lines that are kept, in the order in which they came, and forgets them. */
  takeKept(failing: boolean, visit: (line: KeptLine) => void): void {
    const { memory, kept_at, kept_count, drop_kept } = this.#exports;
    const from = kept_at(Number(failing));
    const length = kept_count(Number(failing)) * KEPT_NUMBERS;
    const numbers = new Uint32Array(memory.buffer, from, length);
    const signed = new Int32Array(memory.buffer, from, length);
    const times = new Float64Array(memory.buffer, from, length / 2);
    const bytes = Buffer.from(memory.buffer);
    const line = new KeptCursor(bytes, numbers);
    const figure = (at: number): number => (signed[at]! < 0 ? NaN : signed[at]!);
    // What the host does with a line may make the memory grow, and be another one.
    drop_kept(Number(failing));
    for (let at = 0; at < length; at += KEPT_NUMBERS) {
      line.hash = numbers[at]!;
      line.name = numbers[at + 1]!;
      line.part = numbers[at + 2]!;
      line.line = numbers[at + 3]!;
      line.stream = numbers[at + KEPT_STREAM]!;
      line.start = numbers[at + 4]!;
      line.end = line.start + numbers[at + 5]!;
      line.cell = numbers[at + KEPT_SIGNS]! >>> 1;
      line.read = (numbers[at + KEPT_SIGNS]! & 1) !== 0;
      line.time = times[(at + KEPT_TIME) / 2]!;
      line.duration = figure(at + 7);
      line.serviceTime = figure(at + 8);
      line.received = figure(at + 9);
      line.sent = figure(at + 10);
      line.spansAt = at + KEPT_SPANS;
      visit(line);
    }
  }

  /** Reads the lines in a stretch of the input; returns how far it came: to a line without an end, or until it was full. */
  scan(from: number, to: number): number {
    return this.#exports.scan(this.#inputAt + from, this.#inputAt + to) - this.#inputAt;
  }

  /** Whether what was counted has to be taken and cleared before it can go on. */
  get isFull(): boolean {
    return this.#exports.is_full() !== 0;
  }
  /** Lines since `begin`, those handed over and skipped among them. */
  get lines(): number {
    return this.#exports.line_count();
  }
  /** Those of them that were counted, and between which start times, ms since the Unix epoch. */
  get counted(): { readonly lines: number; readonly first: number; readonly last: number } {
    const { counted_lines, first_at, last_at } = this.#exports;
    return { lines: counted_lines(), first: first_at(), last: last_at() };
  }

  /** To be called once before what was counted is asked for. */
  settle(): void {
    this.#exports.settle();
  }

  /** Of each kind of line, in the order in which they were met: how many, and of failing ones between which start times. */
  forEachKind(visit: (times: number, first: number, last: number) => void): void {
    const { memory, key_count, keys_at } = this.#exports;
    const numbers = new Uint32Array(memory.buffer, keys_at(), key_count() * KEY_NUMBERS);
    const times = new Float64Array(memory.buffer, keys_at(), (key_count() * KEY_NUMBERS) / 2);
    for (let at = 0; at < numbers.length; at += KEY_NUMBERS) {
      visit(numbers[at + 3]!, times[at / 2 + 2]!, times[at / 2 + 3]!);
    }
  }

  /** Of every value a number by `idOf`, for `forEachCell`. @param kind as in `PAIRED` of aggregate/cell-values.ts */
  idsOfValues(
    idOf: (kind: number, bytes: Uint8Array, start: number, end: number, hash: number) => number,
  ): Int32Array[] {
    const { memory, text_count, texts_at, arena_at } = this.#exports;
    const bytes = new Uint8Array(memory.buffer);
    const arena = arena_at();
    return Array.from({ length: KINDS }, (_, kind) => {
      const texts = new Uint32Array(memory.buffer, texts_at(kind), text_count(kind) * TEXT_NUMBERS);
      const ids = new Int32Array(text_count(kind));
      for (let id = 0; id < ids.length; id++) {
        const start = arena + texts[id * TEXT_NUMBERS]!;
        const length = texts[id * TEXT_NUMBERS + 1]!;
        ids[id] = idOf(kind, bytes, start, start + length, texts[id * TEXT_NUMBERS + 2]! | 0);
      }
      return ids;
    });
  }

  /** How many values all cells have; to be asked before `forEachCell`. */
  countValues(): number {
    return (this.#valueCount = this.#exports.count_values());
  }

  /** Every cell and kind that has values, with the scanner's numbers of those and how often each was met; kind `KINDS` are durations in ms. */
  forEachCell(visit: (cell: number, kind: number, values: Int32Array, counts: Float64Array) => void): void {
    const { memory, cells_and_kinds, gather, gathered_values_at, gathered_counts_at } = this.#exports;
    // One memory for all: cells are many, and most have few values.
    const values = new Int32Array(this.#valueCount);
    const counts = new Float64Array(this.#valueCount);
    let from = 0;
    for (let cellAndKind = 0; cellAndKind < cells_and_kinds(); cellAndKind++) {
      const length = gather(cellAndKind);
      if (length === 0) continue;
      const to = from + length;
      values.set(new Int32Array(memory.buffer, gathered_values_at(), length), from);
      counts.set(new Float64Array(memory.buffer, gathered_counts_at(), length), from);
      visit(
        cellAndKind >>> KINDS_SHIFT,
        cellAndKind & KIND_MASK,
        values.subarray(from, to),
        counts.subarray(from, to),
      );
      from = to;
    }
  }

  /** Forgets all counts; the input, the kinds that were met and what lines are kept stay. */
  clear(): void {
    this.#inputAt = this.#exports.clear(INPUT_SIZE, this.#longestLine);
  }
}

function signsOf(kind: KindOfLine | null): number {
  if (kind === null) return -1;
  return (
    (kind.cell << CELL_SHIFT) |
    (kind.failing ? FAILING : 0) |
    (kind.answers ? ANSWERS : 0) |
    (kind.counts ? COUNTS : 0) |
    (kind.downstream ? DOWNSTREAM : 0) |
    (kind.forAll ? FOR_ALL : 0)
  );
}
