import { savedCluster, type BrokenDocument, type SavedCluster } from '../check/from-files.js';
import { runChecks } from '../check/run.js';
import { readSettled } from '../check/settled.js';
import { allProxies, proxiesToAsk, scopeOf, targetWorkloads } from '../check/target.js';
import { answerFinding, askRoutes } from '../check/traffic/ask.js';
import { workloads, type Workload } from '../check/workloads.js';
import { readWorld, type World } from '../check/world.js';
import { isAtLeast, type CheckOptions, type Options } from '../cli/options.js';
import { ADMIN_PAGES, type Cluster } from '../cluster/cluster.js';
import { targetsOf } from '../cluster/targets.js';
import type { Finding } from '../diagnosis/finding.js';
import { ExitStatus, MeshtailError, usageError } from '../errors.js';
import { checkResultOf, checkText, type CheckCoverage } from '../output/check.js';
import { version } from '../paths.js';
import { readDocuments } from '../source/document-files.js';
import { isFileArgument } from '../source/resolve.js';
import type { Environment } from './environment.js';
import { reportFailed } from './inputs.js';
import { connectTo } from './live.js';

/** `meshtail check`: verifies a cluster, or what was saved of one. Returns the exit status. */
export async function check(
  args: readonly string[],
  options: Options,
  asked: CheckOptions,
  environment: Environment,
): Promise<number> {
  // A shell turns `--from *.yaml` into one value and more arguments.
  const paths = [...asked.from, ...(asked.from.length > 0 ? args.filter(isFileArgument) : [])];
  const targets = args.filter((argument) => !paths.includes(argument));
  const { request } = asked;
  if (paths.length === 0) {
    const { cluster, namespace } = await liveClusterOf(options, environment, targets);
    const choose = chosenBy(targets, namespace ?? undefined);
    const world = await readSettled(cluster, (objects) =>
      request
        ? { pods: [], sync: false }
        : { pods: proxiesToAsk(choose(objects)?.some ?? workloads(objects)), sync: true },
    );
    return answer(world, choose(world), coverageOf(world, cluster.name, []), options, asked, environment);
  }
  const { cluster, failed } = await savedObjects(paths, environment);
  const worldStatus = reportFailed(failed, environment);
  if (cluster === null) return worldStatus;
  const choose = chosenBy(targets, asked.namespace);
  const world = await wholeWorldOf(cluster);
  const coverage = coverageOf(world, cluster.name, cluster.broken);
  const status = answer(world, choose(world), coverage, options, asked, environment);
  return worldStatus === ExitStatus.ok ? status : worldStatus;
}

/** What is meant: workloads, and namespaces as a whole. */
interface Chosen {
  readonly some: readonly Workload[];
  readonly whole: readonly string[];
}

/** `null`: everything. */
const chosenBy =
  (targets: readonly string[], namespace: string | undefined) =>
  (world: World): Chosen | null => {
    if (targets.length === 0 && namespace === undefined) return null;
    const named = targets.length > 0 ? targets : [`namespace/${namespace}`];
    return {
      some: targetWorkloads(world, named, namespace),
      whole: targetsOf(named).flatMap(({ kind, name }) => (kind === 'Namespace' ? [name] : [])),
    };
  };

function answer(
  world: World,
  chosen: Chosen | null,
  coverage: CheckCoverage,
  options: Options,
  { request }: CheckOptions,
  environment: Environment,
): number {
  if (request && request.host === null && chosen === null) {
    throw usageError('--path and its like need a host or a target', 'add --host HOST, or name a workload');
  }
  const findings: readonly Finding[] = request
    ? askRoutes(world, request, chosen?.some ?? []).map(answerFinding)
    : runChecks(world, chosen === null ? null : scopeOf(world, chosen.some, chosen.whole));
  const result = checkResultOf(findings, coverage, version);
  environment.stdout.write(
    options.output === 'json' ? `${JSON.stringify(result, null, 2)}\n` : checkText(result),
  );
  return meetsAny(options, findings) ? ExitStatus.failOn : ExitStatus.ok;
}

/** The cluster that the command line means, and the namespace of its targets; `null`: all of them. @throws MeshtailError */
export async function liveClusterOf(
  options: Options,
  environment: Environment,
  targets: readonly string[],
): Promise<{ readonly cluster: Cluster; readonly namespace: string | null }> {
  const [{ ClusterClient }, { liveCluster }] = await Promise.all([
    import('../cluster/client.js'),
    import('../cluster/live-cluster.js'),
  ]);
  // `ns/shop` names another one than `-n`.
  const named = targetsOf(targets).flatMap(({ kind, name }) => (kind === 'Namespace' ? [name] : []));
  const connection = await connectTo(options, environment);
  const namespace = options.cluster.allNamespaces ? null : connection.namespace;
  const namespaces = [...(namespace === null ? [] : [namespace]), ...named];
  return { cluster: liveCluster(new ClusterClient(connection), { namespaces }), namespace };
}

function coverageOf(world: World, cluster: string, broken: readonly BrokenDocument[]): CheckCoverage {
  return {
    cluster,
    objects: world.size,
    broken: broken.map(({ file, line, message }) => `${file}:${line}: ${message}`),
    proxies: [...world.proxies].flatMap(([pod, { refused }]) =>
      refused.size < ADMIN_PAGES.length ? [pod] : [],
    ),
    istiods: world.sync?.answered ?? 0,
  };
}

/** The objects among files; `null` where nothing at all could be read. */
export async function savedObjects(
  paths: readonly string[],
  environment: Environment,
): Promise<{ readonly cluster: SavedCluster | null; readonly failed: readonly MeshtailError[] }> {
  const { files, failed } = await readDocuments(paths, () => environment.stdin as AsyncIterable<Buffer>);
  if (files.length === 0) return { cluster: null, failed };
  const cluster = savedCluster(paths.length === 1 ? paths[0]! : `${paths.length} paths`, files);
  environment.log.debug({ objects: cluster.objects, broken: cluster.broken.length }, 'read');
  if (cluster.objects > 0 || cluster.broken.length > 0) return { cluster, failed };
  return {
    cluster: null,
    failed: [
      ...failed,
      new MeshtailError('no-objects', `${cluster.name}: no Kubernetes object in it`, {
        hint: 'save some: kubectl get namespaces,pods,services,endpointslices,deployments -A -o yaml > objects.yaml',
      }),
    ],
  };
}

/** What was saved, with every page of every proxy. */
export const wholeWorldOf = (cluster: SavedCluster): Promise<World> =>
  readWorld(cluster, (objects) => ({ pods: allProxies(workloads(objects)), sync: true }));

/** `any` is a failure; a severity or a cause is met by warnings too. */
function meetsAny({ failOn }: Options, findings: readonly Finding[]): boolean {
  const told = findings.filter(({ status }) => status === 'fail' || status === 'warn');
  return failOn.some((condition) => {
    switch (condition.kind) {
      case 'any':
        return told.some(({ status }) => status === 'fail');
      case 'severity':
        return told.some(({ severity }) => isAtLeast(severity, condition.atLeast));
      case 'cause':
        return told.some(({ confirms }) => confirms.includes(condition.id));
      case 'share':
        throw usageError('--fail-on: a check has no share', 'use any, severity>=high or cause=ID');
      default:
        return condition satisfies never;
    }
  });
}
