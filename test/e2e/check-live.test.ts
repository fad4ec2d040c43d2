import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { savedCluster, type SavedCluster } from '../../src/check/from-files.js';
import { packageRoot } from '../../src/paths.js';
import { kubeconfig } from '../cluster/config.js';
import { forwardingServer, type ForwardingServer } from '../cluster/forwarding-server.js';
import { answersOf } from '../cluster/saved-answers.js';
import { run, scratch, type Ran } from './run.js';

/* The built `meshtail check` against a cluster. */

const { file } = scratch();
const OBJECTS = join(packageRoot, 'samples', 'objects', 'inventory-dr-disable.yaml');
const saved: SavedCluster = savedCluster('objects', [{ name: OBJECTS, text: readFileSync(OBJECTS, 'utf8') }]);
let server: ForwardingServer;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  const answers = await answersOf(saved);
  server = await forwardingServer(answers, undefined, () => 403);
  env = { KUBECONFIG: file('kubeconfig', kubeconfig(server.connection.server.origin)) };
});
afterAll(() => server.close());

const check = (...args: string[]): Promise<Ran> => run(['check', ...args], { env });

describe('check of a cluster', () => {
  it('finds what is wrong, says what it read and what it may not', async () => {
    const { status, stdout, stderr } = await check(
      'service/inventory',
      '-n',
      'stock',
      '-o',
      'json',
      '--fail-on',
      'any',
    );
    expect({ status, stderr }).toEqual({ status: 3, stderr: '' });
    const { read, findings } = JSON.parse(stdout) as {
      read: { cluster: string; objects: number; proxies: string[] };
      findings: { id: string; status: string; read: string }[];
    };
    expect(read).toMatchObject({ objects: saved.objects, proxies: [] });
    expect(read.cluster).toMatch(/^context \S+ \(127\.0\.0\.1:\d+\)$/);
    expect(findings.filter((one) => one.status === 'fail').map(({ id }) => id)).toEqual([
      'destination-rule-tls-conflict',
    ]);
    expect(findings.find(({ id }) => id === 'envoy-listeners')?.read).toBe(
      'cannot get and create pods/portforward: forbidden in stock',
    );
    expect(server.asked.every((one) => one.startsWith('GET '))).toBe(true);
  });

  it('asks where a request would go, and then no proxy', async () => {
    const before = server.asked.length;
    const { stdout } = await check('restock', '-n', 'warehouse', '--host', 'inventory.stock', '--path', '/');
    expect(stdout).toContain('request-route');
    expect(server.asked.slice(before).filter((one) => one.includes('portforward'))).toEqual([]);
  });

  it.each<[string, string[], number, RegExp]>([
    ['a target that is near to one', ['svc/inventry', '-n', 'stock'], 1, /near: inventory/],
    [
      'a target of another namespace',
      ['service/inventory', '-n', 'warehouse'],
      1,
      /in namespace stock \(use -n\)/,
    ],
    ['a namespace without pods', ['-n', 'empty'], 1, /'namespace\/empty' is no workload/],
    ['a kind that is none', ['deplyment/inventory'], 2, /names no kind of workload/],
  ])('%s', async (_, args, expected, said) => {
    const { status, stderr } = await check(...args);
    expect(status).toBe(expected);
    expect(stderr).toMatch(said);
  });

  it('says that there is no way to the cluster', async () => {
    const gone = { KUBECONFIG: file('gone', kubeconfig('http://127.0.0.1:1')) };
    const { status, stderr } = await run(['check', '-n', 'stock'], { env: gone });
    expect(status).toBe(1);
    expect(stderr).toContain('cannot reach the API server http://127.0.0.1:1: connection refused');
  });
});
