import type { Case } from '../../aggregate/joins.js';
import type { Row } from '../../aggregate/row.js';
import { countBefore } from '../../aggregate/sorted.js';
import type { Cause } from '../cause.js';
import { connectErrorOf } from '../connect-error.js';
import type { Hypothesis } from '../hypothesis.js';
import { podAtCommand } from '../kubectl.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { distinct, groupBy, least, median, most, weigh } from '../stats.js';
import { claim, Study } from '../study.js';
import { isConnectFailure, isConnectTimeout, isExternal, networkOf, wasAnswered } from '../traits.js';
import { clock, listed, ofWords, plural } from '../words.js';

/*
 * A node that is dead or cut off refuses nothing: its pods stop to answer, all at once, and stay endpoints until they are
 * taken out. New connects wait and fail, requests on connections that were open hang, until the proxy's timer, the
 * caller's own, or a person ends the wait: what the lines have in common is not a flag, but that nothing in the network of
 * one node answers any more, while the same services do elsewhere.
 */

/** Nobody gives up on a pod that lives so much sooner than it usually answers. */
const LONG_WAIT_MS = 1_000;
const LONG_WAIT = 5;
/** What began just before a node died may have been answered. */
const BEFORE_DEATH_MS = 500;
/** Of the waits that nobody answered, the part that may have gone elsewhere. */
const FEW = 0.2;
const FEWEST_WAITS = 3;
/** Of an app's error, the part that it waited for a call. */
const WAITING = 0.8;
/** Clocks of one pod, rounded to ms, and what an app needs to answer. */
const SLACK_MS = 50;

const calls = perScene((scene: Scene): readonly Row[] =>
  scene.rowsOf((kind) => kind.direction === 'outbound' && !kind.tunnel),
);

/** Calls to pods that nobody answered, and that waited. */
const waits = perScene((scene: Scene): readonly Row[] => {
  const usual = new Map(
    [...groupBy(calls(scene).filter(wasAnswered), (row) => scene.placeOf(row))].map(([place, rows]) => [
      place,
      median(rows.map(({ duration }) => duration)),
    ]),
  );
  const isLong = (row: Row): boolean => {
    const answersIn = usual.get(scene.placeOf(row));
    return answersIn != null && row.duration >= Math.max(LONG_WAIT_MS, LONG_WAIT * answersIn);
  };
  return calls(scene).filter((row) => {
    if (!row.failure || row.upstreamIp === null || !Number.isFinite(row.start)) return false;
    if (isExternal(row) || wasAnswered(row)) return false;
    if (isConnectFailure(row)) {
      const error = connectErrorOf(row);
      return (
        isConnectTimeout(row) ||
        error === 'no-route' ||
        error === 'unreachable' ||
        (error === null && isLong(row))
      );
    }
    return (row.has('UT') || row.has('DC') || row.has('DR')) && row.serviceTime === null && isLong(row);
  });
});

/** The network of a node whose pods stopped to answer. */
interface Silent {
  readonly network: string;
  readonly waits: readonly Row[];
  /** Waits for pods in other networks in that time, but for those whose own logs show that they waited themselves. */
  readonly others: readonly Row[];
  readonly places: readonly string[];
  /** Calls to other pods of the same services in that time, and those of them that were answered. */
  readonly elsewhere: readonly Row[];
  readonly answered: readonly Row[];
}

const silentNetworks = perScene((scene: Scene): readonly Silent[] => {
  const all = new Set(waits(scene));
  const inMesh = calls(scene).filter((row) => row.upstreamIp !== null && !isExternal(row));
  const silent = [...groupBy(inMesh, (row) => row.upstreamIp)].flatMap(([ip, of]) => {
    const some = inSilence(of, all);
    return wroteMeanwhile(scene, ip, some) ? [] : some;
  });
  return [...groupBy(silent, (row) => networkOf(row.upstreamIp!))].flatMap(([network, some]) => {
    const places = distinct(some, (row) => scene.placeOf(row)).toSorted();
    if (places.length < 2 || some.length < FEWEST_WAITS) return [];
    const first = least(some.map(({ start }) => start));
    const last = most(some.map(({ start }) => start));
    const during = inMesh.filter((row) => row.start >= first && row.start <= last);
    const isThere = (row: Row): boolean => networkOf(row.upstreamIp!) === network;
    const alive = during.filter(
      (row) => isThere(row) && wasAnswered(row) && row.start > first + BEFORE_DEATH_MS,
    );
    // Who waits for the dead keeps others waiting.
    const kept = new Set(some.map((row) => row.proxy));
    const others = during.filter(
      (row) => all.has(row) && !isThere(row) && !kept.has(scene.podOf(row.upstreamIp!) ?? ''),
    );
    if (weigh(alive) > FEW * weigh(some) || weigh(others) > FEW * weigh(some)) return [];
    const elsewhere = during.filter((row) => !isThere(row) && places.includes(scene.placeOf(row)));
    return [{ network, waits: some, others, places, elsewhere, answered: elsewhere.filter(wasAnswered) }];
  });
});

