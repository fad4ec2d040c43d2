import type { ObservationSnapshot } from '../aggregate/observation.js';
import type { Row } from '../aggregate/row.js';
import { NO_FACTS, type ClusterFacts } from '../diagnosis/cluster-facts.js';
import type { Diagnosis, Incident } from '../diagnosis/diagnose.js';
import { edgeOf, touches } from '../diagnosis/edge.js';
import { spansOfLogs } from '../diagnosis/vantage.js';
import type { Wanted } from '../diagnosis/widening.js';
import { least, median, most } from '../diagnosis/stats.js';
import { compileFilter, type Filter } from '../filter/filter.js';
import type { AccessRecord } from '../record/access-record.js';
import type { Marker } from '../view/live.js';
import type { Reading, Snapshot, Spec, Stream, Timeline, Traffic } from '../view/snapshot.js';
import { journeyPane } from './journey-pane.js';
import { glanceAt, momentOf, type Moment } from './moment.js';
import { narrow, type Narrowed } from './narrowed.js';
import { linesPane, recordPane, refOf, valuesPane } from './panes.js';
import { Onsets } from './onsets.js';
import { incidentKeys, tableOf } from './table.js';

/** Reads one line of an input again; `null` where that cannot be done (a pipe). */
export type ReadAgain = (
  file: string,
  line: number,
) => Promise<{ readonly record: AccessRecord; readonly raw: string } | null>;

/** What standard input is called among the inputs. */
const STDIN = '-';

/** Moments are told apart by this part of the recording, so that playing does not explain every frame anew. */
const STEPS = 500;
const FINEST_STEP_MS = 100;
/** So many rows are explained before anybody would have seen that they were counted first. */
const AT_ONCE_ROWS = 10_000;
/** Rows in all remembered moments together. */
const MOST_REMEMBERED_ROWS = 2_000_000;
const MOST_LISTED = 100;

/**
 * Answers what the screen asks about an observation that may still grow. Work on 100,000 lines takes up to a second, so
 * it belongs in a thread of its own.
 */
export class Engine {
  #whole: Moment | undefined;
  #reading: Reading = { done: false, share: 0, lines: 0, inputs: 0, inputsDone: 0, failed: [] };
  #facts: ClusterFacts = NO_FACTS;
  readonly #onsets = new Onsets();
  #moments = new Map<number, Moment>();
  #narrowed: { readonly key: string; readonly moment: Moment; readonly value: Counted } | undefined;
  #raw: { readonly ref: string; readonly value: Awaited<ReturnType<ReadAgain>> } | undefined;

  /** What a live target's cluster says of the incidents; set by whoever asks it. */
  verify: (diagnosis: Diagnosis) => Diagnosis = (diagnosis) => diagnosis;
  /** As the logs alone have it. */
  #fromLogs: Diagnosis | undefined;

  /** @param atOnceRows with fewer rows than these no first answer is given. */
  constructor(
    readonly readAgain: ReadAgain = () => Promise.resolve(null),
    readonly atOnceRows = AT_ONCE_ROWS,
  ) {}

  /** Everything read so far, anew, and what a cluster told beside it. */
  observe(observation: ObservationSnapshot, reading: Reading, facts: ClusterFacts = NO_FACTS): void {
    const whole = momentOf(observation, Infinity, facts);
    const incidents = this.#onsets.kept(whole.diagnosis.incidents, observation.coverage.first);
    const fromLogs = { ...whole.diagnosis, incidents };
    this.#fromLogs = fromLogs;
    this.#whole = { ...whole, diagnosis: this.verify(fromLogs) };
    this.#facts = facts;
    this.#reading = reading;
    this.#moments.clear();
    this.#narrowed = undefined;
  }

  get ready(): boolean {
    return this.#whole !== undefined;
  }

  /** The incident of a row, as the logs alone tell it. */
  incidentOf(row: string): Incident | null {
    const incidents = this.#fromLogs?.incidents ?? [];
    return incidents[incidentKeys(incidents).indexOf(row)] ?? null;
  }

  /** When the next failed request began after a time, or the last one before it; `null`: none. */
  failureBeside(time: number, direction: 1 | -1): number | null {
    let found: number | null = null;
    for (const row of this.#whole?.incidentOf.keys() ?? []) {
      if (
        direction > 0
          ? row.end > time && (found === null || row.end < found)
          : row.end < time && (found === null || row.end > found)
      ) {
        found = row.end;
      }
    }
    return found;
  }

