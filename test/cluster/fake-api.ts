import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Body, type Chunks, type Cut } from './fake-body.js';
import { ContainerLog, type ReadOptions } from './fake-log.js';
import { BadSelector, fieldSelector, labelSelector, type Match } from './fake-selectors.js';
import { World, type Change, type KubeObject, type Pod, type Resource } from './fake-world.js';

/*
 * A small Kubernetes API server over plain HTTP on loopback, for tests without a cluster. It answers as a
 * kube-apiserver 1.36.3 with a kubelet's log reader did when asked the same (words, status codes, what is cut to what;
 * marked where it is from the source instead), and on top of that it fails as a test tells it to.
 */

export type RequestKind = 'get' | 'list' | 'watch' | 'log' | 'review' | 'write' | 'other';

export interface FakeRequest {
  readonly kind: RequestKind;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** Who asks, impersonation applied; null: not authenticated. */
  readonly user: string | null;
  readonly resource: Resource | null;
  /** '' at cluster scope. */
  readonly namespace: string;
  readonly name: string | null;
  readonly subresource: string | null;
  /** ms of a monotonic clock. */
  readonly at: number;
}

/** What an authorizer is asked. */
export interface Access {
  readonly user: string;
  readonly verb: string;
  readonly group: string;
  /** With the subresource: `pods/log`. */
  readonly resource: string;
  /** '' at cluster scope. */
  readonly namespace: string;
  readonly name: string;
}

/** What happens to the next requests that match, instead of or on top of the true answer. */
export interface Fault {
  readonly kinds?: readonly RequestKind[];
  readonly where?: (request: FakeRequest) => boolean;
  /** How many requests; 1 where not given. */
  readonly times?: number;
  readonly delayMs?: number;
  readonly answer?: Answer;
  readonly cut?: { readonly afterBytes: number; readonly how: Cut };
}

export interface Answer {
  readonly status: number;
  readonly message?: string;
  readonly reason?: string;
  readonly retryAfterSeconds?: number;
  /** A body that is no Status, as a proxy on the way sends it. */
  readonly text?: string;
}

/** A watch or a followed log that is open. */
export interface OpenStream {
  readonly request: FakeRequest;
  readonly body: Body;
}

interface Watch extends OpenStream {
  readonly matches: Match;
  readonly wantsBookmarks: boolean;
}

export interface FakeApiOptions {
  readonly world?: World;
  /** How bodies are cut into pieces; null: as they come. */
  readonly chunks?: Chunks | null;
  /** How often a watch that asked for them gets bookmarks; a real server takes about a minute. */
  readonly bookmarkEveryMs?: number;
}

/** A page of a list that has been begun. */
interface Page {
  readonly resourceVersion: number;
  readonly rest: readonly KubeObject[];
}

const PAIR_SEPARATOR = '\u0000';
/** How much of a log is read at once. */
const READ_BYTES = 64 << 10;

