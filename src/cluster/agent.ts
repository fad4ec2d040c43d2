import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type RequestOptions } from 'node:https';
import type { Access } from './access.js';
import type { Credentials } from './credentials.js';

/**
 * One agent for all requests of a connection: hundreds of streams and many short requests share its sockets and TLS
 * sessions. TCP keep-alive notices a peer that is gone.
 */
const POOL = { keepAlive: true, keepAliveMsecs: 30_000, maxSockets: Infinity, maxCachedSessions: 100 };

export async function agentFor(access: Access, credentials: Credentials): Promise<HttpAgent> {
  const { serverName, insecure } = access.tls;
  const tls = {
    ...(credentials.authority !== undefined && { ca: credentials.authority }),
    ...(credentials.certificate !== undefined && { cert: credentials.certificate }),
    ...(credentials.key !== undefined && { key: credentials.key }),
    ...(serverName !== undefined && { servername: serverName }),
    ...(insecure && { rejectUnauthorized: false }),
  };
  if (access.proxy !== undefined) return proxyAgent(access.server, access.proxy, tls);
  return access.server.startsWith('https:') ? new HttpsAgent({ ...POOL, ...tls }) : new HttpAgent(POOL);
}

/** The library knows HTTP and SOCKS proxies, but has its agent open a connection per request. */
async function proxyAgent(server: string, proxyUrl: string, tls: RequestOptions): Promise<HttpAgent> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromClusterAndUser(
    { name: 'cluster', server, proxyUrl, skipTLSVerify: tls.rejectUnauthorized === false },
    { name: 'user' },
  );
  const options: RequestOptions = { ...tls };
  await kubeConfig.applyToHTTPSOptions(options);
  const agent = options.agent as HttpAgent & { options: object };
  Object.assign(agent.options, POOL);
  return Object.assign(agent, POOL);
}
