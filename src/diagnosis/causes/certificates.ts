import type { Kind } from '../../aggregate/row.js';
import type { Cause } from '../cause.js';
import { namespaceFlag, namespaceOf, podAtCommand, proxyName } from '../kubectl.js';
import { distinct } from '../stats.js';
import { Study } from '../study.js';
import { isExternal, isTlsFailure } from '../traits.js';
import { listed, plural, shellWord } from '../words.js';
import { orRefusedClient, serverProxy } from './client-certificate.js';
import { replyCause } from './reply-cause.js';

const reason = (row: Kind): string => `${row.transportFailure ?? ''} ${row.details ?? ''}`;
/** BoringSSL: 268435456 + n; from n = 1000 on the peer sent alert n - 1000, so it rejected us. */
const has = (row: Kind, pattern: RegExp): boolean => isTlsFailure(row) && pattern.test(reason(row));
const isExpired = (row: Kind): boolean => has(row, /certificate_has_expired/i);
const isAlertExpired = (row: Kind): boolean => has(row, /268436501|CERTIFICATE_EXPIRED/);
const isIssuer = (row: Kind): boolean =>
  has(row, /unable_to_get_(?:local_)?issuer|self_signed|268436504|UNKNOWN_CA/i);
const isSan = (row: Kind): boolean => has(row, /SAN_matcher|SANs_are/i);
const isVerify = (row: Kind): boolean => has(row, /268435581|CERTIFICATE_VERIFY_FAILED/);
const isWrongVersion = (row: Kind): boolean =>
  has(row, /268435703|WRONG_VERSION_NUMBER|268435612|HTTP_REQUEST/);
const isAlert = (row: Kind): boolean => has(row, /26843649[0-9]|2684365[0-9]{2}|ALERT/);

const secretCommand = (study: Study, ip: string): string => {
  const pod = study.scene.podOf(ip);
  return pod ? `istioctl proxy-config secret ${proxyName(namespaceOf(study.place), pod)}` : podAtCommand(ip);
};
/** The servers that fail, where others of the same service do not. */
const badHosts = (study: Study): readonly string[] =>
  study.concentration((row) => row.upstreamIp)?.bad.map(({ value }) => value) ?? study.hosts;

/** Who of a service serves so: `1 of 3 pods of shop.a serves`, or the service. */
function whichPods(study: Study, bad: readonly string[]): string {
  const all = distinct(study.population, (row) => row.upstreamIp).length;
  return bad.length < all
    ? `${bad.length} of ${all} pods of ${study.place} ${bad.length === 1 ? 'serves' : 'serve'}`
    : `${study.place} serves`;
}

export const certExpired: Cause = replyCause({
  id: 'workload-cert-expired',
  reference: 'https://github.com/istio/istio/issues/38235',
  mechanism: 'The certificate of one proxy has expired, since it could not renew it.',
  signs: [
    'as server: every caller logs UF with certificate_has_expired to that host',
    'as client: UC without reason under TLS 1.3, alert certificate_expired (268436501) under 1.2, to every destination',
  ],
  against: ['an issuer that is not known: other roots'],
  matches: (kind) => isExpired(kind) || isAlertExpired(kind),
  fits: (row) => !isExternal(row),
  tell(study) {
    const ours = study.rows.filter(isAlertExpired).length > study.rows.length / 2;
    const hosts = badHosts(study);
    return {
      title: ours
        ? `The certificate of ${listed(study.proxies)} has expired`
        : `${whichPods(study, hosts)} with an expired certificate`,
      story: ours
        ? 'the servers reject the caller’s certificate as expired: not they, the caller is to be repaired.'
        : `the callers’ proxies refuse the certificate of ${listed(hosts)}: expired. ${listed(study.proxies)} see it alike, so it is the server’s.`,
      at: ours
        ? { pods: study.proxies, clients: study.proxies }
        : { endpoints: hosts, pods: hosts.flatMap((ip) => study.scene.podOf(ip) ?? []) },
      next: [
        {
          purpose: 'read VALID CERT and NOT AFTER',
          command: ours
            ? `istioctl proxy-config secret ${proxyName(null, study.proxies[0]!)}`
            : secretCommand(study, hosts[0]!),
        },
      ],
      fix: [
        'Restore its way to the CA (istiod, port 15012), then restart the pod.',
        'Check that node’s clock.',
      ],
    };
  },
});

export const caMismatch: Cause = replyCause({
  id: 'mesh-ca-mismatch',
  reference: 'https://github.com/istio/istio/issues/45739',
  mechanism: 'Two proxies hold certificates of different roots.',
  signs: [
    'UF with unable_to_get_local_issuer_certificate, or alert unknown_ca (268436504)',
    'between old and new pods, not within each group',
  ],
  against: ['expired: one certificate', 'a SAN mismatch: same root, other identity'],
  matches: (kind) => isIssuer(kind) || (isVerify(kind) && !isExpired(kind) && !isSan(kind)),
  fits: (row) => !isExternal(row),
  tell(study) {
    const named = study.rows.filter(isIssuer).length;
    const hosts = badHosts(study);
    return {
      title: `The callers do not trust the issuer of ${study.place}’s certificates`,
      story: `the proxy of ${listed(study.proxies, 2)} cannot verify the certificate of ${listed(hosts)}: the roots differ. ${study.concentration((row) => row.upstreamIp) ? 'Other pods of the same service are trusted.' : ''}`,
      at: { endpoints: hosts, pods: hosts.flatMap((ip) => study.scene.podOf(ip) ?? []) },
      confidence: named > 0 ? 'high' : 'likely',
      why:
        named > 0
          ? 'the reason names the issuer'
          : 'the certificate is refused without a named reason, as older proxies log it; expired or another identity look the same there',
      next: [
        {
          purpose: 'compare the roots',
          command: `istioctl proxy-config rootca-compare ${proxyName(null, study.proxies[0]!)} ${serverProxy(study)}`,
        },
      ],
      fix: ['Trust both roots first, then rotate, then restart what still holds the old one.'],
    };
  },
});