/** An answer other than success, on its way to being sent. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly body: string,
    readonly contentType = 'application/json',
    readonly retryAfterSeconds?: number,
  ) {
    super(body);
  }
}

export class FakeApi {
  readonly world: World;
  chunks: Chunks | null;
  /** Who has which bearer token; null: everybody is `admin`, whatever is sent. */
  tokens: ReadonlyMap<string, string> | null = null;
  authorize: (access: Access) => boolean = () => true;
  /** Nodes whose kubelet does not answer: no logs from there. */
  readonly unreachableNodes = new Set<string>();
  /** All requests since the start, refused ones too. */
  readonly requests: FakeRequest[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #streams = new Set<OpenStream>();
  readonly #watches = new Set<Watch>();
  readonly #pages = new Map<string, Page>();
  #faults: { readonly fault: Fault; left: number }[] = [];
  readonly #bookmarks: NodeJS.Timeout;
  #port = 0;
  #bodies = 0;

  static async start(options: FakeApiOptions = {}): Promise<FakeApi> {
    const api = new FakeApi(options);
    await api.#listen();
    return api;
  }

  private constructor(options: FakeApiOptions) {
    this.world = options.world ?? new World();
    this.chunks = options.chunks ?? null;
    this.#server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      void this.#handle(request, response);
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
    });
    this.world.on('change', (change) => {
      for (const watch of this.#watches) {
        const event = eventOf(change, watch);
        if (event) watch.body.write(event);
      }
    });
    this.#bookmarks = setInterval(() => this.bookmark(), options.bookmarkEveryMs ?? 60_000);
    this.#bookmarks.unref();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** A kubeconfig for this server (JSON, which is YAML). */
  kubeconfig(how: { readonly token?: string; readonly namespace?: string } = {}): string {
    const { token, namespace } = how;
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'fake',
      clusters: [{ name: 'fake', cluster: { server: this.url } }],
      contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'fake', namespace } }],
      users: [{ name: 'fake', user: { token } }],
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#bookmarks);
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.resetConnections();
    await closed;
  }

  // ---- what went on

  count(kind: RequestKind): number {
    return this.requests.filter((request) => request.kind === kind).length;
  }

  /** The most requests of this kind that began within any second. */
  mostPerSecond(kind: RequestKind): number {
    const times = this.requests.filter((request) => request.kind === kind).map(({ at }) => at);
    let first = 0;
    let most = 0;
    for (const [index, at] of times.entries()) {
      while (at - times[first]! >= 1000) first++;
      most = Math.max(most, index - first + 1);
    }
    return most;
  }

  /** The watches and followed logs that are open now. */
  streams(kind: 'watch' | 'log', pod?: string): OpenStream[] {
    return [...this.#streams].filter(
      ({ request, body }) =>
        request.kind === kind && !body.over && (pod === undefined || request.name === pod),
    );
  }

  // ---- faults

  fault(fault: Fault): void {
    this.#faults.push({ fault, left: fault.times ?? 1 });
  }

  clearFaults(): void {
    this.#faults = [];
  }

  /** All connections are broken off, idle ones too. */
  resetConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** New connections are refused until `accept`; open ones stay. */
  refuse(): void {
    this.#server.close();
  }

  async accept(): Promise<void> {
    await this.#listen();
  }

  /** Every watch that asked for bookmarks gets one. */
  bookmark(): void {
    for (const watch of this.#watches)
      if (watch.wantsBookmarks) watch.body.write(this.#bookmark(watch.request));
  }

  /** The open watches end with 410 as an event; what was before now is forgotten. */
  expire(): void {
    this.world.compact();
    for (const { body } of this.#watches) {
      body.write(eventLine('ERROR', expired(this.world.oldest - 1, this.world.oldest)));
      body.end();
    }
  }

  // ---- requests

  async #listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = this.#requestOf(incoming);
    this.requests.push(request);
    const fault = this.#take(request);
    const chunks = this.chunks && { ...this.chunks, seed: this.chunks.seed + this.#bodies++ };
    const body = new Body(response, chunks);
    if (fault?.cut) body.cutAfter(fault.cut.afterBytes, fault.cut.how);
    if (fault?.delayMs) await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
    try {
      const text = await textOf(incoming);
      if (body.over) return;
      if (fault?.answer) throw refusalOf(fault.answer);
      this.#answer(request, text, response, body);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      response.statusCode = error.status;
      response.setHeader('content-type', error.contentType);
      if (error.retryAfterSeconds !== undefined) response.setHeader('retry-after', error.retryAfterSeconds);
      body.write(Buffer.from(error.body));
      body.end();
    }
  }

  #take(request: FakeRequest): Fault | null {
    const found = this.#faults.find(
      ({ fault, left }) =>
        left > 0 && (fault.kinds?.includes(request.kind) ?? true) && (fault.where?.(request) ?? true),
    );
    if (!found) return null;
    found.left--;
    return found.fault;
  }

  #requestOf(incoming: IncomingMessage): FakeRequest {
    const url = new URL(incoming.url ?? '/', 'http://fake');
    const target = this.#targetOf(url.pathname);
    const method = incoming.method ?? 'GET';
    return {
      ...target,
      kind: kindOf(method, url, target),
      method,
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      user: this.#userOf(incoming.headers),
      at: performance.now(),
    };
  }

  #targetOf(path: string): Pick<FakeRequest, 'resource' | 'namespace' | 'name' | 'subresource'> {
    const found =
      /^\/(?:api|apis\/(?<group>[^/]+))\/(?<version>[^/]+)(?:\/namespaces\/(?<namespace>[^/]+)(?=\/[^/]))?\/(?<plural>[^/]+)(?:\/(?<name>[^/]+))?(?:\/(?<subresource>.+))?$/.exec(
        path,
      )?.groups;
    const { group = '', version, namespace = '', plural, name = null, subresource = null } = found ?? {};
    const resource = this.world
      .resources()
      .find((one) => one.group === group && one.version === version && one.plural === plural);
    const decoded = (part: string | null) => (part === null ? null : decodeURIComponent(part));
    return { resource: resource ?? null, namespace, name: decoded(name), subresource };
  }

  #userOf(headers: IncomingMessage['headers']): string | null {
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
    const user = this.tokens ? (this.tokens.get(token ?? '') ?? null) : 'admin';
    const impersonated = headers['impersonate-user'];
    return user !== null && typeof impersonated === 'string' ? impersonated : user;
  }

  /** Discovery: which versions of a group are served. */
  #group(name: string): object {
    const versions = new Set(
      this.world.resources().flatMap(({ group, version }) => (group === name ? [version] : [])),
    );
    if (versions.size === 0)
      throw refused(404, 'NotFound', 'the server could not find the requested resource');
    const served = [...versions].map((version) => ({ groupVersion: `${name}/${version}`, version }));
    return { kind: 'APIGroup', apiVersion: 'v1', name, versions: served, preferredVersion: served[0] };
  }

  #answer(request: FakeRequest, text: string, response: ServerResponse, body: Body): void {
    if (request.user === null) throw refused(401, 'Unauthorized', 'Unauthorized');
    if (request.kind === 'review') return sendJson(response, body, this.#review(request, text), 201);
    if (request.path === '/version')
      return sendJson(response, body, { major: '1', minor: '36', gitVersion: 'v1.36.3' });
    const group = /^\/apis\/([^/]+)$/.exec(request.path)?.[1];
    if (group !== undefined) return sendJson(response, body, this.#group(group));
    const { resource } = request;
    if (!resource) throw this.#unknown(request);
    this.#checkAccess(request, resource);
    switch (request.kind) {
      case 'get':
        return sendJson(response, body, this.#get(request, resource));
      case 'list':
        return sendJson(response, body, this.#list(request, resource));
      case 'watch':
        return this.#watch(request, resource, response, body);
      case 'log':
        return this.#log(request, resource, response, body);
      default:
        throw refused(
          405,
          'MethodNotAllowed',
          'the server does not allow this method on the requested resource',
          {},
        );
    }
  }

  #unknown({ path }: FakeRequest): Refusal {
    const groups = this.world
      .resources()
      .map(({ group, version }) => `${group === '' ? '/api' : `/apis/${group}`}/${version}/`);
    if (!groups.some((group) => path.startsWith(group))) {
      return new Refusal(404, '404 page not found\n', 'text/plain; charset=utf-8');
    }
    return refused(404, 'NotFound', 'the server could not find the requested resource', {});
  }

  #checkAccess(request: FakeRequest, resource: Resource): void {
    const { name, namespace, user, subresource } = request;
    const full = subresource === null ? resource.plural : `${resource.plural}/${subresource}`;
    const verb = request.kind === 'log' ? 'get' : request.kind === 'write' ? 'update' : request.kind;
    const access = { user: user!, verb, group: resource.group, resource: full, namespace, name: name ?? '' };
    if (this.authorize(access)) return;
    const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
    throw refused(
      403,
      'Forbidden',
      `${qualified(resource, name)} is forbidden: User "${user}" cannot ${verb} resource "${full}" in API group "${resource.group}" ${where}`,
      detailsOf(resource, name),
    );
  }

  #review(request: FakeRequest, text: string): unknown {
    const review = JSON.parse(text) as { spec: { resourceAttributes?: Record<string, string> } };
    const asked = review.spec.resourceAttributes ?? {};
    const { verb = '', group = '', resource = '', subresource, namespace = '', name = '' } = asked;
    const full = subresource ? `${resource}/${subresource}` : resource;
    const allowed = this.authorize({ user: request.user!, verb, group, resource: full, namespace, name });
    return { ...review, metadata: {}, status: { allowed } };
  }

  #get({ namespace, name }: FakeRequest, resource: Resource): KubeObject {
    const found = this.world.find(resource, namespace, name!);
    if (!found) throw notFound(resource, name!);
    return found;
  }

  #list(request: FakeRequest, resource: Resource): unknown {
    const { query, namespace } = request;
    const matches = matcher(request, resource);
    const limit = integer(query, 'limit') ?? 0;
    const token = query.get('continue');
    const page = token
      ? this.#continued(token, resource, namespace, matches)
      : {
          resourceVersion: this.world.resourceVersion,
          rest: this.world.list(resource, namespace).filter(matches),
        };
    // A list at resourceVersion 0 comes from the server's cache, which does not page.
    const most = limit > 0 && query.get('resourceVersion') !== '0' ? limit : Infinity;
    const items = page.rest.slice(0, most);
    const rest = page.rest.slice(most);
    const selects = query.has('labelSelector') || query.has('fieldSelector');
    return {
      kind: `${resource.kind}List`,
      apiVersion: apiVersionOf(resource),
      metadata: {
        resourceVersion: `${page.resourceVersion}`,
        ...(rest.length > 0 && {
          continue: this.#keep({ resourceVersion: page.resourceVersion, rest }, items.at(-1)!),
        }),
        ...(rest.length > 0 && !selects && { remainingItemCount: rest.length }),
      },
      items: items.map((item) => (resource.builtIn ? withoutKind(item) : item)),
    };
  }

  /** The token holds, as a real one does, the resource version and where to go on. */
  #keep(page: Page, last: KubeObject): string {
    const token = tokenOf(page.resourceVersion, positionOf(last));
    this.#pages.set(token, page);
    return token;
  }

  #continued(token: string, resource: Resource, namespace: string, matches: Match): Page {
    const { rv, start } = readToken(token);
    const page = this.#pages.get(token);
    if (page && rv >= this.world.oldest) return page;
    if (rv !== -1) {
      const message =
        'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';
      const status = { ...statusObject(410, 'Expired', message), metadata: { continue: tokenOf(-1, start) } };
      throw new Refusal(410, JSON.stringify(status));
    }
    const rest = this.world
      .list(resource, namespace)
      .filter((object) => positionOf(object) > start)
      .filter(matches);
    return { resourceVersion: this.world.resourceVersion, rest };
  }

  #watch(request: FakeRequest, resource: Resource, response: ServerResponse, body: Body): void {
    const { query } = request;
    const matches = matcher(request, resource);
    const from = query.get('resourceVersion') ?? '';
    if (!/^\d*$/.test(from)) {
      const message = `resourceVersion: Invalid value: "${from}": strconv.ParseUint: parsing "${from}": invalid syntax`;
      throw refused(500, undefined, message);
    }
    const wantsBookmarks = flag(query, 'allowWatchBookmarks');
    const watch: Watch = { request, body, matches, wantsBookmarks };
    const timeout = integer(query, 'timeoutSeconds');
    response.setHeader('content-type', 'application/json');
    if (!body.isStalled && !body.over) response.flushHeaders();
    this.#keepOpen(watch);
    if (Number(from) === 0) {
      for (const object of this.world.list(resource, request.namespace)) {
        if (matches(object)) body.write(eventLine('ADDED', object));
      }
      if (wantsBookmarks) body.write(this.#bookmark(request, { 'k8s.io/initial-events-end': 'true' }));
    } else {
      const changes = this.world.since(Number(from));
      if (!changes) {
        body.write(eventLine('ERROR', expired(Number(from), this.world.oldest)));
        return body.end();
      }
      for (const change of changes) body.write(eventOf(change, watch) ?? Buffer.alloc(0));
    }
    this.#watches.add(watch);
    const timer = timeout && setTimeout(() => body.end(), timeout * 1000);
    void body.closed.then(() => {
      clearTimeout(timer || undefined);
      this.#watches.delete(watch);
    });
  }

  #bookmark({ resource }: FakeRequest, annotations?: Record<string, string>): Buffer {
    const metadata = {
      resourceVersion: `${this.world.resourceVersion}`,
      ...(annotations && { annotations }),
    };
    return eventLine('BOOKMARK', { kind: resource!.kind, apiVersion: apiVersionOf(resource!), metadata });
  }

  #keepOpen(stream: OpenStream): void {
    this.#streams.add(stream);
    void stream.body.closed.then(() => this.#streams.delete(stream));
  }

  #log(request: FakeRequest, resource: Resource, response: ServerResponse, body: Body): void {
    const name = request.name!;
    const options = logOptions(name, request.query, this.world.now());
    const pod = this.world.find(resource, request.namespace, name) as Pod | null;
    if (!pod) throw notFound(resource, name);
    const container = containerOf(pod, request.query.get('container'));
    const node = pod.spec.nodeName;
    if (node === undefined) {
      response.statusCode = 204;
      return body.end();
    }
    if (this.unreachableNodes.has(node)) {
      const target = `https://${node}:10250/containerLogs/${request.namespace}/${name}/${container}`;
      const message = `Get "${target}?${request.query}": dial tcp ${node}:10250: connect: connection refused`;
      throw refused(500, undefined, message);
    }
    const log = this.world.logOf(pod, container, flag(request.query, 'previous'));
    if (!(log instanceof ContainerLog)) throw refused(400, 'BadRequest', log.message);
    response.setHeader('content-type', 'text/plain');
    this.#send(request, log, options, () => this.world.isWriting(pod, container, log), body);
  }

  /**
   * The head of the answer goes out with the first line: until a followed container writes, the client has nothing in
   * hand, not even the status.
   */
  #send(
    request: FakeRequest,
    log: ContainerLog,
    options: LogOptions,
    isWriting: () => boolean,
    body: Body,
  ): void {
    const reader = log.open(options);
    let left = options.limitBytes ?? Infinity;
    const move = () => {
      while (!body.isFull && left > 0) {
        const bytes = reader.read(READ_BYTES);
        if (bytes.length === 0) break;
        body.write(bytes.subarray(0, left));
        left -= bytes.length;
      }
      if (left <= 0 || (!body.isFull && !(options.follow && isWriting()))) body.end();
    };
    body.onRoom = move;
    log.on('moved', move);
    this.world.on('change', move);
    void body.closed.then(() => {
      reader.close();
      log.off('moved', move);
      this.world.off('change', move);
    });
    if (options.follow) this.#keepOpen({ request, body });
    move();
  }
}

