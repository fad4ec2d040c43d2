import type { Case } from '../../aggregate/joins.js';
import type { Row } from '../../aggregate/rows.js';
import { causesNamedIn, type Cause } from '../cause.js';
import { connectErrorOf } from '../connect-error.js';
import { hostLives, turnover } from '../hosts.js';
import type { Confidence, Hypothesis } from '../hypothesis.js';
import { connectCommand, namespaceFlag, namespaceOf, podCommand, proxyName } from '../kubectl.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { distinct, groupBy, most } from '../stats.js';
import { claim, Study, studies } from '../study.js';
import {
  isConnectFailure,
  isConnectTimeout,
  isCut,
  isExternal,
  isPassthrough,
  networkOf,
} from '../traits.js';
import { clock, listed, ofWords, plural, shellWord, span } from '../words.js';

/** A connect that left this pod and failed: nobody answers there, or the way is shut. */
const goesOut = (row: Row): boolean => row.direction !== 'inbound' && isConnectFailure(row) && !row.tunnel;
const isRefused = (row: Row): boolean => {
  const error = connectErrorOf(row);
  return error === 'refused' || error === 'no-route' || error === 'reset';
};
const findPod = (place: string, ip: string): string =>
  `kubectl get pods -A -o wide --field-selector status.podIP=${shellWord(ip)}${namespaceOf(place) ? ` # service ${place}` : ''}`;

/** Failures to one address, and whether it ever answers again. */
interface DeadHost {
  readonly ip: string;
  readonly cases: readonly Case[];
  readonly first: number;
  readonly last: number;
  readonly answersAfter: number;
  readonly answersBefore: number;
}

function deadHosts(scene: Scene, cases: readonly Case[], place: string): readonly DeadHost[] {
  const lives = new Map(hostLives(scene.callersLines(place)).map((life) => [life.ip, life]));
  return [...groupBy(cases, ({ decider }) => decider.upstreamIp)].map(([ip, found]) => {
    const starts = found.map(({ decider }) => decider.start);
    const first = Math.min(...starts);
    const last = Math.max(...starts);
    const answered = (lives.get(ip)?.rows ?? []).filter((row) => row.answeredBy === 'peer');
    return {
      ip,
      cases: found,
      first,
      last,
      answersAfter: answered.filter((row) => row.start > last).length,
      answersBefore: answered.filter((row) => row.end < first).length,
    };
  });
}

/** One story per place where connects are refused on the way out, told by what becomes of the addresses. */
const refusedOutside = perScene((scene: Scene): Hypothesis[] => {
  // The cuts just before belong to the same event: connections die first, then new ones are refused.
  const refused = scene.cases.filter(
    ({ decider }) =>
      goesOut(decider) && isRefused(decider) && !isPassthrough(decider) && !isExternal(decider),
  );
  return [...groupBy(refused, ({ decider }) => scene.placeOf(decider))].flatMap(([place, cases]) => {
    const hosts = deadHosts(scene, cases, place);
    const cut = scene.cases.filter(
      ({ decider }) =>
        decider.direction === 'outbound' &&
        isCut(decider) &&
        scene.placeOf(decider) === place &&
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
    ];
  });
});

