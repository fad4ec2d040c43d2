import { SLOT } from '../src/record/access-record.js';
import type { RecordCursor } from '../src/record/record-view.js';
import type { Line } from '../src/record/line.js';
import { jsonFormat, type JsonObject } from './json-layout.js';
import { fillPair, isConnectionEnd } from './ztunnel-text.js';

/** Keys of the log line itself; all others are the connection's. */
const FRAME: ReadonlySet<string> = new Set(['time', 'scope', 'message']);

/** ztunnel's access log with `LOG_FORMAT=json`: the pairs of the text form, dotted keys unchanged. */
export const ztunnelJson = jsonFormat({
  name: 'ztunnel-json',
  layout: 'an object with scope "access" and a message that ends a connection',
  sign: 'scope "access" and a message that ends a connection',
  reference:
    'https://github.com/istio/ztunnel/blob/62d826530e5c/src/proxy/metrics.rs (access_log!), src/telemetry.rs (JSON)',
  accepts: (object) =>
    object['scope'] === 'access' &&
    typeof object['message'] === 'string' &&
    isConnectionEnd(object['message']),
  fill,
});

function fill(line: Line, object: JsonObject, into: RecordCursor): void {
  into.begin('ztunnel-json', line);
  if (typeof object['time'] === 'string') into.value(SLOT.start_time, object['time']);
  for (const [key, value] of Object.entries(object)) if (!FRAME.has(key)) fillPair(key, value, into);
}
