import type { Case } from '../../aggregate/joins.js';
import type { Row } from '../../aggregate/row.js';
import { attemptsOf, ranTwice, triedAgain, worked } from '../attempts.js';
import type { Cause } from '../cause.js';
import type { Hypothesis } from '../hypothesis.js';
import { logsCommand, namespaceOf, proxyName } from '../kubectl.js';
import { perScene } from '../per-scene.js';
import type { Scene } from '../scene.js';
import { distinct, groupBy, median, weigh } from '../stats.js';
import { claim, Study } from '../study.js';
import { listed, ofWords, plural, span } from '../words.js';
import { wallOf } from '../walls.js';

/*
 * What retries do beside hiding a failure: they run work twice, and they multiply load. Both stand on the servers' lines
 * of one request, so both sides of the hop are needed.
 */

/** Requests that a proxy sent more than once: its line, the servers', and the failed request that they are part of. */
interface Repeated {
  readonly row: Row;
  readonly attempts: readonly Row[];
  readonly one: Case;
}

const repeatedRequests = perScene((scene: Scene): readonly Repeated[] => {
  const byRoot = new Map(scene.cases.map((one) => [one.root, one]));
  const sent = scene.rowsOf((kind) => kind.http && !kind.tunnel && kind.direction !== 'inbound');
  return sent.flatMap((row): Repeated[] => {
    if (scene.joins.children(row).length < 2) return [];
    const attempts = attemptsOf(scene, row);
    if (attempts.length < 2) return [];
    const one = byRoot.get(scene.joins.rootOf(row));
    return one ? [{ row, attempts, one }] : [];
  });
});

const routeCommand = (proxy: string): string =>
  `istioctl proxy-config route ${proxyName(null, proxy)} -o json | grep -n -A8 retryPolicy`;

const casesOf = (found: readonly Repeated[]): readonly Case[] => [...new Set(found.map(({ one }) => one))];

/** Fewer requests than these are chance. */
const FEWEST = 3;

const unsafeRetries: Cause = {
  id: 'unsafe-retry-duplicates',
  reference: 'https://github.com/istio/istio/issues/13851',
  mechanism: 'A proxy repeats a request that may not run twice while the app still has the first one.',
  signs: [
    'several inbound lines of one id with POST, of which an earlier one reached the app: 0 DC at the limit for one try, or UC after a while',
  ],
  against: [
    'attempts that never reached the app (UF, or UC at once)',
    'the app refused the first one itself',
  ],
  judge(scene: Scene): Hypothesis[] {
    const twice = repeatedRequests(scene).filter(({ row }) => ranTwice(scene, row));
    return [...groupBy(twice, ({ row }) => scene.placeOf(row))].flatMap(([place, found]) => {
      if (found.length < FEWEST) return [];
      // The line that was cut while the app was at work stands for the request.
      const study = new Study(
        scene,
        found.map(({ row, one }) => ({ ...one, decider: worked(scene, row)[0]! })),
      );
      const cut = study.rows.filter((row) => row.answeredBy !== 'peer');
      const byTimer = found.filter(({ attempts }) => attempts.some((row) => triedAgain(scene, row)));
      const wall = wallOf(cut.length > 0 ? cut : study.rows);
      const well = found.filter(({ row }) => !row.failure).length;
      const methods = distinct(
        found.map(({ row }) => row),
        (row) => row.method,
      );
      const proxies = distinct(
        found.map(({ row }) => row),
        (row) => row.proxy,
      );
      const pod = study.rows[0]!.proxy;
      return [
        claim(study, {
          cause: 'unsafe-retry-duplicates',
          title: `${plural(found.length, `${listed(methods)} request`)} to ${place} ran more than once`,
          story:
            (byTimer.length * 2 > found.length
              ? `the callers’ proxies end each try after ${span(wall.ms)} and send the same request again, while the app goes on with the first. `
              : `the first attempt broke after ${span(median(cut.map((row) => row.duration)) ?? 0)} in the app, and the callers’ proxies sent the same request again. `) +
            `Callers got an answer ${ofWords(well, found.length)} times, so that nothing shows on their side; whether each run counted, the app’s data show.`,
          at: { services: [place], clients: proxies.slice(0, 3) },
          cases: casesOf(found),
          evidence: [
            {
              text: `of these ${listed(methods)} requests, whose earlier attempt was cut while it ran`,
              count: found.filter(({ attempts }) => attempts.some((row) => row.answeredBy !== 'peer')).length,
              of: found.length,
            },
          ],
          confidence: 'high',
          why: 'joined by request id: the app had the first attempt when the next was sent',
          next: [
            { purpose: 'see what is repeated, and when', command: routeCommand(proxies[0]!) },
            {
              purpose: 'look for the same work done twice',
              command: logsCommand(namespaceOf(place), pod, study.first),
            },
          ],
          fix: [
            'No retries for what may not run twice (attempts: 0), or only on connect-failure and refused-stream; an idempotency key in the app.',
            ...(byTimer.length > 0 ? ['A perTryTimeout above what one attempt needs.'] : []),
          ],
        }),
      ];
    });
  },
};

