import { mixed } from '../record/dictionary.js';

const FEWEST_ROWS = 32;

/** A table as it crosses to another thread. */
export interface PackedTable {
  readonly keys: Int32Array;
  readonly counts: Float64Array;
}

/** Counts by keys of some whole numbers each, in the order in which they were met; open addressing in typed arrays. */
export class Table {
  size = 0;
  readonly #width: number;
  #keys: Int32Array;
  #counts = new Float64Array(FEWEST_ROWS);
  /** One past the row in each slot; 0 is free. */
  #slots = new Int32Array(2 * FEWEST_ROWS);
  /** Where the key that was sought last would stand. */
  #free = 0;

  /** @param width how many numbers a key has. */
  constructor(width: number) {
    this.#width = width;
    this.#keys = new Int32Array(FEWEST_ROWS * width);
  }

  pack(): PackedTable {
    return { keys: this.#keys.slice(0, this.size * this.#width), counts: this.#counts.slice(0, this.size) };
  }

  /** The row of a key; -1 where there is none. */
  find(key: Int32Array): number {
    const width = this.#width;
    const slots = this.#slots;
    const keys = this.#keys;
    const mask = slots.length - 1;
    let slot = hashOf(key, width) & mask;
    for (let held = slots[slot]!; held !== 0; held = slots[slot]!) {
      const from = (held - 1) * width;
      let i = 0;
      while (i < width && keys[from + i] === key[i]) i++;
      if (i === width) return held - 1;
      slot = (slot + 1) & mask;
    }
    this.#free = slot;
    return -1;
  }

  /** Counts a key; returns its row. */
  add(key: Int32Array, times: number): number {
    let row = this.find(key);
    if (row < 0) row = this.#insert(key);
    this.#counts[row]! += times;
    return row;
  }

  addTo(row: number, times: number): void {
    this.#counts[row]! += times;
  }

  count(row: number): number {
    return this.#counts[row]!;
  }
  number(row: number, place: number): number {
    return this.#keys[row * this.#width + place]!;
  }

  #insert(key: Int32Array): number {
    const row = this.size++;
    const width = this.#width;
    if (row >= this.#counts.length) {
      const keys = new Int32Array(2 * row * width);
      keys.set(this.#keys);
      this.#keys = keys;
      const counts = new Float64Array(2 * row);
      counts.set(this.#counts);
      this.#counts = counts;
    }
    for (let i = 0; i < width; i++) this.#keys[row * width + i] = key[i]!;
    if (this.size * 4 > this.#slots.length * 3) this.#index();
    else this.#slots[this.#free] = row + 1;
    return row;
  }

  #index(): void {
    const width = this.#width;
    let length = 2 * FEWEST_ROWS;
    while (length < 2 * this.size) length *= 2;
    const slots = new Int32Array(length);
    for (let row = 0; row < this.size; row++) {
      let slot = hashOf(this.#keys, width, row * width) & (length - 1);
      while (slots[slot] !== 0) slot = (slot + 1) & (length - 1);
      slots[slot] = row + 1;
    }
    this.#slots = slots;
  }
}

function hashOf(key: Int32Array, width: number, from = 0): number {
  let hash = 0;
  for (let i = 0; i < width; i++) {
    hash = Math.imul(hash ^ key[from + i]!, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return mixed(hash);
}
