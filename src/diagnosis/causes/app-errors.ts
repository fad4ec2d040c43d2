import type { Case } from '../../aggregate/joins.js';
import type { Kind, Row } from '../../aggregate/row.js';
import { countBefore } from '../../aggregate/sorted.js';
import { hungUp } from '../attempts.js';
import { causesNamedIn, type Cause } from '../cause.js';
import { turnover } from '../hosts.js';
import type { Hypothesis, Severity } from '../hypothesis.js';
import { logsCommand, namespaceFlag, namespaceOf, podAtCommand, podCommand, proxyName } from '../kubectl.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { byFrequency, distinct, groupBy, least, median, most, weigh } from '../stats.js';
import { claim, FEWEST_FOR_A_SHARE, Study, top } from '../study.js';
import { fingerprintOf, isExternal, networkOf, serverLogged } from '../traits.js';
import { clock, listed, ofWords, plural, shellWord, span } from '../words.js';

/** A 5xx that the proxy relayed. */
const isRelayed = (row: Kind): boolean =>
  row.http && row.code !== null && row.code >= 500 && row.answeredBy === 'peer';

/** What a pod called itself. */
const isCall = ({ direction }: Kind): boolean => direction === 'outbound' || direction === 'passthrough';

/** Severity of what an app does by how much of it fails; a few lines are no share. */
const weight = ({ rows, shareDuring }: Study): Severity =>
  rows.length < FEWEST_FOR_A_SHARE || shareDuring <= 0.1 ? 'medium' : shareDuring > 0.9 ? 'critical' : 'high';

/** Relayed errors of one place, told by how deep the logs reach and where the errors concentrate. */
const relayed = perScene((scene: Scene): Hypothesis[] => {
  const cases = scene.casesOf(isRelayed).filter(({ masked, copedAt }) => !masked || copedAt !== undefined);
  const found: Hypothesis[] = [];
  for (const group of groupBy(cases, ({ decider }) => scene.placeOf(decider)).values()) {
    const inside = group.filter(({ decider }) => scene.cameIn(decider));
    const fromOutside = group.filter(({ decider }) => !scene.cameIn(decider));
    // Where some requests were seen by the app’s own sidecar, the others are the same story from further away.
    const parts = inside.length >= fromOutside.length ? [group] : [inside, fromOutside];
    for (const part of parts) if (part.length > 0) found.push(...judgePart(scene, part));
  }
  return found;
});

function judgePart(scene: Scene, cases: readonly Case[]): Hypothesis[] {
  const study = new Study(scene, cases, populationOf(scene, cases));
  const printed = study.rows.filter((row) => fingerprintOf(row) !== null);
  if (isExternal(study.sample)) return [external(study)];
  const atApp = study.rows.filter((row) => study.scene.cameIn(row)).length * 2 >= study.rows.length;
  const known = printed.length * 2 > study.rows.length;
  const hidden = !atApp && known;
  const found: Hypothesis[] = [];
  const one = oneBadHost(scene, study, atApp, hidden);
  if (one) found.push(one);
  if (hidden || (!atApp && study.rows.every((row) => serverLogged(scene, row))))
    found.push(vantage(study, printed));
  const own = ownCalls(scene, study);
  // A call of these pods that failed would be logged too, where calls are.
  const isChance = atApp && own === null && logsCalls(scene);
  if (atApp && known && !isChance) found.push(dependency(study, own !== null));
  if (own) found.push(own);
  const size = !known ? 'own' : isChance ? 'chance' : 'proxy';
  found.push(appError(study, { atApp, size, narrower: found.length > 0 }));
  return found;
}

/** Whether sidecars log what their apps call: telemetry can be set to log one side alone. */
const logsCalls = perScene(
  (scene: Scene): boolean => scene.rowsOf((kind) => isCall(kind) && scene.servesApp(kind.proxy)).length > 0,
);

