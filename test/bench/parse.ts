import { LineParser } from '../../parsers/index.js';
import { lineOf } from '../../src/record/line.js';
import { RecordCursor } from '../../src/record/record-view.js';
import { parseSource } from '../../src/pipeline.js';
import { sampleLines } from '../lines.js';

/*
 * Lines per second by format, from bytes in memory through framing, wrappers and parser to a filled-in record, on the records
 * of the samples over and over; then one hostile line of growing length, which must cost linear time.
 */

const SIZE = 16 << 20;
const CHUNK = 256 * 1024;
const ROUNDS = 3;

const byFormat = new Map<string, Buffer[]>();
const record = new RecordCursor();
const parser = new LineParser();
for (const bytes of sampleLines()) {
  if (parser.parse({ bytes, start: 0, end: bytes.length }, record) !== 'record') continue;
  const lines = byFormat.get(record.format) ?? [];
  lines.push(bytes, Buffer.from('\n'));
  byFormat.set(record.format, lines);
}
const plain = byFormat.get('istio-text') ?? [];
const prefixed = (prefix: string): Buffer[] =>
  plain.flatMap((line) => (line.length > 1 ? [Buffer.from(prefix), line] : [line]));
byFormat.set('istio-text in CRI', prefixed('2026-01-02T03:04:05.123456789Z stdout F '));
byFormat.set('istio-text behind kubectl --prefix', prefixed('[pod/orders-7f9c6d5b4-x2x5k/istio-proxy] '));

console.log(`${'format'.padEnd(36)}${'lines/s'.padStart(12)}${'MB/s'.padStart(8)}`);
for (const [name, lines] of [...byFormat].toSorted()) {
  const once = Buffer.concat(lines);
  const input = Buffer.concat(Array.from({ length: Math.ceil(SIZE / once.length) }, () => once));
  let best = Infinity;
  let records = 0;
  for (let round = 0; round < ROUNDS; round++) {
    records = 0;
    const started = performance.now();
    await parseSource(
      { name, origin: {}, kind: 'file', open: () => chunksOf(input) },
      { maxLine: 1 << 20 },
      ({ result, record }) => {
        if (result === 'record' && record.responseCode() !== -1) records++;
      },
    );
    best = Math.min(best, performance.now() - started);
  }
  const perSecond = Math.round((records / best) * 1000).toLocaleString('en');
  console.log(
    `${name.padEnd(36)}${perSecond.padStart(12)}${(input.length / 1e3 / best).toFixed(0).padStart(8)}`,
  );
}

const HEAD = '[2026-01-02T03:04:05.006Z] "GET /a HTTP/1.1" 200 - via_upstream - "-" 0 145 12 11 ';
const TAIL = '"id" "o" "1.1.1.1:1" c - 1.1.1.1:1 1.1.1.1:1 - r';
const hostile: readonly (readonly [string, (bytes: number) => string])[] = [
  ['a user agent of `" "`', (bytes) => `${HEAD}"-" "${'" "'.repeat(bytes / 3)}" ${TAIL}`],
  ['tails without end', (bytes) => `${HEAD}"-" "${'" a:1 a:1 a:1 a:1 '.repeat(bytes / 18)}`],
  ['requests', (bytes) => 'x "a b -" 1 '.repeat(bytes / 12)],
];
console.log('\none hostile line, ms');
console.log(`${''.padEnd(36)}${['1.25 MB', '2.5 MB', '5 MB'].map((size) => size.padStart(10)).join('')}`);
for (const [name, text] of hostile) {
  const times = [1.25e6, 2.5e6, 5e6].map((bytes) => {
    const line = lineOf(text(bytes));
    const started = performance.now();
    new LineParser().parse(line, record);
    return (performance.now() - started).toFixed(1).padStart(10);
  });
  console.log(`${name.padEnd(36)}${times.join('')}`);
}

// oxlint-disable-next-line require-await
async function* chunksOf(bytes: Buffer): AsyncIterable<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK);
}
