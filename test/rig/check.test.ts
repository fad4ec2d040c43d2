import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { CheckResult } from '../../src/output/check.js';
import { packageRoot } from '../../src/paths.js';
import { addresses, kubectl, logFile, meshtail, podsOf, startMesh } from './rig.js';

/* `check` and `report` of a target against a real API server, whose sample world has faults planted in it. */

const checked = async (user: string, ...args: string[]): Promise<CheckResult> =>
  JSON.parse(await meshtail(user, 'check', '-o', 'json', ...args)) as CheckResult;

/** `id Kind namespace/name`, pods without what differs from run to run. */
const troubles = ({ findings }: CheckResult): string[] =>
  findings
    .filter(({ status }) => status === 'fail' || status === 'warn')
    .map(({ id, object }) => `${id} ${object!.kind} ${object!.namespace}/${object!.name}`)
    .map((text) => text.replace(/-[a-z0-9]{8,10}-[a-z0-9]{5}$/, ''))
    .toSorted();

/** What is wrong with the sample world, by its own README and the annotations of its objects. */
const PLANTED = [
  'authorization-principal-unknown AuthorizationPolicy shop/ledger-allow-payments',
  'backend-port-unknown HTTPRoute shop/reviews',
  'connection-pool-of-one DestinationRule shop/ledger',
  'destination-rule-same-host DestinationRule shop/ledger-again',
  'destination-rule-tls-conflict DestinationRule shop/ledger',
  'gateway-without-route Gateway istio-system/lonely',
  'injection-opted-out Deployment shop/mailer',
  'port-protocol-undeclared Service shop/risk',
  'proxy-not-ready Pod shop/risk',
  'route-rule-never-reached VirtualService shop/payments',
  'route-subset-undefined VirtualService shop/reviews',
  'route-without-catch-all VirtualService shop/payments',
  'service-selects-no-pod Service shop/empty',
  'service-without-ready-endpoint Service shop/risk',
  'sidecar-missing Pod shop/forgotten',
  'target-port-not-declared Service shop/payments-db',
];

const KINDS = 'virtualservices,destinationrules,gateways.networking.istio.io,httproutes';

let servers: Server[] = [];
afterEach(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  servers = [];
});

/** Answers where the rig's forwarded ports lead. */
async function serve(address: string, pages: (path: string) => unknown): Promise<string[]> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const page = pages(request.url!.split('?')[0]!);
    if (page === undefined) response.writeHead(404).end();
    else response.end(JSON.stringify(page));
  });
  servers.push(server);
  const [host, port] = address.split(':');
  await new Promise<void>((resolve) => server.listen(Number(port), host, resolve));
  return asked;
}

