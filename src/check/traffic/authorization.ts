import type { Finding } from '../../diagnosis/finding.js';
import { listed } from '../../diagnosis/words.js';
import { callsTo, type Call } from '../calls.js';
import { found, named, type Check, type Examined } from '../check.js';
import type { AuthorizationPolicy, AuthorizationRule, Operation, Source } from '../istio-objects.js';
import type { Pod, Service, ServicePort } from '../kube-objects.js';
import { meshConfigFor, meshConfigs, rootNamespaces } from '../mesh-config.js';
import { selects, selectorText } from '../meta.js';
import { serverMtls } from '../mutual-tls.js';
import { clusterDomain } from '../registry.js';
import {
  declaredProtocol,
  podsOf,
  protocolFamily,
  serviceName,
  servicesOf,
  targetPortIn,
} from '../services.js';
import { ofCall, ofPods } from '../subjects.js';
import { hasProxy, isAmbient, podsSelected } from '../workloads.js';
import { perWorld, type World } from '../world.js';

export const authorization: Check = {
  id: 'authorization',
  phase: 'traffic',
  claim: 'policies select something, mean what they say, and let known callers in',
  subjects: ['AuthorizationPolicy'],
  needs: ['Pod', 'Service', 'PeerAuthentication', 'ConfigMap'],
  decides: [
    'rbac-denied',
    'rbac-http-rules-on-tcp',
    'ext-authz-unavailable',
    'ext-authz-denied',
    'ztunnel-authz-denied',
  ],
  see: 'istioctl x authz check POD.NAMESPACE',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    for (const policy of world.list('AuthorizationPolicy')) {
      if (policy.targetRefs.length === 0) findings.push(...ofPolicy(world, policy));
    }
    const broken = new Set(findings.map(({ object }) => `${object?.namespace}/${object?.name}`));
    for (const service of world.list('Service')) {
      const pod = podsOf(world, service).find(hasProxy);
      if (!pod) continue;
      const policies = policiesFor(world, pod);
      const host = `${service.name}.${service.namespace}.svc.${clusterDomain(world)}`;
      const denied = callsTo(world, host).flatMap((call) => deniedCall(world, service, pod, policies, call));
      // A policy that is broken in itself has been told of.
      findings.push(...denied.filter(({ object }) => !broken.has(`${object?.namespace}/${object?.name}`)));
      const enforced = [...policies, ...attachedOnTheWay(world, service)].filter(({ dryRun }) => !dryRun);
      examined.push({
        about: { services: [serviceName(service)] },
        said: `${serviceName(service)}: ${enforced.length === 0 ? 'no policy' : listed(enforced.map(({ ref }) => named(ref)))}`,
        ...(enforced.length === 0 && {
          excludes: ['rbac-denied', 'rbac-http-rules-on-tcp', 'ext-authz-denied'],
        }),
      });
    }
    return { findings, examined };
  },
};

const inNamespace = perWorld((world) => {
  const known = new Map<string, AuthorizationPolicy[]>();
  for (const policy of world.list('AuthorizationPolicy')) {
    known.set(policy.namespace, [...(known.get(policy.namespace) ?? []), policy]);
  }
  return known;
});

/** Those of the pod's namespace and of the root namespace; what names a waypoint or gateway is enforced there. */
function policiesFor(world: World, pod: Pod): readonly AuthorizationPolicy[] {
  return [...new Set([pod.namespace, ...rootNamespaces(world)])]
    .flatMap((namespace) => inNamespace(world).get(namespace) ?? [])
    .filter(
      ({ targetRefs, selector }) =>
        targetRefs.length === 0 && (selector === null || selects(selector, pod.labels)),
    );
}

/** Those that a waypoint or a gateway enforces before a request reaches the service; which gateway it comes by is not known. */
const attachedOnTheWay = (world: World, service: Service): readonly AuthorizationPolicy[] =>
  world
    .list('AuthorizationPolicy')
    .filter(({ namespace, targetRefs }) =>
      targetRefs.some(
        ({ kind, name }) =>
          kind === 'Gateway' ||
          kind === 'GatewayClass' ||
          (kind === 'Service' && namespace === service.namespace && name === service.name),
      ),
    );

