import type { Finding } from '../../diagnosis/finding.js';
import { found, named, type Check, type Examined } from '../check.js';
import type { HttpRule, VirtualService } from '../istio-objects.js';
import { hostsNamed } from '../registry.js';
import type { World } from '../world.js';
import { covers } from './http-match.js';
import { fullHosts, gatewayNames } from './virtual-hosts.js';

export const routeMatches: Check = {
  id: 'route-matches',
  phase: 'traffic',
  claim: 'every rule can be reached, and every request finds one',
  subjects: ['VirtualService'],
  needs: [],
  decides: ['vs-route-no-match', 'fault-injected', 'route-timeout'],
  see: 'istioctl analyze -A',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    const services = world.list('VirtualService');
    for (const service of services) {
      findings.push(...shadowed(world, service), ...uncovered(world, service), ...sameHost(world, service));
      findings.push(...delegates(world, service), ...settings(world, service));
      const open = service.http.some(takesEverything);
      examined.push({
        about: { services: aboutOf(world, service) },
        said: `${named(service.ref)}: ${service.http.length} rules${open ? ', the last takes the rest' : ''}`,
        ...(open && { excludes: ['vs-route-no-match', 'fault-injected'] }),
      });
    }
    return { findings, examined };
  },
};

const aboutOf = (world: World, service: VirtualService): readonly string[] =>
  fullHosts(world, service).map((host) => hostsNamed(world, host)[0]?.service ?? host);

const ruleName = ({ name, field }: HttpRule): string => (name === '' ? field : `rule ${name} (${field})`);

/** A rule all of whose alternatives an earlier rule takes as well. */
function shadowed(world: World, service: VirtualService): readonly Finding[] {
  return service.http.flatMap((rule, i) => {
    const before = service.http.slice(0, i);
    const open = before.find(({ match }) => match.length === 0);
    const taker =
      open ??
      (rule.match.length > 0
        ? before.find((earlier) =>
            rule.match.every((narrow) => earlier.match.some((wide) => covers(wide, narrow))),
          )
        : undefined);
    if (!taker) return [];
    return found('traffic', {
      id: 'route-rule-never-reached',
      severity: 'medium',
      from: service,
      field: rule.field,
      read: `${ruleName(taker)} stands before ${ruleName(rule)} and takes all its requests`,
      why: 'rules are tried in order and the first one that fits is followed: this one never is',
      confirms: [],
      about: { services: aboutOf(world, service) },
      fix: 'Put the narrower rule first.',
    });
  });
}

const isOpen = ({ match }: HttpRule): boolean =>
  match.length === 0 ||
  match.some(
    (one) =>
      (one.uri === null || (one.uri.kind === 'prefix' && one.uri.value === '/')) &&
      one.method === null &&
      one.authority === null &&
      one.scheme === null &&
      one.port === null &&
      one.sourceNamespace === null &&
      one.headers.size + one.withoutHeaders.size + one.queryParams.size + one.sourceLabels.size === 0,
  );

const takesEverything = isOpen;

/**
 * Sidecars have no other route for the host than this object: what no rule takes ends there. At a gateway several objects
 * share a host and leaving paths out is common, so there only rules that take nothing but whole paths are told of.
 */
function uncovered(world: World, service: VirtualService): readonly Finding[] {
  if (service.http.length === 0 || service.http.some(takesEverything)) return [];
  const matches = service.http.flatMap(({ match }) => match);
  const base = {
    severity: 'medium',
    from: service,
    field: 'spec.http[].match',
    confirms: ['vs-route-no-match'],
    about: { services: aboutOf(world, service) },
  } as const;
  if (matches.every(({ uri }) => uri?.kind === 'exact')) {
    return [
      found('traffic', {
        ...base,
        id: 'route-exact-paths-only',
        read: `only exact paths are taken: ${matches.map(({ uri }) => uri!.value).join(', ')}`,
        why: 'a path below one of them, or with a slash at its end, finds no rule: 404, flag NR',
        see: `meshtail check --host ${service.hosts[0] ?? 'HOST'} --path ${matches[0]!.uri!.value}/1 --from PATH`,
        fix: 'Match by prefix where clients use paths below it, and let a last rule take the rest.',
      }),
    ];
  }
  if (!gatewayNames(service).includes('mesh')) return [];
  return [
    found('traffic', {
      ...base,
      id: 'route-without-catch-all',
      read: `none of the ${service.http.length} rules takes every request`,
      why: "what no rule takes is not sent to the service itself: callers' sidecars answer 404, flag NR",
      fix: 'Let a last rule without a match take the rest.',
    }),
  ];
}

