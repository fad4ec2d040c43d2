import type { Case } from '../aggregate/joins.js';

export type CauseId = string;
export type Severity = 'critical' | 'high' | 'medium' | 'low' | 'info';
export type Verdict = 'app' | 'mesh' | 'client' | 'network' | 'policy' | 'platform' | 'unknown';
/** `certain` only with facts from the cluster. */
export type Confidence = 'certain' | 'high' | 'likely' | 'possible';

/** A counted fact: `count` of `of`, as the text says it. */
export interface Fact {
  readonly text: string;
  readonly count: number;
  readonly of: number;
}

/** The place of fault: each list short and most to blame first, present where it is known. */
export interface Fault {
  /** `name.namespace`. */
  readonly services?: readonly string[];
  readonly upstreamClusters?: readonly string[];
  readonly pods?: readonly string[];
  /** IPs without port. */
  readonly endpoints?: readonly string[];
  /** Callers: IP, pod or user agent. */
  readonly clients?: readonly string[];
  /** CIDRs. */
  readonly networks?: readonly string[];
}

export interface NextStep {
  readonly purpose: string;
  /** Runs as printed. */
  readonly command: string;
}

/** What one cause says of some failed requests, in their numbers and names. */
export interface Hypothesis {
  readonly cause: CauseId;
  readonly title: string;
  readonly summary: string;
  /** Where this incident departs from the catalogue's default. */
  readonly severity?: Severity;
  readonly verdict?: Verdict;
  readonly at: Fault;
  /** The failed requests that it explains. */
  readonly cases: readonly Case[];
  readonly evidence: readonly Fact[];
  readonly against: readonly Fact[];
  readonly confidence: Confidence;
  /** The rule that set the confidence. */
  readonly why: string;
  /** Cheapest first. */
  readonly next: readonly NextStep[];
  readonly fix: readonly string[];
  /** Examined and found harmless: dismissed, not an incident. */
  readonly harmless?: boolean;
}
