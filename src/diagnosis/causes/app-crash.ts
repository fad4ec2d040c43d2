import type { Case } from '../../aggregate/joins.js';
import type { Kind, Row } from '../../aggregate/row.js';
import { countBefore } from '../../aggregate/sorted.js';
import { boutsOf } from '../bouts.js';
import type { Cause } from '../cause.js';
import { connectErrorOf } from '../connect-error.js';
import type { Hypothesis } from '../hypothesis.js';
import { namespaceOf, podCommand, previousLogsCommand } from '../kubectl.js';
import type { Scene } from '../scene.js';
import { distinct, groupBy, least, most, union, weigh } from '../stats.js';
import { claim, Study } from '../study.js';
import { isCut, resetReason, wasAnswered } from '../traits.js';
import { clock, listed, range, span } from '../words.js';

/* A process that died: what it had in its hands breaks in one instant, and its port refuses until it is back. */

/** Ends this close together are one event: a process that dies takes all its connections in one go. */
const TOGETHER_MS = 60;

/** The largest set of rows whose ends lie within a moment. */
export function togetherEnding(rows: readonly Row[]): readonly Row[] {
  const sorted = rows.toSorted((a, b) => a.end - b.end);
  let best: readonly Row[] = [];
  for (let i = 0, from = 0; i < sorted.length; i++) {
    while (sorted[i]!.end - sorted[from]!.end > TOGETHER_MS) from++;
    if (i - from + 1 > best.length) best = sorted.slice(from, i + 1);
  }
  return best;
}

const brokenByApp = (row: Kind): boolean =>
  row.direction === 'inbound' &&
  (isCut(row) ||
    (row.code === 200 &&
      (row.has('UPE') || row.has('UC')) &&
      (resetReason(row) !== null || !row.hasDetails)));

/**
 * When an app died first: it may die again and again, the first time with fewer requests in flight. What broke before its
 * port refused, and nothing was answered in between, broke by it.
 */
function firstDeath(cut: readonly Row[], refused: readonly Row[], ofPod: readonly Row[]): number {
  const moment = least(togetherEnding(cut).map((row) => row.end));
  const inOrder = (rows: readonly Row[]): number[] =>
    rows.map(({ start }) => start).toSorted((a, b) => a - b);
  const refusals = inOrder(refused);
  const answers = inOrder(ofPod.filter(wasAnswered));
  const deaths = cut.filter(({ end }) => {
    if (end >= moment - AROUND_MS) return false;
    const refusal = refusals[countBefore(refusals.length, (i) => refusals[i]! < end - TOGETHER_MS)];
    if (refusal === undefined || refusal > end + REFUSES_WITHIN_MS) return false;
    const answer = answers[countBefore(answers.length, (i) => answers[i]! <= end)];
    return answer === undefined || answer > refusal;
  });
  return Math.min(moment, least(deaths.map((row) => row.end)));
}

/** A process that died is started again after this, or later: until then its port refuses. */
const REFUSES_WITHIN_MS = 10_000;

export const appCrash: Cause = {
  id: 'app-crash-oom',
  reference: 'https://github.com/istio/istio/issues/24196',
  mechanism: 'The app’s process dies with requests in flight, and refuses until it is back.',
  signs: [
    'several UC of different age on one pod that end in the same instant',
    'then its port refuses (UF, Connection refused) for the time of a restart',
    'bodies cut in the middle: 200 UPE',
  ],
  against: ['equal durations: the app’s own timeout', 'one after another on pods that leave: a rollout'],
  judge(scene: Scene): Hypothesis[] {
    const broken = scene.casesOf(brokenByApp);
    const found = [
      ...groupBy(broken, ({ decider }) => `${decider.proxy}\n${decider.cluster?.port ?? ''}`).values(),
    ].flatMap((cases) => crash(scene, cases) ?? []);
    return [...groupBy(found, ({ at }) => at.services?.[0] ?? null).values()].flatMap(oneAfterAnother);
  },
};

/** Pods that lost their app at different times, for what all of them have in common: load, a leak, a poisoned request. */
function oneAfterAnother(crashes: readonly Hypothesis[]): readonly Hypothesis[] {
  const [first, ...more] = crashes.filter(({ confidence }) => confidence === 'high');
  if (!first || more.length === 0) return crashes;
  const all = [first, ...more];
  const pods = union(all.map(({ at }) => at.pods ?? []));
  // One pod may serve on several ports.
  if (pods.length < 2) return crashes;
  const told = all.slice(0, MOST_TOLD);
  return [
    ...crashes.filter((one) => !all.includes(one)),
    {
      ...first,
      title: `${pods.length} pods of ${listed(first.at.services ?? [])} lost their app, one after another`,
      summary: told.map(({ summary }) => summary).join(' '),
      at: { ...first.at, pods, endpoints: union(all.map(({ at }) => at.endpoints ?? [])) },
      cases: all.flatMap(({ cases }) => cases),
      evidence: told.flatMap(({ evidence, at }) =>
        evidence.map((fact) => ({ ...fact, text: `${fact.text} (${listed(at.pods ?? [])})` })),
      ),
    },
  ];
}

const MOST_TOLD = 3;

