import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connect, connectionOf } from '../../src/cluster/kubeconfig.js';
import { scratch } from '../e2e/run.js';
import { choice, failureOf, kubeconfig } from './config.js';
import { ask, base64Of, echoServer, pki } from './echo-server.js';

const { folder, file } = scratch();
const https = await echoServer('https');
const http = await echoServer('http');

let made = 0;
/** A kubeconfig file of its own. */
const written = (content: string): string => file(`config-${++made}`, content);
const to = (server: string, parts: Parameters<typeof kubeconfig>[1] = {}): string =>
  written(kubeconfig(server, parts));
const through = (...files: string[]) => connect(choice({ env: { KUBECONFIG: files.join(':') } }));

afterEach(() => vi.useRealTimers());

describe('the files of KUBECONFIG', () => {
  const first = written(`
current-context: one
contexts:
  - {name: one, context: {cluster: c, user: u, namespace: from-first}}
clusters:
  - {name: c, cluster: {server: 'https://first:1'}}
users:
  - {name: u, user: {token: from-first}}
`);
  const second = written(`
current-context: two
contexts:
  - {name: one, context: {cluster: c, user: u, namespace: from-second}}
  - {name: two, context: {cluster: d, user: v}}
clusters:
  - {name: c, cluster: {server: 'https://second:1'}}
  - {name: d, cluster: {server: 'https://second:2'}}
users:
  - {name: u, user: {token: from-second}}
  - {name: v, user: {token: t}}
`);
  const missing = join(folder, 'missing');
  const empty = written('');
  const comment = written('# nothing yet\n');

  it('the first that has a name or a current context counts', async () => {
    const connection = await through(first, second);
    expect(connection).toMatchObject({ context: 'one', namespace: 'from-first', user: 'u' });
    expect(connection.server.href).toBe('https://first:1/');
    expect((await through(second, first)).context).toBe('two');
    expect((await through(first, second)).transferable().access.authentication.token).toBe('from-first');
  });

  it('the later ones add what they alone have', async () => {
    const connection = await connect(choice({ context: 'two', env: { KUBECONFIG: `${first}:${second}` } }));
    expect(connection.server.href).toBe('https://second:2/');
  });

  it('leaves out what is missing, empty or named twice', async () => {
    const connection = await through(missing, '', empty, comment, first, first, missing);
    expect(connection).toMatchObject({ context: 'one', namespace: 'from-first' });
  });

  it('takes a file without current-context for what else it has', async () => {
    const users = written('users:\n  - {name: u, user: {token: mine}}\n');
    expect((await through(users, first)).transferable().access.authentication.token).toBe('mine');
  });

  it('reads ~/.kube/config where KUBECONFIG is not set', async () => {
    mkdirSync(join(folder, '.kube'));
    writeFileSync(join(folder, '.kube', 'config'), kubeconfig('http://home:1'));
    expect((await connect(choice({ env: { HOME: folder } }))).server.host).toBe('home:1');
    expect((await connect(choice({ env: { HOME: folder, KUBECONFIG: '' } }))).server.host).toBe('home:1');
  });

  it('reads only the file of --kubeconfig where that is given', async () => {
    const connection = await connect(choice({ kubeconfig: second, env: { KUBECONFIG: first } }));
    expect(connection.context).toBe('two');
    expect(await failureOf(connect(choice({ kubeconfig: missing })))).toMatchObject({
      code: 'kubeconfig-not-found',
      message: `there is no kubeconfig ${missing}`,
    });
  });

  it('says where it looked when there is nothing', async () => {
    expect(await failureOf(connect(choice({ env: { KUBECONFIG: `${missing}:${empty}` } })))).toEqual({
      code: 'kubeconfig-missing',
      message: 'no cluster is configured',
      hint: `Looked at
  ${missing}: not there
  ${empty}: nothing in it
  in-cluster: KUBERNETES_SERVICE_HOST is not set, so this is no pod
Name a kubeconfig with --kubeconfig or KUBECONFIG, or give a log file instead of a workload.`,
    });
    expect((await failureOf(connect(choice({})))).hint).toContain('KUBECONFIG and HOME are not set');
  });

  it('keeps names and tokens as they are written', async () => {
    const odd = written(`
current-context: 0123
contexts: [{name: 0123, context: {cluster: true, user: 1.50, namespace: 1e3}}]
clusters: [{name: true, cluster: {server: 'https://x:1', insecure-skip-tls-verify: yes}}]
users: [{name: 1.50, user: {token: 00123456}}]
`);
    const { access } = (await through(odd)).transferable();
    expect(access).toMatchObject({
      context: '0123',
      namespace: '1e3',
      user: '1.50',
      tls: { insecure: true },
    });
    expect(access.authentication.token).toBe('00123456');
  });

  it.each([
    ['what is not YAML', 'users:\n  - {name: u, user: {token: s3cret}\nx', /config-\d+:3:1 is not YAML/],
    ['a text', 's3cret', /is not a kubeconfig: clusters, users and contexts were expected/],
    ['a list that is none', 'users: {s3cret: 1}', /is not a kubeconfig: users is not a list/],
    ['an entry without a name', 'users: [{user: {token: s3cret}}]', /an entry of users has no name/],
  ])('says where %s is, and not what is in it', async (_, content, message) => {
    const failure = await failureOf(through(written(content)));
    expect(failure.code).toBe('kubeconfig-invalid');
    expect(failure.message).toMatch(message);
    expect(JSON.stringify(failure)).not.toContain('s3cret');
  });

  it('reads the first of several documents', async () => {
    const several = written(`---\n${kubeconfig('http://x:1')}\n---\ncurrent-context: other\n`);
    expect((await through(several)).context).toBe('here');
  });

  it('says that a directory is one', async () => {
    expect(await failureOf(through(folder))).toMatchObject({
      code: 'kubeconfig-unreadable',
      hint: 'It is a directory; name a file in it.',
    });
  });
});