/** Both sides of a hop say the same of a host: the side that decided is counted. */
function populationOf(scene: Scene, cases: readonly Case[]): readonly Row[] {
  const inbound = cases.filter(({ decider }) => scene.cameIn(decider)).length * 2 >= cases.length;
  const row = cases.find(({ decider }) => scene.cameIn(decider) === inbound)!.decider;
  return scene.linesOf(row);
}

interface HowSeen {
  /** By the sidecar of the app that answered. */
  readonly atApp: boolean;
  /** Most have the size of a proxy's own text; by chance, where the pods' calls are logged and none failed. */
  readonly size: 'own' | 'proxy' | 'chance';
  /** Another story says more. */
  readonly narrower: boolean;
}

function appError(study: Study, { atApp, size, narrower }: HowSeen): Hypothesis {
  const codes = byFrequency(study.rows, (row) => String(row.code)).map(([code]) => code);
  const pods = distinct(study.rows, (row) => (study.scene.cameIn(row) ? row.proxy : null));
  const paths = study.concentration((row) => row.pathTemplate);
  const pod = pods[0] ?? study.hosts.map((ip) => study.scene.podOf(ip)).find((name) => name !== null) ?? null;
  return claim(study, {
    cause: 'app-error-via-upstream',
    title: `${study.place} answers ${listed(codes)} itself${
      paths
        ? ` on ${listed(
            paths.bad.map(({ value }) => value),
            2,
          )}`
        : ''
    }`,
    story:
      (size === 'chance'
        ? 'the last proxy before the app relayed them (via_upstream), and no call of these pods failed meanwhile: the app said so, though most are as long as a text of Envoy’s. '
        : atApp
          ? 'the last proxy before the app relayed them (via_upstream), and their size is no text of Envoy’s: the app said so. '
          : 'the callers’ proxies relayed them, and their size is no text of Envoy’s, so that an app said so and no proxy; the server’s own log would show which. ') +
      `Pods: ${plural(Math.max(pods.length, study.hosts.length), 'one', 'several')
        .replace(/^1 one$/, 'one')
        .replace(/^\d+ several$/, 'several alike')}. The mesh delivered every one of them.`,
    severity: weight(study),
    at: {
      services: [study.place],
      ...(study.concentration((row) => row.upstreamIp)
        ? { endpoints: study.concentration((row) => row.upstreamIp)!.bad.map(({ value }) => value) }
        : { endpoints: study.hosts.slice(0, 4) }),
    },
    evidence: [
      study.fact(
        `requests in that time that the app answered with ${listed(codes)}`,
        study.rows,
        study.during,
      ),
      {
        text: 'of these with the size of a reply that a proxy makes',
        count: weigh(study.rows.filter((row) => fingerprintOf(row) !== null)),
        of: weigh(study.rows),
      },
      ...study.contrast('path', (row) => row.pathTemplate),
      ...study.contrast('upstream host', (row) => row.upstreamIp),
    ],
    confidence:
      size === 'own'
        ? atApp && !narrower
          ? 'high'
          : 'likely'
        : size === 'chance' && !narrower
          ? 'likely'
          : 'possible',
    why:
      size === 'chance'
        ? 'the replies are as long as a proxy’s own, but nothing that these pods call failed'
        : size === 'proxy'
          ? 'the size of the replies is that of a proxy’s own'
          : narrower
            ? 'true as far as it goes; where the failures concentrate says more'
            : atApp
              ? 'the decision was taken behind the last proxy'
              : 'the size rules out a proxy’s own reply; the server’s log is not here',
    next: [
      pod
        ? {
            purpose: 'read what the app says of them',
            command: logsCommand(namespaceOf(study.place), pod, study.first),
          }
        : {
            purpose: 'read what the app says of them',
            command: `kubectl ${namespaceFlag(study.place)}logs deploy/${shellWord(study.place.split('.')[0]!)} --all-containers --since=1h | grep ${shellWord(study.sample.requestId ?? '')}`,
          },
    ],
    fix: ['In the app; roll back if a release came then.'],
  });
}

