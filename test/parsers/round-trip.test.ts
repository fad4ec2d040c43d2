import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileFormat } from '../../parsers/compile.js';
import { operators } from '../../parsers/operators.js';
import { lineOf } from '../../src/record/line.js';
import { RecordCursor } from '../../src/record/record-view.js';
import { randomOf } from '../lines.js';
import { render } from '../round-trip.js';

describe('a record rendered with a format string', () => {
  it('is read back, whatever the format of twenty to thirty operators', () => {
    const record = new RecordCursor();
    fc.assert(
      fc.property(fc.integer({ min: 20, max: 30 }), fc.integer(), (count, seed) => {
        const { format, line, expected } = render(count, randomOf(seed));
        expect(compileFormat(format).parse(lineOf(line), record)).toBe('record');
        const { format: _, ...read } = record.copy();
        expect(JSON.parse(JSON.stringify(read))).toEqual(expected);
      }),
      { numRuns: 1500 },
    );
  });

  it('can hold every operator that Envoy knows', () => {
    expect(operators().size).toBe(164);
  });
});