describe('the context', () => {
  const names = ['prod-eu', 'prod-us', 'staging'];
  const three = written(
    JSON.stringify({
      contexts: names.map((name) => ({ name, context: { cluster: name } })),
      clusters: [{ name: 'prod-eu', cluster: { server: 'http://eu:1' } }],
    }),
  );

  it('that is not there is told with those that are', async () => {
    expect(await failureOf(connect(choice({ kubeconfig: three, context: 'pord-eu' })))).toEqual({
      code: 'context-unknown',
      message: 'there is no context pord-eu',
      hint: `Did you mean prod-eu?\nContexts in ${three}:\n  prod-eu\n  prod-us\n  staging`,
    });
  });

  it('is found by a part of its name', async () => {
    const { hint } = await failureOf(connect(choice({ kubeconfig: three, context: 'Prod' })));
    expect(hint).toMatch(/^Did you mean prod-eu or prod-us\?\n/);
  });

  it('that is current but gone is told as that', async () => {
    const gone = written('current-context: old\ncontexts: [{name: new, context: {}}]');
    expect(await failureOf(through(gone))).toMatchObject({
      code: 'context-unknown',
      message: 'the current context old is not in the kubeconfig',
    });
  });

  it('of many is told with the first twenty', async () => {
    const many = Array.from({ length: 30 }, (_, i) => ({ name: `c${i + 10}`, context: { cluster: 'c' } }));
    const { hint } = await failureOf(
      connect(choice({ kubeconfig: written(JSON.stringify({ contexts: many })), context: 'zzz' })),
    );
    expect(hint.split('\n')).toHaveLength(22);
    expect(hint).toContain('  c29\n  and 10 more: kubectl config get-contexts -o name');
    expect(hint).not.toContain('Did you mean');
  });

  it('that nobody chose is asked for', async () => {
    expect(await failureOf(connect(choice({ kubeconfig: three })))).toMatchObject({
      code: 'context-not-set',
      hint: expect.stringContaining('  prod-eu\n  prod-us\n  staging\nName one with --context'),
    });
  });

  it.each([
    ['cluster-unknown', { cluster: 'gone' }, 'names the cluster gone, which is not there'],
    ['cluster-unknown', { cluster: null }, 'names no cluster'],
  ])('that leads nowhere: %s %o', async (code, context, message) => {
    const config = to('http://x:1', { context });
    expect(await failureOf(through(config))).toMatchObject({
      code,
      message: `context here of ${config} ${message}`,
    });
  });

  it('gives the namespace unless -n does', async () => {
    const config = to('http://x:1', { context: { namespace: 'shop' } });
    expect((await through(config)).namespace).toBe('shop');
    expect((await connect(choice({ kubeconfig: config, namespace: 'other' }))).namespace).toBe('other');
    expect((await through(to('http://x:1'))).namespace).toBe('default');
  });

  it.each([
    ['https://x:1/k8s/clusters/c-1/', {}, 'https://x:1/k8s/clusters/c-1'],
    ['x:1', { 'insecure-skip-tls-verify': true }, 'https://x:1/'],
    ['x:1', {}, 'http://x:1/'],
  ])('with the server %s %o leads to %s', async (server, cluster, expected) => {
    const config = to(server, { cluster: { 'certificate-authority': null, ...cluster } });
    expect((await through(config)).server.href).toBe(expected);
  });

  it.each([[null], [''], ['ftp://x:1'], ['https://x:port']])(
    'with the server %o is refused',
    async (server) => {
      expect(await failureOf(through(to('http://x:1', { cluster: { server } })))).toMatchObject({
        code: 'kubeconfig-invalid',
        hint: "Set it: kubectl config set-cluster 'shop' --server=https://HOST:PORT",
      });
    },
  );
});