function ofPolicy(world: World, policy: AuthorizationPolicy): readonly Finding[] {
  const root = rootNamespaces(world).has(policy.namespace);
  const candidates = root ? world.list('Pod') : podsSelected(world, policy.namespace, NOTHING);
  const pods = candidates.filter(
    ({ labels }) => policy.selector === null || selects(policy.selector, labels),
  );
  if (policy.selector !== null && pods.length === 0) {
    return [
      found('traffic', {
        id: 'authorization-selects-nothing',
        severity: 'medium',
        from: policy,
        field: 'spec.selector.matchLabels',
        read: `no pod ${root ? '' : `of ${policy.namespace} `}has ${selectorText(policy.selector)}`,
        why: 'it has no effect: what it should deny is let through',
        about: { namespaces: [policy.namespace] },
        fix: "Align the selector with the pods' labels.",
      }),
    ];
  }
  const about = ofPods(world, undefined, policy.selector === null && root ? [] : pods);
  return [
    ...withoutProxy(world, policy, pods, about),
    ...deniesEverything(policy, about),
    ...provider(world, policy, pods, about),
    ...httpOnTcp(world, policy, pods, about),
    ...httpOnZtunnel(world, policy, pods),
    ...identities(world, policy, pods, about),
    ...tokens(world, policy, pods, about),
  ];
}

const NOTHING = { labels: new Map<string, string>(), expressions: [] };

type About = ReturnType<typeof ofPods>;

function withoutProxy(
  world: World,
  policy: AuthorizationPolicy,
  pods: readonly Pod[],
  about: About,
): readonly Finding[] {
  if (policy.selector === null || pods.some((pod) => hasProxy(pod) || isAmbient(world, pod))) return [];
  return [
    found('traffic', {
      id: 'policy-without-proxy',
      severity: 'medium',
      from: policy,
      field: 'spec.selector.matchLabels',
      read: `it selects ${pods.length} pods, none of which has a proxy`,
      why: 'nothing enforces it',
      about,
      fix: 'Bring the workload into the mesh.',
    }),
  ];
}

function deniesEverything(policy: AuthorizationPolicy, about: About): readonly Finding[] {
  if (policy.dryRun) return [];
  if (policy.action === 'DENY' && policy.rules !== null) {
    const all = policy.rules.find(({ from, to, when }) => from.length + to.length + when.length === 0);
    if (!all) return [];
    return [
      found('traffic', {
        id: 'authorization-denies-all',
        severity: 'critical',
        from: policy,
        field: all.field,
        read: 'a DENY rule without any term, which every request fits',
        why: 'every request is answered 403 (RBAC: access denied)',
        confirms: ['rbac-denied'],
        about,
        fix: 'Say in the rule what is to be denied.',
      }),
    ];
  }
  // `spec: {}` in a namespace is the documented way to deny by default; with a selector it is a slip.
  if (policy.action !== 'ALLOW' || policy.rules !== null || policy.selector === null) return [];
  return [
    found('traffic', {
      id: 'authorization-allows-nothing',
      severity: 'critical',
      from: policy,
      field: 'spec.rules',
      read: 'an ALLOW policy for one workload without any rule',
      why: 'no request can fit it: every request that no other policy allows is answered 403 (matched policy none)',
      confirms: ['rbac-denied'],
      about,
      fix: 'Write the rules; one empty rule, rules: [{}], allows everything.',
    }),
  ];
}

function provider(
  world: World,
  policy: AuthorizationPolicy,
  pods: readonly Pod[],
  about: About,
): readonly Finding[] {
  if (policy.action !== 'CUSTOM') return [];
  const [pod] = pods;
  const config = pod ? meshConfigFor(world, pod) : (meshConfigs(world)[0] ?? null);
  if (!config || (policy.provider !== null && config.extensionProviders.has(policy.provider))) return [];
  return [
    found('traffic', {
      id: 'authorization-provider-unknown',
      severity: 'critical',
      from: policy,
      field: 'spec.provider.name',
      read: `provider ${policy.provider ?? '(none)'}; meshConfig.extensionProviders has ${listed([...config.extensionProviders.keys()]) || 'none'}`,
      why: 'without its authorizer the policy denies every request that it covers: 403',
      confirms: ['ext-authz-unavailable', 'rbac-denied'],
      about,
      see: `kubectl -n ${config.configMap.namespace} get cm ${config.configMap.name} -o yaml`,
      fix: 'Define the provider in meshConfig, or correct its name.',
    }),
  ];
}