function endpointLag(scene: Scene, study: Study, hosts: readonly DeadHost[]): Hypothesis[] {
  const gone = hosts.filter(({ answersAfter }) => answersAfter === 0);
  if (gone.length === 0) return [];
  const longest = most(gone.map(({ first, last }) => last - first));
  const some = gone.length < hosts.length;
  const change = turnover(scene.callersLines(study.place));
  const inTurn = gone.length >= 2 && change.arrived.length > 0;
  return [
    claim(study, {
      cause: 'pod-terminated-endpoint-lag',
      title: `Callers of ${study.place} still use ${plural(gone.length, 'address', 'addresses')} of pods that are gone`,
      story:
        `connects to ${listed(gone.map(({ ip }) => ip))} were refused or found no route for ${span(longest)}, and it was not used afterwards: the pod is gone and its callers were told late. ` +
        `Since a refused connect needs no proxy to be there, no app of ${study.place} is to blame.`,
      at: {
        services: [study.place],
        endpoints: gone.map(({ ip }) => ip),
        pods: gone.flatMap(({ ip }) => scene.podOf(ip) ?? []),
      },
      evidence: [
        study.fact('failed connects to these addresses', study.rows, study.rows.length),
        {
          text: 'requests that these addresses answered before',
          count: gone.reduce((n, host) => n + host.answersBefore, 0),
          of: gone.reduce((n, host) => n + host.answersBefore, 0),
        },
        { text: 'requests that they answered afterwards', count: 0, of: study.after.length },
        ...study.contrast('upstream host', (row) => row.upstreamIp),
      ],
      confidence:
        some || longest > 120_000
          ? 'possible'
          : !inTurn && gone.every(({ answersBefore }) => answersBefore > 0)
            ? 'high'
            : 'likely',
      why: 'the addresses answered before, refused for seconds and were then dropped',
      next: [
        {
          purpose: 'see whether a pod ended then',
          command: `kubectl get events ${namespaceFlag(study.place)}--sort-by=.lastTimestamp`,
        },
        {
          purpose: 'see whether the address is still somebody’s',
          command: findPod(study.place, gone[0]!.ip),
        },
      ],
      fix: ['A preStop pause longer than endpoints need to spread; retries on connect-failure.'],
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
        of: study.population.filter((row) => arrived.includes(row.upstreamIp ?? '')).length,
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
  const starts = new Set(back.map(({ ip }) => ip));
  const rows = study.rows.filter((row) => starts.has(row.upstreamIp ?? ''));
  const pods = back.flatMap(({ ip }) => scene.podOf(ip) ?? []);
  return [
    claim(study, {
      cause: 'proxy-crash-or-oom',
      title: `The sidecar ${pods[0] ? `of ${pods[0]}` : `at ${back[0]!.ip}`} went away for ${span(study.spanMs)}`,
      story:
        `connects to ${listed(back.map(({ ip }) => ip))} were refused on the callers’ side, where a living sidecar accepts everything; the same address serves again afterwards, so the pod stayed and its proxy restarted. ` +
        (cut.length > 0 ? `${plural(cut.length, 'request')} in flight broke just before. ` : ''),
      at: { services: [study.place], endpoints: back.map(({ ip }) => ip), pods },
      evidence: [
        {
          text: `failures on ${listed(back.map(({ ip }) => ip))}`,
          count: rows.length,
          of: study.rows.length,
        },
        {
          text: 'connects refused there in that time',
          count: back.reduce((n, host) => n + host.cases.length, 0),
          of: study.rows.length,
        },
        {
          text: 'requests that it answered afterwards',
          count: back.reduce((n, host) => n + host.answersAfter, 0),
          of: back.reduce((n, host) => n + host.answersAfter, 0),
        },
        ...study.contrast('upstream host', (row) => row.upstreamIp),
      ],
      confidence: study.spanMs < 120_000 && rows.length === study.rows.length ? 'high' : 'likely',
      why: 'a refusal on the callers’ side at an address that comes back',
      next: [
        {
          purpose: 'read the restart count and last state of istio-proxy',
          command: pods[0]
            ? podCommand(namespaceOf(study.place), 'describe pod', pods[0])
            : findPod(study.place, back[0]!.ip),
        },
      ],
      fix: ['Give the proxy more memory, or less configuration (Sidecar resource).'],
    }),
  ];
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
  if (othersUse > 0) return [];
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
        study.fact(`failed connects of ${callers[0]} to these addresses`, study.rows, study.rows.length),
        { text: 'requests of other callers to these addresses since', count: 0, of: others.length },
      ],
      confidence: others.length > 0 ? 'high' : 'likely',
      why:
        others.length > 0
          ? 'its peers do not use these addresses'
          : 'it lasts far longer than endpoints need to spread; no other caller’s log is here to compare',
      next: [
        {
          purpose: 'see whether it is STALE or missing',
          command: `istioctl proxy-status | grep ${shellWord(callers[0]!)}`,
        },
        {
          purpose: 'compare its endpoints with the cluster’s',
          command: `istioctl proxy-config endpoint ${proxyName(null, callers[0]!)} | grep ${shellWord(lasting[0]!.ip)}`,
        },
      ],
      fix: [
        'Restore its connection to istiod (port 15012), correct the configuration that it rejects, or restart the pod.',
      ],
    }),
  ];
}

