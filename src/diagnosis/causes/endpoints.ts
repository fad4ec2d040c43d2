import type { Case } from '../../aggregate/joins.js';
import type { Kind, Row } from '../../aggregate/row.js';
import { causesNamedIn, type Cause } from '../cause.js';
import type { Hypothesis } from '../hypothesis.js';
import { logsCommand, namespaceFlag, namespaceOf, proxyName } from '../kubectl.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { byFrequency, distinct, groupBy, least, weigh } from '../stats.js';
import { claim, Study } from '../study.js';
import { isExternal } from '../traits.js';
import { clock, listed, ofWords, percent, plural, shellWord } from '../words.js';

/**
 * A waypoint's `inbound-vip|port|http|host` has its protocol where others have a subset, and is a story of its own, as is
 * what a gateway between networks (`outbound_.…`) lacks.
 */
const isNoHost = (row: Kind): boolean =>
  (row.has('UH') &&
    row.cluster?.name !== 'BlackHoleCluster' &&
    row.cluster?.kind !== 'inbound-vip' &&
    row.cluster?.kind !== 'sni') ||
  (row.has('DF') && row.http);

/** Failures of the hosts themselves, before nobody was left: what makes a proxy eject them. */
const isHostFailure = (row: Row): boolean =>
  row.direction === 'outbound' &&
  row.failure &&
  row.upstreamHost !== null &&
  (row.code === null || row.code >= 500 || row.code === 0) &&
  !row.has('DC');

const CONSECUTIVE = 3;
/** For so long a host is ejected at first, by default (https://istio.io/v1.28/docs/reference/config/networking/destination-rule/#OutlierDetection). */
const EJECTED_MS = 30_000;

/** One story for each service whose callers find nobody to send to. */
const nobodyThere = perScene((scene: Scene): Hypothesis[] => {
  const cases = scene.casesOf(isNoHost);
  return [
    ...groupBy(
      cases,
      ({ decider }) => `${scene.placeOf(decider)}\n${decider.cluster?.subset ?? ''}`,
    ).values(),
  ].flatMap((group) => {
    const study = new Study(scene, group);
    if (isExternal(study.sample) || study.sample.has('DF')) return [unresolved(study)];
    return [ejected(scene, study) ?? subset(study) ?? none(scene, study)];
  });
});

