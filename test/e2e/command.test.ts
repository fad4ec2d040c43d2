import { once } from 'node:events';
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { packageRoot, version } from '../../src/paths.js';
import { incidentsFolder, logsOf } from '../logs.js';
import { launcher, line, run, scratch, start } from './run.js';

/*
 * The built program, as people and scripts run it. Report texts are held by their own tests: here only what a script may
 * rely on, and that a person is told what is wrong.
 */

const INCIDENT = join(incidentsFolder, 'orders-app-not-listening');
const { folder, file } = scratch();

const good = file('good.log', `${line()}\n${line({ second: 1 })}\n`);
const bad = file('bad.log', `${line({ second: 2, code: 503, flags: 'UF', details: 'x' })}\n${line()}\n`);
const missing = join(folder, 'missing.log');

interface ReportLike {
  readonly schema: string;
  readonly coverage: Record<
    'lines' | 'records' | 'foreign' | 'malformed' | 'overlong' | 'unterminated',
    number
  > & {
    readonly inputs: { path: string; records: number }[];
    readonly gaps: { origin: string; reason: string }[];
  };
  readonly totals: { readonly requests: number; readonly failures: number };
  readonly incidents: { cause: string; severity: string }[];
}

async function reportOf(args: readonly string[], stdin?: string | Buffer) {
  const ran = await run(['report', '-o', 'json', ...args], stdin === undefined ? {} : { stdin });
  return { ...ran, report: JSON.parse(ran.stdout) as ReportLike };
}

