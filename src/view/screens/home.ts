import { plural, thousands } from '../../diagnosis/words.js';
import type { Fact } from '../../diagnosis/hypothesis.js';
import { clip } from '../cells.js';
import {
  beside,
  highlight,
  lineWidth,
  span,
  spread,
  type Line,
  type Span,
  type StyleName,
} from '../frame.js';
import { isExplaining, selectedRow, sortedRows } from '../selection.js';
import type { Explanation, JourneyHop, Snapshot, TableRow, Traffic } from '../snapshot.js';
import { MOST_TEXT, TEXT_AT, type SortKey, type State } from '../state.js';
import { clockSeconds, factWords, milliseconds, rateCell, shareCell, shortName } from '../words.js';
import { cells, restOf, snugColumns, windowOf, type Column } from './columns.js';
import {
  becauseWords,
  commandLines,
  exampleWords,
  failsWords,
  labelled,
  severityStyle,
  sinceWords,
  titleLines,
  whoWords,
  widenWords,
} from './content.js';
import { hopLine } from './journey.js';
import { timelineLines } from './timeline.js';
import { rule, stateLines } from './states.js';

/** Everything between header and keys, `height` rows of it. */
export function homeLines(state: State, height: number): Line[] {
  const { snapshot } = state;
  const special = stateLines(state, height);
  if (special) return special;
  if (!snapshot) return [];
  const { columns } = state;
  const roomy = height >= 14;
  const bars = barRows(snapshot, height);
  const lines: Line[] = [failingLine(state, snapshot), ...timelineLines(state, snapshot, bars, roomy)];
  if (roomy) lines.push(rule(columns));
  const left = height - lines.length;
  const rows = sortedRows(snapshot, state.sort);
  const explained = snapshot.explained || rows.length === 0;
  if (explained && !rows.some(({ explanation }) => explanation !== null)) {
    return [...lines, ...healthyLines(state, snapshot, rows, left)];
  }
  lines.push(...tableLines(state, rows, explained ? tableRows(rows, left, roomy) : Math.max(2, left - 6)));
  const room = height - lines.length;
  const aside = columns >= ASIDE_COLUMNS ? columns - MOST_TEXT - 4 : 0;
  const text = explained
    ? selectedLines(state, Math.min(columns, MOST_TEXT), room)
    : [[span(` explaining what was known at ${clockSeconds(snapshot.now)}…`, 'accent')]];
  if (aside > 0) return [...lines, ...beside(text, trafficLines(snapshot, aside, room), MOST_TEXT + 2)];
  lines.push(...text);
  // A tall screen tells beside the failures how the rest fares.
  const below = height - lines.length - 2;
  if (below >= 4) lines.push([], rule(columns), ...trafficLines(snapshot, columns, below));
  return lines;
}

/** From here on there is room for a second column. */
const ASIDE_COLUMNS = MOST_TEXT + 64;

/** Rows of the timeline's bars; a flat line needs no height. */
export function barRows({ timeline: { failed, masked } }: Snapshot, height: number): number {
  if (![...failed, ...masked].some((count) => count > 0)) return 1;
  return height >= 50 ? 8 : height >= 32 ? 4 : height >= 26 ? 3 : height >= 19 ? 2 : 1;
}

/** The explanation is why one looks: the table gets what it needs, what belongs to no incident little, and all a part. */
function tableRows(rows: readonly TableRow[], height: number, roomy: boolean): number {
  const incidents = rows.filter(({ explanation }) => explanation !== null).length;
  const wanted = Math.min(rows.length, incidents + (height >= 30 ? 5 : roomy || incidents === 1 ? 1 : 0));
  return Math.min(wanted, Math.max(2, Math.floor((height - 2) * (roomy ? 0.4 : 0.34))));
}

function selectedLines(state: State, columns: number, room: number): Line[] {
  const row = selectedRow(state);
  const data = state.snapshot?.pane;
  if (row?.explanation) {
    const drawn = data?.kind === 'journey' && 'row' in data.of && data.of.row === row.key ? data.hops : [];
    return briefLines(row.explanation, row, drawn, columns, room);
  }
  return row ? looseLines(row, columns) : [];
}

