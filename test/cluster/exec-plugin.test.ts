import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pty from '@lydell/node-pty';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connect, connectionOf } from '../../src/cluster/kubeconfig.js';
import { packageRoot } from '../../src/paths.js';
import { scratch } from '../e2e/run.js';
import { choice, failureOf, kubeconfig } from './config.js';
import { ask, base64Of, echoServer, pki } from './echo-server.js';

const { folder, file } = scratch();
const server = await echoServer();
const API = 'client.authentication.k8s.io/v1';

const answer = (status: object) => JSON.stringify({ kind: 'ExecCredential', apiVersion: API, status });

let made = 0;
/** A plugin: a shell script in a folder of its own, where it leaves a line in `ran` for each run. */
function plugin(script: string): {
  command: string;
  runs: () => number;
  folder: string;
  write: (name: string, text: string) => void;
} {
  const own = join(folder, `plugin-${++made}`);
  mkdirSync(own);
  const command = join(own, 'give-token');
  writeFileSync(command, `#!/bin/sh\ncd '${own}'\necho run >> ran\n${script}\n`);
  chmodSync(command, 0o755);
  return {
    command,
    folder: own,
    runs: () =>
      existsSync(join(own, 'ran')) ? readFileSync(join(own, 'ran'), 'utf8').split('\n').length - 1 : 0,
    write: (name, text) => writeFileSync(join(own, name), text),
  };
}

const configOf = (exec: object, cluster: object = {}): string =>
  file(`config-${++made}`, kubeconfig(server.url, { user: { exec: { apiVersion: API, ...exec } }, cluster }));
const run = (exec: object, cluster: object = {}) =>
  connect(choice({ kubeconfig: configOf(exec, cluster), env: { HOME: folder } }));

afterEach(() => vi.useRealTimers());

