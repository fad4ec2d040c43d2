import { plural, span as duration, thousands } from '../../diagnosis/words.js';
import type { Fact } from '../../diagnosis/hypothesis.js';
import { highlight, lineWidth, span, type Line, type Span, type StyleName } from '../frame.js';
import type { Marker } from '../live.js';
import { selectedRow, sortedRows } from '../selection.js';
import type { Explanation, Snapshot, TableRow, Traffic } from '../snapshot.js';
import type { State } from '../state.js';
import { clockSeconds, factWords, milliseconds, rateCell, shareCell, shortName } from '../words.js';
import { cells, snugColumns, windowOf, type Column } from './columns.js';
import {
  commandLines,
  failsWords,
  labelled,
  severityStyle,
  sinceWords,
  titleLines,
  whoWords,
} from './content.js';
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
  const { failed, masked } = snapshot.timeline;
  // A flat line needs no height.
  const flat = ![...failed, ...masked].some((count) => count > 0);
  const bars = flat ? 1 : height >= 32 ? 4 : height >= 26 ? 3 : height >= 19 ? 2 : 1;
  const lines: Line[] = [failingLine(state, snapshot), ...timelineLines(snapshot, bars, roomy)];
  if (roomy) lines.push(rule(columns));
  const left = height - lines.length;
  const rows = sortedRows(snapshot, state.sort);
  if (rows.length === 0) return [...lines, ...healthyLines(state, snapshot, left)];
  // The explanation is why one looks: the table gets what it needs, but no more than its part.
  const most = Math.max(2, Math.floor((left - 2) * (roomy ? 0.4 : 0.34)));
  const shown = Math.min(rows.length, most);
  lines.push(...tableLines(state, rows, shown), rule(columns));
  const selected = selectedRow(state);
  const room = height - lines.length;
  if (selected?.explanation) lines.push(...briefLines(selected.explanation, columns, room));
  else if (selected) lines.push(...looseLines(selected, columns));
  return lines;
}

function failingLine(state: State, snapshot: Snapshot): Line {
  const { failures, requests, byCode, onset, errorsOnly } = snapshot;
  const line = [span(' ')];
  const change = onset === null ? undefined : changeBefore(snapshot.markers, onset);
  const codes: Line[] = [];
  if (errorsOnly) {
    line.push(
      span(plural(failures, 'failure'), 'bad'),
      span('   the input holds failures only: no shares', 'warn'),
    );
  } else {
    const share = requests === 0 ? 0 : failures / requests;
    line.push(
      span(`failing ${shareCell(share)}%`, failures > 0 ? 'bad' : 'good'),
      span(
        `   ${thousands(failures)} of ${thousands(requests)}${state.columns >= 100 || (state.columns >= 76 && !change) ? ' requests' : ''}`,
      ),
    );
    const hidden = snapshot.rows.reduce((sum, row) => sum + (row.explanation ? row.failures : 0), 0);
    if (failures === 0 && hidden > 0)
      line.push(span(`   ${thousands(hidden)} failed attempts behind them`, 'warn'));
    codes.push(
      ...byCode
        .slice(0, state.columns >= 100 ? 5 : state.columns >= 76 ? 2 : 1)
        .map(([code, count]): Line => [span(`   ${code} `, 'dim'), span(`${shareCell(count / requests)}%`)]),
    );
  }
  const began: Span[] = [];
  if (onset !== null) {
    began.push(span('   since ', 'dim'), span(clockSeconds(onset), 'bad'));
    if (change) began.push(span(`, ${duration(onset - change.at)} after ${change.text}`, 'warn'));
  }
  // When it began is worth more than by which codes.
  const room = (): number => state.columns - lineWidth([...line, ...codes.flat(), ...began]);
  while (codes.length > 0 && room() < 0) codes.pop();
  line.push(...codes.flat(), ...began);
  if (snapshot.spec.now !== state.clock.now && state.clock.now !== null && !state.clock.playing)
    line.push(span('   explaining…', 'dim'));
  return line;
}

/** A change this long before the onset may have begun it. */
const MAY_CAUSE_MS = 600_000;

const changeBefore = (markers: readonly Marker[], onset: number): Marker | undefined =>
  markers.findLast(({ at }) => at <= onset && onset - at <= MAY_CAUSE_MS);

function tableLines(state: State, rows: readonly TableRow[], shown: number): Line[] {
  const { columns, homeCursor } = state;
  const table = snugColumns(tableColumns(columns), rows);
  const { from, to } = windowOf(rows.length, homeCursor, shown);
  const hidden = rows.length - (to - from);
  const head = cells(table, null, columns - 3);
  const lines: Line[] = [[span('  '), ...head, ...(hidden > 0 ? [span(` +${hidden}`, 'warn')] : [])]];
  rows.slice(from, to).forEach((row, i) => {
    const line = cells(table, row, columns - 3);
    lines.push(
      from + i === homeCursor
        ? highlight([span('> '), ...line], columns, 'selected')
        : [
            span('  '),
            ...(row.explanation ? line : line.map((piece) => ({ ...piece, style: 'dim' as const }))),
          ],
    );
  });
  return lines;
}

function tableColumns(columns: number): Column<TableRow>[] {
  const wide = columns >= 100;
  const middle = columns >= 76;
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
    { title: 'CODE', width: 4, align: 'right', value: (row) => row.code },
    {
      title: 'FAILED',
      width: wide ? 10 : 7,
      snug: true,
      align: 'right',
      value: (row) => thousands(row.failures),
      style: () => 'strong',
    },
    middle && {
      title: '/s',
      width: 6,
      snug: true,
      align: 'right',
      value: (row) => rateCell(row.ratePerSecond),
    },
    { title: '%', width: 5, snug: true, align: 'right', value: (row) => shareCell(row.share) },
    { title: 'UPSTREAM', width: null, middle: true, value: (row) => row.upstream },
    middle && { title: 'WHERE', width: wide ? 20 : 12, snug: true, value: (row) => row.where },
    { title: 'SINCE', width: 8, value: (row) => clockSeconds(row.since) },
  ];
  return all.filter((column) => column !== false);
}

