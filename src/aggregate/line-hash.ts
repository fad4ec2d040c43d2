import { SLOT } from '../record/access-record.js';
import { hashBytes, mixed } from '../record/dictionary.js';
import type { Origin, StreamOrigin } from '../record/origin.js';
import type { RecordView } from '../record/record-view.js';
import { TRACE_CHARACTER } from '../record/request-id.js';
import { Span } from '../record/span.js';
import { directionOf } from './group-key.js';

/*
 * The hash by which a line stays or goes where too many are kept: the same for all lines of one request, whoever wrote them.
 * The scanner makes the same ones (digest.h, count.h).
 */

const SPAN = new Span();

const hashOf = ({ bytes, start, end }: Span): number => hashBytes(bytes, start, end) >>> 0;

/** Of a line that names neither request nor connection: its stream and its figures, not its number, which a part of a file does not know. */
export function hashOfLone(place: Span, time: number, duration: number, sent: number): number {
  let hash = hashOf(place);
  for (let i = 0; i < 3; i++) {
    hash = Math.imul(hash ^ (i === 0 ? time : i === 1 ? duration : sent), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return mixed(hash) >>> 0;
}

const UUID_LENGTH = 36;
const LOWER_X = 120;

/**
 * The same of a request's id, whatever Envoy keeps of its trace decision in it (`maskedRequestId`): of a UUID, which is on
 * every line, words that do not wait for each other.
 */
export function hashOfId(id: Span): number {
  if (id.end - id.start !== UUID_LENGTH) return hashOf(id);
  let sum = UUID_LENGTH;
  let odd = 0x9e3779b1;
  for (let i = 0; i < UUID_LENGTH; i += 4, odd += 0x6a09e668) {
    let word = 0;
    for (let j = i; j < i + 4; j++) {
      const byte = j === TRACE_CHARACTER ? LOWER_X : id.bytes[id.start + j]!;
      word |= byte << (8 * (j - i));
    }
    sum = (sum + Math.imul(word, odd)) | 0;
  }
  return mixed(sum) >>> 0;
}

/** By which the lines of a stream that name neither request nor connection are told from those of another. */
export const placeHash = ({ file, pod }: StreamOrigin): number => {
  SPAN.set(file ?? pod ?? '');
  return hashOf(SPAN);
};

/** What decides whether a line stays: its request where it names one, else its connection, else itself. */
export function hashOfLine(record: RecordView, { file, pod }: Origin, shared: ReadonlySet<number>): number {
  const span = SPAN;
  if (record.locate(SLOT.request_id, span) > 0) {
    const hash = hashOfId(span);
    if (!shared.has(hash)) return hash;
  } else {
    const direction = directionOf(record);
    const near = direction === 'inbound' || direction === 'unknown';
    const connection = near ? SLOT.downstream_remote_address : SLOT.upstream_local_address;
    if (record.locate(connection, span) > 0) {
      const hash = hashOf(span);
      if (!shared.has(hash)) return hash;
    }
  }
  span.set(file ?? pod ?? '');
  return hashOfLone(span, record.startTime(), record.durationMs() ?? NaN, record.bytesSent() ?? NaN);
}