describe('a credential plugin', () => {
  it('is run once until the server refuses what it gave', async () => {
    const { command, runs, write } = plugin('cat answer');
    write('answer', answer({ token: 'first\n' }));
    const connection = await run({ command });
    expect(runs()).toBe(1);
    for (let i = 0; i < 3; i++)
      expect(await ask(connection)).toMatchObject({ authorization: 'Bearer first' });
    server.refused.add('first');
    write('answer', answer({ token: 'second' }));
    const used = await connection.requestOptions();
    expect((await ask(connection)).status).toBe(401);
    expect(runs()).toBe(1);

    // Many streams are refused together: one renews, and who comes late finds it done.
    for (let i = 0; i < 50; i++) connection.renew(used);
    const renewed = await Promise.all(Array.from({ length: 50 }, () => connection.requestOptions()));
    connection.renew(used);
    connection.renew({ ...used, headers: { ...(used.headers as object), Accept: '*/*' } });
    expect(new Set(renewed).size).toBe(1);
    expect(await ask(connection)).toMatchObject({ authorization: 'Bearer second', status: 200 });
    expect(runs()).toBe(2);
    connection.renew({ ...renewed[0], headers: { ...(renewed[0]!.headers as object), Accept: '*/*' } });
    await connection.requestOptions();
    expect(runs()).toBe(3);
  });

  it('is run again when its token has expired', async () => {
    const { command, runs, write } = plugin('cat answer');
    const expirationTimestamp = new Date(Date.now() + 60_000).toISOString();
    write('answer', answer({ token: 'short', expirationTimestamp }));
    const connection = await run({ command });
    write('answer', answer({ token: 'next' }));
    expect(await ask(connection)).toMatchObject({ authorization: 'Bearer short' });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
    expect(await ask(connection)).toMatchObject({ authorization: 'Bearer next' });
    expect(runs()).toBe(2);
  });

  it('gives a certificate, and another later', async () => {
    const { command, write } = plugin('cat answer');
    const pair = (name: string) => ({
      clientCertificateData: readFileSync(pki(`${name}.crt`), 'utf8'),
      clientKeyData: readFileSync(pki(`${name}.key`), 'utf8'),
    });
    write('answer', answer(pair('late')));
    const connection = await run({ command });
    const first = await ask(connection);
    expect(first).toMatchObject({ certificate: 'late' });
    expect(first.authorization).toBeUndefined();
    write('answer', answer(pair('jane')));
    connection.renew();
    const second = await ask(connection);
    expect(second).toMatchObject({ certificate: 'jane' });
    expect(second.connection).not.toBe(first.connection);
  });

  it('is found beside the kubeconfig where its command has a slash, else in PATH', async () => {
    const { folder: own } = plugin(`echo '${answer({ token: 'found' })}'`);
    const beside = file(
      `config-${++made}`,
      kubeconfig(server.url, {
        user: { exec: { apiVersion: API, command: `./${own.slice(folder.length + 1)}/give-token` } },
      }),
    );
    expect(await ask(await connect(choice({ kubeconfig: beside })))).toMatchObject({
      authorization: 'Bearer found',
    });
    const config = configOf({ command: 'give-token' });
    const found = await connect(
      choice({ kubeconfig: config, env: { PATH: `/nowhere:${own}:/usr/bin:/bin` } }),
    );
    expect(await ask(found)).toMatchObject({ authorization: 'Bearer found' });
  });

  it('gets its arguments, the environment and its own variables', async () => {
    const { command } = plugin(`printf '${answer({ token: '%s' })}' "$1-$2-$MINE-$HOME"`);
    const connection = await run({ command, args: ['a b', '0123'], env: [{ name: 'MINE', value: 'c' }] });
    expect(await ask(connection)).toMatchObject({ authorization: `Bearer a b-0123-c-${folder}` });
  });

  it('is told what is asked of it, and of the cluster if it wants that', async () => {
    const script = `printf %s "$KUBERNETES_EXEC_INFO" > info; echo '${answer({ token: 't' })}'`;
    const { command, folder: own } = plugin(script);
    const info = (): unknown => JSON.parse(readFileSync(join(own, 'info'), 'utf8'));
    await run({ command });
    expect(info()).toEqual({ kind: 'ExecCredential', apiVersion: API, spec: { interactive: false } });
    await run(
      { command, provideClusterInfo: true },
      {
        'tls-server-name': 'localhost',
        extensions: [
          { name: 'other', extension: { no: 1 } },
          { name: 'client.authentication.k8s.io/exec', extension: { audience: 'x', ttl: 60, deep: [true] } },
        ],
      },
    );
    expect(info()).toEqual({
      kind: 'ExecCredential',
      apiVersion: API,
      spec: {
        interactive: false,
        cluster: {
          server: server.url,
          'tls-server-name': 'localhost',
          'certificate-authority-data': base64Of(pki('ca.crt')),
          config: { audience: 'x', ttl: 60, deep: [true] },
        },
      },
    });
  });

  it('is run by a worker too, and only for what it has not been given', async () => {
    const { command, runs, write } = plugin('cat answer');
    write('answer', answer({ token: 'one' }));
    const there = connectionOf(structuredClone((await run({ command })).transferable()));
    expect(await ask(there)).toMatchObject({ authorization: 'Bearer one' });
    expect(runs()).toBe(1);
    write('answer', answer({ token: 'two' }));
    there.renew();
    expect(await ask(there)).toMatchObject({ authorization: 'Bearer two' });
    expect(runs()).toBe(2);
  });

  it('that fails is not started again by each of many', async () => {
    const { command, runs, write } = plugin('cat answer');
    write('answer', answer({ token: 'one' }));
    const connection = await run({ command });
    write('answer', 'no more');
    connection.renew();
    for (let i = 0; i < 20; i++) {
      expect(await failureOf(connection.requestOptions())).toMatchObject({ code: 'exec-plugin-answer' });
    }
    expect(runs()).toBe(2);
    write('answer', answer({ token: 'two' }));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3000 });
    expect(await ask(connection)).toMatchObject({ authorization: 'Bearer two' });
  });

  it('that hangs is given up, also where what it started holds its output open', async () => {
    const { command } = plugin('sleep 20 & sleep 20');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const failure = failureOf(run({ command }));
    const clock = setInterval(() => vi.advanceTimersByTime(10_000), 1);
    expect((await failure.finally(() => clearInterval(clock))).message).toBe(
      `the credential plugin ${command} of user jane took longer than 120 s`,
    );
  });

  it('names what to log in with when the server says 401', async () => {
    const { command } = plugin(`echo '${answer({ token: 't' })}'`);
    expect((await run({ command })).refusal().hint).toContain(`the credential plugin is ${command}`);
  });
});

