import { parseDocument } from 'yaml';
import {
  RESOURCES,
  type AdminPage,
  type Cluster,
  type DebugPage,
  type Listing,
  type Page,
  type Refusal,
  type ResourceName,
} from '../cluster/cluster.js';
import { pageIn, proxyStateOf } from './envoy/proxy-state.js';
import { isMap } from './field.js';
import { isSyncz } from './foundation/sync-state.js';
import { resourceName } from './world.js';

/*
 * A cluster as files hold it: what `kubectl get … -o yaml` wrote, a must-gather, an `istioctl bug-report`, and pages of
 * Envoy's admin interface. Kinds are told by what stands in a document, never by its file's name.
 */

/** A saved file as text. */
export interface SavedFile {
  readonly name: string;
  readonly text: string;
  /** ms since the epoch. */
  readonly modifiedAt?: number;
}

/** A part of a file that is broken; everything else of it was read. */
export interface BrokenDocument {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
  /** The kind that it seems to be of. */
  readonly kind: string | null;
}

export interface SavedCluster extends Cluster {
  readonly broken: readonly BrokenDocument[];
  /** Files that held neither objects nor a page. */
  readonly unused: readonly string[];
  readonly objects: number;
}

type Items = Map<ResourceName, unknown[]>;

const BY_GROUP_KIND: ReadonlyMap<string, ResourceName> = new Map(
  (Object.keys(RESOURCES) as ResourceName[]).map((name) => [
    `${RESOURCES[name].group}/${RESOURCES[name].kind}`,
    name,
  ]),
);

interface SavedPage {
  readonly file: string;
  readonly page: AdminPage;
  readonly text: string;
}

/** Reads files as a cluster. Total: what is broken is told, the rest is read. */
export function savedCluster(name: string, files: readonly SavedFile[]): SavedCluster {
  const items: Items = new Map();
  const broken: BrokenDocument[] = [];
  const unused: string[] = [];
  const pages: SavedPage[] = [];
  const syncz: SavedFile[] = [];
  /** Kinds that a list states to be empty. */
  const empty = new Set<ResourceName>();
  let objects = 0;
  for (const file of files) {
    const page = pageIn(file.text);
    if (page) {
      pages.push({ file: file.name, page, text: file.text });
      continue;
    }
    if (isSyncz(file.text)) {
      syncz.push(file);
      continue;
    }
    const before = objects + broken.length + empty.size;
    for (const value of documentsIn(file, broken)) objects += take(value, items, empty);
    if (objects + broken.length + empty.size === before) unused.push(file.name);
  }
  const damagedKinds = new Map(
    broken.flatMap(({ kind, file, line }) =>
      kind === null ? [] : [[kind, `${file}:${line} is broken YAML`]],
    ),
  );
  const pods = new Set((items.get('Pod') ?? []).flatMap((pod) => nameOf(pod) ?? []));
  const admin = pagesByPod(pages, pods);
  const refusal = (resource: ResourceName, reason: string): Refusal => ({
    verb: 'read',
    resource: resourceName(RESOURCES[resource].group, RESOURCES[resource].resource),
    reason,
  });
  const times = files.flatMap(({ modifiedAt }) => modifiedAt ?? []);
  return {
    name,
    readAt: times.length > 0 ? Math.max(...times) : null,
    broken,
    unused,
    objects,
    list: (resource): Promise<Listing> => {
      const found = items.get(resource) ?? [];
      const damaged = damagedKinds.get(RESOURCES[resource].kind);
      if (damaged) return Promise.resolve({ items: found, refused: refusal(resource, damaged) });
      if (
        found.length > 0 ||
        empty.has(resource) ||
        isTakenAsNone(resource, new Set([...items.keys(), ...empty]))
      ) {
        return Promise.resolve({ items: found });
      }
      return Promise.resolve({ items: [], refused: refusal(resource, 'none among the files') });
    },
    envoyAdmin: (pod, page): Promise<Page> => {
      const text = admin.get(`${pod.namespace}/${pod.name}`)?.get(page);
      if (text !== undefined) return Promise.resolve({ text });
      return Promise.resolve({
        refused: {
          verb: 'read',
          resource: `Envoy admin /${page}`,
          reason: 'none among the files',
          notGiven: true,
        },
      });
    },
    syncz: (): Promise<readonly DebugPage[]> =>
      Promise.resolve(syncz.map(({ text }) => ({ text, istiod: null }))),
  };
}

/** Kinds whose absence would itself be a finding: only a list that says so makes them none. */
const MUST_BE_SEEN: ReadonlySet<ResourceName> = new Set([
  'VirtualService',
  'DestinationRule',
  'PeerAuthentication',
  'ReferenceGrant',
]);

/**
 * An empty list leaves no trace in a `kubectl get a,b,c -o yaml`. Whoever saved several of Istio's kinds is taken to have
 * asked for them all.
 */
function isTakenAsNone(resource: ResourceName, seen: ReadonlySet<ResourceName>): boolean {
  const isExtension = (name: ResourceName): boolean => /istio\.io$|^gateway\./.test(RESOURCES[name].group);
  return isExtension(resource) && !MUST_BE_SEEN.has(resource) && [...seen].filter(isExtension).length >= 2;
}

const nameOf = (object: unknown): string | undefined => {
  const metadata = isMap(object) ? object['metadata'] : undefined;
  if (!isMap(metadata) || typeof metadata['name'] !== 'string') return undefined;
  return `${typeof metadata['namespace'] === 'string' ? metadata['namespace'] : 'default'}/${metadata['name']}`;
};