interface LogOptions extends ReadOptions {
  readonly limitBytes: number | null;
}

function logOptions(pod: string, query: URLSearchParams, now: number): LogOptions {
  const invalid = (field: string, reason: string, detail: string) => {
    const message = `PodLogOptions "${pod}" is invalid: ${field}: ${detail}`;
    const causes = [{ reason, message: detail, field }];
    return refused(422, 'Invalid', message, { name: pod, kind: 'PodLogOptions', causes });
  };
  const atLeast = (field: string, least: number) => {
    const value = integer(query, field);
    if (value === null || value >= least) return value;
    const words = least === 0 ? 'greater than or equal to 0' : 'greater than 0';
    throw invalid(field, 'FieldValueInvalid', `Invalid value: ${value}: must be ${words}`);
  };
  const tailLines = atLeast('tailLines', 0);
  const sinceSeconds = atLeast('sinceSeconds', 1);
  const limitBytes = atLeast('limitBytes', 1);
  const sinceTime = query.get('sinceTime');
  if (sinceTime !== null && sinceSeconds !== null) {
    const detail = 'Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified';
    throw invalid('[]', 'FieldValueForbidden', detail);
  }
  if (query.has('stream')) throw invalid('stream', 'FieldValueForbidden', 'Forbidden: may not be specified');
  return {
    follow: flag(query, 'follow'),
    timestamps: flag(query, 'timestamps'),
    tailLines,
    limitBytes,
    sinceMs:
      sinceTime === null
        ? sinceSeconds === null
          ? null
          : now - sinceSeconds * 1000
        : Math.floor(instant(sinceTime) / 1000) * 1000,
  };
}

