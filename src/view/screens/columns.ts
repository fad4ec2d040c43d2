import { cellText, clip, clipMiddle, fit, widthOf } from '../cells.js';
import { span, type Line, type StyleName } from '../frame.js';

export interface Column<T> {
  readonly title: string;
  /** Cells at most; `null`: what is left over. */
  readonly width: number | null;
  /** As narrow as its widest value allows. */
  readonly snug?: boolean;
  readonly align?: 'left' | 'right';
  /** Names differ at their ends: cut them in the middle. */
  readonly middle?: boolean;
  readonly value: (item: T) => string;
  readonly style?: (item: T) => StyleName;
}

/** Columns no wider than what they hold, where they are snug; one without a width then stops at what is left over. */
export function snugColumns<T>(
  columns: readonly Column<T>[],
  items: readonly T[],
  width: number,
): Column<T>[] {
  const widest = (column: Column<T>): number =>
    Math.max(column.title.length, ...items.map((item) => widthOf(cellText(column.value(item)))));
  const snug = columns.map((column) =>
    column.snug && column.width !== null
      ? { ...column, width: Math.min(column.width, widest(column)) }
      : column,
  );
  const rest = restOf(snug, width);
  return snug.map((column) =>
    column.snug && column.width === null ? { ...column, width: Math.min(rest, widest(column)) } : column,
  );
}

/** Cells left over for a column without a width. */
export function restOf<T>(columns: readonly Column<T>[], width: number): number {
  const fixed = columns.reduce((sum, column) => sum + (column.width ?? 0), 0);
  return Math.max(4, width - fixed - (columns.length - 1));
}

/** A row of cells with one blank between; the column without a width takes the rest. */
export function cells<T>(columns: readonly Column<T>[], item: T | null, width: number): Line {
  const rest = restOf(columns, width);
  return columns.flatMap((column, i) => {
    const size = column.width ?? rest;
    const value = item === null ? column.title : column.value(item);
    const cut = column.middle && item !== null ? clipMiddle(value, size) : clip(value, size);
    const last = i === columns.length - 1 && column.align !== 'right';
    const text = last ? cut : fit(cut, size, column.align);
    const style = item === null ? 'dim' : (column.style?.(item) ?? 'plain');
    return i === 0 ? [span(text, style)] : [span(' '), span(text, style)];
  });
}

/** Items that fit into `height` rows, with the cursor among them. */
export function windowOf(length: number, cursor: number, height: number): { from: number; to: number } {
  if (length <= height) return { from: 0, to: length };
  const from = Math.max(0, Math.min(length - height, cursor - Math.floor(height / 2)));
  return { from, to: from + height };
}
