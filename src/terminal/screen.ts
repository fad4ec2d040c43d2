import { Buffer } from 'node:buffer';
import type { Readable, Writable } from 'node:stream';
import blessed from 'blessed';
import type { Frame } from '../view/frame.js';
import { keysOf, type RawKey } from './keys.js';
import { sgrOf, type Colours } from './palette.js';

/*
 * The one module that knows blessed: it draws frames and hands on keys. One box holds the whole frame; blessed finds out
 * what changed. Text carries colours as SGR and no tags, so nothing in it can be markup.
 */

export interface ScreenEvents {
  key(key: string): void;
  size(columns: number, rows: number): void;
  wheel(by: 1 | -1): void;
  click(row: number, column: number): void;
}

export interface ScreenOptions {
  readonly input: Readable;
  readonly output: Writable;
  readonly colours: Colours;
  readonly terminfo: string;
  readonly mouse: boolean;
}

interface Program {
  isAlt: boolean;
  alternateBuffer(): void;
  normalBuffer(): void;
  showCursor(): void;
  hideCursor(): void;
  disableMouse(): void;
  flush(): void;
  setMouse(options: Readonly<Record<string, boolean>>, enable: boolean): void;
  cup(row: number, column: number): void;
  input: Readable & { setRawMode?(raw: boolean): void };
}

export class Screen {
  readonly #screen: blessed.Widgets.Screen;
  readonly #program: Program;
  readonly #box: blessed.Widgets.BoxElement;
  readonly #options: ScreenOptions;
  #last = '';
  #left = false;

  constructor(options: ScreenOptions, events: ScreenEvents) {
    this.#options = options;
    // Otherwise lines are drawn in the terminal's second character set, which some show as letters.
    process.env['NCURSES_NO_UTF8_ACS'] = '1';
    this.#screen = blessed.screen({
      input: options.input,
      output: options.output,
      terminal: options.terminfo,
      fullUnicode: true,
      smartCSR: false,
      resizeTimeout: 50,
      title: 'meshtail',
    } as unknown as blessed.Widgets.IScreenOptions);
    this.#program = this.#screen.program as unknown as Program;
    this.#box = blessed.box({
      parent: this.#screen,
      top: 0,
      left: 0,
      width: '100%',
      height: '100%',
      tags: false,
      wrap: false,
    });
    this.#program.hideCursor();
    this.#screen.on('keypress', (character: string | undefined, key: RawKey) => {
      for (const name of keysOf(character, key)) events.key(name);
    });
    this.#screen.on('resize', () => events.size(this.columns, this.rows));
    if (options.mouse) this.#takeMouse(events);
  }

  get columns(): number {
    return Number(this.#screen.width) || 80;
  }
  get rows(): number {
    return Number(this.#screen.height) || 24;
  }

  draw(frame: Frame): void {
    if (this.#left) return;
    const content = frame.lines
      .map((line) =>
        line.map(({ text, style }) => this.#styled(text, sgrOf(style, this.#options.colours))).join(''),
      )
      .join('\n');
    const whole = `${content}\n${frame.cursor?.row},${frame.cursor?.column}`;
    if (whole === this.#last) return;
    this.#last = whole;
    this.#box.setContent(content);
    this.#screen.render();
    if (frame.cursor) {
      this.#program.cup(frame.cursor.row, frame.cursor.column);
      this.#program.showCursor();
    } else this.#program.hideCursor();
  }

  #styled(text: string, sgr: string): string {
    return sgr === '' ? text : `\x1b[${sgr}m${text}\x1b[m`;
  }

  /** Draws everything anew, whatever the terminal shows. */
  repaint(): void {
    this.#last = '';
    this.#screen.realloc();
  }

  /** To the clipboard of the terminal, also through ssh. */
  copy(text: string): void {
    this.#options.output.write(`\x1b]52;c;${Buffer.from(text).toString('base64')}\x07`);
  }

  /** Gives the terminal back as it was. May be called twice, and in the last moment of the process. */
  leave(): void {
    if (this.#left) return;
    this.#left = true;
    const program = this.#program;
    if (this.#options.mouse) program.disableMouse();
    this.#screen.destroy();
    program.showCursor();
    program.flush();
    program.input.setRawMode?.(false);
    // SGR, mouse and paste modes off, whatever state the drawing was in.
    this.#options.output.write('\x1b[m\x1b[?25h');
  }

  /** Gives the terminal to the shell for a while. */
  suspend(): void {
    const program = this.#program;
    if (this.#options.mouse) program.disableMouse();
    program.showCursor();
    program.normalBuffer();
    program.flush();
    program.input.setRawMode?.(false);
  }

  resume(): void {
    const program = this.#program;
    program.input.setRawMode?.(true);
    program.alternateBuffer();
    program.hideCursor();
    if (this.#options.mouse) this.#mouseModes();
    this.repaint();
  }

  #takeMouse(events: ScreenEvents): void {
    this.#screen.enableMouse();
    this.#mouseModes();
    this.#screen.on('mouse', (event: { action: string; x: number; y: number }) => {
      if (event.action === 'wheelup') events.wheel(-1);
      else if (event.action === 'wheeldown') events.wheel(1);
      else if (event.action === 'mousedown') events.click(event.y, event.x);
    });
  }

  /** Clicks and the wheel in SGR coding; blessed alone would ask for every motion in a coding that many terminals dropped. */
  #mouseModes(): void {
    this.#program.setMouse({ allMotion: false, utfMouse: false }, false);
    this.#program.setMouse({ cellMotion: true, sgrMouse: true, vt200Mouse: true }, true);
  }
}