function ejected(scene: Scene, study: Study): Hypothesis | null {
  const lines = scene.callersLines(study.place);
  const byCaller = groupBy(study.rows, (row) => row.proxy);
  let callersWith = 0;
  let back = 0;
  for (const [proxy, rows] of byCaller) {
    const firstMiss = least(rows.map((row) => row.start));
    const own = lines.filter((row) => row.proxy === proxy);
    const before = own.filter(
      (row) => row.upstreamHost !== null && row.start < firstMiss && row.start > firstMiss - 60_000,
    );
    const failed = before.filter(isHostFailure);
    if (failed.length < CONSECUTIVE) continue;
    // The last thing that each host did was to fail.
    const lastOnes = distinct(before, (row) => row.upstreamHost).map((host) =>
      before.findLast((row) => row.upstreamHost === host)!,
    );
    if (lastOnes.filter((row) => row.failure).length * 2 < lastOnes.length) continue;
    callersWith++;
    const hosts = new Set(before.map((row) => row.upstreamHost));
    if (own.some((row) => row.start > firstMiss && row.upstreamHost !== null && hosts.has(row.upstreamHost)))
      back++;
  }
  if (callersWith === 0) return null;
  const first = study.first;
  const last = study.last;
  const misses = new Set(study.cases);
  const failures: { readonly one: Case; readonly failedAt: Row }[] = [];
  for (const one of scene.cases) {
    const failedAt = misses.has(one) ? undefined : one.rows.find(isHostFailure);
    if (failedAt && scene.placeOf(failedAt) === study.place && failedAt.start > first - 60_000)
      failures.push({ one, failedAt });
  }
  const before = failures.filter(({ failedAt }) => failedAt.start <= last);
  // Hosts come back after a while, and may go on failing as they did.
  const alike = new Set(before.map(({ failedAt }) => failedAt.groupKey));
  const after = failures.filter(
    ({ failedAt }) =>
      failedAt.start > last && failedAt.start <= last + EJECTED_MS && alike.has(failedAt.groupKey),
  );
  const trigger = [...before, ...after].map(({ one }) => one);
  const all = new Study(scene, [...trigger, ...study.cases], scene.linesOf(study.sample));
  const codes = byFrequency(
    trigger,
    ({ decider }) => `${decider.code}${decider.flags.length > 0 ? ` ${decider.flags.join(',')}` : ''}`,
  ).map(([text]) => text);
  const deciders = trigger.map(({ decider }) => decider);
  const byApp = deciders.filter((row) => row.answeredBy === 'peer').length;
  const hosts = distinct(deciders, (row) => row.upstreamIp);
  const start = least(deciders.map((row) => row.start));
  const pod = hosts.map((ip) => scene.podOf(ip)).find((name) => name !== null) ?? null;
  return claim(all, {
    cause: 'outlier-all-ejected',
    title: `${study.place} failed, its callers ejected every host and made 503 of the rest`,
    story:
      `first its hosts failed (${listed(codes)}: ${plural(weigh(trigger), 'request')} from ${clock(start)} on), then ${listed(distinct(study.rows, (row) => row.proxy))} had nobody left to send to and answered ${plural(weigh(study.rows), 'request')} with UH. ` +
      (back > 0 ? `The same addresses serve again afterwards, so they were ejected, not gone. ` : '') +
      `The failure beneath is the one to mend; ejecting all hosts made it worse.`,
    at: { services: [study.place], upstreamClusters: study.clusters, endpoints: hosts, clients: [] },
    verdict: byApp * 2 >= deciders.length ? 'app' : 'mesh',
    cases: [...trigger, ...study.cases],
    evidence: [
      {
        text: `failures that the hosts gave before or between (${listed(codes)})`,
        count: weigh(trigger),
        of: weigh(trigger) + weigh(study.rows),
      },
      study.fact('requests without a healthy host, made so by the callers', study.rows, [
        ...trigger.map(({ decider }) => decider),
        ...study.rows,
      ]),
      { text: 'callers whose hosts had failed right before', count: callersWith, of: byCaller.size },
      { text: 'callers that reached the same addresses again later', count: back, of: callersWith },
    ],
    confidence: back > 0 && callersWith === byCaller.size ? 'high' : 'likely',
    why:
      'failures of the very hosts come first, for each caller on its own clock' +
      (back > 0 ? ', and the hosts come back' : ''),
    next: [
      {
        purpose: 'find the limits that ejected them',
        command: 'kubectl get destinationrule -A -o yaml | grep -n -B12 -A8 outlierDetection',
      },
      ...(pod
        ? [{ purpose: 'read why the app failed', command: logsCommand(namespaceOf(study.place), pod, start) }]
        : []),
    ],
    fix: [
      'What made the hosts fail.',
      'maxEjectionPercent below 100, so that some stay; consecutiveGatewayErrors instead of all 5xx.',
    ],
  });
}

function subset(study: Study): Hypothesis | null {
  const name = study.sample.cluster?.subset;
  if (!name) return null;
  const others = study.population.filter(
    (row) => row.cluster?.subset !== name && row.start >= study.first && row.start <= study.last,
  );
  const good = others.filter((row) => !row.failure).length;
  const healthy = study.population.filter(
    (row) => row.cluster?.subset === name && !row.failure && row.upstreamHost !== null,
  );
  return claim(study, {
    cause: 'subset-selects-no-pods',
    title: `Subset ${name} of ${study.place} selects no pod`,
    story: `the cluster of the subset exists and has no host; ${others.length > 0 ? `the service’s other clusters serve (${ofWords(good, others.length)}). ` : ''}${healthy.length > 0 ? `The subset itself served ${weigh(healthy)} requests at other times.` : 'It never served in these logs.'}`,
    evidence: [
      study.fact(`requests to subset ${name} that found no host`, study.rows, [...study.rows, ...healthy]),
      {
        text: 'requests to other clusters of the service in that time that went well',
        count: good,
        of: others.length,
      },
    ],
    confidence: good > 0 ? 'high' : 'likely',
    why:
      good > 0
        ? 'only the subset is empty, the service is not'
        : 'no other cluster of the service is there to compare',
    next: [
      {
        purpose: 'compare the subset’s labels with those of the pods (IST0173)',
        command: `kubectl ${namespaceFlag(study.place, '-A ')}get pods --show-labels`,
      },
      {
        purpose: 'find the subset',
        command: `kubectl get destinationrule -A -o yaml | grep -n -A8 'name: ${name.replaceAll(/[^\w.-]/g, '')}'`,
      },
    ],
    fix: ['Align the labels; move the weight away before a version is deleted.'],
  });
}

