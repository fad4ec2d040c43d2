import type { Line } from '../src/record/line.js';
import type { RecordCursor } from '../src/record/record-view.js';
import { envoyGatewayJson } from './envoy-gateway-json.js';
import { envoyText } from './envoy-text.js';
import { malformed, type Format, type ParseResult } from './format.js';
import { istioJson } from './istio-json.js';
import { istioText11 } from './istio-text-1.1.js';
import { istioText12 } from './istio-text-1.2.js';
import { istioText13 } from './istio-text-1.3.js';
import { istioText18 } from './istio-text-1.8.js';
import { istioText } from './istio-text.js';
import { holdsCodeOrFlags, jsonKeyed } from './json-keyed.js';
import { objectOf, readJson, type JsonFormat, type JsonObject } from './json-layout.js';
import { pseudoJson } from './pseudo-json.js';
import { TextReader, type Depths, type StreamState } from './text-layout.js';
import { holdsRequest } from './tokenize.js';
import { ztunnelJson } from './ztunnel-json.js';
import { ztunnelText } from './ztunnel-text.js';

/** The layouts of one skeleton, told apart by their shape. */
const TEXT_LAYOUTS = [istioText, istioText18, istioText13, istioText12, istioText11, envoyText];
/** The more keys a format asks for, the earlier it is asked. */
const JSON_FORMATS: readonly JsonFormat[] = [istioJson, envoyGatewayJson, ztunnelJson, jsonKeyed];

/** Text that departs from a layout: a tag in front, or fields missing from or added to its end. */
const envoyLike: Format = {
  name: 'envoy-like',
  layout: 'a text layout with a tag in front, or with fields missing from or added to its end',
  sign: 'a quoted request, code and flags of a layout that is known, with a tag in front or another end',
  reference: envoyText.reference,
  parse(line, into) {
    const reader = new TextReader(TEXT_LAYOUTS, true);
    const result = reader.parseTagged(line, into) ?? reader.parse(line, into);
    return result === 'record' && into.format !== 'envoy-like' ? 'foreign' : result;
  },
};

/** Every format that is read without being told. */
export const FORMATS: readonly Format[] = [...TEXT_LAYOUTS, envoyLike, ...JSON_FORMATS, ztunnelText];

/** Whether an object is an access line of its own, whatever other line it may carry as text. */
export function isAccessObject(object: JsonObject): boolean {
  return JSON_FORMATS.some((format) => format.accepts(object)) || object['scope'] === 'access';
}

/**
 * Reads the lines of one stream. Which format a line has is told by the line itself, so that a stream may change it from
 * line to line; only what a line may lack at its end is judged by those before it.
 */
export class LineParser {
  readonly #text: TextReader;
  readonly #given: Format | undefined;

  /**
   * A `given` format is tried first; lines that it does not fit are read as usual, but departures are no longer guessed.
   * @param depths of the lines before, where they were read elsewhere.
   */
  constructor(given?: Format, depths?: Depths) {
    this.#given = given;
    this.#text = new TextReader(TEXT_LAYOUTS, given === undefined, depths);
  }

  /** What the lines so far make of those to come. */
  get state(): StreamState {
    return this.#text.state;
  }

  parse(line: Line, into: RecordCursor): ParseResult {
    if (!this.#given) return this.#detect(line, into);
    const result = this.#given.parse(line, into);
    if (result === 'record') return result;
    const detected = this.#detect(line, into);
    return detected === 'record' || result === 'foreign' ? detected : result;
  }

  /** What a format of this parser's is told by. */
  signOf(name: string): string {
    return (
      [...(this.#given ? [this.#given] : []), ...FORMATS].find((format) => format.name === name)?.sign ?? ''
    );
  }

  #detect(line: Line, into: RecordCursor): ParseResult {
    const { bytes, start, end } = line;
    const first = bytes[start];
    if (first === 91) {
      const result = this.#text.parse(line, into);
      return result === 'foreign' ? this.#parseOther(line, into) : result;
    }
    if (start < end && (first === 123 || line.json !== undefined)) return this.#parseJson(line, into);
    const result = ztunnelText.parse(line, into);
    return result === 'foreign' ? this.#parseOther(line, into) : result;
  }

  #parseJson(line: Line, into: RecordCursor): ParseResult {
    if (objectOf(line) !== undefined) return readJson(line, into, JSON_FORMATS);
    const object = pseudoJson(line);
    if (object && holdsCodeOrFlags(object)) {
      jsonKeyed.fill(line, object, into);
      return 'record';
    }
    return readJson(line, into, JSON_FORMATS);
  }

  /** What begins like no access line may still hold one. */
  #parseOther(line: Line, into: RecordCursor): ParseResult {
    const tagged = this.#text.parseTagged(line, into);
    if (tagged !== undefined && tagged !== 'foreign') return tagged;
    return holdsRequest(line.bytes, line.start, line.end)
      ? malformed(line, line.start, 'an access line; what stands before the request is not known')
      : 'foreign';
  }
}
