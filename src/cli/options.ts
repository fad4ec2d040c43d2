import { compileSelection, SelectionError, type SelectionTexts } from '../filter/selection.js';
import type { Filter } from '../filter/filter.js';
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
  /** What `--filter`, `-i` and `-e` select; `undefined`: everything. */
  readonly filter: Filter | undefined;
  /** The same in words, for another thread. */
  readonly selection: SelectionTexts;
  readonly color: 'auto' | 'always' | 'never';
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly logFile: string | undefined;
  /** Only lines that begin within; ms since the Unix epoch. */
  readonly since: number | null;
  readonly until: number | null;
  readonly cluster: ClusterOptions;
}

/** Whose logs may be read beside the targets'. */
export const SIDES = ['upstreams', 'callers', 'gateway', 'waypoint'] as const;
export type Side = (typeof SIDES)[number];

/** Which cluster is asked, and for which logs. */
export interface ClusterOptions {
  readonly namespace: string | undefined;
  readonly allNamespaces: boolean;
  readonly selector: string | undefined;
  readonly container: string | undefined;
  readonly context: string | undefined;
  readonly kubeconfig: string | undefined;
  readonly as: string | undefined;
  readonly asGroups: readonly string[];
  readonly tail: number | null;
  /** As said on the command line; `undefined`: as the command sees fit. */
  readonly follow: boolean | undefined;
  readonly previous: boolean;
  readonly maxLogRequests: number;
  /** Whose logs are read beside the targets'. */
  readonly with: readonly Side[];
}

