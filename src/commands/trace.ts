import type { Row } from '../aggregate/row.js';
import type { Options } from '../cli/options.js';
import { sceneOf } from '../diagnosis/scene.js';
import { ExitStatus, usageError } from '../errors.js';
import { traceOf, traceText } from '../output/trace.js';
import { version } from '../paths.js';
import { isAddress } from '../record/address.js';
import { maskedRequestId } from '../record/request-id.js';
import type { Environment } from './environment.js';
import { readingOf, reportFailed } from './inputs.js';
import { readInputs } from './read-inputs.js';

/** `meshtail trace`: one request through every proxy that logged it. Inputs are those of `report`. Returns the exit status. */
export async function trace(
  [id, ...inputs]: readonly string[],
  options: Options,
  environment: Environment,
): Promise<number> {
  if (id === undefined || id.trim() === '' || id === '-') {
    throw usageError(
      'no request id',
      'meshtail report FILE… draws an example journey of each incident, with its id',
    );
  }
  const reading = await readingOf(options, environment);
  const { observation, failed, told, live } = await readInputs(inputs, options, reading, environment, id);
  const worldStatus = reportFailed(failed, environment, told);
  if (observation === null) return worldStatus;

  const snapshot = observation.snapshot();
  const rows = snapshot.rows.rows.filter(isAddress(id) ? ofConnection(id) : ofRequest(id));
  const traced = (): ReturnType<typeof traceOf> =>
    traceOf(snapshot, sceneOf(snapshot, live?.facts), id, rows, version);
  await live?.settled(traced);
  const result = traced();
  environment.stdout.write(
    options.output === 'json' ? `${JSON.stringify(result, null, 2)}\n` : traceText(result),
  );
  if (worldStatus !== ExitStatus.ok) return worldStatus;
  if (snapshot.coverage.records === 0) return ExitStatus.noAccessLine;
  return rows.length === 0 ? ExitStatus.world : ExitStatus.ok;
}

const ofRequest = (id: string): ((row: Row) => boolean) => {
  const wanted = maskedRequestId(id);
  return ({ requestId }) => requestId !== null && maskedRequestId(requestId) === wanted;
};

/** Both ends of a caller's connection: its address and port stand in the lines of both. */
const ofConnection =
  (address: string): ((row: Row) => boolean) =>
  ({ upstreamLocal, downstreamRemote }) =>
    upstreamLocal === address || downstreamRemote === address;