function instant(text: string): number {
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : NaN;
  if (!Number.isNaN(ms)) return ms;
  const message = `parsing time "${text}" as "2006-01-02T15:04:05Z07:00": cannot parse "${text}" as "2006"`;
  throw refused(400, 'BadRequest', message);
}

function containerOf(pod: Pod, asked: string | null): string {
  const all = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(({ name }) => name);
  const { name } = pod.metadata;
  if (asked !== null && asked !== '') {
    if (all.includes(asked)) return asked;
    throw refused(400, 'BadRequest', `container ${asked} is not valid for pod ${name}`);
  }
  if (all.length === 1) return all[0]!;
  const message = `a container name must be specified for pod ${name}, choose one of: [${all.join(' ')}]`;
  throw refused(400, 'BadRequest', message);
}

function matcher({ query, namespace }: FakeRequest, resource: Resource): Match {
  try {
    const label = labelSelector(query.get('labelSelector'));
    const field = fieldSelector(resource.kind, query.get('fieldSelector'));
    return (object) =>
      (namespace === '' || object.metadata.namespace === namespace) && label(object) && field(object);
  } catch (error) {
    if (error instanceof BadSelector) throw refused(400, 'BadRequest', error.message);
    throw error;
  }
}

/** A watch sees an object come and go as its selectors do; one that left carries its last matching state. */
function eventOf({ resource, before, after, resourceVersion }: Change, watch: Watch): Buffer | null {
  if (resource !== watch.request.resource) return null;
  const was = before !== null && watch.matches(before);
  const is = after !== null && watch.matches(after);
  if (is) return eventLine(was ? 'MODIFIED' : 'ADDED', after);
  if (!was) return null;
  const metadata = { ...before.metadata, resourceVersion: `${resourceVersion}` };
  return eventLine('DELETED', { ...before, metadata });
}

