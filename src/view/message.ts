import type { Live } from './live.js';
import type { Reading, Snapshot, Spec } from './snapshot.js';

/**
 * Whatever happens. A key is a printable character or one of: up down left right enter escape space tab shift-tab
 * backspace delete pageup pagedown home end ctrl-<letter>.
 */
export type Message =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'wheel'; readonly by: 1 | -1 }
  | { readonly kind: 'click'; readonly row: number; readonly column: number }
  | { readonly kind: 'size'; readonly columns: number; readonly rows: number }
  | { readonly kind: 'tick'; readonly elapsedMs: number }
  | { readonly kind: 'progress'; readonly reading: Reading }
  | { readonly kind: 'snapshot'; readonly snapshot: Snapshot }
  | { readonly kind: 'found'; readonly at: number | null }
  /** The recording is read: go to where the command line wants to begin. */
  | {
      readonly kind: 'begin';
      readonly from: number | null;
      readonly to: number | null;
      readonly play: boolean;
    }
  | { readonly kind: 'live'; readonly live: Live }
  | { readonly kind: 'notice'; readonly text: string; readonly tone: 'plain' | 'bad' | 'good' };

/** Whatever must be done about it. */
export type Effect =
  | { readonly kind: 'ask'; readonly spec: Spec }
  | { readonly kind: 'find'; readonly from: number; readonly direction: 1 | -1 }
  | { readonly kind: 'copy'; readonly text: string }
  | { readonly kind: 'write'; readonly path: string; readonly text: string; readonly overwrite: boolean }
  /**
   * A live target only: follow also the logs of the workload that would decide the row's cause (`null`: that of any row).
   * What became of it comes back as a `notice`, and its streams in the next `live` message.
   */
  | { readonly kind: 'widen'; readonly row: string | null }
  /** A live target only: hold this incident against the cluster. What it says is in the snapshots that follow. */
  | { readonly kind: 'verify'; readonly row: string }
  /** Keep a filter for later sessions, or keep one (`''`: all) no longer. */
  | { readonly kind: 'save'; readonly filter: string }
  | { readonly kind: 'forget'; readonly filter: string }
  | { readonly kind: 'suspend' }
  | { readonly kind: 'repaint' }
  | { readonly kind: 'quit' };
