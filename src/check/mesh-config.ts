import { parseDocument } from 'yaml';
import { Field, type Complaint } from './field.js';
import type { ConfigMap, Pod } from './kube-objects.js';
import { perWorld, type World } from './world.js';

/** What `meshConfig` of one control plane says, with Istio's defaults (istio/api mesh/v1alpha1 config.proto). */
export interface MeshConfig {
  readonly configMap: ConfigMap;
  /** `default` for the ConfigMap without a revision in its name. */
  readonly revision: string;
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly autoMtls: boolean;
  readonly accessLogFile: string;
  readonly accessLogEncoding: string;
  readonly accessLogFormat: string;
  readonly outboundMode: string;
  readonly extensionProviders: ReadonlyMap<string, ExtensionProvider>;
  readonly defaultAccessLogProviders: readonly string[];
  readonly defaultServiceExportTo: readonly string[];
  readonly defaultVirtualServiceExportTo: readonly string[];
  readonly defaultDestinationRuleExportTo: readonly string[];
}

export interface ExtensionProvider {
  readonly name: string;
  /** `envoyFileAccessLog`, `envoyExtAuthzHttp`, … */
  readonly kind: string;
  readonly path: string | null;
  /** The host that it sends to. */
  readonly service: string | null;
  readonly port: number | null;
}

function meshConfigOf(configMap: ConfigMap): MeshConfig | null {
  const text = configMap.data.get('mesh');
  if (text === undefined) return null;
  const document = parseDocument(text);
  if (document.errors.length > 0) return null;
  const complaints: Complaint[] = [];
  const mesh = new Field(document.toJS(), '', complaints);
  return {
    configMap,
    revision: configMap.name === 'istio' ? 'default' : configMap.name.slice('istio-'.length),
    rootNamespace: mesh.at('rootNamespace').text() || configMap.namespace,
    trustDomain: mesh.at('trustDomain').text() || 'cluster.local',
    autoMtls: mesh.at('enableAutoMtls').flag() ?? true,
    accessLogFile: mesh.at('accessLogFile').text() ?? '',
    accessLogEncoding: mesh.at('accessLogEncoding').text() ?? 'TEXT',
    accessLogFormat: mesh.at('accessLogFormat').text() ?? '',
    outboundMode: mesh.at('outboundTrafficPolicy', 'mode').text() ?? 'ALLOW_ANY',
    extensionProviders: new Map(
      mesh
        .at('extensionProviders')
        .items()
        .map(providerOf)
        .map((provider) => [provider.name, provider]),
    ),
    defaultAccessLogProviders: mesh.at('defaultProviders', 'accessLogging').texts(),
    defaultServiceExportTo: mesh.at('defaultServiceExportTo').texts(),
    defaultVirtualServiceExportTo: mesh.at('defaultVirtualServiceExportTo').texts(),
    defaultDestinationRuleExportTo: mesh.at('defaultDestinationRuleExportTo').texts(),
  };
}

function providerOf(field: Field): ExtensionProvider {
  const kind = field.entries().find(([key]) => key !== 'name')?.[0] ?? '';
  return {
    name: field.at('name').text() ?? '',
    kind,
    path: field.at(kind, 'path').text() ?? null,
    service: field.at(kind, 'service').text() ?? null,
    port: field.at(kind, 'port').number() ?? null,
  };
}

/** Every control plane's configuration, that of the default revision first. */
export const meshConfigs = perWorld((world): readonly MeshConfig[] =>
  world
    .list('ConfigMap')
    .filter(({ name }) => /^istio(?:-[a-z0-9-]+)?$/.test(name))
    .flatMap((configMap) => meshConfigOf(configMap) ?? [])
    .toSorted((a, b) => Number(b.revision === 'default') - Number(a.revision === 'default')),
);

/** The revision that a pod belongs to, or would be injected by. */
export function revisionOf(world: World, pod: Pick<Pod, 'namespace' | 'labels' | 'annotations'>): string {
  const namespace = world.find('Namespace', '', pod.namespace);
  return (
    pod.annotations.get('istio.io/rev') ??
    pod.labels.get('istio.io/rev') ??
    namespace?.labels.get('istio.io/rev') ??
    'default'
  );
}

/** The configuration that governs a pod; `null` where none was read, or several and none is its revision's. */
export function meshConfigFor(
  world: World,
  pod: Pick<Pod, 'namespace' | 'labels' | 'annotations'>,
): MeshConfig | null {
  const all = meshConfigs(world);
  if (all.length <= 1) return all[0] ?? null;
  const revision = revisionOf(world, pod);
  return all.find((one) => one.revision === revision) ?? null;
}

/** Where policies hold for the whole mesh. */
export const rootNamespaces = perWorld((world): ReadonlySet<string> => {
  const named = meshConfigs(world).map(({ rootNamespace }) => rootNamespace);
  return new Set(named.length > 0 ? named : ['istio-system']);
});
