import type { Owner, Pod } from './pods.js';
import { workloadOf } from './pods.js';

/** Who has an address. */
export interface AddressOwner {
  readonly kind: 'pod' | 'node' | 'service';
  readonly name: string;
  /** `''` of a node. */
  readonly namespace: string;
  /** `null`: not known, or none. */
  readonly workload: Owner | null;
  /** `''`: not known, or none. */
  readonly node: string;
  /** `rev 42` of a Deployment, the hash of the template where no number is known, else what the labels call its version; `''`: none. */
  readonly revision: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Known to be there still, and not about to go; of those who are not watched nobody knows. */
  readonly stays: boolean;
}

/** An address's owner for a time: addresses are given out again. */
interface Tenancy {
  readonly key: string;
  owner: AddressOwner;
  /** ms since the Unix epoch. */
  from: number;
  /** `Infinity`: it lasts. */
  to: number;
}

/** Owners of the past that are remembered: about 300 bytes each. */
const MOST_GONE = 20_000;
/** Clocks of nodes and of the API server differ by so much; stamps of objects are whole seconds. */
const SLACK_MS = 2_000;

/**
 * Who had which address when, from pods as they come and go, EndpointSlices and Services. Pure: whoever watches tells it.
 * Owners of the present are all kept, of the past the last ones.
 */
export class Addresses {
  readonly #byIp = new Map<string, Tenancy[]>();
  readonly #revisions = new Map<string, number>();
  readonly #gone: { readonly ip: string; readonly tenancy: Tenancy }[] = [];
  readonly #podsByName = new Map<string, AddressOwner>();

  constructor(readonly limit = MOST_GONE) {}

  /**
   * @param at when this was seen, ms since the Unix epoch
   * @param watched its end will be told, too
   */
  pod(pod: Pod, at: number, watched = true): void {
    const owner = ownerOf(pod, watched);
    this.#remember(owner);
    if (pod.hostIp !== '' && pod.node !== '') {
      this.#hold(pod.hostIp, { key: `node/${pod.node}`, owner: nodeOwner(pod.node), from: 0, to: Infinity });
    }
    // A pod in its node's network has no address of its own.
    if (pod.hostNetwork) return;
    for (const ip of pod.ips) {
      this.#hold(ip, { key: pod.uid, owner, from: pod.createdAt, to: Infinity });
      if (pod.endedAt !== null) this.#end(ip, pod.uid, pod.endedAt || at);
    }
  }

  podGone(pod: Pod, at: number): void {
    for (const ip of pod.ips) this.#end(ip, pod.uid, at);
  }

  /** What EndpointSlices say of pods that are not watched themselves: less, and only who is there now. */
  endpoint(ip: string, name: string, namespace: string, node: string, from: number): void {
    const last = this.#byIp.get(ip)?.at(-1);
    if (last?.owner.name === name && last.owner.namespace === namespace && last.to === Infinity) return;
    const owner: AddressOwner = {
      kind: 'pod',
      name,
      namespace,
      workload: null,
      node,
      revision: '',
      labels: {},
      stays: false,
    };
    this.#hold(ip, { key: `endpoint/${namespace}/${name}`, owner, from, to: Infinity });
  }

  /** A virtual address, for as long as the service has it. */
  service(ip: string, name: string, namespace: string, from: number): void {
    const owner: AddressOwner = {
      kind: 'service',
      name,
      namespace,
      workload: null,
      node: '',
      revision: '',
      labels: {},
      stays: true,
    };
    this.#hold(ip, { key: `service/${namespace}/${name}`, owner, from, to: Infinity });
  }

  /** The number of a Deployment's ReplicaSet. */
  revision(namespace: string, replicaSet: string, revision: number): void {
    this.#revisions.set(`${namespace}/${replicaSet}`, revision);
  }

  /** Who had the address then; `null`: not known. */
  ownerOf(ip: string, at: number): AddressOwner | null {
    const tenancies = this.#byIp.get(ip) ?? [];
    const during = tenancies.findLast(({ from, to }) => from <= at && at <= to);
    const near = during ?? tenancies.findLast(({ from, to }) => from - SLACK_MS <= at && at <= to + SLACK_MS);
    return near ? this.#told(near) : null;
  }

