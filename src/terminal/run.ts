import type { Readable, Writable } from 'node:stream';
import type { Effect, Message } from '../view/message.js';
import type { State } from '../view/state.js';
import { update } from '../view/update.js';
import { view } from '../view/view.js';
import type { Colours } from './palette.js';
import { Screen } from './screen.js';

/** At most ten pictures a second of what comes by itself; what a key asked for is drawn at once. */
const FRAME_MS = 100;
const KEY_FRAME_MS = 16;

export interface Run {
  readonly input: Readable;
  readonly output: Writable;
  readonly colours: Colours;
  readonly terminfo: string;
  readonly mouse: boolean;
  /** What the terminal itself cannot do; quitting, copying and repainting are done here. */
  readonly effect: (effect: Exclude<Effect, { kind: 'quit' | 'copy' | 'repaint' }>) => void;
  readonly now: () => number;
}

/** The loop: messages in, frames out. */
export class Terminal {
  readonly #run: Run;
  readonly #screen: Screen;
  #state: State;
  #dirty = false;
  #timer: NodeJS.Timeout | undefined;
  #drawnAt = -Infinity;
  #tickedAt: number;
  readonly #ticker: NodeJS.Timeout;
  #ended!: () => void;
  readonly #end = new Promise<void>((resolve) => {
    this.#ended = resolve;
  });

  constructor(state: State, run: Run) {
    this.#run = run;
    this.#screen = new Screen(run, {
      key: (key) => this.send({ kind: 'key', key }, true),
      size: (columns, rows) => {
        this.#screen.repaint();
        this.send({ kind: 'size', columns, rows }, true);
      },
      wheel: (by) => this.send({ kind: 'wheel', by }, true),
      click: (row, column) => this.send({ kind: 'click', row, column }, true),
    });
    this.#state = { ...state, columns: this.#screen.columns, rows: this.#screen.rows };
    this.#tickedAt = run.now();
    this.#ticker = setInterval(() => {
      const at = this.#run.now();
      const elapsedMs = at - this.#tickedAt;
      this.#tickedAt = at;
      if (this.#state.clock.playing || this.#state.notice) this.send({ kind: 'tick', elapsedMs });
    }, FRAME_MS);
  }

  /** Draws the first picture and asks for what it wants to show. */
  start(): void {
    this.send({ kind: 'size', columns: this.#screen.columns, rows: this.#screen.rows });
    this.#draw();
  }

  /** Until the user quits. */
  get end(): Promise<void> {
    return this.#end;
  }

  send(message: Message, urgent = false): void {
    const { state, effects } = update(this.#state, message);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
    this.#dirty = true;
    const due = this.#drawnAt + (urgent ? KEY_FRAME_MS : FRAME_MS) - this.#run.now();
    if (due <= 0) {
      clearTimeout(this.#timer);
      // After all that came in one go, so that a burst of keys is one picture.
      this.#timer = setTimeout(() => this.#draw(), 0);
    } else if (!this.#timer || urgent) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#draw(), due);
    }
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#dirty) return;
    // A slow terminal gets the newest picture when it is ready, not all of them.
    if (this.#run.output.writableNeedDrain) {
      this.#timer = setTimeout(() => this.#draw(), FRAME_MS);
      return;
    }
    this.#dirty = false;
    this.#drawnAt = this.#run.now();
    this.#screen.draw(view(this.#state));
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'quit':
        this.leave();
        this.#ended();
        return;
      case 'copy':
        this.#screen.copy(effect.text);
        return;
      case 'repaint':
        this.#screen.repaint();
        return;
      default:
        this.#run.effect(effect);
    }
  }

  suspend(): void {
    this.#screen.suspend();
  }

  resume(): void {
    this.#screen.resume();
    this.#tickedAt = this.#run.now();
    this.send({ kind: 'size', columns: this.#screen.columns, rows: this.#screen.rows }, true);
  }

  leave(): void {
    clearInterval(this.#ticker);
    clearTimeout(this.#timer);
    this.#dirty = false;
    this.#screen.leave();
  }
}
