import type { Side } from '../cli/options.js';
import { ClusterClient } from '../cluster/client.js';
import { connectionOf, type TransferableConnection } from '../cluster/kubeconfig.js';
import { whyNoProxy } from '../cluster/pods.js';
import { groupBy } from '../diagnosis/stats.js';
import { plural } from '../diagnosis/words.js';
import { LiveSession, type LiveOptions, type StreamStatus } from '../source/kubernetes.js';
import type { Live, LiveStream } from '../view/live.js';
import { unloggedText, type UnloggedWatch } from './access-logging.js';
import { coveredSince } from './live.js';

/** What the reading thread needs of a live target; the person was asked for credentials before. */
export interface LiveJob {
  readonly title: string;
  readonly connection: TransferableConnection;
  readonly options: LiveOptions;
  readonly with: readonly Side[];
}

/** @throws MeshtailError where nothing is found, or nothing may be seen */
export function openJob({ connection, options }: LiveJob): Promise<LiveSession> {
  return LiveSession.open(new ClusterClient(connectionOf(connection)), options);
}

/** Lines older than this when they come are history. */
const HISTORY_MS = 5_000;
const GAPS_SHOWN = 20;
/** Refusals that are told: more are mostly the same one, of other pods. */
const MOST_REFUSED = 3;

/** How a session stands, in the screen's words. */
export function liveOf(
  session: LiveSession,
  { options }: LiveJob,
  silent: UnloggedWatch,
  began: number,
  /** For how long lines are kept. */
  keptMs: number,
  /** What else cannot be known. */
  limits: readonly string[],
): Live {
  const { found, tally } = silent;
  if (found.length > 0 && tally.records === 0) {
    return {
      phase: 'logging-off',
      found: found.flatMap(({ unlogged, how }) => [
        `${unloggedText(unlogged)}: ${plural(unlogged.lines, 'line')} of ${plural(unlogged.pods.length, 'pod')}, and no access line`,
        ...how.notes,
      ]),
      fix: found.flatMap(({ how }) => [...how.on, how.off]),
    };
  }
  const status = session.status();
  const denied = status.refused.find(({ code }) => code === 'forbidden');
  if (denied && status.streams.length > 0 && status.streams.every(({ state }) => state === 'refused')) {
    return { phase: 'no-rights', said: denied.message, fix: (denied.hint ?? '').split('\n') };
  }
  const since = coveredSince(status, options.since, began);
  const gaps = groupBy(status.gaps, ({ origin }) => origin);
  return {
    phase: 'streaming',
    streams: status.streams.map((stream) => streamOf(stream, gaps.get(stream.name) ?? [])),
    since:
      since.at < Date.now() - keptMs ? { at: Date.now() - keptMs, reason: 'older lines were let go' } : since,
    limits: [
      ...(status.trouble === null ? [] : [`the list of pods may be old: ${status.trouble}`]),
      ...status.withoutProxy.map(
        (pod) => `pod ${pod.name} has no proxy, and its traffic is not seen: ${whyNoProxy(pod)}`,
      ),
      ...(status.waiting > 0
        ? [`sampled: ${status.streams.length} logs take turns at ${options.maxLogRequests} streams`]
        : []),
      ...[...new Set(status.refused.map(({ message }) => message))].slice(0, MOST_REFUSED),
      ...found.map(
        ({ unlogged }) => `no access line of ${unloggedText(unlogged)}: its access logging looks off`,
      ),
      ...limits,
    ],
  };
}

const changed = new Map<string, { readonly state: LiveStream['state']; readonly since: number }>();

function streamOf(stream: StreamStatus, gaps: LiveStream['gaps']): LiveStream {
  const state = stateOf(stream);
  let known = changed.get(stream.name);
  if (known?.state !== state) changed.set(stream.name, (known = { state, since: Date.now() }));
  return {
    pod: stream.pod,
    namespace: stream.namespace,
    container: stream.container,
    state,
    stateSince: known.since,
    reason: stream.reason,
    coveredSince: Number.isNaN(stream.first) ? null : stream.first,
    lagMs: state === 'following' ? stream.lagMs : null,
    gaps: gaps.slice(-GAPS_SHOWN),
  };
}

function stateOf({ state, last, lagMs }: StreamStatus): LiveStream['state'] {
  switch (state) {
    case 'waiting':
    case 'queued':
      return Number.isNaN(last) ? 'opening' : 'following';
    case 'reading':
      return lagMs !== null && lagMs > HISTORY_MS ? 'history' : 'following';
    case 'reconnecting':
    case 'refused':
      return 'lost';
    case 'ended':
      return 'ended';
    default:
      return state satisfies never;
  }
}
