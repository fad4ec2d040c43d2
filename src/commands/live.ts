import { setFlagsFromString } from 'node:v8';
import type { Options, Side } from '../cli/options.js';
import type { Connection } from '../cluster/kubeconfig.js';
import { whyNoProxy } from '../cluster/pods.js';
import type { MeshtailError } from '../errors.js';
import { parseTogether, type Reading, type Together } from '../pipeline.js';
import type { LogWindow } from '../source/follower.js';
import type { LiveOptions, LiveSession, LiveStatus, StreamStatus } from '../source/kubernetes.js';
import { warnOf } from './inputs.js';
import { Tally, unloggedWords, unloggedText, UnloggedWatch, type Counts } from './access-logging.js';
import type { Environment } from './environment.js';
import type { LiveFacts } from './facts.js';
import type { Widening } from './widening.js';

/**
 * V8 would let the young generation grow to 32 MB where many streams come fast, for a twentieth of the time that reading takes;
 * it runs beside what it tells of. (Where a thread is started, V8 takes that back.)
 */
const STEADY_YOUNG_GENERATION = '--semi-space-growth-factor=1';
/** History that a live target begins with. */
const HISTORY_MS = 600_000;

/** What of the logs is asked for; `follow` where the command line does not say. */
function logWindowOf(options: Options, follow: boolean): LogWindow {
  const { cluster, maxLine } = options;
  return {
    follow: (cluster.follow ?? follow) && !cluster.previous,
    since: options.since ?? (cluster.tail === null && !cluster.previous ? Date.now() - HISTORY_MS : null),
    tail: cluster.tail,
    previous: cluster.previous,
    maxLine,
  };
}

/** @throws usage error where an argument names no target */
export async function liveOptionsOf(
  args: readonly string[],
  options: Options,
  follow: boolean,
): Promise<LiveOptions> {
  const { targetsOf } = await import('../cluster/targets.js');
  const { allNamespaces, selector, container, maxLogRequests } = options.cluster;
  return {
    ...logWindowOf(options, follow),
    targets: targetsOf(args),
    allNamespaces,
    labels: selector,
    container,
    maxLogRequests,
  };
}

/** Authenticates and finds what is asked for. The client is loaded only here. @throws MeshtailError */
export async function openLive(
  args: readonly string[],
  options: Options,
  follow: boolean,
  environment: Environment,
): Promise<LiveSession> {
  const [{ ClusterClient }, { LiveSession: Session }] = await Promise.all([
    import('../cluster/client.js'),
    import('../source/kubernetes.js'),
  ]);
  const wanted = await liveOptionsOf(args, options, follow);
  const connection = await connectTo(options, environment);
  if (wanted.follow) setFlagsFromString(STEADY_YOUNG_GENERATION);
  const session = await Session.open(new ClusterClient(connection), wanted);
  environment.onStop(() => session.stop());
  return session;
}

/** The cluster that the command line means. A credential plugin may ask the person. @throws MeshtailError */
export async function connectTo(options: Options, environment: Environment): Promise<Connection> {
  const { connect } = await import('../cluster/kubeconfig.js');
  const { namespace, context, kubeconfig, as, asGroups } = options.cluster;
  const connection = await connect({ namespace, context, kubeconfig, as, asGroups, env: environment.env });
  environment.log.info(
    { context: connection.context, server: connection.server.origin, user: connection.user },
    'connected',
  );
  return connection;
}

const REFRESH_MS = 1000;
/**
 * From when on all streams were seen, and why no earlier.
 * @param asked first line that was asked for, ms since the Unix epoch; `null`: the oldest there is
 */
export function coveredSince(
  { streams }: LiveStatus,
  asked: number | null,
  began: number,
): { readonly at: number; readonly reason: string } {
  const from = asked ?? 0;
  // Pods that are younger than what was asked for hold all of their log.
  const firsts = streams
    .filter(({ createdAt, first }) => createdAt < from && !Number.isNaN(first))
    .map(({ first }) => first);
  const at =
    firsts.length === 0
      ? Math.max(from, Math.min(began, ...streams.map((one) => one.createdAt)))
      : Math.max(from, ...firsts);
  return { at, reason: at - from < 2000 ? 'as asked for' : 'some pod has no older line' };
}