describe('who we are', () => {
  const janesFiles = { 'client-certificate': pki('jane.crt'), 'client-key': pki('jane.key') };
  const janesData = {
    'client-certificate-data': base64Of(pki('jane.crt')),
    'client-key-data': base64Of(pki('jane.key')),
  };

  it('is shown by a certificate, from files or from data, and data comes first', async () => {
    expect(await ask(await through(to(https.url, { user: janesFiles })))).toMatchObject({
      certificate: 'jane',
    });
    const both = { 'client-certificate': 'missing', 'client-key': 'missing', ...janesData };
    expect(await ask(await through(to(https.url, { user: both })))).toMatchObject({ certificate: 'jane' });
  });

  it('is shown by files beside the kubeconfig', async () => {
    const beside = written(
      kubeconfig(https.url, {
        cluster: { 'certificate-authority': 'own-ca.crt' },
        user: { tokenFile: 'own-token' },
      }),
    );
    file('own-ca.crt', Buffer.from(base64Of(pki('ca.crt')), 'base64'));
    file('own-token', 'beside\n');
    expect(await ask(await through(beside))).toMatchObject({ authorization: 'Bearer beside' });
  });

  it.each([
    ['a token', { token: 'abc' }, 'Bearer abc'],
    ['a token with a newline', { token: 'abc\n' }, 'Bearer abc'],
    ['a name and a password', { username: 'jane', password: 'pässword' }, 'Basic amFuZTpww6Rzc3dvcmQ='],
    ['nothing', {}, undefined],
    ['no user', null, undefined],
  ])('%s', async (_, user, authorization) => {
    expect((await ask(await through(to(https.url, { user })))).authorization).toBe(authorization);
  });

  it('is not said where anybody on the way could read it', async () => {
    for (const user of [{ token: 'abc' }, { username: 'j', password: 'p' }, { exec: { command: 'none' } }]) {
      const connection = await through(to(http.url, { user: { ...user, as: 'kim' } }));
      expect(await ask(connection)).toMatchObject({ status: 200, impersonation: ['Impersonate-User: kim'] });
      expect((await ask(connection)).authorization).toBeUndefined();
      expect(connection.refusal().hint).toContain('Nobody is told credentials over http');
    }
  });

  it('is nobody where the user is not there', async () => {
    const connection = await through(to(https.url, { user: { token: 't' }, context: { user: 'gone' } }));
    expect((await ask(connection)).authorization).toBeUndefined();
    expect(connection.refusal()).toMatchObject({
      message: 'the server wants to know who we are, and user gone has no credentials',
      hint: expect.stringContaining('kubectl config view'),
    });
  });

  it.each([
    ['the token file', { tokenFile: file('token', 'of-the-file'), token: 't' }, /^Bearer of-the-file$/],
    ['the token', { token: 't', exec: { apiVersion: 'v1', command: '/nowhere' } }, /^Bearer t$/],
    [
      'the password',
      { username: 'j', password: 'p', exec: { apiVersion: 'v1', command: '/nowhere' } },
      /^Basic/,
    ],
  ])('is said by %s where there is more', async (_, user, expected) => {
    const connection = await through(to(https.url, { user }));
    expect((await ask(connection)).authorization).toMatch(expected);
  });

  it('is read from the token file again after a minute, and at once after a 401', async () => {
    const token = file('rotated', 'first\n');
    const connection = await through(to(https.url, { user: { tokenFile: token, token: 'beside' } }));
    const first = await ask(connection);
    expect(first).toMatchObject({ authorization: 'Bearer first' });
    writeFileSync(token, '  second\n');
    expect(await ask(connection)).toMatchObject({ authorization: 'Bearer first' });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
    const { connection: sameAgent } = first;
    expect(await ask(connection)).toMatchObject({ authorization: 'Bearer second', connection: sameAgent });
    writeFileSync(token, 'third');
    connection.renew();
    expect(await ask(connection)).toMatchObject({ authorization: 'Bearer third' });
    rmSync(token);
    connection.renew();
    expect(await ask(connection)).toMatchObject({ authorization: 'Bearer third' });
  });

  it.each([
    ['a token file that is missing', { tokenFile: '/nowhere/token' }, 'cannot read the token /nowhere/token'],
    [
      'a certificate that is missing',
      { 'client-certificate': '/nowhere/c' },
      'client certificate /nowhere/c',
    ],
  ])('%s is told', async (_, user, message) => {
    const failure = await failureOf(through(to(https.url, { user })));
    expect(failure).toMatchObject({ code: 'credential-unreadable' });
    expect(failure.message).toContain(message);
    expect(failure.message).toContain('(user jane, context here): ENOENT');
  });

  it.each([
    ['a certificate that is none', { 'client-certificate-data': 'eA==', 'client-key-data': 'eA==' }, {}],
    ['a key of another', { ...janesFiles, 'client-key': pki('late.key') }, {}],
    ['an authority that is none', {}, { 'certificate-authority-data': 'eA==' }],
  ])('%s is told before anything is asked', async (what, user, cluster) => {
    const failure = await failureOf(through(to(https.url, { user, cluster })));
    expect(failure.code).toBe('credential-invalid');
    expect(failure.message).toMatch(
      what.includes('authority')
        ? /^the certificate authority of context here cannot be used: /
        : /^the client certificate of context here cannot be used: (?:no start line|key values mismatch)$/,
    );
  });

  it('is another where the kubeconfig or --as says so', async () => {
    const as = {
      token: 't',
      as: 'kim',
      'as-uid': '7',
      'as-groups': ['devs', 'on call'],
      'as-user-extra': { 'example.com/scopes 1%': ['view', 'edit'] },
    };
    const config = to(https.url, { user: as });
    const connection = await through(config);
    expect(connection.user).toBe('jane as kim');
    expect((await ask(connection)).impersonation).toEqual([
      'Impersonate-User: kim',
      'Impersonate-Group: devs',
      'Impersonate-Group: on call',
      'Impersonate-Uid: 7',
      'Impersonate-Extra-example.com%2Fscopes%201%25: view',
      'Impersonate-Extra-example.com%2Fscopes%201%25: edit',
    ]);
    const other = await connect(choice({ kubeconfig: to(https.url), as: 'lee', asGroups: ['ops', 'devs'] }));
    expect((await ask(other)).impersonation).toEqual([
      'Impersonate-User: lee',
      'Impersonate-Group: ops',
      'Impersonate-Group: devs',
    ]);
  });

  it('may have a name of any alphabet', async () => {
    const connection = await connect(choice({ kubeconfig: to(https.url), as: 'юлия' }));
    const [header] = (await ask(connection)).impersonation;
    expect(Buffer.from(header!, 'latin1').toString()).toBe('Impersonate-User: юлия');
  });

  it.each([
    [{ user: { token: 'a\u0000b' } }, {}, 'the token of user jane has a character that no header may have'],
    [{}, { as: 'a\nb' }, 'what Impersonate-User is to say has a character that no header may have'],
  ])('cannot be a header that breaks: %o %o', async (parts, more, message) => {
    const failure = await failureOf(connect(choice({ kubeconfig: to(https.url, parts), ...more })));
    expect(failure).toMatchObject({ code: 'credential-invalid', message });
  });

  it('cannot be groups of nobody', async () => {
    const failure = await failureOf(connect(choice({ kubeconfig: to(https.url), asGroups: ['ops'] })));
    expect(failure).toMatchObject({ code: 'usage', hint: 'Add --as USER.' });
    for (const part of [{ 'as-groups': ['ops'] }, { 'as-uid': '7' }, { 'as-user-extra': { a: ['b'] } }]) {
      const config = to(https.url, { user: { token: 't', ...part } });
      expect(await failureOf(through(config))).toMatchObject({ code: 'kubeconfig-invalid' });
      expect((await connect(choice({ kubeconfig: config, as: 'kim' }))).user).toBe('jane as kim');
    }
  });

  it('comes from a legacy auth provider through the library', async () => {
    const claims = (exp: number) => `e30.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.c2ln`;
    const oidc = (exp: number) => ({
      user: { 'auth-provider': { name: 'oidc', config: { 'id-token': claims(exp), 'client-id': 'x' } } },
    });
    const good = claims(4e9);
    expect(await ask(await through(to(https.url, oidc(4e9))))).toMatchObject({
      authorization: `Bearer ${good}`,
    });
    expect(await failureOf(through(to(https.url, oidc(1e9))))).toMatchObject({
      code: 'auth-provider-failed',
      message: 'the auth provider oidc of user jane gave no token',
    });
    const gcp = { 'auth-provider': { name: 'gcp', config: { expiry: '2020-01-01T00:00:00Z' } } };
    expect(await failureOf(through(to(https.url, { user: gcp })))).toMatchObject({
      code: 'auth-provider-failed',
      message: 'the auth provider gcp of user jane failed: Token is expired!',
    });
  });
});

