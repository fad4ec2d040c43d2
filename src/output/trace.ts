import type { ObservationSnapshot } from '../aggregate/observation.js';
import { tellJourney } from '../diagnosis/journey.js';
import { namedJourney } from '../diagnosis/named.js';
import type { Scene } from '../diagnosis/scene.js';
import { spansOfLogs } from '../diagnosis/vantage.js';
import { clock, ofWords, plural, thousands } from '../diagnosis/words.js';
import type { Row } from '../aggregate/rows.js';
import { safeText } from '../record/safe-text.js';
import { journeyObject } from './journey.js';
import { findingLines, journeyHead, journeyLines } from './journey-text.js';
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

export type Trace = ReturnType<typeof traceOf>;

const timeOf = (ms: number): string | null => (Number.isFinite(ms) ? new Date(ms).toISOString() : null);

/** The same for people, at 80 columns. */
export function traceText(trace: Trace): string {
  return `${textLines(trace).map(safeText).join('\n')}\n`;
}

function textLines({ journey, request_id: id, coverage }: Trace): string[] {
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
    return wrap(`No line carries the request id ${id}: ${read} read${when}.`, WIDTH);
  }
  const [what, when] = journeyHead(journey);
  return [
    ...wrap(what, WIDTH),
    `${when}, id ${id}`,
    '',
    ...journeyLines(journey),
    '',
    ...findingLines(journey),
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
