import type { Kind, Row } from '../../aggregate/row.js';
import type { Cause } from '../cause.js';
import { adminCommand, proxyOf } from '../kubectl.js';
import { fromMeshClient } from '../traits.js';
import { byFrequency, distinct, median, quantile, weigh } from '../stats.js';
import { top, type Study } from '../study.js';
import { listed, ofWords, plural, span } from '../words.js';
import { replyCause } from './reply-cause.js';

const details = (row: Kind): string => row.details ?? '';
const rbacText = (row: Kind): string =>
  /rbac_access_denied_matched_policy\[(.*)\]$/s.exec(`${row.details ?? ''}`)?.[1] ??
  /rbac_access_denied_matched_policy\[(.*)\]/s.exec(row.termination ?? '')?.[1] ??
  '';
const isRbac = (row: Kind): boolean =>
  details(row).startsWith('rbac_access_denied') || (row.termination ?? '').startsWith('rbac_access_denied');
const isBadCustomAction = (row: Kind): boolean =>
  rbacText(row).startsWith('default-deny-all-due-to-bad-CUSTOM-action');

/** `ns[x]-policy[y]-rule[n]` → `x/y`. */
const policyName = (text: string): string | null => {
  const found = /ns\[([^\]]*)\]-policy\[([^\]]*)\]/.exec(text);
  return found ? `${found[1]}/${found[2]}` : null;
};

const peers = (study: Study): readonly string[] => {
  const found = study.concentration((row) => row.peer);
  const values = found ? found.bad.map(({ value }) => value) : distinct(study.rows, (row) => row.peer);
  return values.length <= 3
    ? values.flatMap((ip) => [study.scene.podOf(ip), ip].filter((value) => value !== null))
    : [];
};

export const rbacDenied: Cause = replyCause({
  id: 'rbac-denied',
  reference:
    'https://istio.io/v1.28/docs/ops/common-problems/security-issues/#authorization-is-too-restrictive-or-permissive',
  mechanism: 'An AuthorizationPolicy denies the request: no ALLOW rule matches, or a DENY rule does.',
  signs: [
    '403 rbac_access_denied_matched_policy[…], 19 bytes, no host, by the enforcing proxy',
    'TCP: the same text as connection termination details',
  ],
  against: ['403 via_upstream on the last inbound line: the app’s own'],
  matches: (row) => isRbac(row) && !isBadCustomAction(row),
  tell(study) {
    if (study.rows.every((row) => row.method === 'OPTIONS')) return null;
    const texts = byFrequency(study.rows, rbacText);
    const policy = texts.map(([text]) => policyName(text)).find((name) => name !== null) ?? null;
    const plaintext = study.rows.filter((row) => !fromMeshClient(row)).length;
    const tcp = study.rows.every((row) => !row.http);
    return {
      title: policy
        ? `Policy ${policy} denies requests to ${study.place}`
        : `No authorization policy of ${study.place} allows these requests`,
      story:
        (policy
          ? `the rule of ${policy} denied them (${texts[0]?.[0]}). `
          : 'there are ALLOW policies on this workload and none of them matches, so the default is to deny. ') +
        (plaintext > study.rows.length / 2 && study.inbound
          ? `${ofWords(plaintext, study.rows.length)} came without mutual TLS, so that no identity could match. `
          : '') +
        (tcp ? 'The connections are closed right after they are accepted. ' : '') +
        'The proxy in front of the app decided; the app never saw them.',
      at: { clients: peers(study) },
      evidence: [
        study.fact('requests denied by the proxy of the server itself', study.rows, study.during),
        { text: 'of these from callers without a mesh identity', count: plaintext, of: study.rows.length },
      ],
      next: [
        {
          purpose: 'list the policies that apply there',
          command: `istioctl x authz check ${proxyOf(study)}`,
        },
        { purpose: 'see them', command: 'kubectl get authorizationpolicy -A -o yaml' },
      ],
      fix: [
        'Add the caller’s principal, namespace or path to an ALLOW policy, or correct the DENY rule; try it with the dry-run annotation first.',
      ],
    };
  },
});