/** So many attempts a request are a multiple of the load. */
const STORM = 1.5;

const retryStorm: Cause = {
  id: 'retry-overflow-or-storm',
  reference: 'https://github.com/istio/istio/issues/37181',
  mechanism: 'Retries multiply the load on a service that already fails.',
  signs: [
    'several server lines of one request id, mostly failing ones',
    'servers get more requests than callers make',
  ],
  against: ['new ids: the app itself tries again'],
  judge(scene: Scene): Hypothesis[] {
    const lost = repeatedRequests(scene).filter(({ attempts }) => attempts.every((row) => row.failure));
    return [...groupBy(lost, ({ row }) => scene.placeOf(row))].flatMap(([place, found]) => {
      if (found.length < 2 * FEWEST) return [];
      const study = new Study(
        scene,
        found.map(({ attempts, one }) => ({ ...one, decider: attempts.at(-1)! })),
      );
      const asked = scene
        .callersLines(place)
        .filter((row) => row.http && row.start >= study.first && row.start <= study.last);
      const served = study.during.filter((row) => row.direction === 'inbound');
      const factor = served.length / Math.max(1, asked.length);
      const most = found.reduce((n, { attempts }) => Math.max(n, attempts.length), 0);
      if (factor < STORM) return [];
      const proxies = distinct(
        found.map(({ row }) => row),
        (row) => row.proxy,
      );
      return [
        claim(study, {
          cause: 'retry-overflow-or-storm',
          title: `Retries send ${place} ${factor.toFixed(1)} times the load while it fails`,
          story: `its servers got ${served.length} requests for ${asked.length} that the callers made: up to ${most} attempts each, of which all failed. Whatever began it, this keeps it from coming back.`,
          at: { services: [place], clients: proxies.slice(0, 3) },
          cases: casesOf(found),
          evidence: [
            {
              text: 'requests sent again whose every attempt failed',
              count: found.length,
              of: repeatedRequests(scene).filter(({ row }) => scene.placeOf(row) === place).length,
            },
            {
              text: 'requests at the servers that are attempts beyond the first',
              count: Math.max(0, weigh(served) - weigh(asked)),
              of: weigh(served),
            },
          ],
          confidence: 'likely',
          why: 'the multiple is counted; what failed the first attempts is another cause',
          next: [{ purpose: 'see the retry policy', command: routeCommand(proxies[0]!) }],
          fix: ['Fewer attempts, a retry budget, and retries at one hop of a chain only.'],
        }),
      ];
    });
  },
};

/** Attempts that the caller's proxy ended to make another, which went well: the limit for one try, at work unseen. */
function hiddenTries(scene: Scene): Hypothesis[] {
  // Work that ran twice by it is told as that.
  const cases = scene.cases.filter((one) => {
    const caller = one.masked ? triedAgain(scene, one.decider) : null;
    return caller !== null && !ranTwice(scene, caller);
  });
  return [...groupBy(cases, ({ decider }) => scene.placeOf(decider))].flatMap(([place, group]) => {
    if (group.length < FEWEST) return [];
    const study = new Study(scene, group);
    const wall = wallOf(study.rows);
    const proxies = distinct(group, ({ decider }) => triedAgain(scene, decider)!.proxy);
    return [
      claim(study, {
        cause: 'per-try-timeout',
        title: `Attempts to reach ${place} are cut after ${span(wall.ms)}; retries hide it`,
        story: `the callers’ proxies hung up on these attempts after ${span(wall.ms)} and made another at once, under the same request id: their limit for one try, no client’s. The later attempts went well.`,
        at: { services: [place], clients: proxies.slice(0, 3) },
        evidence: [
          study.fact('attempts in that time that were cut so', study.rows, study.during),
          { text: `of these, cut at about ${span(wall.ms)}`, count: wall.count, of: study.rows.length },
        ],
        confidence: 'high',
        why: 'both ends are joined by request id: hung up on here, sent again there',
        next: [
          {
            purpose: 'see attempts and perTryTimeout',
            command: `istioctl proxy-config route ${proxyName(null, proxies[0]!)} -o json | grep -n -i 'perTryTimeout\\|numRetries'`,
          },
        ],
        fix: ['Raise perTryTimeout to what one attempt needs; find what made the service slower.'],
      }),
    ];
  });
}

const perTry: Cause = {
  id: 'per-try-timeout',
  reference: 'https://github.com/istio/istio/issues/39097',
  mechanism: 'An attempt is cut at perTryTimeout and the next one goes well.',
  signs: ['0 DC on the server, with another attempt of the same id right after'],
  against: [],
  judge: hiddenTries,
};

export const RETRY_CAUSES: readonly Cause[] = [unsafeRetries, retryStorm];
/** Looks of causes that stand elsewhere in the list. */
export const RETRY_LOOKS: readonly Cause[] = [perTry];
