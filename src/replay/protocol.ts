import type { SelectionTexts } from '../filter/selection.js';
import type { Live } from '../view/live.js';
import type { Reading, Snapshot, Spec } from '../view/snapshot.js';

/** What the screen's thread says to the one that reads and explains. */
export type ToEngine =
  | { readonly kind: 'spec'; readonly spec: Spec }
  | { readonly kind: 'find'; readonly from: number; readonly direction: 1 | -1 }
  | { readonly kind: 'verify'; readonly row: string }
  /** A live target: follow also who would tell more of a row; `null`: of the first one. */
  | { readonly kind: 'widen'; readonly row: string | null }
  /** A piece of standard input; `null`: its end. */
  | { readonly kind: 'chunk'; readonly bytes: Uint8Array | null };

/** And what comes back. */
export type FromEngine =
  | { readonly kind: 'progress'; readonly reading: Reading }
  | { readonly kind: 'live'; readonly live: Live }
  /** The cluster refused or is not there: the run ends, and this is why. */
  | { readonly kind: 'failed'; readonly message: string; readonly hint: string | undefined }
  | { readonly kind: 'snapshot'; readonly snapshot: Snapshot }
  | { readonly kind: 'notice'; readonly text: string; readonly tone: 'plain' | 'bad' | 'good' }
  | { readonly kind: 'found'; readonly at: number | null }
  /** A piece of standard input was taken: the next may come. */
  | { readonly kind: 'taken' };

export interface EngineJob<Cluster = unknown> {
  /** A live target instead of inputs: how to reach it, and what of it. */
  readonly live: Cluster | null;
  /** Files in their order; `-` is standard input, whose pieces come as messages. */
  readonly inputs: readonly string[];
  readonly maxLine: number;
  /** `--format` as given; the worker compiles it. */
  readonly format: string | undefined;
  readonly envelopeKeys: readonly string[];
  /** Left out while reading; `--filter` is the screen's own, so that it can be taken back. */
  readonly selection: SelectionTexts;
}
