import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonFault } from '../../parsers/json-fault.js';
import { lineOf } from '../../src/record/line.js';
import { arbitraryLine, sampleLines } from '../lines.js';

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('where JSON breaks', () => {
  const json = sampleLines().filter((line) => line[0] === 123 && line.length < 2000);
  const ascii = arbitraryLine(json).map((bytes) => bytes.toString('latin1').replace(/[^\x00-\x7f]/g, '?'));

  it('is nowhere in what the runtime parses, and somewhere in all else', () => {
    fc.assert(
      fc.property(ascii, (text) => {
        const fault = jsonFault(lineOf(text));
        // Deeper nesting than an access line may have is a fault of its own.
        fc.pre(!fault?.expected.includes('nested'));
        expect(fault === undefined).toBe(isJson(text));
      }),
      { numRuns: 5000 },
    );
  });

  it('is the first place from which no continuation fits', () => {
    fc.assert(
      fc.property(ascii, (text) => {
        const fault = jsonFault(lineOf(text));
        fc.pre(fault !== undefined && !fault.expected.includes('nested'));
        // What stands before can still go on: it lacks only its end.
        const before = text.slice(0, fault.at);
        const cut = jsonFault(lineOf(before));
        expect(cut === undefined || cut.at === before.length).toBe(true);
        // With the byte itself it cannot.
        if (fault.at < text.length) expect(jsonFault(lineOf(text.slice(0, fault.at + 1)))?.at).toBe(fault.at);
      }),
      { numRuns: 5000 },
    );
  });
});
