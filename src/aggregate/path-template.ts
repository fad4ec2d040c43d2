import { boundedCache } from '../record/bounded-cache.js';
import type { Dictionary } from '../record/dictionary.js';
import type { Span } from '../record/span.js';

const NUMBER = /^\d+$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const HEX = /^(?=.*\d)[0-9a-f]{8,}$/i;
/** A long token that mixes letters and digits: an id of some other kind. */
const TOKEN = /^(?=[A-Za-z_-]*\d)(?=\d*[A-Za-z_-])[A-Za-z0-9_-]{16,}$/;
const LONG = 512;

/** A path with what varies from request to request replaced: `/checkout/6392/status?x=1` → `/checkout/{n}/status`. */
export const pathTemplate = boundedCache((path) => {
  const query = path.indexOf('?');
  const bare = (query < 0 ? path : path.slice(0, query)).slice(0, LONG);
  return bare
    .split('/')
    .map((segment) => {
      if (segment === '') return segment;
      if (NUMBER.test(segment)) return '{n}';
      return idLike(segment) ?? segment;
    })
    .join('/');
});

/** `{uuid}` or `{id}` where a segment is one that is no plain number. */
function idLike(segment: string): string | null {
  if (UUID.test(segment)) return '{uuid}';
  return HEX.test(segment) || TOKEN.test(segment) ? '{id}' : null;
}

const SLASH = 47;
const QUESTION = 63;
/** The shortest text that `HEX` takes, and the length of a UUID. */
const SHORTEST_ID = 8;
const UUID_LENGTH = 36;
const PLACEHOLDERS: ReadonlyMap<string, Buffer> = new Map(
  ['{n}', '{uuid}', '{id}'].map((text) => [text, Buffer.from(text)]),
);

/** The same on bytes: the template's id in a dictionary, without a string for a path whose segments are words and numbers. */
export class PathTemplates {
  readonly #template = Buffer.alloc(2 * LONG);
  #length = 0;

  idIn(dictionary: Dictionary, path: Span): number {
    const { bytes, start } = path;
    const last = Math.min(path.end, start + LONG);
    this.#length = 0;
    let segment = start;
    let digits = 0;
    let at = start;
    for (; at < path.end; at++) {
      const byte = bytes[at]!;
      if (byte === QUESTION) break;
      // Cut by characters, not bytes.
      if (at >= last) return this.#asText(dictionary, path);
      if (byte === SLASH) {
        this.#segment(bytes, segment, at, digits);
        this.#template[this.#length++] = SLASH;
        segment = at + 1;
        digits = 0;
      } else if (byte >= 48 && byte <= 57) digits++;
    }
    this.#segment(bytes, segment, at, digits);
    return dictionary.idOfBytes(this.#template, 0, this.#length);
  }

  #segment(bytes: Uint8Array, start: number, end: number, digits: number): void {
    const length = end - start;
    if (length > 0 && digits === length) return this.#put('{n}');
    if (length >= SHORTEST_ID && (digits > 0 || length === UUID_LENGTH)) {
      const placeholder = idLike(latin1(bytes, start, end));
      if (placeholder) return this.#put(placeholder);
    }
    for (let at = start; at < end; at++) this.#template[this.#length++] = bytes[at]!;
  }

  #put(placeholder: string): void {
    const bytes = PLACEHOLDERS.get(placeholder)!;
    for (let i = 0; i < bytes.length; i++) this.#template[this.#length++] = bytes[i]!;
  }

  #asText(dictionary: Dictionary, path: Span): number {
    const text = Buffer.from(path.bytes.subarray(path.start, path.end)).toString();
    const template = Buffer.from(pathTemplate(text));
    return dictionary.idOfBytes(template, 0, template.length);
  }
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}
