import { describe, expect, it } from 'vitest';
import { checksFor } from '../../src/check/for-causes.js';
import { verified } from '../../src/commands/verify.js';
import { applyChecks, causesInQuestion } from '../../src/diagnosis/checked.js';
import { diagnose, type Diagnosis, type Incident } from '../../src/diagnosis/diagnose.js';
import type { Finding } from '../../src/diagnosis/finding.js';
import { logsOf, observed } from '../logs.js';
import { worldOf } from './mesh.js';

/* Recorded incidents of a real Envoy, held against objects that say why, or that say otherwise. */

const diagnosed = (incident: string): Diagnosis => diagnose(observed(logsOf(incident)).snapshot());

/** Namespaces, pods with sidecars and their services in one line each: `namespace/app pod ip port`. */
function cluster(lines: readonly string[], objects: string): string {
  const pods = lines.map((line) => {
    const [at = '', pod, ip, port] = line.split(' ');
    const [namespace, app] = at.split('/');
    return { namespace, app, pod, ip, port };
  });
  const namespaces = [...new Set(pods.map(({ namespace }) => namespace))].map(
    (name) =>
      `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}, labels: {istio-injection: enabled}}`,
  );
  const made = pods.map(
    ({ namespace, app, pod, ip, port }) => `apiVersion: v1
kind: Pod
metadata: {name: ${pod}, namespace: ${namespace}, labels: {app: ${app}}}
spec:
  initContainers: [{name: istio-init}]
  containers: [{name: ${app}, ports: [{containerPort: ${port}}]}, {name: istio-proxy}]
status: {phase: Running, podIP: ${ip}, conditions: [{type: Ready, status: 'True'}]}`,
  );
  const services = [...new Map(pods.map((one) => [`${one.namespace}/${one.app}`, one])).values()].map(
    ({ namespace, app, port }) => `apiVersion: v1
kind: Service
metadata: {name: ${app}, namespace: ${namespace}}
spec: {selector: {app: ${app}}, ports: [{name: http, port: ${port}}]}`,
  );
  const rest = `apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "outboundTrafficPolicy: {mode: REGISTRY_ONLY}"}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRuleList
items: []
---
apiVersion: networking.istio.io/v1
kind: VirtualServiceList
items: []`;
  return [...namespaces, ...made, ...services, rest, objects].filter(Boolean).join('\n---\n');
}

async function held(
  incident: string,
  lines: readonly string[],
  objects: string,
): Promise<readonly Incident[]> {
  const world = await worldOf([{ name: 'objects.yaml', text: cluster(lines, objects) }]);
  return verified(diagnosed(incident), world).incidents;
}

