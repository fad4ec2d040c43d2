import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { TransferableConnection } from '../cluster/kubeconfig.js';
import { applyChecks } from '../diagnosis/checked.js';
import type { Diagnosis, Incident } from '../diagnosis/diagnose.js';
import { incidentKeys } from '../replay/table.js';
import { questionOf, type Question, type Verdict } from './verify.js';

/** What a cluster said is asked again after that time, for as long as somebody looks. */
const FRESH_MS = 60_000;

/** Has a thread of its own ask the cluster, one question at a time. It ends with the thread that began it. */
export function askedAside(connection: TransferableConnection): (question: Question) => Promise<Verdict> {
  let worker: Worker | undefined;
  return async (question) => {
    worker ??= new Worker(new URL('./check-engine.js', import.meta.url), { workerData: connection });
    worker.postMessage(question, []);
    const [verdict] = (await once(worker, 'message')) as [Verdict];
    return verdict;
  };
}

/** Holds the incident that is looked at against the cluster, in the background. */
export class LiveChecks {
  #wanted: string | null = null;
  #asking = false;
  readonly #verdicts = new Map<string, Verdict & { readonly at: number }>();
  #limits: readonly string[] = [];

  constructor(
    readonly ask: (question: Question) => Promise<Verdict>,
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
    const known = this.#verdicts.get(row);
    if (known && Date.now() - known.at < FRESH_MS) return;
    const incident = this.incidentOf(row);
    if (incident) void this.#verify(row, incident);
  }

  async #verify(row: string, incident: Incident): Promise<void> {
    this.#asking = true;
    const verdict = await this.ask(questionOf(incident));
    this.#asking = false;
    this.#limits = verdict.notMade.map((reason) => `not held against the cluster: ${reason}`);
    this.#verdicts.set(row, { ...verdict, at: Date.now() });
    this.changed();
    this.turn();
  }

  /** The incidents with what the cluster said of those that were looked at. */
  verify(diagnosis: Diagnosis): Diagnosis {
    const keys = incidentKeys(diagnosis.incidents);
    const incidents = diagnosis.incidents.flatMap((incident, i) => {
      const verdict = this.#verdicts.get(keys[i]!);
      return verdict ? applyChecks([incident], verdict.findings) : [incident];
    });
    return { ...diagnosis, incidents };
  }
}
