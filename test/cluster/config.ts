import type { ClusterChoice } from '../../src/cluster/kubeconfig.js';
import { MeshtailError } from '../../src/errors.js';
import { pki } from './echo-server.js';

interface Parts {
  readonly cluster?: object;
  readonly user?: object | null;
  readonly context?: object;
}

/** A kubeconfig with one context `here`, cluster `shop` and user `jane`; each part is added to. JSON is YAML. */
export function kubeconfig(server: string, { cluster, user, context }: Parts = {}): string {
  const authority = server.startsWith('https') && { 'certificate-authority': pki('ca.crt') };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    clusters: [{ name: 'shop', cluster: { server, ...authority, ...cluster } }],
    contexts: [
      { name: 'here', context: { cluster: 'shop', ...(user !== null && { user: 'jane' }), ...context } },
    ],
    users: user === null ? null : [{ name: 'jane', user: user ?? {} }],
  });
}

/** Nothing of the machine that the test runs on, but for its PATH. */
export function choice(more: Partial<ClusterChoice>): ClusterChoice {
  return { ...more, env: { PATH: '/usr/bin:/bin', ...more.env } };
}

/** The error that it ends with, as a person is told. */
export async function failureOf(
  work: Promise<unknown>,
): Promise<{ code: string; message: string; hint: string }> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof MeshtailError)) throw error;
    return { code: error.code, message: error.message, hint: error.hint ?? '' };
  }
  throw new Error('it did not fail');
}
