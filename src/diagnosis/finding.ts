import type { CauseId, Severity } from './hypothesis.js';

export type FindingStatus = 'ok' | 'warn' | 'fail' | 'unknown';
export type Phase = 'foundation' | 'traffic' | 'envoy';

/** An object of the cluster, as kubectl names it. */
export interface ObjectRef {
  readonly kind: string;
  /** Empty for what has no namespace. */
  readonly namespace: string;
  readonly name: string;
}

/** What a finding is about, in the words in which incidents name places of fault. */
export interface Subject {
  /** `name.namespace`, or a host outside. */
  readonly services?: readonly string[];
  readonly pods?: readonly string[];
  /** Addresses of these pods. */
  readonly endpoints?: readonly string[];
  /** `Deployment/namespace/name`. */
  readonly workloads?: readonly string[];
  /** Callers, as pods, their addresses or workloads, where only their requests are concerned. */
  readonly clients?: readonly string[];
  readonly namespaces?: readonly string[];
}

/** What one check says of one object. */
export interface Finding {
  /** Never renamed, never reused. */
  readonly id: string;
  readonly phase: Phase;
  readonly status: FindingStatus;
  readonly severity: Severity;
  readonly object: ObjectRef | null;
  /** The path inside the object: `spec.http[0].route[1].destination.subset`. */
  readonly field: string | null;
  /** What stands there, in a sentence. */
  readonly read: string;
  /** What it does to requests. */
  readonly why: string;
  /** Causes of the catalogue that this state brings about. */
  readonly confirms: readonly CauseId[];
  /** Causes that this state rules out, for what the finding is about. */
  readonly refutes: readonly CauseId[];
  readonly about: Subject;
  /** Shows the same to a person; read-only. */
  readonly see: string;
  readonly fix: string | null;
  /**
   * `configuration` is what somebody wrote and holds until it is written anew; `state` is how things were when they were
   * read: readiness, connections, counters.
   */
  readonly basis: 'configuration' | 'state';
  /** When the object was changed last, or a state came about: ms since the epoch; `null`: not told. */
  readonly changedAt: number | null;
}