/** Of all calls to one host, the waits of the time in which most of them waited and none was answered. */
function inSilence(calls: readonly Row[], waits: ReadonlySet<Row>): readonly Row[] {
  let longest: Row[] = [];
  let silence: Row[] = [];
  for (const row of calls) {
    if (waits.has(row)) silence.push(row);
    else if (wasAnswered(row) && silence[0] && row.start > silence[0].start + BEFORE_DEATH_MS) silence = [];
    if (silence.length >= longest.length) longest = silence;
  }
  return longest;
}

/** Whether the log of the pod at an address goes on while it was waited for: then it lives, whatever it answers. */
function wroteMeanwhile(scene: Scene, ip: string, some: readonly Row[]): boolean {
  const pod = scene.podOf(ip);
  if (pod === null || some.length === 0) return false;
  const first = some[0]!.start + BEFORE_DEATH_MS;
  const last = most(some.map(({ end }) => end));
  return scene.linesOfProxy(pod).some(({ start }) => start > first && start < last);
}

/** The failed requests that waited there, those too that an app answered with an error of its own after it had. */
function casesOf(scene: Scene, some: readonly Row[]): readonly Case[] {
  const waiting = new Set(some);
  const byPod = groupBy(
    some.toSorted((a, b) => a.start - b.start),
    (row) => row.proxy,
  );
  const waitedFor = ({ proxy, start, end, duration, direction }: Row): boolean => {
    const calls = direction === 'inbound' ? (byPod.get(proxy) ?? []) : [];
    const first = countBefore(calls.length, (i) => calls[i]!.start < start - SLACK_MS);
    for (let i = first; i < calls.length && calls[i]!.start <= end; i++) {
      if (calls[i]!.end <= end + SLACK_MS && calls[i]!.duration >= WAITING * duration) return true;
    }
    return false;
  };
  return scene.cases.filter(
    ({ decider, rows }) => waiting.has(decider) || rows.some((row) => waiting.has(row)) || waitedFor(decider),
  );
}

function judge(scene: Scene): Hypothesis[] {
  return silentNetworks(scene).flatMap(({ network, waits: some, others, places, elsewhere, answered }) => {
    const cases = casesOf(scene, some);
    if (cases.length === 0) return [];
    const study = new Study(scene, cases);
    const hosts = distinct(some, (row) => row.upstreamIp);
    const showsLocal = scene.rows.some(({ upstreamLocal }) => upstreamLocal !== null);
    const connects = some.filter(
      (row) => isConnectFailure(row) || (showsLocal && row.upstreamLocal === null),
    );
    return [
      claim(study, {
        cause: 'node-unreachable',
        title: `The node that holds ${network} does not answer: ${plural(places.length, 'service')} at once`,
        story:
          `calls to ${listed(hosts)} (${listed(places)}), all in ${network}, got no answer from ${clock(least(some.map(({ start }) => start)))} on: ` +
          `${ofWords(weigh(connects), weigh(some))} never had a connection, the others waited until somebody gave up.` +
          (answered.length > 0
            ? ` Other pods of these services serve (${ofWords(weigh(answered), weigh(elsewhere))}).`
            : ''),
        at: { services: places, endpoints: hosts, networks: [network], clients: [] },
        evidence: [
          {
            text: `calls that nobody answered in that time, in ${network}`,
            count: weigh(some),
            of: weigh(some) + weigh(others),
          },
          {
            text: 'requests to other pods of these services in the same time that were answered',
            count: weigh(answered),
            of: weigh(elsewhere),
          },
        ],
        confidence: answered.length >= FEWEST_WAITS ? 'high' : 'likely',
        why: 'several services fail at once, and what they share is the network of one node',
        next: [
          { purpose: 'find a node that is not Ready', command: 'kubectl get nodes -o wide' },
          { purpose: 'see what runs there', command: podAtCommand(hosts[0]!) },
        ],
        fix: [
          'Cordon and replace the node; spread replicas over nodes; outlier detection.',
          'A short connectTimeout and a retry spare callers most of the wait.',
        ],
      }),
    ];
  });
}

export const nodeUnreachable: Cause = {
  id: 'node-unreachable',
  reference: 'https://github.com/istio/istio/issues/46431',
  mechanism: 'A node is dead or cut off; its pods stay endpoints until they are taken out.',
  signs: [
    'connect timeouts, then no route, to several services in one pod network at once',
    'waits that callers gave up on (DC, UT) to the same network, and nothing answered there',
  ],
  against: ['one service only', 'pods of the network that answer'],
  judge,
};
