import type { Case } from '../../aggregate/joins.js';
import type { Kind } from '../../aggregate/row.js';
import { causesNamedIn, type Cause } from '../cause.js';
import { connectErrorOf } from '../connect-error.js';
import { hostLives, turnover } from '../hosts.js';
import type { Confidence, Hypothesis } from '../hypothesis.js';
import {
  namespaceFlag,
  namespaceOf,
  podAtCommand,
  podCommand,
  proxyName,
  seePodCommand,
} from '../kubectl.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { distinct, groupBy, most, weigh } from '../stats.js';
import { claim, Study } from '../study.js';
import {
  isConnectFailure,
  isConnectTimeout,
  isCut,
  isExternal,
  isPassthrough,
  networkOf,
  wasAnswered,
} from '../traits.js';
import { seeWhetherStale, UPDATE_AGAIN } from './stale-config.js';
import { clock, listed, ofWords, plural, shellWord, span } from '../words.js';

/** A connect that left this pod and failed: nobody answers there, or the way is shut. */
const goesOut = (row: Kind): boolean => row.direction !== 'inbound' && isConnectFailure(row) && !row.tunnel;
const isRefused = (row: Kind): boolean => {
  const error = connectErrorOf(row);
  return error === 'refused' || error === 'no-route' || error === 'reset';
};

/** Failures to one address, and whether it ever answers again. */
interface DeadHost {
  readonly ip: string;
  readonly cases: readonly Case[];
  readonly first: number;
  readonly last: number;
  readonly answersAfter: number;
  readonly answersBefore: number;
  /** Answered to other callers while these were refused: somebody listens there. */
  readonly answersToOthers: number;
}

function deadHosts(scene: Scene, cases: readonly Case[], place: string): readonly DeadHost[] {
  const lives = new Map(hostLives(scene.callersLines(place)).map((life) => [life.ip, life]));
  return [...groupBy(cases, ({ decider }) => decider.upstreamIp)].map(([ip, found]) => {
    const starts = found.map(({ decider }) => decider.start);
    const first = Math.min(...starts);
    const last = Math.max(...starts);
    const answered = (lives.get(ip)?.rows ?? []).filter(wasAnswered);
    const refused = new Set(found.map(({ decider }) => decider.proxy));
    return {
      ip,
      cases: found,
      first,
      last,
      answersAfter: answered.filter((row) => row.start > last).length,
      answersBefore: answered.filter((row) => row.end < first).length,
      answersToOthers: answered.filter(
        (row) => row.start > first && row.end < last && !refused.has(row.proxy),
      ).length,
    };
  });
}

/** Requests that were cut on the way out, by place. */
const cutOutside = perScene((scene: Scene) =>
  groupBy(
    scene.casesOf((kind) => kind.direction === 'outbound' && isCut(kind)),
    ({ decider }) => scene.placeOf(decider),
  ),
);

/** One story per place where connects are refused on the way out, told by what becomes of the addresses. */
const refusedOutside = perScene((scene: Scene): Hypothesis[] => {
  // The cuts just before belong to the same event: connections die first, then new ones are refused.
  const refused = scene
    .casesOf((kind) => goesOut(kind) && isRefused(kind) && !isPassthrough(kind))
    .filter(({ decider }) => !isExternal(decider));
  return [...groupBy(refused, ({ decider }) => scene.placeOf(decider))].flatMap(([place, cases]) => {
    const hosts = deadHosts(scene, cases, place).filter(({ answersToOthers }) => answersToOthers === 0);
    if (hosts.length === 0) return [];
    const cut = (cutOutside(scene).get(place) ?? []).filter(({ decider }) =>
      hosts.some(
        ({ ip, first, last }) =>
          ip === decider.upstreamIp && decider.end > first - 3_000 && decider.end < last + 1_000,
      ),
    );
    const study = new Study(scene, [...cut, ...cases]);
    return [
      ...rollout(scene, study, hosts),
      ...proxyDied(scene, study, hosts, cut),
      ...endpointLag(scene, study, hosts),
      ...oneDead(study, hosts),
    ];
  });
});

