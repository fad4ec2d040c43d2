/** What a field holds where it holds no bytes: Envoy's `-`, or nothing, since the layout has no such field. */
export const NULL = -1;
export const ABSENT = -2;

/** Where a field's text stands, as UTF-8: `bytes[start, end)`. Reused from field to field. */
export class Span {
  bytes: Uint8Array = new Uint8Array(256);
  start = 0;
  end = 0;
  #own: Uint8Array = this.bytes;

  /** Takes over a text that stands nowhere as bytes. Returns how many it has. */
  set(text: string): number {
    // A code unit of UTF-16 is at most three bytes.
    if (text.length * 3 > this.#own.length) this.#own = new Uint8Array(text.length * 3);
    this.bytes = this.#own;
    this.start = 0;
    this.end = ENCODER.encodeInto(text, this.#own).written;
    return this.end;
  }
}

const ENCODER = new TextEncoder();
