import type { Cause } from '../cause.js';
import { byFrequency, distinct } from '../stats.js';
import { Study, claim } from '../study.js';
import { listed, plural } from '../words.js';
import { isRouteMiss, isScannerRequest } from './route-misses.js';
import type { Row } from '../../aggregate/row.js';
import type { Scene } from '../scene.js';
import { bareAuthority } from '../traits.js';

/** Hosts that this gateway or sidecar routes at all: anything else was never asked for by a customer. */
function routedHosts(scene: Scene): ReadonlySet<string> {
  return new Set(
    distinct(
      scene.rowsOf((kind) => kind.cluster !== null),
      ({ authority }) => authority || null,
    ).map(bareAuthority),
  );
}

/** So few requests to a host that nobody serves are somebody's try; of bare connections also so small a share. */
const FEW = 8;
const SMALL = 0.01;

function isNoise(scene: Scene, hosts: ReadonlySet<string>, tries: ReadonlyMap<string, number>) {
  return (row: Row): boolean => {
    if (isRouteMiss(row)) {
      const host = bareAuthority(row.authority ?? '');
      return isScannerRequest(row) || (!hosts.has(host) && (tries.get(host) ?? 0) < FEW);
    }
    if (row.cluster !== null || scene.servesApp(row.proxy)) return false;
    const garbage = row.code === 400 && row.has('DPE') && row.method === null;
    const stray = !row.http && row.has('NR');
    return (
      (garbage || stray) &&
      (tries.get(row.serverName ?? row.peer ?? '') ?? 0) <
        Math.max(FEW, scene.linesOfProxy(row.proxy).length * SMALL)
    );
  };
}

const scanners: Cause = {
  id: 'internet-scanner-noise',
  reference: 'https://github.com/envoyproxy/envoy/issues/15698',
  mechanism: 'Bots probe the gateway.',
  signs: [
    '404 NR for an address or a foreign host, for paths that only scanners ask for, from many addresses',
    '400 DPE or 0 NR of single connections',
  ],
  against: ['one real host, steadily: its route is missing'],
  judge(scene) {
    const hosts = routedHosts(scene);
    const suspects = scene.casesOf((kind) => kind.cluster === null).map(({ decider }) => decider);
    if (suspects.length === 0) return [];
    // A host is somebody's by its ordinary requests; what only scanners ask for does not count.
    const tries = new Map([
      ...byFrequency(suspects, (row) =>
        isRouteMiss(row) && !isScannerRequest(row) ? bareAuthority(row.authority ?? '') : null,
      ),
      ...byFrequency(suspects, (row) => (isRouteMiss(row) ? null : (row.serverName ?? row.peer))),
    ]);
    const noise = isNoise(scene, hosts, tries);
    const cases = scene.casesOf((kind) => kind.cluster === null).filter(({ decider }) => noise(decider));
    if (cases.length === 0) return [];
    const study = new Study(scene, cases);
    const clients = distinct(study.rows, (row) => row.peer).length;
    return [
      claim(study, {
        cause: 'internet-scanner-noise',
        title: 'strangers probing the gateway',
        story: `${plural(clients, 'address', 'addresses')}, for ${listed(distinct(study.rows, (row) => row.path).slice(0, 4))}; no host or path that is served here.`,
        evidence: [],
        confidence: 'high',
        why: 'nobody’s host, or a path that only scanners ask for',
        next: [],
        fix: ['None; a web application firewall keeps them out.'],
        harmless: true,
      }),
    ];
  },
};

export const NOISE_CAUSES: readonly Cause[] = [scanners];
