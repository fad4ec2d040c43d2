const QUOTE = 34;
const BACKSLASH = 92;
const ZERO = 48;
/** Room for what is written without asking: quotes, digits, a newline. */
const SPARE = 64;

/** Bytes of UTF-8 that are written one after the other into memory that grows, and is used again after `clear`. */
export class ByteWriter {
  bytes: Buffer;
  length = 0;

  constructor(size = 64 * 1024) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  /** What was written; valid until the next write. */
  get written(): Buffer {
    return this.bytes.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
  }

  /** What was written, in memory of its own. */
  take(): Buffer {
    const taken = Buffer.allocUnsafeSlow(this.length);
    this.bytes.copy(taken, 0, 0, this.length);
    this.length = 0;
    return taken;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.bytes[this.length++] = value;
  }

  text(text: string): void {
    // A UTF-16 unit takes three bytes at the most.
    this.#reserve(text.length * 3);
    this.length += this.bytes.write(text, this.length, 'utf8');
  }

  /** A short stretch as it is. */
  copy(from: Uint8Array, start = 0, end = from.length): void {
    this.#reserve(end - start);
    const { bytes } = this;
    let { length } = this;
    // For few bytes a call into native code costs more than this.
    for (let at = start; at < end; at++) bytes[length++] = from[at]!;
    this.length = length;
  }

  /** A longer stretch as it is. */
  append(from: Buffer, start: number, end: number): void {
    this.#reserve(end - start);
    this.length += from.copy(this.bytes, this.length, start, end);
  }

  /** A whole number from 0 on. */
  integer(value: number): void {
    this.#reserve(0);
    let digits = 1;
    for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
    let rest = value;
    for (let at = this.length + digits - 1; at >= this.length; at--) {
      const tens = Math.floor(rest / 10);
      this.bytes[at] = ZERO + (rest - tens * 10);
      rest = tens;
    }
    this.length += digits;
  }

  /** The stretch as a JSON string, where it is ASCII without anything to escape; otherwise writes nothing and says so. */
  quoted(from: Uint8Array, start: number, end: number): boolean {
    this.#reserve(end - start);
    const { bytes } = this;
    let { length } = this;
    bytes[length++] = QUOTE;
    for (let at = start; at < end; at++) {
      const byte = from[at]!;
      if (byte < 32 || byte > 126 || byte === QUOTE || byte === BACKSLASH) return false;
      bytes[length++] = byte;
    }
    bytes[length++] = QUOTE;
    this.length = length;
    return true;
  }

  #reserve(count: number): void {
    const needed = this.length + count + SPARE;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }
}