const STOCK = [
  'stock/inventory inventory-2f64c9jfjq-thrb6 10.244.60.70 8761',
  'stock/storefront-api storefront-api-s9s7qzj76-8cckd 10.244.60.3 8080',
  'warehouse/restock restock-pqrl24v6x-nqlzs 10.244.61.4 8080',
];
const plainRule = (namespace: string, created: string): string => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: plain, namespace: ${namespace}, generation: 1, creationTimestamp: '${created}'}
spec: {host: inventory.stock.svc.cluster.local, trafficPolicy: {tls: {mode: DISABLE}}}`;

describe('what objects do to an incident', () => {
  it('makes a hypothesis certain, and says by what', async () => {
    const [incident] = await held(
      'inventory-dr-disable',
      STOCK,
      plainRule('warehouse', '2026-11-23T08:14:30Z'),
    );
    expect(incident?.hypothesis.cause).toBe('destinationrule-tls-conflict');
    expect(incident?.hypothesis.confidence).toBe('certain');
    expect(incident?.hypothesis.why).toContain('DestinationRule warehouse/plain');
    expect(incident?.checks?.map(({ effect }) => effect)).toContain('confirms');
  });

  it('proves nothing by a rule that other callers follow', async () => {
    const [incident] = await held(
      'inventory-dr-disable',
      [...STOCK, 'else/other other-1 10.9.9.9 80'],
      plainRule('else', '2026-11-23T08:14:30Z'),
    );
    expect(incident?.hypothesis.confidence).not.toBe('certain');
  });

  it('proves nothing by an object that is younger than the last failure', async () => {
    const [incident] = await held(
      'inventory-dr-disable',
      STOCK,
      plainRule('warehouse', '2026-11-23T09:00:00Z'),
    );
    expect(incident?.hypothesis.confidence).not.toBe('certain');
  });

  it('leaves an incident that is over likely where all is in order now', async () => {
    const [incident] = await held('inventory-dr-disable', STOCK, '');
    expect(incident?.hypothesis.cause).toBe('destinationrule-tls-conflict');
    expect(incident?.hypothesis.confidence).toBe('likely');
    expect(incident?.checks?.map(({ effect }) => effect)).toContain('refutes');
  });

  const REVIEWS = [
    'bookinfo/reviews reviews-gmthqqfm62-btwdj 10.244.11.40 9080',
    'bookinfo/feed-builder feed-builder-f96sqfg6fs-wls5g 10.244.12.9 8080',
  ];
  const routes = (rest: string): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: bookinfo}
spec:
  hosts: [reviews]
  http:
  - match: [{uri: {prefix: /api/v1/}}]
    route: [{destination: {host: reviews}}]
${rest}`;

  it('asks for the failed requests themselves, and is certain where no rule takes them', async () => {
    const [incident] = await held('reviews-route-miss', REVIEWS, routes(''));
    expect(incident?.hypothesis.cause).toBe('vs-route-no-match');
    expect(incident?.hypothesis.confidence).toBe('certain');
    expect(incident?.checks?.map(({ finding }) => finding.id)).toContain('request-route');
  });

  it('strikes a hypothesis out where the cluster rules it out while requests still fail', async () => {
    const [incident] = await held(
      'reviews-route-miss',
      REVIEWS,
      routes('  - route: [{destination: {host: reviews}}]'),
    );
    expect(incident?.hypothesis.cause).toBe('unexplained');
    expect(incident?.hypothesis.confidence).toBe('possible');
    expect(incident?.hypothesis.why).toContain('vs-route-no-match');
    expect(incident?.checks?.map(({ effect }) => effect)).toContain('refutes');
  });

  it('knows a caller without a proxy by its address', async () => {
    const incidents = await held(
      'stock-cron-plaintext',
      [
        'depot/stocktake stocktake-7bwgw7qwp-257f2 10.244.128.50 8080',
        'depot/stocktake stocktake-7bwgw7qwp-sngqx 10.244.127.186 8080',
      ],
      `apiVersion: v1
kind: Pod
metadata: {name: stock-cron-1, namespace: depot, labels: {app: cron}}
spec: {containers: [{name: cron}]}
status: {phase: Running, podIP: 10.244.128.112}`,
    );
    expect(incidents.map(({ hypothesis }) => [hypothesis.cause, hypothesis.confidence])).toEqual([
      ['peer-not-in-mesh-plaintext', 'certain'],
    ]);
  });
});

