import type { Row } from '../aggregate/row.js';
import { exampleJourney, tellJourney, type Told } from '../diagnosis/journey.js';
import { journeyObject } from '../output/journey.js';
import { FINDING_LABELS, journeyHead, journeyRows, sawWords } from '../output/journey-text.js';
import type { JourneyOf, PaneData } from '../view/snapshot.js';
import type { Narrowed } from './narrowed.js';
import { failingOf, refOf } from './panes.js';

/** A request through every proxy that logged it by the moment shown; `null` where none did. */
export function journeyPane(
  narrowed: Narrowed,
  of: JourneyOf,
  columns: number,
): Extract<PaneData, { kind: 'journey' }> | null {
  const told = toldOf(narrowed, of);
  if (!told) return null;
  const journey = journeyObject(told);
  const [what, when] = journeyHead(journey);
  const rows = journeyRows(journey, columns);
  const { spans, leftOut } = told.journey;
  const firstOf = (proxy: string): Row => (spans.find(({ row }) => row.proxy === proxy) ?? spans[0]!).row;
  return {
    kind: 'journey',
    of,
    what,
    when,
    requestId: journey.request_id,
    hops: spans.map(({ row }, i) => ({
      ref: refOf(row),
      ...rows[i]!,
      saw: sawWords(journey.spans[i]!),
      failure: row.failure,
      decided: row === told.decider,
    })),
    leftOut,
    findings: told.findings.map(({ kind, proxy, text }) => ({
      label: FINDING_LABELS[kind],
      text,
      ref: refOf(firstOf(proxy)),
    })),
  };
}

function toldOf(narrowed: Narrowed, of: JourneyOf): Told | null {
  const { moment } = narrowed;
  if ('ref' in of) {
    const row = moment.rows.find((one) => refOf(one) === of.ref);
    return row ? tellJourney(moment.scene, [row]) : null;
  }
  const { cases, rows } = failingOf(narrowed, of.row);
  const some = cases ?? rows.flatMap((row) => moment.caseOf.get(moment.scene.joins.rootOf(row)) ?? []);
  return exampleJourney(moment.scene, some);
}