/** Tells a person on stderr how the streams stand: the beginning once, then whatever changes. Ends with `stop`. */
function narrate(session: LiveSession, environment: Environment, tally: Tally): { stop(): Promise<void> } {
  let toldGaps = 0;
  let toldRefused = 0;
  const toldHints = new Set<string>();
  let trouble: string | null = null;
  let sampled = false;
  const silent = new UnloggedWatch(session, tally);
  const toldSilent = new Set<string>();
  const bare = new Set<string>();
  const began = Date.now();
  let toldBeginning = !session.options.follow;
  const tell = (): void => {
    const status = session.status();
    if (!toldBeginning && tally.lines > 0 && status.streams.every(hasBegun)) {
      toldBeginning = true;
      const { at, reason } = coveredSince(status, session.options.since, began);
      const logs = status.streams.length === 1 ? '1 log' : `${status.streams.length} logs`;
      environment.warn(`reading ${logs} since ${clock(at).slice(0, 8)}: ${reason}`);
    }
    for (const pod of status.withoutProxy) {
      if (bare.has(pod.uid)) continue;
      bare.add(pod.uid);
      environment.warn(
        `pod ${pod.namespace}/${pod.name} has no proxy, and its traffic is not seen: ${whyNoProxy(pod)}`,
      );
    }
    for (const { origin, from, to, reason } of status.gaps.slice(toldGaps)) {
      environment.warn(`gap: ${origin} from ${clock(from)} to ${clock(to)}: ${reason}`);
    }
    toldGaps = status.gaps.length;
    // The Role to ask for is told once, however many pods it is about.
    for (const error of status.refused.slice(toldRefused)) {
      warnOf(error, environment, error.hint === undefined || !toldHints.has(error.hint));
      if (error.hint !== undefined) toldHints.add(error.hint);
      toldRefused++;
    }
    if (status.trouble !== trouble) {
      trouble = status.trouble;
      environment.warn(
        trouble === null ? 'the list of pods is up to date again' : `pods: ${trouble}; trying again`,
      );
    }
    if (status.waiting > 0 && !sampled) {
      sampled = true;
      environment.warn(
        `sampled: ${status.streams.length} logs take turns at ${session.options.maxLogRequests} streams (--max-log-requests)`,
      );
    }
    for (const { unlogged, how } of silent.found) {
      if (toldSilent.has(unloggedText(unlogged))) continue;
      toldSilent.add(unloggedText(unlogged));
      environment.warn(...unloggedWords(unlogged, how));
    }
  };
  const timer = setInterval(() => {
    void silent.turn();
    tell();
  }, REFRESH_MS);
  return {
    stop: async () => {
      clearInterval(timer);
      // Who stopped following may have seen too little to say so.
      await silent.turn(!session.options.follow);
      tell();
      const nothing = tally.lines === 0 && !session.options.follow ? nothingRead(session) : null;
      if (nothing !== null) environment.warn(nothing);
    },
  };
}

/** What reading a session came to. */
export interface SessionRead extends Counts {
  readonly failed: readonly MeshtailError[];
}

/** What `--with` adds, and what the cluster says beside the lines: for that of those who read a session. */
export async function besideOf(
  session: LiveSession,
  sides: readonly Side[],
  tell: (text: string) => void,
): Promise<{ readonly live: LiveFacts; readonly widening: Widening }> {
  const [{ LiveFacts: Facts }, { Widening: Wider }] = await Promise.all([
    import('./facts.js'),
    import('./widening.js'),
  ]);
  const live = new Facts(session);
  const widening = new Wider(session, live, sides, tell);
  widening.begin();
  return { live, widening };
}

/** Reads a session to its end, and meanwhile tells on stderr how its streams stand. */
export async function readSession(
  session: LiveSession,
  reading: Reading,
  environment: Environment,
  { onSource, onParsed, pause }: Omit<Together, 'onFailed'>,
  widening?: Widening,
): Promise<SessionRead> {
  const failed: MeshtailError[] = [];
  const tally = new Tally();
  const told = narrate(session, environment, tally);
  const read = (): Promise<void> =>
    parseTogether(session.sources(), reading, {
      ...(onSource && { onSource }),
      ...(pause && { pause }),
      onParsed: (parsed) => {
        tally.add(parsed);
        widening?.parsed(parsed);
        onParsed(parsed);
      },
      onFailed: (error) => failed.push(error),
    });
  const turns = widening && setInterval(() => widening.turn(), REFRESH_MS);
  await read();
  // Whom the lines name is known only now; where streams are followed, they came as they were named.
  await widening?.settled(REFRESH_MS);
  await read();
  clearInterval(turns);
  await told.stop();
  const { lines, records } = tally;
  const { lag } = session;
  environment.log.info(
    { lines, records, lagMs: { p50: lag.percentile(50) - 1, p99: lag.percentile(99) - 1, max: lag.max - 1 } },
    'followed to the end',
  );
  return { lines, records, failed };
}

/** Logs that hold no line at all; `null` where none could be read. */
function nothingRead(session: LiveSession): string | null {
  const { since, previous } = session.options;
  const count = session.status().streams.filter(({ state }) => state !== 'refused').length;
  if (count === 0) return null;
  const logs = count === 1 ? 'the log of 1 pod holds' : `the logs of ${count} pods hold`;
  if (previous) return `${logs} nothing of an instance before: no container was restarted, or it is gone`;
  return since === null
    ? `${logs} no line`
    : `${logs} no line since ${clock(since).slice(0, 8)}; --since looks further back`;
}

/** Whether a log's first line came, or none can be expected. */
const hasBegun = ({ state, first, lagMs }: StreamStatus): boolean =>
  !Number.isNaN(first) || state === 'ended' || state === 'refused' || (state === 'reading' && lagMs === null);

const clock = (at: number): string => new Date(at).toISOString().slice(11, 23);
