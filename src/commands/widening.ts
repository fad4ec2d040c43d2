import { ApiError } from '../cluster/client.js';
import { collectionPath, RESOURCES } from '../cluster/cluster.js';
import { podOf, workloadOf, type Pod } from '../cluster/pods.js';
import { selectionOf, type Selection } from '../cluster/targets.js';
import { labelsOf } from '../cluster/untyped.js';
import type { Side } from '../cli/options.js';
import type { Wanted } from '../diagnosis/widening.js';
import { plural } from '../diagnosis/words.js';
import { MeshtailError } from '../errors.js';
import type { Parsed } from '../pipeline.js';
import { hostOf } from '../record/address.js';
import type { LiveSession } from '../source/kubernetes.js';
import { serviceOf, type LiveFacts } from './facts.js';

/** Addresses of callers that are looked up; more of one workload add nothing. */
const MOST_CALLERS = 5_000;

/**
 * Adds the logs of those beside the targets to what is read: as the command line asks from the start (`--with`), or one
 * workload when somebody says so. What a target's lines name counts, not what the lines of the added ones name.
 */
export class Widening {
  readonly #added = new Set<string>();
  readonly #upstreams = new Set<string>();
  readonly #callers = new Map<string, number>();
  /** Callers that nobody could name yet. */
  #unnamed: readonly string[] = [];
  #work: Promise<void> = Promise.resolve();

  /** @param tell what came to it and why, a sentence each. */
  constructor(
    readonly session: LiveSession,
    readonly live: LiveFacts,
    readonly sides: readonly Side[],
    readonly tell: (text: string) => void,
  ) {}

  /** What does not wait for lines. */
  begin(): void {
    if (this.sides.includes('gateway')) this.#do(() => this.#gateways());
    if (this.sides.includes('waypoint')) this.#do(() => this.#waypoints());
  }

  /** What a line names. */
  parsed({ input, result, record }: Parsed): void {
    if (result !== 'record' || this.sides.length === 0) return;
    const cluster = record.upstreamCluster();
    if (this.sides.includes('upstreams') && cluster?.direction === 'outbound') {
      if (!this.#upstreams.has(cluster.name) && this.session.isTarget(input)) {
        this.#upstreams.add(cluster.name);
        const service = serviceOf(cluster);
        // A host outside the cluster has no proxy of ours.
        if (service) this.#do(() => this.#upstream(service.name, service.namespace));
      }
    }
    if (this.sides.includes('callers') && cluster?.direction === 'inbound') {
      const remote = record.text('downstream_remote_address');
      const ip = remote ? hostOf(remote) : '';
      if (ip === '' || this.#callers.has(ip) || this.#callers.size >= MOST_CALLERS) return;
      if (!this.session.isTarget(input)) return;
      this.#callers.set(ip, record.startTime());
      this.#unnamed = [...this.#unnamed, ip];
    }
  }

  /** Names callers, as far as the cluster told meanwhile. Call it now and then. */
  turn(): void {
    const waiting = this.#unnamed;
    this.#unnamed = waiting.filter((ip) => {
      const owner = this.live.mesh.ownerOf(ip, this.#callers.get(ip)!);
      if (owner?.kind !== 'pod') return owner === null;
      if (owner.workload === null) return true;
      const { kind, name } = owner.workload;
      this.#do(() => this.#add(ofWorkload(kind, name, owner.namespace), 'it calls the target'));
      return false;
    });
  }

