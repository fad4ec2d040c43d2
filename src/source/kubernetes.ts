import { setMaxListeners } from 'node:events';
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, type ClusterClient } from '../cluster/client.js';
import { AMBIENT, podOf, proxyOf, whyNoProxy, workloadOf, type Pod } from '../cluster/pods.js';
import { nothingFound } from '../cluster/nothing-found.js';
import { pathOf, selectionOf, type Selection, type Target } from '../cluster/targets.js';
import { watch } from '../cluster/watch.js';
import { MeshtailError } from '../errors.js';
import type { Gap } from './account.js';
import { Follower, type FollowState, type LogWindow } from './follower.js';
import { forbidden } from './pod-log.js';
import { Slots } from './slots.js';
import type { Source } from './source.js';

export interface LiveOptions extends LogWindow {
  /** None: every proxy of the namespace. */
  readonly targets: readonly Target[];
  /** `-A`: in all namespaces. */
  readonly allNamespaces: boolean;
  /** `-l`. */
  readonly labels: string | undefined;
  /** `-c`. */
  readonly container: string | undefined;
  readonly maxLogRequests: number;
  /** How long a log is read while others wait for their turn, ms. */
  readonly turnMs?: number;
}

/** How one pod's log is being read. */
export interface StreamStatus {
  /** `namespace/pod`. */
  readonly name: string;
  readonly pod: string;
  readonly namespace: string;
  readonly container: string;
  readonly state: FollowState;
  readonly reason: string;
  /** Stamps of the first and the newest line, ms since the Unix epoch; NaN where there is none. */
  readonly first: number;
  readonly last: number;
  readonly lagMs: number | null;
  readonly createdAt: number;
}

/** Which pods of which namespace; `null`: every namespace. */
type Scope = Pick<Selection, 'namespace' | 'selects'>;

/** Told of every pod that the session sees. */
export interface PodListener {
  pod(pod: Pod): void;
  podGone(pod: Pod): void;
}

export interface LiveStatus {
  readonly streams: readonly StreamStatus[];
  /** Pods of the targets that have no proxy: a finding of its own. */
  readonly withoutProxy: readonly Pod[];
  readonly gaps: readonly Gap[];
  /** Streams that wait for their turn: what is read is then late, and may be missing. */
  readonly waiting: number;
  /** Why the list of pods is not up to date. */
  readonly trouble: string | null;
  readonly refused: readonly MeshtailError[];
}

interface Known {
  pod: Pod;
  readonly wakes: Set<() => void>;
}

/** Silent streams are looked after that often. */
const TICK_MS = 250;
/** Short requests beside the streams that may be under way at once. */
const QUESTIONS = 16;
const MOST_GAPS = 10_000;

/**
 * The logs of all proxies of some targets, now and as pods come and go. Each pod is a source of its own; read them all at
 * once, they end by themselves or with `stop`.
 */
export class LiveSession {
  readonly #abort = new AbortController();
  readonly #slots: Slots;
  readonly #questions = new Slots(QUESTIONS);
  readonly #lag = createHistogram();
  readonly #pods = new Map<string, Known>();
  readonly #followed = new Map<string, Follower>();
  readonly #gaps: Gap[] = [];
  /** Of the targets, by the name of their source. */
  readonly #targets = new Set<string>();
  readonly #reading = new Set<string>();
  readonly #watched = new Set<string | null>();
  #widened: Scope[] = [];
  #left = 0;
  #listener: PodListener | null = null;
  readonly #refused: MeshtailError[] = [];
  #selections: Selection[] = [];
  #queue: Source[] = [];
  #wake: (() => void) | null = null;
  #closed = false;
  /** Pods of a later time appeared while the session went on; ms since the Unix epoch. */
  #begunAt = Infinity;
  #trouble: string | null = null;

