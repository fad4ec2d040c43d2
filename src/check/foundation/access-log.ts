import type { Finding } from '../../diagnosis/finding.js';
import { listed } from '../../diagnosis/words.js';
import { found, named, type Check, type Examined } from '../check.js';
import { filteredPods } from '../envoy-filters.js';
import type { Telemetry } from '../istio-objects.js';
import type { Pod } from '../kube-objects.js';
import { meshConfigFor, rootNamespaces, type MeshConfig } from '../mesh-config.js';
import { selects, type Meta } from '../meta.js';
import { kubectlName, ofWorkload } from '../subjects.js';
import { hasProxy, workloads, type Workload } from '../workloads.js';
import { podKey, type World } from '../world.js';

type Trouble = 'off' | 'filtered' | 'elsewhere' | 'one-sided';

/** Whether a workload's proxies log requests to their output, and what decides that. */
interface AccessLog {
  readonly trouble: Trouble | null;
  readonly from: Meta | null;
  readonly field: string;
  readonly said: string;
}

export const accessLog: Check = {
  id: 'access-log',
  phase: 'foundation',
  claim: 'every proxy writes all its requests to its output',
  subjects: ['Pod'],
  needs: ['ConfigMap', 'Telemetry'],
  nearby: ['Telemetry'],
  decides: ['access-logs-disabled'],
  see: "kubectl get telemetry -A -o yaml; kubectl -n istio-system get cm istio -o jsonpath='{.data.mesh}'",
  judge(world) {
    const examined: Examined[] = [];
    const troubled = new Map<string, { readonly log: AccessLog; readonly workloads: Workload[] }>();
    for (const workload of workloads(world)) {
      const pod = workload.pods.find(hasProxy);
      if (!pod) continue;
      const config = meshConfigFor(world, pod);
      if (!config) continue;
      const stated = accessLogOf(world, workload, config);
      const seen = stated.trouble === 'off' ? seenOtherwise(world, workload) : null;
      const log = seen === null ? stated : { ...stated, trouble: null, said: seen };
      examined.push({
        about: ofWorkload(world, workload),
        said: log.said,
        ...(log.trouble === null && { excludes: ['access-logs-disabled'] }),
      });
      if (log.trouble === null) continue;
      const key = `${log.trouble} ${log.from ? named(log.from.ref) : ''} ${log.field}`;
      const known = troubled.get(key);
      if (known) known.workloads.push(workload);
      else troubled.set(key, { log, workloads: [workload] });
    }
    const findings = [...troubled.values()].map((one) => findingOf(world, one.log, one.workloads));
    return { findings, examined };
  },
};

/** Objects that are not read as a whole may turn it on too. */
function seenOtherwise(world: World, { pods }: Workload): string | null {
  const logs = (pod: Pod): boolean =>
    world.proxies.get(podKey(pod))?.config?.listeners.some((one) => one.accessLog) ?? false;
  const held = pods.find(logs);
  if (held) return `on, as Envoy of ${held.name} holds it`;
  const filter = world
    .list('EnvoyFilter')
    .find(
      (one) =>
        one.patches.some((patch) => patch.accessLog) &&
        filteredPods(world, one).some((pod) => pods.includes(pod)),
    );
  return filter ? `${named(filter.ref)} speaks of access logs, what it does is not read` : null;
}

/** The nearest Telemetry that speaks of access logs: workload, namespace, root namespace; the oldest of each. */
function telemetryFor(world: World, workload: Workload): Telemetry | undefined {
  const speaking = world
    .list('Telemetry')
    .filter(({ accessLogging }) => accessLogging.length > 0)
    .toSorted((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0));
  const gateway = workload.labels.get('gateway.networking.k8s.io/gateway-name');
  const own = speaking.find(
    (one) =>
      one.namespace === workload.namespace &&
      (one.targetRefs.length > 0
        ? one.targetRefs.some(({ kind, name }) => kind === 'Gateway' && name === gateway)
        : one.selector !== null && selects(one.selector, workload.labels)),
  );
  const whole = (namespaces: (namespace: string) => boolean): Telemetry | undefined =>
    speaking.find((one) => one.selector === null && one.targetRefs.length === 0 && namespaces(one.namespace));
  return (
    own ??
    whole((namespace) => namespace === workload.namespace) ??
    whole((namespace) => rootNamespaces(world).has(namespace))
  );
}

