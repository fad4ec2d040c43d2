import type { Case } from '../../aggregate/joins.js';
import type { Kind, Row } from '../../aggregate/row.js';
import type { Cause } from '../cause.js';
import type { Confidence, Fault, Hypothesis, NextStep, Severity, Verdict } from '../hypothesis.js';
import { claim, studies, type Study } from '../study.js';
import type { Scene } from '../scene.js';
import { distinct } from '../stats.js';

/**
 * A cause that the deciding line itself names: its details or flag belong to one mechanism. What is left to say is who
 * is concerned, since when, and what speaks against it.
 */
export interface ReplyCause extends Omit<Cause, 'judge'> {
  matches(kind: Kind): boolean;
  /** Of a line whose kind matches: whether it fits itself. */
  fits?(row: Row, one: Case): boolean;
  /** How failing lines fall into places; the default is service and port. */
  keyOf?(row: Row, scene: Scene): string;
  /** `null` where the study as a whole does not fit after all. */
  tell(study: Study): Telling | null;
}

export interface Telling {
  readonly title: string;
  readonly story: string;
  readonly confidence?: Confidence;
  readonly why?: string;
  readonly at?: Fault;
  readonly severity?: Severity;
  readonly verdict?: Verdict;
  readonly evidence?: Hypothesis['evidence'];
  readonly against?: Hypothesis['against'];
  readonly next: readonly NextStep[];
  readonly fix: readonly string[];
}

export function replyCause({ matches, fits, keyOf, tell, ...cause }: ReplyCause): Cause {
  return {
    ...cause,
    judge: (scene) =>
      studies(scene, matches, { fits, ...(keyOf && { keyOf: (row: Row) => keyOf(row, scene) }) }).flatMap(
        (study) => {
          const telling = tell(study);
          if (!telling) return [];
          const details = study.sample.details || study.sample.flags.join(',') || String(study.sample.code);
          return [
            claim(study, {
              cause: cause.id,
              confidence: 'high',
              why: 'the proxy that made the reply names the reason itself',
              ...telling,
              at: { services: placesOf(study), ...whoRefused(study), ...telling.at },
              evidence: [
                ...(telling.evidence ?? [
                  study.fact(
                    `requests to ${study.place} in that time that ended with ${shown(details)}`,
                    study.rows,
                    study.during,
                  ),
                ]),
                ...study.contrast('caller', (row) => row.peer),
                ...study.contrast('path', (row) => row.pathTemplate),
              ],
            }),
          ];
        },
      ),
  };
}

/** A request that never got a cluster or a host name stands for what its proxy serves. */
function placesOf(study: Study): readonly string[] {
  const { sample, scene } = study;
  if (sample.cluster || sample.authority) return [study.place];
  const served = study.proxies
    .flatMap((proxy) => scene.linesOfProxy(proxy))
    .filter((row) => row.cluster?.service || row.direction === 'inbound');
  const places = distinct(served, (row) => scene.placeOf(row));
  return places.length === 1 ? places : [];
}

/** The proxies that made the reply, where they are few. */
function whoRefused(study: Study): Fault {
  const made = study.rows.every((row) => row.answeredBy === 'proxy');
  return made && study.proxies.length <= MOST_PROXIES ? { pods: study.proxies } : {};
}

const MOST_PROXIES = 4;
const LONGEST = 70;
const shown = (details: string): string =>
  details.length > LONGEST ? `${details.slice(0, LONGEST)}…` : details;