  /** Everybody who had the address at some time from `from` to `to`, first to last. */
  ownersOf(ip: string, from: number, to: number): readonly AddressOwner[] {
    const all = (this.#byIp.get(ip) ?? []).filter((one) => one.from <= to && from <= one.to);
    return all.map((one) => this.#told(one));
  }

  /** The pod of this name that was seen last, whatever became of it. */
  podNamed(name: string): AddressOwner | null {
    const owner = this.#podsByName.get(name);
    return owner ? this.#withRevision(owner) : null;
  }

  /** Tenancies, for those who bound memory. */
  get size(): number {
    let size = 0;
    for (const tenancies of this.#byIp.values()) size += tenancies.length;
    return size;
  }

  #told({ owner, to }: Tenancy): AddressOwner {
    const told = this.#withRevision(owner);
    return to === Infinity ? told : { ...told, stays: false };
  }

  /** ReplicaSets may be seen after their pods. */
  #withRevision(owner: AddressOwner): AddressOwner {
    if (owner.workload?.kind !== 'Deployment') return owner;
    const number = this.#revisions.get(`${owner.namespace}/${owner.revision}`);
    const revision =
      number !== undefined
        ? `rev ${number}`
        : (revisionLabel(owner) ?? owner.revision.slice(owner.workload.name.length + 1));
    return { ...owner, revision };
  }

  #remember(owner: AddressOwner): void {
    this.#podsByName.delete(owner.name);
    this.#podsByName.set(owner.name, owner);
    if (this.#podsByName.size > 2 * this.limit) {
      const [oldest] = this.#podsByName.keys();
      this.#podsByName.delete(oldest!);
    }
  }

  #hold(ip: string, tenancy: Tenancy): void {
    let tenancies = this.#byIp.get(ip);
    if (!tenancies) this.#byIp.set(ip, (tenancies = []));
    const known = tenancies.find(({ key }) => key === tenancy.key);
    if (known) {
      known.owner = tenancy.owner;
      return;
    }
    // What is known of the one before ends where the next begins, whoever told its end or did not.
    for (const one of tenancies) {
      if (one.to !== Infinity) continue;
      // The same pod, of which more is known now.
      if (one.owner.name === tenancy.owner.name && one.owner.namespace === tenancy.owner.namespace) {
        tenancies.splice(tenancies.indexOf(one), 1);
      } else if (one.from <= tenancy.from) this.#past(ip, one, tenancy.from);
      else tenancy.to = one.from;
      break;
    }
    tenancies.push(tenancy);
    tenancies.sort((a, b) => a.from - b.from);
    if (tenancy.to !== Infinity) this.#past(ip, tenancy, tenancy.to);
  }

  #end(ip: string, key: string, at: number): void {
    const tenancy = this.#byIp.get(ip)?.find((one) => one.key === key);
    if (!tenancy) return;
    if (tenancy.to === Infinity) this.#past(ip, tenancy, at);
    else tenancy.to = Math.max(tenancy.from, Math.min(tenancy.to, at));
  }

  #past(ip: string, tenancy: Tenancy, at: number): void {
    tenancy.to = Math.max(at, tenancy.from);
    this.#gone.push({ ip, tenancy });
    while (this.#gone.length > this.limit) {
      const oldest = this.#gone.shift()!;
      const left = (this.#byIp.get(oldest.ip) ?? []).filter((one) => one !== oldest.tenancy);
      if (left.length === 0) this.#byIp.delete(oldest.ip);
      else this.#byIp.set(oldest.ip, left);
    }
  }
}

const ownerOf = (pod: Pod, watched: boolean): AddressOwner => ({
  kind: 'pod',
  name: pod.name,
  namespace: pod.namespace,
  workload: workloadOf(pod),
  node: pod.node,
  revision: pod.owner?.kind === 'ReplicaSet' ? pod.owner.name : (revisionLabel(pod) ?? ''),
  labels: pod.labels,
  stays: watched && pod.deletedAt === null && pod.endedAt === null,
});

const nodeOwner = (name: string): AddressOwner => ({
  kind: 'node',
  name,
  namespace: '',
  workload: null,
  node: name,
  revision: '',
  labels: {},
  stays: true,
});

/** What tells two versions of a workload apart beside a Deployment's number. */
const revisionLabel = ({ labels }: Pick<Pod, 'labels'>): string | undefined => {
  const hash = labels['controller-revision-hash'] ?? labels['pod-template-hash'];
  return hash?.slice(hash.lastIndexOf('-') + 1);
};
