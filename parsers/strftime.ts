import { boundedCache } from '../src/record/bounded-cache.js';

/*
 * START_TIME's argument is a strftime pattern with Envoy's additions (seconds and fractions since the epoch, absl's %E…):
 * https://www.envoyproxy.io/docs/envoy/v1.36.0/configuration/observability/access_log/usage (START_TIME).
 */

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
/** Longer texts are no times. */
const MAX_LENGTH = 128;

const DIRECTIVES: Readonly<Record<string, string>> = {
  Y: '(?<year>\\d{4})',
  y: '(?<year2>\\d{2})',
  m: '(?<month>\\d{2})',
  b: '(?<monthName>[A-Za-z]{3})',
  h: '(?<monthName>[A-Za-z]{3})',
  B: '(?<monthName>[A-Za-z]{3,9})',
  d: '(?<day>\\d{2})',
  e: ' ?(?<day>\\d{1,2})',
  H: '(?<hour>\\d{2})',
  k: ' ?(?<hour>\\d{1,2})',
  I: '(?<hour>\\d{2})',
  M: '(?<minute>\\d{2})',
  S: '(?<second>\\d{2})',
  s: '(?<epoch>\\d+)',
  f: '(?<fraction>\\d{1,9})',
  p: '(?<half>[AaPp][Mm])',
  z: '(?<zone>[+-]\\d{2}:?\\d{2}|Z)',
  Z: '[A-Za-z]{1,5}|[+-]\\d{2,4}',
  a: '[A-Za-z]{3}',
  A: '[A-Za-z]{6,9}',
  j: '\\d{3}',
  n: '\\n',
  t: '\\t',
  '%': '%',
};
const COMPOSED: Readonly<Record<string, string>> = {
  F: '%Y-%m-%d',
  T: '%H:%M:%S',
  R: '%H:%M',
  D: '%m/%d/%y',
};

/** How long a time that a pattern printed may be read: to RFC 3339 in UTC with its decimals; `undefined` where it does not fit. */
export type TimeReader = (text: string) => string | undefined;

/** A reader of what the pattern prints; `undefined` for a pattern that holds no date or a directive not known here. */
export const timeReader = boundedCache<TimeReader | undefined>((pattern) => {
  const source = regexOf(pattern);
  if (source === undefined) return undefined;
  const regex = new RegExp(`^${source}$`);
  return (text) => {
    const groups = text.length <= MAX_LENGTH ? regex.exec(text)?.groups : undefined;
    return groups && timeOf(groups);
  };
});

function regexOf(pattern: string): string | undefined {
  const expanded = pattern.replace(/%([FTRD])/g, (_, name: string) => COMPOSED[name]!);
  const seen = new Set<string>();
  let source = '';
  for (let at = 0; at < expanded.length; at++) {
    if (expanded[at] !== '%') {
      source += expanded[at]!.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&');
      continue;
    }
    const special = /^%(?:E([\d*])([Sf])|(\d)f)/.exec(expanded.slice(at, at + 4));
    let piece: string | undefined;
    if (special) {
      const digits = special[3] ?? special[1]!;
      const count = digits === '*' ? '{1,15}' : `{${digits}}`;
      const fraction = `(?<fraction>\\d${count})`;
      const optional = digits === '*' ? `(?:\\.${fraction})?` : `\\.${fraction}`;
      piece = special[2] === 'S' ? `(?<second>\\d{2})${digits === '0' ? '' : optional}` : fraction;
      at += special[0].length - 1;
    } else {
      const name = expanded[++at];
      piece = name === undefined ? undefined : DIRECTIVES[name];
    }
    if (piece === undefined) return undefined;
    // A part that is printed twice is read once.
    source += piece.replace(/\(\?<(\w+)>/g, (group, name: string) => {
      if (seen.has(name)) return '(?:';
      seen.add(name);
      return group;
    });
  }
  const date = (seen.has('year') || seen.has('year2')) && (seen.has('month') || seen.has('monthName'));
  return seen.has('epoch') || (date && seen.has('day')) ? source : undefined;
}

function timeOf(groups: Readonly<Record<string, string | undefined>>): string | undefined {
  const number = (name: string): number => Number(groups[name] ?? 0);
  const fraction = groups['fraction'] === undefined ? '' : `.${groups['fraction']}`;
  if (groups['epoch'] !== undefined) return isoOf(number('epoch') * 1000, fraction);
  const year =
    groups['year'] === undefined ? number('year2') + (number('year2') < 69 ? 2000 : 1900) : number('year');
  const month =
    groups['monthName'] === undefined
      ? number('month')
      : MONTHS.indexOf(groups['monthName'].slice(0, 3).toLowerCase()) + 1;
  if (month < 1 || month > 12) return undefined;
  const half = groups['half']?.toLowerCase();
  const hour = half ? (number('hour') % 12) + (half === 'pm' ? 12 : 0) : number('hour');
  const ms = Date.UTC(year, month - 1, number('day'), hour, number('minute'), number('second'));
  const zone = /^([+-])(\d{2}):?(\d{2})$/.exec(groups['zone'] ?? '');
  const offset = zone ? (Number(zone[2]) * 60 + Number(zone[3])) * (zone[1] === '-' ? -1 : 1) : 0;
  return isoOf(ms - offset * 60_000, fraction);
}

function isoOf(ms: number, fraction: string): string | undefined {
  if (!Number.isFinite(ms) || Math.abs(ms) > 8.64e15) return undefined;
  return `${new Date(ms).toISOString().slice(0, 19)}${fraction}Z`;
}
