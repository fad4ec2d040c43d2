import { describe, expect, it } from 'vitest';
import { judge } from '../../src/aggregate/failure.js';
import { SLOT, type FieldName } from '../../src/record/access-record.js';
import { lineOf } from '../../src/record/line.js';
import { RecordCursor } from '../../src/record/record-view.js';

type Fields = Partial<Record<FieldName, string | number | null>>;

/** A record that holds these fields and no other. */
function recordOf(fields: Fields): RecordCursor {
  const record = new RecordCursor();
  record.begin('test', lineOf(''));
  for (const [name, value] of Object.entries(fields)) record.value(SLOT[name as FieldName], value);
  return record;
}

/** An HTTP line of Istio's layout; a plain success unless told otherwise. */
const http = (fields: Fields): RecordCursor =>
  recordOf({
    method: 'GET',
    path: '/',
    protocol: 'HTTP/1.1',
    authority: 'orders',
    response_code: 200,
    response_flags: '-',
    response_code_details: 'via_upstream',
    upstream_service_time: 3,
    upstream_cluster: 'outbound|80||orders.shop.svc.cluster.local',
    ...fields,
  });

const tcp = (fields: Fields): RecordCursor =>
  recordOf({
    method: null,
    path: null,
    protocol: null,
    authority: null,
    response_code: 0,
    response_flags: '-',
    response_code_details: null,
    upstream_service_time: null,
    connection_termination_details: null,
    upstream_cluster: 'outbound|5432||db.shop.svc.cluster.local',
    ...fields,
  });

const PROXY = { upstream_service_time: null };
const NO_DETAILS = { response_code_details: null };

describe('a failure', () => {
  it.each([
    // Code 5xx; code 0.
    ['a success is none', http({}), false],
    ["the app's 503", http({ response_code: 503 }), true],
    ['599', http({ response_code: 599 }), true],
    [
      'code 0 with a flag',
      http({
        response_code: 0,
        response_flags: 'DC',
        response_code_details: 'downstream_remote_disconnect',
        ...PROXY,
      }),
      true,
    ],
    ['code 0 on an HTTP line', http({ response_code: 0, response_code_details: null, ...PROXY }), true],
    ['code 0 on a TCP line that ended well is none', tcp({}), false],
    ['code 0 on a TCP line with a flag', tcp({ response_flags: 'UF,URX' }), true],
    [
      'a refused TCP connection',
      tcp({ connection_termination_details: 'rbac_access_denied_matched_policy[none]' }),
      true,
    ],
    // Any flag, but for the exceptions.
    ['a flag on a success', http({ response_flags: 'UC' }), true],
    ['an unknown flag', http({ response_flags: 'ZZ' }), true],
    ['101 DC is none', http({ response_code: 101, response_flags: 'DC' }), false],
    ['101 with another flag', http({ response_code: 101, response_flags: 'UC' }), true],
    ['101 DC with one more', http({ response_code: 101, response_flags: 'DC,UC' }), true],
    ['200 DC', http({ response_flags: 'DC' }), true],
    [
      'RFCF alone on a success is none',
      http({ response_flags: 'RFCF', response_code_details: 'cache.insert_via_upstream' }),
      false,
    ],
    ['DI alone on a success is none', http({ response_flags: 'DI' }), false],
    ['DO alone on a success is none', http({ response_flags: 'DO' }), false],
    ['DI with a flag of failure', http({ response_flags: 'DI,UT' }), true],
    ['DI on a 503', http({ response_code: 503, response_flags: 'DI' }), true],
    // 400 or more that a proxy made.
    ["the app's own 404 is none", http({ response_code: 404 }), false],
    [
      'no route',
      http({ response_code: 404, response_flags: 'NR', response_code_details: 'route_not_found', ...PROXY }),
      true,
    ],
    [
      'RBAC',
      http({
        response_code: 403,
        response_code_details: 'rbac_access_denied_matched_policy[none]',
        ...PROXY,
      }),
      true,
    ],
    [
      'JWT',
      http({
        response_code: 401,
        response_code_details: 'jwt_authn_access_denied{Jwt_is_missing}',
        ...PROXY,
      }),
      true,
    ],
    [
      'rate limit',
      http({
        response_code: 429,
        response_flags: 'RL',
        response_code_details: 'request_rate_limited',
        ...PROXY,
      }),
      true,
    ],
    [
      'a direct response of 404',
      http({ response_code: 404, response_code_details: 'direct_response', ...PROXY }),
      true,
    ],
    [
      'codec',
      http({
        response_code: 400,
        response_flags: 'DPE',
        response_code_details: 'http1.codec_error',
        ...PROXY,
      }),
      true,
    ],
    [
      'a redirect by a proxy is none',
      http({ response_code: 301, response_code_details: 'direct_response', ...PROXY }),
      false,
    ],
    [
      'a health answer by a proxy is none',
      http({ response_code: 200, response_code_details: 'health_check_ok', ...PROXY }),
      false,
    ],
    // Cut, without a flag.
    ['a success cut by the stream duration', http({ response_code_details: 'max_duration_timeout' }), true],
    // Layouts without details.
    ['without details, an upstream 404 is none', http({ response_code: 404, ...NO_DETAILS }), false],
    [
      'without details, a flagged 404',
      http({ response_code: 404, response_flags: 'NR', ...NO_DETAILS, ...PROXY }),
      true,
    ],
  ])('%s', (_, record, failure) => {
    expect(judge(record).failure).toBe(failure);
  });
});

describe('who answered', () => {
  it.each([
    ['via_upstream', http({}), 'peer'],
    ['via_upstream, flagged', http({ response_flags: 'UC' }), 'peer'],
    ['any other details', http({ response_code_details: 'route_not_found' }), 'proxy'],
    [
      'details over a service time',
      http({ response_code_details: 'response_timeout', upstream_service_time: 4 }),
      'proxy',
    ],
    ['no details, a service time', http(NO_DETAILS), 'peer'],
    [
      'no details, a service time, a flag of the proxy',
      http({ ...NO_DETAILS, response_flags: 'UT' }),
      'proxy',
    ],
    [
      'no details, a flag that only says how it travelled',
      http({ ...NO_DETAILS, response_flags: 'DI' }),
      'peer',
    ],
    ['no details, no service time', http({ ...NO_DETAILS, ...PROXY }), 'unknown'],
    ['no details, a flag', http({ ...NO_DETAILS, ...PROXY, response_flags: 'NR' }), 'proxy'],
  ])('%s', (_, record, who) => {
    expect(judge(record).answeredBy).toBe(who);
  });
});

describe('counted apart', () => {
  it.each([
    ["the app's 404", http({ response_code: 404 }), true],
    ['a 404 of the proxy', http({ response_code: 404, response_code_details: 'route_not_found' }), false],
    ["the app's 500", http({ response_code: 500 }), false],
    ["the app's 404, cut on its way", http({ response_code: 404, response_flags: 'UC' }), false],
  ])('%s as app_4xx', (_, record, app4xx) => {
    expect(judge(record).app4xx).toBe(app4xx);
  });

  it.each([
    ['a request', http({}), false],
    ['CONNECT', http({ method: 'CONNECT' }), true],
    ['the HBONE leg', tcp({ upstream_cluster: 'connect_originate' }), true],
    ['the HBONE leg, as logged since Istio 1.23', tcp({ upstream_cluster: 'connect_originate;' }), true],
  ])('%s as a tunnel', (_, record, tunnel) => {
    expect(judge(record).tunnel).toBe(tunnel);
  });
});
