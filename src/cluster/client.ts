import { once } from 'node:events';
import * as http from 'node:http';
import * as https from 'node:https';
import { MeshtailError } from '../errors.js';
import type { Connection } from './kubeconfig.js';

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** What the API server answered instead of what was asked for: its Status object, as far as it sent one. */
export class ApiError extends Error {
  constructor(
    /** HTTP status. */
    readonly status: number,
    /** `Forbidden`, `NotFound`, `Expired`… as in metav1.StatusReason; `''` where none was sent. */
    readonly reason: string,
    message: string,
    /** What `Retry-After` asks for, in ms. */
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** An object as the API sends it; read narrowly by whoever knows its kind. */
export type ApiObject = Readonly<Record<string, unknown>>;

export interface ApiList {
  readonly items: readonly ApiObject[];
  readonly resourceVersion: string;
}

/**
 * An answer's headers are waited for this long, but not those of a followed log: an API server sends none before the log's
 * first byte (kube-apiserver 1.36, observed).
 */
const ANSWER_MS = 30_000;
const PAGE = 500;
const ERROR_BODY = 64 * 1024;
const KEEP_ALIVE_MS = 30_000;

/** HTTP to one API server, read-only. Every error is an `ApiError` of the server or a `MeshtailError` of the way there. */
export class ClusterClient {
  constructor(readonly connection: Connection) {}

  /** @throws ApiError, MeshtailError */
  async get<T = ApiObject>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
    const response = await this.stream(path, query, signal);
    let text: string;
    try {
      text = await textOf(response);
    } catch (error) {
      if (signal?.aborted) throw error;
      throw unreachable(this.connection.server, error as NodeJS.ErrnoException);
    }
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw new MeshtailError('cluster-answer', `${path}: the answer is no JSON (${text.slice(0, 80)})`, {
        hint: 'is this the API server, and not a proxy or a login page?',
        cause: error,
      });
    }
  }

  /** All of a collection. @throws ApiError, MeshtailError */
  async list(path: string, query: Query = {}, signal?: AbortSignal): Promise<ApiList> {
    const items: ApiObject[] = [];
    let resourceVersion = '';
    for await (const page of this.pages(path, query, signal)) {
      items.push(...page.items);
      ({ resourceVersion } = page);
    }
    return { items, resourceVersion };
  }

  /** A collection page by page, so that whoever needs little of each object need not hold them all. @throws ApiError, MeshtailError */
  async *pages(path: string, query: Query = {}, signal?: AbortSignal): AsyncGenerator<ApiList, void> {
    let next: string | undefined;
    do {
      const page = await this.get<{
        items?: ApiObject[];
        metadata?: { continue?: string; resourceVersion?: string };
      }>(path, { ...query, limit: PAGE, continue: next }, signal);
      yield { items: page.items ?? [], resourceVersion: page.metadata?.resourceVersion ?? '' };
      next = page.metadata?.continue || undefined;
    } while (next !== undefined);
  }

  /**
   * The body of a 200 as it comes. Once more after a 401, with credentials made anew.
   * @throws ApiError (but no 401), MeshtailError
   */
  async stream(path: string, query: Query = {}, signal?: AbortSignal): Promise<http.IncomingMessage> {
    const options = await this.connection.requestOptions();
    try {
      return await this.#request(options, path, query, signal);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      this.connection.renew(options);
    }
    try {
      return await this.#request(await this.connection.requestOptions(), path, query, signal);
    } catch (error) {
      throw error instanceof ApiError && error.status === 401 ? this.connection.refusal() : error;
    }
  }

  async #request(
    options: https.RequestOptions,
    path: string,
    query: Query,
    signal?: AbortSignal,
  ): Promise<http.IncomingMessage> {
    const { server } = this.connection;
    const url = new URL(server.pathname.replace(/\/$/, '') + path, server);
    for (const [key, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    const { request } = url.protocol === 'https:' ? https : http;
    const asked = request(url, { ...options, ...(signal && { signal }) });
    if (query['follow'] !== true) {
      asked.setTimeout(ANSWER_MS, () => asked.destroy(new Error(`no answer within ${ANSWER_MS / 1000} s`)));
    }
    asked.on('socket', (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS));
    asked.end();
    let response: http.IncomingMessage;
    try {
      [response] = (await once(asked, 'response')) as [http.IncomingMessage];
    } catch (error) {
      if (signal?.aborted) throw error;
      throw unreachable(server, error as NodeJS.ErrnoException);
    }
    asked.setTimeout(0);
    if (response.statusCode === 200 || response.statusCode === 201) return response;
    throw await apiError(response);
  }
}

async function textOf(response: http.IncomingMessage, most = Infinity): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    chunks.push(chunk as Buffer);
    length += (chunk as Buffer).length;
    if (length >= most) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function apiError(response: http.IncomingMessage): Promise<ApiError> {
  const status = response.statusCode ?? 0;
  const text = await textOf(response, ERROR_BODY).catch(() => '');
  const seconds = Number(response.headers['retry-after']);
  const wait = Number.isFinite(seconds) ? seconds * 1000 : null;
  try {
    const { reason, message } = JSON.parse(text) as { reason?: string; message?: string };
    return new ApiError(status, reason ?? '', message ?? text.trim(), wait);
  } catch {
    return new ApiError(status, '', text.trim() || (response.statusMessage ?? ''), wait);
  }
}

function unreachable(server: URL, error: NodeJS.ErrnoException): MeshtailError {
  const what = CONNECT_ERRORS[error.code ?? ''] ?? (error.message || error.code || 'no connection');
  return new MeshtailError('cluster-unreachable', `cannot reach the API server ${server.origin}: ${what}`, {
    hint: 'check the context (kubectl config current-context) and the way there (kubectl version)',
    cause: error,
  });
}

const CONNECT_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'no such host',
  ETIMEDOUT: 'timed out',
  EHOSTUNREACH: 'no route to the host',
};
