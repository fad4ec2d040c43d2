import type { Kind, Row } from '../../aggregate/row.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { Study, studies } from '../study.js';
import { distinct, groupBy } from '../stats.js';
import { isIp } from '../../record/address.js';
import { bareAuthority } from '../traits.js';

/** No route matched: told by the flag, and by the details where the layout has them. */
export function isRouteMiss(row: Kind): boolean {
  return (
    row.http &&
    row.has('NR') &&
    row.cluster === null &&
    (row.details === null || row.details.startsWith('route_')) &&
    !(row.code === 0)
  );
}

/** Misses of one authority at the proxies that logged them, and what else these proxies know of the host. */
export interface RouteMiss {
  readonly study: Study;
  readonly authority: string;
  /** Lines of the same proxies and host that found a route. */
  readonly routed: readonly Row[];
  readonly isEdge: boolean;
}

/** What a proxy's route table tells of a host. */
const hostAt = (proxy: string, authority: string): string => `${proxy}\n${bareAuthority(authority)}`;

/** Lines that found a route, by proxy and host: strangers ask for more hosts than there are lines to look through for each. */
const routedLines = perScene((scene: Scene): ReadonlyMap<string, readonly Row[]> =>
  groupBy(
    scene.rowsOf((kind) => kind.http && kind.direction !== 'inbound' && kind.cluster !== null),
    (row) => row.authority && hostAt(row.proxy, row.authority),
  ),
);

/** One per authority. */
export const routeMisses = perScene((scene: Scene): readonly RouteMiss[] =>
  studies(scene, isRouteMiss, { keyOf: (row) => row.authority ?? '' }).map((study) => {
    const authority = study.sample.authority ?? '';
    const routed = study.proxies.flatMap((proxy) => routedLines(scene).get(hostAt(proxy, authority)) ?? []);
    return { study, authority, routed, isEdge: isEdge(scene, study) };
  }),
);

/** A gateway: told by its lines; a proxy without any routed line is judged by where its callers come from. */
function isEdge(scene: Scene, study: Study): boolean {
  const roles = study.proxies.map((proxy) => scene.roleOf(proxy));
  if (roles.includes('gateway')) return true;
  return roles.every((role) => role !== 'sidecar') && distinct(study.rows, (row) => row.peer).length > 3;
}

/** Paths that nobody's app serves and every scanner asks for. */
const PROBED_PATHS =
  /^\/(?:\.(?:env|git|aws|ssh|svn|vscode|ds_store)|wp-|wordpress|xmlrpc|phpmyadmin|pma|admin\.php|config\.(?:php|json|yml)|cgi-bin|actuator|solr|vendor\/phpunit|boaform|hnap1|owa|autodiscover|shell|setup\.cgi|server-status|telescope|\?xdebug|console\/|manager\/html|_ignition|geoserver|login\.action|druid|nacos|phpinfo|backup|\.well-known\/security)/i;

/** Looks like a bot's: an address instead of a name, or a path that only scanners ask for. */
export function isScannerRequest(row: Row): boolean {
  return (row.authority !== null && isIp(bareAuthority(row.authority))) || PROBED_PATHS.test(row.path ?? '');
}