const hasHttp = ({ methods, notMethods, paths, notPaths, hosts }: Operation): boolean =>
  methods.length + notMethods.length + paths.length + notPaths.length + hosts.length > 0;

function httpOnTcp(
  world: World,
  policy: AuthorizationPolicy,
  pods: readonly Pod[],
  about: About,
): readonly Finding[] {
  const [pod] = pods;
  if (!pod || policy.selector === null) return [];
  const ports = servicesOf(world, pod).flatMap((service) =>
    service.ports.map((port) => ({
      target: targetPortIn(pod, port),
      family: protocolFamily(declaredProtocol(port)),
    })),
  );
  for (const rule of policy.rules ?? []) {
    for (const operation of rule.to) {
      if (!hasHttp(operation)) continue;
      const meant = ports.filter(
        ({ target }) => operation.ports.length === 0 || operation.ports.includes(String(target)),
      );
      if (meant.length === 0 || meant.some(({ family }) => family !== 'tcp')) continue;
      return [
        found('traffic', {
          id: 'authorization-http-on-tcp',
          severity: 'high',
          from: policy,
          field: operation.field,
          read: `methods, paths or hosts on port ${listed(meant.map(({ target }) => String(target)))}, which is declared TCP`,
          why:
            policy.action === 'ALLOW'
              ? 'on TCP such a rule allows nothing: connections are closed at once'
              : 'on TCP such a term is left out and the rule denies more than it says',
          confirms: ['rbac-http-rules-on-tcp'],
          about,
          fix: 'Use terms of connections only (principals, namespaces, ports), or declare the port HTTP.',
        }),
      ];
    }
  }
  return [];
}

/** ztunnel knows connections, not requests (istio 1.31 pilot/pkg/serviceregistry/kube/controller/ambient/authorization.go). */
function httpOnZtunnel(world: World, policy: AuthorizationPolicy, pods: readonly Pod[]): readonly Finding[] {
  const enforced = pods.filter((pod) => !hasProxy(pod) && isAmbient(world, pod));
  const operation = (policy.rules ?? []).flatMap(({ to }) => to).find(hasHttp);
  if (enforced.length === 0 || !operation || policy.selector === null) return [];
  const denies = policy.action === 'ALLOW';
  return [
    found('traffic', {
      id: 'authorization-http-on-ztunnel',
      severity: 'high',
      from: policy,
      field: operation.field,
      read: `methods, paths or hosts for ${enforced.length} pods in ambient mode, whose ztunnel enforces the policy`,
      why: denies
        ? 'ztunnel leaves such rules out: nothing is allowed, and connections are closed'
        : 'ztunnel cannot tell requests: it denies the whole connection',
      confirms: ['ztunnel-authz-denied'],
      about: ofPods(world, undefined, enforced),
      see: 'istioctl ztunnel-config policy',
      fix: 'Attach it to the waypoint with targetRefs (kind: Service or Gateway) instead of a selector.',
    }),
  ];
}

const serviceAccounts = perWorld(
  (world): ReadonlySet<string> =>
    new Set(world.list('Pod').map(({ namespace, serviceAccount }) => `${namespace}/${serviceAccount}`)),
);

/** `cluster.local/ns/shop/sa/payments`, without a star. */
const PRINCIPAL = /^([^*/]+)\/ns\/([^*/]+)\/sa\/([^*/]+)$/;