describe('the rules by which confidence moves', () => {
  const [incident] = diagnosed('inventory-dr-disable').incidents as [Incident];
  const finding = (about: Partial<Finding>): Finding => ({
    id: 'some-check',
    phase: 'traffic',
    status: 'fail',
    severity: 'high',
    object: null,
    field: null,
    read: 'read',
    why: 'why',
    confirms: ['destinationrule-tls-conflict'],
    refutes: [],
    about: { services: ['inventory.stock'] },
    see: 'kubectl get',
    fix: 'fix',
    basis: 'configuration',
    changedAt: null,
    ...about,
  });
  const word = (findings: readonly Finding[], of = incident): readonly [string, string] => {
    const [{ hypothesis }] = applyChecks([of], findings) as [Incident];
    return [hypothesis.cause, hypothesis.confidence];
  };
  const conflict = 'destinationrule-tls-conflict';
  const clear = { status: 'ok', confirms: [], refutes: [conflict] } as const;
  const weak = { ...incident, hypothesis: { ...incident.hypothesis, confidence: 'likely' } } as const;
  const ongoing = { ...incident, ending: 'ongoing' as const };

  it.each<[string, readonly Finding[], Incident, readonly [string, string]]>([
    ['nothing found changes nothing', [], incident, [conflict, 'high']],
    ['a failing finding at the place makes it certain', [finding({})], incident, [conflict, 'certain']],
    [
      'at another place it says nothing',
      [finding({ about: { services: ['other.stock'] } })],
      incident,
      [conflict, 'high'],
    ],
    [
      'of another caller it says nothing',
      [finding({ about: { services: ['inventory.stock'], clients: ['other'] } })],
      incident,
      [conflict, 'high'],
    ],
    [
      'of this caller it says all',
      [finding({ about: { services: ['inventory.stock'], clients: ['restock-pqrl24v6x-nqlzs'] } })],
      incident,
      [conflict, 'certain'],
    ],
    [
      'after the last failure it says nothing',
      [finding({ changedAt: incident.last + 1 })],
      incident,
      [conflict, 'high'],
    ],
    [
      'a state of now proves what still goes on',
      [finding({ basis: 'state' })],
      ongoing,
      [conflict, 'certain'],
    ],
    [
      'a state of now only supports what is over',
      [finding({ basis: 'state' })],
      incident,
      [conflict, 'high'],
    ],
    [
      'a state of that time proves it',
      [finding({ basis: 'state', changedAt: incident.onset })],
      incident,
      [conflict, 'certain'],
    ],
    [
      'a state of long before says nothing',
      [finding({ basis: 'state', changedAt: incident.onset - 3_600_000 })],
      weak,
      [conflict, 'likely'],
    ],
    ['a warning raises by one step', [finding({ status: 'warn' })], weak, [conflict, 'high']],
    ['a warning never makes certain', [finding({ status: 'warn' })], incident, [conflict, 'high']],
    ['what is over and in order now is likely at most', [finding(clear)], incident, [conflict, 'likely']],
    [
      'what goes on and is in order is struck out',
      [finding(clear)],
      { ...ongoing, others: [] },
      ['unexplained', 'possible'],
    ],
    [
      'one service of several cleared strikes nothing out',
      [finding(clear)],
      {
        ...ongoing,
        hypothesis: { ...incident.hypothesis, at: { services: ['inventory.stock', 'b.stock'] } },
      },
      [conflict, 'high'],
    ],
    [
      'what is found goes before what is in order',
      [finding(clear), finding({})],
      ongoing,
      [conflict, 'certain'],
    ],
    [
      'an alternative that stands takes the place of what is struck out',
      [finding(clear)],
      {
        ...ongoing,
        others: [{ ...incident.hypothesis, cause: 'sidecar-egress-scope', confidence: 'possible' }],
      },
      ['sidecar-egress-scope', 'possible'],
    ],
    [
      'an alternative that is found takes the place of what is not sure',
      [finding({ confirms: ['sidecar-egress-scope'] })],
      {
        ...weak,
        others: [{ ...incident.hypothesis, cause: 'sidecar-egress-scope', confidence: 'possible' }],
      },
      ['sidecar-egress-scope', 'certain'],
    ],
    [
      'a lookalike that is found takes the place where the lines are of its signature',
      [finding({ confirms: ['headless-or-direct-pod-addressing'] })],
      weak,
      ['headless-or-direct-pod-addressing', 'certain'],
    ],
    ['what looks otherwise does not', [finding({ confirms: ['no-endpoints'] })], weak, [conflict, 'likely']],
    [
      'nor does a lookalike where the logs were sure and could be',
      [finding({ confirms: ['keepalive-idle-race'] })],
      incident,
      [conflict, 'high'],
    ],
  ])('%s', (_, findings, of, expected) => {
    expect(word(findings, of)).toEqual(expected);
  });

  it('asks only for what is in question', () => {
    const ids = checksFor(causesInQuestion(incident)).map(({ id }) => id);
    expect(ids).toContain('destination-rules');
    expect(ids).not.toContain('nodes');
    expect(checksFor(['node-unreachable']).map(({ id }) => id)).toEqual(['nodes']);
  });
});