describe('check', () => {
  it('finds each fault that was planted, and nothing else', async () => {
    const found = troubles(await checked('admin', '-A'));
    expect(found).toEqual(PLANTED);
    const { items } = JSON.parse(kubectl('get', KINDS, '-A', '-o', 'json')) as {
      items: {
        kind: string;
        metadata: { name: string; namespace: string; annotations?: Record<string, string> };
      }[];
    };
    const faulty = items.filter(({ metadata }) => metadata.annotations?.['rig.meshtail.test/fault']);
    expect(faulty.length).toBeGreaterThan(4);
    for (const { kind, metadata } of faulty) {
      expect(found.join('\n')).toContain(`${kind} ${metadata.namespace}/${metadata.name}`);
    }
  });

  it('keeps to a namespace, and to a workload', async () => {
    const inShop = PLANTED.filter((text) => text.includes(' shop/'));
    expect(troubles(await checked('admin', '-n', 'shop'))).toEqual(inShop);
    expect(troubles(await checked('admin', 'deployment/payments', '-n', 'shop'))).toEqual(
      PLANTED.filter((text) => text.includes('VirtualService shop/payments')),
    );
  });

  it('asks where a request would go', async () => {
    const { findings } = await checked(
      'admin',
      'deployment/web',
      '-n',
      'shop',
      '--host',
      'payments',
      '--path',
      '/v2',
    );
    expect(findings.map(({ read }) => read).join()).toContain('no rule takes it');
  });

  it('says of every check that a right is missing for which', async () => {
    const { findings, totals } = await checked('limited', 'deployment/payments', '-n', 'shop');
    const unknown = new Map(
      findings.filter(({ status }) => status === 'unknown').map(({ id, read }) => [id, read]),
    );
    expect(unknown.get('injection')).toBe('cannot list namespaces: forbidden');
    expect(unknown.get('destination-rules')).toContain(
      'cannot list peerauthentications.security.istio.io: forbidden',
    );
    expect(unknown.get('envoy-listeners')).toBe('cannot get and create pods/portforward: forbidden in shop');
    expect([totals.fail, totals.warn]).toEqual([0, 0]);
    expect(totals.ok).toBeGreaterThan(0);
  });

  it('needs the rights that its documentation lists, and no more', async () => {
    const [, role] = /```yaml\n([\s\S]*?)```/.exec(
      readFileSync(join(packageRoot, 'docs', 'check.md'), 'utf8'),
    )!;
    const file = join(mkdtempSync(join(tmpdir(), 'meshtail-rig-')), 'role.yaml');
    writeFileSync(file, role!);
    kubectl('apply', '-f', file);
    kubectl(
      'create',
      'clusterrolebinding',
      'meshtail-check',
      '--clusterrole=meshtail-check',
      '--user=nothing',
    );
    try {
      const result = await checked('nothing', '-A');
      expect(troubles(result)).toEqual(PLANTED);
      expect(result.findings.filter(({ read }) => /forbidden/.test(read))).toEqual([]);
    } finally {
      kubectl('delete', 'clusterrolebinding', 'meshtail-check');
    }
  });

  it('says that istiod and proxies do not answer', async () => {
    const { findings } = await checked('admin', 'deployment/payments', '-n', 'shop');
    const read = (id: string): string => findings.find((one) => one.id === id)!.read;
    expect(read('config-sync')).toMatch(/^cannot get \/debug\/syncz of istiod-\S+: .*connection refused/);
    expect(read('envoy-endpoints')).toMatch(
      /^cannot get the Envoy admin interface of payments-\S+: .*connection refused/,
    );
  });

  it('reads every istiod and Envoy through forwarded ports, and changes nothing', async () => {
    const { envoy, istiod } = addresses();
    const pods = podsOf('payments').map(({ name }) => name);
    const synced = pods.slice(1).map((pod) => ({
      proxy: `${pod}.shop`,
      cluster_id: 'Kubernetes',
      cluster_sent: 'a',
      cluster_acked: 'a',
    }));
    const sync = await serve(istiod, (path) => (path === '/debug/syncz' ? synced : undefined));
    const host = (address: string, ejected: boolean): object => ({
      address: { socket_address: { address, port_value: 8080 } },
      health_status: { eds_health_status: 'HEALTHY', failed_outlier_check: ejected },
    });
    const ips = kubectl('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].status.podIP}').split(' ');
    const asked = await serve(envoy, (path) =>
      path === '/server_info'
        ? { version: 'a/1.36.2/Clean', state: 'LIVE', command_line_options: {} }
        : path === '/clusters'
          ? {
              cluster_statuses: [
                {
                  name: 'outbound|8080||web.shop.svc.cluster.local',
                  host_statuses: [host(ips[0]!, true), host(ips[1]!, false), host('10.9.9.9', false)],
                },
              ],
            }
          : undefined,
    );
    const result = await checked('admin', 'deployment/payments', '-n', 'shop');
    expect(troubles(result)).toEqual([
      'envoy-endpoint-ejected Pod shop/payments',
      'envoy-endpoint-stale Pod shop/payments',
      'proxy-not-connected Pod shop/payments',
      ...PLANTED.filter((text) => text.includes('VirtualService shop/payments')),
    ]);
    expect(result.read.proxies.toSorted()).toEqual(pods.map((pod) => `shop/${pod}`).toSorted());
    expect(result.read.istiods).toBe(1);
    expect([...new Set([...asked, ...sync].map((one) => one.split(' ')[0]))]).toEqual(['GET']);
  });
});

