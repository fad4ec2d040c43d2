import { X509Certificate } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type RequestOptions } from 'node:https';
import { createSecureContext, type SecureContext } from 'node:tls';
import { MeshtailError } from '../errors.js';
import type { Access } from './access.js';
import type { Credentials } from './credentials.js';

/**
 * One agent for all requests of a connection: hundreds of streams and many short requests share its sockets, TLS
 * sessions and parsed certificates. TCP keep-alive notices a peer that is gone.
 */
const POOL = { keepAlive: true, keepAliveMsecs: 30_000, maxSockets: Infinity, maxCachedSessions: 100 };

export async function agentFor(access: Access, credentials: Credentials): Promise<HttpAgent> {
  if (access.server.startsWith('http:')) {
    return access.proxy === undefined ? new HttpAgent(POOL) : proxyAgent(access.server, access.proxy, POOL);
  }
  const { serverName, insecure } = access.tls;
  const options = {
    ...POOL,
    secureContext: secureContextOf(access, credentials),
    ...(serverName !== undefined && { servername: serverName }),
    ...(insecure && { rejectUnauthorized: false }),
  };
  return access.proxy === undefined
    ? new HttpsAgent(options)
    : proxyAgent(access.server, access.proxy, options);
}

/** Certificates that cannot be read are found here, and not by the first request. */
function secureContextOf(
  { user, context }: Access,
  { authority, certificate, key }: Credentials,
): SecureContext {
  const using = <T>(what: string, use: () => T): T => {
    try {
      return use();
    } catch (error) {
      throw new MeshtailError(
        'credential-invalid',
        `the ${what} of ${context === null ? user : `context ${context}`} cannot be used: ${reasonOf(error)}`,
        { hint: 'PEM is expected. Let the tool that wrote the kubeconfig write it anew.', cause: error },
      );
    }
  };
  // An authority without a certificate in it would be taken, and then trusts nobody.
  if (authority !== undefined) using('certificate authority', () => new X509Certificate(authority));
  return using('client certificate', () =>
    createSecureContext({
      ...(authority !== undefined && { ca: authority }),
      ...(certificate !== undefined && { cert: certificate }),
      ...(key !== undefined && { key }),
    }),
  );
}

/** `error:0480006C:PEM routines::no start line` → `no start line`. */
function reasonOf(error: unknown): string {
  return (error as Error).message.replace(/^error:[^:]*:[^:]*:[^:]*:/, '');
}

/** The library knows HTTP and SOCKS proxies. Its agent would open a connection for each request, so it is given a pool. */
async function proxyAgent(server: string, proxyUrl: string, pool: object): Promise<HttpAgent> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromClusterAndUser(
    { name: 'cluster', server, proxyUrl, skipTLSVerify: false },
    { name: 'user' },
  );
  const options: RequestOptions = {};
  await kubeConfig.applyToHTTPSOptions(options);
  const agent = options.agent as HttpAgent & { options: object };
  Object.assign(agent.options, pool);
  return Object.assign(agent, POOL);
}
