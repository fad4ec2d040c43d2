import { plural } from '../../diagnosis/words.js';
import { fit, widthOf, wrapCells } from '../cells.js';
import { highlight, span, type Line } from '../frame.js';
import type { JourneyHop } from '../snapshot.js';
import { isAwaited } from '../type-ahead.js';
import type { Pane, State } from '../state.js';
import { windowOf } from './columns.js';
import { labelled } from './content.js';

/** One request hop by hop, and below it what its lines say. */
export function journeyLines(state: State, pane: Extract<Pane, { kind: 'journey' }>, height: number): Line[] {
  const { columns, snapshot } = state;
  const data = snapshot?.pane;
  if (data?.kind !== 'journey') {
    const what = 'row' in pane.of ? 'such failure' : 'line of that request';
    const text = isAwaited(state) ? 'following the request…' : `No ${what} at this moment.`;
    return [[span(` ${text}`, 'dim')]];
  }
  const { hops, findings, requestId, leftOut } = data;
  const head: Line[] = [
    ...wrapCells(data.what, columns - 2, 2).map((text): Line => [span(` ${text}`, 'strong')]),
    ...wrapCells(`${data.when}${requestId === null ? '' : `, id ${requestId}`}`, columns - 2, 2).map(
      (text): Line => [span(` ${text}`, 'dim')],
    ),
    ...(height >= 14 ? [[]] : []),
    [span('  '), ...headings(hops)],
  ];
  const items: readonly (readonly Line[])[] = [
    ...hops.map((hop, i) => listedItem([[span(' '), ...hopLine(hop)]], i === pane.cursor, columns)),
    ...findings.map(({ label, text }, i) =>
      listedItem(labelled(label, text, columns - 1), hops.length + i === pane.cursor, columns),
    ),
  ];
  const more: Line[] =
    leftOut > 0 ? [[span(`  and ${plural(leftOut, 'line')} more, which are not shown`, 'dim')]] : [];
  const gap: Line[] = [...more, ...(height >= 14 ? [[]] : [])];
  // Of the hop under the cursor: all of them would bury what they say together.
  const saw = hops[pane.cursor]?.saw ?? '';
  const lines = [
    ...items.slice(0, hops.length).flat(),
    ...gap,
    ...items.slice(hops.length).flat(),
    ...(saw === '' ? [] : listedItem(labelled('saw', saw, columns - 1, 'dim'), false, columns)),
  ];
  const at =
    items.slice(0, pane.cursor).reduce((sum, item) => sum + item.length, 0) +
    (pane.cursor >= hops.length ? gap.length : 0);
  const room = Math.max(1, height - head.length);
  const { from, to } = windowOf(lines.length, at, room);
  const shown = lines.slice(from, to);
  // The last row tells that there is more, unless the cursor stands on it.
  if (to < lines.length && at < to - 1) {
    shown[shown.length - 1] = [span(`  … ${plural(lines.length - to + 1, 'more line')}, ↓`, 'dim')];
  }
  return [...head, ...shown];
}

function headings(hops: readonly JourneyHop[]): Line {
  const [first] = hops;
  if (!first) return [];
  const who = 'PROXY: out calls, in serves, * decided';
  const short = 'PROXY (* decided)';
  const width = widthOf(first.who);
  return [
    span(fit(who.length <= width ? who : short, width), 'dim'),
    span(`  ${fit('REPLY', widthOf(first.reply))}  ${fit('TOOK', widthOf(first.took), 'right')}`, 'dim'),
    span('  WHEN', 'dim'),
  ];
}

/** One line of it: who, what came of it, how long it took and when. */
export function hopLine({ who, reply, took, bar, failure, decided }: JourneyHop): Line {
  return [
    span(who, decided ? 'strong' : 'plain'),
    span('  '),
    span(reply, failure ? 'bad' : 'good'),
    span(`  ${took}  `),
    // Thinner than on paper: beside colours a row of blocks would weigh too much.
    span(bar.replaceAll('█', '━'), decided ? 'bad' : 'accent'),
  ];
}

function listedItem(lines: readonly Line[], selected: boolean, columns: number): readonly Line[] {
  return lines.map((line, i) =>
    selected ? highlight([span(i === 0 ? '>' : ' '), ...line], columns) : [span(' '), ...line],
  );
}
