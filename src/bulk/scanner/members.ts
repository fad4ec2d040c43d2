import { objectOf } from '../../../parsers/json-layout.js';
import { istioJson } from '../../../parsers/istio-json.js';
import { SLOT, type FieldName } from '../../record/access-record.js';
import type { Member } from './scanner.js';

/** Under such keys an object may hold another line, or several. */
const ENVELOPES: ReadonlySet<string> = new Set(['log', 'data', 'streams']);
/** A member as Envoy prints one, where nothing is escaped or nested. */
const MEMBER = /("([^"\\]*)":)(?:"[^"\\]*"|null|\d+)([,}])/y;

/**
 * The members of an object in their order, where it is a line of Istio's JSON that is no envelope of another one; `null`
 * for any other line.
 */
export function membersOf(
  bytes: Buffer,
  start: number,
  end: number,
  envelopeKeys: readonly string[],
): readonly Member[] | null {
  const object = objectOf({ bytes, start, end });
  if (object === undefined || object === 'foreign' || !istioJson.accepts(object)) return null;
  // Places in the text are places in the bytes: who asks has seen that all of it is ASCII.
  const text = bytes.toString('latin1', start, end);
  const members: Member[] = [];
  const keys = new Set<string>();
  MEMBER.lastIndex = 1;
  for (let last = ','; last === ',';) {
    const at = MEMBER.lastIndex;
    const found = MEMBER.exec(text);
    if (!found) return null;
    const [, member = '', key = ''] = found;
    if (keys.has(key) || key === '__proto__' || ENVELOPES.has(key) || envelopeKeys.includes(key)) return null;
    keys.add(key);
    const field = Object.hasOwn(SLOT, key) ? (key as FieldName) : null;
    members.push({ start: start + at, end: start + at + member.length, field });
    last = found[3] ?? '';
  }
  return MEMBER.lastIndex === text.length ? members : null;
}
