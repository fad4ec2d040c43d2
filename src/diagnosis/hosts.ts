import type { Row } from '../aggregate/row.js';
import { groupBy, least, most } from './stats.js';
import { wasAnswered } from './traits.js';

/** The life of one upstream address as the callers' lines show it. */
export interface HostLife {
  readonly ip: string;
  readonly rows: readonly Row[];
  /** Starts of the first and last line that named it. */
  readonly first: number;
  readonly last: number;
  /** Start of the first and last line that it answered; infinite where it never did. */
  readonly firstAnswer: number;
  readonly lastAnswer: number;
}

/** Every address that a place's callers used, by first use. */
export function hostLives(rows: readonly Row[]): readonly HostLife[] {
  return [...groupBy(rows, (row) => row.upstreamIp)]
    .map(([ip, lines]) => {
      const answered = lines.filter(wasAnswered);
      return {
        ip,
        rows: lines,
        first: least(lines.map((row) => row.start)),
        last: most(lines.map((row) => row.start)),
        firstAnswer: least(answered.map((row) => row.start)),
        lastAnswer: most(answered.map((row) => row.start)),
      };
    })
    .toSorted((a, b) => a.first - b.first || (a.ip < b.ip ? -1 : 1));
}

/** How long after the beginning an address counts as new, and before the end as gone, as a share of the input. */
const MARGIN = 0.1;

export interface Turnover {
  /** Addresses that serve from the beginning and are not used towards the end. */
  readonly left: readonly HostLife[];
  /** Addresses that are first used later. */
  readonly arrived: readonly HostLife[];
  readonly stayed: readonly HostLife[];
}

/** Which addresses of a place left and which arrived; needs enough lines per address to tell silence from absence. */
export function turnover(rows: readonly Row[]): Turnover {
  const lives = hostLives(rows);
  const start = least(rows.map((row) => row.start));
  const end = most(rows.map((row) => row.start));
  const margin = (end - start) * MARGIN;
  const usual = rows.length / Math.max(1, lives.length);
  const enough = usual >= 4;
  const arrived = enough ? lives.filter((life) => life.first > start + margin) : [];
  const left = enough ? lives.filter((life) => life.last < end - margin && !arrived.includes(life)) : [];
  return { left, arrived, stayed: lives.filter((life) => !left.includes(life) && !arrived.includes(life)) };
}
