import { describe, expect, it } from 'vitest';
import {
  NO_FACTS,
  type AddressOwner,
  type Change,
  type ClusterFacts,
} from '../../src/diagnosis/cluster-facts.js';
import { diagnose, type Incident } from '../../src/diagnosis/diagnose.js';
import { afterWords } from '../../src/diagnosis/edge.js';
import { podCommand, withoutLookUps } from '../../src/diagnosis/kubectl.js';
import { askFor } from '../../src/diagnosis/missing-side.js';
import { Names, ownerWords } from '../../src/diagnosis/named.js';
import {
  client,
  healthy,
  moments,
  NO_CONNECTION,
  NO_HOST,
  observe,
  RESET,
  type Pod,
  type Service,
} from './traffic.js';

const web: Pod = { name: 'web-1', ip: '10.4.0.9' };
const [good, bad]: [Pod, Pod] = [
  { name: 'cart-good', ip: '10.4.1.1' },
  { name: 'cart-bad', ip: '10.4.1.2' },
];
const cart: Service = { name: 'cart', namespace: 'shop', port: 8080, pods: [good, bad] };
const BEGAN = 30_000;

/** One of two pods refuses from half a minute on, as its caller alone logs it. */
const refused = observe([
  ...healthy(web, cart, { to: BEGAN, every: 100, logged: false }),
  ...healthy(web, cart, { from: BEGAN, every: 100, logged: false, pods: [good] }),
  ...moments(BEGAN, 100, 200).map((at) =>
    client(web, cart, bad, {
      at,
      code: 503,
      flags: 'UF',
      details: RESET('remote_connection_failure|delayed_connect_error:_Connection_refused'),
      reason: 'delayed_connect_error:_Connection_refused',
      ...NO_CONNECTION,
    }),
  ),
]).snapshot();

function owner({ name }: Pod, workload: string, more: Partial<AddressOwner> = {}): AddressOwner {
  return {
    kind: 'pod',
    name,
    namespace: 'shop',
    workload: { kind: 'Deployment', name: workload },
    node: 'node-1',
    revision: 'rev 42',
    labels: { app: workload },
    stays: true,
    ...more,
  };
}

const OWNERS = new Map([
  [web.ip, owner(web, 'web')],
  [good.ip, owner(good, 'cart')],
  [bad.ip, owner(bad, 'cart')],
]);

const facts = (changes: readonly Change[] = []): ClusterFacts => ({
  ownerOf: (ip) => OWNERS.get(ip) ?? null,
  ownersOf: (ip) => (OWNERS.has(ip) ? [OWNERS.get(ip)!] : []),
  podNamed: (name) => [...OWNERS.values()].find((one) => one.name === name) ?? null,
  selectorOf: (service) => (service === 'cart.shop' ? { app: 'cart' } : null),
  reads: () => false,
  changes,
});

function incident(what: ClusterFacts): Incident {
  const { incidents } = diagnose(refused, undefined, what);
  expect(incidents).toHaveLength(1);
  return incidents[0]!;
}

const onset = incident(NO_FACTS).onset;
const change = (about: Change['about'], seconds = -8, kind: Change['kind'] = 'rollout'): Change => ({
  at: onset + seconds * 1000,
  kind,
  text: 'cart rev 42',
  about,
});

