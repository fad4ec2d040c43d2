import type { Kind } from '../../aggregate/row.js';
import type { Cause } from '../cause.js';
import type { Hypothesis } from '../hypothesis.js';
import { proxyName } from '../kubectl.js';
import type { Scene } from '../scene.js';
import { groupBy, weigh } from '../stats.js';
import { claim, Study } from '../study.js';
import { listed, ofWords, shellWord } from '../words.js';

/** A caller's stream over HTTP/2 that the other side broke. */
const isBroken = (kind: Kind): boolean =>
  kind.direction === 'outbound' &&
  kind.protocol === 'HTTP/2' &&
  (kind.has('UPE') || kind.has('UC') || kind.has('UR'));

/** A request that the server's proxy could not read at all. */
const isUnreadable = (row: Kind): boolean =>
  row.has('DPE') && row.method === null && /^http[12]\./.test(row.details ?? '');

const FEWEST = 3;

/** Both ends of one connection: broken at the caller, who spoke HTTP/2, and unreadable at the callee. */
function judge(scene: Scene): Hypothesis[] {
  const unreadable = scene.casesOf(isUnreadable);
  if (unreadable.length === 0) return [];
  const byPeer = groupBy(unreadable, ({ decider }) => decider.downstreamRemote);
  const broken = scene.casesOf(isBroken).filter(({ decider }) => decider.upstreamLocal !== null);
  return [
    ...groupBy(broken, ({ decider }) => `${decider.proxy}\n${scene.placeOf(decider)}`).values(),
  ].flatMap((cases) => {
    const paired = cases.filter(({ decider }) => byPeer.has(decider.upstreamLocal!));
    if (paired.length < FEWEST || paired.length * 2 < cases.length) return [];
    const ends = new Set(cases.flatMap(({ decider }) => byPeer.get(decider.upstreamLocal!) ?? []));
    const study = new Study(scene, cases);
    const { proxy } = study.sample;
    const plain = study.during.filter((row) => row.protocol !== 'HTTP/2' && row.direction === 'outbound');
    const good = plain.filter((row) => !row.failure);
    return [
      claim(study, {
        cause: 'h2-to-h1-mismatch',
        title: `${proxy} speaks HTTP/2 to ${study.place}, which reads HTTP/1.1 there`,
        story:
          `the servers’ proxies could not read what arrived (${study.scene.cases.find((one) => ends.has(one))?.decider.details ?? 'codec error'}) on the very same connections, ${ofWords(weigh(paired), weigh(cases))}. ` +
          (good.length > 0
            ? `HTTP/1.1 to the same pods is fine in that time (${ofWords(weigh(good), weigh(plain))}).`
            : ''),
        at: { clients: [proxy, ...scene.addressesOf(proxy)], endpoints: study.hosts.slice(0, 4) },
        cases: [...cases, ...ends],
        evidence: [
          {
            text: 'broken streams whose connection the server could not read',
            count: weigh(paired),
            of: weigh(cases),
          },
          {
            text: 'requests over HTTP/1.1 in that time that went well',
            count: weigh(good),
            of: weigh(plain),
          },
        ],
        confidence: 'high',
        why: 'both ends of the same connections were logged: HTTP/2 here, unreadable there',
        next: [
          {
            purpose: 'see whether the caller is told to use HTTP/2 (http2ProtocolOptions, h2UpgradePolicy)',
            command: `istioctl proxy-config cluster ${proxyName(null, proxy)} --fqdn ${shellWord(study.sample.cluster?.host ?? listed([study.place]))} -o json`,
          },
        ],
        fix: [
          'Name the port http2 or grpc (appProtocol) if the app speaks it; else drop the upgrade policy.',
        ],
      }),
    ];
  });
}

export const h2ToH1: Cause = {
  id: 'h2-to-h1-mismatch',
  reference: 'https://github.com/istio/istio/issues/57294',
  mechanism: 'One side of a hop speaks HTTP/2 and the other reads HTTP/1.1 only.',
  signs: [
    'caller: UPE, UC or UR on every HTTP/2 request',
    'callee: 400 DPE http1.codec_error without a method, on the same connection',
  ],
  against: ['HTTP/1.1 requests of other callers fail as well: the port’s protocol'],
  judge,
};
