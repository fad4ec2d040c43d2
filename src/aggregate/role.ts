import { hostOf } from '../record/address.js';
import type { UpstreamCluster } from '../record/upstream-cluster.js';

export type Role = 'sidecar' | 'gateway' | 'waypoint' | 'ztunnel' | 'unknown';

/** What some lines show of the proxy that wrote them. */
export interface Shown {
  readonly format: string;
  readonly cluster: UpstreamCluster | null;
  /** Whether they were called from the address that the proxy calls on from; `null` where they do not say. */
  readonly fromOwnPod: boolean | null;
}

/** Whether a call came from the proxy's own pod: both addresses are the same host. */
export function isFromOwnPod(
  upstreamLocal: string | null | undefined,
  downstreamRemote: string | null | undefined,
): boolean | null {
  if (upstreamLocal == null || downstreamRemote == null) return null;
  return hostOf(upstreamLocal) === hostOf(downstreamRemote);
}

/** Among a line's signs: the call came from the proxy's own pod, or from elsewhere. A line that does not say has neither. */
export const FROM_OWN_POD = 64;
export const FROM_ELSEWHERE = 128;

/** What they say. */
export const fromOwnPodIn = (signs: number): boolean | null =>
  (signs & (FROM_OWN_POD | FROM_ELSEWHERE)) === 0 ? null : (signs & FROM_OWN_POD) !== 0;

/** What a proxy is, told by what its lines show, never by its name. */
export class RoleSigns {
  #inbound = 0;
  #waypoint = 0;
  #sniRouted = 0;
  #ztunnel = 0;
  /** Calls that come from the proxy's own pod, and from elsewhere. */
  #ownCalls = 0;
  #othersCalls = 0;

  add({ format, cluster, fromOwnPod }: Shown, lines = 1): void {
    if (format.startsWith('ztunnel')) this.#ztunnel += lines;
    else if (cluster?.kind === 'inbound' || cluster?.name.startsWith('InboundPassthrough'))
      this.#inbound += lines;
    else if (cluster?.kind === 'inbound-vip') this.#waypoint += lines;
    else if (cluster?.kind === 'sni') this.#sniRouted += lines;
    else if (cluster?.direction === 'outbound' || cluster?.direction === 'passthrough') {
      if (fromOwnPod === true) this.#ownCalls += lines;
      if (fromOwnPod === false) this.#othersCalls += lines;
    }
  }

  /** The role, and what it was told by. */
  told(): { readonly role: Role; readonly roleReason: string } {
    const is = (role: Role, roleReason: string): { role: Role; roleReason: string } => ({ role, roleReason });
    if (this.#ztunnel > 0) return is('ztunnel', `${this.#ztunnel} lines have its format`);
    if (this.#inbound > 0) return is('sidecar', `${this.#inbound} lines hand to an app of its own (inbound)`);
    if (this.#waypoint > 0) return is('waypoint', `${this.#waypoint} lines serve a service (inbound-vip)`);
    if (this.#sniRouted > 0) return is('gateway', `${this.#sniRouted} lines pass TLS through by server name`);
    const calls = this.#ownCalls + this.#othersCalls;
    if (calls === 0) return is('unknown', 'no line shows who called through it');
    return this.#ownCalls * 2 > calls
      ? is('sidecar', `${this.#ownCalls} of ${calls} calls come from its own pod`)
      : is('gateway', `${this.#othersCalls} of ${calls} calls come from elsewhere and go out`);
  }
}