describe('the connection', () => {
  it('shares one agent, its sockets and its TLS sessions', async () => {
    const connection = await through(to(https.url));
    const options = await Promise.all(Array.from({ length: 300 }, () => connection.requestOptions()));
    expect(new Set(options).size).toBe(1);
    const one = await ask(connection);
    const two = await ask(connection);
    expect(two.connection).toBe(one.connection);
    const both = await Promise.all([ask(connection), ask(connection)]);
    expect(new Set(both.map((echo) => echo.connection)).size).toBe(2);
    expect(both.some((echo) => echo.resumed)).toBe(true);
  });

  it('opens as many connections as are asked for together', async () => {
    const connection = await through(to(http.url));
    const echoes = await Promise.all(Array.from({ length: 120 }, () => ask(connection)));
    expect(new Set(echoes.map((echo) => echo.connection)).size).toBe(120);
  });

  it('trusts only the authority that is named, unless told otherwise', async () => {
    const nobody = to(https.url, { cluster: { 'certificate-authority': null } });
    await expect(through(nobody).then((c) => ask(c))).rejects.toMatchObject({
      code: expect.stringMatching(/UNABLE_TO_|SELF_SIGNED/),
    });
    const cluster = { 'certificate-authority': null, 'insecure-skip-tls-verify': true };
    expect((await ask(await through(to(https.url, { cluster })))).status).toBe(200);
  });

  it('expects the name that tls-server-name gives', async () => {
    const named = (name: string) => through(to(https.url, { cluster: { 'tls-server-name': name } }));
    expect((await ask(await named('api.example'))).status).toBe(200);
    await expect(named('other.example').then((c) => ask(c))).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    });
  });

  it('speaks plain HTTP to an http server, below its path', async () => {
    const connection = await through(to(`${http.url}/k8s/clusters/c-1/`));
    expect(await ask(connection)).toMatchObject({ path: '/k8s/clusters/c-1/version', status: 200 });
  });

  it('goes to a worker as plain data', async () => {
    const files = { 'client-certificate': pki('jane.crt'), 'client-key': pki('jane.key') };
    const connection = await connect(
      choice({ kubeconfig: to(https.url, { user: { ...files, token: 't' } }), as: 'kim', namespace: 'n' }),
    );
    const there = connectionOf(structuredClone(connection.transferable()));
    expect(there).toMatchObject({ context: 'here', namespace: 'n', user: 'jane as kim', proxy: null });
    expect(await ask(there)).toMatchObject({
      authorization: 'Bearer t',
      certificate: 'jane',
      impersonation: ['Impersonate-User: kim'],
    });
  });
});

