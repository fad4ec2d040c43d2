import type { Cause } from '../cause.js';
import { connectErrorOf } from '../connect-error.js';
import { debugCommand } from '../kubectl.js';
import { distinct } from '../stats.js';
import { claim, studies } from '../study.js';
import { listed } from '../words.js';

export const portExhaustion: Cause = {
  id: 'conntrack-or-port-exhaustion',
  reference: 'https://github.com/istio/istio/issues/38982',
  mechanism: 'The kernel has no local port left for a connection, or its connection table is full.',
  signs: [
    'immediate_connect_error: Cannot assign requested address (99)',
    'under load, many destinations, one pod or node',
  ],
  against: ['one destination only, without load'],
  judge: (scene) =>
    studies(scene, (kind) => connectErrorOf(kind) === 'local-ports', { keyOf: (row) => row.proxy }).map(
      (study) =>
        claim(study, {
          cause: 'conntrack-or-port-exhaustion',
          title: `${study.proxies[0]} has no local ports left for new connections`,
          story: `its own kernel refused to open them (Cannot assign requested address), before anything was sent: ${listed(distinct(study.rows, (row) => scene.placeOf(row)))}. The destination is not at fault.`,
          at: {
            services: distinct(study.rows, (row) => scene.placeOf(row)).toSorted(),
            pods: study.proxies,
            clients: study.proxies,
            endpoints: study.hosts.slice(0, 3),
          },
          evidence: [
            study.fact(
              'connects that the own kernel refused',
              study.rows,
              scene
                .linesOfProxy(study.proxies[0]!)
                .filter((row) => row.start >= study.first && row.start <= study.last),
            ),
          ],
          confidence: 'high',
          why: 'errno 99 comes from the local kernel only',
          next: [
            {
              purpose: 'count its sockets',
              command: debugCommand(null, study.proxies[0]!, 'ss -s'),
            },
          ],
          fix: ['Keep connections alive and pool them; more pods or source addresses; raise the port range.'],
        }),
    ),
};
