import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshtailError } from '../errors.js';
import { ApiError, type ApiObject, type ClusterClient, type Query } from './client.js';
import { Backoff } from './backoff.js';

export interface Watched {
  /** Everything there is, after a list: what is not among it is gone. */
  all(items: readonly ApiObject[]): void;
  changed(kind: 'ADDED' | 'MODIFIED' | 'DELETED', object: ApiObject): void;
  /** The watch is broken (`null`: it is well again). It goes on by itself. */
  trouble(reason: string | null): void;
}

/** The server ends a watch after this time; asked for by client-go as 5 to 10 minutes. */
const WATCH_SECONDS = 290;
/** Without a byte for longer, the connection is dead whatever TCP says: bookmarks come about each minute. */
const SILENCE_MS = 150_000;
/** A watch that went on for so long is begun again without much of a wait, ms: pods that come meanwhile are waited for. */
const HEALTHY_MS = 5_000;

/**
 * Lists a collection and watches it on, for as long as `signal` lets it: bookmarks, `410 Gone`, resets, silence and errors
 * are lived through, with a back-off that a watch which went on for a while clears. The first list's error is thrown; later ones are told.
 * @throws ApiError, MeshtailError (of the first list)
 */
export async function watch(
  client: ClusterClient,
  path: string,
  query: Query,
  watched: Watched,
  signal: AbortSignal,
): Promise<void> {
  const first = await client.list(path, query, signal);
  watched.all(first.items);
  void watchOn(client, path, query, watched, signal, first.resourceVersion);
}

async function watchOn(
  client: ClusterClient,
  path: string,
  query: Query,
  watched: Watched,
  signal: AbortSignal,
  since: string,
): Promise<void> {
  const backoff = new Backoff(250, 30_000);
  let version: string | null = since;
  let well = true;
  const healthy = (): void => {
    if (!well) watched.trouble(null);
    well = true;
  };
  while (!signal.aborted) {
    const began = Date.now();
    try {
      if (version === null) {
        const again = await client.list(path, query, signal);
        watched.all(again.items);
        version = again.resourceVersion;
      }
      version = await watchOnce(
        client,
        path,
        { ...query, resourceVersion: version },
        watched,
        healthy,
        signal,
      );
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError || error instanceof MeshtailError || error instanceof Broken))
        throw error;
      if (error instanceof ApiError && error.status === 410) version = null;
      else if (error instanceof Broken) version = error.version;
      // One that was cut after a while is told of only where the next one cannot be had.
      if (!(error instanceof Broken && Date.now() - began > HEALTHY_MS)) {
        if (well) watched.trouble(error.message);
        well = false;
      }
    }
    if (Date.now() - began > HEALTHY_MS) backoff.reset();
    // Also after a clean end: a server that ends every watch at once must not be asked without pause.
    await sleep(backoff.next(), undefined, { signal }).catch(() => undefined);
  }
}

/** A watch ended other than by its time. */
class Broken extends Error {
  constructor(
    message: string,
    readonly version: string,
  ) {
    super(message);
  }
}

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: ApiObject & {
    readonly metadata?: { readonly resourceVersion?: string };
    readonly code?: number;
    readonly reason?: string;
    readonly message?: string;
  };
}

/** One watch request to its end. Returns the version to go on from. @throws ApiError (410 too), Broken */
async function watchOnce(
  client: ClusterClient,
  path: string,
  query: Query,
  watched: Watched,
  healthy: () => void,
  signal: AbortSignal,
): Promise<string> {
  const response = await client.stream(
    path,
    { ...query, watch: true, allowWatchBookmarks: true, timeoutSeconds: WATCH_SECONDS },
    signal,
  );
  healthy();
  let version = String(query['resourceVersion']);
  response.setTimeout(SILENCE_MS, () => response.destroy(new Error('silent for too long')));
  try {
    for await (const line of createInterface({ input: response, crlfDelay: Infinity })) {
      if (line.trim() === '') continue;
      const event = eventOf(line);
      // The last line of a connection that broke: what it said comes again.
      if (event === null) break;
      const { type, object } = event;
      if (type === 'ERROR') {
        throw new ApiError(object.code ?? 500, object.reason ?? '', object.message ?? 'the watch failed');
      }
      version = object.metadata?.resourceVersion ?? version;
      if (type !== 'BOOKMARK') watched.changed(type, object);
    }
  } catch (error) {
    if (error instanceof ApiError || signal.aborted) throw error;
    throw new Broken((error as Error).message, version);
  } finally {
    response.destroy();
  }
  if (!response.complete) throw new Broken('the connection was cut', version);
  return version;
}

function eventOf(line: string): WatchEvent | null {
  try {
    return JSON.parse(line) as WatchEvent;
  } catch {
    return null;
  }
}
