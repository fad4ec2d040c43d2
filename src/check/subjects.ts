import type { Subject } from '../diagnosis/finding.js';
import type { Pod, Service } from './kube-objects.js';
import { serviceName, servicesOf } from './services.js';
import type { Workload } from './workloads.js';
import type { World } from './world.js';

const unique = (items: readonly string[]): readonly string[] => [...new Set(items)];

export const ofService = (service: Service): Subject => ({ services: [serviceName(service)] });

/** Some of a workload's pods, with the services that they serve. */
export function ofPods(world: World, workload: Workload | undefined, pods: readonly Pod[]): Subject {
  return {
    pods: pods.map(({ name }) => name),
    endpoints: pods.flatMap(({ ip }) => ip ?? []),
    services: unique(pods.flatMap((pod) => servicesOf(world, pod).map(serviceName))),
    ...(workload && { workloads: [workload.key] }),
  };
}

export const ofWorkload = (world: World, workload: Workload): Subject =>
  ofPods(world, workload, workload.pods);

/** Pods as callers: logs name them by name or by address. */
export const asClients = (pods: readonly Pod[]): readonly string[] =>
  pods.flatMap(({ name, ip }) => (ip === null ? [name] : [name, ip]));

/** A caller and whom it calls: the fault shows in requests from the one to the other. */
export const ofCall = (workload: Workload, service: string): Subject => ({
  services: [service],
  workloads: [workload.key],
  clients: [workload.key, ...asClients(workload.pods)],
});

/** `deployment/payments` for kubectl. */
export const kubectlName = ({ kind, name }: Pick<Workload, 'kind' | 'name'>): string =>
  `${kind.toLowerCase()}/${name}`;
