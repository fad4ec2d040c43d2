import type { Cluster } from '../cluster/cluster.js';
import { envoyEndpoints } from './envoy/endpoints.js';
import { configSync } from './foundation/config-sync.js';
import { runChecks } from './run.js';
import { readWorld, type Depth, type World } from './world.js';

/** What a push that is under way looks like too: objects, istiod and Envoy are read one after the other. */
const IN_PASSING: ReadonlySet<string> = new Set([
  'proxy-config-stale',
  'proxy-not-connected',
  'envoy-endpoint-stale',
  'envoy-endpoint-missing',
]);

const isInPassing = (world: World): boolean =>
  runChecks(world, null, [configSync, envoyEndpoints]).some(({ id }) => IN_PASSING.has(id));

/** The world of a cluster that goes on meanwhile: what may be in passing is looked at a second time. */
export async function readSettled(cluster: Cluster, depthOf: (objects: World) => Depth): Promise<World> {
  const world = await readWorld(cluster, depthOf);
  if (!cluster.later || !isInPassing(world)) return world;
  return readWorld(await cluster.later(), depthOf);
}
