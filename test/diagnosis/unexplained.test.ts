import { describe, expect, it } from 'vitest';
import { caller, service } from './cases/case.js';
import { diagnosed, gateway, moments, RESET, type Logged, type Pod, type Service } from './traffic.js';

const edge = caller('edge', '10.75.1.2');
const services = ['cart', 'bank', 'mail', 'maps', 'tags'].map((name, i) =>
  service(name, 'shop', 8080, `10.75.2.${20 + i}`),
);
const cut = { code: 503, flags: 'UC', details: RESET('connection_termination'), service: null };

/** A gateway's requests to a service, of which some are cut: so many of the last ones. */
const traffic = (to: Service, some: number, failing: number): readonly Logged[] =>
  moments(0, 100, some).map((at, i) =>
    gateway(edge, to, to.pods[0] as Pod, {
      at,
      ms: 9,
      ...(failing > 0 && i % Math.floor(some / failing) === 3 && cut),
    }),
  );

describe('failures that the given logs cannot explain', () => {
  it('are told once where they are the same, and few of many, at several services', () => {
    const { incidents } = diagnosed(services.flatMap((to) => traffic(to, 800, 4)));
    expect(
      incidents.map(({ hypothesis, failures, requests }) => [hypothesis.cause, failures, requests]),
    ).toEqual([['insufficient-vantage', 20, 4_000]]);
    const [{ hypothesis } = { hypothesis: undefined }] = incidents;
    expect(hypothesis?.at.services?.toSorted()).toEqual(
      services.map(({ name }) => `${name}.shop`).toSorted(),
    );
    expect(hypothesis?.title).toContain('5 services');
  });

  it('are told by themselves where they come all at once', () => {
    const burst = (to: Service): readonly Logged[] => [
      ...traffic(to, 800, 0),
      ...moments(40_000, 200, 4).map((at) => gateway(edge, to, to.pods[0] as Pod, { at, ...cut })),
    ];
    const { incidents } = diagnosed(services.flatMap(burst));
    expect(incidents.map(({ failures }) => failures)).toEqual([4, 4, 4, 4, 4]);
  });

  it('are told by themselves where one pod of several has them', () => {
    const cart = service('cart', 'shop', 8080, '10.75.3.20', '10.75.3.21', '10.75.3.22', '10.75.3.23');
    const sick = moments(0, 25, 4_000).map((at, i) =>
      gateway(edge, cart, cart.pods[i % 4]!, { at, ms: 9, ...(i % 4 === 3 && i % 100 === 3 && cut) }),
    );
    const others = services.slice(1).map((to) => traffic(to, 1_000, 4));
    const { incidents } = diagnosed([sick, ...others].flat());
    const told = incidents.find(({ hypothesis }) => hypothesis.at.services?.[0] === 'cart.shop');
    expect(told && [told.failures, told.hypothesis.at.endpoints]).toEqual([40, ['10.75.3.23']]);
  });

  it('are told by themselves where they are a large part of what went there', () => {
    const [first, ...others] = services as [Service, ...Service[]];
    const { incidents } = diagnosed(
      [traffic(first, 800, 40), ...others.map((to) => traffic(to, 800, 4))].flat(),
    );
    expect(incidents.map(({ hypothesis, failures }) => [hypothesis.at.services?.[0], failures])).toEqual([
      ['cart.shop', 40],
      [expect.anything(), 16],
    ]);
  });
});
