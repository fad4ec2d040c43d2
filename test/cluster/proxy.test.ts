import { createServer as createHttp } from 'node:http';
import {
  connect as connectTo,
  createServer as createTcp,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { connect, connectionOf } from '../../src/cluster/kubeconfig.js';
import { goesDirect, proxyFor, proxyName } from '../../src/cluster/proxy.js';
import { scratch } from '../e2e/run.js';
import { choice, failureOf, kubeconfig } from './config.js';
import { ask, echoServer } from './echo-server.js';

const { file } = scratch();
const https = await echoServer('https');
const http = await echoServer('http');

/** What the proxies were asked to connect to, whichever name that was: they lead to this machine. */
const asked: string[] = [];
beforeEach(() => void (asked.length = 0));

function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => {})));
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

function join(one: Socket, port: number, greeting: () => void): void {
  const other = connectTo(port, '127.0.0.1', () => {
    greeting();
    one.pipe(other).pipe(one);
  });
  other.on('error', () => one.destroy());
}

const connectProxy = await listening(
  createHttp().on('connect', (request, socket: Socket) => {
    asked.push(`${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim());
    join(socket, Number(request.url?.split(':').at(-1)), () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
  }),
);

/** SOCKS 5 without authentication, CONNECT to a name: https://www.rfc-editor.org/rfc/rfc1928 */
const socksProxy = await listening(
  createTcp((socket) => {
    socket.once('data', () => {
      socket.write(Buffer.from([5, 0]));
      socket.once('data', (request) => {
        const length = request[4]!;
        const port = request.readUInt16BE(5 + length);
        asked.push(`${request[3] === 3 ? request.subarray(5, 5 + length).toString() : 'an address'}:${port}`);
        join(socket, port, () => socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])));
      });
    });
  }),
);

const PROXIES: readonly (readonly [string, string, (name: string, port: number) => string])[] = [
  ['an HTTP proxy', `http://127.0.0.1:${connectProxy}`, (name, port) => `${name}:${port}`],
  [
    'an HTTP proxy with a password',
    `http://me:p%40ss@127.0.0.1:${connectProxy}`,
    (name, port) => `${name}:${port} Basic bWU6cEBzcw==`,
  ],
  ['a SOCKS proxy', `socks5://127.0.0.1:${socksProxy}`, (name, port) => `${name}:${port}`],
];

let made = 0;
const through = (server: string, cluster: object, env: Record<string, string>) =>
  connect(choice({ kubeconfig: file(`config-${++made}`, kubeconfig(server, { cluster })), env }));

describe.each(PROXIES)('%s', (_, proxy, expected) => {
  it('of the cluster is used, with one connection for requests in turn', async () => {
    const connection = await through(
      `https://api.example:${https.port}`,
      { 'proxy-url': proxy },
      { NO_PROXY: '*' },
    );
    const one = await ask(connection);
    const two = await ask(connection);
    expect(one.status).toBe(200);
    expect(two.connection).toBe(one.connection);
    expect(asked).toEqual([expected('api.example', https.port)]);
    const both = await Promise.all([ask(connection), ask(connection)]);
    expect(both.map((echo) => echo.status)).toEqual([200, 200]);
    expect(asked).toHaveLength(2);
    expect(connection.proxy).toBe(`${proxy.split('//')[0]}//127.0.0.1:${new URL(proxy).port}`);
  });

  it('of the environment is used, in a worker too', async () => {
    const connection = await through(`https://api.example:${https.port}`, {}, { HTTPS_PROXY: proxy });
    expect((await ask(connectionOf(structuredClone(connection.transferable())))).status).toBe(200);
    expect(asked).toEqual([expected('api.example', https.port)]);
  });

  it('is used for a server without TLS', async () => {
    const connection = await through(`http://api.example:${http.port}`, {}, { http_proxy: proxy });
    expect((await ask(connection)).status).toBe(200);
    expect((await ask(connection)).status).toBe(200);
    expect(asked).toEqual([expected('api.example', http.port)]);
  });
});

describe('the proxy of the environment', () => {
  const server = (url: string) => new URL(url);

  it.each([
    ['https://api:6443', { HTTPS_PROXY: 'http://p:1' }, 'http://p:1'],
    ['https://api:6443', { https_proxy: 'http://p:1' }, 'http://p:1'],
    ['https://api:6443', { HTTPS_PROXY: 'http://p:1', https_proxy: 'http://q:1' }, 'http://p:1'],
    ['https://api:6443', { HTTPS_PROXY: '', https_proxy: 'http://q:1' }, 'http://q:1'],
    ['https://api:6443', { HTTPS_PROXY: 'p:1' }, 'http://p:1'],
    ['https://api:6443', { HTTPS_PROXY: 'socks5://p:1' }, 'socks5h://p:1'],
    ['https://api:6443', { HTTP_PROXY: 'http://p:1' }, undefined],
    ['http://api:8080', { HTTP_PROXY: 'http://p:1', HTTPS_PROXY: 'http://q:1' }, 'http://p:1'],
    ['https://api:6443', { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'api' }, undefined],
    ['https://api:6443', { HTTPS_PROXY: 'http://p:1', no_proxy: 'api' }, undefined],
    ['https://localhost:6443', { HTTPS_PROXY: 'http://p:1' }, undefined],
    ['https://127.0.0.9:6443', { HTTPS_PROXY: 'http://p:1' }, undefined],
    ['https://[::1]:6443', { HTTPS_PROXY: 'http://p:1' }, undefined],
  ])('to %s with %o is %s', (url, env, expected) => {
    expect(proxyFor(server(url), undefined, env)).toBe(expected);
  });

  it.each([
    ['*', 'https://api:6443', true],
    ['', 'https://api:6443', false],
    [' , a.example , api.example ', 'https://api.example', true],
    ['example', 'https://api.example', true],
    ['API.Example', 'https://api.example', true],
    ['.example', 'https://api.example', true],
    ['.api.example', 'https://api.example', false],
    ['*.api.example', 'https://api.example', false],
    ['*.example', 'https://api.example', true],
    ['ample', 'https://api.example', false],
    ['api.example:443', 'https://api.example', true],
    ['api.example:6443', 'https://api.example', false],
    ['.example:6443', 'https://api.example:6443', true],
    ['10.1.2.3', 'https://10.1.2.3:6443', true],
    ['10.1.2.3:6443', 'https://10.1.2.3:6443', true],
    ['2.3', 'https://10.1.2.3:6443', false],
    ['10.0.0.0/8', 'https://10.1.2.3:6443', true],
    ['10.0.0.0/16', 'https://10.1.2.3:6443', false],
    ['10.0.0.0/99,10.1.2.0/x', 'https://10.1.2.3:6443', false],
    ['fd00::/8', 'https://[fd12::1]:6443', true],
    ['fd12::1', 'https://[fd12::1]:6443', true],
    ['[fd12::1]:6443', 'https://[fd12::1]:6443', true],
    ['fd00::/8', 'https://10.1.2.3:6443', false],
    ['10.0.0.0/8', 'https://api.example:6443', false],
  ])('with NO_PROXY=%s and %s: goes direct is %s', (noProxy, url, expected) => {
    expect(goesDirect(server(url), noProxy)).toBe(expected);
  });

  it.each([
    [{ 'proxy-url': 'ftp://me:s3cret@p:1' }, {}, 'proxy-url is not the address of a proxy'],
    [{}, { HTTPS_PROXY: 'http://me:s3cret@' }, 'HTTPS_PROXY is not the address of a proxy'],
  ])('%o %o is refused, and its password not shown', async (cluster, env, message) => {
    const failure = await failureOf(through('https://api:6443', cluster, env as Record<string, string>));
    expect(failure).toMatchObject({ code: 'proxy-invalid', message });
    expect(JSON.stringify(failure)).not.toContain('s3cret');
  });

  it('is named without its password', () => {
    expect(proxyName('http://me:s3cret@p:3128/')).toBe('http://p:3128');
    expect(proxyName('socks5h://p:1080')).toBe('socks5://p:1080');
  });
});
