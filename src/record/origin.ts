/** Where a line came from: what is known of it. `line` counts from 1 within its stream. */
export interface Origin {
  readonly pod?: string;
  readonly namespace?: string;
  readonly container?: string;
  readonly node?: string;
  readonly file?: string;
  readonly line: number;
  /** `stdout` or `stderr`, where a wrapper says so. Not printed. */
  readonly stream?: string;
  /** When the line was written, as a wrapper logged it. Not printed: the record's own time is when its request began. */
  readonly time?: string;
}

/** What a wrapper around a line tells of it. */
export type Names = Omit<Origin, 'file' | 'line'>;

/** What all lines of one stream share. */
export type StreamOrigin = Omit<Origin, 'line'>;

// The suffix alphabet of generated names: k8s.io/apimachinery v0.31 pkg/util/rand/rand.go (no vowels, no 0 1 3).
const HASH = '[bcdfghjklmnpqrstvwxz2456789]';
const NAME = '[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?';
const DEPLOYMENT_POD = new RegExp(`^${NAME}-${HASH}{5,10}-${HASH}{5}$`);
const DAEMONSET_POD = new RegExp(`^${NAME}-${HASH}{5}$`);
const STATEFULSET_POD = new RegExp(`^${NAME}-\\d{1,4}$`);
// The paths a kubelet writes: kubernetes v1.31 pkg/kubelet/kuberuntime/helpers.go and legacy.go.
const KUBELET_LOG = /(?:^|\/)([a-z0-9.-]+)_([a-z0-9.-]+)_([0-9a-f-]{8,})\/([a-z0-9.-]+)\/\d+\.log[^/]*$/;
const CONTAINER_LOG =
  /(?:^|\/)([a-z0-9.-]+)_([a-z0-9.-]+)_([a-z0-9.-]+)-([0-9a-f]{64}|[0-9a-f]{12})\.log[^/]*$/;
const COMPRESSED = /\.(?:gz|zst)$/;

/** Whether a name ends as Kubernetes ends the name of a pod that a controller made. */
export function isPodName(name: string): boolean {
  return DEPLOYMENT_POD.test(name) || DAEMONSET_POD.test(name) || STATEFULSET_POD.test(name);
}

/**
 * What a log file's own name tells of its pod: `<pod>.log` where the name ends as generated pod names do,
 * `/var/log/pods/<namespace>_<pod>_<uid>/<container>/N.log` and
 * `/var/log/containers/<pod>_<namespace>_<container>-<id>.log`. Otherwise just the file.
 */
export function originOfFile(file: string): StreamOrigin {
  const path = file.replace(COMPRESSED, '');
  const kubelet = KUBELET_LOG.exec(path);
  if (kubelet?.[1] && kubelet[2] && kubelet[4]) {
    return { file, namespace: kubelet[1], pod: kubelet[2], container: kubelet[4] };
  }
  const container = CONTAINER_LOG.exec(path);
  if (container?.[1] && container[2] && container[3]) {
    return { file, pod: container[1], namespace: container[2], container: container[3] };
  }
  const base = path.slice(path.lastIndexOf('/') + 1);
  const name = base.endsWith('.log') ? base.slice(0, -4) : '';
  return isPodName(name) ? { file, pod: name } : { file };
}

/** The proxy that wrote a line, as far as its origin can name one: pod, else file, else "". */
export function proxyOf(origin: StreamOrigin): string {
  return origin.pod ?? origin.file ?? '';
}

/** An origin as it is printed. Written out, since it is made for each line. */
export function printedOrigin({ pod, namespace, container, node, file, line }: Origin): Origin {
  const printed: { -readonly [K in keyof Origin]?: Origin[K] } = {};
  if (pod !== undefined) printed.pod = pod;
  if (namespace !== undefined) printed.namespace = namespace;
  if (container !== undefined) printed.container = container;
  if (node !== undefined) printed.node = node;
  if (file !== undefined) printed.file = file;
  printed.line = line;
  return printed as Origin;
}

/** Whether a wrapper told when the line was written and nothing else. */
export function isTimeAlone(names: Names): names is Names & { readonly time: string } {
  const { pod, namespace, container, node, stream, time } = names;
  const others = pod ?? namespace ?? container ?? node ?? stream;
  return others === undefined && time !== undefined;
}

/** What a stream and a wrapper know together. A pod that the wrapper names outranks the one of the file's name, and all that was said of that. */
export function originWithin(stream: StreamOrigin, names: Names, line: number): Origin {
  if (names.pod === undefined || names.pod === stream.pod) return { ...stream, ...names, line };
  return { ...(stream.file !== undefined && { file: stream.file }), ...names, line };
}
