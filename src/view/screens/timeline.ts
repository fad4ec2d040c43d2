import { span, type Line, type Span, type StyleName } from '../frame.js';
import { clip } from '../cells.js';
import type { Marker } from '../live.js';
import { momentShown, selectedRow } from '../selection.js';
import type { Snapshot } from '../snapshot.js';
import type { State } from '../state.js';
import { clockSeconds } from '../words.js';

const EIGHTHS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;
const SCALES = [0.01, 0.05, 0.1, 0.25, 0.5, 1] as const;

/** The failing share by time as bars `height` rows high, their scale at the right, and below it the times and an onset. */
export function timelineLines(state: State, snapshot: Snapshot, height: number, axis: boolean): Line[] {
  const { timeline } = snapshot;
  const now = momentShown(state, snapshot);
  const cells = timeline.total.length;
  const shares = timeline.total.map((total, i) =>
    total === 0 ? 0 : (timeline.failed[i]! + timeline.masked[i]!) / total,
  );
  const top = SCALES.find((scale) => scale >= Math.max(...shares)) ?? 1;
  const some = shares.some((share) => share > 0);
  const width = (timeline.to - timeline.from) / cells;
  const nowCell = Math.floor((now - timeline.from) / width);
  const atEnd = state.clock.now === null;
  const lines: Line[] = [];
  for (let level = height - 1; level >= 0; level--) {
    const glyphs: Span[] = shares.map((share, i): Span => {
      const eighths = Math.max(share > 0 ? 2 : 0, Math.round((share / top) * height * 8));
      const glyph = glyphAt(eighths, level, timeline.total[i]! > 0);
      // What is still to come looks otherwise without colours too.
      if (!atEnd && i > nowCell)
        return { text: glyph === ' ' ? ' ' : share > 0 ? '░' : '·', style: 'future' };
      const style: StyleName = share === 0 ? 'dim' : timeline.failed[i]! > 0 ? 'bad' : 'warn';
      return { text: glyph, style };
    });
    const label = level === height - 1 && some ? `${String(100 * top)}%`.padStart(5) : '';
    lines.push([span(' '), ...joined(glyphs), span(label, 'dim')]);
  }
  if (axis)
    lines.push(
      axisLine(snapshot, onsetsOf(state, snapshot), cells, atEnd ? null : { cell: nowCell, time: now }),
      ...markerLines(snapshot, cells),
    );
  return lines;
}

function glyphAt(eighths: number, level: number, traffic: boolean): string {
  const here = eighths - level * 8;
  if (here >= 8) return '█';
  if (here >= 1) return EIGHTHS[here - 1]!;
  return level === 0 && traffic ? '▁' : ' ';
}

/** What happened, under the cells of its time: as many as can be read, the last ones first; of others only a sign. */
function markerLines({ timeline, markers }: Snapshot, cells: number): Line[] {
  const { from, to } = timeline;
  const shown = markers.filter(({ at }) => at >= from && at <= to);
  if (shown.length === 0) return [];
  const row = Array.from({ length: cells }, () => ' ');
  const free = (start: number, end: number): boolean =>
    start >= 0 && end <= cells && row.slice(start, end).every((sign) => sign === ' ');
  const put = (start: number, text: string): void => {
    for (const [i, sign] of [...text].entries()) row[start + i] = sign;
  };
  const cellOf = ({ at }: Marker): number =>
    Math.min(cells - 1, Math.floor(((at - from) / Math.max(to - from, 1)) * cells));
  for (const marker of shown) row[cellOf(marker)] = SIGN;
  for (const marker of shown.toReversed()) {
    const cell = cellOf(marker);
    const text = clip(marker.text, MOST_MARKER_CELLS).replace(WIDE, '?');
    if (free(cell + 1, cell + 1 + text.length)) put(cell + 1, text);
    else if (free(cell - text.length, cell)) put(cell - text.length, text);
  }
  return [[span(' '), span(row.join(''), 'warn')]];
}

const SIGN = '┆';
const MOST_MARKER_CELLS = 40;
const WIDE = /[^\u0020-\u2fff]/gu;

/** Neighbours of one style as one span. */
function joined(spans: readonly Span[]): Span[] {
  const result: Span[] = [];
  for (const piece of spans) {
    const last = result.at(-1);
    if (last?.style === piece.style) result[result.length - 1] = { ...last, text: last.text + piece.text };
    else result.push(piece);
  }
  return result;
}

interface Onsets {
  readonly selected: number | null;
  readonly others: readonly number[];
}

function onsetsOf(state: State, { rows, onset }: Snapshot): Onsets {
  const row = selectedRow(state);
  return {
    selected: row?.explanation ? row.explanation.onset : onset,
    others: rows.flatMap(({ key, explanation }) =>
      explanation && key !== row?.key && row?.explanation ? [explanation.onset] : [],
    ),
  };
}

/** First and last time at the ends; the onset and the moment shown under their cells, where there is room. */
function axisLine(
  snapshot: Snapshot,
  onsets: Onsets,
  cells: number,
  moment: { readonly cell: number; readonly time: number } | null,
): Line {
  const { timeline } = snapshot;
  const { from, to } = timeline;
  if (!Number.isFinite(from) || !Number.isFinite(to)) return [];
  const marks: { at: number; text: string; style: StyleName }[] = [];
  const place = (at: number, text: string, style: StyleName): void => {
    const start = Math.max(0, Math.min(at, cells - text.length));
    const end = start + text.length;
    if (marks.every((mark) => end < mark.at || start > mark.at + mark.text.length)) {
      marks.push({ at: start, text, style });
    }
  };
  if (moment && moment.cell >= 0 && moment.cell < cells) {
    const text = clockSeconds(moment.time);
    if (moment.cell + 1 + text.length <= cells) place(moment.cell, `↑${text}`, 'accent');
    else place(moment.cell - text.length, `${text}↑`, 'accent');
  }
  const cellOf = (onset: number): number =>
    Math.min(cells - 1, Math.floor(((onset - from) / (to - from)) * cells));
  const { selected, others } = onsets;
  if (selected !== null && selected >= from && selected <= to) {
    const cell = cellOf(selected);
    // Beside others it is told which of them this one is.
    const text = `${others.length > 0 ? 'selected: ' : ''}onset ${clockSeconds(selected)}`;
    if (cell + 1 + text.length <= cells) place(cell, `↑${text}`, 'bad');
    else place(cell - text.length, `${text}↑`, 'bad');
  }
  place(0, clockSeconds(from), 'dim');
  place(cells - 8, clockSeconds(to), 'dim');
  for (const onset of others) if (onset >= from && onset <= to) place(cellOf(onset), '↑', 'bad');
  const line: Span[] = [span(' ')];
  let at = 0;
  for (const mark of marks.toSorted((a, b) => a.at - b.at)) {
    line.push(span(' '.repeat(mark.at - at)), span(mark.text, mark.style));
    at = mark.at + mark.text.length;
  }
  return line;
}
