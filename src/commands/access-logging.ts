import { ApiError, type ClusterClient } from '../cluster/client.js';
import { collectionPath, RESOURCES, type Resource } from '../cluster/cluster.js';
import { proxyOf, workloadOf, type Owner, type Pod } from '../cluster/pods.js';
import type { Parsed } from '../pipeline.js';
import type { LiveSession } from '../source/kubernetes.js';

/** What was read so far. */
export interface Counts {
  readonly lines: number;
  readonly records: number;
}

/** Lines and records by the source that they came from. */
export class Tally {
  readonly #bySource = new Map<string, { lines: number; records: number }>();
  lines = 0;
  records = 0;

  add({ input, result }: Pick<Parsed, 'input' | 'result'>): void {
    let counts = this.#bySource.get(input);
    if (!counts) this.#bySource.set(input, (counts = { lines: 0, records: 0 }));
    this.lines++;
    counts.lines++;
    if (result !== 'record') return;
    this.records++;
    counts.records++;
  }

  of(source: string): Counts {
    return this.#bySource.get(source) ?? { lines: 0, records: 0 };
  }
}

/** A workload whose proxies write, but no access line. */
export interface Unlogged {
  readonly namespace: string;
  readonly workload: Owner;
  readonly pods: readonly Pod[];
  /** Lines read of its proxies, none of them an access line. */
  readonly lines: number;
}

/** `deployment/payments in shop`. */
export const unloggedText = ({ namespace, workload: { kind, name } }: Unlogged): string =>
  `${kind.toLowerCase()}/${name} in ${namespace}`;

/** So long a proxy may write other things and no access line before something looks wrong. */
export const SILENCE_MS = 10_000;

/** The followed workloads that look as if their access logging were off. ztunnel has no switch for it. */
export function unloggedOf(
  session: Pick<LiveSession, 'pods' | 'isFollowed'>,
  tally: Tally,
): readonly Unlogged[] {
  const workloads = new Map<string, { unlogged: Unlogged; records: number }>();
  for (const pod of session.pods) {
    if (!session.isFollowed(pod) || proxyOf(pod)?.kind === 'ztunnel') continue;
    const { namespace, name } = pod;
    const workload = workloadOf(pod);
    const { lines, records } = tally.of(`${namespace}/${name}`);
    const key = `${namespace}/${workload.kind}/${workload.name}`;
    const known = workloads.get(key);
    workloads.set(key, {
      unlogged: {
        namespace,
        workload,
        pods: [...(known?.unlogged.pods ?? []), pod],
        lines: lines + (known?.unlogged.lines ?? 0),
      },
      records: records + (known?.records ?? 0),
    });
  }
  return [...workloads.values()].flatMap(({ unlogged, records }) =>
    records === 0 && unlogged.lines > 0 ? [unlogged] : [],
  );
}

/** How access logging is turned on for a workload alone, and off again: for a person to run. */
export interface Switch {
  /** The command that applies it, line by line. */
  readonly on: readonly string[];
  readonly off: string;
  /** What else a person should know first. */
  readonly notes: readonly string[];
}

/** Never applies anything: asks what there is, and writes it down. */
export async function switchFor(
  { client, pods: all, signal }: Pick<LiveSession, 'client' | 'pods' | 'signal'>,
  unlogged: Unlogged,
): Promise<Switch> {
  const { namespace, workload, pods } = unlogged;
  const version = await telemetryVersion(client, signal);
  const name = `access-log-${workload.name}`;
  const chosen = await choiceOf(client, unlogged, signal);
  const notes: string[] = [];
  if (version === null) notes.push('the cluster serves no Telemetry: is this Istio 1.11 or later?');
  if (pods.some((pod) => proxyOf(pod)?.kind === 'envoy gateway')) {
    notes.push('Envoy Gateway takes spec.telemetry.accessLog of its EnvoyProxy instead');
  }
  const others = 'labels' in chosen ? alsoSelected(all, unlogged, chosen.labels) : [];
  if (others.length > 0) notes.push(`these labels also select ${others.join(', ')}`);
  notes.push(...(await existing(client, namespace, version, signal)));
  return {
    on: [
      `kubectl apply -f - <<'EOF'`,
      `apiVersion: telemetry.istio.io/${version ?? 'v1'}`,
      'kind: Telemetry',
      'metadata:',
      `  name: ${name}`,
      `  namespace: ${namespace}`,
      'spec:',
      ...('gateway' in chosen
        ? [
            '  targetRefs:',
            '  - group: gateway.networking.k8s.io',
            '    kind: Gateway',
            `    name: ${chosen.gateway}`,
          ]
        : [
            '  selector:',
            '    matchLabels:',
            ...Object.entries(chosen.labels).map(([key, value]) => `      ${key}: ${JSON.stringify(value)}`),
          ]),
      '  accessLogging:',
      '  - providers:',
      '    - name: envoy',
      'EOF',
    ],
    off: `kubectl -n ${namespace} delete telemetry ${name}`,
    notes,
  };
}

type Labels = Readonly<Record<string, string>>;

/** A waypoint, like a gateway that Istio made, is chosen by its Gateway; all else by labels. */
async function choiceOf(
  client: ClusterClient,
  { namespace, workload, pods }: Unlogged,
  signal: AbortSignal,
): Promise<{ readonly gateway: string } | { readonly labels: Labels }> {
  const gateway = pods[0]?.labels['gateway.networking.k8s.io/gateway-name'];
  if (gateway !== undefined) return { gateway };
  return { labels: (await selectorOf(client, namespace, workload, signal)) ?? commonLabels(pods) };
}

