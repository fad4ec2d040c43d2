import type { Finding } from '../../diagnosis/finding.js';
import { found, type Check } from '../check.js';
import type { Pod } from '../kube-objects.js';
import { ofPods } from '../subjects.js';
import { perWorld } from '../world.js';

const podsOn = perWorld((world): ReadonlyMap<string, readonly Pod[]> => {
  const found = new Map<string, Pod[]>();
  for (const pod of world.list('Pod')) {
    if (pod.nodeName === null) continue;
    const known = found.get(pod.nodeName);
    if (known) known.push(pod);
    else found.set(pod.nodeName, [pod]);
  }
  return found;
});

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
      const pods = podsOn(world).get(node.name) ?? [];
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
        about: ofPods(world, undefined, podsOn(world).get(node.name) ?? []),
        said: `node ${node.name} ready`,
        excludes: ['node-unreachable'],
      })),
    };
  },
};
