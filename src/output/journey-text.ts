import { clock, plural, span as duration } from '../diagnosis/words.js';
import type { JourneyObject, SpanObject } from './journey.js';
import { labelled, WIDTH } from './layout.js';

/** Columns: who, reply, duration, and a bar on the journey's own scale. */
const REPLY = 11;
const LEAST_REPLY = 5;
const MS = 8;
const BAR = 20;
const GAPS = 6;
/** The bar where there is less or more room than on paper. */
const NARROW_BAR = 12;
const WIDE_BAR = 40;
const WIDE = 110;

/** One access line of a journey, in the columns in which it is drawn. */
export interface JourneyRow {
  /** Indented by hop, `*` before the one that decided. */
  readonly who: string;
  readonly reply: string;
  readonly took: string;
  readonly bar: string;
}

/** A journey drawn: one row per access line, its time as a bar. All but the bar have one width in all rows. */
export function journeyRows({ spans, duration_ms: total }: JourneyObject, width: number): JourneyRow[] {
  const replies = spans.map(reply);
  const narrow = width < WIDTH - GAPS;
  const replyWidth = narrow
    ? Math.min(REPLY, Math.max(LEAST_REPLY, ...replies.map(({ length }) => length)))
    : REPLY;
  const barWidth = narrow ? NARROW_BAR : width < WIDE ? BAR : WIDE_BAR;
  const name = width - replyWidth - MS - barWidth - GAPS;
  return spans.map((span, i) => ({
    who: fitted(who(span), name),
    reply: replies[i]!.slice(0, replyWidth).padEnd(replyWidth),
    took: `${Math.round(span.duration_ms)} ms`.padStart(MS),
    bar: bar(span, total ?? 0, barWidth),
  }));
}

/** The same as text: at most so many lines of it, indented as a whole. */
export function journeyLines(journey: JourneyObject, indent = 0, most = Infinity): string[] {
  const margin = ' '.repeat(indent);
  const rows = journeyRows(journey, WIDTH - indent);
  const lines = rows
    .slice(0, most)
    .map(({ who, reply, took, bar }) => [margin + who, reply, took, bar].join('  ').trimEnd());
  const hidden = rows.length - lines.length + journey.left_out;
  return hidden > 0 ? [...lines, `${margin}and ${hidden} more lines`] : lines;
}

/** What was asked for and what came of it; when, and through how many proxies. */
export function journeyHead(journey: JourneyObject): readonly [string, string] {
  const { spans, start, duration_ms: total } = journey;
  // What carried it through a tunnel knows no request.
  const outer = spans.find(({ http }) => http) ?? spans[0];
  const what = [outer?.method, outer?.path].filter(Boolean).join(' ') || 'a connection';
  const code = outer?.http
    ? `${outer.response_code ?? '-'} ${outer.response_flags.join(',')}`.trim()
    : outer?.response_flags.join(',') || 'tcp';
  const proxies = new Set(spans.map(({ proxy }) => proxy)).size;
  return [
    `${what}${outer?.authority ? ` of ${outer.authority}` : ''}: ${code} after ${duration(total ?? 0)}`,
    `${start?.slice(0, 10) ?? '-'} ${clock(Date.parse(start ?? ''))} UTC, ${plural(spans.length, 'line')} of ${plural(proxies, 'proxy', 'proxies')}`,
  ];
}

/** More lines than these are for `-o json`. */
const MOST_SEEN = 12;

/** What each proxy logged beside the reply: where it sent the request, and its word for how that ended. */
export function sawLines({ spans }: JourneyObject): string[] {
  return spans
    .slice(0, MOST_SEEN)
    .map((span): [SpanObject, string] => [span, sawWords(span)])
    .filter(([, words]) => words !== '')
    .flatMap(([span, words], i) => labelled(i === 0 ? 'saw' : '', `${nameOf(span)}: ${words}`));
}

/** What one of them logged. Empty for a line that only passed on what its own app said. */
export function sawWords(span: SpanObject): string {
  const { upstream_cluster: cluster, upstream_host: host, requested_server_name: name } = span;
  const relayed = span.response_code_details === 'via_upstream';
  if (relayed && span.direction === 'inbound' && !cluster?.startsWith('inbound-vip')) return '';
  return [
    [cluster, host ? `to ${host}` : 'to no host'].filter(Boolean).join(' '),
    cluster === null && name !== null && `asked for ${name}`,
    span.upstream_transport_failure_reason?.replaceAll('_', ' ') ??
      (relayed ? null : span.response_code_details),
    span.error,
  ]
    .filter(Boolean)
    .join(', ');
}

/** The pod's name without its namespace. */
const nameOf = ({ proxy }: SpanObject): string => proxy.slice(proxy.lastIndexOf('/') + 1);

/** What its lines say, under a word each. */
export function findingLines(journey: JourneyObject): string[] {
  return journey.findings.flatMap(({ kind, text }) => labelled(FINDING_LABELS[kind], text));
}

/** Words of at most ten letters. */
export const FINDING_LABELS = {
  decided: 'decided',
  'closed-first': 'closed',
  'gave-up': 'gave up',
  'never-arrived': 'missing',
  'log-missing': 'no log',
  masked: 'hidden',
  'executed-twice': 'twice?',
  retried: 'retried',
  slowest: 'time',
  clock: 'clock',
  joined: 'joined',
} as const satisfies Record<JourneyObject['findings'][number]['kind'], string>;

/** From the proxy's own view; a waypoint stands on the way. */
const SIDES: Readonly<Record<SpanObject['direction'], string>> = {
  inbound: 'in ',
  outbound: 'out',
  passthrough: 'out',
  unknown: '   ',
};

function who(span: SpanObject): string {
  const { depth, direction, attempt, decided, upstream_cluster: cluster } = span;
  const branch = depth === 0 ? '' : `${'  '.repeat(depth - 1)}└ `;
  const tried = attempt ? `${attempt.n}/${attempt.of} ` : '';
  return `${branch}${cluster?.startsWith('inbound-vip') ? 'way' : SIDES[direction]} ${tried}${decided ? '*' : ''}${nameOf(span)}`;
}

/** The end of a pod's name tells it from its siblings, the beginning what it is: the middle goes. */
function fitted(text: string, width: number): string {
  if (text.length <= width) return text.padEnd(width);
  const end = Math.min(8, Math.floor(width / 3));
  return `${text.slice(0, width - end - 1)}…${text.slice(-end)}`;
}

function reply({ response_code: code, response_flags: flags, error, http, failure }: SpanObject): string {
  if (error !== null) return 'error';
  const set = flags.join(',');
  if (!http) return set || (failure ? 'refused' : 'tcp');
  return `${code ?? '-'} ${set}`.trimEnd();
}

function bar({ offset_ms: offset, duration_ms: took }: SpanObject, total: number, width: number): string {
  if (total <= 0) return '';
  const from = Math.min(width - 1, Math.max(0, Math.round((offset / total) * width)));
  const to = Math.max(from + 1, Math.min(width, Math.round(((offset + took) / total) * width)));
  return ' '.repeat(from) + '█'.repeat(to - from);
}