/** For sidecars two objects of one host are not merged. */
function sameHost(world: World, service: VirtualService): readonly Finding[] {
  if (!gatewayNames(service).includes('mesh')) return [];
  const own = new Set(fullHosts(world, service));
  const older = world.list('VirtualService').find(
    (other) =>
      other !== service &&
      gatewayNames(other).includes('mesh') &&
      isBefore(other, service) &&
      // Hidden from each other's namespaces they do not meet.
      !(isPrivate(other) && isPrivate(service) && other.namespace !== service.namespace) &&
      fullHosts(world, other).some((host) => own.has(host)),
  );
  if (!older) return [];
  const host = fullHosts(world, older).find((one) => own.has(one))!;
  return [
    found('traffic', {
      id: 'virtual-service-same-host',
      severity: 'high',
      from: service,
      field: 'spec.hosts',
      read: `${named(older.ref)} is for ${host} too`,
      why: 'for sidecars the two are not merged: the rules of one of them, usually the younger, are not followed',
      confirms: ['vs-route-no-match'],
      about: { services: aboutOf(world, service) },
      see: 'istioctl analyze -A',
      fix: 'Join the rules in one VirtualService.',
    }),
  ];
}

const isPrivate = ({ exportTo }: VirtualService): boolean => exportTo.length === 1 && exportTo[0] === '.';

const isBefore = (a: VirtualService, b: VirtualService): boolean =>
  (a.createdAt ?? 0) < (b.createdAt ?? 0) ||
  ((a.createdAt ?? 0) === (b.createdAt ?? 0) && `${a.namespace}/${a.name}` < `${b.namespace}/${b.name}`);

function delegates(world: World, service: VirtualService): readonly Finding[] {
  return service.http.flatMap((rule) => {
    if (!rule.delegate) return [];
    const namespace = rule.delegate.namespace ?? service.namespace;
    if (world.find('VirtualService', namespace, rule.delegate.name)) return [];
    return found('traffic', {
      id: 'route-delegate-missing',
      severity: 'high',
      from: service,
      field: `${rule.field}.delegate`,
      read: `VirtualService ${namespace}/${rule.delegate.name} does not exist`,
      why: 'the rule is left out: its requests find no route, 404, flag NR',
      confirms: ['vs-route-no-match'],
      about: { services: aboutOf(world, service) },
      fix: 'Create the delegate, or route here.',
    });
  });
}

/** Settings of a rule that fail requests by themselves. */
function settings(world: World, service: VirtualService): readonly Finding[] {
  const about = { services: aboutOf(world, service) };
  return service.http.flatMap((rule) => {
    const findings: Finding[] = [];
    const fault = rule.abort ?? rule.delay;
    if (fault && fault.percent > 0) {
      findings.push(
        found('traffic', {
          id: 'fault-injection-active',
          severity: 'high',
          from: service,
          field: `${rule.field}.fault`,
          read: rule.abort
            ? `${rule.abort.percent}% of the requests are aborted with ${rule.abort.status ?? 'an error'}`
            : `${rule.delay!.percent}% of the requests are held back for ${rule.delay!.ms ?? '?'} ms`,
          why: 'somebody left a test in: the proxy fails these requests on purpose',
          confirms: ['fault-injected'],
          about,
          fix: 'Remove the fault.',
        }),
      );
    }
    const all = rule.route.reduce((sum, { weight }) => sum + (weight ?? 0), 0);
    if (rule.route.length > 1 && all === 0) {
      findings.push(
        found('traffic', {
          id: 'route-weights-zero',
          severity: 'high',
          from: service,
          field: `${rule.field}.route[].weight`,
          read: `${rule.route.length} destinations, all with weight 0`,
          why: 'the object is refused or no destination is chosen: requests of this rule fail',
          confirms: ['vs-route-no-match'],
          about,
          fix: 'Give the weights that were meant.',
        }),
      );
    }
    const tries = (rule.retries?.attempts ?? 0) + 1;
    const perTry = rule.retries?.perTryTimeoutMs ?? null;
    if (rule.timeoutMs !== null && perTry !== null && rule.timeoutMs > 0 && perTry > rule.timeoutMs) {
      findings.push(
        found('traffic', {
          id: 'route-timeout-below-try',
          severity: 'medium',
          from: service,
          field: `${rule.field}.retries.perTryTimeout`,
          read: `each of ${tries} tries may take ${perTry} ms, the whole request ${rule.timeoutMs} ms`,
          why: 'the request ends with 504 before the first try does: no retry is ever made',
          confirms: ['route-timeout'],
          about,
          fix: 'Let timeout be at least perTryTimeout times the tries.',
        }),
      );
    }
    return findings;
  });
}