function accessLogOf(world: World, workload: Workload, config: MeshConfig): AccessLog {
  const telemetry = telemetryFor(world, workload);
  if (telemetry) return byTelemetry(telemetry, config);
  const { configMap, defaultAccessLogProviders: providers } = config;
  if (providers.length > 0) {
    const field = 'data.mesh: defaultProviders.accessLogging';
    const stdout = providers.some((name) => writesToOutput(name, config));
    return stdout
      ? { trouble: null, from: configMap, field, said: `on by ${field} (${listed(providers)})` }
      : { trouble: 'elsewhere', from: configMap, field, said: `to ${listed(providers)}, not to the output` };
  }
  const field = 'data.mesh: accessLogFile';
  if (config.accessLogFile === '') {
    return {
      trouble: 'off',
      from: configMap,
      field,
      said: 'accessLogFile is empty and no Telemetry asks for a log',
    };
  }
  if (!/^\/dev\/std(?:out|err)$/.test(config.accessLogFile)) {
    return {
      trouble: 'elsewhere',
      from: configMap,
      field,
      said: `to the file ${config.accessLogFile}, not to the output`,
    };
  }
  const format = config.accessLogFormat === '' ? "Istio's default" : 'own format';
  return {
    trouble: null,
    from: configMap,
    field,
    said: `on by ${field}, ${config.accessLogEncoding}, ${format}`,
  };
}

function byTelemetry(telemetry: Telemetry, config: MeshConfig): AccessLog {
  const who = named(telemetry.ref);
  const of = (trouble: Trouble | null, field: string, said: string): AccessLog => ({
    trouble,
    from: telemetry,
    field,
    said,
  });
  const on = telemetry.accessLogging.filter(({ disabled }) => disabled !== true);
  const [first] = telemetry.accessLogging;
  if (on.length === 0) return of('off', `${first!.field}.disabled`, `${who} says disabled: true`);
  const output = on.filter(
    ({ providers }) => providers.length === 0 || providers.some((name) => writesToOutput(name, config)),
  );
  if (output.length === 0) {
    const providers = on.flatMap((one) => one.providers);
    return of(
      'elsewhere',
      `${on[0]!.field}.providers`,
      `${who} sends it to ${listed(providers)}, not to the output`,
    );
  }
  const filtered = output.find(({ filter }) => filter !== null);
  if (filtered && output.every(({ filter }) => filter !== null)) {
    return of(
      'filtered',
      `${filtered.field}.filter.expression`,
      `${who} keeps only what fits: ${filtered.filter}`,
    );
  }
  const modes = new Set(output.map(({ mode }) => mode));
  if (modes.size === 1 && !modes.has('CLIENT_AND_SERVER')) {
    return of('one-sided', `${output[0]!.field}.match.mode`, `${who} logs the ${[...modes][0]} side only`);
  }
  return of(null, 'spec.accessLogging', `on by ${who}`);
}

/** Istio's own `envoy` writes to the output; of one's own providers the file kind, if its file is the output. */
function writesToOutput(name: string, config: MeshConfig): boolean {
  const provider = config.extensionProviders.get(name);
  if (!provider) return name === 'envoy';
  return provider.kind === 'envoyFileAccessLog' && /^\/dev\/std(?:out|err)$/.test(provider.path ?? '');
}

const WHY: Readonly<Record<Trouble, string>> = {
  off: 'nothing can be read from what does not log',
  filtered: 'without the successes no share, no onset and no comparison of pods can be told',
  elsewhere: 'the log is not where kubectl logs and meshtail look',
  'one-sided': 'one side of each hop is missing: who decided cannot be told from the lines',
};

function findingOf(world: World, log: AccessLog, some: readonly Workload[]): Finding {
  const [first] = some;
  const about = some.map((workload) => ofWorkload(world, workload));
  const union = (key: 'pods' | 'services' | 'workloads'): readonly string[] => [
    ...new Set(about.flatMap((one) => one[key] ?? [])),
  ];
  return found('foundation', {
    id: `access-log-${log.trouble ?? 'on'}`,
    severity: 'low',
    from: log.from,
    field: log.field,
    read: `${log.said}; concerns ${listed(some.map(({ key }) => key))}`,
    why: WHY[log.trouble ?? 'off'],
    confirms: ['access-logs-disabled'],
    about: { pods: union('pods'), services: union('services'), workloads: union('workloads') },
    fix: first
      ? `Turn it on for ${kubectlName(first)} alone, without a restart: a Telemetry in ${first.namespace} with selector.matchLabels {${[...first.labels].slice(0, 1).map(([key, value]) => `${key}: ${value}`)}} and accessLogging [{providers: [{name: envoy}]}].`
      : 'A Telemetry with accessLogging [{providers: [{name: envoy}]}] turns it on without a restart.',
  });
}
