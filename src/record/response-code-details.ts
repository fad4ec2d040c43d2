import { readData } from '../paths.js';
import { boundedCache } from './bounded-cache.js';

/** One entry of `data/response-code-details.json`. */
export interface CodeDetail {
  readonly value: string;
  readonly match: 'exact' | 'regex' | 'free';
  readonly codes: readonly number[];
  readonly flags: readonly string[];
  /** Whose doing it is; `info`: no failure. */
  readonly fault: string;
  readonly component: string;
  readonly source: string;
  readonly meaning: string;
  readonly notes?: string;
  readonly regex?: string;
}

interface NamedText {
  readonly meaning: string;
  readonly fault: string;
}
interface Tables {
  readonly entries: readonly CodeDetail[];
  readonly upstream_reset_reasons: readonly (NamedText & { reason: string; flag: string; code: number })[];
  readonly transport_failure_reasons: readonly (NamedText & { pattern: string })[];
}

let tables: Tables | undefined;
let exact: ReadonlyMap<string, CodeDetail> | undefined;
let patterns: readonly { readonly regex: RegExp; readonly detail: CodeDetail }[] | undefined;

export function codeDetailTables(): Tables {
  return (tables ??= readData('response-code-details.json') as Tables);
}

interface Match {
  readonly detail: CodeDetail;
  readonly groups: Readonly<Record<string, string>>;
}

function match(details: string): Match | undefined {
  const { entries } = codeDetailTables();
  exact ??= new Map(entries.filter((entry) => entry.match === 'exact').map((entry) => [entry.value, entry]));
  const known = exact.get(details);
  if (known) return { detail: known, groups: {} };
  patterns ??= entries.flatMap((detail) =>
    detail.regex ? [{ regex: new RegExp(detail.regex), detail }] : [],
  );
  for (const { regex, detail } of patterns) {
    const found = regex.exec(details);
    if (found) return { detail, groups: (found.groups ?? {}) as Record<string, string> };
  }
  return undefined;
}

/** The table's entry for details as logged; `undefined` where Envoy's sources hold no such detail. */
export function lookUpDetails(details: string): CodeDetail | undefined {
  return match(details)?.detail;
}

/**
 * The class that details belong to: the table's `value`, its `<reason>` filled in and any transport text dropped; for
 * unlisted details the word before any bracket with the first reason inside it. So addresses, policy names and TLS
 * texts do not split a failure group.
 */
export const detailsClass = boundedCache<string>((details) => {
  const known = match(details);
  if (known) {
    const { value } = known.detail;
    const shape = value.replace(/\[\|<[^>]*>\]/, '');
    if (!shape.includes('<reason>')) return value;
    const reason = known.groups['reason'];
    return reason === undefined ? shape.slice(0, shape.search(/[{(]/)) : shape.replace('<reason>', reason);
  }
  const bracket = details.search(/[{[(]/);
  if (bracket < 0) return details;
  const reason = /^[^,|}\])]*/.exec(details.slice(bracket + 1))?.[0] ?? '';
  const close = { '{': '}', '[': ']', '(': ')' }[details[bracket] as '{' | '[' | '('];
  return `${details.slice(0, bracket + 1)}${reason}${close}`;
});
