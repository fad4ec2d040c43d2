import type { Kind } from '../../aggregate/row.js';
import type { Cause } from '../cause.js';
import { adminCommand, debugCommand, namespaceOf, proxyOf, seePodCommand } from '../kubectl.js';
import { distinct, weigh } from '../stats.js';
import { top, type Study } from '../study.js';
import { listed, plural, shellWord } from '../words.js';
import { resetReason } from '../traits.js';
import { replyCause } from './reply-cause.js';

const details = (row: Kind): string => row.details ?? '';
const clientsOf = (study: Study): readonly string[] => {
  const peers = distinct(study.rows, (row) => row.peer);
  return peers.length <= 3
    ? peers.flatMap((ip) => [study.scene.podOf(ip), ip].filter((value) => value !== null))
    : [];
};
/** A line that never became a request: one per connection, at whoever listens. */
const byListener = (row: Kind): string => `${row.proxy}\n${row.downstreamLocal ?? ''}`;

const HEADER_LIMIT = /headers_too_large|too_many_headers|header_list_size_too_large|cookies_total_bytes/;

export const headerTooLarge: Cause = replyCause({
  id: 'header-too-large',
  reference: 'https://github.com/istio/istio/issues/50098',
  mechanism: 'Request headers exceed 60 KiB in all, or 100 in number.',
  signs: [
    '431 DPE http1.headers_too_large, 31 bytes; HTTP/2: 0 DPE http2.too_many_headers',
    'some users, not some hosts',
  ],
  against: ['every user is concerned'],
  matches: (row) => HEADER_LIMIT.test(details(row)) || (row.code === 431 && row.answeredBy !== 'peer'),
  keyOf: (row) => row.proxy,
  tell: (study) => ({
    title: 'Some clients send headers that are too large (cookies, tokens)',
    story: `${listed(study.proxies, 2)} refuses them before reading on: 431, from ${plural(distinct(study.rows, (row) => row.peer).length, 'client address', 'client addresses')}. No app saw them.`,
    at: { clients: clientsOf(study), pods: study.proxies },
    evidence: [
      study.fact(
        'requests refused for the size of their headers',
        study.rows,
        study.scene
          .rowsOf((kind) => study.proxies.includes(kind.proxy))
          .filter((row) => row.start >= study.first && row.start <= study.last),
      ),
    ],
    next: [
      {
        purpose: 'see the limit',
        command: `istioctl proxy-config listener ${proxyOf(study)} -o json | grep -i -n headers`,
      },
    ],
    fix: [
      'Let the app set fewer or smaller cookies and tokens; or raise the limit by an EnvoyFilter on every hop.',
    ],
  }),
});

export const http10: Cause = replyCause({
  id: 'http10-upgrade-required',
  reference:
    'https://istio.io/v1.28/docs/ops/common-problems/network-issues/#envoy-wont-connect-to-my-http10-service',
  mechanism: 'The client speaks HTTP/1.0, which Envoy does not accept by default.',
  signs: ['426 low_version, no method and path'],
  against: [],
  matches: (row) => row.code === 426 && (details(row) === 'low_version' || row.protocol === 'HTTP/1.0'),
  keyOf: byListener,
  tell: (study) => ({
    title: `A client of ${study.sample.downstreamLocal ?? 'this proxy'} speaks HTTP/1.0`,
    story: `the proxy answers 426 to every request of ${listed(clientsOf(study), 3) || 'that client'}; other clients are fine. nginx as a proxy does so by default.`,
    at: {
      clients: clientsOf(study),
      pods: study.proxies,
    },
    evidence: [study.fact('requests in HTTP/1.0 refused', study.rows, study.rows)],
    next: [
      {
        purpose: 'see which pod has that address',
        command: `kubectl get pods -A -o wide | grep -w ${shellWord(study.sample.peer ?? '')}`,
      },
    ],
    fix: ['Set proxy_http_version 1.1 and clear Connection in that client; or PILOT_HTTP10=1.'],
  }),
});