describe('report', () => {
  it('tells on one page what fails', async () => {
    const { status, stdout, stderr } = await run(['report', INCIDENT]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('app-not-listening');
    expect(stdout).toContain('orders');
    expect(stdout).not.toContain('\x1b');
  });

  it('gives scripts the same as one object', async () => {
    const { status, stderr, report } = await reportOf([INCIDENT]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const lines = logsOf('orders-app-not-listening').reduce(
      (sum, { bytes }) => sum + bytes.toString().split('\n').length - 1,
      0,
    );
    expect(report.schema).toBe('meshtail.report/1');
    expect(report.coverage.lines).toBe(lines);
    expect(report.incidents.map(({ cause }) => cause)).toContain('app-not-listening');
  });

  it('is what a file alone means', async () => {
    const [named, bare] = await Promise.all([run(['report', bad]), run([bad])]);
    expect(bare).toEqual(named);
    expect(bare.status).toBe(0);
  });

  it('prints the same twice', async () => {
    const [a, b] = await Promise.all([
      run(['report', '-o', 'json', INCIDENT]),
      run(['report', '-o', 'json', INCIDENT]),
    ]);
    expect(a.stdout).toBe(b.stdout);
  });

  it.each([
    ['no argument', []],
    ['a dash', ['-']],
  ])('reads a pipe by %s', async (_, args) => {
    const { status, report } = await reportOf(args, readFileSync(bad));
    expect(status).toBe(0);
    expect(report.totals).toMatchObject({ requests: 2, failures: 1 });
    expect(report.coverage.inputs[0]?.path).toBe('-');
  });
});

describe('parse', () => {
  it('prints one record per line', async () => {
    const { status, stdout, stderr } = await run(['parse', bad]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const records = stdout.trimEnd().split('\n').map((text) => JSON.parse(text) as Record<string, unknown>); // prettier-ignore
    expect(records.map((record) => record['response_code'])).toEqual([503, 200]);
    expect(records[0]).toMatchObject({
      response_flags: ['UF'],
      duration: 7,
      format: 'istio-text',
      origin: { file: bad, line: 1 },
    });
    expect(records[0]).not.toHaveProperty('kind');
  });

  it('with --all also the lines that are none', async () => {
    const { stdout } = await run(['parse', '--all'], { stdin: `hello\n${line()}\n${line().slice(0, 90)}` });
    const kinds = stdout.trimEnd().split('\n').map((text) => (JSON.parse(text) as { kind: string }).kind); // prettier-ignore
    expect(kinds).toEqual(['foreign', 'record', 'malformed']);
  });
});

describe('explain', () => {
  it.each([
    ['a flag', ['UF'], 'UF'],
    ['details', ['via_upstream'], 'via_upstream'],
    [
      'details with a reason',
      ['upstream_reset_before_response_started{connection_termination}'],
      'connection_termination',
    ],
    ['a cause', ['keepalive-idle-race'], 'keepalive-idle-race'],
    ['a line', [line({ code: 503, flags: 'UF' })], '10.1.0.9:8080'],
    ['a line in words', line({ code: 503, flags: 'UF' }).split(' '), '10.1.0.9:8080'],
  ])('%s', async (_, words, held) => {
    const text = await run(['explain', ...words]);
    expect(text).toMatchObject({ status: 0, stderr: '' });
    expect(text.stdout).toContain(held);
    const json = await run(['explain', '-o', 'json', ...words]);
    expect(json.status).toBe(0);
    expect(JSON.parse(json.stdout)).toHaveProperty('kind');
  });

  it.each([['frobnicate'], ['constructor'], ['__proto__'], ['(('], [''], ['two words'], ['\x1b[31mred']])(
    'refuses %j',
    async (word) => {
      const { status, stdout, stderr } = await run(['explain', word]);
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
      expect(stderr).toMatch(/^meshtail: /);
      expect(stderr).not.toContain('\x1b');
    },
  );
});

describe('trace', () => {
  const CHAIN = join(incidentsFolder, 'ordering-chain-deep-500');
  const id = '67126464-2f45-4b14-a0d5-1fe710536238';

  it('draws one request through every proxy that logged it', async () => {
    const { status, stdout, stderr } = await run(['trace', id, CHAIN]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatchInlineSnapshot(`
      "POST /orders of eat.example.com: 500 after 38 ms
      2026-11-23 08:35:18.378 UTC, 6 lines of 4 proxies, id 67126464-2f45-4b14-a0d5-1fe710536238

      out istio-ingressgateway-z…rq-bwlvg  500             38 ms  ████████████████████
      └ in  menu-web-7wtzptmzvl-p9nxf      500             37 ms   ███████████████████
        └ out menu-web-7wtzptmzvl-p9nxf    500             36 ms   ██████████████████
          └ in  order-api-vvvkqwcn5-p52zz  500             35 ms   ██████████████████
            └ out order-api-vvvk…n5-p52zz  500             34 ms   ██████████████████
              └ in  *kitchen-cjc…nv-8z5sc  500             33 ms   █████████████████

        decided   the app of kitchen-cjcfdh64nv-8z5sc answered 500 itself
        time      33 ms of 38 ms in the app of kitchen-cjcfdh64nv-8z5sc
        saw       istio-ingressgateway-zds4lnxrq-bwlvg:
                  outbound|8141||menu-web.food.svc.cluster.local to 10.244.220.11:8141
                  menu-web-7wtzptmzvl-p9nxf:
                  outbound|8142||order-api.food.svc.cluster.local to
                  10.244.220.21:8142
                  order-api-vvvkqwcn5-p52zz:
                  outbound|8143||kitchen.food.svc.cluster.local to 10.244.220.31:8143
        read      2,400 records of 6 logs
      "
    `);
  });

  it('prints the three journeys of the page about them', async () => {
    const page = readFileSync(join(packageRoot, 'docs/journeys.md'), 'utf8');
    const shown = [...page.matchAll(/^\$ meshtail (trace .*)\n([^`]*)/gm)];
    expect(shown).toHaveLength(3);
    for (const [, command, printed] of shown) {
      expect((await run(command!.split(' '))).stdout).toBe(printed);
    }
  });

  it('gives scripts the same as one object, and takes an id with another trace character', async () => {
    const other = `${id.slice(0, 14)}9${id.slice(15)}`;
    const { status, stdout } = await run(['trace', '-o', 'json', other, CHAIN]);
    const trace = JSON.parse(stdout) as {
      schema: string;
      lines: number;
      journey: { spans: { decided: boolean; proxy: string }[] };
    };
    expect({ status, schema: trace.schema, lines: trace.lines }).toEqual({
      status: 0,
      schema: 'meshtail.trace/1',
      lines: 6,
    });
    expect(trace.journey.spans.filter(({ decided }) => decided).map(({ proxy }) => proxy)).toEqual([
      'kitchen-cjcfdh64nv-8z5sc',
    ]);
  });

  it('finds a connection without an id by either end’s address and port', async () => {
    const { status, stdout } = await run([
      'trace',
      '10.71.4.190:44019',
      join(incidentsFolder, 'importer-speaks-plain-amqp'),
    ]);
    expect(status).toBe(0);
    expect(stdout).toContain('connection from 10.71.4.190:44019');
    expect(stdout).toContain('closed the connection unread');
  });

  it('shows ids that are near one that no line has, and what the report gives to paste works', async () => {
    const { stdout } = await run(['trace', id.slice(0, 8), CHAIN]);
    expect(stdout).toContain(`near      ${id}`);
    const report = await run(['report', CHAIN]);
    const [, ...words] = /example +(meshtail trace .*)/.exec(report.stdout)![1]!.split(' ');
    expect((await run(words)).status).toBe(0);
  });

  it('ends with 1 where no line has the id, with 4 where there is no line, with 2 where no id is given', async () => {
    const absent = await run(['trace', 'no-such-id', CHAIN]);
    expect([absent.status, absent.stdout]).toEqual([
      1,
      expect.stringContaining('No line carries the request id no-such-id'),
    ]);
    expect((await run(['trace', id, file('none.log', 'hello\n')])).status).toBe(4);
    expect((await run(['trace'])).status).toBe(2);
  });
});

describe('help and version', () => {
  it('names its version', async () => {
    expect(await run(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([
    [['--help']],
    [['report', '--help']],
    [['parse', '--help']],
    [['trace', '--help']],
    [['explain', '--help']],
    [['help', 'parse']],
  ])('%j is a result', async (args) => {
    const { status, stdout, stderr } = await run(args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: meshtail/);
  });
});

describe('exit status', () => {
  const noCluster = { env: { KUBECONFIG: join(packageRoot, 'no-such-file'), KUBERNETES_SERVICE_HOST: '' } };
  const empty = file('empty.log', '');
  const foreign = file('foreign.log', 'hello\nworld\n');

  it.each<[string, string[], number]>([
    ['0 done', ['report', good], 0],
    ['1 a file that is missing', ['report', missing], 1],
    ['1 the same to parse', ['parse', missing], 1],
    ['2 an unknown flag', ['report', '--nope', good], 2],
    ['1 a workload where no cluster is configured', ['deployment/payments'], 1],
    ['1 the same to parse', ['parse', 'deployment/payments'], 1],
    ['2 a kind without a name', ['report', 'deployment'], 2],
    ['2 a file and a workload', ['report', good, 'payments'], 2],
    ['2 an output that only a target has', [good, '-o', 'raw'], 2],
    ['2 an unknown output', ['report', '-o', 'yaml', good], 2],
    ['2 a line limit that is none', ['report', '--max-line', '0', good], 2],
    ['2 a flag of another command', ['report', '--all', good], 2],
    ['2 explain without a word', ['explain'], 2],
    ['2 an unknown condition', ['report', '--fail-on', 'sometimes', good], 2],
    ['3 any incident', ['report', '--fail-on', 'any', INCIDENT], 3],
    ['3 the cause', ['report', '--fail-on', 'cause=app-not-listening', INCIDENT], 3],
    ['0 another cause', ['report', '--fail-on', 'cause=dns-failure', INCIDENT], 0],
    ['3 severity', ['report', '--fail-on', 'severity>=low', INCIDENT], 3],
    ['3 share in per cent', ['report', '--fail-on', 'share>=0.1%', INCIDENT], 3],
    ['3 share', ['report', '--fail-on', 'share>=0.001', INCIDENT], 3],
    ['3 one of two', ['report', '--fail-on', 'cause=dns-failure,any', INCIDENT], 3],
    ['0 nothing to fail on', ['report', '--fail-on', 'any', good], 0],
    ['4 an empty file', ['report', empty], 4],
    ['4 no access line', ['report', foreign], 4],
    ['4 the same to parse', ['parse', foreign], 4],
  ])('%s', async (_, args, status) => {
    const ran = await run(args, noCluster);
    expect(ran.status).toBe(status);
    if (status === 1 || status === 2) {
      expect(ran.stdout).toBe('');
      expect(ran.stderr).toMatch(/^(?:meshtail|error): /);
    } else expect(ran.stderr).toBe('');
  });

  it('4 comes after a report of what the input did hold', async () => {
    const { status, report } = await reportOf([foreign]);
    expect(status).toBe(4);
    expect(report.coverage).toMatchObject({ lines: 2, foreign: 2, records: 0 });
  });

  it('names the nearest command, and the flag that is not known', async () => {
    expect((await run(['report', '--ouput', 'json', good])).stderr).toContain('--ouput');
    expect((await run(['reprot'], noCluster)).stderr).toContain('the command is meshtail report');
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends it with %i', async (signal, status) => {
    const child = start(['parse']);
    child.stdin!.write(`${line()}\n`);
    // Its first record shows that it runs.
    await once(child.stdout!, 'data');
    child.kill(signal);
    expect(await once(child, 'exit')).toEqual([status, null]);
  });
});

describe('a pipe', () => {
  it('whose reader goes ends it quietly', async () => {
    const long = file('long.log', `${line()}\n`.repeat(20_000));
    const pipe = (command: string): Promise<{ status: number; stdout: string; stderr: string }> =>
      new Promise((resolve) => {
        const script = `${process.execPath} ${launcher} ${command} | head -1; echo "status \${PIPESTATUS[0]}"`;
        execFile('bash', ['-c', script], (error, stdout, stderr) =>
          resolve({ status: error ? Number(error.code) : 0, stdout, stderr }),
        );
      });
    for (const command of [`parse ${long}`, `report ${INCIDENT}`, 'explain UF', '--help']) {
      const { stdout, stderr } = await pipe(command);
      expect({ command, stderr }).toEqual({ command, stderr: '' });
      expect(stdout).toMatch(/\nstatus 0\n$/);
    }
  });

  it('gives records as they come', async () => {
    const child = start(['parse']);
    for (const second of [1, 2, 3]) {
      child.stdin!.write(`${line({ second })}\n`);
      const [chunk] = (await once(child.stdout!, 'data')) as [Buffer];
      expect(JSON.parse(chunk.toString())).toMatchObject({ start_time: `2026-01-02T03:04:0${second}.000Z` });
    }
    child.stdin!.end();
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});

describe('bad input', () => {
  it('a directory without logs', async () => {
    const bare = join(folder, 'bare');
    mkdirSync(bare);
    const { status, stdout, stderr } = await run(['report', bare]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain(bare);
  });

  it('a glob that matches nothing', async () => {
    const { status, stdout, stderr } = await run(['report', join(folder, 'none-*.log')]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('none-*.log');
  });

  // root reads every file, whatever its mode says.
  it.skipIf(process.getuid?.() === 0)('an unreadable file', async () => {
    const locked = file('locked.log', line());
    chmodSync(locked, 0);
    const { status, stdout, stderr } = await run(['report', locked]);
    expect({ status }).toEqual({ status: 1 });
    expect(stdout).not.toContain('incident ');
    expect(stderr).toContain('permission denied');
  });

  it('one input of several is missing: the rest is reported first', async () => {
    const { status, stderr, report } = await reportOf([good, missing, bad]);
    expect(status).toBe(1);
    expect(stderr).toContain(missing);
    expect(report.coverage.inputs.map(({ path }) => path)).toEqual([good, bad]);
    expect(report.coverage.gaps).toHaveLength(1);
    expect(report.totals.requests).toBe(4);
  });

  it('a file that is named twice counts once', async () => {
    expect((await reportOf([good, good])).report.coverage.records).toBe(2);
  });

  it('a file name with parentheses and blanks, and one that a glob finds', async () => {
    const odd = file('b (1).log', `${line()}\n`);
    expect((await reportOf([odd])).report.coverage.records).toBe(1);
    expect((await reportOf([join(folder, 'b*.log')])).report.coverage.inputs.map(({ path }) => path)).toEqual(
      [odd, bad].toSorted(),
    );
  });

  it('a binary file', async () => {
    const noise = Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * i * 31 + (i >> 3)) & 0xff));
    const { status, stderr, report } = await reportOf([file('core.log', noise)]);
    expect(status).toBe(4);
    expect(stderr).toContain('binary');
    expect(report.coverage.records).toBe(0);
    const text = await run(['report', join(folder, 'core.log')]);
    expect(text.stdout).not.toMatch(/[\0-\x09\x0b-\x1f\x7f-\x9f]/);
  });

  it('a truncated line loses no good one', async () => {
    const { status, report } = await reportOf([], `${line()}\n${line().slice(0, 120)}`);
    expect(status).toBe(0);
    expect(report.coverage).toMatchObject({ lines: 2, records: 1, malformed: 1, unterminated: 1 });
  });

  it.each(['file', 'pipe'])('a line of 10 MB in a %s loses no good one', async (kind) => {
    const log = Buffer.from(`${line()}\n${line({ agent: 'x'.repeat(10 << 20) })}\n${line()}\n`);
    const { status, report } = await (kind === 'file'
      ? reportOf([file('huge.log', log)])
      : reportOf([], log));
    expect(status).toBe(0);
    expect(report.coverage).toMatchObject({
      lines: 3,
      records: 2,
      malformed: 1,
      overlong: 1,
      unterminated: 0,
    });
  });

  it('--max-line sets what is too long', async () => {
    const { report } = await reportOf(['--max-line', '20', good]);
    expect(report.coverage).toMatchObject({ lines: 2, records: 0, overlong: 2 });
  });

  it('bytes that are not UTF-8', async () => {
    const log = Buffer.from(`${line({ agent: '#' })}\n`);
    log[log.indexOf('#')] = 0xff;
    const { status, stdout } = await run(['parse'], { stdin: log });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ user_agent: '\ufffd' });
  });

  it('a gzip that ends early: what could be unpacked is reported, then status 1', async () => {
    const whole = gzipSync(
      Array.from({ length: 3000 }, (_, i) => `${line({ agent: `a${(i * 7919) % 99_991}` })}\n`).join(''),
    );
    const { status, stderr, report } = await reportOf([
      file('cut.log.gz', whole.subarray(0, whole.length * 0.7)),
    ]);
    expect(status).toBe(1);
    expect(stderr).toContain('cut.log.gz');
    expect(report.coverage.records).toBeGreaterThan(100);
  });

  it('escape sequences in a line reach no terminal', async () => {
    const { stdout } = await run(['report'], {
      stdin: `${line({ code: 503, flags: 'UF', details: '\x1b]0;gotcha\x07' })}\n`.repeat(30),
    });
    expect(stdout).not.toMatch(/[\x07\x1b]/);
  });
});

describe("the program's own diagnostics", () => {
  it('go to stderr as JSON lines with --verbose, results alone to stdout', async () => {
    const { status, stdout, stderr } = await run(['report', '-o', 'json', '--verbose', good]);
    expect(status).toBe(0);
    JSON.parse(stdout);
    for (const text of stderr.trimEnd().split('\n')) expect(JSON.parse(text)).toHaveProperty('msg');
  });

  it('or to a file', async () => {
    const log = join(folder, 'new', 'own.log');
    expect(await run(['report', '--verbose', '--log-file', log, good])).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(readFileSync(log, 'utf8')).toContain('reading');
  });

  it('to a file that cannot be written fail plainly', async () => {
    const { status, stdout, stderr } = await run(['report', '--log-file', join(good, 'x'), good]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^meshtail: --log-file /);
  });

  it('-q leaves out the warnings, not the status', async () => {
    expect(await run(['report', '-q', missing])).toEqual({ status: 1, stdout: '', stderr: '' });
  });
});

it('runs from any folder', async () => {
  expect((await run(['report', 'good.log'], { cwd: folder })).status).toBe(0);
  expect(packageRoot).not.toBe(folder);
});
