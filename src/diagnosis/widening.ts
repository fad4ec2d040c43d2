import type { Case } from '../aggregate/joins.js';
import type { AddressOwner } from './cluster-facts.js';
import { missingCallee, missingCaller } from './missing-side.js';
import type { Scene } from './scene.js';
import { plural } from './words.js';

/** A workload whose proxies' logs are not followed, and what they would tell. */
export interface Wanted {
  /** As `--with` names them. */
  readonly side: 'upstreams' | 'callers' | 'gateway' | 'waypoint';
  readonly namespace: string;
  /** As in the API: `Deployment`, `Service`. */
  readonly kind: string;
  readonly name: string;
  readonly why: string;
  /** Without it the cause stays open; else it would only show the other end too. */
  readonly decides: boolean;
}

/** `deployment/ledger in shop`. */
export const wantedText = ({ kind, name, namespace }: Wanted): string =>
  `${kind.toLowerCase()}/${name} in ${namespace}`;

/** Cases looked at: who is missing in most is missing in these. */
const MOST_LOOKED_AT = 500;
const MOST_WANTED = 5;

/** Whose logs would tell more of some failed requests, those that would decide first. None where the cluster is not asked. */
export function wantedLogs(scene: Scene, cases: readonly Case[]): readonly Wanted[] {
  const counts = new Map<string, { wanted: Omit<Wanted, 'why'>; count: number }>();
  const count = (owner: AddressOwner | null, end: 'callee' | 'caller', decides: boolean): void => {
    if (owner?.kind !== 'pod' || scene.facts.reads(owner)) return;
    if (scene.linesOfProxy(owner.name).length > 0) return;
    const { kind, name } = owner.workload ?? { kind: 'Pod', name: owner.name };
    const key = `${decides} ${end} ${owner.namespace}/${kind}/${name}`;
    const known = counts.get(key);
    if (known) known.count++;
    else {
      const side = sideOf(owner, end);
      counts.set(key, { wanted: { side, namespace: owner.namespace, kind, name, decides }, count: 1 });
    }
  };
  const looked = cases.slice(0, MOST_LOOKED_AT);
  for (const { root, decider } of looked) {
    const callee = decider.upstreamIp && scene.facts.ownerOf(decider.upstreamIp, decider.start);
    const caller = root.peer && scene.facts.ownerOf(root.peer, root.start);
    if (callee && decider.direction !== 'inbound')
      count(callee, 'callee', missingCallee(scene, decider) !== null);
    if (caller && root.direction === 'inbound') count(caller, 'caller', missingCaller(scene, root) !== null);
  }
  const known = new Set<string>();
  return [...counts.values()]
    .toSorted((a, b) => Number(b.wanted.decides) - Number(a.wanted.decides) || b.count - a.count)
    .map(({ wanted, count }) => ({ ...wanted, why: whyOf(wanted, count, looked.length) }))
    .filter((wanted) => !known.has(wantedText(wanted)) && known.add(wantedText(wanted)))
    .slice(0, MOST_WANTED);
}

function whyOf({ side, decides }: Omit<Wanted, 'why'>, count: number, of: number): string {
  const seen =
    side === 'callers' || side === 'gateway'
      ? 'it sent'
      : side === 'waypoint'
        ? 'they went through it:'
        : 'it was sent';
  const what = `${seen} ${count} of ${plural(of, 'failed request')} looked at`;
  return decides ? `${what}, and only its log says what it did` : `${what}; its log shows the other end`;
}

const isWaypoint = ({ labels }: AddressOwner): boolean =>
  (labels['gateway.istio.io/managed'] ?? '').includes('mesh-controller');

/** Labels of gateways: istio 1.31 manifests/charts/gateway, pilot/pkg/config/kube/gateway/templates. */
const isGateway = ({ labels }: AddressOwner): boolean =>
  labels['gateway.networking.k8s.io/gateway-name'] !== undefined ||
  (labels['istio'] ?? '').endsWith('gateway');

function sideOf(owner: AddressOwner, end: 'callee' | 'caller'): Wanted['side'] {
  if (isWaypoint(owner)) return 'waypoint';
  if (end === 'caller') return isGateway(owner) ? 'gateway' : 'callers';
  return 'upstreams';
}