  private constructor(
    readonly client: ClusterClient,
    readonly options: LiveOptions,
  ) {
    this.#slots = new Slots(options.maxLogRequests, options.turnMs);
    // One listener for each stream and each wait: as many as there are pods.
    setMaxListeners(0, this.#abort.signal);
  }

  /**
   * Finds the targets' pods and begins to watch for more.
   * @throws MeshtailError where nothing is found, or nothing may be seen
   */
  static async open(client: ClusterClient, options: LiveOptions): Promise<LiveSession> {
    const session = new LiveSession(client, options);
    try {
      await session.#begin();
    } catch (error) {
      session.stop();
      throw error;
    }
    return session;
  }

  get namespace(): string | null {
    return this.options.allNamespaces ? null : this.client.connection.namespace;
  }

  /** Every pod of the watched namespaces, as of now. */
  get pods(): readonly Pod[] {
    return [...this.#pods.values()].map(({ pod }) => pod);
  }

  /** Between the stamps of lines and their arrival, ms; 1 is 0. */
  get lag(): RecordableHistogram {
    return this.#lag;
  }

  /** Aborted when the session is stopped. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Where the targets are; `null`: everywhere. */
  get namespaces(): readonly (string | null)[] {
    return [...new Set(this.#selections.map(({ namespace }) => namespace))];
  }

  /** Whether a source is a pod of the targets, and not one that was added by widening. */
  isTarget(source: string): boolean {
    return this.#targets.has(source);
  }

  /** Whether a source is among those that are read. */
  reads(source: string): boolean {
    return this.#reading.has(source);
  }

  isFollowed({ uid }: Pod): boolean {
    return this.#followed.has(uid);
  }

  /** Tells of the pods that there are, and of those that come and go. */
  listen(listener: PodListener): void {
    this.#listener = listener;
    for (const pod of this.pods) listener.pod(pod);
  }

  /**
   * Follows more than the targets, as far as logs may be read at once: the targets' own must not have to wait for it.
   * Returns how many pods came to it and how many were left.
   * @throws MeshtailError where their pods may not be seen
   */
  async widen(selection: Scope): Promise<{ readonly pods: number; readonly left: number }> {
    const before = this.#followed.size;
    this.#left = 0;
    this.#widened.push(selection);
    const { namespace } = selection;
    const isWatched =
      this.options.labels === undefined && (this.#watched.has(null) || this.#watched.has(namespace));
    try {
      if (isWatched) for (const pod of this.pods) this.#consider(pod, true);
      else await this.#watchPods(namespace, undefined);
    } catch (error) {
      this.#widened = this.#widened.filter((one) => one !== selection);
      throw error;
    }
    return { pods: this.#followed.size - before, left: this.#left };
  }

  async #begin(): Promise<void> {
    const { signal } = this.#abort;
    const { targets } = this.options;
    this.#selections = await this.#selectionsOf(targets);
    for (const namespace of this.namespaces) await this.#watchTargets(namespace, this.options.labels);
    const chosen = this.pods.filter((pod) => this.#selects(pod));
    if (chosen.length === 0) {
      throw (
        this.#refused[0] ??
        (await nothingFound(this.client, targets, this.namespace, this.pods, this.options.labels, signal))
      );
    }
    // One that is missing among several is told, and the others are read.
    for (const selection of this.#selections) {
      if (selection.target === null || chosen.some((pod) => this.#selects(pod, [selection]))) continue;
      this.#refused.push(
        await nothingFound(
          this.client,
          [selection.target],
          this.namespace,
          this.pods,
          this.options.labels,
          signal,
        ),
      );
    }
    if (chosen.every((pod) => !proxyOf(pod, this.options.container)))
      throw noProxy(chosen, this.options.container);
    // Pods know their time by the second.
    this.#begunAt = Math.floor(Date.now() / 1000) * 1000;
    if (this.options.follow) void this.#tick();
    else this.#close();
  }

  /** Whoever may not see pods everywhere may still see those of one namespace. */
  async #watchTargets(namespace: string | null, labels: string | undefined): Promise<void> {
    try {
      await this.#watchPods(namespace, labels);
    } catch (error) {
      const own = this.client.connection.namespace;
      if (namespace !== null || !(error instanceof MeshtailError) || error.code !== 'forbidden') throw error;
      await this.#watchPods(own, labels);
      const { code, message, hint } = error;
      const only = `${message}; only namespace ${own} is read`;
      this.#refused.push(new MeshtailError(code, only, { cause: error, ...(hint && { hint }) }));
    }
  }

  async #selectionsOf(targets: readonly Target[]): Promise<Selection[]> {
    const { namespace } = this;
    if (targets.length === 0) return [{ target: null, namespace, selects: () => true }];
    const { signal } = this.#abort;
    const found: Selection[] = [];
    const errors: unknown[] = [];
    for (const target of targets) {
      try {
        found.push(await selectionOf(this.client, target, namespace, signal));
      } catch (error) {
        errors.push(
          error instanceof ApiError && error.status === 404
            ? await nothingFound(this.client, [target], namespace, [], this.options.labels, signal)
            : explained(error, 'get', 'services', namespace),
        );
      }
    }
    for (const error of errors) {
      if (found.length === 0 || !(error instanceof MeshtailError)) throw error;
      this.#refused.push(error);
    }
    return found;
  }

  /** @param labels `-l`, which is about the targets and about nothing that was added to them. */
  async #watchPods(namespace: string | null, labels: string | undefined): Promise<void> {
    const { follow } = this.options;
    const isOfTargets = labels === this.options.labels;
    if (labels === undefined) this.#watched.add(namespace);
    const query = labels === undefined ? {} : { labelSelector: labels };
    const path = pathOf('Pod', namespace);
    // Of this watch: another one may see other pods of the same namespace.
    const there = new Set<string>();
    const seen = (pod: Pod): void => {
      there.add(pod.uid);
      this.#seen(pod, isOfTargets);
    };
    const gone = (uid: string): void => {
      there.delete(uid);
      this.#gone(uid);
    };
    const all = (items: readonly Readonly<Record<string, unknown>>[]): void => {
      const pods = items.map(podOf);
      const now = new Set(pods.map(({ uid }) => uid));
      for (const uid of there) if (!now.has(uid)) gone(uid);
      for (const pod of pods) seen(pod);
    };
    try {
      if (!follow) return all((await this.client.list(path, query, this.#abort.signal)).items);
      await watch(
        this.client,
        path,
        query,
        {
          all,
          changed: (kind, object) => {
            const pod = podOf(object);
            if (kind === 'DELETED') gone(pod.uid);
            else seen(pod);
          },
          trouble: (reason) => {
            this.#trouble = reason;
          },
        },
        this.#abort.signal,
      );
    } catch (error) {
      throw explained(error, 'list', 'pods', namespace);
    }
  }

  #selects(pod: Pod, by: readonly Scope[] = this.#selections): boolean {
    return by.some(
      ({ namespace, selects }) => (namespace === null || pod.namespace === namespace) && selects(pod),
    );
  }

  #seen(pod: Pod, isOfTargets: boolean): void {
    this.#listener?.pod(pod);
    const known = this.#pods.get(pod.uid);
    if (known) {
      known.pod = pod;
      for (const wake of known.wakes) wake();
    } else this.#pods.set(pod.uid, { pod, wakes: new Set() });
    this.#consider(pod, !isOfTargets);
  }

  /** Follows a pod that the targets, or what was added to them, mean. */
  #consider(pod: Pod, onlyWidened: boolean): void {
    if (this.#followed.has(pod.uid)) return;
    if (!onlyWidened && this.#selects(pod)) {
      this.#targets.add(sourceName(pod));
      this.#add(pod);
    } else if (this.#selects(pod, this.#widened)) {
      if (this.#followed.size < this.options.maxLogRequests) this.#add(pod);
      else this.#left++;
    }
  }

  #gone(uid: string): void {
    const known = this.#pods.get(uid);
    if (!known) return;
    this.#pods.delete(uid);
    this.#listener?.podGone(known.pod);
    for (const wake of known.wakes) wake();
  }

  /** One more log to read. */
  #add(pod: Pod): void {
    const proxy = proxyOf(pod, this.options.container);
    if (!proxy) return;
    const follower = new Follower(pod, proxy.container, this.options, {
      client: this.client,
      slots: this.#slots,
      questions: this.#questions,
      appeared: pod.createdAt >= this.#begunAt,
      signal: this.#abort.signal,
      current: () => this.#pods.get(pod.uid)?.pod,
      change: (ms) => this.#change(pod.uid, ms),
      gap: (gap) => {
        if (this.#gaps.length < MOST_GAPS) this.#gaps.push(gap);
      },
      refused: (error) => this.#refused.push(error),
      lag: (ms) => this.#lag.record(1 + Math.round(ms)),
    });
    this.#followed.set(pod.uid, follower);
    this.#reading.add(sourceName(pod));
    this.#queue.push({
      name: sourceName(pod),
      origin: {
        pod: pod.name,
        namespace: pod.namespace,
        container: proxy.container,
        ...(pod.node !== '' && { node: pod.node }),
      },
      kind: 'lines',
      open: () => follower.read(),
    });
    this.#wake?.();
  }

  #change(uid: string, ms: number): Promise<void> {
    const known = this.#pods.get(uid);
    if (!known) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        known.wakes.delete(done);
        this.#abort.signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      known.wakes.add(done);
      this.#abort.signal.addEventListener('abort', done);
    });
  }