const jwtText = (row: Kind): string => /^jwt_authn_access_denied\{(.*)\}$/s.exec(details(row))?.[1] ?? '';
const isJwt = (row: Kind): boolean => details(row).startsWith('jwt_authn_access_denied');
const isKeyProblem = (row: Kind): boolean => /^Jwks|kid|remote_fetch|Jwks_/i.test(jwtText(row));

export const jwksRotation: Cause = replyCause({
  id: 'jwks-rotation-or-fetch',
  reference: 'https://github.com/istio/istio/issues/15122',
  mechanism: 'The keys to check tokens with are unknown: the issuer rotated them, or they cannot be fetched.',
  signs: ['401 jwt_authn_access_denied{Jwks…}, often 50 bytes', 'everybody at once'],
  against: ['one client only: its own token'],
  matches: (row) => isJwt(row) && isKeyProblem(row),
  tell: (study) => {
    const clients = distinct(study.rows, (row) => row.userAgent ?? row.peer).length;
    const breadth = distinct(study.rows, (row) => row.peer).length;
    return {
      title: `${study.place} cannot check tokens: ${jwtText(study.sample).replaceAll('_', ' ')}`,
      story: `the proxy holds no key that fits the tokens, or could not fetch the keys. ${plural(Math.max(clients, breadth), 'client')} ${clients > 1 ? 'are' : 'is'} concerned; the app never saw these requests.`,
      confidence: Math.max(clients, breadth) > 1 ? 'high' : 'likely',
      why: 'the details name the keys, not the token',
      evidence: [study.fact('requests rejected for want of a key', study.rows, study.during)],
      next: [
        {
          purpose: 'see whether istiod could fetch the keys',
          command: 'kubectl -n istio-system logs deploy/istiod --since=1h | grep -i jwks',
        },
        {
          purpose: 'see which issuer and keys are configured',
          command: 'kubectl get requestauthentication -A -o yaml',
        },
      ],
      fix: [
        'Restore the way to the issuer’s JWKS (DNS, egress, TLS), or let old and new keys overlap during a rotation.',
      ],
    };
  },
});

export const jwtRejected: Cause = replyCause({
  id: 'jwt-rejected',
  reference: 'https://github.com/istio/istio/issues/22750',
  mechanism: 'The token is refused: expired, of another issuer or audience, or malformed.',
  signs: ['401 (audience: 403) jwt_authn_access_denied{reason}, no host'],
  against: ['the details name keys: the issuer’s side'],
  matches: (row) => isJwt(row) && !isKeyProblem(row),
  tell(study) {
    if (study.rows.every((row) => row.method === 'OPTIONS')) return null;
    const reasons = byFrequency(study.rows, jwtText).map(([text]) => text.replaceAll('_', ' '));
    return {
      title: `${study.place} rejects tokens: ${listed(reasons, 2)}`,
      story: `the proxy checked the token and refused it (${listed(reasons)}); the app never saw these requests. User agents: ${top(study.rows, (row) => row.userAgent, 2)}.`,
      at: { clients: [...peers(study), ...distinct(study.rows, (row) => row.userAgent).slice(0, 2)] },
      evidence: [study.fact(`requests rejected with ${listed(reasons)}`, study.rows, study.during)],
      next: [
        {
          purpose: 'compare issuer and audience with the token’s',
          command: 'kubectl get requestauthentication -A -o yaml',
        },
      ],
      fix: [
        'Let the client renew its token in time, with the issuer and audience that the RequestAuthentication names; check clocks where tokens are not valid yet.',
      ],
    };
  },
});

