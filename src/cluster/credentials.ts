import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { MeshtailError } from '../errors.js';
import type { Access, Pem } from './access.js';
import { runExecPlugin } from './exec-plugin.js';

/** What the server is shown: plain data, secret. */
export interface Credentials {
  readonly authority: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  /** The Authorization header; `undefined`: none is sent. */
  readonly authorization: string | undefined;
  /** ms since the Unix epoch, when they are to be asked for anew; `Infinity`: when the server refuses them. */
  readonly validUntil: number;
}

/** A token's file is read anew after that time, as client-go does: service account tokens are rotated. */
const TOKEN_FILE_MS = 60_000;
/** So is a legacy auth provider asked, which looks at its token's expiry by itself. */
const PROVIDER_MS = 60_000;

/** Asks files, plugin or provider who we are. `mayAsk`: a plugin may use the terminal. `before`: what was shown until now. */
export async function authenticate(
  access: Access,
  mayAsk: boolean,
  before?: Credentials,
): Promise<Credentials> {
  const { authentication, tls } = access;
  const authority = await pemText(tls.authority, access, 'certificate authority');
  const own = {
    authority,
    certificate: await pemText(authentication.certificate, access, 'client certificate'),
    key: await pemText(authentication.key, access, 'client key'),
    authorization: undefined,
    validUntil: Infinity,
  };
  if (authentication.tokenFile !== undefined) {
    return {
      ...own,
      authorization: await fromTokenFile(authentication.tokenFile, before, access),
      validUntil: Date.now() + TOKEN_FILE_MS,
    };
  }
  if (authentication.token !== undefined)
    return { ...own, authorization: bearer(authentication.token.trim()) };
  if (authentication.basic) {
    const { username, password } = authentication.basic;
    return { ...own, authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
  }
  if (authentication.exec) {
    const got = await runExecPlugin(authentication.exec, access, authority, mayAsk);
    return {
      ...own,
      ...(got.certificate !== undefined && { certificate: got.certificate, key: got.key }),
      authorization: bearer(got.token),
      validUntil: got.validUntil,
    };
  }
  if (authentication.provider) {
    return { ...own, authorization: await fromProvider(access), validUntil: Date.now() + PROVIDER_MS };
  }
  return own;
}

function bearer(token: string | undefined): string | undefined {
  return token === undefined ? undefined : `Bearer ${token}`;
}

/** While the file cannot be read, the token that it held before is used, or the one that the kubeconfig has beside it. */
async function fromTokenFile(file: string, before: Credentials | undefined, access: Access): Promise<string> {
  const otherwise = before?.authorization ?? bearer(access.authentication.token?.trim());
  try {
    const token = (await readFile(file, 'utf8')).trim();
    if (token !== '') return `Bearer ${token}`;
  } catch (error) {
    if (otherwise === undefined) throw unreadable('token', file, access, error);
  }
  if (otherwise !== undefined) return otherwise;
  throw new MeshtailError('credential-unreadable', `the token file ${file} of user ${access.user} is empty`, {
    hint: 'Let what wrote it write it anew.',
  });
}

async function pemText(pem: Pem | undefined, access: Access, what: string): Promise<string | undefined> {
  if (pem === undefined) return undefined;
  if ('text' in pem) return pem.text;
  try {
    return await readFile(pem.file, 'latin1');
  } catch (error) {
    throw unreadable(what, pem.file, access, error);
  }
}

function unreadable(what: string, file: string, { context, user }: Access, error: unknown): MeshtailError {
  const { code, message } = error as NodeJS.ErrnoException;
  const of = context === null ? user : `user ${user}, context ${context}`;
  return new MeshtailError(
    'credential-unreadable',
    `cannot read the ${what} ${file} (${of}): ${code ?? message}`,
    {
      hint: 'The kubeconfig names this file; log in again, or correct the path with kubectl config.',
      cause: error,
    },
  );
}

/** The library knows the auth providers; it is loaded for those users alone (half a second, 75 MB). */
async function fromProvider(access: Access): Promise<string> {
  const { name, config } = access.authentication.provider!;
  const { KubeConfig } = await import('@kubernetes/client-node');
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromClusterAndUser(
    // Only the header is wanted: no server is spoken to through this one.
    { name: 'cluster', server: 'https://unused.invalid', skipTLSVerify: false },
    { name: access.user, authProvider: { name, config } },
  );
  const options: RequestOptions = {};
  const failed = (reason: string, cause?: unknown) =>
    new MeshtailError('auth-provider-failed', `the auth provider ${name} of user ${access.user} ${reason}`, {
      hint: 'Log in again with the tool that wrote the kubeconfig, then try: kubectl version',
      cause,
    });
  try {
    await kubeConfig.applyToHTTPSOptions(options);
  } catch (error) {
    throw failed(`failed: ${(error as Error).message}`, error);
  }
  const authorization = (options.headers as Record<string, string> | undefined)?.['Authorization'];
  if (authorization === undefined) throw failed('gave no token');
  return authorization;
}