  /** Pods to read, as they appear; ends with `stop` or, where nothing is followed, with the last that there is. */
  async *sources(): AsyncGenerator<Source, void> {
    for (;;) {
      const source = this.#queue.shift();
      if (source) yield source;
      else if (this.#closed) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = null;
      }
    }
  }

  status(): LiveStatus {
    return {
      streams: [...this.#followed].map(([uid, follower]) => {
        const pod = this.#pods.get(uid)?.pod ?? follower.pod;
        return {
          name: sourceName(pod),
          pod: pod.name,
          namespace: pod.namespace,
          container: follower.container,
          state: follower.state,
          reason: follower.reason,
          first: follower.first,
          last: follower.last,
          lagMs: follower.lagMs,
          createdAt: pod.createdAt,
        };
      }),
      withoutProxy: this.pods.filter(
        (pod) => this.#selects(pod) && !proxyOf(pod, this.options.container) && pod.phase === 'Running',
      ),
      gaps: this.#gaps,
      waiting: this.#slots.waiting,
      trouble: this.#trouble,
      refused: this.#refused,
    };
  }

  /** Ends all streams; what was read stays. */
  stop(): void {
    this.#abort.abort();
    this.#close();
  }

  #close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  async #tick(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      await sleep(TICK_MS, undefined, { signal }).catch(() => undefined);
      for (const follower of this.#followed.values()) follower.tick();
    }
  }
}

