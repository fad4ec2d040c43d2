import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { savedCluster } from '../../src/check/from-files.js';
import { ClusterClient } from '../../src/cluster/client.js';
import { LiveChecks } from '../../src/commands/live-checks.js';
import { askCluster, verifiedLive, type Question, type Verdict } from '../../src/commands/verify.js';
import { diagnose } from '../../src/diagnosis/diagnose.js';
import { packageRoot } from '../../src/paths.js';
import { Engine } from '../../src/replay/engine.js';
import { specOf } from '../../src/view/state.js';
import { forwardingServer, type ForwardingServer } from '../cluster/forwarding-server.js';
import { answersOf } from '../cluster/saved-answers.js';
import { logsOf, observed } from '../logs.js';
import { blank } from '../view/player.js';

/* A recorded incident, held against an API server that has its objects. */

const observation = observed(logsOf('inventory-dr-disable')).snapshot();
const OBJECTS = join(packageRoot, 'samples', 'objects', 'inventory-dr-disable.yaml');
const saved = savedCluster('objects', [{ name: OBJECTS, text: readFileSync(OBJECTS, 'utf8') }]);
const READING = { done: false, share: null, lines: 1, inputs: 0, inputsDone: 0, failed: [] };

let server: ForwardingServer;
afterEach(() => server.close());

/** What the objects say, but for kinds that may not be read. */
async function clientOf(forbidden: readonly string[] = []): Promise<ClusterClient> {
  server = await forwardingServer(await answersOf(saved, forbidden));
  return new ClusterClient(server.connection);
}

/** In this thread: the one that the screen has runs on what is built. */
const asked =
  (client: ClusterClient) =>
  async (question: Question): Promise<Verdict> =>
    (await askCluster(client, [question]))[0]!;

describe('a report of a target', () => {
  it('is certain of what the cluster confirms', async () => {
    const { diagnosis } = await verifiedLive(diagnose(observation), await clientOf());
    expect(diagnosis.incidents[0]?.hypothesis).toMatchObject({
      cause: 'destinationrule-tls-conflict',
      confidence: 'certain',
    });
  });

  it('keeps the word of the logs where the right to look is missing, and says which', async () => {
    const { diagnosis, notMade } = await verifiedLive(
      diagnose(observation),
      await clientOf(['/destinationrules', '/peerauthentications']),
    );
    expect(diagnosis.incidents[0]?.hypothesis.confidence).toBe('high');
    expect(notMade).toContain('cannot list peerauthentications.security.istio.io: forbidden');
  });

  it('keeps the word of the logs where the cluster is gone', async () => {
    const client = await clientOf();
    server.close();
    const { diagnosis, notMade } = await verifiedLive(diagnose(observation), client);
    expect(diagnosis.incidents[0]?.hypothesis.confidence).toBe('high');
    expect(notMade[0]).toMatch(/^cannot reach the API server/);
  });
});

describe('the screen of a target', () => {
  const spec = specOf(blank());

  it('shows what the cluster says of the incident that is looked at, in the same row', async () => {
    const client = await clientOf();
    const engine = new Engine();
    engine.observe(observation, READING);
    const before = (await engine.answer(spec)).rows[0]!;
    expect(before.explanation).toMatchObject({ confidence: 'high', checked: [] });
    const told = new Promise<void>((resolve) => {
      const checks = new LiveChecks(asked(client), (row) => engine.incidentOf(row), resolve);
      engine.verify = (diagnosis) => checks.verify(diagnosis);
      checks.want(before.key);
    });
    // Nobody waits for the cluster.
    engine.observe(observation, READING);
    expect((await engine.answer(spec)).rows[0]).toEqual(before);
    await told;
    engine.observe(observation, READING);
    const after = (await engine.answer(spec)).rows[0]!;
    expect(after.key).toBe(before.key);
    expect(after.explanation?.confidence).toBe('certain');
    expect(after.explanation?.checked[0]).toMatchObject({
      effect: 'confirms',
      text: expect.stringContaining('destinationrule-tls-conflict (destination-rule-tls-conflict)') as string,
    });
  });

  it('asks for no row twice, for none that is gone, and says what it may not see', async () => {
    const client = await clientOf(['/destinationrules']);
    const [incident] = diagnose(observation).incidents;
    let rounds = 0;
    const checks: LiveChecks = await new Promise((resolve) => {
      const made = new LiveChecks(
        asked(client),
        (row) => (row === 'a' ? incident! : null),
        () => {
          rounds++;
          resolve(made);
        },
      );
      made.want('gone');
      made.want('a');
    });
    const before = server.asked.length;
    checks.want('a');
    checks.want('gone');
    checks.turn();
    expect([server.asked.length, rounds]).toEqual([before, 1]);
    expect(checks.limits).toContain(
      'not held against the cluster: cannot list destinationrules.networking.istio.io: forbidden',
    );
  });
});