/** One address, or the few new ones, fail while their peers do well. */
function oneBadHost(scene: Scene, study: Study, atApp: boolean, hidden: boolean): Hypothesis | null {
  const byHost = study.concentration((row) => row.upstreamIp);
  const hosts = study.by((row) => row.upstreamIp, study.during);
  const bad = byHost?.bad ?? outlier(hosts);
  if (!bad || bad.length === 0 || bad.length >= hosts.length) return null;
  const ips = bad.map(({ value }) => value);
  const change = turnover(
    scene.callersLines(study.place).length > 0 ? scene.callersLines(study.place) : study.population,
  );
  const fresh = ips.every((ip) => change.arrived.some((life) => life.ip === ip));
  const pods = ips.flatMap((ip) => scene.podOf(ip) ?? []);
  const good = hosts.filter(({ value }) => !ips.includes(value));
  const networks = new Set(ips.map(networkOf));
  const oneNetwork =
    ips.length > 1 && networks.size === 1 && good.every(({ value }) => !networks.has(networkOf(value)));
  if (ips.length > 1 && !fresh && !oneNetwork) return null;
  const sum = (
    values: readonly { failures: number; requests: number }[],
    of: 'failures' | 'requests',
  ): number => values.reduce((n, value) => n + value[of], 0);
  const slow = median(
    study.population
      .filter((row) => ips.includes(row.upstreamIp ?? '') && !row.failure)
      .map((row) => row.duration),
  );
  const usual = median(
    study.population
      .filter((row) => !ips.includes(row.upstreamIp ?? '') && !row.failure)
      .map((row) => row.duration),
  );
  const slower = slow !== null && usual !== null && slow > 3 * usual;
  const cause = fresh ? 'bad-rollout' : 'single-bad-endpoint';
  return claim(study, {
    cause,
    title: fresh
      ? `The new pods of ${study.place} fail, the old ones do not`
      : `One of ${hosts.length} pods of ${study.place} fails${slower ? ' and is slow' : ''}`,
    story:
      `${ofWords(sum(bad, 'failures'), sum(bad, 'requests'))} requests to ${listed(pods.length > 0 ? pods : ips)} failed, ${ofWords(sum(good, 'failures'), sum(good, 'requests'))} to its peers. ` +
      (fresh ? `${arrivalWords(change.arrived.filter(({ ip }) => ips.includes(ip)))} ` : '') +
      (slower ? `What it answers takes a median of ${span(slow)} against ${span(usual)} elsewhere. ` : '') +
      (atApp ? 'Its own sidecar relayed the errors, so the app in it made them.' : ''),
    severity: fresh ? 'high' : 'medium',
    verdict: 'app',
    at: { services: [study.place], endpoints: ips, pods },
    evidence: [
      {
        text: `requests to ${listed(ips)} that failed`,
        count: sum(bad, 'failures'),
        of: sum(bad, 'requests'),
      },
      {
        text: `requests to its peers in the same time that failed this way`,
        count: sum(good, 'failures'),
        of: sum(good, 'requests'),
      },
    ],
    confidence: hidden
      ? 'likely'
      : sum(good, 'failures') === 0 && sum(bad, 'failures') >= 3
        ? 'high'
        : 'likely',
    why: 'the failures stand on what one group of addresses has and its peers have not',
    next: [
      pods[0]
        ? {
            purpose: 'look at its events, restarts and image',
            command: podCommand(namespaceOf(study.place), 'describe pod', pods[0]),
          }
        : {
            purpose: 'find the pod of that address',
            command: podAtCommand(ips[0]!),
          },
    ],
    fix: fresh
      ? [
          `Roll back, where its Deployment is called so: kubectl ${namespaceFlag(study.place)}rollout undo deploy/${shellWord(study.place.split('.')[0]!)}`,
        ]
      : ['Keep its log, then delete the pod; a readiness probe that covers what fails; outlier detection.'],
  });
}

