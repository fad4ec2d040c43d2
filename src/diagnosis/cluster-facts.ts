/*
 * What a live cluster tells beside the lines, in the words of incidents; whoever watches it implements this. Of saved logs
 * nothing is known, and nothing of it is said. Times are ms since the Unix epoch.
 */

export type Labels = Readonly<Record<string, string>>;

/** Who has an address. */
export interface AddressOwner {
  readonly kind: 'pod' | 'node' | 'service';
  readonly name: string;
  /** `''` of a node. */
  readonly namespace: string;
  /** `null`: not known, or none. */
  readonly workload: { readonly kind: string; readonly name: string } | null;
  /** `''`: not known, or none. */
  readonly node: string;
  /** `rev 42`, the hash of a template, a version; `''`: none. */
  readonly revision: string;
  readonly labels: Labels;
  /** Known to be there still, and not about to go; of those who are not watched nobody knows. */
  readonly stays: boolean;
}

/** Something of the cluster that was changed, or that happened. */
export interface Change {
  /** Whole seconds, as objects carry them. */
  readonly at: number;
  readonly kind: 'rollout' | 'restart' | 'scale' | 'config' | 'node' | 'other';
  /** `payments rev 42`, `VirtualService shop/payments changed`. */
  readonly text: string;
  readonly about: ChangeSubject;
}

/** Whom a change concerns: all that is stated must hold, and what is not stated holds for everybody. */
export interface ChangeSubject {
  /** `null`: everywhere. */
  readonly namespace: string | null;
  /** `Deployment/payments`. */
  readonly workload?: string;
  readonly pod?: string;
  readonly node?: string;
  /** `payments.shop`, `*.example.com`. */
  readonly hosts?: readonly string[];
  /** Labels of the pods that it is about, by which services find them. */
  readonly labels?: Labels;
  /** Labels that it selects pods by. */
  readonly selector?: Labels;
}

export interface ClusterFacts {
  /** Who had the address then; `null`: not known. */
  ownerOf(ip: string, at: number): AddressOwner | null;
  /** Everybody who had it at some time from `from` to `to`, first to last. */
  ownersOf(ip: string, from: number, to: number): readonly AddressOwner[];
  /** The pod of this name that was seen last. */
  podNamed(name: string): AddressOwner | null;
  /** The labels that a service, as `name.namespace`, finds its pods by. */
  selectorOf(service: string): Labels | null;
  /** Whether its log is read, though no line may have come yet. */
  reads(pod: AddressOwner): boolean;
  /** In no order. */
  readonly changes: readonly Change[];
}

export const NO_FACTS: ClusterFacts = {
  ownerOf: () => null,
  ownersOf: () => [],
  podNamed: () => null,
  selectorOf: () => null,
  reads: () => false,
  changes: [],
};

/** Whether pods with these labels are found by a selector. */
export const finds = (selector: Labels, labels: Labels): boolean =>
  Object.entries(selector).every(([key, value]) => labels[key] === value);
