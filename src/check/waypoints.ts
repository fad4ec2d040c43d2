import type { KubeGateway } from './gateway-api-objects.js';
import type { Labels, Meta } from './meta.js';
import type { World } from './world.js';

/** Which waypoint labels ask for (istio 1.31 pilot/pkg/serviceregistry/kube/controller/ambient/waypoints.go). */
export interface WaypointName {
  readonly namespace: string;
  readonly name: string;
}

/** `null`: none is asked for. */
export function waypointAsked(labels: Labels, namespace: string): WaypointName | null {
  const name = labels.get('istio.io/use-waypoint');
  if (name === undefined || name === 'none') return null;
  return { name, namespace: labels.get('istio.io/use-waypoint-namespace') ?? namespace };
}

/** The waypoint of a service: its own label goes before that of its namespace, also one that says `none`. */
export function waypointOf(world: World, object: Pick<Meta, 'labels' | 'namespace'>): WaypointName | null {
  if (object.labels.has('istio.io/use-waypoint')) return waypointAsked(object.labels, object.namespace);
  const namespace = world.find('Namespace', '', object.namespace);
  return namespace ? waypointAsked(namespace.labels, namespace.name) : null;
}

export const waypointNamed = (world: World, { namespace, name }: WaypointName): KubeGateway | undefined =>
  world.find('KubeGateway', namespace, name);