/** When addresses were first dialled, which tells of pods that are newer than the log. */
function arrivalWords(lives: readonly { readonly first: number }[]): string {
  const first = least(lives.map((life) => life.first));
  const last = most(lives.map((life) => life.first));
  const when = last - first < 1_000 ? `at ${clock(first)}` : `between ${clock(first)} and ${clock(last)}`;
  return `${lives.length === 1 ? 'This address was' : 'These addresses were'} first called ${when}, long after the log begins: a new version.`;
}

/** One host with far more failures than its peers, where these are not clean. */
function outlier(
  hosts: readonly { value: string; failures: number; requests: number }[],
): typeof hosts | null {
  const [worst, ...rest] = hosts;
  if (!worst || rest.length === 0 || worst.failures < 4) return null;
  const others = rest.reduce((n, { failures }) => n + failures, 0);
  const requests = rest.reduce((n, host) => n + host.requests, 0);
  return worst.failures / worst.requests > 6 * (others / Math.max(1, requests)) &&
    others <= worst.failures * 0.25
    ? [worst]
    : null;
}

function vantage(study: Study, printed: readonly Row[]): Hypothesis {
  const kinds = byFrequency(printed, fingerprintOf).map(([kind]) => kind);
  const pods = study.hosts.flatMap((ip) => study.scene.podOf(ip) ?? []);
  return claim(study, {
    cause: 'insufficient-vantage',
    title: `${study.place}: the decision was taken behind these logs`,
    story: `every line relays what it got (via_upstream), ${kinds.length > 0 ? `and the size of the replies is that of a proxy’s text about ${listed(kinds)}` : 'and the server’s log does not hold them'}. Which pod and why stands in the log of the next hop: the sidecars of ${study.place} (${listed(study.hosts)}).`,
    severity: weight(study),
    at: {
      services: [study.place],
      endpoints: study.concentration((row) => row.upstreamIp)?.bad.map(({ value }) => value) ?? [],
    },
    evidence: [
      study.fact('requests in that time that ended so', study.rows, study.during),
      {
        text: `of these with the size of a proxy’s text about ${listed(kinds)}`,
        count: weigh(printed),
        of: weigh(study.rows),
      },
      ...study.contrast('upstream host', (row) => row.upstreamIp),
    ],
    confidence: 'high',
    why: 'the replies are those of a proxy whose log is not here',
    next: [
      {
        purpose: 'get the log that decides',
        command: pods[0]
          ? logsCommand(namespaceOf(study.place), pods[0], study.first)
          : `kubectl ${namespaceFlag(study.place)}logs deploy/${shellWord(study.place.split('.')[0]!)} -c istio-proxy --since=1h | grep ${shellWord(study.sample.requestId ?? '')}`,
      },
    ],
    fix: ['None yet: read that log first.'],
  });
}

/** The app relays a proxy’s text: it called on and passed the answer back. */
function dependency(study: Study, isCalling: boolean): Hypothesis {
  const kinds = byFrequency(study.rows, fingerprintOf).map(([kind]) => kind);
  return claim(study, {
    cause: 'dependency-failure-in-app',
    title: `${study.place} passes on a failure of something it calls`,
    story: `its app answered with the very text that a proxy makes for ${listed(kinds)}: it called another service through the mesh and passed the answer back.`,
    severity: weight(study),
    at: { pods: distinct(study.rows, (row) => row.proxy).slice(0, 3) },
    evidence: [
      study.fact(
        'replies of the app with the size of a proxy’s text',
        study.rows.filter((row) => fingerprintOf(row) !== null),
        study.rows,
      ),
    ],
    confidence: isCalling ? 'high' : 'likely',
    why: 'apps do not write Envoy’s texts themselves',
    next: [
      {
        purpose: 'see what its pods call',
        command: `${podCommand(namespaceOf(study.place), 'logs', study.proxies[0]!)} -c istio-proxy --since=1h | grep 'outbound|'`,
      },
    ],
    fix: ['What it depends on.'],
  });
}

