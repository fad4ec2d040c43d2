import { groupKeyText } from '../aggregate/group-key.js';
import type { GroupSnapshot } from '../aggregate/groups.js';
import type { Row } from '../aggregate/row.js';
import { perScene } from './per-scene.js';
import type { Scene } from './scene.js';
import { least, most } from './stats.js';

/** First and last start of some failing lines, ms since the Unix epoch. */
export interface FailingSpan {
  readonly first: number;
  readonly last: number;
}

/** Of a sample the next one is hardly ever farther away than so many lie apart: by chance once in 2 to that power. */
const FARTHEST = 16;

/**
 * When failing lines began. Of a sample the first one that was kept is seldom the first that there was, but their groups
 * counted each: their extent is that of the lines where nearly all that was kept of a group is among them, and where it reaches no
 * farther than chance leaves lines out (a lone one long before is another story).
 */
export function failingSpan(scene: Scene, rows: readonly Row[]): FailingSpan {
  const starts = rows.map((row) => row.start);
  let first = least(starts);
  let last = most(starts);
  // The groups know the proxies' own clocks only.
  if (rows.every(({ weight }) => weight === 1) || scene.clocks.skewed.length > 0) return { first, last };
  const inOrder = starts.filter(Number.isFinite).toSorted((a, b) => a - b);
  const apart = Math.min(FARTHEST, inOrder.length - 1);
  const earliest = first - ((inOrder[apart] ?? first) - first);
  const latest = last + (last - (inOrder.at(-1 - apart) ?? last));
  for (const group of wholeGroups(scene, rows)) {
    if (group.first >= earliest) first = Math.min(first, group.first);
    if (group.last <= latest) last = Math.max(last, group.last);
  }
  return { first, last };
}

/** The groups of which these are all lines, but for strays. */
function wholeGroups(scene: Scene, rows: readonly Row[]): readonly GroupSnapshot[] {
  return [...linesByGroup(rows)].flatMap(([key, lines]) => {
    const { group, lines: all } = failingGroups(scene).get(key) ?? {};
    return group && lines >= MOST * all! ? [group] : [];
  });
}

const MOST = 0.95;

function linesByGroup(rows: Iterable<Row>): Map<string, number> {
  const lines = new Map<string, number>();
  for (const { failure, groupKey, weight } of rows)
    if (failure) lines.set(groupKey, (lines.get(groupKey) ?? 0) + weight);
  return lines;
}

/** Each failure group by its key, as rows name it, with how many lines those that are kept of it stand for. */
export const failingGroups = perScene(
  (scene): ReadonlyMap<string, { readonly group: GroupSnapshot; readonly lines: number }> => {
    const lines = linesByGroup(scene.rowsOf(({ failure }) => failure));
    return new Map(
      scene.groups.map((group) => {
        const key = groupKeyText(group);
        return [key, { group, lines: lines.get(key) ?? 0 }];
      }),
    );
  },
);
