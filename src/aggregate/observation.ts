import type { Line } from '../record/line.js';
import type { Origin, StreamOrigin } from '../record/origin.js';
import type { RecordView } from '../record/record-view.js';
import { Coverage, type CoverageSnapshot, type PackedCoverage } from './coverage.js';
import { trafficOf, type TrafficSnapshot } from './groups.js';
import type { Place } from './columns.js';
import { ROW_LIMITS, Rows, type PackedRows, type RowLimits, type RowsSnapshot } from './rows.js';
import { Tally, type PackedTally } from './tally.js';

export interface ObservationSnapshot {
  readonly coverage: CoverageSnapshot;
  readonly traffic: TrafficSnapshot;
  readonly rows: RowsSnapshot;
}

/** What framing tells of a line beside its bytes. */
export interface LineFacts {
  readonly overlong: boolean;
  readonly unterminated: boolean;
}

/** An observation as it crosses to another thread: numbers in tables, no lines. */
export interface PackedObservation {
  readonly coverage: PackedCoverage;
  readonly tally: PackedTally;
  readonly rows: PackedRows;
}

/**
 * Everything that is remembered of an input; two halves merge to the same as the whole. Who counts lines in its own way
 * adds them to the parts.
 */
export class Observation {
  readonly coverage = new Coverage();
  readonly tally = new Tally();
  readonly rows: Rows;

  /** @param requestId of a request whose lines are all kept. */
  constructor(limits: RowLimits = ROW_LIMITS, requestId?: string) {
    this.rows = new Rows(limits, requestId);
  }

  open(input: string, stream: StreamOrigin): void {
    this.coverage.open(input, stream);
  }

  record(input: string, record: RecordView, origin: Origin, facts: LineFacts): void {
    this.coverage.record(input, record, origin, facts.overlong, facts.unterminated);
    this.rows.add(record, this.tally.add(record, origin, input), origin);
  }

  /** A record that a filter leaves out: it was read, and counts for nothing else. */
  leftOut(input: string, record: RecordView, origin: Origin, facts: LineFacts): void {
    this.coverage.record(input, record, origin, facts.overlong, facts.unterminated);
    this.tally.add(record, origin, input, true);
  }

  foreign(input: string, line: Line, origin: Origin, facts: LineFacts): void {
    const binary = line.bytes.subarray(line.start, Math.min(line.end, line.start + 1024)).includes(0);
    this.coverage.foreign(input, origin, facts.overlong, facts.unterminated, binary);
  }

  malformed(
    input: string,
    problem: { readonly at: number; readonly expected: string; readonly found: string },
    origin: Origin,
    facts: LineFacts,
  ): void {
    const { at, expected, found } = problem;
    this.coverage.malformed(input, { origin, at, expected, found }, facts.overlong, facts.unterminated);
  }

  /**
   * Lets go of the lines that ended before a time, ms since the epoch, so that one may look on for days. That they were
   * read stays counted, and so do the failure groups.
   */
  forget(before: number): void {
    this.coverage.forget(before);
    this.rows.forget(before);
  }

  pack(): PackedObservation {
    return { coverage: this.coverage.pack(), tally: this.tally.pack(), rows: this.rows.pack() };
  }

  /** Where only a part of each input was read, with numbers of its own: what they are in the whole. */
  relocate(place: Place): void {
    this.coverage.relocate(place);
    this.rows.relocate(place);
  }

  /** @param place what the other's line numbers are here. */
  merge(other: PackedObservation, place: Place = (line) => line): void {
    this.coverage.merge(other.coverage, place);
    const cells = this.tally.merge(other.tally);
    this.rows.merge(other.rows, place, cells);
  }

  snapshot(): ObservationSnapshot {
    return {
      coverage: this.coverage.snapshot(this.tally),
      traffic: trafficOf(this.tally),
      rows: this.rows.snapshot(this.tally.linesByCell()),
    };
  }
}
