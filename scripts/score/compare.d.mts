import type { Report } from '../../src/output/report.js';

/** What is known to be true of an incident: samples/SOURCES.md describes the keys. */
export interface Truth {
  readonly cause: string;
  readonly also: readonly string[];
  readonly [key: string]: unknown;
}

/** How one report compares with the truth; `null` where a question does not apply. */
export interface Score {
  readonly id: string;
  readonly recorded: boolean;
  readonly cause: boolean | 'also' | null;
  readonly place: boolean | null;
  readonly onsetError: number | null;
  readonly quiet: boolean | null;
}

export function reportOn(folder: string): Promise<{ report: Report; snapshot: unknown }>;
export function scoreOf(folder: string, id: string, truth: Truth): Promise<Score>;
export function totalsOf(scores: readonly Score[]): Record<string, number>;
