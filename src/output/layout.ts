/** Plain-text layout at a fixed width: labels at the left, wrapped text beside them. */

export const WIDTH = 80;

/** Words to lines of at most `width`; a word longer than that stands alone on its line. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line === '') line = word;
    else if (line.length + 1 + word.length <= width) line += ` ${word}`;
    else {
      lines.push(line);
      line = word;
    }
  }
  return line === '' ? lines : [...lines, line];
}

const LABEL = 10;

/** `  label   text…`, further lines indented to the text. */
export function labelled(label: string, text: string, width = WIDTH): string[] {
  const indent = ' '.repeat(LABEL + 2);
  return wrap(text, width - indent.length).map((line, i) =>
    i === 0 ? `  ${label.padEnd(LABEL)}${line}` : indent + line,
  );
}

/** The same for something that must not be wrapped, such as a command. */
export function labelledRaw(label: string, text: string): string {
  return `  ${label.padEnd(LABEL)}${text}`;
}

/** Columns as wide as their widest cell; numbers right-aligned where `right` says so. The last one is not padded. */
export function table(rows: readonly (readonly string[])[], right: readonly boolean[] = []): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, i) =>
        right[i] ? cell.padStart(widths[i]!) : i === row.length - 1 ? cell : cell.padEnd(widths[i]!),
      )
      .join('  ')
      .trimEnd(),
  );
}