interface ReportLike {
  readonly incidents: {
    readonly cause: string;
    readonly confidence: string;
    readonly why: string;
    readonly checks?: { readonly check: string; readonly cause: string; readonly effect: string }[];
  }[];
}

interface Fault {
  readonly flags: string;
  readonly details: string;
  readonly subset?: string;
}

/** An access line of a caller's sidecar, in Istio's default layout. */
function accessLine(stamp: string, host: string, fault: Fault | null): string {
  const cluster = `outbound|8080|${fault?.subset ?? ''}|${host}.shop.svc.cluster.local`;
  const result = fault ? `503 ${fault.flags} ${fault.details}` : '200 - via_upstream';
  const upstream = fault ? '-' : '10.0.0.9:8080';
  return (
    `[${stamp}] "GET /a HTTP/1.1" ${result} - "-" 0 5 7 ${fault ? '-' : '6'} "-" "curl/8" "${randomUUID()}" "${host}:8080" ` +
    `"${upstream}" ${cluster} ${fault ? '-' : '10.0.0.4:40000'} 10.96.0.1:8080 10.0.0.4:39000 - default`
  );
}

/** Two minutes of one request a second by every pod, all of those of the second minute failing. */
function write(app: string, host: string, fault: Fault): void {
  const begin = Date.now() - 120_000;
  for (const { name: pod } of podsOf(app)) {
    mkdirSync(dirname(logFile(pod)), { recursive: true });
    const lines = Array.from({ length: 120 }, (_, i) => {
      const stamp = new Date(begin + i * 1000).toISOString();
      return `${stamp} stdout F ${accessLine(stamp, host, i >= 60 ? fault : null)}\n`;
    });
    writeFileSync(logFile(pod), lines.join(''));
  }
}

describe('report', () => {
  it('is certain of what the cluster confirms', async () => {
    write('web', 'reviews', { flags: 'NC', details: 'cluster_not_found', subset: 'v3' });
    const { incidents } = JSON.parse(
      await meshtail('admin', 'report', 'deployment/web', '-n', 'shop', '-o', 'json'),
    ) as ReportLike;
    expect(incidents[0]).toMatchObject({
      cause: 'subset-undefined-cluster-not-found',
      confidence: 'certain',
    });
    expect(incidents[0]!.checks![0]).toMatchObject({ check: 'route-subset-undefined', effect: 'confirms' });
  });

  it('strikes out what the cluster rules out', async () => {
    write('payments', 'reviews', { flags: 'UH', details: 'no_healthy_upstream' });
    const { incidents } = JSON.parse(
      await meshtail('admin', 'report', 'deployment/payments', '-n', 'shop', '-o', 'json'),
    ) as ReportLike;
    expect(incidents[0]!.cause).not.toBe('no-endpoints');
    expect(incidents[0]!.checks).toContainEqual(
      expect.objectContaining({ check: 'services', cause: 'no-endpoints', effect: 'refutes' }),
    );
  });
});

const ENVOY = process.env['MESHTAIL_ENVOY'];

describe.skipIf(ENVOY === undefined)('a real istiod and Envoy (MESHTAIL_ENVOY names the binary)', () => {
  it('are read, and what Envoy lacks is what the configuration lacks', async () => {
    const pod = podsOf('payments')[0]?.name ?? '';
    startMesh(pod, ENVOY!);
    await expect
      .poll(
        async () => {
          const { findings } = await checked('admin', 'deployment/payments', '-n', 'shop');
          return findings
            .filter(({ phase, status }) => phase === 'envoy' && status !== 'ok')
            .map(({ id, read }) => `${id}: ${read}`);
        },
        { timeout: 60_000, interval: 2_000 },
      )
      .toEqual([
        expect.stringMatching(
          /^envoy-route-without-cluster: it routes to outbound\|8080\|v3\|reviews\.shop\.svc\.cluster\.local, which it does not have/,
        ),
      ]);
    const { findings } = await checked('admin', 'deployment/payments', '-n', 'shop');
    const sync = findings.filter(({ id }) => id.startsWith('proxy-') || id === 'config-sync');
    // The others of the three have no Envoy.
    expect(sync.find(({ id }) => id === 'proxy-not-connected')?.read).toContain('2 of 3 running proxies');
  });
});