const refusal = causesNamedIn((scene) => [...refusedOutside(scene), ...staleHosts(scene)]);

/** A share of the waits ends in one instant: the oldest connect attempt takes all that wait for its host with it. */
function alignedEnds(rows: readonly Row[]): number {
  const ends = rows.map((row) => row.end).toSorted((a, b) => a - b);
  return ends.filter(
    (end, i) => (ends[i + 1] ?? Infinity) - end < 20 || end - (ends[i - 1] ?? -Infinity) < 20,
  ).length;
}

/** Connects that nobody answered, one story per set of callers and destinations. */
const timedOut = perScene((scene: Scene): Hypothesis[] => {
  const cases = scene.cases.filter(
    ({ decider }) =>
      decider.direction !== 'inbound' &&
      isConnectFailure(decider) &&
      (isConnectTimeout(decider) ||
        connectErrorOf(decider) === 'no-route' ||
        connectErrorOf(decider) === 'unreachable'),
  );
  const waited = cases.filter(({ decider }) => isConnectTimeout(decider));
  if (waited.length === 0) return [];
  const found: Hypothesis[] = [];
  const node = deadNode(scene, cases);
  if (node) found.push(node);
  for (const [place, group] of groupBy(waited, ({ decider }) => scene.placeOf(decider))) {
    const study = new Study(scene, group);
    const port = study.sample.upstreamHost?.match(/:(\d+)$/)?.[1];
    found.push(
      port === '15443'
        ? eastWest(study)
        : isExternal(study.sample) || (isPassthrough(study.sample) && isExternal(study.sample))
          ? egressBlocked(study, place)
          : blocked(scene, study, place),
    );
  }
  return found;
});

function deadNode(scene: Scene, cases: readonly Case[]): Hypothesis | null {
  const inside = cases.filter(({ decider }) => !isExternal(decider));
  const networks = groupBy(inside, ({ decider }) => decider.upstreamIp && networkOf(decider.upstreamIp));
  for (const [network, group] of networks) {
    const study = new Study(scene, group);
    const places = distinct(study.rows, (row) => scene.placeOf(row));
    if (places.length < 2 || group.length < inside.length * 0.8) continue;
    const sameTime = scene.rows.filter(
      (row) => row.direction === 'outbound' && row.start >= study.first && row.upstreamIp !== null,
    );
    const elsewhere = sameTime.filter((row) => networkOf(row.upstreamIp!) !== network);
    const good = elsewhere.filter((row) => !row.failure).length;
    return claim(study, {
      cause: 'node-unreachable',
      title: `The node that holds ${network} does not answer: ${plural(places.length, 'service')} at once`,
      story: `connects to ${listed(study.hosts)} (${listed(places)}), all in ${network}, got no answer from ${clock(study.first)} on; pods elsewhere serve (${ofWords(good, elsewhere.length)}).`,
      at: { services: places, endpoints: study.hosts, networks: [network] },
      evidence: [
        { text: `failed connects to addresses in ${network}`, count: group.length, of: inside.length },
        {
          text: 'requests to pods in other networks in the same time that went well',
          count: good,
          of: elsewhere.length,
        },
      ],
      confidence: 'high',
      why: 'several services fail at once, and what they share is the network of one node',
      next: [
        { purpose: 'find a node that is not Ready', command: 'kubectl get nodes -o wide' },
        { purpose: 'see what runs there', command: findPod(places[0]!, study.hosts[0]!) },
      ],
      fix: ['Cordon and replace the node; spread replicas over nodes; outlier detection.'],
    });
  }
  return null;
}