const isCodecError = (row: Kind): boolean =>
  row.code === 400 && /^http1\.codec_error|^codec_error/.test(details(row)) && row.method === null;

export const tlsToHttp: Cause = replyCause({
  id: 'tls-to-http-port',
  reference: 'https://github.com/istio/istio/issues/36434',
  mechanism: 'A client speaks TLS (https://) to a port that the proxy reads as plain HTTP.',
  signs: ['400 DPE http1.codec_error, "- - HTTP/1.1", 11 bytes, no cluster, one line per connection'],
  against: [
    'many unrelated addresses at a public gateway: scanners',
    'the port is declared with the wrong protocol',
  ],
  matches: isCodecError,
  keyOf: byListener,
  tell: (study) => {
    const peers = distinct(study.rows, (row) => row.peer);
    const port = study.sample.downstreamLocal?.match(/:(\d+)$/)?.[1] ?? '';
    const spoken = study.scene.rowsOf(
      (kind) => kind.downstreamLocal === study.sample.downstreamLocal && kind.method !== null,
    );
    if (study.rows.length < 5 || peers.length > 5) return null;
    const misdeclared = spoken.length === 0;
    if (misdeclared) return null;
    return {
      title: `${listed(clientsOf(study), 2)} speaks TLS to the plain HTTP port ${port}`,
      story: `the first bytes are no HTTP, so the proxy answers 400 to each connection of ${plural(peers.length, 'client')}; ${spoken.length} requests of other clients on the same port are HTTP.`,
      at: {
        services: spoken[0] ? [study.scene.placeOf(spoken[0])] : [],
        clients: clientsOf(study),
        pods: study.proxies,
      },
      confidence: 'likely',
      why: 'other clients speak HTTP on the port, so the port is declared right; the line does not show the bytes themselves',
      evidence: [
        study.fact('connections whose first bytes were no HTTP', study.rows, study.rows),
        {
          text: 'requests of other clients on this port that were HTTP',
          count: weigh(spoken),
          of: weigh(spoken),
        },
      ],
      next: [
        {
          purpose: 'see how the port is served',
          command: `istioctl proxy-config listener ${proxyOf(study)} --port ${port}`,
        },
      ],
      fix: ['Use http:// for that port, or serve TLS on it (Gateway server protocol and tls.mode).'],
    };
  },
});

export const protocolSelection: Cause = replyCause({
  id: 'protocol-selection-wrong',
  reference: 'https://istio.io/v1.28/docs/ops/configuration/traffic-management/protocol-selection/',
  mechanism:
    'The Service declares the port with the wrong protocol, so the proxy reads what is no HTTP as HTTP, or the reverse.',
  signs: ['400 DPE http1.codec_error on every connection of a port', 'nothing on that port is HTTP'],
  against: ['other clients speak HTTP on the same port: then the client is wrong'],
  matches: isCodecError,
  keyOf: byListener,
  tell: (study) => {
    const spoken = study.scene.rowsOf(
      (kind) => kind.downstreamLocal === study.sample.downstreamLocal && kind.method !== null,
    );
    const port = study.sample.downstreamLocal?.match(/:(\d+)$/)?.[1] ?? '';
    if (study.rows.length < 5 || spoken.length > 0) return null;
    const peers = distinct(study.rows, (row) => row.peer);
    if (peers.length > 20) return null;
    return {
      title: `Port ${port} is read as HTTP, but its clients speak something else`,
      story: `not one of ${study.rows.length} connections to ${study.sample.downstreamLocal} was HTTP: the port’s name or appProtocol says so wrongly (a database, TLS or gRPC).`,
      at: {
        services: study.sample.authority ? [study.place] : [],
        pods: study.proxies,
        endpoints: study.sample.downstreamLocal ? [study.sample.downstreamLocal.replace(/:\d+$/, '')] : [],
      },
      confidence: 'likely',
      why: 'the whole port fails, not a client; the line does not show what was spoken',
      evidence: [study.fact('connections whose first bytes were no HTTP', study.rows, study.rows)],
      next: [
        {
          purpose: 'find the declaration',
          command: `kubectl get svc -A -o yaml | grep -n -B6 -A3 "port: ${port}"`,
        },
      ],
      fix: ['Name the port for what it carries (tcp-, tls-, grpc-, http2-), or set appProtocol.'],
    };
  },
});