/** Endpoints are told of far sooner than this. */
const LONGEST_LAG_MS = 120_000;
/** Uses to be expected of an address after its last refusal, before their absence says that it was dropped. */
const FEWEST_MISSED = 3;
/** What refuses for so long, and does not come back, is no moment of a rollout. */
const LASTING_MS = 30_000;

/** One address refuses everybody for good while its peers serve. */
function oneDead(study: Study, hosts: readonly DeadHost[]): Hypothesis[] {
  const [dead, ...more] = hosts;
  if (!dead || more.length > 0 || dead.answersAfter > 0 || dead.last - dead.first < LASTING_MS) return [];
  const during = study.population.filter((row) => row.start >= dead.first && row.start <= dead.last);
  const there = during.filter((row) => row.upstreamIp === dead.ip);
  const peers = during.filter((row) => row.upstreamIp !== null && row.upstreamIp !== dead.ip);
  const good = peers.filter(wasAnswered);
  if (good.length === 0 || there.some(wasAnswered)) return [];
  const addresses = distinct(peers, (row) => row.upstreamIp).length + 1;
  return [
    claim(study, {
      cause: 'single-bad-endpoint',
      title: `One of ${plural(addresses, 'address', 'addresses')} of ${study.place} refuses every connection`,
      story: `${dead.ip} refused from ${clock(dead.first)} to the end, and its peers serve (${ofWords(weigh(good), weigh(peers))}). Whether its pod is gone and still listed, or lives with its port closed and no sidecar, the callers’ lines do not tell.`,
      severity: 'high',
      verdict: 'unknown',
      at: { services: [study.place], endpoints: [dead.ip], clients: [] },
      evidence: [
        study.fact(`connects to ${dead.ip} in that time that were refused`, study.rows, there),
        {
          text: 'requests to its peers in the same time that were answered',
          count: weigh(good),
          of: weigh(peers),
        },
      ],
      confidence: 'likely',
      why: 'one address fails, always, and its peers never; no log of that pod is here',
      next: [
        { purpose: 'see whether a pod has that address, and how it is', command: podAtCommand(dead.ip) },
      ],
      fix: ['Take the address out: delete the pod, or find why it is still an endpoint; outlier detection.'],
    }),
  ];
}

function endpointLag(scene: Scene, study: Study, hosts: readonly DeadHost[]): Hypothesis[] {
  // Where a cluster says that the pod is still there, the address is not that of one that is gone.
  const gone = hosts.filter(
    ({ ip, last, answersAfter }) => answersAfter === 0 && scene.facts.ownerOf(ip, last)?.stays !== true,
  );
  if (gone.length === 0) return [];
  const longest = most(gone.map(({ first, last }) => last - first));
  const served = study.during.filter(wasAnswered);
  const ongoing = longest > LASTING_MS && study.after.length * study.shareDuring < FEWEST_MISSED;
  // Endpoints do not lag for so long, and with every address alike none of them need be gone.
  if ((ongoing || longest > LONGEST_LAG_MS) && served.length === 0) return [];
  const they = gone.length === 1 ? 'it was' : 'they were';
  const some = gone.length < hosts.length;
  const change = turnover(scene.callersLines(study.place));
  const inTurn = gone.length >= 2 && change.arrived.length > 0;
  return [
    claim(study, {
      cause: 'pod-terminated-endpoint-lag',
      title: ongoing
        ? `Connects to ${plural(gone.length, 'address', 'addresses')} of ${study.place} are refused`
        : `Callers of ${study.place} still use ${plural(gone.length, 'address', 'addresses')} of pods that are gone`,
      story:
        `connects to ${listed(gone.map(({ ip }) => ip))} were refused or found no route for ${span(longest)}, ` +
        (ongoing
          ? 'to the end of the logs, longer than callers are usually told late of pods that are gone.'
          : `and ${they} not used afterwards: the pod is gone and its callers were told late. Since a refused connect needs no proxy to be there, no app of ${study.place} is to blame.`),
      at: {
        services: [study.place],
        endpoints: gone.map(({ ip }) => ip),
        pods: gone.flatMap(({ ip }) => scene.podOf(ip) ?? []),
      },
      evidence: [
        study.fact('failed connects to these addresses', study.rows, study.rows),
        {
          text: 'requests that these addresses answered before',
          count: gone.reduce((n, host) => n + host.answersBefore, 0),
          of: gone.reduce((n, host) => n + host.answersBefore, 0),
        },
        {
          text: 'requests to the service after the last refusal that these addresses answered',
          count: 0,
          of: weigh(study.after),
        },
        ...study.contrast('upstream host', (row) => row.upstreamIp),
      ],
      confidence:
        some || ongoing || longest > LONGEST_LAG_MS
          ? 'possible'
          : !inTurn && gone.every(({ answersBefore }) => answersBefore > 0)
            ? 'high'
            : 'likely',
      why: ongoing
        ? 'they are still used at the end, so that a pod that is gone is a guess'
        : 'the addresses answered before, refused for seconds and were then dropped',
      ...(ongoing && { severity: 'high' }),
      next: [
        {
          purpose: 'see whether a pod ended then',
          command: `kubectl get events ${namespaceFlag(study.place)}--sort-by=.lastTimestamp`,
        },
        {
          purpose: 'see whether the address is still somebody’s',
          command: podAtCommand(gone[0]!.ip),
        },
      ],
      fix: ongoing
        ? ['Find out first whether these pods exist.']
        : ['A preStop pause longer than endpoints need to spread; retries on connect-failure.'],
    }),
  ];
}

