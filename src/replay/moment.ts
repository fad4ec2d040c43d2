import type { Case } from '../aggregate/joins.js';
import { trafficOf } from '../aggregate/groups.js';
import type { ObservationSnapshot } from '../aggregate/observation.js';
import type { Row } from '../aggregate/row.js';
import { Tally } from '../aggregate/tally.js';
import { CAUSES } from '../diagnosis/causes/index.js';
import { NO_FACTS, type ClusterFacts } from '../diagnosis/cluster-facts.js';
import { diagnose, type Diagnosis } from '../diagnosis/diagnose.js';
import { sceneOf, type Scene } from '../diagnosis/scene.js';
import { RowView } from './row-view.js';

/** What could be known at one moment of a recording: the lines written by then, and what they explain. */
export interface Moment {
  readonly now: number;
  readonly observation: ObservationSnapshot;
  readonly rows: readonly Row[];
  /** Outermost lines of all requests. */
  readonly roots: readonly Row[];
  readonly diagnosis: Diagnosis;
  readonly scene: Scene;
  /** Index of the incident that a failing line belongs to. */
  readonly incidentOf: ReadonlyMap<Row, number>;
  /**
   * How a request fares by its outermost line: `failed`, also where that line itself looks like the app's own answer;
   * `masked`, where attempts below it failed and a retry hid them; `null` where no incident has it.
   */
  fateOf(root: Row): 'failed' | 'masked' | null;
  /** The failed request below an outermost line. */
  readonly caseOf: ReadonlyMap<Row, Case>;
  /** Lines of one direction and place, healthy ones too. */
  population(row: Row): readonly Row[];
}

/**
 * @param now ms; at or after the last end, everything is taken as it was observed.
 * @param goOn called between the parts of the work, which on a long recording take seconds together; it may throw.
 */
export function momentOf(
  whole: ObservationSnapshot,
  now: number,
  facts: ClusterFacts = NO_FACTS,
  goOn: () => void = () => {},
): Moment {
  const observation = observedBy(whole, now);
  goOn();
  const scene = sceneOf(observation, facts);
  const diagnosis = diagnose(
    observation,
    CAUSES.map((cause) => ({
      ...cause,
      judge(scene) {
        goOn();
        return cause.judge(scene);
      },
    })),
    facts,
  );
  const incidentOf = new Map<Row, number>();
  const fates = new Map<Row, 'failed' | 'masked'>();
  const caseOf = new Map<Row, Case>();
  diagnosis.incidents.forEach(({ hypothesis }, index) => {
    for (const { root, rows, masked } of hypothesis.cases) {
      for (const row of rows) incidentOf.set(row, index);
      if (!masked || !fates.has(root)) fates.set(root, masked ? 'masked' : 'failed');
    }
  });
  for (const failed of scene.cases) caseOf.set(failed.root, failed);
  let populations: Map<string, Row[]> | undefined;
  const keyOf = (row: Row): string =>
    `${row.direction === 'inbound' ? 'inbound' : 'outbound'}\n${scene.placeOf(row)}`;
  return {
    now,
    observation,
    rows: observation.rows.rows,
    roots: scene.joins.roots,
    diagnosis,
    scene,
    incidentOf,
    fateOf: (root) => fates.get(root) ?? null,
    caseOf,
    population: (row) => {
      populations ??= grouped(observation.rows.rows, keyOf);
      return populations.get(keyOf(row)) ?? [];
    },
  };
}

/**
 * A moment as far as it can be counted without explaining it anew: how its requests fared is taken from what the whole
 * recording tells of them, and failing lines stand by group, in no incident.
 */
export function glanceAt(whole: Moment, now: number): Moment {
  const ended = (row: Row): boolean => !(row.end > now);
  const populations = new Map<readonly Row[], readonly Row[]>();
  const { coverage } = whole.observation;
  return {
    ...whole,
    now,
    observation: { ...whole.observation, coverage: { ...coverage, last: Math.min(coverage.last, now) } },
    rows: whole.rows.filter(ended),
    roots: whole.roots.filter(ended),
    diagnosis: { ...whole.diagnosis, incidents: [], dismissed: [] },
    incidentOf: new Map(),
    population: (row) => {
      const all = whole.population(row);
      let known = populations.get(all);
      if (!known) populations.set(all, (known = all.filter(ended)));
      return known;
    },
  };
}

function grouped(rows: readonly Row[], keyOf: (row: Row) => string): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    if (row.tunnel) continue;
    const key = keyOf(row);
    const group = groups.get(key);
    if (group) group.push(row);
    else groups.set(key, [row]);
  }
  return groups;
}

/** A proxy writes its line when the request ends: what ends later was not known yet. */
function observedBy(whole: ObservationSnapshot, now: number): ObservationSnapshot {
  const rows = whole.rows.rows.filter((row) => !(row.end > now));
  if (rows.length === whole.rows.rows.length) return whole;
  const tally = new Tally();
  const view = new RowView();
  for (const row of rows) {
    tally.add(view.of(row), {
      line: row.line,
      ...(row.pod !== null && { pod: row.pod }),
      ...(row.file !== null && { file: row.file }),
    });
  }
  return {
    coverage: { ...whole.coverage, last: Math.min(whole.coverage.last, now) },
    traffic: trafficOf(tally),
    rows: { ...whole.rows, rows },
  };
}
