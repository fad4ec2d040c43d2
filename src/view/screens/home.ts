import { plural, thousands } from '../../diagnosis/words.js';
import { highlight, span, type Line } from '../frame.js';
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
  const roomy = height >= 12;
  const bars = height >= 32 ? 4 : height >= 26 ? 3 : height >= 19 ? 2 : 1;
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
  if (errorsOnly) {
    line.push(
      span(plural(failures, 'failure'), 'bad'),
      span('   the input holds failures only: no shares', 'warn'),
    );
  } else {
    const share = requests === 0 ? 0 : failures / requests;
    line.push(
      span(`failing ${shareCell(share)}%`, failures > 0 ? 'bad' : 'good'),
      span(`   ${thousands(failures)} of ${thousands(requests)} requests`, 'plain'),
    );
    for (const [code, count] of byCode.slice(0, state.columns >= 100 ? 5 : 2)) {
      line.push(span(`   ${code} `, 'dim'), span(`${shareCell(count / requests)}%`));
    }
  }
  if (onset !== null) line.push(span('   since ', 'dim'), span(clockSeconds(onset), 'bad'));
  if (snapshot.spec.now !== state.clock.now && state.clock.now !== null && !state.clock.playing)
    line.push(span('   explaining…', 'dim'));
  return line;
}

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
  const [fails, since] = [
    labelled('fails', failsWords(explanation), columns, 'plain', 1),
    labelled('since', sinceWords(explanation), columns, 'plain', 1),
  ];
  const against0: Line[] =
    against.length === 0
      ? labelled('against', 'nothing', columns, 'dim', 1)
      : against.flatMap((fact, i) => labelled(i === 0 ? 'against' : '', factWords(fact), columns, 'warn', 2));
  const evidence0 = evidence.flatMap((fact, i) =>
    labelled(i === 0 ? 'evidence' : '', factWords(fact), columns, 'plain', 2),
  );
  const confirm0 = confirm ? commandLines('confirm', confirm.command, columns, 3) : [];
  const expect0 = confirm ? labelled('', `→ ${confirm.purpose}`, columns, 'dim', 1) : [];
  const fix0 = fix.flatMap((text, i) => labelled(i === 0 ? 'fix' : '', text, columns, 'plain', 2));
  // Each block may grow; when space is short they are cut from their end, in this order of worth.
  const blocks: { lines: Line[]; least: number }[] = [
    { lines: title, least: title.length },
    { lines: fails, least: 0 },
    { lines: since, least: 0 },
    { lines: evidence0, least: 1 },
    { lines: against0, least: 1 },
    { lines: confirm0, least: 1 },
    { lines: expect0, least: 0 },
    { lines: fix0, least: 1 },
  ];
  const sizes = blocks.map(({ lines, least }) => Math.min(least, lines.length));
  // The command is worthless when cut, the evidence is what convinces.
  const order = [5, 3, 3, 3, 3, 2, 1, 7, 6, 4, 3, 3, 7, 4];
  let used = sizes.reduce((sum, size) => sum + size, 0);
  for (let grown = true; grown && used < room;) {
    grown = false;
    for (const index of order) {
      if (used < room && sizes[index]! < blocks[index]!.lines.length) {
        sizes[index]!++;
        used++;
        grown = true;
      }
    }
  }
  return blocks.flatMap(({ lines }, i) => lines.slice(0, sizes[i])).slice(0, Math.max(0, room));
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
