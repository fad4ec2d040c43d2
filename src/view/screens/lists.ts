import { clock, plural, thousands } from '../../diagnosis/words.js';
import { cellText, wrapCells } from '../cells.js';
import { highlight, span, type Line } from '../frame.js';
import { VIEW_DIMENSIONS, type LineItem, type Snapshot, type ViewDimension } from '../snapshot.js';
import type { Pane, State } from '../state.js';
import { failing, milliseconds, shareCell, shortName } from '../words.js';
import { cells, windowOf, type Column } from './columns.js';
import { countWords } from './content.js';

const BAR = 12;
const NOUNS: Readonly<Record<ViewDimension, readonly [one: string, many?: string]>> = {
  pod: ['pod'],
  host: ['upstream host'],
  caller: ['caller'],
  path: ['path'],
  method: ['method'],
  authority: ['authority', 'authorities'],
  route: ['route'],
  agent: ['user agent'],
};

/** Marks the row under the cursor: a sign, and the whole row turned. */
export function listed(lines: readonly Line[], selected: number, columns: number): Line[] {
  return lines.map((line, i) =>
    i === selected ? highlight([span('> '), ...line], columns) : [span('  '), ...line],
  );
}

export function valuesLines(state: State, pane: Extract<Pane, { kind: 'values' }>, height: number): Line[] {
  const { columns, snapshot } = state;
  const tabs: Line = [
    span(' by '),
    ...VIEW_DIMENSIONS.flatMap((dimension) => [
      span(
        dimension === pane.dimension ? `[${dimension}]` : ` ${dimension} `,
        dimension === pane.dimension ? 'key' : 'dim',
      ),
    ]),
  ];
  const data = snapshot?.pane;
  if (data?.kind !== 'values' || data.dimension !== pane.dimension)
    return [tabs, [], [span(' counting…', 'dim')]];
  const most = Math.max(1, ...data.values.map(({ failures }) => failures));
  type Value = (typeof data.values)[number];
  const share = ({ failures, requests }: Value): number =>
    requests === 0 ? 0 : failures / Math.max(requests, failures);
  const table: Column<Value>[] = [
    {
      title: pane.dimension.toUpperCase(),
      width: null,
      middle: true,
      value: ({ value, name }) =>
        pane.dimension === 'pod' ? shortName(value) : name === undefined ? value : `${name} ${value}`,
    },
    {
      title: 'FAILED',
      width: 8,
      align: 'right',
      value: ({ failures }) => thousands(failures),
      style: ({ failures }) => (failures > 0 ? 'bad' : 'dim'),
    },
    { title: 'OF', width: 9, align: 'right', value: ({ requests }) => thousands(requests) },
    { title: '%', width: 5, align: 'right', value: (value) => shareCell(share(value)) },
    {
      title: '',
      width: BAR,
      value: ({ failures }) => '█'.repeat(Math.ceil((failures / most) * (BAR - 1))),
      style: () => 'bad',
    },
  ];
  const shown = Math.max(1, height - 4);
  const { from, to } = windowOf(data.values.length, pane.cursor, shown);
  return [
    tabs,
    [],
    [span('  '), ...cells(table, null, columns - 3)],
    ...listed(
      data.values.slice(from, to).map((value) => cells(table, value, columns - 3)),
      pane.cursor - from,
      columns,
    ),
    [
      span(
        `  ${plural(data.values.length, ...NOUNS[pane.dimension])}; ${countWords(data.failures, data.requests)} lines failed (${failing(data.failures, data.requests)})`,
        'dim',
      ),
    ],
  ];
}

export function linesLines(state: State, pane: Extract<Pane, { kind: 'lines' }>, height: number): Line[] {
  const { columns, snapshot } = state;
  const data = snapshot?.pane;
  if (data?.kind !== 'lines') return [[span(' looking…', 'dim')]];
  const cursor = pane.cursor < 0 ? data.total - 1 : pane.cursor;
  const shown = Math.max(1, height - 2);
  const { from, to } = windowOf(data.total, cursor, shown);
  const items = data.lines.slice(Math.max(0, from - data.from), Math.max(0, to - data.from));
  const first = Math.max(from, data.from);
  const table = lineColumns(columns);
  const lines = items.map((item): Line =>
    pane.raw
      ? [span(cellText(item.text.slice(0, 4 * columns)), item.failure ? 'plain' : 'dim')]
      : cells(table, item, columns - 3),
  );
  return [
    pane.raw ? [span('  as logged', 'dim')] : [span('  '), ...cells(table, null, columns - 3)],
    ...listed(lines, cursor - first, columns),
    ...(items.length === 0 ? [[span(data.total === 0 ? '  none' : '  looking…', 'dim')]] : []),
    [span(`  line ${thousands(Math.min(cursor + 1, data.total))} of ${thousands(data.total)}`, 'dim')],
  ];
}

function lineColumns(columns: number): Column<LineItem>[] {
  const wide = columns >= 110;
  const all: (Column<LineItem> | false)[] = [
    {
      title: 'BEGUN',
      width: 12,
      value: ({ time }) => clock(time),
      style: ({ failure }) => (failure ? 'plain' : 'dim'),
    },
    {
      title: 'CODE',
      width: 4,
      align: 'right',
      value: ({ code }) => (code === null ? '-' : String(code)),
      style: ({ failure }) => (failure ? 'bad' : 'good'),
    },
    { title: 'FLAG', width: 7, value: ({ flags }) => flags, style: () => 'strong' },
    { title: 'TOOK', width: 9, align: 'right', value: ({ durationMs }) => milliseconds(durationMs) },
    { title: 'REQUEST', width: null, value: ({ method, path }) => `${method} ${path}` },
    columns >= 80 && { title: 'UPSTREAM HOST', width: wide ? 21 : 18, value: ({ host }) => host },
    wide && {
      title: 'DETAILS',
      width: Math.floor((columns - 66) / 2),
      value: ({ details }) => details,
      style: () => 'dim',
    },
    columns >= 150 && {
      title: 'POD',
      width: 30,
      middle: true,
      value: ({ pod }) => shortName(pod),
      style: () => 'dim',
    },
  ];
  return all.filter((column) => column !== false);
}

export function dismissedLines(
  state: State,
  pane: Extract<Pane, { kind: 'dismissed' }>,
  height: number,
): Line[] {
  const { columns, snapshot } = state;
  const list: Snapshot['dismissed'] = snapshot?.dismissed ?? [];
  if (list.length === 0) return [[], [span(' Nothing was dismissed: all failures are shown.', 'dim')]];
  const lines: Line[] = [];
  list.forEach(({ cause, title, count, why }, i) => {
    const head: Line = [
      span(thousands(count).padStart(8), 'strong'),
      span(`  ${title}`),
      span(`  ${cause}`, 'dim'),
    ];
    lines.push(i === pane.cursor ? highlight([span('> '), ...head], columns) : [span('  '), ...head]);
    for (const line of wrapCells(why, columns - 14)) lines.push([span(' '.repeat(12)), span(line, 'dim')]);
  });
  const at = lines.findIndex((line) => line[0]?.text.startsWith('> '));
  const { from, to } = windowOf(lines.length, Math.max(0, at), height);
  return lines.slice(from, to);
}