export const extAuthzUnavailable: Cause = replyCause({
  id: 'ext-authz-unavailable',
  reference: 'https://github.com/istio/istio/issues/40944',
  mechanism:
    'The external authorizer cannot be reached, is too slow or is misconfigured, and the filter is closed then.',
  signs: [
    '403 UAEX ext_authz_error, 0 bytes, on every path behind it',
    '403 rbac […bad-CUSTOM-action]: the provider’s name is wrong',
  ],
  against: ['ext_authz_denied: a decision, not a failure'],
  matches: (row) => details(row) === 'ext_authz_error' || (isRbac(row) && isBadCustomAction(row)),
  tell: (study) => {
    const paths = distinct(study.rows, (row) => row.pathTemplate).length;
    return {
      title: `The external authorizer in front of ${study.place} does not answer`,
      story: `the proxy asked its external authorizer, got no usable answer and denied: ${plural(paths, 'path')}, ${listed(
        distinct(study.rows, (row) => row.proxy),
        2,
      )}. Neither the app nor the users changed anything.`,
      at: { services: [study.place], pods: study.proxies },
      evidence: [study.fact('requests denied since the authorizer failed', study.rows, study.during)],
      next: [
        {
          purpose: 'find the provider’s service and port',
          command: `kubectl -n istio-system get cm istio -o jsonpath='{.data.mesh}' | grep -n -A12 extensionProviders`,
        },
        {
          purpose: 'see whether the proxy has a healthy endpoint for it',
          command: `istioctl proxy-config endpoint ${proxyOf(study)} | grep -v HEALTHY`,
        },
      ],
      fix: [
        'Bring the authorizer back (pods, network policy, its own TLS), or correct provider name and port.',
        'Decide whether it should fail open.',
      ],
    };
  },
});

export const extAuthzInvalid: Cause = replyCause({
  id: 'ext-authz-invalid-response',
  reference: 'https://github.com/envoyproxy/envoy/issues/33244',
  mechanism: 'The authorizer answers, but asks for a header or change that Envoy refuses.',
  signs: ['500 UAEX ext_authz_invalid, 0 bytes'],
  against: ['403 ext_authz_error: it did not answer'],
  matches: (row) => details(row) === 'ext_authz_invalid',
  tell: (study) => ({
    title: `The external authorizer of ${study.place} answers what Envoy refuses`,
    story: `the authorizer was reached, but its answer holds a header or change that is not allowed; ${top(study.rows, (row) => row.pathTemplate)}.`,
    at: { pods: study.proxies },
    next: [
      {
        purpose: 'count invalid answers',
        command: adminCommand(study, 'stats?filter=ext_authz'),
      },
    ],
    fix: ['Correct the headers that the authorizer adds (names, values), or its mutation rules.'],
  }),
});

export const extAuthzDenied: Cause = replyCause({
  id: 'ext-authz-denied',
  reference: 'https://istio.io/v1.28/docs/tasks/security/authorization/authz-custom/',
  mechanism: 'The external authorizer decided to deny.',
  signs: ['ext_authz_denied with the authorizer’s code and body'],
  against: ['ext_authz_error: it did not decide'],
  matches: (row) => details(row) === 'ext_authz_denied',
  tell: (study) => {
    const step = study.healthyBefore >= 20 && study.shareDuring > 0.8 && study.rows.length >= 20;
    return {
      title: step
        ? `The external authorizer denies nearly everything for ${study.place}`
        : `The external authorizer denies some requests for ${study.place}`,
      story: step
        ? 'the authorizer answers and says no; it did not before.'
        : 'the authorizer answers and says no, as it may: a decision, not a failure.',
      confidence: 'high',
      ...(step ? { severity: 'high' as const } : {}),
      next: [
        {
          purpose: 'find the authorizer, then its log by request id',
          command: `kubectl -n istio-system get cm istio -o jsonpath='{.data.mesh}' | grep -n -A12 extensionProviders`,
        },
      ],
      fix: ['Change the authorizer’s policy, if these should pass.'],
    };
  },
});

const callersOfLimit = (study: Study): readonly string[] => {
  const [heaviest] = byFrequency(study.rows, (row) => row.peer);
  return heaviest && heaviest[1] >= study.rows.length * 0.7
    ? [study.scene.podOf(heaviest[0]), heaviest[0]].filter((value) => value !== null)
    : [];
};

