/** Rows under headings, in columns as wide as their widest cell; the last one is not padded. */
export function tableText(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, i) =>
    rows.reduce((widest, row) => Math.max(widest, (row[i] ?? '').length), heading.length),
  );
  return [headings, ...rows].map((row) => `${rowText(row, widths)}\n`).join('');
}

/** One row in columns of given widths; a wider cell pushes the rest along. */
export function rowText(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, i) => (i === cells.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
    .join('  ')
    .trimEnd();
}
