import type { Kind } from '../../aggregate/row.js';
import type { Cause } from '../cause.js';
import type { Hypothesis } from '../hypothesis.js';
import { namespaceFlag, proxyOf } from '../kubectl.js';
import type { Scene } from '../scene.js';
import { byFrequency, distinct, groupBy, weigh } from '../stats.js';
import { claim, Study, top } from '../study.js';
import { bareAuthority, isExternal } from '../traits.js';
import { clock, listed, ofWords, shellWord, span } from '../words.js';
import { replyCause } from './reply-cause.js';
import { hiddenServices } from './plaintext.js';
import { isRouteMiss, isScannerRequest } from './route-misses.js';

const details = (row: Kind): string => row.details ?? '';

/** A flag that configuration under way leaves for seconds, and that stays where the configuration is wrong. */
const isNoCluster = (row: Kind): boolean => row.has('NC');
const byAuthority = (row: Kind): string => bareAuthority(row.authority ?? row.downstreamLocal ?? row.proxy);

/** A push is over within this; what lasts longer must show that what was missing has come. */
const USUAL_PUSH_MS = 6_000;
const LONGEST_PUSH_MS = 30_000;

function isBriefStep(study: Study): boolean {
  const healthyAfter = study.after.filter((row) => !row.failure).length;
  if (healthyAfter < 10 || study.before.filter((row) => !row.failure).length < 5) return false;
  return study.spanMs < USUAL_PUSH_MS || (study.spanMs < LONGEST_PUSH_MS && newClusterServes(study));
}

/** A cluster that nobody used before serves after the last failure: the missing piece. */
function newClusterServes(study: Study): boolean {
  const old = new Set(
    study.population.filter((row) => row.start <= study.last).map((row) => row.cluster?.name),
  );
  return study.after.some(
    (row) =>
      !row.failure && row.cluster !== null && row.direction !== 'inbound' && !old.has(row.cluster.name),
  );
}

/** The same route works after the last failure, so what was missing has come. */
function routeWorksLater(study: Study): boolean {
  const routes = new Set(
    study.rows.map((row) => row.route).filter((route) => route !== null && route !== 'default'),
  );
  if (routes.size === 0) return true;
  return (
    study.after.some((row) => !row.failure && routes.has(row.route)) ||
    !study.after.some((row) => routes.has(row.route) && row.failure)
  );
}

export const configPushRace: Cause = {
  id: 'config-push-race',
  reference:
    'https://istio.io/v1.28/docs/ops/common-problems/network-issues/#503-errors-after-setting-destination-rule',
  mechanism:
    'Configuration changed, and for seconds proxies hold pieces that do not fit: a route before its cluster, a cluster before its endpoints.',
  signs: [
    '503 NC, 503 UH or 404 NR for seconds, then all is well without action',
    'several proxies, each at its own moment',
  ],
  against: ['it lasts: then something is missing for good'],
  judge(scene: Scene): Hypothesis[] {
    const cases = scene
      .casesOf((kind) => isNoCluster(kind) || isRouteMiss(kind) || kind.has('UH') || kind.has('NFCF'))
      .filter(
        ({ decider }) =>
          isNoCluster(decider) ||
          (isRouteMiss(decider) && !isScannerRequest(decider)) ||
          (decider.has('UH') && !isExternal(decider) && decider.cluster?.name !== 'BlackHoleCluster') ||
          decider.has('NFCF'),
      );
    return [
      ...groupBy(cases, ({ decider }) => `${scene.placeOf(decider)}\n${decider.flagSet}`).values(),
    ].flatMap((group) => {
      const study = new Study(scene, group);
      if (!isBriefStep(study) || !routeWorksLater(study)) return [];
      // Endpoints that come and go, or hosts that were ejected, are a story of their own.
      const endpoints = study.sample.has('UH');
      if (endpoints && (study.spanMs > 5_000 || study.healthyBefore > 0)) return [];
      const shape = study.sample.flags.join(',');
      const subset = study.after.find((row) => !row.failure && row.cluster?.subset);
      const confidence = study.rows.length >= 3 ? 'high' : 'likely';
      return [
        claim(study, {
          cause: 'config-push-race',
          title: `${study.place}: configuration arrived in pieces for ${span(study.spanMs)}`,
          story:
            `${listed(study.proxies, 2)} answered with ${shape} (${study.sample.detailsClass ?? 'no details'}) for ${span(study.spanMs)} and then never again, without anybody’s doing: ` +
            `a route had come before what it names${subset ? ` (${subset.cluster!.name} serves since ${clock(subset.start)})` : ''}.`,
          evidence: [
            study.fact(
              `requests in these ${span(study.spanMs)} that ended with ${shape}`,
              study.rows,
              study.during,
            ),
          ],
          confidence,
          why: 'a bounded window of seconds, with healthy traffic before and after',
          next: [
            {
              purpose: 'see what was applied about then',
              command: `kubectl get virtualservice,destinationrule,httproute -A --sort-by=.metadata.creationTimestamp -o wide | tail -n 20`,
            },
          ],
          fix: [
            'Make before break: apply the DestinationRule (or Service) first and the route second; remove them in the reverse order.',
          ],
        }),
      ];
    });
  },
};