function rollout(scene: Scene, study: Study, hosts: readonly DeadHost[]): Hypothesis[] {
  const change = turnover(scene.callersLines(study.place));
  const leaving = hosts.filter(
    ({ ip, answersAfter }) => answersAfter === 0 && change.left.some((life) => life.ip === ip),
  );
  if (change.arrived.length === 0 || change.left.length < 2) return [];
  const failing = new Set(study.rows.flatMap((row) => row.upstreamIp ?? []));
  const newFailing = change.arrived.filter((life) => failing.has(life.ip)).length;
  const fromLeaving = study.rows.filter((row) =>
    change.left.some((life) => life.ip === row.upstreamIp),
  ).length;
  if (newFailing > 0 || fromLeaving < study.rows.length * 0.7) return [];
  return [
    rolloutClaim(
      study,
      change.left.map(({ ip }) => ip),
      change.arrived.map(({ ip }) => ip),
      fromLeaving,
      leaving.length > 0 ? 'high' : 'likely',
    ),
  ];
}

/** The addresses that leave fail one after another, each for seconds; those that arrive are clean. */
function rolloutClaim(
  study: Study,
  left: readonly string[],
  arrived: readonly string[],
  fromLeaving: number,
  confidence: Confidence,
): Hypothesis {
  return claim(study, {
    cause: 'rollout-drain',
    title: `${study.place} is being rolled out, and its leaving pods drop requests`,
    story:
      `${ofWords(fromLeaving, study.rows.length)} failures fell on ${plural(left.length, 'address', 'addresses')} that left (${listed(left)}), each for a few seconds; ${plural(arrived.length, 'new address', 'new addresses')} (${listed(arrived)}) serve without failure. ` +
      'Pods end before their callers know, or cut what they still serve.',
    at: { services: [study.place], endpoints: left, pods: left.flatMap((ip) => study.scene.podOf(ip) ?? []) },
    evidence: [
      { text: 'failures on addresses that leave', count: fromLeaving, of: study.rows.length },
      {
        text: `requests to the new addresses ${listed(arrived)} that failed this way`,
        count: 0,
        of: weigh(study.population.filter((row) => arrived.includes(row.upstreamIp ?? ''))),
      },
      ...study.contrast('upstream host', (row) => row.upstreamIp),
    ],
    confidence,
    why: 'old addresses fail and go, new ones come and are clean',
    next: [
      {
        purpose: 'see the rollout of that time',
        command: `kubectl ${namespaceFlag(study.place)}get rs,pods -o wide --sort-by=.metadata.creationTimestamp`,
      },
    ],
    fix: [
      'A preStop pause longer than endpoints need to spread, a graceful shutdown of the app, native sidecars so that the proxy outlives it.',
    ],
  });
}

