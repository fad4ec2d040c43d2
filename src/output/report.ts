import type { CoverageSnapshot } from '../aggregate/coverage.js';
import { DIMENSIONS, type Dimension, type DimensionValue, type GroupSnapshot } from '../aggregate/groups.js';
import type { ObservationSnapshot } from '../aggregate/observation.js';
import { NO_FACTS, type Change, type ClusterFacts } from '../diagnosis/cluster-facts.js';
import { holdsErrorsOnly, noAccessLines } from '../diagnosis/coverage-limits.js';
import {
  exampleOf,
  type CheckedFact,
  type Diagnosis,
  type Incident,
  type NamedAddress,
} from '../diagnosis/diagnose.js';
import { afterWords } from '../diagnosis/edge.js';
import type { Fact, Fault } from '../diagnosis/hypothesis.js';
import type { VersionHint } from '../diagnosis/proxy-version.js';
import type { Wanted } from '../diagnosis/widening.js';
import { hostOf } from '../record/address.js';
import { examplesOf, type Example } from './examples.js';
import { journeyObject, type JourneyObject } from './journey.js';

/*
 * The report as scripts see it: schema/meshtail.report-1.schema.json describes it, text and Markdown are other faces of
 * it. Times are RFC 3339 in UTC, durations ms, shares 0..1.
 */

export const REPORT_SCHEMA = 'meshtail.report/1';

type Jsonish = ReturnType<typeof reportOf>;
export type Report = Jsonish;

/** What was not read of an input: a time of it (ms since the Unix epoch), or all where none is given. */
export interface ReportGap {
  readonly origin: string;
  readonly from?: number;
  readonly to?: number;
  readonly reason: string;
}

/** @param gaps what could not be read. */
export function reportOf(
  observation: ObservationSnapshot,
  diagnosis: Diagnosis,
  version: string,
  gaps: readonly ReportGap[] = [],
  facts: ClusterFacts = NO_FACTS,
) {
  const { coverage, traffic } = observation;
  const errorsOnly = holdsErrorsOnly(observation);
  const silent = noAccessLines(observation);
  const incidents = silent ? [silent] : diagnosis.incidents;
  return {
    schema: REPORT_SCHEMA,
    version,
    coverage: {
      ...coverageOf(coverage, errorsOnly, gaps, diagnosis.versions),
      joins: joinsOf(observation, diagnosis),
    },
    totals: {
      requests: traffic.requests,
      failures: traffic.failures,
      dismissed: diagnosis.dismissed.reduce((sum, { failures }) => sum + failures, 0),
      app_4xx: traffic.app4xx,
      by_code: Object.fromEntries(traffic.byCode.toSorted(([a], [b]) => (a < b ? -1 : 1))),
      by_flag: Object.fromEntries(traffic.byFlag.toSorted(([a], [b]) => (a < b ? -1 : 1))),
      by_answerer: traffic.byAnswerer,
      duration_ms: traffic.durationMs,
    },
    incidents: incidents.map((incident, index) => incidentOf(incident, index + 1, errorsOnly)),
    dismissed: diagnosis.dismissed.map(({ cause, title, count, why }) => ({ cause, title, count, why })),
    groups: traffic.groups.map((group) => groupOf(group, errorsOnly, facts)),
  };
}

function coverageOf(
  coverage: CoverageSnapshot,
  errorsOnly: boolean,
  gaps: readonly ReportGap[],
  versions: readonly VersionHint[],
) {
  const envoyOf = new Map(versions.map(({ proxy, envoy }) => [proxy, envoy]));
  return {
    inputs: coverage.inputs.map(({ name, pod, format, role, roleReason, lines, records }) => ({
      path: name,
      ...(pod !== null && { pod }),
      format,
      role,
      role_reason: roleReason,
      envoy: envoyOf.get(pod ?? name) ?? null,
      lines,
      records,
    })),
    lines: coverage.lines,
    records: coverage.records,
    foreign: coverage.foreign,
    malformed: coverage.malformed,
    overlong: coverage.overlong,
    unterminated: coverage.unterminated,
    first: time(coverage.first),
    last: time(coverage.last),
    gaps: gaps.map(({ origin, from, to, reason }) => ({
      origin,
      from: from === undefined ? null : time(from),
      to: to === undefined ? null : time(to),
      reason,
    })),
    errors_only: errorsOnly,
    malformed_examples: coverage.malformedExamples,
  };
}

/** What the lines of several proxies were joined by, and what was left out to keep it within bounds. */
function joinsOf({ rows }: ObservationSnapshot, { leftOut }: Diagnosis) {
  return {
    kept: rows.rows.length,
    evicted: rows.evicted,
    repeated: rows.repeated,
    shared_ids: leftOut.sharedIds,
    shared_id_lines: leftOut.sharedIdLines,
    clocks: rows.clocks.skewed.map(({ proxy, aheadMs, hops }) => ({ proxy, ahead_ms: aheadMs, hops })),
  };
}

