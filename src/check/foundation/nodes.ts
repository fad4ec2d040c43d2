import type { Finding } from '../../diagnosis/finding.js';
import { found, type Check } from '../check.js';
import { ofPods } from '../subjects.js';

export const nodes: Check = {
  id: 'nodes',
  phase: 'foundation',
  claim: 'every node is ready',
  subjects: ['Node'],
  needs: ['Pod'],
  decides: ['node-unreachable'],
  see: 'kubectl get nodes',
  judge(world) {
    const findings = world.list('Node').flatMap((node): readonly Finding[] => {
      if (node.ready !== false) return [];
      const pods = world.list('Pod').filter(({ nodeName }) => nodeName === node.name);
      return [
        found('foundation', {
          id: 'node-not-ready',
          basis: 'state',
          severity: 'critical',
          from: node,
          field: 'status.conditions[Ready]',
          read: `node ${node.name} is not ready; ${pods.length} pods are on it`,
          why: 'connects to its pods are never answered, and it takes minutes until they are no endpoints any more',
          confirms: ['node-unreachable'],
          about: ofPods(world, undefined, pods),
          see: `kubectl describe node ${node.name}`,
          fix: 'Drain or restart the node.',
        }),
      ];
    });
    const known = world.list('Node').filter(({ ready }) => ready !== null);
    return {
      findings,
      examined: known.map((node) => ({
        about: ofPods(
          world,
          undefined,
          world.list('Pod').filter(({ nodeName }) => nodeName === node.name),
        ),
        said: `node ${node.name} ready`,
        excludes: ['node-unreachable'],
      })),
    };
  },
};