const sourceName = ({ namespace, name }: Pod): string => `${namespace}/${name}`;

/** Pods without a proxy are the answer, not a failure to find one. */
function noProxy(pods: readonly Pod[], container: string | undefined): MeshtailError {
  const names = [...new Set(pods.map((pod) => workloadOf(pod).name))].slice(0, 5).join(', ');
  const [pod] = pods;
  const have = pod!.containers.map(({ name }) => name).join(', ');
  if (container !== undefined) {
    return new MeshtailError('no-container', `no pod of ${names} has a container '${container}'`, {
      hint: `they have: ${have}`,
    });
  }
  const whys = [...new Set(pods.map(whyNoProxy))];
  const isAmbient = pods.every((one) => one.annotations[AMBIENT] === 'enabled');
  return new MeshtailError(
    'no-proxy',
    `${pods.length} ${pods.length === 1 ? 'pod' : 'pods'} of ${names} and no proxy in any: ${whys.join('; ')} (containers: ${have})`,
    {
      hint: (isAmbient
        ? [
            'the ztunnel of its node logs its connections: meshtail ds/ztunnel -n istio-system',
            `a waypoint logs its requests, where it has one: kubectl -n ${pod!.namespace} get gateway`,
          ]
        : [
            `see why: kubectl get namespace ${pod!.namespace} --show-labels`,
            `and: kubectl -n ${pod!.namespace} get pod ${pod!.name} -o yaml | grep -n inject`,
            'pods that are older than the label need a restart; a proxy of another name is given with -c',
          ]
      ).join('\n'),
    },
  );
}

function explained(error: unknown, verb: string, resource: string, namespace: string | null): unknown {
  if (!(error instanceof ApiError)) return error;
  if (error.status === 403) return forbidden(verb, resource, namespace, error.message);
  // Labels are the only part of such a request that a person wrote.
  const hint =
    error.status === 400 ? "-l takes what kubectl takes: app=payments, 'tier in (web,edge)'" : undefined;
  return new MeshtailError('cluster-error', `cannot ${verb} ${resource}: ${error.status} ${error.message}`, {
    cause: error,
    ...(hint !== undefined && { hint }),
  });
}