/** What share fails and since when; by how many and which codes, where there is room. */
function failingLine(state: State, snapshot: Snapshot): Line {
  const { failures, requests, byCode, errorsOnly } = snapshot;
  const { columns } = state;
  const [began, about] = beganWords(snapshot);
  const waits = isExplaining(state, snapshot) && snapshot.explained ? [span('   explaining…', 'accent')] : [];
  if (errorsOnly) {
    const known = [span(` ${plural(failures, 'failure')}`, 'bad')];
    return [
      ...known,
      span('   the input holds failures only: no shares', 'warn'),
      ...began,
      ...about,
      ...waits,
    ];
  }
  const share = requests === 0 ? 0 : failures / requests;
  const attempts = snapshot.rows.filter(({ explanation }) => explanation?.failures === 0);
  const hidden = attempts.reduce((sum, row) => sum + row.failures, 0);
  // Where it was decided another code may stand: these came out.
  const label = snapshot.rows.some(({ code, seenCode }) => code !== seenCode) ? 'callers saw ' : '';
  const codes = byCode
    .slice(0, columns >= 100 ? 5 : 2)
    .map(([code, count], i): Line => [
      span(`${i === 0 ? `   ${label}` : '  '}${code} `, 'dim'),
      span(`${shareCell(count / requests)}%`),
    ]);
  const parts: Line[] = [
    [span(` failing ${shareCell(share)}%`, failures > 0 ? 'bad' : 'good')],
    // Each request went well in the end, but not at once.
    hidden > 0 ? [span(`   ${thousands(hidden)} hidden failures`, 'warn')] : [],
    began,
    about,
    waits,
    [span(`   ${thousands(failures)} of ${thousands(requests)}`)],
    columns >= 100 ? [span(' requests')] : [],
    ...codes,
  ];
  // What comes first here is worth most; shown it is in another order.
  const left = { cells: columns };
  const [rate, masked, since, sinceAbout, waiting, counts, noun, ...byCodes] = parts.map((part) => {
    left.cells = left.cells < lineWidth(part) ? 0 : left.cells - lineWidth(part);
    return left.cells > 0 ? part : [];
  });
  return [rate, counts, noun, masked, ...byCodes, since, sinceAbout, waiting].flatMap((part) => part ?? []);
}

/** When it began, and after what change or whether it goes on; of several incidents, when the first of them began. */
function beganWords({ rows, onset }: Snapshot): [Span[], Span[]] {
  if (onset === null) return [[], []];
  const incidents = rows.flatMap(({ explanation }) => explanation ?? []);
  const [only] = incidents;
  const after = rows.find(({ since }) => since === onset)?.explanation?.after ?? null;
  const several = incidents.length > 1;
  const words = [
    span(several ? `   ${incidents.length} incidents, first onset ` : '   onset ', 'dim'),
    span(clockSeconds(onset), 'bad'),
  ];
  if (after !== null) return [words, [span(`, ${after}`, 'warn')]];
  return [words, only && !several ? [ENDS[only.end](clockSeconds(only.last))] : []];
}

const ENDS: Readonly<Record<Explanation['end'], (last: string) => Span>> = {
  ongoing: () => span(', goes on', 'bad'),
  over: (last) => span(`, over since ${last}`, 'good'),
  stopped: (last) => span(`, none since ${last}`, 'warn'),
  unknown: (last) => span(`, last at ${last}`, 'warn'),
};

function tableLines(state: State, rows: readonly TableRow[], shown: number): Line[] {
  const { columns, homeCursor } = state;
  const table = tableColumns(state, rows);
  const { from, to } = windowOf(rows.length, homeCursor, shown);
  const lines: Line[] = [[span('  '), ...cells(table, null, columns - 3)]];
  rows.slice(from, to).forEach((row, i) => {
    const line = cells(table, row, columns - 3);
    lines.push(
      from + i === homeCursor
        ? highlight([span('> '), ...line], columns)
        : [
            span('  '),
            ...(row.explanation ? line : line.map((piece) => ({ ...piece, style: 'dim' as const }))),
          ],
    );
  });
  const hidden = [from > 0 ? `${from} above` : '', to < rows.length ? `${rows.length - to} more ↓` : ''];
  return [...lines, rule(columns, hidden.filter(Boolean).join(', '))];
}

/** From where it was decided to what the callers saw of it. */
const codeWords = ({ code, seenCode }: TableRow): string =>
  code === seenCode ? code : `${code}→${seenCode}`;

