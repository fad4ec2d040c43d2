/*
 * What a kube-apiserver 1.36.3, and the kubelet's log reader behind it, answered when asked. The fake is held to these
 * by `npm test`, and the table to a real server by `npm run test:cluster`.
 */

/** Users with no rights at all, with get, list and watch on pods and get on pods/log in shop, and with all rights. */
export type User = 'nothing' | 'limited' | 'admin';

/** The lines of `pod`'s container istio-proxy, in the order in which they were written, as CRI has them. */
export const WRITTEN: readonly (readonly [time: string, text: string])[] = [
  ['2026-01-02T15:04:05.000000001Z', 'a one'],
  ['2026-01-02T15:04:05.000000001Z', 'b two'],
  ['2026-01-02T15:04:05.5Z', 'c three'],
  ['2026-01-02T15:04:05.4Z', 'd out of order'],
  ['2026-01-02T15:04:06.123456789Z', 'e five'],
  ['2026-01-02T15:04:07.9Z', ''],
  ['2026-01-02T15:04:08.1Z', 'g é'],
  ['2026-01-02T15:04:05.2Z', 'h late'],
];
const STAMPED: readonly string[] = WRITTEN.map(
  ([time, text]) =>
    `${time.replace(/(?:\.(\d+))?Z$/, (_, digits: string) => `.${digits.padEnd(9, '0')}Z`)} ${text}\n`,
);
const PLAIN: readonly string[] = WRITTEN.map(([, text]) => `${text}\n`);

export interface Refused {
  readonly status: number;
  readonly reason?: string;
  readonly message: string;
  readonly details?: unknown;
}

/** `pod`: a running pod of the deployment payments in shop, with the containers istio-init, payments and istio-proxy. */
export interface Fact {
  readonly name: string;
  readonly user?: User;
  readonly path: (pod: string) => string;
}