function incidentOf(incident: Incident, id: number, errorsOnly: boolean) {
  const { hypothesis } = incident;
  return {
    id,
    cause: hypothesis.cause,
    title: hypothesis.title,
    severity: incident.severity,
    verdict: incident.verdict,
    confidence: hypothesis.confidence,
    why: hypothesis.why,
    at_fault: faultOf(hypothesis.at),
    onset: time(incident.onset),
    onset_range: incident.onsetRange.map(time),
    began_before_input: incident.beganBeforeInput,
    last: time(incident.last),
    over: incident.ending === 'over',
    ending: incident.ending,
    time_shape: incident.timeShape,
    callers: incident.callers.slice(0, MOST_CALLERS),
    failures: incident.failures,
    requests: incident.requests,
    ...(!errorsOnly && { share: share(incident.failures, incident.requests) }),
    summary: hypothesis.summary,
    evidence: hypothesis.evidence.map(factOf),
    against: hypothesis.against.map(factOf),
    alternatives: incident.alternatives,
    ...(incident.checks && { checks: incident.checks.slice(0, MOST_CHECKS).map(checkOf) }),
    next: hypothesis.next,
    fix: hypothesis.fix,
    groups: incident.groups,
    ...(incident.changes && { changes: incident.changes.map((change) => changeOf(change, incident)) }),
    ...(incident.addresses && { addresses: incident.addresses.map(addressOf) }),
    ...(incident.wanted && { wanted: incident.wanted.map(wantedOf) }),
    examples: examplesOf(incident) as readonly Example[],
    journey: journeyIn(incident),
  };
}

/** Facts of the cluster that an incident lists. */
const MOST_CHECKS = 10;

const checkOf = ({ finding, cause, effect }: CheckedFact) => ({
  check: finding.id,
  cause,
  effect,
  object: finding.object,
  field: finding.field,
  read: finding.read,
  command: finding.see,
});

const changeOf = ({ at, kind, text }: Change, { onset }: Incident) => ({
  at: time(at),
  kind,
  text,
  after: afterWords(onset, { at, text }),
});

const wantedOf = ({ side, namespace, kind, name, why, decides }: Wanted) => ({
  side,
  namespace,
  workload: `${kind}/${name}`,
  why,
  decides,
});

const addressOf = ({ address, kind, name, namespace, workload, node, revision }: NamedAddress) => ({
  address,
  kind,
  name,
  namespace: namespace || null,
  workload: workload && `${workload.kind}/${workload.name}`,
  node: node || null,
  revision: revision || null,
});

/** One request of an incident through every proxy that logged it. */
function journeyIn(incident: Incident): JourneyObject | null {
  const told = exampleOf(incident);
  return told && journeyObject(told);
}

/** Callers that an incident lists. */
const MOST_CALLERS = 10;

const factOf = ({ text, count, of }: Fact): Fact => ({ text, count, of });

function faultOf(at: Fault) {
  const lists = {
    services: at.services,
    upstream_clusters: at.upstreamClusters,
    pods: at.pods,
    endpoints: at.endpoints,
    clients: at.clients,
    networks: at.networks,
  };
  return Object.fromEntries(Object.entries(lists).filter(([, list]) => list && list.length > 0));
}

function groupOf(group: GroupSnapshot, errorsOnly: boolean, facts: ClusterFacts) {
  return {
    id: group.id,
    direction: group.direction,
    upstream_cluster: group.upstreamCluster,
    response_code: group.responseCode,
    response_flags: group.responseFlags,
    response_code_details_class: group.detailsClass,
    answered_by: group.answeredBy,
    failures: group.failures,
    requests: group.requests,
    ...(!errorsOnly && { share: share(group.failures, group.requests) }),
    first: time(group.first),
    last: time(group.last),
    rate_per_s: Number(group.ratePerSecond.toFixed(2)),
    duration_ms: group.durationMs,
    top: topOf(group, facts),
    others: group.others,
  };
}

const OF_ADDRESSES: ReadonlySet<Dimension> = new Set(['upstream_host', 'downstream_peer']);

/** Addresses are named as of the group's last line. */
function topOf({ top, last }: GroupSnapshot, facts: ClusterFacts) {
  const named = (one: DimensionValue): DimensionValue & { readonly name?: string } => {
    const owner = facts.ownerOf(hostOf(one.value), last);
    return owner ? { ...one, name: owner.name } : one;
  };
  return Object.fromEntries(
    DIMENSIONS.flatMap((dimension) => {
      const values = top[dimension];
      return values ? [[dimension, OF_ADDRESSES.has(dimension) ? values.map(named) : values]] : [];
    }),
  ) as Partial<Record<Dimension, readonly (DimensionValue & { readonly name?: string })[]>>;
}

export const share = (count: number, of: number): number => (of === 0 ? 0 : Number((count / of).toFixed(4)));

/** `null` for no time. */
export function time(ms: number): string | null {
  return Number.isFinite(ms) ? new Date(Math.round(ms)).toISOString() : null;
}
