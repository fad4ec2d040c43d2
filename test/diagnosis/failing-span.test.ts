import { describe, expect, it } from 'vitest';
import { diagnose, type Incident } from '../../src/diagnosis/diagnose.js';
import { caller, service } from './cases/case.js';
import { healthy, moments, NO_HOST, observe, print, requestId, type Line, type Logged } from './traffic.js';

const web = caller('web', '10.74.1.2');
const shop = service('shop', 'front', 8080, '10.74.2.21');
const BEGINNING = Date.UTC(2026, 2, 3, 9, 20);
const HOUR = 3_600_000;
/** So few that of a thousand failures one in sixteen is kept, and of as many good lines too. */
const FEW = { healthy: 100, failing: 64 };

const good = healthy(web, shop, { to: 2 * HOUR, every: 5_000, logged: false });
const noRoute = (at: number): Logged =>
  print(web.name, { ...nowhere, at, ms: 0, code: 404, flags: 'NR', details: 'route_not_found' });
const nowhere: Omit<Line, 'at'> = {
  ...NO_HOST,
  cluster: null,
  method: 'GET',
  path: '/cart',
  protocol: 'HTTP/1.1',
  id: undefined,
  authority: 'cart.front',
  dialled: '10.96.9.9:80',
  peer: '10.74.1.2:40100',
  agent: 'okhttp',
};
const withId = (line: (at: number) => Logged, at: number): Logged => {
  const logged = line(at);
  return { ...logged, text: logged.text.replace('"okhttp" "-"', `"okhttp" "${requestId()}"`) };
};
const missing = moments(HOUR, 1_000, 1_000).map((at) => withId(noRoute, at));
const spanOf = ({ onset, last }: Incident): readonly number[] => [onset - BEGINNING, last - BEGINNING];

describe('an incident of few requests among very many', () => {
  it('is told, with all that it took', () => {
    const empty = moments(HOUR + 100_000, 500, 14).map((at) =>
      withId(
        (when) =>
          print(web.name, {
            ...nowhere,
            at: when,
            ms: 0,
            code: 503,
            flags: 'UH',
            details: 'no_healthy_upstream',
            cluster: 'outbound|8080||bank.back.svc.cluster.local',
            authority: 'bank.back',
          }),
        at,
      ),
    );
    const { incidents } = diagnose(observe([...good, ...missing, ...empty], FEW).snapshot());
    const told = incidents.find(({ hypothesis }) => hypothesis.at.services?.includes('bank.back'));
    expect(told && [told.hypothesis.cause, told.failures, ...spanOf(told)]).toEqual([
      'no-endpoints',
      14,
      HOUR + 100_000,
      HOUR + 106_500,
    ]);
  });
});

describe('an incident of which a sample of lines is kept', () => {
  it('began and ended when the first and the last of all its lines did', () => {
    const { incidents } = diagnose(observe([...good, ...missing], FEW).snapshot());
    expect(incidents.map(spanOf)).toEqual([[HOUR, HOUR + 999_000]]);
  });

  it('did not begin with a lone failure of the same kind long before, whether that is kept or not', () => {
    const early = withId(noRoute, 60_000);
    const { incidents } = diagnose(observe([...good, early, ...missing], FEW).snapshot());
    const [[onset] = []] = incidents.map(spanOf);
    expect(onset).toBeGreaterThanOrEqual(HOUR);
  });

  it('does not take over the extent of a group that it shares with another one', () => {
    const paying = moments(HOUR + 60_000, 1_000, 1_000).map((at) => {
      const { text, ...rest } = withId(noRoute, at);
      return { ...rest, text: text.replace('cart.front', 'pay.front') };
    });
    const { incidents } = diagnose(observe([...good, ...missing, ...paying], FEW).snapshot());
    const onsets = incidents.map((one) => spanOf(one)[0]!).toSorted((a, b) => a - b);
    expect(onsets).toHaveLength(2);
    expect(onsets[1]).toBeGreaterThanOrEqual(HOUR + 60_000);
  });
});
