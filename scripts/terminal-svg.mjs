// The cells of a terminal emulator as an SVG: text stays text, so that a diff of a picture can be read; blocks and lines
// are drawn, since fonts leave gaps between them.

const CELL = { width: 8.4, height: 18 };
const MARGIN = 12;
const PAPER = '#11151c';
const INK = '#d6dbe3';

const LEVELS = [0, 95, 135, 175, 215, 255];
const BASIC =
  '#1c212b #e5566d #8ccf7e #e5c76b #67b0e8 #c47fd5 #6cbfbf #b3b9c5 #5c6370 #ef7e8e #a4e09b #f4d67a #8cc4f2 #d6a0e4 #8fd6d6 #f2f4f8'.split(
    ' ',
  );
const hex = (...parts) => `#${parts.map((part) => part.toString(16).padStart(2, '0')).join('')}`;

/** One of the 256 colours that a terminal has. */
function colour(index) {
  if (index < 16) return BASIC[index];
  if (index >= 232) return hex(...Array(3).fill(8 + 10 * (index - 232)));
  const at = index - 16;
  return hex(LEVELS[Math.floor(at / 36)], LEVELS[Math.floor(at / 6) % 6], LEVELS[at % 6]);
}

function styleOf(cell) {
  const ink = cell.isFgPalette() ? colour(cell.getFgColor()) : INK;
  const paper = cell.isBgPalette() ? colour(cell.getBgColor()) : PAPER;
  const [front, back] = cell.isInverse() ? [paper, ink] : [ink, paper];
  return { front, back, bold: Boolean(cell.isBold()) };
}

const number = (value) => String(Number(value.toFixed(2)));
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** The part of its cell that a sign fills, as x, y, width and height of 1; undefined for a letter. */
function block(sign) {
  const code = sign.codePointAt(0) ?? 0;
  if (code >= 0x2581 && code <= 0x2588) return [0, 1 - (code - 0x2580) / 8, 1, (code - 0x2580) / 8];
  if (sign === '─') return [0, 0.5, 1, 0.06];
  if (sign === '━') return [0, 0.4, 1, 0.22];
  return undefined;
}

function rect([x, y, width, height], fill) {
  return `<rect x="${number(x)}" y="${number(y)}" width="${number(width)}" height="${number(height)}" fill="${fill}" shape-rendering="crispEdges"/>`;
}

/** Runs of cells that look alike. */
function runsOf(line, columns) {
  const runs = [];
  for (let x = 0; x < columns; x++) {
    const cell = line?.getCell(x);
    if (!cell || cell.getWidth() === 0) continue;
    const sign = cell.getChars() || ' ';
    const style = styleOf(cell);
    const last = runs.at(-1);
    const key = `${style.front} ${style.back} ${style.bold} ${block(sign) ? sign : ''}`;
    if (last?.key === key) {
      last.text += sign;
      last.cells += cell.getWidth();
    } else runs.push({ key, x, text: sign, cells: cell.getWidth(), ...style });
  }
  return runs;
}

/** @param terminal an emulator of @xterm/headless that has taken all its output. */
export function svgOf(terminal) {
  const { cols, rows, buffer } = terminal;
  const width = cols * CELL.width + 2 * MARGIN;
  const height = rows * CELL.height + 2 * MARGIN;
  const shapes = [];
  for (let y = 0; y < rows; y++) {
    const top = MARGIN + y * CELL.height;
    for (const run of runsOf(buffer.active.getLine(buffer.active.viewportY + y), cols)) {
      const left = MARGIN + run.x * CELL.width;
      const size = run.cells * CELL.width;
      if (run.back !== PAPER) shapes.push(rect([left, top, size, CELL.height], run.back));
      const [x, part, , share] = block(run.text[0]) ?? [];
      if (x !== undefined) {
        shapes.push(rect([left, top + part * CELL.height, size, share * CELL.height], run.front));
        continue;
      }
      const text = run.text.trimEnd();
      const blanks = text.length - text.trimStart().length;
      if (text.trim() === '') continue;
      const begin = left + blanks * CELL.width;
      const length = (text.length - blanks) * CELL.width;
      const weight = run.bold ? ' font-weight="bold"' : '';
      shapes.push(
        `<text x="${number(begin)}" y="${number(top + 13.4)}" textLength="${number(length)}" fill="${run.front}"${weight}>${escaped(text.trimStart())}</text>`,
      );
    }
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${number(width)}" height="${number(height)}" viewBox="0 0 ${number(width)} ${number(height)}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" xml:space="preserve">`,
    `<rect width="100%" height="100%" rx="8" fill="${PAPER}"/>`,
    ...shapes,
    '</svg>',
    '',
  ].join('\n');
}
