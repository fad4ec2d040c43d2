import type { World } from '../check/world.js';
import { ApiError, type ClusterClient } from '../cluster/client.js';
import type { Diagnosis, Incident } from '../diagnosis/diagnose.js';
import { MeshtailError } from '../errors.js';
import { incidentKeys } from '../replay/table.js';
import { notMade, verified, worldFor } from './verify.js';

/** What a cluster said is asked again after that time, for as long as somebody looks. */
const FRESH_MS = 60_000;

/** Of one incident: the cluster as it was then; `null`: it could not be read. */
interface Answer {
  readonly world: World | null;
  readonly at: number;
}

/** Holds the incident that is looked at against the cluster, in the background, one at a time. */
export class LiveChecks {
  #wanted: string | null = null;
  #asking = false;
  readonly #answers = new Map<string, Answer>();
  #limits: readonly string[] = [];

  constructor(
    readonly client: ClusterClient,
    /** The incident of a row as the logs alone tell it; `null`: it is gone. */
    readonly incidentOf: (row: string) => Incident | null,
    /** There is more to tell. */
    readonly changed: () => void,
  ) {}

  /** What could not be checked of the incident that was asked about last, and why, a sentence each. */
  get limits(): readonly string[] {
    return this.#limits;
  }

  want(row: string): void {
    this.#wanted = row;
    this.turn();
  }

  /** To be called now and then. */
  turn(): void {
    const row = this.#wanted;
    if (row === null || this.#asking) return;
    const known = this.#answers.get(row);
    if (known && Date.now() - known.at < FRESH_MS) return;
    const incident = this.incidentOf(row);
    if (incident) void this.#ask(row, incident);
  }

  async #ask(row: string, incident: Incident): Promise<void> {
    this.#asking = true;
    let world: World | null = null;
    try {
      world = await worldFor([incident], this.client);
      this.#limits = notMade(world, [incident]).map((reason) => `not held against the cluster: ${reason}`);
    } catch (error) {
      if (!(error instanceof MeshtailError || error instanceof ApiError)) throw error;
      this.#limits = [`not held against the cluster: ${error.message}`];
    } finally {
      this.#asking = false;
    }
    // What an older world says is kept in memory for nobody.
    for (const [other, { at }] of this.#answers) if (Date.now() - at > FRESH_MS) this.#answers.delete(other);
    this.#answers.set(row, { world, at: Date.now() });
    this.changed();
    this.turn();
  }

  /** The incidents with what the cluster said of those that were looked at. */
  verify(diagnosis: Diagnosis): Diagnosis {
    const keys = incidentKeys(diagnosis.incidents);
    const incidents = diagnosis.incidents.flatMap((incident, i) => {
      const world = this.#answers.get(keys[i]!)?.world;
      return world ? verified({ ...diagnosis, incidents: [incident] }, world).incidents : [incident];
    });
    return { ...diagnosis, incidents };
  }
}