  /** Whose logs would tell more of what a row of the table shows; `null`: of the first one. */
  wanted(key: string | null): readonly Wanted[] {
    const { incidents } = this.#whole?.diagnosis ?? { incidents: [] };
    const index = key === null ? 0 : incidentKeys(incidents).indexOf(key);
    return incidents[index]?.wanted ?? [];
  }

  /** @param goOn called in the midst of long work; what it throws ends the work. */
  async answer(spec: Spec, goOn?: () => void): Promise<Snapshot> {
    const whole = this.#observed();
    const moment = this.#momentAt(whole, spec.now, goOn);
    const counted = this.#counted(whole, moment, spec);
    return {
      ...this.#snapshotOf(whole, moment, spec, counted),
      explained: true,
      pane: await this.#pane(counted.narrowed, spec),
    };
  }

  /**
   * What can be said of a moment at once, where explaining it takes a while: how much failed of what and when, by group.
   * `null`: it need not, `answer` is as quick.
   */
  glance(spec: Spec): Snapshot | null {
    const whole = this.#observed();
    const at = this.#stepOf(whole, spec.now);
    if (at === null || this.#moments.has(at) || whole.rows.length < this.atOnceRows) return null;
    const moment = glanceAt(whole, at);
    const counted = countedOf(narrow(moment, rangeOf(spec, moment), filterOf(spec)), whole);
    return { ...this.#snapshotOf(whole, moment, spec, counted), explained: false, pane: null };
  }

  #observed(): Moment {
    if (!this.#whole) throw new Error('nothing was observed yet');
    return this.#whole;
  }

  #snapshotOf(
    whole: Moment,
    moment: Moment,
    spec: Spec,
    counted: Counted,
  ): Omit<Snapshot, 'explained' | 'pane'> {
    const { coverage } = whole.observation;
    return {
      spec,
      now: spec.now ?? coverage.last,
      first: coverage.first,
      last: lastEnd(whole),
      ahead: whole.rows.length - moment.rows.length,
      reading: this.#reading,
      lines: coverage.lines,
      records: coverage.records,
      foreign: coverage.foreign,
      malformed: coverage.malformed,
      sampled: sampledOf(whole),
      proxies: spansOfLogs(whole.scene).size,
      ...counted.totals,
      timeline: timelineOf(whole, moment, spec),
      markers: markersOf(moment, spec.now),
      rows: counted.rows,
      dismissed: moment.diagnosis.dismissed.map(({ cause, title, count, why }) => ({
        cause,
        title,
        count,
        why,
      })),
    };
  }

  /** The moment by which a time is explained; `null`: by the whole. */
  #stepOf(whole: Moment, now: number | null): number | null {
    const { first } = whole.observation.coverage;
    const end = lastEnd(whole);
    if (now === null || now >= end || !Number.isFinite(first)) return null;
    const step = Math.max(FINEST_STEP_MS, (end - first) / STEPS);
    return first + Math.floor((now - first) / step) * step;
  }