function eventLine(type: string, object: unknown): Buffer {
  return Buffer.from(`${JSON.stringify({ type, object })}\n`);
}

function kindOf(
  method: string,
  { pathname, searchParams }: URL,
  { name, subresource }: Pick<FakeRequest, 'name' | 'subresource'>,
): RequestKind {
  if (method === 'POST' && pathname.endsWith('/selfsubjectaccessreviews')) return 'review';
  if (method !== 'GET') return 'write';
  if (pathname === '/version') return 'other';
  if (subresource === 'log') return 'log';
  if (flag(searchParams, 'watch')) return 'watch';
  return name === null ? 'list' : 'get';
}

function flag(query: URLSearchParams, name: string): boolean {
  return /^(?:1|t|true)$/i.test(query.get(name) ?? '');
}

function integer(query: URLSearchParams, name: string): number | null {
  const text = query.get(name);
  if (text === null || text === '') return null;
  if (/^-?\d+$/.test(text)) return Number(text);
  throw refused(400, 'BadRequest', `strconv.ParseInt: parsing "${text}": invalid syntax`);
}

function apiVersionOf({ group, version }: Resource): string {
  return group === '' ? version : `${group}/${version}`;
}

function withoutKind(object: KubeObject): unknown {
  const item: Partial<KubeObject> = { ...object };
  delete item.apiVersion;
  delete item.kind;
  return item;
}

