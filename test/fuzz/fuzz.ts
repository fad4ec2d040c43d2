import { parseArgs } from 'node:util';
import { compileFormat } from '../../parsers/compile.js';
import { isAccessObject, LineParser } from '../../parsers/index.js';
import { ENVELOPE_KEYS, lineOf } from '../../src/record/line.js';
import { Unwrapper } from '../../src/framing/wrappers.js';
import { RecordCursor } from '../../src/record/record-view.js';
import { mutated, randomOf, sampleLines } from '../lines.js';
import { render } from '../round-trip.js';

/*
 * Mutates the lines of the samples and reads them, wrappers and all, until the time is over: nothing may throw, no line may
 * take long, every record must print. Now and then a random record goes through a random format string and back.
 */

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' } },
});
const seconds = Number(values.seconds);
const seed = values.seed === undefined ? Date.now() % 0x1_0000_0000 : Number(values.seed);
if (!(seconds > 0) || !Number.isInteger(seed)) {
  console.error('usage: npm run fuzz -- --seconds N [--seed S]');
  process.exit(2);
}
console.log(`seed ${seed}, ${seconds} s`);

/** A line of a few hundred bytes that takes this long hangs. */
const SLOW_MS = 2_000;
/** Streams are short, so that a parser's memory of its stream is fuzzed as well. */
const STREAM = 500;
const ROUND_TRIP_EVERY = 2_000;

const random = randomOf(seed);
const lines = sampleLines();
const counts = { record: 0, foreign: 0, malformed: 0, roundTrips: 0 };
const record = new RecordCursor();
let parser = new LineParser();
let unwrapper = newUnwrapper();
let fed = 0;
let slowest = 0;
const started = performance.now();

function newUnwrapper(): Unwrapper {
  return new Unwrapper(
    ({ line }) => {
      const result = parser.parse(line, record);
      if (result === 'record') {
        counts.record++;
        if (JSON.stringify(record.copy({ line: fed })) === undefined)
          throw new Error('a record without text');
      } else if (result === 'foreign') counts.foreign++;
      else {
        counts.malformed++;
        if (result.at < 1 || result.at > line.end - line.start + 1)
          throw new Error(`column ${result.at} is outside the line`);
      }
    },
    { maxLine: 1 << 20, envelopeKeys: ENVELOPE_KEYS, isAccess: isAccessObject },
  );
}

function roundTrip(): void {
  const { format, line, expected } = render(20 + Math.floor(random() * 12), random);
  const result = compileFormat(format).parse(lineOf(line), record);
  const { format: _, ...read } = result === 'record' ? record.copy() : { format: '' };
  if (JSON.stringify(sorted(read)) !== JSON.stringify(sorted(expected))) {
    throw new Error(`format ${JSON.stringify(format)} does not read back ${JSON.stringify(line)}`);
  }
  counts.roundTrips++;
}

function sorted(value: object): object {
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, key === 'extra' ? sorted(inner as object) : (inner as unknown)]),
  );
}

let bytes: Buffer = Buffer.alloc(0);
try {
  for (let clock = started; clock - started < seconds * 1000;) {
    for (let i = 0; i < STREAM; i++) {
      const line = lines[Math.floor(random() * lines.length)]!;
      const other = lines[Math.floor(random() * lines.length)]!;
      bytes = random() < 0.1 ? line : mutated(line, other, random);
      const before = performance.now();
      unwrapper.push({ line: { bytes, start: 0, end: bytes.length }, overlong: false, unterminated: false });
      const took = performance.now() - before;
      if (took > slowest) slowest = took;
      if (took > SLOW_MS) throw new Error(`a line took ${took} ms`);
      if (++fed % ROUND_TRIP_EVERY === 0) roundTrip();
    }
    unwrapper.end();
    parser = new LineParser();
    unwrapper = newUnwrapper();
    clock = performance.now();
  }
} catch (error) {
  console.error(
    `failed after ${fed} lines with seed ${seed}; the line in base64:\n${bytes.toString('base64')}`,
  );
  throw error;
}
const took = (performance.now() - started) / 1000;
console.log(
  `${fed} lines in ${took.toFixed(1)} s (${Math.round(fed / took)}/s), seed ${seed}: no throw, no hang; slowest line ${slowest.toFixed(1)} ms; ` +
    `${counts.record} records, ${counts.malformed} malformed, ${counts.foreign} foreign; ${counts.roundTrips} round trips`,
);
