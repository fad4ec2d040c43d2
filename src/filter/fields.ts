import { judge } from '../aggregate/failure.js';
import { FIELDS, type FieldName } from '../record/access-record.js';
import { hostOf } from '../record/address.js';
import type { RecordView } from '../record/record-view.js';
import { nearestWord } from '../nearest.js';

/** What a filter may ask of a line beside its own fields. */
export interface LineContext {
  readonly pod?: string | null;
  readonly namespace?: string | null;
  readonly file?: string | null;
  /** The verdict of the incident that the line belongs to; `null`: of none. */
  readonly who?: string | null;
}

/** How a field is compared: text, whole numbers, milliseconds, bytes, or a set of flags. */
export type FieldKind = 'text' | 'number' | 'duration' | 'bytes' | 'flags';

export interface Field {
  readonly name: string;
  readonly kind: FieldKind;
  readonly help: string;
  /** All texts that may match; none where the line has no value. */
  readonly texts: (record: RecordView, context: LineContext) => readonly string[];
  /** `null` where the line has no number. */
  readonly number?: (record: RecordView) => number | null;
}

type Texts = Field['texts'];

const one = (value: string | null | undefined): readonly string[] =>
  value === null || value === undefined ? [] : [value];
const ofField =
  (name: FieldName): Texts =>
  (record) =>
    one(record.text(name));
const address =
  (name: FieldName): Texts =>
  (record) => {
    const value = record.text(name);
    return value ? [value, hostOf(value)] : [];
  };
const path: Texts = (record) => {
  const value = record.text('path');
  if (!value) return one(value);
  const query = value.indexOf('?');
  return query < 0 ? [value] : [value, value.slice(0, query)];
};
const upstream: Texts = (record) => {
  const cluster = record.upstreamCluster();
  const host = record.text('upstream_host');
  const known = [
    cluster?.name,
    cluster?.service,
    cluster?.host,
    host,
    host ? hostOf(host) : null,
    // Without a cluster (no route) and on the server side, the authority is what the caller meant.
    !cluster?.service ? record.text('authority') : null,
  ];
  const named = known.filter((text) => typeof text === 'string');
  const service = cluster?.service;
  return service?.includes('.') ? [...named, service.slice(0, service.indexOf('.'))] : named;
};

const text = (name: string, help: string, texts: Texts): Field => ({ name, kind: 'text', help, texts });

const SHORT: readonly Field[] = [
  {
    name: 'code',
    kind: 'number',
    help: 'response code: code>=500, code:503,504, code:5xx',
    texts: ofField('response_code'),
    number: (record) => record.responseCode(),
  },
  {
    name: 'flag',
    kind: 'flags',
    help: 'response flags: flag:UF,UH; flag:- for none',
    texts: (record) => record.responseFlags(),
  },
  text('path', 'path, with or without its query', path),
  text('method', 'method', ofField('method')),
  text('upstream', 'upstream service, cluster, host or address: upstream:ledger*', upstream),
  text('host', 'upstream host (address)', address('upstream_host')),
  text('cluster', 'upstream cluster as logged', ofField('upstream_cluster')),
  text('pod', 'pod whose proxy wrote the line', (_record, { pod }) => one(pod)),
  text('ns', 'namespace of that pod', (_record, { namespace }) => one(namespace)),
  text('file', 'file the line stands in', (_record, { file }) => one(file)),
  text('peer', 'downstream peer: the caller', address('downstream_remote_address')),
  text('authority', 'authority (Host)', ofField('authority')),
  text('route', 'route name', ofField('route_name')),
  text('sni', 'requested server name', ofField('requested_server_name')),
  text('ua', 'user agent', ofField('user_agent')),
  text('id', 'request id', ofField('request_id')),
  text('details', 'response code details', ofField('response_code_details')),
  text('reason', 'upstream transport failure reason', ofField('upstream_transport_failure_reason')),
  text('proto', 'protocol', ofField('protocol')),
  {
    name: 'dur',
    kind: 'duration',
    help: 'duration: dur>2s, dur<=150ms',
    texts: ofField('duration'),
    number: (record) => record.durationMs(),
  },
  {
    name: 'service-time',
    kind: 'duration',
    help: 'time the upstream took to answer',
    texts: ofField('upstream_service_time'),
    number: (record) => record.upstreamServiceTimeMs(),
  },
  {
    name: 'sent',
    kind: 'bytes',
    help: 'bytes sent downstream: sent>1k',
    texts: ofField('bytes_sent'),
    number: (record) => record.bytesSent(),
  },
  {
    name: 'received',
    kind: 'bytes',
    help: 'bytes received from downstream',
    texts: ofField('bytes_received'),
    number: (record) => record.bytesReceived(),
  },
  text('dir', 'direction: inbound, outbound, passthrough', (record) => [
    record.upstreamCluster()?.direction ?? 'unknown',
  ]),
  text('by', 'who made the reply: peer, proxy, unknown', (record) => [judge(record).answeredBy]),
  text('is', 'is:failed, is:ok', (record) => [judge(record).failure ? 'failed' : 'ok']),
  text('who', 'who is to act, by the explanation: who:mesh', (_record, { who }) => one(who)),
];

const SAME_AS: Readonly<Partial<Record<FieldName, string>>> = {
  response_code: 'code',
  response_flags: 'flag',
  path: 'path',
  duration: 'dur',
  upstream_service_time: 'service-time',
  bytes_sent: 'sent',
  bytes_received: 'received',
};

const BY_NAME: ReadonlyMap<string, Field> = new Map([
  ...FIELDS.map((name): [string, Field] => {
    const short = SHORT.find((field) => field.name === SAME_AS[name]);
    return [name, short ?? text(name, name, ofField(name))];
  }),
  ...SHORT.map((field): [string, Field] => [field.name, field]),
  ...(
    [
      ['flags', 'flag'],
      ['status', 'code'],
      ['duration', 'dur'],
      ['caller', 'peer'],
      ['agent', 'ua'],
      ['namespace', 'ns'],
      ['service', 'upstream'],
    ] as const
  ).map(([alias, name]): [string, Field] => [alias, SHORT.find((field) => field.name === name)!]),
]);

export const fieldNamed = (name: string): Field | undefined => BY_NAME.get(name.toLowerCase());

/** The short names, as help lists them. */
export const FILTER_FIELDS: readonly Field[] = SHORT;

/** What a bare word is looked for in. */
const SEARCHED: readonly FieldName[] = [
  'path',
  'authority',
  'response_code_details',
  'upstream_transport_failure_reason',
  'connection_termination_details',
  'upstream_cluster',
  'upstream_host',
  'method',
  'response_flags',
  'response_code',
  'user_agent',
  'request_id',
  'route_name',
  'requested_server_name',
  'downstream_remote_address',
];

export function searchedTexts(record: RecordView, { pod }: LineContext): readonly string[] {
  return [...one(pod), ...SEARCHED.flatMap((name) => one(record.text(name)))];
}

/** The known name most like a misspelt one; `undefined` where none is near. */
export const nearestField = (name: string): string | undefined => nearestWord(name, [...BY_NAME.keys()]);
