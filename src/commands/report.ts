import { meets, type Options } from '../cli/options.js';
import { diagnose } from '../diagnosis/diagnose.js';
import { ExitStatus } from '../errors.js';
import { reportMarkdown } from '../output/report-markdown.js';
import { reportText } from '../output/report-text.js';
import { reportOf, type Report } from '../output/report.js';
import { version } from '../paths.js';
import type { Environment } from './environment.js';
import { readingOf, reportFailed } from './inputs.js';
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
  const { observation, failed: broken, gaps } = await readInputs(args, options, reading, environment);
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
  environment.stdout.write(faceOf(result, options.output));
  if (snapshot.coverage.binary && snapshot.coverage.records === 0) {
    environment.warn('the input looks binary; name a text log, or a gzip of one');
  }
  if (worldStatus !== ExitStatus.ok) return worldStatus;
  if (snapshot.coverage.records === 0) return ExitStatus.noAccessLine;
  return meets(options.failOn, result.incidents) ? ExitStatus.failOn : ExitStatus.ok;
}

function faceOf(result: Report, output: string): string {
  switch (output) {
    case 'json':
      return `${JSON.stringify(result, null, 2)}\n`;
    case 'markdown':
      return reportMarkdown(result);
    default:
      return reportText(result);
  }
}
