import { MeshtailError, usageError } from '../errors.js';
import type { Authentication, AuthProvider, ExecPlugin } from './access.js';
import type { ClusterChoice } from './kubeconfig.js';
import {
  besideFile,
  isTrue,
  pathOf,
  pemOf,
  textEntries,
  textOf,
  textsOf,
  treeOf,
  treesOf,
  type Entry,
} from './kubeconfig-files.js';

/** How a user of the kubeconfig says who they are, to that cluster. */
export async function authenticationOf(
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
export function impersonationOf(
  choice: ClusterChoice,
  user: Entry | undefined,
): Readonly<Record<string, string | readonly string[]>> {
  const value = user?.value ?? {};
  const as = choice.as || textOf(value, 'as');
  const groups = choice.asGroups?.length ? choice.asGroups : textsOf(value, 'as-groups');
  const uid = textOf(value, 'as-uid');
  const extra = Object.entries(treeOf(value, 'as-user-extra') ?? {});
  if (as === undefined) {
    // Left out, they would leave us more rights than were asked for.
    if (groups.length === 0 && uid === undefined && extra.length === 0) return {};
    if (choice.asGroups?.length) throw usageError('--as-group is given without --as', 'Add --as USER.');
    throw new MeshtailError(
      'kubeconfig-invalid',
      `a user of ${user?.file} has as-groups, as-uid or as-user-extra without as`,
      { hint: 'Add --as USER, or set `as` beside them.' },
    );
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
