import { usageError } from '../errors.js';

/** What the command line asked for, checked. */
export interface Options {
  readonly output: string;
  readonly all: boolean;
  /** An Envoy format string or JSON template. */
  readonly format: string | undefined;
  readonly describe: boolean;
  /** Keys of log shippers under which a line may stand. */
  readonly envelopeKeys: readonly string[];
  readonly maxLine: number;
  readonly failOn: readonly FailCondition[];
  readonly color: 'auto' | 'always' | 'never';
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly logFile: string | undefined;
}

export type FailCondition =
  | { readonly kind: 'any' }
  | { readonly kind: 'severity'; readonly atLeast: (typeof SEVERITIES)[number] }
  | { readonly kind: 'share'; readonly atLeast: number }
  | { readonly kind: 'cause'; readonly id: string };

/** Lowest first. */
const SEVERITIES = ['info', 'low', 'medium', 'high', 'critical'] as const;

/** `any`, `severity>=high`, `share>=5%`, `cause=ID`, joined with commas. @throws usage error */
export function parseFailOn(text: string): FailCondition[] {
  return text.split(',').map((condition) => {
    const part = condition.trim();
    if (part === 'any') return { kind: 'any' };
    const severity = /^severity>=(\w+)$/.exec(part)?.[1];
    const known = SEVERITIES.find((name) => name === severity);
    if (known) return { kind: 'severity', atLeast: known };
    const share = /^share>=(\d+(?:\.\d+)?)(%?)$/.exec(part);
    if (share) return { kind: 'share', atLeast: Number(share[1]) / (share[2] ? 100 : 1) };
    const cause = /^cause=([a-z0-9-]+)$/.exec(part)?.[1];
    if (cause) return { kind: 'cause', id: cause };
    throw usageError(
      `--fail-on: '${part}' is no condition`,
      'use any, severity>=high, share>=5% or cause=ID, with commas between',
    );
  });
}

/** Whether any incident meets any condition. */
export function meets(
  conditions: readonly FailCondition[],
  incidents: readonly { readonly cause: string; readonly severity: string; readonly share?: number }[],
): boolean {
  const rank = (severity: string): number => SEVERITIES.findIndex((name) => name === severity);
  return conditions.some((condition) =>
    incidents.some((incident) => {
      switch (condition.kind) {
        case 'any':
          return true;
        case 'severity':
          return rank(incident.severity) >= rank(condition.atLeast);
        case 'share':
          return (incident.share ?? 1) >= condition.atLeast;
        case 'cause':
          return incident.cause === condition.id;
        default:
          return condition satisfies never;
      }
    }),
  );
}

/** From commander's untyped values to checked options. @throws usage error */
export function optionsOf(values: Readonly<Record<string, unknown>>): Options {
  return {
    output: String(values['output']),
    all: values['all'] === true,
    format: typeof values['format'] === 'string' ? values['format'] : undefined,
    describe: values['describe'] === true,
    envelopeKeys: String(values['envelope'] ?? '')
      .split(',')
      .map((key) => key.trim())
      .filter(Boolean),
    maxLine: Number(values['maxLine']),
    failOn: typeof values['failOn'] === 'string' ? parseFailOn(values['failOn']) : [],
    color: values['color'] === 'always' || values['color'] === 'never' ? values['color'] : 'auto',
    quiet: values['quiet'] === true,
    verbose: values['verbose'] === true,
    logFile: typeof values['logFile'] === 'string' ? values['logFile'] : undefined,
  };
}
