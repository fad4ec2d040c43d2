interface Held {
  readonly at: number;
  readonly text: string;
}

/**
 * Puts lines of several streams in the order of their times, as far as they come within a window of each other: a line
 * waits at least that long for one that is older. What comes later than that goes out when it comes.
 */
export class ReorderWindow {
  #fresh: Held[] = [];
  #aged: Held[] = [];

  push(at: number, text: string): void {
    this.#fresh.push({ at, text });
  }

  /** Called once per window: lines that waited a whole one, and those that are older than these, in order. */
  turn(): readonly string[] {
    const due = this.#aged.reduce((most, { at }) => Math.max(most, at), -Infinity);
    const early = this.#fresh.filter(({ at }) => at <= due);
    const out = [...this.#aged, ...early].toSorted((a, b) => a.at - b.at);
    this.#aged = early.length === 0 ? this.#fresh : this.#fresh.filter(({ at }) => at > due);
    this.#fresh = [];
    return out.map(({ text }) => text);
  }

  /** All that is left. */
  end(): readonly string[] {
    return [...this.turn(), ...this.turn()];
  }
}