function crash(scene: Scene, cut: readonly Case[]): Hypothesis | null {
  const { proxy, cluster } = cut[0]!.decider;
  const refused = scene.casesOf(
    (kind) =>
      kind.proxy === proxy &&
      kind.direction === 'inbound' &&
      kind.has('UF') &&
      connectErrorOf(kind) !== 'tls' &&
      kind.cluster?.port === cluster?.port,
  );
  const together = togetherEnding(cut.map(({ decider }) => decider));
  const broke = least(together.map((row) => row.end));
  const linesThere = scene.linesOf(cut[0]!.decider).filter((row) => row.proxy === proxy);
  const moment = firstDeath(
    cut.map(({ decider }) => decider),
    refused.map(({ decider }) => decider),
    linesThere,
  );
  const then = refused.filter(({ decider }) => decider.end >= moment - 200);
  const ages = together.map((row) => row.duration);
  const spread = most(ages) - least(ages);
  // Without a refusal, several broken requests of different age must tell it alone.
  if (together.length < 2 || (then.length === 0 && (together.length < 3 || spread < 30))) return null;
  const members = new Set(together);
  const [bout, ...more] = boutsOf(
    then.map(({ decider }) => decider),
    linesThere,
  );
  const outages = [{ first: moment, last: bout?.last ?? moment }, ...more];
  const near = cut.filter(
    ({ decider }) =>
      members.has(decider) || outages.some(({ first }) => Math.abs(decider.end - first) < AROUND_MS),
  );
  const study = new Study(scene, [...near, ...then]);
  const place = study.place;
  const pods = distinct(study.population, (row) => row.proxy);
  const last = most(study.rows.map((row) => row.end));
  const ofPod = study.population.filter((row) => row.proxy === proxy);
  const inFlight = ofPod.filter((row) => row.start <= broke && row.end >= broke);
  const answeredAfter = ofPod.filter((row) => row.start > last && row.answeredBy === 'peer');
  const isOut = (row: Row): boolean => outages.some((out) => row.start >= out.first && row.start <= out.last);
  const duringOutage = ofPod.filter(isOut);
  const outMs = outages.reduce((sum, out) => sum + out.last - out.first, 0);
  const howLong =
    outages.length > 1
      ? ` ${outages.length} times${answeredAfter.length > 0 ? `, for ${span(outMs)} in all` : ''}`
      : answeredAfter.length > 0
        ? ` for ${span(outMs)}`
        : '';
  const peers = study.population.filter((row) => row.proxy !== proxy);
  const others = peers.filter(isOut);
  const peersFailing = others.filter((row) => row.failure).length;
  const everyPod = scene.cases.some(
    ({ decider }) =>
      decider.proxy !== proxy &&
      decider.direction === 'inbound' &&
      decider.has('UF') &&
      scene.placeOf(decider) === place &&
      Math.abs(decider.start - moment) < 3_000,
  );
  return claim(study, {
    cause: 'app-crash-oom',
    title: `${pods.length > 1 ? `One of ${pods.length} pods` : 'The pod'} of ${place} lost its app${howLong}`,
    story:
      `${together.length} requests in flight on ${proxy} broke in the same instant (${clock(broke)}), aged ${range(least(ages), most(ages))}` +
      (then.length > 0 ? `; its port then refused the next ${then.length}` : '') +
      (outages.length > 1
        ? `, again from ${listed(
            more.map(({ first }) => clock(first)),
            3,
          )} on`
        : '') +
      (answeredAfter.length > 0
        ? `, and ${answeredAfter.length} were answered after ${clock(last)}. `
        : '. ') +
      `The sidecar lived through it: it wrote all of these lines. Why the process went (memory, crash, liveness) logs of a proxy cannot tell.`,
    at: {
      services: [place],
      pods: [proxy],
      endpoints: scene.addressesOf(proxy).length > 0 ? scene.addressesOf(proxy).slice(0, 1) : study.hosts,
      clients: [],
    },
    evidence: [
      {
        text: `requests in flight on the pod at ${clock(broke)} that broke within ${TOGETHER_MS} ms`,
        count: weigh(together),
        of: Math.max(weigh(inFlight), weigh(together)),
      },
      {
        text: 'requests begun there while it was away that its own port refused',
        count: weigh(then),
        of: weigh(duringOutage),
      },
      {
        text: 'requests that the same pod answered afterwards',
        count: weigh(answeredAfter),
        of: weigh(ofPod.filter((row) => row.start > last)),
      },
      { text: 'requests that the other pods failed in that time', count: peersFailing, of: others.length },
    ],
    against: everyPod
      ? [
          {
            text: 'its peers began to refuse in the same moment, which one process dying does not explain',
            count: peersFailing,
            of: others.length,
          },
        ]
      : [],
    confidence: everyPod ? 'possible' : then.length > 0 ? 'high' : 'likely',
    why:
      then.length > 0
        ? 'both halves stand on one pod: requests in flight end together, then the port refuses'
        : 'requests of different age end together, but no refusal follows',
    next: [
      {
        purpose: `see whether a container terminated about ${clock(moment).slice(0, 8)}, and with what reason`,
        command: podCommand(namespaceOf(place), 'describe pod', proxy),
      },
      { purpose: 'read what the process said last', command: previousLogsCommand(namespaceOf(place), proxy) },
    ],
    fix: [
      'What its last state names: OOMKilled, raise the limit or find the leak; Error, read its previous log; killed by liveness, look at the probe.',
      'Take a dead pod out sooner: readiness, outlier detection.',
    ],
  });
}

/** Cuts belong to an outage that begins within so long. */
const AROUND_MS = 3_000;
