import { expect, it } from 'vitest';
import { endsObject } from '../../src/record/json.js';

it.each([
  ['{}', true],
  ['{"a":{}} \t\r\n', true],
  ['{', false],
  ['{"a":"}"', false],
  ['{"a":1} x', false],
  ['}', false],
  ['', false],
  ['  ', false],
])('%j ends as an object does: %s', (text, ends) => {
  const bytes = Buffer.from(`"${text}}`);
  expect(endsObject(bytes, 1, bytes.length - 1)).toBe(ends);
});