function proxyDied(
  scene: Scene,
  study: Study,
  hosts: readonly DeadHost[],
  cut: readonly Case[],
): Hypothesis[] {
  const back = hosts.filter(
    ({ answersAfter, answersBefore }) => answersAfter > 0 && answersBefore + answersAfter > 0,
  );
  if (back.length === 0 || back.length > 2) return [];
  const ips = back.map(({ ip }) => ip);
  const rows = study.rows.filter((row) => ips.includes(row.upstreamIp ?? ''));
  const pods = ips.flatMap((ip) => scene.podOf(ip) ?? []);
  const answeredAfter = back.reduce((n, host) => n + host.answersAfter, 0);
  // Servers of other protocols than HTTP, databases above all, often have no sidecar; then what refuses is the server.
  const isProxyKnown = study.sample.http || pods.length > 0;
  const server = isProxyKnown ? [] : [serverWasAway(study, ips, answeredAfter)];
  return [
    ...server,
    claim(study, {
      cause: 'proxy-crash-or-oom',
      title: `The sidecar ${pods[0] ? `of ${pods[0]}` : `at ${ips[0]!}`} went away for ${span(study.spanMs)}`,
      story:
        `connects to ${listed(ips)} were refused on the callers’ side, where a living sidecar accepts everything; the same address serves again afterwards, so the pod stayed and its proxy restarted. ` +
        (cut.length > 0 ? `${plural(weigh(cut), 'request')} in flight broke just before. ` : ''),
      at: { services: [study.place], endpoints: ips, pods },
      evidence: [
        {
          text: `failures on ${listed(ips)}`,
          count: weigh(rows),
          of: weigh(study.rows),
        },
        {
          text: 'of these failures, connects that were refused',
          count: back.reduce((n, host) => n + weigh(host.cases), 0),
          of: weigh(study.rows),
        },
        {
          text: 'requests that it answered afterwards',
          count: answeredAfter,
          of: answeredAfter,
        },
        ...study.contrast('upstream host', (row) => row.upstreamIp),
      ],
      confidence: !isProxyKnown
        ? 'possible'
        : study.spanMs < 120_000 && rows.length === study.rows.length
          ? 'high'
          : 'likely',
      why: isProxyKnown
        ? 'a refusal on the callers’ side at an address that comes back'
        : 'true if a sidecar runs there, which no line shows',
      next: [
        {
          purpose: 'read the restart count and last state of istio-proxy',
          command: pods[0]
            ? podCommand(namespaceOf(study.place), 'describe pod', pods[0])
            : podAtCommand(ips[0]!),
        },
      ],
      fix: [
        'What its last state names: OOMKilled, more memory or less configuration (Sidecar resource); Error, its previous log; Completed, what ended it.',
      ],
    }),
  ];
}

/** The same where no line shows that a sidecar runs there: the server itself may have refused. */
function serverWasAway(study: Study, ips: readonly string[], answeredAfter: number): Hypothesis {
  return claim(study, {
    cause: 'app-not-listening',
    title: `${study.place} at ${listed(ips)} refused connects for ${span(study.spanMs)}`,
    story:
      `connects were refused, so the address was there and nothing listened; it serves again afterwards. Without a sidecar the server itself was down, or restarted; ` +
      'with one, that was, since a living sidecar accepts everything. No line shows whether one runs there.',
    severity: study.shareDuring > 0.9 ? 'critical' : 'high',
    at: { services: [study.place], endpoints: ips, pods: [] },
    evidence: [
      study.fact(`requests in that time that ${listed(ips)} refused`, study.rows, study.during),
      {
        text: 'connections that it served afterwards',
        count: answeredAfter,
        of: answeredAfter,
      },
    ],
    confidence: 'possible',
    why: 'a server that restarts is commoner than its sidecar that does, and it may have none',
    next: [{ purpose: 'see its containers, restarts and last states', command: podAtCommand(ips[0]!) }],
    fix: ['What its last state and its log name; the callers’ connection pools may need to reconnect.'],
  });
}