/** The documents of a file. Each stands for itself: a broken one costs no other. */
function documentsIn({ name, text }: SavedFile, broken: BrokenDocument[]): readonly unknown[] {
  if (/^\s*[[{]/.test(text)) {
    try {
      return [JSON.parse(text)];
    } catch {
      // YAML in flow style begins like JSON.
    }
  }
  const values: unknown[] = [];
  let line = 1;
  // In YAML three dashes at the very left begin a document wherever they stand.
  for (const part of text.split(/^---(?=\s|$)/m)) {
    if (/^(?:apiVersion|kind|items)\s*:|^\s*\{/m.test(part))
      values.push(...documentIn(name, part, line, broken));
    line += part.split('\n').length - 1;
  }
  return values;
}

function documentIn(file: string, text: string, line: number, broken: BrokenDocument[]): readonly unknown[] {
  const note = (message: string, at: number): readonly unknown[] => {
    broken.push({
      file,
      line: line + at,
      message,
      kind: /^kind:\s*([A-Za-z]+)\s*$/m.exec(text)?.[1] ?? null,
    });
    return [];
  };
  const document = parseDocument(text, { prettyErrors: false, logLevel: 'silent' });
  const [error] = document.errors;
  if (error) return note(firstLine(error.message), text.slice(0, error.pos[0]).split('\n').length - 1);
  try {
    return [document.toJS({ maxAliasCount: 1000 })];
  } catch (failure) {
    // Aliases that would unfold beyond all bounds.
    return note(firstLine((failure as Error).message), 0);
  }
}

const firstLine = (text: string): string => text.split('\n', 1)[0]!;

/** Files an object under its kind, or the objects of a list. Returns how many. */
function take(value: unknown, items: Items, empty: Set<ResourceName>): number {
  if (Array.isArray(value)) return value.reduce((sum: number, one) => sum + take(one, items, empty), 0);
  if (!isMap(value)) return 0;
  const kind = typeof value['kind'] === 'string' ? value['kind'] : '';
  const apiVersion = typeof value['apiVersion'] === 'string' ? value['apiVersion'] : '';
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0]! : '';
  if (Array.isArray(value['items']) && (kind === 'List' || kind.endsWith('List'))) {
    const list = BY_GROUP_KIND.get(`${group}/${kind.slice(0, -'List'.length)}`);
    // The objects of a typed list may leave out what the list says of all.
    const inner = value['items'].map((one: unknown) =>
      list && isMap(one) ? { apiVersion, kind: RESOURCES[list].kind, ...one } : one,
    );
    if (list && inner.length === 0) empty.add(list);
    return take(inner, items, empty);
  }
  const name = BY_GROUP_KIND.get(`${group}/${kind}`);
  if (name === undefined || nameOf(value) === undefined) return 0;
  const known = items.get(name);
  if (known) known.push(value);
  else items.set(name, [value]);
  return 1;
}

/** Pages by pod. One that names no pod is of the proxy whose config_dump alone lies beside it. */
function pagesByPod(
  pages: readonly SavedPage[],
  pods: ReadonlySet<string>,
): ReadonlyMap<string, ReadonlyMap<AdminPage, string>> {
  const found = new Map<string, Map<AdminPage, string>>();
  const dumps = new Map<string, Set<string>>();
  const nameless: SavedPage[] = [];
  const put = (pod: string, { page, text }: SavedPage): void => {
    const known = found.get(pod) ?? new Map<AdminPage, string>();
    known.set(page, text);
    found.set(pod, known);
  };
  for (const saved of pages) {
    const pod = podOfPage(saved.file, saved.page, saved.text, pods);
    if (pod === null) {
      nameless.push(saved);
      continue;
    }
    put(pod, saved);
    const folder = folderOf(saved.file);
    if (saved.page === 'config_dump') dumps.set(folder, (dumps.get(folder) ?? new Set()).add(pod));
  }
  for (const saved of nameless) {
    const [only, other] = dumps.get(folderOf(saved.file)) ?? [];
    if (only !== undefined && other === undefined) put(only, saved);
  }
  return found;
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1);

/** Whose page it is: the node that a config_dump names, else the pod whose name stands in the path. */
function podOfPage(file: string, page: AdminPage, text: string, pods: ReadonlySet<string>): string | null {
  // istio 1.28 tools/bug-report/pkg/archive/archive.go: proxies/<namespace>/<pod>/<page>
  const report = /(?:^|[/:])proxies\/([^/]+)\/([^/]+)\//.exec(file);
  if (report) return `${report[1]}/${report[2]}`;
  if (page === 'config_dump') {
    const node = proxyStateOf(new Map([[page, { text }]])).config?.node;
    const at = node?.lastIndexOf('.') ?? -1;
    if (node && at > 0) return `${node.slice(at + 1)}/${node.slice(0, at)}`;
  }
  const named = [...pods].filter((pod) => mentions(file, pod.split('/')[1]!));
  const inNamespace = named.filter((pod) => mentions(file, pod.split('/')[0]!));
  const [only, other] = inNamespace.length > 0 ? inNamespace : named;
  return other === undefined ? (only ?? null) : null;
}

/** As a whole word of a path: `shop/payments-1/clusters`, `payments-1.shop.clusters.json`. */
const mentions = (path: string, name: string): boolean =>
  new RegExp(`(?:^|[/._:])${name.replaceAll(/[^a-z0-9-]/g, '.')}(?:[/._]|$)`).test(path);
