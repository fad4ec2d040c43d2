import { RESOURCES, type Refusal, type ResourceName } from '../cluster/cluster.js';
import type { Finding, Subject } from '../diagnosis/finding.js';
import { listed } from '../diagnosis/words.js';
import type { Check, Examined } from './check.js';
import { CHECKS } from './index.js';
import { stillExcluded } from './envoy-filters.js';
import { rootNamespaces } from './mesh-config.js';
import { isInScope, type Scope } from './target.js';
import { resourceName, type World } from './world.js';

/**
 * Runs checks and says of each what it found: findings, one `ok` where it found none, `unknown` where it could not look.
 * Only what is about the scope is kept; `null` is everything.
 */
export function runChecks(
  world: World,
  scope: Scope | null = null,
  checks: readonly Check[] = CHECKS,
): readonly Finding[] {
  return [
    ...(scope === null ? damagedObjects(world) : []),
    ...checks.flatMap((check) => verdicts(world, check, scope)),
  ];
}

function verdicts(world: World, check: Check, scope: Scope | null): readonly Finding[] {
  const missing = check.needs.flatMap((name) => missingOf(world, check, name) ?? []);
  if (missing.length > 0) return [unknown(check, refusalsText(missing))];
  if (!check.subjects.some((name) => world.isInstalled(name))) {
    return [unknown(check, `nothing to check: ${listed(check.subjects.map(pluralOf))} not installed`)];
  }
  const unread = check.subjects.flatMap((name) => world.refusal(name) ?? []);
  const nothing = check.subjects.every((name) => world.refusal(name) && world.list(name).length === 0);
  if (nothing) return [unknown(check, refusalsText(unread))];

  const judged = check.judge(world);
  const concerns = (about: Subject): boolean => scope === null || isInScope(scope, about);
  const near = namespacesRead(world, check);
  const findings = judged.findings.filter(
    ({ about, object }) => concerns(about) && (near === null || near.has(object?.namespace ?? '')),
  );
  const examined = judged.examined.filter(({ about }) => concerns(about));
  const gaps = [
    // Of several kinds to go through, one that is not in use is no gap.
    ...(unread.length > 0 && check.subjects.length === 1 && !isOutside(unread[0]!, scope)
      ? [unknown(check, refusalsText(unread))]
      : []),
    ...(judged.unknown === undefined ? [] : [unknown(check, judged.unknown)]),
  ];
  const clean = clearedOf(examined, findings);
  return [...findings, ...(clean.length > 0 ? [allRight(check, clean, findings.length > 0)] : []), ...gaps];
}

/** What of a kind that is looked things up in is missing for this check; `null`: nothing that matters. */
function missingOf(world: World, { nearby = [] }: Check, name: ResourceName): Refusal | null {
  const refused = world.refusal(name);
  if (!refused?.namespaces || !nearby.includes(name)) return refused ?? null;
  const roots = HOLDS_FOR_ALL.has(name) ? [...rootNamespaces(world)] : [];
  return roots.every((root) => refused.namespaces!.includes(root)) ? null : refused;
}

/** What stands in a root namespace holds in every other. */
const HOLDS_FOR_ALL: ReadonlySet<ResourceName> = new Set(['PeerAuthentication', 'Telemetry']);

/** Of which namespaces' subjects it can be said what is not there; `null`: of all. */
function namespacesRead(world: World, { nearby = [] }: Check): ReadonlySet<string> | null {
  const parts = nearby.flatMap((name) =>
    world.refusal(name)?.namespaces ? [world.refusal(name)!.namespaces!] : [],
  );
  const [first, ...rest] = parts;
  return first === undefined
    ? null
    : new Set(first.filter((namespace) => rest.every((part) => part.includes(namespace))));
}

const pluralOf = (name: ResourceName): string =>
  resourceName(RESOURCES[name].group, RESOURCES[name].resource);

/** What was examined and nothing was found about. */
function clearedOf(examined: readonly Examined[], findings: readonly Finding[]): readonly Examined[] {
  const hit = new Set(findings.flatMap(({ about }) => placesOf(about)));
  return examined.filter(({ about }) => !placesOf(about).some((place) => hit.has(place)));
}

