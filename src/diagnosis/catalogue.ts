import { readData } from '../paths.js';
import type { CauseId, Severity, Verdict } from './hypothesis.js';

/** One entry of `data/failure-causes.json`. */
export interface CatalogueEntry {
  readonly id: CauseId;
  readonly family: string;
  readonly title: string;
  /** `inherits`: a modifier takes the severity of what it rides on. */
  readonly severity: Severity | 'inherits';
  readonly verdict: Verdict;
  readonly kind: 'cause' | 'modifier' | 'amplifier' | 'benign' | 'vantage';
  /** Numbers, or a class: `5xx`. */
  readonly codes?: readonly (number | string)[];
  /** Each list is one line's whole set; no flag is `-`. */
  readonly flags?: readonly (readonly string[])[];
  readonly lookalikes: readonly CauseId[];
  readonly decidable: 'logs' | 'logs-of-both-sides' | 'cluster' | 'never-by-logs';
  readonly single_proxy: boolean;
}

let entries: ReadonlyMap<CauseId, CatalogueEntry> | undefined;

/** Every known cause by id, also those that no rule judges yet. */
export function catalogue(): ReadonlyMap<CauseId, CatalogueEntry> {
  return (entries ??= new Map(
    (readData('failure-causes.json') as CatalogueEntry[]).map((entry) => [entry.id, entry]),
  ));
}