function identities(
  world: World,
  policy: AuthorizationPolicy,
  pods: readonly Pod[],
  about: About,
): readonly Finding[] {
  const base = { from: policy, about, confirms: ['rbac-denied'] } as const;
  for (const rule of policy.rules ?? []) {
    for (const source of rule.from) {
      for (const principal of source.principals) {
        if (principal.startsWith('spiffe://')) {
          return [
            found('traffic', {
              ...base,
              id: 'authorization-principal-form',
              severity: 'high',
              field: `${source.field}.principals`,
              read: principal,
              why: 'principals are written without spiffe://: this one is nobody’s, and the rule never fits',
              fix: `Write ${principal.slice('spiffe://'.length)}.`,
            }),
          ];
        }
        const [, , namespace = '', account = ''] = PRINCIPAL.exec(principal) ?? [];
        if (namespace === '' || serviceAccounts(world).has(`${namespace}/${account}`)) continue;
        if (!world.list('Pod').some((pod) => pod.namespace === namespace)) continue;
        return [
          found('traffic', {
            ...base,
            id: 'authorization-principal-unknown',
            severity: 'medium',
            field: `${source.field}.principals`,
            read: `${principal}: no pod of ${namespace} runs as ${account}`,
            why: 'the rule never fits: whom it was to let in is refused, whom it was to refuse is let in',
            fix: `kubectl -n ${namespace} get pods -o custom-columns=NAME:.metadata.name,SA:.spec.serviceAccountName shows the accounts.`,
          }),
        ];
      }
      const needsIdentity =
        source.principals.length + source.namespaces.length + source.serviceAccounts.length > 0;
      const plain = pods.filter(
        (pod) =>
          hasProxy(pod) &&
          servicesOf(world, pod).some(({ ports }) =>
            ports.every((port) => {
              const target = targetPortIn(pod, port);
              return target !== null && serverMtls(world, pod, target).mode === 'DISABLE';
            }),
          ),
      );
      if (needsIdentity && policy.selector !== null && plain.length > 0) {
        return [
          found('traffic', {
            ...base,
            id: 'authorization-identity-without-mtls',
            severity: 'high',
            field: source.field,
            read: `it asks who the caller is; mutual TLS is DISABLE for ${plain[0]!.name}`,
            why: 'without mutual TLS no caller has an identity: the rule never fits',
            fix: 'Turn mutual TLS on for the port.',
          }),
        ];
      }
    }
  }
  return [];
}

/** Claims of a token are known only where something validates it. */
function tokens(
  world: World,
  policy: AuthorizationPolicy,
  pods: readonly Pod[],
  about: About,
): readonly Finding[] {
  const [pod] = pods;
  if (!pod || world.refusal('RequestAuthentication') || policy.action !== 'ALLOW') return [];
  const rule = (policy.rules ?? []).find(
    ({ from, when }) =>
      from.some(({ requestPrincipals }) => requestPrincipals.length > 0) ||
      when.some(({ key }) => key.startsWith('request.auth.')),
  );
  if (!rule) return [];
  const validated = world.list('RequestAuthentication').some(
    (one) =>
      (one.namespace === pod.namespace || rootNamespaces(world).has(one.namespace)) &&
      // One at a gateway or waypoint may hand the claims on.
      (one.targetRefs.length > 0 || one.selector === null || selects(one.selector, pod.labels)),
  );
  if (validated) return [];
  return [
    found('traffic', {
      id: 'authorization-token-not-validated',
      severity: 'high',
      from: policy,
      field: rule.field,
      read: 'it asks for claims of a token, and no RequestAuthentication is for these pods',
      why: 'without one no token is read: the rule never fits, and the requests get 403',
      confirms: ['rbac-denied'],
      about,
      see: 'kubectl get requestauthentication -A -o yaml',
      fix: 'A RequestAuthentication with the issuer for the same pods.',
    }),
  ];
}

/** Three answers: it fits, it does not, or the objects cannot tell. */
type Fit = true | false | undefined;

interface Caller {
  /** `cluster.local/ns/shop/sa/web`; `null`: no mutual TLS, so no identity. */
  readonly principal: string | null;
  readonly namespace: string | null;
  readonly port: number;
}

const all = (fits: readonly Fit[]): Fit =>
  fits.includes(false) ? false : fits.includes(undefined) ? undefined : true;
const any = (fits: readonly Fit[]): Fit =>
  fits.includes(true) ? true : fits.includes(undefined) ? undefined : false;

/** `*`, `prefix*`, `*suffix` or the very text. */
export function fitsPattern(pattern: string, text: string): boolean {
  if (pattern === '*') return text !== '';
  if (pattern.endsWith('*')) return text.startsWith(pattern.slice(0, -1));
  if (pattern.startsWith('*')) return text.endsWith(pattern.slice(1));
  return pattern === text;
}

