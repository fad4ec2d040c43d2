import { MeshtailError, usageError } from '../errors.js';
import { nearestWord } from '../nearest.js';
import type { Access, Authentication, AuthProvider, ExecPlugin, Pem } from './access.js';
import { inClusterAccess } from './in-cluster.js';
import type { ClusterChoice } from './kubeconfig.js';
import {
  besideFile,
  isTrue,
  pathOf,
  readKubeconfig,
  textEntries,
  textOf,
  textsOf,
  treeOf,
  treesOf,
  type Entry,
  type Environment,
  type Kubeconfig,
} from './kubeconfig-files.js';
import { proxyFor } from './proxy.js';

/** What the choice leads to: a context of the kubeconfig, or the pod that we run in where there is no kubeconfig. */
export async function accessFor(choice: ClusterChoice, serviceAccount: string): Promise<Access> {
  const kubeconfig = await readKubeconfig(choice.kubeconfig, choice.env);
  if (kubeconfig.contexts.size > 0 || kubeconfig.clusters.size > 0) return ofContext(kubeconfig, choice);
  const inCluster = choice.kubeconfig === undefined && (await inClusterAccess(choice, serviceAccount));
  if (!inCluster) throw noKubeconfig(kubeconfig, choice.env);
  if (choice.context !== undefined) throw unknownContext(choice.context, kubeconfig);
  return { ...inCluster, impersonation: impersonationOf(choice, undefined) };
}

async function ofContext(kubeconfig: Kubeconfig, choice: ClusterChoice): Promise<Access> {
  const name = choice.context ?? kubeconfig.currentContext;
  if (name === undefined) throw noContext(kubeconfig);
  const context = kubeconfig.contexts.get(name);
  if (context === undefined) throw unknownContext(name, kubeconfig);
  const clusterName = textOf(context.value, 'cluster');
  const cluster = kubeconfig.clusters.get(clusterName ?? '');
  if (cluster === undefined) throw dangling(name, context, 'cluster', clusterName);
  const userName = textOf(context.value, 'user');
  const user = userName === undefined ? undefined : kubeconfig.users.get(userName);
  if (userName !== undefined && user === undefined) throw dangling(name, context, 'user', userName);

  const server = serverOf(clusterName!, cluster);
  const tls = {
    authority: pemOf(cluster, 'certificate-authority'),
    serverName: textOf(cluster.value, 'tls-server-name'),
    insecure: isTrue(cluster.value, 'insecure-skip-tls-verify'),
  };
  const proxyUrl = textOf(cluster.value, 'proxy-url');
  return {
    context: name,
    server,
    namespace: choice.namespace ?? textOf(context.value, 'namespace') ?? 'default',
    user: userName ?? 'anonymous',
    tls,
    proxy: proxyFor(new URL(server), proxyUrl, choice.env),
    authentication: user === undefined ? ANONYMOUS : await authenticationOf(userName!, user, cluster, server),
    impersonation: impersonationOf(choice, user),
    env: textEntries(choice.env),
  };
}

const ANONYMOUS: Authentication = {
  certificate: undefined,
  key: undefined,
  token: undefined,
  tokenFile: undefined,
  basic: undefined,
  exec: undefined,
  provider: undefined,
};

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

async function authenticationOf(
  name: string,
  user: Entry,
  cluster: Entry,
  server: string,
): Promise<Authentication> {
  const { value } = user;
  const username = textOf(value, 'username');
  return {
    certificate: pemOf(user, 'client-certificate'),
    key: pemOf(user, 'client-key'),
    token: textOf(value, 'token'),
    tokenFile: pathOf(user, 'tokenFile'),
    basic: username === undefined ? undefined : { username, password: textOf(value, 'password') ?? '' },
    exec: await execPluginOf(name, user, cluster, server),
    provider: providerOf(user),
  };
}

/** The data comes before the file, as in client-go. */
function pemOf(entry: Entry, key: string): Pem | undefined {
  const data = textOf(entry.value, `${key}-data`);
  if (data !== undefined) return { text: Buffer.from(data, 'base64').toString('latin1') };
  const file = pathOf(entry, key);
  return file === undefined ? undefined : { file };
}

function providerOf({ value }: Entry): AuthProvider | undefined {
  const provider = treeOf(value, 'auth-provider');
  const name = provider && textOf(provider, 'name');
  return name === undefined ? undefined : { name, config: textEntries(treeOf(provider!, 'config') ?? {}) };
}

const EXEC_EXTENSION = 'client.authentication.k8s.io/exec';