export const subsetUndefined: Cause = replyCause({
  id: 'subset-undefined-cluster-not-found',
  reference: 'https://github.com/istio/istio/issues/6335',
  mechanism:
    'A route names a cluster that the proxy does not have: a subset that no DestinationRule defines, a host or port that is not in the registry.',
  signs: ['503 NC cluster_not_found, 0 bytes, no cluster, often with a route name'],
  against: [
    'seconds only: configuration under way',
    'UH with the cluster named: the subset exists and selects nothing',
  ],
  matches: (row) => isNoCluster(row) && row.code !== 500,
  keyOf: byAuthority,
  tell(study) {
    const brief = isBriefStep(study) && routeWorksLater(study);
    const routes = byFrequency(study.rows, (row) => row.route).map(([route]) => route);
    const share = study.shareDuring;
    return {
      title: `A route of ${study.place} leads to a destination that does not exist`,
      story:
        `${listed(study.proxies, 2)} matched a route${routes[0] ? ` (${routes[0]})` : ''} whose cluster it does not know and answered 503 with NC itself. ` +
        (share < 0.9
          ? `${ofWords(weigh(study.rows), weigh(study.during))} requests took that route, as with a weight; the others were served. `
          : '') +
        'A subset without a DestinationRule, or a wrong host or port in the route, looks so.',
      confidence: brief ? 'possible' : 'high',
      why: brief
        ? 'it was over within seconds, as while configuration is pushed'
        : 'the proxy names the missing cluster as the reason, and it lasts',
      next: [
        {
          purpose: 'find the destination that does not exist (IST0101)',
          command: `istioctl analyze ${namespaceFlag(study.place, '-A')}`,
        },
        {
          purpose: 'see the clusters that the proxy has',
          command: `istioctl proxy-config cluster ${proxyOf(study)} | grep ${shellWord(study.place.split('.')[0] ?? study.place)}`,
        },
      ],
      fix: [
        'Define the subset in a DestinationRule that this client can see, or correct host and port in the route.',
      ],
    };
  },
});

/** Gateway API routes are named after namespace, route and rule, or after the route itself in Envoy Gateway. */
const isGatewayApiRoute = (row: Kind): boolean =>
  (row.route ?? '').startsWith('httproute/') || /^[a-z0-9-]+\.[a-z0-9-]+\.\d+$/.test(row.route ?? '');

