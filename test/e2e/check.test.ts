import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Ajv2020, type AnySchemaObject } from 'ajv/dist/2020.js';
import { packageRoot } from '../../src/paths.js';
import { Mesh, READ_AT } from '../check/mesh.js';
import { incidentsFolder } from '../logs.js';
import { run, scratch } from './run.js';

/* `meshtail check` and `report --from`, as people and scripts run them. */

const { folder, file } = scratch();

function saved(name: string, mesh: Mesh): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const [i, { name: of, text }] of mesh.files().entries()) {
    const at = join(path, `${i}-${of.replaceAll('/', '_')}`);
    writeFileSync(at, text);
    // Certificates are over or not as of then.
    utimesSync(at, READ_AT / 1000, READ_AT / 1000);
  }
  return path;
}

const healthy = saved('healthy', new Mesh());
const broken = new Mesh();
broken.set('DestinationRule/stock/inventory', 'spec.trafficPolicy.tls', { mode: 'DISABLE' });
broken.set('Service/stock/labels', 'spec.ports[0].name', 'labels');
const failing = saved('failing', broken);
const INCIDENT = join(incidentsFolder, 'inventory-dr-disable');
const OBJECTS = join(packageRoot, 'samples', 'objects', 'inventory-dr-disable.yaml');

interface CheckLike {
  readonly schema: string;
  readonly totals: Record<'fail' | 'warn' | 'ok' | 'unknown', number>;
  readonly read: { readonly objects: number; readonly broken: string[] };
  readonly findings: { id: string; status: string; about: { services?: string[] } }[];
}

async function checkOf(args: readonly string[]): Promise<{ status: number | null; check: CheckLike }> {
  const { status, stdout } = await run(['check', '-o', 'json', ...args]);
  return { status, check: JSON.parse(stdout) as CheckLike };
}
const trouble = ({ findings }: CheckLike): string[] =>
  findings.filter(({ status }) => status === 'fail' || status === 'warn').map(({ id }) => id);

