import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type AnySchemaObject } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { DIMENSIONS } from '../src/aggregate/groups.js';
import { runChecks } from '../src/check/run.js';
import { sceneOf } from '../src/diagnosis/scene.js';
import { checkResultOf } from '../src/output/check.js';
import { traceOf } from '../src/output/trace.js';
import { packageRoot } from '../src/paths.js';
import { Mesh, worldOf } from './check/mesh.js';
import { line } from './e2e/run.js';
import { problems, schema } from './report-schema.js';
import { incidents, logsOf, observed, reportJson, sampleLines, type LogFile } from './logs.js';

type Report = { [key: string]: unknown; coverage: object; groups: { top: object }[] };

function reportOf(logs: readonly LogFile[]): Report {
  return JSON.parse(reportJson(observed(logs))) as Report;
}

const log = (text: string | Buffer): LogFile[] => [{ name: 'a.log', bytes: Buffer.from(text) }];
const failing = line({ code: 503, flags: 'UF', details: 'x' });

describe('every report keeps to the schema', () => {
  it.each(incidents)('%s', (incident) => {
    expect(problems(reportOf(logsOf(incident)))).toEqual([]);
  });

  it.each<[string, LogFile[]]>([
    ['no input', []],
    ['an empty input', log('')],
    ['foreign lines', log('hello\n\nworld')],
    ['bytes', log(Buffer.from([0, 255, 10, 13, 10, 27]))],
    ['one failure', log(failing)],
    ['only failures', log(`${failing}\n`.repeat(50))],
    ['a code of none', log(line({ code: 0, flags: 'DC', details: '-' }))],
    ['an unknown flag', log(line({ code: 503, flags: 'ZZ,YY', details: '' }))],
    ['a malformed line', log(`${line()}\n${line().slice(0, 100)}`)],
    ['a time that is none', log(line().replace('2026', '2O26'))],
    [
      'every sample line',
      log(Buffer.concat(sampleLines().map((bytes) => Buffer.concat([bytes, Buffer.from('\n')])))),
    ],
  ])('%s', (_, logs) => {
    expect(problems(reportOf(logs))).toEqual([]);
  });
});

describe('the schema', () => {
  it.each<[string, (report: Report) => void]>([
    ['a key that it does not know', (report) => (report['new'] = 1)],
    ['a missing key', (report) => delete report['totals']],
    ['a count that is none', (report) => Object.assign(report.coverage, { lines: '3' })],
    ['a share over 1', (report) => Object.assign(report.groups[0]!, { share: 1.5 })],
    ['an unknown dimension', (report) => Object.assign(report.groups[0]!.top, { colour: [] })],
    [
      'a time of another zone',
      (report) => Object.assign(report.coverage, { first: '2026-01-01T00:00:00+01:00' }),
    ],
  ])('refuses %s', (_, change) => {
    const report = reportOf(log(failing));
    expect(problems(report)).toEqual([]);
    change(report);
    expect(problems(report)).not.toEqual([]);
  });

  it('has every dimension', () => {
    const group = (schema['$defs'] as Record<string, AnySchemaObject>)['group']!;
    const top = (group['properties'] as Record<string, AnySchemaObject>)['top']!;
    expect(Object.keys(top['properties'] as object)).toEqual([...DIMENSIONS]);
  });
});

describe('every trace keeps to its schema', () => {
  const validateTrace = new Ajv2020({
    allErrors: true,
    strict: true,
    allowUnionTypes: true,
    strictRequired: false,
  }).compile(
    JSON.parse(
      readFileSync(join(packageRoot, 'schema', 'meshtail.trace-1.schema.json'), 'utf8'),
    ) as AnySchemaObject,
  );

  it.each(incidents)('%s', (incident) => {
    const observation = observed(logsOf(incident)).snapshot();
    const scene = sceneOf(observation);
    const [one] = scene.cases;
    for (const rows of [[], one ? [one.root] : [], scene.rows.slice(0, 300)]) {
      const trace: unknown = JSON.parse(JSON.stringify(traceOf(observation, scene, 'some-id', rows, '0')));
      validateTrace(trace);
      expect(validateTrace.errors?.slice(0, 5) ?? []).toEqual([]);
    }
  });
});

describe('every check keeps to its schema', () => {
  const validateCheck = new Ajv2020({
    allErrors: true,
    strict: true,
    allowUnionTypes: true,
    strictRequired: false,
    formats: { 'date-time': true },
  }).compile(
    JSON.parse(
      readFileSync(join(packageRoot, 'schema', 'meshtail.check-1.schema.json'), 'utf8'),
    ) as AnySchemaObject,
  );
  const READ = { cluster: 'files', objects: 3, broken: ['a:1: b'], proxies: ['shop/a'], istiods: 1 };
  const problemsOf = (check: unknown): unknown => {
    validateCheck(check);
    return validateCheck.errors?.slice(0, 5) ?? [];
  };
  const checkOf = async (change: (mesh: Mesh) => void): Promise<Record<string, unknown>> => {
    const mesh = new Mesh();
    change(mesh);
    const result = checkResultOf(runChecks(await worldOf(mesh.files())), READ, '0');
    return JSON.parse(JSON.stringify(result)) as Record<string, unknown>;
  };

  it.each<[string, (mesh: Mesh) => void]>([
    ['a healthy mesh', () => {}],
    [
      'a finding',
      (mesh) => mesh.set('DestinationRule/stock/inventory', 'spec.trafficPolicy.tls', { mode: 'DISABLE' }),
    ],
    ['an object that is not understood', (mesh) => mesh.set('VirtualService/front/www', 'spec.http', 7)],
    ['no proxies', (mesh) => mesh.pages.clear()],
  ])('%s', async (_, change) => {
    expect(problemsOf(await checkOf(change))).toEqual([]);
  });

  it.each<[string, (check: Record<string, unknown>) => void]>([
    ['a key that it does not know', (check) => (check['new'] = 1)],
    [
      'a status that is none',
      (check) => Object.assign((check['findings'] as object[])[0]!, { status: 'odd' }),
    ],
    ['a finding without its command', (check) => delete (check['findings'] as { see?: string }[])[0]!.see],
  ])('refuses %s', async (_, change) => {
    const check = await checkOf(() => {});
    change(check);
    expect(problemsOf(check)).not.toEqual([]);
  });
});