function blocked(scene: Scene, study: Study, place: string): Hypothesis {
  const callers = study.affectedCallers;
  const hosts = study.by((row) => row.upstreamIp, study.during);
  const one = hosts.length > 1 && hosts.filter(({ failures }) => failures > 0).length === 1;
  const longest = most(study.rows.map((row) => row.duration));
  const aligned = alignedEnds(study.rows);
  const lines = scene.callersLines(place);
  const otherCallers = lines.filter(
    (row) => row.start >= study.first && row.start <= study.last + 1 && !study.proxies.includes(row.proxy),
  );
  const otherGood = otherCallers.filter((row) => !row.failure).length;
  const used = otherCallers.filter((row) => study.hosts.includes(row.upstreamIp ?? '')).length;
  const alone = otherCallers.length >= 5 && used === 0;
  const noRoute = scene.cases.filter(
    ({ decider }) => connectErrorOf(decider) === 'no-route' && scene.placeOf(decider) === place,
  );
  return claim(study, {
    cause: 'connect-timeout-network-blocked',
    title: `Connections ${callers.length > 0 ? `from ${listed(callers)} ` : ''}to ${place} get no answer`,
    story:
      `their connection was never made, and after ${span(longest)} at most the proxy gave up. ${aligned} of ${study.rows.length} failed together with another: all that wait for one connect fail with it. ` +
      (otherCallers.length > 0
        ? `Other callers of the same service reach it (${ofWords(otherGood, otherCallers.length)}). `
        : '') +
      'Something on the way drops packets: a refusal would come at once.',
    at: {
      services: [place],
      endpoints: one ? [hosts[0]!.value] : study.hosts.slice(0, 4),
      ...(callers.length > 0 ? {} : { clients: study.proxies.length === 1 ? study.proxies : [] }),
    },
    cases: [...study.cases, ...noRoute],
    evidence: [
      study.fact('requests and connections whose connect nobody answered', study.rows, study.during),
      { text: 'of these, that failed within 20 ms of another', count: aligned, of: study.rows.length },
      {
        text: 'requests of other callers to it in the same time that went well',
        count: otherGood,
        of: otherCallers.length,
      },
    ],
    confidence: alone
      ? 'possible'
      : one
        ? 'likely'
        : otherGood > 0 || study.rows.length >= 5
          ? 'high'
          : 'likely',
    why: alone
      ? 'the other callers do not use these addresses at all, so the addresses are wrong rather than the way'
      : otherGood > 0
        ? 'no answer at all, and only for some callers'
        : one
          ? 'no answer from one address only, whose pod may be gone'
          : 'no answer at all, no refusal',
    next: [
      { purpose: 'look for a policy that selects either side', command: 'kubectl get networkpolicy -A' },
      {
        purpose:
          'try the connection past the sidecar: a time-out means blocked, connected means it is open again',
        command: connectCommand(study.proxies[0]!, study.sample.upstreamHost ?? place),
      },
    ],
    fix: [
      'Allow the flow in the NetworkPolicy, security group or firewall; a shorter connectTimeout makes it fail sooner.',
    ],
  });
}

function egressBlocked(study: Study, place: string): Hypothesis {
  return claim(study, {
    cause: 'egress-firewall-blocked',
    title: `Nothing outside answers connects to ${study.sample.serverName ?? place}`,
    story: `the mesh lets the connections out (${study.sample.cluster?.name ?? 'no cluster'}), but ${listed(study.hosts)} never answers; they end after ${span(most(study.rows.map((row) => row.duration)))} at most. A firewall or NAT on the way out drops them.`,
    at: { services: [study.sample.serverName ?? place], endpoints: study.hosts, clients: study.proxies },
    evidence: [
      study.fact('connects to it that nobody answered', study.rows, study.during),
      ...study.contrast('upstream host', (row) => row.upstreamIp),
    ],
    confidence: study.rows.length >= 3 ? 'high' : 'likely',
    why: 'an address outside the cluster, no answer and no refusal',
    next: [
      {
        purpose: 'try it from a debug pod',
        command: `kubectl run egress-test --rm -it --restart=Never --image=curlimages/curl -- curl -sv --connect-timeout 5 ${shellWord(`https://${study.sample.serverName ?? study.hosts[0]}`)}`,
      },
    ],
    fix: ['Open the way in the firewall, NAT or egress policy.'],
  });
}