  /** Resolves when everything that the lines named so far was looked for. */
  async settled(ms: number): Promise<void> {
    this.turn();
    if (this.#unnamed.length > 0) await this.live.mesh.settled(ms);
    this.turn();
    await this.#work;
  }

  /** Adds the first of these that is not followed yet; says so, or that there is none. */
  async add(wanted: readonly Wanted[]): Promise<string> {
    for (const { namespace, kind, name, why } of wanted) {
      const selection = ofWorkload(kind, name, namespace);
      if (this.#added.has(keyOf(selection))) continue;
      const told: string[] = [];
      await this.#add(selection, why, (text) => told.push(text));
      // Perhaps followed under another name, as by its service.
      if (told.length > 0) return told.join('; ');
    }
    return wanted.length === 0
      ? 'nothing to widen to: the cluster names no proxy beside those that are followed'
      : 'all that would tell more is followed already';
  }

  /** One after the other, so that each can say what came by it. */
  #do(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error: unknown) => {
      if (this.session.signal.aborted) return;
      if (!(error instanceof MeshtailError || error instanceof ApiError)) throw error;
      this.tell(`cannot widen: ${error.message}`);
    });
  }

  async #upstream(name: string, namespace: string): Promise<void> {
    const { client, signal } = this.session;
    const selection = await selectionOf(client, { kind: 'Service', name }, namespace, signal);
    await this.#add({ ...selection, namespace, text: `service/${name}` }, 'the target calls it');
  }

  /** The gateways that let traffic into the mesh. */
  async #gateways(): Promise<void> {
    const found = await this.#podsWith('istio in (ingressgateway)');
    const made = await this.#podsWith('gateway.istio.io/managed=istio.io-gateway-controller');
    const pods = [...found, ...made];
    if (pods.length === 0) this.tell('no ingress gateway is found by its labels');
    for (const pod of pods) {
      const { kind, name } = workloadOf(pod);
      await this.#add(ofWorkload(kind, name, pod.namespace), 'it lets traffic into the mesh');
    }
  }

  /** In the whole cluster, or in the mesh's own namespace and the targets'. */
  async #podsWith(labelSelector: string): Promise<readonly Pod[]> {
    const { client, signal, namespaces } = this.session;
    const list = async (namespace: string | null): Promise<readonly Pod[]> =>
      (await client.list(collectionPath(RESOURCES.Pod, namespace), { labelSelector }, signal)).items.map(
        podOf,
      );
    try {
      return await list(null);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 403)) throw error;
    }
    const places = new Set(['istio-system', ...namespaces.flatMap((one) => one ?? [])]);
    const results = await Promise.allSettled([...places].map(list));
    return results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  }

  /** https://istio.io/latest/docs/ambient/usage/waypoint/#configure-a-pod-to-use-a-specific-waypoint: pod, service, namespace. */
  async #waypoints(): Promise<void> {
    const { client, signal } = this.session;
    const targets = this.session.pods.filter(({ namespace, name }) =>
      this.session.isTarget(`${namespace}/${name}`),
    );
    const named = new Map<string, Beside>();
    const look = (labels: Readonly<Record<string, string>>, namespace: string): void => {
      const name = labels['istio.io/use-waypoint'];
      if (name === undefined || name === 'none') return;
      const where = labels['istio.io/use-waypoint-namespace'] ?? namespace;
      named.set(`${where}/${name}`, ofWaypoint(name, where));
    };
    for (const { labels, namespace } of targets) look(labels, namespace);
    for (const namespace of new Set(targets.map((pod) => pod.namespace))) {
      const services = await client.list(collectionPath(RESOURCES.Service, namespace), {}, signal);
      for (const service of services.items) {
        const selector = (service['spec'] as { selector?: Record<string, string> }).selector ?? {};
        const selects = Object.entries(selector);
        const isOurs = targets.some(
          ({ labels }) => selects.length > 0 && selects.every(([key, value]) => labels[key] === value),
        );
        if (isOurs) look(labelsOf(service), namespace);
      }
      look(
        labelsOf(await client.get(`${collectionPath(RESOURCES.Namespace, null)}/${namespace}`, {}, signal)),
        namespace,
      );
    }
    if (named.size === 0)
      this.tell('no waypoint: no label istio.io/use-waypoint on pods, services or namespace');
    for (const selection of named.values())
      await this.#add(selection, 'traffic to the target goes through it');
  }

  async #add(beside: Beside, why: string, tell = this.tell): Promise<void> {
    const { text, namespace } = beside;
    if (this.#added.has(keyOf(beside))) return;
    this.#added.add(keyOf(beside));
    const { pods, left } = await this.session.widen(beside);
    const rest = left > 0 ? `; ${plural(left, 'pod')} more than --max-log-requests lets in` : '';
    if (pods > 0 || left > 0) {
      return tell(`also reading ${text} in ${namespace} (${plural(pods, 'pod')}): ${why}${rest}`);
    }
    const there = this.session.pods.filter((pod) => pod.namespace === namespace && beside.selects(pod));
    if (there.length === 0) tell(`${text} in ${namespace} has no pods to read: ${why}`);
    // What the targets are themselves is no news.
    else if (!there.some((pod) => this.session.isFollowed(pod)))
      tell(`no pod of ${text} in ${namespace} has a proxy, so there is no log to read: ${why}`);
  }
}

/** Pods beside the targets. */
interface Beside extends Pick<Selection, 'selects'> {
  /** `deployment/ledger`. */
  readonly text: string;
  readonly namespace: string;
}

const keyOf = ({ namespace, text }: Beside): string => `${namespace}/${text}`;

/** By the chain of owners. */
const ofWorkload = (kind: string, name: string, namespace: string): Beside => ({
  text: `${kind.toLowerCase()}/${name}`,
  namespace,
  selects: (pod) => {
    const workload = workloadOf(pod);
    return kind === 'Pod' ? pod.name === name : workload.kind === kind && workload.name === name;
  },
});

const ofWaypoint = (name: string, namespace: string): Beside => ({
  text: `gateway/${name}`,
  namespace,
  selects: ({ labels }) => labels['gateway.networking.k8s.io/gateway-name'] === name,
});
