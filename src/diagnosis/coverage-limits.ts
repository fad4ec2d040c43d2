import type { ObservationSnapshot } from '../aggregate/observation.js';
import { catalogue } from './catalogue.js';
import type { Hypothesis } from './hypothesis.js';
import type { Incident } from './diagnose.js';
import { plural, shellWord } from './words.js';

/* What an input shows by what it does not hold. */

/** So many failures without a success beside them are what a filter let through. */
const EXPECT_SUCCESSES = 20;

/** An access log that is filtered to errors: no share can be told of it. The app's own 4xx pass such filters too. */
export function holdsErrorsOnly({ traffic }: Pick<ObservationSnapshot, 'traffic'>): boolean {
  const errors = traffic.failures + traffic.app4xx;
  return traffic.failures > 0 && errors >= EXPECT_SUCCESSES && errors === traffic.requests;
}

/** Lines, and not one of them an access line; `null` where there are some, or no lines at all. */
export function noAccessLines({ coverage }: ObservationSnapshot): Incident | null {
  if (coverage.lines === 0 || coverage.records > 0) return null;
  const pods = coverage.inputs.flatMap(({ pod }) => pod ?? []);
  const damaged = coverage.malformed > coverage.foreign;
  const cause = damaged ? 'log-format-customised' : 'access-logs-disabled';
  const hypothesis: Hypothesis = damaged ? unknownFormat(coverage) : loggingOff(coverage, pods);
  const entry = catalogue().get(cause)!;
  return {
    hypothesis,
    severity: entry.severity === 'inherits' ? 'info' : entry.severity,
    verdict: entry.verdict,
    alternatives: [],
    others: [],
    onset: NaN,
    onsetRange: [NaN, NaN],
    beganBeforeInput: true,
    last: NaN,
    failures: 0,
    requests: 0,
    timeShape: 'always',
    callers: [],
    goodAfter: 0,
    ending: 'unknown',
    groups: [],
  };
}

type Coverage = ObservationSnapshot['coverage'];

function loggingOff({ lines, foreign }: Coverage, pods: readonly string[]): Hypothesis {
  const [pod] = pods;
  return {
    cause: 'access-logs-disabled',
    title: 'The logs hold no access line',
    summary:
      `${plural(lines, 'line')} were read and none is an access line. Istio writes none unless meshConfig.accessLogFile or a Telemetry resource asks for them; ` +
      'or this is the log of another container than istio-proxy. What fails, if anything does, these logs cannot tell.',
    at: { pods: pods.slice(0, 4) },
    cases: [],
    evidence: [{ text: 'lines that are no access lines', count: foreign, of: lines }],
    against: [],
    confidence: 'likely',
    why: 'there are lines, and none of them is an access line',
    next: [
      { purpose: 'see what switches access logging', command: 'kubectl get telemetry -A -o yaml' },
      {
        purpose: 'get the log of the proxy itself',
        command: `kubectl logs ${pod ? shellWord(pod) : 'POD'} -c istio-proxy > POD.log`,
      },
    ],
    fix: [
      'Turn it on for one workload, without a restart: a Telemetry in its namespace with selector.matchLabels {app: NAME} and accessLogging [{providers: [{name: envoy}]}].',
    ],
  };
}

function unknownFormat({ lines, malformed }: Coverage): Hypothesis {
  return {
    cause: 'log-format-customised',
    title: 'The access lines are in a format that is not known',
    summary:
      `${plural(malformed, 'line')} of ${plural(lines, 'line')} begin like access lines and fit no known layout: the mesh prints a format of its own. ` +
      'With that format given, they can be read.',
    at: {},
    cases: [],
    evidence: [{ text: 'lines that begin like an access line and do not fit', count: malformed, of: lines }],
    against: [],
    confidence: 'likely',
    why: 'most lines look like access lines and none fits',
    next: [
      {
        purpose: 'read the format',
        command: `kubectl -n istio-system get cm istio -o jsonpath='{.data.mesh}' | grep -n -A3 accessLogFormat`,
      },
    ],
    fix: ["Give it with --format '…', as it stands there, or restore the default."],
  };
}
