import { describe, expect, it } from 'vitest';
import { diagnose } from '../../src/diagnosis/diagnose.js';
import { incidents, logsOf, observed } from '../logs.js';
import {
  adminCommand,
  isPod,
  logsCommand,
  podCommand,
  proxyAt,
  proxyName,
  proxyOf,
  seePodCommand,
  withoutLookUps,
} from '../../src/diagnosis/kubectl.js';

describe('the log of an app', () => {
  it('is asked for from two whole seconds before', () => {
    expect(logsCommand('shop', 'cart-1', Date.UTC(2026, 0, 2, 3, 4, 5, 678))).toBe(
      'kubectl -n shop logs cart-1 --all-containers --since-time=2026-01-02T03:04:03Z',
    );
  });

  it('is asked for whole where no line has a time', () => {
    expect(logsCommand('shop', 'cart-1', NaN)).toBe('kubectl -n shop logs cart-1 --all-containers');
    expect(logsCommand('shop', 'cart-1', Infinity)).toBe('kubectl -n shop logs cart-1 --all-containers');
  });
});

describe('a pod that no log names', () => {
  const found = `$(kubectl get pods -A --no-headers --field-selector status.podIP=10.1.0.9 | awk '{print "-n", $1, $2; exit}')`;
  const admin = { inbound: true, place: 'cart.shop', proxies: ['10.1.0.9'] };

  it('is looked up by its address', () => {
    expect(podCommand('shop', 'describe pod', '10.1.0.9')).toBe(`kubectl describe pod ${found}`);
    expect(adminCommand(admin, 'stats')).toBe(
      `kubectl exec ${found} -c istio-proxy -- pilot-agent request GET 'stats'`,
    );
    expect(proxyName('shop', '10.1.0.9')).toBe(proxyAt('10.1.0.9'));
    expect(seePodCommand('10.1.0.9')).toBe(
      'kubectl get pods -A -o wide --field-selector status.podIP=10.1.0.9',
    );
  });

  it('is named where a cluster tells', () => {
    const known = { podNamed: () => null, podAt: () => ({ namespace: 'shop', name: 'cart-1' }) };
    expect(withoutLookUps(logsCommand('shop', '10.1.0.9', NaN), known)).toBe(
      'kubectl logs -n shop cart-1 --all-containers',
    );
  });

  it.each(['standard input', 'log access.log', '', '$(reboot)', '-o'])('is left to fill in: %s', (name) => {
    expect(podCommand('shop', 'describe pod', name)).toBe('kubectl -n shop describe pod POD');
    expect(podCommand(null, 'describe pod', name)).toBe('kubectl -n NAMESPACE describe pod POD');
    expect(proxyName(null, name)).toBe('POD.NAMESPACE');
  });
});

describe('a proxy, as istioctl names it', () => {
  const looked = `"$(kubectl get pods -A --no-headers | awk '$2=="edge-1"{print $2"."$1}')"`;

  it('is looked up where no line tells its namespace', () => {
    expect(proxyName('istio-system', 'edge-1')).toBe('edge-1.istio-system');
    expect(proxyName(null, 'edge-1')).toBe(looked);
  });

  it('stands where its service does, if it is a server; a gateway may stand anywhere', () => {
    const of = { place: 'cart.shop', proxies: ['edge-1'] };
    expect(proxyOf({ ...of, inbound: true })).toBe('edge-1.shop');
    expect(proxyOf({ ...of, inbound: false })).toBe(looked);
  });

  it('is looked up by its address where no log names its pod', () => {
    const command = `istioctl proxy-config rootca-compare web-1.shop ${proxyAt('10.1.0.9')}`;
    const known = { podNamed: () => null, podAt: () => ({ namespace: 'shop', name: 'cart-1' }) };
    expect(withoutLookUps(command, known)).toBe(
      'istioctl proxy-config rootca-compare web-1.shop cart-1.shop',
    );
    expect(withoutLookUps(command, { ...known, podAt: () => null })).toBe(command);
  });

  it('is named where a cluster tells', () => {
    const known = { podNamed: () => ({ namespace: 'istio-system' }), podAt: () => null };
    expect(withoutLookUps(`istioctl proxy-config route ${looked} -o json`, known)).toBe(
      'istioctl proxy-config route edge-1.istio-system -o json',
    );
  });
});

/** A place where kubectl takes a pod's name, and an address or what a log is called stands. */
const NO_POD =
  /(?:\b(?:logs|exec|describe pod|get pod)|-it \S+) '?(?:\d+\.\d+\.\d+\.\d+|standard input|log )/;

describe('what is said of logs in which nothing names a pod', () => {
  it.each(incidents.filter((_, i) => i % 5 === 2))(
    '%s: no command takes an address for a name',
    (incident) => {
      const bytes = Buffer.concat(logsOf(incident).map((log) => log.bytes));
      const { incidents: told } = diagnose(observed([{ name: 'access.log', bytes }]).snapshot());
      for (const { hypothesis } of told) {
        for (const { command } of hypothesis.next) expect(command).not.toMatch(NO_POD);
        for (const pod of hypothesis.at.pods ?? []) expect(isPod(pod), pod).toBe(true);
      }
    },
  );
});