async function execPluginOf(
  name: string,
  user: Entry,
  cluster: Entry,
  server: string,
): Promise<ExecPlugin | undefined> {
  const exec = treeOf(user.value, 'exec');
  if (exec === undefined) return undefined;
  const command = textOf(exec, 'command');
  const apiVersion = textOf(exec, 'apiVersion');
  if (command === undefined || apiVersion === undefined) {
    throw new MeshtailError(
      'kubeconfig-invalid',
      `user ${name} of ${user.file}: exec has no ${command === undefined ? 'command' : 'apiVersion'}`,
      { hint: 'Let the tool that wrote the kubeconfig write it anew.' },
    );
  }
  const env = treesOf(exec, 'env').map((one) => [textOf(one, 'name') ?? '', textOf(one, 'value') ?? '']);
  const mode = textOf(exec, 'interactiveMode');
  return {
    apiVersion,
    command: command.includes('/') ? besideFile(user.file, command) : command,
    args: textsOf(exec, 'args'),
    env: Object.fromEntries(env.filter(([variable]) => variable !== '')) as Record<string, string>,
    interactiveMode: mode === 'Never' || mode === 'Always' ? mode : 'IfAvailable',
    installHint: textOf(exec, 'installHint'),
    cluster: isTrue(exec, 'provideClusterInfo') ? await clusterInfoOf(cluster, server) : undefined,
  };
}

/** `spec.cluster` of an ExecCredential, without the authority: https://kubernetes.io/docs/reference/config-api/client-authentication.v1/#client-authentication-k8s-io-v1-Cluster */
async function clusterInfoOf(cluster: Entry, server: string): Promise<Readonly<Record<string, unknown>>> {
  const { value } = cluster;
  const hasConfig = treesOf(value, 'extensions').some((one) => textOf(one, 'name') === EXEC_EXTENSION);
  const extensions = hasConfig ? ((await cluster.typed())['extensions'] as Record<string, unknown>[]) : [];
  const info: Record<string, unknown> = {
    server,
    'tls-server-name': textOf(value, 'tls-server-name'),
    'insecure-skip-tls-verify': isTrue(value, 'insecure-skip-tls-verify') || undefined,
    'proxy-url': textOf(value, 'proxy-url'),
    'disable-compression': isTrue(value, 'disable-compression') || undefined,
    config: extensions.find((one) => one['name'] === EXEC_EXTENSION)?.['extension'],
  };
  return Object.fromEntries(Object.entries(info).filter(([, stated]) => stated !== undefined));
}

/** What the command line says comes before what the kubeconfig says, field by field. */
function impersonationOf(
  choice: ClusterChoice,
  user: Entry | undefined,
): Readonly<Record<string, string | readonly string[]>> {
  const value = user?.value ?? {};
  const as = choice.as ?? textOf(value, 'as');
  const groups = choice.asGroups?.length ? choice.asGroups : textsOf(value, 'as-groups');
  const uid = textOf(value, 'as-uid');
  const extra = Object.entries(treeOf(value, 'as-user-extra') ?? {});
  if (as === undefined) {
    if (choice.asGroups?.length) throw usageError('--as-group is given without --as', 'Add --as USER.');
    return {};
  }
  return {
    'Impersonate-User': as,
    ...(groups.length > 0 && { 'Impersonate-Group': groups }),
    ...(uid !== undefined && { 'Impersonate-Uid': uid }),
    ...Object.fromEntries(
      extra.map(([key]) => [
        `Impersonate-Extra-${headerKey(key)}`,
        textsOf(treeOf(value, 'as-user-extra')!, key),
      ]),
    ),
  };
}

/** What may not stand in a header's name is percent-encoded, and so is the percent sign. */
function headerKey(key: string): string {
  return key.replace(/[^!#$&'*+.^_`|~0-9A-Za-z-]/gu, (odd) =>
    [...Buffer.from(odd)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
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

function unknownContext(name: string, kubeconfig: Kubeconfig): MeshtailError {
  const near = nearestWord(name, [...kubeconfig.contexts.keys()]);
  return new MeshtailError('context-unknown', `there is no context ${name}`, {
    hint: `${near === undefined ? '' : `Did you mean ${near}?\n`}${contextsThere(kubeconfig)}`,
  });
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

function dangling(
  context: string,
  { file }: Entry,
  kind: 'cluster' | 'user',
  name: string | undefined,
): MeshtailError {
  const what = name === undefined ? `names no ${kind}` : `names the ${kind} ${name}, which is not there`;
  return new MeshtailError(`${kind}-unknown`, `context ${context} of ${file} ${what}`, {
    hint: `KUBECONFIG may lack the file that has it; see the whole with: kubectl config view`,
  });
}
