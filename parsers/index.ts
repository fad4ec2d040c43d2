import type { Line } from '../src/record/line.js';
import type { RecordCursor } from '../src/record/record-view.js';
import { envoyText } from './envoy-text.js';
import { malformed, type Format, type Malformed, type ParseResult } from './format.js';
import { istioJson } from './istio-json.js';
import { istioText } from './istio-text.js';
import { holdsRequest } from './tokenize.js';

/** Every format that is read without being told. Order matters only until a stream's own format is known. */
export const FORMATS: readonly Format[] = [istioText, envoyText, istioJson];

/** Reads the lines of one stream: the format that read the last line is tried first, so a change midway is followed. */
export class LineParser {
  readonly #formats: Format[];

  constructor(formats: readonly Format[] = FORMATS) {
    this.#formats = [...formats];
  }

  parse(line: Line, into: RecordCursor): ParseResult {
    let nearest: Malformed | undefined;
    for (let i = 0; i < this.#formats.length; i++) {
      const format = this.#formats[i]!;
      const result = format.parse(line, into);
      if (result === 'record') {
        if (i > 0) {
          this.#formats.splice(i, 1);
          this.#formats.unshift(format);
        }
        return result;
      }
      if (result !== 'foreign' && (nearest === undefined || result.at > nearest.at)) nearest = result;
    }
    if (nearest) return nearest;
    return holdsRequest(line.bytes, line.start, line.end)
      ? malformed(line, line.start, 'an access line; what stands before the request is not known')
      : 'foreign';
  }
}