/** Every failed connect of a place, however it failed: what one caller alone keeps trying. */
const staleHosts = perScene((scene: Scene): readonly Hypothesis[] => {
  const failed = scene.cases.filter(
    ({ decider }) =>
      goesOut(decider) &&
      (isRefused(decider) || isConnectTimeout(decider)) &&
      !isPassthrough(decider) &&
      !isExternal(decider),
  );
  return [
    ...groupBy(failed, ({ decider }) => `${decider.proxy}\n${scene.placeOf(decider)}`).values(),
  ].flatMap((cases) =>
    staleConfig(scene, new Study(scene, cases), deadHosts(scene, cases, scene.placeOf(cases[0]!.decider))),
  );
});

/** One caller alone goes on using an address that its peers do not know. */
function staleConfig(scene: Scene, study: Study, hosts: readonly DeadHost[]): Hypothesis[] {
  const callers = distinct(study.rows, (row) => row.proxy);
  const all = distinct(scene.callersLines(study.place), (row) => row.proxy);
  const lasting = hosts.filter(
    ({ answersAfter, answersBefore, first, last }) =>
      answersAfter === 0 && (last - first > 60_000 || (answersBefore === 0 && last - first > 10_000)),
  );
  if (callers.length !== 1 || lasting.length === 0) return [];
  const others = scene.callersLines(study.place).filter((row) => row.proxy !== callers[0]);
  const othersUse = others.filter((row) =>
    lasting.some(({ ip }) => ip === row.upstreamIp && row.start > lasting[0]!.first),
  ).length;
  if (othersUse > 0 || (others.length === 0 && !study.during.some(wasAnswered))) return [];
  return [
    claim(study, {
      cause: 'stale-proxy-config',
      title: `${callers[0]} still sends to addresses of ${study.place} that no longer exist`,
      story: `one proxy alone uses ${listed(lasting.map(({ ip }) => ip))} for ${span(most(lasting.map(({ first, last }) => last - first)))}, and nobody answers there${all.length > 1 ? `; ${plural(all.length - 1, 'other caller')} of the service do not use it at all` : ''}. Its configuration is no longer updated.`,
      at: {
        services: [study.place],
        clients: callers,
        pods: callers,
        endpoints: lasting.map(({ ip }) => ip),
      },
      evidence: [
        study.fact(`failed connects of ${callers[0]} to these addresses`, study.rows, study.rows),
        {
          text: 'requests of other callers to the service that went to these addresses',
          count: 0,
          of: weigh(others),
        },
      ],
      confidence: others.length > 0 ? 'high' : 'possible',
      why:
        others.length > 0
          ? 'its peers do not use these addresses'
          : 'it lasts far longer than endpoints need to spread; no other caller’s log is here to compare',
      next: [
        seeWhetherStale(callers[0]!),
        {
          purpose: 'compare its endpoints with the cluster’s',
          command: `istioctl proxy-config endpoint ${proxyName(null, callers[0]!)} | grep ${shellWord(lasting[0]!.ip)}`,
        },
      ],
      fix: UPDATE_AGAIN,
    }),
  ];
}

/**
 * Refused to one caller, whatever it calls, by addresses that serve others in the same time: what refuses stands on the
 * caller's own side.
 */
