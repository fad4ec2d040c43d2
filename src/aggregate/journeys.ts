import type { JoinedBy, Joins } from './joins.js';
import type { Row } from './row.js';

/** One line of a journey, with the lines below it. */
export interface Span {
  readonly row: Row;
  /** 0 for the outermost. */
  readonly depth: number;
  /** What joined it to the line above; `null` for an outermost one. */
  readonly joinedBy: JoinedBy | null;
  readonly children: readonly Span[];
  /** Which attempt of the line above it was, where there were several; from 1. */
  readonly attempt: { readonly n: number; readonly of: number } | null;
  /** Of its duration, what no line below accounts for, ms. */
  readonly ownMs: number;
}

/** A request through every proxy that logged it. */
export interface Journey {
  /** Outermost lines first; several where lines between them are missing. */
  readonly roots: readonly Span[];
  /** All lines, each before those below it. */
  readonly spans: readonly Span[];
  /** Lines that belong to it and are not shown. */
  readonly leftOut: number;
  /** ms since the epoch, by the time the proxies agree on. */
  readonly start: number;
  readonly end: number;
}

/** More lines than these nobody looks through. */
export const MOST_SPANS = 200;

/** The journey that some lines are part of, from the outermost lines above them. */
export function journeyOf(rows: readonly Row[], joins: Joins): Journey {
  const roots = [...new Set(rows.map((row) => joins.rootOf(row)))].toSorted(byStart);
  const room = { left: MOST_SPANS, leftOut: 0 };
  const tops = roots.flatMap((row) => topOf(row, joins, room) ?? []);
  const spans = tops.flatMap(flat);
  return {
    roots: tops,
    spans,
    leftOut: room.leftOut,
    start: Math.min(...spans.map(({ row }) => row.start)),
    end: Math.max(...spans.map(({ row }) => row.end)),
  };
}

/** An outermost line, below the connection that brought it where ztunnel logged one. */
function topOf(row: Row, joins: Joins, room: { left: number; leftOut: number }): Span | null {
  const carrier = joins.carrier(row);
  if (!carrier) return spanOf(row, 0, null, null, joins, room);
  const below = spanOf(row, 1, 'tunnel', null, joins, room);
  return (
    below && {
      row: carrier,
      depth: 0,
      joinedBy: null,
      children: [below],
      attempt: null,
      ownMs: ownTime(carrier, [row]),
    }
  );
}

function spanOf(
  row: Row,
  depth: number,
  joinedBy: JoinedBy | null,
  attempt: Span['attempt'],
  joins: Joins,
  room: { left: number; leftOut: number },
): Span | null {
  if (room.left === 0) {
    room.leftOut++;
    return null;
  }
  room.left--;
  const below = joins.children(row).toSorted(byStart);
  const attempts = row.direction === 'inbound' ? [] : below.filter((child) => child.direction === 'inbound');
  const children = below.flatMap((child) => {
    const n = attempts.indexOf(child) + 1;
    const of = attempts.length;
    return (
      spanOf(
        child,
        depth + 1,
        joins.joinedBy(child) ?? null,
        n > 0 && of > 1 ? { n, of } : null,
        joins,
        room,
      ) ?? []
    );
  });
  return { row, depth, joinedBy, children, attempt, ownMs: ownTime(row, below) };
}

const flat = (span: Span): readonly Span[] => [span, ...span.children.flatMap(flat)];

const byStart = (a: Row, b: Row): number => a.start - b.start || a.end - b.end;

/** A line's duration without the time in which one below it ran; those may overlap. */
function ownTime(row: Row, below: readonly Row[]): number {
  let covered = 0;
  let until = row.start;
  for (const child of below) {
    const from = Math.max(until, child.start);
    const to = Math.min(row.end, child.end);
    if (to > from) covered += to - from;
    until = Math.max(until, to);
  }
  return Math.max(0, Math.round(row.duration - covered));
}
