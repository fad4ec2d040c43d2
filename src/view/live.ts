/*
 * What a live target must tell the screen beside its snapshots, as plain data. Times are ms since the Unix epoch.
 *
 * Two things come from a live run, each at its own pace:
 * - `Snapshot` answers a `Spec` and holds what was counted. While the picture is frozen it is not taken.
 * - `Live`, as a message of kind `live`, says how the connection stands. It is taken at any time, also while frozen, and
 *   should come whenever something in it changes and at least once a second while streaming, since lag is shown from it.
 *
 * `Reading` of a live target is `{ done: false, share: null, lines, … }`, sent as `progress` messages with the lines read
 * so far: the PAUSED counter is their difference.
 */

/** A span of time of which the lines of one stream were not seen. */
export interface Gap {
  readonly from: number;
  /** `null`: it lasts. */
  readonly to: number | null;
  /** As a person would say it: "connection reset", "the kubelet rotated the file away", "pod restarted". */
  readonly reason: string;
}

/** How one followed log stands: one container of one pod. */
export interface LiveStream {
  /** The name by which `Snapshot.streams` and `Snapshot.pods` count it. */
  readonly pod: string;
  readonly namespace: string;
  readonly container: string;
  /**
   * `opening`: asked for, nothing came yet (also a pod that is not started); `history`: catching up on lines written before
   * it was opened; `following`: at the end; `lost`: broken, and tried again; `ended`: the container is gone for good, its
   * lines stay counted.
   */
  readonly state: 'opening' | 'history' | 'following' | 'lost' | 'ended';
  /** When it came into that state. */
  readonly stateSince: number;
  /** Why it is in that state, where that needs a word: the error and what is done about it. `''`: nothing to say. */
  readonly reason: string;
  /** From when on its lines were seen: the first one that the cluster still held; `null` before that is known. */
  readonly coveredSince: number | null;
  /** From a line's being written to its being counted; `null` where no line came lately. */
  readonly lagMs: number | null;
  /** Oldest first, within the history that is shown. */
  readonly gaps: readonly Gap[];
}

/** How far a live target has come; a replay has none. */
export type Live =
  | {
      readonly phase: 'connecting';
      /** In order; the first that is not done is the one under way. */
      readonly steps: readonly { readonly text: string; readonly done: boolean }[];
    }
  | {
      readonly phase: 'logging-off';
      /** What was looked at, each with what it said. */
      readonly found: readonly string[];
      /** Commands for a person to run. */
      readonly fix: readonly string[];
    }
  | {
      readonly phase: 'no-rights';
      /** What was refused, as the API server said it. */
      readonly said: string;
      /** What to ask for, line by line. */
      readonly fix: readonly string[];
    }
  | {
      readonly phase: 'streaming';
      readonly streams: readonly LiveStream[];
      /** From when on all streams were seen, and why no earlier: "the kubelet kept no more", "asked for 10m". */
      readonly since: { readonly at: number; readonly reason: string };
      /** What cannot be known for want of rights or answers, a sentence each: "no rollouts: may not list replicasets in shop". */
      readonly limits: readonly string[];
    };

export type Streaming = Extract<Live, { phase: 'streaming' }>;

/** Streams that should be followed: the ended ones are history. */
export const expected = ({ streams }: Streaming): readonly LiveStream[] =>
  streams.filter(({ state }) => state !== 'ended');

export const lost = ({ streams }: Streaming): readonly LiveStream[] =>
  streams.filter(({ state }) => state === 'lost');

/** The slowest stream's lag; `null` where none says one. */
export function worstLag({ streams }: Streaming): number | null {
  const lags = streams.flatMap(({ lagMs, state }) => (lagMs === null || state === 'ended' ? [] : [lagMs]));
  return lags.length === 0 ? null : Math.max(...lags);
}

/** Something that was changed or happened, and may have begun what fails: shown on the timeline and beside the onset. */
export interface Marker {
  readonly at: number;
  readonly kind: 'rollout' | 'restart' | 'scale' | 'config' | 'node' | 'other';
  /** A few words with the name of what changed: `payments rev 42`, `payments-6d5f-k9x2q restarted (OOMKilled)`. */
  readonly text: string;
}
