import { parseUpstreamCluster } from '../../record/upstream-cluster.js';
import { perWorld } from '../world.js';

/*
 * What proxies hold beyond what this cluster's objects say: in a mesh of several clusters services and endpoints are those
 * of all of them.
 */

const clusters = perWorld((world) => [...world.proxies.values()].flatMap(({ clusters: some }) => some ?? []));

/** Hosts to which some proxy has a cluster. */
export const heldHosts = perWorld(
  (world): ReadonlySet<string> =>
    new Set(clusters(world).flatMap(({ name }) => parseUpstreamCluster(name).host ?? [])),
);

/** `name.namespace` of services of which some proxy holds endpoints that nobody failed to reach. */
export const reachedServices = perWorld(
  (world): ReadonlySet<string> =>
    new Set(
      clusters(world)
        .filter(({ hosts }) =>
          hosts.some((host) => host.healthy && !host.ejected && host.connectFailures === 0),
        )
        .flatMap(({ name }) => parseUpstreamCluster(name).service ?? []),
    ),
);
