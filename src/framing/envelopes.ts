import type { Json } from '../record/json.js';
import type { Names } from '../record/origin.js';

/*
 * JSON around a line: Docker's json-file, one-key envelopes of log shippers, stern's and logcli's JSON, and the answer of
 * Loki's query API, which holds many lines.
 */

type JsonObject = Readonly<Record<string, Json>>;

export interface EnvelopeOptions {
  /** Keys under which a shipper keeps the line. */
  readonly envelopeKeys: readonly string[];
  /** Whether an object is an access line itself, so that a `message` in it is only one of its keys. */
  readonly isAccess: (object: JsonObject) => boolean;
}

/** One line, and what its envelope says of it. */
export interface Envelope {
  readonly text: string;
  readonly names: Names;
  /** A piece without its end. */
  readonly partial: boolean;
}

export interface Opened {
  readonly kind: 'docker json-file' | 'JSON envelope' | 'Loki';
  readonly envelopes: readonly Envelope[];
}

const DOCKER_KEYS: ReadonlySet<string> = new Set(['log', 'stream', 'time', 'attrs']);

/** The lines in an object; `undefined` where it is no envelope. */
export function openEnvelope(object: JsonObject, options: EnvelopeOptions): Opened | undefined {
  const { log, time, stream } = object;
  // https://docs.docker.com/engine/logging/drivers/json-file/: pieces of 16 KiB lack the newline.
  if (
    typeof log === 'string' &&
    typeof time === 'string' &&
    typeof stream === 'string' &&
    Object.keys(object).every((key) => DOCKER_KEYS.has(key))
  ) {
    const partial = !log.endsWith('\n');
    return { kind: 'docker json-file', envelopes: [{ text: log, names: { stream, time }, partial }] };
  }
  const key = options.envelopeKeys.find((name) => Object.hasOwn(object, name) && isText(object[name]));
  if (key === undefined) return lokiAnswer(object);
  const text = textOf(object[key]);
  // Whether the object or the text in it is the access line: text that begins like a line is, else the object may be.
  if (!beginsLine(text) && options.isAccess(object)) return undefined;
  return {
    kind: 'JSON envelope',
    envelopes: [
      { text: text.endsWith('\n') ? text.slice(0, -1) : text, names: namesIn(object), partial: false },
    ],
  };
}

const isText = (value: unknown): boolean =>
  typeof value === 'string' || (isObject(value) && Object.hasOwn(value, 'stringValue'));

/** OpenTelemetry's OTLP JSON wraps the text once more. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : String((value as JsonObject)['stringValue']);
}

function beginsLine(text: string): boolean {
  return /^\s*(?:\[2|\[pod\/|\{|\u001b|20\d\d-)/.test(text);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** https://grafana.com/docs/loki/latest/reference/loki-http-api/#query-logs-within-a-range-of-time */
function lokiAnswer(object: JsonObject): Opened | undefined {
  const data = object['data'];
  const streams = isObject(data) ? data['result'] : object['streams'];
  if (!Array.isArray(streams)) return undefined;
  const envelopes = streams.flatMap((entry: unknown) => {
    if (!isObject(entry) || !isObject(entry['stream']) || !Array.isArray(entry['values'])) return [];
    const names = namesIn({ labels: entry['stream'] });
    return entry['values'].flatMap((pair: unknown) =>
      Array.isArray(pair) && typeof pair[1] === 'string' ? [{ text: pair[1], names, partial: false }] : [],
    );
  });
  return envelopes.length > 0 ? { kind: 'Loki', envelopes } : undefined;
}

/** What shippers call a line's pod, and so on. */
const NAMES: Readonly<Record<'pod' | 'namespace' | 'container' | 'node', readonly string[]>> = {
  pod: ['pod', 'pod_name', 'podName', 'k8s.pod.name', 'k8s_pod_name'],
  namespace: ['namespace', 'namespace_name', 'pod_namespace', 'k8s.namespace.name', 'k8s_namespace_name'],
  container: ['container', 'container_name', 'containerName', 'k8s.container.name', 'k8s_container_name'],
  node: ['nodeName', 'host', 'pod_node_name', 'node_name', 'node', 'k8s.node.name', 'k8s_node_name'],
};
/** Keys that at the top of an envelope mean something else than a node. */
const NOT_AT_TOP: ReadonlySet<string> = new Set(['host', 'node']);

/** The names beside a line: at the top (stern), under labels (Loki), kubernetes (Fluent Bit, Vector, Filebeat), resource (GCP, OpenTelemetry). */
function namesIn(object: JsonObject): Names {
  const names: { -readonly [K in keyof Names]: Names[K] } = {};
  const resource = object['resource'];
  const places = [
    object['kubernetes'],
    object['labels'],
    isObject(resource) ? (resource['labels'] ?? resource['attributes'] ?? resource) : undefined,
    object['attributes'],
    object,
  ];
  for (const place of places) {
    if (!isObject(place)) continue;
    for (const [name, keys] of Object.entries(NAMES) as [keyof typeof NAMES, readonly string[]][]) {
      if (names[name] !== undefined) continue;
      const value = keys
        .filter((key) => place !== object || !NOT_AT_TOP.has(key))
        .map((key) => nameOf(place[key]))
        .find((text) => text !== undefined);
      if (value !== undefined) names[name] = value;
    }
  }
  const stream = object['stream'];
  if (stream === 'stdout' || stream === 'stderr') names.stream = stream;
  const time = [object['time'], object['timestamp'], object['@timestamp']].find(
    (value) => typeof value === 'string',
  );
  if (time !== undefined) names.time = time as string;
  return names;
}

/** A name, or the `name` of an object (Filebeat's `pod: {name}`). */
function nameOf(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '') return value;
  return isObject(value) && typeof value['name'] === 'string' ? value['name'] : undefined;
}
