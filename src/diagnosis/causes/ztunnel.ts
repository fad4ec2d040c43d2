import { isRejectedConnection } from '../../aggregate/ends.js';
import { isZtunnel } from '../../aggregate/joins.js';
import type { Row } from '../../aggregate/row.js';
import type { Cause } from '../cause.js';
import type { Fact, Fault } from '../hypothesis.js';
import { distinct } from '../stats.js';
import type { Study } from '../study.js';
import { listed, plural, shellWord, span } from '../words.js';
import { replyCause } from './reply-cause.js';

/*
 * ztunnel says what failed in a sentence of its own (ztunnel src/proxy.rs, Error); which sentence tells the mechanism.
 */

const says = (row: Row, pattern: RegExp): boolean => row.error !== null && pattern.test(row.error);
const targets = (study: Study): readonly string[] => distinct(study.rows, (row) => row.targetWorkload);
const sources = (study: Study): readonly string[] => distinct(study.rows, (row) => row.sourceWorkload);
const place = (study: Study): Fault => ({
  services: [study.place],
  pods: targets(study).slice(0, 4),
  endpoints: study.hosts.slice(0, 4),
  clients: sources(study).length <= 3 ? [...sources(study), ...distinct(study.rows, (row) => row.peer)] : [],
});
const fact = (study: Study, what: string): readonly Fact[] => [
  study.fact(`connections to ${study.place} in that time that ${what}`, study.rows, study.during),
];

const denied: Cause = replyCause({
  id: 'ztunnel-authz-denied',
  reference: 'https://istio.io/v1.28/docs/ambient/usage/l4-policy/',
  mechanism: 'An L4 AuthorizationPolicy that ztunnel enforces rejects the connection.',
  signs: ['ztunnel: connection closed due to policy rejection, 0 bytes; its peer: http status: 401'],
  against: [],
  matches: isZtunnel,
  fits: (row) => says(row, /policy rejection|policy change|http status: 401/),
  keyOf: (row, scene) => scene.placeOf(row),
  tell: (study) => {
    const identities = distinct(study.rows, (row) => row.sourceIdentity);
    return {
      title: `An authorization policy on ${study.place} rejects ${listed(sources(study), 2) || 'its callers'}`,
      story: `ztunnel closed the connections without a byte (${study.rows[0]?.error}); the identity that would have to be allowed is ${listed(identities, 2) || 'not known'}. Clients see a reset, no 403.`,
      at: place(study),
      evidence: fact(study, 'a policy rejected'),
      next: [
        { purpose: 'see the policies that ztunnel holds', command: 'istioctl ztunnel-config policy' },
        { purpose: 'read them', command: 'kubectl get authorizationpolicy -A -o yaml' },
      ],
      fix: [
        'Allow that identity; attach rules with HTTP conditions to a waypoint (targetRefs), since ztunnel drops them.',
      ],
    };
  },
});

const blocked: Cause = replyCause({
  id: 'hbone-connect-blocked',
  reference: 'https://github.com/istio/istio/issues/59584',
  mechanism: 'The tunnel port 15008 of the destination is blocked or not served.',
  signs: ['ztunnel: connection timed out, maybe a NetworkPolicy is blocking HBONE port 15008'],
  against: [],
  matches: (kind) => isZtunnel(kind) && kind.direction === 'outbound',
  fits: (row) => says(row, /timed out.*15008|deadline has elapsed/),
  keyOf: (row, scene) => scene.placeOf(row),
  tell: (study) => ({
    title: `Tunnels (port 15008) to ${study.place} get no answer`,
    story: `ztunnel waited ${span(study.medianDuration())} for ${plural(study.hosts.length, 'pod')} and gave up.`,
    at: place(study),
    evidence: fact(study, 'timed out in the tunnel'),
    next: [
      {
        purpose: 'look for policies that do not allow 15008',
        command: 'kubectl get networkpolicy -A -o yaml | grep -n -B4 -A12 port',
      },
    ],
    fix: ['Allow TCP 15008 from mesh sources.'],
  }),
});