describe('an incident in the names of its cluster', () => {
  it('names pods and not their addresses', () => {
    const { hypothesis, addresses } = incident(facts());
    const texts = [hypothesis.title, hypothesis.summary, ...hypothesis.evidence.map(({ text }) => text)];
    expect(texts.join('\n')).toContain('cart-bad');
    expect(texts.join('\n')).not.toMatch(/10\.4\.1\.\d/);
    expect(hypothesis.at.endpoints).toEqual(['10.4.1.2']);
    expect(hypothesis.at.pods).toEqual(['cart-bad']);
    expect(addresses).toContainEqual({ ...owner(bad, 'cart'), address: '10.4.1.2' });
  });

  it('says nothing of a cluster that was not asked', () => {
    const { changes, addresses, wanted, hypothesis } = incident(NO_FACTS);
    expect([changes, addresses, wanted]).toEqual([undefined, undefined, undefined]);
    expect(hypothesis.at.endpoints).toEqual(['10.4.1.2']);
  });

  it('does not take a pod that is there for one that is gone', () => {
    expect(incident(NO_FACTS).hypothesis.cause).toBe('pod-terminated-endpoint-lag');
    expect(incident(facts()).hypothesis.cause).not.toBe('pod-terminated-endpoint-lag');
  });

  it('names the workload whose log would tell more, and why', () => {
    expect(incident(facts()).wanted).toMatchObject([
      {
        side: 'upstreams',
        namespace: 'shop',
        kind: 'Deployment',
        name: 'cart',
        why: expect.stringContaining('200 of 200'),
      },
    ]);
  });

  it('names none whose log is read, though no line came yet', () => {
    expect(incident({ ...facts(), reads: () => true }).wanted).toEqual([]);
  });

  it.each<[string, Change, boolean]>([
    ['its workload', change({ namespace: 'shop', workload: 'Deployment/cart' }), true],
    [
      'its workload, by the service’s selector',
      change({ namespace: 'shop', workload: 'Deployment/cart-v2', labels: { app: 'cart', version: 'v2' } }),
      true,
    ],
    ['another workload', change({ namespace: 'shop', workload: 'Deployment/books' }), false],
    ['a workload of that name elsewhere', change({ namespace: 'test', workload: 'Deployment/cart' }), false],
    ['the caller', change({ namespace: 'shop', pod: 'web-1' }), true],
    ['its node', change({ namespace: null, node: 'node-1' }, -8, 'node'), true],
    ['another node', change({ namespace: null, node: 'node-9' }, -8, 'node'), false],
    ['its host', change({ namespace: null, hosts: ['cart.shop'] }, -8, 'config'), true],
    ['all hosts', change({ namespace: null, hosts: ['*'] }, -8, 'config'), true],
    ['another host', change({ namespace: null, hosts: ['cart.test'] }, -8, 'config'), false],
    ['its namespace', change({ namespace: 'shop' }, -8, 'config'), true],
    ['another namespace', change({ namespace: 'test' }, -8, 'config'), false],
    ['its pods by label', change({ namespace: null, selector: { app: 'cart' } }, -8, 'config'), true],
    ['other pods by label', change({ namespace: 'shop', selector: { app: 'x' } }, -8, 'config'), false],
    ['what came after', change({ namespace: 'shop' }, 8, 'config'), false],
    ['what was long before', change({ namespace: 'shop' }, -3600, 'config'), false],
  ])('a change of %s', (_, one, touches) => {
    const { changes, hypothesis } = incident(facts([one]));
    expect(changes).toEqual(touches ? [one] : []);
    expect(hypothesis.summary.endsWith('The first of them began 8 s after cart rev 42.')).toBe(touches);
  });

  it('tells what came just before logs that fail from their first line on', () => {
    const failing = observe(
      moments(0, 100, 100).map((at) =>
        client(web, cart, bad, { at, code: 503, flags: 'UH', details: 'no_healthy_upstream', ...NO_HOST }),
      ),
    ).snapshot();
    const first = failing.coverage.first;
    const of = (seconds: number): Change => ({
      ...change({ namespace: 'shop' }),
      at: first - seconds * 1000,
    });
    const told = (one: Change) => diagnose(failing, undefined, facts([one])).incidents[0]!;
    expect(told(of(6)).changes).toHaveLength(1);
    expect(told(of(6)).hypothesis.summary).toMatch(/that the logs hold began 6 s after cart rev 42\.$/);
    expect(told(of(300)).changes).toEqual([]);
  });

  it('puts what was written before what was noticed', () => {
    const noticed = change({ namespace: 'shop', pod: 'cart-bad' }, -1, 'other');
    const written = change({ namespace: 'shop', workload: 'Deployment/cart' });
    expect(incident(facts([noticed, written])).changes).toEqual([written, noticed]);
  });
});

describe('the words of changes and owners', () => {
  it.each([
    [8_400, '8 s after cart rev 42'],
    [400, 'within a second of cart rev 42'],
    [-300, 'within a second of cart rev 42'],
    [125_000, '2 min after cart rev 42'],
  ])('%i ms', (ms, words) => {
    expect(afterWords(1e12 + ms, { at: 1e12, text: 'cart rev 42' })).toBe(words);
  });

  it.each([
    ['connects to 10.4.1.2 were refused', 'connects to cart-bad were refused'],
    ['the log of the pod at 10.4.1.2 (cart.shop)', 'the log of pod cart-bad (cart.shop)'],
    ['with upstream host 10.4.1.2:8080.', 'with upstream host cart-bad:8080.'],
    ['network 10.4.1.0/24, at 10.4.1.2, 10.4.1.2.', 'network 10.4.1.0/24, at cart-bad, cart-bad.'],
    [
      '10.4.1.20 and 110.4.1.2 and 10.4.1.2.3 at 16:02:13.204',
      '10.4.1.20 and 110.4.1.2 and 10.4.1.2.3 at 16:02:13.204',
    ],
    ['no connection to cart.shop at 10.4.1.2: refused', 'no connection to cart.shop at cart-bad: refused'],
    ['[fd00::7]:8080 and fd00::7', 'web-6:8080 and web-6'],
  ])('%s', (text, named) => {
    OWNERS.set('fd00::7', owner({ name: 'web-6', ip: 'fd00::7' }, 'web'));
    expect(new Names(facts(), 0, 1).inText(text)).toBe(named);
  });

  it.each([
    [podCommand(null, 'describe', 'cart-bad'), 'kubectl -n shop describe cart-bad'],
    [askFor('the pod at 10.4.1.2 (cart.shop)').command, 'kubectl -n shop describe pod cart-bad'],
    [
      askFor('the pod at 10.9.9.9 (cart.shop)').command,
      'kubectl get pods -A -o wide --field-selector status.podIP=10.9.9.9',
    ],
    [
      'kubectl get pods -A -o wide --field-selector status.podIP=10.4.1.2 # service cart.shop',
      'kubectl -n shop describe pod cart-bad # service cart.shop',
    ],
    ['curl http://10.4.1.2:8080/', 'curl http://10.4.1.2:8080/'],
  ])('the command %s', (command, named) => {
    expect(withoutLookUps(command, new Names(facts(), 0, 1))).toBe(named);
  });

  it('an owner in full', () => {
    expect(ownerWords(owner(bad, 'cart'))).toBe('cart-bad, deployment cart rev 42 in shop, on node-1');
  });

  it('all owners of a time, one after the other', () => {
    const both = { ...facts(), ownersOf: () => [owner(bad, 'cart'), owner(web, 'web')] };
    expect(new Names(both, 0, 1).textOf('10.4.1.2')).toBe('cart-bad, then web-1');
  });
});