function eastWest(study: Study): Hypothesis {
  return claim(study, {
    cause: 'eastwest-gateway-unreachable',
    title: `The gateway to the other network, ${listed(study.hosts)}, does not answer`,
    story: `requests for ${study.place} that are balanced to the remote network go to port 15443 of ${listed(study.hosts)} and get no answer; local pods serve.`,
    at: { services: [study.place], endpoints: study.hosts },
    evidence: [
      study.fact('connects to the remote gateway without an answer', study.rows, study.rows.length),
      ...study.contrast('upstream host', (row) => row.upstreamIp),
    ],
    confidence: 'high',
    why: 'port 15443 is the gateway between networks, and only it fails',
    next: [
      { purpose: 'see how the remote cluster is reached', command: 'istioctl remote-clusters' },
      { purpose: 'see its address', command: 'kubectl -n istio-system get svc -o wide | grep -i eastwest' },
    ],
    fix: ['Expose that gateway and open 15443; check the network labels.'],
  });
}

const waiting = causesNamedIn((scene) => timedOut(scene));

const portExhaustion: Cause = {
  id: 'conntrack-or-port-exhaustion',
  reference: 'https://github.com/istio/istio/issues/38982',
  mechanism: 'The kernel has no local port left for a connection, or its connection table is full.',
  signs: [
    'immediate_connect_error: Cannot assign requested address (99)',
    'under load, many destinations, one pod or node',
  ],
  against: ['one destination only, without load'],
  judge: (scene) =>
    studies(
      scene,
      (row) => connectErrorOf(row) === 'local-ports',
      (row) => row.proxy,
    ).map((study) =>
      claim(study, {
        cause: 'conntrack-or-port-exhaustion',
        title: `${study.proxies[0]} has no local ports left for new connections`,
        story: `its own kernel refused to open them (Cannot assign requested address), before anything was sent: ${listed(distinct(study.rows, (row) => scene.placeOf(row)))}. The destination is not at fault.`,
        at: {
          services: distinct(study.rows, (row) => scene.placeOf(row)),
          pods: study.proxies,
          clients: study.proxies,
          endpoints: study.hosts.slice(0, 3),
        },
        evidence: [
          study.fact(
            'connects that the own kernel refused',
            study.rows,
            scene.rows.filter(
              (row) => row.proxy === study.proxies[0] && row.start >= study.first && row.start <= study.last,
            ),
          ),
        ],
        confidence: 'high',
        why: 'errno 99 comes from the local kernel only',
        next: [
          {
            purpose: 'count its sockets',
            command: `kubectl debug -it ${shellWord(study.proxies[0]!)} --image=nicolaka/netshoot -- ss -s`,
          },
        ],
        fix: ['Keep connections alive and pool them; more pods or source addresses; raise the port range.'],
      }),
    ),
};

export const CONNECT_CAUSES: readonly Cause[] = [
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
  waiting(
    'connect-timeout-network-blocked',
    'https://github.com/istio/istio/issues/48649',
    'The network drops the first packets of a connection.',
    [
      'UF with {connection_timeout} or an empty reason and seconds of waiting, no local address',
      'equal ends of what waits for one host',
    ],
    ['refused at once: something answers there'],
  ),
  waiting(
    'node-unreachable',
    'https://github.com/istio/istio/issues/46431',
    'A node is dead or cut off; its pods stay endpoints for minutes.',
    ['connect timeouts, then no route, to several services in one pod network at once'],
    ['one service only'],
  ),
  waiting(
    'egress-firewall-blocked',
    'https://github.com/istio/istio/issues/56356',
    'A firewall or NAT on the way out drops connections that the mesh lets through.',
    ['0 UF,URX after up to 10 s to a public address'],
    ['BlackHoleCluster: the mesh blocks'],
  ),
  waiting(
    'eastwest-gateway-unreachable',
    'https://github.com/istio/istio/issues/39930',
    'The gateway of another network cannot be reached.',
    ['UF to an address with port 15443, for the share that is balanced there'],
    [],
  ),
  portExhaustion,
];
