import type { ResourceName } from '../cluster/cluster.js';
import type { Finding, ObjectRef, Phase, Subject } from '../diagnosis/finding.js';
import type { CauseId, Severity } from '../diagnosis/hypothesis.js';
import type { Meta } from './meta.js';
import type { World } from './world.js';

/** One thing that is verified. */
export interface Check {
  /** Never renamed, never reused; also the id of its `ok` and `unknown` lines. */
  readonly id: string;
  readonly phase: Phase;
  /** What holds where nothing is found, as a sentence. */
  readonly claim: string;
  /** Kinds that it goes through: those that could be read are judged. */
  readonly subjects: readonly ResourceName[];
  /** Kinds that it looks things up in: with a part of them missing it cannot say that something is not there. */
  readonly needs: readonly ResourceName[];
  /** Of `needs`, those that it looks up in a subject's own and the root namespace alone: where these were read, it can say so. */
  readonly nearby?: readonly ResourceName[];
  /** Causes that its findings bring about, or that a clean subject rules out. */
  readonly decides: readonly CauseId[];
  /** The command with which a person goes through the same. */
  readonly see: string;
  judge(world: World): Judgement;
}

export interface Judgement {
  readonly findings: readonly Finding[];
  /** What was looked at, whether something was found or not. */
  readonly examined: readonly Examined[];
  /** Why nothing could be said at all; the rest is then empty. */
  readonly unknown?: string;
}

export interface Examined {
  readonly about: Subject;
  /** What was read, in a few words: `port 8080: STRICT`. */
  readonly said?: string;
  /** Causes that this state rules out for it, where nothing is found. */
  readonly excludes?: readonly CauseId[];
}

interface Found {
  readonly id: string;
  readonly status?: 'warn' | 'fail';
  readonly severity: Severity;
  /** What it was read from. */
  readonly from: Meta | null;
  readonly field?: string;
  readonly read: string;
  readonly why: string;
  readonly confirms?: readonly CauseId[];
  readonly refutes?: readonly CauseId[];
  readonly about: Subject;
  readonly see?: string;
  readonly fix: string;
  /** `configuration` if not said; what Envoy holds is always state. */
  readonly basis?: Finding['basis'];
  /** When a state came about. */
  readonly since?: number | null;
}

/** A finding with its defaults: `fail` where it breaks requests (high and critical), else `warn`; shown by `kubectl get`. */
export function found(
  phase: Phase,
  { from, field, status, see, confirms, refutes, basis, since, ...rest }: Found,
): Finding {
  const known = basis ?? (phase === 'envoy' ? 'state' : 'configuration');
  const breaks = rest.severity === 'critical' || rest.severity === 'high';
  return {
    ...rest,
    phase,
    status: status ?? (breaks ? 'fail' : 'warn'),
    object: from?.ref ?? null,
    field: field ?? null,
    confirms: confirms ?? [],
    refutes: refutes ?? [],
    see: see ?? (from ? getCommand(from.ref, from.resource) : ''),
    basis: known,
    changedAt: known === 'state' ? (since ?? null) : (from?.changedAt ?? null),
  };
}

/** `kubectl -n shop get virtualservice payments -o yaml`. */
export function getCommand(ref: ObjectRef, resource?: ResourceName): string {
  const namespace = ref.namespace === '' ? '' : `-n ${ref.namespace} `;
  // Both Istio and the Gateway API have gateways.
  const kind =
    resource === 'IstioGateway'
      ? 'gateways.networking.istio.io'
      : resource === 'KubeGateway'
        ? 'gateways.gateway.networking.k8s.io'
        : ref.kind.toLowerCase();
  return `kubectl ${namespace}get ${kind} ${ref.name} -o yaml`;
}

/** `VirtualService shop/payments`. */
export const named = ({ kind, namespace, name }: ObjectRef): string =>
  `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
