import { headerOf, operators, type Operator } from '../parsers/operators.js';
import { formatParts } from '../parsers/format-string.js';
import { extraKey } from '../parsers/compile.js';

/*
 * Renders a random record with a random format string as Envoy would, from the table of operators and Envoy's rules for
 * text (nothing is escaped, what is not set is `-`), not from the parser.
 */

export interface Rendered {
  readonly format: string;
  readonly line: string;
  readonly expected: Readonly<Record<string, unknown>>;
}

type Random = () => number;
const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)]!;

/** Arguments for operators that need one. */
const ARGS: Readonly<Record<string, string>> = {
  COMMON_DURATION: 'DS_RX_BEG:DS_TX_END:ms',
  COALESCE: '{"operators":["X"]}',
  ENVIRONMENT: 'POD_NAME',
  METADATA: 'ROUTE:istio:config',
  FILTER_STATE: 'wasm.upstream_peer:PLAIN',
  UPSTREAM_FILTER_STATE: 'k:PLAIN',
  QUERY_PARAM: 'id',
};
const HEADERS = [
  ':METHOD',
  'X-ENVOY-ORIGINAL-PATH?:PATH',
  ':AUTHORITY',
  'USER-AGENT',
  'X-REQUEST-ID',
  'X-TENANT',
  'Referer',
];

function spelled({ op, args }: Operator, random: Random): string {
  if (args === '' || args.endsWith(')?') || args.endsWith(')?[:len]')) return op;
  if (args.startsWith('(Header')) return `${op}(${pick(random, HEADERS)})`;
  return `${op}(${ARGS[op] ?? 'istio:key'})`;
}

const WORD = 'abcXYZ019_./|{}+=é日';
function word(random: Random): string {
  return Array.from({ length: 1 + Math.floor(random() * 12) }, () => pick(random, [...WORD])).join('');
}

function address(random: Random): string {
  const port = Math.floor(random() * 65536);
  return pick(random, [
    `10.244.1.${port % 256}:${port}`,
    `[2001:db8::${(port % 4096).toString(16)}]:${port}`,
    `envoy://connect_originate/10.1.2.3:${port}`,
  ]);
}

/** A value's text, and what it reads as outside the record's own fields. */
function valueOf(operator: Operator, blanks: boolean, agent: boolean, random: Random): string {
  const unset = operator.text_when_unset.startsWith('-') && random() < 0.2;
  if (unset) return '-';
  if (operator.op === 'RESPONSE_FLAGS') return pick(random, ['-', 'UF', 'UF,URX', 'CUSTOM_1']);
  switch (operator.text) {
    case 'uint':
    case 'millis':
    case 'port':
      return String(Math.floor(random() * 1e9));
    case 'time':
      return `20${10 + Math.floor(random() * 89)}-01-02T03:04:05.${String(Math.floor(random() * 1000)).padStart(3, '0')}Z`;
    case 'address':
      return address(random);
    default: {
      if (!blanks) return word(random);
      const text = Array.from({ length: Math.floor(random() * 4) }, () => word(random)).join(
        pick(random, [' ', ', ', '  ']),
      );
      // Only the field that takes what is left may imitate the end of one.
      return agent ? text + pick(random, ['', '"', '" "', ' "x" y', '" "10.0.0.1:80" 1 - ']) : text;
    }
  }
}

/** Fields whose text is read as a number. */
const NUMBERS: ReadonlySet<string> = new Set([
  'response_code',
  'bytes_received',
  'bytes_sent',
  'duration',
  'upstream_service_time',
]);

/** A format of `count` different operators, a line of it and the record that it stands for. */
export function render(count: number, random: Random): Rendered {
  const all = [...operators().values()];
  const keys = new Set<string>();
  const record: Record<string, unknown> = {};
  const extra: Record<string, unknown> = {};
  let format = pick(random, ['', '[', 'access: ']);
  let line = format;
  let agents = 0;
  while (keys.size < count) {
    const operator = pick(random, all);
    const text = `%${spelled(operator, random)}%`;
    const [part] = formatParts(text);
    if (part?.kind !== 'operator') throw new Error(`no operator: ${text}`);
    const key = part.field ?? extraKey(part);
    if (keys.has(key)) continue;
    const first = keys.size === 0;
    keys.add(key);
    const agent = part.field === 'user_agent' && headerOf(part.args ?? '') === 'user-agent';
    if (agent) agents++;
    const value = valueOf(operator, part.blanks, agent && agents === 1, random);
    const gap = first ? '' : pick(random, [' ', ' ', ' | ', ' k=', '\t']);
    const quote = part.blanks || random() < 0.2 ? '"' : '';
    format += gap + quote + text + quote;
    line += gap + quote + value + quote;
    if (part.field === 'response_flags') record[key] = value === '-' ? [] : value.split(',');
    else if (part.field !== undefined) record[key] = read(value, NUMBERS.has(key), key);
    else extra[key] = read(value, ['uint', 'millis', 'port'].includes(operator.text), key);
  }
  if (Object.keys(extra).length > 0) record['extra'] = extra;
  return { format, line, expected: record };
}

function read(value: string, number: boolean, key: string): unknown {
  if (value === '-') return null;
  // Istio's alternative cluster name ends in `;`, which is not part of it.
  if (key === 'upstream_cluster' && value.endsWith(';')) return value.slice(0, -1);
  return number && /^\d+$/.test(value) ? Number(value) : value;
}