/** The same pods’ own calls fail in the same seconds: the error is passed on. */
function ownCalls(scene: Scene, study: Study): Hypothesis | null {
  const servers = new Set(study.rows.filter((row) => study.scene.cameIn(row)).map((row) => row.proxy));
  const calls = scene
    .rowsOf((kind) => kind.failure && servers.has(kind.proxy) && isCall(kind))
    .filter((row) => !study.has(row));
  const byProxy = groupBy(calls, (call) => call.proxy);
  const served = study.rows.filter((row) => study.scene.cameIn(row));
  const fitting = served.filter((row) => {
    const own = byProxy.get(row.proxy) ?? [];
    const first = countBefore(own.length, (i) => own[i]!.start < row.start - 5);
    for (let i = first; i < own.length && own[i]!.start <= row.end; i++) {
      if (own[i]!.end <= row.end + 50) return true;
    }
    return false;
  });
  if (fitting.length < Math.max(3, served.length * 0.6)) return null;
  const dependencies = distinct(calls, (row) => scene.placeOf(row));
  return claim(study, {
    cause: 'dependency-failure-in-app',
    title: `${study.place} fails because ${listed(dependencies)} does`,
    story: `${ofWords(weigh(fitting), weigh(served))} of these requests were waiting for a call of the same pod to ${listed(dependencies)} that failed within them (${top(calls, (row) => `${row.code} ${row.flags.join(',') || '-'}`)}).`,
    severity: weight(study),
    at: {
      services: [...dependencies, study.place],
      upstreamClusters: distinct(calls, (row) => row.cluster?.name ?? null).slice(0, 2),
      endpoints: distinct(calls, (row) => row.upstreamIp).slice(0, 4),
    },
    evidence: [
      {
        text: 'failing requests during which an own call of the pod failed',
        count: weigh(fitting),
        of: weigh(served),
      },
    ],
    confidence: fitting.length >= served.length * 0.8 ? 'high' : 'likely',
    why: 'joined by pod and time: the call fails inside the request',
    next: [
      {
        purpose: 'read the app’s log',
        command: logsCommand(namespaceOf(study.place), [...servers][0]!, study.first),
      },
    ],
    fix: [`What fails in ${listed(dependencies)}.`],
  });
}

function external(study: Study): Hypothesis {
  return claim(study, {
    cause: 'external-service-failure',
    title: `${study.place}, outside the mesh, answers ${top(study.rows, (row) => String(row.code))}`,
    story: 'the third party said so; the mesh delivered request and answer.',
    at: { services: [study.place], clients: study.proxies.slice(0, 2) },
    evidence: [
      study.fact('requests in that time that it answered so', study.rows, study.during),
      ...study.contrast('path', (row) => row.pathTemplate),
    ],
    confidence: 'high',
    why: 'an external cluster whose own answer was relayed',
    next: [
      {
        purpose: 'ask it directly',
        command: `kubectl run ask --rm -it --restart=Never --image=curlimages/curl -- curl -sv ${shellWord(`https://${study.place}${study.sample.path ?? '/'}`)}`,
      },
    ],
    fix: ['At the third party; a fallback or cache meanwhile.'],
  });
}

