import { MeshWatch } from '../cluster/mesh-watch.js';
import type { ClusterFacts } from '../diagnosis/cluster-facts.js';
import type { Parsed } from '../pipeline.js';
import type { UpstreamCluster } from '../record/upstream-cluster.js';
import { isPrivate } from '../record/address.js';
import type { LiveSession } from '../source/kubernetes.js';

/** What is waited for before a report is made of what is known. */
const SETTLE_MS = 5_000;

/** What the cluster of a live session tells beside its lines. */
export class LiveFacts {
  readonly mesh: MeshWatch;
  readonly #clusters = new Set<string>();

  constructor(readonly session: LiveSession) {
    const { namespaces, client, options, signal } = session;
    const { since, follow } = options;
    this.mesh = new MeshWatch(client, { namespaces, since, follow, isInside: isPrivate }, signal);
    session.listen(this.mesh);
    this.mesh.start();
  }

  get facts(): ClusterFacts {
    const { mesh, session } = this;
    return {
      ownerOf: (ip, at) => mesh.ownerOf(ip, at),
      ownersOf: (ip, from, to) => mesh.ownersOf(ip, from, to),
      podNamed: (name) => mesh.podNamed(name),
      selectorOf: (service) => mesh.selectorOf(service),
      reads: ({ namespace, name }) => session.reads(`${namespace}/${name}`),
      // As of now: what is told of one moment must not change meanwhile.
      changes: mesh.changes,
    };
  }

  /** Looks into the namespaces of the services that lines name, as they come. */
  parsed({ result, record }: Parsed): void {
    if (result !== 'record') return;
    const called = record.upstreamCluster();
    if (called === null || this.#clusters.has(called.name) || this.#clusters.size >= MOST_CLUSTERS) return;
    this.#clusters.add(called.name);
    const service = serviceOf(called);
    if (service) this.mesh.include(service.namespace);
  }

  /** Resolves when what was asked for is answered, also what `use` of the facts asks for. */
  async settled(use: () => void): Promise<void> {
    await this.mesh.settled(SETTLE_MS);
    use();
    await this.mesh.settled(SETTLE_MS);
  }
}

const MOST_CLUSTERS = 10_000;

/** The Kubernetes service that an upstream cluster stands for; `null`: a host of another kind, or none. */
export function serviceOf({
  host,
  service,
}: UpstreamCluster): { readonly name: string; readonly namespace: string } | null {
  if (service === null || service === host) return null;
  const [name = '', namespace = ''] = service.split('.');
  return { name, namespace };
}