/** How the screen looks and where its replay begins. */
export interface ScreenOptions {
  readonly ascii: boolean;
  readonly mouse: boolean;
  /** `--filter`, `-i` and `-e` in words: the screen shows them and lets them be changed. */
  readonly selection: SelectionTexts;
  /** Seconds of the recording in a second; `null`: show the whole recording, do not play. */
  readonly speed: number | null;
  /** As given; a bare clock time is one of the recording's own day. */
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/** What is to be checked, and in what. */
export interface CheckOptions {
  /** Files, folders and archives with saved objects. */
  readonly from: readonly string[];
  readonly namespace: string | undefined;
  /** The request whose way is asked; `null`: none, everything is checked. */
  readonly request: {
    /** `null`: what the targets serve. */
    readonly host: string | null;
    readonly path: string;
    readonly method: string;
    /** Names in lower case. */
    readonly headers: ReadonlyMap<string, string>;
    readonly port: number | null;
  } | null;
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

const rank = (severity: string): number => SEVERITIES.findIndex((name) => name === severity);

export const isAtLeast = (severity: string, least: string): boolean => rank(severity) >= rank(least);

/** Whether any incident meets any condition. */
export function meets(
  conditions: readonly FailCondition[],
  incidents: readonly { readonly cause: string; readonly severity: string; readonly share?: number }[],
): boolean {
  return conditions.some((condition) =>
    incidents.some((incident) => {
      switch (condition.kind) {
        case 'any':
          return true;
        case 'severity':
          return isAtLeast(incident.severity, condition.atLeast);
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
    filter: selectionOf(values),
    selection: textsOf(values),
    color: values['color'] === 'always' || values['color'] === 'never' ? values['color'] : 'auto',
    quiet: values['quiet'] === true,
    verbose: values['verbose'] === true,
    logFile: typeof values['logFile'] === 'string' ? values['logFile'] : undefined,
    since: sinceOf(values),
    until: typeof values['until'] === 'number' ? values['until'] : null,
    cluster: clusterOptionsOf(values),
  };
}

function sinceOf({ since, sinceTime }: Readonly<Record<string, unknown>>): number | null {
  if (since !== undefined && sinceTime !== undefined) {
    throw usageError('--since and --since-time exclude each other', 'give one of them');
  }
  if (typeof sinceTime === 'number') return sinceTime;
  return typeof since === 'number' ? Date.now() - since : null;
}

function clusterOptionsOf(values: Readonly<Record<string, unknown>>): ClusterOptions {
  const text = (name: string): string | undefined =>
    typeof values[name] === 'string' ? values[name] : undefined;
  return {
    namespace: text('namespace'),
    allNamespaces: values['allNamespaces'] === true,
    selector: text('selector'),
    container: text('container'),
    context: text('context'),
    kubeconfig: text('kubeconfig'),
    as: text('as'),
    asGroups: listOf(values['asGroup']),
    tail: typeof values['tail'] === 'number' ? values['tail'] : null,
    follow: typeof values['follow'] === 'boolean' ? values['follow'] : undefined,
    previous: values['previous'] === true,
    maxLogRequests: Number(values['maxLogRequests'] ?? 500),
    with: Array.isArray(values['with']) ? (values['with'] as Side[]) : [],
  };
}

const listOf = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : []);

const textsOf = (values: Readonly<Record<string, unknown>>): SelectionTexts => ({
  filter: listOf(values['filter']),
  include: listOf(values['include']),
  exclude: listOf(values['exclude']),
});

function selectionOf(values: Readonly<Record<string, unknown>>): Filter | undefined {
  try {
    return compileSelection(textsOf(values));
  } catch (error) {
    if (error instanceof SelectionError) throw usageError(error.message, error.marked);
    throw error;
  }
}

/** The screen's own flags. @throws usage error */
export function screenOptionsOf(values: Readonly<Record<string, unknown>>): ScreenOptions {
  const text = (name: string): string | undefined =>
    values[name] === undefined ? undefined : String(values[name]);
  const time = (name: string): string | undefined => {
    const given = text(name);
    if (given === undefined || isTime(given)) return given;
    throw usageError(
      `--${name}: '${given}' is no time`,
      'write 16:02:13, 16:02:13.204 or 2026-11-23T16:02:13Z',
    );
  };
  return {
    ascii: values['ascii'] === true,
    mouse: values['mouse'] === true,
    selection: textsOf(values),
    speed: text('speed') === undefined ? null : speedOf(text('speed')!),
    from: time('from'),
    to: time('to'),
  };
}

/** The flags of `check`. @throws usage error */
export function checkOptionsOf(values: Readonly<Record<string, unknown>>): CheckOptions {
  const text = (name: string): string | undefined =>
    values[name] === undefined ? undefined : String(values[name]);
  const [host, path, method] = [text('host'), text('path'), text('method')];
  const headers = listOf(values['header']).map(headerOf);
  const asks = host !== undefined || path !== undefined || method !== undefined || headers.length > 0;
  const [name, port] = hostAndPort(host);
  return {
    from: listOf(values['from']),
    namespace: text('namespace'),
    request: asks
      ? {
          host: name,
          path: path === undefined || path.startsWith('/') ? (path ?? '/') : `/${path}`,
          method: (method ?? 'GET').toUpperCase(),
          headers: new Map(headers),
          port,
        }
      : null,
  };
}

/** `name: value` or `name=value`. */
function headerOf(text: string): readonly [string, string] {
  const [, name, value] = /^([^:=\s]+)\s*[:=]\s*(.*)$/.exec(text) ?? [];
  if (name !== undefined) return [name.toLowerCase(), value ?? ''];
  throw usageError(`--header: '${text}' is no header`, "write 'x-user: anna'");
}

function hostAndPort(text: string | undefined): readonly [string | null, number | null] {
  if (text === undefined) return [null, null];
  const [, host, port] = /^(.*?)(?::(\d+))?$/.exec(text) ?? [];
  return [host ?? text, port === undefined ? null : Number(port)];
}

const isTime = (text: string): boolean =>
  /^\d\d:\d\d(?::\d\d(?:\.\d+)?)?$/.test(text) ||
  (/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(text) && !Number.isNaN(Date.parse(text)));

/** `10x`, `10`, `0.5x`; `max`: not played at all. */
function speedOf(text: string): number | null {
  if (text === 'max') return null;
  const factor = Number(/^(\d+(?:\.\d+)?)x?$/.exec(text)?.[1] ?? NaN);
  if (factor >= 0.1 && factor <= 1000) return factor;
  throw usageError(`--speed: '${text}' is no speed`, 'write 0.1x to 1000x, or max');
}
