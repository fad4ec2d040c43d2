import { Observation } from '../aggregate/observation.js';
import { meets, type Options } from '../cli/options.js';
import { diagnose } from '../diagnosis/diagnose.js';
import { ExitStatus, type MeshtailError } from '../errors.js';
import { within } from '../filter/within.js';
import { reportText } from '../output/report-text.js';
import { reportOf, type ReportGap } from '../output/report.js';
import { version } from '../paths.js';
import { count, observe, parseTogether, type Reading } from '../pipeline.js';
import type { Source } from '../source/source.js';
import type { Environment } from './environment.js';
import { inputsOf, readingOf, reportFailed } from './inputs.js';
import { accessLoggingOff, asksCluster, narrate, openLive } from './live.js';

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
    gaps,
  } = asksCluster(args, options, environment)
    ? await observeCluster(args, options, reading, environment)
    : await observeFiles(args, options, reading, environment);
  const checked = from.length === 0 ? null : await import('./check.js');
  const objects = checked ? await checked.savedObjects(from, environment) : { cluster: null, failed: [] };
  const failed = [...broken, ...objects.failed];
  const worldStatus = reportFailed(failed, environment);
  if (observation === null) return worldStatus;

  const snapshot = observation.snapshot();
  const { filter } = options;
  const fromLogs = diagnose(snapshot);
  const whole =
    checked && objects.cluster
      ? (await import('./verify.js')).verified(fromLogs, await checked.wholeWorldOf(objects.cluster))
      : fromLogs;
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
  const result = reportOf(snapshot, diagnosis, version, gaps);
  environment.stdout.write(
    options.output === 'json' ? `${JSON.stringify(result, null, 2)}\n` : reportText(result),
  );
  if (snapshot.coverage.binary && snapshot.coverage.records === 0) {
    environment.warn('the input looks binary; name a text log, or a gzip of one');
  }
  if (worldStatus !== ExitStatus.ok) return worldStatus;
  if (snapshot.coverage.records === 0) return ExitStatus.noAccessLine;
  return meets(options.failOn, result.incidents) ? ExitStatus.failOn : ExitStatus.ok;
}

interface Read {
  /** `null`: there was nothing to read. */
  readonly observation: Observation | null;
  readonly failed: readonly MeshtailError[];
  readonly gaps: readonly ReportGap[];
}

async function observeFiles(
  args: readonly string[],
  options: Options,
  reading: Reading,
  environment: Environment,
): Promise<Read> {
  const { sources, failed: missing } = await inputsOf(args, environment);
  environment.log.debug({ inputs: sources.map(({ name }) => name) }, 'reading');
  const { observation, failed: broken } = await observe(
    sources,
    reading,
    within(options.filter, options.since, options.until),
  );
  const failed = [...missing, ...broken];
  return {
    observation: sources.length === 0 ? null : observation,
    failed,
    gaps: failed.map(({ message }) => ({ origin: message.split(':')[0] ?? '', reason: message })),
  };
}

/** What the cluster holds of a target's logs; with `-f` until the run is told to stop. */
async function observeCluster(
  args: readonly string[],
  options: Options,
  reading: Reading,
  environment: Environment,
): Promise<Read> {
  const session = await openLive(args, options, false, environment);
  const observation = new Observation();
  const filter = within(options.filter, null, options.until);
  const failed: MeshtailError[] = [];
  let lines = 0;
  let records = 0;
  const told = narrate(session, environment, () => ({ lines, records }));
  await parseTogether(
    opened(session.sources(), observation),
    reading,
    (parsed) => {
      lines++;
      if (parsed.result === 'record') records++;
      count(observation, parsed, filter);
    },
    () => undefined,
    (error) => failed.push(error),
  );
  told.stop();
  const { gaps, refused } = session.status();
  if (records === 0 && lines > 0) environment.warn(accessLoggingOff(session));
  return { observation, failed: [...failed, ...refused], gaps };
}

async function* opened(sources: AsyncIterable<Source>, observation: Observation): AsyncIterable<Source> {
  for await (const source of sources) {
    observation.open(source.name, source.origin);
    yield source;
  }
}