export const REFUSED: readonly (Fact & { readonly answer: (pod: string) => Refused })[] = [
  {
    name: 'a list in a namespace without the right',
    user: 'nothing',
    path: () => '/api/v1/namespaces/shop/pods',
    answer: () => ({
      status: 403,
      reason: 'Forbidden',
      message:
        'pods is forbidden: User "nothing" cannot list resource "pods" in API group "" in the namespace "shop"',
      details: { kind: 'pods' },
    }),
  },
  {
    name: 'a list of the cluster without the right',
    user: 'limited',
    path: () => '/api/v1/pods',
    answer: () => ({
      status: 403,
      reason: 'Forbidden',
      message:
        'pods is forbidden: User "limited" cannot list resource "pods" in API group "" at the cluster scope',
      details: { kind: 'pods' },
    }),
  },
  {
    name: 'a watch without the right',
    user: 'limited',
    path: () => '/api/v1/namespaces/legacy/pods?watch=1',
    answer: () => ({
      status: 403,
      reason: 'Forbidden',
      message:
        'pods is forbidden: User "limited" cannot watch resource "pods" in API group "" in the namespace "legacy"',
      details: { kind: 'pods' },
    }),
  },
  {
    name: 'a log without the right',
    user: 'nothing',
    path: (pod) => `/api/v1/namespaces/shop/pods/${pod}/log?container=istio-proxy`,
    answer: (pod) => ({
      status: 403,
      reason: 'Forbidden',
      message: `pods "${pod}" is forbidden: User "nothing" cannot get resource "pods/log" in API group "" in the namespace "shop"`,
      details: { name: pod, kind: 'pods' },
    }),
  },
  {
    name: 'one object of a named group without the right',
    user: 'limited',
    path: () => '/apis/apps/v1/namespaces/shop/deployments/payments',
    answer: () => ({
      status: 403,
      reason: 'Forbidden',
      message:
        'deployments.apps "payments" is forbidden: User "limited" cannot get resource "deployments" in API group "apps" in the namespace "shop"',
      details: { name: 'payments', group: 'apps', kind: 'deployments' },
    }),
  },
  {
    name: 'a pod that is not there',
    path: () => '/api/v1/namespaces/shop/pods/nope',
    answer: () => ({
      status: 404,
      reason: 'NotFound',
      message: 'pods "nope" not found',
      details: { name: 'nope', kind: 'pods' },
    }),
  },
  {
    name: 'the log of a pod that is not there',
    path: () => '/api/v1/namespaces/shop/pods/nope/log',
    answer: () => ({
      status: 404,
      reason: 'NotFound',
      message: 'pods "nope" not found',
      details: { name: 'nope', kind: 'pods' },
    }),
  },
  {
    name: 'a deployment that is not there',
    path: () => '/apis/apps/v1/namespaces/shop/deployments/nope',
    answer: () => ({
      status: 404,
      reason: 'NotFound',
      message: 'deployments.apps "nope" not found',
      details: { name: 'nope', group: 'apps', kind: 'deployments' },
    }),
  },
  {
    name: 'a namespace that is not there',
    path: () => '/api/v1/namespaces/nope',
    answer: () => ({
      status: 404,
      reason: 'NotFound',
      message: 'namespaces "nope" not found',
      details: { name: 'nope', kind: 'namespaces' },
    }),
  },
  {
    name: 'a resource that the group does not have',
    path: () => '/api/v1/foos',
    answer: () => ({
      status: 404,
      reason: 'NotFound',
      message: 'the server could not find the requested resource',
      details: {},
    }),
  },
  {
    name: 'a log without a container, of several',
    path: (pod) => `/api/v1/namespaces/shop/pods/${pod}/log`,
    answer: (pod) => ({
      status: 400,
      reason: 'BadRequest',
      message: `a container name must be specified for pod ${pod}, choose one of: [istio-init payments istio-proxy]`,
    }),
  },
  {
    name: 'a container that the pod does not have',
    path: (pod) => `/api/v1/namespaces/shop/pods/${pod}/log?container=foo`,
    answer: (pod) => ({
      status: 400,
      reason: 'BadRequest',
      message: `container foo is not valid for pod ${pod}`,
    }),
  },
  {
    name: 'the previous log of a container that never ended',
    path: (pod) => `/api/v1/namespaces/shop/pods/${pod}/log?container=istio-proxy&previous=true`,
    answer: (pod) => ({
      status: 400,
      reason: 'BadRequest',
      message: `previous terminated container "istio-proxy" in pod "${pod}" not found`,
    }),
  },
  {
    name: 'a sinceTime that is none',
    path: (pod) => `/api/v1/namespaces/shop/pods/${pod}/log?container=istio-proxy&sinceTime=abc`,
    answer: () => ({
      status: 400,
      reason: 'BadRequest',
      message: 'parsing time "abc" as "2006-01-02T15:04:05Z07:00": cannot parse "abc" as "2006"',
    }),
  },
  ...(
    [
      [
        'sinceTime=2026-01-01T00:00:00Z&sinceSeconds=4',
        '[]',
        'FieldValueForbidden',
        'Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
      ],
      [
        'tailLines=-1',
        'tailLines',
        'FieldValueInvalid',
        'Invalid value: -1: must be greater than or equal to 0',
      ],
      ['sinceSeconds=0', 'sinceSeconds', 'FieldValueInvalid', 'Invalid value: 0: must be greater than 0'],
      ['limitBytes=0', 'limitBytes', 'FieldValueInvalid', 'Invalid value: 0: must be greater than 0'],
      ['stream=Stdout', 'stream', 'FieldValueForbidden', 'Forbidden: may not be specified'],
    ] as const
  ).map(([query, field, reason, message]) => ({
    name: `a log with ${query}`,
    path: (pod: string) => `/api/v1/namespaces/shop/pods/${pod}/log?container=istio-proxy&${query}`,
    answer: (pod: string) => ({
      status: 422,
      reason: 'Invalid',
      message: `PodLogOptions "${pod}" is invalid: ${field}: ${message}`,
      details: { name: pod, kind: 'PodLogOptions', causes: [{ reason, message, field }] },
    }),
  })),
  {
    name: 'a field that cannot be selected by',
    path: () => '/api/v1/namespaces/shop/pods?fieldSelector=foo%3Dx',
    answer: () => ({ status: 400, reason: 'BadRequest', message: 'field label not supported: foo' }),
  },
  {
    name: 'a limit that is no number',
    path: () => '/api/v1/namespaces/shop/pods?limit=abc',
    answer: () => ({
      status: 400,
      reason: 'BadRequest',
      message: 'strconv.ParseInt: parsing "abc": invalid syntax',
    }),
  },
  {
    name: 'a continue token that is none',
    path: () => '/api/v1/namespaces/shop/pods?continue=abc',
    answer: () => ({
      status: 400,
      reason: 'BadRequest',
      message:
        "invalid continue token: continue key is not valid: invalid character 'i' looking for beginning of value",
    }),
  },
  {
    name: 'a watch from a resource version that is none',
    path: () => '/api/v1/namespaces/shop/pods?watch=1&resourceVersion=abc',
    answer: () => ({
      status: 500,
      message: 'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax',
    }),
  },
];

/** What the log endpoint gives of WRITTEN, after `container=istio-proxy&`. */
export const LOGS: readonly (readonly [query: string, text: string])[] = [
  ['', PLAIN.join('')],
  // Nine decimals, whatever was written.
  ['timestamps=true', STAMPED.join('')],
  ['tailLines=0', ''],
  ['timestamps=true&tailLines=2', STAMPED.slice(-2).join('')],
  ['timestamps=true&limitBytes=50', STAMPED.join('').slice(0, 50)],
  // Whole seconds, inclusive; an older line is left out though it was written last.
  ['timestamps=true&sinceTime=2026-01-02T15:04:06.9Z', STAMPED.slice(4, 7).join('')],
  ['timestamps=true&sinceTime=2026-01-02T15:04:06Z', STAMPED.slice(4, 7).join('')],
  // The tail is counted first.
  ['timestamps=true&sinceTime=2026-01-02T15:04:06Z&tailLines=2', STAMPED[6]!],
  ['sinceTime=2099-01-02T15:04:09Z', ''],
  ['sinceSeconds=100', ''],
];