// ---- errors

/** `deployments.apps "payments"`, `pods`. */
function qualified({ plural, group }: Resource, name: string | null): string {
  const resource = group === '' ? plural : `${plural}.${group}`;
  return name === null ? resource : `${resource} "${name}"`;
}

function detailsOf({ plural, group }: Resource, name: string | null): unknown {
  return { ...(name !== null && { name }), ...(group !== '' && { group }), kind: plural };
}

function statusObject(code: number, reason: string | undefined, message: string, details?: unknown): object {
  const head = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message };
  return { ...head, ...(reason && { reason }), ...(details !== undefined && { details }), code };
}

function refused(code: number, reason: string | undefined, message: string, details?: unknown): Refusal {
  return new Refusal(code, JSON.stringify(statusObject(code, reason, message, details)));
}

function notFound(resource: Resource, name: string): Refusal {
  return refused(404, 'NotFound', `${qualified(resource, name)} not found`, detailsOf(resource, name));
}

function expired(from: number, oldest: number): object {
  return statusObject(410, 'Expired', `too old resource version: ${from} (${oldest})`);
}

/** As apimachinery's errors.NewGenericServerResponse and its neighbours word them; 429 is that of a full priority level. */
const USUAL: Readonly<Record<number, readonly [reason: string | undefined, message: string]>> = {
  401: ['Unauthorized', 'Unauthorized'],
  410: ['Expired', 'too old resource version: 1 (2)'],
  500: ['InternalError', 'Internal error occurred: etcdserver: request timed out'],
  503: ['ServiceUnavailable', 'the server is currently unable to handle the request'],
  504: ['Timeout', 'Timeout: request did not complete within the requested timeout'],
};