const WITH_SELECTOR: Readonly<Record<string, Resource>> = {
  Deployment: RESOURCES.Deployment,
  StatefulSet: RESOURCES.StatefulSet,
  DaemonSet: RESOURCES.DaemonSet,
};

/** The labels by which the workload knows its own pods; `null`: they may not be read, or it has none. */
async function selectorOf(
  client: ClusterClient,
  namespace: string,
  { kind, name }: Owner,
  signal: AbortSignal,
): Promise<Labels | null> {
  const resource = WITH_SELECTOR[kind];
  if (!resource) return null;
  try {
    const path = `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`;
    const found = await client.get<{ spec?: { selector?: { matchLabels?: Labels } } }>(path, {}, signal);
    const labels = found.spec?.selector?.matchLabels ?? {};
    return Object.keys(labels).length > 0 ? labels : null;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return null;
  }
}

/** Labels that controllers give to one pod or one generation of them: they would choose too few, or none tomorrow. */
const PASSING =
  /(?:^|\/)(?:pod-template-hash|controller-revision-hash|pod-template-generation|controller-uid|job-name|pod-name|pod-index|job-completion-index)$|^(?:security|service|topology|sidecar)\.istio\.io\/|^istio\.io\/rev$|^batch\.kubernetes\.io\//;

function commonLabels(pods: readonly Pod[]): Labels {
  const [first, ...rest] = pods;
  const pairs = Object.entries(first?.labels ?? {}).filter(
    ([key, value]) => !PASSING.test(key) && rest.every(({ labels }) => labels[key] === value),
  );
  return Object.fromEntries(pairs);
}

/** Other workloads that the labels mean too, as far as they are seen. */
function alsoSelected(
  all: readonly Pod[],
  { namespace, workload }: Unlogged,
  labels: Labels,
): readonly string[] {
  const pairs = Object.entries(labels);
  const names = all
    .filter((pod) => pod.namespace === namespace && pairs.every(([key, value]) => pod.labels[key] === value))
    .map(workloadOf)
    .filter(({ kind, name }) => kind !== workload.kind || name !== workload.name)
    .map(({ kind, name }) => `${kind.toLowerCase()}/${name}`);
  return [...new Set(names)];
}

/** `v1` since Istio 1.22, `v1alpha1` before. `null`: none is served. Discovery is open to everybody. */
async function telemetryVersion(client: ClusterClient, signal: AbortSignal): Promise<string | null> {
  try {
    const { versions = [] } = await client.get<{ versions?: readonly { version: string }[] }>(
      '/apis/telemetry.istio.io',
      {},
      signal,
    );
    const served = new Set(versions.map(({ version }) => version));
    return RESOURCES.Telemetry.versions.find((version) => served.has(version)) ?? null;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    if (error instanceof ApiError) return RESOURCES.Telemetry.versions[0]!;
    throw error;
  }
}

/** Telemetry of the namespace that speaks of access logs already: of two for one workload only the older counts. */
async function existing(
  client: ClusterClient,
  namespace: string,
  version: string | null,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (version === null) return [];
  try {
    const { items } = await client.list(collectionPath(RESOURCES.Telemetry, namespace, version), {}, signal);
    return items.flatMap((object) => {
      const { accessLogging } = (object['spec'] ?? {}) as { accessLogging?: unknown };
      if (accessLogging === undefined) return [];
      const { name } = object['metadata'] as { name: string };
      return [`Telemetry ${namespace}/${name} speaks of access logs already: see whether it turns them off`];
    });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return [];
  }
}

/** All of it as a message and the lines below it. */
export function unloggedWords(
  unlogged: Unlogged,
  { on, off, notes }: Switch,
): readonly [string, readonly string[]] {
  return [
    `${unlogged.lines} lines of the proxies of ${unloggedText(unlogged)}, and no access line: access logging looks off, unless nobody called.`,
    [
      ...notes.map((note) => `Note: ${note}.`),
      'To turn it on for this workload alone (within seconds, no restart):',
      ...on,
      'and off again:',
      off,
    ],
  ];
}

/** Looks now and then whether a followed workload's access logging is off, and finds out how it would be turned on. */
export class UnloggedWatch {
  readonly #switches = new Map<string, Promise<Switch>>();
  readonly #known = new Map<string, Switch>();
  readonly #began = Date.now();

  constructor(
    readonly session: LiveSession,
    readonly tally: Tally,
  ) {}

  /** Those for which all is known that is to be said. */
  get found(): readonly { readonly unlogged: Unlogged; readonly how: Switch }[] {
    return unloggedOf(this.session, this.tally).flatMap((unlogged) => {
      const how = this.#known.get(unloggedText(unlogged));
      return how ? [{ unlogged, how }] : [];
    });
  }

  /** @param atEnd no more lines come: there is nothing to wait for. */
  async turn(atEnd = false): Promise<void> {
    if (!atEnd && Date.now() - this.#began < SILENCE_MS) return;
    for (const unlogged of unloggedOf(this.session, this.tally)) {
      const key = unloggedText(unlogged);
      let asked = this.#switches.get(key);
      if (!asked) this.#switches.set(key, (asked = switchFor(this.session, unlogged)));
      const how = await asked.catch(() => null);
      // The cluster may be back the next time.
      if (how) this.#known.set(key, how);
      else this.#switches.delete(key);
    }
  }
}