export const strictCheck: Cause = replyCause({
  id: 'request-headers-strict-check',
  reference:
    'https://www.envoyproxy.io/docs/envoy/v1.36.0/configuration/http/http_conn_man/response_code_details',
  mechanism: 'The request carries headers or a path that strict checks refuse.',
  signs: [
    '400 IH request_headers_failed_strict_check, 400 path_normalization_failed or missing_host_header, 404 invalid_path',
  ],
  against: [],
  matches: (row) =>
    row.has('IH') ||
    /^(?:request_headers_failed_strict_check|path_normalization_failed|missing_host_header|invalid_path|absolute_path_rejected|missing_path_rejected|http\.invalid)/.test(
      details(row),
    ),
  keyOf: (row) => row.proxy,
  tell: (study) => ({
    title: 'A client sends malformed or forbidden headers or paths',
    story: `${listed(study.proxies, 2)} refuses them (${study.sample.details}): ${top(study.rows, (row) => row.userAgent, 2)}, ${top(study.rows, (row) => row.path, 2)}.`,
    at: {
      services: [],
      clients: [...clientsOf(study), ...distinct(study.rows, (row) => row.userAgent).slice(0, 2)],
    },
    evidence: [study.fact('requests refused by a strict check', study.rows, study.rows)],
    next: [
      {
        purpose: 'see the path normalisation',
        command: `kubectl -n istio-system get cm istio -o jsonpath='{.data.mesh}' | grep -n -A3 pathNormalization`,
      },
    ],
    fix: ['Correct the client; or relax the normalisation where these are wanted.'],
  }),
});

export const payloadTooLarge: Cause = replyCause({
  id: 'payload-too-large-buffering',
  reference: 'https://github.com/istio/istio/issues/55358',
  mechanism:
    'A filter that must hold the whole body (ext_authz with body, Lua, Wasm, buffer) refuses one over its limit.',
  signs: ['413 request_payload_too_large, 17 bytes'],
  against: ['413 via_upstream: the app or another proxy'],
  matches: (row) =>
    details(row) === 'request_payload_too_large' || details(row) === 'response_payload_too_large',
  tell: (study) => ({
    title: `Bodies sent to ${study.place} are too large for a filter that buffers them`,
    story: `the proxy itself refused them; ${top(study.rows, (row) => row.pathTemplate)}.`,
    next: [
      {
        purpose: 'find the filter',
        command:
          'kubectl get envoyfilter -A -o yaml | grep -n -i -B4 -A8 -e max_request_bytes -e buffer -e with_request_body',
      },
    ],
    fix: ['Raise the limit, or do not buffer large uploads.'],
  }),
});

export const retryBuffer: Cause = replyCause({
  id: 'retry-buffer-exceeded',
  reference:
    'https://www.envoyproxy.io/docs/envoy/v1.36.0/configuration/http/http_conn_man/response_code_details',
  mechanism: 'An attempt failed, and the body was too large to be sent again.',
  signs: ['507 request_payload_exceeded_retry_buffer_limit'],
  against: [],
  matches: (row) => details(row) === 'request_payload_exceeded_retry_buffer_limit',
  tell: (study) => ({
    title: `Uploads to ${study.place} could not be retried`,
    story:
      'an attempt failed and the body is larger than the retry buffer; what failed the attempt is the cause beneath.',
    next: [
      {
        purpose: 'see the retry policy',
        command: `istioctl proxy-config route ${proxyOf(study)} -o json | grep -n -A8 retryPolicy`,
      },
    ],
    fix: ['No retries for uploads.'],
  }),
});