function untilWords({ explanation }: TableRow): string {
  if (!explanation) return '-';
  const last = clockSeconds(explanation.last);
  return { ongoing: 'goes on', over: last, stopped: `${last}?`, unknown: `${last}?` }[explanation.end];
}

const UNTIL_STYLES = { ongoing: 'bad', over: 'good', stopped: 'warn', unknown: 'warn' } as const;
const untilStyle = ({ explanation }: TableRow): StyleName =>
  explanation ? UNTIL_STYLES[explanation.end] : 'dim';

/** A title shorter than this says nothing. */
const LEAST_TITLE = 24;

function tableColumns({ columns, sort }: State, rows: readonly TableRow[]): Column<TableRow>[] {
  const head = (title: string, key: SortKey): string =>
    sort === key ? `${title}${key === 'since' || key === 'upstream' ? '↑' : '↓'}` : title;
  const wide = columns >= 100;
  const middle = columns >= 76;
  const of = (titled: boolean): Column<TableRow>[] => {
    const all: (Column<TableRow> | false)[] = [
      wide && {
        title: 'SEVERITY',
        width: 8,
        value: (row) => (row.explanation ? row.severity : '-'),
        style: (row) => severityStyle(row.severity),
      },
      {
        title: 'WHO',
        width: 8,
        snug: true,
        value: (row) => (row.explanation ? whoWords(row.who) : '-'),
        style: (row) => severityStyle(row.severity),
      },
      { title: 'FLAG', width: wide ? 10 : 6, snug: true, value: (row) => row.flag, style: () => 'strong' },
      { title: 'CODE', width: 7, snug: true, align: 'right', value: codeWords },
      {
        title: head('FAILED', 'failed'),
        width: wide ? 10 : 7,
        snug: true,
        align: 'right',
        value: (row) => thousands(row.failures),
        style: () => 'strong',
      },
      middle && {
        title: head('/s', 'rate'),
        width: 6,
        snug: true,
        align: 'right',
        value: (row) => rateCell(row.ratePerSecond),
      },
      {
        title: head('%', 'share'),
        width: 5,
        snug: true,
        align: 'right',
        value: (row) => shareCell(row.share),
      },
      {
        title: head('UPSTREAM', 'upstream'),
        width: titled ? 40 : null,
        snug: true,
        middle: true,
        value: (row) => row.upstream,
      },
      middle && {
        title: 'WHERE',
        width: wide ? 20 : 12,
        snug: true,
        middle: true,
        value: (row) => row.where,
      },
      { title: head('SINCE', 'since'), width: 8, value: (row) => clockSeconds(row.since) },
      wide && { title: 'UNTIL', width: 9, value: untilWords, style: untilStyle },
      titled && {
        title: 'WHAT',
        width: null,
        value: (row) => row.explanation?.title ?? 'in no incident',
        style: () => 'plain',
      },
    ];
    return snugColumns(
      all.filter((column) => column !== false),
      rows,
      columns - 3,
    );
  };
  const titled = wide ? of(true) : [];
  return restOf(titled, columns - 3) >= LEAST_TITLE && wide ? titled : of(false);
}

/**
 * The explanation in the room there is: title, evidence, against, confirm, fix, each with its first line; what is left
 * goes to more evidence first. The rest is one key away.
 */
