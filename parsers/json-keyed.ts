import type { Json } from '../src/record/json.js';
import { jsonFormat, type JsonObject } from './json-layout.js';

/** Any object that holds a response code or flags under a key of the record or another name of one. */
export const jsonKeyed = jsonFormat({
  name: 'json-keyed',
  layout: 'an object with response_code, response_flags, code or status, and any others of the keys',
  sign: 'a response code or response flags among its keys',
  reference:
    'https://istio.io/v1.28/docs/tasks/observability/logs/access-log/ (the keys of the default JSON format)',
  accepts: holdsCodeOrFlags,
});

export function holdsCodeOrFlags(object: JsonObject): boolean {
  return (
    Object.hasOwn(object, 'response_code') ||
    Object.hasOwn(object, 'response_flags') ||
    (Object.hasOwn(object, 'code') && isCode(object['code'])) ||
    (Object.hasOwn(object, 'status') && isCode(object['status']))
  );
}

/** Other programs use `code` and `status` for words and objects too: those are no response codes. */
function isCode(value: Json | undefined): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && value >= 0 && value <= 999;
  return typeof value === 'string' && /^\d{1,3}$/.test(value);
}