/**
 * The explanation in the room there is: title, evidence, against, confirm, fix, each with its first line; what is left
 * goes to more evidence first. The rest is one key away.
 */
function briefLines(explanation: Explanation, columns: number, room: number): Line[] {
  const { evidence, against, next, fix } = explanation;
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
  // In the order shown; `least` rows are kept of each, more come by `order` as long as there is room.
  const blocks: readonly { readonly lines: readonly Line[]; readonly least: number }[] = [
    { lines: title, least: title.length },
    { lines: one('fails', failsWords(explanation), 'plain', 2), least: 0 },
    { lines: one('since', sinceWords(explanation), 'plain', 2), least: 0 },
    { lines: one('where', explanation.place, 'plain', 3), least: 0 },
    { lines: one('what', explanation.summary, 'plain', 8), least: 0 },
    { lines: facts('evidence', evidence, 'plain'), least: 1 },
    {
      lines: against.length === 0 ? one('against', 'nothing', 'dim', 1) : facts('against', against, 'warn'),
      least: 1,
    },
    { lines: one(explanation.confidence, `because ${explanation.why}`, 'dim', 3), least: 0 },
    // A command that is cut is worth nothing.
    { lines: command, least: room >= 6 ? command.length : 1 },
    { lines: confirm ? one('', `→ ${confirm.purpose}`, 'dim', 2) : [], least: 0 },
    {
      lines: fix.flatMap((text, i) => labelled(i === 0 ? 'fix' : '', text, columns, 'plain', 3)),
      least: room >= 6 + command.length ? 1 : 0,
    },
    { lines: one('else', others, 'dim', 2), least: 0 },
  ];
  const order = [5, 5, 2, 1, 10, 5, 5, 9, 6, 3, 10, 5, 10];
  const sizes = blocks.map(({ lines, least }) => Math.min(least, lines.length));
  let used = sizes.reduce((sum, size) => sum + size, 0);
  const grow = (index: number): boolean => {
    if (used >= room || sizes[index]! >= blocks[index]!.lines.length) return false;
    sizes[index]!++;
    used++;
    return true;
  };
  while (order.map(grow).some(Boolean));
  // What is left on a large screen: the whole story.
  for (const index of [7, 4, 11]) if (used + blocks[index]!.lines.length <= room) while (grow(index));
  return blocks.flatMap(({ lines }, i) => cutShort(lines, sizes[i]!)).slice(0, Math.max(0, room));
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

/** Nothing fails: say so in one line, then how much was seen of whom. */
function healthyLines(state: State, snapshot: Snapshot, height: number): Line[] {
  const { columns, window, filters } = state;
  const { requests, upstreams, pods, dismissed } = snapshot;
  const narrowed = window.last !== null || window.range !== null || filters.length > 0;
  const since = window.range?.[0] ?? (window.last === null ? snapshot.first : snapshot.now - window.last);
  const counted = requests === 0 ? 'no request' : `no failures in ${plural(requests, 'request')}`;
  const lines: Line[] = [
    [],
    [
      span(' '),
      span(requests === 0 ? counted : 'healthy', requests === 0 ? 'warn' : 'good'),
      span(requests === 0 ? '' : `   ${counted} since ${clockSeconds(since)}`),
      span(narrowed ? ' among what is shown' : '', 'dim'),
    ],
  ];
  if (dismissed.length > 0) {
    const count = dismissed.reduce((sum, one) => sum + one.count, 0);
    lines.push([
      span(
        ` dismissed after a look: ${thousands(count)} (${dismissed
          .map(({ cause }) => cause)
          .slice(0, 2)
          .join(', ')}${dismissed.length > 2 ? '…' : ''})  [d] says why`,
        'dim',
      ),
    ]);
  }
  lines.push([]);
  const room = Math.max(0, height - lines.length - 3);
  const forUpstreams = Math.min(upstreams.length, Math.max(1, Math.ceil(room / 2)));
  const forPods = Math.min(pods.length, Math.max(0, room - forUpstreams));
  const show = (title: string, list: readonly Traffic[], count: number): void => {
    const table = trafficColumns(title, columns);
    lines.push([span(' '), ...cells(table, null, columns - 2)]);
    for (const item of list.slice(0, count)) lines.push([span(' '), ...cells(table, item, columns - 2)]);
  };
  show('UPSTREAM', upstreams, forUpstreams);
  if (forPods > 0) {
    lines.push([]);
    show('POD', pods, forPods);
  }
  return lines;
}

function trafficColumns(title: string, columns: number): Column<Traffic>[] {
  return [
    { title, width: null, middle: true, value: ({ name }) => shortName(name) },
    { title: 'REQUESTS', width: 9, align: 'right', value: ({ requests }) => thousands(requests) },
    { title: '/s', width: 6, align: 'right', value: ({ ratePerSecond }) => rateCell(ratePerSecond) },
    { title: '4xx APP', width: 7, align: 'right', value: ({ app4xx }) => thousands(app4xx) },
    { title: 'MEDIAN', width: 9, align: 'right', value: ({ medianMs }) => milliseconds(medianMs) },
    ...(columns >= 70
      ? [
          {
            title: 'MAX',
            width: 9,
            align: 'right' as const,
            value: ({ maxMs }: Traffic) => milliseconds(maxMs),
          },
        ]
      : []),
  ];
}
