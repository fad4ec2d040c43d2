import type { DebugPage, Refusal } from '../../cluster/cluster.js';
import { Field } from '../field.js';

/** One proxy as one istiod sees it (istio 1.31 pilot/pkg/xds/debug.go SyncStatus). */
export interface ProxySync {
  /** `pod.namespace`. */
  readonly proxy: string;
  readonly version: string;
  /** By kind of configuration: `cluster`, `listener`, `route`, `endpoint`. */
  readonly kinds: readonly {
    readonly kind: string;
    readonly state: 'synced' | 'stale' | 'not-sent';
    readonly error: string | null;
  }[];
}

export interface SyncState {
  readonly proxies: ReadonlyMap<string, ProxySync>;
  /** Replicas that did not answer: a proxy that is missing may be connected to one of them. */
  readonly unanswered: readonly Refusal[];
  /** How many replicas answered. */
  readonly answered: number;
}

const KINDS = ['cluster', 'listener', 'route', 'endpoint'] as const;
const TYPES: Readonly<Record<(typeof KINDS)[number], string>> = {
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  endpoint: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
};

/** Joins what every replica says; `null` where none answered. */
export function syncStateOf(pages: readonly DebugPage[]): SyncState | null {
  const proxies = new Map<string, ProxySync>();
  const unanswered: Refusal[] = [];
  let answered = 0;
  for (const page of pages) {
    const read = 'refused' in page ? page.refused : parsed(page.text);
    if (!Array.isArray(read)) {
      unanswered.push(read as Refusal);
      continue;
    }
    answered++;
    for (const item of read) {
      const sync = syncOf(new Field(item, '', []));
      if (sync.proxy !== '') proxies.set(sync.proxy, sync);
    }
  }
  return answered === 0 ? null : { proxies, unanswered, answered };
}

function parsed(text: string): readonly unknown[] | Refusal {
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value)) return value;
  } catch {
    // Said below, like any other answer that is no list.
  }
  return { verb: 'get', resource: 'istiod /debug/syncz', reason: 'the answer is no list of proxies' };
}

function syncOf(item: Field): ProxySync {
  return {
    proxy: item.at('proxy').text() ?? '',
    version: item.at('istio_version').text() ?? item.at('proxy_version').text() ?? '',
    kinds: KINDS.map((kind) => {
      const newer = item.at('resources', TYPES[kind]);
      const sent = newer.at('sent').text() ?? item.at(`${kind}_sent`).text() ?? '';
      const acked = newer.at('acked').text() ?? item.at(`${kind}_acked`).text() ?? '';
      const error = newer.at('lastError').text() ?? newer.at('last_error').text() ?? null;
      return { kind, state: sent === '' ? 'not-sent' : sent === acked ? 'synced' : 'stale', error };
    }),
  };
}

/** Whether a text is a saved `/debug/syncz`. */
export const isSyncz = (text: string): boolean =>
  /^\s*\[/.test(text) &&
  /"proxy"\s*:/.test(text.slice(0, 8192)) &&
  /"(?:cluster_sent|resources|cluster_id)"/.test(text.slice(0, 8192));