function refusalOf({ status, message, reason, retryAfterSeconds, text }: Answer): Refusal {
  if (text !== undefined) return new Refusal(status, text, 'text/html', retryAfterSeconds);
  if (status === 429 && message === undefined) {
    const words = 'Too many requests, please try again later.\n';
    return new Refusal(429, words, 'text/plain; charset=utf-8', retryAfterSeconds ?? 1);
  }
  const [usualReason, usualMessage] = USUAL[status] ?? [undefined, `status ${status}`];
  const body = statusObject(
    status,
    reason ?? usualReason,
    message ?? usualMessage,
    retryAfterSeconds === undefined ? undefined : { retryAfterSeconds },
  );
  return new Refusal(status, JSON.stringify(body), 'application/json', retryAfterSeconds);
}

// ---- the continue token

function positionOf({ metadata: { namespace = '', name } }: KubeObject): string {
  return `${namespace}/${name}${PAIR_SEPARATOR}`;
}

function tokenOf(rv: number, start: string): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv, start })).toString('base64url');
}

function readToken(token: string): { rv: number; start: string } {
  try {
    return JSON.parse(Buffer.from(token, 'base64url').toString()) as { rv: number; start: string };
  } catch {
    const words = "continue key is not valid: invalid character 'i' looking for beginning of value";
    throw refused(400, 'BadRequest', `invalid continue token: ${words}`);
  }
}

function sendJson(response: ServerResponse, body: Body, value: unknown, status = 200): void {
  response.statusCode = status;
  response.setHeader('content-type', 'application/json');
  body.write(Buffer.from(`${JSON.stringify(value)}\n`));
  body.end();
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of incoming) text += String(chunk);
  return text;
}
