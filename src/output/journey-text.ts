import type { JourneyObject, SpanObject } from './journey.js';
import { labelled, WIDTH } from './layout.js';

/** Columns: who, reply, duration, and a bar on the journey's own scale. */
const REPLY = 11;
const MS = 8;
const BAR = 20;
const GAPS = 6;

/** A journey drawn: one line per access line, indented by hop, with its time as a bar. */
export function journeyLines(journey: JourneyObject, indent = 0, most = Infinity): string[] {
  const { spans } = journey;
  const shown = spans.slice(0, most);
  const name = WIDTH - indent - REPLY - MS - BAR - GAPS;
  const total = journey.duration_ms ?? 0;
  const margin = ' '.repeat(indent);
  const lines = shown.map((span) =>
    [
      margin + fitted(who(span), name),
      reply(span).slice(0, REPLY).padEnd(REPLY),
      `${Math.round(span.duration_ms)} ms`.padStart(MS),
      bar(span, total),
    ]
      .join('  ')
      .trimEnd(),
  );
  if (spans.length > shown.length || journey.left_out > 0) {
    lines.push(`${margin}and ${spans.length - shown.length + journey.left_out} more lines`);
  }
  return lines;
}

/** What its lines say, under a word each. */
export function findingLines(journey: JourneyObject): string[] {
  return journey.findings.flatMap(({ kind, text }) => labelled(LABELS[kind], text));
}

/** Words of at most ten letters. */
const LABELS = {
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

function who({ depth, direction, attempt, proxy, decided, upstream_cluster: cluster }: SpanObject): string {
  const branch = depth === 0 ? '' : `${'  '.repeat(depth - 1)}└ `;
  const tried = attempt ? `${attempt.n}/${attempt.of} ` : '';
  return `${branch}${cluster?.startsWith('inbound-vip') ? 'way' : SIDES[direction]} ${tried}${decided ? '*' : ''}${proxy.slice(proxy.lastIndexOf('/') + 1)}`;
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

function bar({ offset_ms: offset, duration_ms: duration }: SpanObject, total: number): string {
  if (total <= 0) return '';
  const from = Math.min(BAR - 1, Math.max(0, Math.round((offset / total) * BAR)));
  const to = Math.max(from + 1, Math.min(BAR, Math.round(((offset + duration) / total) * BAR)));
  return ' '.repeat(from) + '█'.repeat(to - from);
}