export const gatewayApiBackend: Cause = replyCause({
  id: 'gateway-api-backend-invalid',
  reference: 'https://github.com/istio/istio/issues/39919',
  mechanism:
    'A rule of an HTTPRoute has no usable backend: none, all of weight 0, an unknown Service, or a reference that no ReferenceGrant allows.',
  signs: [
    '500 direct_response or 500 NC, 0 bytes, 0 ms, no cluster',
    'the route name is that of a Gateway API rule',
  ],
  against: ['500 via_upstream: the app', 'a direct response that somebody configured'],
  matches: (row) => row.code === 500 && (isNoCluster(row) || details(row) === 'direct_response'),
  keyOf: byAuthority,
  tell(study) {
    const named = study.rows.filter(isGatewayApiRoute).length;
    const routes = distinct(study.rows, (row) => row.route);
    const [namespace, name] = (routes[0] ?? '').replace(/^httproute\//, '').split(/[./]/);
    return {
      title: `Route ${routes[0] ?? '-'} for ${study.place} has no valid backend`,
      story: `the gateway answers 500 itself, as the Gateway API demands for a rule without a usable backend (${ofWords(weigh(study.rows), weigh(study.during))} in that time).`,
      at: { services: [study.place], pods: study.proxies },
      confidence: named === study.rows.length || isNoCluster(study.sample) ? 'high' : 'likely',
      why:
        named > 0
          ? 'the route belongs to the Gateway API and the reply is the one it demands'
          : 'a configured direct response of 500 would look the same',
      next: [
        {
          purpose: 'read ResolvedRefs in its status',
          command:
            namespace && name
              ? `kubectl -n ${shellWord(namespace)} get httproute ${shellWord(name)} -o yaml`
              : 'kubectl get httproute -A -o yaml',
        },
      ],
      fix: ['Correct backendRefs, or add the ReferenceGrant; remove a rule that has no backend on purpose.'],
    };
  },
});

export const filterConfigMissing: Cause = replyCause({
  id: 'filter-config-missing',
  reference: 'https://github.com/istio/istio/issues/41205',
  mechanism:
    'The configuration of a filter (a Wasm plugin, an EnvoyFilter extension) has not arrived when it was due.',
  signs: ['500 NFCF, empty details, 0 bytes, no host, every request through that filter chain'],
  against: ['other 500s carry details'],
  matches: (row) => row.has('NFCF'),
  tell: (study) => {
    const brief = isBriefStep(study);
    return {
      title: `The configuration of a filter on ${study.place} never arrived`,
      story: `the proxy refuses every request with 500 NFCF, since a filter in its chain (Wasm plugin, EnvoyFilter) has no configuration; ${listed(study.proxies, 2)}.`,
      at: { pods: study.proxies },
      confidence: brief ? 'possible' : 'high',
      why: brief
        ? 'it was over within seconds, as while a plugin is being fetched or pushed'
        : 'the proxy that made the reply names the reason itself, and it lasts',
      next: [
        {
          purpose: 'see which extension configuration is missing',
          command: `istioctl proxy-config ecds ${proxyOf(study)}`,
        },
        { purpose: 'find the plugin', command: 'kubectl get wasmplugin,envoyfilter -A' },
      ],
      fix: ['Make its image reachable, let it fail open, or remove the plugin.'],
    };
  },
});

export const registryOnly: Cause = replyCause({
  id: 'egress-registry-only-blocked',
  reference: 'https://istio.io/v1.28/docs/tasks/traffic-management/egress/egress-control/',
  mechanism: 'The mesh lets out only what is registered (REGISTRY_ONLY), and this destination is not.',
  signs: [
    '502 direct_response on route block_all, 0 bytes, no cluster',
    'TCP and TLS: 0 UH on BlackHoleCluster',
  ],
  against: ['a destination inside the cluster: then a Sidecar or exportTo hides it'],
  matches: isBlocked,
  keyOf: (row) => row.proxy,
  tell(study) {
    const names = distinct(study.rows, destinationName);
    if (names.length > 0 && names.every(isClusterHost)) return null;
    return {
      title: `${listed(names, 2) || 'An external destination'} is not registered, and the mesh blocks what is not`,
      story: `the sidecar of ${listed(study.proxies, 2)} refused them before anything left the pod: ${listed(names, 4)}. The destination itself was never asked.`,
      at: {
        services: names,
        clients: study.proxies,
        endpoints: distinct(study.rows, (row) => (row.http ? null : row.downstreamLocal))
          .map((address) => address.replace(/:\d+$/, ''))
          .slice(0, 4),
      },
      evidence: [
        study.fact(
          'requests and connections that were refused for want of a registered destination',
          study.rows,
          study.rows,
        ),
      ],
      next: [{ purpose: 'see what is registered', command: 'kubectl get serviceentry -A' }],
      fix: [`Add a ServiceEntry for ${listed(names, 3)} with the right ports.`],
    };
  },
});

function isBlocked(row: Kind): boolean {
  return (
    (details(row) === 'direct_response' && row.route === 'block_all') ||
    (row.cluster?.name === 'BlackHoleCluster' && row.failure)
  );
}

const destinationName = (row: Kind): string | null =>
  row.authority
    ? bareAuthority(row.authority)
    : (row.serverName ?? row.downstreamLocal?.replace(/:\d+$/, '') ?? null);

/** A name that only a cluster's own DNS knows: a short one, or one under `svc`. */
const isClusterHost = (name: string): boolean =>
  /\.svc(?:\.|$)/.test(name) || /^[a-z0-9-]+(?:\.[a-z0-9-]+)?$/.test(name);

const blockedScope = replyCause({
  id: 'sidecar-egress-scope',
  reference: 'https://github.com/istio/istio/issues/12237',
  mechanism: 'A Sidecar resource, or exportTo, hides a destination inside the cluster from this workload.',
  signs: [
    '502 direct_response on block_all for a host of the cluster',
    'with ALLOW_ANY: PassthroughCluster, then plaintext to a STRICT server',
  ],
  against: ['an external host: no ServiceEntry'],
  matches: isBlocked,
  keyOf: (row) => row.proxy,
  tell(study) {
    const names = distinct(study.rows, destinationName);
    if (names.length === 0 || !names.every(isClusterHost)) return null;
    const known = study.scene.rowsOf(({ cluster }) => {
      const service = cluster?.service;
      return !!service && names.some((name) => service.startsWith(name) || name.startsWith(service));
    });
    return {
      title: `${listed(names, 2)} is hidden from ${listed(study.proxies, 2)}`,
      story: `the sidecar does not know a destination that is inside the cluster, so its egress scope leaves it out. ${known.length > 0 ? `${known.length} lines of other proxies reach it.` : ''}`,
      at: { services: names, clients: study.proxies },
      confidence: known.length > 0 ? 'high' : 'likely',
      why: 'the name is one of the cluster’s own',
      next: [{ purpose: 'see the scope', command: 'kubectl get sidecar -A -o yaml' }],
      fix: ['Add the namespace to the egress hosts of that Sidecar, or widen exportTo.'],
    };
  },
});

export const sidecarScope: Cause = {
  ...blockedScope,
  judge: (scene) => [...blockedScope.judge(scene), ...hiddenServices(scene)],
};

export const corsPreflight: Cause = {
  id: 'cors-preflight-rejected',
  reference: 'https://github.com/istio/istio/issues/45716',
  mechanism:
    'A browser asks with OPTIONS before the real request, without credentials; a policy or a missing route refuses that.',
  signs: [
    'OPTIONS lines with 401, 403 or 404, by a policy, a missing route or the app',
    'other methods of the same path succeed',
  ],
  against: ['other methods fail as well'],
  judge(scene: Scene): Hypothesis[] {
    const denied = scene
      .casesOf((kind) => kind.method === 'OPTIONS' && [401, 403, 404, 405].includes(kind.code ?? 0))
      .filter(({ decider }) => !isScannerRequest(decider));
    return [...groupBy(denied, ({ decider }) => bareAuthority(decider.authority ?? ''))].flatMap(
      ([authority, cases]) => {
        const study = new Study(scene, cases);
        const others = study.population.filter(
          (row) => row.method !== 'OPTIONS' && row.start >= study.first && row.start <= study.last,
        );
        const othersDenied = others.filter(
          (row) => row.failure && row.detailsClass === study.sample.detailsClass,
        );
        if (cases.length < 3 || othersDenied.length > others.length * 0.1) return [];
        return [
          claim(study, {
            cause: 'cors-preflight-rejected',
            title: `Browsers’ preflight requests to ${authority} are refused`,
            story: `only OPTIONS is refused, with ${study.sample.code} (${study.sample.detailsClass ?? 'no details'}), on ${top(study.rows, (row) => row.pathTemplate)}; a browser then never sends the real request.`,
            evidence: [
              study.fact(
                'OPTIONS requests refused',
                study.rows,
                study.during.filter((row) => row.method === 'OPTIONS'),
              ),
              { text: 'requests of other methods refused so', count: weigh(othersDenied), of: weigh(others) },
            ],
            confidence: 'high',
            why: 'the method is what sets the refused ones apart',
            next: [
              {
                purpose: 'ask as a browser does',
                command: `curl -i -X OPTIONS -H 'Origin: https://example.org' -H 'Access-Control-Request-Method: GET' ${shellWord(`https://${authority}${study.sample.path ?? '/'}`)}`,
              },
            ],
            fix: ['Set corsPolicy on the route that matches, and allow OPTIONS in the authorization policy.'],
          }),
        ];
      },
    );
  },
};

export const CONFIGURATION_CAUSES: readonly Cause[] = [
  configPushRace,
  subsetUndefined,
  gatewayApiBackend,
  filterConfigMissing,
  registryOnly,
  sidecarScope,
  corsPreflight,
];