export const websocketRefused: Cause = replyCause({
  id: 'websocket-upgrade-refused',
  reference: 'https://github.com/istio/istio/issues/29427',
  mechanism: 'An upgrade is not allowed on this hop.',
  signs: ['403 upgrade_failed'],
  against: ['400 via_upstream: the app refused'],
  matches: (row) => details(row) === 'upgrade_failed',
  tell: (study) => {
    const good = study.population.filter((row) => row.code === 101).length;
    return {
      title: `The proxy refuses websocket upgrades for ${study.place}`,
      story: `403 upgrade_failed from the proxy itself on ${top(study.rows, (row) => row.pathTemplate)}; ${good} upgrades succeeded.`,
      at: { pods: study.proxies },
      next: [
        {
          purpose: 'see whether upgrades are configured',
          command: `istioctl proxy-config listener ${proxyOf(study)} -o json | grep -n -A3 upgradeConfigs`,
        },
      ],
      fix: ['Keep HTTP/1.1 on that path, remove the filter that took the upgrade away.'],
    };
  },
});

export const proxyOverload: Cause = replyCause({
  id: 'proxy-overload',
  reference: 'https://github.com/istio/istio/issues/33283',
  mechanism: 'The proxy itself is short of a resource that its overload manager watches, and sheds load.',
  signs: ['503 overload, 16 bytes, 0 ms, often without a flag; OM on some paths'],
  against: [],
  matches: (row) => details(row) === 'overload' || row.has('OM') || details(row).startsWith('overload_error'),
  keyOf: (row) => row.proxy,
  tell: (study) => ({
    title: `The proxy ${study.proxies[0]} is overloaded and sheds requests`,
    story: 'it refuses them at once, whatever their destination; the app behind it is not asked.',
    at: { pods: study.proxies },
    next: [
      {
        purpose: 'see which resource runs out',
        command: adminCommand(study, 'stats?filter=overload'),
      },
    ],
    fix: [
      'More of what runs out (the overload manager’s statistics name it: heap or connections), less configuration (Sidecar), or more pods.',
    ],
  }),
});

export const healthCheckFilter: Cause = replyCause({
  id: 'health-check-filter-failing',
  reference: 'https://github.com/envoyproxy/envoy/issues/10393',
  mechanism:
    'Envoy’s health-check filter answers that it is not well: a planned drain, or a cluster it depends on.',
  signs: ['503 LH health_check_failed…, 0 bytes, on the probe path only'],
  against: [],
  matches: (row) => row.has('LH') || details(row).startsWith('health_check_failed'),
  keyOf: (row) => row.proxy,
  tell: (study) => ({
    title: `The health check of proxy ${study.proxies[0]} fails`,
    story: `only ${top(study.rows, (row) => row.path)} is concerned; other requests go on. A load balancer that asks will take the proxy out.`,
    at: { services: [], pods: study.proxies },
    next: [
      {
        purpose: 'see whether it drains',
        command: seePodCommand(study.proxies[0]!),
      },
    ],
    fix: [
      'Nothing during a drain; else /healthcheck/ok on the admin port, or restore the cluster it depends on.',
    ],
  }),
});

