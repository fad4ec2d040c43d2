import type { Truth } from './compare.mjs';

/** What is named first, how surely, and whether that is right. */
export interface Answer {
  readonly named: string;
  readonly confidence: string | null;
  readonly right: boolean;
  readonly place?: boolean | null;
  /** Whether the missing log is asked for by name; `null` where none has to be. */
  readonly asks?: boolean | null;
}

export interface Variants {
  readonly both: Answer;
  readonly skewed: Answer;
  readonly thinned: Answer;
  readonly without: readonly Answer[];
}

export function variantsOf(folder: string, id: string, truth: Truth): Promise<Variants>;
export function variantTotals(all: readonly Variants[]): Record<string, number | string>;
