import { Span } from './span.js';

/** Stands for every text that came after a dictionary was full. */
export const OTHERS = -3;
export const OTHERS_TEXT = '(others)';

const FEWEST_SLOTS = 64;

/** Word by word, then a finaliser: bytes as 32 well-mixed bits. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = (end - start) | 0;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash = Math.imul(hash ^ word, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return mixed(hash);
}

/** MurmurHash3's finaliser. */
export function mixed(value: number): number {
  let hash = value;
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/** A dictionary as it crosses to another thread. */
export interface PackedDictionary {
  readonly arena: Uint8Array;
  /** One past each text's last byte in the arena. */
  readonly ends: Int32Array;
  readonly hashes: Int32Array;
}

/**
 * Texts as small numbers, in the order in which they were met. A text is looked up by its bytes; a string is made of it
 * when somebody asks for it, and only once.
 */
export class Dictionary {
  size = 0;
  /** One past the id in each slot; 0 is free. */
  #slots = new Int32Array(FEWEST_SLOTS);
  #hashes: Int32Array = new Int32Array(FEWEST_SLOTS / 2);
  #ends: Int32Array = new Int32Array(FEWEST_SLOTS / 2);
  #arena: Buffer = Buffer.allocUnsafeSlow(1024);
  #texts: (string | undefined)[] = [];
  readonly #span = new Span();

  /** @param limit how many texts are told apart; those beyond are `OTHERS`. */
  constructor(readonly limit = Infinity) {}

  /** To read from; it is not added to. */
  static unpack({ arena, ends, hashes }: PackedDictionary): Dictionary {
    const dictionary = new Dictionary(0);
    dictionary.size = ends.length;
    dictionary.#arena = Buffer.from(arena.buffer, arena.byteOffset, arena.byteLength);
    dictionary.#ends = ends;
    dictionary.#hashes = hashes;
    return dictionary;
  }

  pack(): PackedDictionary {
    return {
      arena: new Uint8Array(this.#arena.subarray(0, this.#endOf(this.size - 1))),
      ends: this.#ends.slice(0, this.size),
      hashes: this.#hashes.slice(0, this.size),
    };
  }

  idOf(span: Span): number {
    return this.idOfBytes(span.bytes, span.start, span.end);
  }

  idOfText(text: string): number {
    this.#span.set(text);
    return this.idOf(this.#span);
  }

  idOfBytes(bytes: Uint8Array, start: number, end: number): number {
    return this.idOfHashed(bytes, start, end, hashBytes(bytes, start, end));
  }

  /** The id that another dictionary's text has in this one; marks for no text stay what they are. */
  idFrom(other: Dictionary, id: number): number {
    if (id < 0) return id;
    return this.idOfHashed(other.#arena, other.#endOf(id - 1), other.#ends[id]!, other.#hashes[id]!);
  }

  /** Of a text's bytes; 0 for a mark. */
  hash(id: number): number {
    return id < 0 ? 0 : this.#hashes[id]!;
  }

  /** `null` for Envoy's `-` and for a field that was absent. */
  text(id: number): string | null {
    if (id < 0) return id === OTHERS ? OTHERS_TEXT : null;
    return (this.#texts[id] ??= this.#arena.toString('utf8', this.#endOf(id - 1), this.#ends[id]));
  }

  #endOf(id: number): number {
    return id < 0 ? 0 : this.#ends[id]!;
  }

  /** The id of a text whose hash is known. @param hash `hashBytes` of it */
  idOfHashed(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const slots = this.#slots;
    const hashes = this.#hashes;
    const ends = this.#ends;
    const arena = this.#arena;
    const mask = slots.length - 1;
    const length = end - start;
    let slot = hash & mask;
    for (let held = slots[slot]!; held !== 0; held = slots[slot]!) {
      const id = held - 1;
      if (hashes[id] === hash) {
        const from = id === 0 ? 0 : ends[id - 1]!;
        if (ends[id]! - from === length) {
          let i = 0;
          while (i < length && arena[from + i] === bytes[start + i]) i++;
          if (i === length) return id;
        }
      }
      slot = (slot + 1) & mask;
    }
    if (this.size >= this.limit) return OTHERS;
    const id = this.#append(bytes, start, end, hash);
    if (this.size * 4 > slots.length * 3) this.#index();
    else slots[slot] = id + 1;
    return id;
  }

  #append(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const id = this.size++;
    const from = id === 0 ? 0 : this.#ends[id - 1]!;
    const to = from + end - start;
    if (to > this.#arena.length) {
      const wider = Buffer.allocUnsafeSlow(Math.max(2 * this.#arena.length, to));
      this.#arena.copy(wider, 0, 0, from);
      this.#arena = wider;
    }
    const arena = this.#arena;
    for (let i = 0; i < end - start; i++) arena[from + i] = bytes[start + i]!;
    if (id >= this.#ends.length) {
      this.#ends = widened(this.#ends);
      this.#hashes = widened(this.#hashes);
    }
    this.#ends[id] = to;
    this.#hashes[id] = hash;
    return id;
  }

  /** Lays the slots out anew, with room for as many texts again. */
  #index(): void {
    let length = FEWEST_SLOTS;
    while (length < 2 * this.size) length *= 2;
    const slots = new Int32Array(length);
    for (let id = 0; id < this.size; id++) {
      let slot = this.#hashes[id]! & (length - 1);
      while (slots[slot] !== 0) slot = (slot + 1) & (length - 1);
      slots[slot] = id + 1;
    }
    this.#slots = slots;
  }
}

/** A dictionary of others, whose ids are looked up here once each. */
export class Translated {
  readonly #from: Dictionary;
  /** One past the id here; 0 is not known yet. */
  readonly #ids: Int32Array;

  constructor(packed: PackedDictionary) {
    this.#from = Dictionary.unpack(packed);
    this.#ids = new Int32Array(this.#from.size);
  }

  idIn(into: Dictionary, id: number): number {
    if (id < 0) return id;
    const known = this.#ids[id]!;
    if (known !== 0) return known - 1;
    const found = into.idFrom(this.#from, id);
    this.#ids[id] = found + 1;
    return found;
  }

  /** Puts the ids in one dictionary in the place of those in the other. */
  translate(ids: Int32Array, into: Dictionary): void {
    for (let i = 0; i < ids.length; i++) ids[i] = this.idIn(into, ids[i]!);
  }
}

function widened(array: Int32Array): Int32Array {
  const wider = new Int32Array(Math.max(16, 2 * array.length));
  wider.set(array);
  return wider;
}
