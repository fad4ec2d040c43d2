import { X509Certificate } from 'node:crypto';
import { MeshtailError } from '../errors.js';
import type { Access } from './access.js';
import type { Credentials } from './credentials.js';

/** What a 401 comes from, told by what we showed: an expired certificate or token where it can be seen, else what it was. */
export function refusal(access: Access, credentials: Credentials): MeshtailError {
  const { user, authentication } = access;
  const again = authentication.exec
    ? `Log in again; the credential plugin is ${authentication.exec.command}.`
    : 'Log in again, or ask the one who gave you the kubeconfig for a new one.';
  const until = certificateEnd(credentials.certificate);
  if (until !== undefined && until < Date.now() && credentials.authorization === undefined) {
    return new MeshtailError(
      'client-certificate-expired',
      `the client certificate of user ${user} expired ${iso(until)}`,
      {
        hint: again,
      },
    );
  }
  const expiry = tokenEnd(credentials.authorization);
  if (expiry !== undefined && expiry < Date.now()) {
    return new MeshtailError('token-expired', `the token of user ${user} expired ${iso(expiry)}`, {
      hint: again,
    });
  }
  const shown = credentials.authorization?.startsWith('Basic ')
    ? 'user name and password'
    : credentials.authorization !== undefined
      ? 'token'
      : credentials.certificate !== undefined
        ? 'client certificate'
        : undefined;
  return new MeshtailError(
    'unauthorized',
    shown === undefined
      ? `the server wants to know who we are, and user ${user} has no credentials`
      : `the server does not accept the ${shown} of user ${user}`,
    {
      hint: `${shown === undefined ? without(access) : again}\nIs it the right context? ${access.context ?? 'in-cluster'} leads to ${access.server}; others: kubectl config get-contexts`,
    },
  );
}

function without({ server }: Access): string {
  return server.startsWith('http:')
    ? 'Nobody is told credentials over http; does the server speak https?'
    : 'See what the kubeconfigs say of the user: kubectl config view';
}

function iso(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** End of validity of the first certificate, ms. */
function certificateEnd(pem: string | undefined): number | undefined {
  if (pem === undefined) return undefined;
  try {
    return Date.parse(new X509Certificate(pem).validTo);
  } catch {
    return undefined;
  }
}

/** `exp` of a JWT, ms; other tokens do not tell. */
function tokenEnd(authorization: string | undefined): number | undefined {
  const [, payload] = authorization?.startsWith('Bearer ') ? authorization.split('.') : [];
  if (payload === undefined) return undefined;
  try {
    const { exp } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { exp?: unknown };
    return typeof exp === 'number' ? exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}
