import type { Incident } from '../diagnosis/diagnose.js';
import { incidentKeys } from './table.js';

type Onset = Pick<Incident, 'onset' | 'onsetRange' | 'beganBeforeInput' | 'changes'>;

/**
 * When incidents began that last for longer than their lines are kept. One that is over, and comes again, has an onset of
 * its own.
 */
export class Onsets {
  #known = new Map<string, Onset>();
  #first = Infinity;

  /** @param first of the lines that are kept, ms since the epoch. */
  kept(incidents: readonly Incident[], first: number): readonly Incident[] {
    this.#first = Math.min(this.#first, first);
    const hasForgotten = first > this.#first;
    const keys = incidentKeys(incidents);
    const told = incidents.map((incident, i): Incident => {
      const known = this.#known.get(keys[i]!);
      if (!hasForgotten || !known || !incident.beganBeforeInput || known.onset >= incident.onset)
        return incident;
      const { changes, ...onset } = known;
      return { ...incident, ...onset, ...(changes && { changes }) };
    });
    this.#known = new Map(
      told.map(({ onset, onsetRange, beganBeforeInput, changes }, i) => [
        keys[i]!,
        { onset, onsetRange, beganBeforeInput, ...(changes && { changes }) },
      ]),
    );
    return told;
  }
}