const backend: Cause = replyCause({
  id: 'ztunnel-backend-failure',
  reference: 'https://github.com/istio/istio/issues/53696',
  mechanism: 'The app behind ztunnel does not listen, or closes.',
  signs: ['inbound ztunnel: io error: Connection refused (os error 111)'],
  against: [],
  matches: (kind) => isZtunnel(kind) && kind.direction === 'inbound',
  fits: (row) => says(row, /os error 1(?:11|04)|Connection refused|connection failed|deadline has elapsed/),
  keyOf: (row, scene) => scene.placeOf(row),
  tell: (study) => ({
    title: `The app of ${study.place} refuses connections`,
    story: `the ztunnel on its own node reached the pod and was refused (${study.rows[0]?.error}).`,
    at: place(study),
    evidence: fact(study, 'the app refused'),
    next: [
      {
        purpose: 'see whether it restarts',
        command: `kubectl get pods -A | grep ${shellWord(targets(study)[0] ?? study.place)}`,
      },
    ],
    fix: ['Let the app listen on the declared port; a readiness probe for it.'],
  }),
});

const waypointError = /unknown waypoint|no healthy upstream|no valid target port|no service for target/;

const misrouted: Cause = replyCause({
  id: 'waypoint-misrouting',
  reference: 'https://istio.io/v1.28/docs/ambient/usage/waypoint/',
  mechanism: 'The waypoint of a service is missing or has no usable way to it.',
  signs: ['ztunnel: unknown waypoint, no healthy upstream, no valid target port'],
  against: [],
  matches: isZtunnel,
  fits: (row) => says(row, waypointError),
  keyOf: (row, scene) => scene.placeOf(row),
  tell: (study) => ({
    title: `${study.place} has no usable waypoint or target`,
    story: `ztunnel could not route (${study.rows[0]?.error}).`,
    at: place(study),
    evidence: fact(study, 'found no way'),
    next: [{ purpose: 'see services and their waypoints', command: 'istioctl ztunnel-config service' }],
    fix: ['Deploy the waypoint that the label names, or correct port and labels.'],
  }),
});

/** A sidecar at the other end rejected most of them unread. */
const refused = (study: Study): boolean =>
  study.cases.filter(({ rows }) => rows.some(isRejectedConnection)).length * 2 > study.cases.length;

const interop: Cause = replyCause({
  id: 'ambient-sidecar-interop',
  reference: 'https://github.com/istio/istio/issues/57259',
  mechanism:
    'One side is in ambient mode, the other has a sidecar, and they expect different protocols of each other.',
  signs: [
    'ztunnel: h2 failed, frame with invalid size, or a TLS error with one group of peers only',
    'ztunnel sends plaintext, and the sidecar at the other end finds no filter chain for it (NR)',
  ],
  against: [],
  matches: isZtunnel,
  fits: (row, one) =>
    says(row, /h2 failed|frame with invalid size|tls error/) ||
    (row.error !== null && one.rows.some(isRejectedConnection)),
  keyOf: (row, scene) => scene.placeOf(row),
  tell: (study) => ({
    title: `ztunnel and the other end of ${study.place} do not understand each other`,
    story: refused(study)
      ? `ztunnel sends plaintext, outside any tunnel, and the sidecar at the other end demands mutual TLS: it found no filter chain for it (NR), and ztunnel saw ${study.rows[0]?.error}.`
      : `the tunnel was made and failed in its protocol (${study.rows[0]?.error}).`,
    at: place(study),
    confidence: refused(study) ? 'high' : 'likely',
    why: refused(study)
      ? 'both ends were logged: broken here, no filter chain for plaintext there'
      : 'the sentence names the protocol, not which side is wrong',
    evidence: fact(study, 'failed in the tunnel’s protocol'),
    next: [
      {
        purpose: 'see what protocol each workload is expected to speak',
        command: 'istioctl ztunnel-config workload',
      },
    ],
    fix: ['Correct the capture labels of the workload; upgrade both sides.'],
  }),
});

/** Causes that only ztunnel's sentences name. */
export const ZTUNNEL_CAUSES: readonly Cause[] = [denied, backend, interop];
/** Causes that other proxies' lines show as well, joined with those in the list of causes. */
export const ZTUNNEL_LOOKS: readonly Cause[] = [blocked, misrouted];