describe('why the server says 401', () => {
  const refusalOf = async (user: object | null) => (await through(to(https.url, { user }))).refusal();
  const jwt = (exp: number) => `e30.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.c2ln`;
  const late = { 'client-certificate': pki('late.crt'), 'client-key': pki('late.key') };
  const jane = { 'client-certificate': pki('jane.crt'), 'client-key': pki('jane.key') };

  it.each([
    ['client-certificate-expired', late, 'the client certificate of user jane expired 2024-01-02T00:00:00Z'],
    ['token-expired', { token: jwt(1.7e9) }, 'the token of user jane expired 2023-11-14T22:13:20Z'],
    ['unauthorized', { token: jwt(4e9) }, 'the server does not accept the token of user jane'],
    ['unauthorized', { token: 'a.b.c' }, 'the server does not accept the token of user jane'],
    ['unauthorized', { ...late, token: 'opaque' }, 'the server does not accept the token of user jane'],
    ['unauthorized', jane, 'the server does not accept the client certificate of user jane'],
    [
      'unauthorized',
      { username: 'j', password: 'p' },
      'the server does not accept the user name and password of user jane',
    ],
    ['unauthorized', {}, 'the server wants to know who we are, and user jane has no credentials'],
  ])('%s: %o', async (code, user, message) => {
    expect(await refusalOf(user)).toMatchObject({ code, message });
  });

  it('may be the wrong context', async () => {
    const { hint } = await refusalOf({ token: 'x' });
    expect(hint).toContain(`Is it the right context? here leads to ${https.url}`);
  });
});

