import type { Finding } from '../diagnosis/finding.js';
import { listed, plural } from '../diagnosis/words.js';
import { safeText } from '../record/safe-text.js';
import { labelled, labelledRaw, wrap, WIDTH } from './layout.js';

export const CHECK_SCHEMA = 'meshtail.check/1';

/** What was read, and what was not. */
export interface CheckCoverage {
  readonly cluster: string;
  readonly objects: number;
  /** `file:line: message` of what is broken among the files. */
  readonly broken: readonly string[];
  /** `namespace/pod` of the proxies whose admin interface answered. */
  readonly proxies: readonly string[];
  /** Replicas of istiod that answered. */
  readonly istiods: number;
}

export type CheckResult = ReturnType<typeof checkResultOf>;

/** The checks as scripts see them; text is another face of it. */
export function checkResultOf(findings: readonly Finding[], coverage: CheckCoverage, version: string) {
  const count = (status: Finding['status']): number => findings.filter((one) => one.status === status).length;
  return {
    schema: CHECK_SCHEMA,
    version,
    read: coverage,
    totals: { fail: count('fail'), warn: count('warn'), unknown: count('unknown'), ok: count('ok') },
    findings: findings.map(({ changedAt, about, ...finding }) => ({
      ...finding,
      about,
      changed_at: changedAt === null ? null : new Date(changedAt).toISOString(),
    })),
  };
}

const PHASES = [
  ['foundation', 'Foundation'],
  ['traffic', 'Traffic configuration'],
  ['envoy', 'Envoy itself'],
] as const;

/** At 80 columns; only commands may be wider, so that they can be copied. */
export function checkText(result: CheckResult): string {
  const lines = [...headline(result), ''];
  for (const [phase, title] of PHASES) {
    const some = result.findings.filter((finding) => finding.phase === phase);
    if (some.length === 0) continue;
    lines.push(title);
    for (const finding of some.filter(({ status }) => status === 'fail')) lines.push(...trouble(finding));
    for (const finding of some.filter(({ status }) => status === 'warn')) lines.push(...trouble(finding));
    for (const finding of some.filter(({ status }) => status === 'ok')) lines.push(...brief(finding));
    lines.push(...unknowns(some.filter(({ status }) => status === 'unknown')), '');
  }
  return `${lines.map(safeText).join('\n').trimEnd()}\n`;
}

function headline({ totals, read }: CheckResult): string[] {
  const { fail, warn, unknown, ok } = totals;
  return [
    `${fail} fail, ${warn} warn, ${ok} ok, ${unknown} unknown.`,
    ...labelled('read', `${plural(read.objects, 'object')} of ${read.cluster}`),
    ...(read.istiods > 0
      ? labelled('asked', plural(read.istiods, 'replica of istiod', 'replicas of istiod'))
      : []),
    ...(read.proxies.length > 0 ? labelled('asked', `Envoy of ${listed(read.proxies, SHOWN_PROXIES)}`) : []),
    ...read.broken.slice(0, SHOWN_BROKEN).flatMap((text) => labelled('not read', text)),
    ...(read.broken.length > SHOWN_BROKEN
      ? labelled('', `and ${read.broken.length - SHOWN_BROKEN} more; -o json lists them all`)
      : []),
  ];
}

const SHOWN_BROKEN = 10;
const SHOWN_PROXIES = 6;

type Told = CheckResult['findings'][number];

function trouble({ status, id, object, field, read, why, confirms, see, fix, severity }: Told): string[] {
  const where = object
    ? `${object.kind} ${object.namespace === '' ? '' : `${object.namespace}/`}${object.name}`
    : '';
  return [
    `  ${status.toUpperCase()}  ${id}  (${severity})`,
    ...labelled('where', [where, field].filter(Boolean).join(': ')),
    ...labelled('read', read),
    ...labelled('why', why),
    ...(confirms.length > 0 ? labelled('brings', confirms.join(', ')) : []),
    ...(see === '' ? [] : [labelledRaw('see', see)]),
    ...(fix === null ? [] : labelled('fix', fix)),
  ];
}

const BRIEF = 22;

function brief({ status, id, read }: Pick<Told, 'status' | 'id' | 'read'>): string[] {
  const head = `  ${status.padEnd(9)}${id.padEnd(BRIEF)}`;
  return wrap(read, WIDTH - head.length).map((line, i) => (i === 0 ? head : ' '.repeat(head.length)) + line);
}

/** Checks that one reason keeps from judging are told together. */
function unknowns(some: readonly Told[]): string[] {
  const byReason = new Map<string, Told[]>();
  for (const one of some) byReason.set(one.read, [...(byReason.get(one.read) ?? []), one]);
  return [...byReason].flatMap(([read, told]) => {
    const names = told.map(({ id, object }) =>
      object ? `${object.kind} ${object.namespace}/${object.name}` : id,
    );
    return brief({
      status: 'unknown',
      id: names[0]!,
      read: told.length > 1 ? `${read} (also: ${names.slice(1).join(', ')})` : read,
    });
  });
}