  #momentAt(whole: Moment, now: number | null, goOn?: () => void): Moment {
    const at = this.#stepOf(whole, now);
    if (at === null) return whole;
    const known = this.#moments.get(at);
    if (known) {
      this.#moments.delete(at);
      this.#moments.set(at, known);
      return known;
    }
    const moment = momentOf(whole.observation, at, this.#facts, goOn);
    this.#moments.set(at, moment);
    for (const oldest of this.#moments.keys()) {
      if (this.#moments.size * whole.rows.length <= MOST_REMEMBERED_ROWS || oldest === at) break;
      this.#moments.delete(oldest);
    }
    return moment;
  }

  #counted(whole: Moment, moment: Moment, spec: Spec): Counted {
    const range = rangeOf(spec, moment);
    const key = `${range.join('\n')}\n${spec.filter}`;
    if (this.#narrowed?.key === key && this.#narrowed.moment === moment) return this.#narrowed.value;
    const value = countedOf(narrow(moment, range, filterOf(spec)), whole);
    this.#narrowed = { key, moment, value };
    return value;
  }

  async #pane(narrowed: Narrowed, { pane }: Spec): Promise<Snapshot['pane']> {
    switch (pane.kind) {
      case 'none':
        return null;
      case 'values':
        return valuesPane(narrowed, pane.scope, pane.dimension);
      case 'lines':
        return linesPane(narrowed, pane.scope, pane.all, pane.from, pane.count);
      case 'journey':
        return journeyPane(narrowed, pane.of, pane.columns);
      case 'record': {
        const row = this.#whole?.rows.find((one) => refOf(one) === pane.ref);
        if (!row) return null;
        if (this.#raw?.ref !== pane.ref) {
          const value = row.file === null ? null : await this.readAgain(row.file, row.line);
          this.#raw = { ref: pane.ref, value };
        }
        return recordPane(row, this.#raw.value, this.#facts);
      }
      default:
        return pane satisfies never;
    }
  }
}

const markers = new WeakMap<Moment, readonly Marker[]>();

/** By time, what was changed where something fails; where nothing does, all that concerns who takes part. */
function markersOf(moment: Moment, now: number | null): readonly Marker[] {
  let known = markers.get(moment);
  if (!known) {
    const { scene, diagnosis } = moment;
    const places = diagnosis.incidents.map(({ hypothesis: { cases, at } }) =>
      edgeOf(
        scene,
        cases.flatMap(({ rows }) => rows),
        at,
      ),
    );
    const edges = places.length > 0 ? places : [edgeOf(scene, scene.rows, {})];
    known = scene.facts.changes
      .filter((change) => edges.some((edge) => touches(change, edge)))
      .map(({ at, kind, text }) => ({ at, kind, text }))
      .toSorted((a, b) => a.at - b.at);
    markers.set(moment, known);
  }
  return known.filter(({ at }) => at <= (now ?? Infinity));
}

function filterOf(spec: Spec): Filter | null {
  return spec.filter.trim() === '' ? null : compileFilter(spec.filter);
}

/** The part of the lines that is kept, of those that were not let go for their age. */
function sampledOf({ rows }: Moment): number {
  const lines = rows.reduce((sum, { weight }) => sum + weight, 0);
  return lines === 0 ? 1 : rows.length / lines;
}

const ends = new WeakMap<readonly Row[], number>();

/** When the last line was written: later than the last start. */
function lastEnd({ rows, observation }: Moment): number {
  let end = ends.get(rows);
  if (end === undefined) {
    end = Math.max(most(rows.map((row) => row.end)), observation.coverage.last);
    ends.set(rows, end);
  }
  return end;
}

function rangeOf({ window, now }: Spec, moment: Moment): [number, number] {
  if (window.range) return [...window.range];
  if (window.last === null) return [-Infinity, Infinity];
  const end = Math.min(now ?? Infinity, lastEnd(moment));
  return [end - window.last, Infinity];
}

interface Counted {
  readonly narrowed: Narrowed;
  readonly rows: Snapshot['rows'];
  readonly totals: Pick<
    Snapshot,
    | 'errorsOnly'
    | 'requests'
    | 'failures'
    | 'app4xx'
    | 'byCode'
    | 'ratePerSecond'
    | 'onset'
    | 'upstreams'
    | 'pods'
    | 'streams'
  >;
}

/** Enough lines to expect successes among them, and not one. */
const EXPECT_SUCCESSES = 20;

function countedOf(narrowed: Narrowed, whole: Moment): Counted {
  const { moment, roots } = narrowed;
  const { traffic, coverage } = moment.observation;
  const errorsOnly = traffic.failures >= EXPECT_SUCCESSES && traffic.failures === traffic.requests;
  const rows = tableOf(narrowed, errorsOnly);
  const codes = new Map<string, number>();
  let failures = 0;
  let requests = 0;
  let app4xx = 0;
  for (const row of roots) {
    requests += row.weight;
    if (moment.fateOf(row) !== 'failed') {
      if (row.app4xx) app4xx += row.weight;
      continue;
    }
    failures += row.weight;
    const code = row.code === null || row.code === 0 ? 'no answer' : String(row.code);
    codes.set(code, (codes.get(code) ?? 0) + row.weight);
  }
  const from = Math.max(narrowed.from, coverage.first);
  const to = Math.min(narrowed.to, lastEnd(moment), coverage.last);
  const seconds = Math.max((to - from) / 1000, 1);
  const onsets = rows.filter(({ explanation }) => explanation !== null).map(({ since }) => since);
  return {
    narrowed,
    rows,
    totals: {
      errorsOnly,
      requests,
      failures,
      app4xx,
      byCode: [...codes].toSorted(([, a], [, b]) => b - a).slice(0, 6),
      ratePerSecond: requests / seconds,
      onset: onsets.length === 0 ? null : least(onsets),
      upstreams: trafficBy(narrowed, roots, seconds, (row) => {
        const port = row.cluster?.port;
        const place = moment.scene.placeOf(row);
        return port && !place.includes(':') ? `${place}:${port}` : place;
      }),
      pods: trafficBy(narrowed, moment.rows, seconds, (row) => row.proxy),
      streams: streamsOf(narrowed, whole),
    },
  };
}

interface Sum {
  requests: number;
  failures: number;
  app4xx: number;
  readonly durations: number[];
}

function trafficBy(
  narrowed: Narrowed,
  rows: readonly Row[],
  seconds: number,
  nameOf: (row: Row) => string,
): Traffic[] {
  const { moment } = narrowed;
  const failed = (row: Row): boolean =>
    moment.fateOf(row) === 'failed' || (row.failure && moment.incidentOf.has(row));
  const byName = new Map<string, Sum>();
  for (const row of rows) {
    if (row.tunnel || !narrowed.keeps(row)) continue;
    const name = nameOf(row);
    let sum = byName.get(name);
    if (!sum) byName.set(name, (sum = { requests: 0, failures: 0, app4xx: 0, durations: [] }));
    sum.requests += row.weight;
    if (failed(row)) sum.failures += row.weight;
    else if (row.app4xx) sum.app4xx += row.weight;
    if (row.http && row.code !== 101) sum.durations.push(row.duration);
  }
  return [...byName]
    .map(([name, { requests, failures, app4xx, durations }]): Traffic => ({
      name,
      requests,
      failures,
      app4xx,
      ratePerSecond: requests / seconds,
      medianMs: median(durations),
      maxMs: durations.length === 0 ? null : most(durations),
    }))
    .toSorted((a, b) => b.requests - a.requests || (a.name < b.name ? -1 : 1))
    .slice(0, MOST_LISTED);
}

function streamsOf(narrowed: Narrowed, { observation }: Moment): Stream[] {
  const { inputs } = observation.coverage;
  const followed = new Set(inputs.map(({ pod }) => pod));
  const failing = new Map<string, number>();
  for (const row of narrowed.moment.rows) {
    if (!row.failure || row.tunnel || !narrowed.keeps(row)) continue;
    const key = row.file ?? (row.pod !== null && followed.has(row.pod) ? row.pod : STDIN);
    failing.set(key, (failing.get(key) ?? 0) + row.weight);
  }
  return inputs.map(({ name, pod, format, role, lines, records, malformed, first, last }) => ({
    name: pod ?? name,
    format,
    role,
    lines,
    records,
    malformed,
    failures: failing.get(name) ?? failing.get(pod ?? '') ?? 0,
    first,
    last,
  }));
}

/**
 * What happened when, in cells: outermost lines by their start. Cells up to the moment shown count what was known by then,
 * those after it what the recording still holds.
 */
function timelineOf(whole: Moment, moment: Moment, spec: Spec): Timeline {
  const { cells, window, now } = spec;
  const { first } = whole.observation.coverage;
  const end = lastEnd(whole);
  const [from, to] = window.range ?? [
    window.last === null ? first : Math.max(first, Math.min(now ?? end, end) - window.last),
    window.last === null ? end : Math.min(now ?? end, end),
  ];
  const count = (of: Moment): Cells =>
    cellsOf(narrow(of, rangeOf(spec, whole), filterOf(spec)), from, to, Math.max(1, cells));
  const all = count(whole);
  if (now === null || moment === whole) return { from, to, ...all };
  const known = count(moment);
  const current = Math.floor(((now - from) / Math.max(to - from, 1e-3)) * Math.max(1, cells));
  const joined = (name: keyof Cells): readonly number[] => [
    ...known[name].slice(0, Math.max(0, current + 1)),
    ...all[name].slice(Math.max(0, current + 1)),
  ];
  return { from, to, total: joined('total'), failed: joined('failed'), masked: joined('masked') };
}

type Cells = Pick<Timeline, 'total' | 'failed' | 'masked'>;

function cellsOf({ moment, roots }: Narrowed, from: number, to: number, count: number): Cells {
  const total = Array.from({ length: count }, () => 0);
  const failed = [...total];
  const masked = [...total];
  const width = Math.max((to - from) / count, 1e-3);
  for (const row of roots) {
    // A proxy whose clock was put right may have lines that begin a little before the first that was logged.
    const cell = Math.max(0, Math.min(count - 1, Math.floor((row.start - from) / width)));
    if (Number.isNaN(cell) || row.start > to) continue;
    total[cell]! += row.weight;
    const fate = moment.fateOf(row);
    if (fate !== null) (fate === 'failed' ? failed : masked)[cell]! += row.weight;
  }
  return { total, failed, masked };
}