/** What is missing is of other namespaces than those asked for. */
const isOutside = ({ namespaces }: Refusal, scope: Scope | null): boolean =>
  scope !== null &&
  namespaces !== undefined &&
  [...scope.namespaces].every((one) => namespaces.includes(one));

const placesOf = ({ services = [], pods = [], workloads = [] }: Subject): readonly string[] => [
  ...services.map((name) => `service ${name}`),
  ...pods.map((name) => `pod ${name}`),
  ...workloads,
];

/** More than these are counted, not listed. */
const MOST_SAID = 4;

function allRight(check: Check, examined: readonly Examined[], beside: boolean): Finding {
  const said = examined.flatMap(({ said }) => said ?? []);
  const read =
    said.length > 0 && said.length <= MOST_SAID
      ? said.join('; ')
      : `${beside ? 'the other ' : ''}${examined.length} examined, nothing found`;
  return {
    ...blank(check),
    status: 'ok',
    severity: 'info',
    read,
    refutes: [],
    about: {},
  };
}

const blank = (check: Check): Omit<Finding, 'status' | 'severity' | 'read'> => ({
  id: check.id,
  phase: check.phase,
  object: null,
  field: null,
  why: check.claim,
  confirms: [],
  refutes: [],
  about: {},
  see: check.see,
  fix: null,
  basis: 'state',
  changedAt: null,
});

const unknown = (check: Check, reason: string): Finding => ({
  ...blank(check),
  status: 'unknown',
  severity: 'info',
  read: reason,
  why: `not verified: ${check.claim}`,
});

/** `cannot list pods: forbidden`. */
const refusalsText = (refusals: readonly Refusal[]): string =>
  [...new Set(refusals.map(({ verb, resource, reason }) => `cannot ${verb} ${resource}: ${reason}`))].join(
    '; ',
  );

/** Objects that were given and not understood, wholly or in part: what depends on them may be wrong. */
function damagedObjects(world: World): readonly Finding[] {
  const byObject = new Map<string, (typeof world.damaged)[number][]>();
  for (const one of world.damaged) {
    const key = `${one.ref.kind} ${one.ref.namespace}/${one.ref.name}`;
    byObject.set(key, [...(byObject.get(key) ?? []), one]);
  }
  return [...byObject.values()].map((some) => ({
    id: 'object-not-understood',
    phase: 'foundation',
    status: 'unknown',
    severity: 'info',
    object: some[0]!.ref,
    field: some[0]!.field,
    read: listed(some.map(({ field, problem }) => `${field}: ${problem}`)),
    why: 'what is not understood is left out of all checks',
    confirms: [],
    refutes: [],
    about: {},
    see: `kubectl ${some[0]!.ref.namespace === '' ? '' : `-n ${some[0]!.ref.namespace} `}get ${some[0]!.ref.kind.toLowerCase()} ${some[0]!.ref.name} -o yaml`,
    fix: null,
    basis: 'configuration',
    changedAt: null,
  }));
}

/** What each clean subject rules out, one finding by subject: what the link between incidents and checks needs. */
export function clearances(world: World, checks: readonly Check[]): readonly Finding[] {
  return checks.flatMap((check) => {
    if (check.needs.some((name) => world.refusal(name))) return [];
    if (check.subjects.some((name) => world.refusal(name))) return [];
    const { examined, findings } = check.judge(world);
    return clearedOf(examined, findings)
      .map(({ excludes = [], ...rest }) => ({
        ...rest,
        // Envoy itself may clear what an EnvoyFilter may have changed; no other object can.
        excludes: check.phase === 'envoy' ? excludes : stillExcluded(world, rest.about, excludes),
      }))
      .filter(({ excludes }) => excludes.length > 0)
      .map(({ about, said, excludes }) => ({
        ...blank(check),
        status: 'ok' as const,
        severity: 'info' as const,
        read: said ?? check.claim,
        refutes: excludes,
        about,
      }));
  });
}