function briefLines(
  explanation: Explanation,
  row: TableRow,
  drawn: readonly JourneyHop[],
  columns: number,
  room: number,
): Line[] {
  const { evidence, against, checked, next, fix, example } = explanation;
  const title = titleLines(explanation, columns, room >= 9 ? 2 : 1);
  const confirm = next[0];
  const facts = (label: string, list: readonly Fact[], style: StyleName): Line[] =>
    list.flatMap((fact, i) => labelled(i === 0 ? label : '', factWords(fact), columns, style, 3));
  const one = (label: string, text: string, style: StyleName, most: number): Line[] =>
    text === '' ? [] : labelled(label, text, columns, style, most);
  const command = confirm ? commandLines('confirm', confirm.command, columns, 3) : [];
  const others = explanation.alternatives
    .map(({ cause, confidence }) => `${cause} (${confidence})`)
    .join(', ');
  // In the order shown; `least` rows are kept of each, more come in turns as long as there is room.
  const blocks: Readonly<Record<BlockName, { readonly lines: readonly Line[]; readonly least?: number }>> = {
    title: { lines: title, least: title.length },
    fails: { lines: one('fails', failsWords(explanation, row), 'plain', 2) },
    since: { lines: one('since', sinceWords(explanation), 'plain', 2) },
    where: { lines: one('where', explanation.place, 'plain', 3) },
    what: { lines: one('what', explanation.summary, 'plain', 8) },
    // What the cluster says goes before what the lines suggest.
    evidence: {
      lines: [
        ...checked
          .slice(0, 1)
          .flatMap(({ effect, text }) => labelled('checked', `${effect} ${text}`, columns, 'plain', 3)),
        ...facts('evidence', evidence, 'plain'),
      ],
      least: 1,
    },
    against: {
      lines: against.length === 0 ? one('against', 'nothing', 'dim', 1) : facts('against', against, 'warn'),
      least: against.length > 0 || room >= 8 ? 1 : 0,
    },
    why: { lines: one('why', becauseWords(explanation), 'dim', 3) },
    // A command that is cut is worth nothing.
    confirm: { lines: command, least: room >= 6 ? command.length : 1 },
    purpose: { lines: confirm ? one('', `→ ${confirm.purpose}`, 'dim', 2) : [] },
    fix: {
      lines: fix.flatMap((text, i) => labelled(i === 0 ? 'fix' : '', text, columns, 'plain', 3)),
      least: room >= 6 + command.length ? 1 : 0,
    },
    else: { lines: one('or else', others, 'dim', 2) },
    widen: { lines: one('widen', widenWords(explanation), 'accent', 2) },
    example: { lines: example === null ? [] : one('example', exampleWords(example), 'dim', 2) },
  };
  const names = Object.keys(blocks) as BlockName[];
  const sizes = new Map(
    names.map((name) => [name, Math.min(blocks[name].least ?? 0, blocks[name].lines.length)]),
  );
  let used = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  const grow = (name: BlockName): boolean => {
    const size = sizes.get(name)!;
    if (used >= room || size >= blocks[name].lines.length) return false;
    sizes.set(name, size + 1);
    used++;
    return true;
  };
  // Where the callers saw another code than the row has, that is told early.
  const turns: readonly BlockName[] = row.seenCode === row.code ? TURNS : ['fails', ...TURNS];
  while (turns.map(grow).some(Boolean));
  // What is left on a large screen: the whole story.
  for (const name of ['why', 'what', 'example', 'else'] as const) {
    if (used + blocks[name].lines.length <= room) while (grow(name));
  }
  const shown = names
    .flatMap((name) => cutShort(blocks[name].lines, sizes.get(name)!))
    .slice(0, Math.max(0, room));
  const hidden = names.reduce((sum, name) => sum + blocks[name].lines.length, 0) - shown.length;
  const hops =
    sizes.get('example')! > 0 && shown.length + drawn.length <= room
      ? drawn.map((hop): Line => [span(' '.repeat(TEXT_AT)), ...hopLine(hop)])
      : [];
  return [...withRest(shown, hidden, columns), ...hops];
}

type BlockName =
  | 'title'
  | 'fails'
  | 'since'
  | 'where'
  | 'what'
  | 'evidence'
  | 'against'
  | 'why'
  | 'confirm'
  | 'purpose'
  | 'fix'
  | 'else'
  | 'widen'
  | 'example';

/** One more line each, in this order. */
const TURNS =
  'evidence since where evidence fails widen fix evidence evidence purpose against widen fix evidence fix'.split(
    ' ',
  ) as readonly BlockName[];

/** Says at the right of the first line with room for it how much more the whole explanation holds. */
function withRest(lines: readonly Line[], hidden: number, columns: number): Line[] {
  if (hidden <= 0) return [...lines];
  const word = [span('[e]', 'key'), span(` ${plural(hidden, 'more line')} `, 'dim')];
  const fits = lines.findIndex((line) => lineWidth(line) + lineWidth(word) < columns);
  const at = fits < 0 ? 0 : fits;
  return lines.map((line, i) => (i === at ? spread(line, word, columns) : line));
}

/** The first lines; a sign at the end of the last tells that there is more. */
function cutShort(lines: readonly Line[], size: number): readonly Line[] {
  if (size >= lines.length || size === 0) return lines.slice(0, size);
  const last = lines[size - 1]!;
  return [...lines.slice(0, size - 1), [...last, span(' …', 'dim')]];
}

