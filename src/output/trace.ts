import type { ObservationSnapshot } from '../aggregate/observation.js';
import { tellJourney } from '../diagnosis/journey.js';
import { namedJourney } from '../diagnosis/named.js';
import type { Scene } from '../diagnosis/scene.js';
import { spansOfLogs } from '../diagnosis/vantage.js';
import { clock, ofWords, plural, thousands } from '../diagnosis/words.js';
import type { Row } from '../aggregate/row.js';
import { isAddress } from '../record/address.js';
import { safeText } from '../record/safe-text.js';
import { journeyObject } from './journey.js';
import { findingLines, journeyHead, journeyLines, sawLines } from './journey-text.js';
import { labelled, wrap, WIDTH } from './layout.js';

export const TRACE_SCHEMA = 'meshtail.trace/1';

/** What `trace` prints: the journey of some lines, and what the given logs could have seen of it. */
export function traceOf(
  observation: ObservationSnapshot,
  scene: Scene,
  id: string,
  rows: readonly Row[],
  version: string,
) {
  const { coverage } = observation;
  return {
    schema: TRACE_SCHEMA,
    version,
    request_id: id,
    lines: rows.length,
    journey: rows.length === 0 ? null : journeyObject(namedJourney(tellJourney(scene, rows), scene.facts)),
    near: rows.length === 0 ? nearIds(observation.rows.rows, id) : [],
    coverage: {
      lines: coverage.lines,
      records: coverage.records,
      inputs: coverage.inputs.length,
      kept: observation.rows.rows.length,
      repeated: observation.rows.repeated,
      shared_ids: scene.joins.leftOut.sharedIds,
      logs: [...spansOfLogs(scene)].map(([proxy, { first, last }]) => ({
        proxy,
        first: timeOf(first),
        last: timeOf(last),
        clock_ahead_ms: scene.clocks.aheadOf(proxy),
      })),
    },
  };
}

/** Ids shown in the place of one that is not there. */
const MOST_NEAR = 3;
/** So many equal characters at the beginning are no chance: an id that was cut, or mistyped further on. */
const SAME_BEGINNING = 6;
const MOST_MISTYPED = 4;

/** The ids that begin like one that no line carries, or differ from it in a few places; nearest first. */
function nearIds(rows: readonly Row[], id: string): readonly string[] {
  const wanted = id.trim().toLowerCase();
  const found = new Map<string, number>();
  for (const { requestId } of rows) {
    if (requestId === null || found.has(requestId)) continue;
    const likeness = alike(wanted, requestId.toLowerCase());
    if (likeness > 0) found.set(requestId, likeness);
  }
  return [...found]
    .toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, MOST_NEAR)
    .map(([other]) => other);
}

/** Equal characters of two ids, where these are enough to mean something; else 0. */
function alike(wanted: string, other: string): number {
  let beginning = 0;
  while (beginning < wanted.length && wanted[beginning] === other[beginning]) beginning++;
  let equal = 0;
  for (let i = 0; i < wanted.length; i++) if (wanted[i] === other[i]) equal++;
  const nearlyWhole = wanted.length === other.length && equal >= wanted.length - MOST_MISTYPED;
  return beginning >= SAME_BEGINNING || nearlyWhole ? equal : 0;
}

export type Trace = ReturnType<typeof traceOf>;

const timeOf = (ms: number): string | null => (Number.isFinite(ms) ? new Date(ms).toISOString() : null);

/** What to try where no line is found. */
function whatNext(id: string, near: Trace['near'], coverage: Trace['coverage']): string[] {
  if (near.length > 0) return ['', ...near.flatMap((other, i) => labelled(i === 0 ? 'near' : '', other))];
  if (!isAddress(id)) {
    return wrap(
      'Logs of another time or of other proxies may hold it; a proxy at the edge may have given the request another id. ' +
        'A connection without an id is found by an address with its port, as in meshtail trace 10.0.0.7:41234 FILE…',
      WIDTH,
    );
  }
  const kept = `${ofWords(coverage.kept, coverage.records)} records were kept to look in. `;
  return wrap(
    (coverage.kept < coverage.records ? kept : '') +
      'It is looked for as the caller’s own address and port: upstream_local_address on its side, downstream_remote_address on the other.',
    WIDTH,
  );
}

/** The same for people, at 80 columns. */
export function traceText(trace: Trace): string {
  return `${textLines(trace).map(safeText).join('\n')}\n`;
}

function textLines({ journey, request_id: id, near, coverage }: Trace): string[] {
  const read = `${plural(coverage.records, 'record')} of ${plural(coverage.inputs, 'log')}`;
  if (!journey) {
    const [first] = coverage.logs
      .map((log) => log.first)
      .filter((at) => at !== null)
      .toSorted();
    const last = coverage.logs
      .map((log) => log.last)
      .filter((at) => at !== null)
      .toSorted()
      .at(-1);
    const when = first && last ? `, ${clock(Date.parse(first))} to ${clock(Date.parse(last))}` : '';
    const what = isAddress(id) ? `is of a connection from ${id}` : `carries the request id ${id}`;
    return [...wrap(`No line ${what}: ${read} read${when}.`, WIDTH), ...whatNext(id, near, coverage)];
  }
  const [what, when] = journeyHead(journey);
  return [
    ...wrap(what, WIDTH),
    `${when}, ${isAddress(id) ? 'connection from' : 'id'} ${id}`,
    '',
    ...journeyLines(journey),
    '',
    ...findingLines(journey),
    ...sawLines(journey),
    ...(coverage.kept + coverage.repeated < coverage.records
      ? labelled(
          'read',
          `${read}; ${ofWords(coverage.kept, coverage.records)} kept, those of this request all`,
        )
      : labelled(
          'read',
          `${read}${coverage.shared_ids > 0 ? `; ${thousands(coverage.shared_ids)} ids on too many lines to be joined` : ''}`,
        )),
  ];
}
