import { expect, it } from 'vitest';
import { savedCluster } from '../../src/check/from-files.js';
import { runChecks } from '../../src/check/run.js';
import { readSettled } from '../../src/check/settled.js';
import { allProxies } from '../../src/check/target.js';
import { workloads } from '../../src/check/workloads.js';
import type { World } from '../../src/check/world.js';
import { Mesh, type Json } from './mesh.js';

/** A mesh while an update is on its way to one proxy, or is stuck. */
function pushing(): Mesh {
  const mesh = new Mesh();
  const [first] = mesh.pages.get('dump/istiod/syncz') as Json[];
  first!['endpoint_acked'] = 'a0';
  return mesh;
}
const clusterOf = (mesh: Mesh) => savedCluster('files', mesh.files());
const read = (first: Mesh, second: Mesh): Promise<World> =>
  readSettled({ ...clusterOf(first), later: () => Promise.resolve(clusterOf(second)) }, (objects) => ({
    pods: allProxies(workloads(objects)),
    sync: true,
  }));
const ids = (world: World): readonly string[] =>
  runChecks(world)
    .filter(({ status }) => status !== 'ok')
    .map(({ id }) => id);

it('an update that is on its way is no finding', async () => {
  expect(ids(await read(pushing(), new Mesh()))).toEqual([]);
});

it('one that is stuck is', async () => {
  expect(ids(await read(pushing(), pushing()))).toEqual(['proxy-config-stale']);
});

it('where nothing is in passing nobody is asked twice', async () => {
  const cluster = clusterOf(new Mesh());
  const world = await readSettled(
    { ...cluster, later: () => Promise.reject(new Error('asked twice')) },
    (objects) => ({ pods: allProxies(workloads(objects)), sync: true }),
  );
  expect(ids(world)).toEqual([]);
});

it('of what was saved nothing moves', async () => {
  const world = await readSettled(clusterOf(pushing()), () => ({ pods: [], sync: true }));
  expect(ids(world)).toContain('proxy-config-stale');
});
