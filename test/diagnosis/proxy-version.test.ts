import { describe, expect, it } from 'vitest';
import { LineParser } from '../../parsers/index.js';
import { Observation } from '../../src/aggregate/observation.js';
import { versionHints } from '../../src/diagnosis/proxy-version.js';
import { lineOf } from '../../src/record/line.js';
import { RecordCursor } from '../../src/record/record-view.js';

const HEAD = '[2026-01-02T03:04:05.006Z]';
const TAIL =
  '- "-" "curl/8.5.0" "0be3b273-0ada-4c5d-9a3d-eb24a87265b2" "orders:8080" "10.244.1.9:8080" outbound|8080||orders.shop.svc.cluster.local - 10.96.12.4:8080 10.244.2.5:41632 - default';

function hint(line: string): string | undefined {
  const record = new RecordCursor();
  expect(new LineParser().parse(lineOf(line), record)).toBe('record');
  const observation = new Observation();
  observation.record('a.log', record, { file: 'a.log', line: 1 }, { overlong: false, unterminated: false });
  return versionHints(observation.snapshot().rows.rows)[0]?.envoy;
}

describe('what a line tells of its proxy’s version', () => {
  it.each([
    [
      'flags in the order they were set',
      `503 URX,UF upstream_reset_before_response_started{remote_connection_failure|x}`,
      '1.30 or later',
    ],
    [
      'flags in a fixed order',
      '503 UF,URX upstream_reset_before_response_started{connection_failure}',
      'before 1.27',
    ],
    [
      'connect failures told apart',
      '503 UF upstream_reset_before_response_started{remote_connection_failure|x}',
      '1.27 or later',
    ],
    [
      'a comma before the transport failure',
      '503 UF upstream_reset_before_response_started{connection_failure,TLS_error}',
      'before 1.22',
    ],
    ['a reset by the client', '0 DR http2.remote_reset', '1.38 or later'],
    ['nothing in particular', '503 UH no_healthy_upstream', undefined],
  ])('%s', (_, decided, expected) => {
    expect(hint(`${HEAD} "GET /a HTTP/1.1" ${decided} - "-" 0 95 3 ${TAIL}`)).toBe(expected);
  });
});