const oneOf = (patterns: readonly string[], text: string | null): Fit =>
  patterns.length === 0 ? true : text !== null && patterns.some((pattern) => fitsPattern(pattern, text));

function sourceFits(source: Source, caller: Caller): Fit {
  return all([
    oneOf(source.principals, caller.principal),
    source.notPrincipals.length === 0 ? true : oneOf(source.notPrincipals, caller.principal) !== true,
    oneOf(source.namespaces, caller.namespace),
    source.notNamespaces.length === 0 ? true : oneOf(source.notNamespaces, caller.namespace) !== true,
    source.serviceAccounts.length === 0 ? true : undefined,
    source.requestPrincipals.length === 0 ? true : undefined,
    source.addresses ? undefined : true,
  ]);
}

const operationFits = (operation: Operation, caller: Caller): Fit =>
  all([
    oneOf(operation.ports, String(caller.port)),
    operation.notPorts.length === 0 ? true : !operation.notPorts.includes(String(caller.port)),
    hasHttp(operation) ? undefined : true,
  ]);

const ruleFits = ({ from, to, when }: AuthorizationRule, caller: Caller): Fit =>
  all([
    from.length === 0 ? true : any(from.map((source) => sourceFits(source, caller))),
    to.length === 0 ? true : any(to.map((operation) => operationFits(operation, caller))),
    when.length === 0 ? true : undefined,
  ]);

const policyFits = ({ rules }: AuthorizationPolicy, caller: Caller): Fit =>
  rules === null ? false : any(rules.map((rule) => ruleFits(rule, caller)));

/** Said only where no method, path, claim or address could change it. */
function deniedCall(
  world: World,
  service: Service,
  pod: Pod,
  policies: readonly AuthorizationPolicy[],
  call: Call,
): readonly Finding[] {
  const port = service.ports.find(({ number }) => call.port === null || number === call.port);
  const caller = port && callerOf(world, pod, port, call);
  if (!caller) return [];
  const enforced = policies.filter(({ dryRun }) => !dryRun);
  const denying = enforced.find(
    ({ action, ...policy }) => action === 'DENY' && policyFits({ action, ...policy }, caller) === true,
  );
  const allowing = enforced.filter(({ action }) => action === 'ALLOW');
  const shutOut = allowing.length > 0 && allowing.every((policy) => policyFits(policy, caller) === false);
  const policy = denying ?? (shutOut ? allowing[0] : undefined);
  if (!policy) return [];
  const who = caller.principal ?? 'a caller without an identity';
  return [
    found('traffic', {
      id: 'authorization-denies-caller',
      severity: 'high',
      from: policy,
      field: 'spec.rules',
      read: denying
        ? `it denies ${who}; ${call.caller.key} calls ${serviceName(service)} (${call.field})`
        : `${allowing.length === 1 ? 'it does' : `none of ${allowing.length} ALLOW policies does`} not allow ${who} on port ${caller.port}; ${call.caller.key} calls ${serviceName(service)} (${call.field})`,
      why: 'the sidecar of the server answers 403 (RBAC: access denied), or closes the connection on TCP',
      confirms: ['rbac-denied'],
      about: ofCall(call.caller, serviceName(service)),
      see: `istioctl x authz check ${pod.name}.${pod.namespace}`,
      fix: 'Add the caller to the rules, if it is to be let in.',
    }),
  ];
}

function callerOf(world: World, pod: Pod, port: ServicePort, { caller }: Call): Caller | null {
  const target = targetPortIn(pod, port);
  const [from] = caller.pods;
  if (target === null || !from) return null;
  const meshed = hasProxy(from) || isAmbient(world, from);
  const mode = serverMtls(world, pod, target).mode;
  // Plain text to STRICT ends before any policy is asked.
  if (!meshed && mode === 'STRICT') return null;
  const trust = meshConfigFor(world, from)?.trustDomain ?? 'cluster.local';
  const known = meshed && mode !== 'DISABLE';
  return {
    principal: known ? `${trust}/ns/${caller.namespace}/sa/${from.serviceAccount}` : null,
    namespace: known ? caller.namespace : null,
    port: target,
  };
}
