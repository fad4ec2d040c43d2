import { validateHeaderValue, type Agent, type OutgoingHttpHeaders } from 'node:http';
import type { RequestOptions } from 'node:https';
import { MeshtailError } from '../errors.js';
import type { Access } from './access.js';
import { agentFor } from './agent.js';
import { accessFor } from './choose.js';
import { authenticate, type Credentials } from './credentials.js';
import { SERVICE_ACCOUNT } from './in-cluster.js';
import { proxyName } from './proxy.js';
import { refusal } from './refusal.js';

/*
 * Which cluster, and who we are there, as kubectl would have it. The files are read here and not by the client library,
 * which merges them otherwise; the library is loaded where it is needed, for auth providers and proxies.
 */

/** What the command line and the environment say of the cluster. */
export interface ClusterChoice {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly namespace?: string | undefined;
  readonly as?: string | undefined;
  readonly asGroups?: readonly string[] | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Connection {
  /** `null`: in-cluster. */
  readonly context: string | null;
  /** May have a path, which the API's paths are below. */
  readonly server: URL;
  readonly namespace: string;
  /** For messages. */
  readonly user: string;
  /** The proxy to the server, for messages: without a password. */
  readonly proxy: string | null;
  /**
   * The same frozen object until other credentials are needed: headers, and one agent that holds TLS and is shared by all
   * requests. Credentials that expired, or that `renew` was told of, are asked for anew, once however many wait for it.
   */
  requestOptions(): Promise<RequestOptions>;
  /**
   * The server answered 401: the next requestOptions() authenticates anew. With the options of the refused request,
   * nothing happens if others are in use by now: of 300 streams that are refused together, one renews.
   */
  renew(refused?: RequestOptions): void;
  /** Why the server may have answered 401, and what to do: for when renewing did not help. */
  refusal(): MeshtailError;
  /** Plain data, and secret, from which a worker thread makes the same connection. */
  transferable(): TransferableConnection;
}

export interface TransferableConnection {
  readonly access: Access;
  readonly credentials: Credentials;
}

/** Authenticates: a plugin may ask the person, so this comes before a screen. */
export async function connect(choice: ClusterChoice, serviceAccount = SERVICE_ACCOUNT): Promise<Connection> {
  const access = await accessFor(choice, serviceAccount);
  const connection = new KubeConnection(access, await authenticate(access, true));
  await connection.requestOptions();
  return connection;
}

/** In a worker: without asking the person again, nor later. */
export function connectionOf({ access, credentials }: TransferableConnection): Connection {
  return new KubeConnection(access, credentials);
}

/** After a failure nobody starts a plugin again for that long: many streams retry at once. */
const AFTER_FAILURE_MS = 2000;

class KubeConnection implements Connection {
  readonly context: string | null;
  readonly server: URL;
  readonly namespace: string;
  readonly user: string;
  readonly proxy: string | null;
  readonly #access: Access;
  #credentials: Credentials;
  #refused = false;
  #options: RequestOptions | undefined;
  #pending: Promise<RequestOptions> | undefined;
  #failure: { readonly error: unknown; readonly until: number } | undefined;

  constructor(access: Access, credentials: Credentials) {
    const as = access.impersonation['Impersonate-User'];
    this.context = access.context;
    this.server = new URL(access.server);
    this.namespace = access.namespace;
    this.user = typeof as === 'string' ? `${access.user} as ${as}` : access.user;
    this.proxy = access.proxy === undefined ? null : proxyName(access.proxy);
    this.#access = access;
    this.#credentials = credentials;
  }

  async requestOptions(): Promise<RequestOptions> {
    if (this.#options && this.#isValid()) return this.#options;
    if (this.#failure && this.#failure.until > Date.now()) throw this.#failure.error;
    this.#pending ??= this.#prepare().finally(() => (this.#pending = undefined));
    return this.#pending;
  }

  renew(refused?: RequestOptions): void {
    const now = this.#options;
    const other =
      refused && (refused.agent !== now?.agent || authorizationOf(refused) !== authorizationOf(now));
    if (!other) this.#refused = true;
  }

  refusal(): MeshtailError {
    return refusal(this.#access, this.#credentials);
  }

  transferable(): TransferableConnection {
    return { access: this.#access, credentials: this.#credentials };
  }

  #isValid(): boolean {
    return !this.#refused && Date.now() < this.#credentials.validUntil;
  }

  async #prepare(): Promise<RequestOptions> {
    const before = this.#credentials;
    if (!this.#isValid()) this.#credentials = await this.#authenticate();
    const agent = await this.#agentFor(before);
    this.#options = Object.freeze({ agent, headers: headersOf(this.#access, this.#credentials) });
    return this.#options;
  }

  async #authenticate(): Promise<Credentials> {
    try {
      const credentials = await authenticate(this.#access, false, this.#credentials);
      this.#refused = false;
      this.#failure = undefined;
      return credentials;
    } catch (error) {
      this.#failure = { error, until: Date.now() + AFTER_FAILURE_MS };
      throw error;
    }
  }

  /** The present one while TLS stays as it was. One that is replaced lives on with its open streams. */
  async #agentFor(before: Credentials): Promise<Agent> {
    const now = this.#credentials;
    const same = (['authority', 'certificate', 'key'] as const).every((part) => before[part] === now[part]);
    const agent = this.#options?.agent as Agent | undefined;
    if (agent && same) return agent;
    for (const sockets of Object.values(agent?.freeSockets ?? {}))
      for (const one of sockets ?? []) one.destroy();
    return agentFor(this.#access, now);
  }
}

function authorizationOf(options: RequestOptions | undefined): unknown {
  return (options?.headers as OutgoingHttpHeaders | undefined)?.['Authorization'];
}

function headersOf({ user, impersonation }: Access, { authorization }: Credentials): OutgoingHttpHeaders {
  const headers = {
    ...(authorization !== undefined && { Authorization: headerText(authorization) }),
    ...Object.fromEntries(
      Object.entries(impersonation).map(([name, value]) => [
        name,
        typeof value === 'string' ? headerText(value) : value.map(headerText),
      ]),
    ),
  };
  for (const [name, value] of Object.entries(headers)) {
    try {
      for (const one of [value].flat()) validateHeaderValue(name, one);
    } catch (error) {
      const what = name === 'Authorization' ? `the token of user ${user}` : `what ${name} is to say`;
      throw new MeshtailError('credential-invalid', `${what} has a character that no header may have`, {
        hint: 'Let the tool that wrote the kubeconfig write it anew.',
        cause: error,
      });
    }
  }
  return headers;
}

/** Node sends a header as Latin-1; the server reads UTF-8. */
function headerText(text: string): string {
  return Buffer.from(text).toString('latin1');
}
