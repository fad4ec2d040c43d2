import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { ANONYMOUS, type Access } from './access.js';
import type { ClusterChoice } from './kubeconfig.js';
import { textEntries } from './kubeconfig-files.js';
import { proxyFor } from './proxy.js';

/** Where the kubelet puts a pod's service account: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
export const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The access of the pod that we run in; `undefined`: this is no pod, or one without a token. */
export async function inClusterAccess(
  { env, namespace }: ClusterChoice,
  folder: string,
): Promise<Omit<Access, 'impersonation'> | undefined> {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'];
  const tokenFile = join(folder, 'token');
  const token = await contentOf(tokenFile);
  if (!host || !port || token === undefined) return undefined;
  const server = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const authority = join(folder, 'ca.crt');
  return {
    context: null,
    server,
    namespace:
      namespace ??
      (env['POD_NAMESPACE'] || (await contentOf(join(folder, 'namespace')))?.trim() || 'default'),
    user: "the pod's service account",
    tls: {
      authority: (await contentOf(authority)) === undefined ? undefined : { file: authority },
      serverName: undefined,
      insecure: false,
    },
    proxy: proxyFor(new URL(server), undefined, env),
    authentication: { ...ANONYMOUS, tokenFile },
    env: textEntries(env),
  };
}

async function contentOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    return undefined;
  }
}
