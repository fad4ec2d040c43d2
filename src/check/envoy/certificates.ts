import type { Finding } from '../../diagnosis/finding.js';
import { listed } from '../../diagnosis/words.js';
import { found, type Check, type Judgement } from '../check.js';
import { adminCommand, askedProxies, judgePages, type AskedProxy } from './proxies.js';
import type { EnvoyCertificate } from './proxy-state.js';
import type { World } from '../world.js';

export const envoyCertificates: Check = {
  id: 'envoy-certificates',
  phase: 'envoy',
  claim: 'certificates are valid, and all proxies trust the same root',
  subjects: ['Pod'],
  needs: [],
  decides: ['workload-cert-expired', 'mesh-ca-mismatch'],
  see: 'istioctl proxy-config secret POD.NAMESPACE',
  judge(world): Judgement {
    const judged = judgePages(
      world,
      'certs',
      ({ certificates }) => certificates,
      (proxy, certificates) => {
        const own = certificates.filter(({ role }) => role === 'own');
        const left = own.flatMap(({ daysLeft }) => daysLeft ?? []);
        return {
          findings: certificates.flatMap((one) =>
            isOver(world, one) ? [expired(proxy, one)] : overdue(world, proxy, one),
          ),
          examined: {
            said: `${proxy.pod.name}: ${left.length > 0 ? `own certificate for ${Math.min(...left)} more days` : 'no own certificate told'}`,
            excludes:
              own.length > 0 && !own.some((one) => isOver(world, one)) ? ['workload-cert-expired'] : [],
          },
        };
      },
    );
    return { ...judged, findings: [...judged.findings, ...roots(world)] };
  },
};

/** Envoy's days are whole ones and never below none, and a workload's certificate lives for one: its end is what counts. */
const isOver = ({ readAt }: World, { expiresAt }: EnvoyCertificate): boolean =>
  readAt !== null && expiresAt !== null && expiresAt <= readAt;

function expired({ pod, about }: AskedProxy, certificate: EnvoyCertificate): Finding {
  const when = certificate.expiresAt === null ? '' : `, on ${new Date(certificate.expiresAt).toISOString()}`;
  return found('envoy', {
    id: certificate.role === 'own' ? 'envoy-certificate-expired' : 'envoy-root-expired',
    severity: 'critical',
    from: pod,
    field: `certificate ${certificate.serial}`,
    read: `the ${certificate.role === 'own' ? 'own' : 'root'} certificate${certificate.names.length > 0 ? ` of ${listed(certificate.names)}` : ''} has expired${when}`,
    why: 'peers refuse it: UF with CERTIFICATE_VERIFY_FAILED for its callers, UC for its own calls',
    confirms: [certificate.role === 'own' ? 'workload-cert-expired' : 'mesh-ca-mismatch'],
    about,
    see: adminCommand(pod, '/certs'),
    fix: 'Let it reach istiod:15012 to renew, look at the clock of its node, restart the pod.',
  });
}

/** Istio's agent renews at half of a certificate's life (SECRET_GRACE_PERIOD_RATIO 0.5, istio 1.31 pkg/security). */
const OVERDUE = 0.2;
const ROOT_DAYS = 30;

/** What is still valid and should not be in use any more. */
function overdue(
  { readAt }: World,
  { pod, about }: AskedProxy,
  { role, expiresAt, validFrom, serial }: EnvoyCertificate,
): readonly Finding[] {
  if (readAt === null || expiresAt === null) return [];
  const left = expiresAt - readAt;
  const life = validFrom === null ? null : expiresAt - validFrom;
  const base = {
    severity: 'medium',
    from: pod,
    field: `certificate ${serial}`,
    about,
    see: adminCommand(pod, '/certs'),
  } as const;
  if (role === 'root') {
    if (left > ROOT_DAYS * 86_400_000) return [];
    return [
      found('envoy', {
        ...base,
        id: 'envoy-root-expires-soon',
        read: `the root certificate ends on ${new Date(expiresAt).toISOString()}, in ${Math.floor(left / 86_400_000)} days`,
        why: 'when it ends no proxy of the mesh believes another any more',
        confirms: ['mesh-ca-mismatch'],
        fix: 'Roll a new root out beside the old one before that day.',
      }),
    ];
  }
  if (life === null || left > life * OVERDUE) return [];
  return [
    found('envoy', {
      ...base,
      id: 'envoy-certificate-not-renewed',
      read: `its own certificate ends on ${new Date(expiresAt).toISOString()}, and ${Math.round((100 * left) / life)}% of its life is left`,
      why: 'it should have been renewed at half of its life: the proxy does not get a new one, and is refused when this one ends',
      confirms: ['workload-cert-expired'],
      fix: 'Let it reach istiod:15012 to renew; read the agent’s log for CSR failures.',
    }),
  ];
}

/** Proxies that share no root with the many. */
function roots(world: World): readonly Finding[] {
  const known = askedProxies(world).flatMap((proxy) => {
    const serials = (proxy.state.certificates ?? [])
      .filter(({ role }) => role === 'root')
      .map(({ serial }) => serial);
    return serials.length === 0 ? [] : [{ proxy, serials: new Set(serials) }];
  });
  const counts = new Map<string, number>();
  for (const { serials } of known)
    for (const serial of serials) counts.set(serial, (counts.get(serial) ?? 0) + 1);
  const [common] = [...counts].toSorted(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  if (!common) return [];
  return known
    .filter(({ serials }) => !serials.has(common[0]))
    .map(({ proxy: { pod, about }, serials }) =>
      found('envoy', {
        id: 'envoy-root-differs',
        severity: 'critical',
        from: pod,
        field: 'ca_cert',
        read: `it trusts root ${listed([...serials])}; ${common[1]} of ${known.length} proxies trust ${common[0]}`,
        why: 'the two groups refuse each other: each works within itself',
        confirms: ['mesh-ca-mismatch'],
        about,
        see: `istioctl proxy-config rootca-compare ${pod.name}.${pod.namespace} POD.NAMESPACE`,
        fix: 'Roll out the joint roots first, then the new issuer; restart what was left behind.',
      }),
    );
}