const refusedToOne = perScene((scene: Scene): Hypothesis[] => {
  const refused = scene
    .casesOf((kind) => goesOut(kind) && isRefused(kind) && !isPassthrough(kind))
    .filter(({ decider }) => !isExternal(decider));
  return [...groupBy(refused, ({ decider }) => decider.proxy)].flatMap(([proxy, cases]) => {
    const places = distinct(cases, ({ decider }) => scene.placeOf(decider)).toSorted();
    const alive = places.flatMap((place) =>
      deadHosts(
        scene,
        cases.filter(({ decider }) => scene.placeOf(decider) === place),
        place,
      ).filter(({ answersToOthers }) => answersToOthers > 0),
    );
    const theirs = alive.flatMap((host) => host.cases);
    if (alive.length < 2 || theirs.length < FEWEST_REFUSED || theirs.length < cases.length * 0.8) return [];
    const study = new Study(
      scene,
      theirs,
      scene.linesOfProxy(proxy).filter((row) => row.direction === 'outbound'),
    );
    const others = alive.reduce((n, { answersToOthers }) => n + answersToOthers, 0);
    const network = scene.addressesOf(proxy).map(networkOf)[0];
    return [
      claim(study, {
        cause: 'kernel-or-host-firewall',
        title: `Connections of ${proxy} are refused on its own side`,
        story: `connects to ${listed(alive.map(({ ip }) => ip))} (${listed(places)}) were refused at once, while the same addresses answered other callers ${others} times. What refuses them is near the caller: a firewall of its node, or a policy that rejects.`,
        at: {
          services: places,
          clients: [proxy, ...scene.addressesOf(proxy)],
          endpoints: alive.map(({ ip }) => ip).slice(0, 4),
          ...(network && { networks: [network] }),
        },
        evidence: [
          study.fact(`connects of ${proxy} in that time that were refused`, study.rows, study.during),
          { text: 'answers of the same addresses to other callers meanwhile', count: others, of: others },
        ],
        confidence: 'likely',
        why: 'the addresses are alive, and only one caller is refused by all of them; which node it is on no line says',
        next: [
          {
            purpose: 'find its node, and whether other pods there fail as well',
            command: seePodCommand(proxy),
          },
        ],
        fix: ['Let the node’s firewall (nftables, firewalld, a security agent) pass the pod networks.'],
      }),
    ];
  });
});

const FEWEST_REFUSED = 5;

const refusal = causesNamedIn((scene) => [
  ...refusedOutside(scene),
  ...staleHosts(scene),
  ...refusedToOne(scene),
]);

export const REFUSED_CAUSES: readonly Cause[] = [
  refusal(
    'pod-terminated-endpoint-lag',
    'https://github.com/istio/istio/issues/7665',
    'A pod is gone, and its callers are told late.',
    ['UF refused or no route on the outbound side, for seconds, to an address that is not used afterwards'],
    [
      'the address serves again: its proxy restarted',
      'one caller goes on for minutes: its configuration is stale',
    ],
  ),
  refusal(
    'rollout-drain',
    'https://github.com/istio/istio/issues/39870',
    'Pods that leave in a rollout cut what they serve or refuse what still comes.',
    ['old addresses fail one after another, each for seconds', 'new addresses are clean'],
    ['new addresses fail: a bad release'],
  ),
  refusal(
    'proxy-crash-or-oom',
    'https://github.com/istio/istio/issues/19925',
    'A sidecar was killed or restarted while its app went on.',
    ['UC in flight, then refused on the outbound side, at one address that comes back'],
    ['refused on the inbound side: the app'],
  ),
  refusal(
    'stale-proxy-config',
    'https://github.com/istio/istio/issues/54539',
    'One proxy no longer gets configuration and uses addresses that are gone.',
    ['one caller, for minutes, to addresses that its peers do not use'],
    ['all callers, for seconds: they are told late'],
  ),
  refusal(
    'kernel-or-host-firewall',
    'https://github.com/istio/istio/issues/46431',
    'A firewall on the caller’s node rejects what its pods send.',
    [
      'UF refused or no route at once, for one caller and all that it calls',
      'the same addresses answer other callers meanwhile',
    ],
    ['nobody reaches the address: it is gone', 'one destination only: its configuration is stale'],
  ),
];

/** A look of a cause that others' lines show as well. */
export const REFUSED_LOOKS: readonly Cause[] = [
  refusal(
    'app-not-listening',
    'https://github.com/istio/istio/issues/51267',
    'Nothing listens on the port.',
    ['TCP refused on the way out, at an address that comes back and of which no line shows a sidecar'],
    ['the server’s own proxy logged it: that tells who refused'],
  ),
  refusal(
    'single-bad-endpoint',
    'https://github.com/istio/istio/issues/8846',
    'One pod of many misbehaves.',
    ['one upstream host refuses every connect, for good, while its peers serve'],
    [],
  ),
];
