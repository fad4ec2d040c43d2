import type { Origin } from '../record/origin.js';
import type { RecordView } from '../record/record-view.js';
import type { Outcome } from './failure.js';

/** Counts by what it is told; two halves of the input merge to the same snapshot as the whole. */
export interface Aggregate<S> {
  /** The record and origin are reused for the next line: what must outlive the call is copied. */
  add(seen: RecordView, outcome: Outcome, origin: Origin): void;
  /** Takes over what another one counted; that one is used up. */
  merge(other: this): void;
  snapshot(): S;
}
