import { clock, span as duration, thousands } from '../../diagnosis/words.js';
import { clip } from '../cells.js';
import { span, type Line, type StyleName } from '../frame.js';
import type { LiveStream } from '../live.js';
import { streamRows, type StreamRow } from '../stream-rows.js';
import type { Pane, State } from '../state.js';
import { clockSeconds, shortName } from '../words.js';
import { cells, windowOf, type Column } from './columns.js';
import { labelled } from './content.js';
import { listed } from './lists.js';

/** What was read of each log, and of a live one how it stands; below it what is known of the selected one. */
export function streamsLines(state: State, pane: Extract<Pane, { kind: 'streams' }>, height: number): Line[] {
  const { columns } = state;
  const rows = streamRows(state);
  if (rows.length === 0) return [[span(' no stream yet…', 'dim')]];
  const table = state.source.live ? liveColumns(columns) : fileColumns(columns);
  const about = aboutLines(state, rows[Math.min(pane.cursor, rows.length - 1)]!);
  const room = Math.max(1, height - 1 - Math.min(about.length, Math.floor(height / 2)));
  const { from, to } = windowOf(rows.length, pane.cursor, room);
  return [
    [span('  '), ...cells(table, null, columns - 3)],
    ...listed(
      rows.slice(from, to).map((row) => cells(table, row, columns - 3)),
      pane.cursor - from,
      columns,
    ),
    ...about,
  ];
}

const count = (title: string, width: number, of: (row: StreamRow) => number, alarm: StyleName) =>
  ({
    title,
    width,
    align: 'right',
    value: (row) => (row.read ? thousands(of(row)) : '-'),
    style: (row) => (of(row) > 0 ? alarm : 'dim'),
  }) satisfies Column<StreamRow>;

const POD: Column<StreamRow> = {
  title: 'POD',
  width: null,
  middle: true,
  value: ({ name }) => shortName(name),
};
const ROLE: Column<StreamRow> = { title: 'ROLE', width: 8, value: ({ read }) => read?.role ?? '-' };
const RECORDS = count('RECORDS', 9, ({ read }) => read?.records ?? 0, 'plain');
const UNREAD = count('UNREAD', 6, ({ read }) => read?.malformed ?? 0, 'warn');
const FAILED = count('FAILED', 7, ({ read }) => read?.failures ?? 0, 'bad');
const LAST: Column<StreamRow> = {
  title: 'LAST',
  width: 8,
  value: ({ read }) => (read ? clockSeconds(read.last) : '-'),
};

function fileColumns(columns: number): Column<StreamRow>[] {
  const all: (Column<StreamRow> | false)[] = [
    POD,
    columns >= 100 && ROLE,
    columns >= 100 && { title: 'FORMAT', width: 16, value: ({ read }) => read?.format ?? '-' },
    RECORDS,
    count('OF LINES', 9, ({ read }) => read?.lines ?? 0, 'plain'),
    UNREAD,
    FAILED,
    columns >= 80 && {
      title: 'FIRST',
      width: 8,
      value: ({ read }) => (read ? clockSeconds(read.first) : '-'),
    },
    columns >= 80 && LAST,
  ];
  return all.filter((column) => column !== false);
}

const STATE_WORDS: Readonly<Record<LiveStream['state'], string>> = {
  opening: 'opening',
  history: 'catching up',
  following: 'following',
  lost: 'LOST',
  ended: 'ended',
};
const STATE_STYLES: Readonly<Record<LiveStream['state'], StyleName>> = {
  opening: 'accent',
  history: 'accent',
  following: 'good',
  lost: 'bad',
  ended: 'dim',
};

function liveColumns(columns: number): Column<StreamRow>[] {
  const all: (Column<StreamRow> | false)[] = [
    POD,
    {
      title: 'STATE',
      width: 11,
      value: ({ live }) => (live ? STATE_WORDS[live.state] : '-'),
      style: ({ live }) => (live ? STATE_STYLES[live.state] : 'dim'),
    },
    {
      title: 'LAG',
      width: 6,
      align: 'right',
      value: ({ live }) =>
        live?.lagMs === null || live?.lagMs === undefined ? '-' : `${(live.lagMs / 1000).toFixed(1)}s`,
    },
    columns >= 80 && {
      title: 'SINCE',
      width: 8,
      value: ({ live }) => (live?.coveredSince ? clockSeconds(live.coveredSince) : '-'),
    },
    {
      title: 'GAPS',
      width: 4,
      align: 'right',
      value: ({ live }) => (live ? String(live.gaps.length) : '-'),
      style: ({ live }) => (live && live.gaps.length > 0 ? 'warn' : 'dim'),
    },
    columns >= 100 && ROLE,
    columns >= 80 && RECORDS,
    UNREAD,
    FAILED,
    columns >= 100 && LAST,
  ];
  return all.filter((column) => column !== false);
}

/** What a row has no room for. */
function aboutLines({ source, reading, columns }: State, row: StreamRow): Line[] {
  const lines: Line[] = [];
  const say = (label: string, text: string, style: StyleName = 'plain'): void => {
    lines.push(...labelled(label, text, columns, style, 2));
  };
  const { live } = row;
  if (live) {
    say(
      STATE_WORDS[live.state],
      `${live.namespace}/${live.pod} container ${live.container}, since ${clock(live.stateSince)}${live.reason === '' ? '' : `: ${live.reason}`}`,
      live.state === 'lost' ? 'warn' : 'plain',
    );
    for (const { from, to, reason } of live.gaps) {
      const end = to === null ? 'now' : `${clock(to)}, ${duration(to - from)}`;
      say('gap', `${clock(from)} to ${end}: ${reason}`, 'warn');
    }
  }
  if (source.live?.phase === 'streaming') {
    const { since, limits } = source.live;
    say('since', `${clock(since.at)}${since.reason === '' ? '' : `; ${since.reason}`}`, 'dim');
    for (const limit of limits) say('unknown', limit, 'warn');
  }
  for (const { name, reason } of reading.failed) {
    say('lost', `${clip(shortName(name), 40)}: ${reason}`, 'bad');
  }
  return lines.length > 0 ? [[], ...lines] : [];
}
