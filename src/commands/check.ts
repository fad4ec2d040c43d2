import { savedCluster, type SavedCluster } from '../check/from-files.js';
import { runChecks } from '../check/run.js';
import { proxiesToAsk, scopeOf, targetWorkloads } from '../check/target.js';
import { answerFinding, askRoutes } from '../check/traffic/ask.js';
import { workloads } from '../check/workloads.js';
import { readWorld, type World } from '../check/world.js';
import { isAtLeast, type CheckOptions, type Options } from '../cli/options.js';
import type { Finding } from '../diagnosis/finding.js';
import { ExitStatus, MeshtailError, usageError } from '../errors.js';
import { checkResultOf, checkText } from '../output/check.js';
import { version } from '../paths.js';
import { readDocuments } from '../source/document-files.js';
import { isFileArgument } from '../source/resolve.js';
import type { Environment } from './environment.js';
import { reportFailed } from './inputs.js';

/** `meshtail check`: verifies what was saved of a cluster. Returns the exit status. */
export async function check(
  args: readonly string[],
  options: Options,
  asked: CheckOptions,
  environment: Environment,
): Promise<number> {
  // A shell turns `--from *.yaml` into one value and more arguments.
  const paths = [...asked.from, ...(asked.from.length > 0 ? args.filter(isFileArgument) : [])];
  const targets = args.filter((argument) => !paths.includes(argument));
  const { cluster, failed } = await savedObjects(paths, environment);
  const worldStatus = reportFailed(failed, environment);
  if (cluster === null) return worldStatus;
  const world = await worldOf(cluster, (objects) =>
    targets.length === 0 ? workloads(objects) : targetWorkloads(objects, targets, asked.namespace),
  );
  const chosen =
    targets.length > 0
      ? targetWorkloads(world, targets, asked.namespace)
      : asked.namespace === undefined
        ? []
        : targetWorkloads(world, [`namespace/${asked.namespace}`], undefined);
  const { request } = asked;
  if (request && request.host === null && chosen.length === 0) {
    throw usageError('--path and its like need a host or a target', 'add --host HOST, or name a workload');
  }
  const findings: readonly Finding[] = request
    ? askRoutes(world, request, chosen).map(answerFinding)
    : runChecks(world, chosen.length === 0 ? null : scopeOf(world, chosen));
  const result = checkResultOf(findings, coverageOf(cluster), version);
  environment.stdout.write(
    options.output === 'json' ? `${JSON.stringify(result, null, 2)}\n` : checkText(result),
  );
  if (worldStatus !== ExitStatus.ok) return worldStatus;
  return meetsAny(options, findings) ? ExitStatus.failOn : ExitStatus.ok;
}

const coverageOf = ({ name, objects, broken }: SavedCluster) => ({
  cluster: name,
  objects,
  broken: broken.map(({ file, line, message }) => `${file}:${line}: ${message}`),
});

/** The objects among files; `null` where nothing at all could be read. @throws usage error where no path is given */
export async function savedObjects(
  paths: readonly string[],
  environment: Environment,
): Promise<{ readonly cluster: SavedCluster | null; readonly failed: readonly MeshtailError[] }> {
  if (paths.length === 0) {
    throw usageError(
      'nothing to check: this version reads saved objects, not a cluster',
      'name files with --from: kubectl get pods,services,… -A -o yaml, a must-gather, an istioctl bug-report',
    );
  }
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

/** The world with the admin pages of some proxies of the chosen workloads. */
const worldOf = (
  cluster: SavedCluster,
  choose: (objects: World) => Parameters<typeof proxiesToAsk>[0],
): Promise<World> => readWorld(cluster, (objects) => ({ pods: proxiesToAsk(choose(objects)), sync: true }));

export const wholeWorldOf = (cluster: SavedCluster): Promise<World> => worldOf(cluster, workloads);

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