function looseLines(row: TableRow, columns: number): Line[] {
  return labelled(
    'dismissed',
    `${plural(row.failures, 'line')} with ${row.flag} ${row.code} to ${row.upstream} belong to no incident; [d] says what was looked at`,
    columns,
    'dim',
    3,
  );
}

/** Nothing fails: say so in one line, then what was looked at and let go, then how much was seen of whom. */
function healthyLines(state: State, snapshot: Snapshot, rows: readonly TableRow[], height: number): Line[] {
  const { columns, window, filters } = state;
  const { requests, dismissed } = snapshot;
  const narrowed = window.last !== null || window.range !== null || filters.length > 0;
  const since = window.range?.[0] ?? (window.last === null ? snapshot.first : snapshot.now - window.last);
  const lines: Line[] = [
    [],
    requests === 0
      ? [span(' '), span('no request', 'warn')]
      : [
          span(' '),
          span('healthy', 'good'),
          span(`   no ${rows.length > 0 ? 'incident' : 'failures'} in ${plural(requests, 'request')}`),
          span(` since ${clockSeconds(since)}`),
        ],
  ];
  lines[1] = [...lines[1]!, span(narrowed ? ' among what is shown' : '', 'dim')];
  if (dismissed.length > 0) {
    const count = dismissed.reduce((sum, one) => sum + one.count, 0);
    const causes = dismissed.map(({ cause }) => cause).join(', ');
    const text = `${thousands(count)} dismissed after a look, [d] says why: ${causes}`;
    lines.push([span(` ${clip(text, columns - 2)}`, 'dim')]);
  }
  lines.push([]);
  const room = height - lines.length;
  if (rows.length === 0) return [...lines, ...trafficLines(snapshot, columns, room)];
  const shown = Math.min(rows.length, Math.max(1, Math.floor(room / 4)));
  const table = tableLines(state, rows, shown);
  return [...lines, ...table, ...trafficLines(snapshot, columns, room - table.length)];
}

/** How all fare, by upstream and by pod: those that fail first. */
function trafficLines({ upstreams, pods }: Snapshot, columns: number, height: number): Line[] {
  const lines: Line[] = [];
  // Both tables alike, so that their columns stand below each other.
  const names = [...upstreams, ...pods];
  const failing = names.some(({ failures }) => failures > 0);
  const show = (title: string, list: readonly Traffic[], count: number): void => {
    const width = Math.min(columns, MOST_TEXT) - 2;
    const table = snugColumns(trafficColumns(title, columns, failing), names, width);
    lines.push([span(' '), ...cells(table, null, width)]);
    for (const item of list.toSorted((a, b) => b.failures - a.failures).slice(0, count)) {
      lines.push([span(' '), ...cells(table, item, width)]);
    }
  };
  const room = Math.max(0, height - 3);
  const forUpstreams = Math.min(upstreams.length, Math.max(1, Math.ceil(room / 2), room - pods.length));
  const forPods = Math.min(pods.length, Math.max(0, room - forUpstreams));
  show('UPSTREAM', upstreams, forUpstreams);
  if (forPods > 0) {
    lines.push([]);
    show('POD', pods, forPods);
  }
  return lines.slice(0, Math.max(0, height));
}

function trafficColumns(title: string, columns: number, failing: boolean): Column<Traffic>[] {
  const all: (Column<Traffic> | false)[] = [
    { title, width: null, snug: true, middle: true, value: ({ name }) => shortName(name) },
    failing && {
      title: 'FAILED',
      width: 7,
      align: 'right',
      value: ({ failures }) => thousands(failures),
      style: ({ failures }) => (failures > 0 ? 'bad' : 'dim'),
    },
    { title: 'REQUESTS', width: 9, align: 'right', value: ({ requests }) => thousands(requests) },
    { title: '/s', width: 6, align: 'right', value: ({ ratePerSecond }) => rateCell(ratePerSecond) },
    { title: '4xx APP', width: 7, align: 'right', value: ({ app4xx }) => thousands(app4xx) },
    { title: 'MEDIAN', width: 9, align: 'right', value: ({ medianMs }) => milliseconds(medianMs) },
    columns >= 70 && {
      title: 'MAX',
      width: 9,
      align: 'right',
      value: ({ maxMs }) => milliseconds(maxMs),
    },
  ];
  return all.filter((column) => column !== false);
}