export const sanMismatch: Cause = replyCause({
  id: 'san-mismatch',
  reference: 'https://github.com/istio/istio/issues/49874',
  mechanism: 'The certificate is good, but its identity is not the one that the caller expects.',
  signs: ['UF with SAN_matcher, certificate_SANs_are_[identity that the server has]'],
  against: ['the issuer is not known: roots differ'],
  matches: isSan,
  fits: (row) => !isExternal(row),
  tell(study) {
    const identity = /SANs_are_?\[([^\]]*)\]/i.exec(reason(study.sample))?.[1] ?? null;
    const hosts = badHosts(study);
    return {
      title: `${study.place} has another identity than its callers expect`,
      story: `the certificate of ${listed(hosts)} is valid${identity ? ` and says ${identity}` : ''}, which is not the service account that the callers’ configuration names.`,
      at: { endpoints: hosts, pods: hosts.flatMap((ip) => study.scene.podOf(ip) ?? []) },
      next: [
        {
          purpose: 'compare with the service account of its pods',
          command: `kubectl ${namespaceFlag(study.place, '-A ')}get pods -o custom-columns=NAME:.metadata.name,IP:.status.podIP,SA:.spec.serviceAccountName`,
        },
      ],
      fix: ['Align the service account with subjectAltNames, or add trust-domain aliases.'],
    };
  },
});

export const plaintextServer: Cause = replyCause({
  id: 'mtls-to-plaintext-server',
  reference: 'https://github.com/istio/istio/issues/33208',
  mechanism: 'The caller speaks TLS to an endpoint that does not.',
  signs: ['UF with WRONG_VERSION_NUMBER (268435703), no server line'],
  against: ['only some hosts of the service: these lack a sidecar'],
  matches: isWrongVersion,
  fits: (row) => !isExternal(row),
  tell(study) {
    const some = study.concentration((row) => row.upstreamIp);
    const hosts = badHosts(study);
    return {
      title: some
        ? `${plural(hosts.length, 'pod')} of ${study.place} do not speak TLS, the others do`
        : `TLS is spoken to ${study.place}, which does not speak it`,
      story: `${listed(study.proxies, 2)} is told to use (mutual) TLS, and ${listed(hosts)} answers with something else. ${some ? 'The other pods of the service work: these were started without a sidecar.' : 'All its pods do: an explicit TLS mode in a DestinationRule contradicts the server.'}`,
      at: { endpoints: hosts, pods: hosts.flatMap((ip) => study.scene.podOf(ip) ?? []) },
      next: [
        {
          purpose: 'see which endpoints are marked for TLS',
          command: `istioctl proxy-config endpoint ${proxyName(null, study.proxies[0]!)} --cluster ${shellWord(study.clusters[0] ?? '')} -o json | grep -n tlsMode`,
        },
        {
          purpose: 'find the mode',
          command: 'kubectl get destinationrule -A -o yaml | grep -n -B12 -A4 "tls:"',
        },
      ],
      fix: [
        some
          ? 'Inject and restart these pods.'
          : 'Remove the explicit TLS mode (auto mutual TLS decides by endpoint), or inject the server.',
      ],
    };
  },
});

export const externalTls: Cause = replyCause({
  id: 'external-tls-verification-failed',
  reference: 'https://github.com/istio/istio/issues/34920',
  mechanism: 'The proxy originates TLS to an external server and cannot verify it, or is refused by it.',
  signs: ['UF with CERTIFICATE_VERIFY_FAILED or an alert on an external host'],
  against: ['hosts inside the mesh fail as well'],
  matches: (kind) =>
    isVerify(kind) ||
    isAlert(kind) ||
    isExpired(kind) ||
    isSan(kind) ||
    isIssuer(kind) ||
    isWrongVersion(kind),
  fits: isExternal,
  tell: (study) => ({
    title: `The certificate of ${study.place} cannot be verified`,
    story: `the proxy originates TLS to this external host and fails: ${(study.sample.transportFailure ?? reason(study.sample)).replaceAll('_', ' ').slice(0, 160)}.`,
    at: { clients: study.proxies, endpoints: study.hosts.slice(0, 3) },
    next: [
      {
        purpose: 'look at the certificate that it really has',
        command: `openssl s_client -connect ${shellWord(`${study.place}:${study.sample.cluster?.port ?? 443}`)} -servername ${shellWord(study.place)} </dev/null | openssl x509 -noout -dates -issuer -ext subjectAltName`,
      },
    ],
    fix: [
      'Set caCertificates, sni and subjectAltNames in the DestinationRule to what the server has; or have it renewed.',
    ],
  }),
});

export const CERTIFICATE_CAUSES: readonly Cause[] = [
  orRefusedClient(certExpired),
  orRefusedClient(caMismatch),
  sanMismatch,
  plaintextServer,
  externalTls,
];
