import { MeshWatch } from '../cluster/mesh-watch.js';
import type { ClusterFacts } from '../diagnosis/cluster-facts.js';
import type { Parsed } from '../pipeline.js';
import { isPrivate } from '../record/address.js';
import type { LiveSession } from '../source/kubernetes.js';

/** What is waited for before a report is made of what is known. */
const SETTLE_MS = 5_000;

/** What the cluster of a live session tells beside its lines. */
export class LiveFacts {
  readonly mesh: MeshWatch;
  readonly #services = new Set<string>();

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
    const service = record.upstreamCluster()?.service;
    if (service === null || service === undefined || this.#services.has(service)) return;
    if (this.#services.size < MOST_SERVICES) this.#services.add(service);
    const [, namespace, ...more] = service.split('.');
    if (namespace !== undefined && more.length === 0) this.mesh.include(namespace);
  }

  /** Resolves when what was asked for is answered, also what `use` of the facts asks for. */
  async settled(use: () => void): Promise<void> {
    await this.mesh.settled(SETTLE_MS);
    use();
    await this.mesh.settled(SETTLE_MS);
  }
}

const MOST_SERVICES = 10_000;
