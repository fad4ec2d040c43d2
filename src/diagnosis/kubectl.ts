import { isIp } from '../record/address.js';
import { instant, shellWord } from './words.js';

/** The namespace in `name.namespace`; `null` for any other host. */
export function namespaceOf(service: string): string | null {
  return /^[a-z0-9-]+\.([a-z0-9-]+)$/.exec(service)?.[1] ?? null;
}

/** `-n shop `, with its blank; where the service names no namespace, `otherwise`. */
export function namespaceFlag(service: string, otherwise = ''): string {
  const namespace = namespaceOf(service);
  return namespace === null ? otherwise : `-n ${namespace} `;
}

/** What kubectl's table of pods has in a pod's row. @param columns as awk prints them */
const lookedUp = (pod: string, columns: string): string =>
  `"$(kubectl get pods -A --no-headers | awk '$2=="${pod}"{print ${columns}}')"`;

/** The pod that has an address, as `-n shop NAME`. */
const lookedUpAt = (ip: string): string =>
  `$(kubectl get pods -A --no-headers --field-selector status.podIP=${shellWord(ip)} | awk '{print "-n", $1, $2; exit}')`;

/** Whether it can be a pod's name: its address cannot, nor what a log is called that tells neither. */
export const isPod = (name: string): boolean =>
  /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/.test(name) && !isIp(name);

/**
 * `kubectl -n shop describe pod NAME`. A namespace, or a name, that no line tells is looked up; one that cannot be stands
 * in capitals, for who runs it to fill in.
 * @param pod name, or address where no log names it
 */
export function podCommand(namespace: string | null, verb: string, pod: string): string {
  if (isIp(pod)) return `kubectl ${verb} ${lookedUpAt(pod)}`;
  if (!isPod(pod)) return `kubectl -n ${namespace ? shellWord(namespace) : 'NAMESPACE'} ${verb} POD`;
  return `kubectl -n ${namespace ? shellWord(namespace) : lookedUp(pod, '$1')} ${verb} ${pod}`;
}

/**
 * The app's log from a few seconds before `sinceMs`, all of it where the lines have no time; of all containers, since no
 * access line names the app's.
 */
export function logsCommand(
  namespace: string | null,
  pod: string,
  sinceMs: number,
  containers = '--all-containers',
): string {
  const since = Number.isFinite(sinceMs)
    ? ` --since-time=${instant(Math.floor((sinceMs - 2000) / 1000) * 1000).replace('.000Z', 'Z')}`
    : '';
  return `${podCommand(namespace, 'logs', pod)} ${containers}${since}`;
}

/** What a tool of the network says within a pod, whose own containers rarely have one. @param flags of `kubectl debug` */
export function debugCommand(namespace: string | null, pod: string, run: string, flags = ''): string {
  return `${podCommand(namespace, `debug -it --image=nicolaka/netshoot${flags}`, pod)} -- ${run}`;
}

/** What a container that was restarted said last; of all containers that were. */
export function previousLogsCommand(namespace: string | null, pod: string): string {
  return `${podCommand(namespace, 'logs', pod)} --all-containers --previous --ignore-errors`;
}

/** A pod's row in kubectl's table of pods: whether it is ready, how often it restarted, where it runs. */
export function seePodCommand(pod: string): string {
  if (isIp(pod)) return podAtCommand(pod);
  return isPod(pod)
    ? `kubectl get pods -A -o wide --field-selector metadata.name=${pod}`
    : podCommand(null, 'get pod -o wide', pod);
}

/** Whose pod has an address. */
export function podAtCommand(ip: string): string {
  return `kubectl get pods -A -o wide --field-selector status.podIP=${shellWord(ip)}`;
}

/**
 * A connect from the pod's own network that its sidecar does not capture: from the proxy's container, whose user is left
 * out of the redirection. From any other container the sidecar itself would accept, whatever the network does.
 */
export function connectCommand(pod: string, address: string): string {
  return `${podCommand(null, 'exec', pod)} -c istio-proxy -- curl -sv --max-time 5 ${shellWord(`telnet://${address}`)}`;
}

