import type { Origin, StreamOrigin } from '../record/origin.js';
import type { RecordView } from '../record/record-view.js';
import { Counter } from './counter.js';
import { RoleSigns, type Role } from './role.js';
import type { Place } from './columns.js';
import type { Tally } from './tally.js';

/** A line that looks like an access line but is none, with where and why. */
export interface MalformedExample {
  readonly origin: Origin;
  readonly at: number;
  readonly expected: string;
  readonly found: string;
}

export interface InputSnapshot {
  readonly name: string;
  readonly pod: string | null;
  readonly format: string;
  readonly role: Role;
  /** What the role was told by. */
  readonly roleReason: string;
  readonly lines: number;
  readonly records: number;
  readonly foreign: number;
  readonly malformed: number;
  readonly first: number;
  readonly last: number;
}

export interface CoverageSnapshot {
  readonly inputs: readonly InputSnapshot[];
  readonly lines: number;
  readonly records: number;
  readonly foreign: number;
  readonly malformed: number;
  readonly overlong: number;
  readonly unterminated: number;
  /** Smallest and largest start time; `Infinity` and `-Infinity` where there is none. */
  readonly first: number;
  readonly last: number;
  /** The first malformed line of each input that has one. */
  readonly malformedExamples: readonly MalformedExample[];
  /** Bytes that no text holds (NUL) were met. */
  readonly binary: boolean;
}

/** What one input held, line by line. */
interface Input {
  readonly stream: StreamOrigin;
  lines: number;
  foreign: number;
  malformed: number;
  overlong: number;
  unterminated: number;
  first: number;
  last: number;
  example: MalformedExample | undefined;
  binary: boolean;
}

/** Coverage as it crosses to another thread. */
export type PackedCoverage = readonly (readonly [string, Readonly<Input>])[];

/** What was read and what could not be, by input. */
export class Coverage {
  readonly #inputs = new Map<string, Input>();

  /** An input counts from when it is opened, so that an empty one is listed too. */
  open(name: string, stream: StreamOrigin): void {
    this.#input(name, stream);
  }

  record(name: string, record: RecordView, origin: Origin, overlong: boolean, unterminated: boolean): void {
    const input = this.#line(name, origin, overlong, unterminated);
    const start = record.startTime();
    if (start < input.first) input.first = start;
    if (start > input.last) input.last = start;
  }

  /** So many records at once. @param first the earliest start among them, @param last the latest; ms since the epoch */
  records(name: string, stream: StreamOrigin, lines: number, first: number, last: number): void {
    const input = this.#input(name, stream);
    input.lines += lines;
    input.first = Math.min(input.first, first);
    input.last = Math.max(input.last, last);
  }

  foreign(name: string, origin: Origin, overlong: boolean, unterminated: boolean, binary: boolean): void {
    const input = this.#line(name, origin, overlong, unterminated);
    input.foreign++;
    input.binary ||= binary;
  }

  malformed(name: string, example: MalformedExample, overlong: boolean, unterminated: boolean): void {
    const input = this.#line(name, example.origin, overlong, unterminated);
    input.malformed++;
    input.example ??= { ...example, origin: { ...example.origin } };
  }

  /** What began before a time is no more among what is told: only that it was read. */
  forget(before: number): void {
    for (const [, input] of this.#inputs) {
      if (input.first < before) input.first = input.last < before ? Infinity : before;
      if (input.last < before) input.last = -Infinity;
    }
  }

  pack(): PackedCoverage {
    return [...this.#inputs];
  }

  /** Moves line numbers to where they stand in their whole source. */
  relocate(place: Place): void {
    for (const [, input] of this.#inputs) {
      const { example } = input;
      if (example)
        input.example = { ...example, origin: { ...example.origin, line: place(example.origin.line) } };
    }
  }

  /** @param place what the other's line numbers are here. */
  merge(other: PackedCoverage, place: Place): void {
    for (const [name, input] of other) {
      const mine = this.#input(name, input.stream);
      for (const count of ['lines', 'foreign', 'malformed', 'overlong', 'unterminated'] as const) {
        mine[count] += input[count];
      }
      mine.first = Math.min(mine.first, input.first);
      mine.last = Math.max(mine.last, input.last);
      mine.binary ||= input.binary;
      const { example } = input;
      if (!example) continue;
      const line = place(example.origin.line);
      if (mine.example && mine.example.origin.line < line) continue;
      mine.example = { ...example, origin: { ...example.origin, line } };
    }
  }

  /** @param tally of the same lines: what formats they had, and what they show of their proxies. */
  snapshot(tally: Tally): CoverageSnapshot {
    const inputs = [...this.#inputs];
    const shown = new Map(inputs.map(([name]) => [name, { formats: new Counter(), signs: new RoleSigns() }]));
    for (let tuple = 0; tuple < tally.size; tuple++) {
      const { formats, signs } = shown.get(tally.streamOf(tuple).input)!;
      const format = tally.format(tuple);
      const count = tally.count(tuple);
      formats.add(format, count);
      const { cluster, fromOwnPod } = tally.told(tuple);
      signs.add({ format, cluster, fromOwnPod }, count);
    }
    const sum = (of: (input: Input) => number): number =>
      inputs.reduce((total, [, input]) => total + of(input), 0);
    return {
      inputs: inputs.map(([name, input]) => ({ ...snapshotOf(name, input), ...told(shown.get(name)!) })),
      lines: sum((input) => input.lines),
      records: sum(recordsOf),
      foreign: sum((input) => input.foreign),
      malformed: sum((input) => input.malformed),
      overlong: sum((input) => input.overlong),
      unterminated: sum((input) => input.unterminated),
      first: inputs.reduce((least, [, input]) => Math.min(least, input.first), Infinity),
      last: inputs.reduce((most, [, input]) => Math.max(most, input.last), -Infinity),
      malformedExamples: inputs.flatMap(([, input]) => input.example ?? []),
      binary: inputs.some(([, input]) => input.binary),
    };
  }

  #input(name: string, stream: StreamOrigin): Input {
    let input = this.#inputs.get(name);
    if (!input) {
      input = {
        stream,
        lines: 0,
        foreign: 0,
        malformed: 0,
        overlong: 0,
        unterminated: 0,
        first: Infinity,
        last: -Infinity,
        example: undefined,
        binary: false,
      };
      this.#inputs.set(name, input);
    }
    return input;
  }

  #line(name: string, origin: Origin, overlong: boolean, unterminated: boolean): Input {
    const input = this.#input(name, origin);
    input.lines++;
    if (overlong) input.overlong++;
    if (unterminated) input.unterminated++;
    return input;
  }
}

function told({
  formats,
  signs,
}: {
  formats: Counter;
  signs: RoleSigns;
}): Pick<InputSnapshot, 'format' | 'role' | 'roleReason'> {
  const names = formats.entries().map(([format]) => format);
  return { format: names.join(',') || 'none', ...signs.told() };
}

function snapshotOf(name: string, input: Input): Omit<InputSnapshot, 'format' | 'role' | 'roleReason'> {
  const { lines, foreign, malformed, first, last } = input;
  return {
    name,
    pod: input.stream.pod ?? null,
    lines,
    records: recordsOf(input),
    foreign,
    malformed,
    first,
    last,
  };
}

const recordsOf = ({ lines, foreign, malformed }: Input): number => lines - foreign - malformed;