function none(scene: Scene, study: Study): Hypothesis {
  const callers = distinct(study.rows, (row) => row.proxy);
  const during = study.during.filter((row) => row.direction === 'outbound');
  const probes = scene.casesOf((kind) => !kind.http && kind.has('NR')).length;
  const step = study.healthyBefore > 0;
  return claim(study, {
    cause: 'no-endpoints',
    title: `${study.place} has no ready endpoint`,
    story:
      `${listed(callers)} ${callers.length === 1 ? 'knows' : 'know'} the service and ${callers.length === 1 ? 'has' : 'have'} no host for it: 503 UH at once, no address tried (${percent(weigh(study.rows), weigh(during))} of requests in that time). ` +
      (step
        ? `Until ${clock(study.first)} it served, and no failure of a host came before: the endpoints were taken away (scaled down, not ready, selector). `
        : 'It never served in these logs. ') +
      (study.isOver ? `From ${clock(study.last)} on it serves again.` : ''),
    at: { clients: [] },
    evidence: [
      study.fact('requests in that time that found no host', study.rows, during),
      {
        text: 'callers that are concerned',
        count: callers.length,
        of: distinct(
          scene
            .callersLines(study.place)
            .filter((row) => row.start >= study.first && row.start <= study.last),
          (row) => row.proxy,
        ).length,
      },
    ],
    confidence: study.shareDuring > 0.9 && study.rows.length >= 3 ? 'high' : 'likely',
    why:
      study.shareDuring > 0.9
        ? 'every request of every caller, at once, with no host tried'
        : 'some requests find a host in between',
    next: [
      {
        purpose: 'see its endpoints',
        command: `kubectl ${namespaceFlag(study.place, '-A ')}get endpointslices -l kubernetes.io/service-name=${shellWord(study.place.split('.')[0] ?? study.place)}`,
      },
      {
        purpose: 'see replicas and readiness',
        command: `kubectl ${namespaceFlag(study.place, '-A ')}get deploy,pods`,
      },
    ],
    fix: [
      'Restore replicas or readiness; correct the Service’s selector or targetPort.',
      ...(probes > 0 ? ['Look at refused probes on its pods.'] : []),
    ],
  });
}

function unresolved(study: Study): Hypothesis {
  const brief = study.spanMs < 10_000 && study.after.some((row) => !row.failure);
  return claim(study, {
    cause: 'dns-cluster-unresolved',
    title: `The proxy cannot resolve ${study.sample.cluster?.host ?? study.place}`,
    story: `the external host is registered (a ServiceEntry), but its cluster has no address: the proxy’s own DNS look-up fails or is empty.${brief ? ' It was over after seconds.' : ''}`,
    at: { services: [study.sample.cluster?.host ?? study.place], clients: study.proxies.slice(0, 2) },
    evidence: [study.fact('requests to it that found no address', study.rows, study.during)],
    confidence: 'high',
    why: 'a named external cluster without a single host',
    next: [
      {
        purpose: 'see its endpoints',
        command: `istioctl proxy-config endpoint ${proxyName(null, study.proxies[0]!)} --cluster ${shellWord(study.clusters[0] ?? '')}`,
      },
      {
        purpose: 'look for two entries of one host',
        command: `kubectl get serviceentry -A -o yaml | grep -n -A6 ${shellWord(study.place)}`,
      },
    ],
    fix: ['Correct the name; merge entries that contradict each other; look at the cluster’s DNS.'],
  });
}

const endpointCause = causesNamedIn((scene) => nobodyThere(scene));

export const ENDPOINT_CAUSES: readonly Cause[] = [
  endpointCause(
    'no-endpoints',
    'https://github.com/istio/istio/issues/29254',
    'The Service has no ready endpoint.',
    ['503 UH, cluster named, no host, 19 bytes, 0 ms, every caller, in one step'],
    ['failures of its hosts right before: they were ejected', 'only a subset is empty'],
  ),
  endpointCause(
    'outlier-all-ejected',
    'https://github.com/istio/istio/issues/13682',
    'Outlier detection ejected every host after it failed several times in a row.',
    [
      'real failures of the hosts, then UH for about the ejection time, then the same hosts again',
      'each caller on its own clock',
    ],
    ['no failure before: the endpoints are gone'],
  ),
  endpointCause(
    'subset-selects-no-pods',
    'https://github.com/istio/istio/issues/54023',
    'The labels of a DestinationRule’s subset match no pod.',
    ['503 UH on outbound|port|subset|host only'],
    ['NC: the subset is not defined'],
  ),
  endpointCause(
    'dns-cluster-unresolved',
    'https://github.com/istio/istio/issues/48692',
    'Envoy cannot resolve the host of a ServiceEntry.',
    ['503 UH on an external cluster without host; DF with the dynamic forward proxy'],
    [],
  ),
];
