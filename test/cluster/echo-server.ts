import { readFileSync } from 'node:fs';
import { createServer as createHttp, get as httpGet, type Server } from 'node:http';
import { createServer as createHttps, get as httpsGet } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll } from 'vitest';
import { packageRoot } from '../../src/paths.js';
import type { Connection } from '../../src/cluster/kubeconfig.js';

export const pki = (name: string): string => join(packageRoot, 'test/cluster/pki', name);
export const base64Of = (file: string): string => readFileSync(file).toString('base64');

/** What the server saw of a request. */
export interface Echo {
  readonly path: string;
  readonly authorization: string | undefined;
  /** The Impersonate-* headers as sent, one line each. */
  readonly impersonation: readonly string[];
  /** Common name of the client's certificate. */
  readonly certificate: string | undefined;
  /** The client's port: which connection it was. */
  readonly connection: number;
  readonly resumed: boolean;
}

export interface EchoServer {
  readonly port: number;
  readonly url: string;
  /** Tokens that are answered with 401. */
  readonly refused: Set<string>;
}

/** A server that tells what it was sent. With TLS it asks for a certificate of the test authority. */
export async function echoServer(scheme: 'http' | 'https' = 'https'): Promise<EchoServer> {
  const refused = new Set<string>();
  const tls = {
    key: readFileSync(pki('server.key')),
    cert: readFileSync(pki('server.crt')),
    ca: readFileSync(pki('ca.crt')),
    requestCert: true,
    rejectUnauthorized: false,
  };
  const server: Server = scheme === 'https' ? createHttps(tls) : createHttp();
  server.on('request', (request, response) => {
    const socket = request.socket as TLSSocket;
    const { authorization } = request.headers;
    const peer = scheme === 'https' ? socket.getPeerCertificate() : undefined;
    const raw = request.rawHeaders;
    const echo: Echo = {
      path: request.url ?? '',
      authorization,
      impersonation: raw.flatMap((name, at) =>
        at % 2 === 0 && /^impersonate-/i.test(name) ? [`${name}: ${raw[at + 1]}`] : [],
      ),
      certificate: peer?.subject?.CN,
      connection: socket.remotePort ?? 0,
      resumed: scheme === 'https' && socket.isSessionReused(),
    };
    response.statusCode = refused.has(authorization?.replace('Bearer ', '') ?? '') ? 401 : 200;
    response.end(JSON.stringify(echo));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { port, url: `${scheme}://127.0.0.1:${port}`, refused };
}

/** One GET over the connection, as the client makes it. */
export async function ask(connection: Connection, path = '/version'): Promise<Echo & { status: number }> {
  const options = await connection.requestOptions();
  const { server } = connection;
  const url = new URL(server.pathname.replace(/\/$/, '') + path, server);
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? httpsGet : httpGet)(url, options, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('error', reject);
      response.on('end', () => resolve({ ...(JSON.parse(body) as Echo), status: response.statusCode ?? 0 }));
    });
    request.on('error', reject);
  });
}
