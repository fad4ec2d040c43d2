import { MeshtailError } from '../errors.js';
import { nearestWord } from '../nearest.js';
import { ANONYMOUS, type Access } from './access.js';
import { inClusterAccess } from './in-cluster.js';
import type { ClusterChoice } from './kubeconfig.js';
import {
  isTrue,
  pemOf,
  readKubeconfig,
  textEntries,
  textOf,
  type Entry,
  type Environment,
  type Kubeconfig,
} from './kubeconfig-files.js';
import { proxyFor } from './proxy.js';
import { authenticationOf, impersonationOf } from './user.js';

/** What the choice leads to: a context of the kubeconfig, or the pod that we run in where there is no kubeconfig. */
export async function accessFor(choice: ClusterChoice, serviceAccount: string): Promise<Access> {
  const kubeconfig = await readKubeconfig(choice.kubeconfig || undefined, choice.env);
  if (kubeconfig.contexts.size > 0 || kubeconfig.clusters.size > 0) return ofContext(kubeconfig, choice);
  const inCluster = !choice.kubeconfig && (await inClusterAccess(choice, serviceAccount));
  if (!inCluster) throw noKubeconfig(kubeconfig, choice.env);
  if (choice.context) throw unknownContext(choice.context, kubeconfig, false);
  return { ...inCluster, impersonation: impersonationOf(choice, undefined) };
}

async function ofContext(kubeconfig: Kubeconfig, choice: ClusterChoice): Promise<Access> {
  const name = choice.context || kubeconfig.currentContext;
  if (name === undefined) throw noContext(kubeconfig);
  const context = kubeconfig.contexts.get(name);
  if (context === undefined) throw unknownContext(name, kubeconfig, !choice.context);
  const clusterName = textOf(context.value, 'cluster');
  const cluster = kubeconfig.clusters.get(clusterName ?? '');
  if (cluster === undefined) throw unknownCluster(name, context, clusterName);
  const userName = textOf(context.value, 'user');
  // A user that is not there is anonymous to kubectl too.
  const user = userName === undefined ? undefined : kubeconfig.users.get(userName);

  const server = serverOf(clusterName!, cluster);
  // kubectl sends no credentials that anybody on the way could read.
  const isSecret = server.startsWith('https:');
  const tls = {
    authority: pemOf(cluster, 'certificate-authority'),
    serverName: textOf(cluster.value, 'tls-server-name'),
    insecure: isTrue(cluster.value, 'insecure-skip-tls-verify'),
  };
  const proxyUrl = textOf(cluster.value, 'proxy-url');
  return {
    context: name,
    server,
    namespace: choice.namespace || (textOf(context.value, 'namespace') ?? 'default'),
    user: userName ?? 'anonymous',
    tls,
    proxy: proxyFor(new URL(server), proxyUrl, choice.env),
    authentication: isSecret && user ? await authenticationOf(userName!, user, cluster, server) : ANONYMOUS,
    impersonation: impersonationOf(choice, user),
    env: textEntries(choice.env),
  };
}

/** Without a scheme it is https where anything is said about TLS, as in client-go's DefaultServerURL. */
function serverOf(name: string, cluster: Entry): string {
  const stated = textOf(cluster.value, 'server');
  const secure = ['certificate-authority', 'certificate-authority-data', 'insecure-skip-tls-verify'].some(
    (key) => textOf(cluster.value, key) !== undefined,
  );
  const server = stated?.includes('://') ? stated : `${secure ? 'https' : 'http'}://${stated}`;
  if (stated === undefined || !URL.canParse(server) || !/^https?:/.test(server)) {
    throw new MeshtailError(
      'kubeconfig-invalid',
      `cluster ${name} of ${cluster.file} has ${stated === undefined ? 'no server' : 'a server that is no http(s) address'}`,
      { hint: `Set it: kubectl config set-cluster '${name}' --server=https://HOST:PORT` },
    );
  }
  return server.replace(/\/+$/, '');
}

function noKubeconfig({ looked }: Kubeconfig, env: Environment): MeshtailError {
  const places = looked.map(
    ({ file, found }) => `  ${file}: ${found === 'missing' ? 'not there' : 'nothing in it'}`,
  );
  if (looked.length === 0) places.push('  KUBECONFIG and HOME are not set');
  if (!env['KUBERNETES_SERVICE_HOST'])
    places.push('  in-cluster: KUBERNETES_SERVICE_HOST is not set, so this is no pod');
  else places.push('  in-cluster: the pod has no service account token');
  return new MeshtailError('kubeconfig-missing', 'no cluster is configured', {
    hint: `Looked at\n${places.join('\n')}\nName a kubeconfig with --kubeconfig or KUBECONFIG, or give a log file instead of a workload.`,
  });
}

function noContext(kubeconfig: Kubeconfig): MeshtailError {
  return new MeshtailError('context-not-set', 'the kubeconfig has no current context', {
    hint: `${contextsThere(kubeconfig)}\nName one with --context, or set it: kubectl config use-context NAME`,
  });
}

function unknownContext(name: string, kubeconfig: Kubeconfig, isCurrent: boolean): MeshtailError {
  const near = nearContexts(name, [...kubeconfig.contexts.keys()]);
  const what = isCurrent
    ? `the current context ${name} is not in the kubeconfig`
    : `there is no context ${name}`;
  return new MeshtailError('context-unknown', what, {
    hint: `${near.length === 0 ? '' : `Did you mean ${near.join(' or ')}?\n`}${contextsThere(kubeconfig)}`,
  });
}

/** Cloud tools put the cluster's name at the end of a long one, so a part of it is near too. */
function nearContexts(name: string, names: readonly string[]): readonly string[] {
  const having = names.filter((one) => one.toLowerCase().includes(name.toLowerCase()));
  if (having.length > 0) return having.slice(0, 3);
  const near = nearestWord(name, names);
  return near === undefined ? [] : [near];
}

const SHOWN_CONTEXTS = 20;

function contextsThere({ contexts, looked }: Kubeconfig): string {
  const read = looked.filter(({ found }) => found === 'read').map(({ file }) => file);
  if (contexts.size === 0) return `There are no contexts in ${read.join(', ') || 'any kubeconfig'}.`;
  const names = [...contexts.keys()].toSorted();
  const more = names.length - SHOWN_CONTEXTS;
  const shown = names.slice(0, SHOWN_CONTEXTS).map((one) => `  ${one}`);
  if (more > 0) shown.push(`  and ${more} more: kubectl config get-contexts -o name`);
  return `Contexts in ${read.join(', ')}:\n${shown.join('\n')}`;
}

function unknownCluster(context: string, { file }: Entry, name: string | undefined): MeshtailError {
  const what = name === undefined ? 'names no cluster' : `names the cluster ${name}, which is not there`;
  return new MeshtailError('cluster-unknown', `context ${context} of ${file} ${what}`, {
    hint: 'KUBECONFIG may lack the file that has it; see the whole with: kubectl config view',
  });
}
