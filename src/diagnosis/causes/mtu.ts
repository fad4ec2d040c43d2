import type { Hypothesis } from '../hypothesis.js';
import { debugCommand } from '../kubectl.js';
import { quantile } from '../stats.js';
import { claim, type Claim, type Study } from '../study.js';
import { shellWord } from '../words.js';

/*
 * Packets of full size that are lost on the way, as with a wrong MTU: nothing says so but what times out, by its size or
 * by its connection's age.
 */

/** Whether a packet of full size comes through, and what to do where it does not. */
const remedy = (study: Study): Pick<Claim, 'next' | 'fix'> => ({
  next: [
    {
      purpose: 'measure the path',
      command: debugCommand(
        null,
        study.proxies[0]!,
        `ping -M do -c 3 -s 1472 ${shellWord(study.hosts[0] ?? '')}`,
      ),
    },
  ],
  fix: ['One MTU on all nodes and overlays; let ICMP fragmentation-needed pass; clamp the MSS.'],
});

/** Timed out while still connecting: the request never left. */
export function neverLeft(study: Study): Hypothesis[] {
  const pooled = study.population.filter(
    (row) => row.start >= study.first && !row.failure && row.upstreamLocal !== null,
  );
  const known = new Set(
    study.population.filter((row) => row.start < study.first).map((row) => row.upstreamLocal),
  );
  const onOld = pooled.filter((row) => known.has(row.upstreamLocal)).length;
  return [
    claim(study, {
      cause: 'mtu-blackhole',
      title: `New connections to ${study.place} stall, old ones work`,
      story: `the requests timed out while their connection was still being made (no local address), although ${onOld} others went well over connections opened before. Packets of the handshake that are too large for the path are lost, as with a wrong MTU: today’s TLS hello alone needs a full packet.`,
      evidence: [
        study.fact(
          'timeouts while still connecting',
          study.rows.filter((row) => row.upstreamLocal === null),
          study.rows,
        ),
        {
          text: 'healthy requests in that time that used a connection opened before',
          count: onOld,
          of: pooled.length,
        },
      ],
      at: { services: [study.place], endpoints: study.hosts.slice(0, 3) },
      confidence: onOld > 0 ? 'likely' : 'possible',
      why: 'only new connections stall',
      ...remedy(study),
    }),
    claim(study, {
      cause: 'connect-timeout-network-blocked',
      title: `Connections to ${study.place} get no answer`,
      story: 'the route’s timeout fired before a connection was made.',
      evidence: [],
      confidence: onOld > 0 ? 'possible' : 'likely',
      why: 'the request never left, as when packets are dropped',
      next: [{ purpose: 'look for a policy', command: 'kubectl get networkpolicy -A' }],
      fix: ['Allow the flow.'],
    }),
  ];
}

/** Large bodies fail and small ones pass, to the same hosts. */
export function bySize(study: Study): Hypothesis | null {
  const failing = study.rows.flatMap((row) => row.received ?? []);
  const smallest = quantile(failing, 0.05);
  const sameHosts = study.during.filter((row) => study.hosts.includes(row.upstreamIp ?? '') && !row.failure);
  const large = sameHosts.filter((row) => smallest !== null && (row.received ?? 0) >= smallest).length;
  const small = sameHosts.filter((row) => smallest !== null && (row.received ?? 0) < smallest).length;
  if (
    smallest === null ||
    smallest < 1_200 ||
    failing.length < 5 ||
    large > failing.length * 0.05 ||
    small < 5
  )
    return null;
  return claim(study, {
    cause: 'mtu-blackhole',
    title: `Requests larger than about ${smallest} bytes to ${study.place} never arrive`,
    story: `bodies of ${smallest} bytes and more hang until a timeout, smaller ones to the same pods go through (${small}): full-size packets are lost on the way.`,
    at: { services: [study.place], endpoints: study.hosts.slice(0, 3) },
    evidence: [
      {
        text: `requests of ${smallest} bytes or more to these hosts that failed`,
        count: failing.length,
        of: failing.length + large,
      },
      {
        text: 'smaller ones that failed',
        count: study.during.filter((row) => study.has(row) && (row.received ?? 0) < smallest).length,
        of: small,
      },
    ],
    confidence: 'high',
    why: 'size alone sets the failing requests apart',
    ...remedy(study),
  });
}
