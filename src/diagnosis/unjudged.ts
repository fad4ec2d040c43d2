import type { CauseId } from './hypothesis.js';

/** Why no rule names a cause of the catalogue, and what to look at instead. */
export interface Unjudged {
  /** What access logs lack for it, or where its lines are told otherwise. */
  readonly why: string;
  /** The observation that would decide. */
  readonly decide: string;
}

/** Causes of the catalogue that no rule names. */
export const UNJUDGED: ReadonlyMap<CauseId, Unjudged> = new Map<CauseId, Unjudged>([
  [
    'panic-mode-routing',
    {
      why: 'lines show which hosts fail, not that the balancer ignores their health; told as the bad endpoints themselves',
      decide:
        'the stat lb_healthy_panic of the caller, and healthyPanicThreshold in `istioctl proxy-config cluster -o json`',
    },
  ],
  [
    'locality-failover-not-triggered',
    {
      why: 'no line names the zone of a caller or of a host',
      decide:
        'topology.kubernetes.io/zone of the nodes on both sides, and priorities in `istioctl proxy-config endpoint -o json`',
    },
  ],
  [
    'startup-ordering-app-before-proxy',
    {
      why: 'the proxy that would log the call is not up yet, so that there is no line',
      decide:
        'refused connections in the app’s own log in the first seconds of the pod, and holdApplicationUntilProxyStarts or native sidecars in its spec',
    },
  ],
  [
    'sidecar-injection-missing',
    {
      why: 'a pod without a proxy writes no line; its peers’ lines are those of plaintext that meets TLS, which are named',
      decide: '`istioctl x check-inject POD`: whether the pod has an istio-proxy container, and why not',
    },
  ],
  [
    'clock-skew',
    {
      why: 'the lines are those of certificates and tokens that are refused; whose clock is wrong they do not say',
      decide: '`date` on the nodes concerned, side by side',
    },
  ],
  [
    'retries-exhausted',
    {
      why: 'URX says that every attempt failed, never why: what failed the attempts is named instead',
      decide: 'the servers’ lines of the same request id',
    },
  ],
  [
    'rbac-http-rules-on-tcp',
    {
      why: 'the denial on a TCP line names a policy, not that its rules ask for HTTP; told as rbac-denied',
      decide: '`istioctl x authz check POD`, and methods or paths in a policy that selects a tcp port',
    },
  ],
  [
    'dns-proxying-failure',
    {
      why: 'the app fails before it connects, so that there is no line',
      decide: 'the app’s own “no such host”, and the answers of `curl localhost:15020/debug/ndsz` in the pod',
    },
  ],
  [
    'lb-idle-or-health-mismatch',
    {
      why: 'the load balancer answers by itself, and the gateway has no line of it',
      decide: 'the load balancer’s log: request ids that the gateway never logged, and its idle timeout',
    },
  ],
  [
    'cross-cluster-trust',
    {
      why: 'the line is that of different roots within one cluster, which is named; which cluster an address belongs to no line says',
      decide: '`istioctl proxy-config rootca-compare` between a pod of each cluster',
    },
  ],
  [
    'app-404-benign',
    {
      why: 'no failure: such answers are counted apart and listed among what was looked at',
      decide: 'whether clients miss what they asked for; any NR means a route instead',
    },
  ],
  [
    'app-auth-rejection',
    {
      why: 'no failure: such answers are counted apart and listed among what was looked at',
      decide: 'the app’s own log of the request id',
    },
  ],
  [
    'log-format-customised',
    {
      why: 'told of an input as a whole, where most of its lines look like access lines and none can be read',
      decide: '`meshtail parse --all` on the log, and accessLogFormat of the mesh',
    },
  ],
]);