export const rateLimitedLocal: Cause = replyCause({
  id: 'rate-limited-local',
  reference: 'https://istio.io/v1.28/docs/tasks/policy-enforcement/rate-limit/',
  mechanism: 'The token bucket of this proxy is empty.',
  signs: ['429 RL local_rate_limited, 18 bytes, no host'],
  against: ['429 via_upstream: the app’s own limit'],
  matches: (row) => details(row) === 'local_rate_limited',
  tell: (study) => {
    const clients = callersOfLimit(study);
    return {
      title: `The local rate limit of ${study.place} is used up${clients.length > 0 ? ` by ${clients[0]}` : ''}`,
      story: `the proxy refused them itself with 429. ${clients.length > 0 ? `${listed(clients.slice(0, 1))} sent most of them; ` : ''}each proxy has a bucket of its own.`,
      at: { clients },
      next: [
        {
          purpose: 'find the limit',
          command: 'kubectl get envoyfilter -A -o yaml | grep -n -A14 local_ratelimit',
        },
      ],
      fix: ['Slow the caller down, or raise the bucket if this traffic is wanted.'],
    };
  },
});

export const rateLimitedGlobal: Cause = replyCause({
  id: 'rate-limited-global',
  reference: 'https://github.com/istio/istio/issues/34824',
  mechanism: 'The rate-limit service says no, or cannot be asked and the filter is closed then.',
  signs: ['429 RL request_rate_limited', '500 RLSE rate_limiter_error'],
  against: ['429 via_upstream: the app’s own limit'],
  matches: (row) =>
    ['request_rate_limited', 'rate_limiter_error', 'rate_limited_by_quota'].includes(details(row)) ||
    row.has('RLSE'),
  tell: (study) => {
    const errors = study.rows.filter(
      (row) => row.has('RLSE') || details(row) === 'rate_limiter_error',
    ).length;
    const broken = errors > study.rows.length / 2;
    return {
      title: broken
        ? `The rate-limit service of ${study.place} fails`
        : `The global rate limit refuses requests to ${study.place}`,
      story: broken
        ? 'the rate-limit service did not answer, and the filter refuses then.'
        : 'the rate-limit service counted too many.',
      ...(broken ? { severity: 'critical' as const } : {}),
      at: { clients: broken ? [] : callersOfLimit(study) },
      next: [
        {
          purpose: 'find the service that is asked, then its log',
          command: 'kubectl get envoyfilter -A -o yaml | grep -n -A10 rate_limit_service',
        },
      ],
      fix: [
        broken
          ? 'Bring the rate-limit service back; decide about failure_mode_deny.'
          : 'Slow the caller down, or change the descriptor’s limit.',
      ],
    };
  },
});

/** A delay filter adds the same time to each request that it picks. */
const addedDelay = (row: Row): number => row.duration - (row.serviceTime ?? row.duration);

export const faultInjected: Cause = replyCause({
  id: 'fault-injected',
  reference: 'https://istio.io/v1.28/docs/tasks/traffic-management/fault-injection/',
  mechanism: 'A VirtualService still injects a fault: it aborts or delays a share of the requests.',
  signs: ['FI fault_filter_abort, 18 bytes, no host', 'DI with duration minus service time at one value'],
  against: [],
  matches: (row) => row.has('FI') || details(row) === 'fault_filter_abort' || row.has('DI'),
  tell: (study) => {
    const delayed = study.population.filter((row) => row.has('DI'));
    const delay = median(delayed.map(addedDelay));
    return {
      title: `A fault is injected into calls to ${study.place}`,
      story: `the caller’s own proxy aborted them with ${study.sample.code} on purpose (${ofWords(weigh(study.rows), weigh(study.during))} in that time)${delay !== null && delay > 0 ? `, and delayed ${delayed.length} others by about ${span(delay)}` : ''}. Server and network are fine.`,
      evidence: [
        study.fact(
          'requests aborted by the fault filter',
          study.rows.filter((row) => row.has('FI')),
          study.during,
        ),
        ...(delayed.length > 0 ? [study.fact('requests delayed by it', delayed, study.population)] : []),
      ],
      next: [
        { purpose: 'find it', command: 'kubectl get virtualservice -A -o yaml | grep -n -B20 -A8 "fault:"' },
      ],
      fix: ['Remove the fault block from that VirtualService.'],
    };
  },
});