describe('check', () => {
  it('says of a healthy mesh that nothing fails', async () => {
    const { status, check } = await checkOf(['--from', healthy, '--fail-on', 'severity>=low']);
    expect(status).toBe(0);
    expect(check.schema).toBe('meshtail.check/1');
    expect(check.read.objects).toBeGreaterThan(300);
    expect(trouble(check)).toEqual([]);
    expect(check.totals.ok).toBeGreaterThan(15);
  });

  it('tells people what fails, where, why, and how to see it', async () => {
    const { status, stdout, stderr } = await run(['check', '--from', failing]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('FAIL  destination-rule-tls-conflict');
    expect(stdout).toContain('spec.trafficPolicy.tls.mode');
    expect(stdout).toContain('brings    destinationrule-tls-conflict');
    const wide = stdout.split('\n').filter((text) => text.length > 80 && !/^ {2}(?:see|fix)/.test(text));
    expect(wide).toEqual([]);
  });

  it('keeps to a target: what it serves and what it calls', async () => {
    const of = async (...args: string[]): Promise<string[]> =>
      trouble((await checkOf(['--from', failing, ...args])).check);
    expect(await of('deployment/inventory', '-n', 'stock')).toEqual(['destination-rule-tls-conflict']);
    expect(await of('deployment', 'forecast')).toEqual(['destination-rule-tls-conflict']);
    expect(await of('service/labels')).toEqual(['port-protocol-undeclared']);
    expect(await of('deployment/assets')).toEqual([]);
    expect((await of('-n', 'stock')).toSorted()).toEqual([
      'destination-rule-tls-conflict',
      'port-protocol-undeclared',
    ]);
  });

  it('answers where a request would go', async () => {
    const { stdout } = await run([
      'check',
      '--from',
      healthy,
      '--host',
      'partners.shop.example',
      '--path',
      '/admin',
    ]);
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain('no rule takes it: 404');
    expect(stdout).toContain('Gateway istio-system/public');
    const routed = await run([
      'check',
      '--from',
      healthy,
      'deployment/mobile',
      '--host',
      'payments.pay',
      '--path',
      '/v2/a',
      '--header',
      'x-canary: yes',
    ]);
    expect(routed.stdout.replaceAll(/\s+/g, ' ')).toContain('subset v2');
  });

  it('reads several paths as a shell gives them', async () => {
    const one = file('one.yaml', 'apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n');
    const two = file('two.yaml', 'apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n---\nkind: [\n');
    const { check } = await checkOf(['--from', one, two]);
    expect(check.read.objects).toBe(2);
    expect(check.read.broken).toHaveLength(1);
  });

  it.each<[string, string[], number]>([
    ['0 something fails, and nobody asked', ['check', '--from', failing], 0],
    ['3 something fails', ['check', '--from', failing, '--fail-on', 'any'], 3],
    [
      '3 by the cause it brings',
      ['check', '--from', failing, '--fail-on', 'cause=destinationrule-tls-conflict'],
      3,
    ],
    [
      '3 by severity, warnings too',
      ['check', '--from', failing, '--fail-on', 'severity>=low', 'service/labels'],
      3,
    ],
    [
      '0 below that severity',
      ['check', '--from', failing, '--fail-on', 'severity>=high', 'service/labels'],
      0,
    ],
    ['0 a warning is no failure', ['check', '--from', failing, '--fail-on', 'any', 'service/labels'], 0],
    [
      '3 a request without a route',
      ['check', '--from', healthy, '--host', 'partners.shop.example', '--fail-on', 'any'],
      3,
    ],
    ['2 a share, which a check has not', ['check', '--from', failing, '--fail-on', 'share>=1%'], 2],
    ['1 no cluster and no files', ['check', '--kubeconfig', join(folder, 'none')], 1],
    ['1 a target that is not there', ['check', '--from', healthy, 'deployment/nothing'], 1],
    ['2 a target of no kind', ['check', 'deplyment/catalog'], 2],
    ['2 a path without host or target', ['check', '--from', healthy, '--path', '/a'], 2],
    ['2 a header that is none', ['check', '--from', healthy, '--host', 'a', '--header', 'x'], 2],
    ['1 a file that is missing', ['check', '--from', join(folder, 'missing.yaml')], 1],
    ['1 a file without objects', ['check', '--from', file('prose.txt', 'nothing here\n')], 1],
  ])('exits with %s', async (_, args, expected) => {
    const { status, stderr } = await run(args);
    expect(status).toBe(expected);
    if (expected === 1 || expected === 2) expect(stderr).toMatch(/^meshtail: /);
  });
});

describe('report --from', () => {
  const schema = JSON.parse(
    readFileSync(join(packageRoot, 'schema', 'meshtail.report-1.schema.json'), 'utf8'),
  ) as AnySchemaObject;
  const validate = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false }).compile(
    schema,
  );

  it('makes certain what the logs made likely', async () => {
    const { status, stdout } = await run(['report', '-o', 'json', INCIDENT, '--from', OBJECTS]);
    expect(status).toBe(0);
    const report = JSON.parse(stdout) as {
      incidents: { confidence: string; checks: { effect: string }[] }[];
    };
    validate(report);
    expect(validate.errors ?? []).toEqual([]);
    expect(report.incidents[0]?.confidence).toBe('certain');
    expect(report.incidents[0]?.checks[0]?.effect).toBe('confirms');
  });

  it('reports the logs where the objects cannot be read, and fails', async () => {
    const { status, stdout, stderr } = await run([
      'report',
      INCIDENT,
      '--from',
      join(folder, 'missing.yaml'),
    ]);
    expect(status).toBe(1);
    expect(stderr).toContain('missing.yaml');
    expect(stdout).toContain('confidence high');
  });
});
