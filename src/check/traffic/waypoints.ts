import type { Finding } from '../../diagnosis/finding.js';
import { found, type Check, type Examined } from '../check.js';
import type { Meta } from '../meta.js';
import { podsOf, serviceName } from '../services.js';
import { waypointAsked, waypointNamed, type WaypointName } from '../waypoints.js';
import { hasProxy, isRunning, podsIn } from '../workloads.js';
import type { World } from '../world.js';

export const waypoints: Check = {
  id: 'waypoints',
  phase: 'traffic',
  claim: 'every waypoint that is asked for is there and ready',
  subjects: ['Namespace', 'Service'],
  needs: ['KubeGateway', 'Pod', 'Namespace', 'Service'],
  decides: ['waypoint-misrouting'],
  see: 'istioctl waypoint status -n NAMESPACE',
  judge(world) {
    const findings: Finding[] = [];
    const examined: Examined[] = [];
    const askers = [
      ...world
        .list('Namespace')
        .map((one) => ({ one, namespace: one.name, services: servicesIn(world, one.name) })),
      ...world
        .list('Service')
        .map((one) => ({ one, namespace: one.namespace, services: [serviceName(one)] })),
    ];
    for (const { one, namespace, services } of askers) {
      const waypoint = waypointAsked(one.labels, namespace);
      if (!waypoint) continue;
      const about = { services, namespaces: [namespace] };
      const trouble = troubleOf(world, waypoint);
      if (trouble) findings.push(findingOf(one, waypoint, trouble, about));
      else examined.push({ about, said: `waypoint ${waypoint.namespace}/${waypoint.name}`, excludes: [] });
    }
    return { findings, examined };
  },
};

const servicesIn = (world: World, namespace: string): readonly string[] =>
  world
    .list('Service')
    .filter((service) => service.namespace === namespace && !service.labels.has('istio.io/use-waypoint'))
    .filter((service) => podsOf(world, service).some((pod) => !hasProxy(pod)))
    .map(serviceName);

function troubleOf(world: World, waypoint: WaypointName): 'missing' | 'not-ready' | null {
  if (!waypointNamed(world, waypoint)) return 'missing';
  const pods = podsIn(world, waypoint.namespace).filter(
    (pod) => pod.labels.get('gateway.networking.k8s.io/gateway-name') === waypoint.name && isRunning(pod),
  );
  return pods.some(({ ready }) => ready !== false) ? null : 'not-ready';
}

const findingOf = (
  from: Meta,
  { namespace, name }: WaypointName,
  trouble: 'missing' | 'not-ready',
  about: Finding['about'],
): Finding =>
  found('traffic', {
    id: trouble === 'missing' ? 'waypoint-missing' : 'waypoint-without-ready-pod',
    severity: 'critical',
    ...(trouble === 'not-ready' && { basis: 'state' }),
    from,
    field: 'metadata.labels[istio.io/use-waypoint]',
    read:
      trouble === 'missing'
        ? `there is no Gateway ${namespace}/${name}`
        : `no pod of waypoint ${namespace}/${name} is ready`,
    why: 'ztunnel sends what is for these services to their waypoint: without one, connections are refused',
    confirms: ['waypoint-misrouting'],
    about,
    see: `istioctl waypoint status -n ${namespace}`,
    fix:
      trouble === 'missing'
        ? `Make it (istioctl waypoint apply -n ${namespace} --name ${name}), or take the label away.`
        : 'Look why its pods are not ready: kubectl describe pod.',
  });