/**
 * How istioctl names a proxy: `pod.namespace`, or a look-up of what no line tells.
 * @param pod name, or address where no log names it
 */
export function proxyName(namespace: string | null, pod: string): string {
  if (isIp(pod)) return proxyAt(pod);
  if (!isPod(pod)) return `POD.${namespace ? shellWord(namespace) : 'NAMESPACE'}`;
  return namespace ? `${pod}.${shellWord(namespace)}` : lookedUp(pod, '$2"."$1');
}

/** The same of whichever pod has an address. */
export function proxyAt(ip: string): string {
  return `"$(kubectl get pods -A --no-headers --field-selector status.podIP=${shellWord(ip)} | awk '{print $2"."$1}')"`;
}

/** Whose lines some are. A server stands in its service's namespace, a caller and a gateway may in any. */
interface Logged {
  readonly inbound: boolean;
  readonly place: string;
  readonly proxies: readonly string[];
}

const namespaceOfServer = ({ inbound, place }: Logged): string | null =>
  inbound ? namespaceOf(place) : null;

/** The first proxy of some lines, as istioctl names it. */
export function proxyOf(of: Logged): string {
  return proxyName(namespaceOfServer(of), of.proxies[0]!);
}

/** What Envoy's admin interface answers in the first proxy of some lines. @param path with its query */
export function adminCommand(of: Logged, path: string): string {
  return `${podCommand(namespaceOfServer(of), 'exec', of.proxies[0]!)} -c istio-proxy -- pilot-agent request GET '${path}'`;
}

/** Look-ups in commands, for what no line tells: the namespace of a pod, and whose an address is. */
const NAMESPACE_OF = /-n "\$\(kubectl get pods -A --no-headers \| awk '\$2=="([^"]+)"\{print \$1\}'\)"/g;
const PROXY_NAME = /"\$\(kubectl get pods -A --no-headers \| awk '\$2=="([^"]+)"\{print \$2"\."\$1\}'\)"/g;
const NAMED_AT =
  /\$\(kubectl get pods -A --no-headers --field-selector status\.podIP=([0-9a-f.:]+) \| awk '\{print "-n", \$1, \$2; exit\}'\)/g;
const PROXY_AT =
  /"\$\(kubectl get pods -A --no-headers --field-selector status\.podIP=([0-9a-f.:]+) \| awk '\{print \$2"\."\$1\}'\)"/g;
const POD_AT = /kubectl get pods -A -o wide --field-selector status\.podIP=([0-9a-f.:]+)/g;

/** Who is meant, where a cluster told. */
export interface Known {
  podNamed(name: string): { readonly namespace: string } | null;
  podAt(ip: string): { readonly namespace: string; readonly name: string } | null;
}

/**
 * A command without the look-ups whose answers are known.
 * @param verb what is done with a pod that was looked up, flags too.
 */
export function withoutLookUps(command: string, known: Known, verb = 'describe pod'): string {
  return command
    .replace(NAMESPACE_OF, (whole, pod: string) => {
      const found = known.podNamed(pod);
      return found ? `-n ${shellWord(found.namespace)}` : whole;
    })
    .replace(PROXY_NAME, (whole, pod: string) => {
      const found = known.podNamed(pod);
      return found ? proxyName(found.namespace, pod) : whole;
    })
    .replace(NAMED_AT, (whole, ip: string) => {
      const found = known.podAt(ip);
      return found ? `-n ${shellWord(found.namespace)} ${shellWord(found.name)}` : whole;
    })
    .replace(PROXY_AT, (whole, ip: string) => {
      const found = known.podAt(ip);
      return found ? proxyName(found.namespace, found.name) : whole;
    })
    .replace(POD_AT, (whole, ip: string) => {
      const found = known.podAt(ip);
      return found ? `kubectl -n ${shellWord(found.namespace)} ${verb} ${shellWord(found.name)}` : whole;
    });
}