export const upstreamOverflow: Cause = replyCause({
  id: 'upstream-overflow',
  reference: 'https://istio.io/v1.28/docs/tasks/traffic-management/circuit-breaking/',
  mechanism:
    'A circuit-breaker limit (connections, pending or active requests, retries) is reached, and more is refused at once.',
  signs: ['503 UO {overflow}, 81 bytes, duration about 0', 'only under concurrency; successes interleave'],
  against: ['429 RL: a rate limit'],
  matches: (row) => row.has('UO'),
  tell: (study) => {
    const served = (rows: readonly Row[]): number[] =>
      rows.filter((row) => row.answeredBy === 'peer' && !row.failure).map((row) => row.duration);
    const before = quantile(served(study.before), 0.5);
    const during = quantile(served(study.during), 0.5);
    const slower = before !== null && during !== null && during > 2 * before && during - before > 30;
    return {
      title: `The circuit breaker of ${study.place} is open${slower ? `, since it answers slower` : ''}`,
      story:
        `${listed(study.proxies, 2)} refused them at once, since a limit of its connection pool was reached. ` +
        (slower
          ? `The service had become slower: a median of ${span(during)} instead of ${span(before)}, which fills the limit. `
          : '') +
        'Istio sets no such limit by itself.',
      at: { clients: study.inbound ? [] : study.proxies.slice(0, 3) },
      evidence: [
        study.fact('requests refused by the limit', study.rows, study.during),
        ...(slower
          ? [
              {
                text: `served requests in that time slower than the median of before (${span(before)})`,
                count: served(study.during).filter((ms) => ms > before).length,
                of: served(study.during).length,
              },
            ]
          : []),
      ],
      next: [
        {
          purpose: 'find the limit',
          command: 'kubectl get destinationrule -A -o yaml | grep -n -B14 -A14 connectionPool',
        },
      ],
      fix: [
        slower
          ? 'Make the service fast again, or scale it out; the limit only protects it.'
          : 'Raise the limit, or scale the service out.',
      ],
    };
  },
});

export const dropOverload: Cause = replyCause({
  id: 'drop-overload-configured',
  reference: 'https://github.com/envoyproxy/envoy/issues/30827',
  mechanism: 'The control plane orders a share of the requests, or all, to be dropped.',
  signs: [
    '503 DO drop_overload, 13 bytes, a fixed share',
    '503 UDO unconditional_drop_overload, 27 bytes, all',
  ],
  against: ['UO: a limit, under load only'],
  matches: (row) => row.has('DO') || row.has('UDO'),
  tell: (study) => ({
    title: `The control plane lets requests to ${study.place} be dropped`,
    story: 'the endpoint assignment orders it (drop_overloads); no load on this proxy explains it.',
    ...(study.sample.has('UDO') ? { severity: 'critical' as const } : {}),
    next: [
      {
        purpose: 'see the order',
        command: `${adminCommand(study, 'config_dump?include_eds')} | grep -n -A6 drop_overload`,
      },
    ],
    fix: ['Lift the drop in the control plane; bring the backends back.'],
  }),
});

export const POLICY_CAUSES: readonly Cause[] = [
  rbacDenied,
  jwksRotation,
  jwtRejected,
  extAuthzUnavailable,
  extAuthzInvalid,
  extAuthzDenied,
  rateLimitedLocal,
  rateLimitedGlobal,
  faultInjected,
  upstreamOverflow,
  dropOverload,
];
