import type { Truth } from './compare.mjs';

/** What is named first, how surely, and whether that is right. */
export interface Answer {
  readonly named: string;
  readonly confidence: string | null;
  readonly right: boolean;
  /** Whether the missing log is asked for by name; `null` where none has to be. */
  readonly asks?: boolean | null;
}

export interface Variants {
  readonly skewed: Answer;
  readonly thinned: Answer;
  readonly unnamed: Answer;
  /** By the apps whose logs are missing. */
  readonly without: Readonly<Record<string, Answer>>;
}

export function isOfSeveralProxies(folder: string): boolean;
export function variantsOf(folder: string, id: string, truth: Truth): Promise<Variants>;
export function answersOf(variants: Variants): Readonly<Record<string, Answer>>;
export function inWords(variants: Variants): Readonly<Record<string, string>>;
export function variantTotals(all: readonly Variants[]): Record<string, number | string>;