/** Attempts that failed on a server and were saved by a retry. */
const masked = perScene((scene: Scene): Hypothesis[] => {
  const cases = scene
    .casesOf((kind) => kind.direction === 'inbound' && !hungUp(kind))
    .filter((one) => one.masked && one.copedAt === undefined);
  return [...groupBy(cases, ({ decider }) => scene.placeOf(decider))].flatMap(([place, group]) => {
    const study = new Study(scene, group);
    const attempts = study.rows.length;
    if (attempts < 3) return [];
    const hosts = study.concentration((row) => row.upstreamIp);
    const pods = hosts ? hosts.bad.flatMap(({ value }) => scene.podOf(value) ?? []) : [];
    const byApp = study.rows.filter((row) => row.answeredBy === 'peer').length * 2 > attempts;
    const posts = group.filter(
      ({ decider }) => decider.method === 'POST' && decider.answeredBy === 'peer',
    ).length;
    return [
      claim(study, {
        cause: 'retry-masked-failure',
        title: hosts
          ? `${plural(hosts.bad.length, 'pod')} of ${place} fail${hosts.bad.length === 1 ? 's' : ''} ${attempts} attempts; retries hide it`
          : `${place} fails ${attempts} attempts; retries hide it`,
        story:
          `users see nothing yet: each of these attempts was answered by ${top(study.rows, (row) => String(row.code))} on the server’s side and repeated by the caller’s proxy under the same request id, which then got its answer. ` +
          (posts > 0
            ? `${plural(posts, 'POST')} ran on a pod that had already answered: whether both counted, the logs cannot show.`
            : ''),
        verdict: byApp ? 'app' : 'mesh',
        at: { services: [place], endpoints: hosts?.bad.map(({ value }) => value) ?? [], pods },
        evidence: [
          study.fact('attempts in that time that failed at the server', study.rows, study.during),
          {
            text: 'of these, whose request another attempt then answered',
            count: weigh(group),
            of: weigh(group),
          },
          ...study.contrast('upstream host', (row) => row.upstreamIp),
        ],
        confidence: 'high',
        why: 'both ends are joined by request id: failed there, good here',
        next: [
          pods[0]
            ? { purpose: 'read why', command: logsCommand(namespaceOf(place), pods[0], study.first) }
            : {
                purpose: 'see the retry policy',
                command: `istioctl proxy-config route ${proxyName(null, group[0]!.root.proxy)} -o json | grep -n -A8 retryPolicy`,
              },
        ],
        fix: ['Mend or replace the pod before a second one fails; retry only what may run twice.'],
      }),
    ];
  });
});

const app = causesNamedIn((scene) => [...relayed(scene), ...masked(scene)]);

export const APP_CAUSES: readonly Cause[] = [
  app(
    'single-bad-endpoint',
    'https://github.com/istio/istio/issues/8846',
    'One pod of many misbehaves.',
    ['failures concentrate on one upstream host; its peers have none'],
    ['the bad hosts are new: a release', 'they share a node'],
  ),
  app(
    'bad-rollout',
    'https://github.com/istio/istio/issues/39870',
    'A new version fails while the old one works.',
    ['failures only on hosts that first appear after the onset'],
    ['the leaving hosts fail: draining'],
  ),
  app(
    'external-service-failure',
    'https://istio.io/v1.28/docs/tasks/traffic-management/egress/egress-control/',
    'A third party fails.',
    ['errors via_upstream on an external cluster'],
    [],
  ),
  app(
    'dependency-failure-in-app',
    'https://github.com/istio/istio/issues/47622',
    'Something that the app calls fails, and the app passes it on.',
    [
      'an inbound error during which an outbound call of the same pod fails',
      'the app’s reply has the size of a proxy’s text',
    ],
    [],
  ),
  app(
    'insufficient-vantage',
    'https://www.envoyproxy.io/docs/envoy/v1.36.0/configuration/http/http_conn_man/response_code_details',
    'Only outer hops were logged; the proxy that decided is not among them.',
    ['every line via_upstream, with sizes of Envoy’s own replies'],
    [],
  ),
  app(
    'retry-masked-failure',
    'https://github.com/istio/istio/issues/48296',
    'Attempts fail on some pod and a retry saves them.',
    ['a good line at the caller with a failing one of the same request id at a server'],
    [],
  ),
  // True of all the others too: what they add makes them the better story.
  app(
    'app-error-via-upstream',
    'https://www.envoyproxy.io/docs/envoy/v1.36.0/configuration/http/http_conn_man/response_code_details',
    'The application answered with an error of its own.',
    ['5xx via_upstream on the last inbound line, of a size that is no text of Envoy’s'],
    ['a size of Envoy’s: a proxy further down decided'],
  ),
];
