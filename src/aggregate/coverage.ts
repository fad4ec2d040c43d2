import { hostOf } from '../record/address.js';
import type { Origin, StreamOrigin } from '../record/origin.js';
import type { RecordView } from '../record/record-view.js';
import { Counter } from './counter.js';

export type Role = 'sidecar' | 'gateway' | 'waypoint' | 'ztunnel' | 'unknown';

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
class Input {
  lines = 0;
  foreign = 0;
  malformed = 0;
  overlong = 0;
  unterminated = 0;
  first = Infinity;
  last = -Infinity;
  example: MalformedExample | undefined;
  binary = false;
  readonly formats = new Counter();
  // What tells a proxy's role, counted.
  inbound = 0;
  waypoint = 0;
  ownCalls = 0;
  othersCalls = 0;
  sniRouted = 0;

  constructor(readonly stream: StreamOrigin) {}

  merge(other: Input): void {
    for (const count of [
      'lines',
      'foreign',
      'malformed',
      'overlong',
      'unterminated',
      'inbound',
      'waypoint',
      'ownCalls',
      'othersCalls',
      'sniRouted',
    ] as const) {
      this[count] += other[count];
    }
    this.first = Math.min(this.first, other.first);
    this.last = Math.max(this.last, other.last);
    this.example ??= other.example;
    this.binary ||= other.binary;
    this.formats.merge(other.formats);
  }

  get records(): number {
    return this.lines - this.foreign - this.malformed;
  }
}

/** What was read and what could not be, by input. */
export class Coverage {
  readonly #inputs = new Map<string, Input>();

  /** An input counts from when it is opened, so that an empty one is listed too. */
  open(name: string, stream: StreamOrigin): void {
    this.#input(name, stream);
  }

  record(name: string, record: RecordView, origin: Origin, overlong: boolean, unterminated: boolean): void {
    const input = this.#line(name, origin, overlong, unterminated);
    input.formats.add(record.format);
    const start = record.startTime();
    if (start < input.first) input.first = start;
    if (start > input.last) input.last = start;
    const cluster = record.upstreamCluster();
    if (cluster?.kind === 'inbound' || cluster?.name.startsWith('InboundPassthrough')) input.inbound++;
    else if (cluster?.kind === 'inbound-vip') input.waypoint++;
    else if (cluster?.kind === 'sni') input.sniRouted++;
    else if (cluster?.direction === 'outbound' || cluster?.direction === 'passthrough') {
      const own = record.text('upstream_local_address');
      const peer = record.text('downstream_remote_address');
      if (own && peer) {
        if (hostOf(own) === hostOf(peer)) input.ownCalls++;
        else input.othersCalls++;
      }
    }
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

  merge(other: Coverage): void {
    for (const [name, input] of other.#inputs) {
      const mine = this.#inputs.get(name);
      if (mine) mine.merge(input);
      else this.#inputs.set(name, input);
    }
  }

  snapshot(): CoverageSnapshot {
    const inputs = [...this.#inputs];
    const sum = (of: (input: Input) => number): number =>
      inputs.reduce((total, [, input]) => total + of(input), 0);
    return {
      inputs: inputs.map(([name, input]) => snapshotOf(name, input)),
      lines: sum((input) => input.lines),
      records: sum((input) => input.records),
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
      input = new Input(stream);
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

function snapshotOf(name: string, input: Input): InputSnapshot {
  const { lines, records, foreign, malformed, first, last } = input;
  return {
    name,
    pod: input.stream.pod ?? null,
    format:
      input.formats
        .entries()
        .map(([format]) => format)
        .join(',') || 'none',
    ...roleOf(input),
    lines,
    records,
    foreign,
    malformed,
    first,
    last,
  };
}

/** Told by what the lines show, never by a name. */
function roleOf(input: Input): { role: Role; roleReason: string } {
  const is = (role: Role, roleReason: string): { role: Role; roleReason: string } => ({ role, roleReason });
  if (input.inbound > 0) return is('sidecar', `${input.inbound} lines hand to an app of its own (inbound)`);
  if (input.waypoint > 0) return is('waypoint', `${input.waypoint} lines serve a service (inbound-vip)`);
  if (input.sniRouted > 0) return is('gateway', `${input.sniRouted} lines pass TLS through by server name`);
  const calls = input.ownCalls + input.othersCalls;
  if (calls === 0) return is('unknown', 'no line shows who called through it');
  return input.ownCalls * 2 > calls
    ? is('sidecar', `${input.ownCalls} of ${calls} calls come from its own pod`)
    : is('gateway', `${input.othersCalls} of ${calls} calls come from elsewhere and go out`);
}
