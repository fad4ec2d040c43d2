import type { SavedCluster } from '../../src/check/from-files.js';
import { RESOURCES, type ResourceName } from '../../src/cluster/cluster.js';
import type { Answer } from './forwarding-server.js';

/** What an API server answers that has the objects of saved files; kinds of some paths may not be read. */
export async function answersOf(
  saved: SavedCluster,
  forbidden: readonly string[] = [],
): Promise<(path: string) => Answer> {
  const listings = new Map<string, readonly unknown[]>();
  for (const name of Object.keys(RESOURCES) as ResourceName[]) {
    const { group, versions, resource } = RESOURCES[name];
    const path = `${group === '' ? '/api/' : `/apis/${group}/`}${versions[0]}/${resource}`;
    listings.set(path, (await saved.list(name)).items);
  }
  const [mesh] = listings.get('/api/v1/configmaps') ?? [];
  return (path) => {
    if (forbidden.some((kind) => path.endsWith(kind))) return { status: 403, body: { message: 'no' } };
    if (mesh && path.endsWith('/configmaps/istio')) return { status: 200, body: mesh };
    const items = listings.get(path);
    return items ? { status: 200, body: { items, metadata: {} } } : { status: 404, body: {} };
  };
}
