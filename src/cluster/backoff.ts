/** Waiting times that double from `first` to `most` ms, each with jitter, so that many who lost the same server do not come back as one. */
export class Backoff {
  #wait: number;

  constructor(
    readonly first: number,
    readonly most: number,
    readonly random: () => number = Math.random,
  ) {
    this.#wait = first;
  }

  /** The next wait in ms: between half and all of what the doubling says. */
  next(): number {
    const wait = this.#wait;
    this.#wait = Math.min(this.most, wait * 2);
    return wait * (0.5 + this.random() / 2);
  }

  reset(): void {
    this.#wait = this.first;
  }
}