describe('in a pod', () => {
  const account = join(folder, 'serviceaccount');
  const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(https.port) };
  const inPod = (more: Parameters<typeof choice>[0] = { env: {} }) =>
    connect(choice({ ...more, env: { ...env, ...more.env } }), account);

  it('without a token there is nothing to connect with', async () => {
    const { code, hint } = await failureOf(inPod());
    expect(code).toBe('kubeconfig-missing');
    expect(hint).toContain('  in-cluster: the pod has no service account token');
  });

  it('is the service account', async () => {
    mkdirSync(account);
    writeFileSync(join(account, 'token'), 'of-the-pod\n');
    writeFileSync(join(account, 'namespace'), 'tools\n');
    writeFileSync(join(account, 'ca.crt'), Buffer.from(base64Of(pki('ca.crt')), 'base64'));
    const connection = await inPod();
    expect(connection).toMatchObject({ context: null, namespace: 'tools' });
    expect(connection.server.href).toBe(`${https.url}/`);
    expect(await ask(connection)).toMatchObject({ authorization: 'Bearer of-the-pod' });
    writeFileSync(join(account, 'token'), 'rotated\n');
    connection.renew();
    expect(await ask(connection)).toMatchObject({ authorization: 'Bearer rotated' });
  });

  it('takes -n and --as, and knows no contexts', async () => {
    const connection = await inPod({ namespace: 'other', as: 'kim', env: {} });
    expect(connection.namespace).toBe('other');
    expect((await ask(connection)).impersonation).toEqual(['Impersonate-User: kim']);
    expect(await failureOf(inPod({ context: 'prod', env: {} }))).toMatchObject({
      code: 'context-unknown',
      hint: 'There are no contexts in any kubeconfig.',
    });
  });

  it('gives way to a kubeconfig', async () => {
    expect((await inPod({ env: { KUBECONFIG: to(http.url) } })).context).toBe('here');
  });
});