describe('a credential plugin that does not work', () => {
  it('and is not there says how to install it', async () => {
    expect(
      await failureOf(run({ command: 'acme-auth', installHint: 'Get it from example.com/acme\n\n' })),
    ).toEqual({
      code: 'exec-plugin-missing',
      message: 'the credential plugin acme-auth of user jane is not in PATH',
      hint: 'Get it from example.com/acme',
    });
    expect(await failureOf(run({ command: './acme-auth' }))).toEqual({
      code: 'exec-plugin-missing',
      message: `the credential plugin ${folder}/acme-auth of user jane is not in ${folder}`,
      hint: 'Install it, or add its directory to PATH; kubectl needs it too.',
    });
  });

  it('and may not be run says so', async () => {
    const command = file('not-executable', 'x');
    expect(await failureOf(run({ command }))).toMatchObject({
      code: 'exec-plugin-failed',
      message: `cannot run the credential plugin ${command} of user jane: EACCES`,
    });
  });

  it.each([
    [
      "echo 'SSO session expired' >&2; echo 'run acme login' >&2; exit 3",
      'failed with exit status 3',
      'It said:\n  SSO session expired\n  run acme login\nTry it by hand: ',
    ],
    ['exit 1', 'failed with exit status 1', 'It said nothing.\nTry it by hand: '],
    ['kill -9 $$', 'was killed', 'It said nothing.\n'],
  ])('%s', async (script, how, hint) => {
    const { command } = plugin(script);
    const failure = await failureOf(run({ command, args: ['get-token', '--cluster=x'] }));
    expect(failure.code).toBe('exec-plugin-failed');
    expect(failure.message).toBe(`the credential plugin ${command} of user jane ${how}`);
    expect(failure.hint).toContain(hint);
    expect(failure.hint).toContain(`${command} get-token --cluster=x`);
  });

  it.each([
    ['', 'printed nothing'],
    ['s3cret', 'printed something that is not JSON'],
    ['null', 'printed no ExecCredential'],
    ['{"kind":"Secret"}', 'printed no ExecCredential'],
    [
      '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","status":{"token":"s3cret"}}',
      `answered in client.authentication.k8s.io/v1beta1, but the kubeconfig asks for ${API}`,
    ],
    [answer({}), 'gave neither a token nor a client certificate'],
    [answer({ token: '' }), 'gave neither a token nor a client certificate'],
    [answer({ clientKeyData: 's3cret' }), 'gave a client key without its certificate'],
    [answer({ clientCertificateData: 'x' }), 'gave a client certificate without its key'],
  ])('and prints %o', async (output, what) => {
    const { command } = plugin(`printf %s '${output}'`);
    const failure = await failureOf(run({ command }));
    expect(failure).toMatchObject({
      code: 'exec-plugin-answer',
      message: `the credential plugin ${command} of user jane ${what}`,
    });
    expect(JSON.stringify(failure)).not.toContain('s3cret');
  });

  it.each([
    [{ apiVersion: API }, 'exec has no command'],
    [{ apiVersion: '', command: 'x' }, 'exec has no apiVersion'],
  ])('as %o is not complete', async (exec, what) => {
    const failure = await failureOf(run(exec));
    expect(failure).toMatchObject({ code: 'kubeconfig-invalid', message: expect.stringContaining(what) });
  });
});

describe('a credential plugin that asks', () => {
  const script = 'printf "Code: " >&2; read -r code; printf \'' + answer({ token: '%s' }) + '\' "$code"';

  it('needs a terminal', async () => {
    const { command, runs } = plugin(script);
    expect(await failureOf(run({ command, interactiveMode: 'Always' }))).toEqual({
      code: 'exec-plugin-needs-terminal',
      message: `the credential plugin ${command} of user jane has to ask at a terminal`,
      hint: 'Standard input is not a terminal; start meshtail from one.',
    });
    expect(runs()).toBe(0);
  });

  /** Connects in a pseudo-terminal of its own, then renews, and types what is asked for. */
  function atTerminal(exec: object): Promise<string> {
    const program = file(
      `program-${++made}.mjs`,
      `import { connect } from ${JSON.stringify(join(packageRoot, 'dist/src/cluster/kubeconfig.js'))};
const tell = (options) => console.log('got ' + options.headers.Authorization);
try {
  const connection = await connect({ kubeconfig: ${JSON.stringify(configOf(exec))}, env: process.env });
  tell(await connection.requestOptions());
  connection.renew();
  tell(await connection.requestOptions());
} catch (error) {
  console.log(error.code + ': ' + error.message + '; ' + error.hint);
}`,
    );
    const terminal = pty.spawn(process.execPath, [program], {
      cols: 500,
      env: { PATH: process.env['PATH'] ?? '' },
    });
    let shown = '';
    terminal.onData((data) => {
      shown += data;
      if (data.includes('Code: ')) terminal.write('open sesame\r');
    });
    return new Promise((resolve) => terminal.onExit(() => resolve(shown)));
  }

  it.each([['IfAvailable'], ['Always'], [undefined]])('gets it at the start: %s', async (interactiveMode) => {
    const { command, runs } = plugin(script);
    const shown = await atTerminal({ command, interactiveMode });
    expect(shown).toContain('Code: ');
    expect(shown).toContain('got Bearer open sesame');
    if (interactiveMode === 'Always') {
      expect(shown).toContain('It can ask at the start only: quit and start meshtail again.');
      expect(runs()).toBe(1);
    } else {
      // Later it has no terminal: what it reads is empty.
      expect(shown).toContain('exec-plugin-answer: ');
      expect(runs()).toBe(2);
    }
  });

  it('cannot open it later, when a screen may be there', async () => {
    const { command } = plugin(`
if (: < /dev/tty) 2>/dev/null; then can=yes; else can=no; fi
printf '${answer({ token: '%s' })}' $can`);
    expect(await atTerminal({ command })).toMatch(/got Bearer yes\s+got Bearer no/);
  });

  it('does not get it where it never asks', async () => {
    const { command } = plugin(script);
    const shown = await atTerminal({ command, interactiveMode: 'Never' });
    expect(shown).not.toContain('Code: ');
    expect(shown).toContain('gave neither a token nor a client certificate');
  });

  it('and fails has said why on the terminal', async () => {
    const { command } = plugin('echo "wrong code" >&2; exit 2');
    const shown = await atTerminal({ command });
    expect(shown.indexOf('wrong code')).toBeGreaterThanOrEqual(0);
    expect(shown).toContain('failed with exit status 2; What it said is above.');
  });
});