export const upstreamProtocolError: Cause = replyCause({
  id: 'upstream-protocol-error',
  reference: 'https://github.com/istio/istio/issues/36711',
  mechanism:
    'What the upstream sent is no valid HTTP as Envoy enforces it: contradicting lengths, forbidden characters, a body cut short.',
  signs: ['502 UPE {protocol_error}, 87 bytes', '200 UPE after_response_started: the body was cut'],
  against: ['all of a port: the protocols of the two sides differ'],
  matches: (row) => row.has('UPE') || resetReason(row) === 'protocol_error',
  tell: (study) => {
    const cut = study.rows.filter((row) => row.code === 200).length;
    const paths = distinct(study.rows, (row) => row.pathTemplate);
    const own = study.population.filter(
      (row) => row.start >= study.first && row.start <= study.last && paths.includes(row.pathTemplate ?? ''),
    );
    return {
      title: `${study.place} answers with invalid HTTP on ${listed(paths, 2)}`,
      story: `${study.inbound ? 'the app’s own sidecar' : 'the proxy that called it'} refused its response (${cut > 0 ? `${cut} cut in the middle` : 'before anything was passed on'}). ${paths.length <= 3 ? 'Other paths of the same pods are fine.' : ''}`,
      evidence: [study.fact(`requests for ${listed(paths, 2)} answered with invalid HTTP`, study.rows, own)],
      at: { endpoints: study.hosts.length <= 2 ? study.hosts : [] },
      next: [
        {
          purpose: 'see the raw response',
          command: debugCommand(
            namespaceOf(study.place),
            study.inbound
              ? study.proxies[0]!
              : (study.scene.podOf(study.hosts[0] ?? '') ?? study.hosts[0] ?? study.proxies[0]!),
            `curl -sv ${shellWord(`http://localhost:${study.sample.cluster?.port ?? 80}${study.sample.path ?? '/'}`)}`,
          ),
        },
      ],
      fix: [
        'Correct the headers that this handler sends (Content-Length beside Transfer-Encoding, illegal characters, too many headers).',
      ],
    };
  },
});

export const upstreamStreamReset: Cause = replyCause({
  id: 'upstream-stream-reset',
  reference: 'https://github.com/istio/istio/issues/40639',
  mechanism: 'The HTTP/2 peer resets single streams while the connection lives on.',
  signs: ['UR {remote_reset} or {remote_refused_stream_reset}; gRPC: 200 UR, 0 bytes'],
  against: ['UC: the connection broke'],
  matches: (row) => row.http && row.has('UR'),
  tell: (study) => {
    const refused = study.rows.filter((row) => resetReason(row) === 'remote_refused_stream_reset').length;
    return {
      title: `${study.place} resets streams on ${top(study.rows, (row) => row.pathTemplate, 2)}`,
      story: `the server ended single streams (${refused > 0 ? `${refused} refused before processing, as at a limit of concurrent streams` : 'after it had taken them'}); other streams of the same connections went on.`,
      at: { endpoints: study.hosts.length <= 2 ? study.hosts : [] },
      next: [
        {
          purpose: 'count resets',
          command: adminCommand(study, 'stats?filter=http2.*reset|upstream_rq_rx_reset'),
        },
      ],
      fix: [
        refused > 0
          ? 'Raise the server’s limit of concurrent streams, or spread the load.'
          : 'Look at the handler of that method.',
      ],
    };
  },
});

export const localStreamReset: Cause = replyCause({
  id: 'local-stream-reset',
  reference: 'https://github.com/envoyproxy/envoy/issues/13643',
  mechanism:
    'This proxy reset the upstream stream itself: the server closed its side before the request was complete, or the codec refused a message.',
  signs: ['LR {local_reset}, 84 bytes'],
  against: ['UR: the peer reset'],
  matches: (row) => row.has('LR'),
  tell: (study) => ({
    title: `The proxy resets its own streams to ${study.place}`,
    story: `LR (${resetReason(study.sample) ?? 'no reason given'}) on ${top(study.rows, (row) => row.pathTemplate)}: the exchange was ended from this side, not by the peer.`,
    next: [
      {
        purpose: 'see what rises with it',
        command: adminCommand(study, 'stats?filter=tx_reset|protocol_error'),
      },
    ],
    fix: ['Let the server read the whole request before it answers; look for a filter that interferes.'],
  }),
});

export const PROTOCOL_CAUSES: readonly Cause[] = [
  headerTooLarge,
  http10,
  tlsToHttp,
  protocolSelection,
  strictCheck,
  payloadTooLarge,
  retryBuffer,
  websocketRefused,
  proxyOverload,
  healthCheckFilter,
  upstreamProtocolError,
  upstreamStreamReset,
  localStreamReset,
];
