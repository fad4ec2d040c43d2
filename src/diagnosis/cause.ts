import type { CauseId, Hypothesis } from './hypothesis.js';
import type { Scene } from './scene.js';

/** One mechanism by which requests fail, and how its traces look. Severity and verdict stand in the catalogue. */
export interface Cause {
  /** Never renamed, never reused. */
  readonly id: CauseId;
  /** The document or issue that states the mechanism. */
  readonly reference: string;
  /** What the mechanism is, for `explain`. */
  readonly mechanism: string;
  /** What speaks for it and against it in the lines, for `explain`. */
  readonly signs: readonly string[];
  readonly against: readonly string[];
  /** Total: says nothing where it does not apply. */
  judge(scene: Scene): readonly Hypothesis[];
}

/** Makes causes that share one finding: each keeps the hypotheses that bear its own id. */
export function causesNamedIn(find: (scene: Scene) => readonly Hypothesis[]) {
  return (
    id: CauseId,
    reference: string,
    mechanism: string,
    signs: readonly string[],
    against: readonly string[],
  ): Cause => ({
    id,
    reference,
    mechanism,
    signs,
    against,
    judge: (scene) => find(scene).filter(({ cause }) => cause === id),
  });
}
