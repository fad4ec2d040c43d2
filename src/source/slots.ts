/** A stream that others wait for is given up after this long. */
const TURN_MS = 10_000;

/** A place at the table: at most so many streams are open at once; beyond that they take turns. */
export interface Turn {
  /** Others wait, and this one had its time. */
  readonly over: boolean;
  release(): void;
}

/** Hands out places in the order in which they were asked for. */
export class Slots {
  #free: number;
  readonly #waiting: ((turn: Turn) => void)[] = [];

  constructor(
    readonly size: number,
    readonly turnMs = TURN_MS,
  ) {
    this.#free = size;
  }

  /** Streams that wait for a place. */
  get waiting(): number {
    return this.#waiting.length;
  }

  async take(): Promise<Turn> {
    return (
      this.try() ??
      new Promise((resolve) => {
        this.#waiting.push(resolve);
      })
    );
  }

  /** A place, if one is free. */
  try(): Turn | null {
    if (this.#free === 0) return null;
    this.#free--;
    return this.#turn();
  }

  #turn(): Turn {
    const since = performance.now();
    let held = true;
    const overdue = (): boolean => this.#waiting.length > 0 && performance.now() - since >= this.turnMs;
    return {
      get over() {
        return overdue();
      },
      release: () => {
        if (!held) return;
        held = false;
        const next = this.#waiting.shift();
        if (next) next(this.#turn());
        else this.#free++;
      },
    };
  }
}
