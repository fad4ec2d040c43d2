import { meets, type Options } from '../cli/options.js';
import type { ObservationSnapshot } from '../aggregate/observation.js';
import type { SavedCluster } from '../check/from-files.js';
import type { ClusterClient } from '../cluster/client.js';
import { toBeLookedUp } from '../diagnosis/connections.js';
import { diagnose, type Diagnosis } from '../diagnosis/diagnose.js';
import { listed } from '../diagnosis/words.js';
import { ExitStatus } from '../errors.js';
import { reportText } from '../output/report-text.js';
import { reportOf, type Report } from '../output/report.js';
import { version } from '../paths.js';
import type { Source } from '../source/source.js';
import type { Environment } from './environment.js';
import { inputWords, readingOf, reportFailed } from './inputs.js';
import { readInputs } from './read-inputs.js';

/** `meshtail report`: reads everything, then says what it found. Returns the exit status. */
export async function report(
  args: readonly string[],
  options: Options,
  environment: Environment,
  /** Saved objects of the cluster, to hold the incidents against. */
  from: readonly string[] = [],
): Promise<number> {
  const reading = await readingOf(options, environment);
  const {
    observation,
    failed: broken,
    told,
    gaps,
    files,
    client,
    live,
  } = await readInputs(args, options, reading, environment);
  const saved =
    from.length === 0
      ? { cluster: null, failed: [] }
      : await (await import('./check.js')).savedObjects(from, environment);
  const failed = [...broken, ...saved.failed];
  const worldStatus = reportFailed(failed, environment, told);
  if (observation === null) return worldStatus;

  const snapshot = await lookedUp(observation.snapshot(), files);
  const { filter } = options;
  const diagnosed = (): Diagnosis => diagnose(snapshot, undefined, live?.facts);
  await live?.settled(diagnosed);
  for (const limit of live?.mesh.limits ?? []) environment.warn(limit);
  const whole = await held(diagnosed(), saved.cluster, client, environment);
  // Who is to act is known only now.
  const diagnosis = filter?.asksWho
    ? { ...whole, incidents: whole.incidents.filter(({ verdict }) => filter.admits(verdict)) }
    : whole;
  environment.log.debug(
    {
      records: snapshot.coverage.records,
      rows: snapshot.rows.rows.length,
      incidents: diagnosis.incidents.length,
    },
    'diagnosed',
  );
  const result = reportOf(snapshot, diagnosis, version, gaps, live?.facts);
  environment.stdout.write(await faceOf(result, options.output, inputWords(args, options)));
  if (snapshot.coverage.binary && snapshot.coverage.records === 0) {
    environment.warn('the input looks binary; name a text log, or a gzip of one');
  }
  if (worldStatus !== ExitStatus.ok) return worldStatus;
  if (snapshot.coverage.records === 0) return ExitStatus.noAccessLine;
  return meets(options.failOn, result.incidents) ? ExitStatus.failOn : ExitStatus.ok;
}

/** With what the kept lines do not tell, and their files do. */
async function lookedUp(
  snapshot: ObservationSnapshot,
  files: readonly Source[],
): Promise<ObservationSnapshot> {
  const asked = toBeLookedUp(snapshot.rows);
  if (asked.length === 0) return snapshot;
  const { idleTimes } = await import('../bulk/look-back.js');
  return { ...snapshot, rows: { ...snapshot.rows, idleTimes: idleTimes(asked, files) } };
}

const SHOWN_REASONS = 4;

/** The incidents, held against the cluster: saved objects of it where some were given, else itself, where it was read. */
async function held(
  diagnosis: Diagnosis,
  saved: SavedCluster | null,
  client: ClusterClient | null,
  environment: Environment,
): Promise<Diagnosis> {
  if (diagnosis.incidents.length === 0 || (saved === null && client === null)) return diagnosis;
  const { verified, verifiedLive } = await import('./verify.js');
  if (saved !== null) return verified(diagnosis, await (await import('./check.js')).wholeWorldOf(saved));
  const { diagnosis: checked, notMade } = await verifiedLive(diagnosis, client!);
  if (notMade.length > 0)
    environment.warn(`some causes are not held against the cluster: ${listed(notMade, SHOWN_REASONS)}`);
  return checked;
}

async function faceOf(result: Report, output: string, inputs: string | null): Promise<string> {
  switch (output) {
    case 'json':
      return `${JSON.stringify(result, null, 2)}\n`;
    case 'markdown': {
      const { reportMarkdown } = await import('../output/report-markdown.js');
      return reportMarkdown(result);
    }
    default:
      return reportText(result, inputs);
  }
}
